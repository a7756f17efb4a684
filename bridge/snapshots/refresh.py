"""Refreshes snapshots: at most one walk per snapshot at a time in the whole fleet."""

import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass

import structlog

from bridge.clock import Clock
from bridge.errors import Cause, Scope, StoreError, UpstreamError
from bridge.instrumentation import NO_INSTRUMENTATION, Instrumentation
from bridge.model import SourceName
from bridge.snapshots.backoff import Backoff, Failure
from bridge.snapshots.freshness import CopyState, FreshnessPolicy
from bridge.snapshots.local_cache import LocalCache
from bridge.snapshots.merge import MergeRules
from bridge.snapshots.publisher import Publisher
from bridge.snapshots.single_flight import Flight, RefreshSlot, SingleFlight
from bridge.snapshots.snapshot_key import SnapshotKey
from bridge.store.interface import Store
from bridge.store.keys import Keys
from bridge.store.leases import Lease, LostLeaseError, acquire
from bridge.upstream.budget import Purpose
from bridge.upstream.pagination import WALK_SECONDS, Heartbeat, Walk, Walker

log = structlog.get_logger()

_POLL_INTERVAL = 0.1


@dataclass(frozen=True, slots=True)
class _Task:
    """A requested refresh.

    Attributes:
        walked: the time of the current copy; a prefetch requires a newer one.
    """

    key: SnapshotKey
    rules: MergeRules
    purpose: Purpose
    walked: float


