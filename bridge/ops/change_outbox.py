"""The outbox of changes: one message for each publication that changed something in public.

The change logs are the outbox. The store contains for each source the number of the last
publication that the receiver has accepted.
"""

import hashlib
import hmac
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

from bridge.feeds.changes import timetable_changes
from bridge.feeds.formats.changes_json import change_object
from bridge.feeds.params import FeedDefaults
from bridge.model import SourceName
from bridge.ops.sender import Message, Outbox
from bridge.snapshots.change_log import LOG_SECONDS, ChangeLogs, LoggedChange
from bridge.snapshots.router import SnapshotRouter
from bridge.store.interface import Store, Write
from bridge.store.json_values import decode_json
from bridge.store.keys import Keys
from bridge.times import utc_text

SIGNATURE_HEADER = "Bridge-Signature"

_NAMESPACE = uuid.UUID("c1f6b7a2-3f0e-4b57-9d5b-2a8f5f0c7e11")


@dataclass(frozen=True, slots=True)
class _Publication:
    """What one publication of a source changed; *at* is when its walk began."""

    studio: str
    source: SourceName
    number: int
    at: int
    entries: tuple[LoggedChange, ...]

    @property
    def id(self) -> str:
        # Several studios may have one receiver.
        prefix = f"{self.studio}:" if self.studio else ""
        name = f"{prefix}{self.source.value}:{self.number}:{self.at}"
        return str(uuid.uuid5(_NAMESPACE, name))


class ChangeOutbox(Outbox):
    """What the receiver of changes has not accepted, of the 30 days of the change logs.

    It sees what public feeds show, as they are when the message is sent. Publications before the
    first use of the outbox are not sent.

    Args:
        defaults: the public audience, and the language of the texts.
        signing_key: signs the messages; None: they have no signature.
        studio: named in each message; empty if the bridge serves only one.
    """

    name = "changes"
    max_age = float(LOG_SECONDS)

    def __init__(
        self,
        store: Store,
        keys: Keys,
        *,
        logs: ChangeLogs,
        sources: Sequence[SourceName],
        router: SnapshotRouter,
        defaults: FeedDefaults,
        signing_key: str | None,
        studio: str = "",
    ) -> None:
        self._store = store
        self._key = keys.outbox(self.name)
        self._logs = logs
        self._sources = sources
        self._router = router
        self._defaults = defaults
        self._signing_key = signing_key
        self._studio = studio

    def first(self) -> Message | None:
        snapshot = self._router.peek_widest()
        publication = min(self._publications(), key=lambda each: each.at, default=None)
        if publication is None or snapshot is None:  # the snapshot tells what is public now
            return None
        language = self._defaults.language
        changes = [
            change_object(change, language)
            for change in timetable_changes(
                publication.entries, snapshot, self._defaults.audience, language
            )
        ]
        if not changes:
            return Message(publication.id, publication.at, None)
        content = {
            "id": publication.id,
            **({"studio": self._studio} if self._studio else {}),
            "source": publication.source.value,
            "publication": publication.number,
            "at": utc_text(datetime.fromtimestamp(publication.at, UTC)),
            "changes": changes,
        }
        body = json.dumps(content, ensure_ascii=False).encode()
        return Message(publication.id, publication.at, body, self._signature(body))

    def removal(self, message: Message) -> tuple[dict[str, Write], dict[str, str | None]]:
        cursors, version = self._load()
        for publication in self._publications():
            if publication.id == message.id:
                cursors[publication.source.value] = publication.number
        return {self._key: _encode(cursors)}, {self._key: version}

    def waiting(self) -> int:
        return sum(1 for _ in self._publications())

    def forget(self) -> None:
        """Do not send what was published until the next use."""
        if self._store.versions([self._key]):
            self._store.commit({self._key: Write(None)})

    def _publications(self) -> Iterator[_Publication]:
        """Those that wait; of each source the oldest first."""
        # In this order: a log that is read later never ends before the cursor.
        cursors, _ = self._load()
        for source in self._sources:
            log = self._logs.load(source)
            cursor = cursors[source.value]
            if cursor > log.publications:  # the log began anew
                cursor = 0
            waiting = (entry for entry in log.changes if entry.publication > cursor)
            for number, group in groupby(waiting, key=lambda entry: entry.publication):
                entries = tuple(group)
                yield _Publication(self._studio, source, number, entries[0].at, entries)

    def _load(self) -> tuple[dict[str, int], str | None]:
        """The number of the last accepted publication of each source, and the entry's version.

        A source that has none gets that of its last publication.
        """
        entry = self._store.read([self._key]).get(self._key)
        cursors = _decode(entry.value) if entry else {}
        version = entry.version if entry else None
        new = [source for source in self._sources if source.value not in cursors]
        if not new:
            return cursors, version
        cursors |= {source.value: self._logs.load(source).publications for source in new}
        written = self._store.commit({self._key: _encode(cursors)}, expect={self._key: version})
        # None: another process has done so, and the next call reads it.
        return cursors, written or version

    def _signature(self, body: bytes) -> Mapping[str, str]:
        if self._signing_key is None:
            return {}
        digest = hmac.new(self._signing_key.encode(), body, hashlib.sha256).hexdigest()
        return {SIGNATURE_HEADER: f"sha256={digest}"}


def _encode(cursors: Mapping[str, int]) -> Write:
    return Write(json.dumps(cursors).encode())


def _decode(value: bytes) -> dict[str, int]:
    try:
        return {str(source): int(number) for source, number in decode_json(value).items()}
    except (AttributeError, TypeError, ValueError):  # stored by another version of the program
        return {}
