"""The plan: which walk answers which question, and how often upstream is asked for it."""

import hashlib
import itertools
from datetime import UTC, datetime, timedelta

import pytest
from clocks import ManualClock
from walking import (
    CHAPEL,
    HOUR,
    LONG_ENOUGH,
    NOW,
    RIVERSIDE,
    FakeWalker,
    HurriedClock,
    Worker,
    session,
    sessions,
)

from bridge.errors import Cause, UnavailableError, UpstreamError
from bridge.filters import FilterSet, Occupancy
from bridge.model import Course, Published, Status
from bridge.snapshots.cache import CacheOutcome, Lookup
from bridge.snapshots.key_registry import MAX_KEYS
from bridge.snapshots.router import NarrowRouter, WideRouter
from bridge.store.memory import MemoryStore

DAY = 86_400.0
HOLD = 21_600
WHOLE = FilterSet(past=30)
DEFAULT = FilterSet(past=30, future=90)
MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC)
EDGE = MIDNIGHT - timedelta(days=30)


@pytest.fixture
def clock() -> HurriedClock:
    return HurriedClock(NOW)


@pytest.fixture
def store(clock: ManualClock) -> MemoryStore:
    return MemoryStore(clock)


@pytest.fixture
def walker(clock: ManualClock) -> FakeWalker:
    past = [session(500 + n, NOW - timedelta(days=n), end=None) for n in range(1, 120)]
    return FakeWalker(clock, [*sessions(5), *past])


@pytest.fixture
def worker(clock: ManualClock, store: MemoryStore, walker: FakeWalker) -> Worker:
    return Worker(clock, store, walker)


@pytest.fixture
def wide(worker: Worker, clock: ManualClock) -> WideRouter:
    return wide_of(worker, clock)


@pytest.fixture
def narrow(worker: Worker) -> NarrowRouter:
    return NarrowRouter(worker.cache, "course_session", DEFAULT, shrink_hold=HOLD)


def wide_of(worker: Worker, clock: ManualClock) -> WideRouter:
    return WideRouter(worker.cache, clock, past=30, shrink_hold=HOLD)


def within(lookup: Lookup, filter_set: FilterSet) -> list[int]:
    """The ids of what the lookup has of the filter set."""
    return [
        one.session.id
        for one in lookup.snapshot.published
        if filter_set.matches(one.session, lookup.snapshot.day)
    ]


def truth(walker: FakeWalker, filter_set: FilterSet, clock: ManualClock) -> list[int]:
    """The ids of what upstream has of it, in the same order."""
    day = datetime.fromtimestamp(clock.now(), UTC).date()
    found = [one for one in walker.timetable if filter_set.matches(one, day)]
    return [one.id for one in sorted(found, key=lambda one: (one.start, one.identity))]


def noted_at(key: str) -> int:
    """Which of the buckets of notes a key falls into."""
    buckets = MAX_KEYS // 16
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") % buckets


def refresh(worker: Worker, plan: WideRouter) -> None:
    """Have the wide walk made again, if it is stale."""
    worker.settle(WHOLE, plan.merge_rules(WHOLE))


COVERED = {
    "the default window": DEFAULT,
    "a venue": FilterSet(venues=(12,), past=30, future=90),
    "an instructor": FilterSet(instructors=(11,), past=30, future=90),
    "an offering type": FilterSet(offering_types=(31,), past=7),
    "a status": FilterSet(status=(Status.CANCELLED,), past=30),
    "whether it is full": FilterSet(occupancy_status=(Occupancy.FULL,), past=30),
    "a year ahead": FilterSet(past=0, future=365),
    "starts from an instant on": FilterSet(starts_at_gte=EDGE),
    "ends from an instant on": FilterSet(ends_at_gte=EDGE),
    "local starts with an offset": FilterSet(local_starts_at_gte=EDGE),
    "local starts within the furthest zone": FilterSet(
        local_starts_at_gte=(EDGE + timedelta(hours=14)).replace(tzinfo=None)
    ),
    "one session": FilterSet(session=3),
}
NOT_COVERED = {
    "a longer past": FilterSet(past=31, future=90),
    "starts before the edge": FilterSet(starts_at_gte=EDGE - timedelta(seconds=1)),
    "local starts that may be before it": FilterSet(
        local_starts_at_gte=(EDGE + timedelta(hours=13)).replace(tzinfo=None)
    ),
    "a waitlist, which upstream alone knows of": FilterSet(
        occupancy_status=(Occupancy.HAS_WAITLIST,), past=30
    ),
}


