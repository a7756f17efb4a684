"""Readiness: whether feeds can be served, found out without a request for a feed."""

from collections.abc import Callable
from typing import Any

import pytest
from asgi_client import AsgiClient
from clocks import ManualClock, wait_until
from walking import FRESHNESS, FakeWalker, Worker, sessions, single_source_router

from bridge.errors import UNREACHABLE, Cause, ProblemArea, Scope, UpstreamError
from bridge.filters import FilterSet
from bridge.model import SourceName
from bridge.ops.readiness import STARTING, Readiness
from bridge.sandbox.faults import Faults
from bridge.sandbox.http_server import SandboxServer
from bridge.services import Services
from bridge.store.interface import Store
from bridge.store.memory import MemoryStore
from bridge.web import create_app

REFUSED = UpstreamError(Cause("authentication_failed", "check TEAMUP_API_TOKEN", Scope.ACCOUNT))
TOO_LARGE = UpstreamError(Cause("too_large", "too many rows", problem_area=ProblemArea.SIZE))
OPERATOR = {"Authorization": "Bearer operators-token"}
WEEK = 7 * 86400.0


class Process:
    """One process of the fleet, in front of a made-up upstream."""

    def __init__(
        self, clock: ManualClock, store: Store, walker: FakeWalker, *, narrow: bool = False
    ) -> None:
        self.worker = Worker(clock, store, walker)
        self.router = single_source_router(self.worker, clock, narrow=narrow, shrink_hold=21_600)
        self.readiness = Readiness(
            router=self.router, cache=self.worker.cache, clock=clock, eager=True
        )

    def is_ready(self) -> bool:
        """Check twice, the second time after the end of the walks that the first one started."""
        self.readiness.check()
        self.worker.refresher.wait_until_idle()
        self.readiness.check()
        self.worker.refresher.wait_until_idle()
        return self.readiness.state.ready


@pytest.fixture
def walker(clock: ManualClock) -> FakeWalker:
    return FakeWalker(clock, sessions(3))


@pytest.fixture
def store(clock: ManualClock) -> MemoryStore:
    return MemoryStore(clock)


def test_a_new_process_is_not_ready_before_it_has_checked(
    clock: ManualClock, store: MemoryStore, walker: FakeWalker
) -> None:
    process = Process(clock, store, walker)
    assert process.readiness.state == STARTING
    walker.gate.clear()
    process.readiness.check()
    assert process.readiness.state == STARTING
    walker.gate.set()


@pytest.mark.parametrize("narrow", [False, True])
def test_a_quiet_new_studio_becomes_ready_and_upstream_is_asked_once(
    clock: ManualClock, store: MemoryStore, walker: FakeWalker, narrow: bool
) -> None:
    process = Process(clock, store, walker, narrow=narrow)
    assert process.is_ready()
    assert all(process.is_ready() for _ in range(5))
    clock.move(FRESHNESS.ttl * 3)
    assert process.is_ready()
    assert len(walker.requested) == 1


def test_a_refused_token_without_copies_is_not_ready_and_follows_the_pauses(
    clock: ManualClock, store: MemoryStore, walker: FakeWalker
) -> None:
    walker.error = REFUSED
    process = Process(clock, store, walker)
    for _ in range(5):
        assert not process.is_ready()
    assert len(walker.requested) == 1
    state = process.readiness.state
    assert UNREACHABLE in state.public
    assert "authentication" not in state.public
    assert "authentication_failed: check TEAMUP_API_TOKEN" in state.detail
    clock.move(70)
    assert not process.is_ready()
    assert len(walker.requested) == 2
    walker.error = None
    clock.move(70)
    assert process.is_ready()


def test_an_outage_with_copies_stays_ready_also_in_a_new_process(
    clock: ManualClock, store: MemoryStore, walker: FakeWalker
) -> None:
    old = Process(clock, store, walker)
    assert old.is_ready()
    walker.error = REFUSED
    clock.move(WEEK)
    assert old.is_ready()
    assert Process(clock, store, walker).is_ready()


def test_copies_that_are_no_longer_served_do_not_count(
    clock: ManualClock, store: MemoryStore, walker: FakeWalker
) -> None:
    process = Process(clock, store, walker)
    assert process.is_ready()
    clock.move(WEEK + 2 * FRESHNESS.ttl)
    walker.error = REFUSED
    assert not process.is_ready()
    assert not Process(clock, store, walker).is_ready()


def test_while_expired_copies_are_replaced_it_stays_ready(
    clock: ManualClock, store: MemoryStore, walker: FakeWalker
) -> None:
    process = Process(clock, store, walker)
    assert process.is_ready()
    clock.move(WEEK + 2 * FRESHNESS.ttl)
    walker.gate.clear()
    process.readiness.check()
    assert process.readiness.state.ready
    walker.gate.set()
    assert process.is_ready()
    assert len(walker.requested) == 2


