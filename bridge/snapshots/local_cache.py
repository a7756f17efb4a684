"""The shelf: the snapshots that this worker has decoded, in front of the shared store."""

import threading
from dataclasses import dataclass, replace

import structlog
from cachetools import LRUCache

from bridge.clock import Clock
from bridge.snapshots.snapshot import Snapshot, decode
from bridge.store.interface import Entry, Store
from bridge.store.keys import Keys

log = structlog.get_logger()

_LOOK_AGAIN = 1.0
_AHEAD = 5.0
# At one to two kilobytes each. Made-up questions about a time that no copy covers fill it.
_MAX_SESSIONS = 40_000


@dataclass(frozen=True, slots=True)
class LocalEntry:
    """A snapshot in this worker.

    Attributes:
        version: its own; differs for every publication.
        stored: the version that the store had when it was last looked at; the snapshot there may
            be an older one.
        looked: when that was, on the monotonic clock.
    """

    snapshot: Snapshot
    version: str
    stored: str
    looked: float


class LocalCache:
    """Holds snapshots by key; the least recently used go first.

    Attributes:
        changes: how often there came another than was held.
    """

    def __init__(self, store: Store, keys: Keys, clock: Clock) -> None:
        self.changes = 0
        self._store = store
        self._keys = keys
        self._clock = clock
        self._lock = threading.Lock()
        self._held: LRUCache[str, LocalEntry] = LRUCache(_MAX_SESSIONS, getsizeof=_size)

    def get(self, key: str) -> LocalEntry | None:
        """What is here; the store is not asked."""
        with self._lock:
            return self._held.get(key)

    def put(self, key: str, snapshot: Snapshot, version: str) -> None:
        """Hold what this worker just published."""
        held = self.get(key)
        if held is not None:
            snapshot = snapshot.sharing(held.snapshot)
        self._keep(key, LocalEntry(snapshot, version, version, self._clock.monotonic()))

    def look(self, key: str) -> LocalEntry | None:
        """What is here, or something newer from the store, which is asked once a second."""
        held = self.get(key)
        if held is not None and 0 <= self._clock.monotonic() - held.looked < _LOOK_AGAIN:
            return held
        return self.fetch(key)

    def fetch(self, key: str) -> LocalEntry | None:
        """Ask the store, and keep the newer of what is there and what is here.

        A store that was away, or lost everything, has something older or nothing: what is here is
        published again in time.
        """
        now = self._clock.monotonic()
        held = self.get(key)
        name = self._keys.snapshot(key)
        version = self._store.versions([name]).get(name)
        if held is not None and version in (held.stored, None):
            held = replace(held, looked=now)
        elif version is not None:
            entry = self._store.read([name]).get(name)
            stored = _decoded(entry)
            if stored is not None and entry is not None and self._newer(stored, held):
                if held is not None:
                    stored = stored.sharing(held.snapshot)
                held = LocalEntry(stored, entry.version, entry.version, now)
            elif held is not None:
                held = replace(held, stored=version, looked=now)
        if held is not None:
            self._keep(key, held)
        return held

    def _newer(self, stored: Snapshot, held: LocalEntry | None) -> bool:
        if held is None or stored.walked >= held.snapshot.walked:
            return True
        # What is here was walked by a clock that was ahead, and has been set since.
        return held.snapshot.walked > self._store.now() + _AHEAD

    def _keep(self, key: str, held: LocalEntry) -> None:
        with self._lock:
            before = self._held.get(key)
            self._held[key] = held
            if before is None or before.version != held.version:
                self.changes += 1


def _size(held: LocalEntry) -> int:
    # One that is larger than the whole shelf is still better held than decoded at every request.
    return min(_MAX_SESSIONS, len(held.snapshot.published) + 1)


def _decoded(entry: Entry | None) -> Snapshot | None:
    try:
        return decode(entry.value) if entry else None
    except ValueError as err:
        log.warning("unreadable snapshot passed over", why=str(err))
        return None
