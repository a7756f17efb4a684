"""An in-memory LRU cache, limited in bytes, that keys requested only once cannot flush."""

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from cachetools import LRUCache

V = TypeVar("V")

_MAX_REJECTED_KEYS = 8192


class BoundedCache(Generic[V]):
    """A thread-safe LRU cache with an admission policy, limited in bytes.

    While there is free space, every key is admitted. In a full cache a new key is admitted only
    when it is put for the second time, so that made-up keys that are requested once cannot evict
    entries that are in use.

    Args:
        max_bytes: the total size of all values.
        size_of: the size of a value, in bytes.
    """

    def __init__(self, max_bytes: int, size_of: Callable[[V], int]) -> None:
        self._size_of = size_of
        self._lock = threading.Lock()
        self._entries: LRUCache[Hashable, V] = LRUCache(max_bytes, getsizeof=size_of)
        # Hashes instead of keys: a collision only admits a key one put earlier.
        self._rejected: LRUCache[int, bool] = LRUCache(_MAX_REJECTED_KEYS)

    @property
    def size(self) -> int:
        """The total size of all values, in bytes."""
        return int(self._entries.currsize)

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Hashable) -> V | None:
        """The value of *key*, or None."""
        with self._lock:
            return self._entries.get(key)

    def pop(self, key: Hashable) -> None:
        """Remove *key*, if it is in the cache."""
        with self._lock:
            self._entries.pop(key, None)

    def put(self, key: Hashable, value: V) -> None:
        """Replace the value of *key*; afterwards *key* is missing if *value* was not admitted."""
        size, max_bytes = self._size_of(value), self._entries.maxsize
        with self._lock:
            previous = self._entries.pop(key, None)
            fits = self._entries.currsize + size <= max_bytes
            if size > max_bytes:
                return
            if fits or previous is not None or self._rejected.pop(hash(key), False):
                self._entries[key] = value
            else:
                self._rejected[hash(key)] = True
