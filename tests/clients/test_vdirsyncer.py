"""vdirsyncer against the running bridge."""

import requests

from clients import programs
from clients.events import difference
from clients.expected_events import events_of, public_rows


def test_a_venues_feed_becomes_one_file_per_event(running):
    # A window with all sessions, so that the result does not change at midnight.
    address = f"{running.origin}/venues/12-riverside.ics?past=365&future=365"
    expected = events_of(public_rows(running.rows, lambda row: row["venue"]["id"] == 12))
    assert len(expected) > 60
    [events] = programs.vdirsyncer([address])
    assert difference(events, expected) == ""


def test_an_empty_feed_becomes_no_file(running):
    address = f"{running.origin}/venues/999.ics"
    assert requests.get(address, timeout=30).status_code == 200
    assert programs.vdirsyncer([address]) == [[]]
