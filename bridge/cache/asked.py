"""What was asked for lately: the filter sets that are worth refreshing ahead."""

from cachetools import TTLCache

from bridge.cache.keys import Keys
from bridge.cache.store import Store, Write
from bridge.clock import Clock

LATELY = 48 * 3600.0
_NOTED_FOR = 600.0
_MOST = 10_000


class Asked:
    """Notes in the store who was asked for, at most once in ten minutes a worker and key."""

    def __init__(self, store: Store, keys: Keys, clock: Clock) -> None:
        self._store = store
        self._keys = keys
        self._noted: TTLCache[str, bool] = TTLCache(_MOST, _NOTED_FOR, timer=clock.monotonic)

    def note(self, key: str) -> None:
        """*key* is asked for now."""
        # Two threads that both find it missing both write the same: no lock for that.
        if key not in self._noted:
            self._noted[key] = True
            self._store.commit({self._keys.asked(key): Write(b"1", LATELY)})

    def lately(self) -> list[str]:
        """The keys that were asked for in the last 48 hours."""
        prefix = self._keys.asked()
        return [name.removeprefix(prefix) for name in self._store.names(prefix)]
