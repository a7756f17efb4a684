"""Deadlines on the monotonic clock, and connections that are cut when a deadline passes."""

import http.client
import socket
import threading
import time
from types import TracebackType
from typing import Any
from weakref import WeakSet

import requests.adapters
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from bridge.clock import Clock

_MAX_IDLE_SECONDS = 30.0
"""Routers forget idle connections after minutes, often without telling either side: the next
request would get no answer. Walks are as far apart as the TTL."""


class Deadline:
    """A point in time on the monotonic clock.

    Args:
        seconds: the time from now.
        limit: another deadline that this one must not exceed.
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
        """Whether no time is left."""
        return self.remaining == 0.0


_current = threading.local()


class Guard:
    """Cuts the connection that the current thread reads from after *seconds*.

    A socket's timeout restarts with every byte, so that a slow sender never exceeds it; and while
    the library reads headers, no deadline can be checked.

    Attributes:
        fired: whether the connection was cut.
    """

    def __init__(self, seconds: float) -> None:
        self.fired = False
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(seconds, self.cut)
        self._timer.daemon = True

    def attach(self, connection: socket.socket | None) -> None:
        """Set the socket to cut; cut it at once if the time is over."""
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
        """Cut the connection now."""
        with self._lock:
            self.fired = True
            self._shut()

    def _shut(self) -> None:
        if self._socket is None:
            return
        try:
            # The base method: SSLSocket.shutdown would remove the TLS state that the reader uses.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
        except OSError:
            # The socket has been closed in the meantime.
            self._socket = None


class Guards:
    """The guards of a client: closing the client cuts all its connections."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: WeakSet[Guard] = WeakSet()
        self._closed = False

    def guard(self, seconds: float) -> Guard:
        """Create a guard."""
        guard = Guard(seconds)
        with self._lock:
            self._all.add(guard)
            if self._closed:
                guard.cut()
        return guard

    def close(self) -> None:
        """Cut the connections of all guards, including those created later."""
        with self._lock:
            self._closed = True
            for guard in self._all:
                guard.cut()


class _FinalResponse(http.client.HTTPResponse):
    """Skips interim responses (RFC 9110, 15.2), of which the library skips only 100.

    Their final response would otherwise be read as the answer to the connection's next request.
    """

    def begin(self) -> None:
        super().begin()
        while http.HTTPStatus.SWITCHING_PROTOCOLS < self.status < http.HTTPStatus.OK:
            self.headers = self.msg = None  # type: ignore[assignment]  # as before the first call
            super().begin()


class _GuardedConnection:
    """Mixin: passes the socket to the current thread's guard before a response is read.

    It counts as dropped once it has been idle for :data:`_MAX_IDLE_SECONDS`.
    """

    sock: Any
    response_class: type[http.client.HTTPResponse] = _FinalResponse
    _used = 0.0

    @property
    def is_connected(self) -> bool:
        idle = time.monotonic() - self._used
        return idle < _MAX_IDLE_SECONDS and super().is_connected  # type: ignore[misc]  # defined by the other base class

    def getresponse(self) -> Any:
        self._used = time.monotonic()
        guard: Guard | None = getattr(_current, "guard", None)
        if guard is not None:
            guard.attach(self.sock)
        return super().getresponse()  # type: ignore[misc]  # defined by the other base class


class _PlainConnection(_GuardedConnection, HTTPConnection):
    pass


class _TlsConnection(_GuardedConnection, HTTPSConnection):
    pass


class _PlainPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class GuardedAdapter(requests.adapters.HTTPAdapter):
    """The transport adapter of requests, with connections that a :class:`Guard` can cut."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Create the connection pools (called by requests)."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _TlsPool}
