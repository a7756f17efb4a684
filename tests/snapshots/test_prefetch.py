"""Refresh-ahead: polls find fresh data and wait for nothing, within half of the budget."""

import threading
from datetime import UTC, datetime

import pytest
from clocks import ManualClock
from structlog.testing import capture_logs
from walking import (
    KEYS,
    LIFETIMES,
    LONG_ENOUGH,
    NOW,
    FakeWalker,
    Worker,
    sessions,
)

from bridge.errors import Cause, Scope, UpstreamError
from bridge.filters import FilterSet, Occupancy
from bridge.snapshots.cache import CacheOutcome
from bridge.snapshots.freshness import FreshnessPolicy
from bridge.snapshots.prefetch import Prefetcher
from bridge.snapshots.router import WideRouter
from bridge.store.leases import LEASE_SECONDS
from bridge.store.memory import MemoryStore
from bridge.store.rate_limit import SharedRequestBudget
from bridge.upstream.budget import Purpose

WHOLE = FilterSet(past=30)
OWN = FilterSet(occupancy_status=(Occupancy.HAS_WAITLIST,), past=30, future=90)
TICK = 5.0
HOUR = 3600.0


class Bridge:
    """One process: a cache, a wide plan in front of it, and what refreshes it ahead."""

    def __init__(
        self,
        clock: ManualClock,
        store: MemoryStore,
        walker: FakeWalker,
        freshness: FreshnessPolicy = LIFETIMES,
    ) -> None:
        self.clock = clock
        self.worker = Worker(clock, store, walker, freshness)
        self.router = WideRouter(self.worker.cache, clock, past=30, shrink_hold=21_600)
        self.prefetcher = Prefetcher(
            store=store,
            keys=KEYS,
            cache=self.worker.cache,
            registry=self.worker.asked,
            router=self.router,
            clock=clock,
            ttl=freshness.ttl,
        )

    def tick(self) -> int:
        """One look at what is due; what it began has come to its end."""
        begun = self.prefetcher.tick()
        self.worker.refresher.finished()
        return begun

    def run(self, seconds: float) -> int:
        """Let so much time pass, tick by tick; how many refreshes were begun."""
        begun = 0
        until = self.clock.now() + seconds
        while self.clock.now() < until:
            self.clock.move(TICK)
            begun += self.tick()
        return begun


@pytest.fixture
def store(clock: ManualClock) -> MemoryStore:
    return MemoryStore(clock)


@pytest.fixture
def walker(clock: ManualClock) -> FakeWalker:
    return FakeWalker(clock, sessions(3))


@pytest.fixture
def bridge(clock: ManualClock, store: MemoryStore, walker: FakeWalker) -> Bridge:
    return Bridge(clock, store, walker)


def test_nothing_is_refreshed_that_nobody_asked_for(bridge: Bridge, walker: FakeWalker) -> None:
    assert bridge.run(2 * LIFETIMES.ttl) == 0
    assert not walker.asked


def test_what_was_asked_for_is_refreshed_just_before_it_expires(
    bridge: Bridge, walker: FakeWalker, clock: ManualClock
) -> None:
    bridge.router.find(WHOLE)
    ttl = LIFETIMES.ttl_of(WHOLE.key)
    clock.move(ttl - TICK - 1)
    assert bridge.tick() == 0
    clock.move(2)
    assert bridge.tick() == 1
    assert walker.asked == [WHOLE, WHOLE]
    assert bridge.tick() == 0


def test_a_poll_every_three_hours_always_finds_fresh_data(
    bridge: Bridge, walker: FakeWalker, clock: ManualClock
) -> None:
    bridge.router.find(WHOLE)
    for _ in range(2):
        bridge.run(3 * HOUR)
        lookup = bridge.router.find(WHOLE)
        assert lookup.served is CacheOutcome.HIT
        assert lookup.left > 0
    walks = 6 * HOUR / LIFETIMES.ttl_of(WHOLE.key)
    assert walks <= len(walker.asked) <= walks * 1.1


