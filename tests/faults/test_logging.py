"""A log that cannot be written: lines are dropped, requests and walks continue."""

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
from clocks import wait_until
from faults.fleet import HOME, Machine, run_concurrently, stub_upstream
from upstreams.stub import StubUpstream

from bridge import __version__

PASSWORD = "an-operators-password"
BEARER = f"Bearer {PASSWORD}"
FEED = "/venues/12.ics"
DROPPED = "bridge_log_lines_dropped_total"
# More lines than the buffer of 4 MiB holds, at more than 240 bytes a line.
LINES = 18_000
SERVE_SCRIPT = (
    "import sys; from bridge import config, server; server.serve(config.load(), sys.argv[1])"
)
HEALTH_CHECK = b"GET /healthz HTTP/1.1\r\nHost: bridge\r\n\r\n"
HEALTHY = f"\r\n\r\nok {__version__}\n".encode()

pytestmark = pytest.mark.skipif(
    not hasattr(fcntl, "F_SETPIPE_SZ"), reason="only Linux can set the size of a pipe"
)


class LoggingServer(Machine):
    """A server that logs every request, as JSON, to *log*.

    Args:
        log: standard output and standard error; None: standard error is closed.
        target: the application to serve instead of the bridge.
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
            ["-c", SERVE_SCRIPT, self._application]
            if self._application
            else ["-m", "bridge.server"]
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

    def wait_until_ready(self) -> None:
        wait_until(self._listening, why="the server did not start")

    def _listening(self) -> bool:
        """Whether every worker listens; the log cannot be used to find out."""
        assert self.running
        sockets = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
        ours = f"0100007F:{self.port:04X}"
        listening = sum(row[1] == ours and row[3] == "0A" for row in sockets)
        return listening == int(self.environment["WEB_CONCURRENCY"])

    def dropped(self) -> float:
        """Number of dropped lines according to the metrics."""
        return self.metric(DROPPED)

    def metric(self, name: str) -> float:
        """The sum of all samples of a metric."""
        answer = self.get("/metrics", Authorization=BEARER)
        assert answer.status == 200
        lines = answer.body.decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))

    def exit_code(self) -> int:
        """Stop the server with SIGTERM, within a few seconds; return its exit code."""
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
    # With eval: a traceback omits repeated frames.
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
    with stub_upstream() as server:
        yield server


def assert_works(server: LoggingServer, upstream: StubUpstream) -> None:
    """Every kind of response is correct, and upstream was walked once without a failure."""
    first = server.get(FEED)
    assert first.status == 200
    assert b"BEGIN:VEVENT" in first.body
    for _ in range(10):
        assert server.get(FEED).status == 200
        assert server.get(FEED, **{"If-None-Match": first.headers["etag"]}).status == 304
        assert server.get("/nowhere").status == 404
        assert server.get(f"{FEED}?past=x").status == 400
        assert server.get("/healthz").status == 200
        assert server.get("/").status == 200
    assert sorted(upstream.pages()) == [1, 2, 3]
    assert server.metric('bridge_walks_total{outcome="complete"}') == 1
    assert server.metric("bridge_walks_total") == 1
    status = json.loads(server.get("/status?format=json", Authorization=BEARER).body)
    assert status["upstream"]["failing"] is False
    assert status["upstream"]["last_failure"] is None
    assert status["upstream"]["last_success"] is not None


class LogPipe:
    """A pipe with a buffer of one memory page."""

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
def test_requests_and_walks_continue_when_the_log_reader_exits(
    upstream: StubUpstream, tmp_path: Path, workers: int
) -> None:
    # python -m bridge.server 2>&1 | head -n 3
    with LogPipe() as log, LoggingServer(upstream, tmp_path, log.writer, workers=workers) as server:
        log.writer.close()
        subprocess.run(["head", "-n", "3"], stdin=log.reader, check=True, capture_output=True)
        log.reader.close()
        assert_works(server, upstream)
        wait_until(lambda: server.dropped() > 50)
        assert server.exit_code() == 0


def test_requests_and_walks_continue_on_a_full_disk(upstream: StubUpstream, tmp_path: Path) -> None:
    with open("/dev/full", "wb") as full, LoggingServer(upstream, tmp_path, full) as server:
        assert_works(server, upstream)
        wait_until(lambda: server.dropped() > 50)
        assert server.exit_code() == 0


@pytest.mark.parametrize("form", ["json", "console"])
def test_requests_and_walks_continue_with_a_closed_standard_error(
    upstream: StubUpstream, tmp_path: Path, form: str
) -> None:
    with LoggingServer(upstream, tmp_path, None, LOG_FORMAT=form) as server:
        assert_works(server, upstream)
        [worker] = server.workers()
        # No file or socket of the server has file descriptor 2.
        for pid in (server.pid, worker):
            assert os.readlink(f"/proc/{pid}/fd/2") == "/dev/null"
        assert server.exit_code() == 0


def check_health(server: LoggingServer, times: int) -> None:
    """Send *times* health checks over one connection; all must succeed."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        sender = threading.Thread(target=connection.sendall, args=(HEALTH_CHECK * times,))
        sender.start()
        responses, rest = 0, b""
        while responses < times:
            chunk = connection.recv(1 << 20)
            assert chunk, responses
            rest += chunk
            responses += rest.count(HEALTHY)
            assert rest.count(b"HTTP/1.1 ") == rest.count(b"HTTP/1.1 200 ")
            if HEALTHY in rest:
                rest = rest[rest.rfind(HEALTHY) + len(HEALTHY) :]
        sender.join()


