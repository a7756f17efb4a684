"""The snapshot cache: what a request gets, how long it waits, and how often upstream is asked."""

import threading
from collections.abc import Callable

import pytest
from clocks import ManualClock
from walking import (
    KEYS,
    LIFETIMES,
    LONG_ENOUGH,
    NOW,
    FakeWalker,
    HurriedClock,
    Worker,
    session,
    sessions,
)

from bridge.errors import Cause, Scope, TooManyRequestsError, UnavailableError, UpstreamError
from bridge.filters import FilterSet
from bridge.snapshots.cache import COLD_PATIENCE, CacheOutcome, Lookup
from bridge.snapshots.merge import MergeRules
from bridge.store.leases import LEASE_SECONDS, acquire
from bridge.store.memory import MemoryStore
from bridge.upstream.budget import Purpose

WHOLE = FilterSet(past=30)
VENUE = FilterSet(venues=(12,), past=30, future=90)
RULES = MergeRules(tombstones=True, history=True, shrink_hold=21_600)
NEW = MergeRules(tombstones=False, history=False, shrink_hold=21_600)
SETTLED = MergeRules(tombstones=False, history=False, shrink_hold=21_600, settled=True)
TTL = LIFETIMES.ttl_of(WHOLE.key)
SWR, SIE = LIFETIMES.stale_while_revalidate, LIFETIMES.stale_if_error
BROKEN = UpstreamError(Cause("internal_error", "TeamUp failed"))
DOWN = UpstreamError(Cause("unreachable", "TeamUp cannot be reached", Scope.ACCOUNT))


@pytest.fixture
def clock() -> HurriedClock:
    return HurriedClock(NOW)


@pytest.fixture
def store(clock: ManualClock) -> MemoryStore:
    return MemoryStore(clock)


@pytest.fixture
def walker(clock: ManualClock) -> FakeWalker:
    return FakeWalker(clock, sessions(3))


@pytest.fixture
def worker(clock: ManualClock, store: MemoryStore, walker: FakeWalker) -> Worker:
    return Worker(clock, store, walker)


def get(worker: Worker, filter_set: FilterSet = WHOLE, rules: MergeRules = RULES) -> Lookup:
    return worker.cache.get(filter_set, rules)


def ids(lookup: Lookup) -> list[int]:
    return [one.session.id for one in lookup.snapshot.published]


def together(number: int, call: Callable[[int], Lookup]) -> list[Lookup]:
    """What so many threads get that call at the same time."""
    got: list[Lookup] = []
    barrier = threading.Barrier(number)

    def run(n: int) -> None:
        barrier.wait()
        got.append(call(n))

    threads = [threading.Thread(target=run, args=(n,)) for n in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG_ENOUGH)
    assert len(got) == number
    return got


