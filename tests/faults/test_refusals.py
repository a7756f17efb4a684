"""Upstream answers with 429, 401 or 403 (docs/faults.md, rows 2 and 3)."""

import threading
from collections.abc import MutableMapping
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from clocks import wait_until
from faults.scenarios import NOW, STALE, VENUE, FakeTeamUp, Scenario, status_page, uids
from flask import request
from upstreams import raw
from upstreams.rows import timetable
from upstreams.stub import StubUpstream
from upstreams.tested_list import WIDE_KEY

from bridge.errors import UNREACHABLE
from bridge.sandbox.api_error import ApiError
from bridge.sandbox.list_params import Dialect

Events = list[MutableMapping[str, Any]]

NARROW_FEED = "/sessions.ics?starts_at_gte=2026-09-01"
"""A feed with earlier sessions than the provider-wide walk covers."""


def http_date(seconds: float) -> str:
    """An HTTP date, *seconds* after the first 429."""
    return format_datetime(NOW + timedelta(seconds=STALE + seconds), usegmt=True)


# Retry-After → the resulting pause in seconds
PAUSES = {
    "2": 2.0,
    "86400": 300.0,
    http_date(100): 100.0,
    http_date(-100): 1.0,
    http_date(86_400): 300.0,
    "soon": 60.0,
    "-5": 60.0,
}


@pytest.mark.parametrize("retry_after", PAUSES)
def test_after_a_429_no_bridge_sends_a_request_until_the_pause_is_over(
    scenario: Scenario, teamup: FakeTeamUp, events: Events, tmp_path: Path, retry_after: str
) -> None:
    shared = f"sqlite:///{tmp_path}/bridge.sqlite3"
    first, second = (
        scenario.client(cache_url=shared).warm_up(),
        scenario.client(cache_url=shared).warm_up(),
    )
    teamup.script = raw.status(429, {"Retry-After": retry_after}, ApiError(429).response().data)
    before = len(teamup.requests)
    events.clear()
    scenario.clock.move(STALE)
    first.assert_last_good()
    wait_until(lambda: len(teamup.requests) == before + 1)
    for seconds in (0.0, PAUSES[retry_after] - 1.5):
        scenario.clock.move(max(0.0, seconds))
        for client in (first, second):
            client.assert_last_good()
        # A new filter set may also be refused by the rate limit, with 429.
        second.assert_unavailable(NARROW_FEED, statuses=(503, 429))
    assert len(teamup.requests) == before + 1
    teamup.recover()
    scenario.clock.move(3)
    for client in (first, second):
        assert client.get_fresh().data == client.good[VENUE].data
        client.assert_last_good(states="fresh")
    assert len(uids(second.get_fresh(NARROW_FEED))) > 20
    assert not [event for event in events if event.get("exc_info")]
    assert [event["key"] for event in events if event["event"] == "published"].count(WIDE_KEY) == 1
    # One 429, a walk of three pages, and an archive of one page.
    assert len(teamup.requests) == before + 1 + 3 + 1


def test_a_new_feed_during_the_pause_gets_503_with_the_remaining_pause(
    scenario: Scenario, teamup: FakeTeamUp
) -> None:
    warm = scenario.client().warm_up()
    teamup.script = raw.status(429, {"Retry-After": "60"})
    before = len(teamup.requests)
    scenario.clock.move(STALE)
    warm.assert_last_good()
    wait_until(lambda: len(teamup.requests) == before + 1)
    assert warm.assert_unavailable(NARROW_FEED) <= 61
    teamup.recover()
    scenario.clock.move(61)
    warm.get_fresh(NARROW_FEED)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_is_not_retried_repeatedly(
    scenario: Scenario, events: Events, tmp_path: Path, status: int
) -> None:
    shared = f"sqlite:///{tmp_path}/bridge.sqlite3"
    code = {401: "authentication_failed", 403: "permission_denied"}[status]
    refused = threading.Event()

    def refuse(page: int) -> None:
        if refused.is_set() and request.headers["Authorization"].startswith("JWT "):
            raise ApiError(status, "canary-of-the-teamup", code=code)

    with StubUpstream(
        timetable(50, NOW),
        token="a-token-of-the-tests",
        schemes=("JWT",),
        dialect=Dialect(max_page_size=20),
        before_page=refuse,
    ) as upstream:
        fields = {"cache_url": shared, "base_url": upstream.url}
        scenario.client(**fields).warm_up().parts.close()
        # The scheme that worked is known from the store, not from this process.
        warm = scenario.client(**fields).warm_up()
        upstream.requests.clear()
        events.clear()
        refused.set()
        scenario.clock.move(STALE)
        warm.assert_last_good()
        wait_until(lambda: warm.state() == "failed")
        warm.assert_last_good(states="failed")
        assert [request.headers["authorization"][:4] for request in upstream.requests] == ["JWT "]
        (failed,) = [event for event in events if event["event"] == "walk failed"]
        assert failed["cause"].startswith(f"{code}: ")
        assert "TEAMUP_API_TOKEN" in failed["cause"]
        assert "canary" not in str(events)
        assert "a-token-of-the-tests" not in str(events)
        cold = scenario.client(base_url=upstream.url)
        cold.assert_unavailable()
        refused.clear()
        scenario.clock.move(70)
        assert warm.get_fresh().data == warm.good[VENUE].data
        assert uids(cold.get_fresh()) == uids(warm.good[VENUE])


def test_the_status_page_reports_a_refused_token(scenario: Scenario, teamup: FakeTeamUp) -> None:
    warm = scenario.client(operator_token="the-owners").warm_up()
    teamup.script = raw.status(401)
    scenario.clock.move(STALE)
    wait_until(lambda: warm.state() == "failed")
    assert "TEAMUP_API_TOKEN" in status_page(warm, "the-owners")


def test_a_token_that_never_worked_is_tried_once_with_each_scheme(
    scenario: Scenario, events: Events
) -> None:
    with StubUpstream(timetable(5, NOW), token="another") as upstream:
        cold = scenario.client(base_url=upstream.url)
        cold.assert_unavailable()
        cold.assert_unavailable()
        tried = [request.headers["authorization"].split()[0] for request in upstream.requests]
        assert tried == ["Bearer", "Token", "JWT"]
        assert UNREACHABLE in cold.get().text
