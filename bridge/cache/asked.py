"""What was asked for: the filter sets that have snapshots of their own, not too many of them."""

from collections.abc import Mapping

from cachetools import TTLCache

from bridge.cache.bounded import BoundedMap
from bridge.cache.keys import Keys
from bridge.cache.store import Store, Write
from bridge.clock import Clock

LATELY = 48 * 3600.0
MOST = 4096
_IN_A_BUCKET = 16
_NOTED_FOR = 600.0
_KEPT = 40 * 86400.0


class Asked:
    """Notes in the store which filter sets are asked for, at most every ten minutes a worker.

    Of more than :data:`MOST` the rarely used go first, and their snapshots with them.
    """

    def __init__(self, store: Store, keys: Keys, clock: Clock) -> None:
        self._store = store
        self._keys = keys
        # Two threads that both find a key missing both note it: no lock for that.
        self._noted: TTLCache[str, bool] = TTLCache(MOST, _NOTED_FOR, timer=clock.monotonic)
        self._map = BoundedMap(
            store,
            keys.asked,
            buckets=MOST // _IN_A_BUCKET,
            size=_IN_A_BUCKET,
            ttl=_KEPT,
            besides=self._without_snapshots,
        )

    def note(self, key: str, *, settled: bool = False, lasting: bool = False) -> None:
        """*key* is asked for now.

        Args:
            settled: it never has to be asked upstream again.
            lasting: it keeps history, and no other may take its place.
        """
        if key in self._noted:
            return
        self._noted[key] = True
        if lasting:
            self._store.commit({self._keys.lasting(key): Write(b"1", LATELY)})
        else:
            self._map.put(key, "settled" if settled else None, self._store.now())

    def lately(self) -> list[str]:
        """The keys that were asked for in the last 48 hours and may have changed since."""
        since = self._store.now() - LATELY
        prefix = self._keys.lasting()
        lasting = (name.removeprefix(prefix) for name in self._store.names(prefix))
        others = (
            key
            for key, record in self._map.records().items()
            if record.seen >= since and record.data is None
        )
        return [*lasting, *others]

    def known(self, key: str) -> bool:
        """Whether *key* was asked for before."""
        return key in self._noted or self._map.get(key) is not None

    def _without_snapshots(self, keys: list[str]) -> Mapping[str, Write]:
        return {self._keys.snapshot(key): Write(None) for key in keys}
