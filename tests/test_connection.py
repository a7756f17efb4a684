"""Connections with a real server: what is ready needs no thread, and nothing is misread."""

import asyncio
import re
import select
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn
import uvloop
from clocks import ManualClock
from flask import Flask, Response

from bridge import bodies, connection
from bridge.connection import Connection
from bridge.gateway import Gateway
from bridge.services import Services
from bridge.web import create_app
from bridge.web.httpcache import Asked
from bridge.web.lane import Lane

FEED = "/venues/12.ics"
OF_ONE = ("age", "cache-status", "date", "x-request-id")
SECONDS = 20.0


class Client:
    """A connection of a client that says byte for byte what it is told."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._read = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self, *, head_only: bool = False) -> tuple[int, dict[str, str], bytes]:
        """The next answer: status, headers by name in small letters, and body."""
        while b"\r\n\r\n" not in self._read:
            self._more()
        head, _, self._read = self._read.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        status = int(first.split()[1])
        headers = {name.lower(): value for name, _, value in (one.partition(": ") for one in lines)}
        assert len(headers) == len(lines), lines
        length = 0 if head_only or status == 304 else int(headers["content-length"])
        while len(self._read) < length:
            self._more()
        body, self._read = self._read[:length], self._read[length:]
        return status, headers, body

    def ask(self, path: str, *headers: str, method: str = "GET") -> Any:
        self.send(asking(path, *headers, method=method))
        return self.answer(head_only=method == "HEAD")

    def take(self) -> None:
        """Read what has come, and not what is still to come."""
        while select.select([self.socket], [], [], 0)[0]:
            self._more()

    def ended(self) -> bool:
        """Whether the server ended it, having said no more."""
        return self._read == b"" and self.socket.recv(1) == b""

    def _more(self) -> None:
        data = self.socket.recv(65_536)
        if not data:
            raise EOFError(self._read)
        self._read += data


def asking(path: str, *headers: str, method: str = "GET") -> bytes:
    lines = (f"{method} {path} HTTP/1.1", "Host: feeds.example", *headers, "", "")
    return "\r\n".join(lines).encode()


@contextmanager
def serving(
    app: Any, *, lane: bool = True, threads: int = 1, taken: int | None = None
) -> Iterator[Callable[[], Client]]:
    """*app* behind the server; whoever is called connects to it.

    Args:
        taken: bytes that the system takes for one connection.
    """
    gateway = Gateway(app, threads, app.extensions["lane"] if lane else None)
    server = uvicorn.Server(
        uvicorn.Config(
            gateway,
            interface="asgi3",
            http=Connection,
            lifespan="off",
            ws="none",
            proxy_headers=False,
            server_header=False,
            log_config=None,
            timeout_graceful_shutdown=1,
        )
    )
    clients: list[Client] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        if taken is not None:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, taken)

        def connect() -> Client:
            clients.append(Client(port))
            return clients[-1]

        def run() -> None:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(server.serve([listener]))

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield connect
        finally:
            for client in clients:
                client.socket.close()
            server.should_exit = True
            thread.join(SECONDS)
            assert not thread.is_alive()


class Slow:
    """A route that answers once it may, and counts who was there."""

    def __init__(self, app: Flask) -> None:
        self.may = threading.Event()
        self.entered = threading.Event()
        app.add_url_rule("/slow", view_func=self)

    @property
    def __name__(self) -> str:
        return "slow"

    def __call__(self) -> Response:
        self.entered.set()
        assert self.may.wait(SECONDS)
        return Response("at last")


@pytest.fixture
def app(make_bridge: Callable[..., Services]) -> Flask:
    return create_app(make_bridge())


@pytest.fixture(params=["copied", "from a file"])
def sending(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How bodies are sent, one way and the other."""
    if request.param == "from a file" and sys.platform != "linux":
        pytest.skip("needs memfd_create(2)")
    monkeypatch.setattr(bodies, "_LARGE", 0 if request.param == "from a file" else 10**9)


def lasting(answer: tuple[int, dict[str, str], bytes]) -> tuple[int, dict[str, str], bytes]:
    """What is the same for everybody."""
    status, headers, body = answer
    return status, {name: headers[name] for name in headers if name not in OF_ONE}, body


