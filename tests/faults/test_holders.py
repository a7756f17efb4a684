"""Whoever is at work on a refresh may die, sleep or fail: another takes over, nobody hangs."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from clocks import ManualClock
from fleet import (
    PAGES,
    Answer,
    Hold,
    Machine,
    RunningClock,
    get,
    herd,
    keys_of,
    rename,
    studio,
    together,
    until,
    walks,
)
from upstreams.stub import StubUpstream
from valkey import Valkey

from bridge.clock import SystemClock
from bridge.filters import FilterSet
from bridge.sandbox.http_server import SandboxServer
from bridge.sandbox.studio import Studio
from bridge.services import Services
from bridge.store.interface import Entry, Write
from bridge.store.redis import RedisStore
from bridge.store.sqlite import SqliteStore
from bridge.web import create_app

WIDE = FilterSet(past=30).key


@pytest.fixture
def upstream_of_three_pages() -> Iterator[StubUpstream]:
    with studio() as server:
        yield server


@pytest.fixture
def machines(
    upstream_of_three_pages: StubUpstream, valkey: Valkey
) -> Iterator[tuple[Machine, Machine]]:
    """Two that share a store, with leases of two seconds."""
    url = upstream_of_three_pages.url
    one, other = (Machine(url, valkey.url, short_leases=True) for _ in range(2))
    with together(one, other):
        yield one, other


class Call:
    """A request under way in a thread of its own."""

    def __init__(self, machine: Machine) -> None:
        self.answer: Answer | None = None
        self._url = f"{machine.url}/sessions.ics"
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def result(self) -> Answer | None:
        """What came; None if the connection broke."""
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
    key = keys_of(upstream).snapshot(WIDE)
    try:
        return store.read([key])[key]
    finally:
        store.close()


def test_another_machine_takes_over_within_the_lease_when_the_holder_is_killed(
    upstream_of_three_pages: StubUpstream, machines: tuple[Machine, Machine]
) -> None:
    holder, other = machines
    hold = Hold(upstream_of_three_pages, pages=(2,), most=1)
    first = Call(holder)
    until(hold.reached)
    second = Call(other)
    killed = holder.strike(signal.SIGKILL)
    began = time.monotonic()
    answer = second.result()
    took = time.monotonic() - began
    hold.let_go()
    assert answer is not None
    assert answer.status == 200
    assert took < 2 + 2, "a lease of two seconds, and the walk"
    assert first.result() is None
    assert walks(upstream_of_three_pages) == 2
    # a new worker stands in for the dead one, and has what the other published
    until(lambda: holder.workers() and holder.workers() != killed)
    assert until(lambda: _try(holder)).validators == answer.validators
    assert walks(upstream_of_three_pages) == 2


def _try(machine: Machine) -> Answer | None:
    try:
        return machine.get("/sessions.ics")
    except OSError:
        return None


def test_a_holder_stopped_past_its_lease_cannot_overwrite_what_was_published_since(
    upstream_of_three_pages: StubUpstream, machines: tuple[Machine, Machine], valkey: Valkey
) -> None:
    upstream = upstream_of_three_pages
    holder, other = machines
    hold = Hold(upstream, pages=(PAGES,), most=1)
    first = Call(holder)
    until(hold.reached)
    holder.strike(signal.SIGSTOP)
    rename(upstream, "Renamed since")
    newer = other.get("/sessions.ics")
    assert newer.status == 200
    assert b"Renamed since" in newer.body
    stored = _stored(upstream, valkey)
    hold.let_go()
    holder.strike(signal.SIGCONT)
    answer = first.result()
    assert answer is not None
    assert answer.validators == newer.validators, "the waiter gets what was published meanwhile"
    assert _stored(upstream, valkey) == stored
    assert walks(upstream) == 2


def test_a_new_walk_follows_in_time_when_the_holder_is_terminated(
    upstream_of_three_pages: StubUpstream, machines: tuple[Machine, Machine]
) -> None:
    holder, other = machines
    hold = Hold(upstream_of_three_pages, pages=(1,), most=1)
    first = Call(holder)
    until(hold.reached)
    second = Call(other)
    # The request that waits is answered first; nobody waits for more than eight seconds.
    assert holder.stop() < 11
    answer = second.result()
    hold.let_go()
    assert answer is not None
    assert answer.status == 200
    left = first.result()
    assert left is None or left.status == 503
    assert walks(upstream_of_three_pages) <= 2


# In one process, with a clock that is moved by hand.


class Stalling(SqliteStore):
    """Before it publishes, its machine sleeps."""

    def __init__(self, path: Path, clock: ManualClock) -> None:
        super().__init__(path, clock)
        self.asleep = threading.Event()
        self.wake = threading.Event()

    def commit(self, writes: Any, *, expect: Any = None) -> str | None:
        if any(":snapshot:" in key for key in writes):
            self.asleep.set()
            assert self.wake.wait(10)
        return super().commit(writes, expect=expect)


def test_a_publication_that_wakes_past_its_lease_is_refused(
    make_bridge: Callable[..., Services],
    studio: Studio,
    clock: ManualClock,
    tmp_path: Path,
) -> None:
    path = tmp_path / "store.sqlite3"
    stalling, quick = Stalling(path, clock), SqliteStore(path, clock)
    sleeper = create_app(make_bridge(store=stalling)).test_client()
    other = create_app(make_bridge(store=quick)).test_client()
    late: list[bytes] = []
    thread = threading.Thread(target=lambda: late.append(sleeper.get("/sessions.ics").data))
    thread.start()
    assert stalling.asleep.wait(10)
    clock.move(16)
    for session in studio.sessions:
        studio.rename(session["id"], "Renamed since")
    newer = other.get("/sessions.ics").data
    names = quick.names("")
    stored = quick.versions([name for name in names if ":snapshot:" in name or ":session:" in name])
    stalling.wake.set()
    thread.join(10)
    assert b"Renamed since" in newer
    assert late == [newer]
    assert quick.versions(list(stored)) == stored


@pytest.mark.parametrize("broken", ["walker", "publisher"])
def test_waiters_here_and_elsewhere_are_let_go_when_the_holder_raises(
    broken: str,
    make_bridge: Callable[..., Services],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "store.sqlite3"
    clock = RunningClock()
    parts = [make_bridge(store=SqliteStore(path, clock), at=clock) for _ in range(2)]
    under_way = threading.Semaphore(0)

    def fail(*given: Any, **named: Any) -> Any:
        under_way.release()
        time.sleep(0.3)
        raise RuntimeError("a mistake of ours")

    for part in parts:
        if broken == "walker":
            monkeypatch.setattr(part.walker, "walk", fail)
        else:
            monkeypatch.setattr(part.refresher._publisher, "publish", fail)
    clients = [create_app(part).test_client for part in parts]
    began = time.monotonic()
    answers = herd([partial(_show, clients[number % 2]) for number in range(12)])
    assert time.monotonic() - began < 4
    assert {status for status, _ in answers} == {503}
    assert all(1 <= int(retry_after) <= 5 for _, retry_after in answers)
    assert under_way.acquire(blocking=False)
    assert not under_way.acquire(blocking=False), "one refresh failed, and nobody tried at once"


def _show(make_client: Callable[[], Any]) -> tuple[int, str]:
    response = make_client().get("/sessions.ics")
    return response.status_code, response.headers["Retry-After"]


def test_a_failure_of_ours_is_over_as_soon_as_a_walk_succeeds(
    make_bridge: Callable[..., Services],
    upstream: SandboxServer,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parts = make_bridge()
    client = create_app(parts).test_client()

    def fail(*given: Any, **named: Any) -> Any:
        raise RuntimeError("a mistake of ours")

    with monkeypatch.context() as patch:
        patch.setattr(parts.walker, "walk", fail)
        assert client.get("/sessions.ics").status_code == 503
    clock.move(2)
    assert until(lambda: client.get("/sessions.ics").status_code == 200)
    parts.store.commit({"unrelated": Write(b"")})
    assert not [name for name in parts.store.names("") if ":failure:" in name]
