"""Fault scenarios: an upstream that can be made to fail, bridges, and the shared assertions."""

import json
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from clocks import ManualClock, wait_until
from upstreams import raw
from upstreams.raw import RawUpstream, Script, page_of, params_of
from upstreams.tested_list import TESTED_LIST, replace_rows, rows_of
from werkzeug.test import TestResponse

from bridge.sandbox.api import TOKEN, create_api
from bridge.sandbox.list_params import Dialect
from bridge.sandbox.studio import Studio
from bridge.services import Services
from bridge.snapshots.single_flight import Flight
from bridge.web import create_app

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
PAGE = 20
VENUE = "/venues/11.ics"
FEEDS = (VENUE, "/instructors/104.json", "/sessions.ics?venues=12,13&past=0")
STALE, OLD = 400.0, 4_500.0
"""Seconds after which a copy is past the default TTL, and past STALE_WHILE_REVALIDATE."""
MAX_BACKOFF = 70.0
"""Seconds after which a probe is allowed after any failure (60 and its jitter)."""
SPEEDUP = 40.0
_VARYING_HEADERS = ("Age", "Cache-Status", "Date", "X-Request-Id")


class FastClock(ManualClock):
    """A `ManualClock` whose waits are shortened by a factor.

    A wait ends when its event is set, when the clock was advanced by the time to wait, or after
    that time divided by *speedup* in real time. Waiting does not advance the clock.
    """

    def __init__(self, *, speedup: float = SPEEDUP) -> None:
        super().__init__(NOW)
        self.speedup = speedup
        self.waiting = 0

    def wait(self, event: threading.Event, seconds: float) -> bool:
        with self._lock:
            self.waited.append(seconds)
            self.waiting += 1
        try:
            return self._wait(event, seconds)
        finally:
            with self._lock:
                self.waiting -= 1

    def _wait(self, event: threading.Event, seconds: float) -> bool:
        start, real_end = self.monotonic(), time.monotonic() + seconds / self.speedup
        while self.monotonic() < start + seconds:
            left = real_end - time.monotonic()
            if left <= 0 or event.wait(min(left, 0.005)):
                break
        return event.is_set()


class FakeTeamUp(RawUpstream):
    """A raw socket server that serves *rows* page by page, until `script` is replaced."""

    def __init__(self, rows: list[Any]) -> None:
        super().__init__(self.healthy)
        self._studio = Studio()
        replace_rows(self._studio, rows)
        # Called without a socket: it creates the pages, which the raw sockets send.
        self._api = create_api(
            self._studio, requests_per_minute=1_000_000, dialect=Dialect(max_page_size=PAGE)
        )
        self._counting = threading.Lock()
        self.in_flight = 0

    @property
    def rows(self) -> list[Any]:
        return rows_of(self._studio)

    @rows.setter
    def rows(self, rows: list[Any]) -> None:
        replace_rows(self._studio, rows)

    @property
    def port(self) -> int:
        return self._port

    def _serve(self, connection: socket.socket) -> None:
        with self._counting:
            self.in_flight += 1
        try:
            super()._serve(connection)
        finally:
            with self._counting:
                self.in_flight -= 1

    def healthy(self, connection: socket.socket, request: bytes, n: int) -> None:
        """Answer correctly."""
        raw.ok(self.page(request))(connection, request, n)

    def page(self, request: bytes) -> bytes:
        """The body of the requested page."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        path, args = f"/api/v2/{TESTED_LIST.value}", params_of(request)
        return self._api.test_client().get(path, query_string=args, headers=headers).data

    @property
    def stopped(self) -> bool:
        """Whether the port is closed."""
        return self._listener is None

    def inject(self, page: int | None, fault: Script) -> None:
        """Answer requests for *page* (None: for all pages) with *fault*."""
        self.script = fault if page is None else raw.switch({page: fault, None: self.healthy})

    def recover(self) -> None:
        self.script = self.healthy

    def attempts(self, since: int) -> Counter[int]:
        """Number of requests for each page, without the first *since* requests."""
        return Counter(page_of(request) for request in list(self.requests)[since:])


def with_page(teamup: FakeTeamUp, make: Callable[[bytes], Script]) -> Script:
    """A fault that *make* creates from the correct page."""

    def script(connection: socket.socket, request: bytes, n: int) -> None:
        make(teamup.page(request))(connection, request, n)

    return script


def with_edited_page(teamup: FakeTeamUp, edit: Callable[[dict[str, Any]], object]) -> Script:
    """Pages that *edit* has changed."""

    def script(connection: socket.socket, request: bytes, n: int) -> None:
        page = json.loads(teamup.page(request))
        edit(page)
        raw.ok(json.dumps(page).encode())(connection, request, n)

    return script


class FeedClient:
    """A client of one bridge; `warm_up` stores the correct responses in `good`."""

    def __init__(self, parts: Services, feeds: tuple[str, ...] = FEEDS) -> None:
        self.parts = parts
        self.feeds = feeds
        self.good: dict[str, TestResponse] = {}
        self._app = create_app(parts)

    def get(self, path: str = VENUE, method: str = "GET", **headers: str) -> TestResponse:
        """Send a request; header names are written with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._app.test_client().open(path, method=method, headers=named)

    def state(self, path: str = VENUE) -> str:
        """Request *path*; return the `cache_state` of the response."""
        return cache_state(self.get(path))

    def warm_up(self) -> "FeedClient":
        """Read all feeds and store the responses as the good ones."""
        for path in self.feeds:
            self.good[path] = self.get_fresh(path)
        return self

    def get_fresh(self, path: str = VENUE) -> TestResponse:
        """Request *path* until the response is fresh."""
        wait_until(lambda: self.state(path) == "fresh")
        return self.get(path)

    def assert_last_good(self, *, states: str = "failed stale") -> None:
        """Every feed has status 200 and the good bytes and headers, except for its age."""
        for path, good in self.good.items():
            began = time.monotonic()
            response = self.get(path)
            assert time.monotonic() - began < 4
            assert cache_state(response) in states.split()
            assert response.data == good.data
            assert stable_headers(response) == stable_headers(good)

    def assert_unavailable(self, path: str = VENUE, *, statuses: tuple[int, ...] = (503,)) -> int:
        """The response is an error, without delay; return its Retry-After in seconds."""
        began = time.monotonic()
        response = self.get(path)
        # eight seconds, sped up, and two for a busy machine
        assert time.monotonic() - began < 8 / SPEEDUP + 2
        assert response.status_code in statuses, response.text
        assert response.headers["Cache-Control"] == "no-store"
        assert "BEGIN" not in response.text
        seconds = int(response.headers["Retry-After"])
        assert 1 <= seconds <= 300
        return seconds


