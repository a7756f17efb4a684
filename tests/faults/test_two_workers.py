"""Two workers of one server: shared metrics, and shutdown and restart without lost requests."""

import http.client
import json
import os
import resource
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from clocks import wait_until
from faults.fleet import BlockedPages, Machine, get, run_concurrently, store_keys, stub_upstream
from upstreams.stub import StubUpstream

from bridge.clock import SystemClock
from bridge.ops import metrics_dir
from bridge.ops.usage import UsageCounter
from bridge.store.sqlite import SqliteStore

FEED = "/venues/11.ics"
RULE = "/venues/<feed_id:identity>.<feed_format:form>"
PASSWORD = "an-operators-password"
CLIENTS = 8
# Seconds: less than the server waits for clients when it shuts down.
LATE_SECONDS = 0.3


@pytest.fixture(scope="module")
def teamup() -> Iterator[StubUpstream]:
    with stub_upstream() as server:
        yield server


@pytest.fixture(scope="module")
def machine(teamup: StubUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    store = f"sqlite:///{tmp_path_factory.mktemp('store')}/store.sqlite3"
    # Unbuffered output, as in a container.
    settings = {"OPERATOR_TOKEN": PASSWORD, "PYTHONUNBUFFERED": "1"}
    with Machine(teamup.url, store, workers=2, **settings) as server:
        yield server


def samples(machine: Machine) -> Counter[str]:
    """Values of all samples, by name and labels."""
    answer = machine.get("/metrics", Authorization=f"Bearer {PASSWORD}")
    assert answer.status == 200
    lines = (line for line in answer.body.decode().splitlines() if line[:1] != "#")
    return Counter({name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)})


def requests(metrics: Counter[str], route: str = RULE) -> float:
    return sum(
        value
        for name, value in metrics.items()
        if name.startswith("bridge_requests_total") and f'route="{route}"' in name
    )


class TestMetrics:
    def test_both_workers_report_the_sum_of_all_requests(self, machine: Machine) -> None:
        before = samples(machine)
        run_concurrently([partial(machine.get, FEED) for _ in range(40)])
        results = [samples(machine) for _ in range(6)]
        assert [requests(metrics) - requests(before) for metrics in results] == [40] * 6
        assert [requests(metrics, "/metrics") for metrics in results] == [
            requests(before, "/metrics") + 1 + later for later in range(6)
        ]

    def test_both_workers_report_the_processes_of_both(self, machine: Machine) -> None:
        name = "bridge_process_resident_memory_bytes"
        expected = {f'{name}{{pid="{pid}"}}' for pid in machine.workers()}
        for _ in range(6):
            reported = samples(machine)
            assert {sample for sample in reported if sample.startswith(name)} == expected
            assert min(reported[sample] for sample in expected) > 10_000_000

    def test_both_workers_write_their_counters(self, machine: Machine) -> None:
        folders = [path for path in Path("/dev/shm").glob(f"*-{machine.pid}-*") if path.is_dir()]
        for pid in machine.workers():
            run_concurrently([partial(machine.get, FEED) for _ in range(20)])
            [file] = [path for folder in folders for path in folder.glob(f"counter_{pid}.db")]
            assert b"bridge_requests_total" in file.read_bytes()

    def test_counters_of_an_ended_worker_stay_and_its_gauges_do_not(self, machine: Machine) -> None:
        run_concurrently([partial(machine.get, FEED) for _ in range(10)])
        before = samples(machine)
        started = machine.workers_started()
        os.kill(machine.workers()[0], signal.SIGKILL)
        wait_until(lambda: machine.workers_started() > started, why="no other worker")
        after = samples(machine)
        assert requests(after) == requests(before)
        assert after["bridge_store_failing_workers"] == 0
        [folder] = Path("/dev/shm").glob(f"*-{machine.pid}-*")
        alive = {f"gauge_livesum_{pid}.db" for pid in machine.workers()}
        assert {file.name for file in folder.glob("gauge_live*.db")} <= alive


def test_every_line_of_the_log_is_json(machine: Machine) -> None:
    machine.get("/nowhere")
    wait_until(lambda: any("/nowhere" in line for line in machine.log))
    lines = [json.loads(line) for line in list(machine.log)]
    events = {line["event"] for line in lines}
    assert "request" in events
    assert {"worker started", "Started worker-1", "Started worker-2"} <= events
    assert all(line["level"] and line["timestamp"] for line in lines)


class Load:
    """Threads that send requests until the server has ended; half of them keep connections open.

    Attributes:
        outcomes: number of requests by outcome. "late": the client, on a busy machine, sent the
            request after the server had closed the idle connection; such clients retry (RFC 9112,
            9.3.1). "not read": the server closed the connection before it read the request; such
            clients retry as well.
    """

    def __init__(self, port: int) -> None:
        self.outcomes: Counter[str] = Counter()
        self._port = port
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(bool(number % 2),))
            for number in range(CLIENTS)
        ]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(20)

    def _ask(self, keep: bool) -> None:
        connection: http.client.HTTPConnection | None = None
        while not self._ended.is_set():
            ready_since = time.monotonic()
            if connection is None or connection.sock is None:
                connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=15)
                try:
                    connection.connect()
                except ConnectionRefusedError:
                    self._count("refused")
                    return
                ready_since = time.monotonic()
            outcome = self._request(connection, ready_since)
            self._count(outcome if outcome != "200" else f"200 {'kept' if keep else 'new'}")
            if not keep or outcome != "200":
                connection.close()

    def _count(self, outcome: str) -> None:
        with self._lock:
            self.outcomes[outcome] += 1

    def _request(self, connection: http.client.HTTPConnection, ready_since: float) -> str:
        try:
            try:
                connection.request("GET", FEED)
            finally:
                waited = time.monotonic() - ready_since
            response = connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            return "late" if waited > LATE_SECONDS else "not read"
        except (OSError, http.client.HTTPException) as err:
            return f"failed: {err!r}"
        try:
            whole = response.read().endswith(b"END:VCALENDAR\r\n")
        except (OSError, http.client.HTTPException) as err:
            return f"cut short: {err!r}"
        return "200" if response.status == 200 and whole else f"failed: {response.status}"


