"""Lifetimes: fresh, stale, old, expired, and clocks that were set."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from walking import AT, LIFETIMES

from bridge.snapshots.freshness import CopyState, FreshnessPolicy

KEY = "past=30"
TTL = LIFETIMES.ttl_of(KEY)


def age(seconds: float, freshness: FreshnessPolicy = LIFETIMES) -> CopyState:
    return freshness.age(KEY, AT, AT + seconds)


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
    assert age(seconds) is expected


def test_without_stale_while_revalidate_a_copy_is_old_at_once() -> None:
    assert age(TTL + 1, replace(LIFETIMES, stale_while_revalidate=0)) is CopyState.OLD


def test_without_any_grace_a_copy_expires_with_its_ttl() -> None:
    assert age(TTL + 1, FreshnessPolicy(300, 0, 0)) is CopyState.EXPIRED


@given(st.text())
def test_the_ttl_of_a_key_is_within_a_tenth_and_always_the_same(key: str) -> None:
    ttl = LIFETIMES.ttl_of(key)
    assert 270 <= ttl <= 330
    assert LIFETIMES.ttl_of(key) == ttl


def test_keys_do_not_expire_together() -> None:
    ttls = sorted(LIFETIMES.ttl_of(f"venues={n}&past=30&future=90") for n in range(500))
    assert ttls[0] < 280
    assert ttls[-1] > 320
    in_any_three_seconds = max(sum(one <= each < one + 3 for each in ttls) for one in ttls)
    assert in_any_three_seconds < 60


def test_what_is_left_counts_down_through_nought() -> None:
    assert LIFETIMES.left(KEY, AT, AT) == TTL
    assert LIFETIMES.left(KEY, AT, AT + 400) == pytest.approx(TTL - 400)


def test_a_walk_of_a_machine_a_little_ahead_is_as_fresh_as_can_be() -> None:
    assert LIFETIMES.left(KEY, AT + 4, AT) == TTL


@pytest.mark.parametrize("ahead", [10, 3600, 86_400, 10**9])
def test_a_walk_in_the_future_is_stale_and_not_fresh_until_then(ahead: float) -> None:
    assert age(-ahead) is CopyState.STALE


@pytest.mark.parametrize(("set_on", "expected"), [(3600, CopyState.STALE), (86_400, CopyState.OLD)])
def test_a_clock_that_is_set_on_by_an_hour_or_a_day_loses_no_copy(
    set_on: float, expected: CopyState
) -> None:
    assert age(set_on) is expected
