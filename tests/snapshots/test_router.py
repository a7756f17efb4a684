"""The routers: which snapshot answers which filter set, and how often upstream is walked."""

import hashlib
import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from clocks import ManualClock
from walking import (
    CHAPEL,
    HOUR,
    NOW,
    RIVERSIDE,
    TIMEOUT,
    FakeWalker,
    SkippingClock,
    Worker,
    key,
    session,
    sessions,
    single_source_router,
)

from bridge.errors import Cause, UnavailableError, UpstreamError
from bridge.filters import FilterSet, Occupancy
from bridge.model import Course, Published, Status
from bridge.snapshots.cache import CacheOutcome, Lookup
from bridge.snapshots.key_registry import MAX_KEYS
from bridge.snapshots.merge import MergeRules
from bridge.snapshots.router import SnapshotRouter

DAY = 86_400.0
HOLD = 21_600
WHOLE = FilterSet(past=30)
DEFAULT = FilterSet(past=30, future=90)
MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC)
# 26 hours earlier, so that the day has begun in every time zone
EDGE = MIDNIGHT - timedelta(days=30, hours=26)


@pytest.fixture
def walker(clock: ManualClock) -> FakeWalker:
    past = [session(500 + n, NOW - timedelta(days=n), end=None) for n in range(1, 120)]
    return FakeWalker(clock, [*sessions(5), *past])


@pytest.fixture
def wide(worker: Worker, clock: ManualClock) -> SnapshotRouter:
    return wide_router(worker, clock)


@pytest.fixture
def narrow(worker: Worker, clock: ManualClock) -> SnapshotRouter:
    return single_source_router(worker, clock, narrow=True, shrink_hold=HOLD)


def wide_router(worker: Worker, clock: ManualClock) -> SnapshotRouter:
    return single_source_router(worker, clock, shrink_hold=HOLD)


def within(lookup: Lookup, filter_set: FilterSet) -> list[int]:
    """The ids of the filter set's sessions in the lookup's snapshot."""
    return [
        entry.session.id
        for entry in lookup.snapshot.published
        if filter_set.may_match(entry.session, lookup.snapshot.day)
    ]


def upstream_ids(walker: FakeWalker, filter_set: FilterSet, clock: ManualClock) -> list[int]:
    """The ids of the filter set's sessions that upstream lists, in the same order."""
    day = datetime.fromtimestamp(clock.now(), UTC).date()
    matching = [session for session in walker.timetable if filter_set.may_match(session, day)]
    return [
        session.id for session in sorted(matching, key=lambda session: (session.start, session.id))
    ]


def bucket_of(key: str) -> int:
    """The bucket of the key registry that contains *key*."""
    buckets = MAX_KEYS // 16
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") % buckets


def refresh(worker: Worker, router: SnapshotRouter, whole: FilterSet = WHOLE) -> None:
    """Repeat the wide walk if its snapshot is stale."""
    worker.settle(whole, rules_of(router, whole))


def rules_of(router: SnapshotRouter, filter_set: FilterSet) -> MergeRules:
    rules = router.merge_rules(key(filter_set))
    assert rules is not None
    return rules


COVERED = {
    "the default window": DEFAULT,
    "a venue": FilterSet(venues=(12,), past=30, future=90),
    "an instructor": FilterSet(instructors=(11,), past=30, future=90),
    "an offering type": FilterSet(offering_types=(31,), past=7),
    "a status": FilterSet(status=(Status.CANCELLED,), past=30),
    "whether it is full": FilterSet(occupancy_status=(Occupancy.FULL,), past=30),
    "a year ahead": FilterSet(past=0, future=365),
    "starts from a time on": FilterSet(starts_at_gte=EDGE),
    "ends from a time on": FilterSet(ends_at_gte=EDGE),
    "local starts with an offset": FilterSet(local_starts_at_gte=EDGE),
    "local starts in the time zone farthest from UTC": FilterSet(
        local_starts_at_gte=(EDGE + timedelta(hours=14)).replace(tzinfo=None)
    ),
    "one session": FilterSet(session=("course_session", 3)),
}
NOT_COVERED = {
    "a longer past": FilterSet(past=31, future=90),
    "starts before the wide window": FilterSet(starts_at_gte=EDGE - timedelta(seconds=1)),
    "local starts possibly before the wide window": FilterSet(
        local_starts_at_gte=(EDGE + timedelta(hours=13)).replace(tzinfo=None)
    ),
}
BY_WAITLIST = FilterSet(occupancy_status=(Occupancy.HAS_WAITLIST,), past=30)


