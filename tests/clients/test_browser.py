"""FullCalendar in Chromium, on a page with another origin than the bridge."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from conftest import NOW

from clients.expected_events import events_of, public_rows

ZONES = ("Europe/London", "America/New_York", "Australia/Sydney")
_GRID = timedelta(weeks=6)


def next_month() -> date:
    """The first day of the next month, whose grid is within every feed's window."""
    return (datetime.now(UTC).date().replace(day=1) + timedelta(days=32)).replace(day=1)


def grid(month: date) -> date:
    """The Monday on which the month's grid begins."""
    return month - timedelta(days=month.weekday())


def expected_texts(events, month, zone):
    """Day, time and title of the events in the month's grid, in *zone*."""
    first = grid(month)
    local = ((event.start.astimezone(ZoneInfo(zone)), event.title) for event in events)
    return sorted(
        (at.date().isoformat(), at.strftime("%H:%M"), title)
        for at, title in local
        if first <= at.date() < first + _GRID
    )


def at_venue(rows, venue):
    return events_of(public_rows(rows, lambda row: row["venue"]["id"] == venue))


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("form", ["ics", "json"])
@pytest.mark.parametrize("venue", [12, 14])
def test_a_month_shows_the_venues_sessions_in_the_viewers_time_zone(
    venue, form, zone, chromium, running
):
    month = next_month()
    rendered = chromium.month(f"{running.origin}/venues/{venue}.{form}", form, month, zone=zone)
    expected = expected_texts(at_venue(running.rows, venue), month, zone)
    assert len(expected) > 15
    assert sorted(rendered.texts) == expected
    assert all("/course-sessions/" in link for link in rendered.links)


@pytest.mark.parametrize("zone", ZONES)
def test_awkward_names_are_displayed_as_text(zone, chromium, file_server, sample):
    feed = sample("awkward")
    address = file_server.put("/awkward.ics", feed.body)
    month = NOW.date().replace(day=1)
    rendered = chromium.month(address, "ics", month, zone=zone)
    assert sorted(rendered.texts) == expected_texts(feed.expected, month, zone)
    assert "<script>alert(1)</script> & co – Zoë Adeyemi" in [
        title for _, _, title in rendered.texts
    ]


def test_fullcalendar_reads_times_with_a_zone_as_local_times(chromium, file_server, sample):
    """The reason why times are UTC by default."""
    feed = sample("local")
    address = file_server.put("/local.ics", feed.body)
    month = NOW.date().replace(day=1)
    london = chromium.month(address, "ics", month, zone="Europe/London").texts
    new_york = chromium.month(address, "ics", month, zone="America/New_York").texts
    assert len(london) > 40
    assert london == new_york
    assert sorted(new_york) != expected_texts(feed.expected, month, "America/New_York")


def test_the_comparison_distinguishes_timetables(chromium, running):
    month = next_month()
    nothing = chromium.month(f"{running.origin}/venues/999.ics", "ics", month, zone="UTC")
    other = chromium.month(f"{running.origin}/venues/14.ics", "ics", month, zone="UTC")
    assert nothing.texts == []
    assert other.texts
    assert sorted(other.texts) != expected_texts(at_venue(running.rows, 12), month, "UTC")