class Refresher:
    """Walks upstream, or waits for another process that is walking for the same snapshot.

    Args:
        slot: see :class:`~bridge.snapshots.single_flight.SingleFlight`.
    """

    def __init__(
        self,
        *,
        store: Store,
        keys: Keys,
        local_cache: LocalCache,
        walkers: Mapping[SourceName, Walker],
        publisher: Publisher,
        freshness: FreshnessPolicy,
        backoff: Backoff,
        clock: Clock,
        instrumentation: Instrumentation = NO_INSTRUMENTATION,
        slot: RefreshSlot = nullcontext,
    ) -> None:
        self._store = store
        self._instrumentation = instrumentation
        self._keys = keys
        self._local_cache = local_cache
        self._walkers = walkers
        self._publisher = publisher
        self._freshness = freshness
        self._backoff = backoff
        self._clock = clock
        self._single_flight = SingleFlight(clock, instrumentation, slot)

    @property
    def generation(self) -> int:
        """Changes of the local cache plus finished refreshes; a new value means newer data."""
        return self._local_cache.generation + self._single_flight.finished

    def refresh(
        self,
        key: SnapshotKey,
        rules: MergeRules,
        failure: Failure | None,
        purpose: Purpose = Purpose.LIVE,
    ) -> Flight | None:
        """Join or start the refresh of *key*; None until the probe of *failure* is due.

        None as well if no thread can be started.

        Args:
            failure: the current failure that affects *key*, if any.
        """
        if failure is not None and not failure.due(self._store.now()):
            return None
        entry = self._local_cache.get(key.text)
        walked = entry.snapshot.oldest_walk_at if entry else float("-inf")
        task = _Task(key, rules, purpose, walked)
        return self._single_flight.join(
            key.text,
            lambda flight: self._refresh(flight, task),
            low_priority=purpose is not Purpose.LIVE,
        )

    def confirm_deletions(self) -> int:
        """Remove all held sessions at once; how many were removed.

        Raises:
            StoreError: refreshes kept running all the time.
        """
        prefix = self._keys.snapshot("")
        keys = [name.removeprefix(prefix) for name in self._store.names(prefix)]
        return sum(self._confirm_deletions(key) for key in keys if self._publisher.held_count(key))

    def stop(self) -> None:
        """Start no more refreshes, and ask the running ones to end."""
        self._single_flight.stop()

    def close(self) -> None:
        """Stop, and wait briefly for the running refreshes."""
        self._single_flight.close()

    def _confirm_deletions(self, key: str) -> int:
        deadline = self._clock.monotonic() + WALK_SECONDS
        while self._clock.monotonic() < deadline:
            lease = self._acquire_lease(key)
            if lease is not None:
                try:
                    return self._publisher.confirm_deletions(key, lease)
                except LostLeaseError:
                    log.warning("lease lost to a refresh; trying again", key=key)
                finally:
                    lease.release()
            self._clock.wait(threading.Event(), _POLL_INTERVAL)
        raise StoreError("a refresh is under way: try again in a minute", readable=True)

    def _acquire_lease(self, key: str) -> Lease | None:
        return acquire(self._store, self._keys, f"refresh:{key}")

    def _refresh(self, flight: Flight, task: _Task) -> None:
        """Publish a new snapshot, or wait until another process publishes it."""
        first_failure = self._backoff.current(task.key)
        began = self._clock.monotonic()
        waiting_since: float | None = None
        while not flight.closing.is_set() and self._clock.monotonic() < began + 2 * WALK_SECONDS:
            failure = self._backoff.current(task.key)
            if failure is not None and failure != first_failure:
                # Another process has walked in the meantime, and failed.
                flight.failure = failure
                break
            if self._is_done(task):
                break
            lease = self._acquire_lease(task.key.text)
            if lease is None:
                if waiting_since is None:
                    waiting_since = self._clock.monotonic()
                self._clock.wait(flight.closing, _POLL_INTERVAL)
                continue
            self._report_wait(waiting_since)
            waiting_since = None
            if self._refresh_under_lease(flight, task, lease):
                return
        self._report_wait(waiting_since)

    def _report_wait(self, since: float | None) -> None:
        if since is not None:
            self._instrumentation.lease_waited(self._clock.monotonic() - since)

    def _refresh_under_lease(self, flight: Flight, task: _Task, lease: Lease) -> bool:
        """Refresh and release *lease*; False if the lease was lost."""
        try:
            # Another process may have published between the last check and the lease.
            if not self._is_done(task):
                self._walk_if_due(flight, task, lease)
        except LostLeaseError:
            log.warning("refresh took too long; another process has taken over", key=task.key.text)
            return False
        finally:
            lease.release()
        return True

    def _is_done(self, task: _Task) -> bool:
        """Whether any process has published the requested snapshot."""
        entry = self._local_cache.revalidate(task.key.text)
        if entry is None:
            return False
        walked = entry.snapshot.oldest_walk_at
        fresh = (
            self._freshness.state(task.key.filter_set.key, walked, self._store.now())
            is CopyState.FRESH
        )
        return fresh and (task.purpose is not Purpose.BACKGROUND or walked > task.walked)

    def _walk_if_due(self, flight: Flight, task: _Task, lease: Lease) -> None:
        """Walk, unless a failure was recorded just before *lease* was acquired.

        If other snapshots fail as well, one process at a time tries whether upstream has recovered.
        """
        leases = [lease]
        failure = self._backoff.current(task.key)
        with ExitStack() as stack:
            if failure is not None and failure.scope is not Scope.KEY:
                of = f":{task.key.source.value}" if failure.scope is Scope.SOURCE else ""
                attempt = acquire(self._store, self._keys, f"probe{of}")
                if attempt is None:
                    return
                stack.callback(attempt.release)
                leases.append(attempt)
                # Another process may have tried just before.
                failure = self._backoff.current(task.key)
            if failure is None or failure.due(self._store.now()):
                self._walk(flight, task, leases)
            else:
                flight.failure = failure

    def _walk(self, flight: Flight, task: _Task, leases: Sequence[Lease]) -> None:
        """Walk and publish while all *leases* are valid; the first one protects the publication."""

        def renew_leases() -> None:
            for lease in leases:
                lease.renew()

        began = self._clock.monotonic()
        try:
            walker = self._walkers[task.key.source]
            walk = walker.walk(task.key.filter_set, purpose=task.purpose, heartbeat=renew_leases)
            self._publisher.check(task.key, walk)
            if walker.can_fetch_by_ids:
                walk = self._fetch_missing(walker, task, walk, renew_leases)
            self._instrumentation.walk_finished(
                "complete", self._clock.monotonic() - began, walk.pages
            )
            self._publisher.publish(task.key, task.rules, walk, leases[0])
        except UpstreamError as err:
            if flight.closing.is_set():
                # The walk was cancelled because this process exits; upstream did not fail.
                return
            self._instrumentation.walk_finished(err.cause.code, self._clock.monotonic() - began, 0)
            flight.failure = self._backoff.record(task.key, err.cause)
            log.warning("walk failed", key=task.key.text, cause=str(err))
            if self._backoff.is_left_out(task.key.source):
                log.warning("list left out of all feeds", source=task.key.source.value)
        except LostLeaseError:
            raise
        except Exception:
            internal = Cause("internal", "the bridge itself failed; its log says where")
            flight.failure = self._backoff.record(task.key, internal)
            raise
        else:
            self._backoff.clear(task.key)

    def _fetch_missing(self, walker: Walker, task: _Task, walk: Walk, heartbeat: Heartbeat) -> Walk:
        """Ask upstream for the sessions that *walk* lacks, before they are believed deleted."""
        missing = self._publisher.missing(task.key, task.rules, walk)
        if not missing:
            return walk
        try:
            return walker.fetch_by_ids(
                walk,
                task.key.filter_set,
                missing,
                purpose=task.purpose,
                heartbeat=heartbeat,
            )
        except UpstreamError as err:
            # They are treated as if upstream had no such parameter: believed at the next walk.
            log.warning("look-up failed", key=task.key.text, cause=str(err))
            return walk