def test_what_nobody_asked_for_in_two_days_is_left_alone(
    bridge: Bridge, walker: FakeWalker, clock: ManualClock
) -> None:
    bridge.router.find(WHOLE)
    clock.move(48 * HOUR - 60)
    assert bridge.tick() == 1
    clock.move(120)
    assert bridge.run(2 * LIFETIMES.ttl) == 0


def test_a_poll_keeps_it_going_for_another_two_days(bridge: Bridge, clock: ManualClock) -> None:
    bridge.router.find(WHOLE)
    clock.move(47 * HOUR)
    bridge.router.find(WHOLE)
    clock.move(47 * HOUR)
    assert bridge.tick() == 1


def test_a_key_of_its_own_is_refreshed_hourly_at_most_and_the_wide_one_every_ttl(
    bridge: Bridge, walker: FakeWalker
) -> None:
    bridge.router.find(WHOLE)
    bridge.router.find(OWN)
    walker.asked.clear()
    bridge.run(4 * HOUR)
    assert walker.asked.count(OWN) in (3, 4)
    assert walker.asked.count(WHOLE) >= 4 * HOUR / LIFETIMES.ttl_of(WHOLE.key) - 1


def test_what_the_wide_walk_covers_is_not_refreshed_by_itself(
    bridge: Bridge, walker: FakeWalker
) -> None:
    for n in range(30):
        bridge.router.find(FilterSet(venues=(n,), past=30, future=90))
    bridge.run(HOUR)
    assert set(walker.asked) == {WHOLE}


def test_an_archive_is_never_refreshed(
    bridge: Bridge, walker: FakeWalker, clock: ManualClock
) -> None:
    bridge.router.find(FilterSet(course=(51,)))
    [archive] = [one for one in walker.asked if one != WHOLE]
    bridge.run(2 * HOUR)
    assert walker.asked.count(archive) == 1


def test_one_process_of_the_fleet_does_it(
    bridge: Bridge, clock: ManualClock, store: MemoryStore, walker: FakeWalker
) -> None:
    fleet = [bridge, *(Bridge(clock, store, walker) for _ in range(3))]
    for each in fleet:
        each.router.find(WHOLE)
        each.prefetcher.tick()
    walker.asked.clear()
    for _ in range(240):
        clock.move(TICK)
        begun = [each.tick() for each in fleet]
        assert begun[1:] == [0, 0, 0]
    expected = 240 * TICK / LIFETIMES.ttl_of(WHOLE.key)
    assert expected - 1 <= len(walker.asked) <= expected + 1


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
    clock.move(LIFETIMES.ttl)
    assert (other.tick(), bridge.tick()) == (1, 0)


def test_another_process_takes_over_at_once_when_the_first_is_closed(
    bridge: Bridge, clock: ManualClock, store: MemoryStore, walker: FakeWalker
) -> None:
    bridge.router.find(WHOLE)
    bridge.tick()
    bridge.prefetcher.close()
    clock.move(LIFETIMES.ttl)
    assert Bridge(clock, store, walker).tick() == 1


def test_nothing_is_refreshed_while_a_failure_is_remembered(
    bridge: Bridge, walker: FakeWalker, clock: ManualClock
) -> None:
    bridge.router.find(WHOLE)
    clock.move(LIFETIMES.ttl)
    bridge.worker.failures.remember(WHOLE.key, Cause("unreachable", "gone", Scope.ACCOUNT, 300.0))
    walker.asked.clear()
    for _ in range(59):
        assert bridge.prefetcher.tick() == 0
        clock.move(TICK)
    assert not walker.asked


def test_an_outage_is_probed_seldom_and_its_end_is_found_within_a_minute_or_so(
    bridge: Bridge, walker: FakeWalker
) -> None:
    bridge.router.find(WHOLE)
    walker.error = UpstreamError(Cause("internal_error", "TeamUp failed"))
    walker.asked.clear()
    bridge.run(HOUR)
    assert 45 <= len(walker.asked) <= 80
    walker.error = None
    bridge.run(75)
    assert bridge.router.find(WHOLE).served is CacheOutcome.HIT


