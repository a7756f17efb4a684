"""Machines that run whole servers, as a host does, and herds that call on them."""

import http.client
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import asgi_client
from asgi_client import AsgiClient
from upstreams.rows import timetable
from upstreams.stub import StubUpstream
from valkey import free_port

from bridge import server
from bridge.services import Services
from bridge.store.fallback import FallbackStore
from bridge.store.keys import Keys
from bridge.upstream.account import Account

T = TypeVar("T")

TOKEN = "t0ken-of-the-fleet"
HOME = Path(server.__file__).parent.parent
HERE = Path(__file__).parent
TIMETABLE = 250
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
PAGES = 3


@dataclass(frozen=True)
class Answer:
    """What a client got; the names of headers are in lower case."""

    status: int
    body: bytes
    headers: dict[str, str]
    seconds: float

    @property
    def validators(self) -> tuple[bytes, str, str]:
        """All that must not differ between workers, machines and restarts."""
        return self.body, self.headers["etag"], self.headers["last-modified"]


def get(url: str, *, timeout: float = 20.0, **headers: str) -> Answer:
    """Ask once, over a connection of its own."""
    parts = urlsplit(url)
    began = time.monotonic()
    connection = http.client.HTTPConnection(parts.netloc, timeout=timeout)
    try:
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        connection.request("GET", target, headers=headers)
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    told = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, body, told, time.monotonic() - began)


def herd(asks: Sequence[Callable[[], T]]) -> list[T]:
    """Call all of *asks* at the same moment, each in a thread; what they returned, in order."""
    found: dict[int, T] = {}
    errors: list[BaseException] = []
    barrier = threading.Barrier(len(asks))

    def run(place: int) -> None:
        barrier.wait()
        try:
            found[place] = asks[place]()
        except Exception as error:  # noqa: BLE001 - raised again in the test's own thread
            errors.append(error)

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(asks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return [found[place] for place in range(len(asks))]


def until(wanted: Callable[[], Any], *, seconds: float = 30.0, why: str = "") -> Any:
    """Wait until *wanted* is true; what it returned."""
    end = time.monotonic() + seconds
    while True:
        found = wanted()
        if found:
            return found
        assert time.monotonic() < end, why or "it did not happen in time"
        time.sleep(0.02)


class Machine:
    """One server on a port of its own, with the settings of a host.

    Args:
        store: its CACHE_URL.
        arguments: of the command.
        target: another application, as ``module:name``; its module is in PYTHONPATH.
        short_leases: leases of two seconds, so that a test need not wait for fifteen.
        before: run in the new process before the server starts.
        settings: further variables of the environment.

    Attributes:
        environment: what it runs with, and so do its operator's commands.
    """

    def __init__(
        self,
        upstream: str,
        store: str,
        *,
        workers: int = 1,
        arguments: Sequence[str] = (),
        target: str = "",
        short_leases: bool = False,
        before: Callable[[], None] | None = None,
        **settings: str,
    ) -> None:
        self.port = free_port()
        host = settings.get("HOST", "127.0.0.1")
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{self.port}"
        self.log: list[str] = []
        self._workers = workers
        self._before = before
        self._arguments = arguments
        self._target = "short_leases:asgi" if short_leases else target
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(HERE),
            "TEAMUP_API_TOKEN": TOKEN,
            "TEAMUP_AUTH_SCHEME": "Bearer",
            "TEAMUP_BASE_URL": upstream,
            "CACHE_URL": store,
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "WEB_CONCURRENCY": str(workers),
            "REFRESH_AHEAD": "off",
            **settings,
        }
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.launch()
        self.await_start()

    def launch(self) -> None:
        """Start it, and leave it to itself."""
        self.log.clear()
        command = [sys.executable, "-m", "bridge.server", *self._arguments]
        if self._target:
            serving = "from bridge import config, server; server.serve(config.load(), %r)"
            command = [sys.executable, "-c", serving % self._target]
        self._process = subprocess.Popen(
            command,
            env=self.environment,
            cwd=HOME,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=self._before,  # noqa: PLW1509 - no other thread of ours holds a lock here
        )
        self._reader = threading.Thread(
            target=self._read, args=(self._process.stdout,), daemon=True
        )
        self._reader.start()

    def await_start(self) -> None:
        """Wait until every worker answers."""
        until(self._answers, seconds=30, why="the server did not start")

    def get(self, path: str, **headers: str) -> Answer:
        return get(self.url + path, **headers)

    def all_up(self) -> bool:
        """Whether each worker has answered something: until then it may miss a signal."""
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
        listening = [row for row in rows if row[3] == "0A" and row[1].endswith(f":{self.port:04X}")]
        # the system spreads connections over the workers
        return len(listening) == self._workers and all(self._answers() for _ in range(20))

    def tell(self, number: int) -> None:
        """Send a signal to the server's own process."""
        os.kill(self.pid, number)

    def wait(self, seconds: float = 30.0) -> int:
        """Wait until it has ended; its exit code."""
        assert self._process is not None
        code = self._process.wait(seconds)
        self._end()
        return code

    def workers(self) -> list[int]:
        """The process ids of its workers."""
        listed = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(pid) for pid in listed.split()]

    def strike(self, number: int) -> list[int]:
        """Send a signal to every worker, and to none but them."""
        struck = self.workers()
        for pid in struck:
            os.kill(pid, number)
        return struck

    def stop(self, *, seconds: float = 15.0) -> float:
        """End it as a host does; the seconds that it took."""
        assert self._process is not None
        began = time.monotonic()
        self._process.terminate()
        self.wait(seconds)
        return time.monotonic() - began

    def kill(self) -> None:
        """End it and its workers at once."""
        if self._process is None:
            return
        workers = self.workers() if self.running else []
        self._process.kill()
        self._process.wait()
        for pid in workers:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._end()

    def _end(self) -> None:
        if self._reader is not None:
            self._reader.join(5)
        self._process = self._reader = None

    def started(self) -> int:
        """How many workers have started so far, those that are gone included."""
        return sum("Started worker" in line for line in list(self.log))

    def _answers(self) -> bool:
        assert self.running, "\n".join(self.log)
        quiet = self.environment.get("LOG_LEVEL") == "error"
        if not quiet and self.started() < self._workers:
            return False
        try:
            return get(f"{self.url}/healthz", timeout=2).status == 200
        except OSError:
            return False

    def _read(self, stream: Any) -> None:
        with stream:
            self.log.extend(line.rstrip() for line in stream)


