"""The shared store is down, hangs, is slow or full, or loses data: warm feeds are still served."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from clocks import wait_until
from faults.fleet import (
    TOKEN,
    BlockedPages,
    Machine,
    RunningClock,
    Worker,
    rename_sessions,
    run_concurrently,
    store_keys,
    stub_upstream,
)
from faults.proxies import SlowProxy, TcpProxy
from upstreams.stub import StubUpstream
from upstreams.tested_list import WIDE_KEY
from valkey import Valkey

from bridge.clock import SystemClock
from bridge.errors import StoreError
from bridge.services import Services
from bridge.snapshots.encoding import decode
from bridge.store.fallback import COOL_DOWN_SECONDS, FallbackStore
from bridge.store.interface import Write
from bridge.store.redis import RedisStore

FEEDS = ("/sessions.ics", "/venues/11.ics", "/venues/12.json", "/instructors/104.txt")
COOLED_DOWN = COOL_DOWN_SECONDS + 1
TIMEOUT = 0.2
"""Seconds until an operation on a hanging store times out."""
BUSY = 0.15
"""Seconds that a busy machine may add."""

Action = Callable[[Valkey], Any]

# Fault → functions that start and end it.
FAULTS: dict[str, tuple[Action, Action]] = {
    "down": (Valkey.kill, Valkey.start),
    "hung": (Valkey.pause, Valkey.resume),
    "full": (
        lambda valkey: valkey.ask("CONFIG", "SET", "maxmemory", "1"),
        lambda valkey: valkey.ask("CONFIG", "SET", "maxmemory", "0"),
    ),
    "read-only": (
        lambda valkey: valkey.ask("REPLICAOF", "127.0.0.1", "1"),
        lambda valkey: valkey.ask("REPLICAOF", "NO", "ONE"),
    ),
    "flushed": (lambda valkey: valkey.ask("FLUSHALL"), lambda valkey: None),
    "restarted": (lambda valkey: (valkey.kill(), valkey.start()), lambda valkey: None),
}


@pytest.fixture
def teamup() -> Iterator[StubUpstream]:
    with stub_upstream(30) as server:
        yield server


@pytest.fixture
def running_clock() -> RunningClock:
    """Starts now, like Valkey's clock; advanced only for cool-downs."""
    return RunningClock(datetime.now(UTC))


@pytest.fixture
def make_worker(
    make_bridge: Callable[..., Services], teamup: StubUpstream, running_clock: RunningClock
) -> Callable[..., Worker]:
    def make(cache_url: str, **fields: Any) -> Worker:
        settings = {"base_url": teamup.url, "token": TOKEN, "cache_url": cache_url, **fields}
        return Worker(make_bridge(at=running_clock, **settings))

    return make


def _stored(valkey: Valkey, teamup: StubUpstream) -> set[str | None]:
    """The titles of the sessions in the store."""
    store = RedisStore(valkey.url, SystemClock())
    key = store_keys(teamup).snapshot(WIDE_KEY)
    try:
        entry = store.read([key]).get(key)
    finally:
        store.close()
    return {item.session.title for item in decode(entry.value).published} if entry else set()


@pytest.mark.parametrize("fault", FAULTS)
def test_warm_feeds_are_served_and_refreshed_and_the_store_is_used_again_later(
    fault: str,
    make_worker: Callable[..., Worker],
    teamup: StubUpstream,
    valkey: Valkey,
    running_clock: RunningClock,
) -> None:
    start, end = FAULTS[fault]
    worker = make_worker(valkey.url, cache_ttl=1)
    before = worker.fetch_ok(FEEDS)
    start(valkey)
    assert worker.fetch_all(FEEDS) == before
    rename_sessions(teamup, "While it was away")
    wait_until(lambda: b"While it was away" in worker.get(FEEDS[0]).data)
    worker.fetch_ok(FEEDS)
    end(valkey)
    running_clock.move(COOLED_DOWN)
    rename_sessions(teamup, "When it was back")
    wait_until(lambda: b"When it was back" in worker.get(FEEDS[0]).data)
    wait_until(lambda: not worker.failing)
    # The store has the data for other workers again.
    wait_until(lambda: worker.get(FEEDS[0]) and _stored(valkey, teamup) == {"When it was back"})
    assert make_worker(valkey.url).fetch_all(FEEDS) == worker.fetch_all(FEEDS)