class TestACold:
    def test_request_waits_for_the_walk(self, worker: Worker, clock: HurriedClock) -> None:
        lookup = get(worker)
        assert (lookup.served, ids(lookup)) == (CacheOutcome.FETCHED, [1, 2, 3])
        assert lookup.age == 0
        assert lookup.left == pytest.approx(TTL)
        assert clock.waited == [8.0]

    def test_herd_is_one_walk_and_one_answer(self, worker: Worker, walker: FakeWalker) -> None:
        walker.gate.clear()
        threading.Timer(0.05, walker.gate.set).start()
        got = together(16, lambda n: get(worker))
        assert len(walker.asked) == 1
        assert len({one.version for one in got}) == 1

    def test_herd_of_several_workers_is_one_walk(
        self, clock: HurriedClock, store: MemoryStore, walker: FakeWalker
    ) -> None:
        fleet = [Worker(clock, store, walker) for _ in range(4)]
        walker.gate.clear()
        threading.Timer(0.2, walker.gate.set).start()
        got = together(16, lambda n: get(fleet[n % 4]))
        assert len(walker.asked) == 1
        assert len({one.version for one in got}) == 1

    def test_request_waits_eight_seconds_and_the_walk_goes_on_without_it(
        self, worker: Worker, walker: FakeWalker, clock: HurriedClock
    ) -> None:
        walker.gate.clear()
        clock.hurried = True
        with pytest.raises(UnavailableError, match="still being fetched") as caught:
            get(worker)
        assert caught.value.retry_after == 5
        assert clock.waited == [8.0]
        clock.hurried = False
        flight = worker.flight(WHOLE, RULES)
        walker.gate.set()
        assert flight.wait(LONG_ENOUGH)
        assert get(worker).served is CacheOutcome.HIT
        assert len(walker.asked) == 1

    def test_request_may_be_given_more_patience(
        self, worker: Worker, walker: FakeWalker, clock: HurriedClock
    ) -> None:
        walker.gate.clear()
        clock.hurried = True
        with pytest.raises(UnavailableError):
            worker.cache.get(WHOLE, RULES, patience=120.0)
        assert clock.waited == [120.0]
        walker.gate.set()

    def test_request_is_told_what_failed(self, worker: Worker, walker: FakeWalker) -> None:
        walker.error = BROKEN
        with pytest.raises(UnavailableError, match="internal_error") as caught:
            get(worker)
        assert 1 <= caught.value.retry_after <= 5

    def test_request_does_not_wait_while_a_failure_is_remembered(
        self, worker: Worker, walker: FakeWalker, clock: HurriedClock
    ) -> None:
        walker.error = DOWN
        with pytest.raises(UnavailableError):
            get(worker)
        clock.waited.clear()
        for filter_set in (WHOLE, VENUE):
            with pytest.raises(UnavailableError, match="unreachable"):
                get(worker, filter_set)
        assert not clock.waited
        assert len(walker.asked) == 1

    def test_key_is_not_held_up_by_the_failure_of_another(
        self, worker: Worker, walker: FakeWalker
    ) -> None:
        walker.error = BROKEN
        with pytest.raises(UnavailableError):
            get(worker)
        walker.error = None
        assert get(worker, VENUE).served is CacheOutcome.FETCHED

    def test_key_is_refused_beyond_a_quarter_of_the_budget_and_a_known_one_never(
        self, worker: Worker, clock: HurriedClock
    ) -> None:
        for n in range(50):
            get(worker, FilterSet(venues=(n,)), NEW)
        with pytest.raises(TooManyRequestsError) as caught:
            get(worker, VENUE, NEW)
        assert 1 <= caught.value.retry_after <= 61
        assert get(worker, FilterSet(venues=(7,)), NEW).served is CacheOutcome.HIT
        assert get(worker).served is CacheOutcome.FETCHED
        clock.move(61)
        assert get(worker, VENUE, NEW).served is CacheOutcome.FETCHED

    def test_key_is_not_called_one_too_many_because_upstream_asked_for_a_pause(
        self, worker: Worker
    ) -> None:
        worker.budget.cool_down(30)
        with pytest.raises(UnavailableError) as caught:
            get(worker, VENUE, NEW)
        assert 1 <= caught.value.retry_after <= 31

    def test_key_is_probed_once_the_pause_is_over(
        self, worker: Worker, walker: FakeWalker, clock: HurriedClock
    ) -> None:
        walker.error = BROKEN
        with pytest.raises(UnavailableError):
            get(worker)
        walker.error = None
        clock.move(1.2)
        with pytest.raises(UnavailableError):
            get(worker)
        worker.settle(WHOLE, RULES)
        assert get(worker).served is CacheOutcome.HIT
        assert worker.failures.current(WHOLE.key) is None


class TestAFresh:
    def test_copy_is_served_without_asking(
        self, worker: Worker, walker: FakeWalker, clock: HurriedClock
    ) -> None:
        first = get(worker)
        clock.move(TTL - 1)
        lookup = get(worker)
        assert (lookup.served, lookup.version) == (CacheOutcome.HIT, first.version)
        assert lookup.age == pytest.approx(TTL - 1)
        assert lookup.left == pytest.approx(1)
        assert len(walker.asked) == 1

    def test_copy_of_another_worker_is_as_good(
        self, worker: Worker, clock: HurriedClock, store: MemoryStore, walker: FakeWalker
    ) -> None:
        first = get(worker)
        lookup = get(Worker(clock, store, walker))
        assert (lookup.served, lookup.version) == (CacheOutcome.HIT, first.version)
        assert len(walker.asked) == 1

    def test_copy_stays_when_the_store_loses_everything(
        self, worker: Worker, walker: FakeWalker, clock: HurriedClock, store: MemoryStore
    ) -> None:
        first = get(worker)
        store.close()
        clock.move(60)
        assert get(worker).version == first.version
        assert len(walker.asked) == 1

    def test_copy_is_served_while_upstream_fails(
        self, worker: Worker, walker: FakeWalker, clock: HurriedClock
    ) -> None:
        get(worker)
        worker.failures.remember(WHOLE.key, DOWN.cause)
        assert get(worker).served is CacheOutcome.HIT


