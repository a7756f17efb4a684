"""The server, in processes of its own."""

import http.client
import itertools
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from valkey import free_port

from bridge.sandbox.api import create_api
from bridge.sandbox.faults import Faults
from bridge.sandbox.server import SandboxServer
from bridge.sandbox.timetable import believable_studio

HOME = Path(__file__).parent.parent
TOKEN = "canary-token-of-these-tests"
SECONDS = 30.0
# An application whose interpreter stops, or whose event loop does, when it is asked to.
HANGING = """
import asyncio, ctypes, time
from bridge import watchdog
watchdog.HANG_SECONDS = 2.0
from app import asgi as bridge
async def asgi(scope, receive, send):
    if scope.get("path") == "/hang/interpreter":
        ctypes.PyDLL(None).sleep(60)  # it keeps the interpreter's lock
    if scope.get("path") == "/hang/loop":
        time.sleep(60)
    await bridge(scope, receive, send)
"""

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/task").is_dir(), reason="a process's children are read from /proc"
)


class Service:
    """``python -m bridge.server`` on a free port of loopback."""

    def __init__(self, arguments: tuple[str, ...], variables: dict[str, str], log: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self._log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "bridge.server", *arguments],
                cwd=HOME,
                env={**os.environ, "PORT": str(self.port), **variables},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.known: set[int] = set()

    @property
    def output(self) -> str:
        return self._log.read_text(errors="replace")

    def get(self, path: str) -> tuple[int, bytes] | None:
        """Status and body; None while nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def up(self) -> bool:
        assert self.process.poll() is None, self.output
        return self.get("/healthz") == (200, b"ok\n")

    def all_up(self, workers: int) -> bool:
        """Whether each worker has answered something: until then it may miss a signal."""
        started = self.output.count("Started worker") >= workers
        # the system spreads connections over the workers
        return started and all(self.up() for _ in range(20))

    def descendants(self) -> set[int]:
        """Ids of all processes that it started, and they."""
        found: set[int] = set()
        waiting = [self.process.pid]
        while waiting:
            for below in children(waiting.pop()):
                if below not in found:
                    found.add(below)
                    waiting.append(below)
        self.known |= found
        return found

    def end(self) -> None:
        """End it, and whatever it left behind."""
        if self.process.poll() is None:
            self.descendants()
            self.process.terminate()
            try:
                self.process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(SECONDS)
        for pid in filter(serves, self.known):
            os.kill(pid, signal.SIGKILL)


def children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    except (FileNotFoundError, ProcessLookupError):  # it ended just now
        pass
    return found


def serves(pid: int) -> bool:
    """Whether *pid* is alive, and one of the server's processes."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z" and b"bridge.server" in command


