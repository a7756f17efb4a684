"""Sessions that suddenly disappear from upstream (docs/faults.md, row 13)."""

import copy
import socket
from collections.abc import Callable, MutableMapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from faults.scenarios import FEEDS, NOW, VENUE, FakeTeamUp, Scenario, cancelled, uids
from upstreams import raw
from upstreams.rows import offering_type_of, session_row
from upstreams.tested_list import WALKS_UNTIL_CANCELLED, WIDE_KEY

Events = list[MutableMapping[str, Any]]

HOLD = 21_600.0
STEP = 3_000.0
"""Seconds between two walks: more than the TTL, less than STALE_WHILE_REVALIDATE."""
HELD = f"held {WIDE_KEY}"
ALL_SESSIONS = "/sessions.ics"
ALL_FEEDS = (*FEEDS, ALL_SESSIONS)


def without_visibility(rows: list[Any]) -> list[Any]:
    copies = copy.deepcopy(rows)
    for row in copies:
        offering_type_of(row).pop("customer_visibility", None)
    return copies


LOSSES: dict[str, Callable[[list[Any]], list[Any]]] = {
    "all": lambda rows: [],
    "a third": lambda rows: [row for n, row in enumerate(rows) if n % 3],
    "one venue": lambda rows: [row for row in rows if row["venue"]["id"] != 11],
    "all but a tenth": lambda rows: rows[::10],
    "every visibility": without_visibility,
}


def alerts(events: Events, name: str = "alert") -> list[str]:
    return [event["topic"] for event in events if event["event"] == name]


@pytest.mark.parametrize("lost", sorted(LOSSES.keys() - {"every visibility"}))
def test_a_suspicious_loss_is_held_until_all_walks_for_hours_confirm_it(
    scenario: Scenario, teamup: FakeTeamUp, events: Events, lost: str
) -> None:
    warm = scenario.client(ALL_FEEDS).warm_up()
    ever_cancelled = {path: cancelled(answer) for path, answer in warm.good.items()}
    teamup.rows = LOSSES[lost](teamup.rows)
    for _ in range(int(HOLD / STEP) + 1):
        scenario.clock.move(STEP)
        warm.get_fresh()
        warm.assert_last_good(states="fresh")
    assert alerts(events) == [HELD]
    assert not alerts(events, "alert over")
    scenario.clock.move(STEP)
    warm.get_fresh()
    for path, good in warm.good.items():
        response = warm.get(path)
        assert response.status_code == 200
        assert set(uids(response)) <= set(uids(good))
        assert cancelled(response) <= ever_cancelled[path]
    # The rest is the same as on a bridge that never had the lost sessions.
    cold = scenario.client((ALL_SESSIONS,)).warm_up()
    assert uids(warm.get(ALL_SESSIONS)) == uids(cold.good[ALL_SESSIONS])
    assert len(uids(warm.get(ALL_SESSIONS))) < len(uids(warm.good[ALL_SESSIONS]))
    assert alerts(events) == [HELD]
    assert alerts(events, "alert over") == [HELD]


def test_sessions_that_upstream_lists_without_a_visibility_are_held_for_as_long_as_it_does(
    scenario: Scenario, teamup: FakeTeamUp, events: Events
) -> None:
    warm = scenario.client(ALL_FEEDS).warm_up()
    teamup.rows = without_visibility(teamup.rows)
    for _ in range(2 * int(HOLD / STEP)):
        scenario.clock.move(STEP)
        warm.get_fresh()
        warm.assert_last_good(states="fresh")
    assert alerts(events) == [HELD]
    assert not alerts(events, "alert over")


@pytest.mark.parametrize("lost", ["a third", "every visibility"])
def test_held_sessions_that_return_were_shown_all_the_time(
    scenario: Scenario, teamup: FakeTeamUp, events: Events, lost: str
) -> None:
    warm = scenario.client(ALL_FEEDS).warm_up()
    whole = teamup.rows
    for rows in (LOSSES[lost](whole), whole, LOSSES[lost](whole), whole):
        teamup.rows = rows
        for _ in range(3):
            scenario.clock.move(STEP)
            warm.get_fresh()
            warm.assert_last_good(states="fresh")
    assert alerts(events) == [HELD] * 2
    assert alerts(events, "alert over") == [HELD] * 2


