"""Pages that are inconsistent with each other (docs/faults.md, rows 8 and 9)."""

import socket
import threading
from collections.abc import Callable, MutableMapping
from datetime import timedelta
from typing import Any

import pytest
from clocks import wait_until
from faults.scenarios import NOW, PAGE, STALE, VENUE, FakeTeamUp, Scenario, uids, with_edited_page
from upstreams import raw
from upstreams.raw import Script, page_of
from upstreams.rows import session_row

Events = list[MutableMapping[str, Any]]
Change = Callable[[list[Any]], list[Any]]

ALL_SESSIONS = "/sessions.ics"
FEEDS = (ALL_SESSIONS, VENUE)
EARLY = session_row(77, NOW + timedelta(hours=1))
"""Starts before all others, so inserting it shifts them across pages."""
LATE = session_row(78, NOW + timedelta(days=80))


def changing_after_page_1(teamup: FakeTeamUp, change: Change, *, times: int = 1) -> Script:
    """Apply *change* after page 1 of a walk; *times* times in all."""
    lock = threading.Lock()
    pending = [change] * times

    def script(connection: socket.socket, request: bytes, n: int) -> None:
        with lock:
            if page_of(request) > 1 and pending:
                teamup.rows = pending.pop()(teamup.rows)
        teamup.healthy(connection, request, n)

    return script


def by_start(rows: list[Any]) -> list[Any]:
    """The rows in the order of the pages."""
    return sorted(rows, key=lambda row: row["starts_at"])


CHANGES: dict[str, Change] = {
    "one inserted before": lambda rows: [EARLY, *rows],
    "one deleted before": lambda rows: by_start(rows)[1:],
    "many inserted": lambda rows: [
        *(session_row(500 + n, NOW + timedelta(minutes=30 * n + 1)) for n in range(PAGE)),
        *rows,
    ],
    "a page's worth deleted": lambda rows: by_start(rows)[PAGE:],
}


@pytest.mark.parametrize("change", CHANGES)
def test_rows_that_move_between_pages_are_neither_lost_nor_doubled(
    scenario: Scenario, teamup: FakeTeamUp, change: str
) -> None:
    teamup.script = changing_after_page_1(teamup, CHANGES[change])
    cold = scenario.client((ALL_SESSIONS,)).warm_up()
    teamup.recover()
    expected = uids(scenario.client((ALL_SESSIONS,)).warm_up().good[ALL_SESSIONS])
    shown = uids(cold.good[ALL_SESSIONS])
    assert sorted(shown) == sorted(expected)
    assert len(set(shown)) == len(shown)


def test_a_row_skipped_without_a_change_of_the_count_is_not_lost(
    scenario: Scenario, teamup: FakeTeamUp
) -> None:
    """A row of page 1 is deleted after it was read and another is added: one row is skipped."""
    warm = scenario.client(FEEDS).warm_up()
    deleted = by_start(teamup.rows)[0]
    teamup.script = changing_after_page_1(teamup, lambda rows: [*by_start(rows)[1:], LATE])
    scenario.clock.move(STALE)
    shown = uids(warm.get_fresh(ALL_SESSIONS))
    assert set(uids(warm.good[ALL_SESSIONS])) <= set(shown)
    assert len(shown) == len(set(shown)) == len(uids(warm.good[ALL_SESSIONS])) + 1
    assert deleted["id"] not in {row["id"] for row in teamup.rows}


def test_constantly_moving_rows_leave_the_last_good_copy(
    scenario: Scenario, teamup: FakeTeamUp, events: Events
) -> None:
    warm, cold = scenario.client(FEEDS).warm_up(), scenario.client()
    rows = teamup.rows
    new_ids = iter(range(1_000, 2_000))
    insert_row: Change = lambda rows: [session_row(next(new_ids), NOW + timedelta(hours=1)), *rows]  # noqa: E731
    teamup.script = changing_after_page_1(teamup, insert_row, times=1_000)
    before = len(teamup.requests)
    scenario.clock.move(STALE)
    warm.assert_last_good()
    wait_until(lambda: warm.state() == "failed")
    warm.assert_last_good(states="failed")
    assert max(teamup.attempts(before).values()) <= 3
    cold.assert_unavailable()
    assert {event["cause"][:13] for event in events if event["event"] == "walk failed"} == {
        "inconsistent:"
    }
    teamup.recover()
    scenario.wait_until_idle()  # the cold client's walk would insert one more row
    teamup.rows = rows
    scenario.assert_recovers(warm, cold)


def all_on_one_page(teamup: FakeTeamUp) -> Script:
    """All rows on one page, whatever page size was requested."""
    return raw.ok(raw.page(by_start(teamup.rows)))


def with_next(url: str) -> Callable[[dict[str, Any]], object]:
    return lambda page: page.update(next=url)


ODD_PAGES: dict[str, Callable[[FakeTeamUp], Script]] = {
    "the last row of each page twice": lambda teamup: with_edited_page(
        teamup, lambda page: page["results"].append(page["results"][-1])
    ),
    "all rows of each page twice": lambda teamup: with_edited_page(
        teamup, lambda page: page.update(results=page["results"] * 2)
    ),
    "always a next page": lambda teamup: with_edited_page(teamup, with_next("/api/v2/x?page=9")),
    "the next page is the same": lambda teamup: with_edited_page(teamup, with_next("?page=1")),
    "the next page is on another host": lambda teamup: with_edited_page(
        teamup, with_next("https://elsewhere.example/api/v2/course_sessions?page=2")
    ),
    "more rows than requested": all_on_one_page,
}


@pytest.mark.parametrize("odd", ODD_PAGES)
def test_malformed_pages_show_each_session_once_and_are_requested_once(
    scenario: Scenario, teamup: FakeTeamUp, odd: str
) -> None:
    warm = scenario.client(FEEDS).warm_up()
    teamup.script = ODD_PAGES[odd](teamup)
    before = len(teamup.requests)
    scenario.clock.move(STALE)
    for client in (warm, scenario.client()):
        assert uids(client.get_fresh(ALL_SESSIONS)) == uids(warm.good[ALL_SESSIONS])
    warm.assert_last_good(states="fresh")
    assert set(teamup.attempts(before)) <= {1, 2, 3}
    assert max(teamup.attempts(before).values()) <= 2


ENDLESS = {
    "the same page again and again": 500,
    "an absurd number of pages": 10_000_000,
}


@pytest.mark.parametrize("endless", ENDLESS)
def test_a_walk_over_endless_pages_ends(
    scenario: Scenario, teamup: FakeTeamUp, endless: str
) -> None:
    warm, cold = scenario.client(FEEDS).warm_up(), scenario.client()
    rows = by_start(teamup.rows)[:PAGE]
    body = raw.page(rows, count=ENDLESS[endless], next=f"{teamup.url}/course_sessions?page=2")
    teamup.script = raw.ok(body)
    before = len(teamup.requests)
    scenario.clock.move(STALE)
    warm.assert_last_good()
    wait_until(lambda: warm.state() == "failed")
    warm.assert_last_good(states="failed")
    # At most two walks, each limited by the count, and to 25 pages.
    assert len(teamup.requests) - before <= 2 * ENDLESS[endless] / PAGE
    assert len(teamup.requests) - before <= 2 * 25
    cold.assert_unavailable()
    scenario.assert_recovers(warm, cold)
