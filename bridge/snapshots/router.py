"""The plan: which snapshot answers a filter set. One that covers it, or else one of its own."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from cachetools import LRUCache

from bridge.clock import Clock
from bridge.errors import TooManyRequestsError, UnavailableError
from bridge.filters import FilterSet
from bridge.model import ClassSession
from bridge.snapshots.cache import COLD_PATIENCE, Lookup, SnapshotCache
from bridge.snapshots.merge import MergeRules, types_of, with_current_type
from bridge.snapshots.snapshot import Snapshot, ordered

_FURTHEST_ZONE = timedelta(hours=14)
_JOINED = 32


class SnapshotRouter(Protocol):
    """Finds the sessions for a filter set."""

    @property
    def widest_key(self) -> str:
        """The key of the widest snapshot that the plan keeps."""

    def find(self, filter_set: FilterSet, *, patience: float = COLD_PATIENCE) -> Lookup:
        """A snapshot that holds every session of *filter_set*, and maybe others.

        Args:
            patience: seconds to wait where there is no copy.

        Raises:
            UnavailableError: none can be had.
        """

    def merge_rules(self, filter_set: FilterSet) -> MergeRules:
        """How a filter set that has a snapshot of its own is published."""

    def peek_widest(self) -> Snapshot | None:
        """The widest copy at hand, for names and catalogues; upstream is not asked."""

    def peek(self, filter_set: FilterSet) -> Snapshot | None:
        """The copy that answers *filter_set*, if there is one; upstream is not asked."""


class NarrowRouter:
    """Each filter set asks upstream for itself.

    Args:
        source: the kind of row that sessions are upstream.
        default: the filter set of the default window.
    """

    def __init__(
        self, cache: SnapshotCache, source: str, default: FilterSet, *, shrink_hold: float
    ) -> None:
        self._cache = cache
        self._source = source
        self._default = default
        self._rules = MergeRules(tombstones=False, history=False, shrink_hold=shrink_hold)

    @property
    def widest_key(self) -> str:
        """The key of the default window's snapshot."""
        return self._default.key

    def find(self, filter_set: FilterSet, *, patience: float = COLD_PATIENCE) -> Lookup:
        """The filter set's own snapshot."""
        if filter_set.session is not None:
            return self._one(filter_set.session, patience)
        return self._cache.get(filter_set, self._rules, patience=patience)

    def _one(self, identity: int, patience: float) -> Lookup:
        """A snapshot that has the session, if it is still on: upstream takes no id."""
        remembered = self._cache.remembered(self._source, identity)
        if remembered is None:
            return self._cache.get(self._default, self._rules, patience=patience)
        [one] = remembered.snapshot.published
        homes = self._homes(one.session)
        held = (home for home in homes if _has(self._cache.peek(home), one.session))
        try:
            # what is remembered need not wait for a walk, but without one nobody would look again
            found = self._cache.get(next(held, homes[-1]), self._rules, patience=0)
        except (UnavailableError, TooManyRequestsError):
            return remembered
        known = found.snapshot.by_identity.get(one.session.identity)
        newer = known is not None and known.revision.latest < one.revision.latest
        return remembered if newer else found

    def _homes(self, session: ClassSession) -> list[FilterSet]:
        """The filter sets of the feeds that a session is likely to be asked for in."""
        homes = [self._default]
        if session.venue:
            homes.append(self._default.widened(venues=(session.venue.id,)))
        homes.extend(self._default.widened(instructors=(who.id,)) for who in session.instructors)
        if session.course:
            homes.append(FilterSet(course=(session.course.id,)))
        return homes

    def merge_rules(self, filter_set: FilterSet) -> MergeRules:
        """How a filter set is published."""
        return self._rules

    def peek_widest(self) -> Snapshot | None:
        """The copy of the default window, if there is one."""
        return self._cache.peek(self._default)

    def peek(self, filter_set: FilterSet) -> Snapshot | None:
        """The filter set's own copy; of a single session, that of the default window."""
        one = filter_set.session is not None
        return self._cache.peek(self._default if one else filter_set)


