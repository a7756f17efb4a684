"""Alerts: sent once per change of state in the fleet, without delaying the caller."""

import threading
from collections.abc import Callable, Iterator

import pytest
from clocks import ManualClock
from structlog.testing import capture_logs
from walking import KEYS
from webhook import WebHook, wait_for_deliveries

from bridge.ops.alerts import AlertOutbox, Alerts
from bridge.ops.sender import Sender
from bridge.ops.webhook import Webhook
from bridge.store.keys import Keys
from bridge.store.memory import MemoryStore

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0

MakeAlerts = Callable[..., Alerts]


@pytest.fixture
def store(clock: ManualClock) -> MemoryStore:
    return MemoryStore(clock)


@pytest.fixture
def make_alerts(store: MemoryStore, hook: WebHook) -> Iterator[MakeAlerts]:
    """Creates the alerts of a worker, and their sender."""
    senders: list[Sender[AlertOutbox]] = []

    def make(keys: Keys = KEYS) -> Alerts:
        sender = Sender(AlertOutbox(store, keys), Webhook(hook.url), store, keys)
        senders.append(sender)
        return Alerts(store, keys, sender)

    yield make
    for sender in senders:
        sender.close()


@pytest.fixture
def alerts(make_alerts: MakeAlerts) -> Alerts:
    return make_alerts()


def next_text(hook: WebHook) -> str:
    """The text of the next alert."""
    content_type, body = hook.next()
    assert content_type == "application/json"
    assert set(body) == {"text"}
    return str(body["text"])


def test_an_alert_is_sent_once_however_often_it_fires(alerts: Alerts, hook: WebHook) -> None:
    for _ in range(5):
        alerts.fire("held", "12 “sessions” are held")
    assert next_text(hook) == "12 “sessions” are held"
    assert hook.silent


def test_an_alert_is_sent_once_for_the_whole_fleet(make_alerts: MakeAlerts, hook: WebHook) -> None:
    workers = [make_alerts() for _ in range(8)]
    barrier = threading.Barrier(len(workers))

    def fire(worker: Alerts) -> None:
        barrier.wait()
        worker.fire("held", "12 are held")

    threads = [threading.Thread(target=fire, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert next_text(hook) == "12 are held"
    assert hook.silent


def test_the_end_of_an_alert_is_sent_once_and_only_if_it_had_fired(
    alerts: Alerts, hook: WebHook
) -> None:
    alerts.resolve("held", "never fired")
    alerts.fire("held", "fired")
    assert next_text(hook) == "fired"
    alerts.resolve("held", "over")
    alerts.resolve("held", "over again")
    assert next_text(hook) == "over"
    assert hook.silent


def test_an_alert_that_fires_again_after_its_end_is_sent_again(
    alerts: Alerts, hook: WebHook
) -> None:
    texts = []
    for n in range(3):
        alerts.fire("held", f"fired {n}")
        texts.append(next_text(hook))
        alerts.resolve("held", f"over {n}")
        texts.append(next_text(hook))
    assert texts == [f"{word} {n}" for n in range(3) for word in ("fired", "over")]


def test_topics_and_accounts_are_independent(make_alerts: MakeAlerts, hook: WebHook) -> None:
    for worker, topic in (
        (make_alerts(), "held a"),
        (make_alerts(), "held b"),
        (make_alerts(Keys("another account")), "held a"),
    ):
        worker.fire(topic, topic)
        assert next_text(hook) == topic


def test_alerts_are_logged_without_a_webhook_too(store: MemoryStore, hook: WebHook) -> None:
    alerts = Alerts(store, KEYS, None)
    with capture_logs() as lines:
        alerts.fire("held", "12 are held")
        alerts.resolve("held", "none is held")
    assert [(line["log_level"], line["text"]) for line in lines] == [
        ("error", "12 are held"),
        ("warning", "none is held"),
    ]
    assert AlertOutbox(store, KEYS).waiting() == 0


def test_of_alerts_that_fire_at_the_same_moment_none_is_lost(
    make_alerts: MakeAlerts, hook: WebHook
) -> None:
    workers = [make_alerts() for _ in range(4)]
    barrier = threading.Barrier(len(workers))

    def fire(number: int) -> None:
        barrier.wait()
        workers[number].fire(f"topic {number}", str(number))

    threads = [threading.Thread(target=fire, args=(number,)) for number in range(len(workers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_for_deliveries()
    workers[0].fire("last", "last")
    assert {next_text(hook) for _ in range(5)} == {"0", "1", "2", "3", "last"}
    assert hook.silent


def test_alerts_are_kept_in_order_until_the_webhook_accepts_them(
    alerts: Alerts, make_alerts: MakeAlerts, store: MemoryStore, hook: WebHook, clock: ManualClock
) -> None:
    hook.status = 500
    alerts.fire("failing", "TeamUp fails")
    assert next_text(hook) == "TeamUp fails"
    alerts.fire("old", "it is old")
    alerts.resolve("failing", "it works")
    assert hook.silent
    hook.status = 204
    clock.move(2 * MINUTE)
    make_alerts().fire("held", "12 are held")
    assert [next_text(hook) for _ in range(4)] == [
        "TeamUp fails",
        "it is old",
        "it works",
        "12 are held",
    ]
    assert hook.silent
    assert AlertOutbox(store, KEYS).waiting() == 0


def test_at_most_a_hundred_alerts_wait_and_the_oldest_is_given_up_first(
    alerts: Alerts, store: MemoryStore, hook: WebHook
) -> None:
    hook.status = 500
    with capture_logs() as lines:
        for number in range(102):
            alerts.fire(f"topic {number}", str(number))
    wait_for_deliveries()
    outbox = AlertOutbox(store, KEYS)
    first = outbox.first()
    assert outbox.waiting() == 100
    assert first is not None
    assert first.body == b'{"text": "2"}'
    assert sum(line["event"] == "message given up" for line in lines) == 2


def test_an_alert_is_given_up_after_three_days(
    alerts: Alerts, hook: WebHook, clock: ManualClock
) -> None:
    hook.status = 500
    alerts.fire("old", "it is old")
    next_text(hook)
    clock.move(2 * DAY)
    alerts.fire("failing", "TeamUp fails")
    assert next_text(hook) == "it is old"
    hook.status = 204
    clock.move(DAY)
    alerts.fire("held", "12 are held")
    assert [next_text(hook), next_text(hook)] == ["TeamUp fails", "12 are held"]
    assert hook.silent
