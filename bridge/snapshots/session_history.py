"""The memory of every session: how it was last published, under whichever filter set."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from bridge.model import Published
from bridge.snapshots.merge import HISTORY_DAYS
from bridge.snapshots.snapshot import Identity, Snapshot, decode_session, encode_session
from bridge.store.interface import Store, Write
from bridge.store.keys import Keys
from bridge.upstream.pagination import Walk


@dataclass(frozen=True, slots=True)
class SessionRecords:
    """What is remembered of some sessions.

    Attributes:
        versions: of what was read, by key in the store.
    """

    published: Mapping[Identity, Published]
    versions: Mapping[str, str]
    keys: Keys

    def changes(self, snapshot: Snapshot) -> tuple[dict[str, Write], dict[str, str | None]]:
        """The writes that bring the memory up to *snapshot*, and what they may rely on."""
        writes: dict[str, Write] = {}
        expect: dict[str, str | None] = {}
        for one in snapshot.published:
            known = self.published.get(one.session.identity)
            plain = replace(one, lacking_since=None, held=False)
            if plain == known:
                continue
            key = self.keys.session(*one.session.identity)
            to_come = max(0.0, one.session.ends.timestamp() - snapshot.walked)
            writes[key] = Write(encode_session(plain), to_come + HISTORY_DAYS * 86400)
            expect[key] = self.versions.get(key)
        return writes, expect


class SessionHistory:
    """Reads the memory of sessions from the store."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store = store
        self._keys = keys

    def load(self, walk: Walk, previous: Snapshot | None) -> SessionRecords:
        """What is remembered of the sessions of *walk* and of *previous*."""
        identities = {session.identity for session in walk.sessions}
        identities.update(previous.by_identity if previous else ())
        names = {self._keys.session(*identity): identity for identity in identities}
        published: dict[Identity, Published] = {}
        versions: dict[str, str] = {}
        for name, entry in self._store.read(list(names)).items():
            versions[name] = entry.version
            try:
                published[names[name]] = decode_session(entry.value)
            except ValueError:
                # Of an older form: counted as new, and written over.
                continue
        return SessionRecords(published, versions, self._keys)

    def load_one(self, source: str, identity: int) -> Published | None:
        """What is remembered of one session."""
        name = self._keys.session(source, identity)
        entry = self._store.read([name]).get(name)
        try:
            return decode_session(entry.value) if entry else None
        except ValueError:
            return None