class WideRouter:
    """One provider-wide walk answers all that it and the history cover.

    Args:
        past: days back from which the walk asks. It has no upper edge.
    """

    def __init__(
        self, cache: SnapshotCache, clock: Clock, *, past: int, shrink_hold: float
    ) -> None:
        self._cache = cache
        self._clock = clock
        self._everything = FilterSet(past=past)
        self._wide = MergeRules(tombstones=True, history=True, shrink_hold=shrink_hold)
        self._own = MergeRules(tombstones=False, history=False, shrink_hold=shrink_hold)
        self._archive = replace(self._own, settled=True)
        self._lock = threading.Lock()
        self._joined: LRUCache[str, Snapshot] = LRUCache(_JOINED)

    @property
    def widest_key(self) -> str:
        """The key of the wide snapshot."""
        return self._everything.key

    def find(self, filter_set: FilterSet, *, patience: float = COLD_PATIENCE) -> Lookup:
        """The wide snapshot where it covers *filter_set*, or else one of its own."""
        if not filter_set.local:
            return self._cache.get(filter_set, self._own, patience=patience)
        began = self._clock.monotonic()
        wide = self._cache.get(self._everything, self._wide, patience=patience)
        left = max(0.0, patience - (self._clock.monotonic() - began))
        if filter_set.session is not None or _covers(wide.snapshot, filter_set):
            return wide
        if _earliest(filter_set, wide.snapshot) is None:
            return self._with_archive(filter_set, wide, left)
        return self._cache.get(filter_set, self._own, patience=left)

    def merge_rules(self, filter_set: FilterSet) -> MergeRules:
        """How the wide snapshot, or one of its own, is published."""
        return self._wide if filter_set == self._everything else self._own

    def peek_widest(self) -> Snapshot | None:
        """The wide copy, if there is one."""
        return self._cache.peek(self._everything)

    def peek(self, filter_set: FilterSet) -> Snapshot | None:
        """The wide copy where it answers *filter_set*, or else its own."""
        wide = self.peek_widest()
        if wide is not None and filter_set.local:
            endless = _earliest(filter_set, wide) is None
            if endless or filter_set.session is not None or _covers(wide, filter_set):
                return wide
        return self._cache.peek(filter_set)

    def _with_archive(self, filter_set: FilterSet, wide: Lookup, patience: float) -> Lookup:
        """All there ever was of *filter_set*: what the wide snapshot lacks is asked for once."""
        edge = _next_month(datetime.fromtimestamp(wide.snapshot.covers_from, UTC))
        bounds = (filter_set.starts_at_lte, edge)
        before = filter_set.widened(starts_at_lte=min(bound for bound in bounds if bound))
        archive = self._cache.get(before, self._archive, patience=patience)
        version = f"{wide.version}+{archive.version}"
        with self._lock:
            snapshot = self._joined.get(version)
        if snapshot is None:
            snapshot = _join(wide.snapshot, archive.snapshot)
            with self._lock:
                self._joined[version] = snapshot
        return replace(wide, snapshot=snapshot, version=version)


def _has(snapshot: Snapshot | None, session: ClassSession) -> bool:
    return snapshot is not None and session.identity in snapshot.by_identity


def _earliest(filter_set: FilterSet, snapshot: Snapshot) -> datetime | None:
    """The latest instant before which nothing is asked for; None: there is no such."""
    window, _ = filter_set.window(snapshot.day)
    local = filter_set.local_starts_at_gte
    if local is not None and local.tzinfo is None:
        local = local.replace(tzinfo=UTC) - _FURTHEST_ZONE
    edges = (window, filter_set.starts_at_gte, filter_set.ends_at_gte, local)
    return max((edge for edge in edges if edge), default=None)


def _covers(snapshot: Snapshot, filter_set: FilterSet) -> bool:
    """Whether every session of *filter_set* is surely in *snapshot*."""
    earliest = _earliest(filter_set, snapshot)
    return earliest is not None and earliest.timestamp() >= snapshot.covers_from


def _next_month(instant: datetime) -> datetime:
    """The first moment of the next month: an edge that moves seldom makes few keys."""
    first = instant.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + timedelta(days=32)).replace(day=1)


def _join(wide: Snapshot, archive: Snapshot) -> Snapshot:
    """*wide*, with what *archive* has of the time that *wide* does not cover."""
    types = types_of(one.session for one in wide.published)
    older = {
        one.session.identity: with_current_type(one, types)
        for one in archive.published
        if one.session.ends.timestamp() < wide.covers_from
    }
    return replace(
        wide, published=ordered({**older, **wide.by_identity}), covers_from=float("-inf")
    )