@pytest.mark.parametrize("lost", ["all", "one venue"])
def test_accepting_a_loss_publishes_it_at_once(
    scenario: Scenario, teamup: FakeTeamUp, events: Events, tmp_path: Path, lost: str
) -> None:
    shared = f"sqlite:///{tmp_path}/bridge.sqlite3"
    warm = scenario.client(ALL_FEEDS, cache_url=shared).warm_up()
    teamup.rows = LOSSES[lost](teamup.rows)
    scenario.clock.move(STEP)
    warm.get_fresh()
    warm.assert_last_good(states="fresh")
    requests = len(teamup.requests)
    operator = scenario.client(cache_url=shared)
    # Like `flask --app app accept`:
    assert operator.parts.refresher.confirm_deletions() > 5
    scenario.clock.move(1)
    cold = scenario.client((ALL_SESSIONS,)).warm_up()
    assert uids(warm.get(ALL_SESSIONS)) == uids(cold.good[ALL_SESSIONS])
    assert cancelled(warm.get(ALL_SESSIONS)) <= cancelled(warm.good[ALL_SESSIONS])
    assert alerts(events, "alert over") == [HELD]
    assert operator.parts.refresher.confirm_deletions() == 0
    # Accepting needs no upstream request: these are from the cold bridge.
    assert len(teamup.requests) - requests <= 3
    scenario.clock.move(STEP)
    warm.get_fresh()
    assert uids(warm.get(ALL_SESSIONS)) == uids(cold.good[ALL_SESSIONS])
    assert alerts(events) == [HELD]


def test_a_new_token_that_sees_a_tenth_does_not_empty_feeds(
    scenario: Scenario, teamup: FakeTeamUp, events: Events, tmp_path: Path
) -> None:
    """The bridge is restarted with the new token."""
    shared = f"sqlite:///{tmp_path}/bridge.sqlite3"
    # Not started; only creates pages.
    restricted = FakeTeamUp(teamup.rows[::10])

    def answer_by_token(connection: socket.socket, request: bytes, n: int) -> None:
        source = restricted if b"another-token" in request else teamup
        raw.ok(source.page(request))(connection, request, n)

    teamup.script = answer_by_token
    before = scenario.client(ALL_FEEDS, cache_url=shared).warm_up()
    before.parts.close()
    after = scenario.client(ALL_FEEDS, cache_url=shared, token="another-token")
    after.good = before.good
    for _ in range(3):
        scenario.clock.move(STEP)
        after.get_fresh()
        after.assert_last_good(states="fresh")
    assert alerts(events) == [HELD]
    assert "another-token" not in str(events)
    assert after.parts.refresher.confirm_deletions() == 45
    scenario.clock.move(1)
    after.get_fresh()
    assert len(uids(after.get(ALL_SESSIONS))) < len(uids(before.good[ALL_SESSIONS])) / 5
    assert cancelled(after.get(ALL_SESSIONS)) <= cancelled(before.good[ALL_SESSIONS])


def test_the_alert_ends_when_all_held_sessions_have_ended(
    scenario: Scenario, teamup: FakeTeamUp, events: Events
) -> None:
    today = [session_row(300 + n, NOW + timedelta(hours=1)) for n in range(8)]
    teamup.rows = [*today, *teamup.rows]
    warm = scenario.client((ALL_SESSIONS,)).warm_up()
    teamup.rows = []
    for _ in range(int(HOLD / STEP) + 2):
        scenario.clock.move(STEP)
        warm.get_fresh()
    assert alerts(events, "alert over") == [HELD]
    # They are assumed to have taken place.
    assert len(uids(warm.get(ALL_SESSIONS))) == len(today)
    assert warm.parts.refresher.confirm_deletions() == 0
    assert len(uids(warm.get(ALL_SESSIONS))) == len(today)


def test_a_small_loss_is_shown_as_cancelled_once_it_is_confirmed(
    scenario: Scenario, teamup: FakeTeamUp, events: Events
) -> None:
    warm = scenario.client((VENUE,)).warm_up()
    before = warm.good[VENUE]
    few = [row["id"] for row in teamup.rows if row["venue"]["id"] == 11][:3]
    teamup.rows = [row for row in teamup.rows if row["id"] not in few]
    for _ in range(WALKS_UNTIL_CANCELLED):
        assert warm.get_fresh().data == before.data
        scenario.clock.move(STEP)
    after = warm.get_fresh()
    assert uids(after) == uids(before)
    assert 1 <= len(cancelled(after) - cancelled(before)) <= 3
    assert not alerts(events)
