"""Since when a feed is what it is: the date behind Last-Modified, the same on every machine."""

import hashlib

from bridge.store.bounded_map import BoundedMap
from bridge.store.interface import Store
from bridge.store.keys import Keys

_BUCKETS = 4096
_IN_A_BUCKET = 8
_KEPT = 40 * 86400.0


class LastModified:
    """Kept in the store, a bounded number of them."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._map = BoundedMap(
            store, keys.last_modified, buckets=_BUCKETS, size=_IN_A_BUCKET, ttl=_KEPT
        )

    def changed(self, feed: str, tag: str, walked: float) -> float:
        """The walk at which *tag* came to be that of *feed*, in seconds since 1970.

        Args:
            walked: of the snapshot that *tag* was rendered from.
        """
        name = hashlib.sha256(feed.encode()).hexdigest()[:16]
        known = self._map.get(name)
        changed = walked
        match known and known.data:
            case [last, int() | float() as since] if last == tag:
                changed = float(since)
        # A worker that is a snapshot behind leaves what the others know.
        if known is None or known.seen < walked:
            self._map.put(name, [tag, changed], walked)
        return changed
