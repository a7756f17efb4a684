"""What every store does, whatever stands behind it."""

import os
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from clocks import ManualClock
from valkey import Valkey

from bridge.clock import SystemClock
from bridge.store.fallback import FallbackStore
from bridge.store.interface import Store, Write
from bridge.store.memory import MemoryStore
from bridge.store.redis import RedisStore
from bridge.store.sqlite import SqliteStore

KINDS = ("memory", "sqlite", "valkey", "resilient")


@pytest.fixture(scope="module")
def server() -> Iterator[Valkey]:
    valkey = Valkey()
    yield valkey
    valkey.kill()


@pytest.fixture(params=KINDS)
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Store]]:
    """Opens the same store again and again, as other workers would."""
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
            store = SqliteStore(tmp_path / "made" / "store.sqlite3", clock)
            if request.param == "resilient":
                store = FallbackStore(store, clock)
        stores.append(store)
        return store

    if request.param == "valkey":
        request.getfixturevalue("server").ask("FLUSHALL")
    yield connect
    for store in stores:
        store.close()


@pytest.fixture
def store(opened: Callable[[], Store]) -> Store:
    return opened()


def test_what_was_written_is_read_with_its_version(store: Store) -> None:
    version = store.commit({"a": Write(b"\x00one\n\xff"), "b": Write(b"")})
    found = store.read(["a", "b", "c"])
    assert {key: entry.value for key, entry in found.items()} == {"a": b"\x00one\n\xff", "b": b""}
    assert store.versions(["a", "b", "c"]) == {"a": version, "b": version}


def test_asking_for_nothing_finds_nothing(store: Store) -> None:
    assert store.read([]) == {}
    assert store.versions([]) == {}


def test_more_keys_than_a_statement_takes_are_read_at_once(store: Store) -> None:
    names = [f"key {number}" for number in range(2_500)]
    store.commit({name: Write(name.encode()) for name in names})
    assert len(store.read(names)) == len(names)


def test_every_write_gets_another_version(store: Store) -> None:
    versions = {store.commit({"a": Write(b"same")}) for _ in range(5)}
    assert len(versions) == 5


def test_another_worker_sees_what_was_written(opened: Callable[[], Store]) -> None:
    first, second = opened(), opened()
    version = first.commit({"a": Write(b"1")})
    assert second.read(["a"])["a"].version == version


def test_a_commit_is_made_only_if_every_expectation_holds(store: Store) -> None:
    version = store.commit({"a": Write(b"1"), "b": Write(b"1")})
    assert store.commit({"c": Write(b"2")}, expect={"a": version, "b": None}) is None
    assert store.commit({"c": Write(b"2")}, expect={"a": "another"}) is None
    assert store.read(["c"]) == {}
    assert store.commit({"a": Write(b"2")}, expect={"a": version, "x": None}) is not None
    assert store.read(["a"])["a"].value == b"2"


def test_a_deleted_key_is_gone_and_may_be_expected_to_be(store: Store) -> None:
    store.commit({"a": Write(b"1")})
    store.commit({"a": Write(None)})
    assert store.read(["a"]) == {}
    assert store.commit({"a": Write(b"2")}, expect={"a": None}) is not None


def test_names_are_listed_by_their_beginning_to_the_letter(store: Store) -> None:
    store.commit({name: Write(b"") for name in ("a*b:1", "a*b:2", "axb:3", "A*B:4", "a*b")})
    assert sorted(store.names("a*b:")) == ["a*b:1", "a*b:2"]


def test_of_a_herd_that_expects_the_same_one_alone_succeeds(opened: Callable[[], Store]) -> None:
    stores = [opened() for _ in range(4)]
    won: list[str] = []
    barrier = threading.Barrier(16)

    def race(store: Store) -> None:
        barrier.wait()
        version = store.commit({"lease": Write(b"mine", 15)}, expect={"lease": None})
        if version is not None:
            won.append(version)

    threads = [threading.Thread(target=race, args=(stores[n % 4],)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
class TestExpiry:
    @pytest.fixture
    def aging(self, kind: str, tmp_path: Path, clock: ManualClock) -> Store:
        if kind == "memory":
            return MemoryStore(clock)
        return SqliteStore(tmp_path / "store.sqlite3", clock)

    def test_a_key_is_gone_when_its_time_is_up(self, aging: Store, clock: ManualClock) -> None:
        aging.commit({"a": Write(b"1", 10), "b": Write(b"1")})
        clock.move(9.9)
        assert set(aging.versions(["a", "b"])) == {"a", "b"}
        clock.move(0.2)
        assert set(aging.versions(["a", "b"])) == {"b"}
        assert aging.names("") == ["b"]
        assert aging.commit({"a": Write(b"2")}, expect={"a": None}) is not None

    def test_a_clock_that_is_set_back_keeps_nothing_longer(
        self, aging: Store, clock: ManualClock
    ) -> None:
        aging.commit({"lease": Write(b"1", 15), "kept": Write(b"1")})
        clock.set_wall(-3600)
        assert set(aging.versions(["lease", "kept"])) == {"kept"}


def test_a_key_in_valkey_is_gone_when_its_time_is_up(server: Valkey) -> None:
    store = RedisStore(server.url, SystemClock())
    store.commit({"short": Write(b"1", 0.05), "long": Write(b"1", 60)})
    deadline = threading.Event()
    for _ in range(100):
        if not store.versions(["short"]):
            break
        deadline.wait(0.01)
    assert set(store.versions(["short", "long"])) == {"long"}
    store.close()


def test_the_fleet_goes_by_the_clock_of_its_valkey(server: Valkey, clock: ManualClock) -> None:
    """A machine whose clock is years off still agrees with the others."""
    off, right = RedisStore(server.url, clock), RedisStore(server.url, SystemClock())
    for store in (off, right):
        store.versions(["anything"])
    assert abs(off.now() - right.now()) < 5
    off.close()
    right.close()


def test_what_sqlite_makes_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "made" / "store.sqlite3"
    store = SqliteStore(path, SystemClock())
    store.commit({"a": Write(b"1")})
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    for name in os.listdir(path.parent):
        assert stat.S_IMODE((path.parent / name).stat().st_mode) == 0o600
    store.close()


def test_a_folder_that_was_there_is_left_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "there"
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    store = SqliteStore(folder / "store.sqlite3", SystemClock())
    store.commit({"a": Write(b"1")})
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    store.close()


def test_sqlite_keeps_what_was_written_over_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    first = SqliteStore(path, SystemClock())
    version = first.commit({"a": Write(b"1")})
    first.close()
    second = SqliteStore(path, SystemClock())
    assert second.versions(["a"]) == {"a": version}
    second.close()
