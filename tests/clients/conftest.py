"""Fixtures: feeds served by bridges, and the clients that read them."""

import gc
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from clocks import ManualClock
from conftest import NOW, TOKEN
from faults import fleet
from flask.testing import FlaskClient

from bridge import services
from bridge.config import Availability, Config
from bridge.sandbox.api import create_api
from bridge.sandbox.demo_timetable import demo_studio
from bridge.sandbox.http_server import SandboxServer
from bridge.services import Services
from bridge.web import create_app
from clients import programs
from clients.browser import Browser, browser
from clients.checkers import IN_PROCESS, PROGRAMS, Load, LoadAll
from clients.events import Event, Rejected
from clients.expected_events import fetch_rows, mark_covers
from clients.feeds_under_test import FEEDS, SOURCES, UPSTREAMS, ChangedStudio
from clients.web import FileServer, calendar_page, get_with_retries


@dataclass(frozen=True)
class Sample:
    """A feed's bytes and its expected events."""

    body: bytes
    expected: list[Event]


class _Cache:
    """Bridges and feeds that are created once for all tests."""

    def __init__(self, stack: ExitStack) -> None:
        self.stack = stack
        self.bridges: dict[str, tuple[FlaskClient, list[Any]]] = {}
        self.samples: dict[str, Sample] = {}


@pytest.fixture(scope="session")
def sample_cache() -> Iterator[_Cache]:
    with ExitStack() as stack:
        yield _Cache(stack)


@pytest.fixture
def bridge(
    sample_cache: _Cache, settings: Callable[..., Config]
) -> Callable[[str], tuple[FlaskClient, list[Any]]]:
    """Returns a client of the bridge in front of an upstream of UPSTREAMS, and all its rows."""

    def make(name: str) -> tuple[FlaskClient, list[Any]]:
        if name not in sample_cache.bridges:
            upstream = sample_cache.stack.enter_context(UPSTREAMS[name]())
            config = settings(
                base_url=upstream.url,
                sources=frozenset(SOURCES[name]),
                feed_max_bytes=0,
                public_availability=Availability.SPOTS,
                public_base_url="https://bridge.example",
                requests_per_minute=100_000,
            )
            clock = ManualClock(NOW)
            parts = services.build(config, clock=clock)
            sample_cache.stack.callback(parts.close)
            client = create_app(parts).test_client()
            lists = [source.value for source in SOURCES[name]]
            rows = fetch_rows(upstream.url, TOKEN, lists)
            if isinstance(upstream, ChangedStudio):
                _publish(parts)
                upstream.change()
                clock.move(config.cache_ttl + 60.0)
                _publish(parts)
                before, rows = rows, fetch_rows(upstream.url, TOKEN, lists)
                mark_covers(rows, before)
            sample_cache.bridges[name] = client, rows
        return sample_cache.bridges[name]

    return make


@pytest.fixture
def sample(
    sample_cache: _Cache, bridge: Callable[[str], tuple[FlaskClient, list[Any]]]
) -> Callable[[str], Sample]:
    """Returns a feed by its name in FEEDS."""

    def make(name: str) -> Sample:
        if name not in sample_cache.samples:
            feed = FEEDS[name]
            client, rows = bridge(feed.upstream)
            sample_cache.samples[name] = Sample(
                get_with_retries(client, feed.address), feed.expected(rows)
            )
        return sample_cache.samples[name]

    return make


def _publish(parts: Services) -> None:
    for key in parts.router.widest_keys:
        rules = parts.router.merge_rules(key)
        assert rules is not None
        flight = parts.refresher.refresh(key, rules, None)
        assert flight is not None
        assert flight.wait(60)
        assert flight.failure is None


@pytest.fixture(scope="session")
def file_server() -> Iterator[FileServer]:
    """A server for calendars; it allows all origins, like the bridge."""
    with FileServer({"Access-Control-Allow-Origin": "*"}) as server:
        yield server


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    programs.needs_npm()
    with calendar_page() as server, browser(f"{server.origin}/") as tab:
        yield tab


@pytest.fixture(scope="session")
def programs_by_name(file_server: FileServer) -> dict[str, LoadAll]:
    """The clients that run as separate programs."""

    def vdirsyncer(bodies: Sequence[bytes]) -> list[programs.Result]:
        urls = [file_server.put(f"/{number}.ics", body) for number, body in enumerate(bodies)]
        return programs.vdirsyncer(urls)

    return {**PROGRAMS, "vdirsyncer": vdirsyncer}


@pytest.fixture(scope="session")
def read_by_programs() -> dict[tuple[str, tuple[bytes, ...]], list[programs.Result]]:
    """What programs have read, by their name and all calendars that they got."""
    return {}


@pytest.fixture
def load(
    request: pytest.FixtureRequest,
    programs_by_name: dict[str, LoadAll],
    read_by_programs: dict[tuple[str, tuple[bytes, ...]], list[programs.Result]],
) -> Callable[..., Load]:
    """Returns a client by its name, as a function from bytes to events.

    A client that is a program reads the other calendars of *among* at the same time.
    """

    def by_name(client: str, among: Sequence[bytes] = ()) -> Load:
        if client == "fullcalendar":
            server: FileServer = request.getfixturevalue("file_server")
            chromium: Browser = request.getfixturevalue("chromium")
            return lambda body: chromium.everything(server.put("/feed.ics", body), *_days(body))
        if client in IN_PROCESS:
            return _without_gc(IN_PROCESS[client])

        def load_with_others(body: bytes) -> list[Event]:
            bodies = tuple(among) or (body,)
            if (client, bodies) not in read_by_programs:
                read_by_programs[client, bodies] = programs_by_name[client](bodies)
            result = read_by_programs[client, bodies][bodies.index(body)]
            if isinstance(result, Rejected):
                raise result
            return result

        return load_with_others

    return by_name


def _days(body: bytes) -> tuple[date, date]:
    """The range of days of *body*: showing a year of empty days is slow."""
    dates = re.findall(rb"^DTSTART[^:]*:(2\d{7})", body, re.MULTILINE)
    days = sorted({NOW.strftime("%Y%m%d"), *(day.decode() for day in dates)})
    first, last = (datetime.strptime(day, "%Y%m%d") for day in (days[0], days[-1]))  # noqa: DTZ007
    return first.date() - timedelta(days=2), last.date() + timedelta(days=3)


def _without_gc(load: Load) -> Load:
    """Disable garbage collection, which takes longer than reading with so many cached objects."""

    def read(body: bytes) -> list[Event]:
        gc.disable()
        try:
            return load(body)
        finally:
            gc.enable()

    return read


@dataclass(frozen=True)
class RunningBridge:
    """A bridge process and all rows of its upstream."""

    origin: str
    rows: list[Any]


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBridge]:
    """A bridge process in front of the demo studio as of today."""
    studio = demo_studio(datetime.now(UTC).date())
    store = f"sqlite:///{tmp_path_factory.mktemp('bridge')}/bridge.sqlite3"
    api = create_api(studio, token=fleet.TOKEN, requests_per_minute=100_000)
    with SandboxServer(api) as upstream, fleet.Machine(upstream.url, store) as machine:
        yield RunningBridge(machine.url, fetch_rows(upstream.url, fleet.TOKEN))
