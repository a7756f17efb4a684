"""Two workers of one machine: they count together, and end and begin without a request lost."""

import http.client
import json
import os
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from fleet import Hold, Machine, get, herd, keys_of, studio, until
from upstreams.stub import StubUpstream

from bridge.clock import SystemClock
from bridge.ops.usage import UsageCounter
from bridge.store.sqlite import SqliteStore

FEED = "/venues/11.ics"
RULE = "/venues/<feed_id:identity>.<feed_format:form>"
PASSWORD = "an-operators-password"
LOAD = 8
# Seconds: less than those that the server gives clients at its end.
LATE = 0.3


@pytest.fixture(scope="module")
def vendor() -> Iterator[StubUpstream]:
    with studio() as server:
        yield server


@pytest.fixture(scope="module")
def machine(vendor: StubUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    store = f"sqlite:///{tmp_path_factory.mktemp('store')}/store.sqlite3"
    # each write reaches the log at once, as in a container
    settings = {"OPERATOR_TOKEN": PASSWORD, "PYTHONUNBUFFERED": "1"}
    with Machine(vendor.url, store, workers=2, **settings) as server:
        yield server


def numbers(machine: Machine) -> Counter[str]:
    """Every number of the metrics, by its name and labels."""
    answer = machine.get("/metrics", Authorization=f"Bearer {PASSWORD}")
    assert answer.status == 200
    lines = (line for line in answer.body.decode().splitlines() if line[:1] != "#")
    return Counter({name: float(value) for name, value in (one.rsplit(" ", 1) for one in lines)})


def requests(found: Counter[str], route: str = RULE) -> float:
    return sum(value for name, value in found.items() if f'route="{route}"' in name)


class TestMetrics:
    def test_they_add_up_to_the_requests_that_were_sent_whoever_is_asked(
        self, machine: Machine
    ) -> None:
        before = numbers(machine)
        herd([partial(machine.get, FEED) for _ in range(40)])
        found = [numbers(machine) for _ in range(6)]
        assert [requests(one) - requests(before) for one in found] == [40] * 6
        assert [requests(one, "/metrics") for one in found] == [
            requests(before, "/metrics") + 1 + later for later in range(6)
        ]

    def test_both_workers_had_a_part_in_them(self, machine: Machine) -> None:
        asked = re.compile(r"bridge_requests_total")
        folders = [one for one in Path("/dev/shm").glob(f"*-{machine.pid}-*") if one.is_dir()]
        for pid in machine.workers():
            herd([partial(machine.get, FEED) for _ in range(20)])
            [file] = [one for folder in folders for one in folder.glob(f"counter_{pid}.db")]
            assert asked.search(file.read_bytes().decode("latin-1"))

    def test_a_worker_that_is_gone_has_counted_for_good_and_is_in_no_other_number(
        self, machine: Machine
    ) -> None:
        herd([partial(machine.get, FEED) for _ in range(10)])
        before = numbers(machine)
        started = machine.started()
        os.kill(machine.workers()[0], signal.SIGKILL)
        until(lambda: machine.started() > started, why="no other worker")
        after = numbers(machine)
        assert requests(after) == requests(before)
        assert after["bridge_store_failing_workers"] == 0
        [folder] = Path("/dev/shm").glob(f"*-{machine.pid}-*")
        alive = {f"gauge_livesum_{pid}.db" for pid in machine.workers()}
        assert {one.name for one in folder.glob("gauge_live*.db")} <= alive


def test_every_line_of_the_log_is_json(machine: Machine) -> None:
    machine.get("/nowhere")
    until(lambda: any("/nowhere" in line for line in machine.log))
    lines = [json.loads(line) for line in list(machine.log)]
    said = {line["event"] for line in lines}
    assert "request" in said
    assert {"worker started", "Started worker-1", "Started worker-2"} <= said
    assert all(line["level"] and line["timestamp"] for line in lines)


class Load:
    """Clients that ask one after the other until the server is gone; every other one keeps its
    connection.

    Attributes:
        told: how their requests ended. "late" is one that its client sent so long after it could
            have that the server had closed the connection: a busy machine, or any client that
            keeps an idle connection, which asks again (RFC 9112, 9.3.1). "not read" is one on a
            connection that the server closed before it read from it: such a client asks again,
            too.
    """

    def __init__(self, port: int) -> None:
        self.told: Counter[str] = Counter()
        self._port = port
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(bool(number % 2),)) for number in range(LOAD)
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
            free = time.monotonic()
            if connection is None or connection.sock is None:
                connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=15)
                try:
                    connection.connect()
                except ConnectionRefusedError:
                    self._note("refused")
                    return
                free = time.monotonic()
            how = self._once(connection, free)
            self._note(how if how != "200" else f"200 {'kept' if keep else 'new'}")
            if not keep or how != "200":
                connection.close()

    def _note(self, how: str) -> None:
        with self._lock:
            self.told[how] += 1

    def _once(self, connection: http.client.HTTPConnection, free: float) -> str:
        try:
            try:
                connection.request("GET", FEED)
            finally:
                waited = time.monotonic() - free
            response = connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            return "late" if waited > LATE else "not read"
        except (OSError, http.client.HTTPException) as err:
            return f"failed: {err!r}"
        try:
            whole = response.read().endswith(b"END:VCALENDAR\r\n")
        except (OSError, http.client.HTTPException) as err:
            return f"cut short: {err!r}"
        return "200" if response.status == 200 and whole else f"failed: {response.status}"


