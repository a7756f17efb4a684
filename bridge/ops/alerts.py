"""Alerts to the operator: logged and sent to a webhook, once per change of state in the fleet."""

import json
import uuid
from collections.abc import Callable, Mapping, Sequence

import structlog

from bridge.ops.sender import Message, Outbox, Sender
from bridge.store.interface import Entry, Store, Write
from bridge.store.json_values import decode_json
from bridge.store.keys import Keys

log = structlog.get_logger()

_TTL = 90 * 86400.0
_MAX_ALERTS = 100
_TRIES = 5


class AlertOutbox(Outbox):
    """The alerts that the webhook has not accepted: at most a hundred, of the last three days."""

    name = "alerts"
    max_age = 3 * 86400.0

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store = store
        self._key = keys.outbox(self.name)

    def first(self) -> Message | None:
        rows, _ = self._load()
        if not rows:
            return None
        message_id, at, text = rows[0]
        return Message(message_id, at, json.dumps({"text": text}).encode())

    def addition(self, text: str) -> tuple[dict[str, Write], dict[str, str | None]]:
        """The writes that add an alert, and the versions that they expect."""
        rows, version = self._load()
        if len(rows) >= _MAX_ALERTS:
            log.error("message given up", receiver=self.name, id=rows[0][0])
        kept = [*rows, (str(uuid.uuid4()), self._store.now(), text)][-_MAX_ALERTS:]
        return {self._key: Write(json.dumps(kept).encode(), self.max_age)}, {self._key: version}

    def removal(self, message: Message) -> tuple[dict[str, Write], dict[str, str | None]]:
        rows, version = self._load()
        kept = [row for row in rows if row[0] != message.id]
        value = json.dumps(kept).encode() if kept else None
        return {self._key: Write(value, self.max_age)}, {self._key: version}

    def waiting(self) -> int:
        return len(self._load()[0])

    def _load(self) -> tuple[list[tuple[str, float, str]], str | None]:
        entry = self._store.read([self._key]).get(self._key)
        if entry is None:
            return [], None
        try:
            rows = decode_json(entry.value)
            return [(str(id), float(at), str(text)) for id, at, text in rows], entry.version
        except (TypeError, ValueError):  # stored by another version of the program
            return [], entry.version


class Alerts:
    """Fires and resolves alerts by topic. The store records which topics have fired.

    Args:
        sender: sends ``{"text": …}`` to the webhook; None: alerts are only logged.
        studio: named at the beginning of each text; empty if the bridge serves only one.
    """

    def __init__(
        self, store: Store, keys: Keys, sender: Sender[AlertOutbox] | None, studio: str = ""
    ) -> None:
        self._store = store
        self._keys = keys
        self._sender = sender
        self._prefix = f"{studio}: " if studio else ""

    def fire(self, topic: str, text: str) -> None:
        """Send *text*, unless *topic* has already fired and is not resolved."""
        key = self._keys.alert(topic)
        if self._store.versions([key]):
            return
        value = repr(self._store.now()).encode()
        if self._commit({key: Write(value, _TTL)}, {key: None}, text):
            log.error("alert", topic=topic, text=text)

    def resolve(self, topic: str, text: str) -> None:
        """Send *text*, if *topic* has fired."""
        self.resolve_before(float("inf"), (topic,), text)

    def resolve_before(self, at: float, topics: Sequence[str], text: str) -> None:
        """Send *text* once if any of *topics* has fired, and all of those fired before *at*.

        Args:
            at: seconds since 1970.
        """
        topic_of = {self._keys.alert(topic): topic for topic in topics}
        fired = self._store.read(list(topic_of))
        if not fired or max(_fired_at(entry.value) for entry in fired.values()) >= at:
            return
        expect = {key: entry.version for key, entry in fired.items()}
        if self._commit({key: Write(None) for key in fired}, expect, text):
            log.warning("alert over", topic=", ".join(topic_of[key] for key in fired), text=text)

    def fire_new(
        self, topic: str, items: Mapping[str, float], text: Callable[[Sequence[str]], str]
    ) -> None:
        """Send one text about those of *items* that were not reported under *topic* before.

        Args:
            items: until when each is remembered, in seconds since 1970, by its identity.
            text: the text about the new items, which have the order of *items*.
        """
        key = self._keys.alert(topic)
        entry = self._store.read([key]).get(key)
        now = self._store.now()
        known = {name: end for name, end in _remembered(entry).items() if end > now}
        new = [name for name in items if name not in known]
        if known.items() >= items.items():
            return
        value = json.dumps({**known, **items}).encode()
        ttl = max(_TTL, max(items.values()) - now)
        writes, expect = {key: Write(value, ttl)}, {key: entry.version if entry else None}
        if not new:
            self._store.commit(writes, expect=expect)
        elif self._commit(writes, expect, text(new)):
            log.error("alert", topic=topic, text=text(new))

    def _commit(
        self, writes: Mapping[str, Write], expect: Mapping[str, str | None], text: str
    ) -> bool:
        """Make a change of state, and put *text* into the outbox, in one transaction.

        Returns:
            Whether this process made the change, and the change is visible to the whole fleet.
        """
        for _ in range(_TRIES):
            added, versions = (
                self._sender.outbox.addition(self._prefix + text) if self._sender else ({}, {})
            )
            done = self._store.commit({**writes, **added}, expect={**expect, **versions})
            if done is not None:
                break
            if self._store.versions(list(expect)) != _existing(expect):
                return False
        # While the store fails, every process would send each alert again.
        if done is None or self._store.failing:
            return False
        if self._sender is not None:
            self._sender.begin()
        return True


def _existing(expect: Mapping[str, str | None]) -> dict[str, str]:
    return {key: version for key, version in expect.items() if version is not None}


def _remembered(entry: Entry | None) -> dict[str, float]:
    try:
        items = decode_json(entry.value).items() if entry else ()
        return {str(name): float(end) for name, end in items}
    except (AttributeError, TypeError, ValueError):  # stored by another version of the program
        return {}


def _fired_at(value: bytes) -> float:
    try:
        return float(value)
    except ValueError:  # stored by another version of the program
        return 0.0
