"""What all who ask upstream must agree on, wherever they run."""

from enum import Enum
from typing import Protocol


class Purpose(Enum):
    """Why upstream is asked.

    Attributes:
        account: what such requests are counted under.
        share: of the budget, that all under that account may have taken for one more to be granted.
    """

    LIVE = "live", 1.0
    """Somebody waits for it, or just took an old copy."""
    ADMISSION = "new", 0.25
    """Somebody asks for what nobody asked for before: it may be made up. Taken before its walk."""
    NEW = "new", 0.5
    """The walk of what was admitted: its other pages may exceed the share of admissions."""
    AHEAD = "ahead", 0.5
    """Refreshing what was asked for lately, so that nobody will have to wait."""

    def __init__(self, account: str, share: float) -> None:
        self.account = account
        self.share = share


class RequestBudget(Protocol):
    """The request budget, the cool-down and what was learnt of the upstream's ways."""

    def reserve(self, purpose: Purpose) -> float:
        """Take one request out of the budget: 0.0, or the seconds until it is worth asking again.

        While a cool-down lasts, nothing is granted.
        """

    def cool_down(self, seconds: float) -> None:
        """Let nobody ask for *seconds*."""

    def cooldown_left(self) -> float:
        """Seconds that a cool-down still lasts; 0.0 outside of one."""

    def hint(self, name: str) -> str | None:
        """What was learnt under *name*, if anything."""

    def remember_hint(self, name: str, value: str) -> None:
        """Remember *value* under *name* for everybody."""
