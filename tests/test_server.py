"""The server: start, workers, logs and shutdown, tested with real processes."""

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
from clocks import wait_until
from faults.fleet import Machine
from thorough import THOROUGH

from bridge.sandbox.api import create_api
from bridge.sandbox.demo_timetable import demo_studio
from bridge.sandbox.faults import Faults
from bridge.sandbox.http_server import SandboxServer

HOME = Path(__file__).parent.parent
TOKEN = "canary-token-of-these-tests"
FEED = "/venues/12.ics"
# An application with routes that block the interpreter or the event loop.
HANGING = """
import ctypes, time
from bridge.ops import watchdog
watchdog.HANG_SECONDS = 2.0
from app import asgi as bridge
async def asgi(scope, receive, send):
    if scope.get("path") == "/hang/interpreter":
        ctypes.PyDLL(None).sleep(60)  # without releasing the GIL
    if scope.get("path") == "/hang/loop":
        time.sleep(60)
    await bridge(scope, receive, send)
"""
SIGHUP_AT_START = """
import os, signal
from bridge.ops import metrics_dir
def begin(workers):
    os.kill(os.getpid(), signal.SIGHUP)
metrics_dir.begin = begin
"""

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/task").is_dir(), reason="the tests read child processes from /proc"
)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture
def upstream(faults: Faults) -> Iterator[SandboxServer]:
    """The sandbox API for today's date: server processes use the real clock."""
    studio = demo_studio(datetime.now(UTC).date())
    with SandboxServer(create_api(studio, token=TOKEN, faults=faults)) as server:
        yield server


@pytest.fixture
def serve(upstream: SandboxServer, tmp_path: Path) -> Iterator[Callable[..., Machine]]:
    """Starts servers, which are stopped at the end of the test."""
    with ExitStack() as started:

        def start(**variables: Any) -> Machine:
            settings = {"TEAMUP_API_TOKEN": TOKEN, "PYTHONPATH": str(tmp_path), **variables}
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


