"""This worker's LRU cache of decoded snapshots, in front of the shared store."""

import threading
from dataclasses import dataclass, replace

import structlog
from cachetools import LRUCache

from bridge.clock import Clock
from bridge.model import SourceName
from bridge.snapshots.encoding import decode
from bridge.snapshots.freshness import MAX_CLOCK_SKEW
from bridge.snapshots.merge import with_detached
from bridge.snapshots.snapshot import Snapshot
from bridge.store.interface import Entry, Store
from bridge.store.keys import Keys

log = structlog.get_logger()

_CHECK_INTERVAL = 1.0
# A session takes one to two kilobytes. Invented requests for times that no snapshot covers can
# fill the cache.
_MAX_SESSIONS = 40_000
# A larger snapshot counts as one of this size: decoding it at every request is worse than caching
# it. The widest snapshots of all sources together fill at most half of the cache.
_MAX_SIZE = _MAX_SESSIONS // (2 * len(SourceName))


@dataclass(frozen=True, slots=True)
class LocalEntry:
    """A snapshot in this worker's memory.

    Attributes:
        version: the snapshot's version, which differs for every publication.
        stored_version: the version that the store had at the last check; the store may contain an
            older snapshot than this one.
        checked_at: when the store was last checked, on the monotonic clock.
        detached: no stored snapshot has gone into it, because there was none when the worker
            published for the first time, or the store could not be read.
    """

    snapshot: Snapshot
    version: str
    stored_version: str
    checked_at: float
    detached: bool = False


class LocalCache:
    """Caches snapshots by key; the least recently used are evicted first.

    Attributes:
        generation: how often the cached version of a key has changed.
    """

    def __init__(self, store: Store, keys: Keys, clock: Clock) -> None:
        self.generation = 0
        self._store = store
        self._keys = keys
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: LRUCache[str, LocalEntry] = LRUCache(_MAX_SESSIONS, getsizeof=_size)

    def get(self, key: str) -> LocalEntry | None:
        """The cached entry; does not access the store."""
        with self._lock:
            return self._entries.get(key)

    def put(
        self, key: str, snapshot: Snapshot, version: str, *, previous: LocalEntry | None
    ) -> None:
        """Cache a snapshot that this worker has just published.

        Args:
            previous: what the walk was merged with.
        """
        cached = self.get(key)
        if cached is not None:
            snapshot = snapshot.sharing_with(cached.snapshot)
        detached = previous is None or previous.detached
        now = self._clock.monotonic()
        with self._lock:
            self._set(key, LocalEntry(snapshot, version, version, now, detached))

    def revalidate_if_due(self, key: str) -> LocalEntry | None:
        """The newest entry; checks the store at most once a second."""
        cached = self.get(key)
        if cached and 0 <= self._clock.monotonic() - cached.checked_at < _CHECK_INTERVAL:
            return cached
        return self.revalidate(key)

    def revalidate(self, key: str) -> LocalEntry | None:
        """Check the store, and cache and return the newer snapshot of the two.

        After an outage or a loss of data the store has an older snapshot or none. The cached one
        then stays until the next publication. If the cached one is detached, it is joined with the
        stored one, whose sessions and history it lacks.
        """
        while True:
            cached = self.get(key)
            checked = self._check(key, cached)
            if checked is None:
                return None
            with self._lock:
                current = self._entries.get(key)
                if current is None or (cached and cached.version == current.version):
                    self._set(key, checked)
                    return checked
            # Another thread has cached another snapshot in the meantime.

    def _check(self, key: str, cached: LocalEntry | None) -> LocalEntry | None:
        now = self._clock.monotonic()
        name = self._keys.snapshot(key)
        version = self._store.versions([name]).get(name)
        if cached is not None and version in (cached.stored_version, None):
            return replace(cached, checked_at=now)
        if version is None:
            return None
        entry = self._store.read([name]).get(name)
        stored = _decoded(entry)
        if stored is None or entry is None:
            return cached and replace(cached, stored_version=version, checked_at=now)
        if cached is None:
            return LocalEntry(stored, entry.version, entry.version, now)
        version = entry.version
        if not self._is_newer(stored, cached):
            if not cached.detached:
                return replace(cached, stored_version=entry.version, checked_at=now)
            stored = with_detached(stored, cached.snapshot)
            version = f"{entry.version}+{cached.version}"
        return LocalEntry(stored.sharing_with(cached.snapshot), version, entry.version, now)

    def _is_newer(self, stored: Snapshot, cached: LocalEntry) -> bool:
        if stored.oldest_walk_at >= cached.snapshot.oldest_walk_at:
            return True
        # The cached snapshot was walked by a clock that was ahead and has been corrected since.
        return cached.snapshot.oldest_walk_at > self._store.now() + MAX_CLOCK_SKEW

    def _set(self, key: str, entry: LocalEntry) -> None:
        before = self._entries.get(key)
        self._entries[key] = entry
        if before is None or before.version != entry.version:
            self.generation += 1


def _size(entry: LocalEntry) -> int:
    return min(_MAX_SIZE, len(entry.snapshot.published) + 1)


def _decoded(entry: Entry | None) -> Snapshot | None:
    try:
        return decode(entry.value) if entry else None
    except ValueError as err:
        log.warning("unreadable snapshot ignored", why=str(err))
        return None
