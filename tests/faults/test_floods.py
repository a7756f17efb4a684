"""Filter sets that somebody makes up by the thousand: bounded in all they cost, and hot stays hot.

Three thousand here; ``make flood`` runs a hundred thousand.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

import pytest
from fleet import NOW, TOKEN, Hold, Machine, RunningClock, Worker, get, herd, studio, until
from upstreams.stub import StubUpstream

from bridge.config import UpstreamPlan
from bridge.feeds.formats import FORMATS, ICS
from bridge.feeds.formats.base import Content
from bridge.services import Services
from bridge.store.interface import Store
from bridge.store.memory import MemoryStore

FLOOD = 3_000
HOT = "/venues/11.ics"
EXPIRED = 400.0
PER_MINUTE = 200
NEW_PER_MINUTE = PER_MINUTE // 4


@pytest.fixture
def vendor() -> Iterator[StubUpstream]:
    with studio(40, at=NOW) as server:
        yield server


@pytest.fixture
def running() -> RunningClock:
    return RunningClock()


@pytest.fixture
def store(running: RunningClock) -> MemoryStore:
    return MemoryStore(running)


@pytest.fixture
def make_worker(
    make_bridge: Callable[..., Services],
    vendor: StubUpstream,
    running: RunningClock,
    store: MemoryStore,
) -> Callable[..., Worker]:
    def make(**fields: Any) -> Worker:
        return Worker(
            make_bridge(store=store, at=running, base_url=vendor.url, token=TOKEN, **fields)
        )

    return make


def _made_up() -> Iterator[str]:
    """Addresses that are each a filter set of its own, and none of which makes any sense."""
    for number in range(FLOOD):
        yield (
            f"/venues/{10_000 + number}.ics",
            f"/sessions.txt?venues=11%2C{10_000 + number}",
            f"/instructors/104.json?past=0&future={number % 366}&venues=11%2C{number}",
            f"/sessions.ics?starts_at_gte=2026-11-20T00:{number // 60 % 60:02}:{number % 60:02}Z",
        )[number % 4]


def _kinds(store: Store) -> Counter[str]:
    """How many entries there are of each kind."""
    return Counter(name.split(":")[2] for name in store.names(""))


def test_what_is_cut_from_the_snapshot_at_hand_is_never_refused_and_costs_upstream_nothing(
    make_worker: Callable[..., Worker],
    vendor: StubUpstream,
    store: MemoryStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bridge.feeds.last_modified._BUCKETS", 8)
    rendered: Counter[str] = Counter()

    def counted(content: Content) -> bytes:
        rendered[content.spec.path()] += 1
        return ICS.render(content)

    monkeypatch.setitem(FORMATS, "ics", replace(ICS, render=counted))
    worker = make_worker(cache_max_bytes=300_000)
    hot = worker.served([HOT])
    once = rendered[HOT.removesuffix(".ics")]
    assert once == 1
    asked, before = len(vendor.requests), _kinds(store)
    for number, path in enumerate(_made_up()):
        assert worker.get(path).status_code == 200, path
        if number % 10 == 0:
            assert worker.served([HOT]) == hot
    assert len(vendor.requests) == asked
    after = _kinds(store)
    assert after["validators"] <= 8
    assert after - before - Counter({"validators": 8}) == Counter()
    assert rendered[HOT.removesuffix(".ics")] == once
    assert worker.parts.feeds._bodies.size <= 150_000


def test_made_up_filter_sets_do_not_wash_away_when_a_feed_changed(
    make_worker: Callable[..., Worker],
    running: RunningClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bridge.feeds.last_modified._BUCKETS", 8)
    worker = make_worker(cache_max_bytes=300_000)
    first = worker.served([HOT])
    # it comes back after a refresh: a feed that somebody reads
    running.move(EXPIRED)
    until(lambda: "stale" not in worker.get(HOT).headers["Cache-Status"])
    assert worker.served([HOT]) == first
    for path in islice(_made_up(), FLOOD // 8):
        worker.get(path)
    assert make_worker().served([HOT]) == first


def test_what_has_to_be_asked_upstream_is_admitted_within_a_share_of_the_budget(
    make_worker: Callable[..., Worker],
    vendor: StubUpstream,
    running: RunningClock,
    store: MemoryStore,
) -> None:
    worker = make_worker(plan=UpstreamPlan.NARROW, requests_per_minute=PER_MINUTE)
    hot = worker.served([HOT])
    # until the first is refused
    before = len(vendor.requests)
    statuses = Counter[int]()
    for number, path in enumerate(islice(_made_up(), FLOOD // 8)):
        response = worker.get(path)
        statuses[response.status_code] += 1
        if response.status_code == 429:
            assert 1 <= int(response.headers["Retry-After"]) <= 61
            assert response.headers["Cache-Control"] == "no-store"
        if number % 10 == 0:
            assert worker.served([HOT]) == hot
    assert set(statuses) == {200, 429}
    assert statuses[200] >= NEW_PER_MINUTE // 3
    assert len(vendor.requests) - before <= NEW_PER_MINUTE
    kinds = _kinds(store)
    assert kinds["snapshot"] <= 1 + NEW_PER_MINUTE
    assert kinds["asked"] <= 1 + NEW_PER_MINUTE
    assert kinds["lease"] == kinds["failure"] == 0
    # the flood goes on, and what is in use is refreshed all the same
    running.move(EXPIRED)
    flood = _made_up()
    for path in islice(flood, NEW_PER_MINUTE):
        worker.get(path)
    until(
        lambda: worker.get(next(flood)) and "stale" not in worker.get(HOT).headers["Cache-Status"]
    )


def test_a_burst_of_new_filter_sets_is_answered_and_does_not_hold_up_what_is_in_use(
    make_worker: Callable[..., Worker], running: RunningClock
) -> None:
    worker = make_worker(plan=UpstreamPlan.NARROW, requests_per_minute=PER_MINUTE)
    worker.served([HOT])
    running.move(EXPIRED)
    burst = list(islice(_made_up(), NEW_PER_MINUTE))
    answers: list[int] = []
    thread = threading.Thread(
        target=lambda: answers.extend(herd([partial(_status, worker, path) for path in burst]))
    )
    thread.start()
    time.sleep(0.8)
    try:
        until(
            lambda: "stale" not in worker.get(HOT).headers["Cache-Status"],
            seconds=4,
            why="walks that wait for their share of the budget hold up the others",
        )
    finally:
        thread.join()
    counts = Counter(answers)
    assert set(counts) <= {200, 429}, f"who is let in is answered: {counts}"
    assert counts[200] >= NEW_PER_MINUTE // 3


def test_first_renders_wait_for_each_other_and_known_feeds_do_not(
    make_worker: Callable[..., Worker], running: RunningClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = make_worker()
    worker.served([HOT])
    at_work, at_most = Counter[str](), Counter[str]()
    go_on = threading.Event()

    def slow(content: Content) -> bytes:
        kind = "known" if content.spec.path() == HOT.removesuffix(".ics") else "new"
        at_work[kind] += 1
        at_most[kind] = max(at_most[kind], at_work[kind])
        if kind == "new":
            go_on.wait(20)
        at_work[kind] -= 1
        return ICS.render(content)

    monkeypatch.setitem(FORMATS, "ics", replace(ICS, render=slow))
    running.move(EXPIRED)
    flood = [
        threading.Thread(target=worker.get, args=(f"/venues/{10_000 + n}.ics",)) for n in range(6)
    ]
    for thread in flood:
        thread.start()
    try:
        until(lambda: at_work["new"])
        # rendered anew, for its timetable is
        until(lambda: "stale" not in worker.get(HOT).headers["Cache-Status"])
        assert at_most["known"] == 1
    finally:
        go_on.set()
        for thread in flood:
            thread.join()
    assert at_most["new"] == 1


def _status(worker: Worker, path: str) -> int:
    return worker.get(path).status_code


def test_rarely_used_filter_sets_leave_the_store_first(
    make_worker: Callable[..., Worker],
    running: RunningClock,
    store: MemoryStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    most = 16
    monkeypatch.setattr("bridge.snapshots.key_registry.MAX_KEYS", most)
    worker = make_worker(plan=UpstreamPlan.NARROW, requests_per_minute=1_000_000)
    hot = worker.served([HOT])
    running.move(700)
    until(lambda: "stale" not in worker.get(HOT).headers["Cache-Status"])
    for path in islice(_made_up(), 8 * most):
        assert worker.get(path).status_code == 200
    kinds = _kinds(store)
    assert kinds["snapshot"] <= most
    assert kinds["asked"] <= most
    # one that starts now finds the hot one, and not a single question is new
    assert make_worker(plan=UpstreamPlan.NARROW, requests_per_minute=1).served([HOT]) == hot


def test_a_flood_that_waits_for_upstream_leaves_threads_for_feeds_that_are_in_use(
    tmp_path: Any,
) -> None:
    with (
        studio(40) as vendor,
        Machine(vendor.url, f"sqlite:///{tmp_path}/store.sqlite3") as machine,
    ):
        assert machine.get(HOT).status == 200
        hold = Hold(vendor, pages=(1,))
        flood = [
            threading.Thread(target=_ask_in_vain, args=(f"{machine.url}/courses/{number}.ics",))
            for number in range(1_000, 1_090)
        ]
        for thread in flood:
            thread.start()
        until(hold.reached)
        answers = [machine.get(HOT) for _ in range(30)]
        machine.kill()
        for thread in flood:
            thread.join()
        hold.let_go()
    assert {answer.status for answer in answers} == {200}
    assert sorted(answer.seconds for answer in answers)[-2] < 0.5


def _ask_in_vain(url: str) -> None:
    with suppress(OSError):
        get(url)
