"""Selection: which sessions a feed shows, and what of each its audience may see."""

import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from bridge.config import Availability
from bridge.feeds.spec import Audience, Cancelled, FeedSpec, Kind
from bridge.filters import FilterSet
from bridge.model import ClassSession, Published, Revision, Status, Visibility
from bridge.snapshots.snapshot import Snapshot
from bridge.text_cleanup import folded, without_meeting_links

_UID_NAMESPACE = uuid.UUID("0b6c3c5e-52f7-4b86-9d9a-1f6a6f2b7f11")
# Views that a worker keeps in memory, about a kilobyte each.
_MAX_VIEWS = 32_768

DRAFT, UNKNOWN = "draft", "unknown"
HIDDEN_REASONS = (DRAFT, UNKNOWN, *(visibility.value for visibility in Visibility))
"""Why sessions are hidden: drafts, no known visibility, or one that the audience does not have."""


@dataclass(frozen=True, slots=True, eq=False)
class SessionView:
    """A session without the data that the audience of a feed may not see.

    Compared by identity: an unchanged session has one view, which all feeds with the same options
    share, so that its rendered forms can be cached.

    Attributes:
        uid: the same in every feed, whatever the settings.
        session: without counts, and without join link and staff address unless they may see them.
        availability: None, ``"full"``, or the number of free places: rounded, unless the audience
            may see exact counts.
        booked: how many places are booked, of how many, where the audience may see it.
        modified: when anything in the view last changed.
        cancelled: whether the title states that it is cancelled.
        status: the STATUS for calendars; a feed may keep a cancelled session active.
    """

    uid: str
    session: ClassSession
    availability: str | int | None
    booked: str | None
    created: datetime
    modified: datetime
    sequence: int
    cancelled: bool
    status: Status


@dataclass(frozen=True, slots=True)
class Subject:
    """What a feed is about, as far as its audience may see it.

    Attributes:
        name: the last known name, or a generic word where none is known.
        zone: the IANA zone of the feed's venue, or the one that all its sessions share.
        latest: the last session of the object in the address, inside the feed's window or not.
        chosen: the names of the objects in the filter set, if they are few; otherwise empty.
    """

    name: str
    zone: str | None
    latest: ClassSession | None = None
    chosen: str = ""


@dataclass(frozen=True, slots=True)
class Selection:
    """The content of a feed.

    Attributes:
        shown: ordered by start and UID.
        hidden: how many sessions of the feed the audience may not see, by reason.
    """

    shown: list[SessionView]
    subject: Subject
    hidden: Mapping[str, int]


def select(snapshot: Snapshot, spec: FeedSpec) -> Selection:
    """The content of a feed, found in one pass over the snapshot."""
    options = ViewOptions.of(spec)
    names = _Names(spec)
    window = spec.filter_set.window(snapshot.day)
    shown: list[SessionView] = []
    hidden: Counter[str] = Counter()
    for published in snapshot.matching(names.scope):
        session = published.session
        reason = hidden_reason(session, spec.audience)
        if reason is None:
            names.add(session)
        if not spec.filter_set.admits(session, window):
            continue
        if reason is not None:
            hidden[reason] += 1
        elif spec.cancelled is not Cancelled.HIDE or session.status is not Status.CANCELLED:
            shown.append(make_view(published, options))
    shown.sort(key=lambda view: (view.session.start, view.uid))
    return Selection(shown, names.subject(shown), hidden)


def uid(session: ClassSession) -> str:
    """The session's UID: a UUID derived from its source and id, which no setting changes."""
    return str(uuid.uuid5(_UID_NAMESPACE, f"{session.source}:{session.id}"))


def hidden_reason(session: ClassSession, audience: Audience) -> str | None:
    """Why *audience* may not see *session*: one of :data:`HIDDEN_REASONS`; None: it may.

    Nobody sees drafts, nor sessions that came without a visibility.
    """
    kind = session.offering_type
    if kind is not None and not kind.draft and kind.visibility in audience.visibilities:
        return None
    if kind is not None and kind.draft:
        return DRAFT
    return UNKNOWN if kind is None or kind.visibility is None else kind.visibility.value


class ViewOptions(NamedTuple):
    """Which data of its sessions a feed shows.

    Attributes:
        availability: how much is shown about free places.
        keep_cancelled: whether a cancelled session stays active, and only its title states it.
    """

    availability: Availability
    counts: bool
    join_links: bool
    staff_links: bool
    keep_cancelled: bool

    @classmethod
    def of(cls, spec: FeedSpec) -> "ViewOptions":
        """The options of *spec*."""
        audience = spec.audience
        return cls(
            availability=spec.availability,
            counts=audience.counts,
            join_links=audience.join_links,
            staff_links=audience.staff_links,
            keep_cancelled=spec.cancelled is Cancelled.KEEP,
        )


@lru_cache(maxsize=_MAX_VIEWS)
def make_view(published: Published, options: ViewOptions) -> SessionView:
    """The view of a session; the same object for the same arguments."""
    session = published.session
    cancelled = session.status is Status.CANCELLED
    venue = session.venue
    if venue is not None and venue.join_url and not options.join_links:
        venue = replace(venue, join_url=None)
    kind = session.offering_type
    if kind is not None and not options.join_links:
        description = without_meeting_links(kind.description)
        kind = kind if description == kind.description else replace(kind, description=description)
    staff_url = session.staff_url if options.staff_links else None
    return SessionView(
        uid=uid(session),
        session=replace(
            session,
            venue=venue,
            offering_type=kind,
            staff_url=staff_url,
            attending=0,
            capacity=None,
        ),
        availability=None if cancelled else _availability(session, options),
        booked=_booked(session) if options.counts else None,
        created=_instant(published.revision.created),
        modified=_instant(_modified(published.revision, options)),
        sequence=published.revision.sequence,
        cancelled=cancelled,
        status=Status.ACTIVE if options.keep_cancelled else session.status,
    )