def archives(walker: FakeWalker) -> list[FilterSet]:
    return [requested for requested in walker.requested if requested != WHOLE]


class TestWide:
    @pytest.mark.parametrize("filter_set", COVERED.values(), ids=COVERED)
    def test_one_walk_answers_all_filter_sets_that_it_covers(
        self, wide: SnapshotRouter, walker: FakeWalker, clock: SkippingClock, filter_set: FilterSet
    ) -> None:
        lookup = wide.find(filter_set)
        assert walker.requested == [WHOLE]
        assert within(lookup, filter_set) == upstream_ids(walker, filter_set, clock)

    @pytest.mark.parametrize("filter_set", NOT_COVERED.values(), ids=NOT_COVERED)
    def test_a_filter_set_that_begins_before_it_has_an_archive_of_its_older_sessions(
        self, wide: SnapshotRouter, walker: FakeWalker, clock: SkippingClock, filter_set: FilterSet
    ) -> None:
        lookup = wide.find(filter_set)
        [archive] = archives(walker)
        assert archive.with_changes(starts_at_lte=None) == filter_set
        assert within(lookup, filter_set) == upstream_ids(walker, filter_set, clock)
        walks = len(walker.requested)
        assert wide.find(filter_set).outcome is CacheOutcome.HIT
        assert len(walker.requested) == walks

    def test_a_waitlist_which_only_upstream_can_evaluate_has_a_walk_of_its_own(
        self, wide: SnapshotRouter, walker: FakeWalker, clock: SkippingClock
    ) -> None:
        lookup = wide.find(BY_WAITLIST)
        assert walker.requested == [BY_WAITLIST]
        assert within(lookup, BY_WAITLIST) == upstream_ids(walker, BY_WAITLIST, clock)

    def test_a_deleted_session_is_a_tombstone_in_feeds_that_begin_before_it_too(
        self, wide: SnapshotRouter, walker: FakeWalker, worker: Worker, clock: SkippingClock
    ) -> None:
        longer = FilterSet(past=60)
        wide.find(longer)
        walker.timetable.remove(session(5))
        for _ in range(2):
            clock.move(400)
            refresh(worker, wide)
        assert wide.find(longer).snapshot.by_identity["course_session", 5].is_tombstone

    def test_invented_filter_sets_evict_the_wide_snapshot_neither_from_store_nor_registry(
        self, wide: SnapshotRouter, walker: FakeWalker, worker: Worker, clock: SkippingClock
    ) -> None:
        """Even if they are chosen to share the bucket of the wide snapshot's key."""
        wide.find(DEFAULT)
        clock.move(1)
        bucket = bucket_of(WHOLE.key)
        longer = (FilterSet(venues=(n,), past=365) for n in itertools.count())
        same_bucket = (invented for invented in longer if bucket_of(invented.key) == bucket)
        for invented in itertools.islice(same_bucket, 40):
            wide.find(invented)
            clock.move(1.5)
        assert key(WHOLE) in worker.registry.recent([key(WHOLE)])
        walker.error = UpstreamError(Cause("internal_error", "TeamUp failed"))
        restarted = wide_router(Worker(clock, worker.store, walker), clock)
        assert restarted.find(DEFAULT).outcome is CacheOutcome.HIT

    def test_all_filter_sets_share_one_version(self, wide: SnapshotRouter) -> None:
        versions = {wide.find(filter_set).version for filter_set in COVERED.values()}
        assert len(versions) == 1

    def test_only_the_wide_snapshot_has_history_and_tombstones(self, wide: SnapshotRouter) -> None:
        rules = rules_of(wide, WHOLE)
        assert rules.wide
        for filter_set in (DEFAULT, *NOT_COVERED.values()):
            rules = rules_of(wide, filter_set)
            assert not rules.wide

    def test_a_single_session_before_its_window_is_found_if_any_feed_contained_it(
        self, wide: SnapshotRouter, walker: FakeWalker, worker: Worker, clock: SkippingClock
    ) -> None:
        old = FilterSet(session=("course_session", 600))
        assert within(wide.find(old), old) == []
        wide.find(FilterSet(course=(51,)))
        walks = len(walker.requested)
        assert within(wide.find(old), old) == [600]
        assert len(walker.requested) == walks
        restarted = wide_router(Worker(clock, worker.store, walker), clock)
        assert within(restarted.find(old), old) == [600]

    def test_a_single_session_that_was_removed_is_not_found_in_its_history(
        self, wide: SnapshotRouter, walker: FakeWalker, worker: Worker, clock: SkippingClock
    ) -> None:
        gone = FilterSet(session=("course_session", 3))
        assert within(wide.find(gone), gone) == [3]
        [removed] = [session for session in walker.timetable if session.id == 3]
        walker.timetable.remove(removed)
        walker.timetable.append(replace(removed, id=900))
        for _ in range(3):
            clock.move(400)
            refresh(worker, wide)
        assert within(wide.find(gone), gone) == []

    def test_peek_widest_returns_the_existing_copy_without_a_walk(
        self, wide: SnapshotRouter, walker: FakeWalker
    ) -> None:
        assert wide.peek_widest() is None
        assert not walker.requested
        lookup = wide.find(DEFAULT)
        assert wide.peek_widest() == lookup.snapshot

    def test_a_cold_request_waits_no_longer_than_its_timeout_in_total(
        self, wide: SnapshotRouter, walker: FakeWalker, clock: SkippingClock
    ) -> None:
        walker.gate.clear()
        clock.skip_waits = True
        with pytest.raises(UnavailableError):
            wide.find(FilterSet(course=(51,)), timeout=6.0)
        assert clock.waited == [6.0]
        walker.gate.set()


