"""Prefetching: refreshes recently requested snapshots before they expire (REFRESH_AHEAD)."""

import threading

import structlog

from bridge.background import start_daemon
from bridge.clock import Clock
from bridge.instrumentation import NO_INSTRUMENTATION, Instrumentation
from bridge.snapshots.cache import SnapshotCache
from bridge.snapshots.key_registry import KeyRegistry
from bridge.snapshots.merge import MergeRules
from bridge.snapshots.router import SnapshotRouter
from bridge.snapshots.snapshot_key import SnapshotKey
from bridge.store.interface import Store
from bridge.store.keys import Keys
from bridge.store.leases import Lease, LostLeaseError, acquire

log = structlog.get_logger()

_MIN_INTERVAL, _MAX_INTERVAL = 0.25, 5.0
_CHECKS_PER_TTL = 20
_HOUR = 3600.0


class Prefetcher:
    """A background thread that refreshes snapshots; a lease elects one process of the fleet.

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
        instrumentation: Instrumentation = NO_INSTRUMENTATION,
    ) -> None:
        self._store = store
        self._keys = keys
        self._cache = cache
        self._registry = registry
        self._router = router
        self._clock = clock
        self._instrumentation = instrumentation
        self._interval = min(_MAX_INTERVAL, max(_MIN_INTERVAL, ttl / _CHECKS_PER_TTL))
        self._closing = threading.Event()
        self._lease: Lease | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread = start_daemon(self._run, "prefetch")

    def close(self) -> None:
        """Stop the thread and release the lease, so that another process can take over."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(2 * self._interval)
        if self._lease is not None:
            self._lease.release()
            self._lease = None

    def tick(self) -> int:
        """Start the refreshes that are due, if this process is elected; how many were started."""
        if not self._elected():
            return 0
        return sum(self._cache.start_refresh(*due) for due in self._due())

    def _run(self) -> None:
        while not self._clock.wait(self._closing, self._interval):
            try:
                self.tick()
            except Exception:
                # No caller can handle the error, and the thread must keep running.
                self._instrumentation.background_failed("prefetch")
                log.exception("refresh-ahead failed")

    def _elected(self) -> bool:
        if self._lease is not None:
            try:
                self._lease.renew()
            except LostLeaseError:
                self._lease = None
        if self._lease is None:
            self._lease = acquire(self._store, self._keys, "ahead")
        return self._lease is not None

    def _due(self) -> list[tuple[SnapshotKey, MergeRules]]:
        due = []
        for key in self._registry.recent(self._router.widest_keys):
            rules = self._router.merge_rules(key)
            if rules is None:
                continue
            # Refreshing many narrow snapshots would use up the budget; the wide snapshot answers
            # nearly all requests.
            min_age = 0.0 if rules.wide else _HOUR
            if self._cache.expires_within(key, self._interval, min_age=min_age):
                due.append((key, rules))
        return due
