"""Session views: what of a session the audience of a feed may see, and its UID."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from bridge.config import Availability
from bridge.feeds.spec import Cancelled, ChangeNotes, FeedSpec
from bridge.model import ClassSession, Instructor, Published, Revision, Status
from bridge.text_cleanup import without_meeting_links

_UID_NAMESPACE = uuid.UUID("0b6c3c5e-52f7-4b86-9d9a-1f6a6f2b7f11")
# Views that a worker keeps in memory, about a kilobyte each.
_MAX_VIEWS = 32_768


class BookedPlaces(NamedTuple):
    """How many places are booked, and of how many; ``capacity`` is None if that is not limited."""

    booked: int
    capacity: int | None


@dataclass(frozen=True, slots=True, eq=False)
class SessionView:
    """A session without the data that the audience of a feed may not see.

    Compared by identity: an unchanged session has one view, which all feeds with the same options
    share, so that its rendered forms can be cached.

    Attributes:
        uid: the same in every feed and with all settings.
        session: without counts, and without join link and staff address unless they may see them.
        availability: None, ``"full"``, or the number of free places: rounded, unless the audience
            may see exact counts.
        booked: None where the audience may not see it.
        modified: when anything in the view last changed.
        waitlist: whether there is a waiting list, where the audience may see it.
        cancelled: whether the title states that it is cancelled.
        status: the STATUS for calendars; a feed may keep a cancelled session active.
        moved_from: the start that was published first, if it is to be stated.
        covering: the ids of the instructors who cover for others, if it is to be stated.
        instead_of: the names of those others.
    """

    uid: str
    session: ClassSession
    availability: str | int | None
    booked: BookedPlaces | None
    waitlist: bool
    created: datetime
    modified: datetime
    sequence: int
    cancelled: bool
    status: Status
    moved_from: datetime | None
    covering: frozenset[int]
    instead_of: tuple[str, ...]


def uid(session: ClassSession) -> str:
    """The session's UID: a UUID derived from its source and id, which no setting changes."""
    return str(uuid.uuid5(_UID_NAMESPACE, f"{session.source}:{session.id}"))


class ViewOptions(NamedTuple):
    """Which data of its sessions a feed shows.

    Attributes:
        availability: how much is shown about free places.
        keep_cancelled: whether a cancelled session stays active, and only its title states it.
        change_notes: whether its texts state what it was moved from, and who covers for whom.
        horizon: how far ahead the audience sees sessions; None without a limit.
    """

    availability: Availability
    counts: bool
    join_links: bool
    staff_links: bool
    keep_cancelled: bool
    change_notes: bool
    horizon: timedelta | None = None

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
            change_notes=spec.cover is ChangeNotes.ON,
            horizon=audience.horizon,
        )


@lru_cache(maxsize=_MAX_VIEWS)
def make_view(published: Published, options: ViewOptions) -> SessionView:
    """The view of a session; the same object for the same arguments."""
    session = published.session
    cancelled = session.status is Status.CANCELLED
    venue = session.venue
    if venue is not None and venue.join_url and not options.join_links:
        venue = replace(venue, join_url=None)
    offering_type, own_description = session.offering_type, session.own_description
    if not options.join_links:
        own_description = without_meeting_links(own_description)
        if offering_type is not None:
            description = without_meeting_links(offering_type.description)
            # Most types have no such link, and their views can share one object.
            if description != offering_type.description:
                offering_type = replace(offering_type, description=description)
    staff_url = session.staff_url if options.staff_links else None
    noted = options.change_notes and _saw_before(published, options)
    # A class that waits for somebody to cover it has no instructor.
    covered = published.covered if noted and session.instructors else ()
    return SessionView(
        uid=uid(session),
        session=replace(
            session,
            venue=venue,
            offering_type=offering_type,
            staff_url=staff_url,
            own_description=own_description,
            attending=0,
            capacity=None,
            waiting=None,
        ),
        availability=None if cancelled else _availability(session, options),
        booked=BookedPlaces(session.attending, session.capacity) if options.counts else None,
        waitlist=options.availability is Availability.SPOTS
        and bool(session.waiting)
        and not cancelled,
        created=_instant(published.revision.created),
        modified=_instant(_modified(published.revision, options)),
        sequence=published.revision.sequence,
        cancelled=cancelled,
        status=Status.ACTIVE if options.keep_cancelled else session.status,
        moved_from=published.moved_from if noted else None,
        covering=_ids(session.instructors) - _ids(published.covered) if covered else frozenset(),
        instead_of=tuple(
            person.name
            for person in covered
            if person.id not in _ids(session.instructors) and person.name
        ),
    )


def _saw_before(published: Published, options: ViewOptions) -> bool:
    """Whether the audience could see the session before it was moved or covered."""
    if options.horizon is None:
        return True
    if published.noted_at is None:
        return False
    start = published.moved_from or published.session.start
    return start <= _instant(published.noted_at) + options.horizon


def _ids(people: Iterable[Instructor]) -> frozenset[int]:
    return frozenset(person.id for person in people)


def _availability(session: ClassSession, options: ViewOptions) -> str | int | None:
    if options.availability is Availability.NONE or session.places_left is None:
        return None
    if session.full:
        return "full"
    if options.availability is not Availability.SPOTS:
        return None
    return session.places_left if options.counts else session.places_rounded


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