@pytest.mark.parametrize("fault", ["down", "hung", "full"])
def test_a_cold_feed_is_fetched_without_the_store(
    fault: str, make_worker: Callable[..., Worker], valkey: Valkey
) -> None:
    start, _ = FAULTS[fault]
    start(valkey)
    worker = make_worker(valkey.url)
    worker.fetch_ok(FEEDS)


def test_a_hanging_store_delays_a_worker_once_per_cool_down(
    make_worker: Callable[..., Worker], valkey: Valkey, running_clock: RunningClock
) -> None:
    worker = make_worker(valkey.url)
    worker.fetch_all(FEEDS)
    valkey.pause()
    for _ in range(3):
        running_clock.move(COOLED_DOWN)
        results = [worker.timed(FEEDS[number % len(FEEDS)]) for number in range(40)]
        assert {status for status, _ in results} == {200}
        slow = [took for _, took in results if took > TIMEOUT / 2]
        assert len(slow) <= 1
        assert sum(slow) < TIMEOUT + BUSY


def test_a_hanging_store_delays_each_thread_at_most_once(
    make_worker: Callable[..., Worker], valkey: Valkey, running_clock: RunningClock
) -> None:
    worker = make_worker(valkey.url)
    worker.fetch_all(FEEDS)
    valkey.pause()
    running_clock.move(COOLED_DOWN)

    def request_repeatedly() -> list[tuple[int, float]]:
        return [worker.timed(FEEDS[number % len(FEEDS)]) for number in range(8)]

    for results in run_concurrently([request_repeatedly] * 8):
        assert {status for status, _ in results} == {200}
        assert sum(took > TIMEOUT for _, took in results) <= 1
        assert max(took for _, took in results) < TIMEOUT + 2 * BUSY


@pytest.mark.parametrize("delay", [0.05, 0.5], ids=["slow", "slower than the timeout"])
def test_with_a_slow_store_every_request_is_answered(
    delay: float,
    make_worker: Callable[..., Worker],
    teamup: StubUpstream,
    valkey: Valkey,
    running_clock: RunningClock,
) -> None:
    with SlowProxy(valkey.port) as proxy:
        worker = make_worker(proxy.url, cache_ttl=1)
        before = worker.fetch_all(FEEDS)
        proxy.delay = delay
        results = [worker.timed(FEEDS[number % len(FEEDS)]) for number in range(20)]
        assert {status for status, _ in results} == {200}
        assert max(took for _, took in results) < 1
        assert worker.fetch_all(FEEDS) == before
        rename_sessions(teamup, "While slow")
        wait_until(lambda: b"While slow" in worker.get(FEEDS[0]).data)
        proxy.delay = 0.0
        running_clock.move(COOLED_DOWN)
        rename_sessions(teamup, "When fast again")
        wait_until(lambda: worker.get(FEEDS[0]) and _stored(valkey, teamup) == {"When fast again"})
        assert not worker.failing
        worker.parts.close()


