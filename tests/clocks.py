"""A clock that tests move by hand."""

import threading
from datetime import UTC, datetime


class ManualClock:
    """Stands still until it is moved.

    Args:
        at: the wall clock's time to begin with.
        skip: waiting moves the clock on at once, unless the event is set; otherwise waiting takes
            real time and leaves the clock where it is (for tests with other threads).
    """

    def __init__(self, at: datetime | None = None, *, skip: bool = False) -> None:
        start = at or datetime(2026, 11, 23, 12, tzinfo=UTC)
        self._lock = threading.Lock()
        self._now = start.timestamp()
        self._monotonic = 1_000.0
        self._skip = skip
        self.waited: list[float] = []

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self.waited.append(seconds)
        if not self._skip:
            return event.wait(max(0.0, min(seconds, 20.0)))
        if not event.wait(0.001):
            self.move(seconds)
        return event.is_set()

    def move(self, seconds: float) -> None:
        """Let time pass."""
        with self._lock:
            self._now += seconds
            self._monotonic += max(0.0, seconds)

    def set_wall(self, seconds: float) -> None:
        """Set the wall clock alone, as an administrator might."""
        with self._lock:
            self._now += seconds
