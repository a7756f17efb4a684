"""The access log: every answer once, in the log, in the metrics and in who reads what."""

import random
import re
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from bridge.config import LogRequests
from bridge.ops.log_config import request_id
from bridge.ops.metrics import Metrics
from bridge.ops.usage import UsageCounter
from bridge.snapshots.cache import CacheOutcome
from bridge.web.representation import OUTCOME
from bridge.web.user_agents import family

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = structlog.get_logger()

#: Names in the environment of a request. The first two are set inside of this layer: which rule
#: matched, and what feed the answer is; the last is set by it.
ROUTE, FEED, REQUEST_ID = "bridge.route", "bridge.feed", "bridge.request_id"

HEADER = "X-Request-Id"
"""In which an answer carries the identity that its log lines have."""

# Monitoring requests these every few seconds.
PROBES = frozenset(("/healthz", "/readyz"))
_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))
_READ = frozenset((200, 304))
# What the snapshot cache did for an answer, as the label ``cache`` has it.
_LABELS: Mapping[CacheOutcome | None, str] = {
    None: "none",
    CacheOutcome.HIT: "hit",
    CacheOutcome.STALE: "stale",
    CacheOutcome.FETCHED: "miss",
    CacheOutcome.REFRESHED: "refreshed",
    CacheOutcome.FAILED: "failed",
}
_FROM_COPY = frozenset((CacheOutcome.HIT, CacheOutcome.STALE, CacheOutcome.FAILED))
_LONGEST = 200
# The token of a private feed is longer; a name in an address is hardly ever.
_LONG = re.compile(r"[^/]{80,}")


@dataclass(frozen=True, slots=True)
class Noted:
    """What a route noted of its answer.

    Attributes:
        route: the rule that matched.
        feed: what was read; None for a page.
    """

    route: str | None
    feed: Any

    @classmethod
    def of(cls, environ: Mapping[str, Any]) -> "Noted":
        """What is noted in a WSGI environment."""
        return cls(environ.get(ROUTE), environ.get(FEED))


@dataclass(slots=True)
class _Kind:
    """Answers of one route, method, status and result of the cache.

    Attributes:
        ready: whether the log tells of them in a summary.
        read: whether somebody read a feed or a page by them.
        summed: answers for the next summary.
    """

    counter: Any
    ready: bool
    read: bool
    summed: int = 0


class AccessLog:
    """A WSGI middleware, and what the ASGI application tells of the answers that it gives itself.

    *app* calls ``start_response`` before it returns, as Flask does.

    Args:
        which: what gets a line in the log each; what was ready is summed up by :meth:`sum_up`
            otherwise.
    """

    def __init__(
        self, app: "WSGIApplication", *, metrics: Metrics, usage: UsageCounter, which: LogRequests
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._usage = usage
        self._all = which is LogRequests.ALL
        self._lock = threading.Lock()
        self._kinds: dict[tuple[str | None, str, int, CacheOutcome | None], _Kind] = {}
        self._summed = time.monotonic()

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer."""
        began = time.monotonic()
        identity = new_identity()
        environ[REQUEST_ID] = identity
        status = 500

        def start(line: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            nonlocal status
            status = int(line[:3])
            return start_response(line, [*headers, (HEADER, identity)], exc_info)

        token = request_id.set(identity)
        try:
            return self._app(environ, start)
        finally:
            self.note(
                Noted.of(environ),
                method=environ["REQUEST_METHOD"],
                path=environ.get("PATH_INFO", ""),
                user_agent=environ.get("HTTP_USER_AGENT", ""),
                status=status,
                served=environ.get(OUTCOME),
                seconds=time.monotonic() - began,
            )
            request_id.reset(token)

    def note(
        self,
        noted: Noted,
        *,
        method: str,
        path: str,
        user_agent: str,
        status: int,
        served: CacheOutcome | None,
        seconds: float = 0.0,
        identity: str | None = None,
    ) -> None:
        """See an answer.

        Args:
            noted: what its route noted.
            served: what the snapshot cache did for it.
            seconds: that it took.
            identity: of the request, where the context has none.
        """
        key = (noted.route, method, status, served)
        kind = self._kinds.get(key) or self._new(key)
        kind.counter.inc()
        if kind.read:
            self._usage.note(family(user_agent), noted.feed)
        if kind.ready and not self._all:
            with self._lock:
                kind.summed += 1
            return
        extra = {} if identity is None else {"request_id": identity}
        log.info(
            "request",
            method=method[:10],
            route=noted.route,
            path=_path(path),
            status=status,
            cache=None if served is None else _LABELS[served],
            milliseconds=round(seconds * 1000, 1),
            **extra,
        )

    def sum_up(self) -> None:
        """Tell the log of the answers that got no line of their own since this was done last."""
        summed: dict[str, int] = {}
        with self._lock:
            for (route, _, _, served), kind in self._kinds.items():
                if kind.summed:
                    name = f"{route} {_LABELS[served]}"
                    summed[name] = summed.get(name, 0) + kind.summed
                    kind.summed = 0
            now = time.monotonic()
            seconds, self._summed = now - self._summed, now
        if summed:
            log.info(
                "ready answers",
                count=sum(summed.values()),
                seconds=round(seconds),
                routes=summed,
            )

    def _new(self, key: tuple[str | None, str, int, CacheOutcome | None]) -> _Kind:
        route, method, status, served = key
        known = method if method in _METHODS else "other"
        kind = _Kind(
            self._metrics.requests(route or "none", known, str(status), _LABELS[served]),
            ready=(served in _FROM_COPY or route in PROBES) and status < 400,
            # A page or a feed: what else there is says nothing of the cache.
            read=method in ("GET", "HEAD") and status in _READ and served is not None,
        )
        if known != method:
            # Made-up methods are without end.
            return kind
        with self._lock:
            return self._kinds.setdefault(key, kind)


def new_identity() -> str:
    """What a request is called in the log and in its answer."""
    return f"{random.getrandbits(64):016x}"


def _path(path: str) -> str | None:
    """The path, where it is no secret: a private feed's is one, however it is misspelled."""
    return None if "private" in path.lower() else _LONG.sub("…", path)[:_LONGEST]
