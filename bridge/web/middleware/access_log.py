"""The access log: records each response in the log, the metrics and the usage counts."""

import random
import re
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from bridge import background
from bridge.config import LogRequests
from bridge.ops import log_config
from bridge.ops.metrics import Metrics
from bridge.ops.usage import UsageCounter
from bridge.snapshots.cache import CacheOutcome
from bridge.web.middleware.limits import METHODS
from bridge.web.representation import OUTCOME_KEY
from bridge.web.user_agents import family

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = structlog.get_logger()

#: Keys of the WSGI environment. The routes set the first two: the URL rule, and the feed that the
#: response contains. The access log sets the request's id.
ROUTE_KEY, FEED_KEY, REQUEST_ID_KEY = "bridge.route", "bridge.feed", "bridge.request_id"

STARTED_KEY = "bridge.started"
"""Key of the ASGI scope and of the WSGI environment: when the request arrived, by
:func:`time.monotonic`. Without it the time of waiting for a thread does not count."""

REQUEST_ID_HEADER = "X-Request-Id"
"""The response header with the id that the request's log lines contain."""

# Monitoring systems request these every few seconds.
PROBES = frozenset(("/healthz", "/readyz"))
_READ_STATUSES = frozenset((200, 304))
# Values of the label ``cache``.
_CACHE_LABELS: Mapping[CacheOutcome | None, str] = {
    None: "none",
    CacheOutcome.HIT: "hit",
    CacheOutcome.STALE: "stale",
    CacheOutcome.FETCHED: "miss",
    CacheOutcome.REFRESHED: "refreshed",
    CacheOutcome.FAILED: "failed",
}
_CACHED = frozenset((CacheOutcome.HIT, CacheOutcome.STALE, CacheOutcome.FAILED))
_MAX_PATH = 200
# The tokens of private feeds are longer than this, and the names in addresses are shorter.
_LONG_SEGMENT = re.compile(r"[^/]{80,}")


@dataclass(frozen=True, slots=True)
class RouteInfo:
    """What a route reports about its response.

    Attributes:
        route: the URL rule.
        feed: a :class:`~bridge.ops.usage.FeedInfo`; None for a page.
    """

    route: str | None
    feed: Any

    @classmethod
    def of(cls, environ: Mapping[str, Any]) -> "RouteInfo":
        """The route's report in a WSGI environment."""
        return cls(environ.get(ROUTE_KEY), environ.get(FEED_KEY))


@dataclass(slots=True)
class _Series:
    """Responses with the same route, method, status and cache outcome.

    Attributes:
        counter: counts them.
        durations: the histogram of their durations.
        cached: whether they are summarised in the log instead of logged one by one.
        counts_as_read: whether they count as reads of a feed or a page.
        pending: how many the next summary will contain.
    """

    counter: Any
    durations: Any
    cached: bool
    counts_as_read: bool
    pending: int = 0


_SeriesKey = tuple[str | None, str, int, CacheOutcome | None]


class AccessLog:
    """Records responses.

    :meth:`middleware` records the responses of a WSGI application. The ASGI application calls
    :meth:`record` for the responses that it sends without Flask.

    Args:
        log_requests: whether all responses are logged one by one, or cached ones are only counted
            for :meth:`log_summary`.
        usage: counts the reads of feeds and pages, if there are any.
        studio: the slug of the studio, for log lines.
    """

    def __init__(
        self,
        metrics: Metrics,
        usage: UsageCounter | None,
        log_requests: LogRequests,
        *,
        studio: str = "",
    ) -> None:
        self._metrics = metrics
        self._usage = usage
        self._log_all = log_requests is LogRequests.ALL
        self._studio = studio
        self._lock = threading.Lock()
        self._series: dict[_SeriesKey, _Series] = {}
        self._last_summary = time.monotonic()

    def middleware(self, app: "WSGIApplication") -> "WSGIApplication":
        """*app* with its responses recorded.

        Args:
            app: calls ``start_response`` before it returns, as Flask does.
        """
        return partial(self._call, app)

    def _call(
        self, app: "WSGIApplication", environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        started: float = environ.get(STARTED_KEY) or time.monotonic()
        request_id = new_request_id()
        environ[REQUEST_ID_KEY] = request_id
        status = 500

        def start(line: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            nonlocal status
            status = int(line[:3])
            return start_response(line, [*headers, (REQUEST_ID_HEADER, request_id)], exc_info)

        token = log_config.request_id.set(request_id)
        try:
            return app(environ, start)
        finally:
            self.record(
                RouteInfo.of(environ),
                method=environ["REQUEST_METHOD"],
                path=environ.get("PATH_INFO", ""),
                user_agent=environ.get("HTTP_USER_AGENT", ""),
                status=status,
                outcome=environ.get(OUTCOME_KEY),
                started=started,
            )
            log_config.request_id.reset(token)

    def record(
        self,
        route_info: RouteInfo,
        *,
        method: str,
        path: str,
        user_agent: str,
        status: int,
        outcome: CacheOutcome | None,
        started: float,
        request_id: str | None = None,
    ) -> None:
        """Record a response.

        Args:
            outcome: how the snapshot cache answered; None if the route does not use it.
            started: when the request arrived, by :func:`time.monotonic`.
            request_id: if it is not set in the context.
        """
        now = time.monotonic()
        key = (route_info.route, method, status, outcome)
        series = self._series.get(key) or self._new_series(key)
        series.counter.inc()
        series.durations.observe(now - started)
        if series.counts_as_read and self._usage is not None:
            self._usage.record(family(user_agent), route_info.feed)
        if series.cached and not self._log_all:
            with self._lock:
                series.pending += 1
            return
        extra = {} if request_id is None else {"request_id": request_id}
        with background.working_for(self._studio):
            log.info(
                "request",
                method=method[:10],
                route=route_info.route,
                path=_loggable_path(path),
                status=status,
                cache=None if outcome is None else _CACHE_LABELS[outcome],
                milliseconds=round((now - started) * 1000, 1),
                **extra,
            )

    def log_summary(self) -> None:
        """Log the number of responses since the last summary that were not logged one by one."""
        counts: dict[str, int] = {}
        with self._lock:
            for (route, _, _, outcome), series in self._series.items():
                if series.pending:
                    name = f"{route} {_CACHE_LABELS[outcome]}"
                    counts[name] = counts.get(name, 0) + series.pending
                    series.pending = 0
            now = time.monotonic()
            seconds, self._last_summary = now - self._last_summary, now
        if counts:
            log.info(
                "ready answers", count=sum(counts.values()), seconds=round(seconds), routes=counts
            )

    def _new_series(self, key: _SeriesKey) -> _Series:
        route, method, status, outcome = key
        label = method if method in METHODS else "other"
        series = _Series(
            self._metrics.requests(route or "none", label, str(status), _CACHE_LABELS[outcome]),
            self._metrics.durations(route or "none", f"{status // 100}xx"),
            cached=(outcome in _CACHED or route in PROBES) and status < 400,
            # Only feeds and pages have an outcome.
            counts_as_read=method in ("GET", "HEAD")
            and status in _READ_STATUSES
            and outcome is not None,
        )
        if label != method:
            # Not kept: the number of made-up methods is unlimited.
            return series
        with self._lock:
            return self._series.setdefault(key, series)


def new_request_id() -> str:
    """A random id for a request."""
    return f"{random.getrandbits(64):016x}"


def _loggable_path(path: str) -> str | None:
    """The path without long segments; None if it may contain a token, even in a misspelled path."""
    return None if "private" in path.lower() else _LONG_SEGMENT.sub("…", path)[:_MAX_PATH]
