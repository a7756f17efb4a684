"""The change log: how sessions changed from one publication to the next, in the last 30 days.

There is one log for each source. A publication extends it in its own transaction::

    changes = changed_sessions(previous, snapshot, history)
    writes, expect = logs.writes_for(source, changes, at, seen_at)

The log contains whole sessions, so that each feed can decide what its audience may see of a change.
"""

import json
import threading
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import structlog

from bridge.model import Identity, Published, SourceName
from bridge.snapshots.encoding import (
    PartTable,
    compressed_json,
    decode_parts,
    decode_row,
    decoding,
    encode_row,
)
from bridge.snapshots.snapshot import Snapshot, is_new_since, replacements
from bridge.store.interface import Store, Write
from bridge.store.keys import Keys

log = structlog.get_logger()

LOG_SECONDS = 30 * 86400
MAX_CHANGES, MAX_PER_SESSION = 2_000, 20
"""The most that one log contains in all, and of one session; the oldest are dropped first."""


class Change(NamedTuple):
    """What a publication changed of one session.

    Attributes:
        before: None if the session was added.
        after: the session's last form.
        removed: whether the session was deleted, or is not published any more.
    """

    before: Published | None
    after: Published
    removed: bool = False

    @property
    def identity(self) -> Identity:
        """The identity of the session."""
        return self.after.session.identity

    @property
    def result(self) -> tuple[int, bool]:
        """Equal for two changes of a session that lead to the same form."""
        return (self.after.revision.content, self.removed)


@dataclass(frozen=True, slots=True)
class LoggedChange:
    """A change, and the publication that made it.

    Attributes:
        publication: its number, which grows by one with each that changes something.
        at: when the publication's walk began, in seconds since 1970.
        seen_at: when the last walk before it began, after which readers saw the form before the
            change; None where an earlier version stored the change.
    """

    publication: int
    at: int
    change: Change
    seen_at: int | None = None


@dataclass(frozen=True, slots=True)
class ChangeLog:
    """The changes of one source.

    Attributes:
        publications: the number of the last publication that changed something.
        changes: oldest first.
    """

    publications: int = 0
    changes: tuple[LoggedChange, ...] = ()

    def extended(
        self, changes: Sequence[Change], at: int, seen_at: int | None = None
    ) -> "ChangeLog":
        """The log after a publication at *at*; the same log if it contains the changes already.

        Args:
            at, seen_at: as in :class:`LoggedChange`.
        """
        latest = {logged.change.identity: logged for logged in self.changes}
        number = self.publications + 1
        new: list[LoggedChange] = []
        known = list(self.changes)
        for change in changes:
            last = latest.get(change.identity)
            news = _without_known(change, last, at)
            if news is None:
                continue
            seen = seen_at
            if last is not None and last.at == at:
                # Two walks of the same second: readers tell changes of a session apart by the time.
                known.remove(last)
                news, seen = news._replace(before=last.change.before), last.seen_at
            new.append(LoggedChange(number, at, news, seen))
        if not new:
            return self
        kept: list[LoggedChange] = []
        counts: Counter[Identity] = Counter()
        for logged in reversed([*known, *new]):
            counts[logged.change.identity] += 1
            if logged.at > at - LOG_SECONDS and counts[logged.change.identity] <= MAX_PER_SESSION:
                kept.append(logged)
        return ChangeLog(number, tuple(reversed(kept[:MAX_CHANGES])))


def changed_sessions(
    previous: Snapshot,
    snapshot: Snapshot,
    history: Mapping[Identity, Published],
    *,
    deleted: Set[int] | None = None,
) -> list[Change]:
    """The changes from *previous* to *snapshot* of sessions that were or are still to come.

    Args:
        previous: the snapshot of the same filter set before it.
        history: the sessions as last published under any filter set.
        deleted: the ids that upstream does not know any more; None if no session can have left
            the filter set otherwise.
    """
    now = datetime.fromtimestamp(snapshot.oldest_walk_at, UTC)
    changes: list[Change] = []
    added: list[Published] = []
    for published in snapshot.published:
        identity = published.session.identity
        own = previous.by_identity.get(identity)
        before = own or history.get(identity)
        if before is None:
            added.append(published)
        elif own is None or own.revision.content != published.revision.content:
            changes.append(Change(before, published, published.is_tombstone))
    removed: list[Published] = []
    for entry in previous.published:
        if entry.session.identity in snapshot.by_identity or entry.is_tombstone:
            continue
        latest = history.get(entry.session.identity)
        if latest is not None and latest.revision.content > entry.revision.content:
            changes.append(Change(entry, latest, latest.is_tombstone))
        elif deleted is None or entry.session.id in deleted:
            removed.append(entry)
    live = [entry for entry in snapshot.published if not entry.is_tombstone]
    missing = [entry for entry in live if entry.missing_since is not None]
    listed = [entry for entry in live if entry.missing_since is None]
    # A session that replaces another one under a new id looks the same to everybody.
    replaced = replacements([*removed, *missing], listed, is_new_since(previous.by_identity))
    new = set(replaced.values())
    changes.extend(Change(None, entry) for entry in added if entry.session.identity not in new)
    changes.extend(
        Change(entry, entry, removed=True)
        for entry in removed
        if entry.session.identity not in replaced
    )
    return [change for change in changes if _concerns_time_after(change, now)]


