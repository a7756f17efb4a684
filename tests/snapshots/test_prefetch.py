"""Refresh-ahead: polls find fresh data without waiting, and half of the budget stays free."""

import threading
from datetime import UTC, datetime

import pytest
from clocks import ManualClock
from structlog.testing import capture_logs
from walking import (
    FRESHNESS,
    KEYS,
    NOW,
    TIMEOUT,
    FakeWalker,
    Worker,
    key,
    single_source_router,
)

from bridge.errors import Cause, Scope, UpstreamError
from bridge.filters import FilterSet, Occupancy
from bridge.snapshots.cache import CacheOutcome
from bridge.snapshots.freshness import FreshnessPolicy
from bridge.snapshots.prefetch import Prefetcher
from bridge.snapshots.snapshot_key import SnapshotKey
from bridge.store.leases import LEASE_SECONDS
from bridge.store.memory import MemoryStore
from bridge.store.request_budget import SharedRequestBudget
from bridge.upstream.budget import Purpose

WHOLE = FilterSet(past=30)
OWN = FilterSet(occupancy_status=(Occupancy.HAS_WAITLIST,), past=30, future=90)
TICK = 5.0
HOUR = 3600.0


class Bridge:
    """One process: a cache, a wide router and a prefetcher."""

    def __init__(
        self,
        clock: ManualClock,
        store: MemoryStore,
        walker: FakeWalker,
        freshness: FreshnessPolicy = FRESHNESS,
    ) -> None:
        self.clock = clock
        self.worker = Worker(clock, store, walker, freshness)
        self.router = single_source_router(self.worker, clock, shrink_hold=21_600)
        self.prefetcher = Prefetcher(
            store=store,
            keys=KEYS,
            cache=self.worker.cache,
            registry=self.worker.registry,
            router=self.router,
            clock=clock,
            ttl=freshness.ttl,
        )

    def tick(self) -> int:
        """Refresh what is due, and wait for the end; how many refreshes were started."""
        started = self.prefetcher.tick()
        self.worker.refresher.wait_until_idle()
        return started

    def run(self, seconds: float) -> int:
        """Let *seconds* pass, tick by tick; how many refreshes were started."""
        started = 0
        end = self.clock.now() + seconds
        while self.clock.now() < end:
            self.clock.move(TICK)
            started += self.tick()
        return started


@pytest.fixture
def bridge(clock: ManualClock, store: MemoryStore, walker: FakeWalker) -> Bridge:
    return Bridge(clock, store, walker)


def test_nothing_is_refreshed_without_a_request(bridge: Bridge, walker: FakeWalker) -> None:
    assert bridge.run(2 * FRESHNESS.ttl) == 0
    assert not walker.requested


def test_a_requested_snapshot_is_refreshed_just_before_it_expires(
    bridge: Bridge, walker: FakeWalker, clock: ManualClock
) -> None:
    bridge.router.find(WHOLE)
    ttl = FRESHNESS.ttl_of(WHOLE.key)
    clock.move(ttl - TICK - 1)
    assert bridge.tick() == 0
    clock.move(2)
    assert bridge.tick() == 1
    assert walker.requested == [WHOLE, WHOLE]
    assert bridge.tick() == 0


def test_a_poll_every_three_hours_always_finds_fresh_data(
    bridge: Bridge, walker: FakeWalker, clock: ManualClock
) -> None:
    bridge.router.find(WHOLE)
    for _ in range(2):
        bridge.run(3 * HOUR)
        lookup = bridge.router.find(WHOLE)
        assert lookup.outcome is CacheOutcome.HIT
        assert lookup.fresh_for > 0
    walks = 6 * HOUR / FRESHNESS.ttl_of(WHOLE.key)
    assert walks <= len(walker.requested) <= walks * 1.1


def test_a_snapshot_not_requested_for_two_days_is_not_refreshed(
    bridge: Bridge, walker: FakeWalker, clock: ManualClock
) -> None:
    bridge.router.find(WHOLE)
    clock.move(48 * HOUR - 60)
    assert bridge.tick() == 1
    clock.move(120)
    assert bridge.run(2 * FRESHNESS.ttl) == 0


