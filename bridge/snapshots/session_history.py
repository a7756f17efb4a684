"""The history of each session: its last published form, under any filter set."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from bridge.model import Identity, Published
from bridge.snapshots.encoding import decode_session, encode_session
from bridge.snapshots.merge import HISTORY_DAYS
from bridge.snapshots.snapshot import Snapshot
from bridge.store.interface import Store, Write
from bridge.store.keys import Keys
from bridge.upstream.pagination import Walk


@dataclass(frozen=True, slots=True)
class SessionRecords:
    """Stored sessions, together with the versions needed to update them in a transaction.

    Attributes:
        versions: the version of each entry that was read, by store key.
    """

    published: Mapping[Identity, Published]
    versions: Mapping[str, str]
    keys: Keys

    def writes_for(
        self, entries: Iterable[Published], walked: float
    ) -> tuple[dict[str, Write], dict[str, str | None]]:
        """The writes that record *entries*, and the versions that the transaction expects.

        Args:
            walked: when their walk began, in seconds since 1970.
        """
        writes: dict[str, Write] = {}
        expect: dict[str, str | None] = {}
        for entry in entries:
            session = entry.session
            plain = entry
            if entry.held or entry.missing_since is not None:
                plain = replace(entry, missing_since=None, held=False)
            if plain == self.published.get(session.identity):
                continue
            key = self.keys.session(*session.identity)
            until_end = max(0.0, session.ends.timestamp() - walked)
            writes[key] = Write(encode_session(plain), until_end + HISTORY_DAYS * 86400)
            expect[key] = self.versions.get(key)
        return writes, expect


class SessionHistory:
    """Reads session histories from the store."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store = store
        self._keys = keys

    def load(self, walk: Walk, previous: Snapshot | None) -> SessionRecords:
        """The records of the sessions of *walk*, also those elsewhere, and of *previous*."""
        identities = {session.identity for session in (*walk.sessions, *walk.elsewhere)}
        identities.update(previous.by_identity if previous else ())
        names = {self._keys.session(*identity): identity for identity in identities}
        published: dict[Identity, Published] = {}
        versions: dict[str, str] = {}
        for name, entry in self._store.read(list(names)).items():
            versions[name] = entry.version
            try:
                published[names[name]] = decode_session(entry.value)
            except ValueError:
                # Stored in an older format: treated as new, and overwritten.
                continue
        return SessionRecords(published, versions, self._keys)

    def load_session(self, identity: Identity) -> Published | None:
        """The last published form of one session."""
        name = self._keys.session(*identity)
        entry = self._store.read([name]).get(name)
        try:
            return decode_session(entry.value) if entry else None
        except ValueError:
            return None