def test_a_stalled_log_reader_blocks_nothing_and_dropped_lines_are_reported(
    upstream: StubUpstream, tmp_path: Path
) -> None:
    with LogPipe() as log, LoggingServer(upstream, tmp_path, log.writer) as server:
        log.writer.close()
        check_health(server, LINES)
        assert_works(server, upstream)
        dropped = wait_until(server.dropped)
        output = b""
        while b'"log lines dropped"' not in output or output[-1:] != b"\n":
            assert select.select([log.reader], [], [], 20)[0], "the loss was not reported"
            output += log.reader.read(1 << 20)
        lines = [json.loads(line) for line in output.splitlines()]
        [notice] = [line for line in lines if line["event"] == "log lines dropped"]
        assert notice["level"] == "warning"
        assert notice["count"] >= dropped
        assert notice["count"] == server.dropped()
        # Every response was logged or counted as dropped.
        requests = sum(line["event"] == "request" for line in lines)
        assert requests + notice["count"] > LINES
        assert server.exit_code() == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stalled_log_reader_does_not_delay_shutdown(
    upstream: StubUpstream, tmp_path: Path, workers: int
) -> None:
    with LogPipe() as log, LoggingServer(upstream, tmp_path, log.writer, workers=workers) as server:
        run_concurrently([lambda: check_health(server, 200)] * 4)
        assert server.exit_code() == 0


def test_every_line_is_json_for_all_kinds_of_errors_and_loggers(
    upstream: StubUpstream, tmp_path: Path
) -> None:
    (tmp_path / "failing.py").write_text(FAILING)
    output: list[bytes] = []
    rounds = 4
    with LogPipe() as log:
        settings = {"PYTHONPATH": str(tmp_path), "PYTHONWARNINGS": "default"}
        with LoggingServer(
            upstream, tmp_path, log.writer, target="failing:asgi", workers=2, **settings
        ) as server:
            log.writer.close()
            reader = threading.Thread(target=lambda: output.append(log.reader.readall()))
            reader.start()
            paths = ["/deep", "/callable", "/task", "/thread", "/destructor", "/warning", "/call"]
            calls = [partial(server.get, path) for path in [*paths, *["/healthz"] * 40] * 2]
            for _ in range(rounds):
                run_concurrently(calls)
            assert server.exit_code() == 0
        reader.join(10)
    lines = [json.loads(line) for line in b"".join(output).splitlines()]
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
        assert counts[event] == 2 * rounds, event
    # All except /callable, which raises before the bridge is called.
    assert counts["request"] == rounds * (len(calls) - 2)
    assert any("of a library" in line["event"] for line in lines)
    assert [line["event"] for line in lines if line.get("logger", "")[:8] == "_granian"]
    tracebacks = [line for line in lines if "far down" in line.get("exception", line["event"])]
    assert len(tracebacks) == 8 * rounds
    # Longer than an atomic write to a pipe.
    assert all(len(json.dumps(line)) > select.PIPE_BUF for line in tracebacks)
