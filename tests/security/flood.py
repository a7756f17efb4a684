"""A flood of made-up filter sets against a real server: what it costs, and whom it holds up.

Run by ``make flood``. For each plan, half of the questions come from one client and half from
many; every one is a filter set of its own. Meanwhile somebody reads a feed that is in use.
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

from faults.fleet import Machine, studio, until
from upstreams.stub import StubUpstream

from bridge.snapshots import key_registry

HOT = "/venues/11.ics"
SESSIONS = 900
HANDS = 8
ONE = ["127.0.0.9"] * HANDS
MANY = [f"127.0.1.{number}" for number in range(1, 241)]
PER_MINUTE = 200
CACHE = 32 * 1024 * 1024
MEGABYTE = 1024 * 1024
#: What a worker may grow by beside CACHE_MAX_BYTES: pages, events, 40,000 sessions of snapshots,
#: and what Python does not return.
BESIDE = 128 * MEGABYTE
STORE = 64 * MEGABYTE
PACE = 0.02
FEWEST = 20
#: Seconds that the feed in use may take at the median, however much else is asked for.
USUAL = 0.025


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def made_up(first: int, count: int, now: datetime) -> Iterator[str]:
    """Addresses none of which was asked for before.

    Most are of little, as made-up ids are; of twenty, two are of the whole timetable, two are
    pages, and one is of a time that no copy covers.
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


