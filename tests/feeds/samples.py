"""Sessions, snapshots and specifications with believable defaults."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bridge.config import Availability
from bridge.feeds.formats import ICS
from bridge.feeds.formats.base import Content
from bridge.feeds.selection import SessionView, select
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

#: When the sessions below were first seen: 153,750 minutes after 2026 began.
SEEN: Final = datetime(2026, 4, 17, 18, 30, tzinfo=UTC)
#: A Tuesday, half past six in London.
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
    """A public session: an hour of Vinyasa Flow with Zoë, ten places, three people in."""
    start = fields.pop("start", START)
    given: dict[str, Any] = {
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
    return ClassSession(**{**given, **fields})


def published(one: ClassSession, *, seen: datetime = SEEN, before: Any = None) -> Published:
    """*one* as the cache publishes it: for the first time, or after *before*."""
    return revisions.published(one, int(seen.timestamp()), before)


def snapshot(*sessions: ClassSession | Published, walked: datetime = SEEN) -> Snapshot:
    made = [one if isinstance(one, Published) else published(one) for one in sessions]
    return Snapshot(
        walked=walked.timestamp(),
        covers_from=float("-inf"),
        published=ordered({one.session.identity: one for one in made}),
        tally={},
    )


def spec(kind: Kind = Kind.SESSION, identity: int | None = None, **fields: Any) -> FeedSpec:
    """The specification of a feed that leaves out nothing public."""
    audience = fields.pop("audience", None) or Audience(
        visibilities=frozenset({Visibility.PUBLIC}), availability=Availability.SPOTS
    )
    filters = fields.pop("filters", {})
    named = {Kind.VENUE: "venues", Kind.INSTRUCTOR: "instructors", Kind.COURSE: "course"}
    if kind in named and identity is not None:
        filters = {named[kind]: (identity,), **filters}
    return FeedSpec(
        kind=kind,
        identity=identity,
        filter_set=FilterSet.of(**filters),
        audience=audience,
        **fields,
    )


def chosen(
    *sessions: ClassSession | Published, feed: FeedSpec | None = None, **fields: Any
) -> list[SessionView]:
    """What a feed shows of *sessions*."""
    return select(snapshot(*sessions), feed or spec(**fields)).shown


def content(held: Snapshot, feed: FeedSpec, *, base_url: str | None = None) -> Content:
    """What the feed is rendered from."""
    selection = select(held, feed)
    return Content(selection.shown, selection.subject, feed, base_url)


def calendar(
    *sessions: ClassSession | Published,
    feed: FeedSpec | None = None,
    base_url: str | None = None,
    **fields: Any,
) -> bytes:
    """The calendar of *sessions*, by the way that a request takes."""
    return ICS.render(content(snapshot(*sessions), feed or spec(**fields), base_url=base_url))