def until(holds: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"{what}: not within {SECONDS} seconds"
        Event().wait(0.05)


@pytest.fixture
def upstream(faults: Faults) -> Iterator[SandboxServer]:
    """The studio's API, around today: servers have a clock of their own."""
    studio = believable_studio(datetime.now(UTC).date())
    with SandboxServer(create_api(studio, token=TOKEN, faults=faults)) as server:
        yield server


@pytest.fixture
def serve(upstream: SandboxServer, tmp_path: Path) -> Iterator[Callable[..., Service]]:
    started: list[Service] = []

    def start(*arguments: str, **variables: str) -> Service:
        given = {
            "TEAMUP_API_TOKEN": TOKEN,
            "TEAMUP_BASE_URL": upstream.url,
            "CACHE_URL": f"sqlite:///{tmp_path}/bridge.sqlite3",
            "HOST": "127.0.0.1",
            **variables,
        }
        service = Service(arguments, given, tmp_path / f"log-{len(started)}")
        started.append(service)
        return service

    yield start
    for service in started:
        service.end()


def run(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "bridge.server", *arguments],
        cwd=HOME,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


class TestWithSettingsThatCannotBeUsed:
    def test_without_a_token_it_refuses_in_one_line_that_names_the_variable(self) -> None:
        done = run(TEAMUP_API_TOKEN="")
        assert done.returncode not in (0, None)
        assert done.stdout == ""
        [line] = done.stderr.strip().splitlines()
        assert "TEAMUP_API_TOKEN" in line
        assert "sandbox" not in line

    @pytest.mark.parametrize(
        ("variables", "named"),
        [
            ({"PORT": "http"}, ("PORT", "'http'", "65535")),
            ({"CACHE_TTL": "0"}, ("CACHE_TTL", "'0'", "1 or more")),
            ({"CACHE_URL": "memory://", "WEB_CONCURRENCY": "2"}, ("CACHE_URL", "WEB_CONCURRENCY")),
            ({"TEAMUP_BASE_URL": "http://goteamup.com"}, ("TEAMUP_BASE_URL", "https")),
        ],
        ids=lambda value: next(iter(value)),
    )
    @pytest.mark.parametrize("arguments", [(), ("--local",)], ids=["Procfile", "make run"])
    def test_it_says_which_and_what_is_accepted(
        self, arguments: tuple[str, ...], variables: dict[str, str], named: tuple[str, ...]
    ) -> None:
        done = run(*arguments, **{"TEAMUP_API_TOKEN": TOKEN, **variables})
        assert done.returncode == 1
        [line] = done.stderr.strip().splitlines()
        for words in named:
            assert words in line
        assert TOKEN not in line

    @pytest.mark.parametrize("arguments", [(), ("--local",)], ids=["Procfile", "make run"])
    def test_a_port_that_another_program_has_is_named(self, arguments: tuple[str, ...]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = str(other.getsockname()[1])
            done = run(*arguments, TEAMUP_API_TOKEN=TOKEN, HOST="127.0.0.1", PORT=port)
        assert done.returncode == 1
        [line] = done.stderr.strip().splitlines()
        assert f"PORT: {port} cannot be used: address already in use" in line

    def test_a_port_that_another_bridge_has_is_named(self, serve: Callable[..., Service]) -> None:
        service = serve(WEB_CONCURRENCY="2")
        until(service.up, "an answer")
        done = run(TEAMUP_API_TOKEN=TOKEN, HOST="127.0.0.1", PORT=str(service.port))
        assert done.returncode == 1
        [line] = done.stderr.strip().splitlines()
        assert f"PORT: {service.port} cannot be used: address already in use" in line

    def test_an_interface_of_another_machine_is_named(self) -> None:
        done = run(TEAMUP_API_TOKEN=TOKEN, HOST="192.0.2.1")
        assert done.returncode == 1
        [line] = done.stderr.strip().splitlines()
        assert "HOST: 192.0.2.1" in line

    def test_another_argument_is_refused(self) -> None:
        done = run("--help-me", TEAMUP_API_TOKEN=TOKEN)
        assert done.returncode == 1
        assert "usage:" in done.stderr


class TestWithAToken:
    def test_it_serves_and_ends_when_it_is_told_to(self, serve: Callable[..., Service]) -> None:
        service = serve()
        until(service.up, "an answer")
        answer = service.get("/venues/12.ics")
        assert answer is not None
        assert answer[0] == 200
        assert b"BEGIN:VEVENT" in answer[1]
        assert service.descendants()
        service.process.send_signal(signal.SIGTERM)
        service.process.wait(SECONDS)
        until(lambda: service.get("/healthz") is None, "silence")
        until(lambda: not any(map(serves, service.known)), "the end of its workers")
        assert TOKEN not in service.output

    @pytest.mark.parametrize("told", ["the server", "its workers too", "again and again"])
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_it_stops_however_often_and_whoever_of_it_is_told(
        self, number: signal.Signals, told: str, serve: Callable[..., Service]
    ) -> None:
        service = serve(WEB_CONCURRENCY="2")
        until(lambda: service.all_up(2), "two workers")
        workers = service.descendants()
        for _ in range(3 if told == "again and again" else 1):
            service.process.send_signal(number)
            if told == "its workers too":
                for worker in workers:
                    with suppress(ProcessLookupError):
                        os.kill(worker, number)
            Event().wait(0.1)
        code = service.process.wait(SECONDS)
        # granian takes a worker that was told by somebody else for one that failed
        assert code == 0 or told != "the server"
        assert not any(map(serves, workers))
        assert "Killing" not in service.output
        assert "Traceback" not in service.output

    def test_a_worker_that_is_told_to_stop_alone_is_replaced(
        self, serve: Callable[..., Service]
    ) -> None:
        service = serve()
        until(service.up, "an answer")
        [worker] = service.descendants()
        os.kill(worker, signal.SIGTERM)
        until(lambda: service.output.count("Started worker") == 2, "its successor")
        until(service.up, "an answer of its successor")
        [successor] = service.descendants()
        assert successor != worker

    def test_a_worker_that_is_stopped_does_not_hold_up_the_end(
        self, serve: Callable[..., Service]
    ) -> None:
        service = serve(WEB_CONCURRENCY="2")
        until(lambda: service.all_up(2), "two workers")
        hanging, other = service.descendants()
        os.kill(hanging, signal.SIGSTOP)
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(SECONDS) == 0
        assert "Killing worker" in service.output
        assert not serves(hanging)
        assert not serves(other)

    def test_a_request_under_way_is_answered_before_the_end(
        self, serve: Callable[..., Service], faults: Faults, upstream: SandboxServer
    ) -> None:
        service = serve()
        until(service.up, "an answer")
        faults.set("delay", 2)
        with ThreadPoolExecutor(1) as asking:
            answer = asking.submit(service.get, "/venues/12.ics")
            until(lambda: upstream.requests, "a request upstream")
            service.process.send_signal(signal.SIGTERM)
            assert (answer.result() or (0,))[0] in (200, 503)
        assert service.process.wait(SECONDS) == 0

    def test_its_log_says_no_more_than_it_is_asked_to(self, serve: Callable[..., Service]) -> None:
        service = serve(LOG_LEVEL="error")
        until(service.up, "an answer")
        service.process.send_signal(signal.SIGTERM)
        service.process.wait(SECONDS)
        assert service.output == ""

    def test_every_line_of_its_log_is_json_from_the_start_to_the_end(
        self, serve: Callable[..., Service]
    ) -> None:
        service = serve(LOG_FORMAT="json")
        until(service.up, "an answer")
        service.process.send_signal(signal.SIGTERM)
        service.process.wait(SECONDS)
        said = [json.loads(line)["event"] for line in service.output.splitlines()]
        assert said[0].startswith("Starting granian")
        assert "worker started" in said
        assert said[-1].startswith("Granian shutdown completed")

    def test_it_serves_where_addresses_are_of_the_sixth_version(
        self, serve: Callable[..., Service], ipv6: str
    ) -> None:
        service = serve(HOST=ipv6)
        until(lambda: "worker started" in service.output, "a worker")
        assert f"http://[::1]:{service.port}" in service.output
        connection = http.client.HTTPConnection(ipv6, service.port, timeout=10)
        connection.request("GET", "/healthz")
        assert connection.getresponse().read() == b"ok\n"
        connection.close()

    def test_a_worker_that_was_killed_is_followed_by_another(
        self, serve: Callable[..., Service]
    ) -> None:
        service = serve(WEB_CONCURRENCY="1")
        until(service.up, "an answer")
        before = service.get("/venues/12.json")
        [worker] = service.descendants()
        os.kill(worker, signal.SIGKILL)
        until(lambda: worker not in service.descendants(), "the end of the worker")
        until(service.up, "an answer of its successor")
        after = service.get("/venues/12.json")
        assert before is not None
        assert after is not None
        assert after[0] == before[0] == 200
        # from the store: not even the stamps have moved
        assert json.loads(after[1]) == json.loads(before[1])

    def test_a_server_that_was_killed_leaves_no_worker_behind(
        self, serve: Callable[..., Service]
    ) -> None:
        service = serve()
        until(service.up, "an answer")
        workers = service.descendants()
        assert workers
        service.process.kill()
        service.process.wait(SECONDS)
        until(lambda: not any(map(serves, workers)), "the end of its workers")

    def test_two_workers_share_one_walk(
        self, serve: Callable[..., Service], upstream: SandboxServer
    ) -> None:
        service = serve(WEB_CONCURRENCY="2")
        until(service.up, "an answer")
        bodies = {service.get("/venues/12.ics") for _ in range(20)}
        assert len(bodies) == 1
        firsts = [one for one in upstream.requests if one.args.get("page", ["1"]) == ["1"]]
        # the scheme is tried out with the first of them
        assert len([one for one in firsts if one.headers["Authorization"][:6] == "Bearer"]) == 1

    def test_it_answers_while_the_upstream_is_down(
        self, serve: Callable[..., Service], upstream: SandboxServer
    ) -> None:
        upstream.stop()
        service = serve()
        until(service.up, "an answer")
        assert service.get("/readyz") == (200, b"ready\n")
        answer = service.get("/venues/12.ics")
        assert answer is not None
        assert answer[0] == 503

    def test_doubled_slashes_are_no_redirect(self, serve: Callable[..., Service]) -> None:
        service = serve()
        until(service.up, "an answer")
        for path in ("//venues/1.ics", "//evil.example/venues/1.ics", "/venues//1.ics"):
            answer = service.get(path)
            assert answer is not None
            assert answer[0] in (200, 404)


class TestWithAnotherApplication:
    def test_one_that_cannot_be_loaded_ends_it(self, tmp_path: Path) -> None:
        with other("raise RuntimeError('nothing to serve')", tmp_path) as server:
            assert server.wait(SECONDS) == 1
            output = server.stdout.read()
        assert "nothing to serve" in output

    def test_a_worker_takes_as_many_connections_as_the_system_allows(self, tmp_path: Path) -> None:
        usual, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(usual, most - 1), most))
        try:
            with other("from app import asgi", tmp_path) as server:
                assert any("Started worker" in line for line in iter(server.stdout.readline, ""))
                [worker] = children(server.pid)
                limits = Path(f"/proc/{worker}/limits").read_text().splitlines()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (usual, most))
        [files] = [line.split() for line in limits if line.startswith("Max open files")]
        assert files[3] == files[4]

    @pytest.mark.parametrize("what", ["interpreter", "loop"])
    def test_a_worker_that_hangs_ends_with_its_tracebacks_and_is_replaced(
        self, tmp_path: Path, what: str
    ) -> None:
        port = free_port()
        with other(HANGING, tmp_path, port=port) as server:
            lines = iter(server.stdout.readline, "")
            assert any("Started worker" in line for line in lines)
            # a replacement that fails within 5.5 seconds of the start before ends the server
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(b"GET /hang/%s HTTP/1.1\r\nHost: x\r\n\r\n" % what.encode())
                seen = list(itertools.takewhile(lambda line: "Started worker" not in line, lines))
            assert any("Timeout (0:00:02)!" in line for line in seen)
            assert any("other.py" in line for line in seen)
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", "/healthz")
            assert connection.getresponse().status == 200
            connection.close()