def known(seconds: float) -> Iterator[str]:
    """The feed that is in use, again and again for that long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield HOT


class Client:
    """Keeps a connection, and begins another where the server ends it."""

    def __init__(self, port: int, address: str) -> None:
        self._port = port
        self._address = address
        self._connection: http.client.HTTPConnection | None = None

    def get(self, path: str) -> tuple[int, float]:
        """The status, and the seconds that it took."""
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
class Reading:
    """What somebody got who reads the feed that is in use, at an even pace."""

    took: list[float]
    statuses: Counter[int]

    @property
    def median(self) -> float:
        return quantiles(self.took, n=100)[49]

    @property
    def said(self) -> str:
        cuts = quantiles(self.took, n=100)
        return f"p50 {cuts[49] * 1000:.1f} ms, p99 {cuts[98] * 1000:.1f} ms of {len(self.took)}"


def _read(port: int, begun: Any, over: Any, told: Any) -> None:
    client = Client(port, "127.0.0.1")
    took: list[float] = []
    statuses: Counter[int] = Counter()
    begun.set()
    while not over.is_set() or len(took) < FEWEST:
        status, seconds = client.get(HOT)
        statuses[status] += 1
        took.append(seconds)
        time.sleep(PACE)
    client.close()
    told.put(Reading(took, statuses))


def read_while(port: int, work: Callable[[], None]) -> Reading:
    """Read from a process of its own while *work* is done, which would hold up a thread."""
    spawn = multiprocessing.get_context("spawn")
    begun, over, told = spawn.Event(), spawn.Event(), spawn.Queue()
    reader = spawn.Process(target=_read, args=(port, begun, over, told))
    reader.start()
    begun.wait(60)
    try:
        work()
    finally:
        over.set()
    found: Reading = told.get(timeout=60)
    reader.join()
    return found


def flood(port: int, paths: Iterator[str], addresses: Sequence[str]) -> Counter[int]:
    """Ask for all of *paths*, HANDS at a time; how often each status came."""
    statuses: Counter[int] = Counter()
    lock = threading.Lock()

    def work(hand: int) -> None:
        clients = [Client(port, one) for one in addresses[hand::HANDS]]
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

    hands = [threading.Thread(target=work, args=(hand,)) for hand in range(HANDS)]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join()
    return statuses


def memory(machine: Machine) -> int:
    """The most that a worker holds, in bytes."""
    pages = (int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in machine.workers())
    return max(pages) * os.sysconf("SC_PAGE_SIZE")


def worst_minute(times: list[float]) -> int:
    """The most requests in any 60 seconds."""
    return max((sum(at <= one < at + 60 for one in times) for at in times), default=0)


class Watched:
    """An upstream whose requests are timed."""

    def __init__(self) -> None:
        self.server: StubUpstream = studio(SESSIONS, before_page=self._note)
        self.times: list[float] = []

    def _note(self, page: int) -> None:
        self.times.append(time.monotonic())


@dataclass
class Trial:
    """One plan, one server, and what was not as it should be."""

    plan: str
    count: int
    wrong: list[str] = field(default_factory=list)

    def run(self) -> bool:
        """Flood it; whether everything was kept."""
        watched = Watched()
        with tempfile.TemporaryDirectory() as folder, watched.server as vendor:
            settings = {
                "UPSTREAM_PLAN": self.router,
                "CACHE_MAX_BYTES": str(CACHE),
                "TEAMUP_REQUESTS_PER_MINUTE": str(PER_MINUTE),
            }
            store = f"sqlite:///{folder}/store.sqlite3"
            with Machine(vendor.url, store, workers=2, **settings) as machine:
                self._flood(machine)
                self._measure(machine, Path(folder), watched.times)
        for one in self.wrong:
            say(f"  WRONG: {one}")
        return not self.wrong

    def _flood(self, machine: Machine) -> None:
        until(lambda: machine.get(HOT).status == 200)
        read_while(machine.port, lambda: time.sleep(2))
        self._good = machine.get(HOT)
        self._small = memory(machine)
        say(f"{self.plan}: {self.count} filter sets; a worker holds {_megabytes(self._small)}")
        self._read(machine, "alone", lambda: time.sleep(5))
        self._read(machine, "among others who read it", lambda: self._ask(machine, known(5), ONE))
        now, half = datetime.now(UTC), self.count // 2
        one, other = made_up(0, half, now), made_up(half, half, now)
        self._read(machine, "while one client floods", lambda: self._ask(machine, one, ONE))
        self._read(machine, "while many flood", lambda: self._ask(machine, other, MANY))
        self._read(machine, "afterwards", lambda: time.sleep(5))

    def _ask(self, machine: Machine, paths: Iterator[str], addresses: Sequence[str]) -> None:
        began = time.monotonic()
        statuses = flood(machine.port, paths, addresses)
        rate = statuses.total() / (time.monotonic() - began)
        told = ", ".join(f"{n} × {status}" for status, n in sorted(statuses.items()))
        say(f"    {rate:.0f} a second: {told}")
        if not set(statuses) <= {200, 429, 503}:
            self.wrong.append(f"answers: {dict(statuses)}")

    def _read(self, machine: Machine, when: str, work: Callable[[], None]) -> None:
        reading = read_while(machine.port, work)
        say(f"  the feed in use, {when:26} {reading.said}")
        if set(reading.statuses) != {200}:
            self.wrong.append(f"the feed in use: {dict(reading.statuses)}")
        if reading.median > USUAL:
            self.wrong.append(f"the feed in use was held up {when}")

    def _measure(self, machine: Machine, folder: Path, times: list[float]) -> None:
        if machine.get(HOT).validators[:2] != self._good.validators[:2]:
            self.wrong.append("the feed in use is not what it was")
        grown = memory(machine) - self._small
        kept = sum(one.stat().st_size for one in folder.iterdir())
        most = worst_minute(times)
        say(f"  a worker grew by {_megabytes(grown)}; CACHE_MAX_BYTES is {_megabytes(CACHE)}")
        say(f"  the store holds {_megabytes(kept)}")
        say(f"  upstream: {len(times)} requests, {most} in the worst minute of {PER_MINUTE}")
        if grown > CACHE + BESIDE:
            self.wrong.append("memory is not bounded")
        if kept > STORE:
            self.wrong.append("the store is not bounded")
        if most > PER_MINUTE:
            self.wrong.append("upstream was asked for more than the budget")


def _megabytes(size: int) -> str:
    return f"{size / MEGABYTE:.0f} MB"


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--plan", action="append", choices=("wide", "narrow"))
    given = parser.parse_args()
    say(f"at most {key_registry.MAX_KEYS} filter sets are kept")
    kept = [Trial(plan, given.count).run() for plan in given.router or ("wide", "narrow")]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