class TestInvalidSettings:
    def test_a_missing_token_is_reported_in_one_line(self) -> None:
        process = run(TEAMUP_API_TOKEN="")
        assert (process.returncode, process.stdout) == (1, "")
        [line] = process.stderr.splitlines()
        assert "TEAMUP_API_TOKEN" in line
        assert "sandbox" not in line

    @pytest.mark.parametrize(
        ("variables", "expected"),
        [
            ({"PORT": "http"}, ("PORT", "'http'", "65535")),
            ({"CACHE_TTL": "0"}, ("CACHE_TTL", "'0'", "1 or more")),
            ({"CACHE_URL": "memory://", "WEB_CONCURRENCY": "2"}, ("CACHE_URL", "WEB_CONCURRENCY")),
            ({"TEAMUP_BASE_URL": "http://goteamup.com"}, ("TEAMUP_BASE_URL", "https")),
            ({"HOST": "192.0.2.1"}, ("HOST: 192.0.2.1",)),
        ],
        ids=lambda value: next(iter(value)),
    )
    @pytest.mark.parametrize("arguments", [(), ("--local",)][: 2 if THOROUGH else 1])
    def test_it_reports_the_variable_and_accepted_values(
        self, arguments: tuple[str, ...], variables: dict[str, str], expected: tuple[str, ...]
    ) -> None:
        process = run(*arguments, **variables)
        assert process.returncode == 1
        [line] = process.stderr.splitlines()
        assert all(text in line for text in expected)
        assert TOKEN not in line

    @both
    def test_a_port_that_another_program_has_is_named(self, arguments: tuple[str, ...]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            assert_port_rejected(other.getsockname()[1], *arguments)

    def test_a_port_that_another_bridge_has_is_named(self, serve: Callable[..., Machine]) -> None:
        assert_port_rejected(serve(workers=2).port)

    def test_an_unknown_argument_is_rejected(self) -> None:
        process = run("--help-me")
        assert process.returncode == 1
        assert "usage:" in process.stderr


def assert_port_rejected(port: int, *arguments: str) -> None:
    process = run(*arguments, PORT=str(port))
    assert process.returncode == 1
    [line] = process.stderr.splitlines()
    assert f"PORT: {port} cannot be used: address already in use" in line


class TestShutdown:
    @pytest.mark.parametrize(
        ("number", "receivers"),
        [
            (number, receivers)
            for number in (signal.SIGTERM, signal.SIGINT)
            for receivers in ("the server", "its workers too", "repeatedly")
            if THOROUGH or number is signal.SIGTERM or receivers == "its workers too"
        ],
    )
    def test_it_stops_on_repeated_signals_and_on_signals_to_workers(
        self, number: signal.Signals, receivers: str, serve: Callable[..., Machine]
    ) -> None:
        machine = serve(workers=2)
        wait_until(machine.all_workers_ready)
        workers = machine.workers()
        for _ in range(3 if receivers == "repeatedly" else 1):
            with suppress(ProcessLookupError):
                machine.send_signal(number)
        for worker in workers if receivers == "its workers too" else []:
            with suppress(ProcessLookupError):
                os.kill(worker, number)
        began = time.monotonic()
        code = machine.wait()
        # far less than the time after which workers are killed
        assert time.monotonic() - began < 10
        # granian treats a worker that was stopped by another process as failed
        assert code == 0 or receivers != "the server"
        assert not any(map(alive, workers))
        log = "\n".join(machine.log)
        assert not any(word in log for word in ("Traceback", TOKEN)), log

    def test_a_suspended_worker_does_not_delay_it(self, serve: Callable[..., Machine]) -> None:
        machine = serve(workers=2)
        wait_until(machine.all_workers_ready)
        workers = machine.workers()
        os.kill(workers[0], signal.SIGSTOP)
        machine.send_signal(signal.SIGTERM)
        assert machine.wait() == 0
        assert any("Killing worker" in line for line in machine.log)
        assert not any(map(alive, workers))

    def test_active_requests_are_answered(
        self, serve: Callable[..., Machine], faults: Faults, upstream: SandboxServer
    ) -> None:
        machine = serve()
        faults.set("delay", 2)
        with ThreadPoolExecutor(1) as executor:
            response = executor.submit(machine.get, FEED)
            wait_until(lambda: upstream.requests)
            machine.send_signal(signal.SIGTERM)
            assert response.result().status in (200, 503)
        assert machine.wait() == 0

    def test_a_request_whose_client_has_disconnected_does_not_delay_it(
        self, serve: Callable[..., Machine], faults: Faults, upstream: SandboxServer
    ) -> None:
        machine = serve()
        faults.set("delay", 20)
        with socket.create_connection(("127.0.0.1", machine.port)) as client:
            client.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % FEED.encode())
            wait_until(lambda: upstream.requests)
        assert machine.stop() < 8
        faults.clear()

    def test_the_workers_of_a_killed_server_stop(self, serve: Callable[..., Machine]) -> None:
        machine = serve(workers=2)
        workers = machine.workers()
        machine.send_signal(signal.SIGKILL)
        wait_until(lambda: not any(map(alive, workers)), why="its workers keep running")


