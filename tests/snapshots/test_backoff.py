"""Remembered failures: whom they concern, how long nobody asks, and how they end."""

from dataclasses import replace

import pytest
from clocks import ManualClock
from walking import KEYS, NOW

from bridge.errors import Cause, Scope
from bridge.snapshots.backoff import Backoff, Failure
from bridge.store.keys import Keys
from bridge.store.memory import MemoryStore

ONE, OTHER = "venues=12&past=30", "venues=13&past=30"
BROKEN = Cause("internal_error", "TeamUp failed")
DOWN = Cause("unreachable", "TeamUp cannot be reached", Scope.ACCOUNT)


@pytest.fixture
def store(clock: ManualClock) -> MemoryStore:
    return MemoryStore(clock)


@pytest.fixture
def failures(store: MemoryStore) -> Backoff:
    return Backoff(store, KEYS)


def pause(failure: Failure) -> float:
    return failure.until - failure.at


def test_nothing_is_remembered_at_first(failures: Backoff) -> None:
    assert failures.current(ONE) is None


def test_a_failure_of_one_key_concerns_no_other(failures: Backoff) -> None:
    failures.remember(ONE, BROKEN)
    assert failures.current(ONE) is not None
    assert failures.current(OTHER) is None


def test_a_failure_of_the_upstream_as_a_whole_concerns_every_key(failures: Backoff) -> None:
    failures.remember(ONE, DOWN)
    assert failures.current(OTHER) == failures.current(ONE)
    assert failures.current(OTHER) is not None


def test_the_upstreams_own_failure_is_told_before_that_of_a_key(failures: Backoff) -> None:
    failures.remember(ONE, BROKEN)
    failures.remember(OTHER, DOWN)
    current = failures.current(ONE)
    assert current is not None
    assert current.code == "unreachable"


def test_all_workers_know_and_no_other_account(failures: Backoff, store: MemoryStore) -> None:
    failures.remember(ONE, DOWN)
    assert Backoff(store, KEYS).current(ONE) == failures.current(ONE)
    assert Backoff(store, Keys("another account")).current(ONE) is None


def test_it_says_what_happened_and_since_when(failures: Backoff, clock: ManualClock) -> None:
    failures.remember(ONE, BROKEN)
    clock.move(5)
    failure = failures.remember(ONE, replace(BROKEN, code="malformed"))
    assert (failure.code, failure.text, failure.scope) == ("malformed", BROKEN.text, Scope.KEY)
    assert (failure.count, failure.since, failure.at) == (2, NOW.timestamp(), clock.now())


@pytest.mark.parametrize("cause", [BROKEN, DOWN], ids=["of a key", "of the whole"])
def test_the_pause_is_one_second_and_doubles_to_sixty(
    failures: Backoff, clock: ManualClock, cause: Cause
) -> None:
    for expected in (1, 2, 4, 8, 16, 32, 60, 60, 60):
        failure = failures.remember(ONE, cause)
        assert pause(failure) == pytest.approx(expected, rel=0.101)
        assert not failure.due(clock.now())
        clock.move(pause(failure))
        assert failure.due(clock.now())


def test_the_pause_has_jitter(failures: Backoff) -> None:
    pauses = {pause(failures.remember(f"venues={n}", BROKEN)) for n in range(50)}
    assert len(pauses) > 40
    assert max(pauses) - min(pauses) > 0.1


def test_a_thousand_failures_in_a_row_pause_no_longer(failures: Backoff) -> None:
    for _ in range(1_000):
        failure = failures.remember(ONE, BROKEN)
    assert pause(failure) <= 66


@pytest.mark.parametrize("asked", [2, 60, 300])
def test_upstreams_own_retry_after_is_kept_to(
    failures: Backoff, clock: ManualClock, asked: float
) -> None:
    failure = failures.remember(ONE, replace(DOWN, code="throttled", retry_after=asked))
    assert pause(failure) == asked
    assert not failure.due(clock.now() + asked - 0.1)
    assert failure.due(clock.now() + asked)


def test_a_short_retry_after_does_not_shorten_the_pause(failures: Backoff) -> None:
    for _ in range(7):
        failure = failures.remember(ONE, replace(DOWN, retry_after=1.0))
    assert pause(failure) >= 54


@pytest.mark.parametrize("cause", [BROKEN, DOWN], ids=["of a key", "of the whole"])
def test_it_is_remembered_beyond_the_pause_so_that_probes_go_on_doubling_and_not_for_ever(
    failures: Backoff, clock: ManualClock, cause: Cause
) -> None:
    failure = failures.remember(ONE, replace(cause, retry_after=300.0))
    clock.move(pause(failure) + 59)
    assert failures.remember(ONE, cause).count == 2
    clock.move(2 * 86_400)
    assert failures.current(ONE) is None


def test_an_answer_ends_it_for_the_key_and_for_the_whole(failures: Backoff) -> None:
    failures.remember(ONE, BROKEN)
    failures.remember(OTHER, BROKEN)
    failures.remember(ONE, DOWN)
    failures.clear(ONE)
    assert failures.current(ONE) is None
    current = failures.current(OTHER)
    assert current is not None
    assert current.scope is Scope.KEY
    assert failures.remember(ONE, BROKEN).count == 1


def test_a_clock_that_was_set_back_puts_the_probe_off_for_no_longer(
    failures: Backoff, clock: ManualClock
) -> None:
    failure = failures.remember(ONE, BROKEN)
    assert failure.due(clock.now() - 86_400)


def test_a_visitor_is_told_whole_seconds_that_are_worth_waiting(
    failures: Backoff, clock: ManualClock
) -> None:
    failure = failures.remember(ONE, replace(DOWN, retry_after=300.0))
    assert failure.retry_after(clock.now()) == 300
    assert failure.retry_after(clock.now() + 290) in (10, 11)
    assert failure.retry_after(clock.now() + 10_000) == 1
