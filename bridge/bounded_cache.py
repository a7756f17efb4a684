"""A bounded memory of a worker: once it is full, only what comes back displaces what is there."""

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from cachetools import LRUCache

V = TypeVar("V")

_SEEN = 8192


class BoundedCache(Generic[V]):
    """Keeps values up to a number of bytes, for all threads; the least recently used go first.

    A key that is new takes room that is free. Where none is, it has to be put a second time:
    questions that are made up and asked once cannot drive out what is in use.

    Args:
        max_bytes: of all values together.
        size_of: how many bytes a value counts.
    """

    def __init__(self, max_bytes: int, size_of: Callable[[V], int]) -> None:
        self._size_of = size_of
        self._lock = threading.Lock()
        self._kept: LRUCache[Hashable, V] = LRUCache(max_bytes, getsizeof=size_of)
        # Of the keys their hashes: two that share one only help each other in.
        self._seen: LRUCache[int, bool] = LRUCache(_SEEN)

    @property
    def size(self) -> int:
        """What the values that are kept count."""
        return int(self._kept.currsize)

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Hashable) -> V | None:
        """The value of *key*, if it is kept."""
        with self._lock:
            return self._kept.get(key)

    def pop(self, key: Hashable) -> None:
        """Keep *key* no longer."""
        with self._lock:
            self._kept.pop(key, None)

    def put(self, key: Hashable, value: V) -> None:
        """Keep *value* in the place of what *key* had, or nothing where there is no room."""
        size, most = self._size_of(value), self._kept.maxsize
        with self._lock:
            before = self._kept.pop(key, None)
            free = self._kept.currsize + size <= most
            if size > most:
                return
            if free or before is not None or self._seen.pop(hash(key), False):
                self._kept[key] = value
            else:
                self._seen[hash(key)] = True