class TestWorkers:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
    def test_a_worker_that_ends_is_replaced_and_the_new_one_reads_the_store(
        self, serve: Callable[..., Machine], number: signal.Signals
    ) -> None:
        machine = serve()
        before = machine.get("/venues/12.json")
        [worker] = machine.signal_workers(number)
        wait_until(lambda: machine.workers_started() == 2 and machine.workers() != [worker])
        after = machine.get("/venues/12.json")
        assert after.status == before.status == 200
        # the time stamps are unchanged, too
        assert json.loads(after.body) == json.loads(before.body)

    @pytest.mark.parametrize("blocked", ["interpreter", "loop"])
    def test_a_worker_that_hangs_ends_with_its_tracebacks_and_is_replaced(
        self, serve: Callable[..., Machine], tmp_path: Path, blocked: str
    ) -> None:
        (tmp_path / "other.py").write_text(HANGING)
        machine = serve(target="other:asgi")
        with socket.create_connection(("127.0.0.1", machine.port)) as client:
            client.sendall(b"GET /hang/%s HTTP/1.1\r\nHost: x\r\n\r\n" % blocked.encode())
            wait_until(lambda: machine.workers_started() == 2)
        log = "\n".join(machine.log)
        assert "Timeout (0:00:02)!" in log
        assert "other.py" in log
        assert machine.get("/healthz").status == 200

    def test_a_worker_is_replaced_although_the_file_of_a_secret_is_gone(
        self, serve: Callable[..., Machine], tmp_path: Path
    ) -> None:
        secret = tmp_path / "token"
        secret.write_text(TOKEN)
        machine = serve(TEAMUP_API_TOKEN="", TEAMUP_API_TOKEN_FILE=str(secret))
        secret.unlink()
        [worker] = machine.workers()
        machine.send_signal(signal.SIGHUP)
        wait_until(lambda: any("settings not reloaded" in line for line in list(machine.log)))
        assert machine.workers() == [worker]
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: machine.workers_started() == 2)
        assert machine.get(FEED).status == 200

    def test_sighup_before_the_server_listens_does_not_end_it(
        self, serve: Callable[..., Machine], tmp_path: Path
    ) -> None:
        (tmp_path / "sitecustomize.py").write_text(SIGHUP_AT_START)
        assert serve(PYTHONPATH=f"{tmp_path}:{HOME}").get("/healthz").status == 200

    def test_a_worker_that_cannot_start_ends_the_server(
        self, serve: Callable[..., Machine], tmp_path: Path
    ) -> None:
        (tmp_path / "other.py").write_text("raise RuntimeError('nothing to serve')")
        with pytest.raises(AssertionError, match="nothing to serve"):
            serve(target="other:asgi")

    def test_workers_raise_the_limit_of_open_files(self, serve: Callable[..., Machine]) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, hard - 1), hard))
        try:
            [worker] = serve().workers()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        limits = Path(f"/proc/{worker}/limits").read_text().splitlines()
        [files] = [line.split() for line in limits if line.startswith("Max open files")]
        assert files[3] == files[4]


class TestLog:
    def test_it_obeys_the_log_level(self, serve: Callable[..., Machine]) -> None:
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


def test_it_can_listen_on_ipv6(serve: Callable[..., Machine], ipv6: str) -> None:
    machine = serve(HOST=ipv6)
    assert any(f"http://[::1]:{machine.port}" in line for line in machine.log)


class TestLocal:
    def test_without_a_token_it_runs_the_sandbox(self, serve: Callable[..., Machine]) -> None:
        machine = serve(arguments=["--local"], TEAMUP_API_TOKEN="", TEAMUP_BASE_URL="")
        log = "\n".join(machine.log)
        assert "TEAMUP_API_TOKEN is not set, so this is the bundled sandbox studio" in log
        assert f"http://127.0.0.1:{machine.port}/" in log
        assert b"This is the sandbox" in machine.get("/").body
        assert b"BEGIN:VEVENT" in machine.get(FEED).body
        processes = machine.workers()
        machine.send_signal(signal.SIGINT)
        machine.wait()
        # including the sandbox's process
        assert len(processes) == 2
        wait_until(lambda: not any(map(alive, processes)))

    def test_with_a_token_it_does_not_run_the_sandbox(self, serve: Callable[..., Machine]) -> None:
        machine = serve(arguments=["--local"])
        assert "sandbox" not in "\n".join(machine.log)
        assert b"This is the sandbox" not in machine.get("/").body
