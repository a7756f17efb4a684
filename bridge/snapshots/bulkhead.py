"""A bulkhead: at most some of the server's threads wait for upstream, the rest go on answering."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

THREADS = 64
"""Threads of a worker that run the Flask application. Waiting costs a thread and little else."""

WAITING = THREADS // 2


class Bulkhead:
    """Limits how many threads wait at a time; nobody queues for a place.

    Args:
        limit: places.
    """

    def __init__(self, limit: int = WAITING) -> None:
        self._places = threading.BoundedSemaphore(limit)

    @contextmanager
    def place(self) -> Iterator[bool]:
        """A place for as long as the block takes; yields whether there was one."""
        entered = self._places.acquire(blocking=False)
        try:
            yield entered
        finally:
            if entered:
                self._places.release()