def test_a_newer_copy_is_wanted_although_the_old_one_is_still_fresh(
    bridge: Bridge, clock: ManualClock
) -> None:
    walked = bridge.router.find(WHOLE).snapshot.walked
    clock.move(LIFETIMES.ttl_of(WHOLE.key) - 1)
    bridge.tick()
    assert bridge.router.find(WHOLE).snapshot.walked > walked


def test_it_asks_as_what_may_take_half_of_the_budget(
    bridge: Bridge, walker: FakeWalker, clock: ManualClock
) -> None:
    bridge.router.find(WHOLE)
    clock.move(LIFETIMES.ttl)
    bridge.tick()
    assert walker.purposes == [Purpose.LIVE, Purpose.AHEAD]


@pytest.mark.parametrize("per_minute", [1, 2, 7, 200])
def test_half_of_the_budget_is_kept_for_live_requests(store: MemoryStore, per_minute: int) -> None:
    budget = SharedRequestBudget(store, KEYS, per_minute=per_minute)
    ahead = sum(budget.reserve(Purpose.AHEAD) == 0 for _ in range(per_minute + 5))
    live = sum(budget.reserve(Purpose.LIVE) == 0 for _ in range(per_minute + 5))
    assert ahead == max(1, per_minute // 2)
    assert live == per_minute - ahead


def test_live_requests_come_first_and_may_take_all(store: MemoryStore) -> None:
    budget = SharedRequestBudget(store, KEYS, per_minute=10)
    assert sum(budget.reserve(Purpose.LIVE) == 0 for _ in range(20)) == 10
    assert budget.reserve(Purpose.AHEAD) > 0


def test_the_share_is_of_any_sixty_seconds(store: MemoryStore, clock: ManualClock) -> None:
    budget = SharedRequestBudget(store, KEYS, per_minute=60)
    granted = []
    for _ in range(600):
        if budget.reserve(Purpose.AHEAD) == 0:
            granted.append(clock.now())
        clock.move(0.7)
    assert max(sum(one <= each < one + 60 for each in granted) for one in granted) <= 30
    assert len(granted) >= 600 * 0.7 / 60 * 30 * 0.9


class TestItsThread:
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
        assert walker.entered.wait(LONG_ENOUGH)
        quick.prefetcher.close()
        assert "refresh-ahead" not in [thread.name for thread in threading.enumerate()]

    def test_goes_on_after_what_nobody_thought_of(
        self, quick: Bridge, walker: FakeWalker, clock: ManualClock, store: MemoryStore
    ) -> None:
        quick.router.find(WHOLE)
        walker.entered.clear()
        broke = threading.Event()
        recent = quick.worker.asked.recent

        def breaks_once(pinned: list[str]) -> list[str]:
            if not broke.is_set():
                broke.set()
                raise RuntimeError("as nobody thought")
            return recent(pinned)

        quick.worker.asked.recent = breaks_once  # type: ignore[method-assign]
        with capture_logs() as lines:
            quick.prefetcher.start()
            clock.move(5)
            assert walker.entered.wait(LONG_ENOUGH)
            quick.prefetcher.close()
        assert broke.is_set()
        assert any(line["event"] == "refresh-ahead broke off" for line in lines)

    def test_closes_without_having_begun(self, quick: Bridge) -> None:
        quick.prefetcher.close()


def test_two_days_are_counted_from_when_it_was_asked_for(
    bridge: Bridge, clock: ManualClock
) -> None:
    assert datetime.fromtimestamp(clock.now(), UTC) == NOW
    bridge.router.find(WHOLE)
    assert bridge.worker.asked.recent([WHOLE.key]) == [WHOLE.key]
    clock.move(48 * HOUR + 1)
    assert bridge.worker.asked.recent([WHOLE.key]) == []
