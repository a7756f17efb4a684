"""Serves the sandbox API on a loopback port, in a background thread."""

import socket
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs
from weakref import WeakSet

from flask import Flask
from werkzeug.datastructures import EnvironHeaders, Headers
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server
from werkzeug.test import run_wsgi_app

from bridge.sandbox.api import BASE_PATH, TOKEN, create_api
from bridge.sandbox.studio import Studio

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

HOST = "127.0.0.1"
PORT = 8001
# seconds; also the longest time until the loop notices stop()
POLL_INTERVAL = 0.05
_MAX_RECORDED = 10_000


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """A received request.

    Attributes:
        path: as sent, without the query string.
        args: query parameter → its values in order, including blank ones.
        headers: names are case-insensitive.
    """

    method: str
    path: str
    args: dict[str, list[str]]
    headers: Headers


class SandboxServer:
    """Serves an API of `create_api` over HTTP on a loopback address.

    Binds the port when created and answers requests between `start` and `stop`, or within ``with``.
    A stopped server can be started again on the same port.

    Args:
        port: 0 for a free port.

    Attributes:
        app: the API; may be replaced while the server runs.
        requests: the latest 10,000 requests; may be cleared.
    """

    def __init__(self, app: Flask, port: int = 0) -> None:
        self.app = app
        self.requests: list[RecordedRequest] = []
        self._connections: WeakSet[socket.socket] = WeakSet()
        self._connections_lock = threading.Lock()
        self._server: BaseWSGIServer | None = self._bind(port)
        self._port = int(self._server.server_address[1])
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Base URL of the API, such as ``http://127.0.0.1:54321/api/v2``."""
        return f"{self.origin}{BASE_PATH}"

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"http://{HOST}:{self._port}"

    @property
    def running(self) -> bool:
        """Whether the background thread is running."""
        return self._thread is not None

    def start(self) -> None:
        """Start answering requests in a background thread."""
        if self._thread is not None:
            return
        server = self._server = self._server or self._bind(self._port)
        self._thread = threading.Thread(
            target=server.serve_forever, args=(POLL_INTERVAL,), name="sandbox", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop answering, close all connections and release the port."""
        if self._server is None:
            return
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        self._server = self._thread = None
        with self._connections_lock:
            for connection in self._connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def run(self) -> None:
        """Answer requests in this thread until interrupted."""
        server = self._server = self._server or self._bind(self._port)
        try:
            server.serve_forever()
        finally:
            server.server_close()
            self._server = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        err: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _bind(self, port: int) -> BaseWSGIServer:
        # Bound here: werkzeug would print advice and exit the process where the port is in use.
        with socket.create_server((HOST, port), backlog=128) as listener:
            return make_server(
                HOST,
                port,
                self._record,
                threaded=True,
                request_handler=_Handler,
                fd=listener.fileno(),
            )

    def _record(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        with self._connections_lock:
            self._connections.add(environ["werkzeug.socket"])
        self.requests.append(
            RecordedRequest(
                environ["REQUEST_METHOD"],
                environ["PATH_INFO"],
                parse_qs(environ["QUERY_STRING"], keep_blank_values=True),
                Headers(list(EnvironHeaders(environ))),
            )
        )
        del self.requests[:-_MAX_RECORDED]
        return self.app(environ, start_response)


class _Handler(WSGIRequestHandler):
    """Keeps connections open, as TeamUp does and werkzeug does not; logs only errors."""

    protocol_version = "HTTP/1.1"
    # Send head and body in one segment, without delay.
    wbufsize = -1
    disable_nagle_algorithm = True

    def run_wsgi(self) -> None:
        chunks, status, headers = run_wsgi_app(self.server.app, self.make_environ())
        body = b"".join(chunks)
        self.send_response(int(status[:3]))
        for name, value in headers:
            self.send_header(name, value)
        if self.command != "GET":
            # The request's body may not have been read.
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        if len(body) != headers.get("Content-Length", type=int):
            self.close_connection = True

    def finish(self) -> None:
        # The client may disconnect before the end of the response.
        with suppress(ConnectionError):
            super().finish()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


def serve_forever(
    studio: Studio, *, port: int = PORT, token: str = TOKEN, announce: Callable[[str], Any] = print
) -> None:
    """Serve *studio* until interrupted; *announce* is called with one line that has the URL."""
    server = SandboxServer(create_api(studio, token=token), port)
    announce(f"The sandbox studio answers at {server.url} (token: {token})")
    server.run()