class TestAStale:
    def test_copy_is_served_at_once_and_refreshed_once_behind_it(
        self, worker: Worker, walker: FakeWalker, clock: HurriedClock
    ) -> None:
        first = get(worker)
        clock.waited.clear()
        walker.gate.clear()
        walker.timetable = sessions(4)
        clock.move(TTL + 1)
        for _ in range(20):
            lookup = get(worker)
            assert (lookup.served, lookup.version) == (CacheOutcome.STALE, first.version)
            assert lookup.left < 0
        assert not clock.waited
        flight = worker.flight(WHOLE, RULES)
        walker.gate.set()
        assert flight.wait(LONG_ENOUGH)
        lookup = get(worker)
        assert (lookup.served, ids(lookup)) == (CacheOutcome.HIT, [1, 2, 3, 4])
        assert len(walker.asked) == 2

    def test_herd_of_several_workers_is_one_walk(
        self, clock: HurriedClock, store: MemoryStore, walker: FakeWalker
    ) -> None:
        fleet = [Worker(clock, store, walker) for _ in range(4)]
        get(fleet[0])
        clock.move(TTL + 1)
        walker.gate.clear()
        got = together(16, lambda n: get(fleet[n % 4]))
        assert {one.served for one in got} == {CacheOutcome.STALE}
        walker.gate.set()
        for worker in fleet:
            worker.settle(WHOLE, RULES)
        assert len(walker.asked) == 2

    def test_copy_is_served_without_waiting_when_the_refresh_fails(
        self, worker: Worker, walker: FakeWalker, clock: HurriedClock
    ) -> None:
        first = get(worker)
        clock.move(TTL + 1)
        walker.error = BROKEN
        get(worker)
        worker.settle(WHOLE, RULES)
        asked = len(walker.asked)
        clock.waited.clear()
        for _ in range(10):
            lookup = get(worker)
            assert (lookup.served, lookup.version) == (CacheOutcome.FAILED, first.version)
        assert not clock.waited
        assert len(walker.asked) == asked

    def test_copy_is_probed_for_once_the_pause_is_over(
        self, worker: Worker, walker: FakeWalker, clock: HurriedClock
    ) -> None:
        get(worker)
        clock.move(TTL + 1)
        walker.error = BROKEN
        get(worker)
        worker.settle(WHOLE, RULES)
        walker.error = None
        walker.gate.clear()
        asked = len(walker.asked)
        clock.move(1.2)
        assert {get(worker).served for _ in range(10)} == {CacheOutcome.FAILED}
        flight = worker.flight(WHOLE, RULES)
        walker.gate.set()
        assert flight.wait(LONG_ENOUGH)
        assert get(worker).served is CacheOutcome.HIT
        assert len(walker.asked) == asked + 1

    def test_copy_has_one_probe_for_all_keys_while_the_upstream_as_a_whole_fails(
        self, worker: Worker, walker: FakeWalker, clock: HurriedClock
    ) -> None:
        for filter_set in (WHOLE, VENUE):
            get(worker, filter_set)
        clock.move(400)
        worker.failures.remember(WHOLE.key, DOWN.cause)
        clock.move(2)
        walker.gate.clear()
        asked = len(walker.asked)
        flights = [worker.flight(filter_set, RULES) for filter_set in (WHOLE, VENUE)]
        assert walker.entered.wait(LONG_ENOUGH)
        # the one that finds the other's probe under way ends without having asked
        assert any(flight.wait(0.5) for flight in flights)
        walker.gate.set()
        assert all(flight.wait(LONG_ENOUGH) for flight in flights)
        assert len(walker.asked) == asked + 1

    def test_copy_is_what_a_clock_that_was_set_back_makes_of_it(
        self, worker: Worker, clock: HurriedClock
    ) -> None:
        get(worker)
        clock.set_wall(-86_400)
        clock.move(2)
        assert get(worker).served is CacheOutcome.STALE
        worker.settle(WHOLE, RULES)
        clock.move(2)
        assert get(worker).served is CacheOutcome.HIT


