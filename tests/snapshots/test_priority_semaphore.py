"""Refreshes of several studios take turns."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from clocks import wait_until
from walking import SkippingClock

from bridge.snapshots.single_flight import Flight, PrioritySemaphore


class Queue:
    """Refreshes that wait for a turn, in threads; their names are noted once it comes."""

    def __init__(self, turns: PrioritySemaphore, clock: SkippingClock) -> None:
        self.served: list[str] = []
        self._turns = turns
        self._clock = clock
        self._threads: list[threading.Thread] = []

    def flight(self) -> Flight:
        return Flight(self._clock, threading.Event())

    def add(self, name: str) -> Flight:
        """A new refresh, after it has joined the queue."""
        flight = self.flight()

        def run() -> None:
            with self._turns.acquire(flight):
                self.served.append(name)

        before = self._turns.queued
        thread = threading.Thread(target=run)
        self._threads.append(thread)
        thread.start()
        wait_until(lambda: self._turns.queued == before + 1)
        return flight

    @contextmanager
    def while_busy(self) -> Iterator[None]:
        """All turns are taken during the block; afterwards the queue has been served."""
        with self._turns.acquire(self.flight()):
            yield
        for thread in self._threads:
            thread.join()


@pytest.fixture
def queue(clock: SkippingClock) -> Queue:
    return Queue(PrioritySemaphore(1), clock)


def test_refreshes_get_their_turns_in_the_order_in_which_they_came(queue: Queue) -> None:
    with queue.while_busy():
        for name in ("a", "b", "c"):
            queue.add(name)
    assert queue.served == ["a", "b", "c"]


def test_a_refresh_that_a_request_waits_for_comes_first(queue: Queue) -> None:
    with queue.while_busy():
        queue.add("a")
        awaited = [queue.add("b"), queue.add("c")]
        for flight in reversed(awaited):
            flight.wait(0)
        assert queue.served == []
    assert queue.served == ["b", "c", "a"]


def test_a_turn_that_ends_with_an_error_is_free_again(clock: SkippingClock) -> None:
    turns = PrioritySemaphore(1)
    flight = Flight(clock, threading.Event())
    for _ in range(2):
        with pytest.raises(ValueError, match="broken"), turns.acquire(flight):
            raise ValueError("broken")


def test_one_studio_takes_no_more_than_its_share_of_all_turns(clock: SkippingClock) -> None:
    shared = PrioritySemaphore(2)
    hanging, other = PrioritySemaphore(1, shared), PrioritySemaphore(1, shared)
    queue = Queue(hanging, clock)
    with hanging.acquire(queue.flight()):
        queue.add("second of the same studio")
        with other.acquire(queue.flight()):
            assert queue.served == []
