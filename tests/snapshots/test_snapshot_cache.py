"""The snapshot cache: what a request gets, how long it waits, and how often upstream is walked."""

import threading

import pytest
from walking import (
    FRESHNESS,
    TIMEOUT,
    FakeWalker,
    SkippingClock,
    Worker,
    key,
)

from bridge.errors import (
    UNREACHABLE,
    Cause,
    Scope,
    TooManyRequestsError,
    UnavailableError,
    UpstreamError,
)
from bridge.filters import FilterSet
from bridge.snapshots.cache import COLD_TIMEOUT, CacheOutcome, Lookup
from bridge.snapshots.merge import MergeRules
from bridge.store.leases import LEASE_SECONDS
from bridge.store.memory import MemoryStore
from bridge.upstream.budget import Purpose

WHOLE = FilterSet(past=30)
VENUE = FilterSet(venues=(12,), past=30, future=90)
RULES = MergeRules(wide=True, shrink_hold=21_600)
NEW = MergeRules(wide=False, shrink_hold=21_600)
SETTLED = MergeRules(wide=False, shrink_hold=21_600, settled=True)
TTL = FRESHNESS.ttl_of(WHOLE.key)
SWR, SIE = FRESHNESS.stale_while_revalidate, FRESHNESS.stale_if_error
BROKEN = UpstreamError(Cause("internal_error", "TeamUp failed"))
DOWN = UpstreamError(Cause("unreachable", "TeamUp cannot be reached", Scope.ACCOUNT))


def get(worker: Worker, filter_set: FilterSet = WHOLE, rules: MergeRules = RULES) -> Lookup:
    return worker.cache.get(key(filter_set), rules)


def ids(lookup: Lookup) -> list[int]:
    return [entry.session.id for entry in lookup.snapshot.published]


class TestCold:
    def test_request_waits_eight_seconds_and_the_walk_continues_after_it(
        self, worker: Worker, walker: FakeWalker, clock: SkippingClock
    ) -> None:
        walker.gate.clear()
        clock.skip_waits = True
        with pytest.raises(UnavailableError, match="still being fetched") as caught:
            get(worker)
        assert caught.value.retry_after == 5
        assert clock.waited == [8.0]
        clock.skip_waits = False
        flight = worker.flight(WHOLE, RULES)
        walker.gate.set()
        assert flight.wait(TIMEOUT)
        assert get(worker).outcome is CacheOutcome.HIT
        assert len(walker.requested) == 1

    def test_request_may_have_a_longer_timeout(
        self, worker: Worker, walker: FakeWalker, clock: SkippingClock
    ) -> None:
        walker.gate.clear()
        clock.skip_waits = True
        with pytest.raises(UnavailableError):
            worker.cache.get(key(WHOLE), RULES, timeout=120.0)
        assert clock.waited == [120.0]
        walker.gate.set()

    def test_request_does_not_get_the_cause_of_the_failure(
        self, worker: Worker, walker: FakeWalker
    ) -> None:
        walker.error = BROKEN
        with pytest.raises(UnavailableError, match=UNREACHABLE) as caught:
            get(worker)
        assert BROKEN.cause.code not in str(caught.value)
        assert 1 <= caught.value.retry_after <= 5

    def test_new_key_is_refused_beyond_a_quarter_of_the_budget_and_a_known_key_never(
        self, worker: Worker, clock: SkippingClock
    ) -> None:
        for n in range(50):
            get(worker, FilterSet(venues=(n,)), NEW)
        with pytest.raises(TooManyRequestsError) as caught:
            get(worker, VENUE, NEW)
        assert 1 <= caught.value.retry_after <= 61
        assert get(worker, FilterSet(venues=(7,)), NEW).outcome is CacheOutcome.HIT
        assert get(worker).outcome is CacheOutcome.FETCHED
        clock.move(61)
        assert get(worker, VENUE, NEW).outcome is CacheOutcome.FETCHED

    def test_key_is_not_counted_as_too_many_because_upstream_requested_a_pause(
        self, worker: Worker
    ) -> None:
        worker.budget.cool_down(30)
        with pytest.raises(UnavailableError) as caught:
            get(worker, VENUE, NEW)
        assert 1 <= caught.value.retry_after <= 31

    def test_key_is_probed_once_the_pause_is_over(
        self, worker: Worker, walker: FakeWalker, clock: SkippingClock
    ) -> None:
        walker.error = BROKEN
        with pytest.raises(UnavailableError):
            get(worker)
        walker.error = None
        clock.move(1.2)
        with pytest.raises(UnavailableError):
            get(worker)
        worker.settle(WHOLE, RULES)
        assert get(worker).outcome is CacheOutcome.HIT
        assert worker.backoff.current(key(WHOLE)) is None


