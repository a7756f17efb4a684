"""An upstream that does not answer or sends without end (docs/faults.md, rows 4 and 5)."""

import socket
import threading
import time

import pytest
from clocks import wait_until
from faults.scenarios import (
    FEEDS,
    OLD,
    SPEEDUP,
    STALE,
    VENUE,
    FakeTeamUp,
    FeedClient,
    Scenario,
    cache_state,
    uids,
    with_page,
)
from upstreams import raw
from upstreams.raw import Script, pause, unanswered

from bridge.errors import UNREACHABLE

SECONDS_PER_BYTE = 1 / SPEEDUP


def answer_after(event: threading.Event, then: Script) -> Script:
    """Answer when *event* is set."""

    def script(connection: socket.socket, request: bytes, n: int) -> None:
        while not event.is_set():
            if not pause(connection, 0.01):
                return
        then(connection, request, n)

    return script


def answers_without_waiting(scenario: Scenario, client: FeedClient) -> bool:
    """Send a request; return whether the bridge answered without waiting on the clock."""
    scenario.clock.waited.clear()
    client.get()
    return not scenario.clock.waited


def test_while_upstream_hangs_requests_with_a_copy_do_not_wait(
    scenario: Scenario, teamup: FakeTeamUp
) -> None:
    warm = scenario.client().warm_up()
    teamup.script = raw.silence()
    before = len(teamup.requests)
    scenario.clock.move(STALE)
    for _ in range(50):
        warm.assert_last_good(states="stale")
    # The walk is still running, so no request waited for its end.
    assert len(teamup.requests) <= before + 1
    teamup.stop()
    wait_until(lambda: warm.state() == "failed")


def test_a_request_for_an_old_copy_waits_at_most_four_seconds(
    scenario: Scenario, teamup: FakeTeamUp
) -> None:
    warm = scenario.client().warm_up()
    teamup.script = raw.silence()
    before = len(teamup.requests)
    scenario.clock.move(OLD)
    began = time.monotonic()
    answer = warm.get()
    assert 4 / SPEEDUP <= time.monotonic() - began < 4 / SPEEDUP + 2
    assert cache_state(answer) == "failed"
    assert answer.data == warm.good[VENUE].data
    assert len(teamup.requests) == before + 1
    teamup.stop()
    wait_until(lambda: answers_without_waiting(scenario, warm))


def test_a_request_for_an_old_copy_gets_the_refreshed_copy(
    scenario: Scenario, teamup: FakeTeamUp
) -> None:
    warm = scenario.client().warm_up()
    teamup.rows = [{**row, "name": "Renamed"} for row in teamup.rows]
    scenario.clock.speedup = 1.0
    scenario.clock.move(OLD)
    answer = warm.get()
    assert answer.headers["Cache-Status"] == "bridge; fwd=stale; stored"
    assert "SUMMARY:Renamed" in answer.text


def test_after_a_recorded_failure_requests_do_not_wait(
    scenario: Scenario, teamup: FakeTeamUp, short_pages: float
) -> None:
    warm, cold = scenario.client().warm_up(), scenario.client()
    teamup.script = raw.silence()
    scenario.clock.move(OLD)
    for client in (warm, cold):
        wait_until(lambda client=client: "still being" not in client.get().text)
        wait_until(lambda: teamup.in_flight == 0)
    assert answers_without_waiting(scenario, warm)
    assert answers_without_waiting(scenario, cold)
    warm.assert_last_good(states="failed")
    cold.assert_unavailable()


def test_a_cold_request_ends_after_eight_seconds_and_the_walk_continues(
    scenario: Scenario, teamup: FakeTeamUp
) -> None:
    released = threading.Event()
    teamup.inject(2, answer_after(released, teamup.healthy))
    cold = scenario.client()
    assert cold.assert_unavailable() == 5
    assert cold.assert_unavailable(FEEDS[-1]) == 5
    released.set()
    answer = cold.get_fresh()
    assert len(uids(answer)) > 5
    assert teamup.attempts(0) == {1: 1, 2: 1, 3: 1}


def test_connecting_ends_at_its_deadline(
    scenario: Scenario, teamup: FakeTeamUp, short_pages: float
) -> None:
    warm, cold = scenario.client().warm_up(), scenario.client()
    teamup.stop()
    scenario.clock.move(STALE)
    with unanswered(teamup.port):
        warm.assert_last_good()
        cold.assert_unavailable()
        wait_until(lambda: warm.state() == "failed", seconds=3 * short_pages + 2)
        wait_until(lambda: UNREACHABLE in cold.get().text)
        warm.assert_last_good(states="failed")
        cold.assert_unavailable()
    teamup.start()
    scenario.assert_recovers(warm, cold)


SLOW = {
    "no answer": lambda page: raw.silence(),
    "headers": lambda page: raw.drip_headers(SECONDS_PER_BYTE, page),
    "body": lambda page: raw.drip_body(SECONDS_PER_BYTE, page),
}


@pytest.mark.parametrize(
    ("kind", "page"), [("no answer", 1), ("headers", 1), ("headers", 2), ("body", 1), ("body", 3)]
)
def test_reading_an_endless_page_ends_at_its_deadline(
    scenario: Scenario, teamup: FakeTeamUp, short_pages: float, kind: str, page: int
) -> None:
    warm, cold = scenario.client().warm_up(), scenario.client()
    teamup.inject(page, with_page(teamup, SLOW[kind]))
    before = len(teamup.requests)
    scenario.clock.move(STALE)
    warm.assert_last_good()
    cold.assert_unavailable()
    wait_until(lambda: warm.state() == "failed")
    wait_until(lambda: UNREACHABLE in cold.get().text)
    # One attempt for each of the two.
    assert all(number <= 2 for number in teamup.attempts(before).values())
    warm.assert_last_good(states="failed")
    cold.assert_unavailable()
    scenario.assert_recovers(warm, cold)