@contextmanager
def together(*machines: Machine) -> Iterator[tuple[Machine, ...]]:
    """Machines that start at the same time; all are ended at the end."""
    try:
        for machine in machines:
            machine.launch()
        for machine in machines:
            machine.await_start()
        yield machines
    finally:
        for machine in machines:
            machine.kill()


class RunningClock:
    """Time as it passes from *at* on, and a test may let it leap; whoever waits leaps along."""

    def __init__(self, at: datetime = NOW) -> None:
        self._ahead = at.timestamp() - time.time()
        self._leapt = 0.0

    def now(self) -> float:
        return time.time() + self._ahead + self._leapt

    def monotonic(self) -> float:
        return time.monotonic() + self._leapt

    def wait(self, event: threading.Event, seconds: float) -> bool:
        end = self.monotonic() + seconds
        while (left := end - self.monotonic()) > 0 and not event.wait(min(left, 0.02)):
            pass
        return event.is_set()

    def move(self, seconds: float) -> None:
        """Let that much time pass at once."""
        self._leapt += seconds


class Worker:
    """One process, as far as the store is concerned: a bridge in this one."""

    def __init__(self, parts: Services) -> None:
        self.parts = parts
        self._client = AsgiClient.of(parts)

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> asgi_client.Answer:
        return self._client.get(path, headers)

    def timed(self, path: str) -> tuple[int, float]:
        """The status, and the seconds that it took."""
        began = time.monotonic()
        status = self.get(path).status_code
        return status, time.monotonic() - began

    def all(self, paths: Sequence[str]) -> dict[str, tuple[int, bytes, str, str]]:
        """Status, body and validators of each."""
        answers = {path: self.get(path) for path in paths}
        return {
            path: (
                answer.status_code,
                answer.data,
                answer.headers.get("ETag", ""),
                answer.headers.get("Last-Modified", ""),
            )
            for path, answer in answers.items()
        }

    def served(self, paths: Sequence[str]) -> dict[str, tuple[int, bytes, str, str]]:
        """All of them, every one of which must be 200."""
        found = self.all(paths)
        assert {status for status, *_ in found.values()} == {200}
        return found

    @property
    def failing(self) -> bool:
        """Whether its store fails at present."""
        store = self.parts.store
        assert isinstance(store, FallbackStore)
        return store.failing


@dataclass
class Hold:
    """Keeps upstream's answers for some pages back until it is let go.

    Attributes:
        most: requests that are kept back; later ones are answered. None for all.
    """

    upstream: StubUpstream
    pages: tuple[int, ...] = (2,)
    most: int | None = None
    held: int = 0
    gone: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.upstream.before_page = self

    def __call__(self, page: int) -> None:
        if page in self.pages and (self.most is None or self.held < self.most):
            self.held += 1
            while not self.gone.wait(0.02) and self.upstream.running:
                pass

    def reached(self, count: int = 1) -> bool:
        return self.held >= count

    def let_go(self) -> None:
        self.gone.set()


def studio(count: int = TIMETABLE, *, at: datetime | None = None, **options: Any) -> StubUpstream:
    """An upstream with *count* sessions from three days before *at* on: today, unless told."""
    start = (at or datetime.now(UTC)) - timedelta(days=3)
    return StubUpstream(timetable(count, start, days=80), token=TOKEN, **options)


def rename(upstream: StubUpstream, name: str) -> None:
    """Give every session another name."""
    upstream.rows = [{**row, "name": name} for row in upstream.rows]


def walks(upstream: StubUpstream) -> int:
    """How often a walk was begun."""
    return upstream.pages().count(1)


def keys_of(upstream: StubUpstream) -> Keys:
    """The store's keys of a machine in front of *upstream*."""
    account = Account(token=TOKEN, schemes=("Bearer",), base_url=upstream.url)
    return Keys(account.name)
