"""Snapshots: the published sessions of a filter set after one complete walk."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import cached_property

from bridge.filters import FilterSet
from bridge.model import ClassSession, Identity, Published, Status, venue_zones
from bridge.snapshots.index import Index
from bridge.upstream.pagination import WALK_SECONDS


@dataclass(frozen=True)
class Snapshot:
    """A filter set's sessions as published. Snapshots are stored, shared and served as a whole.

    Attributes:
        oldest_walk_at: when the walk began, in seconds since 1970; of joined snapshots, the first.
        covers_from: the snapshot contains every session that ended at or after this time, in
            seconds since 1970; minus infinity if the filter set has no lower bound.
        published: ordered by start and identity.
        tally: number of dropped and repaired rows of the walk, by reason.
        later_walk_at: of joined snapshots, when the last walk began; otherwise None.
    """

    oldest_walk_at: float
    covers_from: float
    published: tuple[Published, ...]
    tally: Mapping[str, int]
    later_walk_at: float | None = None

    @property
    def newest_walk_at(self) -> float:
        """When the last of the walks began, in seconds since 1970."""
        return self.oldest_walk_at if self.later_walk_at is None else self.later_walk_at

    @property
    def day(self) -> date:
        """The UTC day of the newest walk, against which relative windows are resolved."""
        return datetime.fromtimestamp(self.newest_walk_at, UTC).date()

    @cached_property
    def by_identity(self) -> Mapping[Identity, Published]:
        """The published sessions by source and id."""
        return {entry.session.identity: entry for entry in self.published}

    @cached_property
    def main_zone(self) -> str | None:
        """The time zone of most venues; None if none is known."""
        of_venues = venue_zones(entry.session for entry in self.published)
        zones = Counter(filter(None, of_venues.values()))
        return min(zones, key=lambda zone: (-zones[zone], zone), default=None)

    @cached_property
    def _index(self) -> Index:
        return Index(self.published)

    def matching(self, filter_set: FilterSet) -> Iterator[Published]:
        """The sessions that match *filter_set* in some time zone, in order."""
        window = filter_set.widest_window(self.day)
        for position in self._index.positions(filter_set, window):
            entry = self.published[position]
            if filter_set.matches(entry.session, window):
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
    """The snapshots of several sources as one.

    A tombstone is left out if the session was created again in another source.
    """
    tally: Counter[str] = Counter()
    published: dict[Identity, Published] = {}
    for snapshot in snapshots:
        tally.update(snapshot.tally)
        published |= snapshot.by_identity
    tombstones = [entry for entry in published.values() if entry.is_tombstone]
    for identity in replacements(tombstones, published.values(), is_new_in_another_source):
        del published[identity]
    return Snapshot(
        oldest_walk_at=min(snapshot.oldest_walk_at for snapshot in snapshots),
        covers_from=max(snapshot.covers_from for snapshot in snapshots),
        published=ordered(published),
        tally=dict(tally),
        later_walk_at=max(snapshot.newest_walk_at for snapshot in snapshots),
    )


def replacements(
    lost: Sequence[Published],
    live: Iterable[Published],
    is_later: Callable[[Published, Published], bool],
) -> dict[Identity, Identity]:
    """The identity of the session that replaces each of the *lost* ones, as far as there is one.

    It has the same venue, start and title, and the same room if possible. Each one replaces only
    one: of two parallel classes with the same title, one can be deleted.

    Args:
        live: the sessions that may replace others; cancelled ones never do.
        is_later: whether the first session was created after the second one was deleted.
    """
    candidates: dict[object, list[Published]] = defaultdict(list)
    slots = {_slot(entry.session) for entry in lost}
    for entry in live if slots else ():
        if entry.session.status is Status.ACTIVE and _slot(entry.session) in slots:
            candidates[_slot(entry.session)].append(entry)
    found: dict[Identity, Identity] = {}
    for any_room in (False, True):
        for entry in lost:
            if entry.session.identity in found:
                continue
            for candidate in candidates[_slot(entry.session)]:
                same_room = candidate.session.room == entry.session.room
                if (same_room or any_room) and is_later(candidate, entry):
                    found[entry.session.identity] = candidate.session.identity
                    candidates[_slot(entry.session)].remove(candidate)
                    break
    return found


def is_new_since(
    previous: Mapping[Identity, Published],
) -> Callable[[Published, Published], bool]:
    """Tells whether a session came when another one of the *previous* snapshot went, or later."""

    def is_later(new: Published, lost: Published) -> bool:
        if new.session.identity not in previous:
            return True
        # A deletion is believed one walk late, which is the replacement's second one.
        before = previous.get(lost.session.identity)
        since = before.missing_since if before and not before.is_tombstone else None
        return since is not None and new.revision.created >= since

    return is_later


def is_new_in_another_source(new: Published, lost: Published) -> bool:
    """Whether a session was first seen after the other one, in another source.

    The first walks of two sources do not begin at the same time.
    """
    later = new.revision.created > lost.revision.created + WALK_SECONDS
    return later and new.session.source != lost.session.source


def _slot(session: ClassSession) -> object:
    return (session.venue and session.venue.id, session.start, session.title)
