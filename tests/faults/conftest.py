"""Fixtures: bridges in front of a raw-socket upstream that can be made to fail."""

from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

import pytest
from faults.fleet import TOKEN, RunningClock, Worker
from faults.scenarios import NOW, FakeTeamUp, FastClock, Scenario
from structlog.testing import capture_logs
from upstreams.rows import timetable
from upstreams.stub import StubUpstream

from bridge import services
from bridge.config import Config
from bridge.services import Services
from bridge.store.memory import MemoryStore

PAGE_SECONDS = 1.5
"""Long enough for a good page on a busy machine."""


@pytest.fixture
def fast_clock() -> FastClock:
    return FastClock()


@pytest.fixture
def teamup(fast_clock: FastClock) -> Iterator[FakeTeamUp]:
    """An upstream with three pages of future sessions."""
    rows = timetable(50, NOW)
    with FakeTeamUp(rows) as upstream:
        yield upstream


@pytest.fixture
def scenario(
    teamup: FakeTeamUp, fast_clock: FastClock, settings: Callable[..., Config]
) -> Iterator[Scenario]:
    """Closes its bridges at the end."""
    bridges: list[Services] = []

    def build(*, store: Any = None, at: Any = None, **fields: Any) -> Services:
        fields.setdefault("base_url", teamup.url)
        parts = services.build(settings(**fields), clock=at or fast_clock, store=store)
        bridges.append(parts)
        return parts

    scenario = Scenario(teamup, fast_clock, build)
    yield scenario
    # End running refreshes now, not during the next test.
    teamup.stop()
    fast_clock.move(1_000)
    scenario.wait_until_idle()
    for parts in bridges:
        parts.close()


@pytest.fixture
def running_clock() -> RunningClock:
    return RunningClock()


@pytest.fixture
def store(running_clock: RunningClock) -> MemoryStore:
    return MemoryStore(running_clock)


@pytest.fixture
def make_worker(
    make_bridge: Callable[..., Services],
    teamup: StubUpstream,
    running_clock: RunningClock,
    store: MemoryStore,
) -> Callable[..., Worker]:
    """Creates workers that share `store`; the test module has to define `teamup`."""

    def make(**fields: Any) -> Worker:
        return Worker(
            make_bridge(store=store, at=running_clock, base_url=teamup.url, token=TOKEN, **fields)
        )

    return make


@pytest.fixture
def short_pages(monkeypatch: pytest.MonkeyPatch) -> float:
    """Shorten the deadlines of pages and connections."""
    monkeypatch.setattr("bridge.upstream.client.PAGE_SECONDS", PAGE_SECONDS)
    monkeypatch.setattr("bridge.upstream.client._CONNECT_SECONDS", PAGE_SECONDS / 2)
    return PAGE_SECONDS


@pytest.fixture
def events() -> Iterator[list[MutableMapping[str, Any]]]:
    """The log events of the test."""
    with capture_logs() as events:
        yield events
