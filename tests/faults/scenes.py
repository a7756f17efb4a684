"""A bridge that has a good copy, an upstream that can be made to fail, and what must then hold."""

import json
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from clocks import ManualClock
from upstreams import raw
from upstreams.raw import RawUpstream, Script, page_of, params_of
from werkzeug.test import TestResponse

from bridge.sandbox.api import TOKEN, create_api
from bridge.sandbox.list_params import Dialect
from bridge.sandbox.studio import Studio
from bridge.services import Services
from bridge.web import create_app

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
PAGE = 20
VENUE = "/venues/11.ics"
FEEDS = (VENUE, "/instructors/104.json", "/sessions.ics?venues=12,13&past=0")
STALE, OLD = 400.0, 4_500.0
"""Seconds after which a copy is past the default TTL, and past STALE_WHILE_REVALIDATE too."""
LONGEST_PAUSE = 70.0
"""Seconds after which any remembered failure lets a probe through (60 and its jitter)."""
HURRY = 40.0
_OF_EACH_ANSWER = ("Age", "Cache-Status", "X-Request-Id")


class HurriedClock(ManualClock):
    """Stands still until it is moved, and lets nobody wait for long.

    A wait ends when its event is set, when the clock was moved that far, or when a *hurry*-th of
    the time has really passed; the clock stays where it is.
    """

    def __init__(self, *, hurry: float = HURRY) -> None:
        super().__init__(NOW)
        self.hurry = hurry
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
        began, enough = self.monotonic(), time.monotonic() + seconds / self.hurry
        while self.monotonic() < began + seconds:
            left = enough - time.monotonic()
            if left <= 0 or event.wait(min(left, 0.005)):
                break
        return event.is_set()


class Vendor(RawUpstream):
    """Bare sockets that serve *rows* page by page, until `script` is replaced."""

    def __init__(self, rows: list[Any]) -> None:
        super().__init__(self.well)
        self._studio = Studio(sessions=rows)
        # It is asked without a socket: it knows what is on a page, and the sockets stay bare.
        self._api = create_api(
            self._studio, requests_per_minute=1_000_000, dialect=Dialect(max_page_size=PAGE)
        )
        self._counting = threading.Lock()
        self.in_flight = 0

    @property
    def rows(self) -> list[Any]:
        return self._studio.sessions

    @rows.setter
    def rows(self, rows: list[Any]) -> None:
        self._studio.replace_sessions(rows)

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

    def well(self, connection: socket.socket, request: bytes, n: int) -> None:
        """Answer as it should."""
        raw.ok(self.page(request))(connection, request, n)

    def page(self, request: bytes) -> bytes:
        """The body of the page that is asked for."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        path, args = "/api/v2/course_sessions", params_of(request)
        return self._api.test_client().get(path, query_string=args, headers=headers).data

    @property
    def stopped(self) -> bool:
        """Whether nobody listens on its port."""
        return self._listener is None

    def spoil(self, page: int | None, fault: Script) -> None:
        """Let *fault* strike one page, or each."""
        self.script = fault if page is None else raw.switch({page: fault, None: self.well})

    def recover(self) -> None:
        self.script = self.well

    def attempts(self, since: int) -> Counter[int]:
        """How often each page was asked for, the first *since* requests left out."""
        return Counter(page_of(request) for request in list(self.requests)[since:])


def spoilt(vendor: Vendor, make: Callable[[bytes], Script]) -> Script:
    """A fault that is made of the page that would have been sent."""

    def script(connection: socket.socket, request: bytes, n: int) -> None:
        make(vendor.page(request))(connection, request, n)

    return script


def edited(vendor: Vendor, edit: Callable[[dict[str, Any]], object]) -> Script:
    """Pages in which *edit* has changed something."""

    def script(connection: socket.socket, request: bytes, n: int) -> None:
        page = json.loads(vendor.page(request))
        edit(page)
        raw.ok(json.dumps(page).encode())(connection, request, n)

    return script


class Reader:
    """Reads feeds of one bridge, and remembers what it read while all was well."""

    def __init__(self, parts: Services, feeds: tuple[str, ...] = FEEDS) -> None:
        self.parts = parts
        self.feeds = feeds
        self.good: dict[str, TestResponse] = {}
        self._app = create_app(parts)

    def get(self, path: str = VENUE, method: str = "GET", **headers: str) -> TestResponse:
        """Ask; header names are written with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._app.test_client().open(path, method=method, headers=named)

    def served(self, path: str = VENUE) -> str:
        """Ask, and tell how it was answered: fresh, stale, failed or the status."""
        return how(self.get(path))

    def warm(self) -> "Reader":
        """Read everything, and keep it as what is good."""
        for path in self.feeds:
            eventually(lambda path=path: self.served(path) == "fresh")
            self.good[path] = self.get(path)
        return self

    def refreshed(self, path: str = VENUE) -> TestResponse:
        """Ask until the copy is a fresh one."""
        eventually(lambda: self.served(path) == "fresh")
        return self.get(path)

    def has_last_good(self, *, also: str = "failed stale") -> None:
        """Everything is 200 and as it was, but for its age."""
        for path, good in self.good.items():
            began = time.monotonic()
            now = self.get(path)
            assert time.monotonic() - began < 2
            assert how(now) in also.split()
            assert now.data == good.data
            assert steady(now) == steady(good)

    def is_put_off(self, path: str = VENUE, *, as_one_of: tuple[int, ...] = (503,)) -> int:
        """Nothing but an error, and soon; the seconds to stay away."""
        began = time.monotonic()
        answer = self.get(path)
        # eight seconds, hurried; what is over is for a busy machine
        assert time.monotonic() - began < 8 / HURRY + 2
        assert answer.status_code in as_one_of, answer.text
        assert answer.headers["Cache-Control"] == "no-store"
        assert "BEGIN" not in answer.text
        seconds = int(answer.headers["Retry-After"])
        assert 1 <= seconds <= 300
        return seconds


