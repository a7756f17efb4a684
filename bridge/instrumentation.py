"""Hooks that the lower layers call for events: for metrics, and for alerts to the operator."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Instrumentation:
    """Base class whose hooks do nothing. No method may raise or block."""

    def page_requested(self, outcome: str) -> None:
        """A request for one page ended: ``complete``, or the code of the failure."""

    def walk_finished(self, outcome: str, seconds: float, pages: int) -> None:
        """A walk ended: ``complete``, or the code of the failure.

        Args:
            seconds: how long the walk took.
            pages: how many pages were read; 0 for a failed walk.
        """

    def lease_waited(self, seconds: float) -> None:
        """A refresh waited for another process that was refreshing the same key."""

    def background_failed(self, work: str) -> None:
        """An unexpected error ended background work: ``periodic``, ``delivery``, ``prefetch``,
        ``readiness`` or ``refresh``.
        """

    def delivery_ended(self, receiver: str, outcome: str) -> None:
        """A try to send a message to a receiver, ``alerts`` or ``changes``, ended.

        Args:
            outcome: ``delivered``, ``given up``, or that of a
                :class:`~bridge.ops.webhook.DeliveryError`.
        """

    def store_failed(self, operation: str) -> None:
        """A ``read`` or ``write`` of the store failed; this process now uses its own memory."""

    def store_recovered(self) -> None:
        """The store accepts writes again."""

    @contextmanager
    def rendering(self, form: str) -> Iterator[None]:
        """The block renders a snapshot in the format *form*."""
        yield


NO_INSTRUMENTATION = Instrumentation()


class AlertSink(Protocol):
    """Receives alerts: conditions that the operator has to know about."""

    def fire(self, topic: str, text: str) -> None:
        """Report that *topic* needs attention; repeated reports count once."""

    def resolve(self, topic: str, text: str) -> None:
        """Report that *topic* no longer needs attention."""
