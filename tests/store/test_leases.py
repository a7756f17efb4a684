"""Leases: at most one holder, expiry, renewal and release."""

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


def try_acquire(store: MemoryStore, name: str = "refresh") -> Lease | None:
    return acquire(store, KEYS, name)


def acquire_lease(store: MemoryStore) -> Lease:
    lease = try_acquire(store)
    assert lease is not None
    return lease


def test_a_lease_lasts_fifteen_seconds() -> None:
    assert LEASE_SECONDS == 15


def test_a_held_lease_cannot_be_acquired(store: MemoryStore) -> None:
    acquire_lease(store)
    assert try_acquire(store) is None


def test_names_and_accounts_have_separate_leases(store: MemoryStore) -> None:
    acquire_lease(store)
    assert try_acquire(store, "another") is not None
    assert acquire(store, Keys("another account"), "refresh") is not None


def test_a_lease_expires(store: MemoryStore, clock: ManualClock) -> None:
    acquire_lease(store)
    clock.move(LEASE_SECONDS - 0.1)
    assert try_acquire(store) is None
    clock.move(0.2)
    assert try_acquire(store) is not None


def test_renewing_extends_the_lease(store: MemoryStore, clock: ManualClock) -> None:
    lease = acquire_lease(store)
    for _ in range(20):
        clock.move(LEASE_SECONDS - 1)
        lease.renew()
        assert try_acquire(store) is None


def test_an_expired_lease_cannot_be_renewed(store: MemoryStore, clock: ManualClock) -> None:
    lease = acquire_lease(store)
    clock.move(LEASE_SECONDS + 1)
    with pytest.raises(LostLeaseError):
        lease.renew()
    assert try_acquire(store) is not None


def test_a_former_holder_can_neither_renew_nor_release_the_lease(
    store: MemoryStore, clock: ManualClock
) -> None:
    expired = acquire_lease(store)
    clock.move(LEASE_SECONDS + 1)
    other = acquire_lease(store)
    with pytest.raises(LostLeaseError):
        expired.renew()
    expired.release()
    assert try_acquire(store) is None
    other.renew()


def test_a_released_lease_can_be_acquired_at_once(store: MemoryStore) -> None:
    lease = acquire_lease(store)
    lease.renew()
    lease.release()
    assert try_acquire(store) is not None


def test_releasing_twice_does_not_release_the_lease_of_another(store: MemoryStore) -> None:
    lease = acquire_lease(store)
    lease.release()
    acquire_lease(store)
    lease.release()
    assert try_acquire(store) is None


def test_a_commit_that_expects_the_lease_fails_after_its_loss(
    store: MemoryStore, clock: ManualClock
) -> None:
    lease = acquire_lease(store)
    assert store.commit({"a": Write(b"1")}, expect=lease.expectation) is not None
    lease.renew()
    assert store.commit({"a": Write(b"2")}, expect=lease.expectation) is not None
    clock.move(LEASE_SECONDS + 1)
    assert store.commit({"a": Write(b"late")}, expect=lease.expectation) is None
    acquire_lease(store)
    assert store.commit({"a": Write(b"late")}, expect=lease.expectation) is None
    assert store.read(["a"])["a"].value == b"2"


def test_several_threads_can_renew_a_lease(store: MemoryStore) -> None:
    lease = acquire_lease(store)
    errors: list[LostLeaseError] = []
    barrier = threading.Barrier(8)

    def renew() -> None:
        barrier.wait()
        try:
            for _ in range(50):
                lease.renew()
        except LostLeaseError as err:
            errors.append(err)

    threads = [threading.Thread(target=renew) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert try_acquire(store) is None
