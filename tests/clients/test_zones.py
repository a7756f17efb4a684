"""The bridge uses the time zones of the pinned tzdata package, not those of the system."""

from datetime import UTC, datetime, timedelta
from importlib import resources
from zoneinfo import ZoneInfo

import pytest
from upstreams.rows import session_row, venue_row

from bridge.upstream.parser import parse
from bridge.upstream.sources import COURSE_SESSIONS

# Both ended daylight saving in 2026, with half a year's notice.
CHANGED_IN_2026 = ("Africa/Casablanca", "America/Vancouver")


def pinned_zone(zone: str) -> ZoneInfo:
    """The zone from the pinned tzdata package."""
    with resources.files("tzdata.zoneinfo").joinpath(*zone.split("/")).open("rb") as rules:
        return ZoneInfo.from_file(rules, zone)


@pytest.mark.parametrize("zone", [*CHANGED_IN_2026, "Europe/London"])
def test_a_time_without_an_offset_is_converted_with_the_pinned_tzdata(zone):
    noons = [datetime(2026, 6, 1, 12) + timedelta(weeks=3 * n) for n in range(18)]  # noqa: DTZ001
    venue = venue_row(timezone=zone)
    rows = [session_row(id, noon.isoformat(), venue=venue) for id, noon in enumerate(noons, 1)]
    parsed = parse(rows, COURSE_SESSIONS, "https://x").sessions
    assert {session.id: session.start for session in parsed} == {
        id: noon.replace(tzinfo=pinned_zone(zone)).astimezone(UTC)
        for id, noon in enumerate(noons, 1)
    }