def _without_known(change: Change, last: LoggedChange | None, at: int) -> Change | None:
    """The change to log after the *last* one of the session; None if that says the same already.

    It is None as well if nothing changed that is reported to readers.
    """
    before, after, removed = change
    if last is not None:
        # A publication of another filter set may have logged it.
        if last.change.result == change.result:
            return None
        was_cancelled = before is not None and before.is_tombstone
        if last.change.removed and last.at < at and not (removed or was_cancelled):
            # Readers were told that the session was removed: it was added again.
            return Change(None, after)
    unchanged = not removed and before is not None and _reported(before) == _reported(after)
    return None if unchanged else change


class ChangeLogs:
    """The change logs of an account in the store."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store = store
        self._keys = keys
        self._lock = threading.Lock()
        self._decoded: dict[SourceName, tuple[str, ChangeLog]] = {}

    def load(self, source: SourceName) -> ChangeLog:
        """The log of *source*; an empty one if there is none.

        Raises:
            StoreError: the store fails.
        """
        return self._load(source)[1]

    def writes_for(
        self, source: SourceName, changes: Sequence[Change], at: int, seen_at: int
    ) -> tuple[dict[str, Write], dict[str, str | None]]:
        """The writes that record *changes*, and the versions that the transaction expects.

        Args:
            at, seen_at: as in :class:`LoggedChange`.

        Raises:
            StoreError: the store fails.
        """
        if not changes:
            return {}, {}
        version, current = self._load(source)
        extended = current.extended(changes, at, seen_at)
        if extended is current:
            return {}, {}
        key = self._keys.changes(source.value)
        return {key: Write(encode_log(extended), LOG_SECONDS)}, {key: version}

    def _load(self, source: SourceName) -> tuple[str | None, ChangeLog]:
        key = self._keys.changes(source.value)
        version = self._store.versions([key]).get(key)
        with self._lock:
            cached = self._decoded.get(source)
        if cached is not None and cached[0] == version:
            return cached
        if version is None:
            # While the store fails, readers keep the changes that they know.
            return None, cached[1] if cached is not None and self._store.failing else ChangeLog()
        entry = self._store.read([key]).get(key)
        if entry is None:
            return None, ChangeLog()
        try:
            decoded = decode_log(entry.value)
        except ValueError as err:
            # Stored by another version of the program: the log begins anew.
            log.warning("change log set aside", source=source.value, error=str(err))
            decoded = ChangeLog()
        with self._lock:
            self._decoded[source] = (entry.version, decoded)
        return entry.version, decoded


def encode_log(changes: ChangeLog) -> bytes:
    """The log as compressed JSON."""
    parts = PartTable()
    rows = [
        [
            entry.publication,
            entry.at,
            entry.change.before and encode_row(entry.change.before, parts),
            encode_row(entry.change.after, parts),
            entry.change.removed,
        ]
        for entry in changes.changes
    ]
    data = {
        "publications": changes.publications,
        "parts": parts.rows,
        "rows": rows,
        # Apart from the rows, whose length earlier versions check.
        "seen_at": [entry.seen_at for entry in changes.changes],
    }
    return compressed_json(data)


def decode_log(value: bytes) -> ChangeLog:
    """The inverse of :func:`encode_log`.

    Raises:
        ValueError: *value* is invalid, or was stored in another format.
    """
    with decoding("change log"):
        data = json.loads(zlib.decompress(value))
        parts = decode_parts(data["parts"])
        rows = data["rows"]
        seen = data.get("seen_at", [None] * len(rows))
        return ChangeLog(
            int(data["publications"]),
            tuple(
                LoggedChange(
                    int(publication),
                    int(at),
                    Change(
                        None if before is None else decode_row(before, parts),
                        decode_row(after, parts),
                        bool(removed),
                    ),
                    None if seen_at is None else int(seen_at),
                )
                for (publication, at, before, after, removed), seen_at in zip(
                    rows, seen, strict=True
                )
            ),
        )


def _reported(entry: Published) -> object:
    """The data whose changes are reported to readers, and those by which feeds select sessions."""
    session = entry.session
    kind = session.offering_type
    return (
        session.title,
        session.start,
        session.end,
        session.status,
        entry.is_tombstone,
        frozenset(person.id for person in session.instructors),
        session.venue and session.venue.id,
        session.room and session.room.id,
        session.course and session.course.id,
        kind and (kind.id, kind.category_id, kind.draft),
        session.visibility,
    )


def _concerns_time_after(change: Change, now: datetime) -> bool:
    forms = (change.before, change.after)
    return any(entry is not None and entry.session.ends > now for entry in forms)
