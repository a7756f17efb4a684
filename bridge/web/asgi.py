"""The ASGI application: the response cache in the event loop, Flask in worker threads.

Cached responses and the probes are sent from the event loop, which never blocks. All other requests
go to the Flask application, which runs in threads (a2wsgi). ``app:asgi`` is one::

    asgi = Asgi(create_app())
"""

import asyncio
import atexit
from collections.abc import Hashable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import structlog
from a2wsgi import WSGIMiddleware
from flask import Flask

from bridge.ops import watchdog
from bridge.ops.log_stream import STDERR
from bridge.services import Services
from bridge.snapshots.bulkhead import THREADS
from bridge.web import operator_routes
from bridge.web.middleware.access_log import HEADER, PROBES, AccessLog, Noted, new_identity
from bridge.web.middleware.limits import MAX_HEADER, is_host
from bridge.web.middleware.response_cache import (
    CacheRequest,
    PreparedResponse,
    RawHeaders,
    ResponseCache,
)
from bridge.web.negotiation import wants_gzip, wants_language
from bridge.web.representation import REPRESENTATION

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from a2wsgi.asgi_typing import HTTPScope, Receive, Scope, Send

log = structlog.get_logger()

_IDENTITY = HEADER.lower().encode()
# What a trusted proxy says of an address (werkzeug's ProxyFix reads it).
_FORWARDED = ("x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "x-forwarded-prefix")
_LONGEST_LANGUAGES = 1_000


class Asgi:
    """An ASGI application around the bridge's Flask application."""

    def __init__(self, app: Flask) -> None:
        self._services: Services = app.extensions["bridge"]
        self._access_log: AccessLog = app.extensions["access_log"]
        self._app = app.wsgi_app
        self._flask = WSGIMiddleware(self._wsgi, workers=THREADS)  # type: ignore[arg-type]  # its own types
        self._forwarded = _FORWARDED if self._services.config.trusted_proxies else ()
        # Clients poll with identical requests, so each is parsed once.
        self._parse = lru_cache(maxsize=256)(_parsed)
        # Of CACHE_MAX_BYTES the other half is for rendered feeds (services.py).
        self.cache = ResponseCache(
            self._services.clock,
            max_bytes=self._services.config.cache_max_bytes // 2,
            change_token=lambda: self._services.refresher.changes,
        )

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer one request, or go through the life of the worker."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["type"] != "http":
            return
        method: str = scope["method"]
        request = self._parsed(scope)
        prepared = self._ready(scope["path"], request)
        if prepared is None:
            await self._flask(_for_wsgi(scope), receive, send)
            return
        identity = new_identity()
        self._access_log.note(
            prepared.noted,
            method=method,
            path=scope["path"],
            user_agent=request.user_agent,
            status=prepared.status,
            served=prepared.served,
            identity=identity,
        )
        headers = [*prepared.headers, (_IDENTITY, identity.encode())]
        await send({"type": "http.response.start", "status": prepared.status, "headers": headers})
        body = b"" if method == "HEAD" else prepared.body
        await send({"type": "http.response.body", "body": body, "more_body": False})

    def _parsed(self, scope: "HTTPScope") -> "_Request":
        address = (scope["scheme"], scope["path"], scope["query_string"])
        version, headers = scope["http_version"], tuple(scope["headers"])
        return self._parse(version, scope["method"], address, headers, self._forwarded)

    def _ready(self, path: str, request: "_Request") -> PreparedResponse | None:
        if request.cached is None:
            return None
        return _probe(path) if path in PROBES else self.cache.get(request.cached)

    def _wsgi(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Ask the Flask application, and keep what it says; in a thread."""
        token = self.cache.token()
        chunks = self._app(environ, start_response)
        request = self._parsed(environ["asgi.scope"])
        if request.cached is not None and not request.no_store:
            self.cache.put(
                request.cached, environ.get(REPRESENTATION), token=token, noted=Noted.of(environ)
            )
        return chunks

    async def _live(self, receive: "Receive", send: "Send") -> None:
        """Watch over the worker from its start to its end (the ASGI lifespan protocol)."""
        await receive()
        dog = asyncio.create_task(watchdog.watch())
        log.info("worker started")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        # Now, and not as the process exits: leases are given back, and counts stored.
        atexit.unregister(self._services.close)
        with ThreadPoolExecutor(1) as thread:
            await asyncio.get_running_loop().run_in_executor(thread, self._close)
        dog.cancel()
        STDERR.drain(1.0)
        await send({"type": "lifespan.shutdown.complete"})

    def _close(self) -> None:
        """Let requests whose clients have gone end, which the server does not wait for, and close.

        Their threads need the event loop to the end.
        """
        self._services.stop_refreshing()
        self._flask.executor.shutdown()
        self._services.close()


@dataclass(frozen=True, slots=True)
class _Request:
    """What an HTTP request says.

    Attributes:
        cached: for the response cache; None: there is no ready answer to it.
        user_agent: what the client calls itself.
        no_store: the answer must not be kept (RFC 9111, 5.2.1.5).
    """

    cached: CacheRequest | None
    user_agent: str
    no_store: bool


def _parsed(
    version: str,
    method: str,
    address: tuple[Hashable, ...],
    headers: tuple[tuple[bytes, bytes], ...],
    forwarded: tuple[str, ...],
) -> _Request:
    """The request.

    Args:
        address: scheme, path and query.
        forwarded: the headers of a trusted proxy that count.
    """
    length = sum(len(name) + len(value) for name, value in headers)
    found: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        found[name] = f"{found[name]},{value}" if name in found else value
    languages = found.get("accept-language", "")
    cached: CacheRequest | None = None
    host = found.get("host", "")
    # All others the Flask application answers, or refuses (limits.py).
    if (
        method in ("GET", "HEAD")
        and is_host(host, f"HTTP/{version}")
        and length <= MAX_HEADER
        and len(languages) <= _LONGEST_LANGUAGES
    ):
        cached = CacheRequest(
            address=(*address, host, *map(found.get, forwarded)),
            language=wants_language(languages),
            zipped=wants_gzip(found.get("accept-encoding", "")),
            if_none_match=found.get("if-none-match"),
            if_modified_since=found.get("if-modified-since"),
        )
    return _Request(
        cached=cached,
        user_agent=found.get("user-agent", ""),
        no_store="no-store" in found.get("cache-control", "").lower(),
    )


def _for_wsgi(scope: "HTTPScope") -> Any:
    """*scope* as a WSGI environment can be made of it.

    A header whose name has an underscore is left out: it would pass for another one, such as those
    that a trusted proxy sets. So is ``Upgrade``: a server may ignore it (RFC 9110, 7.8), and Flask
    answers 400 where a WebSocket is offered. An address is ASCII (RFC 3986, 2.1), but curl sends
    what was typed.
    """
    headers: RawHeaders = [
        pair for pair in scope["headers"] if b"_" not in pair[0] and pair[0] != b"upgrade"
    ]
    query = scope["query_string"]
    if not query.isascii():
        query = quote(query, safe="!$%&'()*+,-./:;=?@_~").encode()
    return {**scope, "headers": headers, "query_string": query}


@cache
def _probe(path: str) -> PreparedResponse:
    status, body, headers = operator_routes.probe(path)
    return PreparedResponse(
        status=status,
        headers=[(name.lower().encode(), value.encode()) for name, value in headers.items()]
        + [(b"content-length", b"%d" % len(body))],
        body=body,
        served=None,
        noted=Noted(path, None),
    )
