"""The fallback store: no operation raises, failures cause a cool-down, recovery is automatic."""

import threading
from collections.abc import Iterator, Mapping

import pytest
from clocks import ManualClock
from faulty_store import DOWN, FULL, FaultyStore

from bridge.errors import StoreError
from bridge.instrumentation import Instrumentation
from bridge.store.fallback import COOL_DOWN_SECONDS, FallbackStore
from bridge.store.interface import BACKGROUND_TIMEOUT, REQUEST_TIMEOUT, TIMEOUT, Write
from bridge.store.keys import Keys
from bridge.store.leases import LostLeaseError, acquire
from bridge.store.memory import MemoryStore

KEYS = Keys("an-account")


@pytest.fixture
def primary(clock: ManualClock) -> FaultyStore:
    return FaultyStore(clock)


@pytest.fixture
def store(primary: FaultyStore, clock: ManualClock) -> FallbackStore:
    return FallbackStore(primary, clock)


def _value(store: FallbackStore, key: str) -> bytes | None:
    entry = store.read([key]).get(key)
    return entry.value if entry else None


def test_while_the_primary_works_everything_is_stored_in_it(
    store: FallbackStore, primary: FaultyStore
) -> None:
    version = store.commit({"a": Write(b"1")})
    assert primary.versions(["a"]) == {"a": version}
    assert store.names("") == ["a"]
    assert not store.failing
    assert store.error_count == 0


@pytest.mark.parametrize("fault", [DOWN, FULL], ids=["down", "full"])
def test_while_the_primary_fails_no_operation_raises_and_writes_can_be_read(
    fault: StoreError, store: FallbackStore, primary: FaultyStore
) -> None:
    store.commit({"before": Write(b"0")})
    primary.fault = fault
    version = store.commit({"a": Write(b"1")})
    assert version
    assert store.versions(["a"]) == {"a": version}
    assert _value(store, "a") == b"1"
    assert "a" in store.names("")
    assert store.failing


def test_a_primary_that_is_down_is_skipped_during_the_cool_down(
    store: FallbackStore, primary: FaultyStore, clock: ManualClock
) -> None:
    primary.fault = DOWN
    store.read(["a"])
    count = primary.operations
    for _ in range(50):
        store.read(["a"])
        store.versions(["a"])
        store.names("")
        store.commit({"a": Write(b"1")})
    assert primary.operations == count
    assert store.error_count == 1
    clock.move(COOL_DOWN_SECONDS)
    store.read(["b"])
    assert primary.operations == count + 1


def test_a_primary_that_rejects_writes_is_still_read(
    store: FallbackStore, primary: FaultyStore, clock: ManualClock
) -> None:
    store.commit({"old": Write(b"0"), "kept": Write(b"0")})
    primary.fault = FULL
    store.commit({"old": Write(b"1")})
    assert (_value(store, "old"), _value(store, "kept")) == (b"1", b"0")
    assert sorted(store.names("")) == ["kept", "old"]
    count = primary.operations
    store.commit({"new": Write(b"1")})
    assert primary.operations == count, "no write is attempted during the cool-down"


def test_after_recovery_the_primary_is_used_and_the_memory_discarded(
    store: FallbackStore, primary: FaultyStore, clock: ManualClock
) -> None:
    primary.fault = DOWN
    store.commit({"a": Write(b"in memory"), "own": Write(b"")})
    primary.fault = None
    primary.commit({"a": Write(b"in the primary")})
    assert _value(store, "a") == b"in memory"
    clock.move(COOL_DOWN_SECONDS)
    assert store.commit({"b": Write(b"2")}) == primary.versions(["b"])["b"]
    assert not store.failing
    assert _value(store, "a") == b"in the primary"
    assert _value(store, "own") is None


def test_a_successful_read_does_not_discard_the_memory(
    store: FallbackStore, primary: FaultyStore, clock: ManualClock
) -> None:
    """The primary may still be full: only a successful write proves recovery."""
    primary.fault = FULL
    store.commit({"a": Write(b"1")})
    clock.move(COOL_DOWN_SECONDS)
    assert _value(store, "a") == b"1"
    assert store.failing


def test_expectations_are_checked_in_memory(store: FallbackStore, primary: FaultyStore) -> None:
    primary.fault = DOWN
    assert acquire(store, KEYS, "walk") is not None
    assert acquire(store, KEYS, "walk") is None, "leases work within a worker"
    version = store.commit({"a": Write(b"1")}, expect={"a": None})
    assert store.commit({"a": Write(b"2")}, expect={"a": "another"}) is None
    assert store.commit({"a": Write(b"2")}, expect={"a": version}) is not None


def test_a_lease_of_the_primary_stays_valid_while_the_primary_fails(
    store: FallbackStore, primary: FaultyStore
) -> None:
    lease = acquire(store, KEYS, "walk")
    assert lease is not None
    primary.fault = DOWN
    lease.renew()
    assert store.commit({"snapshot": Write(b"1")}, expect=lease.expectation)
    lease.release()
    assert acquire(store, KEYS, "walk") is not None


