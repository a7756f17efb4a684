"""The local cache: which snapshots stay, and what concurrent changes leave in it."""

from collections.abc import Callable, Sequence

import pytest
from clocks import ManualClock
from walking import AT, KEYS, session, sessions

from bridge.model import Published, Revision
from bridge.snapshots.encoding import encode
from bridge.snapshots.local_cache import LocalCache
from bridge.snapshots.snapshot import Snapshot
from bridge.store.interface import Write
from bridge.store.memory import MemoryStore

NEVER_CHANGED = Revision(AT, 1, AT, AT, AT, AT, AT)


def snapshot(count: int = 1, walked: float = AT) -> Snapshot:
    published = tuple(Published(item, NEVER_CHANGED) for item in sessions(count))
    return Snapshot(walked, AT, published, {})


class InterruptedStore(MemoryStore):
    """Calls a function, once, while versions are being read."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.meanwhile: Callable[[], None] | None = None

    def versions(self, keys: Sequence[str]) -> dict[str, str]:
        versions = super().versions(keys)
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return versions


@pytest.fixture
def store(clock: ManualClock) -> InterruptedStore:
    return InterruptedStore(clock)


@pytest.fixture
def cache(store: InterruptedStore, clock: ManualClock) -> LocalCache:
    return LocalCache(store, KEYS, clock)


def publish(cache: LocalCache, store: MemoryStore, value: Snapshot) -> str:
    """Store and cache a snapshot; its version."""
    version = store.commit({KEYS.snapshot("key"): Write(encode(value))})
    assert version is not None
    cache.put("key", value, version, previous=cache.get("key"))
    return version


def test_a_snapshot_published_during_a_check_of_the_store_stays(
    cache: LocalCache, store: InterruptedStore
) -> None:
    first = publish(cache, store, snapshot())
    newer: list[str] = []
    store.meanwhile = lambda: newer.append(publish(cache, store, snapshot(2, AT + 300)))
    checked = cache.revalidate("key")
    assert checked is not None
    assert [checked.version] == newer != [first]
    assert cache.get("key") == checked


def test_the_widest_snapshots_of_large_timetables_stay_together(cache: LocalCache) -> None:
    wide = snapshot(39_000)
    for key in ("one list", "other list"):
        cache.put(key, wide, key, previous=None)
    for number in range(100):
        for key in ("one list", "other list"):
            assert cache.get(key) is not None
        cache.put(f"own {number}", snapshot(900), "1", previous=None)
    assert cache.get("own 0") is None, "the memory is bounded"


def test_equal_sessions_of_two_versions_are_one_object(
    cache: LocalCache, store: InterruptedStore
) -> None:
    publish(cache, store, snapshot(2))
    first = cache.get("key")
    publish(cache, store, snapshot(2, AT + 300))
    second = cache.get("key")
    assert first is not None
    assert second is not None
    assert first.snapshot.published[0].session == session(1)
    assert second.snapshot.published[0] is first.snapshot.published[0]
