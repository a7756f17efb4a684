"""The fleet's store goes down, hangs, crawls, fills up or loses everything: warm feeds stay."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from fleet import (
    TOKEN,
    Hold,
    Machine,
    RunningClock,
    Worker,
    herd,
    keys_of,
    rename,
    studio,
    until,
)
from proxies import SlowProxy
from upstreams.stub import StubUpstream
from valkey import Valkey

from bridge.clock import SystemClock
from bridge.errors import StoreError
from bridge.filters import FilterSet
from bridge.services import Services
from bridge.snapshots.snapshot import decode
from bridge.store.fallback import COOL_DOWN_SECONDS
from bridge.store.interface import Write
from bridge.store.redis import RedisStore

FEEDS = ("/sessions.ics", "/venues/11.ics", "/venues/12.json", "/instructors/104.txt")
COOLED_DOWN = COOL_DOWN_SECONDS + 1
TIMEOUT = 0.2
"""Seconds that an operation on a store that hangs may take."""
BUSY = 0.15
"""Seconds that a busy machine may add."""

Strike = Callable[[Valkey], Any]

# What strikes the server, and what ends it.
STRIKES: dict[str, tuple[Strike, Strike]] = {
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
def vendor() -> Iterator[StubUpstream]:
    with studio(30) as server:
        yield server


@pytest.fixture
def running() -> RunningClock:
    """Leaps are for the cool-downs; a Valkey's own time does not leap."""
    return RunningClock(datetime.now(UTC))


@pytest.fixture
def make_worker(
    make_bridge: Callable[..., Services], vendor: StubUpstream, running: RunningClock
) -> Callable[..., Worker]:
    def make(cache_url: str, **fields: Any) -> Worker:
        given = {"base_url": vendor.url, "token": TOKEN, "cache_url": cache_url, **fields}
        return Worker(make_bridge(at=running, **given))

    return make


def _stored(valkey: Valkey, vendor: StubUpstream) -> set[str | None]:
    """The titles of the sessions in the store."""
    store = RedisStore(valkey.url, SystemClock())
    key = keys_of(vendor).snapshot(FilterSet(past=30).key)
    try:
        entry = store.read([key]).get(key)
    finally:
        store.close()
    return {one.session.title for one in decode(entry.value).published} if entry else set()


@pytest.mark.parametrize("strike", STRIKES)
def test_warm_feeds_stay_and_go_on_and_the_store_is_used_again_by_itself(
    strike: str,
    make_worker: Callable[..., Worker],
    vendor: StubUpstream,
    valkey: Valkey,
    running: RunningClock,
) -> None:
    hit, heal = STRIKES[strike]
    worker = make_worker(valkey.url, cache_ttl=1)
    before = worker.served(FEEDS)
    hit(valkey)
    assert worker.all(FEEDS) == before
    rename(vendor, "While it was away")
    until(lambda: b"While it was away" in worker.get(FEEDS[0]).data)
    worker.served(FEEDS)
    heal(valkey)
    running.move(COOLED_DOWN)
    rename(vendor, "When it was back")
    until(lambda: b"When it was back" in worker.get(FEEDS[0]).data)
    until(lambda: not worker.failing)
    # everybody else sees it again
    until(lambda: worker.get(FEEDS[0]) and _stored(valkey, vendor) == {"When it was back"})
    assert make_worker(valkey.url).all(FEEDS) == worker.all(FEEDS)


@pytest.mark.parametrize("strike", ["down", "hung", "full"])
def test_a_cold_feed_is_fetched_without_the_store(
    strike: str, make_worker: Callable[..., Worker], valkey: Valkey
) -> None:
    hit, _ = STRIKES[strike]
    hit(valkey)
    worker = make_worker(valkey.url)
    worker.served(FEEDS)


def test_a_store_that_hangs_slows_a_worker_down_once_in_a_cool_down(
    make_worker: Callable[..., Worker], valkey: Valkey, running: RunningClock
) -> None:
    worker = make_worker(valkey.url)
    worker.all(FEEDS)
    valkey.pause()
    for _ in range(3):
        running.move(COOLED_DOWN)
        answers = [worker.timed(FEEDS[number % len(FEEDS)]) for number in range(40)]
        assert {status for status, _ in answers} == {200}
        slow = [took for _, took in answers if took > TIMEOUT / 2]
        assert len(slow) <= 1
        assert sum(slow) < TIMEOUT + BUSY


