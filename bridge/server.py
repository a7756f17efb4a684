"""The server's process: granian, whose workers can be told to end at any time."""

import ctypes
import logging
import os
import signal
import sys

from granian.cli import entrypoint

from bridge import ending

_PR_SET_PDEATHSIG = 1
"""Linux, prctl(2)."""


def _heed_signals() -> None:
    """Let a worker that does not serve yet end at once.

    Until it has handlers of its own it has those of the process that it was forked from, which
    would take its signal for theirs, and it would be killed long after.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    ending.listen()
    if sys.platform == "linux":
        # A process that is killed can tell its workers nothing, and they would go on for good: the
        # next server would share its port with them.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _concerns_operators(record: logging.LogRecord) -> bool:
    """Whether *record* is for whoever runs the bridge: its threads are not theirs to review."""
    return "Python threads" not in str(record.msg)


if __name__ == "__main__":
    logging.getLogger("_granian").addFilter(_concerns_operators)
    ending.listen()
    os.register_at_fork(after_in_child=_heed_signals)
    entrypoint()  # type: ignore[no-untyped-call]
elif __name__ == "__mp_main__":
    # A worker that is no fork, as on macOS, and on Linux from Python 3.14: it has inherited that
    # those signals are blocked, and nobody who waits for them.
    _heed_signals()
