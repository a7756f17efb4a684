"""Traffic: every answer once, in the log, in the metrics and in who reads what."""

import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from bridge.config import LogRequests
from bridge.logs import request_id
from bridge.web.answers import Ready
from bridge.web.families import family

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = structlog.get_logger()

#: Names in the environment of a request. The first two are set inside of this layer: which rule
#: matched, and what feed the answer is; the last is set by it.
ROUTE, FEED, REQUEST_ID = "bridge.route", "bridge.feed", "bridge.request_id"

HEADER = "X-Request-Id"
"""In which an answer says what it is called."""

# Asked for every few seconds by whoever looks after the process.
_PROBES = frozenset(("/healthz", "/readyz"))
_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))
_READ = frozenset(("200", "304"))
# What the cache had to do with an answer of a copy that was there.
_AT_HAND = frozenset(("hit", "stale", "failed"))
_LONGEST = 200
# The token of a private feed is longer; a name in an address is hardly ever.
_LONG = re.compile(r"[^/]{80,}")

# Written in a function that each answer has of its own, they would be made anew for each.
_ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None] | None
_Headers = list[tuple[str, str]]
_Write = Callable[[bytes], object]


class Tally(Protocol):
    """Counts one kind of answer."""

    def inc(self, amount: float = 1) -> None:
        """Count."""


Counts = Callable[[str, str, str, str], Tally]
"""What counts the answers of a route, method, status and result of the cache."""


class Reading(Protocol):
    """Keeps who reads what."""

    def note(self, family: str, feed: Any) -> None:
        """A client of *family* read *feed*, or a page where it is None."""


class _Kind:
    """Answers of one route, method, status and result of the cache."""

    __slots__ = ("read", "ready", "tally", "waiting")

    def __init__(self, tally: Tally, *, ready: bool, read: bool) -> None:
        self.tally = tally
        self.ready = ready
        self.read = read
        self.waiting = 0
        """Answers that the log has not been told of."""


class Traffic:
    """A layer around the application; outside of whatever keeps answers.

    *app* calls ``start_response`` before it returns, as Flask does.

    Args:
        which: what gets a line in the log each; what was ready is summed up by :meth:`sum_up`
            otherwise.
    """

    def __init__(
        self, app: "WSGIApplication", *, counts: Counts, readers: Reading, which: LogRequests
    ) -> None:
        self._app = app
        self._counts = counts
        self._readers = readers
        self._all = which is LogRequests.ALL
        self._lock = threading.Lock()
        self._kinds: dict[tuple[str, str, str, str], _Kind] = {}
        self._summed = time.monotonic()

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer."""
        began = time.monotonic()
        identity = _identity()
        environ[REQUEST_ID] = identity
        status, cache = "500", ""

        def start(line: str, headers: _Headers, exc_info: _ExcInfo = None) -> _Write:
            nonlocal status, cache
            status, cache = line[:3], ""
            # it is among the last
            for name, value in reversed(headers):
                if name == "Cache-Status":
                    cache = value
                    break
            return start_response(line, [*headers, (HEADER, identity)], exc_info)

        token = request_id.set(identity)
        try:
            return self._app(environ, start)
        finally:
            self._note(environ, environ, status, cache, began)
            request_id.reset(token)

    def ready(self, environ: "WSGIEnvironment", ready: Ready) -> str:
        """See an answer that was given without the application; what it was called.

        Args:
            environ: of the request; it is left as it is.
        """
        identity = _identity()
        token = request_id.set(identity)
        try:
            self._note(environ, ready.noted, ready.status[:3], ready.state, time.monotonic())
        finally:
            request_id.reset(token)
        return identity

    def sum_up(self) -> None:
        """Tell the log of the answers that got no line of their own since this was done last."""
        waiting: Counter[str] = Counter()
        with self._lock:
            for (route, _, _, result), kind in self._kinds.items():
                if kind.waiting:
                    waiting[f"{route} {result}"] += kind.waiting
                    kind.waiting = 0
            now = time.monotonic()
            seconds, self._summed = now - self._summed, now
        if waiting:
            log.info(
                "ready answers",
                count=waiting.total(),
                seconds=round(seconds),
                routes=dict(waiting.most_common()),
            )

    def _note(
        self,
        environ: "WSGIEnvironment",
        noted: Mapping[str, Any],
        status: str,
        cache: str,
        began: float,
    ) -> None:
        method = environ["REQUEST_METHOD"]
        key = (
            noted.get(ROUTE, "none"),
            method if method in _METHODS else "other",
            status,
            _result(cache) if cache else "none",
        )
        kind = self._kinds.get(key) or self._new(key)
        kind.tally.inc()
        if kind.read:
            self._readers.note(family(environ.get("HTTP_USER_AGENT", "")), noted.get(FEED))
        if kind.ready and not self._all:
            with self._lock:
                kind.waiting += 1
            return
        log.info(
            "request",
            method=method[:10],
            route=noted.get(ROUTE),
            path=_path(environ),
            status=int(status),
            cache=cache or None,
            milliseconds=round((time.monotonic() - began) * 1000, 1),
        )

    def _new(self, key: tuple[str, str, str, str]) -> _Kind:
        route, method, status, result = key
        with self._lock:
            return self._kinds.setdefault(
                key,
                _Kind(
                    self._counts(*key),
                    ready=(result in _AT_HAND or route in _PROBES) and status < "400",
                    # A page or a feed: what else there is says nothing of the cache.
                    read=method in ("GET", "HEAD") and status in _READ and result != "none",
                ),
            )


def _identity() -> str:
    return f"{random.getrandbits(64):016x}"


def _result(cache: str) -> str:
    """What the cache had to do with an answer, by its Cache-Status: one of six words."""
    if "; hit" in cache:
        return "stale" if "stale" in cache else "hit"
    if "fwd=stale" in cache:
        return "failed" if "failed" in cache else "refreshed"
    return "miss"


def _path(environ: "WSGIEnvironment") -> str | None:
    """The path, where it is no secret: a private feed's is one, however it is misspelled."""
    path: str = environ.get("PATH_INFO", "")
    return None if "private" in path.lower() else _LONG.sub("…", path)[:_LONGEST]