class TestCoverage:
    def test_grows_with_the_history(
        self, wide: SnapshotRouter, walker: FakeWalker, worker: Worker, clock: SkippingClock
    ) -> None:
        longer = FilterSet(past=60, future=90)
        wide.find(longer)
        assert len(archives(walker)) == 1
        for _ in range(30):
            clock.move(DAY)
            refresh(worker, wide)
        walker.requested.clear()
        lookup = wide.find(longer)
        assert walker.requested == []
        assert within(lookup, longer) == upstream_ids(walker, longer, clock)

    def test_is_not_complete_a_day_too_early(
        self, wide: SnapshotRouter, walker: FakeWalker, worker: Worker, clock: SkippingClock
    ) -> None:
        wide.find(DEFAULT)
        for _ in range(29):
            clock.move(DAY)
            refresh(worker, wide)
        wide.find(FilterSet(past=60))
        assert len(archives(walker)) == 1

    def test_survives_a_restart(
        self, wide: SnapshotRouter, walker: FakeWalker, worker: Worker, clock: SkippingClock
    ) -> None:
        wide.find(DEFAULT)
        for _ in range(30):
            clock.move(DAY)
            refresh(worker, wide)
        walker.requested.clear()
        restarted = wide_router(Worker(clock, worker.store, walker), clock)
        restarted.find(FilterSet(past=60))
        assert walker.requested == []

    def test_survives_a_pause_shorter_than_the_window_of_the_next_walk(
        self, wide: SnapshotRouter, walker: FakeWalker, worker: Worker, clock: SkippingClock
    ) -> None:
        wide.find(DEFAULT)
        clock.move(29 * DAY)
        refresh(worker, wide)
        walker.requested.clear()
        wide.find(FilterSet(past=59))
        assert walker.requested == []

    def test_restarts_after_a_longer_pause(
        self, wide: SnapshotRouter, walker: FakeWalker, worker: Worker, clock: SkippingClock
    ) -> None:
        """Sessions that took place during the pause were never fetched: the history has a gap."""
        wide.find(DEFAULT)
        clock.move(40 * DAY)
        unseen = session(900, NOW + timedelta(days=5), end=None)
        walker.timetable.append(unseen)
        refresh(worker, wide)
        longer = FilterSet(past=60, future=90)
        lookup = wide.find(longer)
        assert len(archives(walker)) == 1
        assert 900 in within(lookup, longer)


