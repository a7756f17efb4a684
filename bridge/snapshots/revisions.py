"""Revisions: what counts as a change of a session, and which number it gets."""

from datetime import UTC, datetime

from bridge.model import ClassSession, Published, Revision

_EPOCH = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())


def published(session: ClassSession, at: int, before: Published | None) -> Published:
    """*session* as it is to be published, with its revision.

    Args:
        at: when upstream said so, in seconds since 1970.
        before: how it was published last, if it ever was.
    """
    if before is None:
        first = Revision(at, _minutes(at), at, at, at, at, at)
        return Published(session, first)
    old, revision = before.session, before.revision
    sequence = revision.sequence
    if _schedule(session) != _schedule(old):
        sequence = max(sequence + 1, _minutes(at))
    return Published(
        session,
        Revision(
            created=revision.created,
            sequence=sequence,
            content=_moved(revision.content, at, _content(session) != _content(old)),
            full=_moved(revision.full, at, session.full != old.full),
            places=_moved(revision.places, at, session.places_rounded != old.places_rounded),
            counts=_moved(revision.counts, at, _counts(session) != _counts(old)),
            links=_moved(revision.links, at, _links(session) != _links(old)),
        ),
    )


def _minutes(at: int) -> int:
    """Whole minutes since 2026: SEQUENCE counts in them, so a lost store cannot set it back."""
    return max(0, (at - _EPOCH) // 60)


def _moved(before: int, at: int, changed: bool) -> int:
    # A walk that is dated earlier than the last change can only come from a clock that was set.
    return max(at, before + 1) if changed else before


def _schedule(session: ClassSession) -> object:
    """What a subscriber must not miss: time, place, status, and who teaches."""
    venue = session.venue
    return (
        session.start,
        session.end,
        session.status,
        venue and (venue.id, venue.name, venue.address, venue.online),
        frozenset(person.id for person in session.instructors),
    )


def _content(session: ClassSession) -> object:
    """All that a public feed may show, places aside."""
    venue = session.venue
    return (
        _schedule(session),
        session.title,
        venue and (venue.zone, venue.latitude, venue.longitude),
        session.instructors,
        session.course,
        session.offering_type,
        session.booking_url,
    )


def _counts(session: ClassSession) -> object:
    return (session.attending, session.capacity)


def _links(session: ClassSession) -> object:
    return (session.venue and session.venue.join_url, session.staff_url)