class TestWide:
    @pytest.mark.parametrize("filter_set", COVERED.values(), ids=COVERED)
    def test_one_walk_answers_all_that_it_covers(
        self, wide: WideRouter, walker: FakeWalker, clock: HurriedClock, filter_set: FilterSet
    ) -> None:
        lookup = wide.find(filter_set)
        assert walker.asked == [WHOLE]
        assert within(lookup, filter_set) == truth(walker, filter_set, clock)

    @pytest.mark.parametrize("filter_set", NOT_COVERED.values(), ids=NOT_COVERED)
    def test_what_it_does_not_cover_asks_for_itself(
        self, wide: WideRouter, walker: FakeWalker, clock: HurriedClock, filter_set: FilterSet
    ) -> None:
        lookup = wide.find(filter_set)
        assert filter_set in walker.asked
        assert set(walker.asked) <= {WHOLE, filter_set}
        assert within(lookup, filter_set) == truth(walker, filter_set, clock)
        asked = len(walker.asked)
        assert wide.find(filter_set).served is CacheOutcome.HIT
        assert len(walker.asked) == asked

    def test_five_hundred_filter_sets_cost_one_walk(
        self, wide: WideRouter, walker: FakeWalker
    ) -> None:
        for n in range(500):
            wide.find(FilterSet(venues=(n,), past=30, future=90))
        assert walker.asked == [WHOLE]

    def test_made_up_questions_push_the_wide_walk_out_of_neither_store_nor_mind(
        self, wide: WideRouter, walker: FakeWalker, worker: Worker, clock: HurriedClock
    ) -> None:
        """Whoever picks them so that their notes fall where the wide walk's does."""
        wide.find(DEFAULT)
        clock.move(1)
        place = noted_at(WHOLE.key)
        longer = (FilterSet(venues=(n,), past=365) for n in itertools.count())
        for made_up in itertools.islice((one for one in longer if noted_at(one.key) == place), 40):
            wide.find(made_up)
            clock.move(1.5)
        assert WHOLE.key in worker.asked.recent([WHOLE.key])
        walker.error = UpstreamError(Cause("internal_error", "TeamUp failed"))
        restarted = wide_of(Worker(clock, worker.store, walker), clock)
        assert restarted.find(DEFAULT).served is CacheOutcome.HIT

    def test_all_filter_sets_share_one_version(self, wide: WideRouter) -> None:
        versions = {wide.find(filter_set).version for filter_set in COVERED.values()}
        assert len(versions) == 1

    def test_the_wide_walk_keeps_history_and_makes_tombstones_and_no_other_does(
        self, wide: WideRouter
    ) -> None:
        rules = wide.merge_rules(WHOLE)
        assert rules.history
        assert rules.tombstones
        for filter_set in (DEFAULT, *NOT_COVERED.values()):
            rules = wide.merge_rules(filter_set)
            assert not rules.history
            assert not rules.tombstones

    def test_names_are_known_from_the_copy_at_hand_and_upstream_is_not_asked(
        self, wide: WideRouter, walker: FakeWalker
    ) -> None:
        assert wide.peek_widest() is None
        assert not walker.asked
        lookup = wide.find(DEFAULT)
        assert wide.peek_widest() == lookup.snapshot

    def test_a_cold_question_waits_no_longer_than_its_patience_in_all(
        self, wide: WideRouter, walker: FakeWalker, clock: HurriedClock
    ) -> None:
        walker.gate.clear()
        clock.hurried = True
        with pytest.raises(UnavailableError):
            wide.find(FilterSet(course=(51,)), patience=6.0)
        assert clock.waited == [6.0]
        walker.gate.set()


