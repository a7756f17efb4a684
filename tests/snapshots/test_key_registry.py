"""The key registry in several threads."""

import sys
import threading
from collections.abc import Iterator

import pytest
from clocks import ManualClock
from walking import KEYS

from bridge.snapshots.key_registry import KeyRegistry
from bridge.store.memory import MemoryStore


@pytest.fixture
def frequent_switches() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("frequent_switches")
def test_keys_may_be_recorded_while_others_expire(clock: ManualClock) -> None:
    registry = KeyRegistry(MemoryStore(clock), KEYS, clock)
    errors: list[BaseException] = []

    def record(barrier: threading.Barrier) -> None:
        try:
            barrier.wait()
            registry.record("a key", pinned=True)
        except KeyError as err:
            errors.append(err)

    for _ in range(20):
        for number in range(200):
            registry.record(f"key {number}", pinned=True)
        clock.move(601)
        barrier = threading.Barrier(4)
        threads = [threading.Thread(target=record, args=(barrier,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not errors
