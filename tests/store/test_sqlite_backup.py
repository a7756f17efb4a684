"""Backup and restore of the SQLite store."""

import shutil
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bridge.clock import SystemClock
from bridge.errors import StoreError
from bridge.store.interface import Write
from bridge.store.keys import Keys
from bridge.store.sqlite import SqliteStore
from bridge.store.sqlite_backup import restore_backup, write_backup

KEYS = Keys("account")
SNAPSHOT, REVOKED, LATER = KEYS.snapshot("all"), KEYS.revoked("a"), KEYS.revoked("b")
BY_KEY = Keys.revoked_by_key("0123456789ab", "b")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "var" / "store.sqlite3"


@pytest.fixture
def open_store(path: Path) -> Iterator[Callable[[], SqliteStore]]:
    stores: list[SqliteStore] = []

    def connect() -> SqliteStore:
        stores.append(SqliteStore(path, SystemClock()))
        return stores[-1]

    yield connect
    for store in stores:
        store.close()


@pytest.fixture
def store(open_store: Callable[[], SqliteStore]) -> SqliteStore:
    """A store in use."""
    store = open_store()
    store.commit({SNAPSHOT: Write(b"first"), REVOKED: Write(b"revoked")})
    return store


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "backup.sqlite3"


def refusal(function: Callable[[], object]) -> str:
    with pytest.raises(StoreError) as caught:
        function()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_what_was_backed_up_is_restored(
    store: SqliteStore, open_store: Callable[[], SqliteStore], path: Path, file: Path
) -> None:
    versions = store.versions([SNAPSHOT, REVOKED])
    content = write_backup(path, file, replace=False)
    store.commit({SNAPSHOT: Write(b"second"), "new": Write(b"")})
    store.close()
    assert restore_backup(file, path) == content
    again = open_store()
    assert again.read([SNAPSHOT, "new"])[SNAPSHOT].value == b"first"
    assert again.versions([SNAPSHOT, REVOKED, "new"]) == versions
    assert str(content).startswith(
        "timetables: 1, classes: 0, revoked private feeds: 1; last changed"
    )


