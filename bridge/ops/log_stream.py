"""A stream for log lines on standard error: writing to it never blocks and never raises.

Lines pass through a bounded queue to a thread that writes them. Lines are dropped and counted if
the disk is full, the reader has exited, or a slow reader lets the queue fill up. Once the queue is
empty and the log can be written again, one line reports how many were dropped.
"""

import atexit
import contextlib
import fcntl
import os
import select
import stat
import sys
import threading
from collections import deque
from collections.abc import Callable
from itertools import accumulate

_MAX_BYTES = 4 * 1024 * 1024
_MAX_BATCH = select.PIPE_BUF
"""Bytes. Writes up to this size are atomic on a pipe (POSIX, write())."""


def _default_notice(dropped: int) -> str:
    return f"{dropped} log lines were dropped: the log could not be written\n"


class LogStream:
    """A text stream with the two methods that logging handlers use, ``write`` and ``flush``.

    Args:
        fd: the file descriptor to write to.
        max_bytes: memory for queued lines; lines that do not fit are dropped.

    Attributes:
        notice: returns the line that reports the number of dropped lines.
        on_drop: called for each dropped line, in any thread; it must not log.
    """

    def __init__(self, fd: int, *, max_bytes: int = _MAX_BYTES) -> None:
        self.notice: Callable[[int], str] = _default_notice
        self.on_drop: Callable[[], None] = lambda: None
        self._fd = fd
        self._max_bytes = max_bytes
        self._reset()
        # A forked process does not have the thread, and its copy of the lock may never be
        # released. The parent writes the queued lines.
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        # Re-entrant: garbage collection may run a destructor that logs in the middle of write().
        self._changed = threading.Condition(threading.RLock())
        self._queue: deque[bytes] = deque()
        self._size = 0
        """Memory of the queued lines and of those being written."""
        self._dropped = 0
        """Lines dropped since the last notice."""
        self._mid_line = False
        """Whether the last write ended in the middle of a line."""
        self._thread: threading.Thread | None = None

    def write(self, text: str) -> int:
        """Queue *text*: one line, or several that belong together, such as a traceback."""
        line = text.encode("utf-8", "backslashreplace")
        size = sys.getsizeof(line)
        with self._changed:
            fits = self._size + size <= self._max_bytes
            if fits:
                self._queue.append(line)
                self._size += size
                self._changed.notify_all()
            if self._thread is None:
                self._start()
        if not fits:
            self._drop(1)
        return len(text)

    def flush(self) -> None:
        """Do nothing: the thread writes the lines as fast as possible."""

    def drain(self, seconds: float) -> None:
        """Wait until all queued lines are written, for at most *seconds*."""
        with self._changed:
            self._changed.wait_for(lambda: not self._size, seconds)

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="log", daemon=True)
        # Starting a thread fails at the system's limit and during the interpreter's shutdown. The
        # next line tries again.
        with contextlib.suppress(RuntimeError):
            thread.start()
            self._thread = thread

    def _drop(self, lines: int) -> None:
        with self._changed:
            self._dropped += lines
        # An error in the metric must not fail a request; the lines are counted above anyway.
        with contextlib.suppress(Exception):
            for _ in range(lines):
                self.on_drop()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue)
                batch = self._next_batch()
            if lost := self._write(batch):
                self._drop(lost)
            with self._changed:
                dropped = 0 if self._queue else self._dropped
            if dropped and not self._write([self.notice(dropped).encode()]):
                with self._changed:
                    self._dropped -= dropped
            with self._changed:
                self._size -= sum(map(sys.getsizeof, batch))
                self._changed.notify_all()

    def _next_batch(self) -> list[bytes]:
        batch = [self._queue.popleft()]
        room = _MAX_BATCH - len(batch[0])
        while self._queue and len(self._queue[0]) <= room:
            batch.append(self._queue.popleft())
            room -= len(batch[-1])
        return batch

    def _write(self, lines: list[bytes]) -> int:
        """Write *lines*; return how many of them could not be written completely."""
        if self._mid_line:
            lines = [b"\n" + lines[0], *lines[1:]]
        data = memoryview(b"".join(lines))
        written = 0
        self._lock_pipe(fcntl.LOCK_EX)
        while written < len(data):
            try:
                written += os.write(self._fd, data[written:])
            except BlockingIOError:
                self._await_room()
            except OSError:
                break
        self._lock_pipe(fcntl.LOCK_UN)
        if written:
            self._mid_line = data[written - 1] != ord("\n")
        return sum(end > written for end in accumulate(map(len, lines)))

    def _lock_pipe(self, operation: int) -> None:
        """Lock or unlock standard error if it is a pipe, so that the workers' lines do not mix.

        On a pipe a write longer than PIPE_BUF, such as that of a traceback, is not atomic. Writes
        to a file are.
        """
        with contextlib.suppress(OSError):  # closed, or a system without locks on pipes
            if stat.S_ISFIFO(os.fstat(self._fd).st_mode):
                fcntl.lockf(self._fd, operation)

    def _await_room(self) -> None:
        # Another process that shares the pipe may have made it non-blocking.
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        poll.poll()


def _standard_error() -> int:
    """The file descriptor of standard error.

    If it was closed when the process started (``2>&-``), /dev/null replaces it. Otherwise the next
    file or socket would get its number, and log lines would be written to that.
    """
    if sys.__stderr__ is not None:
        return sys.__stderr__.fileno()
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.fstat(2)
    except OSError:
        os.dup2(null, 2)
    sys.stderr = open(null, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - it stays open
    return null


STDERR = LogStream(_standard_error())
"""This process's standard error."""

atexit.register(STDERR.drain, 1.0)
