"""The snapshot cache: keyed by filter set, fresh for a while, and never emptied by a failure."""

import math
import threading
from dataclasses import dataclass
from enum import Enum

from bridge.clock import Clock
from bridge.errors import TooManyRequestsError, UnavailableError, told
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

COLD_PATIENCE = 8.0
_OLD_PATIENCE = 4.0
_RETRY_AFTER = 5


class CacheOutcome(Enum):
    """Where an answer comes from."""

    HIT = "hit"
    STALE = "stale"
    """An old copy; one refresh runs behind it."""
    FETCHED = "fetched"
    """Waited for: there was no copy before."""
    REFRESHED = "refreshed"
    """Waited for: there was an old copy before."""
    FAILED = "failed"
    """An old copy, because no new one can be had."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """An answer of the cache.

    Attributes:
        version: differs for every publication; equal versions hold equal snapshots.
        left: seconds for which it is still fresh; negative once it is stale.
        servable: seconds for which it may still be served while no newer one can be had.
        age: seconds since the walk.
        at: when this was so, on the monotonic clock.
    """

    snapshot: Snapshot
    version: str
    served: CacheOutcome
    left: float
    servable: float
    age: float
    at: float


class SnapshotCache:
    """Answers with snapshots; upstream is asked at most once per key and lifetime."""

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
        self._door = threading.Lock()

    def get(
        self, filter_set: FilterSet, rules: MergeRules, *, patience: float = COLD_PATIENCE
    ) -> Lookup:
        """The best snapshot that can be had of *filter_set*.

        Args:
            rules: how it is published, should it be walked for.
            patience: seconds to wait where there is no copy at all.

        Raises:
            UnavailableError: there is none, and none came in time.
            CrowdedError: there is none, and too many others are new as well.
        """
        key = filter_set.key
        held = self._local_cache.look(key)
        if held is not None:
            self._registry.note(key, settled=rules.settled, pinned=rules.history)
            age = self._age(key, held)
            if age is CopyState.FRESH or rules.settled:
                return self._lookup(key, held, CacheOutcome.HIT)
            if age is not CopyState.EXPIRED:
                return self._past_its_time(filter_set, rules, held, age)
        return self._cold(filter_set, rules, patience)

    def remembered(self, source: str, identity: int) -> Lookup | None:
        """One session as it was last published under any filter set; upstream is not asked."""
        one = self._history.load_one(source, identity)
        if one is None:
            return None
        walked = float(one.revision.latest)
        return Lookup(
            snapshot=Snapshot(walked, walked, (one,), {}),
            version=f"{identity}@{walked}",
            served=CacheOutcome.HIT,
            left=self._freshness.ttl,
            servable=self._freshness.ttl,
            age=max(0.0, self._store.now() - walked),
            at=self._clock.monotonic(),
        )

    def peek(self, filter_set: FilterSet) -> Snapshot | None:
        """The copy that is there, of whatever age; upstream is not asked."""
        held = self._local_cache.look(filter_set.key)
        return held.snapshot if held else None

    def expires_within(self, key: str, seconds: float, *, not_before: float) -> bool:
        """Whether the snapshot of *key* is about to expire.

        Args:
            not_before: a snapshot younger than that many seconds is left alone.
        """
        held = self._local_cache.look(key)
        if held is None:
            return True
        now = self._store.now()
        left = self._freshness.left(key, held.snapshot.walked, now)
        return left <= seconds and not 0 <= now - held.snapshot.walked < not_before

    def prefetch(self, filter_set: FilterSet, rules: MergeRules) -> bool:
        """Begin a refresh that nobody waits for, if no failure speaks against it."""
        failure = self._backoff.current(filter_set.key)
        return self._refresher.refresh(filter_set, rules, failure, Purpose.AHEAD) is not None

    def _past_its_time(
        self, filter_set: FilterSet, rules: MergeRules, held: LocalEntry, age: CopyState
    ) -> Lookup:
        key = filter_set.key
        failure = self._backoff.current(key)
        flight = self._refresher.refresh(filter_set, rules, failure)
        if failure is not None:
            return self._lookup(key, held, CacheOutcome.FAILED)
        if age is CopyState.STALE:
            return self._lookup(key, held, CacheOutcome.STALE)
        # during a pause that upstream asked for, no new copy can come
        if flight is not None and self._budget.cooldown_left() < _OLD_PATIENCE:
            with self._bulkhead.place() as entered:
                if entered:
                    flight.wait(_OLD_PATIENCE)
        newer = self._local_cache.get(key)
        if newer is not None and newer.version != held.version:
            return self._lookup(key, newer, CacheOutcome.REFRESHED)
        return self._lookup(key, held, CacheOutcome.FAILED)

    def _cold(self, filter_set: FilterSet, rules: MergeRules, patience: float) -> Lookup:
        key = filter_set.key
        failure = self._backoff.current(key)
        # Of a herd that asks for the same new thing, the first alone has to be let in.
        with self._door:
            purpose = Purpose.LIVE if failure else self._admitted(key, rules)
            if failure is None:
                self._registry.note(key, settled=rules.settled, pinned=rules.history)
        flight = self._refresher.refresh(filter_set, rules, failure, purpose)
        if failure is None and flight is not None:
            if self._budget.cooldown_left() < patience:
                self._wait_in_bulkhead(flight, patience)
            held = self._local_cache.get(key)
            if held is not None and self._age(key, held) is not CopyState.EXPIRED:
                return self._lookup(key, held, CacheOutcome.FETCHED)
            failure = flight.failure
        if failure is None:
            self._check_quiet(least=_RETRY_AFTER)
            raise UnavailableError(
                "the timetable is still being fetched from TeamUp: ask again in a moment",
                retry_after=_RETRY_AFTER,
            )
        raise UnavailableError(
            f"the timetable cannot be had from TeamUp at present ({told(failure.code)}), and there"
            " is no earlier copy: ask again later",
            retry_after=failure.retry_after(self._store.now()),
        )

    def _wait_in_bulkhead(self, flight: Flight, patience: float) -> None:
        """Wait for *flight*.

        Raises:
            UnavailableError: as many requests as may wait do so already.
        """
        with self._bulkhead.place() as entered:
            if not entered:
                raise UnavailableError(
                    "the timetable is being fetched from TeamUp, and too many requests wait for it"
                    " already: ask again in a moment",
                    retry_after=_RETRY_AFTER,
                )
            flight.wait(patience)

    def _admitted(self, key: str, rules: MergeRules) -> Purpose:
        """What upstream may be asked for *key* as.

        Raises:
            CrowdedError: it is new, and too much that is new was asked for lately.
            UnavailableError: it is new, and upstream is not to be asked at present.
        """
        if rules.history or self._registry.known(key):
            return Purpose.LIVE
        self._check_quiet()
        wait = self._budget.reserve(Purpose.ADMISSION)
        if wait:
            raise TooManyRequestsError(
                "too many new questions were asked at once, and this one is new: ask again later;"
                " feeds that are in use are not affected",
                retry_after=min(300, math.ceil(wait)),
            )
        return Purpose.NEW

    def _check_quiet(self, *, least: float = 0.0) -> None:
        """Refuse what upstream would have to be asked for during a pause that it asked for.

        Args:
            least: seconds of a pause that counts.

        Raises:
            UnavailableError: it is still to last longer than that.
        """
        quiet = self._budget.cooldown_left()
        if quiet > least:
            raise UnavailableError(
                "TeamUp asks to be left alone for a while, and there is no earlier copy: ask again"
                " later",
                retry_after=min(300, math.ceil(quiet)),
            )

    def _age(self, key: str, held: LocalEntry) -> CopyState:
        return self._freshness.age(key, held.snapshot.walked, self._store.now())

    def _lookup(self, key: str, held: LocalEntry, served: CacheOutcome) -> Lookup:
        now = self._store.now()
        walked = held.snapshot.walked
        left = self._freshness.left(key, walked, now)
        return Lookup(
            snapshot=held.snapshot,
            version=held.version,
            served=served,
            left=left,
            servable=left + self._freshness.servable,
            age=max(0.0, now - walked),
            at=self._clock.monotonic(),
        )
