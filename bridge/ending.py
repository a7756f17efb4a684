"""The ending: a process that is told to end hears it, whatever its threads are doing."""

import signal
import socket
import threading
import time
from types import FrameType

_AGAIN = 0.1
_TOLD = frozenset((signal.SIGTERM, signal.SIGINT))


def listen() -> None:
    """Wake this process's main thread when it is told to end.

    Python's own handlers run in the main thread, and a signal that another thread of the process
    takes does not wake it: while it waits for nothing else the server would go on until it is
    killed, in the middle of requests.
    """
    main = threading.main_thread()
    if threading.current_thread() is not main:
        return  # only there can signals be listened to
    ear, mouth = socket.socketpair()
    mouth.setblocking(False)
    signal.set_wakeup_fd(mouth.detach(), warn_on_full_buffer=False)
    # urgent data, which nothing here makes use of
    signal.signal(signal.SIGURG, _stir)
    threading.Thread(target=_wake, args=(ear, main), name="ending", daemon=True).start()


def _stir(number: int, frame: FrameType | None) -> None:
    """Nothing more than being awake."""


def _wake(ear: socket.socket, main: threading.Thread) -> None:
    while _TOLD.isdisjoint(ear.recv(64)):
        pass
    while main.ident is not None:
        time.sleep(_AGAIN)
        signal.pthread_kill(main.ident, signal.SIGURG)