class TestStale:
    def test_copies_of_all_keys_share_one_probe_while_upstream_as_a_whole_fails(
        self, worker: Worker, walker: FakeWalker, clock: SkippingClock
    ) -> None:
        for filter_set in (WHOLE, VENUE):
            get(worker, filter_set)
        clock.move(400)
        worker.backoff.record(key(WHOLE), DOWN.cause)
        clock.move(2)
        walker.gate.clear()
        walks = len(walker.requested)
        flights = [worker.flight(filter_set, RULES) for filter_set in (WHOLE, VENUE)]
        assert walker.entered.wait(TIMEOUT)
        # The flight that finds the other's probe running ends without a walk.
        assert any(flight.wait(0.5) for flight in flights)
        walker.gate.set()
        assert all(flight.wait(TIMEOUT) for flight in flights)
        assert len(walker.requested) == walks + 1

    def test_copy_is_refreshed_after_the_clock_was_set_back(
        self, worker: Worker, clock: SkippingClock
    ) -> None:
        get(worker)
        clock.set_wall(-86_400)
        clock.move(2)
        assert get(worker).outcome is CacheOutcome.STALE
        worker.settle(WHOLE, RULES)
        clock.move(2)
        assert get(worker).outcome is CacheOutcome.HIT


class TestOld:
    def test_copy_is_served_if_the_refresh_takes_longer_than_four_seconds(
        self, worker: Worker, walker: FakeWalker, clock: SkippingClock
    ) -> None:
        first = get(worker)
        clock.move(TTL + SWR + 1)
        clock.waited.clear()
        walker.gate.clear()
        clock.skip_waits = True
        lookup = get(worker)
        assert (lookup.outcome, lookup.version) == (CacheOutcome.FAILED, first.version)
        assert clock.waited == [4.0]
        walker.gate.set()

    @pytest.mark.parametrize("timeout", [0.0, 1.5])
    def test_no_request_waits_longer_than_its_own_timeout(
        self, timeout: float, worker: Worker, walker: FakeWalker, clock: SkippingClock
    ) -> None:
        get(worker)
        clock.move(TTL + SWR + 1)
        clock.waited.clear()
        walker.gate.clear()
        clock.skip_waits = True
        lookup = worker.cache.get(key(WHOLE), RULES, timeout=timeout)
        assert lookup.outcome is CacheOutcome.FAILED
        assert clock.waited == [timeout]
        walker.gate.set()

    def test_copy_is_served_without_waiting_for_the_probe_after_a_failure(
        self, worker: Worker, walker: FakeWalker, clock: SkippingClock
    ) -> None:
        get(worker)
        clock.move(TTL + SWR + 1)
        worker.backoff.record(key(WHOLE), BROKEN.cause)
        clock.move(2)
        clock.waited.clear()
        walker.gate.clear()
        assert get(worker).outcome is CacheOutcome.FAILED
        assert not clock.waited
        walker.gate.set()


class TestExpired:
    def test_copy_is_still_merged_with_a_new_walk(
        self, worker: Worker, clock: SkippingClock
    ) -> None:
        created = get(worker).snapshot.published[0].revision.created
        clock.move(TTL + SIE + 1)
        lookup = get(worker)
        assert lookup.outcome is CacheOutcome.FETCHED
        assert lookup.snapshot.published[0].revision.created == created


class TestSettled:
    def test_copy_is_fetched_once_and_kept(
        self, worker: Worker, walker: FakeWalker, clock: SkippingClock
    ) -> None:
        get(worker, VENUE, SETTLED)
        clock.move(300 * 86_400)
        walker.error = DOWN
        assert get(worker, VENUE, SETTLED).outcome is CacheOutcome.HIT
        assert len(walker.requested) == 1

    def test_copy_is_not_refreshed_ahead(self, worker: Worker) -> None:
        get(worker, VENUE, SETTLED)
        get(worker)
        assert worker.registry.recent([key(WHOLE)]) == [key(WHOLE)]


