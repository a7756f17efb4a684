"""granian's HTTP behaviour: what the bridge relies on, and deviations from the RFCs.

Raw sockets against one bridge that runs as in production. A test named ``test_deviation…``, or a
case with that comment, checks current behaviour that an RFC forbids. docs/operations.md lists all
deviations: if a new version of granian changes one, update both.
"""

import http.client
import os
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from clocks import wait_until
from faults.fleet import TOKEN, Machine

from bridge.sandbox.api import create_api
from bridge.sandbox.demo_timetable import demo_studio
from bridge.sandbox.http_server import SandboxServer

FEED = "/venues/12.ics"
LARGE_FEED = "/sessions.ics"
SECONDS = 10.0
PROMPT_SECONDS = 5.0
"""Limit for an answer while other clients are slow. Usually it takes a millisecond; a server that
waits for the slow clients would not answer at all."""

CHUNKED = "Transfer-Encoding: chunked"
LENGTH = "Content-Length: 4"
H2C = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")
WEBSOCKET = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/fd").is_dir(), reason="the open files of the server are read from /proc"
)
_numbers = count()


def uncached_host() -> str:
    """A host name that no earlier request had, so no response for it is cached."""
    return f"host-{next(_numbers)}.example"


def request(
    target: str | bytes,
    *headers: str,
    method: str = "GET",
    host: str | None = "feeds.example",
    version: str = "HTTP/1.1",
    body: bytes = b"",
) -> bytes:
    """The bytes of a request; with *host* None it has only the Host headers in *headers*."""
    target = target if isinstance(target, bytes) else target.encode()
    lines = [*([] if host is None else [f"Host: {host}"]), *headers, "", ""]
    head = b"%s %s %s\r\n" % (method.encode(), target, version.encode())
    return head + "\r\n".join(lines).encode("latin-1") + body


