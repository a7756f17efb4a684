"""Since when a feed is what it is: the date behind Last-Modified, the same on every machine."""

import hashlib
import json
from dataclasses import dataclass

from bridge.cache.keys import Keys
from bridge.cache.store import Store, Write

_BUCKETS = 4096
_IN_A_BUCKET = 8
_SECONDS = 40 * 86400.0


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of one feed.

    Attributes:
        changed: the walk at which the tag came to be, in seconds since 1970.
        seen: the last walk that was rendered.
        times: how many were.
    """

    tag: str
    changed: float
    seen: float
    times: int

    @property
    def worth(self) -> tuple[int, float]:
        """What was rendered once may be made up; what comes back is a feed that somebody reads."""
        return (min(self.times, 2), self.seen)


class Validators:
    """Kept in the store, a bounded number of them: those that were rendered once go first."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store = store
        self._keys = keys

    def changed(self, feed: str, tag: str, walked: float) -> float:
        """The walk at which *tag* came to be that of *feed*, in seconds since 1970.

        Args:
            walked: of the snapshot that *tag* was rendered from.
        """
        name = hashlib.sha256(feed.encode()).hexdigest()[:16]
        key = self._keys.validators(int(name, 16) % _BUCKETS)
        entry = self._store.read([key]).get(key)
        bucket = _decode(entry.value) if entry else {}
        known = bucket.get(name)
        if known is not None and known.tag == tag:
            if known.seen >= walked:
                return known.changed
            updated = _Known(tag, known.changed, walked, known.times + 1)
        elif known is not None and known.seen > walked:
            # this worker is a snapshot behind; what the others know stays
            return walked
        else:
            updated = _Known(tag, walked, walked, known.times + 1 if known else 1)
        bucket[name] = updated
        kept = sorted(bucket.items(), key=lambda item: item[1].worth)[-_IN_A_BUCKET:]
        write = Write(_encode(dict(kept)), _SECONDS)
        # Should another worker be quicker, it has written the same, or something as good.
        self._store.commit({key: write}, expect={key: entry.version if entry else None})
        return updated.changed


def _encode(bucket: dict[str, _Known]) -> bytes:
    rows = {name: [one.tag, one.changed, one.seen, one.times] for name, one in bucket.items()}
    return json.dumps(rows, separators=(",", ":")).encode()


def _decode(value: bytes) -> dict[str, _Known]:
    try:
        rows = json.loads(value)
        return {
            str(name): _Known(str(tag), float(changed), float(seen), int(times))
            for name, (tag, changed, seen, times) in rows.items()
        }
    except (ValueError, TypeError, AttributeError):
        # of another version of the program: begun anew
        return {}
