"""Delivers the messages of an outbox to a webhook: in order, each at least once.

    sender = Sender(outbox, webhook, store, keys)
    sender.begin()  # returns at once

One process of the fleet sends at a time. A message stays in the outbox until the receiver has
accepted it; if the process ends in between, the message is sent again with the same id. After a
failure the pause before the next try is doubled, from a minute to an hour.
"""

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import structlog

from bridge.background import start_daemon
from bridge.instrumentation import NO_INSTRUMENTATION, Instrumentation
from bridge.ops.webhook import DeliveryError, Webhook
from bridge.store.interface import Store, Write
from bridge.store.json_values import decode_json
from bridge.store.keys import Keys
from bridge.store.leases import Lease, LostLeaseError, acquire

log = structlog.get_logger()

ID_HEADER = "Bridge-Delivery"
DELIVERED, GIVEN_UP = "delivered", "given up"
_MIN_PAUSE, _MAX_PAUSE = 60.0, 3600.0
_CLOSE_TIMEOUT = 1.0
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Message:
    """A message that waits in an outbox.

    Attributes:
        id: the same at each try, so that a receiver can recognise a message that it has already.
        at: when it was put into the outbox, in seconds since 1970.
        body: JSON; None if there is nothing to send any more.
        headers: of the request, apart from the id.
    """

    id: str
    at: float
    body: bytes | None
    headers: Mapping[str, str] = field(default_factory=dict)


class Outbox(Protocol):
    """Messages in the store for one receiver.

    Attributes:
        name: of the receiver, in the log, in metrics and in the store.
        max_age: seconds after which a message is given up.
    """

    name: str
    max_age: float

    def first(self) -> Message | None:
        """The oldest message."""

    def removal(self, message: Message) -> tuple[dict[str, Write], dict[str, str | None]]:
        """The writes that remove the oldest message, and the versions that they expect."""

    def waiting(self) -> int:
        """The number of messages."""


@dataclass(frozen=True, slots=True)
class DeliveryFailure:
    """Why a receiver has not accepted the oldest message.

    Attributes:
        count: number of consecutive failures.
        since: when the first of them happened, in seconds since 1970.
        until: nothing is sent before this time.
    """

    text: str
    count: int
    since: float
    until: float

    def due(self, now: float) -> bool:
        """Whether it is time for the next try; also if a clock was set back."""
        return not now < self.until <= now + _MAX_PAUSE


OutboxT = TypeVar("OutboxT", bound=Outbox)


class Sender(Generic[OutboxT]):
    """Sends the messages of *outbox* in a background thread."""

    def __init__(
        self,
        outbox: OutboxT,
        webhook: Webhook,
        store: Store,
        keys: Keys,
        instrumentation: Instrumentation = NO_INSTRUMENTATION,
    ) -> None:
        self.outbox = outbox
        self._webhook = webhook
        self._store = store
        self._keys = keys
        # A new address is tried at once.
        self._failure_key = keys.delivery_failure(outbox.name, webhook.fingerprint)
        self._instrumentation = instrumentation
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._requested = False
        self._closed = False
        self._cut_at = 0.0

    def begin(self) -> None:
        """Send what waits and is due, in a thread: a receiver that hangs delays nobody else."""
        with self._lock:
            self._requested = True
            if self._thread is None and not self._closed:
                self._thread = start_daemon(self._deliver, "delivery")

    def finish(self) -> None:
        """Let the thread end after the current request, which gets one second more."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._cut_at = time.monotonic() + _CLOSE_TIMEOUT

    def close(self) -> None:
        """End the thread like :meth:`finish`, and wait for it.

        What was not accepted stays in the outbox.
        """
        self.finish()
        thread = self._thread
        if thread is not None:
            thread.join(max(0.0, self._cut_at - time.monotonic()))
        self._webhook.close()
        if thread is not None:
            thread.join(_CLOSE_TIMEOUT)

    def failure(self) -> DeliveryFailure | None:
        """The present failure, if there is one."""
        entry = self._store.read([self._failure_key]).get(self._failure_key)
        return _decode(entry.value) if entry else None

    def _deliver(self) -> None:
        while self._take_request():
            try:
                self.deliver()
            except LostLeaseError:
                # Another process sends now.
                continue
            except Exception:
                # No caller can handle the error, and a later request must be able to try again.
                self._instrumentation.background_failed("delivery")
                log.exception("delivery ended", receiver=self.outbox.name)

    def _take_request(self) -> bool:
        """Whether the thread has to look into the outbox; otherwise it ends."""
        with self._lock:
            requested, self._requested = self._requested and not self._closed, False
            if not requested:
                self._thread = None
            return requested

    def deliver(self) -> None:
        """Send what waits and is due, until the outbox is empty or the receiver fails.

        Raises:
            LostLeaseError: another process has taken over.
        """
        if not self._due() or not self.outbox.waiting():
            return
        name = f"delivery {self.outbox.name}"
        lease = acquire(self._store, self._keys, name)
        if lease is None:
            return
        try:
            # While the store fails, every process would send each message.
            while self._due() and not (self._closed or self._store.failing):
                message = self.outbox.first()
                if message is None or not self._handle(message, lease):
                    return
        finally:
            lease.release()

    def _due(self) -> bool:
        failure = self.failure()
        return failure is None or failure.due(self._store.now())

    def _handle(self, message: Message, lease: Lease) -> bool:
        """Send *message* and remove it; whether it was removed."""
        now = self._store.now()
        if message.body is None:
            outcome = None
        elif message.at + self.outbox.max_age <= now:
            outcome = GIVEN_UP
            log.error("message given up", receiver=self.outbox.name, id=message.id)
        else:
            outcome = DELIVERED
            # The lease outlasts the request.
            lease.renew()
            try:
                headers = {ID_HEADER: message.id, **message.headers}
                self._webhook.post(message.body, headers)
            except DeliveryError as err:
                if not self._closed:
                    self._record_failure(err, lease)
                return False
        if outcome is not None:
            self._instrumentation.delivery_ended(self.outbox.name, outcome)
        return self._remove(message, lease)

    def _remove(self, message: Message, lease: Lease) -> bool:
        for _ in range(_TRIES):
            writes, expect = self.outbox.removal(message)
            writes[self._failure_key] = Write(None)
            if self._store.commit(writes, expect={**expect, **lease.expectation}) is not None:
                return True
            lease.renew()
        # Other processes keep adding messages: it is sent again after the next minute.
        return False

    def _record_failure(self, err: DeliveryError, lease: Lease) -> None:
        before, now = self.failure(), self._store.now()
        count = before.count + 1 if before else 1
        pause = min(_MAX_PAUSE, _MIN_PAUSE * 2.0 ** min(count - 1, 10))
        since = before.since if before else now
        failure = DeliveryFailure(str(err), count, since, now + pause)
        write = Write(_encode(failure), pause + self.outbox.max_age)
        self._store.commit({self._failure_key: write}, expect=lease.expectation)
        self._instrumentation.delivery_ended(self.outbox.name, err.outcome)
        log.warning(
            "not delivered",
            receiver=self.outbox.name,
            error=failure.text,
            tries=count,
            retry_in=round(pause),
        )


def _encode(failure: DeliveryFailure) -> bytes:
    return json.dumps([failure.text, failure.count, failure.since, failure.until]).encode()


def _decode(value: bytes) -> DeliveryFailure | None:
    try:
        text, count, since, until = decode_json(value)
        return DeliveryFailure(str(text), int(count), float(since), float(until))
    except (TypeError, ValueError):  # stored by another version of the program
        return None
