"""Calls a function for each of several numbers in threads, and stops at the first error."""

import threading
from collections.abc import Callable, Generator, Sequence
from queue import SimpleQueue
from typing import TypeVar

from bridge.background import start_daemon

T = TypeVar("T")


def run_each(
    work: Callable[[int, threading.Event], T], numbers: Sequence[int], *, max_workers: int
) -> Generator[tuple[int, T], None, None]:
    """Each of *numbers* with the result of *work*, in the order in which they become ready.

    While the caller uses one result, the threads work on the next ones; at most *max_workers*
    results wait for the caller. Afterwards, and when the iterator is closed, no thread is running.

    The threads are daemons, unlike those of the standard library's pools: a process that shuts
    down must not wait for upstream.

    Args:
        work: called with a number and with an event that is set when the rest is cancelled.

    Raises:
        Exception: the first error of *work*.
        RuntimeError: a thread cannot be started.
    """
    remaining = iter(numbers)
    lock = threading.Lock()
    cancelled = threading.Event()
    results: SimpleQueue[tuple[int, T] | BaseException] = SimpleQueue()
    places = threading.Semaphore(2 * max_workers)

    def run() -> None:
        try:
            while places.acquire() and not cancelled.is_set():
                with lock:
                    number = next(remaining, None)
                if number is None:
                    return
                results.put((number, work(number, cancelled)))
        except BaseException as err:  # noqa: BLE001 - raised again in the calling thread
            cancelled.set()
            results.put(err)

    threads: list[threading.Thread] = []
    try:
        for _ in range(min(max_workers, len(numbers))):
            # If one cannot be started, those before it have to be joined.
            threads.append(start_daemon(run, "page"))  # noqa: PERF401
        for _ in numbers:
            result = results.get()
            if isinstance(result, BaseException):
                raise result
            yield result
            places.release()
    finally:
        cancelled.set()
        places.release(max_workers)
        for thread in threads:
            thread.join()
