"""The clock interface: wall-clock time, monotonic time and waiting. Clocks are passed in."""

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """A source of time. Tests pass one that they advance by hand."""

    def now(self) -> float:
        """Seconds since 1970-01-01T00:00Z."""

    def monotonic(self) -> float:
        """Seconds on a clock that is never set back."""

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait for *event* for at most *seconds*. Return whether it is set."""


class SystemClock:
    """The machine's own clocks."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)

    @staticmethod
    def wait(event: threading.Event, seconds: float) -> bool:
        return event.wait(max(0.0, seconds))
