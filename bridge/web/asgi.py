"""The ASGI application: the response cache in the event loop, Flask in worker threads.

Cached responses and the probes are sent from the event loop, which never blocks. All other requests
go to the Flask application, which runs in threads (a2wsgi).

    asgi = Asgi(create_app())
"""

import asyncio
import atexit
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import structlog
from a2wsgi import WSGIMiddleware
from flask import Flask
from werkzeug.http import parse_list_header

from bridge import __version__
from bridge.config import Config
from bridge.ops import watchdog
from bridge.ops.log_stream import STDERR
from bridge.services import SHARE_DIVISOR
from bridge.snapshots.bulkhead import THREADS
from bridge.web import error_pages, operator_routes
from bridge.web.middleware.access_log import (
    PROBES,
    REQUEST_ID_HEADER,
    STARTED_KEY,
    AccessLog,
    RouteInfo,
    new_request_id,
)
from bridge.web.middleware.limits import MAX_HEADER, is_host
from bridge.web.middleware.response_cache import (
    CacheRequest,
    PreparedResponse,
    RawHeaders,
)
from bridge.web.negotiation import accepts_gzip, preferred_language
from bridge.web.representation import REPRESENTATION_KEY
from bridge.web.sites import Site, Sites
from bridge.web.thread_limit import ThreadLimit

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from a2wsgi.asgi_typing import HTTPScope, Receive, Scope, Send, SendEvent

log = structlog.get_logger()

