"""The snapshot cache: serves snapshots by their keys, and keeps them when upstream fails.

lookup = cache.get(key, rules)
lookup.snapshot, lookup.outcome, lookup.fresh_for
"""

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from bridge.clock import Clock
from bridge.errors import (
    UNREACHABLE,
    TooManyRequestsError,
    UnavailableError,
)
from bridge.model import Identity, SourceName
from bridge.snapshots.backoff import Backoff, Failure
from bridge.snapshots.bulkhead import Bulkhead
from bridge.snapshots.freshness import CopyState, FreshnessPolicy
from bridge.snapshots.key_registry import KeyRegistry
from bridge.snapshots.local_cache import LocalCache, LocalEntry
from bridge.snapshots.merge import MergeRules
from bridge.snapshots.refresh import Refresher
from bridge.snapshots.session_history import SessionHistory
from bridge.snapshots.single_flight import Flight
from bridge.snapshots.snapshot import Snapshot
from bridge.snapshots.snapshot_key import SnapshotKey
from bridge.store.interface import Store
from bridge.upstream.budget import Purpose, RequestBudget

COLD_TIMEOUT = 8.0
_OLD_TIMEOUT = 4.0
_RETRY_AFTER = 5


class CacheOutcome(Enum):
    """How the cache answered a request; of several sources, the last of these counts."""

    HIT = "hit"
    """A fresh copy."""
    REFRESHED = "refreshed"
    """There was an old copy; the request waited for a newer one."""
    FETCHED = "fetched"
    """There was no copy; the request waited for a walk."""
    STALE = "stale"
    """A stale copy; one refresh runs in the background."""
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
        left_out: the sources that the snapshot lacks, because the account may not read them.
    """

    snapshot: Snapshot
    version: str
    outcome: CacheOutcome
    fresh_for: float
    servable_for: float
    age: float
    at: float
    left_out: tuple[SourceName, ...] = ()

    @classmethod
    def joined(cls, lookups: Sequence["Lookup"], snapshot: Snapshot, version: str) -> "Lookup":
        """The lookup of a feed that is cut from several snapshots: as old as the oldest.

        Args:
            snapshot, version: of the joined snapshot.
        """
        order = list(CacheOutcome)
        return cls(
            snapshot=snapshot,
            version=version,
            outcome=max((lookup.outcome for lookup in lookups), key=order.index),
            fresh_for=min(lookup.fresh_for for lookup in lookups),
            servable_for=min(lookup.servable_for for lookup in lookups),
            age=max(lookup.age for lookup in lookups),
            at=min(lookup.at for lookup in lookups),
        )


Pending = Callable[[float], Lookup]
"""The second half of a lookup: call it to get the result. If that needs a walk, the call waits for
it, at most for the given number of seconds.

Raises:
    UnavailableError: there is no copy, and no walk ended in time.