def test_a_commit_refused_by_a_full_store_changes_nothing(valkey: Valkey) -> None:
    store = RedisStore(valkey.url, SystemClock())
    version = store.commit({"kept": Write(b"1")})
    valkey.ask("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(StoreError) as refused:
        store.commit({"new": Write(b"2"), "kept": Write(None)})
    assert refused.value.readable
    assert store.versions(["kept", "new"]) == {"kept": version}
    # Deleting an entry, such as a lease, still works.
    assert store.commit({"kept": Write(None)}, expect={"kept": version})
    store.close()


def test_a_full_store_that_still_deletes_has_not_recovered(
    valkey: Valkey, running_clock: RunningClock
) -> None:
    store = FallbackStore(RedisStore(valkey.url, running_clock), running_clock)
    store.commit({"old": Write(b"1"), "lease": Write(b"1")})
    valkey.ask("CONFIG", "SET", "maxmemory", "1")
    store.commit({"new": Write(b"2")})
    for writes, expect in (
        ({"lease": Write(None)}, None),
        ({"old": Write(b"3")}, {"old": "not this version"}),
    ):
        running_clock.move(COOLED_DOWN)
        store.commit(writes, expect=expect)
        assert store.failing
        assert store.read(["new"])["new"].value == b"2"
    valkey.ask("CONFIG", "SET", "maxmemory", "0")
    running_clock.move(COOLED_DOWN)
    assert store.commit({"old": Write(b"4")}, expect={"old": "not this version"}) is None
    assert not store.failing
    store.close()


@pytest.fixture
def other_valkey() -> Iterator[Valkey]:
    server = Valkey()
    yield server
    server.kill()


def test_after_a_failover_the_store_is_the_new_primary(
    valkey: Valkey, other_valkey: Valkey, running_clock: RunningClock
) -> None:
    """The connections to the old one stay open, and it goes on as a replica."""
    with TcpProxy(valkey.port) as address:
        url = f"redis://127.0.0.1:{address.port}/0"
        store = FallbackStore(RedisStore(url, running_clock), running_clock)
        store.commit({"key": Write(b"before")})
        valkey.ask("REPLICAOF", "127.0.0.1", str(other_valkey.port))
        address.target_port = other_valkey.port
        store.commit({"key": Write(b"in memory")})
        assert store.failing
        running_clock.move(COOLED_DOWN)
        store.commit({"key": Write(b"after")})
        assert not store.failing
        assert b"after" in other_valkey.ask("GET", "key")
        store.close()


REFUSALS = {
    "OOM": "CONFIG SET maxmemory 1",
    "READONLY": "REPLICAOF 127.0.0.1 1",
    "NOREPLICAS": "CONFIG SET min-replicas-to-write 1",
}


@pytest.mark.parametrize("code", REFUSALS)
def test_a_refused_write_is_reported_with_the_code_of_the_server(valkey: Valkey, code: str) -> None:
    valkey.ask(REFUSALS[code])
    store = RedisStore(valkey.url, SystemClock())
    with pytest.raises(StoreError, match=f"Redis refuses: {code}"):
        store.commit({"key": Write(b"")})
    store.close()


def test_a_refused_read_is_reported_with_the_code_of_the_server(valkey: Valkey) -> None:
    valkey.ask("LPUSH", "key", "an entry of a list")
    store = RedisStore(valkey.url, SystemClock())
    with pytest.raises(StoreError, match=r"Redis refuses: WRONGTYPE$"):
        store.versions(["key"])
    store.close()


def test_a_missing_permission_is_reported_in_full_without_the_password(valkey: Valkey) -> None:
    valkey.ask("ACL", "SETUSER", "bridge", "on", ">hunter2", "~*", "+@all", "-scan")
    store = RedisStore(valkey.url.replace("//", "//bridge:hunter2@"), SystemClock())
    with pytest.raises(StoreError) as refused:
        store.names("")
    store.close()
    assert "NOPERM" in str(refused.value)
    assert "'scan'" in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_a_request_for_an_old_copy_waits_four_seconds_when_the_store_hangs_too(
    make_worker: Callable[..., Worker],
    teamup: StubUpstream,
    valkey: Valkey,
    running_clock: RunningClock,
) -> None:
    """Upstream and store hang together, and the copy is past STALE_WHILE_REVALIDATE."""
    worker = make_worker(valkey.url, cache_ttl=1, stale_while_revalidate=0)
    before = worker.fetch_all(FEEDS)
    blocked = BlockedPages(teamup, pages=(1,))
    time.sleep(1.2)
    valkey.pause()
    results: list[object] = []
    thread = threading.Thread(target=lambda: results.append(worker.fetch_all(FEEDS[:1])[FEEDS[0]]))
    thread.start()
    wait_until(blocked.reached)
    assert not results, "the request waits for a new copy, for up to four seconds"
    running_clock.move(4)
    thread.join(1)
    assert results == [before[FEEDS[0]]]
    blocked.release()


def test_a_server_serves_while_its_store_is_down_at_start_and_later(
    teamup: StubUpstream, valkey: Valkey
) -> None:
    valkey.kill()
    with Machine(teamup.url, valkey.url, workers=2, CACHE_TTL="1") as machine:
        cold = run_concurrently([partial(machine.get, path) for path in FEEDS])
        assert {answer.status for answer in cold} == {200}
        valkey.start()
        warm = run_concurrently([partial(machine.get, path) for path in FEEDS * 4])
        assert {answer.status for answer in warm} == {200}
        valkey.kill()
        warm = run_concurrently([partial(machine.get, path) for path in FEEDS * 4])
        assert {answer.status for answer in warm} == {200}
        assert max(answer.seconds for answer in warm) < 2
        assert not [line for line in machine.log if "Traceback" in line]
