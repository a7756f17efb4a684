"""Calls a function for each of several numbers in threads, and stops at the first error."""

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from bridge.background import start_daemon

T = TypeVar("T")


def run_each(
    work: Callable[[int, threading.Event], T], numbers: Sequence[int], *, max_workers: int
) -> dict[int, T]:
    """The results of *work* for each of *numbers*, by number. Afterwards no thread is running.

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
    results: dict[int, T] = {}
    errors: list[BaseException] = []

    def run() -> None:
        try:
            while not cancelled.is_set():
                with lock:
                    number = next(remaining, None)
                if number is None:
                    return
                results[number] = work(number, cancelled)
        except BaseException as err:  # noqa: BLE001 - raised again in the calling thread
            errors.append(err)
            cancelled.set()

    threads: list[threading.Thread] = []
    try:
        for _ in range(min(max_workers, len(numbers))):
            # If one cannot be started, those before it have to be joined.
            threads.append(start_daemon(run, "page"))  # noqa: PERF401
    except BaseException:
        cancelled.set()
        raise
    finally:
        for thread in threads:
            thread.join()
    if errors:
        raise errors[0]
    return results
