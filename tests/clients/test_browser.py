"""FullCalendar in Chromium, on a page of another site than the bridge's."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from conftest import NOW

from clients import said

ZONES = ("Europe/London", "America/New_York", "Australia/Sydney")
_GRID = timedelta(weeks=6)


def next_month() -> date:
    """Its grid lies within every feed's window."""
    return (datetime.now(UTC).date().replace(day=1) + timedelta(days=32)).replace(day=1)


def grid(month: date) -> date:
    """The Monday that its page begins with."""
    return month - timedelta(days=month.weekday())


def seen(readings, month, zone):
    """Day, time and title of what a person in *zone* is to see on the month's page."""
    first = grid(month)
    local = ((one.start.astimezone(ZoneInfo(zone)), one.title) for one in readings)
    return sorted(
        (at.date().isoformat(), at.strftime("%H:%M"), title)
        for at, title in local
        if first <= at.date() < first + _GRID
    )


def at_venue(rows, venue):
    return said.readings(said.public(rows, lambda row: row["venue"]["id"] == venue))


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("form", ["ics", "json"])
@pytest.mark.parametrize("venue", [12, 14])
def test_a_month_shows_the_venues_classes_at_the_persons_own_times(
    venue, form, zone, chromium, running
):
    month = next_month()
    shown = chromium.month(f"{running.origin}/venues/{venue}.{form}", form, month, zone=zone)
    due = seen(at_venue(running.rows, venue), month, zone)
    assert len(due) > 15
    assert sorted(shown.seen) == due
    assert all("/course-sessions/" in link for link in shown.links)


@pytest.mark.parametrize("zone", ZONES)
def test_awkward_names_are_shown_as_text(zone, chromium, elsewhere, sample):
    given = sample("awkward")
    address = elsewhere.put("/awkward.ics", given.body)
    month = NOW.date().replace(day=1)
    shown = chromium.month(address, "ics", month, zone=zone)
    assert sorted(shown.seen) == seen(given.said, month, zone)
    assert "<script>alert(1)</script> & co – Zoë Adeyemi" in [title for _, _, title in shown.seen]


def test_times_with_a_zone_are_taken_for_the_browsers_own(chromium, elsewhere, sample):
    """Why times are UTC unless asked for."""
    given = sample("local")
    address = elsewhere.put("/local.ics", given.body)
    month = NOW.date().replace(day=1)
    here = chromium.month(address, "ics", month, zone="Europe/London").seen
    abroad = chromium.month(address, "ics", month, zone="America/New_York").seen
    assert len(here) > 40
    assert here == abroad
    assert sorted(abroad) != seen(given.said, month, "America/New_York")


def test_the_page_tells_one_timetable_from_another(chromium, running):
    month = next_month()
    nothing = chromium.month(f"{running.origin}/venues/999.ics", "ics", month, zone="UTC")
    other = chromium.month(f"{running.origin}/venues/14.ics", "ics", month, zone="UTC")
    assert nothing.seen == []
    assert other.seen
    assert sorted(other.seen) != seen(at_venue(running.rows, 12), month, "UTC")
