"""From upstream over HTTP to what clients read: none lost, none twice, none at a wrong time."""

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
from clients import said
from clients.asking import patiently
from clients.reading import Reading, difference
from clients.year import MANY, NOW, ZONES, changes, sessions

UTC_TIMES, LOCAL_TIMES, JSON = ".ics?future=365", ".ics?future=365&tz=local", ".json?future=365"
NO_CHANGE = {"Asia/Kathmandu", "Asia/Tokyo", "America/Phoenix", "Etc/UTC"}
# A client that has its own table of zones goes by that: ical-expander's is of 2018.
OUT_OF_DATE = {"ical-expander": {"Africa/Casablanca"}}


@cache
def truths():
    return sessions()


@cache
def due() -> list[Reading]:
    """Titles as said, instants as they were before they were written down."""
    return [said.reading(one.row)._replace(start=one.start, end=one.end) for one in truths()]


@pytest.fixture(scope="module")
def fetched():
    return {}


@pytest.fixture
def fetch(fetched, settings):
    """A feed of all sessions; all that are needed come from one bridge."""

    def get(path: str) -> bytes:
        if not fetched:
            with StubUpstream([one.row for one in truths()], token=TOKEN) as upstream:
                config = settings(
                    base_url=upstream.url, feed_max_bytes=0, requests_per_minute=100_000
                )
                parts = services.build(config, clock=ManualClock(NOW))
                try:
                    client = create_app(parts).test_client()
                    for one in (UTC_TIMES, LOCAL_TIMES, JSON):
                        fetched[one] = patiently(client, f"/sessions{one}")
                finally:
                    parts.close()
        return fetched[path]

    return get


def test_the_year_has_what_it_is_to_have():
    assert len(truths()) == len({one.row["id"] for one in truths()}) == MANY
    for zone in ZONES:
        assert bool(changes(zone)) == (zone not in NO_CHANGE), zone
    assert sum(one.start.year != one.end.year for one in truths()) > 50


@pytest.mark.parametrize(
    ("query", "client"),
    [
        *((UTC_TIMES, client) for client in ("to the letter", "icalendar", "libical")),
        *((LOCAL_TIMES, client) for client in ("to the letter", "ical", "libical")),
    ],
)
def test_every_session_is_read_once_at_its_instant(query, client, fetch, load):
    assert difference(load(client)(fetch(query)), due()) == ""


@pytest.mark.parametrize("client", ["vobject", "recurring-ical-events", "ical.js", "ical-expander"])
def test_local_times_around_changes_of_the_clocks_are_read_by_all(client, fetch, load):
    moments = [change for zone in ZONES for change in changes(zone)]
    close = [
        reading
        for one, reading in zip(truths(), due(), strict=True)
        if min(abs(one.start - moment) for moment in moments) <= timedelta(hours=2)
        and one.row["venue"]["timezone"] not in OUT_OF_DATE.get(client, ())
    ]
    body = fetch(LOCAL_TIMES)
    head, *events = body.removesuffix(b"\r\nEND:VCALENDAR\r\n").split(b"\r\nBEGIN:VEVENT\r\n")
    wanted = {one.uid.encode() for one in close}
    kept = [one for one in events if re.match(rb"UID:(.*)\r\n", one)[1] in wanted]
    part = b"\r\nBEGIN:VEVENT\r\n".join([head, *kept]) + b"\r\nEND:VCALENDAR\r\n"
    assert len(close) > 500
    assert difference(load(client)(part), close) == ""


def test_every_session_is_in_the_json_once_at_its_instant(fetch):
    told = [
        Reading.of(
            one["id"],
            one["title"],
            datetime.fromisoformat(one["start"]),
            datetime.fromisoformat(one["end"]),
        )
        for one in json.loads(fetch(JSON))
    ]
    # Titles are cut in calendars alone.
    brief = [[one._replace(title=one.title[:200]) for one in many] for many in (told, due())]
    assert difference(*brief) == ""
