"""The alert rules: one alert per change of state for the whole fleet."""

from collections.abc import Callable, Iterator, MutableMapping, Sequence
from datetime import timedelta
from typing import Any

import pytest
import webhook
from clocks import ManualClock
from structlog.testing import capture_logs
from walking import NOW
from webhook import WebHook

from bridge.errors import StoreError
from bridge.model import SourceName
from bridge.ops.alerts import AlertOutbox, Alerts
from bridge.ops.sender import Sender
from bridge.ops.webhook import Webhook
from bridge.sandbox.faults import Faults
from bridge.sandbox.studio import Studio
from bridge.services import Services
from bridge.store.fallback import FallbackStore
from bridge.store.interface import Entry, Write
from bridge.store.keys import Keys
from bridge.store.memory import MemoryStore

HOUR = 3600.0
# A status that is not retried at once.
FAILURE = 418
SECRET = "a-token-of-the-tests"


@pytest.fixture
def lines() -> Iterator[list[MutableMapping[str, Any]]]:
    with capture_logs() as logged:
        yield logged


@pytest.fixture
def studio(near_studio: Studio) -> Studio:
    return near_studio


@pytest.fixture
def fleet(make_bridge: Callable[..., Services], hook: WebHook) -> list[Services]:
    """Two workers with one store."""
    first = make_bridge(alert_url=hook.url)
    return [first, make_bridge(alert_url=hook.url, store=first.store)]


def only_alert(hook: WebHook) -> str:
    """The text of the only alert that was sent; it contains no secret."""
    content_type, body = hook.next()
    assert content_type == "application/json"
    assert set(body) == {"text"}
    assert hook.silent
    text = str(body["text"])
    assert SECRET not in text
    assert hook.url not in text
    return text


def refresh(fleet: list[Services]) -> None:
    """Refresh the wide snapshots in the first worker, if they are stale."""
    router, refresher = fleet[0].router, fleet[0].refresher
    for wide in router.widest_keys:
        rules = router.merge_rules(wide)
        assert rules is not None
        flight = refresher.refresh(wide, rules, None)
        assert flight is not None
        assert flight.wait(20)


def evaluate(fleet: list[Services]) -> None:
    """Evaluate the rules twice in every worker."""
    for _ in range(2):
        for worker in fleet:
            worker.periodic.run_once()
    webhook.wait_for_deliveries()


def refuse_token(fleet: list[Services], hook: WebHook, faults: Faults, clock: ManualClock) -> None:
    """Let TeamUp refuse the token; the alert fires at once."""
    refresh(fleet)
    faults.set("status", 401)
    clock.move(HOUR)
    refresh(fleet)
    evaluate(fleet)
    assert "TEAMUP_API_TOKEN" in only_alert(hook)


def test_without_problems_no_alert_is_sent(fleet: list[Services], hook: WebHook) -> None:
    evaluate(fleet)
    refresh(fleet)
    evaluate(fleet)
    assert hook.silent


def test_a_refused_token_fires_at_once_and_is_resolved_after_its_end(
    fleet: list[Services], hook: WebHook, faults: Faults, clock: ManualClock
) -> None:
    refuse_token(fleet, hook, faults, clock)
    clock.move(2 * HOUR)
    refresh(fleet)
    evaluate(fleet)
    assert hook.silent
    faults.clear()
    clock.move(60)
    refresh(fleet)
    evaluate(fleet)
    assert "answers again" in only_alert(hook)


@pytest.mark.parametrize("setting", ["walk_max_rows", "walk_max_bytes"])
def test_a_timetable_over_the_limits_fires_one_alert_at_once(
    make_bridge: Callable[..., Services], hook: WebHook, clock: ManualClock, setting: str
) -> None:
    fleet = [make_bridge(alert_url=hook.url, **{setting: 1})]
    for _ in range(3):
        refresh(fleet)
        evaluate(fleet)
        clock.move(120)
    assert f"{setting.upper()}=1" in only_alert(hook)


def fail_for(
    hours: float, fleet: list[Services], hook: WebHook, clock: ManualClock
) -> list[tuple[float, str]]:
    """The alerts sent in *hours* of failure, each with the hours until then."""
    alerts = []
    for step in range(round(hours * 6)):
        refresh(fleet)
        evaluate(fleet)
        if not hook.silent:
            alerts.append((step / 6, only_alert(hook)))
        clock.move(HOUR / 6)
    return alerts


def test_a_failure_fires_after_an_hour_and_an_old_copy_after_a_day(
    fleet: list[Services], hook: WebHook, faults: Faults, clock: ManualClock
) -> None:
    refresh(fleet)
    faults.set("status", FAILURE)
    clock.move(HOUR)
    [failing, old] = fail_for(25, fleet, hook, clock)
    assert failing[0] == 1
    assert "failing for an hour" in failing[1]
    assert old[0] == 23
    assert "older than a day" in old[1]
    # One message resolves all alerts.
    faults.clear()
    refresh(fleet)
    evaluate(fleet)
    assert "answers again" in only_alert(hook)


def test_a_failure_that_ends_within_the_hour_does_not_fire(
    fleet: list[Services], hook: WebHook, faults: Faults, clock: ManualClock
) -> None:
    refresh(fleet)
    for _ in range(3):
        faults.set("status", FAILURE)
        clock.move(HOUR)
        assert fail_for(0.9, fleet, hook, clock) == []
        faults.clear()
        refresh(fleet)
        evaluate(fleet)
    assert hook.silent


