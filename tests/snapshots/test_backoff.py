"""Backoff: which filter sets a failure affects, how long it pauses requests, and how it ends."""

from dataclasses import replace

import pytest
from clocks import ManualClock
from walking import KEYS, NOW, key

from bridge.errors import Cause, Scope
from bridge.filters import FilterSet
from bridge.snapshots.backoff import Backoff, Failure
from bridge.store.keys import Keys
from bridge.store.memory import MemoryStore

ONE = key(FilterSet(venues=(12,), past=30))
OTHER = key(FilterSet(venues=(13,), past=30))
BROKEN = Cause("internal_error", "TeamUp failed")
DOWN = Cause("unreachable", "TeamUp cannot be reached", Scope.ACCOUNT)


@pytest.fixture
def store(clock: ManualClock) -> MemoryStore:
    return MemoryStore(clock)


@pytest.fixture
def backoff(store: MemoryStore) -> Backoff:
    return Backoff(store, KEYS)


def pause(failure: Failure) -> float:
    return failure.until - failure.at


def test_there_is_no_failure_at_first(backoff: Backoff) -> None:
    assert backoff.current(ONE) is None


def test_a_failure_of_one_key_does_not_affect_others(backoff: Backoff) -> None:
    backoff.record(ONE, BROKEN)
    assert backoff.current(ONE) is not None
    assert backoff.current(OTHER) is None


def test_a_failure_of_upstream_as_a_whole_affects_every_key(backoff: Backoff) -> None:
    backoff.record(ONE, DOWN)
    assert backoff.current(OTHER) == backoff.current(ONE)
    assert backoff.current(OTHER) is not None


def test_of_several_failures_the_one_with_the_latest_probe_counts(backoff: Backoff) -> None:
    backoff.record(ONE, replace(BROKEN, retry_after=100.0))
    backoff.record(OTHER, replace(DOWN, retry_after=50.0))
    current, other = backoff.current(ONE), backoff.current(OTHER)
    assert current is not None
    assert other is not None
    assert (current.code, other.code) == (BROKEN.code, DOWN.code)
    backoff.record(OTHER, replace(DOWN, retry_after=200.0))
    current = backoff.current(ONE)
    assert current is not None
    assert current.code == DOWN.code


def test_workers_share_failures_and_accounts_do_not(backoff: Backoff, store: MemoryStore) -> None:
    backoff.record(ONE, DOWN)
    assert Backoff(store, KEYS).current(ONE) == backoff.current(ONE)
    assert Backoff(store, Keys("another account")).current(ONE) is None


def test_a_failure_has_a_cause_and_a_start_time(backoff: Backoff, clock: ManualClock) -> None:
    backoff.record(ONE, BROKEN)
    clock.move(5)
    failure = backoff.record(ONE, replace(BROKEN, code="malformed"))
    assert (failure.code, failure.text, failure.scope) == ("malformed", BROKEN.text, Scope.KEY)
    assert (failure.count, failure.since, failure.at) == (2, NOW.timestamp(), clock.now())


@pytest.mark.parametrize("cause", [BROKEN, DOWN], ids=["of a key", "of upstream"])
def test_the_pause_is_one_second_and_doubles_to_sixty(
    backoff: Backoff, clock: ManualClock, cause: Cause
) -> None:
    for expected in (1, 2, 4, 8, 16, 32, 60, 60, 60):
        failure = backoff.record(ONE, cause)
        assert pause(failure) == pytest.approx(expected, rel=0.101)
        assert not failure.due(clock.now())
        clock.move(pause(failure))
        assert failure.due(clock.now())


def test_the_pause_has_jitter(backoff: Backoff) -> None:
    pauses = {pause(backoff.record(key(FilterSet(venues=(n,))), BROKEN)) for n in range(50)}
    assert len(pauses) > 40
    assert max(pauses) - min(pauses) > 0.1


def test_a_thousand_failures_in_a_row_pause_no_longer(backoff: Backoff) -> None:
    for _ in range(1_000):
        failure = backoff.record(ONE, BROKEN)
    assert pause(failure) <= 66


@pytest.mark.parametrize("seconds", [2, 60, 300])
def test_upstreams_retry_after_is_respected(
    backoff: Backoff, clock: ManualClock, seconds: float
) -> None:
    failure = backoff.record(ONE, replace(DOWN, code="throttled", retry_after=seconds))
    assert pause(failure) == seconds
    assert not failure.due(clock.now() + seconds - 0.1)
    assert failure.due(clock.now() + seconds)


def test_a_short_retry_after_does_not_shorten_the_pause(backoff: Backoff) -> None:
    for _ in range(7):
        failure = backoff.record(ONE, replace(DOWN, retry_after=1.0))
    assert pause(failure) >= 54


@pytest.mark.parametrize("cause", [BROKEN, DOWN], ids=["of a key", "of upstream"])
def test_a_failure_outlives_its_pause_so_that_pauses_keep_doubling_but_expires_later(
    backoff: Backoff, clock: ManualClock, cause: Cause
) -> None:
    failure = backoff.record(ONE, replace(cause, retry_after=300.0))
    clock.move(pause(failure) + 59)
    assert backoff.record(ONE, cause).count == 2
    clock.move(2 * 86_400)
    assert backoff.current(ONE) is None


def test_a_success_clears_the_failures_of_the_key_and_of_upstream_as_a_whole(
    backoff: Backoff,
) -> None:
    backoff.record(ONE, BROKEN)
    backoff.record(OTHER, BROKEN)
    backoff.record(ONE, DOWN)
    backoff.clear(ONE)
    assert backoff.current(ONE) is None
    current = backoff.current(OTHER)
    assert current is not None
    assert current.scope is Scope.KEY
    assert backoff.record(ONE, BROKEN).count == 1


def test_a_clock_that_was_set_back_does_not_delay_the_probe(
    backoff: Backoff, clock: ManualClock
) -> None:
    failure = backoff.record(ONE, BROKEN)
    assert failure.due(clock.now() - 86_400)


def test_retry_after_for_clients_is_in_whole_seconds_and_bounded(
    backoff: Backoff, clock: ManualClock
) -> None:
    failure = backoff.record(ONE, replace(DOWN, retry_after=300.0))
    assert failure.retry_after(clock.now()) == 300
    assert failure.retry_after(clock.now() + 290) in (10, 11)
    assert failure.retry_after(clock.now() + 10_000) == 1
