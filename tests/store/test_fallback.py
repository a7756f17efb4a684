"""A store that fails: nothing raises, it is left alone for a while, and comes back by itself."""

import threading
from collections.abc import Iterator, Mapping, Sequence

import pytest
from clocks import ManualClock

from bridge.errors import StoreError
from bridge.store.fallback import COOL_DOWN_SECONDS, FallbackStore
from bridge.store.interface import BACKGROUND_TIMEOUT, REQUEST_TIMEOUT, TIMEOUT, Entry, Write
from bridge.store.keys import Keys
from bridge.store.leases import LostLeaseError, acquire
from bridge.store.memory import MemoryStore

KEYS = Keys("an-account")


class Failing(MemoryStore):
    """A store that others share, and that fails when it is told to.

    Attributes:
        fault: what each operation raises; one that is readable lets reads through.
        tries: operations that were asked for, those that failed too.
    """

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.fault: StoreError | None = None
        self.tries = 0
        self.closed = False

    def read(self, keys: Sequence[str]) -> dict[str, Entry]:
        self._reading()
        return super().read(keys)

    def versions(self, keys: Sequence[str]) -> dict[str, str]:
        self._reading()
        return {key: entry.version for key, entry in super().read(keys).items()}

    def names(self, prefix: str) -> list[str]:
        self._reading()
        return super().names(prefix)

    def commit(
        self, writes: Mapping[str, Write], *, expect: Mapping[str, str | None] | None = None
    ) -> str | None:
        self.tries += 1
        if self.fault is not None:
            raise self.fault
        return super().commit(writes, expect=expect)

    def close(self) -> None:
        self.closed = True

    def _reading(self) -> None:
        self.tries += 1
        if self.fault is not None and not self.fault.readable:
            raise self.fault


DOWN = StoreError("it does not answer", readable=False)
FULL = StoreError("it is full", readable=True)


@pytest.fixture
def primary(clock: ManualClock) -> Failing:
    return Failing(clock)


@pytest.fixture
def store(primary: Failing, clock: ManualClock) -> FallbackStore:
    return FallbackStore(primary, clock)


def _value(store: FallbackStore, key: str) -> bytes | None:
    entry = store.read([key]).get(key)
    return entry.value if entry else None


def test_while_it_works_everything_is_in_the_primary(
    store: FallbackStore, primary: Failing
) -> None:
    version = store.commit({"a": Write(b"1")})
    assert primary.versions(["a"]) == {"a": version}
    assert store.names("") == ["a"]
    assert not store.failing
    assert store.errors == 0


@pytest.mark.parametrize("fault", [DOWN, FULL], ids=["down", "full"])
def test_no_operation_raises_and_what_is_written_is_read(
    fault: StoreError, store: FallbackStore, primary: Failing
) -> None:
    store.commit({"before": Write(b"0")})
    primary.fault = fault
    version = store.commit({"a": Write(b"1")})
    assert version
    assert store.versions(["a"]) == {"a": version}
    assert _value(store, "a") == b"1"
    assert "a" in store.names("")
    assert store.failing


def test_a_primary_that_is_down_is_left_alone_for_a_while(
    store: FallbackStore, primary: Failing, clock: ManualClock
) -> None:
    primary.fault = DOWN
    store.read(["a"])
    tries = primary.tries
    for _ in range(50):
        store.read(["a"])
        store.versions(["a"])
        store.names("")
        store.commit({"a": Write(b"1")})
    assert primary.tries == tries
    assert store.errors == 1
    clock.move(COOL_DOWN_SECONDS)
    store.read(["b"])
    assert primary.tries == tries + 1


def test_a_primary_that_takes_no_writes_is_read_on(
    store: FallbackStore, primary: Failing, clock: ManualClock
) -> None:
    store.commit({"old": Write(b"0"), "kept": Write(b"0")})
    primary.fault = FULL
    store.commit({"old": Write(b"1")})
    assert (_value(store, "old"), _value(store, "kept")) == (b"1", b"0")
    assert sorted(store.names("")) == ["kept", "old"]
    tries = primary.tries
    store.commit({"new": Write(b"1")})
    assert primary.tries == tries, "but no write is tried before the cool-down is over"


def test_a_primary_that_works_again_counts_and_the_memory_is_forgotten(
    store: FallbackStore, primary: Failing, clock: ManualClock
) -> None:
    primary.fault = DOWN
    store.commit({"a": Write(b"of this worker"), "mine": Write(b"")})
    primary.fault = None
    primary.commit({"a": Write(b"of the fleet")})
    assert _value(store, "a") == b"of this worker"
    clock.move(COOL_DOWN_SECONDS)
    assert store.commit({"b": Write(b"2")}) == primary.versions(["b"])["b"]
    assert not store.failing
    assert _value(store, "a") == b"of the fleet"
    assert _value(store, "mine") is None


