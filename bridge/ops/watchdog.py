"""The watchdog: a worker that hangs ends itself, and the server replaces it.

It re-arms the standard library's timer (``faulthandler.dump_traceback_later``) from the event loop.
The timer runs in a thread of C that needs no interpreter lock, so it notices both kinds of hang: an
event loop that is blocked, and an interpreter that makes no progress at all.
"""

import asyncio
import contextlib
import faulthandler
import multiprocessing
import os
import signal
import stat

HANG_SECONDS = 30.0
"""After so long without progress the tracebacks of all threads are written to standard error, and
the process exits with status 1."""

_REARM_SECONDS = 3.0


async def watch() -> None:
    """Re-arm the timer for as long as the event loop runs; cancel the task to disarm it.

    A worker whose server process is gone, which could not tell it to stop, stops as if it had
    been told: its port would otherwise stay taken.
    """
    server = multiprocessing.parent_process()
    log = _standard_error()
    try:
        while True:
            faulthandler.dump_traceback_later(HANG_SECONDS, exit=True, file=log)
            if server is not None and not server.is_alive():
                os.kill(os.getpid(), signal.SIGTERM)
                server = None
            await asyncio.sleep(min(_REARM_SECONDS, HANG_SECONDS / 4))
    finally:
        faulthandler.cancel_dump_traceback_later()


def _standard_error() -> int:
    """A descriptor of it that never blocks: a full pipe must not keep a worker that hangs."""
    if stat.S_ISFIFO(os.fstat(2).st_mode):
        with contextlib.suppress(OSError):  # a system without /proc
            return os.open("/proc/self/fd/2", os.O_WRONLY | os.O_NONBLOCK)
    return 2