class TestCourse:
    COURSE = FilterSet(course=(51,))

    def test_is_joined_from_the_wide_snapshot_and_an_archive_of_older_sessions(
        self, wide: SnapshotRouter, walker: FakeWalker, clock: SkippingClock
    ) -> None:
        lookup = wide.find(self.COURSE)
        assert within(lookup, self.COURSE) == upstream_ids(walker, self.COURSE, clock)
        assert WHOLE in walker.requested
        [archive] = archives(walker)
        assert archive.course == (51,)
        assert archive.past is None
        assert archive.starts_at_lte is not None
        assert EDGE <= archive.starts_at_lte <= EDGE + timedelta(days=32)

    def test_fetches_its_archive_once_and_keeps_it(
        self, wide: SnapshotRouter, walker: FakeWalker, worker: Worker, clock: SkippingClock
    ) -> None:
        wide.find(self.COURSE)
        for _ in range(60):
            clock.move(DAY)
            refresh(worker, wide)
            lookup = wide.find(self.COURSE)
            assert within(lookup, self.COURSE) == upstream_ids(walker, self.COURSE, clock)
        restarted = wide_router(Worker(clock, worker.store, walker), clock)
        restarted.find(self.COURSE)
        assert len(archives(walker)) == 1

    def test_is_served_with_its_archive_during_an_outage(
        self, wide: SnapshotRouter, walker: FakeWalker, clock: SkippingClock
    ) -> None:
        wide.find(self.COURSE)
        walker.error = UpstreamError(Cause("internal_error", "TeamUp failed"))
        clock.move(2 * DAY)
        lookup = wide.find(self.COURSE)
        assert lookup.outcome is CacheOutcome.FAILED
        assert 600 in within(lookup, self.COURSE)

    def test_takes_a_session_from_the_wide_snapshot_if_both_contain_it(
        self, wide: SnapshotRouter, walker: FakeWalker, worker: Worker, clock: SkippingClock
    ) -> None:
        late = session(700, EDGE + timedelta(days=1))
        walker.timetable.append(late)
        wide.find(self.COURSE)
        walker.timetable[-1] = session(700, EDGE + timedelta(days=1), venue=CHAPEL)
        clock.move(400)
        refresh(worker, wide)
        assert self.published(wide)[700].session.venue == CHAPEL
        walker.timetable[-1] = session(700, EDGE + timedelta(days=1), course=Course(52, "Other"))
        clock.move(400)
        refresh(worker, wide)
        assert 700 not in self.published(wide)

    def published(self, wide: SnapshotRouter) -> dict[int, Published]:
        snapshot = wide.find(self.COURSE).snapshot
        return {entry.session.id: entry for entry in snapshot.matching(self.COURSE)}

    def test_has_a_new_version_after_each_walk_and_the_same_in_between(
        self, wide: SnapshotRouter, worker: Worker, clock: SkippingClock
    ) -> None:
        first = wide.find(self.COURSE)
        assert wide.find(self.COURSE).version == first.version
        assert wide.find(self.COURSE).snapshot is wide.find(self.COURSE).snapshot
        clock.move(400)
        refresh(worker, wide)
        assert wide.find(self.COURSE).version != first.version

    def test_with_a_lower_bound_needs_no_archive(
        self, wide: SnapshotRouter, walker: FakeWalker
    ) -> None:
        wide.find(FilterSet(course=(51,), past=7))
        wide.find(FilterSet(course=(51,), starts_at_gte=EDGE))
        assert archives(walker) == []

    def test_with_an_upper_bound_before_the_wide_window_has_an_archive_up_to_that_bound(
        self, wide: SnapshotRouter, walker: FakeWalker, clock: SkippingClock
    ) -> None:
        until = EDGE - timedelta(days=20)
        old = FilterSet(course=(51,), starts_at_lte=until)
        lookup = wide.find(old)
        [archive] = archives(walker)
        assert archive.starts_at_lte == until
        assert within(lookup, old) == upstream_ids(walker, old, clock)

    def test_is_not_served_in_part_if_its_archive_is_unavailable(
        self, wide: SnapshotRouter, walker: FakeWalker
    ) -> None:
        wide.find(DEFAULT)
        walker.error = UpstreamError(Cause("internal_error", "TeamUp failed"))
        with pytest.raises(UnavailableError):
            wide.find(self.COURSE)

    def test_gets_another_archive_after_a_gap_in_the_history(
        self, wide: SnapshotRouter, walker: FakeWalker, worker: Worker, clock: SkippingClock
    ) -> None:
        wide.find(self.COURSE)
        clock.move(70 * DAY)
        walker.timetable.append(session(900, NOW + timedelta(days=5), end=None))
        refresh(worker, wide)
        lookup = wide.find(self.COURSE)
        assert within(lookup, self.COURSE) == upstream_ids(walker, self.COURSE, clock)
        assert len(archives(walker)) == 2

    def test_does_not_show_again_what_was_deleted_before_a_gap_in_the_history(
        self, walker: FakeWalker, worker: Worker, clock: SkippingClock
    ) -> None:
        wide = single_source_router(worker, clock, past=1, shrink_hold=HOLD)
        wide.find(self.COURSE)
        walker.timetable.remove(session(5))
        for pause in (400, 400, 4 * DAY):
            clock.move(pause)
            refresh(worker, wide, FilterSet(past=1))
        lookup = wide.find(self.COURSE)
        assert within(lookup, self.COURSE) == upstream_ids(walker, self.COURSE, clock)


