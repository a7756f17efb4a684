"""The store of one machine: a SQLite file, shared by its workers and there after a restart."""

import os
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from bridge.clock import Clock
from bridge.errors import StoreError
from bridge.store.interface import SHORT_LIVED, Entry, Write

T = TypeVar("T")

_BUSY_MILLISECONDS = 500
_TIDY_EVERY = 500
_ATTEMPTS = 20
# SQLite's limit on variables in a statement is at least 999 in every version.
_AT_ONCE = 900
_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    key TEXT PRIMARY KEY,
    value BLOB NOT NULL,
    version TEXT NOT NULL,
    written REAL NOT NULL,
    expires REAL
);
CREATE INDEX IF NOT EXISTS entries_by_expiry ON entries (expires) WHERE expires IS NOT NULL;
"""
# A clock that was set back must not keep a lease for ever: what was written later is gone, if it
# was meant to go soon.
_ALIVE = f"""(expires IS NULL OR (
    expires > :now AND (written <= :now + 1 OR expires - written > {SHORT_LIVED})
))"""
_CORRUPT = ("malformed", "not a database", "file is encrypted", "disk image")


class SqliteStore:
    """A store in a SQLite file in WAL mode.

    A folder that has to be made is for its owner alone, and so is the file, which holds what is
    not public. A corrupt file is set aside and a new one begun.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._commits = 0
        self._inode: int | None = None
        self._connection: sqlite3.Connection | None = None

    @property
    def failing(self) -> bool:
        """Never: see :class:`~bridge.store.interface.Store`."""
        return False

    def now(self) -> float:
        """Seconds since 1970 by this machine's clock."""
        return self._clock.now()

    def read(self, keys: Sequence[str]) -> dict[str, Entry]:
        """Those of *keys* that are there."""
        rows = self._select("key, value, version", keys)
        return {key: Entry(bytes(value), version) for key, value, version in rows}

    def versions(self, keys: Sequence[str]) -> dict[str, str]:
        """The versions of those of *keys* that are there."""
        return dict(self._select("key, version", keys))

    def commit(
        self, writes: Mapping[str, Write], *, expect: Mapping[str, str | None] | None = None
    ) -> str | None:
        """Make all *writes*, or none of them (see :class:`~bridge.store.interface.Store`)."""
        return self._do(lambda connection: self._commit(connection, writes, expect or {}))

    def names(self, prefix: str) -> list[str]:
        """The keys that begin with *prefix*."""
        query = f"SELECT key FROM entries WHERE substr(key, 1, :length) = :prefix AND {_ALIVE}"  # noqa: S608
        given = {"length": len(prefix), "prefix": prefix, "now": self.now()}
        return self._do(lambda connection: [row[0] for row in connection.execute(query, given)])

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._disconnect()

    def _select(self, columns: str, keys: Sequence[str]) -> list[Any]:
        def select(connection: sqlite3.Connection) -> list[Any]:
            rows: list[Any] = []
            for start in range(0, len(keys), _AT_ONCE):
                some = keys[start : start + _AT_ONCE]
                given = {f"k{number}": key for number, key in enumerate(some)}
                named = ",".join(f":{name}" for name in given)
                query = f"SELECT {columns} FROM entries WHERE key IN ({named}) AND {_ALIVE}"  # noqa: S608
                rows.extend(connection.execute(query, {**given, "now": self.now()}))
            return rows

        return self._do(select)

    def _commit(
        self,
        connection: sqlite3.Connection,
        writes: Mapping[str, Write],
        expect: Mapping[str, str | None],
    ) -> str | None:
        version = uuid.uuid4().hex
        now = self.now()
        # IMMEDIATE: a transaction that begins by reading could not be made a writing one later.
        connection.execute("BEGIN IMMEDIATE")
        try:
            query = f"SELECT version FROM entries WHERE key = :key AND {_ALIVE}"  # noqa: S608
            for key, wanted in expect.items():
                row = connection.execute(query, {"key": key, "now": now}).fetchone()
                if (row[0] if row else None) != wanted:
                    connection.execute("ROLLBACK")
                    return None
            gone = [(key,) for key, write in writes.items() if write.value is None]
            kept = [
                (key, write.value, version, now, None if write.ttl is None else now + write.ttl)
                for key, write in writes.items()
                if write.value is not None
            ]
            connection.executemany("DELETE FROM entries WHERE key = ?", gone)
            connection.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?)", kept)
            self._commits += 1
            if self._commits % _TIDY_EVERY == 1:
                connection.execute("DELETE FROM entries WHERE expires <= ?", (now,))
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # the error that led here is the one to tell
                connection.execute("ROLLBACK")
            raise
        return version

    def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._lock:
            try:
                return work(self._connected())
            except sqlite3.Error as err:
                if isinstance(err, sqlite3.DatabaseError) and _is_corrupt(err):
                    self._set_aside()
                else:
                    # The connection may be what is wrong: the file was replaced, or went away.
                    self._disconnect()
                # locked, full or read-only: what is in the file can still be read
                raise StoreError(f"SQLite: {err}", readable=not _is_corrupt(err)) from err
            except OSError as err:
                raise StoreError(f"SQLite: {err.strerror or err}", readable=False) from err

    def _connected(self) -> sqlite3.Connection:
        if self._connection is not None:
            if self._inode == _inode(self._path):
                return self._connection
            # The file was removed or replaced: what others write goes into the new one.
            self._disconnect()
        _make_private(self._path.parent)
        if not self._path.exists():
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
        self._inode = _inode(self._path)
        try:
            connection = self._open(str(self._path))
        except sqlite3.OperationalError as err:
            if not any(word in str(err) for word in ("unable to open", "readonly")):
                raise
            # Where nothing can be written SQLite cannot share the file, but it can read it.
            connection = self._open(f"file:{quote(str(self._path))}?mode=ro&immutable=1")
        self._connection = connection
        return connection

    def _open(self, name: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            name,
            timeout=_BUSY_MILLISECONDS / 1000,
            isolation_level=None,
            check_same_thread=False,
            uri=name.startswith("file:"),
        )
        try:
            connection.execute(f"PRAGMA busy_timeout = {_BUSY_MILLISECONDS}")
            self._prepare(connection)
            connection.execute("PRAGMA synchronous = NORMAL")
        except BaseException:
            connection.close()
            raise
        return connection

    @staticmethod
    def _prepare(connection: sqlite3.Connection) -> None:
        """Make the table, unless it is there: a read-only file need not be changed."""
        query = "SELECT 1 FROM sqlite_master WHERE name = 'entries_by_expiry'"
        for attempts_left in reversed(range(_ATTEMPTS)):
            try:
                if connection.execute(query).fetchone() is None:
                    connection.execute("PRAGMA journal_mode = WAL")
                    connection.executescript(_SCHEMA)
                return
            except sqlite3.OperationalError as err:
                # The change to WAL does not wait for other workers that are about to make it too.
                if "locked" not in str(err) or not attempts_left:
                    raise
                time.sleep(_BUSY_MILLISECONDS / 1000 / _ATTEMPTS)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _set_aside(self) -> None:
        """Move the corrupt file away, unless another worker has done so already."""
        self._disconnect()
        if self._inode is None or _inode(self._path) != self._inode:
            return
        with suppress(FileNotFoundError):
            aside = f"{self._path}.corrupt-{time.time_ns()}"
            os.rename(self._path, aside)
            for suffix in ("-wal", "-shm"):
                with suppress(FileNotFoundError):
                    os.remove(f"{self._path}{suffix}")


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


def _make_private(folder: Path) -> None:
    """Make *folder*, and those above it, for their owner alone; leave one that is there."""
    for one in (*reversed(folder.parents), folder):
        if not one.exists():
            one.mkdir(mode=0o700, exist_ok=True)


def _is_corrupt(err: sqlite3.Error) -> bool:
    return any(word in str(err) for word in _CORRUPT)
