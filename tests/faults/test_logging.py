"""A log that cannot be written loses its lines; requests and walks go on."""

import fcntl
import json
import os
import re
import select
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Self

import pytest
from fleet import HOME, Machine, herd, studio, until
from upstreams.stub import StubUpstream

PASSWORD = "an-operators-password"
BEARER = f"Bearer {PASSWORD}"
FEED = "/venues/12.ics"
DROPPED = "bridge_log_lines_dropped_total"
# More lines than may wait to be written: 4 MiB, at more than 240 bytes a line.
MANY = 18_000
SERVING = "import sys; from bridge import config, server; server.serve(config.load(), sys.argv[1])"
HEALTH_CHECK = b"GET /healthz HTTP/1.1\r\nHost: bridge\r\n\r\n"

pytestmark = pytest.mark.skipif(
    not hasattr(fcntl, "F_SETPIPE_SZ"), reason="only Linux has pipes of a size to choose"
)


class Server(Machine):
    """A server that logs every answer, as JSON, to a place of its own.

    Args:
        log: its standard output and standard error; None: standard error is closed.
        target: what it serves instead of the bridge.
    """

    def __init__(
        self,
        upstream: StubUpstream,
        folder: Path,
        log: BinaryIO | None,
        *,
        target: str | None = None,
        **settings: Any,
    ) -> None:
        store = f"sqlite:///{folder}/store.sqlite3"
        settings = {"LOG_REQUESTS": "all", "LOG_FORMAT": "json", **settings}
        super().__init__(
            upstream.url, store, OPERATOR_TOKEN=PASSWORD, PYTHONUNBUFFERED="1", **settings
        )
        self._log = log
        self._application = target

    def launch(self) -> None:
        command = (
            ["-c", SERVING, self._application] if self._application else ["-m", "bridge.server"]
        )
        self._process = subprocess.Popen(
            [sys.executable, *command],
            text=True,
            env=self.environment,
            cwd=HOME,
            stdout=subprocess.DEVNULL if self._log is None else self._log,
            stderr=self._log,
            preexec_fn=(lambda: os.close(2)) if self._log is None else None,  # noqa: PLW1509 - no other thread of ours holds a lock here
        )

    def await_start(self) -> None:
        until(self._listening, why="the server did not start")

    def _listening(self) -> bool:
        """Whether every worker does; the log cannot tell."""
        assert self.running
        sockets = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
        ours = f"0100007F:{self.port:04X}"
        listening = sum(one[1] == ours and one[3] == "0A" for one in sockets)
        return listening == int(self.environment["WEB_CONCURRENCY"])

    def dropped(self) -> float:
        """How many lines the metrics say were dropped."""
        return self.number(DROPPED)

    def number(self, name: str) -> float:
        """The sum of a metric of that name."""
        answer = self.get("/metrics", Authorization=BEARER)
        assert answer.status == 200
        lines = answer.body.decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))

    def exit_code(self) -> int:
        """Stop it as a host does (SIGTERM), within a few seconds; its exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(8)


FAILING = """
import asyncio, gc, logging, threading, warnings
from app import app, asgi as bridge

class Destroyed:
    def __del__(self):
        raise RuntimeError("in a destructor")

def deep(level):
    # through eval: a traceback leaves out frames that repeat
    if level == 0:
        raise RuntimeError("far down")
    return eval("deep(level - 1)", {"deep": deep, "level": level})

app.add_url_rule("/deep", view_func=lambda: deep(60))

async def asgi(scope, receive, send):
    if scope["type"] == "http":
        match scope["path"]:
            case "/callable":
                deep(60)
            case "/task":
                asyncio.create_task(asyncio.to_thread(deep, 60))
                await asyncio.sleep(0.05)
                gc.collect()
            case "/thread":
                thread = threading.Thread(target=deep, args=(60,), name="a thread")
                thread.start()
                thread.join()
            case "/destructor":
                Destroyed()
            case "/warning":
                warnings.warn("of a library", ResourceWarning)
            case "/call":
                logging.getLogger("library").warning("%d", "no number")
    await bridge(scope, receive, send)