def test_a_poll_extends_the_refreshes_by_two_days(bridge: Bridge, clock: ManualClock) -> None:
    bridge.router.find(WHOLE)
    clock.move(47 * HOUR)
    bridge.router.find(WHOLE)
    clock.move(47 * HOUR)
    assert bridge.tick() == 1


def test_a_narrow_snapshot_is_refreshed_at_most_hourly_and_the_wide_one_every_ttl(
    bridge: Bridge, walker: FakeWalker
) -> None:
    bridge.router.find(WHOLE)
    bridge.router.find(OWN)
    walker.requested.clear()
    bridge.run(4 * HOUR)
    assert walker.requested.count(OWN) in (3, 4)
    assert walker.requested.count(WHOLE) >= 4 * HOUR / FRESHNESS.ttl_of(WHOLE.key) - 1


def test_a_filter_set_covered_by_the_wide_walk_is_not_refreshed_by_itself(
    bridge: Bridge, walker: FakeWalker
) -> None:
    for n in range(30):
        bridge.router.find(FilterSet(venues=(n,), past=30, future=90))
    bridge.run(HOUR)
    assert set(walker.requested) == {WHOLE}


def test_an_archive_is_never_refreshed(
    bridge: Bridge, walker: FakeWalker, clock: ManualClock
) -> None:
    bridge.router.find(FilterSet(course=(51,)))
    [archive] = [requested for requested in walker.requested if requested != WHOLE]
    bridge.run(2 * HOUR)
    assert walker.requested.count(archive) == 1


def test_only_one_process_of_the_fleet_refreshes(
    bridge: Bridge, clock: ManualClock, store: MemoryStore, walker: FakeWalker
) -> None:
    fleet = [bridge, *(Bridge(clock, store, walker) for _ in range(3))]
    for process in fleet:
        process.router.find(WHOLE)
        process.prefetcher.tick()
    walker.requested.clear()
    for _ in range(240):
        clock.move(TICK)
        started = [process.tick() for process in fleet]
        assert started[1:] == [0, 0, 0]
    expected = 240 * TICK / FRESHNESS.ttl_of(WHOLE.key)
    assert expected - 1 <= len(walker.requested) <= expected + 1


def test_another_process_takes_over_when_the_first_is_killed(
    bridge: Bridge, clock: ManualClock, store: MemoryStore, walker: FakeWalker
) -> None:
    bridge.router.find(WHOLE)
    bridge.tick()
    other = Bridge(clock, store, walker)
    clock.move(LEASE_SECONDS - 1)
    other.tick()
    clock.move(2)
    other.tick()
    clock.move(FRESHNESS.ttl)
    assert (other.tick(), bridge.tick()) == (1, 0)


def test_another_process_takes_over_at_once_when_the_first_is_closed(
    bridge: Bridge, clock: ManualClock, store: MemoryStore, walker: FakeWalker
) -> None:
    bridge.router.find(WHOLE)
    bridge.tick()
    bridge.prefetcher.close()
    clock.move(FRESHNESS.ttl)
    assert Bridge(clock, store, walker).tick() == 1


def test_nothing_is_refreshed_during_the_pause_after_a_failure(
    bridge: Bridge, walker: FakeWalker, clock: ManualClock
) -> None:
    bridge.router.find(WHOLE)
    clock.move(FRESHNESS.ttl)
    bridge.worker.backoff.record(key(WHOLE), Cause("unreachable", "down", Scope.ACCOUNT, 300.0))
    walker.requested.clear()
    for _ in range(59):
        assert bridge.prefetcher.tick() == 0
        clock.move(TICK)
    assert not walker.requested


def test_an_outage_is_probed_rarely_and_its_end_is_noticed_within_75_seconds(
    bridge: Bridge, walker: FakeWalker
) -> None:
    bridge.router.find(WHOLE)
    walker.error = UpstreamError(Cause("internal_error", "TeamUp failed"))
    walker.requested.clear()
    bridge.run(HOUR)
    assert 45 <= len(walker.requested) <= 80
    walker.error = None
    bridge.run(75)
    assert bridge.router.find(WHOLE).outcome is CacheOutcome.HIT


