"""A store in a SQLite file. The workers of one machine share it, and it survives restarts."""

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
from bridge.store.interface import SHORT_LIVED, TIMEOUT, Entry, Store, Write

T = TypeVar("T")

_OPEN_SECONDS = 0.5
# Other threads may use the connection for so long: on a busy machine the file has not failed then.
_QUEUE_SECONDS = 1.0
# After this wait, a file that another process is writing to gets so long.
_LEAST_SECONDS = 0.02
_COMMITS_PER_PURGE = 500
_SCHEMA_RETRY_SECONDS = 0.025
# SQLite's limit on variables in a statement is at least 999 in every version.
_KEYS_PER_STATEMENT = 900
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
# After a clock was set back, a lease must not last forever: an entry that was written in the future
# counts as expired if its TTL is short.
_ALIVE = f"""(expires IS NULL OR (
    expires > :now AND (written <= :now + 1 OR expires - written > {SHORT_LIVED})
))"""
_CORRUPT = ("malformed", "not a database", "file is encrypted", "disk image")


class SqliteStore(Store):
    """A store in a SQLite file in WAL mode.

    Only the owner can access the file, which contains data that are not public, and folders that
    have to be created for it. A corrupt file is renamed and replaced by a new one.

    Reads have a connection of their own: they never wait for a write.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._clock = clock
        self._commits = 0
        self._reader, self._writer = Connection(path), Connection(path)

    def now(self) -> float:
        """Seconds since 1970 by this machine's clock."""
        return self._clock.now()

    def read(self, keys: Sequence[str]) -> dict[str, Entry]:
        rows = self._reader.run(lambda file: self._select(file, "key, value, version", keys))
        return {key: Entry(bytes(value), version) for key, value, version in rows}

    def versions(self, keys: Sequence[str]) -> dict[str, str]:
        return self._reader.run(lambda file: dict(self._select(file, "key, version", keys)))

    def commit(
        self, writes: Mapping[str, Write], *, expect: Mapping[str, str | None] | None = None
    ) -> str | None:
        return self._writer.run(lambda connection: self._commit(connection, writes, expect or {}))

    def names(self, prefix: str) -> list[str]:
        query = f"SELECT key FROM entries WHERE substr(key, 1, :length) = :prefix AND {_ALIVE}"  # noqa: S608
        params = {"length": len(prefix), "prefix": prefix, "now": self.now()}
        rows = self._reader.run(lambda file: file.execute(query, params).fetchall())
        return [row[0] for row in rows]

    def close(self) -> None:
        self._reader.close()
        self._writer.close()

    def _select(
        self, connection: sqlite3.Connection, columns: str, keys: Sequence[str]
    ) -> list[Any]:
        rows: list[Any] = []
        for start in range(0, len(keys), _KEYS_PER_STATEMENT):
            chunk = keys[start : start + _KEYS_PER_STATEMENT]
            params = {f"k{number}": key for number, key in enumerate(chunk)}
            names = ",".join(f":{name}" for name in params)
            query = f"SELECT {columns} FROM entries WHERE key IN ({names}) AND {_ALIVE}"  # noqa: S608
            rows.extend(connection.execute(query, {**params, "now": self.now()}))
        return rows

    def _commit(
        self,
        connection: sqlite3.Connection,
        writes: Mapping[str, Write],
        expect: Mapping[str, str | None],
    ) -> str | None:
        version = uuid.uuid4().hex
        now = self.now()
        # IMMEDIATE, because upgrading a read transaction to a write transaction may fail.
        connection.execute("BEGIN IMMEDIATE")
        with connection:
            versions = dict(self._select(connection, "key, version", [*expect]))
            if any(versions.get(key) != expected for key, expected in expect.items()):
                return None
            deleted = [(key,) for key, write in writes.items() if write.value is None]
            rows = [
                (key, write.value, version, now, None if write.ttl is None else now + write.ttl)
                for key, write in writes.items()
                if write.value is not None
            ]
            connection.executemany("DELETE FROM entries WHERE key = ?", deleted)
            connection.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?)", rows)
            self._commits += 1
            if self._commits % _COMMITS_PER_PURGE == 1:
                connection.execute("DELETE FROM entries WHERE expires <= ?", (now,))
        return version