class TestWalk:
    def test_renews_its_lease_with_each_page(
        self, worker: Worker, clock: SkippingClock, store: MemoryStore, walker: FakeWalker
    ) -> None:
        walker.gate.clear()
        flight = worker.flight(WHOLE, RULES)
        assert walker.entered.wait(TIMEOUT)
        clock.move(LEASE_SECONDS - 1)
        walker.gate.set()
        assert flight.wait(TIMEOUT)
        assert get(worker).outcome is CacheOutcome.HIT

    def test_has_a_different_purpose_for_requests_and_for_refresh_ahead(
        self, worker: Worker, walker: FakeWalker, clock: SkippingClock
    ) -> None:
        get(worker)
        clock.move(TTL - 1)
        assert worker.cache.start_refresh(key(WHOLE), RULES)
        worker.settle(WHOLE, RULES)
        assert walker.purposes == [Purpose.LIVE, Purpose.BACKGROUND]


class TestWithoutUpstream:
    def test_peek_returns_the_existing_copy_whatever_its_age(
        self, worker: Worker, walker: FakeWalker, clock: SkippingClock
    ) -> None:
        assert worker.cache.peek(key(WHOLE)) is None
        snapshot = get(worker).snapshot
        clock.move(TTL + SIE + 1)
        entry = worker.cache.peek(key(WHOLE))
        assert entry is not None
        assert entry.snapshot == snapshot
        assert len(walker.requested) == 1

    def test_a_single_session_is_found_whatever_filter_set_it_came_from(
        self, worker: Worker, walker: FakeWalker
    ) -> None:
        get(worker, VENUE)
        lookup = worker.cache.get_session(("course_session", 2))
        assert lookup is not None
        assert ids(lookup) == [2]
        assert worker.cache.get_session(("course_session", 77)) is None
        assert worker.cache.get_session(("event", 2)) is None
        assert len(walker.requested) == 1


@pytest.mark.parametrize(
    ("age", "min_age", "expected"),
    [
        (0, 0, False),
        (TTL - 6, 0, False),
        (TTL - 4, 0, True),
        (TTL - 4, 3600, False),
        (TTL + 3000, 3600, False),
        (3601, 3600, True),
    ],
)
def test_a_snapshot_older_than_not_before_expires_at_the_end_of_its_ttl(
    worker: Worker, clock: SkippingClock, age: float, min_age: float, expected: bool
) -> None:
    get(worker)
    clock.move(age)
    assert worker.cache.expires_within(key(WHOLE), 5, min_age=min_age) is expected


def test_a_missing_snapshot_counts_as_about_to_expire(worker: Worker) -> None:
    assert worker.cache.expires_within(key(WHOLE), 5, min_age=3600)


def test_the_store_is_checked_again_after_a_second(
    worker: Worker, clock: SkippingClock, store: MemoryStore, walker: FakeWalker
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


def test_no_request_waits_during_a_pause_requested_by_upstream(
    worker: Worker, walker: FakeWalker, clock: SkippingClock
) -> None:
    get(worker)
    clock.move(TTL + SWR + 1)
    walker.gate.clear()
    worker.budget.cool_down(60)
    clock.waited.clear()
    assert get(worker).outcome is CacheOutcome.FAILED
    with pytest.raises(UnavailableError, match="pause its requests") as refused:
        get(Worker(clock, worker.store, walker), FilterSet(past=60), RULES)
    assert refused.value.retry_after == 60
    assert clock.waited == []
    walker.gate.set()


def test_a_request_waiting_when_the_pause_begins_gets_the_remaining_time(
    worker: Worker, walker: FakeWalker, clock: SkippingClock
) -> None:
    walker.gate.clear()

    def throttled() -> None:
        assert walker.entered.wait(TIMEOUT)
        worker.budget.cool_down(60)
        clock.move(COLD_TIMEOUT)

    threading.Thread(target=throttled, daemon=True).start()
    with pytest.raises(UnavailableError, match="pause its requests") as refused:
        get(worker)
    assert refused.value.retry_after == 52
    walker.gate.set()