class TestNarrow:
    ONE = FilterSet(venues=(12,), past=30, future=90)
    OTHER = FilterSet(venues=(13,), past=30, future=90)

    def test_each_filter_set_has_a_walk_of_its_own(
        self, narrow: SnapshotRouter, walker: FakeWalker
    ) -> None:
        for filter_set in (self.ONE, self.OTHER, self.ONE, FilterSet(course=(51,))):
            narrow.find(filter_set)
        assert walker.requested == [self.ONE, self.OTHER, FilterSet(course=(51,))]

    def test_there_is_neither_history_nor_are_there_tombstones(
        self, narrow: SnapshotRouter
    ) -> None:
        for filter_set in (self.ONE, DEFAULT, WHOLE):
            rules = rules_of(narrow, filter_set)
            assert not rules.wide

    def test_a_single_session_is_found_if_any_feed_contained_it(
        self, narrow: SnapshotRouter, walker: FakeWalker
    ) -> None:
        narrow.find(self.ONE)
        lookup = narrow.find(FilterSet(session=("course_session", 3)))
        assert within(lookup, FilterSet(session=("course_session", 3))) == [3]
        assert walker.requested == [self.ONE]

    def test_an_unknown_single_session_is_searched_in_the_default_window(
        self, narrow: SnapshotRouter, walker: FakeWalker
    ) -> None:
        assert within(
            narrow.find(FilterSet(session=("course_session", 3))),
            FilterSet(session=("course_session", 3)),
        ) == [3]
        narrow.find(FilterSet(session=("course_session", 99_999)))
        assert walker.requested == [DEFAULT]

    @pytest.mark.parametrize("course", [Course(51), None])
    def test_a_single_session_is_kept_up_to_date(
        self,
        narrow: SnapshotRouter,
        walker: FakeWalker,
        worker: Worker,
        clock: SkippingClock,
        course: Course | None,
    ) -> None:
        alone = FilterSet(session=("course_session", 3))
        walker.timetable[2] = session(3, course=course)
        narrow.find(FilterSet(instructors=(11,), past=0))
        assert within(narrow.find(alone), alone) == [3]
        worker.refresher.wait_until_idle()
        walker.timetable[2] = session(3, course=course, status=Status.CANCELLED)
        clock.move(HOUR.total_seconds() / 2)
        narrow.find(alone)
        worker.refresher.wait_until_idle()
        [entry] = narrow.find(alone).snapshot.matching(alone)
        assert entry.session.status is Status.CANCELLED

    def test_a_single_session_stays_unchanged_while_upstream_fails(
        self, narrow: SnapshotRouter, walker: FakeWalker, worker: Worker
    ) -> None:
        alone = FilterSet(session=("course_session", 3))
        narrow.find(FilterSet(instructors=(11,), past=0))
        walker.error = UpstreamError(Cause("unreachable", "TeamUp cannot be reached"))
        for _ in range(3):
            assert within(narrow.find(alone), alone) == [3]
            worker.refresher.wait_until_idle()

    def test_a_single_session_has_the_data_of_the_latest_walk_of_any_feed(
        self, narrow: SnapshotRouter, walker: FakeWalker, clock: SkippingClock
    ) -> None:
        alone = FilterSet(session=("course_session", 3))
        narrow.find(DEFAULT)
        walker.timetable[2] = session(3, title="Moved")
        clock.move(60)
        narrow.find(self.ONE)
        published = narrow.find(alone).snapshot.published
        assert [entry.session.title for entry in published] == ["Moved"]

    def test_peek_widest_returns_the_default_windows_copy_without_a_walk(
        self, narrow: SnapshotRouter, walker: FakeWalker
    ) -> None:
        narrow.find(self.ONE)
        assert narrow.peek_widest() is None
        lookup = narrow.find(DEFAULT)
        assert narrow.peek_widest() == lookup.snapshot
        assert len(walker.requested) == 2

    def test_a_session_that_moved_between_feeds_keeps_its_revision(
        self, narrow: SnapshotRouter, walker: FakeWalker, worker: Worker, clock: SkippingClock
    ) -> None:
        before = narrow.find(self.ONE).snapshot.by_identity["course_session", 1]
        assert before.session.venue == RIVERSIDE
        walker.timetable[0] = session(1, venue=CHAPEL)
        clock.move(HOUR.total_seconds())
        after = narrow.find(self.OTHER).snapshot.by_identity["course_session", 1]
        assert after.revision.created == before.revision.created
        assert after.revision.sequence > before.revision.sequence
        flight = worker.flight(self.ONE, rules_of(narrow, self.ONE))
        assert flight.wait(TIMEOUT)
        assert 1 not in within(narrow.find(self.ONE), self.ONE)