class TestCoverage:
    def test_grows_with_the_history(
        self, wide: WideRouter, walker: FakeWalker, worker: Worker, clock: HurriedClock
    ) -> None:
        longer = FilterSet(past=60, future=90)
        wide.find(longer)
        assert longer in walker.asked
        for _ in range(30):
            clock.move(DAY)
            refresh(worker, wide)
        walker.asked.clear()
        lookup = wide.find(longer)
        assert walker.asked == []
        assert within(lookup, longer) == truth(walker, longer, clock)

    def test_is_not_yet_there_a_day_before(
        self, wide: WideRouter, walker: FakeWalker, worker: Worker, clock: HurriedClock
    ) -> None:
        wide.find(DEFAULT)
        for _ in range(29):
            clock.move(DAY)
            refresh(worker, wide)
        wide.find(FilterSet(past=60))
        assert FilterSet(past=60) in walker.asked

    def test_is_there_after_a_restart(
        self, wide: WideRouter, walker: FakeWalker, worker: Worker, clock: HurriedClock
    ) -> None:
        wide.find(DEFAULT)
        for _ in range(30):
            clock.move(DAY)
            refresh(worker, wide)
        walker.asked.clear()
        restarted = wide_of(Worker(clock, worker.store, walker), clock)
        restarted.find(FilterSet(past=60))
        assert walker.asked == []

    def test_outlasts_a_pause_that_the_next_walk_reaches_over(
        self, wide: WideRouter, walker: FakeWalker, worker: Worker, clock: HurriedClock
    ) -> None:
        wide.find(DEFAULT)
        clock.move(29 * DAY)
        refresh(worker, wide)
        walker.asked.clear()
        wide.find(FilterSet(past=59))
        assert walker.asked == []

    def test_begins_anew_after_a_longer_one(
        self, wide: WideRouter, walker: FakeWalker, worker: Worker, clock: HurriedClock
    ) -> None:
        """What took place while nobody looked was never seen: the history has a hole."""
        wide.find(DEFAULT)
        clock.move(40 * DAY)
        unseen = session(900, NOW + timedelta(days=5), end=None)
        walker.timetable.append(unseen)
        refresh(worker, wide)
        longer = FilterSet(past=60, future=90)
        lookup = wide.find(longer)
        assert longer in walker.asked
        assert 900 in within(lookup, longer)


