"""The server, in processes of its own."""

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
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from faults.fleet import Machine, until

from bridge.sandbox.api import create_api
from bridge.sandbox.demo_timetable import believable_studio
from bridge.sandbox.faults import Faults
from bridge.sandbox.http_server import SandboxServer

HOME = Path(__file__).parent.parent
TOKEN = "canary-token-of-these-tests"
FEED = "/venues/12.ics"
# An application whose interpreter stops, or whose event loop does, when it is asked to.
HANGING = """
import ctypes, time
from bridge.ops import watchdog
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


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture
def upstream(faults: Faults) -> Iterator[SandboxServer]:
    """The studio's API, around today: servers have a clock of their own."""
    studio = believable_studio(datetime.now(UTC).date())
    with SandboxServer(create_api(studio, token=TOKEN, faults=faults)) as server:
        yield server


@pytest.fixture
def serve(upstream: SandboxServer, tmp_path: Path) -> Iterator[Callable[..., Machine]]:
    """Starts servers; all are ended at the end."""
    with ExitStack() as started:

        def start(**given: Any) -> Machine:
            settings = {"TEAMUP_API_TOKEN": TOKEN, "PYTHONPATH": str(tmp_path), **given}
            store = f"sqlite:///{tmp_path}/bridge.sqlite3"
            return started.enter_context(Machine(upstream.url, store, **settings))

        yield start


def run(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "bridge.server", *arguments],
        cwd=HOME,
        env={**os.environ, "HOST": "127.0.0.1", "TEAMUP_API_TOKEN": TOKEN, **variables},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


both = pytest.mark.parametrize("arguments", [(), ("--local",)], ids=["Procfile", "make run"])


class TestWithSettingsThatCannotBeUsed:
    def test_without_a_token_it_refuses_in_one_line_that_names_the_variable(self) -> None:
        done = run(TEAMUP_API_TOKEN="")
        assert (done.returncode, done.stdout) == (1, "")
        [line] = done.stderr.splitlines()
        assert "TEAMUP_API_TOKEN" in line
        assert "sandbox" not in line

    @pytest.mark.parametrize(
        ("variables", "named"),
        [
            ({"PORT": "http"}, ("PORT", "'http'", "65535")),
            ({"CACHE_TTL": "0"}, ("CACHE_TTL", "'0'", "1 or more")),
            ({"CACHE_URL": "memory://", "WEB_CONCURRENCY": "2"}, ("CACHE_URL", "WEB_CONCURRENCY")),
            ({"TEAMUP_BASE_URL": "http://goteamup.com"}, ("TEAMUP_BASE_URL", "https")),
            ({"HOST": "192.0.2.1"}, ("HOST: 192.0.2.1",)),
        ],
        ids=lambda value: next(iter(value)),
    )
    @both
    def test_it_says_which_and_what_is_accepted(
        self, arguments: tuple[str, ...], variables: dict[str, str], named: tuple[str, ...]
    ) -> None:
        done = run(*arguments, **variables)
        assert done.returncode == 1
        [line] = done.stderr.splitlines()
        assert all(words in line for words in named)
        assert TOKEN not in line

    @both
    def test_a_port_that_another_program_has_is_named(self, arguments: tuple[str, ...]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            refused_port(other.getsockname()[1], *arguments)

    def test_a_port_that_another_bridge_has_is_named(self, serve: Callable[..., Machine]) -> None:
        refused_port(serve(workers=2).port)

    def test_another_argument_is_refused(self) -> None:
        done = run("--help-me")
        assert done.returncode == 1
        assert "usage:" in done.stderr


def refused_port(port: int, *arguments: str) -> None:
    done = run(*arguments, PORT=str(port))
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert f"PORT: {port} cannot be used: address already in use" in line


class TestTheEnd:
    @pytest.mark.parametrize("told", ["the server", "its workers too", "again and again"])
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_it_stops_however_often_and_whoever_of_it_is_told(
        self, number: signal.Signals, told: str, serve: Callable[..., Machine]
    ) -> None:
        machine = serve(workers=2)
        until(machine.all_up)
        workers = machine.workers()
        for _ in range(3 if told == "again and again" else 1):
            with suppress(ProcessLookupError):
                machine.tell(number)
        for worker in workers if told == "its workers too" else []:
            with suppress(ProcessLookupError):
                os.kill(worker, number)
        began = time.monotonic()
        code = machine.wait()
        # far less than after what a worker is killed
        assert time.monotonic() - began < 10
        # granian takes a worker that was told by somebody else for one that failed
        assert code == 0 or told != "the server"
        assert not any(map(alive, workers))
        log = "\n".join(machine.log)
        assert not any(word in log for word in ("Traceback", TOKEN)), log

    def test_a_worker_that_is_stopped_does_not_hold_it_up(
        self, serve: Callable[..., Machine]
    ) -> None:
        machine = serve(workers=2)
        until(machine.all_up)
        workers = machine.workers()
        os.kill(workers[0], signal.SIGSTOP)
        machine.tell(signal.SIGTERM)
        assert machine.wait() == 0
        assert any("Killing worker" in line for line in machine.log)
        assert not any(map(alive, workers))

    def test_a_request_under_way_is_answered_before(
        self, serve: Callable[..., Machine], faults: Faults, upstream: SandboxServer
    ) -> None:
        machine = serve()
        faults.set("delay", 2)
        with ThreadPoolExecutor(1) as asking:
            answer = asking.submit(machine.get, FEED)
            until(lambda: upstream.requests)
            machine.tell(signal.SIGTERM)
            assert answer.result().status in (200, 503)
        assert machine.wait() == 0

    def test_a_request_whose_client_has_gone_does_not_hold_it_up(
        self, serve: Callable[..., Machine], faults: Faults, upstream: SandboxServer
    ) -> None:
        machine = serve()
        faults.set("delay", 20)
        with socket.create_connection(("127.0.0.1", machine.port)) as client:
            client.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % FEED.encode())
            until(lambda: upstream.requests)
        assert machine.stop() < 8
        faults.clear()

    def test_a_server_that_was_killed_leaves_no_worker_behind(
        self, serve: Callable[..., Machine]
    ) -> None:
        machine = serve(workers=2)
        workers = machine.workers()
        machine.tell(signal.SIGKILL)
        until(lambda: not any(map(alive, workers)), why="its workers go on")


