"""Feeds as a bridge serves them, and the clients that read them."""

import gc
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from clocks import ManualClock
from conftest import NOW, TOKEN
from flask.testing import FlaskClient

from bridge import services
from bridge.config import Availability, Config
from bridge.sandbox.api import create_api
from bridge.sandbox.demo_timetable import believable_studio
from bridge.sandbox.http_server import SandboxServer
from bridge.web import create_app
from clients import programs, said
from clients.asking import patiently
from clients.browser import Browser, browser
from clients.checkers import IN_PROCESS, PROGRAMS, Load
from clients.feeds_under_test import FEEDS, UPSTREAMS
from clients.reading import Reading
from clients.web import Site, page

HOME = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class Sample:
    """A feed's bytes, and the events that upstream said it holds."""

    body: bytes
    said: list[Reading]


class _Kept:
    """Bridges and feeds that are made once and read by many tests."""

    def __init__(self, stack: ExitStack) -> None:
        self.stack = stack
        self.bridges: dict[str, tuple[FlaskClient, list[Any]]] = {}
        self.samples: dict[str, Sample] = {}


@pytest.fixture(scope="session")
def kept() -> Iterator[_Kept]:
    with ExitStack() as stack:
        yield _Kept(stack)


@pytest.fixture
def sample(kept: _Kept, settings: Callable[..., Config]) -> Callable[[str], Sample]:
    """A feed by its name in FEEDS."""

    def bridge(name: str) -> tuple[FlaskClient, list[Any]]:
        if name not in kept.bridges:
            upstream = kept.stack.enter_context(UPSTREAMS[name]())
            config = settings(
                base_url=upstream.url,
                feed_max_bytes=0,
                public_availability=Availability.SPOTS,
                public_base_url="https://bridge.example",
                requests_per_minute=100_000,
            )
            parts = services.build(config, clock=ManualClock(NOW))
            kept.stack.callback(parts.close)
            client = create_app(parts).test_client()
            kept.bridges[name] = client, said.rows(upstream.url, TOKEN)
        return kept.bridges[name]

    def make(name: str) -> Sample:
        if name not in kept.samples:
            feed = FEEDS[name]
            client, rows = bridge(feed.upstream)
            kept.samples[name] = Sample(patiently(client, feed.address), feed.told(rows))
        return kept.samples[name]

    return make


@pytest.fixture(scope="session")
def elsewhere() -> Iterator[Site]:
    """Calendars on a server that lets pages of other sites read them, as the bridge does."""
    with Site({"Access-Control-Allow-Origin": "*"}) as site:
        yield site


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    programs.needs_npm()
    with page() as site, browser(f"{site.origin}/") as one:
        yield one


@pytest.fixture
def load(request: pytest.FixtureRequest) -> Callable[[str], Load]:
    """A client by its name."""

    def by_name(client: str) -> Load:
        if client in ("fullcalendar", "vdirsyncer"):
            elsewhere: Site = request.getfixturevalue("elsewhere")
            if client == "vdirsyncer":
                return lambda body: programs.vdirsyncer(elsewhere.put("/feed.ics", body))
            chromium: Browser = request.getfixturevalue("chromium")
            return lambda body: chromium.everything(elsewhere.put("/feed.ics", body), *_days(body))
        return PROGRAMS[client] if client in PROGRAMS else _undisturbed(IN_PROCESS[client])

    return by_name


def _days(body: bytes) -> tuple[date, date]:
    """A range around everything in *body*: a browser takes its time over a year of empty days."""
    written = re.findall(rb"^DTSTART[^:]*:(2\d{7})", body, re.MULTILINE)
    days = sorted({NOW.strftime("%Y%m%d"), *(day.decode() for day in written)})
    first, last = (datetime.strptime(day, "%Y%m%d") for day in (days[0], days[-1]))  # noqa: DTZ007
    return first.date() - timedelta(days=2), last.date() + timedelta(days=3)


def _undisturbed(load: Load) -> Load:
    """Without collections of garbage: with so much kept, they take longer than the reading."""

    def read(body: bytes) -> list[Reading]:
        gc.disable()
        try:
            return load(body)
        finally:
            gc.enable()

    return read


@dataclass(frozen=True)
class RunningBridge:
    """A bridge in a process of its own, and all that its upstream has."""

    origin: str
    rows: list[Any]


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBridge]:
    """`python -m bridge.server` in front of the sandbox, at today's date."""
    studio = believable_studio(datetime.now(UTC).date())
    with SandboxServer(create_api(studio, token=TOKEN, requests_per_minute=100_000)) as upstream:
        port = _free_port()
        place = tmp_path_factory.mktemp("bridge")
        environment = {
            "PATH": os.environ["PATH"],
            "TEAMUP_API_TOKEN": TOKEN,
            "TEAMUP_BASE_URL": upstream.url,
            "CACHE_URL": f"sqlite:///{place / 'bridge.sqlite3'}",
            "HOST": "127.0.0.1",
            "PORT": str(port),
        }
        origin = f"http://127.0.0.1:{port}"
        with (place / "log").open("wb") as log:
            command = [sys.executable, "-m", "bridge.server"]
            process = subprocess.Popen(
                command, cwd=HOME, env=environment, stdout=log, stderr=subprocess.STDOUT
            )
            try:
                _await(origin, process, place / "log")
                yield RunningBridge(origin, said.rows(upstream.url, TOKEN))
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(30)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _await(origin: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until and process.poll() is None:
        with suppress(requests.ConnectionError):
            requests.get(f"{origin}/healthz", timeout=5)
            return
        time.sleep(0.1)
    pytest.fail(f"the bridge does not run: {log.read_text()}")
