"""Bodies: large ones lie in a file in memory, from which the system sends them without a copy."""

import contextlib
import math
import mmap
import os
import socket
import time
from collections.abc import Callable

# Below, a copy costs less than what it takes to do without.
_LARGE = 32_000
_MOST = 16_000_000
# Seconds until all are made anew, if they are asked for: it takes less time than to know of each
# when it was asked for last.
_LIFETIME = 60.0
# Other systems may have the one and not the other.
_POSSIBLE = hasattr(os, "memfd_create") and hasattr(socket, "MSG_MORE")


class Bodies:
    """Bodies that are sent to many connections (memfd_create(2), sendfile(2)), by one thread.

    What is copied for each connection pushes all else out of the processor's caches; then each
    answer waits for the memory, and on a machine that is shared for its neighbours too.

    All lie in one file: each of its own would take descriptors from connections.

    Args:
        most: bytes of all together. When there is no room a body is sent in the usual way: none
            gives way to another one, however many are asked for in turn.
        clock: seconds.
    """

    def __init__(self, most: int = _MOST, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._file: _File | None = None
        self._until = 0.0

    def send(self, connection: socket.socket, head: bytes, body: bytes) -> int:
        """Send as much as the system takes without waiting; how many bytes, of both together.

        What is left, all of it perhaps, has to be sent in the usual way, and whatever hinders it
        shows there. Elsewhere than on Linux it is all.

        Args:
            connection: nothing else waits to be sent on it.
        """
        sent = 0
        if len(body) < _LARGE or not _POSSIBLE:
            return sent
        # The system may have no more descriptors or no memory, or not allow it.
        with contextlib.suppress(OSError):
            file = self._current()
            place = file.place(body)
            if place is not None:
                sent = connection.send(head, socket.MSG_MORE)
                if sent == len(head):
                    sent += os.sendfile(connection.fileno(), file.descriptor, place, len(body))
        return sent

    def _current(self) -> "_File":
        now = self._clock()
        if self._file is None or now >= self._until:
            self._file = None
            self._file, self._until = _File(self._most), now + _LIFETIME
        return self._file


class _File:
    """Bodies, in a file that has no name and ends with this object.

    What is on its way to clients reaches them nevertheless: the system keeps it meanwhile, and what
    was sent once is not written over.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._places: dict[int, tuple[int, bytes]] = {}
        self._end = 0
        self.descriptor = os.memfd_create("bodies")

    def place(self, body: bytes) -> int | None:
        """Where *body* begins, from now on; None: there is no room.

        Raises:
            OSError: the system has no memory.
        """
        # Each is kept: no other one can have its identity meanwhile.
        found, _ = self._places.get(id(body), (None, b""))
        if found is not None or self._end + len(body) > self._most:
            return found
        if os.pwrite(self.descriptor, body, self._end) < len(body):
            raise OSError("the system has no memory for a body")
        found = self._end
        self._places[id(body)] = found, body
        # The next one begins with a page: the system sends pages, and more slowly what lies across.
        self._end += math.ceil(len(body) / mmap.PAGESIZE) * mmap.PAGESIZE
        return found

    def __del__(self) -> None:
        if descriptor := getattr(self, "descriptor", None):
            os.close(descriptor)
