"""An upstream that flaps, then recovers (docs/faults.md, row 24)."""

import socket
import threading
from collections.abc import MutableMapping
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from clocks import wait_until
from faults.fleet import run_concurrently
from faults.scenarios import (
    MAX_BACKOFF,
    OLD,
    STALE,
    VENUE,
    FakeTeamUp,
    FeedClient,
    Scenario,
    cache_state,
)
from upstreams import raw
from upstreams.raw import Script, pause
from upstreams.tested_list import WIDE_KEY

Events = list[MutableMapping[str, Any]]

NARROW_FEEDS = tuple(f"/sessions.ics?starts_at_gte=2026-09-0{day}" for day in range(1, 7))
"""Feeds that each need an upstream walk of their own."""
PAGES = 3
ROUNDS = 12


def hang_up(connection: socket.socket, request: bytes, n: int) -> None:
    """Close the connection without an answer."""


class CountedScript:
    """Delays each request, then answers with *then*; `peak` is the most requests at one time.

    A request counts until it is answered, so the next one is not counted together with it.
    """

    def __init__(self, then: Script) -> None:
        self._then = then
        self._lock = threading.Lock()
        self._waiting = 0
        self.peak = 0

    def __call__(self, connection: socket.socket, request: bytes, n: int) -> None:
        with self._lock:
            self._waiting += 1
            self.peak = max(self.peak, self._waiting)
        try:
            self.delay(connection)
        finally:
            with self._lock:
                self._waiting -= 1
        self._then(connection, request, n)

    def delay(self, connection: socket.socket) -> None:
        pause(connection, 0.02)


def published(events: Events) -> list[str]:
    return [event["key"] for event in events if event["event"] == "published"]


@pytest.mark.parametrize(
    ("fault", "attempts"), [(hang_up, 3), (raw.status(403), 1)], ids=["no answer", "403"]
)
def test_during_an_outage_only_one_probe_runs_at_a_time(
    scenario: Scenario, teamup: FakeTeamUp, tmp_path: Path, fault: Script, attempts: int
) -> None:
    shared = f"sqlite:///{tmp_path}/bridge.sqlite3"
    feeds = (VENUE, *NARROW_FEEDS)
    fleet = [scenario.client(feeds, cache_url=shared).warm_up() for _ in range(2)]
    teamup.script = raw.status(401)
    scenario.clock.move(STALE)
    wait_until(lambda: cache_state(fleet[0].get()) == "failed")
    scenario.wait_until_idle()
    counter = teamup.script = CountedScript(fault)
    probes = []
    for _ in range(ROUNDS):
        before = len(teamup.requests)
        scenario.clock.move(30)
        request_all(fleet, feeds)
        scenario.wait_until_idle()
        probes.append(len(teamup.requests) - before)
    assert counter.peak == 1
    # One probe at a time, and after a failure none until the pause is over.
    assert set(probes) == {0, attempts}


def test_an_outage_is_remembered_until_a_probe_succeeds(
    scenario: Scenario, teamup: FakeTeamUp
) -> None:
    """With rare requests: none waits, and each starts one probe."""
    warm = scenario.client((VENUE,)).warm_up()
    teamup.script = raw.status(403)
    scenario.clock.move(OLD)
    wait_until(lambda: warm.state() == "failed")
    scenario.wait_until_idle()
    for number in range(1, 6):
        before = len(teamup.requests)
        scenario.clock.move(600)
        scenario.clock.waited.clear()
        warm.assert_last_good(states="failed")
        assert not scenario.clock.waited, f"round {number}"
        wait_until(lambda before=before: len(teamup.requests) == before + 1)
        scenario.wait_until_idle()
    teamup.recover()
    scenario.clock.move(600)
    assert warm.state() == "failed"
    warm.get_fresh()


def request_all(fleet: list[FeedClient], feeds: tuple[str, ...]) -> None:
    """Request every feed from every bridge at the same time; each answers with its copy."""
    calls = [partial(client.state, path) for client in fleet for path in feeds]
    assert set(run_concurrently(calls)) == {"failed"}


def test_after_recovery_everything_is_fresh_within_a_ttl_by_one_walk(
    scenario: Scenario, teamup: FakeTeamUp, events: Events, tmp_path: Path
) -> None:
    shared = f"sqlite:///{tmp_path}/bridge.sqlite3"
    fleet = [scenario.client((VENUE,), cache_url=shared).warm_up() for _ in range(2)]
    flap(scenario, fleet)
    events.clear()
    before = len(teamup.requests)
    for waited in count(5, 5):
        scenario.clock.move(5)
        answers = [cache_state(client.get()) for client in fleet]
        assert set(answers) <= {"failed", "stale", "fresh"}
        scenario.wait_until_idle()
        if answers == ["fresh"] * 2:
            break
        assert waited < MAX_BACKOFF + 5
    assert published(events) == [WIDE_KEY]
    assert len(teamup.requests) == before + PAGES


def flap(scenario: Scenario, fleet: list[FeedClient]) -> None:
    """Fail, recover briefly, fail again and so on; finally recover."""
    teamup = scenario.teamup
    scenario.clock.move(STALE)
    for step in range(12):
        teamup.script = (hang_up, raw.status(500), raw.status(403))[step % 3]
        for client in fleet:
            client.assert_last_good()
        scenario.wait_until_idle()
        scenario.clock.move(2**step % 97)
    wait_until(lambda: {cache_state(client.get()) for client in fleet} == {"failed"})
    scenario.wait_until_idle()
    teamup.recover()


def test_a_flapping_upstream_is_walked_at_most_once_per_ttl(
    scenario: Scenario, teamup: FakeTeamUp, events: Events, tmp_path: Path
) -> None:
    """Fifteen minutes: twenty seconds up, twenty down, one request every five seconds."""
    shared = f"sqlite:///{tmp_path}/bridge.sqlite3"
    fleet = [scenario.client((VENUE,), cache_url=shared).warm_up() for _ in range(2)]
    events.clear()
    before = len(teamup.requests)
    for step in range(180):
        teamup.script = hang_up if step // 4 % 2 else teamup.healthy
        scenario.clock.move(5)
        answer = fleet[step % 2].get()
        assert answer.status_code == 200
        assert answer.data == fleet[0].good[VENUE].data
        if cache_state(answer) != "fresh":
            scenario.wait_until_idle()
    walks = published(events)
    assert 900 / 450 <= len(walks) <= 900 / 270
    failures = [event for event in events if event["event"] == "walk failed"]
    assert len(failures) <= 3 * len(walks) + 3
    # On a busy machine the clock may pass a walk's deadline; another bridge then starts it again.
    overtaken = [event for event in events if "took too long" in event["event"]]
    begun = len(walks) + len(overtaken)
    assert len(teamup.requests) - before <= PAGES * begun + 3 * len(failures)