class TestWhatIsReady:
    def test_it_is_given_though_every_thread_waits(self, app: Flask) -> None:
        slow = Slow(app)
        with serving(app) as connect:
            for _ in range(2):
                assert connect().ask(FEED)[0] == 200
            waiting = connect()
            waiting.send(asking("/slow"))
            assert slow.entered.wait(SECONDS)
            # in the words that were heard before, and in others
            for words in ((), (), ("User-Agent: somebody else",)):
                status, headers, _ = connect().ask(FEED, *words)
                assert status == 200
                assert headers["cache-status"].startswith("bridge; hit")
            slow.may.set()
            assert waiting.answer()[2] == b"at last"

    @pytest.mark.usefixtures("sending")
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    @pytest.mark.parametrize("header", ["Accept: */*", "Accept-Encoding: gzip", "If-None-Match: "])
    def test_it_is_what_the_application_would_say(
        self, app: Flask, method: str, header: str
    ) -> None:
        with serving(app, lane=False) as connect:
            client = connect()
            tag = client.ask(FEED)[1]["etag"]
            header = header.replace("Match: ", f"Match: {tag}")
            answers = [lasting(client.ask(FEED, header, method=method)) for _ in range(3)]
        with serving(app) as connect:
            client = connect()
            answers += [lasting(client.ask(FEED, header, method=method)) for _ in range(3)]
        assert answers[0][0] == (304 if "Match" in header else 200)
        assert all(one == answers[0] for one in answers)

    def test_every_answer_has_an_id_of_its_own_and_a_date(self, app: Flask) -> None:
        with serving(app) as connect:
            client = connect()
            headers = [client.ask(FEED)[1] for _ in range(6)]
        assert len({one["x-request-id"] for one in headers}) == 6
        assert all(re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} .* GMT", one["date"]) for one in headers)

    def test_every_answer_is_counted(self, make_bridge: Callable[..., Services]) -> None:
        parts = make_bridge()
        with serving(create_app(parts)) as connect:
            client = connect()
            for _ in range(7):
                client.ask(FEED, "User-Agent: Google-Calendar-Importer")
        counts = [
            float(line.rpartition(" ")[2])
            for line in parts.metrics.exposition().decode().splitlines()
            if line.startswith("bridge_requests_total{") and 'cache="hit"' in line
        ]
        assert counts == [6.0]
        parts.readers.flush()
        assert parts.readers.families()["google"].today == 7

    def test_one_asks_whether_there_is_something_newer_and_nobody_waits_for_it(
        self, make_bridge: Callable[..., Services], clock: ManualClock, asked: list[str]
    ) -> None:
        app = create_app(make_bridge())
        slow = Slow(app)

        @app.before_request
        def wait() -> None:
            if len(asked) > 2:
                slow()

        with serving(app, threads=4) as connect:
            client = connect()
            for _ in range(3):
                client.ask(FEED)
            assert len(asked) == 2
            clock.move(1.5)
            first = connect()
            first.send(asking(FEED))
            assert slow.entered.wait(SECONDS)
            for _ in range(5):
                assert client.ask(FEED)[1]["age"] == "1"
            assert len(asked) == 3
            slow.may.set()
            assert first.answer()[0] == 200

    @pytest.mark.parametrize("broken", ["asked", "answer"])
    def test_a_fault_there_is_told_to_the_operator_and_not_to_the_client(
        self,
        app: Flask,
        broken: str,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        def fail(*given: object) -> None:
            raise RuntimeError("out of order")

        with serving(app) as connect:
            client = connect()
            for _ in range(3):
                whole = lasting(client.ask(FEED))
            monkeypatch.setattr(Lane, broken, fail)
            for words in ((), ("User-Agent: somebody else",)):
                status, headers, body = lasting(client.ask(FEED, *words))
                assert (status, headers, body) == whole
        assert [one.levelname for one in caplog.records if one.exc_info]
        assert "out of order" in caplog.text

    def test_without_a_cache_the_application_is_asked_each_time(
        self, make_bridge: Callable[..., Services], asked: list[str]
    ) -> None:
        app = create_app(make_bridge(cache_max_bytes=0))
        assert "lane" not in app.extensions
        with serving(app, lane=False) as connect:
            client = connect()
            for _ in range(3):
                assert client.ask(FEED)[0] == 200
        assert asked == [FEED] * 3

    def test_a_proxy_is_believed_by_those_who_have_one(
        self, make_bridge: Callable[..., Services]
    ) -> None:
        app = create_app(make_bridge(trusted_proxies=1))
        with serving(app) as connect:
            client = connect()
            said = [
                client.ask("/venues/12", f"X-Forwarded-Host: {host}")[2]
                for host in ("one.example", "two.example") * 3
            ]
        for place, body in enumerate(said):
            here, there = (b"one.example", b"two.example")[:: 1 if place % 2 == 0 else -1]
            assert here in body
            assert there not in body


class TestHowItIsRead:
    @pytest.mark.usefixtures("sending")
    def test_requests_that_come_at_once_are_answered_in_their_order(self, app: Flask) -> None:
        with serving(app, threads=4) as connect:
            client = connect()
            for _ in range(3):
                client.send(asking(FEED) + asking("/nowhere") + asking(FEED) + asking("/healthz"))
                assert [client.answer()[0] for _ in range(4)] == [200, 404, 200, 200]

    @pytest.mark.usefixtures("sending")
    def test_what_is_ready_does_not_overtake_what_was_asked_before(self, app: Flask) -> None:
        slow = Slow(app)
        with serving(app, threads=2) as connect:
            client = connect()
            for _ in range(3):
                client.ask(FEED)
            client.send(asking("/slow"))
            assert slow.entered.wait(SECONDS)
            client.send(asking(FEED))
            # by then it was read
            assert connect().ask("/healthz")[0] == 200
            slow.may.set()
            assert client.answer()[2] == b"at last"
            assert b"BEGIN:VCALENDAR" in client.answer()[2]

    def test_very_many_that_come_at_once_are_all_answered(self, app: Flask) -> None:
        slow = Slow(app)
        with serving(app, threads=2) as connect:
            client = connect()
            for _ in range(3):
                tag = client.ask(FEED)[1]["etag"]
            many = asking(FEED, f"If-None-Match: {tag}") * 2_000
            client.send(many)
            assert [client.answer()[0] for _ in range(2_000)] == [304] * 2_000
            client.send(asking("/slow") + many)
            assert slow.entered.wait(SECONDS)
            slow.may.set()
            assert client.answer()[2] == b"at last"
            assert [client.answer()[0] for _ in range(2_000)] == [304] * 2_000

    @pytest.mark.usefixtures("sending")
    def test_what_follows_the_last_request_is_not_answered(self, app: Flask) -> None:
        with serving(app) as connect:
            for _ in range(3):
                connect().ask(FEED)
            client = connect()
            client.send(asking(FEED, "Connection: close") + asking(FEED))
            assert client.answer()[0] == 200
            assert client.ended()

    @pytest.mark.usefixtures("sending")
    @pytest.mark.parametrize("late", [False, True])
    def test_who_reads_more_slowly_than_he_asks_gets_every_answer_whole(
        self, app: Flask, late: bool
    ) -> None:
        with serving(app) as connect:
            for _ in range(3):
                whole = lasting(connect().ask(FEED))
            client = connect()

            def ask() -> None:
                # more than the system takes for one connection
                for _ in range(500):
                    client.send(asking(FEED))

            asking_on = threading.Thread(target=ask)
            asking_on.start()
            if late:
                asking_on.join(SECONDS)
            for _ in range(500):
                assert lasting(client.answer()) == whole
            asking_on.join(SECONDS)

    @pytest.mark.usefixtures("sending")
    def test_what_the_system_did_not_take_yet_is_not_overtaken(
        self, app: Flask, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hold, held, go_on = (threading.Event() for _ in range(3))
        answer = Lane.answer

        def answer_or_hold(lane: Lane, asked: Asked) -> Any:
            if hold.is_set():
                hold.clear()
                held.set()
                assert go_on.wait(SECONDS)
            return answer(lane, asked)

        monkeypatch.setattr(Lane, "answer", answer_or_hold)
        with serving(app, taken=20_000) as connect:
            for _ in range(3):
                whole = lasting(connect().ask(FEED))
            client = connect()
            for _ in range(3):
                client.send(asking(FEED))
                assert connect().ask(FEED)[0] == 200
            # the server sees at one time that it can send and that there is another request
            hold.set()
            connect().send(asking(FEED))
            assert held.wait(SECONDS)
            client.take()
            client.send(asking(FEED))
            go_on.set()
            for _ in range(4):
                assert lasting(client.answer()) == whole

    def test_a_request_may_come_in_pieces(self, app: Flask) -> None:
        with serving(app) as connect:
            client = connect()
            whole = asking(FEED)
            for _ in range(2):
                client.ask(FEED)
            for place in range(1, len(whole), 7):
                client.send(whole[:place])
                client.send(whole[place:])
                assert client.answer()[0] == 200

    def test_a_body_is_no_request(self, app: Flask) -> None:
        body = asking(FEED)
        with serving(app) as connect:
            client = connect()
            for _ in range(3):
                client.ask(FEED)
            head = asking("/nowhere", f"Content-Length: {len(body)}", method="POST")
            client.send(head + body + asking("/healthz"))
            assert [client.answer()[0] for _ in range(2)] == [404, 200]
            client.send(head)
            assert client.answer()[0] == 404
            client.send(body)
            client.send(asking("/healthz"))
            assert client.answer()[2] == b"ok\n"

    def test_what_a_client_has_typed_is_understood(self, app: Flask) -> None:
        with serving(app) as connect:
            client = connect()
            answers = [client.ask(f"/venues/12-{word}.ics") for word in ("Jóga", "J%C3%B3ga") * 2]
        assert {status for status, _, _ in answers} == {200}
        assert len({body for _, _, body in answers}) == 1

    def test_a_header_does_not_pass_for_another(self, make_bridge: Callable[..., Services]) -> None:
        app = create_app(make_bridge(trusted_proxies=1))
        with serving(app) as connect:
            client = connect()
            for _ in range(2):
                body = client.ask(
                    "/venues/12", "X-Forwarded-Host: here.example", "X_Forwarded_Host: evil.example"
                )[2]
                assert b"here.example" in body
                assert b"evil.example" not in body

    def test_what_comes_after_a_body_is_no_header(
        self, make_bridge: Callable[..., Services]
    ) -> None:
        app = create_app(make_bridge(trusted_proxies=1))
        with serving(app) as connect:
            client = connect()
            head = asking(
                "/venues/12", "X-Forwarded-Host: here.example", "Transfer-Encoding: chunked"
            )
            client.send(head + b"0\r\nX-Forwarded-Host: evil.example\r\n\r\n")
            body = client.answer()[2]
        assert b"here.example" in body
        assert b"evil.example" not in body

    def test_a_client_that_offers_another_protocol_is_answered_in_this_one(
        self, app: Flask, caplog: pytest.LogCaptureFixture
    ) -> None:
        words = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")
        with serving(app) as connect:
            client = connect()
            for _ in range(3):
                assert client.ask(FEED, *words)[0] == 200
                assert client.ask(FEED)[0] == 200
        assert not [one for one in caplog.records if one.name.startswith("uvicorn")]

    @pytest.mark.parametrize(
        "said",
        [
            b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
            b"GET /healthz HTTP/1.1\r\n\r\n",
            b"GET /healthz HTTP/1.1\r\nHost: one\r\nhost: two\r\n\r\n",
            b"GET /healthz HTTP/1.0\r\nHost: one\r\nHost: one\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ],
    )
    def test_what_is_no_request_is_refused(self, app: Flask, said: bytes) -> None:
        with serving(app) as connect:
            client = connect()
            client.send(said)
            assert client.answer()[0] == 400
            assert client.ended()

    @pytest.mark.parametrize(
        ("path", "headers", "status"),
        [
            (f"/venues/12.ics?{'x' * 9_000}", (), 414),
            (FEED, ("X-Long: " + "x" * 20_000,), 431),
            (FEED, tuple(f"X-{number}: {'x' * 900}" for number in range(40)), 431),
            (FEED, tuple(f"X-{number}: x" for number in range(120)), 431),
        ],
    )
    def test_what_is_too_long_is_refused(
        self, app: Flask, path: str, headers: tuple[str, ...], status: int
    ) -> None:
        with serving(app) as connect:
            client = connect()
            for _ in range(3):
                assert client.ask(path, *headers)[0] == status

    def test_headers_without_end_are_refused(self, app: Flask) -> None:
        with serving(app) as connect:
            client = connect()
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\n")
            for number in range(200):
                client.send(b"X-%d: %b\r\n" % (number, b"x" * 1_000))
                if select.select([client.socket], [], [], 0.01)[0]:
                    break
            assert client.answer()[0] == 431
            assert number < 100

    @pytest.mark.parametrize("words", ["Transfer-Encoding: chunked", "Content-Length: 900000000"])
    def test_what_comes_after_a_head_is_not_read_for_ever(self, app: Flask, words: str) -> None:
        with serving(app) as connect:
            client = connect()
            client.send(asking("/nowhere", words, method="POST"))
            assert client.answer()[0] == 404
            # a length that is none of a chunk's: a header after the body begins
            client.send(b"0\r\nX-Endless: ")
            with pytest.raises(OSError, match=r"reset|pipe"):  # noqa: PT012 - one of many
                for _ in range(2_000):
                    client.send(b"x" * 100_000)

    def test_what_is_remembered_counts_for_what_it_takes(self, app: Flask) -> None:
        gateway = Gateway(app, 1)
        words = {f"HTTP_{number}": "x" for number in range(100)}
        address = {"wsgi.url_scheme": "http", "PATH_INFO": FEED}
        gateway.known.put(b"one", Asked({**address}))
        few = gateway.known.size
        gateway.known.put(b"two", Asked({**address, **words}))
        assert gateway.known.size - few > 10 * few


class TestHowItEnds:
    @pytest.mark.filterwarnings("ignore:unclosed resource <TCPTransport:ResourceWarning")
    def test_one_that_is_left_when_the_server_ends_can_close_no_descriptor_of_others(
        self, app: Flask, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        left: list[Connection] = []
        begin = Connection.connection_made

        def begin_and_keep(one: Connection, transport: asyncio.Transport) -> None:
            begin(one, transport)
            left.append(one)

        monkeypatch.setattr(Connection, "connection_made", begin_and_keep)
        with serving(app, taken=20_000) as connect:
            client = connect()
            assert client.ask(FEED)[0] == 200
            stays = socket.create_connection(client.socket.getpeername())
            # and reads nothing
            stays.sendall(asking(FEED) * 500)
            # meanwhile the server sees that
            for _ in range(5):
                assert client.ask(FEED)[0] == 200
        with stays:
            assert [one.parser is None for one in left] == [True, False], "it was told"
            held = [one for one in vars(left[-1]).values() if isinstance(one, socket.socket)]
            assert {one.fileno() for one in held} <= {-1}

    @pytest.mark.usefixtures("sending")
    @pytest.mark.parametrize("words", [("Connection: close",), ("connection: Close",)])
    def test_a_client_that_wants_one_answer_gets_one(
        self, app: Flask, words: tuple[str, ...]
    ) -> None:
        with serving(app) as connect:
            for _ in range(4):
                client = connect()
                status, headers, _ = client.ask(FEED, *words)
                assert status == 200
                assert headers["connection"] == "close"
                assert client.ended()

    @pytest.mark.parametrize("host", [b"", b"Host: feeds.example\r\n"])
    def test_an_old_client_gets_one_answer(self, app: Flask, host: bytes) -> None:
        with serving(app) as connect:
            for _ in range(4):
                client = connect()
                client.send(b"GET /venues/12.ics HTTP/1.0\r\n" + host + b"\r\n")
                assert client.answer()[0] == 200
                assert client.ended()

    @pytest.mark.parametrize("path", [FEED, "/nowhere"])
    def test_an_old_client_that_asks_for_it_gets_more(self, app: Flask, path: str) -> None:
        with serving(app) as connect:
            client = connect()
            for _ in range(5):
                client.send(f"GET {path} HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n".encode())
                status, headers, body = client.answer()
                assert status == (404 if path == "/nowhere" else 200)
                assert headers["connection"] == "keep-alive"
                assert len(body) == int(headers["content-length"])
            client.send(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            assert client.answer()[1]["connection"] == "close"
            assert client.ended()

    @pytest.mark.usefixtures("sending")
    @pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\n", asking(FEED) * 3])
    def test_one_that_is_not_used_is_ended(
        self, app: Flask, begun: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(connection, "_PATIENCE", 0.3)
        with serving(app) as connect:
            client = connect()
            client.send(begun)
            for _ in range(begun.count(b"\r\n\r\n")):
                client.answer()
            assert client.ended()

    def test_a_head_that_comes_drop_by_drop_is_not_waited_for(
        self, app: Flask, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(connection, "_PATIENCE", 0.3)
        with serving(app) as connect:
            client = connect()
            client.socket.settimeout(0.02)
            client.send(b"GET / HTTP/1.1\r\nX-Drops: ")
            for _ in range(1_000):
                try:
                    client.send(b"x")
                    if client.ended():
                        break
                except TimeoutError:
                    continue
                except OSError:
                    break
            else:
                pytest.fail("it goes on for ever")

    def test_one_that_is_in_use_goes_on(self, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(connection, "_PATIENCE", 2.0)
        with serving(app) as connect:
            client = connect()
            for _ in range(25):
                assert client.ask(FEED)[0] == 200
                threading.Event().wait(0.1)

    @pytest.mark.usefixtures("sending")
    @pytest.mark.parametrize("together", [1, 1_000])
    def test_who_does_not_read_is_not_written_to_for_ever(
        self, app: Flask, together: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(connection, "_PATIENCE", 0.3)
        monkeypatch.setattr(connection, "_UNREAD", 100_000)
        with serving(app) as connect:
            for _ in range(3):
                connect().ask(FEED)
            client = connect()
            client.socket.settimeout(SECONDS)
            flood = asking(FEED) * together
            with pytest.raises(OSError, match=r"reset|pipe"):  # noqa: PT012 - one of many
                for _ in range(1_000_000):
                    client.send(flood)

    @pytest.mark.parametrize("before", [b"", asking("/slow")])
    def test_a_client_that_goes_away_is_no_error(
        self, app: Flask, before: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        slow = Slow(app)
        with serving(app, threads=2) as connect:
            client = connect()
            client.send(asking("/slow") + before + asking("/healthz"))
            assert slow.entered.wait(SECONDS)
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.socket.close()
            assert connect().ask("/healthz")[0] == 200
            slow.may.set()
            assert connect().ask(FEED)[0] == 200
        assert not [one for one in caplog.records if one.name.startswith("uvicorn")]

    def test_nobody_waits_for_an_answer_to_a_client_that_went_away(
        self, app: Flask, asked: list[str]
    ) -> None:
        slow = Slow(app)
        with serving(app) as connect:
            waiting = connect()
            waiting.send(asking("/slow"))
            assert slow.entered.wait(SECONDS)
            client = connect()
            client.send(asking("/nowhere"))
            client.socket.shutdown(socket.SHUT_WR)
            assert client.ended()
            slow.may.set()
            assert waiting.answer()[2] == b"at last"
            assert connect().ask("/healthz")[0] == 200
        assert asked == ["/slow", "/healthz"]

    def test_who_does_not_read_the_last_answer_does_not_keep_the_connection(
        self, app: Flask, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(connection, "_PATIENCE", 0.3)
        monkeypatch.setattr(connection, "_UNREAD", 100_000_000)
        app.add_url_rule("/large", view_func=lambda: Response(b"x" * 30_000_000), endpoint="large")
        lost = threading.Event()
        lose = Connection.connection_lost

        def noted(self: Connection, exc: Exception | None) -> None:
            lose(self, exc)
            lost.set()

        monkeypatch.setattr(Connection, "connection_lost", noted)
        with serving(app) as connect:
            connect().send(asking("/large", "Connection: close"))
            assert lost.wait(SECONDS)
