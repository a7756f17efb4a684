"""The publisher: puts what a walk came to into the store, in one transaction, under a lease."""

import structlog

from bridge.errors import StoreError
from bridge.filters import FilterSet
from bridge.instrumentation import AlertSink
from bridge.snapshots import merge
from bridge.snapshots.freshness import FreshnessPolicy
from bridge.snapshots.local_cache import LocalCache
from bridge.snapshots.merge import HISTORY_DAYS, MergeRules
from bridge.snapshots.session_history import SessionHistory
from bridge.snapshots.snapshot import Snapshot, encode
from bridge.store.interface import Store, Write
from bridge.store.keys import Keys
from bridge.store.leases import Lease, LostLeaseError
from bridge.upstream.pagination import Walk

log = structlog.get_logger()

_TRIES = 5
_DAY = 86400.0


class Publisher:
    """Merges with what was published before, and publishes."""

    def __init__(
        self,
        *,
        store: Store,
        keys: Keys,
        local_cache: LocalCache,
        freshness: FreshnessPolicy,
        alerts: AlertSink,
    ) -> None:
        self._store = store
        self._keys = keys
        self._local_cache = local_cache
        self._freshness = freshness
        self._history = SessionHistory(store, keys)
        self._alerts = alerts

    def publish(self, filter_set: FilterSet, rules: MergeRules, walk: Walk, lease: Lease) -> None:
        """Publish what follows from *walk*, with the memory of the sessions that it changed.

        Raises:
            LostLeaseError: somebody else has taken over; nothing was published.
            StoreError: other filter sets kept changing the same sessions.
        """
        key = filter_set.key
        here = self._local_cache.fetch(key)
        previous = here.snapshot if here else None
        for _ in range(_TRIES):
            memory = self._history.load(walk, previous)
            snapshot = merge.publish(filter_set, walk, previous, memory.published, rules)
            writes, expect = memory.changes(snapshot)
            writes[self._keys.snapshot(key)] = Write(encode(snapshot), self._kept_for(rules))
            lease.renew()
            version = self._store.commit(writes, expect={**expect, **lease.expectation})
            if version is not None:
                self._local_cache.put(key, snapshot, version)
                self._tell(key, snapshot, walk)
                return
        raise StoreError("other filter sets kept changing the same sessions", readable=True)

    def accept(self, key: str, lease: Lease) -> int:
        """Remove at once what is held under *key*; how many sessions that were.

        Raises:
            LostLeaseError: a refresh has taken over.
        """
        here = self._local_cache.fetch(key)
        count = self.held(key)
        if here is None or not count:
            return 0
        value = encode(merge.drop_held(here.snapshot))
        write = Write(value, HISTORY_DAYS * _DAY)
        lease.renew()
        name = self._keys.snapshot(key)
        if self._store.commit({name: write}, expect=lease.expectation) is None:
            raise LostLeaseError(name)
        self._alerts.over(f"held {key}", "What TeamUp no longer lists was accepted as gone.")
        return count

    def held(self, key: str) -> int:
        """How many sessions are held under *key*."""
        here = self._local_cache.fetch(key)
        return sum(one.held for one in here.snapshot.published) if here else 0

    def _tell(self, key: str, snapshot: Snapshot, walk: Walk) -> None:
        held = sum(one.held for one in snapshot.published)
        log.info(
            "published",
            key=key,
            sessions=len(snapshot.published),
            pages=walk.pages,
            held=held,
            **{reason.replace(" ", "_"): number for reason, number in walk.tally.items()},
        )
        if held > merge.FEW:
            self._alerts.raised(
                f"held {key}",
                f"TeamUp no longer lists {held} sessions to come. That is suspiciously many, so"
                " they stay in the feeds as they were. If they are really gone, run"
                " `flask --app app accept`; if not, check what the token may see.",
            )
        elif not held:
            self._alerts.over(f"held {key}", "No sessions are held back any more.")

    def _kept_for(self, rules: MergeRules) -> float:
        """Seconds for which the store keeps a snapshot that nobody refreshes."""
        if rules.settled or rules.history:
            return HISTORY_DAYS * _DAY
        return self._freshness.ttl * 2 + self._freshness.stale_if_error + _DAY
