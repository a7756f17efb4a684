"""What a person should know of is told at each change of state, once for the whole fleet."""

from collections.abc import Callable, Iterator, MutableMapping, Sequence
from typing import Any

import pytest
import webhook
from clocks import ManualClock
from structlog.testing import capture_logs
from webhook import WebHook

from bridge.errors import StoreError
from bridge.filters import FilterSet
from bridge.ops.alerts import Alerts
from bridge.sandbox.faults import Faults
from bridge.services import Services
from bridge.store.fallback import FallbackStore
from bridge.store.interface import Entry, Write
from bridge.store.keys import Keys
from bridge.store.memory import MemoryStore

HOUR = 3600.0
WIDE = FilterSet(past=30)
# what is not worth another try at once
FAILURE = 418
SECRET = "a-token-of-the-tests"


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebHook]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with webhook.listening() as listening:
        yield listening


@pytest.fixture
def lines() -> Iterator[list[MutableMapping[str, Any]]]:
    with capture_logs() as logged:
        yield logged


@pytest.fixture
def fleet(make_bridge: Callable[..., Services], hook: WebHook) -> list[Services]:
    """Two workers with one store."""
    first = make_bridge(alert_url=hook.url)
    return [first, make_bridge(alert_url=hook.url, store=first.store)]


def text(hook: WebHook) -> str:
    """The one alert that was told; neither more nor any secret."""
    kind, said = hook.next()
    assert kind == "application/json"
    assert set(said) == {"text"}
    assert hook.silent
    told = str(said["text"])
    assert SECRET not in told
    assert hook.url not in told
    return told


def probe(fleet: list[Services]) -> None:
    """Somebody reads, by way of the first worker; what is to be refreshed is tried."""
    plan, refresher = fleet[0].router, fleet[0].refresher
    flight = refresher.refresh(WIDE, plan.merge_rules(WIDE), None)
    assert flight is not None
    assert flight.wait(20)


def look(fleet: list[Services]) -> None:
    for _ in range(2):
        for one in fleet:
            one.periodic.run_once()


def test_when_all_is_well_nothing_is_told(fleet: list[Services], hook: WebHook) -> None:
    look(fleet)
    probe(fleet)
    look(fleet)
    assert hook.silent


def test_a_refused_token_is_told_at_once_and_its_end_too(
    fleet: list[Services], hook: WebHook, faults: Faults, clock: ManualClock
) -> None:
    probe(fleet)
    faults.set("status", 401)
    clock.move(HOUR)
    probe(fleet)
    look(fleet)
    assert "TEAMUP_API_TOKEN" in text(hook)
    clock.move(2 * HOUR)
    probe(fleet)
    look(fleet)
    assert hook.silent
    faults.clear()
    clock.move(60)
    probe(fleet)
    look(fleet)
    assert "answers again" in text(hook)


def fail_for(
    hours: float, fleet: list[Services], hook: WebHook, clock: ManualClock
) -> list[tuple[float, str]]:
    """What is told meanwhile, and after how many hours."""
    told = []
    for step in range(round(hours * 6)):
        probe(fleet)
        look(fleet)
        if not hook.silent:
            told.append((step / 6, text(hook)))
        clock.move(HOUR / 6)
    return told


def test_a_failure_is_told_once_it_has_lasted_an_hour_and_an_old_copy_after_a_day(
    fleet: list[Services], hook: WebHook, faults: Faults, clock: ManualClock
) -> None:
    probe(fleet)
    faults.set("status", FAILURE)
    clock.move(HOUR)
    [failing, old] = fail_for(25, fleet, hook, clock)
    assert failing[0] == 1
    assert "failing for an hour" in failing[1]
    assert old[0] == 23
    assert "older than a day" in old[1]
    # all that is over is told in one word
    faults.clear()
    probe(fleet)
    look(fleet)
    assert "answers again" in text(hook)


def test_a_failure_that_is_over_within_the_hour_is_not_told(
    fleet: list[Services], hook: WebHook, faults: Faults, clock: ManualClock
) -> None:
    probe(fleet)
    for _ in range(3):
        faults.set("status", FAILURE)
        clock.move(HOUR)
        assert fail_for(0.9, fleet, hook, clock) == []
        faults.clear()
        probe(fleet)
        look(fleet)
    assert hook.silent


def test_while_the_store_fails_nothing_is_told_that_each_would_tell_anew(
    hook: WebHook, clock: ManualClock
) -> None:
    class Broken(MemoryStore):
        broken = False

        def read(self, keys: Sequence[str]) -> dict[str, Entry]:
            if self.broken:
                raise StoreError("broken by the test", readable=False)
            return super().read(keys)

        def commit(self, *args: Any, **more: Any) -> str | None:
            if self.broken:
                raise StoreError("broken by the test", readable=False)
            return super().commit(*args, **more)

    shared = Broken(clock)
    stores = [FallbackStore(shared, clock) for _ in range(2)]
    fleet = [Alerts(store, Keys("them"), hook.url) for store in stores]
    fleet[0].raised("failing", "it fails")
    assert hook.next()[1] == {"text": "it fails"}
    shared.broken = True
    for _ in range(3):
        for one in fleet:
            one.raised("failing", "it fails")
            one.raised("old", "it is old")
    assert hook.silent
    shared.broken = False
    clock.move(60)
    for store in stores:
        store.commit({"anything": Write(b"")})
    for one in fleet:
        one.raised("failing", "it fails")
        one.raised("old", "it is old")
    assert hook.next()[1] == {"text": "it is old"}
    assert hook.silent


def test_silence_is_no_recovery(
    fleet: list[Services], hook: WebHook, faults: Faults, clock: ManualClock
) -> None:
    probe(fleet)
    faults.set("status", 401)
    clock.move(HOUR)
    probe(fleet)
    look(fleet)
    assert "TEAMUP_API_TOKEN" in text(hook)
    # nobody asks, and the failure is forgotten
    clock.move(40 * 86400)
    look(fleet)
    assert hook.silent


def test_a_duty_that_breaks_keeps_no_other_from_being_done(
    fleet: list[Services], lines: list[MutableMapping[str, Any]]
) -> None:
    done = []
    rounds = fleet[0].periodic
    rounds.add(lambda: 1 / 0)
    rounds.add(lambda: done.append(1))
    rounds.run_once()
    assert done == [1]
    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["a duty broke off"]
