"""The sender: in order, at least once, by one process at a time, and never waited for."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from clocks import ManualClock, wait_until
from structlog.testing import capture_logs
from upstreams import raw
from upstreams.raw import RawUpstream
from walking import KEYS
from webhook import WebHook, wait_for_deliveries

from bridge.instrumentation import Instrumentation
from bridge.ops.alerts import AlertOutbox
from bridge.ops.sender import Sender
from bridge.ops.webhook import DeliveryError, Webhook
from bridge.store.interface import Write
from bridge.store.keys import Keys
from bridge.store.memory import MemoryStore

MINUTE, HOUR = 60.0, 3600.0

MakeSender = Callable[..., Sender[AlertOutbox]]


class Outcomes(Instrumentation):
    """Records the outcomes of all deliveries."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def delivery_ended(self, receiver: str, outcome: str) -> None:
        assert receiver == "alerts"
        self.seen.append(outcome)


class CrashingStore(MemoryStore):
    """A store whose process can end before the removal of a message is stored."""

    crash = False

    def commit(self, writes: Mapping[str, Write], **options: Any) -> str | None:
        if self.crash and KEYS.outbox("alerts") in writes:
            raise SystemExit
        return super().commit(writes, **options)


@pytest.fixture
def store(clock: ManualClock) -> CrashingStore:
    return CrashingStore(clock)


@pytest.fixture
def outcomes() -> Outcomes:
    return Outcomes()


@pytest.fixture
def make_sender(store: CrashingStore, hook: WebHook, outcomes: Outcomes) -> Iterator[MakeSender]:
    """Creates the sender of a worker."""
    senders: list[Sender[AlertOutbox]] = []

    def make(url: str = "", seconds: float = 5.0) -> Sender[AlertOutbox]:
        receiver = Webhook(url or hook.url, seconds=seconds)
        sender = Sender(AlertOutbox(store, KEYS), receiver, store, KEYS, outcomes)
        senders.append(sender)
        return sender

    yield make
    for sender in senders:
        sender.close()


@pytest.fixture
def sender(make_sender: MakeSender) -> Sender[AlertOutbox]:
    return make_sender()


@pytest.fixture
def put(store: CrashingStore) -> Callable[[str], None]:
    """Puts a message into the outbox."""

    def put(text: str) -> None:
        writes, expect = AlertOutbox(store, KEYS).addition(text)
        assert store.commit(writes, expect=expect)

    return put


Put = Callable[[str], None]


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(301, "redirected"), (308, "redirected"), (404, "refused"), (429, "refused"), (500, "failed")],
)
def test_a_message_stays_until_the_receiver_has_accepted_it(
    sender: Sender[AlertOutbox],
    put: Put,
    hook: WebHook,
    *,
    outcomes: Outcomes,
    clock: ManualClock,
    status: int,
    outcome: str,
) -> None:
    hook.status, hook.headers = status, {"Location": hook.url}
    put("1")
    put("2")
    sender.deliver()
    first = hook.next_post()
    assert first.json == {"text": "1"}
    assert hook.silent
    hook.status = 200
    sender.deliver()
    assert hook.silent
    clock.move(MINUTE + 1)
    sender.deliver()
    again, second = hook.next_post(), hook.next_post()
    assert again == first
    assert second.json == {"text": "2"}
    assert second.headers["bridge-delivery"] != first.headers["bridge-delivery"]
    assert outcomes.seen == [outcome, "delivered", "delivered"]
    assert sender.failure() is None


def test_the_pauses_double_from_a_minute_to_an_hour(
    sender: Sender[AlertOutbox], put: Put, hook: WebHook, clock: ManualClock
) -> None:
    hook.status = 503
    put("1")
    start, times = clock.now(), []
    for _ in range(6 * 60):
        sender.deliver()
        if not hook.posts.empty():
            hook.next_post()
            times.append(round((clock.now() - start) / MINUTE))
        clock.move(MINUTE)
    assert times == [0, 1, 3, 7, 15, 31, 63, 123, 183, 243, 303]
    failure = sender.failure()
    assert failure is not None
    assert failure.since == start
    assert failure.text == "it answers with 503"


def test_a_clock_that_was_set_back_does_not_prolong_a_pause(
    sender: Sender[AlertOutbox], put: Put, hook: WebHook, clock: ManualClock
) -> None:
    hook.status = 503
    put("1")
    sender.deliver()
    hook.next_post()
    clock.set_wall(-2 * HOUR)
    sender.deliver()
    hook.next_post()


def test_a_new_address_is_tried_at_once(make_sender: MakeSender, put: Put, hook: WebHook) -> None:
    hook.status = 404
    put("1")
    make_sender().deliver()
    hook.next_post()
    hook.status = 200
    make_sender().deliver()
    assert hook.silent
    make_sender(f"{hook.url}-renamed").deliver()
    hook.next_post()


def test_two_workers_send_each_message_once(
    make_sender: MakeSender, put: Put, hook: WebHook
) -> None:
    workers = [make_sender() for _ in range(2)]
    for number in range(20):
        put(str(number))
    for worker in workers:
        worker.begin()
    wait_for_deliveries()
    assert [hook.next_post().json["text"] for _ in range(20)] == [str(n) for n in range(20)]
    assert hook.silent


