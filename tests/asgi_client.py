"""A test client for the ASGI application, in this process."""

import asyncio
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import unquote_to_bytes

from flask import Flask
from werkzeug.datastructures import Headers

from bridge.services import Services
from bridge.web import create_app, create_asgi


def request_scope(method: str, path: str, headers: Mapping[str, str]) -> dict[str, Any]:
    """The ASGI scope of a request, as a server would make it."""
    raw, _, query = path.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote_to_bytes(raw).decode(errors="replace"),
        "raw_path": raw.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 9),
    }


@cache
def event_loop() -> asyncio.AbstractEventLoop:
    """An event loop that runs in a thread: all requests share one, as in a worker."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="event loop", daemon=True).start()
    return loop


@dataclass(frozen=True)
class AsgiResponse:
    """A response, with the attribute names of werkzeug."""

    status_code: int
    headers: Headers
    data: bytes


class AsgiClient:
    """Sends requests to *app*, as a server would; also from several threads."""

    def __init__(self, app: Flask) -> None:
        asgi = create_asgi(app)
        assert asgi is not None
        self.asgi = asgi

    @classmethod
    def of(cls, parts: Services) -> "AsgiClient":
        """A client of a bridge with these services."""
        return cls(create_app(parts))

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> AsgiResponse:
        return self.request("GET", path, headers)

    def head(self, path: str, headers: Mapping[str, str] | None = None) -> AsgiResponse:
        return self.request("HEAD", path, headers)

    def request(
        self, method: str, path: str, headers: Mapping[str, str] | None = None
    ) -> AsgiResponse:
        """Send one request."""
        scope = request_scope(method, path, {"Host": "localhost", **(headers or {})})
        messages: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            messages.append(message)

        response = self.asgi(scope, receive, send)  # type: ignore[arg-type]
        asyncio.run_coroutine_threadsafe(response, event_loop()).result()
        start, *rest = messages
        return AsgiResponse(
            start["status"],
            Headers([(name.decode(), value.decode()) for name, value in start["headers"]]),
            b"".join(message["body"] for message in rest),
        )