def test_a_store_that_hangs_slows_no_thread_down_twice(
    make_worker: Callable[..., Worker], valkey: Valkey, running: RunningClock
) -> None:
    worker = make_worker(valkey.url)
    worker.all(FEEDS)
    valkey.pause()
    running.move(COOLED_DOWN)

    def ask_often() -> list[tuple[int, float]]:
        return [worker.timed(FEEDS[number % len(FEEDS)]) for number in range(8)]

    for answers in herd([ask_often] * 8):
        assert {status for status, _ in answers} == {200}
        assert sum(took > TIMEOUT for _, took in answers) <= 1
        assert max(took for _, took in answers) < TIMEOUT + 2 * BUSY


@pytest.mark.parametrize("delay", [0.05, 0.5], ids=["slow", "too slow"])
def test_a_store_that_crawls_costs_no_answer(
    delay: float,
    make_worker: Callable[..., Worker],
    vendor: StubUpstream,
    valkey: Valkey,
    running: RunningClock,
) -> None:
    with SlowProxy(valkey.port) as proxy:
        worker = make_worker(proxy.url, cache_ttl=1)
        before = worker.all(FEEDS)
        proxy.delay = delay
        answers = [worker.timed(FEEDS[number % len(FEEDS)]) for number in range(20)]
        assert {status for status, _ in answers} == {200}
        assert max(took for _, took in answers) < 1
        assert worker.all(FEEDS) == before
        rename(vendor, "Through thick mud")
        until(lambda: b"Through thick mud" in worker.get(FEEDS[0]).data)
        proxy.delay = 0.0
        running.move(COOLED_DOWN)
        rename(vendor, "On firm ground")
        until(lambda: worker.get(FEEDS[0]) and _stored(valkey, vendor) == {"On firm ground"})
        assert not worker.failing
        worker.parts.close()


def test_a_commit_that_a_full_store_refuses_changes_nothing(valkey: Valkey) -> None:
    store = RedisStore(valkey.url, SystemClock())
    version = store.commit({"kept": Write(b"1")})
    valkey.ask("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(StoreError) as refused:
        store.commit({"new": Write(b"2"), "kept": Write(None)})
    assert refused.value.readable
    assert store.versions(["kept", "new"]) == {"kept": version}
    # a lease can be given back all the same
    assert store.commit({"kept": Write(None)}, expect={"kept": version})
    store.close()


def test_a_copy_that_is_too_old_is_not_waited_for_long_when_the_store_hangs(
    make_worker: Callable[..., Worker],
    vendor: StubUpstream,
    valkey: Valkey,
    running: RunningClock,
) -> None:
    """Upstream and store hang together, and the copy is past STALE_WHILE_REVALIDATE."""
    worker = make_worker(valkey.url, cache_ttl=1, stale_while_revalidate=0)
    before = worker.all(FEEDS)
    hold = Hold(vendor, pages=(1,))
    time.sleep(1.2)
    valkey.pause()
    answers: list[object] = []
    thread = threading.Thread(target=lambda: answers.append(worker.all(FEEDS[:1])[FEEDS[0]]))
    thread.start()
    until(hold.reached)
    assert not answers, "a new copy is waited for, for up to four seconds"
    running.move(4)
    thread.join(1)
    assert answers == [before[FEEDS[0]]]
    hold.let_go()


def test_a_server_serves_through_the_death_of_its_store_from_start_to_end(
    vendor: StubUpstream, valkey: Valkey
) -> None:
    valkey.kill()
    with Machine(vendor.url, valkey.url, workers=2, CACHE_TTL="1") as machine:
        cold = herd([partial(machine.get, path) for path in FEEDS])
        assert {answer.status for answer in cold} == {200}
        valkey.start()
        warm = herd([partial(machine.get, path) for path in FEEDS * 4])
        assert {answer.status for answer in warm} == {200}
        valkey.kill()
        warm = herd([partial(machine.get, path) for path in FEEDS * 4])
        assert {answer.status for answer in warm} == {200}
        assert max(answer.seconds for answer in warm) < 2
        assert not [line for line in machine.log if "Traceback" in line]
