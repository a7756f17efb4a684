"""Bodies: large ones lie in files in memory, from which the system sends them without a copy."""

import contextlib
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
_POSSIBLE = hasattr(os, "memfd_create")


class Bodies:
    """Bodies that are sent to many connections (memfd_create(2), sendfile(2)), by one thread.

    What is copied for each connection pushes all else out of the processor's caches; then each
    answer waits for the memory, and on a machine that is shared for its neighbours too.

    Args:
        most: bytes of all files together. When there is no room a body is sent in the usual way:
            none gives way to another one, however many are asked for in turn.
        clock: seconds.
    """

    def __init__(self, most: int = _MOST, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._files: dict[int, _File] = {}
        self._bytes = 0
        self._until = clock() + _LIFETIME

    def send(self, connection: socket.socket, head: bytes, body: bytes) -> int:
        """Send as much as the system takes without waiting; how many bytes, of both together.

        What is left, all of it perhaps, has to be sent in the usual way, and whatever hinders it
        shows there. Elsewhere than on Linux it is all.

        Args:
            connection: nothing else waits to be sent on it.
        """
        file = self._file(body)
        sent = 0
        if file is not None:
            with contextlib.suppress(OSError):
                sent = connection.send(head, socket.MSG_MORE)
                if sent == len(head):
                    sent += os.sendfile(connection.fileno(), file.descriptor, 0, len(body))
        return sent

    def _file(self, body: bytes) -> "_File | None":
        if len(body) < _LARGE or not _POSSIBLE:
            return None
        now = self._clock()
        if now >= self._until:
            self._files.clear()
            self._bytes, self._until = 0, now + _LIFETIME
        # A file holds its body: no other one can have its identity meanwhile.
        found = self._files.get(id(body))
        if found is None and self._bytes + len(body) <= self._most:
            # The system may have no more descriptors or no memory, or not allow it.
            with contextlib.suppress(OSError):
                found = self._files[id(body)] = _File(body)
                self._bytes += len(body)
        return found


class _File:
    """*body*, in a file that has no name and ends with this object."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.descriptor = os.memfd_create("body")
        if os.write(self.descriptor, body) < len(body):
            raise OSError("the system has no memory for a body")

    def __del__(self) -> None:
        if descriptor := getattr(self, "descriptor", None):
            os.close(descriptor)
