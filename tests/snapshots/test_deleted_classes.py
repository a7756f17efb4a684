"""Classes that a walk lacks: upstream is asked for their ids before they are believed deleted."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from walking import (
    CHAPEL,
    FRESHNESS,
    HOUR,
    KEYS,
    TIMEOUT,
    FakeWalker,
    SkippingClock,
    Worker,
    key,
    session,
    sessions,
)

from bridge.errors import Cause, UpstreamError
from bridge.filters import FilterSet
from bridge.model import ClassSession, Published, SourceName, Status
from bridge.snapshots.change_log import Change, ChangeLogs
from bridge.snapshots.merge import MergeRules
from bridge.snapshots.snapshot_key import SnapshotKey
from bridge.upstream.pagination import Walk

WHOLE = key(FilterSet(past=30), SourceName.EVENTS)
RULES = MergeRules(wide=True, shrink_hold=21_600)
ACTIVE_AT_RIVERSIDE = key(FilterSet(venues=(12,), status=(Status.ACTIVE,)), SourceName.EVENTS)
NARROW = MergeRules(wide=False, shrink_hold=21_600)


@dataclass
class LookingUp(FakeWalker):
    """Knows ids of sessions that its walks do not return.

    Attributes:
        known: found by their ids only.
        ignores_ids: whether upstream ignores the parameter.
        asked: the ids of each look-up.
        fetch_error: raised by each look-up.
    """

    can_fetch_by_ids: bool = True
    known: list[ClassSession] = field(default_factory=list)
    ignores_ids: bool = False
    asked: list[frozenset[int]] = field(default_factory=list)
    fetch_error: UpstreamError | None = None

    def fetch_by_ids(
        self, walk: Walk, filter_set: FilterSet, ids: frozenset[int], **options: Any
    ) -> Walk:
        self.asked.append(ids)
        if self.fetch_error is not None:
            raise self.fetch_error
        if self.ignores_ids:
            return walk
        found = [session for session in self.known if session.id in ids]
        matching = [one for one in found if filter_set.may_match(one, walk.day)]
        elsewhere = [one for one in found if one not in matching]
        return replace(
            walk,
            sessions=(*walk.sessions, *matching),
            excluded=walk.excluded | {one.id for one in elsewhere},
            elsewhere=tuple(elsewhere),
            deleted=ids - {session.id for session in found},
        )


@pytest.fixture
def walker(clock: SkippingClock) -> LookingUp:
    return LookingUp(clock, events(8))


def events(number: int, **fields: Any) -> list[ClassSession]:
    return [replace(one, source="event", **fields) for one in sessions(number)]


def refresh(worker: Worker) -> dict[int, Published]:
    """Walk again; the published classes by id."""
    walk_again(worker, WHOLE, RULES)
    return current(worker)


def walk_again(worker: Worker, of: SnapshotKey, rules: MergeRules) -> Sequence[Change]:
    """Walk again; all changes that are logged."""
    worker.clock.move(FRESHNESS.ttl * 1.2)
    flight = worker.refresher.refresh(of, rules, None)
    assert flight is not None
    assert flight.wait(TIMEOUT)
    log = ChangeLogs(worker.store, KEYS).load(SourceName.EVENTS)
    return [entry.change for entry in log.changes]


def current(worker: Worker) -> dict[int, Published]:
    snapshot = worker.cache.get(WHOLE, RULES).snapshot
    return {entry.session.id: entry for entry in snapshot.published}


def remove(walker: FakeWalker, ids: Iterable[int]) -> list[ClassSession]:
    removed = [session for session in walker.timetable if session.id in set(ids)]
    walker.timetable = [session for session in walker.timetable if session not in removed]
    return removed


def test_nothing_is_asked_while_nothing_is_missing(worker: Worker, walker: LookingUp) -> None:
    current(worker)
    refresh(worker)
    assert walker.asked == []


def test_where_the_look_up_fails_two_walks_decide(worker: Worker, walker: LookingUp) -> None:
    current(worker)
    walker.fetch_error = UpstreamError(Cause("timeout", "TeamUp did not answer"))
    remove(walker, [2])
    assert not refresh(worker)[2].is_tombstone
    assert refresh(worker)[2].is_tombstone


def test_suspiciously_many_are_held_without_asking(worker: Worker, walker: LookingUp) -> None:
    current(worker)
    remove(walker, range(1, 8))
    published = refresh(worker)
    assert walker.asked == []
    assert all(published[identity].held for identity in range(1, 8))


def test_past_and_unusable_classes_are_not_asked_for(
    worker: Worker, walker: LookingUp, clock: SkippingClock
) -> None:
    current(worker)
    past = replace(session(90, walker.timetable[0].start - 3 * HOUR), source="event")
    walker.timetable.append(past)
    refresh(worker)
    clock.move(30 * 3600)
    walker.timetable = [one for one in walker.timetable if one.ends.timestamp() > clock.now()]
    refresh(worker)
    assert walker.asked == []


@pytest.mark.parametrize(
    "now",
    [{"venue": CHAPEL}, {"status": Status.CANCELLED}],
    ids=["moved to another venue", "cancelled"],
)
def test_a_class_that_left_a_feed_is_logged_and_kept_as_it_is_now(
    worker: Worker, walker: LookingUp, now: dict[str, Any]
) -> None:
    current(worker)
    walk_again(worker, ACTIVE_AT_RIVERSIDE, NARROW)
    [before] = remove(walker, [2])
    walker.known = [replace(before, **now)]
    [change] = walk_again(worker, ACTIVE_AT_RIVERSIDE, NARROW)
    assert change.before is not None
    assert change.before.session == before
    assert (change.after.session, change.removed) == (walker.known[0], False)
    # A walk that contains the class in its new form tells nothing new, and keeps its revision.
    walker.timetable += walker.known
    assert refresh(worker)[2].revision == change.after.revision
    assert walk_again(worker, WHOLE, RULES) == [change]


def test_a_deleted_class_is_logged_as_removed_by_the_walk_of_one_feed(
    worker: Worker, walker: LookingUp
) -> None:
    walk_again(worker, ACTIVE_AT_RIVERSIDE, NARROW)
    remove(walker, [2])
    [change] = walk_again(worker, ACTIVE_AT_RIVERSIDE, NARROW)
    assert change.removed


def test_a_class_that_one_feed_lacks_for_unknown_reasons_is_not_logged(
    worker: Worker, walker: LookingUp
) -> None:
    walk_again(worker, ACTIVE_AT_RIVERSIDE, NARROW)
    walker.ignores_ids = True
    remove(walker, [2])
    for _ in range(3):
        assert walk_again(worker, ACTIVE_AT_RIVERSIDE, NARROW) == []
