"""Deadlines on a monotonic clock, and the connections that obey them."""

import socket
import threading
from types import TracebackType
from typing import Any
from weakref import WeakSet

import requests.adapters
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from bridge.clock import Clock


class Deadline:
    """A moment on the monotonic clock.

    Args:
        seconds: from now on.
        limit: another deadline that this one never exceeds.
    """

    def __init__(self, clock: Clock, seconds: float, limit: "Deadline | None" = None) -> None:
        self._clock = clock
        self._at = clock.monotonic() + seconds
        if limit is not None:
            self._at = min(self._at, limit._at)

    @property
    def remaining(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self._at - self._clock.monotonic())

    @property
    def passed(self) -> bool:
        """Whether nothing is left."""
        return self.remaining == 0.0


_current = threading.local()


class Guard:
    """Cuts the connection that this thread reads from when its time is up.

    A socket's timeout starts anew with every byte, so a slow sender passes it for ever; headers
    are read where no deadline can be checked in between.
    """

    def __init__(self, seconds: float) -> None:
        self.fired = False
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(seconds, self.cut)
        self._timer.daemon = True

    def watch(self, connection: socket.socket | None) -> None:
        """The socket to cut."""
        with self._lock:
            self._socket = connection
            if self.fired:
                self._shut()

    def __enter__(self) -> "Guard":
        _current.guard = self
        self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _current.guard = None
        self._timer.cancel()
        with self._lock:
            self._socket = None

    def cut(self) -> None:
        """Cut it now."""
        with self._lock:
            self.fired = True
            self._shut()

    def _shut(self) -> None:
        if self._socket is None:
            return
        try:
            # The plain method: the one of a TLS socket would take its state from under the reader.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
        except OSError:
            # It was closed in the meantime, which is all that was wanted.
            self._socket = None


class Guards:
    """All guards of a client, so that its closing can cut what is under way."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: WeakSet[Guard] = WeakSet()
        self._closed = False

    def guard(self, seconds: float) -> Guard:
        """A new one."""
        guard = Guard(seconds)
        with self._lock:
            self._all.add(guard)
            if self._closed:
                guard.cut()
        return guard

    def close(self) -> None:
        """Cut all there are, and all that come."""
        with self._lock:
            self._closed = True
            for guard in self._all:
                guard.cut()


class _Watched:
    """Shows its socket to the guard of the thread that is about to read from it."""

    sock: Any

    def getresponse(self) -> Any:
        guard: Guard | None = getattr(_current, "guard", None)
        if guard is not None:
            guard.watch(self.sock)
        return super().getresponse()  # type: ignore[misc]  # the connection that it is mixed into


class _PlainConnection(_Watched, HTTPConnection):
    pass


class _TlsConnection(_Watched, HTTPSConnection):
    pass


class _PlainPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class GuardedAdapter(requests.adapters.HTTPAdapter):
    """Requests' transport, over connections that a :class:`Guard` can cut."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pools (called by requests)."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _TlsPool}
