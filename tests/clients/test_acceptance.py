"""Every client takes every feed whole."""

import pytest
from conftest import NOW
from upstreams.rows import awkward_rows

from clients import said
from clients.checkers import IN_PROCESS, PROGRAMS
from clients.feeds_under_test import FEEDS, MANY
from clients.reading import difference

CLIENTS = (*IN_PROCESS, *PROGRAMS, "fullcalendar", "vdirsyncer")

# FullCalendar takes a time with a zone for one in the browser's own: see test_browser.
_READ = [
    (client, feed)
    for feed in FEEDS
    for client in CLIENTS
    if not (client == "fullcalendar" and FEEDS[feed].options.get("tz") == "local")
]


@pytest.mark.parametrize(("client", "feed"), _READ)
def test_a_client_reads_every_event_with_its_title_at_its_instant(client, feed, load, sample):
    given = sample(feed)
    differing = difference(load(client)(given.body), given.said)
    assert differing == ""


def test_the_feeds_are_what_they_are_called(sample):
    assert len(sample("many").said) == MANY
    assert len(sample("awkward").said) > 150
    assert not sample("nothing").said
    assert sample("nothing").body.count(b"BEGIN:VTIMEZONE") == 1
    kept, hidden = sample("keep, full"), sample("hide, spots")
    assert any(one.title.startswith("CANCELLED: ") for one in kept.said)
    assert b"STATUS:CANCELLED" not in kept.body
    assert any(one.title.endswith(" (Full)") for one in kept.said)
    assert not any(one.title.startswith("CANCELLED: ") for one in hidden.said)
    assert any(one.title.endswith(" left)") for one in hidden.said)
    assert b"STATUS:CANCELLED" in sample("the studio").body
    assert b"DTSTART;TZID=" in sample("local").body


def test_awkward_rows_are_understood_here_as_they_are_meant():
    """What the clients' readings are held against is right itself."""
    for one in awkward_rows(NOW):
        if not isinstance(one.row, dict) or not said.public([one.row]):
            continue
        assert one.fate != "dropped", one.why
        assert said.start(one.row) == one.start, one.why
        assert one.fate != "repaired" or said.end(one.row) == one.start, one.why
        if one.title is not None:
            assert said.reading(one.row).title.startswith(one.title), one.why
