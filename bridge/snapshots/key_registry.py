"""A registry of the filter sets that are requested, bounded in size."""

from collections.abc import Mapping, Sequence

from cachetools import TTLCache

from bridge.clock import Clock
from bridge.store.bounded_map import BoundedMap
from bridge.store.interface import Store, Write
from bridge.store.keys import Keys

RECENT = 48 * 3600.0
MAX_KEYS = 4096
_BUCKET_SIZE = 16
_NOTE_INTERVAL = 600.0
_TTL = 40 * 86400.0


class KeyRegistry:
    """Records in the store which filter sets are requested, at most every ten minutes a worker.

    Beyond :data:`MAX_KEYS` the least used are evicted, together with their snapshots.
    """

    def __init__(self, store: Store, keys: Keys, clock: Clock) -> None:
        self._store = store
        self._keys = keys
        # Two threads may note the same key twice, which is harmless: no lock.
        self._noted: TTLCache[str, bool] = TTLCache(MAX_KEYS, _NOTE_INTERVAL, timer=clock.monotonic)
        self._map = BoundedMap(
            store,
            keys.registry,
            buckets=MAX_KEYS // _BUCKET_SIZE,
            size=_BUCKET_SIZE,
            ttl=_TTL,
            besides=self._without_snapshots,
        )

    def note(self, key: str, *, settled: bool = False, pinned: bool = False) -> None:
        """Record that *key* is requested now.

        Args:
            settled: its snapshot never has to be refreshed again.
            pinned: it keeps history, and is never evicted.
        """
        if key in self._noted:
            return
        self._noted[key] = True
        if pinned:
            self._store.commit({self._keys.pinned(key): Write(b"1", RECENT)})
        else:
            self._map.put(key, "settled" if settled else None, self._store.now())

    def recent(self, pinned: Sequence[str]) -> list[str]:
        """The keys requested in the last 48 hours whose snapshots are to be refreshed.

        Args:
            pinned: the keys that may have been noted as pinned.
        """
        since = self._store.now() - RECENT
        names = {self._keys.pinned(key): key for key in pinned}
        others = (
            key
            for key, record in self._map.records().items()
            if record.seen >= since and record.data is None
        )
        return [*(names[name] for name in self._store.versions(list(names))), *others]

    def known(self, key: str) -> bool:
        """Whether *key* was requested before."""
        return key in self._noted or self._map.get(key) is not None

    def _without_snapshots(self, keys: list[str]) -> Mapping[str, Write]:
        return {self._keys.snapshot(key): Write(None) for key in keys}
