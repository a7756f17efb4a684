"""Several sources: a feed is cut from the snapshots of all, each of which fails for itself."""

from contextlib import suppress
from dataclasses import replace

import pytest
from walking import (
    AT,
    FRESHNESS,
    KEYS,
    NOW,
    TIMEOUT,
    FakeWalker,
    SkippingClock,
    Worker,
    sessions,
)

from bridge.errors import Cause, ProblemArea, Scope, UnavailableError, UpstreamError
from bridge.filters import FilterSet, Occupancy
from bridge.model import ClassSession, Room, SourceName
from bridge.snapshots.cache import CacheOutcome
from bridge.snapshots.router import SnapshotRouter
from bridge.snapshots.snapshot_key import SnapshotKey
from bridge.snapshots.source_router import WideRouter
from bridge.store.interface import Store, Write
from bridge.store.memory import MemoryStore
from bridge.upstream.sources import SOURCES

EVENTS, COURSES = SourceName.EVENTS, SourceName.COURSE_SESSIONS
DEFAULT = FilterSet(past=30, future=90)
FILTER_SETS = (DEFAULT, FilterSet(), FilterSet(venues=(12, 13), starts_at_gte=NOW))
BROKEN = UpstreamError(Cause("internal_error", "TeamUp failed"))
REFUSED = UpstreamError(
    Cause(
        "permission_denied",
        "no permission",
        Scope.SOURCE,
        problem_area=ProblemArea.PERMISSION,
    )
)
TIMED_OUT = UpstreamError(Cause("timeout", "TeamUp did not answer", Scope.SOURCE))
DOWN = UpstreamError(Cause("unreachable", "TeamUp cannot be reached", Scope.ACCOUNT))


class TwoSources:
    """A worker whose two sources have a walker each; their sessions have equal ids."""

    def __init__(self, clock: SkippingClock, store: Store) -> None:
        self.clock = clock
        self.walkers = {
            EVENTS: FakeWalker(clock, [as_event(one) for one in sessions(4)]),
            COURSES: FakeWalker(clock, sessions(3)),
        }
        self.worker = Worker(clock, store, self.walkers[COURSES], walkers=self.walkers)
        self.router = self.router_of(*SourceName)

    def router_of(self, *names: SourceName) -> SnapshotRouter:
        routers = {
            name: WideRouter(
                self.worker.cache, SOURCES[name], self.clock, past=30, shrink_hold=21_600
            )
            for name in names
        }
        return SnapshotRouter(routers, self.worker.cache, self.worker.backoff, self.clock)

    def settle(self) -> None:
        self.worker.refresher.wait_until_idle()

    def identities(self, filter_set: FilterSet = DEFAULT) -> set[tuple[str, int]]:
        snapshot = self.router.find(filter_set).snapshot
        return {entry.session.identity for entry in snapshot.matching(filter_set)}


def as_event(one: ClassSession) -> ClassSession:
    return replace(one, source="event", course=None, room=Room(71, "Studio 1"), waiting=one.id % 2)


@pytest.fixture
def two(clock: SkippingClock, store: MemoryStore) -> TwoSources:
    return TwoSources(clock, store)


def test_a_feed_contains_the_sessions_of_both_with_equal_ids(two: TwoSources) -> None:
    assert two.identities() == {
        *(("event", n) for n in (1, 2, 3, 4)),
        *(("course_session", n) for n in (1, 2, 3)),
    }


@pytest.mark.parametrize(
    ("filters", "walked"),
    [
        ({}, {EVENTS, COURSES}),
        ({"sources": (EVENTS,)}, {EVENTS}),
        ({"sources": (COURSES,)}, {COURSES}),
        ({"course": (51,)}, {COURSES}),
        ({"rooms": (71,)}, {EVENTS}),
        ({"session": ("event", 2)}, {EVENTS}),
        ({"session": ("course_session", 2)}, {COURSES}),
        ({"venues": (12,)}, {EVENTS, COURSES}),
    ],
)
def test_only_sources_that_can_contain_the_sessions_are_walked(
    two: TwoSources, filters: dict[str, object], walked: set[SourceName]
) -> None:
    filter_set = FilterSet(past=30, **filters)  # type: ignore[arg-type]
    found = two.identities(filter_set)
    assert {name for name, walker in two.walkers.items() if walker.requested} == walked
    assert {source for source, _ in found} == {name.object for name in walked}


