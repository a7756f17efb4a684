"""A bulkhead: limits how many of a worker's threads may wait for upstream at the same time.

The other threads stay free for requests that can be answered at once.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

THREADS = 64
"""Threads of a worker that run the Flask application. A waiting thread uses little memory."""

WAITING = THREADS // 2


class Bulkhead:
    """A limit on waiting threads, without a queue.

    Args:
        limit: number of threads that may wait.
        parent: a limit for several bulkheads together.
    """

    def __init__(self, limit: int = WAITING, parent: "Bulkhead | None" = None) -> None:
        own = threading.BoundedSemaphore(limit)
        self._limits: tuple[threading.BoundedSemaphore, ...] = (own,)
        if parent is not None:
            self._limits += parent._limits

    @contextmanager
    def place(self) -> Iterator[bool]:
        """Occupy a place for the duration of the block; yields False if all are taken."""
        acquired: list[threading.BoundedSemaphore] = []
        try:
            for limit in self._limits:
                if not limit.acquire(blocking=False):
                    break
                acquired.append(limit)
            yield len(acquired) == len(self._limits)
        finally:
            for limit in acquired:
                limit.release()
