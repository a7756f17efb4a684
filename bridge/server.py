"""The server's processes: one that looks after the others, and workers that serve."""

import argparse
import ctypes
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from bridge import ending, serverlog

_HOME = Path(__file__).parent.parent
_PR_SET_PDEATHSIG = 1
"""Linux, prctl(2)."""

_HEARD = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
# Seconds from being told to end until a worker is killed.
_PATIENCE = 15
# A worker that fails within so many seconds would fail again.
_BEGINNING = 10
# Seconds from one start to the next of what ends at once, whoever it is that kills it.
_PAUSE = 2.0


def listener(host: str, port: int) -> socket.socket:
    """A socket at *host* and *port*, which others of its kind share; it does not listen yet.

    Raises:
        OSError: they cannot be had.
    """
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            made.setsockopt(socket.SOL_SOCKET, option, 1)
        made.bind((host, port))
    except OSError:
        made.close()
        raise
    return made


def main(arguments: Sequence[str]) -> int:
    """Look after workers until this process is told to end; or be one of them."""
    given = _options().parse_args(arguments)
    if given.worker is None:
        os.chdir(_HOME)
        logger = serverlog.begin(given.log_format, given.log_level)
        return _Workers([*arguments], given.workers, logger).look_after()
    _heed_signals(given.worker)
    # No other process needs what serves; and it takes a while, in which this one may be told to end
    from bridge import worker  # noqa: PLC0415

    logger = serverlog.begin(given.log_format, given.log_level)
    return worker.serve(given.app, given.host, given.port, logger)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m bridge.server", description=__doc__)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", required=True, type=int)
    parser.add_argument("--workers", required=True, type=int)
    parser.add_argument("--log-level", required=True)
    parser.add_argument("--log-format", required=True)
    parser.add_argument(
        "--worker", type=int, metavar="PID", help="serve, for the process that looks after workers"
    )
    parser.add_argument("app", help="a WSGI application, as module:name")
    return parser


def _heed_signals(server: int) -> None:
    """Let this worker hear when it is told to end, from now on.

    Until it serves it ends at once: Python's own handler for one of them would raise an exception.

    Args:
        server: the process that started it.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    ending.listen()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGCHLD,))
    if sys.platform == "linux":
        # A process that is killed can tell its workers nothing, and they would go on for good: the
        # next server would share its port with them.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != server:
        sys.exit()  # it was killed before this process could ask to hear of it


class _Workers:
    """The processes that serve.

    Args:
        arguments: this process's, which are theirs too.
    """

    def __init__(self, arguments: list[str], count: int, logger: logging.Logger) -> None:
        self._command = [sys.executable, "-m", "bridge.server", *arguments]
        self._command += ["--worker", str(os.getpid())]
        self._count = count
        self._log = logger
        self._began: dict[subprocess.Popen[bytes], float] = {}

    def look_after(self) -> int:
        """Start them, and others for those that end, until this process is told to end.

        Returns:
            This process's exit code.
        """
        # Some systems keep no signal that nobody handles for who waits for it.
        signal.signal(signal.SIGCHLD, _stir)
        # Blocked in workers too, as they begin: one that is told to end before it can hear it will.
        signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
        for _ in range(self._count):
            self._start()
        failed = False
        while not failed and signal.sigwait(_HEARD) == signal.SIGCHLD:
            failed = self._replace()
        self._end()
        return int(failed)

    def _start(self) -> None:
        worker = subprocess.Popen(self._command)  # noqa: S603 - our own command
        self._began[worker] = time.monotonic()
        self._log.info("Starting worker [%d]", worker.pid)

    def _replace(self) -> bool:
        """Start another for each that has ended; whether that would be in vain."""
        for worker in [one for one in self._began if one.poll() is not None]:
            lived = time.monotonic() - self._began.pop(worker)
            if worker.returncode > 0 and lived < _BEGINNING:
                self._log.error("Worker [%d] could not begin to serve", worker.pid)
                return True
            self._log.warning(
                "Worker [%d] ended (%d), another follows", worker.pid, worker.returncode
            )
            time.sleep(max(0.0, _PAUSE - lived))
            self._start()
        return False

    def _end(self) -> None:
        """End all of them."""
        for worker in self._began:
            worker.terminate()
        until = time.monotonic() + _PATIENCE
        for worker in self._began:
            try:
                worker.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                self._log.warning("Killing worker [%d]", worker.pid)
                worker.kill()
                worker.wait()
            else:
                self._log.info("Stopped worker [%d]", worker.pid)


def _stir(number: int, frame: FrameType | None) -> None:
    """Nothing more than having a handler."""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