def test_a_list_that_the_token_may_not_read_fires_one_alert_of_its_own(
    make_bridge: Callable[..., Services], hook: WebHook, faults: Faults, clock: ManualClock
) -> None:
    fleet = [make_bridge(alert_url=hook.url, sources=frozenset(SourceName))]
    faults.set("status", 403, source="events")
    alerts = []
    for _ in range(3):
        refresh(fleet)
        evaluate(fleet)
        if not hook.silent:
            alerts.append(only_alert(hook))
        clock.move(HOUR)
    [text] = alerts
    assert "let the bridge read events" in text
    assert "TEAMUP_SOURCES" in text


def test_a_failure_of_one_list_fires_although_the_other_is_read(
    make_bridge: Callable[..., Services], hook: WebHook, faults: Faults, clock: ManualClock
) -> None:
    fleet = [make_bridge(alert_url=hook.url, sources=frozenset(SourceName))]
    refresh(fleet)
    evaluate(fleet)
    assert "new clashes" in only_alert(hook)
    faults.set("status", FAILURE, source="events")
    clock.move(HOUR)
    alerts = []
    for _ in range(9):
        refresh(fleet)
        evaluate(fleet)
        if not hook.silent:
            alerts.append(only_alert(hook))
        clock.move(HOUR / 6)
    [text] = alerts
    assert "failing for an hour" in text
    faults.clear()
    refresh(fleet)
    evaluate(fleet)
    assert "answers again" in only_alert(hook)


def test_while_the_store_fails_no_process_repeats_an_alert(
    hook: WebHook, clock: ManualClock
) -> None:
    class Broken(MemoryStore):
        broken = False

        def read(self, keys: Sequence[str]) -> dict[str, Entry]:
            if self.broken:
                raise StoreError("broken by the test", readable=False)
            return super().read(keys)

        def commit(self, *args: Any, **kwargs: Any) -> str | None:
            if self.broken:
                raise StoreError("broken by the test", readable=False)
            return super().commit(*args, **kwargs)

    shared = Broken(clock)
    stores = [FallbackStore(shared, clock) for _ in range(2)]
    keys = Keys("them")
    fleet = [
        Alerts(store, keys, Sender(AlertOutbox(store, keys), Webhook(hook.url), store, keys))
        for store in stores
    ]
    fleet[0].fire("failing", "it fails")
    assert hook.next()[1] == {"text": "it fails"}
    shared.broken = True
    for _ in range(3):
        for alerts in fleet:
            alerts.fire("failing", "it fails")
            alerts.fire("old", "it is old")
    assert hook.silent
    shared.broken = False
    clock.move(60)
    for store in stores:
        store.commit({"anything": Write(b"")})
    for alerts in fleet:
        alerts.fire("failing", "it fails")
        alerts.fire("old", "it is old")
    assert hook.next()[1] == {"text": "it is old"}
    assert hook.silent


def test_an_expired_failure_is_not_a_recovery(
    fleet: list[Services], hook: WebHook, faults: Faults, clock: ManualClock
) -> None:
    refuse_token(fleet, hook, faults, clock)
    # There are no requests, and the failure expires.
    clock.move(40 * 86400)
    evaluate(fleet)
    assert hook.silent


def test_an_error_in_a_periodic_task_does_not_prevent_the_others(
    fleet: list[Services], lines: list[MutableMapping[str, Any]]
) -> None:
    done = []
    periodic = fleet[0].periodic
    periodic.add(lambda: 1 / 0)
    periodic.add(lambda: done.append(1))
    periodic.run_once()
    assert done == [1]
    assert [line["event"] for line in lines if line["log_level"] == "error"] == [
        "periodic task failed"
    ]


def test_a_list_that_is_left_out_fires_once_and_is_resolved_once_it_is_read(
    make_bridge: Callable[..., Services], hook: WebHook, faults: Faults, clock: ManualClock
) -> None:
    faults.set("status", 403, source="events")
    fleet = [make_bridge(alert_url=hook.url, sources=frozenset(SourceName))]
    refresh(fleet)
    evaluate(fleet)
    text = only_alert(hook)
    assert "read events" in text
    assert "TEAMUP_SOURCES" in text
    faults.clear()
    clock.move(HOUR)
    refresh(fleet)
    evaluate(fleet)
    assert "new clashes" in hook.next()[1]["text"]
    assert "can read events now" in only_alert(hook)


def clash(studio: Studio, first: int, number: int = 1, name: str = "Yoga") -> list[int]:
    """Lets somebody teach in two places at night, *number* times; the ids of the new sessions."""
    ids = []
    for index in range(number):
        for venue in (12, 13):
            ids.append(first + len(ids))
            starts_at = NOW.replace(hour=1 + index // 6) + timedelta(days=1 + index % 6)
            studio.add(
                id=ids[-1],
                starts_at=starts_at,
                venue=venue,
                instructors=[21],
                course=51,
                name=name,
            )
    return ids


def test_new_clashes_fire_one_alert_once_for_the_fleet_and_their_end_fires_none(
    fleet: list[Services], hook: WebHook, studio: Studio, clock: ManualClock
) -> None:
    refresh(fleet)
    evaluate(fleet)
    assert hook.silent
    ids = clash(studio, 90_000, 12)
    clock.move(400)
    refresh(fleet)
    evaluate(fleet)
    text = only_alert(hook)
    assert text.startswith("The timetable has new clashes. ")
    assert text.count("in two places at once") == 3
    assert "; and 9 more, which /status and check list." in text
    for id in ids:
        studio.cancel(id)
    clock.move(400)
    refresh(fleet)
    evaluate(fleet)
    for id in ids[2:6]:
        studio.change(id, status="active")
    clash(studio, 95_000, name="Another")
    clock.move(400)
    refresh(fleet)
    evaluate(fleet)
    assert only_alert(hook).count("in two places at once") == 1
