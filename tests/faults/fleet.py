"""Server processes, in-process workers and a stub of TeamUp, for tests of faults and of servers."""

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
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import asgi_client
from asgi_client import AsgiClient
from clocks import wait_until
from upstreams.rows import timetable
from upstreams.stub import StubUpstream
from upstreams.tested_list import TESTED_LIST
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
SESSION_COUNT = 250
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
PAGES = 3


@dataclass(frozen=True)
class HttpResponse:
    """A response as a client received it; header names are in lower case."""

    status: int
    body: bytes
    headers: dict[str, str]
    seconds: float

    @property
    def validators(self) -> tuple[bytes, str, str]:
        """Body, ETag and Last-Modified, which all workers and machines must agree on."""
        return self.body, self.headers["etag"], self.headers["last-modified"]


def get(url: str, *, timeout: float = 20.0, **headers: str) -> HttpResponse:
    """Send one request over a new connection."""
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
    lowered = {name.lower(): value for name, value in response.getheaders()}
    return HttpResponse(response.status, body, lowered, time.monotonic() - began)


def run_concurrently(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Call all functions at the same time, each in a thread; return their results in order."""
    results: dict[int, T] = {}
    errors: list[BaseException] = []
    barrier = threading.Barrier(len(calls))

    def run(index: int) -> None:
        barrier.wait()
        try:
            results[index] = calls[index]()
        except Exception as error:  # noqa: BLE001 - raised again in the test's own thread
            errors.append(error)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return [results[index] for index in range(len(calls))]


class Machine:
    """A ``bridge.server`` process on a free port.

    Args:
        upstream: TEAMUP_BASE_URL.
        store: CACHE_URL.
        arguments: command-line arguments.
        target: the application to serve instead, as ``module:name``; must be in PYTHONPATH.
        short_leases: leases of two seconds instead of fifteen, so that tests take less time.
        before: called in the new process before the server starts.
        settings: further environment variables.

    Attributes:
        environment: the process's environment, also for operator commands.
        log: the lines of its output.
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
            "TEAMUP_SOURCES": TESTED_LIST.value,
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

    def __exit__(self, *error: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process and wait until it is ready."""
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Start the process without waiting."""
        self.log.clear()
        command = [sys.executable, "-m", "bridge.server", *self._arguments]
        if self._target:
            script = "from bridge import config, server; server.serve(config.load(), %r)"
            command = [sys.executable, "-c", script % self._target]
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

    def wait_until_ready(self) -> None:
        """Wait until every worker has started and the server answers."""
        wait_until(self._answers, why="the server did not start")

    def get(self, path: str, **headers: str) -> HttpResponse:
        return get(self.url + path, **headers)

    def all_workers_ready(self) -> bool:
        """Whether every worker has answered a request; before that, a worker may miss a signal."""
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
        listening = [row for row in rows if row[3] == "0A" and row[1].endswith(f":{self.port:04X}")]
        # The kernel distributes connections over the workers.
        return len(listening) == self._workers and all(self._answers() for _ in range(20))

    def send_signal(self, number: int) -> None:
        """Send a signal to the main process only."""
        os.kill(self.pid, number)

    def wait(self, seconds: float = 30.0) -> int:
        """Wait until the process has ended; return its exit code."""
        assert self._process is not None
        code = self._process.wait(seconds)
        self._end()
        return code

    def workers(self) -> list[int]:
        """The process ids of the workers."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def signal_workers(self, number: int) -> list[int]:
        """Send a signal to every worker, not to the main process; return their process ids."""
        pids = self.workers()
        for pid in pids:
            os.kill(pid, number)
        return pids

    def stop(self, *, seconds: float = 15.0) -> float:
        """Terminate the server as a host does; return the seconds until it has ended."""
        assert self._process is not None
        began = time.monotonic()
        self._process.terminate()
        self.wait(seconds)
        return time.monotonic() - began

    def kill(self) -> None:
        """Kill the server and its workers."""
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

    def workers_started(self) -> int:
        """Number of workers started so far, including those that have ended."""
        return sum("Started worker" in line for line in list(self.log))

    def _answers(self) -> bool:
        if not self.running and self._reader is not None:
            # Its last lines may not have been read yet.
            self._reader.join(5)
        assert self.running, "\n".join(self.log)
        quiet = self.environment.get("LOG_LEVEL") == "error"
        if not quiet and self.workers_started() < self._workers:
            return False
        try:
            return get(f"{self.url}/healthz", timeout=2).status == 200
        except OSError:
            return False

    def _read(self, stream: Any) -> None:
        with stream:
            self.log.extend(line.rstrip() for line in stream)


@contextmanager
def running(*machines: Machine) -> Iterator[tuple[Machine, ...]]:
    """Start the machines at the same time; kill all at the end of the block."""
    try:
        for machine in machines:
            machine.launch()
        for machine in machines:
            machine.wait_until_ready()
        yield machines
    finally:
        for machine in machines:
            machine.kill()


class RunningClock:
    """Real time, starting at *at*; `move` makes it jump ahead, also for threads that wait."""

    def __init__(self, at: datetime = NOW) -> None:
        self._shift = at.timestamp() - time.time()
        self._offset = 0.0

    def now(self) -> float:
        return time.time() + self._shift + self._offset

    def monotonic(self) -> float:
        return time.monotonic() + self._offset

    def wait(self, event: threading.Event, seconds: float) -> bool:
        end = self.monotonic() + seconds
        while (left := end - self.monotonic()) > 0 and not event.wait(min(left, 0.02)):
            pass
        return event.is_set()

    def move(self, seconds: float) -> None:
        """Advance the clock by *seconds*."""
        self._offset += seconds


class Worker:
    """A bridge in this process that stands for a worker process: it shares only the store."""

    def __init__(self, parts: Services) -> None:
        self.parts = parts
        self._client = AsgiClient.of(parts)

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> asgi_client.AsgiResponse:
        return self._client.get(path, headers)

    def timed(self, path: str) -> tuple[int, float]:
        """Request *path*; return the status and the seconds."""
        began = time.monotonic()
        status = self.get(path).status_code
        return status, time.monotonic() - began

    def fetch_all(self, paths: Sequence[str]) -> dict[str, tuple[int, bytes, str, str]]:
        """Request all *paths*; return status, body, ETag and Last-Modified of each."""
        responses = {path: self.get(path) for path in paths}
        return {
            path: (
                response.status_code,
                response.data,
                response.headers.get("ETag", ""),
                response.headers.get("Last-Modified", ""),
            )
            for path, response in responses.items()
        }

    def fetch_ok(self, paths: Sequence[str]) -> dict[str, tuple[int, bytes, str, str]]:
        """Request all *paths*; every status must be 200."""
        responses = self.fetch_all(paths)
        assert {status for status, *_ in responses.values()} == {200}
        return responses

    @property
    def failing(self) -> bool:
        """Whether the store currently fails."""
        store = self.parts.store
        assert isinstance(store, FallbackStore)
        return store.failing


@dataclass
class BlockedPages:
    """Blocks the stub's responses for some pages until `release` is called.

    Attributes:
        limit: number of requests that are blocked; later ones are answered. None for all.
        count: number of requests that were blocked so far.
    """

    upstream: StubUpstream
    pages: tuple[int, ...] = (2,)
    limit: int | None = None
    count: int = 0
    released: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.upstream.before_page = self

    def __call__(self, page: int) -> None:
        if page in self.pages and (self.limit is None or self.count < self.limit):
            self.count += 1
            while not self.released.wait(0.02) and self.upstream.running:
                pass

    def reached(self) -> bool:
        return self.count > 0

    def release(self) -> None:
        self.released.set()


def stub_upstream(
    count: int = SESSION_COUNT, *, at: datetime | None = None, **options: Any
) -> StubUpstream:
    """A stub of TeamUp with *count* sessions from three days before *at* (default: now)."""
    start = (at or datetime.now(UTC)) - timedelta(days=3)
    return StubUpstream(timetable(count, start, days=80), token=TOKEN, **options)


def rename_sessions(upstream: StubUpstream, name: str) -> None:
    """Set the name of every session."""
    upstream.rows = [{**row, "name": name} for row in upstream.rows]


def count_walks(upstream: StubUpstream) -> int:
    """Number of walks that were started."""
    return upstream.pages().count(1)


def store_keys(upstream: StubUpstream) -> Keys:
    """The store keys of a machine whose upstream is *upstream*."""
    account = Account(token=TOKEN, schemes=("Bearer",), base_url=upstream.url)
    return Keys(account.name)
