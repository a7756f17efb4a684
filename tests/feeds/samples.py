"""Factories of sessions, snapshots, specifications and feeds, with realistic defaults."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bridge.config import Availability
from bridge.feeds.formats import ICS
from bridge.feeds.formats.base import Content
from bridge.feeds.selection import select
from bridge.feeds.session_view import SessionView
from bridge.feeds.spec import Audience, FeedSpec, Kind
from bridge.filters import FilterSet
from bridge.model import (
    ClassSession,
    Course,
    Instructor,
    OfferingType,
    Published,
    Venue,
    Visibility,
)
from bridge.snapshots import revisions
from bridge.snapshots.snapshot import Snapshot, ordered

#: When the sessions below were first seen: 153,750 minutes after the start of 2026.
SEEN: Final = datetime(2026, 4, 17, 18, 30, tzinfo=UTC)
#: A Tuesday, 18:30 in London.
START: Final = datetime(2026, 10, 20, 17, 30, tzinfo=UTC)

YOGA: Final = OfferingType(
    id=301, name="Vinyasa", category="Yoga", visibility=Visibility.PUBLIC, description="Bring a mat"
)
HALL: Final = Venue(
    id=11,
    name="Kings Cross",
    address="1 Example St, London",
    zone="Europe/London",
    latitude=51.5308,
    longitude=-0.1238,
    join_url="https://video.example/j/canary-join-link",
)


def session(number: int = 1, **fields: Any) -> ClassSession:
    """A public session: an hour of Vinyasa Flow with Zoë; three of ten places are booked."""
    start = fields.pop("start", START)
    defaults: dict[str, Any] = {
        "source": "course_session",
        "id": number,
        "title": "Vinyasa Flow",
        "start": start,
        "end": start + timedelta(hours=1),
        "attending": 3,
        "capacity": 10,
        "venue": HALL,
        "instructors": (Instructor(101, "Zoë"),),
        "course": Course(201, "Vinyasa Flow"),
        "offering_type": YOGA,
        "booking_url": f"https://studio.example/p/1/c/{number}",
        "staff_url": f"https://staff.example/c/{number}?canary-staff-link",
    }
    return ClassSession(**{**defaults, **fields})


def published(a_session: ClassSession, *, seen: datetime = SEEN, before: Any = None) -> Published:
    """A session as published by the cache: for the first time, or after *before*."""
    return revisions.with_revision(a_session, int(seen.timestamp()), before)


def snapshot(*sessions: ClassSession | Published, walked: datetime = SEEN) -> Snapshot:
    all_published = [item if isinstance(item, Published) else published(item) for item in sessions]
    return Snapshot(
        oldest_walk_at=walked.timestamp(),
        covers_from=float("-inf"),
        published=ordered({item.session.identity: item for item in all_published}),
        tally={},
    )


def spec(kind: Kind = Kind.SESSION, identity: int | None = None, **fields: Any) -> FeedSpec:
    """The specification of a feed that shows everything that is public."""
    audience = fields.pop("audience", None) or Audience(
        visibilities=frozenset({Visibility.PUBLIC}), availability=Availability.SPOTS
    )
    filters = fields.pop("filters", {})
    fields_of = {Kind.VENUE: "venues", Kind.INSTRUCTOR: "instructors", Kind.COURSE: "course"}
    if kind in fields_of and identity is not None:
        filters = {fields_of[kind]: (identity,), **filters}
    return FeedSpec(
        kind=kind,
        identity=identity,
        filter_set=FilterSet.of(**filters),
        audience=audience,
        **fields,
    )


def views(
    *sessions: ClassSession | Published, feed: FeedSpec | None = None, **fields: Any
) -> list[SessionView]:
    """The views of *sessions* that a feed shows."""
    return select(snapshot(*sessions), feed or spec(**fields)).shown


def content(current: Snapshot, feed: FeedSpec, *, base_url: str | None = None) -> Content:
    """The content of a feed."""
    selection = select(current, feed)
    return Content(selection.shown, selection.subject, feed, base_url)


def calendar(
    *sessions: ClassSession | Published,
    feed: FeedSpec | None = None,
    base_url: str | None = None,
    **fields: Any,
) -> bytes:
    """The calendar of *sessions*, selected and rendered as for a request."""
    return ICS.render(content(snapshot(*sessions), feed or spec(**fields), base_url=base_url))