class Scene:
    """One upstream, one clock, and bridges between them."""

    def __init__(self, vendor: Vendor, clock: HurriedClock, build: Callable[..., Services]) -> None:
        self.vendor = vendor
        self.clock = clock
        self._build = build

    def reader(self, feeds: tuple[str, ...] = FEEDS, **fields: Any) -> Reader:
        """A reader of a bridge of its own, which has no copy unless the store has."""
        return Reader(self._build(**fields), feeds)

    def survives(self, page: int | None, fault: Script, *, attempts: int = 3) -> None:
        """Through *fault* who was there before has the last good copy, and who comes new an error.

        Then all is well again for both.
        """
        regular = self.reader().warm()
        newcomer = self.reader()
        self.vendor.spoil(page, fault)
        before = len(self.vendor.requests)
        self.clock.move(STALE)
        regular.has_last_good()
        eventually(lambda: regular.served() == "failed")
        regular.has_last_good(also="failed")
        assert max(self.vendor.attempts(before).values(), default=0) <= attempts
        before = len(self.vendor.requests)
        newcomer.is_put_off()
        eventually(lambda: "still being fetched" not in newcomer.get().text)
        newcomer.is_put_off(FEEDS[-1])
        assert max(self.vendor.attempts(before).values(), default=0) <= attempts
        self.is_well_again(regular, newcomer)

    def quiet(self) -> None:
        """Wait until no refresh is under way: a clock that is moved would end its deadlines."""
        calm = 0
        for _ in range(2_000):
            calm = 0 if self.vendor.in_flight or self.clock.waiting else calm + 1
            if calm == 6:
                return
            time.sleep(0.005)
        raise AssertionError("a refresh does not come to an end")

    def is_well_again(self, regular: Reader, newcomer: Reader) -> None:
        """The fault is over: what was good is fresh, for whoever asks."""
        self.vendor.recover()
        self.quiet()
        self.clock.move(LONGEST_PAUSE)
        assert regular.refreshed().data == regular.good[VENUE].data
        regular.has_last_good(also="fresh")
        assert uids(newcomer.refreshed()) == uids(regular.good[VENUE])


def owners_page(reader: Reader, password: str) -> str:
    """What `/status` tells the owner."""
    answer = reader.get("/status", Authorization=f"Bearer {password}")
    assert answer.status_code == 200
    return answer.text


def how(answer: TestResponse) -> str:
    """How the cache took part."""
    if answer.status_code not in (200, 304):
        return str(answer.status_code)
    status = answer.headers["Cache-Status"]
    detail = re.search(r"detail=(failed|stale)", status)
    return detail[1] if detail else "fresh"


def steady(answer: TestResponse) -> Mapping[str, str]:
    """The headers that stay as long as the body does."""
    return {name: value for name, value in answer.headers if name not in _OF_EACH_ANSWER}


def uids(answer: TestResponse) -> list[str]:
    """The UIDs of a calendar's events, in order."""
    return re.findall(r"^UID:(.+?)\r$", answer.text, re.MULTILINE)


def cancelled(answer: TestResponse) -> set[str]:
    """The UIDs of events that are shown as cancelled."""
    events = answer.text.split("BEGIN:VEVENT")[1:]
    return {
        re.findall(r"^UID:(.+?)\r$", event, re.MULTILINE)[0]
        for event in events
        if "STATUS:CANCELLED" in event
    }


def eventually(true: Callable[[], object], *, seconds: float = 10.0) -> None:
    """Look until it is so."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it never came to be so"
        time.sleep(0.005)