class RawClient:
    """A client that sends the given bytes, each call in a separate packet."""

    def __init__(self, port: int, *, receive_buffer: int | None = None) -> None:
        self.socket = socket.socket()
        self.socket.settimeout(SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect(("127.0.0.1", port))
        self.send = self.socket.sendall
        self._stream = self.socket.makefile("rb")
        self.version = ""

    def close(self) -> None:
        self._stream.close()
        self.socket.close()

    def response(self, *, head_only: bool = False) -> tuple[int, http.client.HTTPMessage, bytes]:
        """Read the status, headers and body of the next response.

        Args:
            head_only: it is the response to a HEAD request, so no body follows.
        """
        version, status, _ = self._stream.readline().decode().split(" ", 2)
        self.version = version
        headers = http.client.parse_headers(self._stream)
        length = 0 if head_only or status == "304" else int(headers["Content-Length"])
        body = self._stream.read(length)
        assert len(body) == length
        return int(status), headers, body

    def ask(self, target: str, *headers: str, **options: Any) -> int:
        """Send a request other than HEAD and read the response; return its status."""
        self.send(request(target, *headers, **options))
        return self.response()[0]

    def page(self, target: str, *headers: str, **options: Any) -> bytes:
        """Send a request and read the response, which must be 200; return its body."""
        self.send(request(target, *headers, **options))
        status, _, body = self.response()
        assert status == 200
        return body

    def closed(self) -> bool:
        """Whether the server closes the connection without sending more."""
        try:
            return self._stream.read(1) == b""
        except ConnectionResetError:
            return True

    def rejected(self, status: int = 400) -> bool:
        """Whether the server itself answers with *status*, so the bridge gets no request."""
        answer, headers, body = self.response()
        by_server = "X-Request-Id" not in headers and headers["Connection"] == "close"
        return (answer, body) == (status, b"") and by_server and self.closed()


@pytest.fixture(scope="module")
def upstream() -> Iterator[SandboxServer]:
    studio = demo_studio(datetime.now(UTC).date())
    with SandboxServer(create_api(studio, token=TOKEN, requests_per_minute=100_000)) as server:
        yield server


@pytest.fixture(scope="module")
def bridge(upstream: SandboxServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    store = f"sqlite:///{tmp_path_factory.mktemp('store')}/bridge.sqlite3"
    with Machine(upstream.url, store, TRUSTED_PROXIES="1") as machine:
        assert machine.get(LARGE_FEED).status == 200
        yield machine


@pytest.fixture
def connect(bridge: Machine) -> Iterator[Callable[..., RawClient]]:
    """Opens connections; closes all at the end of the test."""
    with ExitStack() as stack:

        def open_connection(machine: Machine = bridge, **options: Any) -> RawClient:
            client = RawClient(machine.port, **options)
            stack.callback(client.close)
            return client

        yield open_connection


@pytest.fixture
def client(connect: Callable[..., RawClient]) -> RawClient:
    return connect()


def test_pipelined_requests_are_answered_completely_and_in_order(
    connect: Callable[..., RawClient],
) -> None:
    new = uncached_host()
    requests = [
        (request(FEED), 200),
        (request("/nowhere"), 404),
        (request(FEED, method="HEAD"), 200),
        (request(FEED, "If-None-Match: *"), 304),
        (request(LARGE_FEED, host=new), 200),
        (request("/nowhere", method="HEAD"), 404),
        (request("/healthz"), 200),
        (request("/venues/12.json", "If-None-Match: *", host=new), 304),
    ] * 3
    pipelined = connect()
    pipelined.send(b"".join(data for data, _ in requests))
    for data, expected in requests:
        alone, head_only = connect(), data.startswith(b"HEAD")
        alone.send(data)
        status, _, body = pipelined.response(head_only=head_only)
        assert status == expected
        assert body == alone.response(head_only=head_only)[2]


@pytest.mark.parametrize(
    ("target", "status"), [(FEED, 200), ("/nowhere", 404), ("/venues/12-café-東京.ics", 200)]
)
def test_a_request_sent_byte_by_byte_is_answered(
    client: RawClient, target: str, status: int
) -> None:
    for byte in request(target):
        client.send(bytes([byte]))
    assert client.response()[0] == status


@pytest.mark.parametrize("offer", [H2C, (*WEBSOCKET, KEY)], ids=["h2c", "websocket"])
def test_an_offer_to_upgrade_is_ignored(client: RawClient, offer: tuple[str, ...]) -> None:
    for host in ("feeds.example", uncached_host()):
        for target in (FEED, "/", "/healthz"):
            assert client.ask(target, *offer, host=host) == 200


class TestBodies:
    @pytest.mark.parametrize("target", ["/healthz", FEED, "/nowhere"])
    @pytest.mark.parametrize("chunked", [False, True])
    def test_the_body_of_a_get_request_is_not_parsed_as_a_request(
        self, client: RawClient, target: str, chunked: bool
    ) -> None:
        body = request("/hidden")
        header = f"Content-Length: {len(body)}"
        if chunked:
            header = CHUNKED
            body = b"%x;a=b\r\n%s\r\n0\r\nHost: trailer\r\n\r\n" % (len(body), body)
        client.send(
            request(target, header, body=body) + request("/robots.txt", "Connection: close")
        )
        assert client.response()[0] == (404 if target == "/nowhere" else 200)
        assert client.response()[2].startswith(b"User-agent")
        assert client.closed()

    @pytest.mark.parametrize("header", ["Content-Length: 10000000", CHUNKED])
    @pytest.mark.parametrize(("target", "status"), [("/healthz", 200), ("/nowhere", 404)])
    def test_the_server_does_not_wait_for_a_body_and_closes_the_connection(
        self, client: RawClient, target: str, status: int, header: str
    ) -> None:
        assert client.ask(target, header) == status
        assert client.closed()

    @pytest.mark.parametrize(
        ("headers", "body"),
        [
            ((LENGTH, CHUNKED), b"0\r\n\r\n"),
            ((CHUNKED, LENGTH), b"0\r\n\r\n"),
            ((CHUNKED,), b"zz\r\n0\r\n\r\n"),
            ((CHUNKED,), b"3\nabc\n0\n\n"),
            ((CHUNKED,), b"3\r\nabcdef\r\n0\r\n\r\n"),
            ((CHUNKED,), b"f" * 17 + b"\r\n0\r\n\r\n"),
        ],
    )
    def test_after_a_body_with_an_ambiguous_end_the_connection_is_closed(
        self, client: RawClient, headers: tuple[str, ...], body: bytes
    ) -> None:
        client.send(request(FEED, *headers, body=body) + request("/healthz"))
        assert client.response()[0] == 200
        assert client.closed()

    @pytest.mark.parametrize("codings", ["gzip, chunked", "chunked, chunked"])
    def test_deviation_only_the_last_transfer_coding_is_checked(
        self, client: RawClient, codings: str
    ) -> None:
        """RFC 9112, 6.1: 501 for an unknown coding; chunked is applied once."""
        first = request(FEED, f"Transfer-Encoding: {codings}", body=b"0\r\n\r\n")
        client.send(first + request("/robots.txt"))
        assert client.response()[0] == 200
        assert client.response()[2].startswith(b"User-agent")


REJECTED = {
    "two lengths": request(FEED, LENGTH, "Content-Length: 5"),
    "a list of lengths": request(FEED, "Content-Length: 4, 4"),
    "a negative length": request(FEED, "Content-Length: -1"),
    "a length with a sign": request(FEED, "Content-Length: +4"),
    "a hexadecimal length": request(FEED, "Content-Length: 0x4"),
    "a length of 65 bits": request(FEED, f"Content-Length: {1 << 64}"),
    "a space before the colon": request(FEED, "Content-Length : 4"),
    "a space before another colon": request(FEED, "Transfer-Encoding : chunked"),
    "an unknown coding": request(FEED, "Transfer-Encoding: xchunked"),
    "chunked not last": request(FEED, "Transfer-Encoding: chunked, identity"),
    "chunked not last, in two headers": request(FEED, CHUNKED, "Transfer-Encoding: gzip"),
    "chunked in HTTP/1.0": request(FEED, CHUNKED, version="HTTP/1.0"),
    "a folded header": request(FEED, "X: folded", " header"),
    "a carriage return": request(FEED, "X: a\rb"),
    "a zero byte": request(FEED, "X: a\0b"),
    "a header without a colon": request(FEED, "X"),
    "a path that is not UTF-8": request(b"/\xff"),
    "an incomplete character": request(b"/\xc3"),
    "a space in the path": request("/a b"),
    "a control character in the path": request("/\x01"),
    "a character that is invalid in a path": request("/<"),
    "an empty target": request(""),
    "a method that is no token": request(FEED, method="G(T"),
    "HTTP/0.9": b"GET /\r\n\r\n",
    # Deviations. RFC 9110, 6.2: HTTP/1.2 is read as HTTP/1.1; 15.6.6: 505 for HTTP/2.0.
    "HTTP/1.2": request(FEED, version="HTTP/1.2"),
    "HTTP/2.0": request(FEED, version="HTTP/2.0"),
    "TLS": b"\x16\x03\x01" + bytes(range(256)),
}


@pytest.mark.parametrize("kind", REJECTED)
def test_a_malformed_request_is_rejected_and_later_ones_are_not_read(
    client: RawClient, kind: str
) -> None:
    client.send(REJECTED[kind] + b"0\r\n\r\n" + request("/healthz"))
    assert client.rejected()


class TestVersions:
    def test_http_1_0_connections_are_closed_without_keep_alive(
        self, connect: Callable[..., RawClient]
    ) -> None:
        """Deviation: the response is HTTP/1.0 too. RFC 9110, 6.2: the server's highest version."""
        for host in ("feeds.example", None):
            client = connect()
            assert client.ask(FEED, version="HTTP/1.0", host=host) == 200
            assert client.version == "HTTP/1.0"
            assert client.closed()
        client = connect()
        for _ in range(2):
            client.send(request(FEED, "Connection: keep-alive", version="HTTP/1.0"))
            assert client.response()[1]["Connection"] == "keep-alive"

    def test_deviation_the_preface_of_http_2_is_not_answered(self, client: RawClient) -> None:
        """RFC 9110, 15.6.6: 505."""
        client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        assert client.closed()


class TestTargetsAndHosts:
    @pytest.mark.parametrize(
        ("target", "status"),
        [
            ("http://feeds.example/venues/12.ics", 200),
            ("/venues/12-café.ics", 200),
            ("/venues/12-caf%C3%A9.ics", 200),
            ("/venues/12-%ff.ics", 200),
            ("/%ff", 404),
            ("/%00", 404),
            ("/%zz", 404),
            ("//evil.example/x", 404),
            (f"{FEED}?venues=é", 400),
            (f"{FEED}?venues=%ff", 400),
        ],
    )
    def test_unusual_targets_are_answered_by_the_bridge(
        self, client: RawClient, target: str, status: int
    ) -> None:
        new = uncached_host()
        assert [client.ask(target, host=host) for host in (new, new)] == [status, status]

    def test_deviation_targets_in_an_invalid_form_are_answered(self, client: RawClient) -> None:
        """RFC 9112, 3: 400 for a target without a slash, and for one with a fragment."""
        assert client.ask(f"{FEED}#x") == 200
        client.send(request("evil.example:80"))
        status, headers, _ = client.response()
        assert (status, headers["Location"]) == (308, "http://feeds.example/")

    @pytest.mark.parametrize("scheme", ["http", "https", "ftp"])
    def test_deviation_host_takes_precedence_over_an_absolute_target(
        self, client: RawClient, scheme: str
    ) -> None:
        """RFC 9112, 3.2.2: the target's host does, and Host is ignored."""
        target = f"{scheme}://target.example/"
        for _ in range(2):
            page = client.page(target)
            assert b"http://feeds.example/" in page
            assert b"target.example" not in page
            assert b"http://target.example/" in client.page(target, host=None)

    @pytest.mark.parametrize(
        "hosts",
        [
            (),
            ("",),
            ("a.example", "a.example"),
            ("a.example", "b.example"),
            ("a.example, b.example",),
            ("a b",),
            ("a.example/b",),
            ("a.example:port",),
            ("user@a.example",),
            ("<script>",),
            ("\xe9",),
            ("[::1",),
        ],
    )
    def test_a_request_without_exactly_one_valid_host_is_refused(
        self, client: RawClient, hosts: tuple[str, ...]
    ) -> None:
        """RFC 9112, 3.2."""
        headers = [f"Host: {host}" for host in hosts]
        for _ in range(2):
            assert client.ask("/", *headers, host=None) == 400
            assert client.ask(FEED, *headers, host=None) == 400
            assert client.ask("/healthz", *headers, host=None) == 400

    @pytest.mark.parametrize(
        ("name", "value", "shown"),
        [
            ("Host", "evil.example", b"http://evil.example/"),
            ("Proto", "https", b"https://host-"),
            ("Prefix", "/evil", b'"/evil/'),
        ],
    )
    def test_headers_with_underscores_are_not_read_as_forwarded_headers(
        self, client: RawClient, name: str, value: str, shown: bytes
    ) -> None:
        host = uncached_host()
        for _ in range(2):
            assert shown not in client.page("/", f"X_Forwarded_{name}: {value}", host=host)
            assert shown not in client.page("/", host=host)
            assert shown in client.page("/", f"X-Forwarded-{name}: {value}", host=host)


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("POST", FEED, 405),
        ("TRACE", FEED, 405),
        ("OPTIONS", FEED, 200),
        ("CONNECT", "feeds.example:80", 405),
        # RFC 9110, 9.1: names are case-sensitive.
        ("get", FEED, 405),
        ("head", FEED, 405),
        # Deviations. RFC 9110, 9.1: 501 for an unknown method; 9.3.7.
        ("BREW", FEED, 405),
        ("OPTIONS", "*", 404),
    ],
)
def test_other_methods_are_answered_and_the_connection_stays_usable(
    client: RawClient, method: str, target: str, status: int
) -> None:
    assert client.ask(target, method=method) == status
    assert client.page("/healthz").startswith(b"ok ")


