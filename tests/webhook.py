"""A web hook on loopback, which takes alerts as a chat service would."""

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
    """Its address, and what came in: content type and JSON, in turn."""

    url: str
    got: "queue.Queue[tuple[str, Any]]" = field(default_factory=queue.Queue)

    def next(self) -> tuple[str, Any]:
        """What comes in next."""
        return self.got.get(timeout=LONG_ENOUGH)

    @property
    def silent(self) -> bool:
        """Whether nothing more came in, now that every delivery has ended."""
        for thread in threading.enumerate():
            if "_deliver" in thread.name:
                thread.join(LONG_ENOUGH)
        return self.got.empty()


@contextmanager
def listening() -> Iterator[WebHook]:
    """A web hook that answers until the end of the block."""

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