"""


@pytest.fixture
def upstream() -> Iterator[StubUpstream]:
    with studio() as server:
        yield server


def assert_well(server: Server, upstream: StubUpstream) -> None:
    """Every kind of answer is what it should be, and upstream was read without a failure."""
    cold = server.get(FEED)
    assert cold.status == 200
    assert b"BEGIN:VEVENT" in cold.body
    for _ in range(10):
        assert server.get(FEED).status == 200
        assert server.get(FEED, **{"If-None-Match": cold.headers["etag"]}).status == 304
        assert server.get("/nowhere").status == 404
        assert server.get(f"{FEED}?past=x").status == 400
        assert server.get("/healthz").status == 200
        assert server.get("/").status == 200
    assert sorted(upstream.pages()) == [1, 2, 3]
    assert server.number('bridge_walks_total{outcome="complete"}') == 1
    assert server.number("bridge_walks_total") == 1
    status = json.loads(server.get("/status?format=json", Authorization=BEARER).body)
    assert status["upstream"]["failing"] is False
    assert status["upstream"]["last_failure"] is None
    assert status["upstream"]["last_success"] is not None


class Log:
    """A pipe that holds one page."""

    def __init__(self) -> None:
        reader, writer = os.pipe()
        self.reader, self.writer = os.fdopen(reader, "rb", 0), os.fdopen(writer, "wb", 0)
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, select.PIPE_BUF)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.writer.close()
        self.reader.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_answers_and_walks_survive_the_exit_of_the_log_reader(
    upstream: StubUpstream, tmp_path: Path, workers: int
) -> None:
    # python -m bridge.server 2>&1 | head -n 3
    with Log() as log, Server(upstream, tmp_path, log.writer, workers=workers) as server:
        log.writer.close()
        subprocess.run(["head", "-n", "3"], stdin=log.reader, check=True, capture_output=True)
        log.reader.close()
        assert_well(server, upstream)
        until(lambda: server.dropped() > 50)
        assert server.exit_code() == 0


def test_answers_and_walks_survive_a_full_disk(upstream: StubUpstream, tmp_path: Path) -> None:
    with open("/dev/full", "wb") as full, Server(upstream, tmp_path, full) as server:
        assert_well(server, upstream)
        until(lambda: server.dropped() > 50)
        assert server.exit_code() == 0


@pytest.mark.parametrize("form", ["json", "console"])
def test_answers_and_walks_survive_a_closed_standard_error(
    upstream: StubUpstream, tmp_path: Path, form: str
) -> None:
    with Server(upstream, tmp_path, None, LOG_FORMAT=form) as server:
        assert_well(server, upstream)
        [worker] = server.workers()
        # no file or socket of the server has its number
        for pid in (server.pid, worker):
            assert os.readlink(f"/proc/{pid}/fd/2") == "/dev/null"
        assert server.exit_code() == 0


def check_health(server: Server, times: int) -> None:
    """Send that many health checks over one connection; all succeed."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        sender = threading.Thread(target=connection.sendall, args=(HEALTH_CHECK * times,))
        sender.start()
        answers, rest = 0, b""
        while answers < times:
            chunk = connection.recv(1 << 20)
            assert chunk, answers
            rest += chunk
            answers += rest.count(b"\r\n\r\nok\n")
            assert rest.count(b"HTTP/1.1 ") == rest.count(b"HTTP/1.1 200 ")
            rest = rest[rest.rfind(b"\r\n\r\nok\n") + 7 :]
        sender.join()


def test_a_stalled_log_reader_stops_nothing_and_the_loss_is_reported(
    upstream: StubUpstream, tmp_path: Path
) -> None:
    with Log() as log, Server(upstream, tmp_path, log.writer) as server:
        log.writer.close()
        check_health(server, MANY)
        assert_well(server, upstream)
        dropped = until(server.dropped)
        found = b""
        while b'"log lines dropped"' not in found or found[-1:] != b"\n":
            assert select.select([log.reader], [], [], 20)[0], "the loss was not reported"
            found += log.reader.read(1 << 20)
        lines = [json.loads(line) for line in found.splitlines()]
        [notice] = [line for line in lines if line["event"] == "log lines dropped"]
        assert notice["level"] == "warning"
        assert notice["count"] >= dropped
        assert notice["count"] == server.dropped()
        # every answer has a line, or is among the dropped ones
        requests = sum(line["event"] == "request" for line in lines)
        assert requests + notice["count"] > MANY
        assert server.exit_code() == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stalled_log_reader_does_not_delay_shutdown(
    upstream: StubUpstream, tmp_path: Path, workers: int
) -> None:
    with Log() as log, Server(upstream, tmp_path, log.writer, workers=workers) as server:
        herd([lambda: check_health(server, 200)] * 4)
        assert server.exit_code() == 0


def test_every_line_is_json_whatever_fails_and_whoever_logs(
    upstream: StubUpstream, tmp_path: Path
) -> None:
    (tmp_path / "failing.py").write_text(FAILING)
    found: list[bytes] = []
    with Log() as log:
        settings = {"PYTHONPATH": str(tmp_path), "PYTHONWARNINGS": "default"}
        with Server(
            upstream, tmp_path, log.writer, target="failing:asgi", workers=2, **settings
        ) as server:
            log.writer.close()
            reader = threading.Thread(target=lambda: found.append(log.reader.readall()))
            reader.start()
            paths = ["/deep", "/callable", "/task", "/thread", "/destructor", "/warning", "/call"]
            asks = [partial(server.get, path) for path in [*paths, *["/healthz"] * 40] * 2]
            for _ in range(10):
                herd(asks)
            assert server.exit_code() == 0
        reader.join(10)
    lines = [json.loads(line) for line in b"".join(found).splitlines()]
    assert all({"event", "level", "timestamp"} <= line.keys() for line in lines)
    counts = Counter(re.split(r"[^\w ]", line["event"])[0].strip() for line in lines)
    for event in (
        "request failed",
        "Application callable raised an exception",
        "Task exception was never retrieved",
        "exception in thread",
        "exception ignored",
        "bad log call",
    ):
        assert counts[event] == 20, event
    # all but /callable, which raises before the bridge is called
    assert counts["request"] == 10 * (len(asks) - 2)
    assert any("of a library" in line["event"] for line in lines)
    assert [line["event"] for line in lines if line.get("logger", "")[:8] == "_granian"]
    tracebacks = [line for line in lines if "far down" in line.get("exception", line["event"])]
    assert len(tracebacks) == 80
    # longer than an atomic write to a pipe
    assert all(len(json.dumps(line)) > select.PIPE_BUF for line in tracebacks)
