"""The gateway: how the server, which waits for many at a time, asks an application that waits."""

import asyncio
import io
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from bridge.bodies import Bodies
from bridge.cache.sized import SizedCache
from bridge.web.answers import Headers
from bridge.web.httpcache import Asked, Start
from bridge.web.lane import Lane
from bridge.web.readiness import CHARGED

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment
    from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, HTTPScope

# Bytes of requests that are remembered, and what each part of one takes, as the entry of a
# dictionary and the texts that it is.
_KNOWN_BYTES = 8_000_000
_KNOWN_PART = 220
# Where each is as short as can be: the size of all is the application's business.
MOST_HEADERS = 100
_NAMED_OTHERWISE = frozenset({"CONTENT_TYPE", "CONTENT_LENGTH"})

GONE = "gone"
"""In the state of a request: nobody waits for the answer any more."""

_Said = tuple[str, Headers, bytes]

_TOO_MANY: _Said = ("431 Request Header Fields Too Large", [("Content-Length", "0")], b"")


class Gateway:
    """An ASGI application: it asks a WSGI application, each request in a thread of its own.

    The application reads no bodies, and gives its answers in one piece.

    Args:
        application: what is asked.
        threads: that wait at most, for upstream among others.
        lane: what has some of the application's answers ready.

    Attributes:
        known: what requests come to that were answered by the lane, by their bytes.
        bodies: what is sent by the lane.
    """

    def __init__(
        self, application: "WSGIApplication", threads: int, lane: Lane | None = None
    ) -> None:
        self._application = application
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="request")
        self.lane = lane
        self.bodies = Bodies()
        self.known: SizedCache[Asked] = SizedCache(
            _KNOWN_BYTES, lambda one: _KNOWN_PART * len(one.environ)
        )

    async def __call__(
        self, scope: "HTTPScope", receive: "ASGIReceiveCallable", send: "ASGISendCallable"
    ) -> None:
        """Answer, when a thread has the answer.

        In its state a request may be :data:`~bridge.web.readiness.CHARGED` with waiting.
        """
        said = await self._said(scope)
        if said is None:
            return
        status, headers, body = said
        encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        await send({"type": "http.response.start", "status": int(status[:3]), "headers": encoded})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    async def _said(self, scope: "HTTPScope") -> _Said | None:
        if len([*scope["headers"]]) > MOST_HEADERS:
            return _TOO_MANY
        found = environ(scope)
        if CHARGED in scope["state"]:
            found[CHARGED] = True
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._ask, found, scope["state"])

    def _ask(self, found: "WSGIEnvironment", state: Mapping[str, Any]) -> _Said | None:
        # Those who ask and go could otherwise make all others wait for what nobody will read.
        if GONE in state and CHARGED not in found:
            return None
        start = Start()
        chunks = self._application(found, start)
        try:
            # the very object, where it is one
            body = b"".join([*chunks])
        finally:
            if close := getattr(chunks, "close", None):
                close()
        return start.status, start.headers, body


def environ(scope: "HTTPScope") -> "WSGIEnvironment":
    """What a request is (PEP 3333), but for its body, which is of no use here: nobody can hold a
    thread with a slow one.

    A header whose name has an underscore is left out: it would pass for another one, such as those
    that a proxy adds.
    """
    server, client = scope["server"] or ("localhost", 80), scope["client"] or ("", 0)
    found: WSGIEnvironment = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"].encode().decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1]),
        "REMOTE_ADDR": client[0],
        "REMOTE_PORT": str(client[1]),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in scope["headers"]:
        if b"_" in name:
            continue
        key = name.decode("latin-1").upper().replace("-", "_")
        if key not in _NAMED_OTHERWISE:
            key = f"HTTP_{key}"
        text = value.decode("latin-1")
        found[key] = f"{found[key]},{text}" if key in found else text
    return found
