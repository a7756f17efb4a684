"""Single flight: concurrent requests for the same key share one refresh in this process."""

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

import structlog

from bridge.background import start_daemon
from bridge.clock import Clock
from bridge.instrumentation import NO_INSTRUMENTATION, Instrumentation
from bridge.snapshots.backoff import Failure

log = structlog.get_logger()

_THREADS, _LOW_PRIORITY_THREADS = 16, 4
_CLOSE_TIMEOUT = 1.0


class Flight:
    """A running refresh.

    Attributes:
        failure: why the refresh failed, if it did.
        awaited: whether a request has waited for it.
        closing: set when the process is about to exit.
    """

    def __init__(self, clock: Clock, closing: threading.Event) -> None:
        self.failure: Failure | None = None
        self.awaited = False
        self.closing = closing
        self._clock = clock
        self._done = threading.Event()

    def wait(self, seconds: float) -> bool:
        """Wait until the refresh ends, for at most *seconds*; whether it has ended."""
        self.awaited = True
        return self._clock.wait(self._done, seconds)

    def finish(self) -> None:
        """Wake all waiting threads."""
        self._done.set()


Work = Callable[[Flight], None]
RefreshSlot = Callable[[Flight], AbstractContextManager[object]]


class PrioritySemaphore:
    """A limit on refreshes that run at the same time, with a queue.

    Refreshes that requests wait for come first.

    Args:
        limit: number of refreshes that may run.
        parent: a limit for the refreshes of several studios together.
    """

    def __init__(self, limit: int, parent: "PrioritySemaphore | None" = None) -> None:
        self._free = limit
        self._parent = parent
        self._lock = threading.Lock()
        self._queue: list[tuple[Flight, threading.Event]] = []

    @property
    def queued(self) -> int:
        """The number of refreshes in the queue."""
        return len(self._queue)

    @contextmanager
    def acquire(self, flight: Flight) -> Iterator[None]:
        """Wait until *flight* may run, and count it as running for the duration of the block."""
        self._acquire(flight)
        try:
            with self._parent.acquire(flight) if self._parent else nullcontext():
                yield
        finally:
            self._release()

    def _acquire(self, flight: Flight) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            free = threading.Event()
            self._queue.append((flight, free))
        free.wait()

    def _release(self) -> None:
        with self._lock:
            if not self._queue:
                self._free += 1
                return
            # The earliest refresh that a request waits for. If there is none: the earliest of all.
            place = max(range(len(self._queue)), key=lambda index: self._queue[index][0].awaited)
            _, free = self._queue.pop(place)
        free.set()


class SingleFlight:
    """Runs refreshes in threads of its own, so that they outlive the requests that started them.

    Args:
        slot: a context manager for the duration of each refresh, which may wait at its beginning.

    Attributes:
        finished: the number of refreshes that have ended.
    """

    def __init__(
        self,
        clock: Clock,
        instrumentation: Instrumentation = NO_INSTRUMENTATION,
        slot: RefreshSlot = nullcontext,
    ) -> None:
        self.finished = 0
        self._slot = slot
        self._instrumentation = instrumentation
        self._clock = clock
        self._lock = threading.Lock()
        self._flights: dict[str, Flight] = {}
        self._closing = threading.Event()
        self._threads = _DaemonPool(_THREADS)
        self._low_priority_threads = _DaemonPool(_LOW_PRIORITY_THREADS)

    def join(self, key: str, work: Work, *, low_priority: bool = False) -> Flight | None:
        """The running refresh of *key*, or a new one that calls *work*.

        None if there is no thread for it, because the system's limit on threads is reached.

        Args:
            low_priority: run it in the smaller pool, because it may wait long for the request
                budget and must not delay other refreshes.
        """
        with self._lock:
            flight = self._flights.get(key)
            if flight is None:
                flight = Flight(self._clock, self._closing)
                threads = self._low_priority_threads if low_priority else self._threads
                try:
                    threads.submit(partial(self._run, key, flight, work))
                except RuntimeError:
                    # Requests are answered without it, and later ones try again.
                    self._instrumentation.background_failed("refresh")
                    log.exception("no thread for a refresh", key=key)
                    return None
                self._flights[key] = flight
            return flight

    def stop(self) -> None:
        """Start no more refreshes, and ask the running ones to end."""
        self._closing.set()

    def close(self) -> None:
        """Stop, and wait briefly for the running refreshes, so that they release their leases."""
        self.stop()
        with self._lock:
            flights = list(self._flights.values())
        deadline = self._clock.monotonic() + _CLOSE_TIMEOUT
        for flight in flights:
            flight.wait(max(0.0, deadline - self._clock.monotonic()))

    def _run(self, key: str, flight: Flight, work: Work) -> None:
        try:
            with self._slot(flight):
                if not self._closing.is_set():
                    work(flight)
        except Exception:
            # No caller can handle the error: waiting requests only check what was published.
            self._instrumentation.background_failed("refresh")
            log.exception("refresh failed unexpectedly", key=key)
        finally:
            with self._lock:
                del self._flights[key]
                self.finished += 1
            flight.finish()


class _DaemonPool:
    """A thread pool whose threads do not keep the process from exiting.

    The threads of the standard library's ``ThreadPoolExecutor`` do: the interpreter joins them at
    exit, and would wait for upstream.
    """

    def __init__(self, max_workers: int) -> None:
        self._max_workers = self._unstarted = max_workers
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()

    def submit(self, job: Callable[[], None]) -> None:
        """Run *job* when a thread is free. The caller must prevent concurrent calls.

        Raises:
            RuntimeError: there is no thread, and none can be started.
        """
        if self._unstarted:
            try:
                start_daemon(self._work, "refresh")
                self._unstarted -= 1
            except RuntimeError:
                if self._unstarted == self._max_workers:
                    raise
        self._jobs.put(job)

    def _work(self) -> None:
        while True:
            self._jobs.get()()