class TestShutdown:
    def test_under_load_no_response_is_truncated_and_the_store_is_consistent(
        self, teamup: StubUpstream, tmp_path: Path
    ) -> None:
        file = tmp_path / "store.sqlite3"
        store = SqliteStore(file, SystemClock())
        leases = store_keys(teamup).lease("")
        cold: list[int] = []
        with Machine(teamup.url, f"sqlite:///{file}", workers=2, REFRESH_AHEAD="on") as machine:
            assert machine.get(FEED).status == 200
            address = f"{machine.url}/sessions.ics?past=60"
            blocked = BlockedPages(teamup, pages=(1,))
            waiting = threading.Thread(target=lambda: cold.append(get(address).status))
            waiting.start()
            wait_until(blocked.reached)
            assert store.names(leases)
            load = Load(machine.port)
            wait_until(
                lambda: min(load.outcomes["200 new"], load.outcomes["200 kept"]) > 10 * CLIENTS
            )
            # After the clients have ended, so that the shutdown waits for this request.
            threading.Timer(1.0, blocked.release).start()
            assert machine.stop() < 5
            load.end()
            waiting.join(20)
            assert set(load.outcomes) <= {"200 new", "200 kept", "late", "not read", "refused"}
            assert load.outcomes["refused"] == CLIENTS
            assert load.outcomes["not read"] < CLIENTS
            assert cold == [200]
            assert store.names(leases) == []
            # The workers store their counts when they end: exactly the requests that the clients
            # got an answer to. The clients send no User-Agent.
            clients = UsageCounter(store, store_keys(teamup)).families()
            assert clients["others"].today == (
                1 + load.outcomes["200 new"] + load.outcomes["200 kept"] + len(cold)
            )
            self._restart(machine, teamup)
        store.close()

    def _restart(self, machine: Machine, teamup: StubUpstream) -> None:
        """The restarted server serves from the store at once, without an upstream request."""
        requests_before = len(teamup.requests)
        machine.launch()
        status = wait_until(lambda: ready(machine), seconds=15)
        cpu = [cpu_seconds(pid) for pid in (machine.pid, *machine.workers())]
        assert status == 200
        answer = machine.get(FEED)
        assert answer.status == 200
        assert answer.headers["cache-status"].startswith("bridge; hit")
        assert len(teamup.requests) == requests_before
        # Processor time, which does not depend on the load: of the server and one worker.
        assert cpu[0] + max(cpu[1:]) < 2.0

    def test_a_server_terminated_while_its_workers_start_ends_within_twenty_seconds(
        self, teamup: StubUpstream, tmp_path: Path
    ) -> None:
        machine = Machine(teamup.url, f"sqlite:///{tmp_path}/store.sqlite3", workers=2)
        try:
            machine.launch()
            wait_until(lambda: sum("Spawning worker" in line for line in list(machine.log)) == 2)
            # A worker that does not serve yet ignores the signal and is killed after 15 seconds.
            assert machine.stop(seconds=30) < 20
        finally:
            machine.kill()


def ready(machine: Machine) -> int | None:
    """The status of a feed, if the server is ready."""
    try:
        if machine.get("/readyz").status == 200:
            return machine.get(FEED).status
    except OSError:
        pass
    return None


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_server_without_space_for_metrics_serves_and_each_worker_shows_its_own(
    teamup: StubUpstream, tmp_path: Path
) -> None:
    def fill_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))

    settings = {"OPERATOR_TOKEN": PASSWORD, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics")}
    store = f"sqlite:///{tmp_path}/store.sqlite3"
    with Machine(teamup.url, store, workers=2, before=fill_disk, **settings) as server:
        wait_until(lambda: server.get(FEED).status == 200)
        wait_until(lambda: requests(samples(server)) > 0)
        assert list((tmp_path / "metrics").iterdir()) == []
        assert any("each worker shows its own" in line for line in server.log)


def test_a_worker_is_replaced_although_the_folder_of_metrics_was_removed(
    teamup: StubUpstream, tmp_path: Path
) -> None:
    folder = tmp_path / "metrics"
    settings = {"OPERATOR_TOKEN": PASSWORD, "PROMETHEUS_MULTIPROC_DIR": str(folder)}
    store = f"sqlite:///{tmp_path}/store.sqlite3"
    with Machine(teamup.url, store, workers=2, **settings) as server:
        assert server.get(FEED).status == 200
        shutil.rmtree(folder)
        assert samples(server)
        killed, _ = server.workers()
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: server.workers_started() == 3 and server.all_workers_ready())
        for _ in range(20):
            assert server.get(FEED).status == 200
        reserved = metrics_dir._FILE_BYTES
        assert {file.stat().st_size for file in folder.iterdir()} == {reserved}, "nothing else"
