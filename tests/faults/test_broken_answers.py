"""Errors, truncated, malformed and oversize responses: docs/faults.md, rows 1, 6, 7, 10-12."""

import socket
import tracemalloc
from collections.abc import Callable, MutableMapping
from itertools import product
from typing import Any

import pytest
from clocks import wait_until
from faults.scenarios import (
    FEEDS,
    NOW,
    STALE,
    VENUE,
    FakeTeamUp,
    FeedClient,
    Scenario,
    status_page,
    uids,
    with_edited_page,
    with_page,
)
from thorough import THOROUGH
from upstreams import raw
from upstreams.raw import Script
from upstreams.rows import awkward_rows

Events = list[MutableMapping[str, Any]]

_CAP = 8 * 1024 * 1024


def causes(events: Events) -> set[str]:
    """The cause codes of failed walks."""
    return {event["cause"].partition(":")[0] for event in events if event["event"] == "walk failed"}


def unexpected_errors(events: Events) -> Events:
    """Log events of exceptions that the bridge does not expect."""
    return [event for event in events if event.get("exc_info")]


PAGES = (1, 2, 3)
STATUSES = (500, 502, 503, 504)


@pytest.mark.parametrize(
    ("status", "page"),
    [*product(STATUSES, PAGES)] if THOROUGH else [*zip(STATUSES, (*PAGES, 2), strict=True)],
)
def test_a_server_error_on_any_page_leaves_the_last_good_copy(
    scenario: Scenario, status: int, page: int
) -> None:
    scenario.assert_survives(page, raw.status(status, body=b"Oops"))


CUT_SHORT = {
    "before Content-Length": raw.short_content_length,
    "before Content-Length, in the text": lambda page: raw.short_content_length(page[:-500]),
    "in a chunk": raw.short_chunked,
    "before the last chunk": lambda page: raw.short_chunked(page, within_chunk=False),
    "by closing": raw.plain_close_midway,
}


@pytest.mark.parametrize("cut", CUT_SHORT)
def test_a_truncated_page_leaves_the_last_good_copy(
    scenario: Scenario, teamup: FakeTeamUp, cut: str
) -> None:
    scenario.assert_survives(3, with_page(teamup, CUT_SHORT[cut]))


NOT_JSON = {
    "HTML": raw.html_ok(),
    "invalid UTF-8": raw.invalid_utf8(),
    "NaN": raw.nan(),
    "nesting of 200,000": raw.deep_nesting(),
    "a number of 5,000 digits": raw.long_number(),
}


@pytest.mark.parametrize("content", NOT_JSON)
def test_a_200_response_that_is_not_json_is_a_malformed_response(
    scenario: Scenario, events: Events, content: str
) -> None:
    scenario.assert_survives(2, NOT_JSON[content])
    assert causes(events) == {"malformed"}
    assert not unexpected_errors(events)


def test_a_connection_reset_in_the_body_leaves_the_last_good_copy(
    scenario: Scenario, teamup: FakeTeamUp
) -> None:
    scenario.assert_survives(2, with_page(teamup, raw.reset_in_body))


def test_a_failing_name_resolution_leaves_the_last_good_copy(
    scenario: Scenario, teamup: FakeTeamUp, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve: Callable[..., Any] = socket.getaddrinfo
    resolvable = {"teamup.example": "127.0.0.1", "127.0.0.1": "127.0.0.1"}
    lookups: list[str] = []

    def resolver(host: str, *args: Any, **kwargs: Any) -> Any:
        lookups.append(host)
        if host not in resolvable:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return resolve(resolvable[host], *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    base_url = f"http://teamup.example:{teamup.port}/api/v2"
    warm, cold = scenario.client(base_url=base_url).warm_up(), scenario.client(base_url=base_url)
    address = resolvable.pop("teamup.example")
    lookups.clear()
    scenario.clock.move(STALE)
    warm.assert_last_good()
    wait_until(lambda: warm.state() == "failed")
    warm.assert_last_good(states="failed")
    assert 1 <= len(lookups) <= 3
    cold.assert_unavailable()
    assert causes(events) == {"unreachable"}
    resolvable["teamup.example"] = address
    scenario.assert_recovers(warm, cold)


UNUSABLE = {
    record.description: record.row for record in awkward_rows(NOW) if record.fate == "dropped"
}
BAD_RECORDS = [
    "not an object but None",
    "not an object but 'session'",
    "the id is missing",
    "the id is 'abc'",
    "starts_at null",
    "no starts_at",
    "starts_at 'soon'",
    "starts_at '2026-02-30T10:00:00Z'",
    "the venue is a number, naive time",
]


def with_record(teamup: FakeTeamUp, record: Any) -> Script:
    """All rows, followed by *record*."""

    def add(page: dict[str, Any]) -> None:
        page["count"] += 1
        if page["next"] is None:
            page["results"].append(record)

    return with_edited_page(teamup, add)


@pytest.mark.parametrize("why", BAD_RECORDS)
def test_one_bad_record_is_dropped_and_no_other(
    scenario: Scenario, teamup: FakeTeamUp, events: Events, why: str
) -> None:
    expected = uids(scenario.client((VENUE,)).warm_up().good[VENUE])
    events.clear()
    teamup.script = with_record(teamup, UNUSABLE[why])
    assert uids(scenario.client().get_fresh()) == expected
    (published,) = [event for event in events if event["event"] == "published"]
    assert sum(n for reason, n in published.items() if reason.startswith("dropped")) == 1
    assert published["sessions"] == len(teamup.rows)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda row: {**row, "id": f"x{row['id']}"},
        lambda row: {**row, "starts_at": "soon"},
    ],
    ids=["without ids", "without starts"],
)
def test_a_cold_feed_is_not_empty_because_no_row_can_be_used(
    scenario: Scenario, teamup: FakeTeamUp, events: Events, spoil: Callable[[Any], Any]
) -> None:
    rows = teamup.rows
    teamup.rows = [spoil(row) for row in rows]
    cold = scenario.client((VENUE,))
    cold.assert_unavailable()
    cold.assert_unavailable()
    assert causes(events) == {"malformed"}
    teamup.rows = rows
    scenario.clock.move(STALE)
    assert len(uids(cold.get_fresh())) > 5


