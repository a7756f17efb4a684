"""Every client reads every feed completely."""

from datetime import timedelta

import pytest
from conftest import NOW
from upstreams.rows import awkward_rows

from clients.checkers import IN_PROCESS, PROGRAMS
from clients.events import difference
from clients.expected_events import end, event_of, public_rows, start
from clients.feeds_under_test import FEEDS, MANY

CLIENTS = (*IN_PROCESS, *PROGRAMS, "fullcalendar", "vdirsyncer")

# FullCalendar reads times with a zone as local times of the browser: see test_browser.
_READ = [
    (client, feed)
    for feed in FEEDS
    for client in CLIENTS
    if not (client == "fullcalendar" and FEEDS[feed].options.get("tz") == "local")
]


@pytest.mark.parametrize(("client", "feed"), _READ)
def test_a_client_reads_every_event_with_its_title_at_its_instant(client, feed, load, sample):
    feed = sample(feed)
    every_body = [sample(name).body for name in FEEDS]
    assert difference(load(client, every_body)(feed.body), feed.expected) == ""


def test_the_feeds_contain_what_their_names_say(sample):
    assert len(sample("many").expected) == MANY
    assert len(sample("awkward").expected) > 150
    assert not sample("nothing").expected
    assert sample("nothing").body.count(b"BEGIN:VTIMEZONE") == 1
    shown, hidden = sample("keep, full"), sample("hide, spots")
    assert any(event.title.startswith("CANCELLED: ") for event in shown.expected)
    assert b"STATUS:CANCELLED" not in shown.body
    assert any(event.title.endswith(" (Full)") for event in shown.expected)
    assert not any(event.title.startswith("CANCELLED: ") for event in hidden.expected)
    assert any(event.title.endswith(" left)") for event in hidden.expected)
    french, reminders = sample("French").expected, sample("reminders").body
    assert any(event.title.startswith("ANNULÉ\u00a0: ") for event in french)
    assert any(event.title.endswith(" (complet)") for event in french)
    assert any(event.title.endswith(" places restantes)") for event in french)
    cancelled = reminders.count(b"STATUS:CANCELLED")
    assert cancelled
    assert reminders.count(b"BEGIN:VALARM") == reminders.count(b"BEGIN:VEVENT") - cancelled
    assert 10 < len(sample("weekend mornings").expected) < len(sample("the studio").expected)
    covered = [event.title for event in sample("changed").expected if "(cover)" in event.title]
    assert len(covered) == 4
    assert sample("changed").body.count(b"DESCRIPTION:Instead of ") == 4
    assert sample("changed").body.count(b"Moved from ") == 2
    assert sample("changed, French").body.count(b"DESCRIPTION:Remplace ") == 4
    assert b"STATUS:CANCELLED" in sample("the studio").body
    assert b"DTSTART;TZID=" in sample("local").body


def test_the_expected_events_of_awkward_rows_are_correct():
    """The expected events are correct themselves."""
    for awkward in awkward_rows(NOW):
        row = awkward.row
        if not isinstance(row, dict) or not public_rows([row]):
            continue
        assert awkward.fate != "dropped", awkward.description
        assert start(row) == awkward.start, awkward.description
        repaired_end = awkward.start and awkward.start + timedelta(hours=1)
        assert awkward.fate != "repaired" or end(row) == repaired_end, awkward.description
        if awkward.title is not None:
            assert event_of(row).title.startswith(awkward.title), awkward.description
