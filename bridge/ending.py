"""The ending: a process that is told to end hears it, and loses no request by it."""

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType

near = False
"""Whether this process was told to end: whoever keeps a connection open had better begin another,
with whoever comes after it.
"""

_AGAIN = 0.1
_TOLD = (signal.SIGTERM, signal.SIGINT)
# Seconds in which clients that are connected can send what they connected for, and those that keep
# a connection get the answer that says that it ends.
_QUIET = 0.5

_SO_BINDTOIFINDEX = 62
"""Linux, asm-generic/socket.h."""
_NOWHERE = 2**31 - 1
"""The number of a network device, which no machine has."""


def listen() -> None:
    """Hear in this process's main thread when it is told to end; for a process that begins.

    Python's own handlers run in the main thread, and a signal that another thread of the process
    takes does not wake it: while it waits for nothing else the server would go on until it is
    killed, in the middle of requests. So a thread waits for the signal, and for no other thread is
    there one. It hears one: a host tells a server's processes all at once, and the server then
    tells its workers again, while they end.

    Where the process accepts connections, the handler runs a moment after no more can be made.
    """
    signal.signal(signal.SIGURG, _stir)  # urgent data, which nothing here makes use of
    # Threads that begin later begin like this.
    signal.pthread_sigmask(signal.SIG_BLOCK, _TOLD)
    main = threading.main_thread()
    threading.Thread(target=_end, args=(main,), name="ending", daemon=True).start()


def _stir(number: int, frame: FrameType | None) -> None:
    """Nothing more than being awake."""


def _end(main: threading.Thread) -> None:
    global near  # noqa: PLW0603 - one process has one end
    told = signal.sigwait(_TOLD)
    near = True
    if _accept_no_more():
        time.sleep(_QUIET)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (told,))
    signal.raise_signal(told)
    signal.pthread_sigmask(signal.SIG_BLOCK, (told,))
    while main.ident is not None:
        signal.pthread_kill(main.ident, signal.SIGURG)
        time.sleep(_AGAIN)


def _accept_no_more() -> bool:
    """Let no new connection be made with this process; whether there were any to be made.

    To close the socket would reset the connections that the system has accepted and the server has
    not. One that listens at a device which is not there keeps them, and a handshake under way, and
    hears of nothing else: who asks for a new connection is refused, or finds another process at
    work. It takes no privilege since Linux 5.7.
    """
    if sys.platform != "linux":
        return False
    found = False
    # There may be no descriptor left to look with: whatever fails here, the end has to come.
    with contextlib.suppress(OSError):
        for listener in _listeners():
            with contextlib.suppress(OSError):  # an older system, or one that is not quite Linux
                listener.setsockopt(socket.SOL_SOCKET, _SO_BINDTOIFINDEX, _NOWHERE)
                found = True
    return found


def _listeners() -> Iterator[socket.socket]:
    """The sockets at which this process accepts connections: the server tells nobody of them."""
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # no socket, or closed meanwhile
            found = socket.socket(fileno=int(name))
            try:
                if found.family in (socket.AF_INET, socket.AF_INET6) and found.getsockopt(
                    socket.SOL_SOCKET, socket.SO_ACCEPTCONN
                ):
                    yield found
            finally:
                found.detach()  # it is the server's