@contextmanager
def other(source: str, folder: Path, *, port: int = 0) -> Iterator["subprocess.Popen[str]"]:
    """A server of the application that *source* makes, which may leave no process behind."""
    (folder / "other.py").write_text(source)
    serving = "from bridge import config, server; server.serve(config.load(), 'other:asgi')"
    with subprocess.Popen(
        [sys.executable, "-c", serving],
        cwd=HOME,
        env={
            **os.environ,
            "PYTHONPATH": str(folder),
            "TEAMUP_API_TOKEN": TOKEN,
            "CACHE_URL": "memory://",
            "HOST": "127.0.0.1",
            "PORT": str(port or free_port()),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            left = children(process.pid)
            process.kill()
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


class TestAtHome:
    def test_without_a_token_it_runs_the_sandbox_and_says_so_plainly(
        self, serve: Callable[..., Service]
    ) -> None:
        service = serve("--local", TEAMUP_API_TOKEN="", TEAMUP_BASE_URL="")
        until(service.up, "an answer")
        assert "sandbox" in service.output
        assert "TEAMUP_API_TOKEN is not set" in service.output
        assert f"http://127.0.0.1:{service.port}/" in service.output
        page = service.get("/")
        assert page is not None
        assert b"This is the sandbox" in page[1]
        feed = service.get("/venues/12.ics")
        assert feed is not None
        assert feed[0] == 200
        assert b"BEGIN:VEVENT" in feed[1]
        service.descendants()
        service.process.send_signal(signal.SIGTERM)
        service.process.wait(SECONDS)
        until(lambda: not any(map(serves, service.known)), "the end of the server behind it")
        assert service.get("/healthz") is None

    def test_with_a_token_it_serves_the_studio_and_speaks_of_no_sandbox(
        self, serve: Callable[..., Service]
    ) -> None:
        service = serve("--local")
        until(service.up, "an answer")
        assert "sandbox" not in service.output
        page = service.get("/")
        assert page is not None
        assert b"This is the sandbox" not in page[1]

    def test_an_interrupt_ends_it(self, serve: Callable[..., Service]) -> None:
        service = serve("--local")
        until(service.up, "an answer")
        service.descendants()
        service.process.send_signal(signal.SIGINT)
        service.process.wait(SECONDS)
        until(lambda: not any(map(serves, service.known)), "the end of the server behind it")