"""


class SnapshotCache:
    """Serves snapshots, and starts at most one walk per snapshot and freshness lifetime."""

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

    def get(self, key: SnapshotKey, rules: MergeRules, *, timeout: float = COLD_TIMEOUT) -> Lookup:
        """The best available snapshot of *key*.

        Args:
            rules: how a new walk is merged and published.
            timeout: seconds to wait for a walk if there is no copy, or an old one.

        Raises:
            UnavailableError: there is no copy, and no walk ended in time.
            TooManyRequestsError: there is no copy, and too many new filter sets were requested.
        """
        return self.begin(key, rules)(timeout)

    def begin(self, key: SnapshotKey, rules: MergeRules) -> Pending:
        """Look up the best available snapshot of *key*; start a walk if it is needed.

        Raises:
            UnavailableError: there is no copy, and upstream has requested a pause.
            TooManyRequestsError: there is no copy, and too many new filter sets were requested.
        """
        entry = self._local_cache.revalidate_if_due(key.text)
        if entry is not None:
            self._registry.record(key, settled=rules.settled, pinned=rules.wide)
            state = self._state(key, entry)
            if state is CopyState.FRESH or rules.settled:
                lookup = self._lookup(key, entry, CacheOutcome.HIT)
                return lambda timeout: lookup
            if state is not CopyState.EXPIRED:
                return self._begin_stale(key, rules, entry, state)
        return self._begin_cold(key, rules)

    def get_session(self, identity: Identity) -> Lookup | None:
        """One session as last published under any filter set; never contacts upstream."""
        published = self._history.load_session(identity)
        if published is None:
            return None
        walked = float(published.revision.latest)
        return Lookup(
            snapshot=Snapshot(walked, walked, (published,), {}),
            version=f"{':'.join(map(str, identity))}@{walked}",
            outcome=CacheOutcome.HIT,
            fresh_for=self._freshness.ttl,
            servable_for=self._freshness.ttl,
            age=max(0.0, self._store.now() - walked),
            at=self._clock.monotonic(),
        )

    def peek(self, key: SnapshotKey) -> LocalEntry | None:
        """The existing snapshot of any age, or None; upstream is not contacted."""
        return self._local_cache.revalidate_if_due(key.text)

    def expires_within(self, key: SnapshotKey, seconds: float, *, min_age: float) -> bool:
        """Whether the snapshot of *key* is missing or about to become stale.

        Args:
            min_age: False for snapshots younger than this many seconds.
        """
        entry = self._local_cache.revalidate_if_due(key.text)
        if entry is None:
            return True
        now = self._store.now()
        walked = entry.snapshot.oldest_walk_at
        fresh_for = self._freshness.fresh_for(key.filter_set.key, walked, now)
        return fresh_for <= seconds and not 0 <= now - walked < min_age

    def can_serve(self, key: SnapshotKey) -> bool:
        """Whether there is a copy of *key* that requests get, at least while upstream fails."""
        entry = self._local_cache.revalidate_if_due(key.text)
        return entry is not None and self._state(key, entry) is not CopyState.EXPIRED

    def recently_requested(self, source: SourceName) -> Iterator[SnapshotKey]:
        """The filter sets with snapshots of their own that were requested lately."""
        return (key for key in self._registry.recent() if key.source is source)

    def start_refresh(
        self, key: SnapshotKey, rules: MergeRules, purpose: Purpose = Purpose.BACKGROUND
    ) -> bool:
        """Start a refresh in the background, unless a failure prevents it."""
        failure = self._backoff.current(key)
        return self._refresher.refresh(key, rules, failure, purpose) is not None

    def _begin_stale(
        self, key: SnapshotKey, rules: MergeRules, entry: LocalEntry, state: CopyState
    ) -> Pending:
        failure = self._backoff.current(key)
        flight = self._refresher.refresh(key, rules, failure)
        began = self._clock.monotonic()
        # No walk can end during a pause that upstream requested, so waiting is pointless.
        may_refresh = failure is None and self._budget.cooldown_left() < _OLD_TIMEOUT
        if state is CopyState.STALE or flight is None or not may_refresh:
            stale = state is CopyState.STALE and failure is None
            outcome = CacheOutcome.STALE if stale else CacheOutcome.FAILED
            lookup = self._lookup(key, entry, outcome)
            return lambda timeout: lookup

        def wait(timeout: float) -> Lookup:
            with self._bulkhead.place() as may_wait:
                if may_wait:
                    time_left = began + _OLD_TIMEOUT - self._clock.monotonic()
                    flight.wait(max(0.0, min(timeout, time_left)))
            newer = self._local_cache.get(key.text)
            if newer is not None and newer.version != entry.version:
                return self._lookup(key, newer, CacheOutcome.REFRESHED)
            return self._lookup(key, entry, CacheOutcome.FAILED)

        return wait

    def _begin_cold(self, key: SnapshotKey, rules: MergeRules) -> Pending:
        failure = self._backoff.current(key)
        # Of several concurrent requests for a new key only the first needs admission. The lock
        # makes the others find the key in the registry.
        with self._admission_lock:
            purpose = Purpose.LIVE if failure else self._admit(key, rules)
            if failure is None:
                self._registry.record(key, settled=rules.settled, pinned=rules.wide)
        flight = self._refresher.refresh(key, rules, failure, purpose)

        def wait(timeout: float) -> Lookup:
            if failure is not None or flight is None:
                raise self._unavailable(failure)
            if self._budget.cooldown_left() < timeout:
                self._wait_in_bulkhead(flight, timeout)
            entry = self._local_cache.get(key.text)
            if entry is not None and self._state(key, entry) is not CopyState.EXPIRED:
                return self._lookup(key, entry, CacheOutcome.FETCHED)
            raise self._unavailable(flight.failure)

        return wait

    def _unavailable(self, failure: Failure | None) -> UnavailableError:
        """The error for a snapshot of which there is no copy."""
        if failure is None:
            return self._cooldown_error(longer_than=_RETRY_AFTER) or UnavailableError(
                "the timetable is still being fetched from TeamUp; try again in a moment",
                retry_after=_RETRY_AFTER,
            )
        return UnavailableError(
            f"{UNREACHABLE}, and there is no earlier copy of the timetable; try again later",
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

    def _admit(self, key: SnapshotKey, rules: MergeRules) -> Purpose:
        """Admit a request for *key*; the purpose for which its walk may use the budget.

        Raises:
            TooManyRequestsError: the key is new, and too many new keys were requested lately.
            UnavailableError: the key is new, and upstream has requested a pause.
        """
        if rules.wide or self._registry.contains(key):
            return Purpose.LIVE
        if error := self._cooldown_error():
            raise error
        wait = self._budget.reserve(Purpose.ADMISSION)
        if wait:
            raise TooManyRequestsError(
                "too many new feeds were requested at once; try again later (feeds that are in use"
                " are not affected)",
                retry_after=min(300, math.ceil(wait)),
            )
        return Purpose.NEW

    def _cooldown_error(self, *, longer_than: float = 0.0) -> UnavailableError | None:
        """The error for a pause that upstream has requested; None if there is no pause.

        Args:
            longer_than: seconds; a pause that ends within this time is ignored.
        """
        cooldown = self._budget.cooldown_left()
        if cooldown <= longer_than:
            return None
        return UnavailableError(
            "TeamUp has asked the bridge to pause its requests, and there is no earlier copy;"
            " try again later",
            retry_after=min(300, math.ceil(cooldown)),
        )

    def _state(self, key: SnapshotKey, entry: LocalEntry) -> CopyState:
        return self._freshness.state(
            key.filter_set.key, entry.snapshot.oldest_walk_at, self._store.now()
        )

    def _lookup(self, key: SnapshotKey, entry: LocalEntry, outcome: CacheOutcome) -> Lookup:
        now = self._store.now()
        walked = entry.snapshot.oldest_walk_at
        fresh_for = self._freshness.fresh_for(key.filter_set.key, walked, now)
        return Lookup(
            snapshot=entry.snapshot,
            version=entry.version,
            outcome=outcome,
            fresh_for=fresh_for,
            servable_for=fresh_for + self._freshness.max_stale,
            age=max(0.0, now - walked),
            at=self._clock.monotonic(),
        )