def test_with_the_narrow_plan_any_copy_counts(
    clock: ManualClock, store: MemoryStore, walker: FakeWalker
) -> None:
    before = Process(clock, store, walker, narrow=True)
    before.router.find(FilterSet(venues=(12,), past=30, future=90))
    walker.error = REFUSED
    assert Process(clock, store, walker, narrow=True).is_ready()


def test_with_the_narrow_plan_a_default_window_that_is_too_large_does_not_count(
    clock: ManualClock, store: MemoryStore, walker: FakeWalker
) -> None:
    walker.error = TOO_LARGE
    assert Process(clock, store, walker, narrow=True).is_ready()
    assert not Process(clock, MemoryStore(clock), walker).is_ready()


def ready(bridge: Services) -> bool:
    """Check until upstream has answered or failed."""

    def is_known() -> bool:
        bridge.readiness.check()
        return bridge.readiness.state != STARTING

    wait_until(is_known)
    return bridge.readiness.state.ready


BOTH = frozenset(SourceName)


@pytest.mark.parametrize(
    ("sources", "status", "expected"),
    [
        pytest.param(BOTH, 500, False, id="one list fails, and was never read"),
        pytest.param(BOTH, 403, True, id="one list is refused, and left out"),
        pytest.param({SourceName.EVENTS}, 403, False, id="the only list is refused"),
    ],
)
def test_each_list_counts_unless_feeds_do_without_it(
    make_bridge: Callable[..., Services],
    faults: Faults,
    sources: frozenset[SourceName],
    status: int,
    expected: bool,
) -> None:
    faults.set("status", status, source="events")
    bridge = make_bridge(sources=frozenset(sources))
    ready(bridge)
    wait_until(lambda: all(state.failure or state.snapshot for state in bridge.router.states()))
    bridge.readiness.check()
    assert bridge.readiness.state.ready == expected
    client = AsgiClient.of(bridge)
    assert client.get("/readyz").status_code == (200 if expected else 503)
    assert (client.get("/sessions.ics").status_code == 200) == expected


def test_a_copy_in_memory_counts_while_the_store_is_away(
    make_bridge: Callable[..., Services], valkey: Any, upstream: SandboxServer
) -> None:
    bridge = make_bridge(cache_url=valkey.url)
    assert ready(bridge)
    valkey.kill()
    upstream.stop()
    assert ready(bridge)
    assert AsgiClient.of(bridge).get("/sessions.ics").status_code == 200


def test_only_the_operator_reads_the_cause(
    make_bridge: Callable[..., Services], faults: Faults
) -> None:
    faults.set("status", 401)
    bridge = make_bridge(operator_token="operators-token", schemes=("Bearer",))
    assert not ready(bridge)
    app = create_app(bridge)
    clients: list[Any] = [AsgiClient(app), app.test_client()]
    for client in clients:
        for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Basic %%%"}):
            response = client.get("/readyz", headers=headers)
            assert response.status_code == 503
            assert UNREACHABLE in response.data.decode()
            assert b"401" not in response.data
            assert b"TOKEN" not in response.data
            assert response.headers["Retry-After"] == "5"
        detail = client.get("/readyz", headers=OPERATOR).data
        assert b"TEAMUP_API_TOKEN" in detail
        assert b"course_sessions" in detail


def test_a_probe_reads_nothing_and_asks_nobody(
    make_bridge: Callable[..., Services], upstream: SandboxServer
) -> None:
    class Untouchable(MemoryStore):
        def versions(self, keys: Any) -> Any:
            raise AssertionError("the probe has read the store")

        read = versions

    bridge = make_bridge(store=Untouchable(ManualClock()))
    client = AsgiClient.of(bridge)
    assert client.get("/readyz").status_code == 503
    assert client.head("/readyz").status_code == 503
    assert upstream.requests == []


def test_the_thread_finds_out_and_outlives_an_error(
    make_bridge: Callable[..., Services], monkeypatch: pytest.MonkeyPatch
) -> None:
    bridge = make_bridge()
    check = bridge.readiness.check
    errors = [RuntimeError("a bug")]

    def failing_once() -> float:
        if errors:
            raise errors.pop()
        return check()

    monkeypatch.setattr(bridge.readiness, "check", failing_once)
    monkeypatch.setattr(bridge.clock, "wait", lambda event, seconds: event.wait(0.01))
    bridge.start()
    wait_until(lambda: bridge.readiness.state.ready and not errors)
    assert b'bridge_background_errors_total{work="readiness"} 1.0' in bridge.metrics.exposition()


def test_without_refresh_ahead_only_a_probe_makes_a_new_process_walk(
    make_bridge: Callable[..., Services], upstream: SandboxServer
) -> None:
    bridge = make_bridge(refresh_ahead=False)
    bridge.readiness.check()
    assert not upstream.requests
    client = AsgiClient.of(bridge)
    bridge.start()
    wait_until(lambda: client.get("/readyz").status_code == 200)
    assert [request.args["page"] for request in upstream.requests].count(["1"]) == 1
