"""Source routers: find the snapshot of one source that answers a filter set.

``UPSTREAM_PLAN`` selects the router: :class:`WideRouter` answers most filter sets from one
provider-wide snapshot, :class:`NarrowRouter` keeps a snapshot for each filter set.
"""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Protocol

from cachetools import LRUCache

from bridge.clock import Clock
from bridge.errors import ProblemArea, RetryLaterError
from bridge.filters import FilterSet
from bridge.model import ClassSession, Identity, Published, SourceName
from bridge.snapshots.backoff import Failure
from bridge.snapshots.cache import Lookup, Pending, SnapshotCache
from bridge.snapshots.local_cache import LocalEntry
from bridge.snapshots.merge import MergeRules, offering_types_by_id, with_current_visibility
from bridge.snapshots.snapshot import Snapshot, ordered
from bridge.snapshots.snapshot_key import SnapshotKey
from bridge.upstream.sources import Source

_MAX_JOINED = 32
# Of the narrow snapshots, to find out whether any can be served.
_MAX_CHECKED = 50


class SourceRouter(Protocol):
    """Finds the snapshot of one source that answers a filter set.

    Attributes:
        widest_key: the key of the widest snapshot that the router uses.
    """

    widest_key: SnapshotKey

    def begin(self, filter_set: FilterSet) -> Pending:
        """Look up a snapshot that contains every session of *filter_set*, and possibly others.

        Raises:
            UnavailableError: there is no copy, and upstream has requested a pause.
            TooManyRequestsError: there is no copy, and too many new filter sets were requested.
        """

    def merge_rules(self, key: SnapshotKey) -> MergeRules:
        """How walks of *key* are merged."""

    def peek(self, filter_set: FilterSet) -> LocalEntry | None:
        """The existing copy that answers *filter_set*; never contacts upstream."""

    def can_serve(self, failure: Failure | None) -> bool:
        """Whether feeds can be served without a walk of the widest snapshot.

        Args:
            failure: why that cannot be refreshed at present, if that is so.
        """


class NarrowRouter:
    """Every filter set has a snapshot of its own.

    Args:
        default: the filter set of the default window.
    """

    def __init__(
        self, cache: SnapshotCache, source: Source, default: FilterSet, *, shrink_hold: float
    ) -> None:
        self.widest_key = SnapshotKey(source.name, default)
        self._cache = cache
        self._source_name = source.name
        self._default = default
        self._rules = MergeRules(wide=False, shrink_hold=shrink_hold)

    def begin(self, filter_set: FilterSet) -> Pending:
        """Look up the filter set's own snapshot."""
        if filter_set.session is not None:
            return self._begin_session(filter_set.session)
        return self._cache.begin(self._key(filter_set), self._rules)

    def _begin_session(self, identity: Identity) -> Pending:
        """Look up a snapshot that contains the session, by the last data about it."""
        last = self._cache.get_session(identity)
        if last is None:
            return self._cache.begin(self.widest_key, self._rules)
        lookup = self._with_session(last)
        return lambda timeout: lookup

    def _with_session(self, last: Lookup) -> Lookup:
        [entry] = last.snapshot.published
        candidates = [self._key(candidate) for candidate in self._likely(entry.session)]
        containing = (
            candidate
            for candidate in candidates
            if _contains(self._cache.peek(candidate), entry.session)
        )
        try:
            # No need to wait, but the request keeps a snapshot with the session up to date.
            lookup = self._cache.get(next(containing, candidates[-1]), self._rules, timeout=0)
        except RetryLaterError:
            return last
        found = lookup.snapshot.by_identity.get(entry.session.identity)
        last_is_newer = found is not None and found.revision.latest < entry.revision.latest
        return last if last_is_newer else lookup

    def _likely(self, session: ClassSession) -> list[FilterSet]:
        """The filter sets of the feeds through which a session is usually requested."""
        filter_sets = [self._default]
        if session.venue:
            filter_sets.append(self._default.with_changes(venues=(session.venue.id,)))
        filter_sets.extend(
            self._default.with_changes(instructors=(person.id,)) for person in session.instructors
        )
        if session.course:
            filter_sets.append(FilterSet(course=(session.course.id,)))
        return filter_sets

    def merge_rules(self, key: SnapshotKey) -> MergeRules:
        """The same rules for every key."""
        return self._rules

    def peek(self, filter_set: FilterSet) -> LocalEntry | None:
        """The filter set's own copy; for a single session, the copy of the default window."""
        is_session = filter_set.session is not None
        return self._cache.peek(self._key(self._default if is_session else filter_set))

    def can_serve(self, failure: Failure | None) -> bool:
        """Whether there is any copy, or the default window alone is too large for one walk."""
        if self._cache.can_serve(self.widest_key):
            return True
        if failure is not None and failure.problem_area is ProblemArea.SIZE:
            return True
        recent = islice(self._cache.recently_requested(self._source_name), _MAX_CHECKED)
        return any(map(self._cache.can_serve, recent))

    def _key(self, filter_set: FilterSet) -> SnapshotKey:
        return _own_key(self._source_name, filter_set)


