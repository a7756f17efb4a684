"""The Last-Modified date of feeds: when a feed's bytes last changed, the same on every machine."""

import hashlib

from bridge.store.bounded_map import BoundedMap
from bridge.store.interface import Store
from bridge.store.keys import Keys

_BUCKETS = 4096
_BUCKET_SIZE = 8
_TTL_SECONDS = 40 * 86400.0


class LastModified:
    """Keeps each feed's tag and the time of its last change, in a bounded map in the store."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._map = BoundedMap(
            store, keys.last_modified, buckets=_BUCKETS, size=_BUCKET_SIZE, ttl=_TTL_SECONDS
        )

    def record(self, feed: str, tag: str, walked: float) -> float:
        """Store *tag* as the current tag of *feed*.

        Args:
            walked: time of the snapshot that was rendered, in seconds since 1970.

        Returns:
            The time of the first snapshot with this tag, in seconds since 1970.
        """
        name = hashlib.sha256(feed.encode()).hexdigest()[:16]
        record = self._map.get(name)
        changed = walked
        match record and record.data:
            case [last, int() | float() as since] if last == tag:
                changed = float(since)
        # A worker with an older snapshot must not overwrite a newer record.
        if record is None or record.seen < walked:
            self._map.put(name, [tag, changed], walked)
        return changed
