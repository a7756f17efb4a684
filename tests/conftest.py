"""Shared fixtures: settings, a clock, the sandbox studio and bridges in front of it."""

import gc
import os
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import hypothesis
import pytest
import structlog
from clocks import ManualClock
from flask import Flask, request
from flask.testing import FlaskClient
from jinja2.bccache import Bucket, BytecodeCache
from near_classes import near_classes
from thorough import THOROUGH
from upstreams.tested_list import TESTED_LIST
from valkey import Valkey
from werkzeug.routing import Rule

from bridge import config, services
from bridge.config import Config
from bridge.sandbox.api import create_api
from bridge.sandbox.demo_timetable import demo_studio
from bridge.sandbox.faults import Faults
from bridge.sandbox.http_server import SandboxServer
from bridge.sandbox.studio import Studio
from bridge.services import Services
from bridge.web import create_app

# No deadline: the time for one example depends on the machine's load.
hypothesis.settings.register_profile("bridge", deadline=None, max_examples=100 if THOROUGH else 30)
hypothesis.settings.load_profile("bridge")

# The default prints all local variables, which takes seconds.
structlog.configure(
    processors=[
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(),
        structlog.dev.ConsoleRenderer(
            colors=False, exception_formatter=structlog.dev.plain_traceback
        ),
    ]
)


class TemplateCache(BytecodeCache):
    """Compiles each template once for all applications, which takes as long as a short test."""

    def __init__(self) -> None:
        self._code: dict[tuple[str, str], Any] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._code.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._code[bucket.key, bucket.checksum] = bucket.code


class CompiledRule(Rule):
    """Compiles each route once for all applications, which is most of the time to create one."""

    _compiled: ClassVar[dict[Any, tuple[set[str], dict[str, Any]]]] = {}

    def compile(self) -> None:
        kinds = tuple(self.map.converters.values())
        key = (self.rule, self.host, self.subdomain, self.merge_slashes, str(self.defaults), kinds)
        if key not in self._compiled:
            before = dict(vars(self))
            super().compile()
            results = {name: v for name, v in vars(self).items() if before.get(name) is not v}
            self._compiled[key] = (self.arguments, results)
        arguments, results = self._compiled[key]
        self.arguments |= arguments
        vars(self).update(results)


Flask.url_rule_class = CompiledRule
Flask.jinja_options = {"bytecode_cache": TemplateCache()}

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
TOKEN = "a-token-of-the-tests"

_VARIABLES = (
    "TEAMUP_ CACHE_ REDIS_ STALE_ REFRESH_AHEAD WINDOW_ FEED_ PUBLIC_ SHRINK_HOLD ALERT_"
    " CHANGES_ LOG_ EMBED_ CATALOG STUDIO_ TRUSTED_PROXIES OPERATOR_ HOST PORT WEB_CONCURRENCY"
    " UPSTREAM_PLAN BRIDGE_ FLASK_ DYNO"
).split()
_OURS = re.compile("|".join(name + ".*" * name.endswith("_") for name in _VARIABLES))


# The files that take longest run first, or one of them would keep the others waiting at the end.
_LONGEST = [
    Path(__file__).parent / name
    for name in (
        "test_server.py", "browser/test_every_page.py", "faults/test_restarts.py",
        "clients/test_acceptance.py", "test_deployment.py", "faults/test_logging.py",
        "test_local_run.py", "faults/test_stores_failing.py", "test_diagnostics.py",
        "security/test_leaks.py", "browser/test_tasks.py", "faults/test_holders.py",
        "web/test_feeds.py", "faults/test_two_workers.py", "browser/test_embedding.py",
        "web/test_openapi.py", "browser/test_subscribing.py", "faults/test_simulated_day.py",
        "test_cli.py", "web/test_whole_timetable_pages.py", "browser/test_whole_timetable.py",
        "faults/test_sqlite_files.py",
    )
]  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of the longest files first."""
    assert all(path.exists() for path in _LONGEST)
    places = {path: place for place, path in enumerate(_LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_collection_finish() -> None:
    """Collect garbage less often, and not among modules and tests, which live until the end.

    The default, for programs with fewer objects, took a fifth of the time of tests.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """With ``CI=true`` a skipped test has failed: there, nothing may be missing."""
    report: pytest.TestReport = yield
    if report.skipped and os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"skipped, which is a failure in CI: {report.longrepr}"
    return report


def _remove_settings(patch: pytest.MonkeyPatch) -> None:
    for name in filter(_OURS.fullmatch, list(os.environ)):
        patch.delenv(name)


@pytest.fixture(scope="session", autouse=True)
def bare_session() -> Iterator[None]:
    """Remove the bridge's settings from the environment of fixtures that several tests share."""
    with pytest.MonkeyPatch.context() as patch:
        _remove_settings(patch)
        yield


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the bridge's settings from the environment."""
    _remove_settings(monkeypatch)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Config]:
    """Creates a Config from field values; other fields have their defaults.

    Most tests need one source only, and count its requests.
    """

    def make(**fields: Any) -> Config:
        monkeypatch.setenv("TEAMUP_API_TOKEN", TOKEN)
        fields.setdefault("cache_url", "memory://")
        fields.setdefault("sources", frozenset({TESTED_LIST}))
        return replace(config.load(os.environ), **fields)

    return make


@pytest.fixture
def studio() -> Studio:
    """The demo studio around NOW; the upstream serves its current state."""
    return _demo_studio().copy()


@pytest.fixture
def near_studio() -> Studio:
    """The demo studio with the classes of three weeks only: a fifth, so a walk costs a fifth.

    For files whose tests need no full timetable::

        @pytest.fixture
        def studio(near_studio: Studio) -> Studio:
            return near_studio
    """
    return _near_studio().copy()


@cache
def _demo_studio() -> Studio:
    return demo_studio(NOW.date())


@cache
def _near_studio() -> Studio:
    return near_classes(_demo_studio(), NOW)


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def upstream(studio: Studio, faults: Faults) -> Iterator[SandboxServer]:
    """The studio's API on loopback."""
    api = create_api(studio, token=TOKEN, faults=faults, requests_per_minute=100_000)
    with SandboxServer(api) as server:
        yield server


@pytest.fixture
def make_bridge(
    settings: Callable[..., Config], upstream: SandboxServer, clock: ManualClock
) -> Iterator[Callable[..., Services]]:
    """Creates bridges in front of the studio; closes all at the end."""
    bridges: list[Services] = []

    def make(*, store: Any = None, at: ManualClock | None = None, **fields: Any) -> Services:
        fields.setdefault("base_url", upstream.url)
        parts = services.build(settings(**fields), clock=at or clock, store=store)
        bridges.append(parts)
        return parts

    yield make
    for parts in bridges:
        parts.close()


@pytest.fixture
def client(make_bridge: Callable[..., Services]) -> FlaskClient:
    """A test client of a bridge with default settings."""
    return create_app(make_bridge()).test_client()


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    """A real Valkey server; killed at the end."""
    server = Valkey()
    yield server
    server.kill()


@pytest.fixture
def ipv6() -> str:
    """The IPv6 loopback address; skips the test without IPv6."""
    address = "::1"
    try:
        socket.create_server((address, 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    return address


@pytest.fixture
def flask_requests(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Path and query of each request that reached the Flask application."""
    paths: list[str] = []
    dispatch = Flask.full_dispatch_request

    def recorded(app: Flask) -> Any:
        if app.name == "bridge.web":
            paths.append(request.full_path.rstrip("?"))
        return dispatch(app)

    monkeypatch.setattr(Flask, "full_dispatch_request", recorded)
    return paths
