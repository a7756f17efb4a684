"""The refresher: one walk per key at a time in the whole fleet."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from bridge.clock import Clock
from bridge.errors import Cause, Scope, StoreError, UpstreamError
from bridge.filters import FilterSet
from bridge.instrumentation import NO_INSTRUMENTATION, Instrumentation
from bridge.snapshots.backoff import Backoff, Failure
from bridge.snapshots.freshness import CopyState, FreshnessPolicy
from bridge.snapshots.local_cache import LocalCache
from bridge.snapshots.merge import MergeRules
from bridge.snapshots.publisher import Publisher
from bridge.snapshots.single_flight import Flight, SingleFlight
from bridge.store.interface import Store
from bridge.store.keys import Keys
from bridge.store.leases import Lease, LostLeaseError, acquire
from bridge.upstream.budget import Purpose
from bridge.upstream.pagination import WALK_SECONDS, Walker

log = structlog.get_logger()

_POLL = 0.1


@dataclass(frozen=True, slots=True)
class _Task:
    """A refresh that is wanted.

    Attributes:
        walked: when the copy at hand was; a refresh ahead of time wants a newer one.
    """

    filter_set: FilterSet
    rules: MergeRules
    purpose: Purpose
    walked: float

    @property
    def key(self) -> str:
        return self.filter_set.key


class Refresher:
    """Walks for what is stale, or waits for whoever does."""

    def __init__(
        self,
        *,
        store: Store,
        keys: Keys,
        local_cache: LocalCache,
        walker: Walker,
        publisher: Publisher,
        freshness: FreshnessPolicy,
        backoff: Backoff,
        clock: Clock,
        instrumentation: Instrumentation = NO_INSTRUMENTATION,
    ) -> None:
        self._store = store
        self._instrumentation = instrumentation
        self._keys = keys
        self._local_cache = local_cache
        self._walker = walker
        self._publisher = publisher
        self._freshness = freshness
        self._backoff = backoff
        self._clock = clock
        self._single_flight = SingleFlight(clock)

    @property
    def changes(self) -> int:
        """Copies that have come to this process, and refreshes that have ended in it."""
        return self._local_cache.changes + self._single_flight.finished

    def refresh(
        self,
        filter_set: FilterSet,
        rules: MergeRules,
        failure: Failure | None,
        purpose: Purpose = Purpose.LIVE,
    ) -> Flight | None:
        """Join or begin the refresh of *filter_set*; None while *failure* says to leave it.

        Args:
            failure: the one that is remembered, if any.
        """
        if failure is not None and not failure.due(self._store.now()):
            return None
        here = self._local_cache.get(filter_set.key)
        walked = here.snapshot.walked if here else float("-inf")
        task = _Task(filter_set, rules, purpose, walked)
        return self._single_flight.join(
            task.key,
            lambda flight: self._fly(flight, task),
            # its share of the budget may be used up for a while
            patient=purpose is not Purpose.LIVE,
        )

    def accept(self) -> int:
        """Remove at once what is held; how many sessions that were.

        Raises:
            StoreError: refreshes left no moment for it.
        """
        prefix = self._keys.snapshot("")
        keys = [name.removeprefix(prefix) for name in self._store.names(prefix)]
        return sum(self._accept(key) for key in keys if self._publisher.held(key))

    def stop(self) -> None:
        """Begin no more, and tell those under way to end."""
        self._single_flight.stop()

    def close(self) -> None:
        """See those under way end, for a moment."""
        self._single_flight.close()

    def _accept(self, key: str) -> int:
        until = self._clock.monotonic() + WALK_SECONDS
        while self._clock.monotonic() < until:
            lease = self._lease(key)
            if lease is not None:
                try:
                    return self._publisher.accept(key, lease)
                except LostLeaseError:
                    log.warning("a refresh came between; trying again", key=key)
                finally:
                    lease.release()
            self._clock.wait(threading.Event(), _POLL)
        raise StoreError("a refresh is under way: try again in a minute", readable=True)

    def _lease(self, key: str) -> Lease | None:
        return acquire(self._store, self._keys, f"refresh:{key}")

    def _fly(self, flight: Flight, task: _Task) -> None:
        """Publish a new snapshot, or see it published by somebody else."""
        known = self._backoff.current(task.key)
        began = self._clock.monotonic()
        behind: float | None = None
        while not flight.closing.is_set() and self._clock.monotonic() < began + 2 * WALK_SECONDS:
            failure = self._backoff.current(task.key)
            if failure is not None and failure != known:
                # somebody else tried in the meantime
                flight.failure = failure
                break
            if self._done(task):
                break
            lease = self._lease(task.key)
            if lease is None:
                behind = self._clock.monotonic() if behind is None else behind
                self._clock.wait(flight.closing, _POLL)
                continue
            self._waited(behind)
            behind = None
            if self._at_work(flight, task, lease):
                return
        self._waited(behind)

    def _waited(self, since: float | None) -> None:
        if since is not None:
            self._instrumentation.lease_waited(self._clock.monotonic() - since)

    def _at_work(self, flight: Flight, task: _Task, lease: Lease) -> bool:
        """Refresh under *lease*; whether it held."""
        try:
            # It may have been published between the look and the lease.
            if not self._done(task):
                self._walk_if_allowed(flight, task, lease)
        except LostLeaseError:
            log.warning("a refresh took too long, and another took over", key=task.key)
            return False
        finally:
            lease.release()
        return True

    def _done(self, task: _Task) -> bool:
        """Whether what was wanted is there, whoever published it."""
        here = self._local_cache.fetch(task.key)
        if here is None:
            return False
        walked = here.snapshot.walked
        fresh = self._freshness.age(task.key, walked, self._store.now()) is CopyState.FRESH
        return fresh and (task.purpose is not Purpose.AHEAD or walked > task.walked)

    def _walk_if_allowed(self, flight: Flight, task: _Task, lease: Lease) -> None:
        """Walk, unless the upstream as a whole has failed and another probe is under way."""
        failure = self._backoff.current(task.key)
        if failure is None or failure.scope is not Scope.ACCOUNT:
            self._walk_if_due(flight, task, (lease,))
            return
        probe = acquire(self._store, self._keys, "probe")
        if probe is not None:
            try:
                self._walk_if_due(flight, task, (lease, probe))
            finally:
                probe.release()

    def _walk_if_due(self, flight: Flight, task: _Task, leases: Sequence[Lease]) -> None:
        """Walk, unless a failure speaks against it that came just before *leases* were had."""
        failure = self._backoff.current(task.key)
        if failure is None or failure.due(self._store.now()):
            self._walk(flight, task, leases)
        else:
            flight.failure = failure

    def _walk(self, flight: Flight, task: _Task, leases: Sequence[Lease]) -> None:
        """Walk and publish, while all of *leases* hold; the first is the one to publish under."""

        def alive() -> None:
            for lease in leases:
                lease.renew()

        began = self._clock.monotonic()
        try:
            walk = self._walker.walk(task.filter_set, purpose=task.purpose, heartbeat=alive)
            self._instrumentation.walked("complete", self._clock.monotonic() - began, walk.pages)
            self._publisher.publish(task.filter_set, task.rules, walk, leases[0])
        except UpstreamError as err:
            if flight.closing.is_set():
                # cut off because this process ends, which is no failure of upstream's
                return
            self._instrumentation.walked(err.cause.code, self._clock.monotonic() - began, 0)
            flight.failure = self._backoff.remember(task.key, err.cause)
            log.warning("walk failed", key=task.key, cause=str(err))
        except LostLeaseError:
            raise
        except Exception:
            internal = Cause("internal", "the bridge itself failed; its log says where")
            flight.failure = self._backoff.remember(task.key, internal)
            raise
        else:
            self._backoff.clear(task.key)
