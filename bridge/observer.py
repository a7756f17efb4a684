"""The observer: told of what happens below the web, so that it can be counted."""

from collections.abc import Iterator
from contextlib import contextmanager


class Observer:
    """Counts nothing: the base of one that does. No method raises or waits."""

    def attempted(self, outcome: str) -> None:
        """Upstream was asked for one page: ``complete``, or the code of what went wrong."""

    def walked(self, outcome: str, seconds: float, pages: int) -> None:
        """A walk ended: ``complete``, or the code of what went wrong.

        Args:
            pages: that were read; 0 where nothing came of it.
        """

    def waited_for_lease(self, seconds: float) -> None:
        """A refresh waited for another process that was at work on the same."""

    def store_failed(self, operation: str) -> None:
        """The store did not do a ``read`` or a ``write``; this process does with its memory."""

    def store_recovered(self) -> None:
        """The store takes writes again."""

    @contextmanager
    def rendering(self, form: str) -> Iterator[None]:
        """Something is made of a snapshot, for as long as the block takes: a form of a feed."""
        yield


UNOBSERVED = Observer()
