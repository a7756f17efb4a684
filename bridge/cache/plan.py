"""The plan: which snapshot answers a filter set. One that covers it, or else one of its own."""

from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Protocol

from bridge.cache.publication import Rules
from bridge.cache.snapshot import Snapshot
from bridge.cache.snapshots import COLD_PATIENCE, Lookup, SnapshotCache
from bridge.filters import FilterSet

_FURTHEST_ZONE = timedelta(hours=14)


class Plan(Protocol):
    """Finds the sessions for a filter set."""

    def find(self, filter_set: FilterSet, *, patience: float = COLD_PATIENCE) -> Lookup:
        """A snapshot that holds every session of *filter_set*, and maybe others.

        Raises:
            UnavailableError: none can be had.
        """

    def known(self) -> Snapshot | None:
        """The widest copy at hand, for names and catalogues; upstream is not asked."""


class NarrowPlan:
    """Each filter set asks upstream for itself."""

    def __init__(self, cache: SnapshotCache, default: FilterSet, *, shrink_hold: float) -> None:
        self._cache = cache
        self._default = default
        self._rules = Rules(tombstones=False, history=False, shrink_hold=shrink_hold)

    def find(self, filter_set: FilterSet, *, patience: float = COLD_PATIENCE) -> Lookup:
        """The filter set's own snapshot."""
        if filter_set.session is not None:
            filter_set = self._default
        return self._cache.get(filter_set, self._rules, patience=patience)

    def known(self) -> Snapshot | None:
        """The copy of the default window, if there is one."""
        return self._cache.peek(self._default)


@dataclass(frozen=True, slots=True)
class _Joined:
    """Two snapshots as one, kept as long as neither changes."""

    versions: tuple[str, str]
    snapshot: Snapshot


class WidePlan:
    """One provider-wide walk answers all that it and the history cover.

    Args:
        past: days back from which the walk asks. It has no upper edge.
    """

    def __init__(self, cache: SnapshotCache, *, past: int, shrink_hold: float) -> None:
        self._cache = cache
        self._everything = FilterSet(past=past)
        self._wide = Rules(tombstones=True, history=True, shrink_hold=shrink_hold)
        self._own = Rules(tombstones=False, history=False, shrink_hold=shrink_hold)

    def find(self, filter_set: FilterSet, *, patience: float = COLD_PATIENCE) -> Lookup:
        """The wide snapshot where it covers *filter_set*, or else one of its own."""
        if not filter_set.local:
            return self._cache.get(filter_set, self._own, patience=patience)
        wide = self._cache.get(self._everything, self._wide, patience=patience)
        if filter_set.session is not None or _covers(wide.snapshot, filter_set):
            return wide
        return self._cache.get(filter_set, self._own, patience=patience)

    def known(self) -> Snapshot | None:
        """The wide copy, if there is one."""
        return self._cache.peek(self._everything)


def _covers(snapshot: Snapshot, filter_set: FilterSet) -> bool:
    """Whether every session of *filter_set* is surely in *snapshot*."""
    earliest, _ = filter_set.window(snapshot.day)
    local = filter_set.local_starts_at_gte
    if local is not None and local.tzinfo is None:
        local = local.replace(tzinfo=UTC) - _FURTHEST_ZONE
    edges = (earliest, filter_set.starts_at_gte, filter_set.ends_at_gte, local)
    return any(edge and edge.timestamp() >= snapshot.covers_from for edge in edges)
