"""The snapshot cache: keyed by filter set, fresh for a while, and never emptied by a failure."""

import logging
from dataclasses import dataclass, replace
from enum import Enum

from cachetools import LRUCache

from bridge.cache import publication
from bridge.cache.failures import Failure, Failures
from bridge.cache.flights import Flight, Flights
from bridge.cache.keys import Keys
from bridge.cache.leases import Lease, LostLeaseError, acquire
from bridge.cache.lifetimes import Age, Lifetimes
from bridge.cache.memories import Memories
from bridge.cache.publication import HISTORY_DAYS, Rules
from bridge.cache.snapshot import Snapshot, decode, encode
from bridge.cache.store import Entry, Store, Write
from bridge.clock import Clock
from bridge.errors import Cause, Scope, UnavailableError, UpstreamError
from bridge.filters import FilterSet
from bridge.upstream.ledger import Purpose
from bridge.upstream.walk import WALK_SECONDS, Walk, Walker

log = logging.getLogger(__name__)

COLD_PATIENCE = 8.0
_OLD_PATIENCE = 4.0
_RETRY_AFTER = 5
_LOOK_AGAIN = 1.0
_POLL = 0.1
_MAX_SESSIONS = 250_000


class Served(Enum):
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
        age: seconds since the walk.
    """

    snapshot: Snapshot
    version: str
    served: Served
    left: float
    age: float


@dataclass(frozen=True, slots=True)
class _Held:
    """A snapshot in this worker.

    Attributes:
        version: its own.
        stored: the version that the store had when it was last looked at; the snapshot there may
            be an older one.
        looked: when that was, on the monotonic clock.
    """

    snapshot: Snapshot
    version: str
    stored: str
    looked: float


class SnapshotCache:
    """Answers with snapshots; asks upstream at most once per key and lifetime.

    In front of the shared store stands what this worker has decoded already.

    Args:
        walk: asks upstream.
    """

    def __init__(
        self, *, store: Store, keys: Keys, walker: Walker, lifetimes: Lifetimes, clock: Clock
    ) -> None:
        self._store = store
        self._keys = keys
        self._walker = walker
        self._lifetimes = lifetimes
        self._clock = clock
        self._failures = Failures(store, keys)
        self._memories = Memories(store, keys)
        self._flights = Flights(clock)
        self._held: LRUCache[str, _Held] = LRUCache(
            _MAX_SESSIONS,
            getsizeof=lambda held: min(_MAX_SESSIONS, len(held.snapshot.published) + 1),
        )

    def get(
        self, filter_set: FilterSet, rules: Rules, *, patience: float = COLD_PATIENCE
    ) -> Lookup:
        """The best snapshot that can be had of *filter_set*.

        Args:
            rules: how it is published, should it be walked for.
            patience: seconds to wait where there is no copy at all.

        Raises:
            UnavailableError: there is none, and none came in time.
        """
        key = filter_set.key
        held = self._look(key)
        if held is not None:
            age = self._age(key, held)
            if age is Age.FRESH or rules.settled:
                return self._lookup(key, held, Served.HIT)
            if age is not Age.EXPIRED:
                return self._past_its_time(filter_set, rules, held, age)
        return self._cold(filter_set, rules, patience)

    def remembered(self, identity: int) -> Lookup | None:
        """One session as it was last published under any filter set; upstream is not asked."""
        one = self._memories.one(self._walker.row_object, identity)
        if one is None:
            return None
        walked = float(one.revision.latest)
        snapshot = Snapshot(walked, walked, (one,), {})
        now = self._store.now()
        version = f"{one.session.identity} {walked}"
        return Lookup(snapshot, version, Served.HIT, self._lifetimes.ttl, max(0.0, now - walked))

    def peek(self, filter_set: FilterSet) -> Snapshot | None:
        """The copy that is there, of whatever age; upstream is not asked."""
        held = self._look(filter_set.key)
        return held.snapshot if held else None

    def close(self) -> None:
        """Start no more refreshes."""
        self._flights.close()

    def _past_its_time(self, filter_set: FilterSet, rules: Rules, held: _Held, age: Age) -> Lookup:
        key = filter_set.key
        failure = self._failures.current(key)
        flight = self._refresh(filter_set, rules, failure)
        if failure is not None:
            return self._lookup(key, held, Served.FAILED)
        if age is Age.STALE:
            return self._lookup(key, held, Served.STALE)
        if flight is not None:
            flight.wait(_OLD_PATIENCE)
        newer = self._held.get(key)
        if newer is not None and newer.version != held.version:
            return self._lookup(key, newer, Served.REFRESHED)
        return self._lookup(key, held, Served.FAILED)

    def _cold(self, filter_set: FilterSet, rules: Rules, patience: float) -> Lookup:
        key = filter_set.key
        failure = self._failures.current(key)
        flight = self._refresh(filter_set, rules, failure)
        if failure is None and flight is not None:
            flight.wait(patience)
            held = self._held.get(key)
            if held is not None and self._age(key, held) is not Age.EXPIRED:
                return self._lookup(key, held, Served.FETCHED)
            failure = flight.failure
        if failure is None:
            raise UnavailableError(
                "the timetable is still being fetched from TeamUp: ask again in a moment",
                retry_after=_RETRY_AFTER,
            )
        raise UnavailableError(
            f"the timetable cannot be had from TeamUp at present ({failure.code}), and there is"
            " no earlier copy: ask again later",
            retry_after=failure.retry_after(self._store.now()),
        )

    def _age(self, key: str, held: _Held) -> Age:
        return self._lifetimes.age(key, held.snapshot.walked, self._store.now())

    def _lookup(self, key: str, held: _Held, served: Served) -> Lookup:
        now = self._store.now()
        walked = held.snapshot.walked
        left = self._lifetimes.left(key, walked, now)
        return Lookup(held.snapshot, held.version, served, left, max(0.0, now - walked))

    def _look(self, key: str) -> _Held | None:
        """What this worker has, or the store where that has something newer."""
        held = self._held.get(key)
        now = self._clock.monotonic()
        if held is not None and 0 <= now - held.looked < _LOOK_AGAIN:
            return held
        return self._fetch(key)

    def _fetch(self, key: str) -> _Held | None:
        """Look into the store, and keep the newer of what is there and what is here.

        A store that was away, or lost everything, has something older or nothing: what is here is
        published again in time.
        """
        now = self._clock.monotonic()
        held = self._held.get(key)
        name = self._keys.snapshot(key)
        version = self._store.versions([name]).get(name)
        if held is not None and version in (held.stored, None):
            held = replace(held, looked=now)
        elif version is not None:
            entry = self._store.read([name]).get(name)
            stored = self._decoded(entry) if entry else None
            newer = held is None or (stored is not None and stored.walked > held.snapshot.walked)
            if newer and stored is not None and entry is not None:
                held = _Held(stored, entry.version, entry.version, now)
            elif held is not None:
                held = replace(held, stored=version, looked=now)
        if held is not None:
            self._held[key] = held
        return held

    @staticmethod
    def _decoded(entry: Entry) -> Snapshot | None:
        try:
            return decode(entry.value)
        except ValueError as err:
            log.warning("unreadable snapshot passed over", extra={"why": str(err)})
            return None

    def _refresh(
        self, filter_set: FilterSet, rules: Rules, failure: Failure | None
    ) -> Flight | None:
        """Join or begin the refresh of *filter_set*; None while a failure says to leave it."""
        if failure is not None and not failure.due(self._store.now()):
            return None
        return self._flights.join(
            filter_set.key, lambda flight: self._fly(flight, filter_set, rules)
        )

    def _fly(self, flight: Flight, filter_set: FilterSet, rules: Rules) -> None:
        """Publish a new snapshot, or see it published by somebody else."""
        key = filter_set.key
        began = self._store.now()
        until = self._clock.monotonic() + 2 * WALK_SECONDS
        while not flight.closing.is_set() and self._clock.monotonic() < until:
            failure = self._failures.current(key)
            if failure is not None and failure.at > began:
                flight.failure = failure
                return
            lease = acquire(self._store, self._keys, f"refresh:{key}")
            if lease is None:
                if self._adopt(key):
                    return
                self._clock.wait(flight.closing, _POLL)
                continue
            try:
                if not self._adopt(key):
                    self._walk_if_allowed(flight, filter_set, rules, lease, failure)
                return
            except LostLeaseError:
                log.warning("a refresh took too long, and another took over", extra={"key": key})
            finally:
                lease.release()

    def _walk_if_allowed(
        self,
        flight: Flight,
        filter_set: FilterSet,
        rules: Rules,
        lease: Lease,
        failure: Failure | None,
    ) -> None:
        """Walk, unless the upstream as a whole has failed and another probe is under way."""
        if failure is None or failure.scope is not Scope.ACCOUNT:
            self._walk(flight, filter_set, rules, lease)
            return
        probe = acquire(self._store, self._keys, "probe")
        if probe is not None:
            try:
                self._walk(flight, filter_set, rules, lease)
            finally:
                probe.release()

    def _adopt(self, key: str) -> bool:
        """Take over what somebody else published in the meantime; whether it is fresh."""
        held = self._fetch(key)
        return held is not None and self._age(key, held) is Age.FRESH

    def _walk(self, flight: Flight, filter_set: FilterSet, rules: Rules, lease: Lease) -> None:
        key = filter_set.key
        try:
            walk = self._walker.walk(
                filter_set, purpose=Purpose.LIVE, heartbeat=lambda pages: lease.renew()
            )
            self._publish(filter_set, rules, walk, lease)
        except UpstreamError as err:
            flight.failure = self._failures.remember(key, err.cause)
            log.warning("walk failed", extra={"key": key, "cause": str(err)})
        except LostLeaseError:
            raise
        except Exception:
            internal = Cause("internal", "the bridge itself failed; its log says where")
            flight.failure = self._failures.remember(key, internal)
            raise
        else:
            self._failures.clear(key)

    def _publish(self, filter_set: FilterSet, rules: Rules, walk: Walk, lease: Lease) -> None:
        """Merge *walk* with what was published, and publish it while *lease* is held."""
        key = filter_set.key
        name = self._keys.snapshot(key)
        before = self._fetch(key)
        previous = before.snapshot if before else None
        for _ in range(5):
            memory = self._memories.recall(walk, previous)
            snapshot = publication.publish(filter_set, walk, previous, memory.published, rules)
            writes, expect = memory.changes(snapshot)
            writes[name] = Write(encode(snapshot), self._kept_for(rules))
            lease.renew()
            version = self._store.commit(writes, expect={**expect, **lease.expectation})
            if version is not None:
                self._held[key] = _Held(snapshot, version, version, self._clock.monotonic())
                log.info(
                    "published",
                    extra={"key": key, "sessions": len(snapshot.published), "pages": walk.pages},
                )
                return
        raise RuntimeError("other filter sets kept publishing the same sessions")

    def _kept_for(self, rules: Rules) -> float:
        """Seconds for which the store keeps a snapshot that nobody refreshes."""
        if rules.settled:
            return HISTORY_DAYS * 86400.0
        lifetimes = self._lifetimes
        return lifetimes.ttl * 2 + lifetimes.stale_if_error + 86400
