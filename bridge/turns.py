"""Turns: how threads of a process share its time, so that who has an answer ready gets it soon."""

import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

_SHORT = 0.0005


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


class _Lengths:
    """How long a thread at work goes on before others have a turn, in seconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at_work = 0
        self._usual = 0.0

    @contextmanager
    def short(self) -> Iterator[None]:
        with self._lock:
            self._at_work += 1
            if self._at_work == 1:
                self._usual = sys.getswitchinterval()
                sys.setswitchinterval(min(self._usual, _SHORT))
        try:
            yield
        finally:
            with self._lock:
                self._at_work -= 1
                if not self._at_work:
                    sys.setswitchinterval(self._usual)


# What it is about is the interpreter's, and there is one of that.
_LENGTHS = _Lengths()


def short_turns() -> AbstractContextManager[None]:
    """Let others have a turn often, for as long as the block takes.

    It is for work that takes milliseconds, and whoever has an answer ready is held up by no more.
    At other times turns are long: every thread that waits for its turn wakes up that often to ask
    for it, and where many give answers that are ready, asking would take longer than answering.
    """
    return _LENGTHS.short()
