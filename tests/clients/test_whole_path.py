"""From upstream to clients: no session is lost, none is twice, none is at a wrong time."""

import json
import re
from datetime import datetime, timedelta
from functools import cache

import pytest
from clocks import ManualClock
from conftest import TOKEN
from upstreams.stub import StubUpstream

from bridge import services
from bridge.web import create_app
from clients.events import Event, difference
from clients.expected_events import event_of
from clients.web import get_with_retries
from clients.year import MANY, NOW, ZONES, changes, sessions

UTC_TIMES, LOCAL_TIMES, JSON = ".ics?future=365", ".ics?future=365&tz=local", ".json?future=365"
NO_CHANGE = {"Asia/Kathmandu", "Asia/Tokyo", "America/Phoenix", "Etc/UTC"}
# ical-expander has its own table of time zones, from 2018.
OUT_OF_DATE = {"ical-expander": {"Africa/Casablanca"}}


@cache
def timed_rows():
    return sessions()


@cache
def expected() -> list[Event]:
    """The expected events, with the times from before they were formatted."""
    return [
        event_of(timed.row)._replace(start=timed.start, end=timed.end) for timed in timed_rows()
    ]


@pytest.fixture(scope="module")
def fetched():
    return {}


@pytest.fixture
def fetch(fetched, settings):
    """Returns a feed of all sessions; all feeds are fetched once from one bridge."""

    def get(path: str) -> bytes:
        if not fetched:
            with StubUpstream([timed.row for timed in timed_rows()], token=TOKEN) as upstream:
                config = settings(
                    base_url=upstream.url, feed_max_bytes=0, requests_per_minute=100_000
                )
                parts = services.build(config, clock=ManualClock(NOW))
                try:
                    client = create_app(parts).test_client()
                    for suffix in (UTC_TIMES, LOCAL_TIMES, JSON):
                        fetched[suffix] = get_with_retries(client, f"/sessions{suffix}")
                finally:
                    parts.close()
        return fetched[path]

    return get


def test_the_year_contains_all_kinds_of_difficult_times():
    assert len(timed_rows()) == len({timed.row["id"] for timed in timed_rows()}) == MANY
    for zone in ZONES:
        assert bool(changes(zone)) == (zone not in NO_CHANGE), zone
    assert sum(timed.start.year != timed.end.year for timed in timed_rows()) > 50


@pytest.mark.parametrize(
    ("query", "client"),
    [
        *((UTC_TIMES, client) for client in ("strict", "icalendar", "libical")),
        *((LOCAL_TIMES, client) for client in ("strict", "ical", "libical")),
    ],
)
def test_every_session_is_read_once_at_its_instant(query, client, fetch, load):
    assert difference(load(client)(fetch(query)), expected()) == ""


@pytest.mark.parametrize("client", ["vobject", "recurring-ical-events", "ical.js", "ical-expander"])
def test_all_clients_read_local_times_around_clock_changes(client, fetch, load):
    all_changes = [change for zone in ZONES for change in changes(zone)]
    close = [
        event
        for timed, event in zip(timed_rows(), expected(), strict=True)
        if min(abs(timed.start - change) for change in all_changes) <= timedelta(hours=2)
        and timed.row["venue"]["timezone"] not in OUT_OF_DATE.get(client, ())
    ]
    body = fetch(LOCAL_TIMES)
    head, *events = body.removesuffix(b"\r\nEND:VCALENDAR\r\n").split(b"\r\nBEGIN:VEVENT\r\n")
    uids = {event.uid.encode() for event in close}
    kept = [text for text in events if re.match(rb"UID:(.*)\r\n", text)[1] in uids]
    partial = b"\r\nBEGIN:VEVENT\r\n".join([head, *kept]) + b"\r\nEND:VCALENDAR\r\n"
    assert len(close) > 400
    assert difference(load(client)(partial), close) == ""


def test_every_session_is_in_the_json_once_at_its_instant(fetch):
    from_json = [
        Event.of(
            event["id"],
            event["title"],
            datetime.fromisoformat(event["start"]),
            datetime.fromisoformat(event["end"]),
        )
        for event in json.loads(fetch(JSON))
    ]
    # Titles are truncated only in calendars.
    truncated = [
        [event._replace(title=event.title[:200]) for event in events]
        for events in (from_json, expected())
    ]
    assert difference(*truncated) == ""
