"""Refresh-ahead: what was asked for lately is kept fresh, so that no poll waits."""

import threading

import structlog

from bridge.clock import Clock
from bridge.errors import ParameterError
from bridge.filters import FilterSet
from bridge.snapshots.cache import SnapshotCache
from bridge.snapshots.key_registry import KeyRegistry
from bridge.snapshots.merge import MergeRules
from bridge.snapshots.router import SnapshotRouter
from bridge.store.interface import Store
from bridge.store.keys import Keys
from bridge.store.leases import Lease, LostLeaseError, acquire

log = structlog.get_logger()

_SLOWEST, _FASTEST = 5.0, 0.25
_PARTS_OF_TTL = 20
_HOURLY = 3600.0


class Prefetcher:
    """A thread that refreshes, in one process of the fleet at a time.

    Args:
        ttl: seconds for which snapshots are fresh.
    """

    def __init__(
        self,
        *,
        store: Store,
        keys: Keys,
        cache: SnapshotCache,
        registry: KeyRegistry,
        router: SnapshotRouter,
        clock: Clock,
        ttl: float,
    ) -> None:
        self._store = store
        self._keys = keys
        self._cache = cache
        self._registry = registry
        self._router = router
        self._clock = clock
        self._every = min(_SLOWEST, max(_FASTEST, ttl / _PARTS_OF_TTL))
        self._closing = threading.Event()
        self._lease: Lease | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._run, name="refresh-ahead", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End, and leave the work to another process."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(2 * self._every)
        if self._lease is not None:
            self._lease.release()
            self._lease = None

    def tick(self) -> int:
        """Begin the refreshes that are due, if this process is the one to do it; how many."""
        if not self._elected():
            return 0
        return sum(self._cache.prefetch(*due) for due in self._due())

    def _run(self) -> None:
        while not self._clock.wait(self._closing, self._every):
            try:
                self.tick()
            except Exception:
                # This thread has nobody to raise to, and must go on.
                log.exception("refresh-ahead broke off")

    def _elected(self) -> bool:
        if self._lease is not None:
            try:
                self._lease.renew()
            except LostLeaseError:
                self._lease = None
        if self._lease is None:
            self._lease = acquire(self._store, self._keys, "ahead")
        return self._lease is not None

    def _due(self) -> list[tuple[FilterSet, MergeRules]]:
        due = []
        for key in self._registry.recent([self._router.widest_key]):
            try:
                filter_set = FilterSet.of_key(key)
            except ParameterError as err:
                # noted by another version of the program, or garbled
                log.warning("unreadable filter set passed over", why=str(err))
                continue
            rules = self._router.merge_rules(filter_set)
            # Many keys of their own would eat the budget; the wide one serves nearly all.
            oldest = 0.0 if rules.history else _HOURLY
            if self._cache.expires_within(key, self._every, not_before=oldest):
                due.append((filter_set, rules))
        return due