def _availability(session: ClassSession, options: ViewOptions) -> str | int | None:
    if options.availability is Availability.NONE or session.places_left is None:
        return None
    if session.full:
        return "full"
    if options.availability is not Availability.SPOTS:
        return None
    return session.places_left if options.counts else session.places_rounded


def _booked(session: ClassSession) -> str:
    of = "" if session.capacity is None else f" of {session.capacity}"
    return f"{session.attending}{of}"


def _modified(revision: Revision, options: ViewOptions) -> int:
    """When anything that the view shows last changed, in seconds since 1970."""
    changes = [revision.content]
    if options.availability is not Availability.NONE:
        changes.append(revision.full)
    if options.availability is Availability.SPOTS:
        changes.append(revision.places)
    if options.counts:
        changes.append(revision.counts)
    if options.join_links or options.staff_links:
        changes.append(revision.links)
    return max(changes)


def _instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


_ID_FIELDS = ("venues", "instructors", "course", "offering_types")
_FIELD_OF = {Kind.VENUE: "venues", Kind.INSTRUCTOR: "instructors", Kind.COURSE: "course"}
_MAX_NAMES = 3
_WORDS = {
    Kind.VENUE: "Venue",
    Kind.INSTRUCTOR: "Instructor",
    Kind.COURSE: "Course",
    Kind.SESSION: "Class",
}


class _Names:
    """Collects the names of the objects that a feed is about, from the visible sessions.

    Attributes:
        scope: the sessions that contain such names, including all sessions of the feed.
    """

    def __init__(self, spec: FeedSpec) -> None:
        self._spec = spec
        self._wanted: dict[str, tuple[int, ...]] = {}
        self._names: dict[str, dict[int, str]] = {field: {} for field in _ID_FIELDS}
        self._latest: ClassSession | None = None
        self._name = ""
        self._zone: str | None = None
        if spec.identity is None:
            chosen = {field: getattr(spec.filter_set, field) for field in _ID_FIELDS}
            self._wanted = {field: ids for field, ids in chosen.items() if ids}
            # Without ids there is no name to find, so only the feed's own sessions are visited.
            self.scope = FilterSet(**chosen) if self._wanted else spec.filter_set
        elif spec.kind is Kind.SESSION:
            self.scope = FilterSet(session=spec.identity)
        else:
            self.scope = FilterSet.of(**{_FIELD_OF[spec.kind]: (spec.identity,)})

    def add(self, session: ClassSession) -> None:
        """Record the names in *session*; sessions are added in order of time."""
        if self._spec.identity is not None:
            self._latest = session
            name, zone = _named(session, self._spec)
            if name:
                self._name = name
                self._zone = self._zone or zone
        elif self._wanted:
            for field, identity, name in _parts(session):
                if name and identity in self._wanted.get(field, ()):
                    self._names[field][identity] = name

    def subject(self, shown: list[SessionView]) -> Subject:
        """What the feed is about, also where it shows nothing at present."""
        zones = {view.session.venue.zone if view.session.venue else None for view in shown}
        zone = zones.pop() if len(zones) == 1 else None
        chosen = self._chosen()
        label = self._spec.audience.label
        if label or self._spec.identity is None:
            return Subject(label or chosen or "Classes", zone, self._latest, chosen)
        name = self._name or f"{_WORDS[self._spec.kind]} {self._spec.identity}"
        return Subject(name, zone or self._zone, self._latest)

    def _chosen(self) -> str:
        # Kinds of objects are separated by a dot, since a name may contain a comma.
        groups = [sorted(names.values(), key=folded) for names in self._names.values() if names]
        if sum(map(len, groups)) > _MAX_NAMES:
            return ""
        return " · ".join(", ".join(group) for group in groups)


def _parts(session: ClassSession) -> Iterator[tuple[str, int, str]]:
    """The objects by which *session* can be selected: filter field, id and name of each."""
    if session.venue:
        yield "venues", session.venue.id, session.venue.name
    for person in session.instructors:
        yield "instructors", person.id, person.name
    if session.course:
        yield "course", session.course.id, session.course.name or session.title
    kind = session.offering_type
    if kind and kind.id is not None:
        yield "offering_types", kind.id, kind.name or session.title


def _named(session: ClassSession, spec: FeedSpec) -> tuple[str, str | None]:
    """The name and zone of the feed's object, as *session* has them."""
    venue = session.venue
    if spec.kind is Kind.VENUE:
        return (venue.name, venue.zone) if venue and venue.id == spec.identity else ("", None)
    if spec.kind is Kind.COURSE:
        course = session.course
        return (course.name if course and course.id == spec.identity else "", None)
    if spec.kind is Kind.INSTRUCTOR:
        names = (person.name for person in session.instructors if person.id == spec.identity)
        return (next(names, ""), None)
    return (session.title if session.id == spec.identity else "", venue.zone if venue else None)