class Scenario:
    """One upstream, one clock, and any number of bridges in front of the upstream."""

    def __init__(
        self, teamup: FakeTeamUp, clock: FastClock, build: Callable[..., Services]
    ) -> None:
        self.teamup = teamup
        self.clock = clock
        self._build = build
        self._flights: list[Flight] = []

    def client(self, feeds: tuple[str, ...] = FEEDS, **fields: Any) -> FeedClient:
        """A client of a new bridge, which has no copy unless the store has one."""
        services = self._build(**fields)
        refresh = services.refresher.refresh

        def recorded(*args: Any, **options: Any) -> Flight | None:
            flight = refresh(*args, **options)
            if flight is not None:
                self._flights.append(flight)
            return flight

        services.refresher.refresh = recorded  # type: ignore[method-assign]
        return FeedClient(services, feeds)

    def assert_survives(self, page: int | None, fault: Script, *, attempts: int = 3) -> None:
        """During *fault* a warm client gets the last good copy, a cold one an error.

        Both recover after the fault.
        """
        warm = self.client().warm_up()
        cold = self.client()
        self.teamup.inject(page, fault)
        before = len(self.teamup.requests)
        self.clock.move(STALE)
        warm.assert_last_good()
        wait_until(lambda: warm.state() == "failed")
        warm.assert_last_good(states="failed")
        assert max(self.teamup.attempts(before).values(), default=0) <= attempts
        before = len(self.teamup.requests)
        cold.assert_unavailable()
        wait_until(lambda: "still being fetched" not in cold.get().text)
        cold.assert_unavailable(FEEDS[-1])
        assert max(self.teamup.attempts(before).values(), default=0) <= attempts
        self.assert_recovers(warm, cold)

    def wait_until_idle(self) -> None:
        """Wait until no refresh is running: its deadlines would expire when the clock moves."""
        idle_checks = 0
        for _ in range(2_000):
            self._flights = [flight for flight in self._flights if not flight.wait(0)]
            busy = self.teamup.in_flight or self.clock.waiting or self._flights
            idle_checks = 0 if busy else idle_checks + 1
            if idle_checks == 6:
                return
            time.sleep(0.005)
        raise AssertionError("a refresh does not end")

    def assert_recovers(self, warm: FeedClient, cold: FeedClient) -> None:
        """End the fault; both clients then get fresh feeds with the good content."""
        self.teamup.recover()
        self.wait_until_idle()
        self.clock.move(MAX_BACKOFF)
        assert warm.get_fresh().data == warm.good[VENUE].data
        warm.assert_last_good(states="fresh")
        assert uids(cold.get_fresh()) == uids(warm.good[VENUE])


def status_page(client: FeedClient, password: str) -> str:
    """The text of the operator's page `/status`."""
    response = client.get("/status", Authorization=f"Bearer {password}")
    assert response.status_code == 200
    return response.text


def cache_state(response: TestResponse) -> str:
    """``fresh``, ``stale`` or ``failed``, by Cache-Status; the status code of an error."""
    if response.status_code not in (200, 304):
        return str(response.status_code)
    detail = re.search(r"detail=(failed|stale)", response.headers["Cache-Status"])
    return detail[1] if detail else "fresh"


def stable_headers(response: TestResponse) -> Mapping[str, str]:
    """The headers that only change with the body."""
    return {name: value for name, value in response.headers if name not in _VARYING_HEADERS}


def uids(response: TestResponse) -> list[str]:
    """The UIDs of a calendar's events, in order."""
    return re.findall(r"^UID:(.+?)\r$", response.text, re.MULTILINE)


def cancelled(response: TestResponse) -> set[str]:
    """The UIDs of cancelled events."""
    events = response.text.split("BEGIN:VEVENT")[1:]
    return {
        re.findall(r"^UID:(.+?)\r$", event, re.MULTILINE)[0]
        for event in events
        if "STATUS:CANCELLED" in event
    }