class WideRouter:
    """One provider-wide snapshot answers all filter sets that it and its history cover.

    Args:
        past: the days before today that the wide walk requests. It has no upper bound.
    """

    def __init__(
        self, cache: SnapshotCache, source: Source, clock: Clock, *, past: int, shrink_hold: float
    ) -> None:
        self.widest_key = SnapshotKey(source.name, FilterSet(past=past))
        self._cache = cache
        self._source = source
        self._clock = clock
        self._wide_rules = MergeRules(wide=True, shrink_hold=shrink_hold)
        self._own_rules = MergeRules(wide=False, shrink_hold=shrink_hold)
        self._archive_rules = replace(self._own_rules, settled=True)
        self._lock = threading.Lock()
        self._joined: LRUCache[str, Snapshot] = LRUCache(_MAX_JOINED)

    def begin(self, filter_set: FilterSet) -> Pending:
        """Look up the wide snapshot, with an archive where *filter_set* begins before it.

        The filter set has a snapshot of its own only where upstream alone can filter: what is to
        come then reads the same in all feeds.
        """
        if not self._is_local(filter_set):
            return self._cache.begin(self._key(filter_set), self._own_rules)
        began = self._clock.monotonic()
        pending = self._cache.begin(self.widest_key, self._wide_rules)

        def wait(timeout: float) -> Lookup:
            wide = pending(timeout)
            time_left = max(0.0, timeout - (self._clock.monotonic() - began))
            if filter_set.session is not None:
                return self._with_session(filter_set.session, wide)
            if self._covers(wide.snapshot, filter_set):
                return wide
            return self._with_archive(filter_set, wide, time_left)

        return wait

    def merge_rules(self, key: SnapshotKey) -> MergeRules:
        """The rules of the wide snapshot, or those of a filter set's own snapshot."""
        return self._wide_rules if key == self.widest_key else self._own_rules

    def peek(self, filter_set: FilterSet) -> LocalEntry | None:
        """The wide copy, even without its archive; the own copy where only upstream can filter."""
        key = self.widest_key if self._is_local(filter_set) else self._key(filter_set)
        return self._cache.peek(key)

    def can_serve(self, failure: Failure | None) -> bool:
        """Whether there is a copy of the wide snapshot."""
        return self._cache.can_serve(self.widest_key)

    def _is_local(self, filter_set: FilterSet) -> bool:
        """Whether the filters can be evaluated on the sessions' data, without upstream."""
        return self._source.states_waitlist or not filter_set.by_waitlist

    def _covers(self, snapshot: Snapshot, filter_set: FilterSet) -> bool:
        """Whether the wide *snapshot* is sure to contain every session of *filter_set*."""
        past, wide_past = filter_set.past, self.widest_key.filter_set.past
        if past is not None and wide_past is not None and past <= wide_past:
            return True
        bound = _lower_bound(filter_set, snapshot)
        return bound is not None and bound.timestamp() >= snapshot.covers_from

    def _key(self, filter_set: FilterSet) -> SnapshotKey:
        return _own_key(self._source.name, filter_set)

    def _with_session(self, identity: Identity, wide: Lookup) -> Lookup:
        """*wide*, or the session alone if it ended before *wide* begins and a feed contained it."""
        if identity in wide.snapshot.by_identity:
            return wide
        last = self._cache.get_session(identity)
        if last is None:
            return wide
        older = _older(wide.snapshot, last.snapshot)
        kept = tuple(entry for entry in older.values() if not entry.is_tombstone)
        if not kept:
            return wide
        snapshot = replace(wide.snapshot, published=kept, covers_from=float("-inf"))
        return replace(wide, snapshot=snapshot, version=f"{wide.version}+{last.version}")

    def _with_archive(self, filter_set: FilterSet, wide: Lookup, timeout: float) -> Lookup:
        """*wide* joined with an archive: the older sessions of *filter_set*, fetched only once."""
        bounds = (filter_set.starts_at_lte, _end_of_archive(wide.snapshot))
        before = filter_set.with_changes(starts_at_lte=min(bound for bound in bounds if bound))
        archive = self._cache.get(self._key(before), self._archive_rules, timeout=timeout)
        version = f"{wide.version}+{archive.version}"
        with self._lock:
            snapshot = self._joined.get(version)
        if snapshot is None:
            snapshot = _with_older(wide.snapshot, archive.snapshot)
            with self._lock:
                self._joined[version] = snapshot
        return replace(wide, snapshot=snapshot, version=version)


