"""The key registry in several threads, and with keys of other versions of the program."""

import json
import sys
import threading
from collections.abc import Iterator

import pytest
from clocks import ManualClock
from structlog.testing import capture_logs
from walking import KEYS, key

from bridge.filters import FilterSet
from bridge.snapshots.key_registry import KeyRegistry
from bridge.store.interface import Write
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
            registry.record(key(FilterSet(past=0)), pinned=True)
        except KeyError as err:
            errors.append(err)

    for _ in range(20):
        for number in range(200):
            registry.record(key(FilterSet(past=number)), pinned=True)
        clock.move(601)
        barrier = threading.Barrier(4)
        threads = [threading.Thread(target=record, args=(barrier,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not errors


def test_a_key_of_another_version_is_skipped_without_a_line_in_the_log(clock: ManualClock) -> None:
    store = MemoryStore(clock)
    registry = KeyRegistry(store, KEYS, clock)
    registry.record(key(FilterSet(past=7)))
    [bucket] = store.names(KEYS.registry(0).removesuffix("0"))
    rows = {text: [None, clock.now(), 1] for text in ("past=7", "a filter of later versions=1")}
    store.commit({bucket: Write(json.dumps(rows).encode())})
    with capture_logs() as lines:
        assert registry.recent() == [key(FilterSet(past=7))]
    assert not lines
