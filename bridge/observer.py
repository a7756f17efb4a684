"""The observer: told of what happens below the web, so that somebody can count it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Observer(Protocol):
    """Whoever counts. Nothing here raises or waits."""

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

    def rendering(self, form: str) -> AbstractContextManager[None]:
        """Something is made of a snapshot, for as long as the block takes: a form of a feed."""


class Unobserved:
    """Nobody counts."""

    def attempted(self, outcome: str) -> None:
        """Not counted."""

    def walked(self, outcome: str, seconds: float, pages: int) -> None:
        """Not counted."""

    def waited_for_lease(self, seconds: float) -> None:
        """Not counted."""

    def store_failed(self, operation: str) -> None:
        """Not counted."""

    def store_recovered(self) -> None:
        """Not counted."""

    @contextmanager
    def rendering(self, form: str) -> Iterator[None]:
        """Not counted."""
        yield


UNOBSERVED = Unobserved()
