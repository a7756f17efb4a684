"""The holder of a refresh lease is killed, stopped or fails: another process takes over."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from clocks import ManualClock, wait_until
from faults.fleet import (
    PAGES,
    BlockedPages,
    HttpResponse,
    Machine,
    RunningClock,
    count_walks,
    get,
    rename_sessions,
    run_concurrently,
    running,
    store_keys,
    stub_upstream,
)
from upstreams.stub import StubUpstream
from upstreams.tested_list import WIDE_KEY, replace_rows, rows_of
from valkey import Valkey

from bridge.clock import SystemClock
from bridge.sandbox.http_server import SandboxServer
from bridge.sandbox.studio import Studio
from bridge.services import Services
from bridge.store.fallback import FallbackStore
from bridge.store.interface import Entry, Write
from bridge.store.redis import RedisStore
from bridge.store.sqlite import SqliteStore
from bridge.web import create_app


@pytest.fixture
def teamup() -> Iterator[StubUpstream]:
    with stub_upstream() as server:
        yield server


@pytest.fixture
def machines(teamup: StubUpstream, valkey: Valkey) -> Iterator[tuple[Machine, Machine]]:
    """Two machines that share a store, with leases of two seconds."""
    url = teamup.url
    holder, other = (Machine(url, valkey.url, short_leases=True) for _ in range(2))
    with running(holder, other):
        yield holder, other


class Call:
    """A request that runs in a thread."""

    def __init__(self, machine: Machine) -> None:
        self.answer: HttpResponse | None = None
        self._url = f"{machine.url}/sessions.ics"
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def result(self) -> HttpResponse | None:
        """Wait for the response; None if the connection failed."""
        self._thread.join(20)
        assert not self._thread.is_alive()
        return self.answer

    def _run(self) -> None:
        try:
            self.answer = get(self._url)
        except OSError:
            self.answer = None


def _stored(upstream: StubUpstream, valkey: Valkey) -> Entry:
    store = RedisStore(valkey.url, SystemClock())
    key = store_keys(upstream).snapshot(WIDE_KEY)
    try:
        return store.read([key])[key]
    finally:
        store.close()


def test_another_machine_takes_over_within_the_lease_when_the_holder_is_killed(
    teamup: StubUpstream, machines: tuple[Machine, Machine]
) -> None:
    holder, other = machines
    blocked = BlockedPages(teamup, pages=(2,), limit=1)
    first = Call(holder)
    wait_until(blocked.reached)
    second = Call(other)
    killed = holder.signal_workers(signal.SIGKILL)
    answer = second.result()
    blocked.release()
    assert answer is not None
    # It waited for the lease of two seconds, and for the walk: after eight it would be a 503.
    assert answer.status == 200
    assert first.result() is None
    assert count_walks(teamup) == 2
    # A new worker replaces the killed one and serves what the other machine published.
    wait_until(lambda: holder.workers() and holder.workers() != killed)
    assert wait_until(lambda: _get_or_none(holder)).validators == answer.validators
    assert count_walks(teamup) == 2


def _get_or_none(machine: Machine) -> HttpResponse | None:
    try:
        return machine.get("/sessions.ics")
    except OSError:
        return None


def test_a_holder_stopped_past_its_lease_cannot_overwrite_a_newer_snapshot(
    teamup: StubUpstream, machines: tuple[Machine, Machine], valkey: Valkey
) -> None:
    holder, other = machines
    blocked = BlockedPages(teamup, pages=(PAGES,), limit=1)
    first = Call(holder)
    wait_until(blocked.reached)
    holder.signal_workers(signal.SIGSTOP)
    rename_sessions(teamup, "Renamed since")
    newer = other.get("/sessions.ics")
    assert newer.status == 200
    assert b"Renamed since" in newer.body
    stored = _stored(teamup, valkey)
    blocked.release()
    holder.signal_workers(signal.SIGCONT)
    answer = first.result()
    assert answer is not None
    assert answer.validators == newer.validators, "the waiting client gets the newer snapshot"
    assert _stored(teamup, valkey) == stored
    assert count_walks(teamup) == 2


def test_another_machine_walks_again_when_the_holder_is_terminated(
    teamup: StubUpstream, machines: tuple[Machine, Machine]
) -> None:
    holder, other = machines
    blocked = BlockedPages(teamup, pages=(1,), limit=1)
    first = Call(holder)
    wait_until(blocked.reached)
    second = Call(other)
    # The waiting request is answered first; it waits for at most eight seconds.
    assert holder.stop() < 11
    answer = second.result()
    blocked.release()
    assert answer is not None
    assert answer.status == 200
    interrupted = first.result()
    if interrupted is not None and interrupted.status != 503:
        # The other machine had published by then.
        assert interrupted.status == 200
        assert interrupted.validators == answer.validators
    assert count_walks(teamup) <= 2


class StallingStore(SqliteStore):
    """A store whose `commit` of a snapshot blocks until `wake` is set."""

    def __init__(self, path: Path, clock: ManualClock) -> None:
        super().__init__(path, clock)
        self.blocked = threading.Event()
        self.wake = threading.Event()

    def commit(self, writes: Any, *, expect: Any = None) -> str | None:
        if any(":snapshot:" in key for key in writes):
            self.blocked.set()
            assert self.wake.wait(10)
        return super().commit(writes, expect=expect)


def test_a_publication_after_the_lease_expired_is_rejected(
    make_bridge: Callable[..., Services],
    studio: Studio,
    clock: ManualClock,
    tmp_path: Path,
) -> None:
    path = tmp_path / "store.sqlite3"
    stalling, quick = StallingStore(path, clock), SqliteStore(path, clock)
    sleeper = create_app(make_bridge(store=stalling)).test_client()
    other = create_app(make_bridge(store=quick)).test_client()
    late_bodies: list[bytes] = []
    thread = threading.Thread(target=lambda: late_bodies.append(sleeper.get("/sessions.ics").data))
    thread.start()
    assert stalling.blocked.wait(10)
    clock.move(16)
    replace_rows(studio, [{**row, "name": "Renamed since"} for row in rows_of(studio)])
    newer = other.get("/sessions.ics").data
    names = quick.names("")
    stored = quick.versions([name for name in names if ":snapshot:" in name or ":session:" in name])
    stalling.wake.set()
    thread.join(10)
    assert b"Renamed since" in newer
    assert late_bodies == [newer]
    assert quick.versions(list(stored)) == stored


@pytest.mark.parametrize("broken", ["walker", "publisher"])
def test_waiting_requests_on_all_workers_get_503_when_the_holder_raises(
    broken: str,
    make_bridge: Callable[..., Services],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "store.sqlite3"
    clock = RunningClock()
    stores = [FallbackStore(SqliteStore(path, clock), clock) for _ in range(2)]
    parts = [make_bridge(store=store, at=clock) for store in stores]
    refreshes = threading.Semaphore(0)

    def fail(*given: Any, **named: Any) -> Any:
        refreshes.release()
        time.sleep(0.3)
        raise RuntimeError("a bug")

    for part in parts:
        if broken == "walker":
            [walker] = part.walkers.values()
            monkeypatch.setattr(walker, "walk", fail)
        else:
            monkeypatch.setattr(part.refresher._publisher, "publish", fail)
    clients = [create_app(part).test_client for part in parts]
    began = time.monotonic()
    answers = run_concurrently(
        [partial(_status_and_retry_after, clients[number % 2]) for number in range(12)]
    )
    assert time.monotonic() - began < 4
    assert {status for status, _ in answers} == {503}
    assert all(1 <= int(retry_after) <= 5 for _, retry_after in answers)
    assert refreshes.acquire(blocking=False)
    assert not refreshes.acquire(blocking=False), "only one refresh was attempted"


def _status_and_retry_after(make_client: Callable[[], Any]) -> tuple[int, str]:
    response = make_client().get("/sessions.ics")
    return response.status_code, response.headers["Retry-After"]


def test_an_internal_error_is_cleared_when_a_walk_succeeds(
    make_bridge: Callable[..., Services],
    upstream: SandboxServer,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parts = make_bridge()
    client = create_app(parts).test_client()

    def fail(*given: Any, **named: Any) -> Any:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patch:
        [walker] = parts.walkers.values()
        patch.setattr(walker, "walk", fail)
        assert client.get("/sessions.ics").status_code == 503
    clock.move(2)
    assert wait_until(lambda: client.get("/sessions.ics").status_code == 200)
    parts.store.commit({"unrelated": Write(b"")})
    assert not [name for name in parts.store.names("") if ":failure:" in name]
