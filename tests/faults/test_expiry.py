"""Many clients or many feeds when copies expire: no client waits, upstream requests stay few."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest
from clocks import wait_until
from faults.fleet import RunningClock, run_concurrently
from flask import request
from upstreams.rows import timetable
from upstreams.stub import StubUpstream

from bridge.config import UpstreamPlan
from bridge.services import Services
from bridge.store.fallback import FallbackStore
from bridge.store.sqlite import SqliteStore
from bridge.web import create_app

TOKEN = "a-token-of-the-tests"
EXPIRED = 400.0
PER_MINUTE = 25
# The second half is walked a minute later. A third part would wait for two minutes, which is the
# time for a whole walk.
KEYS = 2 * PER_MINUTE
SLOW = 0.5
STEP = 1.5

Get = Callable[[str], tuple[int, str, float]]


class RecordingTeamUp(StubUpstream):
    """Records its requests, with the times of the machines' clock."""

    def __init__(self, clock: RunningClock) -> None:
        super().__init__(timetable(90, days=60), token=TOKEN, before_page=self._record_walk)
        self.walks: list[tuple[float, str]] = []
        self._clock = clock

    def _record_walk(self, page: int) -> None:
        params = request.args.to_dict(flat=False)
        filters = "&".join(f"{name}={params[name]}" for name in sorted(params) if "_" in name)
        self.walks.append((self._clock.now(), filters))

    @property
    def walked(self) -> int:
        """The number of different filter sets that were walked."""
        return len({filters for _, filters in self.walks})


@pytest.fixture
def teamup(running_clock: RunningClock) -> Iterator[RecordingTeamUp]:
    with RecordingTeamUp(running_clock) as server:
        yield server


@pytest.fixture
def two_machines(
    make_bridge: Callable[..., Services],
    teamup: RecordingTeamUp,
    running_clock: RunningClock,
    tmp_path: Path,
) -> Callable[..., list[Get]]:
    """Two bridges with one store, as functions: path → status, Cache-Status, seconds."""

    def build(**fields: object) -> list[Get]:
        return [
            _requester(
                make_bridge(
                    store=FallbackStore(
                        SqliteStore(tmp_path / "store.sqlite3", running_clock), running_clock
                    ),
                    at=running_clock,
                    base_url=teamup.url,
                    **fields,
                )
            )
            for _ in range(2)
        ]

    return build


def _requester(parts: Services) -> Get:
    app = create_app(parts)

    def get(path: str) -> tuple[int, str, float]:
        began = time.monotonic()
        response = app.test_client().get(path)
        took = time.monotonic() - began
        return response.status_code, response.headers.get("Cache-Status", ""), took

    return get


def _fresh(machines: Sequence[Get], path: str) -> bool:
    states = [get(path)[1] for get in machines]
    return all("hit" in state and "stale" not in state for state in states)


def test_many_clients_at_expiry_get_the_stale_copy_at_once_and_cause_one_walk(
    two_machines: Callable[..., list[Get]], teamup: RecordingTeamUp, running_clock: RunningClock
) -> None:
    machines = two_machines()
    wait_until(lambda: _fresh(machines, "/sessions.ics"))
    assert len(teamup.walks) == 1
    running_clock.move(EXPIRED)
    teamup.faults.set("delay", 4 * SLOW)
    responses = run_concurrently([partial(machines[n % 2], "/sessions.ics") for n in range(40)])
    assert {status for status, _, _ in responses} == {200}
    assert all("hit" in state and "detail=stale" in state for _, state, _ in responses)
    assert max(took for _, _, took in responses) < 4 * SLOW
    wait_until(lambda: _fresh(machines, "/sessions.ics"))
    assert len(teamup.walks) == 2


def test_many_keys_expired_together_are_walked_once_each_within_the_budget(
    two_machines: Callable[..., list[Get]], teamup: RecordingTeamUp, running_clock: RunningClock
) -> None:
    paths = [f"/venues/12.ics?past=0&future={days}" for days in range(1, KEYS + 1)]
    generous = two_machines(plan=UpstreamPlan.NARROW, requests_per_minute=10_000)
    for path in paths:
        assert generous[0](path)[0] == 200
    running_clock.move(EXPIRED)
    teamup.walks.clear()
    machines = two_machines(plan=UpstreamPlan.NARROW, requests_per_minute=PER_MINUTE)
    teamup.faults.set("delay", SLOW / 10)
    batches = run_concurrently(
        [
            partial(_request_all, machine, paths[start::4])
            for machine in machines
            for start in range(4)
        ]
    )
    responses = [response for batch in batches for response in batch]
    assert {status for status, _, _ in responses} == {200}
    assert all("hit" in state for _, state, _ in responses)
    wait_until(lambda: len(teamup.walks) >= PER_MINUTE)
    # In small steps: each waiting walk must keep its lease.
    for step in range(1, 200):
        running_clock.move(STEP)
        time.sleep(0.1)
        if teamup.walked == KEYS:
            break
        if step % 50 == 0:  # Clients poll again. Walks that did not get a request have failed.
            _request_all(machines[0], paths)
    # The clock runs fifteen times as fast as the threads, so a lease may expire during a walk: the
    # walk's result is rejected, and the other machine walks the key a second time.
    times = Counter(filters for _, filters in teamup.walks)
    assert len(times) == KEYS
    assert sum(times.values()) <= KEYS * 1.2
    assert max(times.values()) <= 2
    _assert_within_budget([at for at, _ in teamup.walks])


def _request_all(get: Get, paths: Sequence[str]) -> list[tuple[int, str, float]]:
    return [get(path) for path in paths]


def _assert_within_budget(times: Sequence[float]) -> None:
    """At most PER_MINUTE requests within any sixty seconds.

    The clock may move between the moment a request is allowed and its arrival.
    """
    times = sorted(times)
    for index in range(len(times) - PER_MINUTE):
        assert times[index + PER_MINUTE] - times[index] > 60 - 1 - STEP


def test_keys_filled_together_do_not_all_expire_together(
    two_machines: Callable[..., list[Get]], running_clock: RunningClock
) -> None:
    get, _ = two_machines(plan=UpstreamPlan.NARROW, requests_per_minute=10_000)
    paths = [f"/venues/12.ics?past=0&future={days}" for days in range(1, KEYS + 1)]
    for path in paths:
        get(path)
    # The middle of the jittered lifetimes: 300 seconds, plus or minus a tenth.
    running_clock.move(298)
    stale = sum("stale" in get(path)[1] for path in paths)
    assert KEYS / 4 < stale < KEYS * 3 / 4
