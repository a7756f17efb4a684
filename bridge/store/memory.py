"""A store in the memory of a single process; its data are lost when the process ends."""

import itertools
import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cachetools import LRUCache

from bridge.clock import Clock
from bridge.store.interface import SHORT_LIVED, Entry, Store, Write


@dataclass(frozen=True, slots=True)
class _Row:
    entry: Entry
    written: float
    expires: float | None

    def alive(self, now: float) -> bool:
        if self.expires is None:
            return True
        # After a clock was set back, a lease must not last forever.
        long_lived = self.expires - self.written > SHORT_LIVED
        return now < self.expires and (long_lived or self.written - 1 <= now)


class MemoryStore(Store):
    """A store in this process's memory.

    Args:
        maxsize: the largest total size of all values, in bytes; beyond it the least recently used
            entries are evicted.
    """

    def __init__(self, clock: Clock, *, maxsize: int = 256 * 1024 * 1024) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._rows: LRUCache[str, _Row] = LRUCache(
            maxsize, getsizeof=lambda row: len(row.entry.value) + 200
        )
        # makes versions differ from those of every other store
        self._name = uuid.uuid4().hex
        self._versions = itertools.count(1)

    def now(self) -> float:
        """Seconds since 1970 by this machine's clock."""
        return self._clock.now()

    def read(self, keys: Sequence[str]) -> dict[str, Entry]:
        with self._lock:
            return {key: row.entry for key in keys if (row := self._alive(key))}

    def versions(self, keys: Sequence[str]) -> dict[str, str]:
        return {key: entry.version for key, entry in self.read(keys).items()}

    def commit(
        self, writes: Mapping[str, Write], *, expect: Mapping[str, str | None] | None = None
    ) -> str | None:
        with self._lock:
            for key, version in (expect or {}).items():
                row = self._alive(key)
                if (row.entry.version if row else None) != version:
                    return None
            now = self._clock.now()
            version = f"{self._name}-{next(self._versions)}"
            for key, write in writes.items():
                self._rows.pop(key, None)
                if write.value is not None and len(write.value) + 200 <= self._rows.maxsize:
                    expires = None if write.ttl is None else now + write.ttl
                    self._rows[key] = _Row(Entry(write.value, version), now, expires)
            return version

    def names(self, prefix: str) -> list[str]:
        with self._lock:
            return [key for key in list(self._rows) if key.startswith(prefix) and self._alive(key)]

    def close(self) -> None:
        with self._lock:
            self._rows.clear()

    def _alive(self, key: str) -> _Row | None:
        row = self._rows.get(key)
        if row is None or row.alive(self._clock.now()):
            return row
        del self._rows[key]
        return None
