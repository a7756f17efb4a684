"""A server with raw sockets, for invalid, slow and missing responses."""

import json
import select
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final, Self
from urllib.parse import parse_qs, urlsplit

#: Called with the connection, the request's head and the number of earlier requests. It writes
#: the response; the connection is closed when it returns.
Script = Callable[[socket.socket, bytes, int], None]

#: A complete page without sessions. Some scripts send only the start of it.
EMPTY_PAGE: Final = b'{"count": 0, "next": null, "previous": null, "results": []}'

_REASONS = {200: "OK", 429: "Too Many Requests", 503: "Service Unavailable"}
_HEAD_LIMIT = 65_536
_CHUNK = 65_536


class RawUpstream:
    """A server on loopback that calls `script` for each connection, in a thread of its own.

    `script` may be replaced while the server runs. After `stop` it can be started again, on the
    same port. An error of a script, other than for a closed connection, is raised at the end of
    the `with` block.
    """

    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests: list[bytes] = []
        self.errors: list[BaseException] = []
        self._port = 0
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._workers: set[threading.Thread] = set()
        self._stopping = threading.Event()
        self._listener: socket.socket | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The base address without a trailing slash."""
        if not self._port:
            raise RuntimeError("not started, so there is no port yet")
        return f"http://127.0.0.1:{self._port}/api/v2"

    def start(self) -> None:
        if self._listener is not None:
            raise RuntimeError("already started")
        self._stopping.clear()
        self._listener = socket.create_server(("127.0.0.1", self._port), backlog=256)
        self._listener.settimeout(0.02)
        self._port = self._listener.getsockname()[1]
        self._thread = threading.Thread(
            target=self._accept, args=(self._listener,), name="raw-upstream"
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop at once: cut the connections and join the threads.

        Raises:
            RuntimeError: a script waits for something other than its connection.
        """
        if self._listener is None or self._thread is None:
            return
        self._stopping.set()
        self._thread.join()
        self._listener.close()
        self._listener = self._thread = None
        with self._lock:
            workers = list(self._workers)
            for connection in self._open:
                # Interrupts any read, write or `pause` of its thread.
                with suppress(OSError):  # the client has closed it already
                    connection.shutdown(socket.SHUT_RDWR)
        deadline = time.monotonic() + 5
        for worker in workers:
            worker.join(max(0.0, deadline - time.monotonic()))
        if any(worker.is_alive() for worker in workers):
            raise RuntimeError("a script does not end when its connection is cut")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.stop()
        if kind is None and self.errors:
            raise self.errors[0]

    def _accept(self, listener: socket.socket) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:  # timeout, or the client has closed the connection
                continue
            connection.settimeout(None)
            worker = threading.Thread(target=self._serve, args=(connection,), name="raw-script")
            with self._lock:
                self._open.add(connection)
                self._workers = {old for old in self._workers if old.is_alive()} | {worker}
            worker.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            request = _head(connection)
            if request:
                with self._lock:
                    number = len(self.requests)
                    self.requests.append(request)
                self.script(connection, request, number)
        except OSError:
            pass  # the client closed the connection, or the server stops
        except BaseException as error:  # noqa: BLE001 - raised again at the end of the test
            self.errors.append(error)
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()


def _head(connection: socket.socket) -> bytes:
    """The request up to the empty line; nothing if the client disconnects before it."""
    head = b""
    while b"\r\n\r\n" not in head:
        part = connection.recv(_CHUNK)
        if not part or len(head) > _HEAD_LIMIT:
            return b""
        head += part
    return head


def params_of(request: bytes) -> dict[str, list[str]]:
    """The query parameters in a request's head."""
    target = request.split(b" ", 2)[1].decode("ascii", "replace")
    return parse_qs(urlsplit(target).query, keep_blank_values=True)


def page_of(request: bytes) -> int:
    """The number of the requested page."""
    return int(params_of(request).get("page", ["1"])[-1])


