"""Alerts: sent once per change of state in the fleet, without delaying the caller."""

import json
import queue
import threading

import pytest
import webhook
from clocks import ManualClock
from structlog.testing import capture_logs
from walking import KEYS

from bridge.ops.alerts import Alerts, post
from bridge.store.keys import Keys
from bridge.store.memory import MemoryStore

URL = "https://hooks.example/services/a-secret-of-its-own"


class Hook:
    """Receives alerts; can be made to fail or to hang."""

    def __init__(self) -> None:
        self.sent: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self.error: Exception | None = None
        self.ready = threading.Event()
        self.ready.set()

    def __call__(self, url: str, body: bytes) -> None:
        self.ready.wait(20)
        self.sent.put((url, body))
        if self.error is not None:
            raise self.error

    def text(self) -> str:
        """The text of the next alert."""
        url, body = self.sent.get(timeout=20)
        assert url == URL
        data = json.loads(body)
        assert set(data) == {"text"}
        return str(data["text"])

    @property
    def silent(self) -> bool:
        return self.sent.empty()


@pytest.fixture
def hook() -> Hook:
    return Hook()


@pytest.fixture
def store(clock: ManualClock) -> MemoryStore:
    return MemoryStore(clock)


@pytest.fixture
def alerts(store: MemoryStore, hook: Hook) -> Alerts:
    return Alerts(store, KEYS, URL, hook)


def wait_for_deliveries() -> None:
    """Wait until no delivery is running."""
    for thread in threading.enumerate():
        if "_deliver" in thread.name:
            thread.join(20)


def test_an_alert_is_sent_once_however_often_it_fires(alerts: Alerts, hook: Hook) -> None:
    for _ in range(5):
        alerts.fire("held", "12 are held")
    assert hook.text() == "12 are held"
    wait_for_deliveries()
    assert hook.silent


def test_an_alert_is_sent_once_for_the_whole_fleet(store: MemoryStore, hook: Hook) -> None:
    workers = [Alerts(store, KEYS, URL, hook) for _ in range(8)]
    barrier = threading.Barrier(len(workers))

    def fire(worker: Alerts) -> None:
        barrier.wait()
        worker.fire("held", "12 are held")

    threads = [threading.Thread(target=fire, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert hook.text() == "12 are held"
    wait_for_deliveries()
    assert hook.silent


def test_the_end_of_an_alert_is_sent_once_and_only_if_it_had_fired(
    alerts: Alerts, hook: Hook
) -> None:
    alerts.resolve("held", "never fired")
    alerts.fire("held", "fired")
    assert hook.text() == "fired"
    alerts.resolve("held", "over")
    alerts.resolve("held", "over again")
    assert hook.text() == "over"
    wait_for_deliveries()
    assert hook.silent


def test_an_alert_that_fires_again_after_its_end_is_sent_again(alerts: Alerts, hook: Hook) -> None:
    texts = []
    for n in range(3):
        alerts.fire("held", f"fired {n}")
        texts.append(hook.text())
        alerts.resolve("held", f"over {n}")
        texts.append(hook.text())
    assert texts == [f"{word} {n}" for n in range(3) for word in ("fired", "over")]


def test_topics_and_accounts_are_independent(store: MemoryStore, hook: Hook) -> None:
    Alerts(store, KEYS, URL, hook).fire("held a", "one")
    assert hook.text() == "one"
    Alerts(store, KEYS, URL, hook).fire("held b", "two")
    assert hook.text() == "two"
    Alerts(store, Keys("another account"), URL, hook).fire("held a", "three")
    assert hook.text() == "three"


def test_a_restart_does_not_repeat_alerts(store: MemoryStore, hook: Hook) -> None:
    Alerts(store, KEYS, URL, hook).fire("held", "before")
    assert hook.text() == "before"
    Alerts(store, KEYS, URL, hook).fire("held", "after")
    wait_for_deliveries()
    assert hook.silent


def test_alerts_are_logged_without_a_webhook_too(store: MemoryStore, hook: Hook) -> None:
    alerts = Alerts(store, KEYS, None, hook)
    with capture_logs() as lines:
        alerts.fire("held", "12 are held")
        alerts.resolve("held", "none is held")
    assert [(line["log_level"], line["text"]) for line in lines] == [
        ("error", "12 are held"),
        ("warning", "none is held"),
    ]
    wait_for_deliveries()
    assert hook.silent


def test_a_webhook_that_hangs_does_not_delay_the_caller(alerts: Alerts, hook: Hook) -> None:
    hook.ready.clear()
    alerts.fire("held", "12 are held")
    assert hook.silent
    hook.ready.set()
    assert hook.text() == "12 are held"


@pytest.mark.parametrize("error", [OSError("no route to a-secret-of-its-own"), ValueError(URL)])
def test_a_failing_webhook_is_logged_without_its_address(
    alerts: Alerts, hook: Hook, error: Exception
) -> None:
    hook.error = error
    with capture_logs() as lines:
        alerts.fire("held", "12 are held")
        hook.text()
        wait_for_deliveries()
    assert any(line["event"] == "alert not delivered" for line in lines)
    assert "a-secret-of-its-own" not in repr(lines)


def test_a_webhook_gets_one_post_of_json(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with webhook.listening() as hook:
        Alerts(store, KEYS, hook.url).fire("held", "12 “sessions” are held")
        assert hook.next() == ("application/json", {"text": "12 “sessions” are held"})
        assert hook.silent


def test_post_raises_oserror_if_there_is_no_server() -> None:
    with pytest.raises(OSError, match="refused"):
        post("http://127.0.0.1:9/hook", b"{}")
