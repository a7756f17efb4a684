"""Selection: which sessions a feed shows, and what of them its readers may see."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from bridge.cache.snapshot import Snapshot
from bridge.config import Availability
from bridge.feeds.spec import Audience, Cancelled, FeedSpec, Kind
from bridge.filters import FilterSet
from bridge.model import ClassSession, Published, Revision, Status
from bridge.text import folded

_NAMESPACE = uuid.UUID("0b6c3c5e-52f7-4b86-9d9a-1f6a6f2b7f11")
# What a worker keeps in its memory, at about a kilobyte each.
_VIEWED = 32_768


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """A session as a feed's readers may see it. It holds nothing that they may not.

    Equal is the same: of a session that did not change there is one for all feeds that tell it
    alike, so that what is made of it can be kept by it.

    Attributes:
        uid: the same in every feed, whatever the settings.
        session: without counts, join link and staff address, unless they may be seen.
        availability: None, ``"full"``, or the number of free places: rounded, unless exact counts
            may be seen.
        booked: how many are in and how many may be, where that may be seen.
        modified: when anything that is shown changed last.
        marked: whether it is told as cancelled.
        status: what calendars are told; a feed may keep a cancelled session on.
    """

    uid: str
    session: ClassSession
    availability: str | int | None
    booked: str | None
    created: datetime
    modified: datetime
    sequence: int
    marked: bool
    status: Status

    @property
    def summary(self) -> str:
        """The title, with who teaches, and what is special."""
        names = ", ".join(filter(None, (one.name for one in self.session.instructors)))
        parts = [self.session.title, f" – {names}" if names else ""]
        if self.availability == "full":
            parts.append(" (Full)")
        elif self.availability is not None:
            parts.append(f" ({self.availability} left)")
        return ("CANCELLED: " if self.marked else "") + "".join(parts)


def uid(session: ClassSession) -> str:
    """The session's UID: a UUID of its own identity, which no setting changes."""
    return str(uuid.uuid5(_NAMESPACE, f"{session.source}:{session.id}"))


def visible(session: ClassSession, audience: Audience) -> bool:
    """Whether *audience* may see it. Nobody sees drafts, nor what came without a visibility."""
    kind = session.offering_type
    return kind is not None and not kind.draft and kind.visibility in audience.visibilities


def select(snapshot: Snapshot, spec: FeedSpec) -> list[Shown]:
    """The sessions of a feed, ordered by start and UID."""
    view = View.of(spec)
    found = [
        _viewed(one, view)
        for one in snapshot.matching(spec.filter_set)
        if visible(one.session, spec.audience)
        and not (spec.cancelled is Cancelled.HIDE and one.session.status is Status.CANCELLED)
    ]
    return sorted(found, key=lambda one: (one.session.start, one.uid))


class View(NamedTuple):
    """What of a session a feed tells.

    Attributes:
        told: of places.
        keeps: whether what is cancelled stays on, and its title alone says so.
    """

    told: Availability
    counts: bool
    join_links: bool
    staff_links: bool
    keeps: bool

    @classmethod
    def of(cls, spec: FeedSpec) -> "View":
        """The view that the readers of *spec* have."""
        audience = spec.audience
        return cls(
            told=spec.availability,
            counts=audience.counts,
            join_links=audience.join_links,
            staff_links=audience.staff_links,
            keeps=spec.cancelled is Cancelled.KEEP,
        )


@lru_cache(maxsize=_VIEWED)
def _viewed(one: Published, view: View) -> Shown:
    session = one.session
    cancelled = session.status is Status.CANCELLED
    venue = session.venue
    if venue is not None and venue.join_url and not view.join_links:
        venue = replace(venue, join_url=None)
    staff_url = session.staff_url if view.staff_links else None
    return Shown(
        uid=uid(session),
        session=replace(session, venue=venue, staff_url=staff_url, attending=0, capacity=None),
        availability=None if cancelled else _availability(session, view),
        booked=_booked(session) if view.counts else None,
        created=_instant(one.revision.created),
        modified=_instant(_modified(one.revision, view)),
        sequence=one.revision.sequence,
        marked=cancelled,
        status=Status.ACTIVE if view.keeps else session.status,
    )


def _availability(session: ClassSession, view: View) -> str | int | None:
    if view.told is Availability.NONE or session.places_left is None:
        return None
    if session.full:
        return "full"
    if view.told is not Availability.SPOTS:
        return None
    return session.places_left if view.counts else session.places_rounded


