"""Flights: one refresh per key in this process, however many wait for it."""

import queue
import threading
from collections.abc import Callable

import structlog

from bridge.clock import Clock
from bridge.snapshots.backoff import Failure

log = structlog.get_logger()

_AT_A_TIME = {False: 16, True: 4}
_PARTING = 1.0


class Flight:
    """A refresh under way.

    Attributes:
        failure: why it failed, once it has.
        closing: set when the process is about to end.
    """

    def __init__(self, clock: Clock, closing: threading.Event) -> None:
        self.failure: Failure | None = None
        self.closing = closing
        self._clock = clock
        self._done = threading.Event()

    def wait(self, seconds: float) -> bool:
        """Wait for it to end, for at most *seconds*; whether it has."""
        return self._clock.wait(self._done, seconds)

    def finish(self) -> None:
        """Let go of all who wait."""
        self._done.set()


Work = Callable[[Flight], None]


class SingleFlight:
    """Runs flights in threads of its own: a request that began one may go, the flight stays.

    The threads are daemons: a process that is told to end does not wait for upstream.

    Attributes:
        landed: how many have ended.
    """

    def __init__(self, clock: Clock) -> None:
        self.finished = 0
        self._clock = clock
        self._lock = threading.Lock()
        self._under_way: dict[str, Flight] = {}
        self._closing = threading.Event()
        self._crews = {patient: _ThreadPool(hands) for patient, hands in _AT_A_TIME.items()}

    def join(self, key: str, work: Work, *, patient: bool = False) -> Flight:
        """The flight of *key* that is under way, or a new one that does *work*.

        Args:
            patient: it may have to wait long for its turn, and must not hold up the others.
        """
        with self._lock:
            flight = self._under_way.get(key)
            if flight is None:
                flight = Flight(self._clock, self._closing)
                self._under_way[key] = flight
                self._crews[patient].take_on((key, flight, work), self._run)
            return flight

    def stop(self) -> None:
        """Start no more, and tell those under way to end."""
        self._closing.set()

    def close(self) -> None:
        """See those under way end, for a moment: their leases are given back."""
        self.stop()
        with self._lock:
            under_way = list(self._under_way.values())
        until = self._clock.monotonic() + _PARTING
        for flight in under_way:
            flight.wait(max(0.0, until - self._clock.monotonic()))

    def _run(self, key: str, flight: Flight, work: Work) -> None:
        try:
            if not self._closing.is_set():
                work(flight)
        except Exception:
            # Nobody looks at the result of a flight but through what it published.
            log.exception("refresh broke off", key=key)
        finally:
            with self._lock:
                del self._under_way[key]
                self.finished += 1
            flight.finish()


_Job = tuple[str, Flight, Work]


class _ThreadPool:
    """Threads that share a queue; as many as there is work for, up to a limit."""

    def __init__(self, hands: int) -> None:
        self._free = hands
        self._waiting: queue.SimpleQueue[_Job] = queue.SimpleQueue()

    def take_on(self, job: _Job, run: Callable[[str, Flight, Work], None]) -> None:
        """Do *job* by *run*, as soon as there is a hand for it."""
        self._waiting.put(job)
        if self._free:
            self._free -= 1
            threading.Thread(target=self._work, args=(run,), name="flight", daemon=True).start()

    def _work(self, run: Callable[[str, Flight, Work], None]) -> None:
        while True:
            run(*self._waiting.get())