class TestACourse:
    COURSE = FilterSet(course=(51,))

    def archives(self, walker: FakeWalker) -> list[FilterSet]:
        return [one for one in walker.asked if one != WHOLE]

    def test_is_cut_from_the_wide_walk_and_an_archive_of_what_is_older(
        self, wide: WideRouter, walker: FakeWalker, clock: HurriedClock
    ) -> None:
        lookup = wide.find(self.COURSE)
        assert within(lookup, self.COURSE) == truth(walker, self.COURSE, clock)
        assert WHOLE in walker.asked
        [archive] = self.archives(walker)
        assert archive.course == (51,)
        assert archive.past is None
        assert archive.starts_at_lte is not None
        assert EDGE <= archive.starts_at_lte <= EDGE + timedelta(days=32)

    def test_asks_for_its_archive_once_and_keeps_it(
        self, wide: WideRouter, walker: FakeWalker, worker: Worker, clock: HurriedClock
    ) -> None:
        wide.find(self.COURSE)
        for _ in range(60):
            clock.move(DAY)
            refresh(worker, wide)
            lookup = wide.find(self.COURSE)
            assert within(lookup, self.COURSE) == truth(walker, self.COURSE, clock)
        restarted = wide_of(Worker(clock, worker.store, walker), clock)
        restarted.find(self.COURSE)
        assert len(self.archives(walker)) == 1

    def test_has_its_archive_in_an_outage(
        self, wide: WideRouter, walker: FakeWalker, clock: HurriedClock
    ) -> None:
        wide.find(self.COURSE)
        walker.error = UpstreamError(Cause("internal_error", "TeamUp failed"))
        clock.move(2 * DAY)
        lookup = wide.find(self.COURSE)
        assert lookup.served is CacheOutcome.FAILED
        assert 600 in within(lookup, self.COURSE)

    def test_is_as_the_wide_walk_says_where_both_have_a_session(
        self, wide: WideRouter, walker: FakeWalker, worker: Worker, clock: HurriedClock
    ) -> None:
        late = session(700, EDGE + timedelta(days=1))
        walker.timetable.append(late)
        wide.find(self.COURSE)
        walker.timetable[-1] = session(700, EDGE + timedelta(days=1), venue=CHAPEL)
        clock.move(400)
        refresh(worker, wide)
        assert self.shown(wide)[700].session.venue == CHAPEL
        walker.timetable[-1] = session(700, EDGE + timedelta(days=1), course=Course(52, "Other"))
        clock.move(400)
        refresh(worker, wide)
        assert 700 not in self.shown(wide)

    def shown(self, wide: WideRouter) -> dict[int, Published]:
        lookup = wide.find(self.COURSE)
        ids = set(within(lookup, self.COURSE))
        return {one.session.id: one for one in lookup.snapshot.published if one.session.id in ids}

    def test_has_another_version_with_each_walk_and_the_same_in_between(
        self, wide: WideRouter, worker: Worker, clock: HurriedClock
    ) -> None:
        first = wide.find(self.COURSE)
        assert wide.find(self.COURSE).version == first.version
        assert wide.find(self.COURSE).snapshot is wide.find(self.COURSE).snapshot
        clock.move(400)
        refresh(worker, wide)
        assert wide.find(self.COURSE).version != first.version

    def test_with_an_early_edge_of_its_own_needs_no_archive(
        self, wide: WideRouter, walker: FakeWalker
    ) -> None:
        wide.find(FilterSet(course=(51,), past=7))
        wide.find(FilterSet(course=(51,), starts_at_gte=EDGE))
        assert self.archives(walker) == []

    def test_that_ends_before_the_edge_is_archived_no_further_than_asked(
        self, wide: WideRouter, walker: FakeWalker, clock: HurriedClock
    ) -> None:
        until = EDGE - timedelta(days=20)
        old = FilterSet(course=(51,), starts_at_lte=until)
        lookup = wide.find(old)
        [archive] = self.archives(walker)
        assert archive.starts_at_lte == until
        assert within(lookup, old) == truth(walker, old, clock)

    def test_whose_archive_cannot_be_had_is_not_served_in_part(
        self, wide: WideRouter, walker: FakeWalker
    ) -> None:
        wide.find(DEFAULT)
        walker.error = UpstreamError(Cause("internal_error", "TeamUp failed"))
        with pytest.raises(UnavailableError):
            wide.find(self.COURSE)

    def test_gets_another_archive_after_a_time_in_which_nobody_looked(
        self, wide: WideRouter, walker: FakeWalker, worker: Worker, clock: HurriedClock
    ) -> None:
        wide.find(self.COURSE)
        clock.move(70 * DAY)
        walker.timetable.append(session(900, NOW + timedelta(days=5), end=None))
        refresh(worker, wide)
        lookup = wide.find(self.COURSE)
        assert within(lookup, self.COURSE) == truth(walker, self.COURSE, clock)
        assert len(self.archives(walker)) == 2


