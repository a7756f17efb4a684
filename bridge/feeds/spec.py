"""The feed specification: everything that decides which bytes a feed is made of."""

from dataclasses import dataclass, field
from enum import Enum

from bridge.config import Availability
from bridge.filters import FilterSet
from bridge.model import Visibility


class Kind(Enum):
    """What a feed's address names, spelled as in its path."""

    VENUE = "venues"
    INSTRUCTOR = "instructors"
    COURSE = "courses"
    SESSION = "sessions"
    """One session (with an id), or any filter set (without one)."""


class Cancelled(Enum):
    """How a cancelled session is told."""

    STATUS = "status"
    """As cancelled, in title and status. Google hides such events."""
    KEEP = "keep"
    """In its title only, so that every client shows it."""
    HIDE = "hide"
    """Not at all."""


class TimeStyle(Enum):
    """How times are written."""

    UTC = "utc"
    LOCAL = "local"
    """In the venue's zone, with its rules beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """Who reads a feed: what they may see.

    Attributes:
        private: the id of the private feed; None for the public. What is private no shared cache
            may keep.
        visibilities: of the sessions that are shown.
        availability: the most that is told about places.
        counts: whether exact counts are told.
        join_links, staff_links: whether these are told.
        label: what the owner calls the feed.
    """

    private: str | None = None
    visibilities: frozenset[Visibility]
    availability: Availability
    counts: bool = False
    join_links: bool = False
    staff_links: bool = False
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedSpec:
    """A feed. Equal specifications of equal snapshots give equal bytes.

    Attributes:
        identity: the id in the address; None for a filter set at large.
        query: the address's own query, canonical, without ``?``.
    """

    kind: Kind
    identity: int | None
    filter_set: FilterSet
    audience: Audience = field(repr=False)
    cancelled: Cancelled = Cancelled.STATUS
    availability: Availability = Availability.NONE
    times: TimeStyle = TimeStyle.UTC
    query: str = ""

    @property
    def name(self) -> str:
        """What tells this feed from others, on every machine alike."""
        whose = f"private {self.audience.private} " if self.audience.private else ""
        identity = "" if self.identity is None else self.identity
        return f"{whose}{self.kind.value}/{identity}?{self.query}"

    def path(self, extension: str = "") -> str:
        """The canonical path below the bridge's address, with its query.

        An address that ends in ``.ics`` keeps clients from asking what it is, also where a query
        follows.
        """
        tail = "" if self.identity is None else f"/{self.identity}"
        query = self.query
        if query and extension:
            query += f"&_={extension}"
        return f"/{self.kind.value}{tail}{extension}" + (f"?{query}" if query else "")
