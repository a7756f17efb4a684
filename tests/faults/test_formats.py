"""What another version of the program wrote, or nobody in his right mind: a miss, and no crash."""

import json
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fleet import NOW, TOKEN, RunningClock, Worker, keys_of, studio, until
from upstreams.stub import StubUpstream

from bridge.config import UpstreamPlan
from bridge.filters import FilterSet
from bridge.services import Services
from bridge.store.interface import Store, Write
from bridge.store.memory import MemoryStore

FEEDS = ("/sessions.ics", "/courses/201.json")
EXPIRED = 400.0
WIDE = FilterSet(past=30).key
DEEP = b"[" * 200_000

READ = ("snapshot", "session", "failure", "budget", "learnt", "asked", "validators")
MERELY_THERE = ("lease", "alert", "revoked")
GARBAGE = {
    "bytes": b"\x80\x04\x95\xff pickled, perhaps",
    "null": b"null",
    "another object": b'{"version": 0, "rows": [[1, 2], "three"], "k": ["x", 1e400, 1]}',
    "nested": DEEP,
}
ZIPPED = {
    "zipped null": zlib.compress(b"null"),
    "zipped object": zlib.compress(b'{"walked": "long ago"}'),
    "zipped nesting": zlib.compress(DEEP),
}
CASES = [
    *((kind, GARBAGE[name], name) for kind in READ for name in GARBAGE),
    *((kind, GARBAGE["bytes"], "bytes") for kind in MERELY_THERE),
    *(("snapshot", ZIPPED[name], name) for name in ZIPPED),
]


@pytest.fixture
def vendor() -> Iterator[StubUpstream]:
    with studio(20, at=NOW) as server:
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


def _spoil(store: Store, vendor: StubUpstream, kind: str, value: bytes) -> None:
    """Write *value* over every entry of *kind*, and where there is none, over one of each."""
    keys = keys_of(vendor)
    named = {
        "snapshot": [keys.snapshot(WIDE)],
        "session": [keys.session("course_session", 10_001)],
        "failure": [keys.failure(), keys.failure(WIDE)],
        "lease": [],
        "budget": [keys.budget],
        "learnt": [keys.hint("fields")],
        "asked": [keys.registry(bucket) for bucket in range(256)],
        "alert": [keys.alert(f"held {WIDE}")],
        "validators": [keys.last_modified(bucket) for bucket in range(4096)],
        "revoked": [keys.revoked("an-id")],
    }[kind]
    there = [name for name in store.names("") if name.split(":")[2] == kind]
    store.commit({name: Write(value, 3_600) for name in {*named, *there}})


@pytest.mark.parametrize(
    ("kind", "garbage"),
    [pytest.param(kind, value, id=f"{kind}: {name}") for kind, value, name in CASES],
)
def test_garbage_in_the_store_is_a_miss(
    kind: str,
    garbage: bytes,
    make_worker: Callable[..., Worker],
    vendor: StubUpstream,
    running: RunningClock,
) -> None:
    worker = make_worker()
    store = worker.parts.store
    worker.served(FEEDS)
    _spoil(store, vendor, kind, garbage)
    # warm, then started anew, then past the lifetime: all of it as if nothing were there
    worker.served(FEEDS)
    newcomer = make_worker()
    newcomer.served(FEEDS)
    _spoil(store, vendor, kind, garbage)
    running.move(EXPIRED)
    for one in (worker, newcomer):
        one.served(FEEDS)
        until(lambda one=one: "hit; ttl=" in _state(one) and "stale" not in _state(one), seconds=4)
    # what was in the way has been written over: whoever starts now has a good store
    asked = len(vendor.requests)
    make_worker().served(FEEDS[:1])
    assert len(vendor.requests) == asked


def _state(worker: Worker) -> str:
    return worker.get(FEEDS[0]).headers["Cache-Status"]


def test_a_failure_is_remembered_over_garbage(
    make_worker: Callable[..., Worker],
    vendor: StubUpstream,
    running: RunningClock,
    store: MemoryStore,
) -> None:
    worker = make_worker()
    before = worker.served(FEEDS)
    _spoil(store, vendor, "failure", GARBAGE["another object"])
    vendor.stop()
    running.move(EXPIRED)
    assert worker.served(FEEDS) == before
    until(lambda: "detail=failed" in _state(worker))
    assert worker.served(FEEDS) == before


def test_a_snapshot_of_another_format_is_not_seen(
    make_worker: Callable[..., Worker],
    vendor: StubUpstream,
    store: MemoryStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("bridge.store.keys.FORMAT", "0")
        older = make_worker()
        older.served(FEEDS[:1])
    there = set(store.names(""))
    assert there
    assert all(":0:" in name for name in there)
    values = store.read(list(there))
    asked = len(vendor.requests)
    make_worker().served(FEEDS[:1])
    assert len(vendor.requests) > asked
    # what belongs to the older one, which may be running still, is left alone
    assert store.read(list(there)) == values


def test_a_snapshot_row_of_another_shape_is_a_miss(
    make_worker: Callable[..., Worker], vendor: StubUpstream, store: MemoryStore
) -> None:
    make_worker().served(FEEDS[:1])
    name = keys_of(vendor).snapshot(WIDE)
    good = json.loads(zlib.decompress(store.read([name])[name].value))
    first = good["rows"][0]
    strange: list[dict[str, Any]] = [
        {**good, "rows": [[*first, "one more"]]},
        {**good, "rows": [first[:-1]]},
        {**good, "rows": [[*first[:3], 10**20, *first[4:]]]},
        {**good, "rows": [[*first[:3], float("nan"), *first[4:]]]},
        {**good, "rows": [[*first[:8], 10**6, *first[9:]]]},
        {**good, "rows": [[*first[:8], "0", *first[9:]]]},
        {**good, "walked": 10**400},
        {**good, "walked": float("nan")},
        {**good, "parts": [["studio", 1]]},
        {**good, "parts": {"venue": []}},
        {**good, "parts": [[["venue"], 1]]},
        {**good, "covers_from": []},
        {**good, "tally": 5},
    ]
    for data in strange:
        store.commit({name: Write(zlib.compress(json.dumps(data).encode()))})
        make_worker().served(FEEDS[:1])


def test_refresh_ahead_passes_over_what_it_cannot_read(
    make_worker: Callable[..., Worker],
    vendor: StubUpstream,
    running: RunningClock,
    store: MemoryStore,
) -> None:
    worker = make_worker(plan=UpstreamPlan.NARROW)
    worker.served(FEEDS[:1])
    name = next(name for name in store.names("") if ":asked:" in name)
    rows = json.loads(store.read([name])[name].value)
    record = next(iter(rows.values()))
    for key in ("nonsense=1", "venues=x", "past=1&past=2", "starts_at_gte=2026-13-45", "%ff"):
        rows = {key: record, **rows}
    store.commit({name: Write(json.dumps(rows).encode())})
    running.move(4_000)
    asked = len(vendor.requests)
    worker.parts.prefetcher.tick()
    until(lambda: len(vendor.requests) > asked, why="what can be read was not refreshed")