def test_an_impossible_combination_is_an_empty_feed(two: TwoSources) -> None:
    assert two.identities(FilterSet(course=(51,), rooms=(71,), past=30)) == set()


def test_a_feed_that_no_source_can_contain_needs_no_walk_of_its_own(two: TwoSources) -> None:
    events = two.router_of(EVENTS)
    for filters in ({"course": (51,)}, {"sources": (COURSES,)}, {"session": ("course_session", 2)}):
        impossible = FilterSet(**filters)  # type: ignore[arg-type]
        assert not list(events.find(impossible).snapshot.matching(impossible))
        assert events.peek(impossible) is not None
    assert two.walkers[EVENTS].requested == [FilterSet(past=30)]


def test_the_waiting_list_of_classes_needs_no_walk_of_its_own(two: TwoSources) -> None:
    waiting = FilterSet(occupancy_status=(Occupancy.HAS_WAITLIST,), past=30, sources=(EVENTS,))
    assert two.identities(waiting) == {("event", 1), ("event", 3)}
    two.identities()
    assert two.walkers[EVENTS].requested == [FilterSet(past=30)]


def walk_both(two: TwoSources) -> None:
    for _ in range(2):
        two.clock.move(FRESHNESS.ttl * 1.2)
        two.router.find(DEFAULT)
        two.settle()


def test_a_class_that_changes_the_list_is_there_once(two: TwoSources) -> None:
    walkers = two.walkers
    walkers[COURSES].timetable.clear()
    two.identities()
    moved = walkers[EVENTS].timetable.pop()
    walkers[COURSES].timetable = [replace(moved, source="course_session", room=None)]
    for _ in range(2):
        walk_both(two)
        assert two.identities() == {*(("event", n) for n in (1, 2, 3)), ("course_session", 4)}
    # A feed of one list contains what became of the class there.
    assert ("event", 4) in two.identities(FilterSet(past=30, sources=(EVENTS,)))


def test_a_deleted_class_is_cancelled_if_the_other_list_has_the_same_one_all_along(
    two: TwoSources,
) -> None:
    two.identities()
    two.walkers[EVENTS].timetable.pop(0)
    walk_both(two)
    found = two.router.find(DEFAULT).snapshot.by_identity
    assert found["event", 1].is_tombstone
    assert not found["course_session", 1].is_tombstone


def test_both_walks_run_side_by_side(two: TwoSources) -> None:
    for walker in two.walkers.values():
        walker.gate.clear()
    with pytest.raises(UnavailableError):
        two.router.find(DEFAULT, timeout=0)
    for walker in two.walkers.values():
        assert walker.entered.wait(TIMEOUT)
        walker.gate.set()
    two.settle()
    assert two.router.find(DEFAULT).outcome is CacheOutcome.HIT


@pytest.mark.parametrize("failing", SourceName)
def test_while_one_fails_the_other_stays_fresh_and_the_age_is_that_of_the_older(
    two: TwoSources, failing: SourceName
) -> None:
    other = next(name for name in SourceName if name is not failing)
    two.router.find(DEFAULT)
    two.walkers[failing].error = BROKEN
    for n in range(1, 4):
        two.clock.move(FRESHNESS.ttl * 1.2)
        two.router.find(DEFAULT)
        two.settle()
        lookup = two.router.find(DEFAULT)
        assert lookup.outcome is CacheOutcome.FAILED
        assert lookup.age == pytest.approx(n * FRESHNESS.ttl * 1.2)
        assert lookup.fresh_for < 0
        assert lookup.snapshot.oldest_walk_at == AT
        assert lookup.snapshot.newest_walk_at == pytest.approx(AT + n * FRESHNESS.ttl * 1.2)
        assert lookup.left_out == ()
    assert len(two.walkers[other].requested) == 4
    states = {state.source: state for state in two.router.states()}
    assert states[failing].failure is not None
    assert states[other].failure is None


@pytest.mark.parametrize("later", [BROKEN, TIMED_OUT], ids=["error", "timeout"])
def test_another_failure_of_a_source_that_is_left_out_does_not_stop_the_feeds(
    two: TwoSources, later: UpstreamError
) -> None:
    two.walkers[EVENTS].error = REFUSED
    two.router.find(DEFAULT)
    two.settle()
    two.walkers[EVENTS].error = later
    for _ in range(4):
        two.clock.move(61)
        assert two.router.find(DEFAULT).left_out == (EVENTS,)
        two.settle()


