"""Turns: of work on what nobody asked for before, one piece at a time in this process."""

import threading
from contextlib import AbstractContextManager, nullcontext


class Turns:
    """Lets work on what is new wait for other such work, and for nothing else.

    Threads of a process take turns in any case. The more of them work at once, the longer has to
    wait who has an answer ready: so long that a flood of made-up questions would be felt there.
    """

    def __init__(self) -> None:
        # a page is made of a feed, which may be new as well
        self._lock = threading.RLock()

    def wait(self, *, known: bool) -> AbstractContextManager[object]:
        """The turn of a piece of work, at once if it is for something *known*."""
        return nullcontext() if known else self._lock
