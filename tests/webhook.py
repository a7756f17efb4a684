"""A webhook server on loopback that receives alerts and changes, as a chat service would."""

import http.server
import json
import queue
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

LONG_ENOUGH = 10.0


@dataclass(frozen=True)
class Post:
    """A received request."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class WebHook:
    """A webhook's URL, and the received requests in order.

    Attributes:
        status: of the responses.
        headers: of the responses.
        ready: while it is clear, the server does not respond.
    """

    url: str = ""
    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    posts: "queue.Queue[Post]" = field(default_factory=queue.Queue)
    ready: threading.Event = field(default_factory=threading.Event)

    def next_post(self) -> Post:
        """Wait for the next request."""
        return self.posts.get(timeout=LONG_ENOUGH)

    def next(self) -> tuple[str, Any]:
        """The content type and the JSON of the next request, when its delivery has ended.

        If a test moved the clock before that, the lease of the delivery would expire.
        """
        post = self.next_post()
        wait_for_deliveries()
        return post.headers["content-type"], post.json

    @property
    def silent(self) -> bool:
        """Whether no unread request is left after all deliveries have ended."""
        wait_for_deliveries()
        return self.posts.empty()


def wait_for_deliveries() -> None:
    """Wait until no delivery is running."""
    for thread in threading.enumerate():
        if thread.name == "delivery":
            thread.join(LONG_ENOUGH)


@contextmanager
def listening() -> Iterator[WebHook]:
    """A webhook server that runs until the end of the block."""
    hook = WebHook()
    hook.ready.set()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            hook.posts.put(Post(headers, body))
            hook.ready.wait(LONG_ENOUGH)
            self.send_response(hook.status)
            for name, value in hook.headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hook.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield hook
    finally:
        hook.ready.set()
        server.shutdown()
        server.server_close()
        thread.join()