def test_a_copy_is_replaced_while_it_is_still_fresh(bridge: Bridge, clock: ManualClock) -> None:
    walked = bridge.router.find(WHOLE).snapshot.oldest_walk_at
    clock.move(FRESHNESS.ttl_of(WHOLE.key) - 1)
    bridge.tick()
    assert bridge.router.find(WHOLE).snapshot.oldest_walk_at > walked


def test_refreshes_have_the_purpose_that_may_use_half_of_the_budget(
    bridge: Bridge, walker: FakeWalker, clock: ManualClock
) -> None:
    bridge.router.find(WHOLE)
    clock.move(FRESHNESS.ttl)
    bridge.tick()
    assert walker.purposes == [Purpose.LIVE, Purpose.BACKGROUND]


@pytest.mark.parametrize("per_minute", [1, 2, 7, 200])
def test_half_of_the_budget_is_reserved_for_live_requests(
    store: MemoryStore, per_minute: int
) -> None:
    budget = SharedRequestBudget(store, KEYS, per_minute=per_minute)
    ahead = sum(budget.reserve(Purpose.BACKGROUND) == 0 for _ in range(per_minute + 5))
    live = sum(budget.reserve(Purpose.LIVE) == 0 for _ in range(per_minute + 5))
    assert ahead == max(1, per_minute // 2)
    assert live == per_minute - ahead


def test_live_requests_may_use_the_whole_budget(store: MemoryStore) -> None:
    budget = SharedRequestBudget(store, KEYS, per_minute=10)
    assert sum(budget.reserve(Purpose.LIVE) == 0 for _ in range(20)) == 10
    assert budget.reserve(Purpose.BACKGROUND) > 0


def test_the_share_applies_to_any_sixty_seconds(store: MemoryStore, clock: ManualClock) -> None:
    budget = SharedRequestBudget(store, KEYS, per_minute=60)
    granted = []
    for _ in range(600):
        if budget.reserve(Purpose.BACKGROUND) == 0:
            granted.append(clock.now())
        clock.move(0.7)
    assert max(sum(start <= at < start + 60 for at in granted) for start in granted) <= 30
    assert len(granted) >= 600 * 0.7 / 60 * 30 * 0.9


class TestThread:
    @pytest.fixture
    def quick(self, clock: ManualClock, store: MemoryStore, walker: FakeWalker) -> Bridge:
        return Bridge(clock, store, walker, FreshnessPolicy(5, 3600, 604_800))

    def test_refreshes_until_it_is_closed(
        self, quick: Bridge, walker: FakeWalker, clock: ManualClock
    ) -> None:
        quick.router.find(WHOLE)
        walker.entered.clear()
        quick.prefetcher.start()
        clock.move(5)
        assert walker.entered.wait(TIMEOUT)
        quick.prefetcher.close()
        assert "prefetch" not in [thread.name for thread in threading.enumerate()]

    def test_continues_after_an_unexpected_error(
        self, quick: Bridge, walker: FakeWalker, clock: ManualClock, store: MemoryStore
    ) -> None:
        quick.router.find(WHOLE)
        walker.entered.clear()
        failed = threading.Event()
        recent = quick.worker.registry.recent

        def fail_once(*pinned: tuple[SnapshotKey, ...]) -> list[SnapshotKey]:
            if not failed.is_set():
                failed.set()
                raise RuntimeError("unexpected")
            return recent(*pinned)

        quick.worker.registry.recent = fail_once  # type: ignore[method-assign]
        with capture_logs() as lines:
            quick.prefetcher.start()
            clock.move(5)
            assert walker.entered.wait(TIMEOUT)
            quick.prefetcher.close()
        assert failed.is_set()
        assert any(line["event"] == "refresh-ahead failed" for line in lines)

    def test_can_be_closed_without_having_been_started(self, quick: Bridge) -> None:
        quick.prefetcher.close()


def test_a_request_counts_as_recent_for_two_days(bridge: Bridge, clock: ManualClock) -> None:
    assert datetime.fromtimestamp(clock.now(), UTC) == NOW
    bridge.router.find(WHOLE)
    assert bridge.worker.registry.recent([key(WHOLE)]) == [key(WHOLE)]
    clock.move(48 * HOUR + 1)
    assert bridge.worker.registry.recent([key(WHOLE)]) == []