def _booked(session: ClassSession) -> str:
    of = "" if session.capacity is None else f" of {session.capacity}"
    return f"{session.attending}{of}"


def _modified(revision: Revision, view: View) -> int:
    """The last change of anything that the feed shows."""
    seen = [revision.content]
    if view.told is not Availability.NONE:
        seen.append(revision.full)
    if view.told is Availability.SPOTS:
        seen.append(revision.places)
    if view.counts:
        seen.append(revision.counts)
    if view.join_links or view.staff_links:
        seen.append(revision.links)
    return max(seen)


def _instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


@dataclass(frozen=True, slots=True)
class Subject:
    """What a feed is about, as far as its readers may know.

    Attributes:
        name: the last known name, or a plain word where none is known.
        zone: the zone of the venue that it is about, or that all its sessions share.
    """

    name: str
    zone: str | None


_CHOSEN = ("venues", "instructors", "course", "offering_types")
_MOST_NAMES = 3
_WORDS = {
    Kind.VENUE: "Venue",
    Kind.INSTRUCTOR: "Instructor",
    Kind.COURSE: "Course",
    Kind.SESSION: "Class",
}


def subject(snapshot: Snapshot, spec: FeedSpec, shown: list[Shown]) -> Subject:
    """Name and zone of a feed, also of one that has nothing on at present."""
    zones = {one.session.venue.zone if one.session.venue else None for one in shown}
    zone = zones.pop() if len(zones) == 1 else None
    if spec.audience.label or spec.identity is None:
        return Subject(spec.audience.label or choice(snapshot, spec) or "Classes", zone)
    latest = ""
    for one in snapshot.matching(named(spec)):
        if not visible(one.session, spec.audience):
            continue
        name, own_zone = _named(one.session, spec)
        if name:
            latest = name
            zone = zone or own_zone
    return Subject(latest or f"{_WORDS[spec.kind]} {spec.identity}", zone)


def choice(snapshot: Snapshot, spec: FeedSpec) -> str:
    """The names of what a filter set asks for, while they are few; otherwise empty.

    Venues, instructors, courses and types are set apart: a name may hold a comma.
    """
    asked = {field: getattr(spec.filter_set, field) for field in _CHOSEN}
    if not any(asked.values()):
        return ""
    names: dict[str, dict[int, str]] = {field: {} for field in _CHOSEN}
    for one in snapshot.matching(FilterSet(**asked)):
        if visible(one.session, spec.audience):
            for field, identity, name in _parts(one.session):
                if name and identity in asked[field]:
                    names[field][identity] = name
    groups = [sorted(several.values(), key=folded) for several in names.values() if several]
    if sum(map(len, groups)) > _MOST_NAMES:
        return ""
    return " · ".join(", ".join(group) for group in groups)


def _parts(session: ClassSession) -> Iterator[tuple[str, int, str]]:
    """What of *session* can be asked for: the filter's field, the id and the name of each."""
    if session.venue:
        yield "venues", session.venue.id, session.venue.name
    for who in session.instructors:
        yield "instructors", who.id, who.name
    if session.course:
        yield "course", session.course.id, session.course.name or session.title
    kind = session.offering_type
    if kind and kind.id is not None:
        yield "offering_types", kind.id, kind.name or session.title


_FIELDS = {Kind.VENUE: "venues", Kind.INSTRUCTOR: "instructors", Kind.COURSE: "course"}


def named(spec: FeedSpec) -> FilterSet:
    """All sessions, whenever they are, of what the address of *spec* names."""
    if spec.identity is None:
        return FilterSet()
    if spec.kind is Kind.SESSION:
        return FilterSet(session=spec.identity)
    return FilterSet.of(**{_FIELDS[spec.kind]: (spec.identity,)})


def _named(session: ClassSession, spec: FeedSpec) -> tuple[str, str | None]:
    """The name and zone that *session* knows for what the feed is about."""
    venue = session.venue
    if spec.kind is Kind.VENUE:
        return (venue.name, venue.zone) if venue and venue.id == spec.identity else ("", None)
    if spec.kind is Kind.COURSE:
        course = session.course
        return (course.name if course and course.id == spec.identity else "", None)
    if spec.kind is Kind.INSTRUCTOR:
        names = (one.name for one in session.instructors if one.id == spec.identity)
        return (next(names, ""), None)
    return (session.title if session.id == spec.identity else "", venue.zone if venue else None)