def pause(connection: socket.socket, seconds: float | None) -> bool:
    """Wait (None: forever) and return whether the connection is still open.

    Returns early when the client disconnects or the server stops. Scripts must wait with this,
    never with `sleep`.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    waiter = select.poll()
    waiter.register(connection, select.POLLIN)
    while True:
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            return True
        if waiter.poll(None if left is None else left * 1000 + 1):
            try:
                if not connection.recv(_CHUNK):
                    return False
            except OSError:
                return False


def head(code: int = 200, headers: Mapping[str, str | int] | None = None) -> bytes:
    """A response's head: JSON unless `headers` override it, and `Connection: close`."""
    all_headers = {"Content-Type": "application/json", "Connection": "close", **(headers or {})}
    lines = [f"HTTP/1.1 {code} {_REASONS.get(code, 'Whatever')}"]
    lines += [f"{name}: {value}" for name, value in all_headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def page(rows: list[Any], *, count: int | None = None, next: str | None = None) -> bytes:
    """A page of these rows as JSON; by default it is the only page."""
    body = {
        "count": len(rows) if count is None else count,
        "next": next,
        "previous": None,
        "results": rows,
    }
    return json.dumps(body).encode()


def status(code: int, headers: Mapping[str, str | int] | None = None, body: bytes = b"") -> Script:
    """Answers with this status, headers and body."""
    all_headers = {"Content-Length": len(body), **(headers or {})}

    def script(connection: socket.socket, request: bytes, n: int) -> None:
        connection.sendall(head(code, all_headers) + body)

    return script


def ok(body: bytes = EMPTY_PAGE, headers: Mapping[str, str | int] | None = None) -> Script:
    """Answers 200 with this JSON."""
    return status(200, headers, body)


def redirect(location: str, code: int = 302) -> Script:
    """Redirects the client to `location`."""
    return status(code, {"Location": location})


def drip_headers(seconds_per_byte: float = 1.0, body: bytes = EMPTY_PAGE) -> Script:
    """A valid response whose headers are sent one byte at a time, and its body at once."""

    def script(connection: socket.socket, request: bytes, n: int) -> None:
        if _drip(connection, head(200, {"Content-Length": len(body)}), seconds_per_byte):
            connection.sendall(body)

    return script


def drip_body(seconds_per_byte: float = 1.0, body: bytes = EMPTY_PAGE) -> Script:
    """A valid response whose headers are sent at once, and its body one byte at a time."""

    def script(connection: socket.socket, request: bytes, n: int) -> None:
        connection.sendall(head(200, {"Content-Length": len(body)}))
        _drip(connection, body, seconds_per_byte)

    return script


def _drip(connection: socket.socket, data: bytes, seconds_per_byte: float) -> bool:
    for index in range(len(data)):
        connection.sendall(data[index : index + 1])
        if not pause(connection, seconds_per_byte):
            return False
    return True


def short_content_length(body: bytes = EMPTY_PAGE, missing: int = 10) -> Script:
    """A complete JSON text with a Content-Length that is `missing` bytes too large."""
    return ok(body, {"Content-Length": len(body) + missing})


def short_chunked(body: bytes = EMPTY_PAGE, *, within_chunk: bool = True) -> Script:
    """A chunked response that ends within a chunk; or else after a complete JSON text but
    without the last chunk, so that only the framing is incomplete."""
    size = len(body) + 10 if within_chunk else len(body)
    tail = b"" if within_chunk else b"\r\n"

    def script(connection: socket.socket, request: bytes, n: int) -> None:
        framed = f"{size:x}\r\n".encode() + body + tail
        connection.sendall(head(200, {"Transfer-Encoding": "chunked"}) + framed)

    return script


def plain_close_midway(body: bytes = EMPTY_PAGE) -> Script:
    """Half a body, ended by closing the connection: only its JSON syntax is incomplete."""

    def script(connection: socket.socket, request: bytes, n: int) -> None:
        connection.sendall(head() + body[: len(body) // 2])

    return script


def reset_in_body(body: bytes = EMPTY_PAGE) -> Script:
    """Half a body, then a connection reset (SO_LINGER 0)."""

    def script(connection: socket.socket, request: bytes, n: int) -> None:
        connection.sendall(head(200, {"Content-Length": len(body)}) + body[: len(body) // 2])
        pause(connection, 0.02)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return script


def html_ok() -> Script:
    """An HTML page with status 200, such as a captive portal or a maintenance page."""
    body = b"<!doctype html><title>We'll be right back</title><p>Maintenance</p>"
    return ok(body, {"Content-Type": "text/html; charset=utf-8"})


def invalid_utf8() -> Script:
    """JSON with a string that is not valid UTF-8."""
    return ok(EMPTY_PAGE.replace(b"null", b'"\xff\xfe\xc3("', 1))


def nan() -> Script:
    """JSON with a NaN, which is invalid but accepted by Python's parser."""
    return ok(EMPTY_PAGE.replace(b"[]", b'[{"id": 1, "max_occupancy": NaN}]'))


def deep_nesting(depth: int = 200_000) -> Script:
    """Valid JSON that is nested too deeply for a recursive parser."""
    return ok(EMPTY_PAGE.replace(b"[]", b"[" * depth + b"]" * depth))


def long_number(digits: int = 5000) -> Script:
    """An integer with this many digits: beyond 4,300, Python raises a ValueError."""
    return ok(EMPTY_PAGE.replace(b"0", b"9" * digits, 1))


def oversize(size: int, *, declared: bool = False) -> Script:
    """A valid page after `size` bytes of spaces; if `declared`, with a Content-Length."""

    def script(connection: socket.socket, request: bytes, n: int) -> None:
        length = {"Content-Length": size + len(EMPTY_PAGE)} if declared else None
        connection.sendall(head(200, length))
        spaces = b" " * _CHUNK
        for sent in range(0, size, _CHUNK):
            connection.sendall(spaces[: size - sent])
        connection.sendall(EMPTY_PAGE)

    return script


def gzip_bomb(mb: int) -> Script:
    """A valid page after `mb` MiB of spaces, compressed to about a thousandth of that."""
    spaces = b" " * 1_048_576
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    # After a full flush, blocks are independent, so the same block can be repeated.
    block = packer.compress(spaces) + packer.flush(zlib.Z_FULL_FLUSH)
    last = packer.compress(EMPTY_PAGE) + packer.flush()
    check = 0
    for _ in range(mb):
        check = zlib.crc32(spaces, check)
    check = zlib.crc32(EMPTY_PAGE, check)
    size = mb * len(spaces) + len(EMPTY_PAGE)
    magic = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
    body = magic + block * mb + last + struct.pack("<II", check, size % 2**32)
    return ok(body, {"Content-Encoding": "gzip"})


def silence() -> Script:
    """Reads the request and never answers."""

    def script(connection: socket.socket, request: bytes, n: int) -> None:
        pause(connection, None)

    return script


def switch(scripts: Mapping[int | None, Script]) -> Script:
    """Scripts by the number of the requested page, None for any other."""

    def script(connection: socket.socket, request: bytes, n: int) -> None:
        page_script = scripts.get(page_of(request)) or scripts[None]
        page_script(connection, request, n)

    return script


def in_turn(*scripts: Script) -> Script:
    """The first script for the first request, and so on; the last one for all further requests."""
    lock = threading.Lock()
    left = list(scripts)

    def script(connection: socket.socket, request: bytes, n: int) -> None:
        with lock:
            next_script = left.pop(0) if len(left) > 1 else left[0]
        next_script(connection, request, n)

    return script


@contextmanager
def unanswered(port: int = 0) -> Iterator[str]:
    """The base address of a port to which connecting times out."""
    with socket.create_server(("127.0.0.1", port), backlog=0) as listener:
        address = listener.getsockname()
        clients = [socket.socket() for _ in range(4)]
        try:
            for client in clients:  # they fill the backlog, from which nothing is accepted
                client.setblocking(False)
                client.connect_ex(address)
            yield f"http://127.0.0.1:{address[1]}/api/v2"
        finally:
            for client in clients:
                client.close()
