"""The data model of the timetable: class sessions and their parts, as frozen dataclasses."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone, tzinfo
from enum import Enum

from bridge import times


class SourceName(Enum):
    """TeamUp's lists of sessions, by the names that settings and filters use."""

    EVENTS = "events"
    """Ordinary classes."""
    COURSE_SESSIONS = "course_sessions"

    @property
    def object(self) -> str:
        """The vendor's name for a row of the list; with the row's id the session's identity."""
        return self.value.removesuffix("s")


Identity = tuple[str, int]
"""A session's source object and id. Ids alone are not unique: two lists may contain equal ones."""


class Status(Enum):
    """Whether a session takes place."""

    ACTIVE = "active"
    CANCELLED = "cancelled"


class Visibility(Enum):
    """Who may see a session, as set by its studio. ``None`` instead of a member means nobody."""

    PUBLIC = "public"
    MEMBERSHIP_HOLDERS = "membership_holders"
    PRIVATE = "private"

    @property
    def rank(self) -> int:
        """Its place in the order from public to private, from 0."""
        return list(Visibility).index(self)


@dataclass(frozen=True, slots=True)
class Room:
    """A room of a venue."""

    id: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class Venue:
    """A physical or online venue.

    Attributes:
        name: one line; empty if upstream sent only the id.
        address: one line, without the name.
        zone: the name of a known IANA time zone, or None.
        latitude, longitude: degrees, both or neither.
        join_url: the link with which a person joins an online class. Never public.
    """

    id: int
    name: str = ""
    address: str = ""
    zone: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    online: bool = False
    join_url: str | None = field(default=None, repr=False)

    def location(self, room: Room | None = None) -> str:
        """Name, room and address in one line, without repetition."""
        address = self.address
        if self.name and address.startswith(self.name):
            # "Brick Lane 91" and "100 High Street" do not repeat "Brick Lane" and "10".
            rest = address.removeprefix(self.name)
            if room is None and not rest[:1].isalnum():
                return address
            if rest[:1] in ("", ","):
                address = rest.lstrip(", ")
        return ", ".join(filter(None, (self.name, room.name if room else "", address)))


@dataclass(frozen=True, slots=True)
class Instructor:
    """A person who teaches; only the data that the studio publishes."""

    id: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class Course:
    """A series of sessions that is booked as a whole."""

    id: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class OfferingType:
    """A kind of class.

    Attributes:
        description: plain text, lines separated by a newline.
        colour: ``#rrggbb`` or None.
        visibility: None if upstream sent none, or an unknown one.
    """

    id: int | None
    name: str = ""
    description: str = ""
    category: str = ""
    colour: str | None = None
    visibility: Visibility | None = None
    draft: bool = False
    category_id: int | None = None


