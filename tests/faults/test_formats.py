"""Unreadable store entries, of another version or corrupt: a cache miss, not a crash."""

import json
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from clocks import wait_until
from faults.fleet import NOW, RunningClock, Worker, store_keys, stub_upstream
from thorough import THOROUGH
from upstreams.stub import StubUpstream
from upstreams.tested_list import TESTED_LIST, WIDE_KEY

from bridge.config import UpstreamPlan
from bridge.store.interface import Store, Write
from bridge.store.memory import MemoryStore

FEEDS = ("/sessions.ics", "/courses/201.json")
EXPIRED = 400.0
DEEP = b"[" * 200_000

READ_KINDS = ("snapshot", "session", "failure", "budget", "learnt", "asked", "validators")
UNPARSED_KINDS = ("lease", "alert", "revoked")
GARBAGE = {
    "bytes": b"\x80\x04\x95\xff pickled, perhaps",
    "null": b"null",
    "another object": b'{"version": 0, "rows": [[1, 2], "three"], "k": ["x", 1e400, 1]}',
    "nested": DEEP,
}
COMPRESSED = {
    "zipped null": zlib.compress(b"null"),
    "zipped object": zlib.compress(b'{"walked": "long ago"}'),
    "zipped nesting": zlib.compress(DEEP),
}
CASES = [
    *(
        (kind, GARBAGE[name], name)
        for number, kind in enumerate(READ_KINDS)
        for place, name in enumerate(GARBAGE)
        # Each form of garbage for snapshots; two forms for each other kind.
        if THOROUGH or kind == "snapshot" or (number + place) % 2
    ),
    *((kind, GARBAGE["bytes"], "bytes") for kind in UNPARSED_KINDS),
    *(("snapshot", COMPRESSED[name], name) for name in COMPRESSED),
]


@pytest.fixture
def teamup() -> Iterator[StubUpstream]:
    with stub_upstream(20, at=NOW) as server:
        yield server


def _overwrite(store: Store, teamup: StubUpstream, kind: str, value: bytes) -> None:
    """Replace every entry of *kind* by *value*; also write those that do not exist yet."""
    keys = store_keys(teamup)
    named = {
        "snapshot": [keys.snapshot(WIDE_KEY)],
        "session": [keys.session(TESTED_LIST.object, 10_001)],
        "failure": [keys.failure(), keys.failure(WIDE_KEY)],
        "lease": [],
        "budget": [keys.budget],
        "learnt": [keys.hint(f"fields of {TESTED_LIST.value}")],
        "asked": [keys.registry(bucket) for bucket in range(256)],
        "alert": [keys.alert(f"held {WIDE_KEY}")],
        "validators": [keys.last_modified(bucket) for bucket in range(4096)],
        "revoked": [keys.revoked("an-id")],
    }[kind]
    existing = [name for name in store.names("") if name.split(":")[2] == kind]
    store.commit({name: Write(value, 3_600) for name in {*named, *existing}})


@pytest.mark.parametrize(
    ("kind", "garbage"),
    [pytest.param(kind, value, id=f"{kind}: {name}") for kind, value, name in CASES],
)
def test_garbage_in_the_store_is_a_miss(
    kind: str,
    garbage: bytes,
    make_worker: Callable[..., Worker],
    teamup: StubUpstream,
    running_clock: RunningClock,
) -> None:
    worker = make_worker()
    store = worker.parts.store
    worker.fetch_ok(FEEDS)
    _overwrite(store, teamup, kind, garbage)
    # A warm worker, a new one, and both after expiry treat the entries as missing.
    worker.fetch_ok(FEEDS)
    new_worker = make_worker()
    new_worker.fetch_ok(FEEDS)
    _overwrite(store, teamup, kind, garbage)
    running_clock.move(EXPIRED)
    for each in (worker, new_worker):
        each.fetch_ok(FEEDS)
        wait_until(
            lambda each=each: "hit; ttl=" in _state(each) and "stale" not in _state(each), seconds=4
        )
    # The unreadable entries have been replaced: the next worker needs no upstream request.
    requests = len(teamup.requests)
    make_worker().fetch_ok(FEEDS[:1])
    assert len(teamup.requests) == requests


def _state(worker: Worker) -> str:
    return worker.get(FEEDS[0]).headers["Cache-Status"]


def test_a_failure_is_stored_over_garbage(
    make_worker: Callable[..., Worker],
    teamup: StubUpstream,
    running_clock: RunningClock,
    store: MemoryStore,
) -> None:
    worker = make_worker()
    before = worker.fetch_ok(FEEDS)
    _overwrite(store, teamup, "failure", GARBAGE["another object"])
    teamup.stop()
    running_clock.move(EXPIRED)
    assert worker.fetch_ok(FEEDS) == before
    wait_until(lambda: "detail=failed" in _state(worker))
    assert worker.fetch_ok(FEEDS) == before


def test_a_snapshot_of_another_format_is_ignored(
    make_worker: Callable[..., Worker],
    teamup: StubUpstream,
    store: MemoryStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("bridge.store.keys.FORMAT", "0")
        older = make_worker()
        older.fetch_ok(FEEDS[:1])
    names = set(store.names(""))
    assert names
    assert all(":0:" in name for name in names)
    values = store.read(list(names))
    requests = len(teamup.requests)
    make_worker().fetch_ok(FEEDS[:1])
    assert len(teamup.requests) > requests
    # Entries of the older version, which may still be running, are not changed.
    assert store.read(list(names)) == values


def test_a_snapshot_with_an_invalid_row_is_a_miss(
    make_worker: Callable[..., Worker], teamup: StubUpstream, store: MemoryStore
) -> None:
    make_worker().fetch_ok(FEEDS[:1])
    name = store_keys(teamup).snapshot(WIDE_KEY)
    good = json.loads(zlib.decompress(store.read([name])[name].value))
    first = good["rows"][0]
    invalid: list[dict[str, Any]] = [
        {**good, "rows": [[*first, "extra"]]},
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
    for data in invalid:
        store.commit({name: Write(zlib.compress(json.dumps(data).encode()))})
        make_worker().fetch_ok(FEEDS[:1])


def test_refresh_ahead_skips_unreadable_keys(
    make_worker: Callable[..., Worker],
    teamup: StubUpstream,
    running_clock: RunningClock,
    store: MemoryStore,
) -> None:
    worker = make_worker(plan=UpstreamPlan.NARROW)
    worker.fetch_ok(FEEDS[:1])
    name = next(name for name in store.names("") if ":asked:" in name)
    rows = json.loads(store.read([name])[name].value)
    record = next(iter(rows.values()))
    for key in ("nonsense=1", "venues=x", "past=1&past=2", "starts_at_gte=2026-13-45", "%ff"):
        rows = {key: record, **rows}
    store.commit({name: Write(json.dumps(rows).encode())})
    running_clock.move(4_000)
    requests = len(teamup.requests)
    worker.parts.prefetcher.tick()
    wait_until(lambda: len(teamup.requests) > requests, why="the readable key was not refreshed")
