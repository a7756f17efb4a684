"""Leases: one holder at a time, for as long as it shows signs of life."""

import threading

import pytest
from clocks import ManualClock
from walking import KEYS

from bridge.store.interface import Write
from bridge.store.keys import Keys
from bridge.store.leases import LEASE_SECONDS, Lease, LostLeaseError, acquire
from bridge.store.memory import MemoryStore


@pytest.fixture
def store(clock: ManualClock) -> MemoryStore:
    return MemoryStore(clock)


def take(store: MemoryStore, name: str = "refresh") -> Lease | None:
    return acquire(store, KEYS, name)


def held(store: MemoryStore) -> Lease:
    lease = take(store)
    assert lease is not None
    return lease


def test_it_lasts_fifteen_seconds() -> None:
    assert LEASE_SECONDS == 15


def test_nobody_else_gets_it_while_it_is_held(store: MemoryStore) -> None:
    held(store)
    assert take(store) is None


def test_leases_of_other_names_and_accounts_are_others(store: MemoryStore) -> None:
    held(store)
    assert take(store, "another") is not None
    assert acquire(store, Keys("another account"), "refresh") is not None


def test_it_runs_out(store: MemoryStore, clock: ManualClock) -> None:
    held(store)
    clock.move(LEASE_SECONDS - 0.1)
    assert take(store) is None
    clock.move(0.2)
    assert take(store) is not None


def test_renewed_it_lasts_for_another_term(store: MemoryStore, clock: ManualClock) -> None:
    lease = held(store)
    for _ in range(20):
        clock.move(LEASE_SECONDS - 1)
        lease.renew()
        assert take(store) is None


def test_what_ran_out_cannot_be_renewed(store: MemoryStore, clock: ManualClock) -> None:
    lease = held(store)
    clock.move(LEASE_SECONDS + 1)
    with pytest.raises(LostLeaseError):
        lease.renew()
    assert take(store) is not None


def test_who_lost_it_neither_renews_nor_ends_anothers(
    store: MemoryStore, clock: ManualClock
) -> None:
    late = held(store)
    clock.move(LEASE_SECONDS + 1)
    other = held(store)
    with pytest.raises(LostLeaseError):
        late.renew()
    late.release()
    assert take(store) is None
    other.renew()


def test_given_back_it_is_free_at_once(store: MemoryStore) -> None:
    lease = held(store)
    lease.renew()
    lease.release()
    assert take(store) is not None


def test_given_back_twice_it_is_given_back_once(store: MemoryStore) -> None:
    lease = held(store)
    lease.release()
    held(store)
    lease.release()
    assert take(store) is None


def test_a_commit_that_expects_it_fails_once_it_is_lost(
    store: MemoryStore, clock: ManualClock
) -> None:
    lease = held(store)
    assert store.commit({"a": Write(b"1")}, expect=lease.expectation) is not None
    lease.renew()
    assert store.commit({"a": Write(b"2")}, expect=lease.expectation) is not None
    clock.move(LEASE_SECONDS + 1)
    assert store.commit({"a": Write(b"late")}, expect=lease.expectation) is None
    held(store)
    assert store.commit({"a": Write(b"late")}, expect=lease.expectation) is None
    assert store.read(["a"])["a"].value == b"2"


def test_pages_that_come_in_together_renew_it_together(store: MemoryStore) -> None:
    lease = held(store)
    failed: list[LostLeaseError] = []
    barrier = threading.Barrier(8)

    def renew() -> None:
        barrier.wait()
        try:
            for _ in range(50):
                lease.renew()
        except LostLeaseError as err:
            failed.append(err)

    threads = [threading.Thread(target=renew) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert take(store) is None