@dataclass(frozen=True, slots=True)
class ClassSession:
    """One dated class.

    Attributes:
        source: the :attr:`SourceName.object` of its list; with ``id`` the session's identity.
        title: one line, never empty.
        start, end: UTC, whole seconds; ``end`` is None if the upstream value is unusable.
        attending: number of people booked; may exceed the capacity.
        capacity: None if unlimited.
        booking_url: the page where a customer books.
        staff_url: the page where staff manage the session. Never public.
        complete: whether upstream sent the visibility and every requested expansion.
        room: None if it has none, as all course sessions.
        own_description: plain text; empty if only its offering type has a description.
        waiting: number of people on the waiting list; None if the source does not state it.
        booking_opens: when customers can begin to book, UTC.
        utc_offset: of its start, in minutes, where no venue's zone is known.
        registration: the audience that the registration timelines allow to book; None if there
            are none, or upstream does not state them.
    """

    source: str
    id: int
    title: str
    start: datetime
    end: datetime | None
    status: Status = Status.ACTIVE
    attending: int = 0
    capacity: int | None = None
    venue: Venue | None = None
    instructors: tuple[Instructor, ...] = ()
    course: Course | None = None
    offering_type: OfferingType | None = None
    booking_url: str | None = None
    staff_url: str | None = field(default=None, repr=False)
    complete: bool = True
    room: Room | None = None
    own_description: str = ""
    waiting: int | None = None
    booking_opens: datetime | None = None
    registration: Visibility | None = None
    utc_offset: int | None = None

    @property
    def identity(self) -> Identity:
        """The key of the session, which stays the same when its data change."""
        return (self.source, self.id)

    @property
    def visibility(self) -> Visibility | None:
        """Who may see it: the offering type's visibility, or what registration allows if stricter.

        None means nobody: upstream did not send it.
        """
        own = self.offering_type.visibility if self.offering_type else None
        if own is None or self.registration is None:
            return own
        return max(own, self.registration, key=lambda visibility: visibility.rank)

    @property
    def location(self) -> str:
        """Venue, room and address in one line."""
        if self.venue is not None:
            return self.venue.location(self.room)
        return self.room.name if self.room else ""

    @property
    def description(self) -> str:
        """Its own description, or else its offering type's."""
        return self.own_description or (
            self.offering_type.description if self.offering_type else ""
        )

    @property
    def zone(self) -> tzinfo:
        """Its venue's time zone; without one, the offset that upstream sent, or UTC."""
        zone = times.zone(self.venue.zone) if self.venue else None
        return zone or timezone(timedelta(minutes=self.utc_offset or 0))

    @property
    def local_start(self) -> datetime:
        """When it starts, in :attr:`zone`."""
        return self.start.astimezone(self.zone)

    @property
    def local_end(self) -> datetime | None:
        """When it ends, in :attr:`zone`; None if no usable end is known."""
        return self.end.astimezone(self.zone) if self.end else None

    @property
    def ends(self) -> datetime:
        """When the session ends; its start if no usable end is known."""
        return self.end or self.start

    @property
    def places_left(self) -> int | None:
        """Free places, never negative; None when unlimited."""
        return None if self.capacity is None else max(0, self.capacity - self.attending)

    @property
    def full(self) -> bool:
        """Whether no places are left. An unlimited session is never full."""
        return self.places_left == 0

    @property
    def places_rounded(self) -> int | None:
        """Free places for the public: exact below five, otherwise rounded down to a multiple of 5.

        None when unlimited.
        """
        left = self.places_left
        return left if left is None or left < 5 else left - left % 5


def venue_zones(sessions: Iterable[ClassSession]) -> dict[int | None, str | None]:
    """The zone of each venue, by its id; the id None stands for sessions without a venue.

    Args:
        sessions: in order of time. The last one counts: past ones are as upstream sent them then,
            and a studio may have corrected the zone since.
    """
    venues = (session.venue for session in sessions)
    return {venue.id if venue else None: venue.zone if venue else None for venue in venues}


@dataclass(frozen=True, slots=True)
class Revision:
    """When a session was first seen and last changed: seconds since 1970.

    There is a time for each kind of change, so that a feed without places does not change when
    somebody books.

    Attributes:
        created: when the session was first seen.
        sequence: iCalendar's revision number (RFC 5545, 3.8.7.4): grows when the time, the place
            or the status changes.
        content: last change of the data that every feed contains.
        full: last change of whether the session is full.
        places: last change of the rounded number of free places.
        counts: last change of the exact counts.
        links: last change of the links that only private feeds contain.
    """

    created: int
    sequence: int
    content: int
    full: int
    places: int
    counts: int
    links: int

    @property
    def latest(self) -> int:
        """The time of the last change of any kind."""
        return max(self.content, self.full, self.places, self.counts, self.links)


@dataclass(frozen=True, slots=True)
class Published:
    """A session as it was last published.

    Attributes:
        missing_since: when the first of the consecutive walks without the session began; None if
            the last walk returned it. Of a tombstone, when the last walk began after which readers
            saw the session; None where an earlier version stored it.
        held: the session is missing together with suspiciously many others, or its upstream row
            is unusable; it is published unchanged, and not as cancelled.
        is_tombstone: the session was deleted upstream and is published as cancelled.
        moved_from: the start that was published first, while it is to come; None if the session
            was not moved.
        covered: the instructors that were published first, if others took the place of some of
            them; otherwise empty.
        noted_at: when the last walk began before the first of these two differences, in seconds
            since 1970; None without them, and where an earlier version stored them.
    """

    session: ClassSession
    revision: Revision
    missing_since: int | None = None
    held: bool = False
    is_tombstone: bool = False
    moved_from: datetime | None = None
    covered: tuple[Instructor, ...] = ()
    noted_at: int | None = None

    def __hash__(self) -> int:
        # Hashing all fields takes ten times as long and hardly reduces collisions.
        return hash((self.session.id, self.session.source, self.revision.content))
