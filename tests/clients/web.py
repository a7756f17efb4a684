"""HTTP for these tests: a small file server, a page with FullCalendar, and a GET that retries."""

import re
import threading
import time
from collections.abc import Mapping
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from mimetypes import guess_type
from typing import Any, Self
from urllib.parse import urlsplit

from flask.testing import FlaskClient

from clients.programs import HERE


class FileServer:
    """A server of files in memory; use with ``with``."""

    def __init__(self, headers: Mapping[str, str] | None = None) -> None:
        self.bodies: dict[str, bytes] = {}
        self.headers = dict(headers or {})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def put(self, path: str, body: bytes) -> str:
        """Serve *body* at *path*; return the URL."""
        self.bodies[path] = body
        return self.origin + path

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def calendar_page() -> FileServer:
    """A server with a page that shows feeds by FullCalendar, from npm's packages."""
    server = FileServer()
    body = (HERE / "page" / "index.html").read_bytes()
    server.put("/", body)
    for path in re.findall('src="(/node_modules/[^"]+)"', body.decode()):
        server.put(path, (HERE / path[1:]).read_bytes())
    return server


def get_with_retries(client: FlaskClient, path: str) -> bytes:
    """Request *path* until the status is not 503, since a long walk may outlast a request."""
    until = time.monotonic() + 120
    response = client.get(path)
    while response.status_code == 503 and time.monotonic() < until:
        time.sleep(0.5)
        response = client.get(path)
    assert response.status_code == 200, response.text
    return response.data


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, server: FileServer, *arguments: Any) -> None:
        self.files = server
        super().__init__(*arguments)

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        body = self.files.bodies.get(path)
        self.send_response(404 if body is None else 200)
        for name, value in self.files.headers.items():
            self.send_header(name, value)
        kind = "text/html" if path.endswith("/") else guess_type(path)[0] or "text/plain"
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body or b"")))
        self.send_header("Connection", "close")
        self.close_connection = True
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, format: str, *args: Any) -> None:
        pass
