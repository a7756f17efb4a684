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
    """

    def __init__(self, limit: int = WAITING) -> None:
        self._places = threading.BoundedSemaphore(limit)

    @contextmanager
    def place(self) -> Iterator[bool]:
        """Occupy a place for the duration of the block; yields False if all are taken."""
        acquired = self._places.acquire(blocking=False)
        try:
            yield acquired
        finally:
            if acquired:
                self._places.release()