class TestTheEnd:
    def test_under_load_no_answer_is_cut_short_and_the_store_is_in_order(
        self, vendor: StubUpstream, tmp_path: Path
    ) -> None:
        file = tmp_path / "store.sqlite3"
        store = SqliteStore(file, SystemClock())
        leases = keys_of(vendor).lease("")
        cold: list[int] = []
        with Machine(vendor.url, f"sqlite:///{file}", workers=2, REFRESH_AHEAD="on") as machine:
            assert machine.get(FEED).status == 200
            address = f"{machine.url}/sessions.ics?past=60"
            hold = Hold(vendor, pages=(1,))
            waiting = threading.Thread(target=lambda: cold.append(get(address).status))
            waiting.start()
            until(hold.reached)
            assert store.names(leases)
            load = Load(machine.port)
            until(lambda: min(load.told["200 new"], load.told["200 kept"]) > 10 * LOAD)
            # after the clients are gone, so that it is what the end waits for
            threading.Timer(1.0, hold.let_go).start()
            assert machine.stop() < 5
            load.end()
            waiting.join(20)
            assert set(load.told) <= {"200 new", "200 kept", "late", "not read", "refused"}
            assert load.told["refused"] == LOAD
            assert load.told["not read"] < LOAD
            assert cold == [200]
            assert store.names(leases) == []
            # What the workers have read is what the clients have an answer to, to the last one:
            # counted by the workers at their end, of clients that do not say what they are.
            noted = UsageCounter(store, keys_of(vendor)).families()
            assert noted["others"].today == (
                1 + load.told["200 new"] + load.told["200 kept"] + len(cold)
            )
            self._begin_again(machine, vendor)
        store.close()

    def _begin_again(self, machine: Machine, vendor: StubUpstream) -> None:
        """The next start serves from the store at once, and asks nobody."""
        asked = len(vendor.requests)
        machine.launch()
        first = until(lambda: ready(machine), seconds=15)
        spent = [seconds_of(pid) for pid in (machine.pid, *machine.workers())]
        assert first == 200
        answer = machine.get(FEED)
        assert answer.status == 200
        assert answer.headers["cache-status"].startswith("bridge; hit")
        assert len(vendor.requests) == asked
        # what it takes where nobody else is at work: the server, and one of its workers
        assert spent[0] + max(spent[1:]) < 2.0

    def test_told_to_end_while_its_workers_start_it_ends_before_a_host_kills_it(
        self, vendor: StubUpstream, tmp_path: Path
    ) -> None:
        machine = Machine(vendor.url, f"sqlite:///{tmp_path}/store.sqlite3", workers=2)
        try:
            machine.launch()
            until(lambda: sum("Spawning worker" in line for line in list(machine.log)) == 2)
            # a worker that has not begun to serve does not hear it, and is killed after 15 seconds
            assert machine.stop(seconds=30) < 20
        finally:
            machine.kill()


def ready(machine: Machine) -> int | None:
    """The status of a feed, once there is somebody to say that he is ready."""
    try:
        if machine.get("/readyz").status == 200:
            return machine.get(FEED).status
    except OSError:
        pass
    return None


def seconds_of(pid: int) -> float:
    """What a process has had of the processor."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
