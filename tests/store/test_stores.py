"""The contract that all stores fulfil, and details of each backend."""

import os
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from clocks import ManualClock
from valkey import Valkey

from bridge.clock import SystemClock
from bridge.errors import StoreError
from bridge.store.fallback import FallbackStore
from bridge.store.interface import REQUEST_TIMEOUT, TIMEOUT, Store, Write
from bridge.store.memory import MemoryStore
from bridge.store.redis import RedisStore
from bridge.store.sqlite import Connection, SqliteStore

BACKENDS = ("memory", "sqlite", "valkey", "fallback")


@pytest.fixture(scope="module")
def server() -> Iterator[Valkey]:
    valkey = Valkey()
    yield valkey
    valkey.kill()


@pytest.fixture(params=BACKENDS)
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Store]]:
    """A function that opens the same store again, as another worker would."""
    clock = SystemClock()
    memory = MemoryStore(clock)
    stores: list[Store] = []

    def connect() -> Store:
        store: Store
        if request.param == "memory":
            store = memory
        elif request.param == "valkey":
            server: Valkey = request.getfixturevalue("server")
            store = RedisStore(server.url, clock)
        else:
            store = SqliteStore(tmp_path / "new" / "store.sqlite3", clock)
            if request.param == "fallback":
                store = FallbackStore(store, clock)
        stores.append(store)
        return store

    if request.param == "valkey":
        request.getfixturevalue("server").ask("FLUSHALL")
    yield connect
    for store in stores:
        store.close()


@pytest.fixture
def store(open_store: Callable[[], Store]) -> Store:
    return open_store()


def test_values_are_read_with_their_versions(store: Store) -> None:
    version = store.commit({"a": Write(b"\x00one\n\xff"), "b": Write(b"")})
    entries = store.read(["a", "b", "c"])
    assert {key: entry.value for key, entry in entries.items()} == {"a": b"\x00one\n\xff", "b": b""}
    assert store.versions(["a", "b", "c"]) == {"a": version, "b": version}


def test_reading_no_keys_returns_nothing(store: Store) -> None:
    assert store.read([]) == {}
    assert store.versions([]) == {}


def test_more_keys_than_fit_into_a_statement_can_be_read(store: Store) -> None:
    names = [f"key {number}" for number in range(2_500)]
    store.commit({name: Write(name.encode()) for name in names})
    assert len(store.read(names)) == len(names)


def test_every_write_has_a_new_version(store: Store) -> None:
    versions = {store.commit({"a": Write(b"same")}) for _ in range(5)}
    assert len(versions) == 5


def test_another_worker_reads_the_written_value(open_store: Callable[[], Store]) -> None:
    first, second = open_store(), open_store()
    version = first.commit({"a": Write(b"1")})
    assert second.read(["a"])["a"].version == version


def test_a_commit_is_applied_only_if_all_expectations_hold(store: Store) -> None:
    version = store.commit({"a": Write(b"1"), "b": Write(b"1")})
    assert store.commit({"c": Write(b"2")}, expect={"a": version, "b": None}) is None
    assert store.commit({"c": Write(b"2")}, expect={"a": "another"}) is None
    assert store.read(["c"]) == {}
    assert store.commit({"a": Write(b"2")}, expect={"a": version, "x": None}) is not None
    assert store.read(["a"])["a"].value == b"2"


def test_a_deleted_key_does_not_exist(store: Store) -> None:
    store.commit({"a": Write(b"1")})
    store.commit({"a": Write(None)})
    assert store.read(["a"]) == {}
    assert store.commit({"a": Write(b"2")}, expect={"a": None}) is not None


def test_names_are_listed_by_a_literal_case_sensitive_prefix(store: Store) -> None:
    store.commit({name: Write(b"") for name in ("a*b:1", "a*b:2", "axb:3", "A*B:4", "a*b")})
    assert sorted(store.names("a*b:")) == ["a*b:1", "a*b:2"]


