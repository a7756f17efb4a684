"""Servers end and start again, in an outage too: what was stored is served as it was."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from fleet import Hold, Machine, get, keys_of, rename, studio, together, until, walks
from upstreams.stub import StubUpstream
from valkey import Valkey

from bridge.clock import SystemClock
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


@pytest.fixture
def vendor() -> Iterator[StubUpstream]:
    with studio() as server:
        yield server


@pytest.fixture(params=["sqlite", "valkey"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store that outlives the servers."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/var/store.sqlite3"
    server: Valkey = request.getfixturevalue("valkey")
    return server.url


def _all(machine: Machine) -> dict[str, tuple[bytes, str, str]]:
    answers = {path: machine.get(path) for path in FEEDS}
    assert {answer.status for answer in answers.values()} == {200}
    return {path: answer.validators for path, answer in answers.items()}


def test_every_stored_feed_is_served_as_it_was_by_workers_restarted_in_an_outage(
    vendor: StubUpstream, tmp_path: Path
) -> None:
    store = f"sqlite:///{tmp_path}/var/store.sqlite3"
    with Machine(vendor.url, store, workers=2, CACHE_TTL="1") as machine:
        _all(machine)
        # the content changes, so that Last-Modified is of a walk that was not the first
        rename(vendor, "Renamed")
        until(lambda: b"Renamed" in machine.get(FEEDS[0]).body)
        time.sleep(1.2)
        before = _all(machine)
        until(lambda: vendor.in_flight == 0)
        vendor.stop()
        machine.strike(signal.SIGKILL)
        until(lambda: machine.started() == 4, seconds=15, why="no new workers")
        assert _all(machine) == before
        machine.stop()
        machine.start()
        assert _all(machine) == before


def test_a_machine_that_is_restarted_agrees_with_the_one_that_is_not(
    vendor: StubUpstream, shared: str
) -> None:
    with together(Machine(vendor.url, shared), Machine(vendor.url, shared)) as (stays, goes):
        before = _all(stays)
        assert _all(goes) == before
        assert walks(vendor) == 2, "one for all feeds, one for the course's past"
        vendor.stop()
        goes.stop()
        goes.start()
        assert _all(goes) == before
        assert _all(stays) == before
        tag = before[FEEDS[0]][1]
        assert goes.get(FEEDS[0], **{"If-None-Match": tag}).status == 304


@pytest.mark.parametrize("cold", [False, True], ids=["nobody waits", "somebody waits"])
def test_a_server_that_is_told_to_end_does_so_while_upstream_hangs(
    cold: bool, vendor: StubUpstream, tmp_path: Path
) -> None:
    store = f"sqlite:///{tmp_path}/store.sqlite3"
    with Machine(vendor.url, store, workers=2, CACHE_TTL="1", REFRESH_AHEAD="on") as machine:
        if not cold:
            assert machine.get(FEEDS[0]).status == 200
        hold = Hold(vendor, pages=(1,))
        waiting = threading.Thread(target=_ignore_errors(machine, FEEDS[0]))
        if cold:
            waiting.start()
        until(hold.reached)
        # A request that waits is answered first; nobody waits for more than eight seconds.
        assert machine.stop() < (11 if cold else 5)
        # who is told more than once ends no sooner
        assert not any("CTRL+C" in line for line in machine.log)
        if cold:
            waiting.join()
        hold.let_go()


def _ignore_errors(machine: Machine, path: str) -> Callable[[], None]:
    url = machine.url + path

    def ask() -> None:
        with suppress(OSError):
            get(url)

    return ask


def test_refresh_ahead_runs_in_one_process_of_the_fleet_at_a_time(
    vendor: StubUpstream, valkey: Valkey
) -> None:
    given = {"CACHE_TTL": str(TTL), "REFRESH_AHEAD": "on"}
    two = [Machine(vendor.url, valkey.url, **given) for _ in range(2)]
    with together(*two) as machines:
        assert machines[0].get(FEEDS[0]).status == 200
        began = [_published(machine) for machine in machines]
        until(lambda: walks(vendor) >= 4)
        ahead = [_published(machine) - before for machine, before in zip(two, began, strict=True)]
        assert 0 in ahead
        assert sum(ahead) >= 2
        for machine in machines:
            until(lambda m=machine: "stale" not in m.get(FEEDS[0]).headers["cache-status"])


def _published(machine: Machine) -> int:
    return sum('"event": "published"' in line for line in list(machine.log))


def test_refresh_ahead_passes_on_at_once_when_its_process_is_told_to_end(
    vendor: StubUpstream, valkey: Valkey
) -> None:
    store = RedisStore(valkey.url, SystemClock())
    lease = keys_of(vendor).lease("ahead")
    given = {"CACHE_TTL": str(TTL), "REFRESH_AHEAD": "on"}
    one, other = (Machine(vendor.url, valkey.url, **given) for _ in range(2))
    with together(one, other):
        assert one.get(FEEDS[0]).status == 200
        for goes, stays in ((one, other), (other, one)):
            until(lambda: store.versions([lease]))
            goes.stop()
            before = _published(stays)
            # far less than the fifteen seconds for which the lease would stand
            until(lambda s=stays, b=before: _published(s) > b, seconds=TTL + 2, why="no successor")
            goes.start()
        one.stop()
        other.stop()
    assert not store.versions([lease])
    store.close()
