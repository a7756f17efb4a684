"""The watchdog: ends a worker that hangs, so that the server replaces it.

The event loop re-arms the standard library's timer (``faulthandler.dump_traceback_later``). The
timer runs in a C thread that does not need the interpreter lock, so it detects both kinds of hang:
a blocked event loop, and an interpreter that makes no progress at all.
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

_REARM_INTERVAL = 3.0


async def watch() -> None:
    """Re-arm the timer for as long as the event loop runs; cancel the task to disarm it.

    If the server process has died without stopping this worker, the worker sends itself SIGTERM;
    otherwise it would keep the port occupied.
    """
    server = multiprocessing.parent_process()
    stderr = _non_blocking_stderr()
    try:
        while True:
            faulthandler.dump_traceback_later(HANG_SECONDS, exit=True, file=stderr)
            if server is not None and not server.is_alive():
                os.kill(os.getpid(), signal.SIGTERM)
                server = None
            await asyncio.sleep(min(_REARM_INTERVAL, HANG_SECONDS / 4))
    finally:
        faulthandler.cancel_dump_traceback_later()


def _non_blocking_stderr() -> int:
    """A file descriptor that never blocks: a full pipe must not keep a hanging worker alive."""
    if stat.S_ISFIFO(os.fstat(2).st_mode):
        with contextlib.suppress(OSError):  # a system without /proc
            return os.open("/proc/self/fd/2", os.O_WRONLY | os.O_NONBLOCK)
    return 2
