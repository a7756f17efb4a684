"""The timetable's values: class sessions and their parts, frozen, without I/O."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum


class Status(Enum):
    """Whether a session takes place."""

    ACTIVE = "active"
    CANCELLED = "cancelled"


class Visibility(Enum):
    """Who may see a session, as its studio set it. ``None`` in its place is nobody."""

    PUBLIC = "public"
    MEMBERSHIP_HOLDERS = "membership_holders"
    PRIVATE = "private"


@dataclass(frozen=True, slots=True)
class Venue:
    """A place, or a room on the internet.

    Attributes:
        name: one line; empty when upstream told only the id.
        address: one line, without the name.
        zone: an IANA time zone that this machine knows, or None.
        latitude, longitude: degrees, both or neither.
        join_url: the link that lets a person into an online class. Never public.
    """

    id: int
    name: str = ""
    address: str = ""
    zone: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    online: bool = False
    join_url: str | None = field(default=None, repr=False)

    @property
    def location(self) -> str:
        """Name and address in one line, neither said twice."""
        if self.name and self.address.startswith(self.name):
            return self.address
        return ", ".join(filter(None, (self.name, self.address)))


@dataclass(frozen=True, slots=True)
class Instructor:
    """A person who teaches: nothing but what the studio shows of them."""

    id: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class Course:
    """A series of sessions that is booked as one."""

    id: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class OfferingType:
    """A kind of class.

    Attributes:
        description: plain text, lines separated by a newline.
        colour: ``#rrggbb`` or None.
        visibility: None when upstream told none, or one that is not known here.
    """

    id: int | None
    name: str = ""
    description: str = ""
    category: str = ""
    colour: str | None = None
    visibility: Visibility | None = None
    draft: bool = False


@dataclass(frozen=True, slots=True)
class ClassSession:
    """One dated class.

    Attributes:
        source: the kind of row it is upstream; with ``id`` it is the session's identity.
        title: one line, never empty.
        start, end: UTC, whole seconds; ``end`` is None when upstream's was unusable.
        attending: people booked; may exceed the capacity.
        capacity: None when unlimited.
        booking_url: where a customer books.
        staff_url: where staff manage it. Never public.
        complete: whether upstream told the visibility and every expansion that was asked for.
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

    @property
    def identity(self) -> tuple[str, int]:
        """What makes it the same session whatever changes about it."""
        return (self.source, self.id)

    @property
    def ends(self) -> datetime:
        """When it is over: its start where no usable end is known."""
        return self.end or self.start

    @property
    def places_left(self) -> int | None:
        """Free places, never negative; None when unlimited."""
        return None if self.capacity is None else max(0, self.capacity - self.attending)

    @property
    def full(self) -> bool:
        """Whether nobody more can book. An unlimited session never is."""
        return self.places_left == 0

    @property
    def places_rounded(self) -> int | None:
        """Free places as the public may know them: few are told exactly, more in steps of five."""
        left = self.places_left
        return left if left is None or left < 5 else left - left % 5


@dataclass(frozen=True, slots=True)
class Revision:
    """When a session was first seen and last changed: seconds since 1970.

    What changed is told apart, so that a feed that does not show places does not change when
    somebody books.

    Attributes:
        sequence: iCalendar's revision number (RFC 5545, 3.8.7.4): moves with time, place, status.
        content: last change of what every feed shows.
        full: last change of whether it is full.
        places: last change of the rounded number of free places.
        counts: last change of the exact counts.
        links: last change of the links that only private feeds carry.
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
        """The last change of anything."""
        return max(self.content, self.full, self.places, self.counts, self.links)


@dataclass(frozen=True, slots=True)
class Published:
    """A session as it was last published.

    Attributes:
        lacking_since: the first of the walks, in a row, that did not have it.
        held: it is lacking together with suspiciously many others, or upstream's form of it
            cannot be used; it stays as it was and is never shown as cancelled for it.
        vanished: a tombstone: upstream has it no more, and it is shown as cancelled.
    """

    session: ClassSession
    revision: Revision
    lacking_since: int | None = None
    held: bool = False
    vanished: bool = False

    def __hash__(self) -> int:
        # All of its parts would take ten times as long, and hardly tell more apart.
        return hash((self.session.id, self.session.source, self.revision.content))