class Connection:
    """A connection to the file that one thread at a time uses; it is opened when it is needed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._inode: int | None = None
        self._connection: sqlite3.Connection | None = None

    def run(self, operation: Callable[[sqlite3.Connection], T]) -> T:
        """The result of *operation*.

        It waits for a locked file for :data:`TIMEOUT`, together with all threads that wait already.

        Raises:
            StoreError: the file cannot be used, or is locked for too long.
        """
        deadline = time.monotonic() + TIMEOUT.get()
        if not self._lock.acquire(timeout=max(TIMEOUT.get(), _QUEUE_SECONDS)):
            raise StoreError("SQLite: other threads take too long", readable=True)
        try:
            connection = self._connect()
            left = max(_LEAST_SECONDS, deadline - time.monotonic())
            connection.execute(f"PRAGMA busy_timeout = {round(left * 1000)}")
            return operation(connection)
        except sqlite3.Error as err:
            if isinstance(err, sqlite3.DatabaseError) and _is_corrupt(err):
                self._rename_corrupt_file()
            else:
                # The connection may be unusable, because the file was replaced or removed.
                self._disconnect()
            # locked, full or read-only: the file can still be read
            raise StoreError(f"SQLite: {err}", readable=not _is_corrupt(err)) from err
        except OSError as err:
            raise StoreError(f"SQLite: {err.strerror or err}", readable=False) from err
        finally:
            self._lock.release()

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._disconnect()

    def _connect(self) -> sqlite3.Connection:
        if self._connection is not None:
            if self._inode == _inode(self._path):
                return self._connection
            # The file was removed or replaced: other processes write to the new file.
            self._disconnect()
        create_private(self._path)
        self._inode = _inode(self._path)
        try:
            connection = self._open(str(self._path))
        except sqlite3.OperationalError as err:
            if not any(word in str(err) for word in ("unable to open", "readonly")):
                raise
            # In a read-only folder SQLite cannot share the file, but it can read it. It is opened
            # again for each operation, because changes are not noticed, and may be possible later.
            connection = self._open(f"file:{quote(str(self._path))}?mode=ro&immutable=1")
            self._inode = None
        self._connection = connection
        return connection

    def _open(self, name: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            name,
            timeout=_OPEN_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            uri=name.startswith("file:"),
        )
        try:
            self._create_schema(connection)
            connection.execute("PRAGMA synchronous = NORMAL")
        except BaseException:
            connection.close()
            raise
        return connection

    @staticmethod
    def _create_schema(connection: sqlite3.Connection) -> None:
        """Create the table if it is missing. A read-only file that contains it still works."""
        query = "SELECT 1 FROM sqlite_master WHERE name = 'entries_by_expiry'"
        deadline = time.monotonic() + _OPEN_SECONDS
        while True:
            try:
                if connection.execute(query).fetchone() is None:
                    connection.execute("PRAGMA journal_mode = WAL")
                    connection.executescript(_SCHEMA)
                return
            except sqlite3.OperationalError as err:
                # Switching to WAL ignores the busy timeout when other workers do the same.
                if "locked" not in str(err) or time.monotonic() >= deadline:
                    raise
                time.sleep(_SCHEMA_RETRY_SECONDS)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _rename_corrupt_file(self) -> None:
        """Move the corrupt file away, unless another worker has already done so."""
        self._disconnect()
        if self._inode is None or _inode(self._path) != self._inode:
            return
        with suppress(FileNotFoundError):
            os.rename(self._path, f"{self._path}.corrupt-{time.time_ns()}")
            for suffix in ("-wal", "-shm"):
                with suppress(FileNotFoundError):
                    os.remove(f"{self._path}{suffix}")


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


def create_private(file: Path) -> None:
    """Create *file* and missing folders for their owner only; what exists is unchanged."""
    for path in reversed(file.parents):
        if not path.exists():
            path.mkdir(mode=0o700, exist_ok=True)
    if not file.exists():
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))


def _is_corrupt(err: sqlite3.Error) -> bool:
    return any(word in str(err) for word in _CORRUPT)
