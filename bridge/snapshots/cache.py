"""The snapshot cache: serves snapshots by filter set, and keeps them when upstream fails.

lookup = cache.get(filter_set, rules)
lookup.snapshot, lookup.outcome, lookup.fresh_for
"""

import math
import threading
from dataclasses import dataclass
from enum import Enum

from bridge.clock import Clock
from bridge.errors import TooManyRequestsError, UnavailableError, public_code
from bridge.filters import FilterSet
from bridge.snapshots.backoff import Backoff
from bridge.snapshots.bulkhead import Bulkhead
from bridge.snapshots.freshness import CopyState, FreshnessPolicy
from bridge.snapshots.key_registry import KeyRegistry
from bridge.snapshots.local_cache import LocalCache, LocalEntry
from bridge.snapshots.merge import MergeRules
from bridge.snapshots.refresh import Refresher
from bridge.snapshots.session_history import SessionHistory
from bridge.snapshots.single_flight import Flight
from bridge.snapshots.snapshot import Snapshot
from bridge.store.interface import Store
from bridge.upstream.budget import Purpose, RequestBudget

COLD_TIMEOUT = 8.0
_OLD_TIMEOUT = 4.0
_RETRY_AFTER = 5


class CacheOutcome(Enum):
    """How the cache answered a request."""

    HIT = "hit"
    """A fresh copy."""
    STALE = "stale"
    """A stale copy; one refresh runs in the background."""
    FETCHED = "fetched"
    """There was no copy; the request waited for a walk."""
    REFRESHED = "refreshed"
    """There was an old copy; the request waited for a newer one."""
    FAILED = "failed"
    """A stale or old copy, because upstream fails or is too slow."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """The result of a request to the cache.

    Attributes:
        version: differs for every publication; equal versions mean equal snapshots.
        fresh_for: seconds for which the snapshot is still fresh; negative once it is stale.
        servable_for: seconds for which the snapshot may be served if no newer one is available.
        age: seconds since the walk.
        at: the time of the lookup, on the monotonic clock.
    """

    snapshot: Snapshot
    version: str
    outcome: CacheOutcome
    fresh_for: float
    servable_for: float
    age: float
    at: float


class SnapshotCache:
    """Serves snapshots, and starts at most one walk per filter set and freshness lifetime."""

    def __init__(
        self,
        *,
        store: Store,
        local_cache: LocalCache,
        refresher: Refresher,
        freshness: FreshnessPolicy,
        backoff: Backoff,
        history: SessionHistory,
        registry: KeyRegistry,
        budget: RequestBudget,
        clock: Clock,
        bulkhead: Bulkhead,
    ) -> None:
        self._store = store
        self._local_cache = local_cache
        self._refresher = refresher
        self._freshness = freshness
        self._backoff = backoff
        self._history = history
        self._registry = registry
        self._budget = budget
        self._clock = clock
        self._bulkhead = bulkhead
        self._admission_lock = threading.Lock()

    def get(
        self, filter_set: FilterSet, rules: MergeRules, *, timeout: float = COLD_TIMEOUT
    ) -> Lookup:
        """The best available snapshot of *filter_set*.

        Args:
            rules: how a new walk is merged and published.
            timeout: seconds to wait for a walk if there is no copy.

        Raises:
            UnavailableError: there is no copy, and no walk ended in time.
            TooManyRequestsError: there is no copy, and too many new filter sets were requested.
        """
        key = filter_set.key
        entry = self._local_cache.revalidate_if_due(key)
        if entry is not None:
            self._registry.record(key, settled=rules.settled, pinned=rules.history)
            state = self._state(key, entry)
            if state is CopyState.FRESH or rules.settled:
                return self._lookup(key, entry, CacheOutcome.HIT)
            if state is not CopyState.EXPIRED:
                return self._get_stale(filter_set, rules, entry, state)
        return self._get_cold(filter_set, rules, timeout)

    def get_session(self, source: str, identity: int) -> Lookup | None:
        """One session as last published under any filter set; never contacts upstream."""
        published = self._history.load_session(source, identity)
        if published is None:
            return None
        walked = float(published.revision.latest)
        return Lookup(
            snapshot=Snapshot(walked, walked, (published,), {}),
            version=f"{identity}@{walked}",
            outcome=CacheOutcome.HIT,
            fresh_for=self._freshness.ttl,
            servable_for=self._freshness.ttl,
            age=max(0.0, self._store.now() - walked),
            at=self._clock.monotonic(),
        )

    def peek(self, filter_set: FilterSet) -> Snapshot | None:
        """The existing snapshot of any age, or None; upstream is not contacted."""
        entry = self._local_cache.revalidate_if_due(filter_set.key)
        return entry.snapshot if entry else None

    def expires_within(self, key: str, seconds: float, *, not_before: float) -> bool:
        """Whether the snapshot of *key* is missing or about to become stale.

        Args:
            not_before: False for snapshots younger than this many seconds.
        """
        entry = self._local_cache.revalidate_if_due(key)
        if entry is None:
            return True
        now = self._store.now()
        walked = entry.snapshot.walked
        fresh_for = self._freshness.fresh_for(key, walked, now)
        return fresh_for <= seconds and not 0 <= now - walked < not_before

    def prefetch(self, filter_set: FilterSet, rules: MergeRules) -> bool:
        """Start a refresh in the background, unless a failure prevents it."""
        failure = self._backoff.current(filter_set.key)
        return self._refresher.refresh(filter_set, rules, failure, Purpose.AHEAD) is not None

    def _get_stale(
        self, filter_set: FilterSet, rules: MergeRules, entry: LocalEntry, state: CopyState
    ) -> Lookup:
        key = filter_set.key
        failure = self._backoff.current(key)
        flight = self._refresher.refresh(filter_set, rules, failure)
        if failure is not None:
            return self._lookup(key, entry, CacheOutcome.FAILED)
        if state is CopyState.STALE:
            return self._lookup(key, entry, CacheOutcome.STALE)
        # No walk can end during a pause that upstream requested, so waiting is pointless.
        if flight is not None and self._budget.cooldown_left() < _OLD_TIMEOUT:
            with self._bulkhead.place() as may_wait:
                if may_wait:
                    flight.wait(_OLD_TIMEOUT)
        newer = self._local_cache.get(key)
        if newer is not None and newer.version != entry.version:
            return self._lookup(key, newer, CacheOutcome.REFRESHED)
        return self._lookup(key, entry, CacheOutcome.FAILED)

    def _get_cold(self, filter_set: FilterSet, rules: MergeRules, timeout: float) -> Lookup:
        key = filter_set.key
        failure = self._backoff.current(key)
        # Of several concurrent requests for a new key only the first needs admission. The lock
        # makes the others find the key in the registry.
        with self._admission_lock:
            purpose = Purpose.LIVE if failure else self._admit(key, rules)
            if failure is None:
                self._registry.record(key, settled=rules.settled, pinned=rules.history)
        flight = self._refresher.refresh(filter_set, rules, failure, purpose)
        if failure is None and flight is not None:
            if self._budget.cooldown_left() < timeout:
                self._wait_in_bulkhead(flight, timeout)
            entry = self._local_cache.get(key)
            if entry is not None and self._state(key, entry) is not CopyState.EXPIRED:
                return self._lookup(key, entry, CacheOutcome.FETCHED)
            failure = flight.failure
        if failure is None:
            self._raise_during_cooldown(longer_than=_RETRY_AFTER)
            raise UnavailableError(
                "the timetable is still being fetched from TeamUp; try again in a moment",
                retry_after=_RETRY_AFTER,
            )
        raise UnavailableError(
            "TeamUp does not provide the timetable right now"
            f" ({public_code(failure.code)}), and there is no earlier copy; try again later",
            retry_after=failure.retry_after(self._store.now()),
        )

    def _wait_in_bulkhead(self, flight: Flight, timeout: float) -> None:
        """Wait for *flight* for at most *timeout* seconds.

        Raises:
            UnavailableError: too many requests are waiting already.
        """
        with self._bulkhead.place() as may_wait:
            if not may_wait:
                raise UnavailableError(
                    "the timetable is being fetched from TeamUp, and too many requests are waiting"
                    " for it already; try again in a moment",
                    retry_after=_RETRY_AFTER,
                )
            flight.wait(timeout)

    def _admit(self, key: str, rules: MergeRules) -> Purpose:
        """Admit a request for *key*; the purpose for which its walk may use the budget.

        Raises:
            TooManyRequestsError: the key is new, and too many new keys were requested lately.
            UnavailableError: the key is new, and upstream has requested a pause.
        """
        if rules.history or self._registry.contains(key):
            return Purpose.LIVE
        self._raise_during_cooldown()
        wait = self._budget.reserve(Purpose.ADMISSION)
        if wait:
            raise TooManyRequestsError(
                "too many new feeds were requested at once; try again later (feeds that are in use"
                " are not affected)",
                retry_after=min(300, math.ceil(wait)),
            )
        return Purpose.NEW

    def _raise_during_cooldown(self, *, longer_than: float = 0.0) -> None:
        """Raise if upstream has requested a pause.

        Args:
            longer_than: seconds; a pause that ends within this time is ignored.

        Raises:
            UnavailableError: the pause lasts longer than that.
        """
        cooldown = self._budget.cooldown_left()
        if cooldown > longer_than:
            raise UnavailableError(
                "TeamUp has asked the bridge to pause its requests, and there is no earlier copy;"
                " try again later",
                retry_after=min(300, math.ceil(cooldown)),
            )

    def _state(self, key: str, entry: LocalEntry) -> CopyState:
        return self._freshness.state(key, entry.snapshot.walked, self._store.now())

    def _lookup(self, key: str, entry: LocalEntry, outcome: CacheOutcome) -> Lookup:
        now = self._store.now()
        walked = entry.snapshot.walked
        fresh_for = self._freshness.fresh_for(key, walked, now)
        return Lookup(
            snapshot=entry.snapshot,
            version=entry.version,
            outcome=outcome,
            fresh_for=fresh_for,
            servable_for=fresh_for + self._freshness.max_stale,
            age=max(0.0, now - walked),
            at=self._clock.monotonic(),
        )
