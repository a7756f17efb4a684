"""The snapshot router: joins the snapshots of all sources that answer a filter set.

lookup = router.find(filter_set)
lookup.snapshot, lookup.outcome, lookup.left_out
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from cachetools import LRUCache

from bridge.clock import Clock
from bridge.errors import RetryLaterError
from bridge.filters import FilterSet
from bridge.model import SourceName
from bridge.snapshots.backoff import Backoff, Failure
from bridge.snapshots.cache import COLD_TIMEOUT, Lookup, Pending, SnapshotCache
from bridge.snapshots.merge import MergeRules
from bridge.snapshots.snapshot import Snapshot, join
from bridge.snapshots.snapshot_key import SnapshotKey
from bridge.snapshots.source_router import SourceRouter
from bridge.upstream.sources import SOURCES

# Sessions in joined snapshots; each entry refers to a session of a cached snapshot.
_MAX_JOINED_SESSIONS = 100_000


@dataclass(frozen=True, slots=True)
class SourceState:
    """The state of one source.

    Attributes:
        key: of the widest snapshot.
        snapshot: the widest copy, if there is one.
        failure: why it cannot be refreshed at present, if that is so.
        left_out: whether feeds do without the source: the account may not read it, and never could.
        servable: whether feeds can be served without another walk of the source.
    """

    source: SourceName
    key: SnapshotKey
    snapshot: Snapshot | None
    failure: Failure | None
    left_out: bool
    servable: bool

    @property
    def walked(self) -> float | None:
        """When the last successful walk began, in seconds since 1970; None if no copy exists."""
        return self.snapshot.oldest_walk_at if self.snapshot else None


class SnapshotRouter:
    """Finds the snapshots that answer a filter set, and joins them.

    If one source has no snapshot, the request fails: an incomplete timetable would look complete.
    Exceptions: a source for which the account has no permission, and which was never read, is left
    out. And while all copies are of an earlier version that did not read a source, feeds are as
    complete as they were.

    Args:
        routers: one for each source of the timetable.
    """

    def __init__(
        self,
        routers: Mapping[SourceName, SourceRouter],
        cache: SnapshotCache,
        backoff: Backoff,
        clock: Clock,
    ) -> None:
        self._routers = {source: routers[source] for source in SourceName if source in routers}
        self._cache = cache
        self._backoff = backoff
        self._clock = clock
        self._lock = threading.Lock()
        self._joined: LRUCache[str, Snapshot] = LRUCache(
            _MAX_JOINED_SESSIONS,
            getsizeof=lambda snapshot: min(_MAX_JOINED_SESSIONS, len(snapshot.published) + 1),
        )

    @property
    def widest_keys(self) -> tuple[SnapshotKey, ...]:
        """The key of each source's widest snapshot."""
        return tuple(router.widest_key for router in self._routers.values())

    def find(self, filter_set: FilterSet, *, timeout: float = COLD_TIMEOUT) -> Lookup:
        """A snapshot that contains every session of *filter_set*, and possibly others.

        Args:
            timeout: seconds to wait for walks if there is no copy.

        Raises:
            UnavailableError: a source has no copy, and no walk ended in time.
            TooManyRequestsError: there is no copy, and too many new filter sets were requested.
        """
        began = self._clock.monotonic()
        relevant, filter_set = self._relevant(filter_set)
        # All walks are started before one of them is waited for.
        pending = [(source, self._begin(source, filter_set)) for source in relevant]
        lookups: list[Lookup] = []
        left_out: list[SourceName] = []
        errors: list[RetryLaterError] = []
        for source, result in pending:
            time_left = max(0.0, timeout - (self._clock.monotonic() - began))
            try:
                lookups.append(result(time_left))
            except RetryLaterError as err:
                errors.append(err)
                if self._backoff.is_left_out(source):
                    left_out.append(source)
                elif self._backoff.stored_before(source):
                    continue
                elif self._routers[source].peek(filter_set) is None:
                    raise
                else:
                    # It was read in the meantime.
                    lookups.append(self._begin(source, filter_set)(0.0))
        if not lookups:
            raise errors[0]
        return replace(self._join(lookups), left_out=tuple(left_out))

    def merge_rules(self, key: SnapshotKey) -> MergeRules | None:
        """How walks of *key* are merged; None if its source is no part of the timetable."""
        router = self._routers.get(key.source)
        return router.merge_rules(key) if router else None

    def peek_widest(self) -> Snapshot | None:
        """The existing widest copy, for names and catalogues; never contacts upstream."""
        return self.peek(next(iter(self._routers.values())).widest_key.filter_set)

    def peek(self, filter_set: FilterSet) -> Snapshot | None:
        """The existing copy that answers *filter_set*; never contacts upstream."""
        relevant, filter_set = self._relevant(filter_set)
        found: list[tuple[str, Snapshot]] = []
        for source in relevant:
            entry = self._routers[source].peek(filter_set)
            if entry is not None:
                found.append((entry.version, entry.snapshot))
            elif not (self._backoff.is_left_out(source) or self._backoff.stored_before(source)):
                return None
        return self._joined_snapshot(found)[1] if found else None

    def states(self) -> list[SourceState]:
        """The state of each source; never contacts upstream."""
        states = [self._state(source, router) for source, router in self._routers.items()]
        if all(state.left_out for state in states):
            # Feeds cannot do without all of them.
            return [replace(state, left_out=False, servable=False) for state in states]
        return states

    def _begin(self, source: SourceName, filter_set: FilterSet) -> Pending:
        try:
            return self._routers[source].begin(filter_set)
        except RetryLaterError as err:
            return _raising(err)

    def _relevant(self, filter_set: FilterSet) -> tuple[list[SourceName], FilterSet]:
        """The sources that can contain sessions of *filter_set*, and what to request of them.

        If no source can match, return one source's widest filter set: its snapshot exists already,
        and selection then finds nothing.
        """
        session = filter_set.session
        relevant = [
            source
            for source in self._routers
            if (not filter_set.sources or source in filter_set.sources)
            and (session is None or session[0] == source.object)
            and not any(getattr(filter_set, field) for field in SOURCES[source].absent)
        ]
        if not relevant:
            source, router = next(iter(self._routers.items()))
            return [source], router.widest_key.filter_set
        # The routers of the sources expect no filter by source.
        return relevant, filter_set.with_changes(sources=()) if filter_set.sources else filter_set

    def _state(self, source: SourceName, router: SourceRouter) -> SourceState:
        entry = self._cache.peek(router.widest_key)
        failure = self._backoff.current(router.widest_key)
        left_out = entry is None and self._backoff.is_left_out(source)
        return SourceState(
            source=source,
            key=router.widest_key,
            snapshot=entry.snapshot if entry else None,
            failure=failure,
            left_out=left_out,
            servable=left_out
            or router.can_serve(failure)
            or (entry is None and self._backoff.stored_before(source)),
        )

    def _join(self, lookups: Sequence[Lookup]) -> Lookup:
        found = [(lookup.version, lookup.snapshot) for lookup in lookups]
        version, snapshot = self._joined_snapshot(found)
        return Lookup.joined(lookups, snapshot, version)

    def _joined_snapshot(self, found: Sequence[tuple[str, Snapshot]]) -> tuple[str, Snapshot]:
        """The joined snapshot of several versions with their snapshots, and its version."""
        version = "&".join(version for version, _ in found)
        if len(found) == 1:
            return version, found[0][1]
        with self._lock:
            snapshot = self._joined.get(version)
        if snapshot is None:
            snapshot = join([snapshot for _, snapshot in found])
            with self._lock:
                self._joined[version] = snapshot
        return version, snapshot


def _raising(err: RetryLaterError) -> Pending:
    def result(timeout: float) -> Lookup:
        raise err

    return result