@pytest.mark.parametrize(
    ("target", "headers", "status", "by_server"),
    [
        ("/" + "a" * 3_999, (), 404, False),
        ("/" + "a" * 4_001, (), 414, False),
        ("/" + "a" * 65_600, (), 414, True),
        (f"{FEED}?{'a' * 8_001}", (), 414, False),
        (FEED, (f"X: {'a' * 15_000}",), 200, False),
        (FEED, (f"X: {'a' * 16_001}",), 431, False),
        ("/healthz", (f"X: {'a' * 16_001}",), 431, False),
        (FEED, (f"X: {'a' * 8_000}",) * 5, 431, False),
        (FEED, ("X: 1",) * 99, 200, False),
        (FEED, ("X: 1",) * 100, 431, True),
    ],
    ids=lambda value: str(value)[:12],
)
def test_too_long_requests_are_refused(
    client: RawClient, target: str, headers: tuple[str, ...], status: int, by_server: bool
) -> None:
    client.send(request(target, *headers))
    assert client.rejected(status) if by_server else client.response()[0] == status


class TestManyClients:
    def responds(self, connect: Callable[..., RawClient]) -> bool:
        """Whether a cached response and two from Flask arrive within PROMPT_SECONDS."""
        clients = [connect() for _ in range(3)]
        for client in clients:
            client.socket.settimeout(PROMPT_SECONDS)
        hit, miss, unknown = clients
        statuses = [hit.ask(FEED), miss.ask(FEED, host=uncached_host()), unknown.ask("/nowhere")]
        return statuses == [200, 200, 404]

    def test_slow_clients_do_not_delay_others(self, connect: Callable[..., RawClient]) -> None:
        slow = [connect() for _ in range(300)]
        for number, byte in enumerate(request("/healthz")):
            for client in slow:
                client.send(bytes([byte]))
            assert number % 10 or self.responds(connect)
        assert {client.response()[0] for client in slow} == {200}

    def test_idle_connections_do_not_delay_others(
        self, bridge: Machine, connect: Callable[..., RawClient]
    ) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        connections = 5_000 if hard == resource.RLIM_INFINITY else min(5_000, hard - 500)
        [worker] = bridge.workers()
        with ExitStack() as stack:
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, connections + 400), hard))
            stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
            idle = [
                stack.enter_context(socket.create_connection(("127.0.0.1", bridge.port)))
                for _ in range(connections)
            ]
            wait_until(lambda: len(os.listdir(f"/proc/{worker}/fd")) > connections)
            assert self.responds(connect)
            idle[-1].sendall(request("/healthz"))
            assert idle[-1].recv(12) == b"HTTP/1.1 200"

    def test_clients_that_do_not_read_do_not_delay_others(
        self, connect: Callable[..., RawClient]
    ) -> None:
        """More clients than the bridge has threads, each with more data than the kernel buffers."""
        stalled = [connect(receive_buffer=4_096) for _ in range(100)]
        for client in stalled:
            client.send(request(LARGE_FEED, host=uncached_host()) * 25)
        assert self.responds(connect)
        expected = connect().page(LARGE_FEED)
        assert all(stalled[0].response()[2] == expected for _ in range(25))

    def test_a_server_out_of_file_descriptors_recovers_when_clients_disconnect(
        self, upstream: SandboxServer, tmp_path: Path, connect: Callable[..., RawClient]
    ) -> None:
        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))

        with Machine(upstream.url, f"sqlite:///{tmp_path}/x.sqlite3", before=limit) as small:
            workers = small.workers()
            crowd = [connect(small) for _ in range(100)]
            wait_until(lambda: any("Too many open files" in line for line in list(small.log)))
            assert crowd[0].ask("/healthz") == 200
            for client in crowd:
                client.close()
            wait_until(lambda: connect(small).ask(FEED) == 200)
            assert small.workers() == workers
