"""Time zones are those that came with the bridge, not those of an old system."""

from datetime import UTC, datetime, timedelta
from importlib import resources
from zoneinfo import ZoneInfo

import pytest
from upstreams.rows import session_row, venue_row

from bridge.upstream.parser import parse
from bridge.upstream.sources import COURSE_SESSIONS

# Both stopped changing their clocks in 2026, with half a year's notice.
LATELY = ("Africa/Casablanca", "America/Vancouver")


def newest(zone: str) -> ZoneInfo:
    """The zone as the pinned tzdata package has it."""
    with resources.files("tzdata.zoneinfo").joinpath(*zone.split("/")).open("rb") as rules:
        return ZoneInfo.from_file(rules, zone)


@pytest.mark.parametrize("zone", [*LATELY, "Europe/London"])
def test_a_time_without_offset_is_placed_by_the_rules_of_the_pinned_tzdata(zone):
    noons = [datetime(2026, 6, 1, 12) + timedelta(weeks=3 * n) for n in range(18)]  # noqa: DTZ001
    venue = venue_row(timezone=zone)
    rows = [session_row(id, noon.isoformat(), venue=venue) for id, noon in enumerate(noons, 1)]
    placed = {one.id: one.start for one in parse(rows, COURSE_SESSIONS, "https://x").sessions}
    assert placed == {
        id: noon.replace(tzinfo=newest(zone)).astimezone(UTC) for id, noon in enumerate(noons, 1)
    }