def test_of_simultaneous_commits_with_the_same_expectation_one_succeeds(
    open_store: Callable[[], Store],
) -> None:
    stores = [open_store() for _ in range(4)]
    versions: list[str] = []
    barrier = threading.Barrier(16)

    def race(store: Store) -> None:
        barrier.wait()
        version = store.commit({"lease": Write(b"mine", 15)}, expect={"lease": None})
        if version is not None:
            versions.append(version)

    threads = [threading.Thread(target=race, args=(stores[n % 4],)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(versions) == 1


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
class TestExpiry:
    @pytest.fixture
    def expiring_store(self, kind: str, tmp_path: Path, clock: ManualClock) -> Store:
        if kind == "memory":
            return MemoryStore(clock)
        return SqliteStore(tmp_path / "store.sqlite3", clock)

    def test_a_key_expires(self, expiring_store: Store, clock: ManualClock) -> None:
        expiring_store.commit({"a": Write(b"1", 10), "b": Write(b"1")})
        clock.move(9.9)
        assert set(expiring_store.versions(["a", "b"])) == {"a", "b"}
        clock.move(0.2)
        assert set(expiring_store.versions(["a", "b"])) == {"b"}
        assert expiring_store.names("") == ["b"]
        assert expiring_store.commit({"a": Write(b"2")}, expect={"a": None}) is not None

    def test_a_lease_does_not_outlive_a_clock_that_is_set_back(
        self, expiring_store: Store, clock: ManualClock
    ) -> None:
        expiring_store.commit({"lease": Write(b"1", 15), "kept": Write(b"1")})
        clock.set_wall(-3600)
        assert set(expiring_store.versions(["lease", "kept"])) == {"kept"}


def test_a_key_in_valkey_expires(server: Valkey) -> None:
    store = RedisStore(server.url, SystemClock())
    store.commit({"short": Write(b"1", 0.05), "long": Write(b"1", 60)})
    deadline = threading.Event()
    for _ in range(100):
        if not store.versions(["short"]):
            break
        deadline.wait(0.01)
    assert set(store.versions(["short", "long"])) == {"long"}
    store.close()


def test_all_machines_use_the_clock_of_valkey(server: Valkey, clock: ManualClock) -> None:
    """A machine whose clock is wrong by years uses the same time as the others."""
    wrong, right = RedisStore(server.url, clock), RedisStore(server.url, SystemClock())
    for store in (wrong, right):
        store.versions(["anything"])
    assert abs(wrong.now() - right.now()) < 5
    for seconds in (86400, -3600):
        clock.set_wall(seconds)
        wrong.versions(["anything"])
        assert abs(wrong.now() - right.now()) < 5, "at once, also after the clock was set"
    wrong.close()
    right.close()


def test_only_the_owner_can_access_files_of_sqlite(tmp_path: Path) -> None:
    path = tmp_path / "new" / "store.sqlite3"
    store = SqliteStore(path, SystemClock())
    store.commit({"a": Write(b"1")})
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    for name in os.listdir(path.parent):
        assert stat.S_IMODE((path.parent / name).stat().st_mode) == 0o600
    store.close()


def test_the_mode_of_an_existing_folder_is_unchanged(tmp_path: Path) -> None:
    folder = tmp_path / "existing"
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    store = SqliteStore(folder / "store.sqlite3", SystemClock())
    store.commit({"a": Write(b"1")})
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    store.close()


def test_values_in_sqlite_survive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    first = SqliteStore(path, SystemClock())
    version = first.commit({"a": Write(b"1")})
    first.close()
    second = SqliteStore(path, SystemClock())
    assert second.versions(["a"]) == {"a": version}
    second.close()


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[tuple[SqliteStore, sqlite3.Connection]]:
    """A store with the key "a", and a program that does not let it write."""
    path = tmp_path / "store.sqlite3"
    store = SqliteStore(path, SystemClock())
    store.commit({"a": Write(b"1")})
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield store, other
    store.close()


def seconds_of_commits(store: SqliteStore, number: int) -> float:
    """How long so many commits take that requests make at the same time, and that all fail."""
    errors: list[StoreError] = []

    def commit() -> None:
        TIMEOUT.set(REQUEST_TIMEOUT)
        try:
            store.commit({"a": Write(b"2")})
        except StoreError as err:
            errors.append(err)

    threads = [threading.Thread(target=commit) for _ in range(number)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(errors) == number
    assert all(err.readable for err in errors)
    return time.monotonic() - began


def test_threads_do_not_wait_for_a_locked_file_one_after_the_other(
    locked: tuple[SqliteStore, sqlite3.Connection],
) -> None:
    store, _ = locked
    assert seconds_of_commits(store, 16) < 5 * seconds_of_commits(store, 1)


def test_a_request_waits_for_other_threads_longer_than_for_a_locked_file(
    locked: tuple[SqliteStore, sqlite3.Connection],
) -> None:
    store, other = locked
    versions: list[str | None] = []

    def commit(timeout: float) -> None:
        TIMEOUT.set(timeout)
        versions.append(store.commit({"a": Write(b"2")}))

    first, second = (
        threading.Thread(target=commit, args=[timeout]) for timeout in (60, REQUEST_TIMEOUT)
    )
    first.start()
    first.join(0.2)
    second.start()
    second.join(1.5 * REQUEST_TIMEOUT)
    other.execute("ROLLBACK")
    first.join()
    second.join()
    assert len(versions) == 2
    assert None not in versions


@pytest.mark.parametrize("exists", [True, False])
def test_opening_a_file_that_cannot_even_be_read_takes_a_second(
    tmp_path: Path, exists: bool
) -> None:
    path = tmp_path / "store.sqlite3"
    if exists:
        earlier = SqliteStore(path, SystemClock())
        earlier.commit({"a": Write(b"1")})
        earlier.close()
    store = SqliteStore(path, SystemClock())
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = DELETE")
        other.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        with pytest.raises(StoreError, match="locked"):
            store.read(["a"])
        assert time.monotonic() - began < 3
    store.read(["a"])
    store.close()


def test_reads_do_not_wait_for_a_write_that_waits_for_a_locked_file(
    locked: tuple[SqliteStore, sqlite3.Connection],
) -> None:
    store, other = locked
    versions: list[str | None] = []

    def commit() -> None:
        TIMEOUT.set(60)
        versions.append(store.commit({"a": Write(b"2")}))

    thread = threading.Thread(target=commit)
    thread.start()
    for _ in range(4):
        assert store.read(["a"])["a"].value == b"1"
        thread.join(0.05)
    assert thread.is_alive()
    other.execute("ROLLBACK")
    thread.join()
    assert store.versions(["a"]) == {"a": versions[0]}


class ConnectionInFolder(Connection):
    """A connection to a file in a folder that may be read-only."""

    read_only = True

    def _open(self, name: str) -> sqlite3.Connection:
        if self.read_only and not name.startswith("file:"):
            raise sqlite3.OperationalError("unable to open database file")
        return super()._open(name)


def test_changes_are_read_once_a_folder_is_not_read_only_any_more(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    other = SqliteStore(path, SystemClock())
    other.commit({"a": Write(b"1")})
    other.close()
    store = SqliteStore(path, SystemClock())
    store._reader = folder = ConnectionInFolder(path)
    assert store.read(["a"])["a"].value == b"1"
    other.commit({"a": Write(b"2")})
    folder.read_only = False
    assert store.read(["a"])["a"].value == b"2"
    other.close()
    store.close()
