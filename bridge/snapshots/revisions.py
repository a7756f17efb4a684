"""Revisions of sessions: SEQUENCE, and the time of the last change of each kind of content."""

from dataclasses import fields, replace
from datetime import UTC, datetime
from functools import lru_cache

from bridge.model import ClassSession, Instructor, OfferingType, Published, Revision

_SEQUENCE_EPOCH = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())


def with_revision(
    session: ClassSession, at: int, before: Published | None, *, seen_at: int | None = None
) -> Published:
    """*session* with the revision that follows *before*.

    Args:
        at: when upstream sent the session, in seconds since 1970.
        before: the session as last published; None for a new session.
        seen_at: when the last walk began after which readers saw *before*; None: the same as *at*.
    """
    if before is None:
        first = Revision(at, _minutes(at), at, at, at, at, at)
        return Published(session, first)
    old, revision = before.session, before.revision
    people, known = session.instructors, old.instructors
    if people != known and frozenset(people) == frozenset(known):
        # Upstream states no order, and another one in each walk must not change each feed.
        session = replace(session, instructors=known)
    moved_from: datetime | None = None
    covered: tuple[Instructor, ...] = ()
    # Readers who could not see the session before must not learn its former data.
    if _access(session) == _access(old):
        moved_from, covered = _moved_from(session, at, before), _covered(session, before)
    announced = (moved_from, covered) == (before.moved_from, before.covered)
    noted_at: int | None = None
    if moved_from or covered:
        noted_at = at if seen_at is None else seen_at
        if before.moved_from or before.covered:
            noted_at = before.noted_at
    sequence = revision.sequence
    if _schedule(session) != _schedule(old):
        sequence = max(sequence + 1, _minutes(at))
    return Published(
        session,
        Revision(
            created=revision.created,
            sequence=sequence,
            content=_last_change(
                revision.content, at, _content(session) != _content(old) or not announced
            ),
            full=_last_change(revision.full, at, session.full != old.full),
            places=_last_change(revision.places, at, _places(session) != _places(old)),
            counts=_last_change(revision.counts, at, _counts(session) != _counts(old)),
            links=_last_change(revision.links, at, _links(session) != _links(old)),
        ),
        moved_from=moved_from,
        covered=covered,
        noted_at=noted_at,
    )


def continued(entry: Published, before: Published, at: int) -> Published:
    """*entry* with a revision that also follows *before*, which was not known when it was made.

    Args:
        at: when upstream sent *entry*, in seconds since 1970.
    """
    after = with_revision(entry.session, at, before)
    latest = {
        field.name: max(getattr(entry.revision, field.name), getattr(after.revision, field.name))
        for field in fields(Revision)
    }
    latest["created"] = after.revision.created
    return replace(
        entry,
        session=after.session,
        revision=Revision(**latest),
        moved_from=after.moved_from,
        covered=after.covered,
        noted_at=after.noted_at,
    )


def _access(session: ClassSession) -> object:
    """What of a session decides who may see it."""
    kind = session.offering_type
    return session.visibility, kind is not None and kind.draft


def _moved_from(session: ClassSession, at: int, before: Published) -> datetime | None:
    """The start that was published first, if it is another one and is still to come."""
    first = before.moved_from or before.session.start
    return first if first != session.start and first.timestamp() > at else None


def _covered(session: ClassSession, before: Published) -> tuple[Instructor, ...]:
    """The instructors that were published first, if others have taken the place of some."""
    first = before.covered or before.session.instructors
    now = {person.id for person in session.instructors}
    then = {person.id for person in first}
    # Without any instructor the class is waiting for the one who covers it.
    return first if not now or (now - then and then - now) else ()


def _minutes(at: int) -> int:
    """Whole minutes since 2026.

    SEQUENCE is based on the clock, so that it cannot decrease when the store's data are lost.
    """
    return max(0, (at - _SEQUENCE_EPOCH) // 60)


def _last_change(before: int, at: int, changed: bool) -> int:
    # A walk can only be dated before the last change if a clock was set back.
    return max(at, before + 1) if changed else before


def _schedule(session: ClassSession) -> object:
    """Fields whose change increases SEQUENCE: time, place, status and instructors."""
    venue = session.venue
    return (
        session.start,
        session.end,
        session.status,
        venue and (venue.id, venue.name, venue.address, venue.online),
        session.room,
        frozenset(person.id for person in session.instructors),
    )


def _content(session: ClassSession) -> object:
    """All fields that a public feed may contain, except free places."""
    venue = session.venue
    return (
        _schedule(session),
        session.title,
        venue and (venue.zone, venue.latitude, venue.longitude),
        session.instructors,
        session.course,
        _type_content(session.offering_type),
        session.booking_url,
        session.own_description,
        session.booking_opens,
        session.visibility,
    )


@lru_cache(maxsize=1024)
def _type_content(offering_type: OfferingType | None) -> object:
    """All of a type that a feed may contain: neither the colour nor the id of the category."""
    return offering_type and replace(offering_type, category_id=None, colour=None)


def _places(session: ClassSession) -> object:
    return (session.places_rounded, bool(session.waiting))


def _counts(session: ClassSession) -> object:
    return (session.attending, session.capacity)


def _links(session: ClassSession) -> object:
    return (session.venue and session.venue.join_url, session.staff_url)
