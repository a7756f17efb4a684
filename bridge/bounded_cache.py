"""In-memory LRU caches, limited in bytes, that keys requested only once cannot flush."""

import threading
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

from cachetools import LRUCache

V = TypeVar("V")

_MAX_REJECTED_KEYS = 8192


class CacheMemory:
    """Memory that several caches share.

    When it is full, the cache that takes the most loses its least recently used value, so that
    requests for one studio do not evict what another one needs.

    Args:
        max_bytes: the total size of the values of all caches.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.lock = threading.Lock()
        self._caches: list[LRUCache[Hashable, Any]] = []

    def new_cache(self, size_of: Callable[[Any], int]) -> "LRUCache[Hashable, Any]":
        """A cache in this memory; it is used with the lock held."""
        cache: LRUCache[Hashable, Any] = LRUCache(self.max_bytes, getsizeof=size_of)
        self._caches.append(cache)
        return cache

    def has_room(self, size: int) -> bool:
        """Whether *size* bytes are free."""
        return sum(cache.currsize for cache in self._caches) + size <= self.max_bytes

    def make_room(self, size: int) -> None:
        """Evict values until *size* bytes are free."""
        while not self.has_room(size):
            max(self._caches, key=lambda cache: cache.currsize).popitem()


class BoundedCache(Generic[V]):
    """A thread-safe LRU cache with an admission policy, limited in bytes.

    While there is free space, every key is admitted. In a full cache a new key is admitted only
    when it is put for the second time, so that made-up keys that are requested once cannot evict
    entries that are in use.

    Args:
        memory: the memory for the values.
        size_of: the size of a value, in bytes.
    """

    def __init__(self, memory: CacheMemory, size_of: Callable[[V], int]) -> None:
        self._memory = memory
        self._size_of = size_of
        self._entries: LRUCache[Hashable, V] = memory.new_cache(size_of)
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
        with self._memory.lock:
            return self._entries.get(key)

    def pop(self, key: Hashable) -> None:
        """Remove *key*, if it is in the cache."""
        with self._memory.lock:
            self._entries.pop(key, None)

    def put(self, key: Hashable, value: V) -> None:
        """Replace the value of *key*; afterwards *key* is missing if *value* was not admitted."""
        size, memory = self._size_of(value), self._memory
        with memory.lock:
            previous = self._entries.pop(key, None)
            if size > memory.max_bytes:
                return
            known = previous is not None or self._rejected.pop(hash(key), False)
            if not known and not memory.has_room(size):
                self._rejected[hash(key)] = True
                return
            memory.make_room(size)
            self._entries[key] = value
