"""Hooks through which the lower layers report what happens, to be counted or to alert somebody."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Instrumentation:
    """Hooks that do nothing: the base class of one that counts. No method raises or blocks."""

    def attempted(self, outcome: str) -> None:
        """Upstream was asked for one page: ``complete``, or the code of what went wrong."""

    def walked(self, outcome: str, seconds: float, pages: int) -> None:
        """A walk ended: ``complete``, or the code of what went wrong.

        Args:
            pages: that were read; 0 where nothing came of it.
        """

    def lease_waited(self, seconds: float) -> None:
        """A refresh waited for another process that was at work on the same."""

    def store_failed(self, operation: str) -> None:
        """The store did not do a ``read`` or a ``write``; this process does with its memory."""

    def store_recovered(self) -> None:
        """The store takes writes again."""

    @contextmanager
    def rendering(self, form: str) -> Iterator[None]:
        """Something is made of a snapshot, for as long as the block takes: a form of a feed."""
        yield


NO_INSTRUMENTATION = Instrumentation()


class AlertSink(Protocol):
    """Receives alerts: states that a person should know of."""

    def raised(self, topic: str, text: str) -> None:
        """Report that *topic* needs attention; repeated reports count once."""

    def over(self, topic: str, text: str) -> None:
        """Report that *topic* no longer needs attention."""
