"""A registry of the requested filter sets, bounded in size."""

import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress

from cachetools import TTLCache

from bridge.clock import Clock
from bridge.errors import ParameterError
from bridge.snapshots.snapshot_key import SnapshotKey
from bridge.store.bounded_map import BoundedMap
from bridge.store.interface import Store, Write
from bridge.store.keys import Keys

RECENT = 48 * 3600.0
MAX_KEYS = 4096
_BUCKET_SIZE = 16
_RECORD_INTERVAL = 600.0
_TTL = 40 * 86400.0


class KeyRegistry:
    """Records requested filter sets in the store, each at most every ten minutes per worker.

    When there are more than :data:`MAX_KEYS`, the least used are evicted with their snapshots.
    """

    def __init__(self, store: Store, keys: Keys, clock: Clock) -> None:
        self._store = store
        self._keys = keys
        self._lock = threading.Lock()
        self._recorded: TTLCache[str, bool] = TTLCache(
            MAX_KEYS, _RECORD_INTERVAL, timer=clock.monotonic
        )
        self._map = BoundedMap(
            store,
            keys.registry,
            buckets=MAX_KEYS // _BUCKET_SIZE,
            size=_BUCKET_SIZE,
            ttl=_TTL,
            eviction_writes=self._snapshot_deletions,
        )

    def record(self, key: SnapshotKey, *, settled: bool = False, pinned: bool = False) -> None:
        """Record a request for *key*.

        Args:
            settled: the snapshot never has to be refreshed again.
            pinned: the snapshot keeps history, and the key is never evicted.
        """
        with self._lock:
            if key.text in self._recorded:
                return
            self._recorded[key.text] = True
        if pinned:
            self._store.commit({self._keys.pinned(key.text): Write(b"1", RECENT)})
        else:
            self._map.put(key.text, "settled" if settled else None, self._store.now())

    def recent(self, pinned: Sequence[SnapshotKey] = ()) -> list[SnapshotKey]:
        """The keys requested in the last 48 hours whose snapshots have to be refreshed.

        Args:
            pinned: the keys that may have been recorded as pinned.
        """
        since = self._store.now() - RECENT
        names = {self._keys.pinned(key.text): key for key in pinned}
        keys = [names[name] for name in self._store.versions(list(names))]
        for text, record in self._map.records().items():
            if record.seen >= since and record.data is None:
                # Another version of the program may have recorded a key that this one cannot read.
                with suppress(ParameterError):
                    keys.append(SnapshotKey.parse(text))
        return keys

    def contains(self, key: SnapshotKey) -> bool:
        """Whether *key* was requested before and is not evicted."""
        with self._lock:
            recorded = key.text in self._recorded
        return recorded or self._map.get(key.text) is not None

    def _snapshot_deletions(self, keys: list[str]) -> Mapping[str, Write]:
        return {self._keys.snapshot(key): Write(None) for key in keys}