class TestAnOld:
    def test_copy_is_replaced_by_what_the_request_waits_for(
        self, worker: Worker, walker: FakeWalker, clock: HurriedClock
    ) -> None:
        get(worker)
        clock.move(TTL + SWR + 1)
        clock.waited.clear()
        walker.timetable = [*sessions(3), session(9)]
        lookup = get(worker)
        assert lookup.served is CacheOutcome.REFRESHED
        assert 9 in ids(lookup)
        assert clock.waited == [4.0]

    def test_copy_is_served_when_the_refresh_does_not_come_in_four_seconds(
        self, worker: Worker, walker: FakeWalker, clock: HurriedClock
    ) -> None:
        first = get(worker)
        clock.move(TTL + SWR + 1)
        clock.waited.clear()
        walker.gate.clear()
        clock.hurried = True
        lookup = get(worker)
        assert (lookup.served, lookup.version) == (CacheOutcome.FAILED, first.version)
        assert clock.waited == [4.0]
        walker.gate.set()

    def test_copy_is_served_when_the_refresh_fails(
        self, worker: Worker, walker: FakeWalker, clock: HurriedClock
    ) -> None:
        first = get(worker)
        clock.move(TTL + SIE - 10)
        walker.error = BROKEN
        lookup = get(worker)
        assert (lookup.served, lookup.version) == (CacheOutcome.FAILED, first.version)

    def test_copy_is_served_without_waiting_while_a_failure_is_remembered(
        self, worker: Worker, walker: FakeWalker, clock: HurriedClock
    ) -> None:
        get(worker)
        clock.move(TTL + SWR + 1)
        worker.failures.remember(WHOLE.key, BROKEN.cause)
        clock.waited.clear()
        assert get(worker).served is CacheOutcome.FAILED
        assert not clock.waited
        assert len(walker.asked) == 1

    def test_copy_survives_a_restart_during_an_outage(
        self, worker: Worker, clock: HurriedClock, store: MemoryStore, walker: FakeWalker
    ) -> None:
        first = get(worker)
        walker.error = DOWN
        clock.move(TTL + SIE - 10)
        lookup = get(Worker(clock, store, walker))
        assert (lookup.served, lookup.version) == (CacheOutcome.FAILED, first.version)


class TestAnExpired:
    def test_copy_is_served_no_more(
        self, worker: Worker, walker: FakeWalker, clock: HurriedClock
    ) -> None:
        get(worker)
        clock.move(TTL + SIE + 1)
        walker.error = BROKEN
        with pytest.raises(UnavailableError):
            get(worker)

    def test_copy_is_still_what_a_new_walk_is_merged_with(
        self, worker: Worker, clock: HurriedClock
    ) -> None:
        created = get(worker).snapshot.published[0].revision.created
        clock.move(TTL + SIE + 1)
        lookup = get(worker)
        assert lookup.served is CacheOutcome.FETCHED
        assert lookup.snapshot.published[0].revision.created == created


class TestASettled:
    def test_copy_is_asked_for_once_and_kept(
        self, worker: Worker, walker: FakeWalker, clock: HurriedClock
    ) -> None:
        get(worker, VENUE, SETTLED)
        clock.move(300 * 86_400)
        walker.error = DOWN
        assert get(worker, VENUE, SETTLED).served is CacheOutcome.HIT
        assert len(walker.asked) == 1

    def test_copy_is_nothing_to_be_refreshed_ahead(self, worker: Worker) -> None:
        get(worker, VENUE, SETTLED)
        get(worker)
        assert worker.asked.recent([WHOLE.key]) == [WHOLE.key]


class TestOneWalk:
    def test_is_taken_over_when_its_worker_is_gone(
        self, worker: Worker, clock: HurriedClock, store: MemoryStore, walker: FakeWalker
    ) -> None:
        """A lease whose holder was killed runs out, and the next one walks."""
        assert acquire(store, KEYS, f"refresh:{WHOLE.key}") is not None
        clock.hurried = True
        began = clock.now()
        flight = worker.flight(WHOLE, RULES)
        assert walker.entered.wait(LONG_ENOUGH)
        clock.hurried = False
        assert flight.wait(LONG_ENOUGH)
        assert LEASE_SECONDS <= clock.now() - began <= LEASE_SECONDS + 1
        assert len(walker.asked) == 1

    def test_is_refused_when_it_comes_after_its_lease_ran_out(
        self, worker: Worker, clock: HurriedClock, store: MemoryStore, walker: FakeWalker
    ) -> None:
        late = FakeWalker(clock, sessions(1))
        late.gate.clear()
        stopped = Worker(clock, store, late)
        flight = stopped.flight(WHOLE, RULES)
        assert late.entered.wait(LONG_ENOUGH)
        clock.move(LEASE_SECONDS + 1)
        quick = get(worker)
        late.gate.set()
        assert flight.wait(LONG_ENOUGH)
        clock.move(2)
        assert get(stopped).version == get(worker).version == quick.version
        assert ids(quick) == [1, 2, 3]

    def test_that_fails_lets_go_of_all_who_wait(self, worker: Worker, walker: FakeWalker) -> None:
        walker.gate.clear()
        walker.error = BROKEN
        threading.Timer(0.05, walker.gate.set).start()

        def failed(n: int) -> Lookup:
            with pytest.raises(UnavailableError):
                get(worker)
            return None  # type: ignore[return-value]

        together(8, failed)
        assert len(walker.asked) == 1

    def test_renews_its_lease_with_each_page(
        self, worker: Worker, clock: HurriedClock, store: MemoryStore, walker: FakeWalker
    ) -> None:
        walker.gate.clear()
        flight = worker.flight(WHOLE, RULES)
        assert walker.entered.wait(LONG_ENOUGH)
        clock.move(LEASE_SECONDS - 1)
        walker.gate.set()
        assert flight.wait(LONG_ENOUGH)
        assert get(worker).served is CacheOutcome.HIT

    def test_is_for_whoever_waits_and_not_for_what_is_refreshed_ahead(
        self, worker: Worker, walker: FakeWalker, clock: HurriedClock
    ) -> None:
        get(worker)
        clock.move(TTL - 1)
        assert worker.cache.prefetch(WHOLE, RULES)
        worker.settle(WHOLE, RULES)
        assert walker.purposes == [Purpose.LIVE, Purpose.AHEAD]


