"""What expires at once, for many readers or for many feeds: nobody waits, and no more is asked."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
from flask import request
from fleet import RunningClock, herd, until
from upstreams.rows import timetable
from upstreams.stub import StubUpstream

from bridge.config import UpstreamPlan
from bridge.services import Services
from bridge.store.sqlite import SqliteStore
from bridge.web import create_app

TOKEN = "a-token-of-the-tests"
EXPIRED = 400.0
KEYS = 60
PER_MINUTE = 25
SLOW = 0.5
STEP = 3.0

Ask = Callable[[str], tuple[int, str, float]]


class Vendor(StubUpstream):
    """Notes when it was asked, by the clock of the machines that ask."""

    def __init__(self, clock: RunningClock) -> None:
        super().__init__(timetable(90, days=60), token=TOKEN, before_page=self._note)
        self.asked: list[tuple[float, str]] = []
        self._clock = clock

    def _note(self, page: int) -> None:
        params = request.args.to_dict(flat=False)
        question = "&".join(f"{name}={params[name]}" for name in sorted(params) if "_" in name)
        self.asked.append((self._clock.now(), question))


@pytest.fixture
def running() -> RunningClock:
    return RunningClock()


@pytest.fixture
def vendor(running: RunningClock) -> Iterator[Vendor]:
    with Vendor(running) as server:
        yield server


@pytest.fixture
def two_machines(
    make_bridge: Callable[..., Services], vendor: Vendor, running: RunningClock, tmp_path: Path
) -> Callable[..., list[Ask]]:
    """Machines over one store, as functions that ask them: status, state of the cache, seconds."""

    def build(**fields: object) -> list[Ask]:
        return [
            _asker(
                make_bridge(
                    store=SqliteStore(tmp_path / "store.sqlite3", running),
                    at=running,
                    base_url=vendor.url,
                    **fields,
                )
            )
            for _ in range(2)
        ]

    return build


def _asker(parts: Services) -> Ask:
    app = create_app(parts)

    def ask(path: str) -> tuple[int, str, float]:
        began = time.monotonic()
        response = app.test_client().get(path)
        took = time.monotonic() - began
        return response.status_code, response.headers.get("Cache-Status", ""), took

    return ask


def _fresh(asks: Sequence[Ask], path: str) -> bool:
    return all("hit" in state and "stale" not in state for _, state, _ in (a(path) for a in asks))


def test_a_herd_at_expiry_gets_the_old_copy_at_once_and_costs_one_walk(
    two_machines: Callable[..., list[Ask]], vendor: Vendor, running: RunningClock
) -> None:
    machines = two_machines()
    until(lambda: _fresh(machines, "/sessions.ics"))
    assert len(vendor.asked) == 1
    running.move(EXPIRED)
    vendor.faults.set("delay", 4 * SLOW)
    answers = herd([partial(machines[n % 2], "/sessions.ics") for n in range(40)])
    assert {status for status, _, _ in answers} == {200}
    assert all("hit" in state and "detail=stale" in state for _, state, _ in answers)
    assert max(took for _, _, took in answers) < 2 * SLOW
    until(lambda: _fresh(machines, "/sessions.ics"))
    assert len(vendor.asked) == 2


def test_many_keys_that_expire_together_are_walked_once_each_within_the_budget(
    two_machines: Callable[..., list[Ask]], vendor: Vendor, running: RunningClock
) -> None:
    paths = [f"/venues/12.ics?past=0&future={days}" for days in range(1, KEYS + 1)]
    generous = two_machines(plan=UpstreamPlan.NARROW, requests_per_minute=10_000)
    for path in paths:
        assert generous[0](path)[0] == 200
    running.move(EXPIRED)
    vendor.asked.clear()
    machines = two_machines(plan=UpstreamPlan.NARROW, requests_per_minute=PER_MINUTE)
    vendor.faults.set("delay", SLOW / 10)
    answers = herd(
        [partial(_ask_all, machine, paths[start::4]) for machine in machines for start in range(4)]
    )
    flat = [one for several in answers for one in several]
    assert {status for status, _, _ in flat} == {200}
    assert all("hit" in state for _, state, _ in flat)
    assert max(took for _, _, took in flat) < 2 * SLOW
    until(lambda: len(vendor.asked) == PER_MINUTE)
    # A little at a time, as it really passes: who waits for its turn must stay in the lead.
    for _ in range(60):
        running.move(STEP)
        time.sleep(0.1)
        if len(vendor.asked) >= KEYS:
            break
    until(lambda: len(vendor.asked) >= KEYS)
    # The clock leaps eighty times as fast as the threads run, so a lease may now and then be lost
    # to the other machine: its walk is refused, and the key is walked a second time.
    times = Counter(question for _, question in vendor.asked)
    assert len(times) == KEYS
    assert sum(times.values()) <= KEYS * 1.2
    assert max(times.values()) <= 2
    _fits_budget([at for at, _ in vendor.asked])


def _ask_all(ask: Ask, paths: Sequence[str]) -> list[tuple[int, str, float]]:
    return [ask(path) for path in paths]


def _fits_budget(times: list[float]) -> None:
    """No more than the budget within any sixty seconds.

    A step of the clock may fall between a request's turn and its arrival.
    """
    assert all(earlier <= later for earlier, later in pairwise(times))
    for place in range(len(times) - PER_MINUTE):
        assert times[place + PER_MINUTE] - times[place] > 60 - 1 - STEP


def test_keys_that_were_filled_together_do_not_all_expire_together(
    two_machines: Callable[..., list[Ask]], running: RunningClock
) -> None:
    ask, _ = two_machines(plan=UpstreamPlan.NARROW, requests_per_minute=10_000)
    paths = [f"/venues/12.ics?past=0&future={days}" for days in range(1, KEYS + 1)]
    for path in paths:
        ask(path)
    # the middle of what the jitter spreads: 300 seconds, give or take a tenth
    running.move(298)
    stale = sum("stale" in ask(path)[1] for path in paths)
    assert KEYS / 4 < stale < KEYS * 3 / 4