def test_reading_alone_does_not_make_the_memory_forget(
    store: FallbackStore, primary: Failing, clock: ManualClock
) -> None:
    """It may be full still: only a write that succeeds tells."""
    primary.fault = FULL
    store.commit({"a": Write(b"1")})
    clock.move(COOL_DOWN_SECONDS)
    assert _value(store, "a") == b"1"
    assert store.failing


def test_expectations_hold_among_those_that_share_the_memory(
    store: FallbackStore, primary: Failing
) -> None:
    primary.fault = DOWN
    assert acquire(store, KEYS, "walk") is not None
    assert acquire(store, KEYS, "walk") is None, "a lease is a lease in this worker"
    version = store.commit({"a": Write(b"1")}, expect={"a": None})
    assert store.commit({"a": Write(b"2")}, expect={"a": "another"}) is None
    assert store.commit({"a": Write(b"2")}, expect={"a": version}) is not None


def test_a_lease_of_the_primary_is_good_while_the_primary_is_away(
    store: FallbackStore, primary: Failing
) -> None:
    lease = acquire(store, KEYS, "walk")
    assert lease is not None
    primary.fault = DOWN
    lease.renew()
    assert store.commit({"snapshot": Write(b"1")}, expect=lease.expectation)
    lease.release()
    assert acquire(store, KEYS, "walk") is not None


def test_a_lease_of_the_memory_is_worth_nothing_when_the_primary_is_back(
    store: FallbackStore, primary: Failing, clock: ManualClock
) -> None:
    """Somebody else may have one that the fleet agreed on."""
    primary.fault = DOWN
    lease = acquire(store, KEYS, "walk")
    assert lease is not None
    primary.fault = None
    clock.move(COOL_DOWN_SECONDS)
    others = acquire(primary, KEYS, "walk")
    assert others is not None
    with pytest.raises(LostLeaseError):
        lease.renew()
    assert store.commit({"snapshot": Write(b"late")}, expect=lease.expectation) is None
    lease.release()
    others.renew()


def test_a_delete_is_seen_while_the_primary_can_only_be_read(
    store: FallbackStore, primary: Failing
) -> None:
    """Or a failure that is over would be remembered, and a lease never be free."""
    version = store.commit({"failure": Write(b"1"), "kept": Write(b"")})
    primary.fault = FULL
    assert store.commit({"failure": Write(None)}) is not None
    assert store.versions(["failure", "kept"]) == {"kept": version}
    assert store.names("") == ["kept"]
    assert store.commit({"failure": Write(b"2")}, expect={"failure": None}) is not None
    assert _value(store, "failure") == b"2"


def test_the_time_is_the_primarys(
    store: FallbackStore, primary: Failing, clock: ManualClock
) -> None:
    primary.fault = DOWN
    assert store.now() == clock.now()


def test_closing_closes_the_primary(store: FallbackStore, primary: Failing) -> None:
    store.close()
    assert primary.closed


@pytest.fixture
def in_a_request() -> Iterator[None]:
    TIMEOUT.set(REQUEST_TIMEOUT)
    yield
    TIMEOUT.set(BACKGROUND_TIMEOUT)


@pytest.mark.usefixtures("in_a_request")
def test_a_store_too_slow_for_requests_is_still_used_by_background_work(
    store: FallbackStore, primary: Failing
) -> None:
    primary.fault = DOWN
    store.commit({"a": Write(b"of a request")})
    primary.fault = None
    store.commit({"b": Write(b"the same, a moment later")})
    assert primary.tries == 1
    TIMEOUT.set(BACKGROUND_TIMEOUT)
    version = store.commit({"c": Write(b"of a walk")}, expect={"c": None})
    assert primary.versions(["a", "b", "c"]) == {"c": version}


@pytest.mark.usefixtures("in_a_request")
def test_a_store_too_slow_for_background_work_is_not_used_by_requests_either(
    store: FallbackStore, primary: Failing
) -> None:
    primary.fault = DOWN
    TIMEOUT.set(BACKGROUND_TIMEOUT)
    store.read(["a"])
    TIMEOUT.set(REQUEST_TIMEOUT)
    store.read(["a"])
    assert primary.tries == 1


@pytest.mark.usefixtures("in_a_request")
def test_threads_started_by_a_request_have_the_background_timeout() -> None:
    seen: list[float] = []
    thread = threading.Thread(target=lambda: seen.append(TIMEOUT.get()))
    thread.start()
    thread.join()
    assert seen == [BACKGROUND_TIMEOUT]
