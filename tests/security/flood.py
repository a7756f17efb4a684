"""Load test: a flood of made-up filter sets against a real server.

Run by ``make flood``. For each upstream plan, half of the requests come from one address and half
from many; each has a different filter set. Meanwhile a client reads a feed in use. The script
checks worker_memory, store size, upstream requests and the latency of the feed in use.
"""

import argparse
import http.client
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path
from statistics import quantiles
from typing import Any

from clocks import wait_until
from faults.fleet import Machine, stub_upstream
from upstreams.stub import StubUpstream

from bridge.snapshots import key_registry

FEED = "/venues/11.ics"
SESSION_COUNT = 900
THREADS = 8
ONE_ADDRESS = ["127.0.0.9"] * THREADS
MANY_ADDRESSES = [f"127.0.1.{number}" for number in range(1, 241)]
PER_MINUTE = 200
CACHE_BYTES = 32 * 1024 * 1024
MEGABYTE = 1024 * 1024
#: Allowed growth of a worker besides CACHE_MAX_BYTES: pages, events, 40,000 sessions in snapshots,
#: and worker_memory that Python does not release.
MAX_OTHER_BYTES = 128 * MEGABYTE
MAX_STORE_BYTES = 64 * MEGABYTE
INTERVAL = 0.02
MIN_SAMPLES = 20
#: Maximum median latency of the feed in use, in seconds.
MAX_MEDIAN = 0.025


