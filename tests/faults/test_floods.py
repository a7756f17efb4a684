"""A flood of made-up filter sets: its cost is bounded, and feeds in use are not slowed down.

A thousand filter sets here, and three thousand with ``THOROUGH=1``; ``make flood`` sends a hundred
thousand.
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
from clocks import wait_until
from faults.fleet import (
    NOW,
    BlockedPages,
    Machine,
    RunningClock,
    Worker,
    get,
    run_concurrently,
    stub_upstream,
)
from thorough import THOROUGH
from upstreams.stub import StubUpstream

from bridge.config import UpstreamPlan
from bridge.feeds.formats import FORMATS, ICS
from bridge.feeds.formats.base import Content
from bridge.store.interface import Store
from bridge.store.memory import MemoryStore

FLOOD = 3_000 if THOROUGH else 1_000
SHORT_FLOOD = 375
HOT = "/venues/11.ics"
EXPIRED = 400.0
PER_MINUTE = 200
NEW_PER_MINUTE = PER_MINUTE // 4


@pytest.fixture
def teamup() -> Iterator[StubUpstream]:
    with stub_upstream(40, at=NOW) as server:
        yield server


def _made_up_paths() -> Iterator[str]:
    """Paths with a different, meaningless filter set each."""
    for number in range(FLOOD):
        yield (
            f"/venues/{10_000 + number}.ics",
            f"/sessions.txt?venues=11%2C{10_000 + number}",
            f"/instructors/104.json?past=0&future={number % 366}&venues=11%2C{number}",
            f"/sessions.ics?starts_at_gte=2026-11-20T00:{number // 60 % 60:02}:{number % 60:02}Z",
        )[number % 4]


def _entries_by_kind(store: Store) -> Counter[str]:
    """Number of store entries of each kind."""
    return Counter(name.split(":")[2] for name in store.names(""))


def test_filter_sets_covered_by_a_snapshot_are_never_refused_and_need_no_request(
    make_worker: Callable[..., Worker],
    teamup: StubUpstream,
    store: MemoryStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bridge.feeds.last_modified._BUCKETS", 8)
    rendered: Counter[str] = Counter()

    def render(content: Content) -> bytes:
        rendered[content.spec.path()] += 1
        return ICS.render(content)

    monkeypatch.setitem(FORMATS, "ics", replace(ICS, render=render))
    worker = make_worker(cache_max_bytes=300_000)
    hot = worker.fetch_ok([HOT])
    assert rendered[HOT.removesuffix(".ics")] == 1
    requests, before = len(teamup.requests), _entries_by_kind(store)
    for number, path in enumerate(_made_up_paths()):
        assert worker.get(path).status_code == 200, path
        if number % 10 == 0:
            assert worker.fetch_ok([HOT]) == hot
    assert len(teamup.requests) == requests
    after = _entries_by_kind(store)
    assert after["validators"] <= 8
    assert after - before - Counter({"validators": 8}) == Counter()
    assert rendered[HOT.removesuffix(".ics")] == 1
    assert worker.parts.feeds._bodies.size <= 150_000


def test_made_up_filter_sets_do_not_evict_the_last_modified_of_a_feed_in_use(
    make_worker: Callable[..., Worker],
    running_clock: RunningClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bridge.feeds.last_modified._BUCKETS", 8)
    worker = make_worker(cache_max_bytes=300_000)
    first = worker.fetch_ok([HOT])
    # A feed that is requested again after a refresh counts as in use.
    running_clock.move(EXPIRED)
    wait_until(lambda: "stale" not in worker.get(HOT).headers["Cache-Status"])
    assert worker.fetch_ok([HOT]) == first
    for path in islice(_made_up_paths(), SHORT_FLOOD):
        worker.get(path)
    assert make_worker().fetch_ok([HOT]) == first


def test_filter_sets_that_need_upstream_get_only_a_share_of_the_budget(
    make_worker: Callable[..., Worker],
    teamup: StubUpstream,
    running_clock: RunningClock,
    store: MemoryStore,
) -> None:
    worker = make_worker(plan=UpstreamPlan.NARROW, requests_per_minute=PER_MINUTE)
    hot = worker.fetch_ok([HOT])
    # Until a request is refused.
    before = len(teamup.requests)
    statuses = Counter[int]()
    for number, path in enumerate(islice(_made_up_paths(), SHORT_FLOOD)):
        response = worker.get(path)
        statuses[response.status_code] += 1
        if response.status_code == 429:
            assert 1 <= int(response.headers["Retry-After"]) <= 61
            assert response.headers["Cache-Control"] == "no-store"
        if number % 10 == 0:
            assert worker.fetch_ok([HOT]) == hot
    assert set(statuses) == {200, 429}
    assert statuses[200] >= NEW_PER_MINUTE // 3
    assert len(teamup.requests) - before <= NEW_PER_MINUTE
    kinds = _entries_by_kind(store)
    assert kinds["snapshot"] <= 1 + NEW_PER_MINUTE
    assert kinds["asked"] <= 1 + NEW_PER_MINUTE
    assert kinds["lease"] == kinds["failure"] == 0
    # The feed in use is refreshed although the flood continues.
    running_clock.move(EXPIRED)
    flood = _made_up_paths()
    for path in islice(flood, NEW_PER_MINUTE):
        worker.get(path)
    wait_until(
        lambda: worker.get(next(flood)) and "stale" not in worker.get(HOT).headers["Cache-Status"]
    )


def test_a_burst_of_new_filter_sets_does_not_delay_feeds_in_use(
    make_worker: Callable[..., Worker], running_clock: RunningClock
) -> None:
    worker = make_worker(plan=UpstreamPlan.NARROW, requests_per_minute=PER_MINUTE)
    worker.fetch_ok([HOT])
    running_clock.move(EXPIRED)
    burst = list(islice(_made_up_paths(), NEW_PER_MINUTE))
    responses: list[int] = []
    thread = threading.Thread(
        target=lambda: responses.extend(
            run_concurrently([partial(_status, worker, path) for path in burst])
        )
    )
    thread.start()
    time.sleep(0.8)
    try:
        wait_until(
            lambda: "stale" not in worker.get(HOT).headers["Cache-Status"],
            seconds=4,
            why="walks that wait for the budget block the refresh of feeds in use",
        )
    finally:
        thread.join()
    counts = Counter(responses)
    assert set(counts) <= {200, 429}, f"admitted requests are answered: {counts}"
    assert counts[200] >= NEW_PER_MINUTE // 3


def test_first_renders_are_serialised_and_do_not_block_known_feeds(
    make_worker: Callable[..., Worker], running_clock: RunningClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = make_worker()
    worker.fetch_ok([HOT])
    rendering, peak = Counter[str](), Counter[str]()
    release = threading.Event()

    def slow_render(content: Content) -> bytes:
        kind = "known" if content.spec.path() == HOT.removesuffix(".ics") else "new"
        rendering[kind] += 1
        peak[kind] = max(peak[kind], rendering[kind])
        if kind == "new":
            release.wait(20)
        rendering[kind] -= 1
        return ICS.render(content)

    monkeypatch.setitem(FORMATS, "ics", replace(ICS, render=slow_render))
    running_clock.move(EXPIRED)
    flood = [
        threading.Thread(target=worker.get, args=(f"/venues/{10_000 + n}.ics",)) for n in range(6)
    ]
    for thread in flood:
        thread.start()
    try:
        wait_until(lambda: rendering["new"])
        # Rendered again, since its timetable was refreshed.
        wait_until(lambda: "stale" not in worker.get(HOT).headers["Cache-Status"])
        assert peak["known"] == 1
    finally:
        release.set()
        for thread in flood:
            thread.join()
    assert peak["new"] == 1


def _status(worker: Worker, path: str) -> int:
    return worker.get(path).status_code


def test_rarely_used_filter_sets_are_evicted_first(
    make_worker: Callable[..., Worker],
    running_clock: RunningClock,
    store: MemoryStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    max_keys = 16
    monkeypatch.setattr("bridge.snapshots.key_registry.MAX_KEYS", max_keys)
    worker = make_worker(plan=UpstreamPlan.NARROW, requests_per_minute=1_000_000)
    hot = worker.fetch_ok([HOT])
    running_clock.move(700)
    wait_until(lambda: "stale" not in worker.get(HOT).headers["Cache-Status"])
    for path in islice(_made_up_paths(), 8 * max_keys):
        assert worker.get(path).status_code == 200
    kinds = _entries_by_kind(store)
    assert kinds["snapshot"] <= max_keys
    assert kinds["asked"] <= max_keys
    # A new worker finds the feed in use in the store and needs no upstream request.
    assert make_worker(plan=UpstreamPlan.NARROW, requests_per_minute=1).fetch_ok([HOT]) == hot


def test_a_flood_waiting_for_upstream_leaves_threads_for_feeds_in_use(
    tmp_path: Any,
) -> None:
    with (
        stub_upstream(40) as teamup,
        Machine(teamup.url, f"sqlite:///{tmp_path}/store.sqlite3") as machine,
    ):
        assert machine.get(HOT).status == 200
        blocked = BlockedPages(teamup, pages=(1,))
        flood = [
            threading.Thread(
                target=_request_ignoring_errors,
                args=(f"{machine.url}/venues/{number}.ics?starts_at_gte=2019-01-01",),
            )
            for number in range(1_000, 1_090)
        ]
        for thread in flood:
            thread.start()
        wait_until(blocked.reached)
        responses = [machine.get(HOT) for _ in range(30)]
        machine.kill()
        for thread in flood:
            thread.join()
        blocked.release()
    assert {answer.status for answer in responses} == {200}
    assert sorted(answer.seconds for answer in responses)[-2] < 0.5


def _request_ignoring_errors(url: str) -> None:
    with suppress(OSError):
        get(url)