def test_a_lease_in_memory_is_lost_when_the_primary_recovers(
    store: FallbackStore, primary: FaultyStore, clock: ManualClock
) -> None:
    """Another process may have acquired the lease in the primary."""
    primary.fault = DOWN
    lease = acquire(store, KEYS, "walk")
    assert lease is not None
    primary.fault = None
    clock.move(COOL_DOWN_SECONDS)
    other = acquire(primary, KEYS, "walk")
    assert other is not None
    with pytest.raises(LostLeaseError):
        lease.renew()
    assert store.commit({"snapshot": Write(b"late")}, expect=lease.expectation) is None
    lease.release()
    other.renew()


def test_a_deletion_is_effective_while_the_primary_is_read_only(
    store: FallbackStore, primary: FaultyStore
) -> None:
    """Otherwise a cleared failure would stay, and a lease would never be released."""
    version = store.commit({"failure": Write(b"1"), "kept": Write(b"")})
    primary.fault = FULL
    assert store.commit({"failure": Write(None)}) is not None
    assert store.versions(["failure", "kept"]) == {"kept": version}
    assert store.names("") == ["kept"]
    assert store.commit({"failure": Write(b"2")}, expect={"failure": None}) is not None
    assert _value(store, "failure") == b"2"


def test_the_time_is_that_of_the_primary(
    store: FallbackStore, primary: FaultyStore, clock: ManualClock
) -> None:
    primary.fault = DOWN
    assert store.now() == clock.now()


def test_closing_closes_the_primary(store: FallbackStore, primary: FaultyStore) -> None:
    store.close()
    assert primary.closed


@pytest.fixture
def request_timeout() -> Iterator[None]:
    TIMEOUT.set(REQUEST_TIMEOUT)
    yield
    TIMEOUT.set(BACKGROUND_TIMEOUT)


@pytest.mark.usefixtures("request_timeout")
def test_a_store_too_slow_for_requests_is_still_used_by_background_work(
    store: FallbackStore, primary: FaultyStore
) -> None:
    primary.fault = DOWN
    store.commit({"a": Write(b"in a request")})
    primary.fault = None
    store.commit({"b": Write(b"in the same request")})
    assert primary.operations == 1
    TIMEOUT.set(BACKGROUND_TIMEOUT)
    version = store.commit({"c": Write(b"in a walk")}, expect={"c": None})
    assert primary.versions(["a", "b", "c"]) == {"c": version}


@pytest.mark.usefixtures("request_timeout")
def test_a_store_too_slow_for_background_work_is_not_used_by_requests_either(
    store: FallbackStore, primary: FaultyStore
) -> None:
    primary.fault = DOWN
    TIMEOUT.set(BACKGROUND_TIMEOUT)
    store.read(["a"])
    TIMEOUT.set(REQUEST_TIMEOUT)
    store.read(["a"])
    assert primary.operations == 1


class CountingRecoveries(Instrumentation):
    recoveries = 0

    def store_recovered(self) -> None:
        self.recoveries += 1


class SlowStore(FaultyStore):
    """Is too slow for requests, and works for all else."""

    def commit(
        self, writes: Mapping[str, Write], *, expect: Mapping[str, str | None] | None = None
    ) -> str | None:
        if TIMEOUT.get() == REQUEST_TIMEOUT and self.fault is not None:
            raise self.fault
        return MemoryStore.commit(self, writes, expect=expect)


@pytest.mark.usefixtures("request_timeout")
def test_a_store_too_slow_for_requests_has_not_recovered_when_background_work_uses_it(
    clock: ManualClock,
) -> None:
    primary, counter = SlowStore(clock), CountingRecoveries()
    store = FallbackStore(primary, clock, counter)
    primary.fault = FULL
    for _ in range(5):
        TIMEOUT.set(REQUEST_TIMEOUT)
        store.commit({"a": Write(b"in a request")})
        assert store.failing
        TIMEOUT.set(BACKGROUND_TIMEOUT)
        assert store.commit({"b": Write(b"in a walk")}) == primary.versions(["b"])["b"]
        assert not store.failing, "alerts and deliveries go on"
        clock.move(COOL_DOWN_SECONDS / 5)
    assert counter.recoveries == 0
    primary.fault = None
    clock.move(COOL_DOWN_SECONDS)
    store.commit({"b": Write(b"in a walk")})
    assert counter.recoveries == 1
    TIMEOUT.set(REQUEST_TIMEOUT)
    assert not store.failing
    store.commit({"a": Write(b"in a request")})
    assert counter.recoveries == 1


def test_a_store_that_failed_only_to_be_read_recovers_with_the_next_write(
    clock: ManualClock, primary: FaultyStore
) -> None:
    counter = CountingRecoveries()
    store = FallbackStore(primary, clock, counter)
    primary.fault = DOWN
    store.read(["a"])
    assert store.failing
    primary.fault = None
    clock.move(COOL_DOWN_SECONDS)
    store.commit({"a": Write(b"1")})
    assert not store.failing
    assert counter.recoveries == 1


@pytest.mark.usefixtures("request_timeout")
def test_threads_that_a_request_starts_have_the_background_timeout() -> None:
    timeouts: list[float] = []
    thread = threading.Thread(target=lambda: timeouts.append(TIMEOUT.get()))
    thread.start()
    thread.join()
    assert timeouts == [BACKGROUND_TIMEOUT]