class TestNarrow:
    ONE = FilterSet(venues=(12,), past=30, future=90)
    OTHER = FilterSet(venues=(13,), past=30, future=90)

    def test_each_filter_set_asks_for_itself(
        self, narrow: NarrowRouter, walker: FakeWalker
    ) -> None:
        for filter_set in (self.ONE, self.OTHER, self.ONE, FilterSet(course=(51,))):
            narrow.find(filter_set)
        assert walker.asked == [self.ONE, self.OTHER, FilterSet(course=(51,))]

    def test_neither_keeps_history_nor_makes_tombstones(self, narrow: NarrowRouter) -> None:
        for filter_set in (self.ONE, DEFAULT, WHOLE):
            rules = narrow.merge_rules(filter_set)
            assert not rules.history
            assert not rules.tombstones

    def test_one_session_is_remembered_from_any_other_feed(
        self, narrow: NarrowRouter, walker: FakeWalker
    ) -> None:
        narrow.find(self.ONE)
        lookup = narrow.find(FilterSet(session=3))
        assert within(lookup, FilterSet(session=3)) == [3]
        assert walker.asked == [self.ONE]

    def test_one_session_that_nobody_saw_is_looked_for_in_the_default_window(
        self, narrow: NarrowRouter, walker: FakeWalker
    ) -> None:
        assert within(narrow.find(FilterSet(session=3)), FilterSet(session=3)) == [3]
        narrow.find(FilterSet(session=99_999))
        assert walker.asked == [DEFAULT]

    @pytest.mark.parametrize("course", [Course(51), None])
    def test_one_session_alone_is_kept_up_to_date(
        self,
        narrow: NarrowRouter,
        walker: FakeWalker,
        worker: Worker,
        clock: HurriedClock,
        course: Course | None,
    ) -> None:
        alone = FilterSet(session=3)
        walker.timetable[2] = session(3, course=course)
        narrow.find(FilterSet(instructors=(11,), past=0))
        assert within(narrow.find(alone), alone) == [3]
        worker.refresher.finished()
        walker.timetable[2] = session(3, course=course, status=Status.CANCELLED)
        clock.move(HOUR.total_seconds() / 2)
        narrow.find(alone)
        worker.refresher.finished()
        [one] = [one for one in narrow.find(alone).snapshot.published if one.session.id == 3]
        assert one.session.status is Status.CANCELLED

    def test_one_session_that_cannot_be_looked_for_stays_as_it_was(
        self, narrow: NarrowRouter, walker: FakeWalker, worker: Worker
    ) -> None:
        alone = FilterSet(session=3)
        narrow.find(FilterSet(instructors=(11,), past=0))
        walker.error = UpstreamError(Cause("unreachable", "TeamUp cannot be reached"))
        for _ in range(3):
            assert within(narrow.find(alone), alone) == [3]
            worker.refresher.finished()

    def test_one_session_is_shown_as_whoever_saw_it_last_saw_it(
        self, narrow: NarrowRouter, walker: FakeWalker, clock: HurriedClock
    ) -> None:
        alone = FilterSet(session=3)
        narrow.find(DEFAULT)
        walker.timetable[2] = session(3, title="Moved")
        clock.move(60)
        narrow.find(self.ONE)
        assert [one.session.title for one in narrow.find(alone).snapshot.published] == ["Moved"]

    def test_names_are_known_from_the_default_window_and_upstream_is_not_asked(
        self, narrow: NarrowRouter, walker: FakeWalker
    ) -> None:
        narrow.find(self.ONE)
        assert narrow.peek_widest() is None
        lookup = narrow.find(DEFAULT)
        assert narrow.peek_widest() == lookup.snapshot
        assert len(walker.asked) == 2

    def test_a_session_that_moved_between_feeds_keeps_its_revision(
        self, narrow: NarrowRouter, walker: FakeWalker, worker: Worker, clock: HurriedClock
    ) -> None:
        [before] = [one for one in narrow.find(self.ONE).snapshot.published if one.session.id == 1]
        assert before.session.venue == RIVERSIDE
        walker.timetable[0] = session(1, venue=CHAPEL)
        clock.move(HOUR.total_seconds())
        [after] = [one for one in narrow.find(self.OTHER).snapshot.published if one.session.id == 1]
        assert after.revision.created == before.revision.created
        assert after.revision.sequence > before.revision.sequence
        flight = worker.flight(self.ONE, narrow.merge_rules(self.ONE))
        assert flight.wait(LONG_ENOUGH)
        assert 1 not in within(narrow.find(self.ONE), self.ONE)