def test_a_message_whose_removal_was_not_stored_is_sent_again_with_the_same_id(
    make_sender: MakeSender, put: Put, hook: WebHook, store: CrashingStore, clock: ManualClock
) -> None:
    put("1")
    store.crash = True
    with pytest.raises(SystemExit):
        make_sender().deliver()
    first = hook.next_post()
    store.crash = False
    clock.move(MINUTE)
    make_sender().deliver()
    again = hook.next_post()
    assert again.headers["bridge-delivery"] == first.headers["bridge-delivery"]
    assert again.body == first.body
    clock.move(MINUTE)
    make_sender().deliver()
    assert hook.silent


def test_a_process_that_was_stopped_past_its_lease_does_not_undo_what_another_sent(
    make_sender: MakeSender, put: Put, hook: WebHook, store: CrashingStore, clock: ManualClock
) -> None:
    put("1")
    put("2")
    hook.ready.clear()
    stopped = make_sender()
    stopped.begin()
    assert hook.next_post().json == {"text": "1"}
    clock.move(MINUTE)
    hook.ready.set()
    make_sender().deliver()
    wait_for_deliveries()
    texts = [hook.next_post().json["text"] for _ in range(hook.posts.qsize())]
    assert texts == ["1", "2"]
    assert AlertOutbox(store, KEYS).waiting() == 0


def test_a_receiver_that_hangs_delays_nobody_and_is_given_up_after_its_time(
    make_sender: MakeSender, put: Put, hook: WebHook, outcomes: Outcomes, clock: ManualClock
) -> None:
    hook.ready.clear()
    put("1")
    began = time.monotonic()
    sender = make_sender(seconds=2.0)
    sender.begin()
    assert time.monotonic() - began < 2.0
    wait_for_deliveries()
    assert outcomes.seen == ["unreachable"]
    failure = sender.failure()
    assert failure is not None
    assert failure.text == "it does not answer"
    hook.ready.set()
    clock.move(MINUTE + 1)
    sender.deliver()
    assert outcomes.seen == ["unreachable", "delivered"]


def test_requests_that_hang_at_shutdown_are_waited_for_at_the_same_time(
    store: CrashingStore, hook: WebHook
) -> None:
    hook.ready.clear()
    senders = []
    for number in range(8):
        keys = Keys(f"studio {number}")
        sender = Sender(AlertOutbox(store, keys), Webhook(hook.url, seconds=60), store, keys)
        store.commit(sender.outbox.addition("an alert")[0])
        sender.begin()
        senders.append(sender)
    for _ in senders:
        hook.next_post()
    began = time.monotonic()
    for sender in senders:
        sender.finish()
    for sender in senders:
        sender.close()
    # One after the other, each would be waited for a second.
    assert time.monotonic() - began < len(senders)


def test_a_hanging_request_is_cut_at_shutdown_and_the_message_stays(
    make_sender: MakeSender, put: Put, hook: WebHook, outcomes: Outcomes, store: CrashingStore
) -> None:
    hook.ready.clear()
    put("1")
    sender = make_sender(seconds=60)
    sender.begin()
    hook.next_post()
    began = time.monotonic()
    sender.close()
    assert time.monotonic() - began < 5
    assert outcomes.seen == []
    assert AlertOutbox(store, KEYS).waiting() == 1
    assert sender.failure() is None
    sender.begin()
    hook.ready.set()
    assert hook.silent


def test_a_response_of_one_byte_at_a_time_ends_by_the_deadline() -> None:
    with RawUpstream(raw.drip_headers(0.2)) as receiver:
        began = time.monotonic()
        with pytest.raises(DeliveryError, match="does not answer"):
            Webhook(receiver.url, seconds=0.5).post(b"{}", {})
        assert time.monotonic() - began < 5


def test_an_endless_response_is_not_read() -> None:
    def endless(connection: Any, request: bytes, number: int) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65_536)

    with RawUpstream(endless) as receiver:
        began = time.monotonic()
        Webhook(receiver.url, seconds=60).post(b"{}", {})
        assert time.monotonic() - began < 5


def test_while_the_store_fails_nothing_is_sent(
    sender: Sender[AlertOutbox], put: Put, hook: WebHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("1")
    with monkeypatch.context() as context:
        context.setattr(CrashingStore, "failing", True)
        sender.deliver()
        assert hook.silent
    sender.deliver()
    assert hook.next_post().json == {"text": "1"}


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9/a-secret",
        "https://a-secret.invalid/a-secret",
        "http://a-secret..example/",
    ],
)
def test_errors_and_log_lines_do_not_contain_the_address(
    make_sender: MakeSender, put: Put, outcomes: Outcomes, url: str
) -> None:
    put("1")
    sender = make_sender(url)
    with capture_logs() as lines:
        sender.deliver()
    assert outcomes.seen == ["unreachable"]
    [line] = [line for line in lines if line["event"] == "not delivered"]
    assert line["receiver"] == "alerts"
    assert line["retry_in"] == 60
    assert "a-secret" not in repr(lines) + repr(sender.failure())


def test_messages_that_arrive_during_a_delivery_are_sent_by_the_same_thread(
    sender: Sender[AlertOutbox], put: Put, hook: WebHook
) -> None:
    hook.ready.clear()
    put("1")
    sender.begin()
    hook.next_post()
    put("2")
    sender.begin()
    hook.ready.set()
    assert hook.next_post().json == {"text": "2"}
    wait_until(lambda: hook.silent)
