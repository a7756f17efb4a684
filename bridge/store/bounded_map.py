"""A bounded map in the store: what is used once goes before what is used again and again."""

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
    """What is kept under a name.

    Attributes:
        data: JSON.
        seen: when it was put last, in seconds since 1970.
        times: how often it was put.
    """

    data: Any
    seen: float
    times: int

    @property
    def worth(self) -> tuple[int, float]:
        """What was seen once may be made up; what comes back is used by somebody."""
        return (min(self.times, 2), self.seen)


Change = Callable[[Any], Any]


def _nothing_besides(names: list[str]) -> Mapping[str, Write]:
    return {}


class BoundedMap:
    """Names and what is kept of them, at most *buckets* × *size*.

    Names fall into buckets by their hash. A bucket is one entry of the store, so that a change
    costs the same however many names there are.

    Args:
        key_of: the store's key of a bucket.
        ttl: seconds after its last change for which a bucket is kept.
        besides: further writes for names that have to go.
    """

    def __init__(
        self,
        store: Store,
        key_of: Callable[[int], str],
        *,
        buckets: int,
        size: int,
        ttl: float,
        besides: Callable[[list[str]], Mapping[str, Write]] = _nothing_besides,
    ) -> None:
        self._store = store
        self._key_of = key_of
        self._buckets = buckets
        self._size = size
        self._ttl = ttl
        self._besides = besides

    def get(self, name: str) -> Record | None:
        """What is kept under *name*."""
        key = self._key(name)
        entry = self._store.read([key]).get(key)
        return _decode(entry.value).get(name) if entry else None

    def put(self, name: str, data: Any, seen: float) -> None:
        """Keep *data* under *name*; the least worth goes where there is no room."""
        self.update({name: lambda before: data}, seen=seen)

    def update(self, changes: Mapping[str, Change], *, seen: float) -> None:
        """Keep under each name what its change makes of what was kept there; None: nothing was."""
        by_key: dict[str, dict[str, Change]] = {}
        for name, change in changes.items():
            by_key.setdefault(self._key(name), {})[name] = change
        for key, some in by_key.items():
            self._update(key, some, seen)

    def _update(self, key: str, changes: Mapping[str, Change], seen: float) -> None:
        for _ in range(_TRIES):
            entry = self._store.read([key]).get(key)
            bucket = _decode(entry.value) if entry else {}
            news = {}
            for name, change in changes.items():
                before = bucket.pop(name, None)
                data = change(before.data if before else None)
                news[name] = Record(data, seen, before.times + 1 if before else 1)
            # One of the new ones always has a place; of the others, many may be made up.
            first = _best(news, 1)
            others = {one: record for one, record in {**bucket, **news}.items() if one not in first}
            kept = {**_best(others, self._size - 1), **first}
            gone = [other for other in bucket if other not in kept]
            writes = {**self._besides(gone), key: Write(_encode(kept), self._ttl)}
            if self._store.commit(writes, expect={key: entry.version if entry else None}):
                return
        # Others keep changing the bucket: the note of this one use is what is lost.

    def records(self) -> dict[str, Record]:
        """All that is kept."""
        entries = self._store.read([self._key_of(number) for number in range(self._buckets)])
        found: dict[str, Record] = {}
        for entry in entries.values():
            found.update(_decode(entry.value))
        return found

    def _key(self, name: str) -> str:
        digest = hashlib.sha256(name.encode()).digest()
        return self._key_of(int.from_bytes(digest[:4], "big") % self._buckets)


def _best(bucket: Mapping[str, Record], number: int) -> dict[str, Record]:
    return dict(sorted(bucket.items(), key=lambda item: item[1].worth, reverse=True)[:number])


def _encode(bucket: Mapping[str, Record]) -> bytes:
    rows = {name: [one.data, one.seen, one.times] for name, one in bucket.items()}
    return json.dumps(rows, separators=(",", ":")).encode()


def _decode(value: bytes) -> dict[str, Record]:
    rows = decode_json(value)
    try:
        return {
            name: Record(data, float(seen), int(times))
            for name, (data, seen, times) in rows.items()
        }
    except (ValueError, TypeError, AttributeError):
        # of another version of the program: begun anew
        return {}