def _own_key(source: SourceName, filter_set: FilterSet) -> SnapshotKey:
    """The key of a filter set's own snapshot.

    Upstream knows no weekdays and times of day, so one walk serves all of them.
    """
    everything = filter_set.with_changes(weekdays=(), time_from=None, time_until=None)
    return SnapshotKey(source, everything)


def _contains(entry: LocalEntry | None, session: ClassSession) -> bool:
    return entry is not None and session.identity in entry.snapshot.by_identity


def _lower_bound(filter_set: FilterSet, snapshot: Snapshot) -> datetime | None:
    """The time before which no session matches *filter_set*; None if there is no such bound."""
    window_start, _ = filter_set.widest_window(snapshot.day)
    local, _ = filter_set.widest_local_bounds
    bounds = (window_start, filter_set.starts_at_gte, filter_set.ends_at_gte, local)
    return max((bound for bound in bounds if bound), default=None)


def _end_of_archive(wide: Snapshot) -> datetime:
    """The latest start of the sessions in an archive for *wide*.

    A bound that changes rarely needs few archives. One in the future would keep sessions as they
    are before they are moved or deleted.
    """
    end = datetime.fromtimestamp(wide.covers_from, UTC)
    first = end.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    next_month = (first + timedelta(days=32)).replace(day=1)
    return next_month if next_month.timestamp() <= wide.oldest_walk_at else end


def _with_older(wide: Snapshot, archive: Snapshot) -> Snapshot:
    """*wide*, with those sessions of *archive* that ended before *wide* begins."""
    published = ordered({**_older(wide, archive), **wide.by_identity})
    return replace(wide, published=published, covers_from=float("-inf"))


def _older(wide: Snapshot, archive: Snapshot) -> dict[Identity, Published]:
    """Those sessions of *archive* that ended before *wide* begins, as visible as today."""
    types = offering_types_by_id(entry.session for entry in wide.published)
    return {
        entry.session.identity: with_current_visibility(entry, types)
        for entry in archive.published
        if entry.session.ends.timestamp() < wide.covers_from
    }
