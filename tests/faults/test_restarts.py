"""Servers that restart, also during an outage, serve the stored feeds unchanged."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from clocks import wait_until
from faults.fleet import (
    BlockedPages,
    Machine,
    count_walks,
    get,
    rename_sessions,
    running,
    store_keys,
    stub_upstream,
)
from upstreams.stub import StubUpstream
from upstreams.tested_list import TESTED_LIST
from valkey import Valkey

from bridge.clock import SystemClock
from bridge.model import SourceName
from bridge.store.redis import RedisStore

FEEDS = (
    "/sessions.ics",
    "/sessions.ics?past=0&future=7&cancelled=hide",
    "/venues/11.ics",
    "/venues/12-brooklyn.json",
    "/instructors/104.txt",
    "/courses/201.ics",
    "/sessions/10001.ics",
)
TTL = 1
WALKS = 2 if TESTED_LIST is SourceName.COURSE_SESSIONS else 1
"""One for all feeds, and one for the past of a course."""


@pytest.fixture
def teamup() -> Iterator[StubUpstream]:
    with stub_upstream() as server:
        yield server


@pytest.fixture(params=["sqlite", "valkey"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a store that survives the servers."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/var/store.sqlite3"
    server: Valkey = request.getfixturevalue("valkey")
    return server.url


def _fetch_all(machine: Machine) -> dict[str, tuple[bytes, str, str]]:
    answers = {path: machine.get(path) for path in FEEDS}
    assert {answer.status for answer in answers.values()} == {200}
    return {path: answer.validators for path, answer in answers.items()}


def test_workers_restarted_in_an_outage_serve_every_stored_feed_unchanged(
    teamup: StubUpstream, tmp_path: Path
) -> None:
    store = f"sqlite:///{tmp_path}/var/store.sqlite3"
    with Machine(teamup.url, store, workers=2, CACHE_TTL="1") as machine:
        _fetch_all(machine)
        # A change of content, so that Last-Modified is not the time of the first walk.
        rename_sessions(teamup, "Renamed")
        wait_until(lambda: b"Renamed" in machine.get(FEEDS[0]).body)
        time.sleep(1.2)
        before = _fetch_all(machine)
        wait_until(lambda: teamup.in_flight == 0)
        teamup.stop()
        machine.signal_workers(signal.SIGKILL)
        wait_until(lambda: machine.workers_started() == 4, seconds=15, why="no new workers")
        assert _fetch_all(machine) == before
        machine.stop()
        machine.start()
        assert _fetch_all(machine) == before


def test_a_restarted_machine_agrees_with_one_that_kept_running(
    teamup: StubUpstream, shared: str
) -> None:
    with running(Machine(teamup.url, shared), Machine(teamup.url, shared)) as (other, restarted):
        before = _fetch_all(other)
        assert _fetch_all(restarted) == before
        assert count_walks(teamup) == WALKS
        teamup.stop()
        restarted.stop()
        restarted.start()
        assert _fetch_all(restarted) == before
        assert _fetch_all(other) == before
        tag = before[FEEDS[0]][1]
        assert restarted.get(FEEDS[0], **{"If-None-Match": tag}).status == 304


@pytest.mark.parametrize("cold", [False, True], ids=["no request waits", "a request waits"])
def test_a_terminated_server_ends_while_upstream_hangs(
    cold: bool, teamup: StubUpstream, tmp_path: Path
) -> None:
    store = f"sqlite:///{tmp_path}/store.sqlite3"
    with Machine(teamup.url, store, workers=2, CACHE_TTL="1", REFRESH_AHEAD="on") as machine:
        if not cold:
            assert machine.get(FEEDS[0]).status == 200
        blocked = BlockedPages(teamup, pages=(1,))
        waiting = threading.Thread(target=_ignore_errors(machine, FEEDS[0]))
        if cold:
            waiting.start()
        wait_until(blocked.reached)
        # A waiting request is answered first; it waits for at most eight seconds. After fifteen
        # seconds the server would kill its workers.
        assert machine.stop() < 14
        # Workers get one signal only: a second one would not end them sooner.
        assert not any("CTRL+C" in line for line in machine.log)
        if cold:
            waiting.join()
        blocked.release()


def _ignore_errors(machine: Machine, path: str) -> Callable[[], None]:
    url = machine.url + path

    def ask() -> None:
        with suppress(OSError):
            get(url)

    return ask


def test_refresh_ahead_runs_in_one_process_of_the_fleet_at_a_time(
    teamup: StubUpstream, valkey: Valkey
) -> None:
    settings = {"CACHE_TTL": str(TTL), "REFRESH_AHEAD": "on"}
    with running(*(Machine(teamup.url, valkey.url, **settings) for _ in range(2))) as machines:
        # A request for a stale copy would start a refresh of its own.
        wait_until(lambda: "stale" not in machines[0].get(FEEDS[0]).headers["cache-status"])
        before = [_published(machine) for machine in machines]
        wait_until(lambda: sum(map(_published, machines)) >= sum(before) + 2)
        assert (
            sum(_published(machine) > then for machine, then in zip(machines, before, strict=True))
            == 1
        )
        for machine in machines:
            wait_until(lambda m=machine: "stale" not in m.get(FEEDS[0]).headers["cache-status"])


def _published(machine: Machine) -> int:
    return sum('"event": "published"' in line for line in list(machine.log))


def test_refresh_ahead_moves_at_once_when_its_process_is_terminated(
    teamup: StubUpstream, valkey: Valkey
) -> None:
    store = RedisStore(valkey.url, SystemClock())
    lease = store_keys(teamup).lease("ahead")
    settings = {"CACHE_TTL": str(TTL), "REFRESH_AHEAD": "on"}
    first, second = (Machine(teamup.url, valkey.url, **settings) for _ in range(2))
    with running(first, second):
        assert first.get(FEEDS[0]).status == 200
        for restarted, other in ((first, second), (second, first)):
            wait_until(lambda: store.versions([lease]))
            restarted.stop()
            before = _published(other)
            # Much less than the lease's fifteen seconds.
            wait_until(
                lambda s=other, b=before: _published(s) > b, seconds=TTL + 2, why="no successor"
            )
            restarted.start()
        first.stop()
        second.stop()
    assert not store.versions([lease])
    store.close()
