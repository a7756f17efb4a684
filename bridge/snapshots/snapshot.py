"""Snapshots: the published sessions of a filter set after one complete walk."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import cached_property

from bridge.filters import FilterSet
from bridge.model import Identity, Published
from bridge.snapshots.index import Index


@dataclass(frozen=True)
class Snapshot:
    """A filter set's sessions as published. Snapshots are stored, shared and served as a whole.

    Attributes:
        walked: when the walk began, in seconds since 1970; of joined snapshots, the first walk.
        covers_from: the snapshot contains every session that ended at or after this time, in
            seconds since 1970; minus infinity if the filter set has no lower bound.
        published: ordered by start and identity.
        tally: number of dropped and repaired rows of the walk, by reason.
        last_walk: of joined snapshots, when the last walk began; otherwise None.
    """

    walked: float
    covers_from: float
    published: tuple[Published, ...]
    tally: Mapping[str, int]
    last_walk: float | None = None

    @property
    def changed_at(self) -> float:
        """When the walk began from which the newest data come, in seconds since 1970."""
        return self.walked if self.last_walk is None else self.last_walk

    @property
    def day(self) -> date:
        """The UTC day of the newest walk, against which relative windows are resolved."""
        return datetime.fromtimestamp(self.changed_at, UTC).date()

    @cached_property
    def by_identity(self) -> Mapping[Identity, Published]:
        """The published sessions by source and id."""
        return {entry.session.identity: entry for entry in self.published}

    @cached_property
    def main_zone(self) -> str | None:
        """The time zone of most venues; None if none is known."""
        venues = {entry.session.venue for entry in self.published if entry.session.venue}
        zones = Counter(venue.zone for venue in venues if venue.zone)
        return min(zones, key=lambda zone: (-zones[zone], zone), default=None)

    @cached_property
    def _index(self) -> Index:
        return Index(self.published)

    def matching(self, filter_set: FilterSet) -> Iterator[Published]:
        """The sessions that match *filter_set* in some time zone, in order."""
        window = filter_set.widest_window(self.day)
        for position in self._index.positions(filter_set, window):
            entry = self.published[position]
            if filter_set.admits(entry.session, window):
                yield entry

    def sharing_with(self, previous: "Snapshot") -> "Snapshot":
        """An equal snapshot that shares the instances of unchanged sessions with *previous*.

        This saves memory, and speeds up caches that are keyed by session: equal keys are identical.
        """
        by_identity = previous.by_identity
        published = []
        for entry in self.published:
            old = by_identity.get(entry.session.identity)
            published.append(old if old is not None and old == entry else entry)
        return replace(self, published=tuple(published))


def ordered(published: Mapping[Identity, Published]) -> tuple[Published, ...]:
    """The values, ordered by start and identity."""
    return tuple(
        sorted(published.values(), key=lambda entry: (entry.session.start, entry.session.identity))
    )


def join(snapshots: Sequence[Snapshot]) -> Snapshot:
    """The snapshots of several sources as one."""
    tally: Counter[str] = Counter()
    for snapshot in snapshots:
        tally.update(snapshot.tally)
    return Snapshot(
        walked=min(snapshot.walked for snapshot in snapshots),
        covers_from=max(snapshot.covers_from for snapshot in snapshots),
        published=ordered(
            {id: entry for snapshot in snapshots for id, entry in snapshot.by_identity.items()}
        ),
        tally=dict(tally),
        last_walk=max(snapshot.changed_at for snapshot in snapshots),
    )