def report(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def made_up_paths(first: int, count: int, now: datetime) -> Iterator[str]:
    """Generate paths with a different filter set each.

    Most match few or no sessions; of twenty, two match the whole timetable, two are pages, and one
    is for a time that no snapshot covers.
    """
    for number in range(first, first + count):
        at = (now + timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%SZ")
        long_ago = (datetime(2001, 1, 1, tzinfo=UTC) + timedelta(seconds=number)).isoformat()[:19]
        rare = {
            3: f"/sessions.ics?starts_at_gte={at}",
            7: f"/sessions.json?starts_at_gte={at}&availability=full",
            11: f"/sessions?venues=11%2C{10_000 + number}",
            15: f"/embed/venues/12?starts_at_gte={at}",
            19: f"/sessions.ics?starts_at_gte={long_ago}",
        }
        common = (
            f"/venues/{10_000 + number}.ics",
            f"/sessions.txt?venues={10_000 + number}&past=0&future=7",
            f"/instructors/104.json?past={number % 31}&future={number % 366}&venues=11%2C{number}",
            f"/venues/11.ics?offering_types=301%2C{number}&cancelled=keep",
            f"/instructors/104-{number}.ics?ends_at_lte={at}",
        )
        yield rare.get(number % 20) or common[number % 5]


def feed_in_use(seconds: float) -> Iterator[str]:
    """Generate the path of the feed in use, again and again for *seconds*."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield FEED


class Client:
    """An HTTP client that keeps its connection open and reconnects if necessary."""

    def __init__(self, port: int, address: str) -> None:
        self._port = port
        self._address = address
        self._connection: http.client.HTTPConnection | None = None

    def get(self, path: str) -> tuple[int, float]:
        """Request *path*; return the status and the seconds."""
        began = time.perf_counter()
        if self._connection is None:
            self._connection = http.client.HTTPConnection(
                "127.0.0.1", self._port, timeout=30, source_address=(self._address, 0)
            )
        try:
            self._connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
            response = self._connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            self.close()
            return 0, time.perf_counter() - began
        return response.status, time.perf_counter() - began

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@dataclass
class Latencies:
    """Latencies and statuses of a client that reads the feed in use at regular intervals."""

    seconds: list[float]
    statuses: Counter[int]

    @property
    def median(self) -> float:
        return quantiles(self.seconds, n=100)[49]

    @property
    def summary(self) -> str:
        cuts = quantiles(self.seconds, n=100)
        return f"p50 {cuts[49] * 1000:.1f} ms, p99 {cuts[98] * 1000:.1f} ms of {len(self.seconds)}"


def _measure_latency(port: int, started: Any, stop: Any, results: Any) -> None:
    client = Client(port, "127.0.0.1")
    took: list[float] = []
    statuses: Counter[int] = Counter()
    started.set()
    while not stop.is_set() or len(took) < MIN_SAMPLES:
        status, seconds = client.get(FEED)
        statuses[status] += 1
        took.append(seconds)
        time.sleep(INTERVAL)
    client.close()
    results.put(Latencies(took, statuses))


def measure_during(port: int, work: Callable[[], None]) -> Latencies:
    """Read the feed in use while *work* runs, in a process that *work* does not slow down."""
    spawn = multiprocessing.get_context("spawn")
    started, stop, results = spawn.Event(), spawn.Event(), spawn.Queue()
    reader = spawn.Process(target=_measure_latency, args=(port, started, stop, results))
    reader.start()
    started.wait(60)
    try:
        work()
    finally:
        stop.set()
    sample: Latencies = results.get(timeout=60)
    reader.join()
    return sample


def flood(port: int, paths: Iterator[str], addresses: Sequence[str]) -> Counter[int]:
    """Request all of *paths* with THREADS threads; return the number of responses by status."""
    statuses: Counter[int] = Counter()
    lock = threading.Lock()

    def work(number: int) -> None:
        clients = [Client(port, address) for address in addresses[number::THREADS]]
        for client in cycle(clients):
            with lock:
                path = next(paths, None)
            if path is None:
                break
            status, _ = client.get(path)
            with lock:
                statuses[status] += 1
        for client in clients:
            client.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


def worker_memory(machine: Machine) -> int:
    """Memory of the largest worker, in bytes."""
    pages = (int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in machine.workers())
    return max(pages) * os.sysconf("SC_PAGE_SIZE")


def worst_minute(times: list[float]) -> int:
    """The largest number of requests in any 60 seconds."""
    return max((sum(start <= time < start + 60 for time in times) for start in times), default=0)


class TimedUpstream:
    """A stub of TeamUp that records the times of requests."""

    def __init__(self) -> None:
        self.server: StubUpstream = stub_upstream(SESSION_COUNT, before_page=self._record)
        self.times: list[float] = []

    def _record(self, page: int) -> None:
        self.times.append(time.monotonic())


@dataclass
class FloodTest:
    """The load test for one upstream plan; collects violated limits in `failures`."""

    plan: str
    count: int
    failures: list[str] = field(default_factory=list)

    def run(self) -> bool:
        """Run the test; return whether all limits were kept."""
        upstream = TimedUpstream()
        with tempfile.TemporaryDirectory() as folder, upstream.server as teamup:
            settings = {
                "UPSTREAM_PLAN": self.plan,
                "CACHE_MAX_BYTES": str(CACHE_BYTES),
                "TEAMUP_REQUESTS_PER_MINUTE": str(PER_MINUTE),
            }
            store = f"sqlite:///{folder}/store.sqlite3"
            with Machine(teamup.url, store, workers=2, **settings) as machine:
                self._flood(machine)
                self._measure(machine, Path(folder), upstream.times)
        for failure in self.failures:
            report(f"  FAILED: {failure}")
        return not self.failures

    def _flood(self, machine: Machine) -> None:
        wait_until(lambda: machine.get(FEED).status == 200)
        measure_during(machine.port, lambda: time.sleep(2))
        self._expected = machine.get(FEED)
        self._memory = worker_memory(machine)
        report(f"{self.plan}: {self.count} filter sets; a worker holds {_mb(self._memory)}")
        self._measure_latency(machine, "alone", lambda: time.sleep(5))
        self._measure_latency(
            machine,
            "while others read it",
            lambda: self._send(machine, feed_in_use(5), ONE_ADDRESS),
        )
        now, half = datetime.now(UTC), self.count // 2
        first, second = made_up_paths(0, half, now), made_up_paths(half, half, now)
        self._measure_latency(
            machine, "while one client floods", lambda: self._send(machine, first, ONE_ADDRESS)
        )
        self._measure_latency(
            machine, "while many clients flood", lambda: self._send(machine, second, MANY_ADDRESSES)
        )
        self._measure_latency(machine, "afterwards", lambda: time.sleep(5))

    def _send(self, machine: Machine, paths: Iterator[str], addresses: Sequence[str]) -> None:
        began = time.monotonic()
        statuses = flood(machine.port, paths, addresses)
        rate = statuses.total() / (time.monotonic() - began)
        counts = ", ".join(f"{n} × {status}" for status, n in sorted(statuses.items()))
        report(f"    {rate:.0f} a second: {counts}")
        if not set(statuses) <= {200, 429, 503}:
            self.failures.append(f"unexpected statuses: {dict(statuses)}")

    def _measure_latency(self, machine: Machine, when: str, work: Callable[[], None]) -> None:
        sample = measure_during(machine.port, work)
        report(f"  the feed in use, {when:26} {sample.summary}")
        if set(sample.statuses) != {200}:
            self.failures.append(f"the feed in use: {dict(sample.statuses)}")
        if sample.median > MAX_MEDIAN:
            self.failures.append(f"the feed in use was slow {when}")

    def _measure(self, machine: Machine, folder: Path, times: list[float]) -> None:
        if machine.get(FEED).validators[:2] != self._expected.validators[:2]:
            self.failures.append("the feed in use has changed")
        grown = worker_memory(machine) - self._memory
        store_size = sum(file.stat().st_size for file in folder.iterdir())
        worst = worst_minute(times)
        report(f"  a worker grew by {_mb(grown)}; CACHE_MAX_BYTES is {_mb(CACHE_BYTES)}")
        report(f"  the store holds {_mb(store_size)}")
        report(f"  upstream: {len(times)} requests, {worst} in the worst minute of {PER_MINUTE}")
        if grown > CACHE_BYTES + MAX_OTHER_BYTES:
            self.failures.append("memory is not bounded")
        if store_size > MAX_STORE_BYTES:
            self.failures.append("the store is not bounded")
        if worst > PER_MINUTE:
            self.failures.append("upstream got more requests than the budget")


def _mb(size: int) -> str:
    return f"{size / MEGABYTE:.0f} MB"


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--plan", action="append", choices=("wide", "narrow"))
    args = parser.parse_args()
    report(f"at most {key_registry.MAX_KEYS} filter sets are kept")
    passed = [FloodTest(plan, args.count).run() for plan in args.plan or ("wide", "narrow")]
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
