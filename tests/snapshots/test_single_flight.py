"""Single flight: what happens when the system has no thread for a refresh."""

import threading
from collections.abc import Callable

import pytest
from walking import TIMEOUT, SkippingClock

from bridge.snapshots import single_flight
from bridge.snapshots.single_flight import SingleFlight


class LimitedThreads:
    """Starts threads while there are some left."""

    def __init__(self, start: Callable[..., threading.Thread]) -> None:
        self._start = start
        self.left = 0

    def start_daemon(self, target: Callable[[], object], name: str) -> threading.Thread:
        if not self.left:
            raise RuntimeError("can't start new thread")
        self.left -= 1
        return self._start(target, name)


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> LimitedThreads:
    limited = LimitedThreads(single_flight.start_daemon)
    monkeypatch.setattr(single_flight, "start_daemon", limited.start_daemon)
    return limited


def test_refreshes_run_again_once_threads_can_be_started(
    clock: SkippingClock, threads: LimitedThreads
) -> None:
    flights = SingleFlight(clock)
    for _ in range(40):
        assert flights.join("key", lambda flight: None) is None
    threads.left = 1
    flight = flights.join("key", lambda flight: None)
    assert flight is not None
    assert flight.wait(TIMEOUT)


def test_one_thread_runs_all_refreshes_if_there_are_no_others(
    clock: SkippingClock, threads: LimitedThreads
) -> None:
    threads.left = 1
    flights = SingleFlight(clock)
    running = [flights.join(f"key {number}", lambda flight: None) for number in range(20)]
    assert all(flight is not None and flight.wait(TIMEOUT) for flight in running)
