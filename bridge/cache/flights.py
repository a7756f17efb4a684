"""Flights: one refresh per key in this process, however many wait for it."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from bridge.cache.failures import Failure
from bridge.clock import Clock

log = logging.getLogger(__name__)

_AT_A_TIME = 16


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

    def land(self) -> None:
        """Let go of all who wait."""
        self._done.set()


class Flights:
    """Runs flights in threads of its own: a request that began one may go, the flight stays."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._under_way: dict[str, Flight] = {}
        self._closing = threading.Event()
        self._pool = ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="flight")

    def join(self, key: str, work: Callable[[Flight], None]) -> Flight:
        """The flight of *key* that is under way, or a new one that does *work*."""
        with self._lock:
            flight = self._under_way.get(key)
            if flight is None:
                flight = Flight(self._clock, self._closing)
                self._under_way[key] = flight
                self._pool.submit(self._fly, key, flight, work)
            return flight

    def close(self) -> None:
        """Start no more, and tell those under way to end."""
        self._closing.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _fly(self, key: str, flight: Flight, work: Callable[[Flight], None]) -> None:
        try:
            work(flight)
        except Exception:
            # Nobody looks at the result of a flight but through what it published.
            log.exception("refresh broke off", extra={"key": key})
        finally:
            with self._lock:
                del self._under_way[key]
            flight.land()
