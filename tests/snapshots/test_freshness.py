"""The freshness policy: fresh, stale, old and expired copies, and clocks that were changed."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from walking import AT, FRESHNESS

from bridge.snapshots.freshness import CopyState, FreshnessPolicy

KEY = "past=30"
TTL = FRESHNESS.ttl_of(KEY)


def state_after(seconds: float, freshness: FreshnessPolicy = FRESHNESS) -> CopyState:
    return freshness.state(KEY, AT, AT + seconds)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, CopyState.FRESH),
        (TTL - 0.1, CopyState.FRESH),
        (TTL + 0.1, CopyState.STALE),
        (TTL + 3600 - 0.1, CopyState.STALE),
        (TTL + 3600 + 0.1, CopyState.OLD),
        (TTL + 604_800 - 0.1, CopyState.OLD),
        (TTL + 604_800 + 0.1, CopyState.EXPIRED),
    ],
)
def test_a_copy_is_fresh_then_stale_then_old_then_expired(
    seconds: float, expected: CopyState
) -> None:
    assert state_after(seconds) is expected


def test_without_stale_while_revalidate_a_copy_is_old_at_once() -> None:
    assert state_after(TTL + 1, replace(FRESHNESS, stale_while_revalidate=0)) is CopyState.OLD


def test_without_any_stale_period_a_copy_expires_with_its_ttl() -> None:
    assert state_after(TTL + 1, FreshnessPolicy(300, 0, 0)) is CopyState.EXPIRED


@given(st.text())
def test_the_ttl_of_a_key_is_within_a_tenth_and_always_the_same(key: str) -> None:
    ttl = FRESHNESS.ttl_of(key)
    assert 270 <= ttl <= 330
    assert FRESHNESS.ttl_of(key) == ttl


def test_keys_do_not_expire_together() -> None:
    ttls = sorted(FRESHNESS.ttl_of(f"venues={n}&past=30&future=90") for n in range(500))
    assert ttls[0] < 280
    assert ttls[-1] > 320
    in_any_three_seconds = max(sum(start <= ttl < start + 3 for ttl in ttls) for start in ttls)
    assert in_any_three_seconds < 60


def test_the_remaining_freshness_decreases_below_zero() -> None:
    assert FRESHNESS.fresh_for(KEY, AT, AT) == TTL
    assert FRESHNESS.fresh_for(KEY, AT, AT + 400) == pytest.approx(TTL - 400)


def test_a_walk_dated_slightly_in_the_future_has_the_full_ttl() -> None:
    assert FRESHNESS.fresh_for(KEY, AT + 4, AT) == TTL


@pytest.mark.parametrize("ahead", [10, 3600, 86_400, 10**9])
def test_a_walk_in_the_far_future_is_stale(ahead: float) -> None:
    assert state_after(-ahead) is CopyState.STALE


@pytest.mark.parametrize(("jump", "expected"), [(3600, CopyState.STALE), (86_400, CopyState.OLD)])
def test_a_clock_that_jumps_forward_by_an_hour_or_a_day_expires_no_copy(
    jump: float, expected: CopyState
) -> None:
    assert state_after(jump) is expected
