"""Backup and restore of the store in a SQLite file.

The newest rows of a store in use are in a second file (the write-ahead log), so that a plain copy
of the first lacks them. SQLite copies a database consistently, also while it is written.
"""

import os
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkstemp
from urllib.parse import quote

from bridge.errors import StoreError
from bridge.store.sqlite import create_private

_BUSY_SECONDS = 0.5
_KIND = re.compile(r"[^:]*:[^:]*:([^:]*):.*", re.DOTALL)
_COLUMNS = ["key", "value", "version", "written", "expires"]


@dataclass(frozen=True, slots=True)
class StoreContent:
    """What a file contains.

    Attributes:
        written: the time of its last change, in seconds since 1970; None if it is empty.
        counts: the number of entries by the kind of their keys (:mod:`bridge.store.keys`).
    """

    written: float | None
    counts: Counter[str]

    def __str__(self) -> str:
        parts = (
            ("timetables", self.counts["snapshot"]),
            ("classes", self.counts["session"]),
            ("revoked private feeds", self.counts["revoked"]),
        )
        text = ", ".join(f"{name}: {count}" for name, count in parts)
        if self.written is None:
            return f"{text} (empty)"
        written = datetime.fromtimestamp(self.written, UTC)
        return f"{text}; last changed {written:%Y-%m-%d %H:%M} UTC"


def write_backup(store: Path, file: Path, *, replace: bool) -> StoreContent:
    """Write a copy of *store* to *file*, which only its owner can read.

    Args:
        replace: whether *file* may exist.

    Raises:
        StoreError: there is no such store, or the file cannot be written. An existing file is
            unchanged.
    """
    if not store.exists():
        raise _refused(f"there is no store yet: {store} does not exist")
    if file.exists() and not replace:
        raise _refused(f"{file} exists: choose another name, or replace it with --force")
    if file.exists() and file.samefile(store):
        raise _refused(f"{file} is the store itself: choose another name")
    with _errors(f"{file} cannot be written"):
        descriptor, name = mkstemp(prefix=f".{file.name}.", dir=file.parent)
    os.close(descriptor)
    copy = Path(name)
    try:
        with _errors(f"{store} cannot be copied to {file}"):
            with closing(_open(store, "rw")) as source, closing(_open(copy, "rw")) as target:
                source.backup(target)
                # one file, without a write-ahead log
                target.execute("PRAGMA journal_mode = DELETE")
                content = _content(target, store)
            copy.replace(file)
    finally:
        copy.unlink(missing_ok=True)
    return content


def restore_backup(file: Path, store: Path) -> StoreContent:
    """Replace the content of *store* by that of *file*, in one transaction.

    Private feeds that the store knows as revoked stay revoked.

    Raises:
        StoreError: *file* is no backup of a store, or the store is in use or cannot be written. The
            store is unchanged.
    """
    if not file.is_file():
        raise _refused(f"{file} is not a file")
    if store.exists() and file.samefile(store):
        raise _refused(f"{file} is the store itself: choose a backup of it")
    with closing(sqlite3.connect(":memory:")) as copy:
        with _errors(f"{file} cannot be read"), closing(_open(file, "ro")) as source:
            source.backup(copy)
            _check(copy, file)
        with _errors(f"{store} cannot be written"):
            create_private(store)
        with (
            _errors(f"{store} cannot be replaced (if it is damaged, move it away)"),
            closing(_open(store, "rw")) as target,
        ):
            _refuse_if_in_use(target, store)
            if _columns(target) == _COLUMNS:
                revoked = target.execute("SELECT * FROM entries WHERE key LIKE '%:revoked%:%'")
                copy.executemany("INSERT OR IGNORE INTO entries VALUES (?, ?, ?, ?, ?)", revoked)
                copy.commit()
            copy.backup(target)
            return _content(target, store)


def _refuse_if_in_use(connection: sqlite3.Connection, store: Path) -> None:
    """Raise StoreError if another process has opened *store*.

    Only the one connection of a database can leave its write-ahead log (sqlite.org/wal.html).
    """
    try:
        connection.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.OperationalError as err:
        if "locked" not in str(err):
            raise
        raise _refused(f"{store} is in use: stop the bridge, and restore it then") from err
    connection.execute("PRAGMA journal_mode = WAL")


def _check(connection: sqlite3.Connection, file: Path) -> None:
    if _columns(connection) != _COLUMNS:
        raise _refused(
            f"{file} is no backup of a store: it has no table of the bridge. Write backups with"
            " `flask --app app backup`; a copy of the store's file alone is not complete"
        )
    [(result,), *_] = connection.execute("PRAGMA integrity_check").fetchall()
    if result != "ok":
        raise _refused(f"{file} is damaged: {result.splitlines()[0][:100]}")


def _content(connection: sqlite3.Connection, file: Path) -> StoreContent:
    _check(connection, file)
    [(written,)] = connection.execute("SELECT max(written) FROM entries")
    keys = connection.execute("SELECT key FROM entries")
    return StoreContent(written, Counter(_KIND.sub(r"\1", key) for (key,) in keys))


def _columns(connection: sqlite3.Connection) -> list[str]:
    return [row[1] for row in connection.execute("PRAGMA table_info(entries)")]


def _open(path: Path, mode: str) -> sqlite3.Connection:
    name = f"file:{quote(str(path.absolute()))}?mode={mode}"
    return sqlite3.connect(name, timeout=_BUSY_SECONDS, isolation_level=None, uri=True)


@contextmanager
def _errors(problem: str) -> Iterator[None]:
    """Raise errors of SQLite and of the file system as StoreError."""
    try:
        yield
    except sqlite3.Error as err:
        raise _refused(f"{problem}: {err}") from err
    except OSError as err:
        raise _refused(f"{problem}: {err.strerror or err}") from err


def _refused(text: str) -> StoreError:
    return StoreError(text, readable=False)
