"""A map in the store with bounded size, which evicts the least used entries first."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bridge.store.interface import Store, Write
from bridge.store.json_values import decode_json

_TRIES = 5


@dataclass(frozen=True, slots=True)
class Record:
    """The value of a name.

    Attributes:
        data: any JSON value.
        seen: when it was last put, in seconds since 1970.
        puts: how often it was put.
    """

    data: Any
    seen: float
    puts: int

    @property
    def priority(self) -> tuple[int, float]:
        """The lowest is evicted first: names that were put only once, since they may be made up."""
        return (min(self.puts, 2), self.seen)


Change = Callable[[Any], Any]


def _no_writes(names: list[str]) -> Mapping[str, Write]:
    return {}


class BoundedMap:
    """A map from names to JSON values, with at most *buckets* × *size* entries.

    Names are assigned to buckets by their hash. A bucket is one key of the store, so that the cost
    of a change does not depend on the number of names.

    Args:
        key_of: the store key of a bucket, by its number.
        buckets: the number of buckets.
        size: the largest number of names in a bucket.
        ttl: seconds after its last change until a bucket expires.
        eviction_writes: further writes that are committed when these names are evicted.
    """

    def __init__(
        self,
        store: Store,
        key_of: Callable[[int], str],
        *,
        buckets: int,
        size: int,
        ttl: float,
        eviction_writes: Callable[[list[str]], Mapping[str, Write]] = _no_writes,
    ) -> None:
        self._store = store
        self._key_of = key_of
        self._buckets = buckets
        self._size = size
        self._ttl = ttl
        self._eviction_writes = eviction_writes

    def get(self, name: str) -> Record | None:
        """The record of *name*, or None."""
        key = self._key(name)
        entry = self._store.read([key]).get(key)
        return _decode(entry.value).get(name) if entry else None

    def put(self, name: str, data: Any, seen: float) -> None:
        """Set the value of *name*. In a full bucket the record of the lowest priority is evicted.

        Args:
            seen: the time of use, in seconds since 1970.
        """
        self.update({name: lambda previous: data}, seen=seen)

    def update(self, changes: Mapping[str, Change], *, seen: float) -> None:
        """Replace each name's value by the result of its function.

        Args:
            changes: functions of the previous value, which is None for a new name.
            seen: the time of use, in seconds since 1970.
        """
        by_key: dict[str, dict[str, Change]] = {}
        for name, change in changes.items():
            by_key.setdefault(self._key(name), {})[name] = change
        for key, bucket_changes in by_key.items():
            self._update(key, bucket_changes, seen)

    def _update(self, key: str, changes: Mapping[str, Change], seen: float) -> None:
        for _ in range(_TRIES):
            entry = self._store.read([key]).get(key)
            bucket = _decode(entry.value) if entry else {}
            changed = {}
            for name, change in changes.items():
                previous = bucket.pop(name, None)
                data = change(previous.data if previous else None)
                changed[name] = Record(data, seen, previous.puts + 1 if previous else 1)
            # The best of the changed records is always kept, so that a new name can enter a full
            # bucket.
            first = _best(changed, 1)
            others = {
                name: record for name, record in {**bucket, **changed}.items() if name not in first
            }
            kept = {**_best(others, self._size - 1), **first}
            evicted = [name for name in bucket if name not in kept]
            writes = {**self._eviction_writes(evicted), key: Write(_encode(kept), self._ttl)}
            if self._store.commit(writes, expect={key: entry.version if entry else None}):
                return
        # Other processes keep changing the bucket: this update is lost, which is harmless.

    def records(self) -> dict[str, Record]:
        """All records, by name."""
        entries = self._store.read([self._key_of(number) for number in range(self._buckets)])
        records: dict[str, Record] = {}
        for entry in entries.values():
            records.update(_decode(entry.value))
        return records

    def _key(self, name: str) -> str:
        digest = hashlib.sha256(name.encode()).digest()
        return self._key_of(int.from_bytes(digest[:4], "big") % self._buckets)


def _best(records: Mapping[str, Record], number: int) -> dict[str, Record]:
    """The *number* records of the highest priority."""
    return dict(sorted(records.items(), key=lambda item: item[1].priority, reverse=True)[:number])


def _encode(bucket: Mapping[str, Record]) -> bytes:
    rows = {name: [record.data, record.seen, record.puts] for name, record in bucket.items()}
    return json.dumps(rows, separators=(",", ":")).encode()


def _decode(value: bytes) -> dict[str, Record]:
    rows = decode_json(value)
    try:
        return {
            name: Record(data, float(seen), int(puts)) for name, (data, seen, puts) in rows.items()
        }
    except (ValueError, TypeError, AttributeError):
        # written by another version of the program: start with an empty bucket
        return {}
