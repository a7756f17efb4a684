"""The feed specification: everything that determines a feed's bytes, except the snapshot."""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from typing import NamedTuple
from urllib.parse import parse_qsl

from bridge.config import Availability
from bridge.filters import FilterSet
from bridge.languages import Language, english
from bridge.model import ClassSession, Identity, SourceName, Visibility


class Kind(Enum):
    """What kind of object a feed is about; the value is the first segment of its path."""

    VENUE = "venues"
    ROOM = "rooms"
    INSTRUCTOR = "instructors"
    COURSE = "courses"
    TYPE = "types"
    CLASS = "classes"
    """One ordinary class."""
    SESSION = "sessions"
    """One course session (with an id), or any filter set (without one)."""


PATH_FIELDS = {
    Kind.VENUE: "venues",
    Kind.ROOM: "rooms",
    Kind.INSTRUCTOR: "instructors",
    Kind.COURSE: "course",
    Kind.TYPE: "offering_types",
}
"""The field of the filter set that the id in the path sets."""

SINGLE_SESSION_SOURCES = {
    Kind.CLASS: SourceName.EVENTS,
    Kind.SESSION: SourceName.COURSE_SESSIONS,
}
"""The source of the one session that the id in the path means."""


_SINGLE_SESSION_KINDS = {source.object: kind for kind, source in SINGLE_SESSION_SOURCES.items()}


def session_path(session: ClassSession) -> str:
    """The path of the page of a single session."""
    return f"/{_SINGLE_SESSION_KINDS[session.source].value}/{session.id}"


class Cancelled(Enum):
    """How a cancelled session is shown."""

    STATUS = "status"
    """Marked as cancelled in title and status. Google hides such events."""
    KEEP = "keep"
    """Marked in the title only, so that every client shows it."""
    HIDE = "hide"
    """Left out."""


class ChangeNotes(Enum):
    """Whether events state what they were moved from, and whom an instructor covers."""

    ON = "on"
    OFF = "off"


class TimeStyle(Enum):
    """How times are written."""

    UTC = "utc"
    LOCAL = "local"
    """In the venue's time zone, with a VTIMEZONE in the feed."""


class EventOptions(NamedTuple):
    """How the events of a calendar are written.

    Attributes:
        language: of the words that the bridge adds.
        alarm: minutes before the start at which calendars remind of it; None for no reminder.
    """

    language: Language
    times: TimeStyle
    alarm: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """What the readers of a feed may see.

    Attributes:
        private: the id of the private feed, which shared caches must not store; None for the
            public.
        visibilities: of the sessions that they may see.
        availability: the most detailed availability that the feed may show.
        counts: whether the exact number of bookings is shown.
        join_links, staff_links: whether these links are shown.
        label: the owner's name for the feed.
        horizon: only sessions that start at most so long after the walk; None: all.
    """

    private: str | None = None
    visibilities: frozenset[Visibility]
    availability: Availability
    counts: bool = False
    join_links: bool = False
    staff_links: bool = False
    label: str = ""
    horizon: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedSpec:
    """A feed. Equal specifications and equal snapshots give equal bytes.

    Attributes:
        identity: the id in the address; None for a feed of any filter set.
        alarm: minutes before the start of each event at which calendars remind of it, or None.
        language: of the words that the bridge adds.
        query: the canonical query of the address, without ``?``.
        studio_zone: the zone whose days are counted if the sessions of the feed share none; None:
            that of most venues.
    """

    kind: Kind
    identity: int | None
    filter_set: FilterSet
    audience: Audience = field(repr=False)
    cancelled: Cancelled = Cancelled.STATUS
    availability: Availability = Availability.NONE
    cover: ChangeNotes = ChangeNotes.ON
    times: TimeStyle = TimeStyle.UTC
    alarm: int | None = None
    language: Language = field(default_factory=english)
    query: str = ""
    studio_zone: str | None = None

    @property
    def event_options(self) -> EventOptions:
        """How its events are written."""
        return EventOptions(self.language, self.times, self.alarm)

    @property
    def path_field(self) -> str | None:
        """The field of the filter set that the path sets; None if it sets none."""
        return None if self.identity is None else PATH_FIELDS.get(self.kind)

    @property
    def session(self) -> Identity | None:
        """The identity of the one session that the feed is about; None for other feeds."""
        if self.identity is None or self.kind not in SINGLE_SESSION_SOURCES:
            return None
        return (SINGLE_SESSION_SOURCES[self.kind].object, self.identity)

    @property
    def query_pairs(self) -> list[tuple[str, str]]:
        """The names and values in the query; several values of a parameter are several pairs."""
        return [
            (name, value) for name, values in parse_qsl(self.query) for value in values.split(",")
        ]

    @property
    def name(self) -> str:
        """A unique name of the feed, the same on every machine."""
        owner = f"private {self.audience.private} " if self.audience.private else ""
        identity = "" if self.identity is None else self.identity
        return f"{owner}{self.kind.value}/{identity}?{self.query}"

    def path(self, extension: str = "") -> str:
        """The canonical path, with the query, relative to the bridge's base address.

        The address ends in *extension* even if it has a query: some clients decide by the ending
        what an address contains. It contains no comma and no ``%``: site builders split addresses
        at commas, and some clients quote a ``%`` again.
        """
        segment = "" if self.identity is None else f"/{self.identity}"
        query = "&".join(f"{name}={value}" for name, value in self.query_pairs)
        if query and extension:
            query += f"&_={extension[extension.rindex('.') :]}" if "." in extension else ""
        return f"/{self.kind.value}{segment}{extension}" + (f"?{query}" if query else "")
