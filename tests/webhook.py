"""A webhook server on loopback that receives alerts, as a chat service would."""

import http.server
import json
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

LONG_ENOUGH = 10.0


@dataclass
class WebHook:
    """A webhook's URL, and the received requests in order: content type and JSON."""

    url: str
    got: "queue.Queue[tuple[str, Any]]" = field(default_factory=queue.Queue)

    def next(self) -> tuple[str, Any]:
        """Wait for the next request."""
        return self.got.get(timeout=LONG_ENOUGH)

    @property
    def silent(self) -> bool:
        """Whether no unread request is left after all deliveries have ended."""
        for thread in threading.enumerate():
            if "_deliver" in thread.name:
                thread.join(LONG_ENOUGH)
        return self.got.empty()


@contextmanager
def listening() -> Iterator[WebHook]:
    """A webhook server that runs until the end of the block."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.got.put((self.headers["Content-Type"], json.loads(body)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hook = WebHook(f"http://127.0.0.1:{server.server_port}/hook")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield hook
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
