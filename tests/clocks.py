"""A clock for tests that only moves when a test moves it, and `wait_until`."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any


class ManualClock:
    """A fake clock; it stands still until `move` or `set_wall` is called.

    Args:
        at: the initial wall-clock time.
        skip: if true, `wait` advances the clock without waiting, unless the event is set;
            otherwise `wait` takes real time and does not change the clock (for tests with threads).
    """

    def __init__(self, at: datetime | None = None, *, skip: bool = False) -> None:
        start = at or datetime(2026, 11, 23, 12, tzinfo=UTC)
        self._lock = threading.Lock()
        self._now = start.timestamp()
        self._monotonic = 1_000.0
        self.skip = skip
        self.waited: list[float] = []

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self.waited.append(seconds)
        if not self.skip:
            return event.wait(max(0.0, min(seconds, 20.0)))
        if not event.wait(0.001):
            self.move(seconds)
        return event.is_set()

    def move(self, seconds: float) -> None:
        """Advance both clocks by *seconds*."""
        with self._lock:
            self._now += seconds
            self._monotonic += max(0.0, seconds)

    def set_wall(self, seconds: float) -> None:
        """Shift only the wall clock, as if an administrator set it."""
        with self._lock:
            self._now += seconds


def wait_until(condition: Callable[[], Any], *, seconds: float = 30.0, why: str = "") -> Any:
    """Poll *condition* until it is true; return its value. Fails after *seconds*."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, why or "timeout: the condition did not become true"
        time.sleep(0.01)
    return value