def test_a_few_bad_records_may_be_all_that_upstream_lists(
    scenario: Scenario, teamup: FakeTeamUp
) -> None:
    teamup.rows = [{**row, "starts_at": "soon"} for row in teamup.rows[:5]]
    assert uids(scenario.client((VENUE,)).get_fresh()) == []


def test_the_status_page_reports_dropped_records(scenario: Scenario, teamup: FakeTeamUp) -> None:
    teamup.script = with_record(teamup, UNUSABLE["starts_at 'soon'"])
    warm = scenario.client(operator_token="the-owners").warm_up()
    assert "dropped" in status_page(warm, "the-owners").lower()


def test_a_session_whose_record_becomes_invalid_is_kept(
    scenario: Scenario, teamup: FakeTeamUp
) -> None:
    warm = scenario.client().warm_up()
    teamup.rows = [
        {**row, "starts_at": "soon"} if row["venue"]["id"] == 11 else row for row in teamup.rows
    ]
    for _ in range(3):
        scenario.clock.move(STALE)
        warm.get_fresh()
        warm.assert_last_good(states="fresh")


OVERSIZE = {
    "spaces without end": raw.oversize(64 * 1024 * 1024),
    "spaces with a Content-Length": raw.oversize(64 * 1024 * 1024, declared=True),
    "a gzip bomb": raw.gzip_bomb(256),
}


@pytest.mark.parametrize("body", OVERSIZE)
def test_reading_an_oversize_body_stops_at_the_limit(
    scenario: Scenario, events: Events, body: str
) -> None:
    warm = scenario.client().warm_up()
    tracemalloc.start()
    try:
        assert_refused_once(scenario, warm, OVERSIZE[body])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 * _CAP
    assert causes(events) == {"oversize"}
    cold = scenario.client()
    cold.assert_unavailable()
    scenario.assert_recovers(warm, cold)


def test_a_timetable_over_the_limits_leaves_the_last_good_copy(
    scenario: Scenario, teamup: FakeTeamUp, events: Events
) -> None:
    def count_too_many(page: dict[str, Any]) -> None:
        page["count"] = 100_001

    scenario.assert_survives(None, with_edited_page(teamup, count_too_many), attempts=1)
    assert causes(events) == {"too_large"}


def assert_refused_once(scenario: Scenario, warm: FeedClient, fault: Script) -> None:
    before = len(scenario.teamup.requests)
    scenario.teamup.inject(2, fault)
    scenario.clock.move(STALE)
    warm.assert_last_good()
    wait_until(lambda: warm.state() == "failed")
    warm.assert_last_good(states="failed")
    assert scenario.teamup.attempts(before)[2] == 1


def test_the_last_good_copy_is_served_for_stale_if_error_seconds(
    scenario: Scenario, teamup: FakeTeamUp
) -> None:
    warm = scenario.client(stale_if_error=86_400).warm_up()
    teamup.inject(None, raw.status(500))
    scenario.clock.move(86_000)
    wait_until(lambda: warm.state() == "failed")
    warm.assert_last_good(states="failed")
    scenario.clock.move(1_000)
    for path in FEEDS:
        warm.assert_unavailable(path)