class TestWhatNeverAsksUpstream:
    def test_a_peek_sees_the_copy_that_is_there_of_whatever_age(
        self, worker: Worker, walker: FakeWalker, clock: HurriedClock
    ) -> None:
        assert worker.cache.peek(WHOLE) is None
        snapshot = get(worker).snapshot
        clock.move(TTL + SIE + 1)
        assert worker.cache.peek(WHOLE) == snapshot
        assert len(walker.asked) == 1

    def test_one_session_is_remembered_under_whichever_filter_set_it_came(
        self, worker: Worker, walker: FakeWalker
    ) -> None:
        get(worker, VENUE)
        lookup = worker.cache.remembered("course_session", 2)
        assert lookup is not None
        assert ids(lookup) == [2]
        assert worker.cache.remembered("course_session", 77) is None
        assert worker.cache.remembered("event", 2) is None
        assert len(walker.asked) == 1


@pytest.mark.parametrize(
    ("moved", "not_before", "expected"),
    [
        (0, 0, False),
        (TTL - 6, 0, False),
        (TTL - 4, 0, True),
        (TTL - 4, 3600, False),
        (TTL + 3000, 3600, False),
        (3601, 3600, True),
    ],
)
def test_a_snapshot_is_about_to_expire_unless_it_is_too_young_to_be_asked_about(
    worker: Worker, clock: HurriedClock, moved: float, not_before: float, expected: bool
) -> None:
    get(worker)
    clock.move(moved)
    assert worker.cache.expires_within(WHOLE.key, 5, not_before=not_before) is expected


def test_what_is_not_there_is_about_to_expire(worker: Worker) -> None:
    assert worker.cache.expires_within(WHOLE.key, 5, not_before=3600)


def test_the_store_is_looked_at_again_after_a_second(
    worker: Worker, clock: HurriedClock, store: MemoryStore, walker: FakeWalker
) -> None:
    other = Worker(clock, store, walker)
    first = get(worker)
    assert get(other).version == first.version
    clock.move(TTL + 1)
    get(other)
    other.settle(WHOLE, RULES)
    newer = get(other)
    assert newer.version != first.version
    clock.move(1.1)
    assert get(worker).version == newer.version


def test_during_a_pause_that_upstream_asked_for_nobody_waits(
    worker: Worker, walker: FakeWalker, clock: HurriedClock
) -> None:
    get(worker)
    clock.move(TTL + SWR + 1)
    walker.gate.clear()
    worker.budget.cool_down(60)
    clock.waited.clear()
    assert get(worker).served is CacheOutcome.FAILED
    with pytest.raises(UnavailableError, match="left alone") as refused:
        get(Worker(clock, worker.store, walker), FilterSet(past=60), RULES)
    assert refused.value.retry_after == 60
    assert clock.waited == []
    walker.gate.set()


def test_who_waited_when_the_pause_began_is_told_how_long_it_lasts(
    worker: Worker, walker: FakeWalker, clock: HurriedClock
) -> None:
    walker.gate.clear()

    def throttled() -> None:
        assert walker.entered.wait(LONG_ENOUGH)
        worker.budget.cool_down(60)
        clock.move(COLD_PATIENCE)

    threading.Thread(target=throttled, daemon=True).start()
    with pytest.raises(UnavailableError, match="left alone") as refused:
        get(worker)
    assert refused.value.retry_after == 52
    walker.gate.set()