_REQUEST_ID = REQUEST_ID_HEADER.lower().encode()
# Headers of a trusted proxy that change the address of a page (werkzeug's ProxyFix).
_FORWARDED = ("x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "x-forwarded-prefix")
# Characters of a header for content negotiation that is parsed in the event loop.
_MAX_ACCEPT = 1_000


class Asgi:
    """The ASGI application, around the bridge's Flask application."""

    def __init__(self, app: Flask) -> None:
        self._sites: Sites = app.extensions["sites"]
        self._server_settings: Config = app.extensions["server"]
        self._access_log: AccessLog = app.extensions["access_log"]
        self._app = app.wsgi_app
        self._begin = app.extensions.get("begin", lambda: None)
        self._flask = WSGIMiddleware(self._wsgi, workers=THREADS)  # type: ignore[arg-type]  # a2wsgi has its own WSGI types
        parse = partial(_parse, self._sites)
        # Clients poll with identical requests, so each is parsed once.
        self._parse = lru_cache(maxsize=256)(parse)
        # No studio takes all threads.
        threads = THREADS // SHARE_DIVISOR if self._sites.many else THREADS
        self._limits = {site: ThreadLimit(threads) for site in self._sites.all}

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Handle one request, or the lifespan of the worker."""
        started = time.monotonic()
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if scope["type"] != "http":
            return
        sending = False

        async def forward(message: "SendEvent") -> None:
            nonlocal sending
            sending = True
            await send(message)

        try:
            request = self._request(scope)
            prepared = self._prepared_response(request)
            if prepared is not None:
                head = self._record(scope, prepared, started=started, request=request)
                sending = True
                await _send(scope, send, head, prepared.body)
                return
            async with self._place(request):
                await self._flask(_sanitised(scope) | {STARTED_KEY: started}, receive, forward)
        except Exception:
            if sending:
                # The server logs the exception and closes the connection.
                raise
            request_id = new_request_id()
            log.exception("request failed", request_id=request_id)
            response = _failure(request_id)
            head = self._record(scope, response, started=started, request_id=request_id)
            await _send(scope, send, head, response.body)

    def _place(self, request: "_Request") -> AbstractAsyncContextManager[None]:
        """A thread for the Flask application."""
        if request.site is None:
            return nullcontext()
        # Once a second one request per cached feed checks for a newer response: it must not wait
        # behind requests for new feeds.
        cached = request.cache_request is not None and request.site.responses.is_valid(
            request.cache_request
        )
        return self._limits[request.site].place(at_once=cached)

    def _record(
        self,
        scope: "HTTPScope",
        prepared: PreparedResponse,
        *,
        started: float,
        request: "_Request | None" = None,
        request_id: str = "",
    ) -> "SendEvent":
        """Record a response that is about to be sent; the message with its status and headers.

        Args:
            request: the parsed request; None if that failed.
            request_id: by default a new one.
        """
        request_id = request_id or new_request_id()
        site = request.site if request is not None else None
        (site.access_log if site else self._access_log).record(
            prepared.route_info,
            method=scope["method"],
            path=scope["path"],
            user_agent=request.user_agent if request is not None else "",
            status=prepared.status,
            outcome=prepared.outcome,
            started=started,
            request_id=request_id,
        )
        headers = [*prepared.headers, (_REQUEST_ID, request_id.encode())]
        return {"type": "http.response.start", "status": prepared.status, "headers": headers}

    def _request(self, scope: "HTTPScope") -> "_Request":
        address = (scope["scheme"], scope["path"], scope["query_string"])
        version, headers = scope["http_version"], tuple(scope["headers"])
        return self._parse(version, scope["method"], address, headers)

    def _prepared_response(self, request: "_Request") -> PreparedResponse | None:
        if request.probe is not None:
            return self._probe_response(request.probe, request)
        if request.cache_request is None or request.site is None:
            return None
        return request.site.responses.get(request.cache_request)

    def _probe_response(self, path: str, request: "_Request") -> PreparedResponse:
        sites = self._sites.all if request.site is None else (request.site,)
        status, body, headers = operator_routes.probe(
            path,
            [site.services for site in sites],
            request.site.services.config if request.site else self._server_settings,
            request.authorization,
        )
        return _plain_response(status, headers, body, RouteInfo(path, None))

    def _wsgi(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Call the Flask application in a thread, and cache its response."""
        environ[STARTED_KEY] = environ["asgi.scope"][STARTED_KEY]
        request = self._request(environ["asgi.scope"])
        if request.site is None or request.cache_request is None or request.no_store:
            return self._app(environ, start_response)
        token = request.site.responses.token()
        chunks = self._app(environ, start_response)
        request.site.responses.put(
            request.cache_request,
            environ.get(REPRESENTATION_KEY),
            token=token,
            route_info=RouteInfo.of(environ),
        )
        return chunks

    async def _lifespan(self, receive: "Receive", send: "Send") -> None:
        """Start and stop the worker (the ASGI lifespan protocol)."""
        await receive()
        self._begin()
        watchdog_task = asyncio.create_task(watchdog.watch())
        log.info("worker started", version=__version__)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        # Release leases and store counts now, not when the process exits.
        atexit.unregister(self._sites.close)
        with ThreadPoolExecutor(1) as thread:
            await asyncio.get_running_loop().run_in_executor(thread, self._close)
        watchdog_task.cancel()
        STDERR.drain(1.0)
        await send({"type": "lifespan.shutdown.complete"})

    def _close(self) -> None:
        """Wait for the threads of requests whose clients have disconnected, and close the services.

        The server does not wait for these threads, and they need the running event loop.
        """
        self._sites.stop_refreshing()
        self._flask.executor.shutdown()
        self._sites.close()


async def _send(scope: "HTTPScope", send: "Send", head: "SendEvent", body: bytes) -> None:
    await send(head)
    sent = b"" if scope["method"] == "HEAD" else body
    await send({"type": "http.response.body", "body": sent, "more_body": False})


@dataclass(frozen=True, slots=True)
class _Request:
    """The parsed headers of an HTTP request.

    Attributes:
        site: the site of the studio; None if the address belongs to no studio.
        cache_request: for the response cache; None if the response cannot be cached.
        probe: the path of a probe below the studio's prefix; None for other requests.
        no_store: whether the response must not be stored (RFC 9111, 5.2.1.5).
        authorization: the header's value; empty without it.
    """

    site: Site | None
    cache_request: CacheRequest | None
    probe: str | None
    user_agent: str
    no_store: bool
    authorization: str = field(repr=False)


def _parse(
    sites: Sites,
    version: str,
    method: str,
    address: tuple[str, str, bytes],
    headers: tuple[tuple[bytes, bytes], ...],
) -> _Request:
    """Parse a request.

    Args:
        address: scheme, path and query.
    """
    hops = sites.all[0].services.config.trusted_proxies
    length = sum(len(name) + len(value) for name, value in headers)
    values: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        values[name] = f"{values[name]},{value}" if name in values else value
    languages, codings = values.get("accept-language", ""), values.get("accept-encoding", "")
    cache_request: CacheRequest | None = None
    probe: str | None = None
    host = values.get("host", "")
    site, prefix = sites.find(
        _proxied_host(host, values.get("x-forwarded-host", ""), hops), address[1]
    )
    # All other requests go to the Flask application, which may reject them (limits.py).
    if (
        method in ("GET", "HEAD")
        and is_host(host, f"HTTP/{version}")
        and length <= MAX_HEADER
        and len(languages) <= _MAX_ACCEPT
        and len(codings) <= _MAX_ACCEPT
    ):
        path = address[1].removeprefix(prefix)
        # The readiness of the server says nothing about an unknown studio.
        probe = path if path in PROBES and (site is not None or not prefix) else None
        if site is not None and probe is None:
            cache_request = CacheRequest(
                address=(*address, host, *map(values.get, _FORWARDED if hops else ())),
                language=preferred_language(languages, site.services.config.feed_language),
                gzipped=accepts_gzip(codings),
                if_none_match=values.get("if-none-match"),
                if_modified_since=values.get("if-modified-since"),
            )
    return _Request(
        site=site,
        cache_request=cache_request,
        probe=probe,
        user_agent=values.get("user-agent", ""),
        no_store="no-store" in values.get("cache-control", "").lower(),
        authorization=values.get("authorization", ""),
    )


def _plain_response(
    status: int, headers: Mapping[str, str], body: bytes, route_info: RouteInfo
) -> PreparedResponse:
    """A response that is not from the cache."""
    raw: RawHeaders = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    raw.append((b"content-length", b"%d" % len(body)))
    return PreparedResponse(
        status=status, headers=raw, body=body, outcome=None, route_info=route_info
    )


def _failure(request_id: str) -> PreparedResponse:
    """The response if there was an exception outside of the Flask application."""
    text = f"{error_pages.TITLES[500]}. {error_pages.logged_as(request_id)}\n"
    headers = operator_routes.PLAIN_NO_STORE
    return _plain_response(500, headers, text.encode(), RouteInfo(None, None))


def _proxied_host(host: str, forwarded: str, hops: int) -> str:
    """The host that the visitor asked for.

    Args:
        forwarded: X-Forwarded-Host, as werkzeug's ProxyFix reads it.
        hops: the number of trusted proxies.
    """
    values = parse_list_header(forwarded) if hops else []
    return (values[-hops] if len(values) >= hops > 0 else "") or host


def _sanitised(scope: "HTTPScope") -> Any:
    """*scope* without what a WSGI environment cannot represent.

    Headers with an underscore in their name are removed: in WSGI they look like the header with a
    hyphen, for example one that a trusted proxy sets. ``Upgrade`` is removed: a server may ignore
    it (RFC 9110, 7.8), but Flask would answer an offered WebSocket with 400. Non-ASCII characters
    in the query, which some clients send although RFC 3986, 2.1 forbids it, are percent-encoded.
    """
    headers: RawHeaders = [
        pair for pair in scope["headers"] if b"_" not in pair[0] and pair[0] != b"upgrade"
    ]
    query = scope["query_string"]
    if not query.isascii():
        query = quote(query, safe="!$%&'()*+,-./:;=?@_~").encode()
    return {**scope, "headers": headers, "query_string": query}
