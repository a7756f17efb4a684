"""Alerts: told once for the fleet at each change of state, and never in the way."""

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
    """Takes what is sent; fails or hangs if it is told to."""

    def __init__(self) -> None:
        self.sent: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self.error: Exception | None = None
        self.let_go = threading.Event()
        self.let_go.set()

    def __call__(self, url: str, body: bytes) -> None:
        self.let_go.wait(20)
        self.sent.put((url, body))
        if self.error is not None:
            raise self.error

    def text(self) -> str:
        """What was sent next."""
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


def delivered() -> None:
    """Wait for every delivery that is under way."""
    for thread in threading.enumerate():
        if "_deliver" in thread.name:
            thread.join(20)


def test_it_is_told_once_however_often_it_is_raised(alerts: Alerts, hook: Hook) -> None:
    for _ in range(5):
        alerts.raised("held", "12 are held")
    assert hook.text() == "12 are held"
    delivered()
    assert hook.silent


def test_it_is_told_once_for_the_whole_fleet(store: MemoryStore, hook: Hook) -> None:
    workers = [Alerts(store, KEYS, URL, hook) for _ in range(8)]
    barrier = threading.Barrier(len(workers))

    def raise_it(worker: Alerts) -> None:
        barrier.wait()
        worker.raised("held", "12 are held")

    threads = [threading.Thread(target=raise_it, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert hook.text() == "12 are held"
    delivered()
    assert hook.silent


def test_its_end_is_told_once_and_only_if_it_was_raised(alerts: Alerts, hook: Hook) -> None:
    alerts.over("held", "never raised")
    alerts.raised("held", "raised")
    assert hook.text() == "raised"
    alerts.over("held", "over")
    alerts.over("held", "over again")
    assert hook.text() == "over"
    delivered()
    assert hook.silent


def test_raised_anew_after_its_end_it_is_told_again(alerts: Alerts, hook: Hook) -> None:
    told = []
    for n in range(3):
        alerts.raised("held", f"raised {n}")
        told.append(hook.text())
        alerts.over("held", f"over {n}")
        told.append(hook.text())
    assert told == [f"{word} {n}" for n in range(3) for word in ("raised", "over")]


def test_topics_and_accounts_are_told_apart(store: MemoryStore, hook: Hook) -> None:
    Alerts(store, KEYS, URL, hook).raised("held a", "one")
    assert hook.text() == "one"
    Alerts(store, KEYS, URL, hook).raised("held b", "two")
    assert hook.text() == "two"
    Alerts(store, Keys("another account"), URL, hook).raised("held a", "three")
    assert hook.text() == "three"


def test_a_restart_raises_nothing_anew(store: MemoryStore, hook: Hook) -> None:
    Alerts(store, KEYS, URL, hook).raised("held", "before")
    assert hook.text() == "before"
    Alerts(store, KEYS, URL, hook).raised("held", "after")
    delivered()
    assert hook.silent


def test_the_log_tells_it_with_or_without_a_hook(store: MemoryStore, hook: Hook) -> None:
    alerts = Alerts(store, KEYS, None, hook)
    with capture_logs() as lines:
        alerts.raised("held", "12 are held")
        alerts.over("held", "none is held")
    assert [(line["log_level"], line["text"]) for line in lines] == [
        ("error", "12 are held"),
        ("warning", "none is held"),
    ]
    delivered()
    assert hook.silent


def test_a_hook_that_hangs_holds_nothing_up(alerts: Alerts, hook: Hook) -> None:
    hook.let_go.clear()
    alerts.raised("held", "12 are held")
    assert hook.silent
    hook.let_go.set()
    assert hook.text() == "12 are held"


@pytest.mark.parametrize("error", [OSError("no route to a-secret-of-its-own"), ValueError(URL)])
def test_a_hook_that_fails_is_logged_without_its_address(
    alerts: Alerts, hook: Hook, error: Exception
) -> None:
    hook.error = error
    with capture_logs() as lines:
        alerts.raised("held", "12 are held")
        hook.text()
        delivered()
    assert any(line["event"] == "alert not delivered" for line in lines)
    assert "a-secret-of-its-own" not in repr(lines)


def test_a_hook_gets_one_post_of_json(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with webhook.listening() as hook:
        Alerts(store, KEYS, hook.url).raised("held", "12 “sessions” are held")
        assert hook.next() == ("application/json", {"text": "12 “sessions” are held"})
        assert hook.silent


def test_a_hook_that_is_not_there_fails_as_documented() -> None:
    with pytest.raises(OSError, match="refused"):
        post("http://127.0.0.1:9/hook", b"{}")
