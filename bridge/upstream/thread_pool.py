"""A thread pool that maps a function over numbers and stops at the first error."""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Generic, Self, TypeVar

from bridge.background import daemon_thread

T = TypeVar("T")


class ThreadPool(Generic[T]):
    """Calls *work* for each of *numbers* in at most *max_workers* threads::

        with ThreadPool(work, range(2, 10), max_workers=4) as pool:
            for number, result in pool:
                ...

    Results are yielded in the order in which they become available. Leaving the ``with`` block
    cancels the remaining work; afterwards no thread is running.

    The threads are daemons, unlike those of the standard library's pools: a process that shuts
    down must not wait for upstream.

    Args:
        work: called with a number and with an event that is set when the rest is cancelled.
    """

    def __init__(
        self, work: Callable[[int, threading.Event], T], numbers: Sequence[int], *, max_workers: int
    ) -> None:
        self._work = work
        self._numbers = iter(numbers)
        self._lock = threading.Lock()
        self._cancelled = threading.Event()
        self._errors: list[BaseException] = []
        # Results that nobody has taken yet must not pile up.
        self._room = threading.Semaphore(2 * max_workers)
        # None: a thread has ended.
        self._results: queue.SimpleQueue[tuple[int, T] | None] = queue.SimpleQueue()
        self._threads = [
            daemon_thread(self._run, "page") for _ in range(min(max_workers, len(numbers)))
        ]

    def __enter__(self) -> Self:
        try:
            for thread in self._threads:
                thread.start()
        except BaseException:  # no more threads are available; __exit__ would not be called
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def __iter__(self) -> Iterator[tuple[int, T]]:
        """Yield each number with the result of its call.

        Raises:
            Exception: the first error of *work*, after all threads have ended.
        """
        for _ in self._threads:
            while (result := self._results.get()) is not None:
                if not self._errors:
                    yield result
                self._room.release()
        if self._errors:
            raise self._errors[0]

    def _stop(self) -> None:
        self._cancelled.set()
        self._room.release(len(self._threads) or 1)
        for thread in self._threads:
            if thread.ident is not None:  # it was started
                thread.join()

    def _run(self) -> None:
        try:
            while True:
                self._room.acquire()
                with self._lock:
                    number = next(self._numbers, None)
                if number is None or self._cancelled.is_set():
                    return
                self._results.put((number, self._work(number, self._cancelled)))
        except BaseException as err:  # noqa: BLE001 - raised again in the thread that iterates
            with self._lock:
                self._errors.append(err)
            self._cancelled.set()
            self._room.release(len(self._threads))
        finally:
            self._results.put(None)
