"""Time, passed in: the wall clock, the monotonic clock, and waiting."""

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """What the bridge reads time from; tests pass one that they move by hand."""

    def now(self) -> float:
        """Seconds since 1970-01-01T00:00Z."""

    def monotonic(self) -> float:
        """Seconds on a clock that is never set back."""

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait for *event* for at most *seconds*; whether it is set."""


class SystemClock:
    """The machine's own clocks."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)

    @staticmethod
    def wait(event: threading.Event, seconds: float) -> bool:
        """Wait for *event* for at most *seconds*; whether it is set."""
        return event.wait(max(0.0, seconds))
