"""Two sites on loopback: one with calendars, as another server of theirs, and one with a page."""

import re
import threading
from collections.abc import Mapping
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from mimetypes import guess_type
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from clients.programs import HERE


class Site:
    """A server of a few files in memory or below some folders; to be used with ``with``."""

    def __init__(self, headers: Mapping[str, str] | None = None) -> None:
        self.bodies: dict[str, bytes] = {}
        self.headers = dict(headers or {})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def put(self, path: str, body: bytes) -> str:
        """Serve *body* at *path*; its address."""
        self.bodies[path] = body
        return self.origin + path

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def page() -> Site:
    """A site's own page, with FullCalendar from npm's packages beside it."""
    site = Site()
    body = (HERE / "page" / "index.html").read_bytes()
    site.put("/", body)
    for path in re.findall('src="(/node_modules/[^"]+)"', body.decode()):
        site.put(path, (HERE / path[1:]).read_bytes())
    return site


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, site: Site, *arguments: Any) -> None:
        self.site = site
        super().__init__(*arguments)

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        body = self.site.bodies.get(path)
        self.send_response(404 if body is None else 200)
        for name, value in self.site.headers.items():
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
