"""How long a piece of work takes, whatever else the machine has to do."""

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

AT_ONCE = 0.050
"""Seconds that an answer to the longest input may take."""

_LOOKS = 5


def timed(work: Callable[[], Found], limit: float = AT_ONCE) -> tuple[float, Found]:
    """Seconds of this thread's own time that *work* takes, and what it returned.

    Where it takes longer than *limit* it is done again, up to five times in all, and the shortest
    counts: a processor that others share does less in a second, and whoever's turn it is to
    collect garbage pays for what others left.
    """
    spent, found = _once(work)
    for _ in range(_LOOKS - 1):
        if spent < limit:
            break
        again, found = _once(work)
        spent = min(spent, again)
    return spent, found


def at_once(work: Callable[[], Found]) -> Found:
    """What *work* returns, in less than 50 ms."""
    spent, found = timed(work)
    assert spent < AT_ONCE
    return found


def _once(work: Callable[[], Found]) -> tuple[float, Found]:
    began = time.thread_time()
    found = work()
    return time.thread_time() - began, found
