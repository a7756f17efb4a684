"""vdirsyncer against the running bridge."""

import requests

from clients import programs, said
from clients.reading import difference


def test_a_venue_becomes_a_file_an_event(running):
    # Wide enough for all that the studio has, so that midnight makes no difference.
    address = f"{running.origin}/venues/12-riverside.ics?past=365&future=365"
    due = said.readings(said.public(running.rows, lambda row: row["venue"]["id"] == 12))
    assert len(due) > 60
    assert difference(programs.vdirsyncer(address), due) == ""


def test_nothing_becomes_no_file(running):
    address = f"{running.origin}/venues/999.ics"
    assert requests.get(address, timeout=30).status_code == 200
    assert programs.vdirsyncer(address) == []
