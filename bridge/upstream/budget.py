"""The interface of the request budget, which all clients of upstream share."""

from enum import Enum
from typing import Protocol


class Purpose(Enum):
    """The purpose of a request to upstream.

    Attributes:
        counted_as: the group of purposes whose requests are counted together, as it is stored.
        share: the fraction of the budget that the group may use.
    """

    LIVE = "live", 1.0
    """A client waits for the data, or was just served a stale copy."""
    ADMISSION = "new", 0.25
    """The first request for a new filter set, which may be made up. Reserved before its walk."""
    NEW = "new", 0.5
    """The walk of an admitted filter set: its other pages may exceed the share of admissions."""
    BACKGROUND = "ahead", 0.5
    """Work for which no client waits, such as prefetching of recently requested filter sets."""

    def __init__(self, counted_as: str, share: float) -> None:
        self.counted_as = counted_as
        self.share = share


class RequestBudget(Protocol):
    """The request budget, the cool-down, and hints about upstream."""

    def reserve(self, purpose: Purpose) -> float:
        """Reserve one request.

        Returns:
            0.0, or the seconds until the next attempt. During a cool-down no request is granted.
        """

    def cool_down(self, seconds: float) -> None:
        """Block all requests for *seconds*."""

    def cooldown_left(self) -> float:
        """Seconds until the end of the cool-down; 0.0 if there is none."""

    def hint(self, name: str) -> str | None:
        """The hint *name*, or None."""

    def remember_hint(self, name: str, value: str) -> None:
        """Store the hint *name* for all clients."""
