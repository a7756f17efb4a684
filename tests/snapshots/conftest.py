"""One worker with an upstream of three sessions; modules override what they need otherwise."""

import pytest
from clocks import ManualClock
from walking import NOW, FakeWalker, SkippingClock, Worker, sessions

from bridge.store.memory import MemoryStore


@pytest.fixture
def clock() -> SkippingClock:
    return SkippingClock(NOW)


@pytest.fixture
def store(clock: ManualClock) -> MemoryStore:
    return MemoryStore(clock)


@pytest.fixture
def walker(clock: ManualClock) -> FakeWalker:
    return FakeWalker(clock, sessions(3))


@pytest.fixture
def worker(clock: ManualClock, store: MemoryStore, walker: FakeWalker) -> Worker:
    return Worker(clock, store, walker)