def test_a_source_that_was_read_before_is_never_left_out(two: TwoSources) -> None:
    two.router.find(DEFAULT)
    two.walkers[EVENTS].error = REFUSED
    two.clock.move(FRESHNESS.ttl * 1.2)
    two.router.find(DEFAULT)
    two.settle()
    lookup = two.router.find(DEFAULT)
    assert lookup.left_out == ()
    assert ("event", 4) in two.identities()
    # Also for a filter set of which there is no copy: half a timetable would look whole.
    with pytest.raises(UnavailableError):
        two.router.find(FilterSet(past=200, future=90))


def forget_what_was_read(two: TwoSources) -> None:
    """Leave the store as an earlier version did, which recorded only snapshots."""
    keys = [KEYS.source_read(name.value) for name in SourceName]
    two.worker.store.commit({key: Write(None) for key in keys})


def restarted(two: TwoSources, clock: SkippingClock) -> TwoSources:
    after = TwoSources(clock, two.worker.store)
    for name, walker in after.walkers.items():
        walker.timetable = two.walkers[name].timetable
    return after


def test_copies_of_an_earlier_version_are_served_while_upstream_is_down(
    two: TwoSources, clock: SkippingClock
) -> None:
    two.router_of(COURSES).find(DEFAULT)
    forget_what_was_read(two)
    clock.move(FRESHNESS.ttl * 1.2)
    upgraded = restarted(two, clock)
    for walker in upgraded.walkers.values():
        walker.error = DOWN
    for _ in range(3):
        lookup = upgraded.router.find(DEFAULT)
        assert {entry.session.source for entry in lookup.snapshot.published} == {"course_session"}
        assert lookup.left_out == ()
        assert upgraded.router.peek(DEFAULT) is not None
        upgraded.settle()
        clock.move(61)
    for walker in upgraded.walkers.values():
        walker.error = None
    clock.move(61)
    upgraded.router.find(DEFAULT)
    upgraded.settle()
    assert {source for source, _ in upgraded.identities()} == {"course_session", "event"}


def test_once_a_source_was_read_by_this_version_the_others_are_needed(
    two: TwoSources, clock: SkippingClock
) -> None:
    two.router_of(COURSES).find(DEFAULT)
    forget_what_was_read(two)
    clock.move(FRESHNESS.ttl * 1.2)
    upgraded = restarted(two, clock)
    upgraded.walkers[EVENTS].error = BROKEN
    with suppress(UnavailableError):
        upgraded.router.find(DEFAULT)
    upgraded.settle()
    with pytest.raises(UnavailableError):
        upgraded.router.find(DEFAULT)


def test_a_failure_of_the_whole_account_concerns_both(two: TwoSources) -> None:
    two.router.find(DEFAULT)
    for walker in two.walkers.values():
        walker.error = DOWN
    two.clock.move(FRESHNESS.ttl * 1.2)
    two.router.find(DEFAULT)
    two.settle()
    assert two.router.find(DEFAULT).outcome is CacheOutcome.FAILED
    assert all(state.failure for state in two.router.states())


def test_a_restricted_router_walks_its_source_alone(two: TwoSources) -> None:
    router = two.router_of(EVENTS)
    assert {entry.session.source for entry in router.find(DEFAULT).snapshot.published} == {"event"}
    assert not two.walkers[COURSES].requested
    assert router.merge_rules(SnapshotKey(COURSES, DEFAULT)) is None


def test_equal_versions_of_all_sources_are_one_joined_snapshot(two: TwoSources) -> None:
    first, second = two.router.find(DEFAULT), two.router.find(FilterSet(venues=(12,), past=7))
    assert first.version == second.version
    assert first.snapshot is second.snapshot
    assert two.router.peek_widest() is first.snapshot


@pytest.mark.parametrize(
    "key", [SnapshotKey(source, filters) for source in SourceName for filters in FILTER_SETS]
)
def test_a_snapshot_key_is_read_back_from_its_text(key: SnapshotKey) -> None:
    assert SnapshotKey.parse(key.text) == key


def test_snapshots_of_course_sessions_are_stored_where_earlier_versions_looked_for_them() -> None:
    assert SnapshotKey(COURSES, FilterSet(past=30)).text == "past=30"
    assert SnapshotKey(EVENTS, FilterSet(past=30)).text == "events?past=30"