def test_a_backup_is_one_file_that_only_its_owner_can_read(
    store: SqliteStore, path: Path, file: Path
) -> None:
    write_backup(path, file, replace=False)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert {one.name for one in file.parent.iterdir()} == {"var", file.name}
    with closing(sqlite3.connect(f"file:{file}?mode=ro&immutable=1", uri=True)) as connection:
        assert connection.execute("SELECT count(*) FROM entries").fetchone() == (2,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_a_backup_made_while_others_write_contains_whole_transactions(
    open_store: Callable[[], SqliteStore], store: SqliteStore, path: Path, file: Path
) -> None:
    stop, written = threading.Event(), threading.Semaphore(0)

    def write() -> None:
        writer = open_store()
        number = 0
        while not stop.is_set():
            number += 1
            value = str(number).encode()
            writer.commit({"one": Write(value), "two": Write(value), f"{number}": Write(value)})
            written.release()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(5):
            for _ in range(20):
                assert written.acquire(timeout=30)
            write_backup(path, file, replace=True)
            with closing(sqlite3.connect(file)) as connection:
                values = dict(connection.execute("SELECT key, value FROM entries"))
            assert values["one"] == values["two"]
            numbers = {int(key) for key in values if key.isdigit()}
            assert numbers == set(range(1, int(values["one"]) + 1))
    finally:
        stop.set()
        thread.join()


def test_a_restored_store_works_for_several_processes_as_before(
    store: SqliteStore, open_store: Callable[[], SqliteStore], path: Path, file: Path
) -> None:
    write_backup(path, file, replace=False)
    store.close()
    shutil.rmtree(path.parent)
    restore_backup(file, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with closing(sqlite3.connect(path)) as connection:
        # so that readers do not wait for writers
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    first, second = open_store(), open_store()
    first.commit({"a": Write(b"1")})
    assert second.read(["a"])["a"].value == b"1"


def test_a_store_in_use_is_not_restored(store: SqliteStore, path: Path, file: Path) -> None:
    write_backup(path, file, replace=False)
    store.commit({SNAPSHOT: Write(b"second")})
    assert "is in use: stop the bridge" in refusal(lambda: restore_backup(file, path))
    assert store.read([SNAPSHOT])[SNAPSHOT].value == b"second"
    store.commit({SNAPSHOT: Write(b"third")})


def test_feeds_that_were_revoked_after_the_backup_stay_revoked(
    store: SqliteStore, open_store: Callable[[], SqliteStore], path: Path, file: Path
) -> None:
    write_backup(path, file, replace=False)
    store.commit({key: Write(b"revoked") for key in (LATER, BY_KEY)} | {SNAPSHOT: Write(b"second")})
    store.close()
    assert restore_backup(file, path).counts["revoked"] == 2
    kept = [REVOKED, LATER, BY_KEY]
    assert open_store().versions(kept).keys() == {*kept}


def test_an_existing_file_is_replaced_only_if_that_is_wanted(
    store: SqliteStore, path: Path, file: Path
) -> None:
    file.write_text("precious")
    assert "--force" in refusal(lambda: write_backup(path, file, replace=False))
    assert file.read_text() == "precious"
    write_backup(path, file, replace=True)
    assert file.read_bytes().startswith(b"SQLite format 3")
    assert leftovers(file.parent) == []


def test_the_store_itself_is_neither_target_nor_source(store: SqliteStore, path: Path) -> None:
    link = path.with_name("link")
    link.symlink_to(path)
    assert "the store itself" in refusal(lambda: write_backup(path, link, replace=True))
    assert "the store itself" in refusal(lambda: restore_backup(link, path))
    assert store.read([SNAPSHOT])


def test_without_a_store_there_is_nothing_to_back_up(path: Path, file: Path) -> None:
    assert "there is no store yet" in refusal(lambda: write_backup(path, file, replace=False))
    assert not path.exists()
    assert not file.exists()


def test_a_backup_that_cannot_be_written_leaves_nothing(store: SqliteStore, path: Path) -> None:
    missing = path.parent / "missing" / "backup"
    text = refusal(lambda: write_backup(path, missing, replace=False))
    assert text == f"{missing} cannot be written: No such file or directory"
    folder = path.parent / "folder"
    folder.mkdir()
    refusal(lambda: write_backup(path, folder, replace=True))
    assert leftovers(path.parent) == []


def _text(file: Path, store: Path) -> None:
    file.write_text("no database at all, but long enough to be taken for the head of one\n" * 20)


def _empty(file: Path, store: Path) -> None:
    file.touch()


def _another(file: Path, store: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE entries (key, value)")


def _plain_copy(file: Path, store: Path) -> None:
    shutil.copy(store, file)


def _damaged(file: Path, store: Path) -> None:
    write_backup(store, file, replace=False)
    content = bytearray(file.read_bytes())
    # the first byte of each page but the first: its kind
    for page in range(4096, len(content), 4096):
        content[page] = 0xFF
    file.write_bytes(content)


def _truncated(file: Path, store: Path) -> None:
    write_backup(store, file, replace=False)
    file.write_bytes(file.read_bytes()[:5_000])


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (_text, "file is not a database"),
        (_empty, "no table of the bridge"),
        (_another, "no table of the bridge"),
        (_plain_copy, "no table of the bridge"),
        (_damaged, ""),
        (_truncated, ""),
    ],
)
def test_a_file_that_is_no_backup_is_refused_and_the_store_unchanged(
    store: SqliteStore,
    path: Path,
    file: Path,
    make: Callable[[Path, Path], None],
    problem: str,
) -> None:
    make(file, path)
    store.close()
    text = refusal(lambda: restore_backup(file, path))
    assert str(file) in text
    assert problem in text
    # it connects again
    assert store.read([SNAPSHOT])[SNAPSHOT].value == b"first"


def test_a_missing_file_or_a_folder_is_no_backup(path: Path, tmp_path: Path) -> None:
    for file in (tmp_path / "missing", tmp_path):
        assert refusal(lambda file=file: restore_backup(file, path)) == f"{file} is not a file"
    assert not path.exists()


def test_a_damaged_store_is_named_with_what_to_do(
    store: SqliteStore, path: Path, file: Path
) -> None:
    write_backup(path, file, replace=False)
    store.close()
    path.write_text("no database at all\n" * 1000)
    assert "move it away" in refusal(lambda: restore_backup(file, path))
    path.rename(path.with_suffix(".away"))
    restore_backup(file, path)