class TestWorkers:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
    def test_one_that_ends_alone_is_replaced_and_goes_on_from_the_store(
        self, serve: Callable[..., Machine], number: signal.Signals
    ) -> None:
        machine = serve()
        before = machine.get("/venues/12.json")
        [worker] = machine.strike(number)
        until(lambda: machine.started() == 2 and machine.workers() != [worker])
        after = machine.get("/venues/12.json")
        assert after.status == before.status == 200
        # not even the stamps have moved
        assert json.loads(after.body) == json.loads(before.body)

    @pytest.mark.parametrize("what", ["interpreter", "loop"])
    def test_a_worker_that_hangs_ends_with_its_tracebacks_and_is_replaced(
        self, serve: Callable[..., Machine], tmp_path: Path, what: str
    ) -> None:
        (tmp_path / "other.py").write_text(HANGING)
        machine = serve(target="other:asgi")
        with socket.create_connection(("127.0.0.1", machine.port)) as client:
            client.sendall(b"GET /hang/%s HTTP/1.1\r\nHost: x\r\n\r\n" % what.encode())
            until(lambda: machine.started() == 2)
        log = "\n".join(machine.log)
        assert "Timeout (0:00:02)!" in log
        assert "other.py" in log
        assert machine.get("/healthz").status == 200

    def test_one_that_cannot_begin_ends_the_server(
        self, serve: Callable[..., Machine], tmp_path: Path
    ) -> None:
        (tmp_path / "other.py").write_text("raise RuntimeError('nothing to serve')")
        with pytest.raises(AssertionError, match="nothing to serve"):
            serve(target="other:asgi")

    def test_each_takes_as_many_connections_as_the_system_allows(
        self, serve: Callable[..., Machine]
    ) -> None:
        usual, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(usual, most - 1), most))
        try:
            [worker] = serve().workers()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (usual, most))
        limits = Path(f"/proc/{worker}/limits").read_text().splitlines()
        [files] = [line.split() for line in limits if line.startswith("Max open files")]
        assert files[3] == files[4]


class TestTheLog:
    def test_it_says_no_more_than_it_is_asked_to(self, serve: Callable[..., Machine]) -> None:
        machine = serve(LOG_LEVEL="error")
        machine.stop()
        assert machine.log == []

    def test_every_line_is_json_from_the_start_to_the_end(
        self, serve: Callable[..., Machine]
    ) -> None:
        machine = serve(LOG_FORMAT="json")
        machine.stop()
        events = [json.loads(line)["event"] for line in machine.log]
        assert events[0].startswith("Starting granian")
        assert "worker started" in events
        assert events[-1].startswith("Granian shutdown completed")


def test_it_serves_where_addresses_are_of_the_sixth_version(
    serve: Callable[..., Machine], ipv6: str
) -> None:
    machine = serve(HOST=ipv6)
    assert any(f"http://[::1]:{machine.port}" in line for line in machine.log)


class TestAtHome:
    def test_without_a_token_it_runs_the_sandbox_and_says_so_plainly(
        self, serve: Callable[..., Machine]
    ) -> None:
        machine = serve(arguments=["--local"], TEAMUP_API_TOKEN="", TEAMUP_BASE_URL="")
        log = "\n".join(machine.log)
        assert "TEAMUP_API_TOKEN is not set, so this is the bundled sandbox studio" in log
        assert f"http://127.0.0.1:{machine.port}/" in log
        assert b"This is the sandbox" in machine.get("/").body
        assert b"BEGIN:VEVENT" in machine.get(FEED).body
        processes = machine.workers()
        machine.tell(signal.SIGINT)
        machine.wait()
        # the sandbox's own among them
        assert len(processes) == 2
        until(lambda: not any(map(alive, processes)))

    def test_with_a_token_it_serves_the_studio_and_speaks_of_no_sandbox(
        self, serve: Callable[..., Machine]
    ) -> None:
        machine = serve(arguments=["--local"])
        assert "sandbox" not in "\n".join(machine.log)
        assert b"This is the sandbox" not in machine.get("/").body
