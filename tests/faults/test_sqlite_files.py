"""The SQLite file is corrupt, full, locked, read-only or deleted: reads continue, it recovers."""

import ctypes
import os
import random
import resource
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from clocks import wait_until
from faults.fleet import (
    NOW,
    TOKEN,
    Machine,
    RunningClock,
    Worker,
    rename_sessions,
    run_concurrently,
    stub_upstream,
)
from upstreams.stub import StubUpstream

from bridge.clock import Clock
from bridge.errors import StoreError
from bridge.services import Services
from bridge.store.fallback import COOL_DOWN_SECONDS, FallbackStore
from bridge.store.interface import REQUEST_TIMEOUT, Write
from bridge.store.sqlite import Connection, SqliteStore

FEEDS = ("/sessions.ics", "/venues/12.json", "/instructors/104.txt")
COOLED_DOWN = COOL_DOWN_SECONDS + 1
EXPIRED = 400.0
_DAC_OVERRIDE, _DAC_READ_SEARCH = 1, 2
_DROP = 24

linux = pytest.mark.skipif(
    sys.platform != "linux", reason="the fault is injected with Linux system calls"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "var" / "store.sqlite3"


@pytest.fixture
def teamup() -> Iterator[StubUpstream]:
    with stub_upstream(30, at=NOW) as server:
        yield server


@pytest.fixture
def make_worker(
    make_bridge: Callable[..., Services],
    teamup: StubUpstream,
    running_clock: RunningClock,
    path: Path,
) -> Callable[..., Worker]:
    def make(store: SqliteStore | None = None) -> Worker:
        fallback = FallbackStore(store or SqliteStore(path, running_clock), running_clock)
        return Worker(
            make_bridge(store=fallback, at=running_clock, base_url=teamup.url, token=TOKEN)
        )

    return make


def _assert_refreshes(
    worker: Worker, teamup: StubUpstream, running_clock: RunningClock, name: str
) -> None:
    """A change upstream is in the feeds after the copy has expired."""
    rename_sessions(teamup, name)
    running_clock.move(EXPIRED)
    wait_until(lambda: name.encode() in worker.get(FEEDS[0]).data)
    worker.fetch_ok(FEEDS)


def _assert_store_is_shared(workers: list[Worker], make_worker: Callable[..., Worker]) -> None:
    """All workers use the same file: of several that request the same lease, one gets it."""
    assert not any(worker.failing for worker in workers)
    stores = [worker.parts.store for worker in [*workers, make_worker()]]
    won = [store.commit({"lease": Write(b"", 15)}, expect={"lease": None}) for store in stores]
    assert sum(version is not None for version in won) == 1
    new_worker = make_worker()
    assert new_worker.fetch_all(FEEDS) == workers[0].fetch_all(FEEDS)


def _assert_intact(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def _garbage(size: int) -> bytes:
    return random.Random(1).randbytes(size)


def _corrupt(path: Path, spare: int) -> None:
    """Overwrite all but the first *spare* bytes in place, like a failing disk."""
    with closing(sqlite3.connect(path)) as connection:
        # Empty the write-ahead log, from which data would still be read.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(spare)
        file.write(_garbage(size - spare))


@pytest.mark.parametrize(
    "spare", [0, 100, 4096], ids=["everything", "all but the header", "data pages"]
)
def test_a_corrupt_file_found_at_start_is_moved_away_and_recreated(
    spare: int,
    make_worker: Callable[..., Worker],
    path: Path,
    running_clock: RunningClock,
    teamup: StubUpstream,
) -> None:
    before = make_worker()
    before.fetch_all(FEEDS)
    before.parts.close()
    _corrupt(path, spare)
    damaged = path.read_bytes()
    worker = make_worker()
    worker.fetch_ok(FEEDS)
    running_clock.move(COOLED_DOWN)
    _assert_refreshes(worker, teamup, running_clock, "Made anew")
    wait_until(lambda: not worker.failing)
    moved = list(path.parent.glob("*.corrupt-*"))
    assert [file.read_bytes() for file in moved] == [damaged]
    _assert_intact(path)
    _assert_store_is_shared([worker], make_worker)


@pytest.mark.parametrize(
    "content", [b"no database at all, but a text\n" * 200, b"SQLite format 3\0"]
)
def test_a_file_that_is_not_a_store_is_moved_away(
    content: bytes, make_worker: Callable[..., Worker], path: Path, running_clock: RunningClock
) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    worker = make_worker()
    worker.fetch_ok(FEEDS)
    running_clock.move(EXPIRED)
    wait_until(lambda: worker.get(FEEDS[0]) and not worker.failing)
    _assert_intact(path)
    _assert_store_is_shared([worker], make_worker)


@pytest.mark.parametrize("spare", [0, 4096], ids=["everything", "data pages"])
def test_a_file_corrupted_while_open_is_moved_away_once(
    spare: int,
    make_worker: Callable[..., Worker],
    path: Path,
    running_clock: RunningClock,
    teamup: StubUpstream,
) -> None:
    workers = [make_worker(), make_worker()]
    before = workers[0].fetch_all(FEEDS)
    assert workers[1].fetch_all(FEEDS) == before
    _corrupt(path, spare)
    running_clock.move(EXPIRED)
    # No refresh ends while the feeds are compared.
    teamup.faults.set("delay", 0.5)
    for worker in workers:
        assert worker.fetch_all(FEEDS) == before
    teamup.faults.clear()
    for worker in workers:
        running_clock.move(COOLED_DOWN)
        _assert_refreshes(worker, teamup, running_clock, f"Anew {workers.index(worker)}")
    # Each worker notices at its next access.
    for _ in range(3):
        running_clock.move(EXPIRED)
        for worker in workers:
            wait_until(lambda worker=worker: b"stale" not in _state(worker))
    wait_until(lambda: not any(worker.failing for worker in workers))
    assert len(list(path.parent.glob("*.corrupt-*"))) == 1
    _assert_intact(path)
    _assert_store_is_shared(workers, make_worker)


def _state(worker: Worker) -> bytes:
    return worker.get(FEEDS[0]).headers["Cache-Status"].encode()


def test_a_file_deleted_while_open_is_recreated_for_all_workers(
    make_worker: Callable[..., Worker],
    path: Path,
    running_clock: RunningClock,
    teamup: StubUpstream,
) -> None:
    workers = [make_worker(), make_worker()]
    for worker in workers:
        worker.fetch_all(FEEDS)
    for file in list(path.parent.iterdir()):
        file.unlink()
    for _ in range(2):
        running_clock.move(EXPIRED)
        for worker in workers:
            wait_until(lambda worker=worker: b"stale" not in _state(worker))
    running_clock.move(COOLED_DOWN)
    _assert_refreshes(workers[0], teamup, running_clock, "Made anew")
    wait_until(lambda: b"Made anew" in workers[1].get(FEEDS[0]).data)
    _assert_store_is_shared(workers, make_worker)


def test_a_file_locked_by_another_program_can_still_be_read(
    make_worker: Callable[..., Worker],
    path: Path,
    running_clock: RunningClock,
    teamup: StubUpstream,
) -> None:
    worker = make_worker()
    before = worker.fetch_all(FEEDS)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        new_worker = make_worker()
        assert new_worker.fetch_all(FEEDS) == before
        running_clock.move(EXPIRED)
        answers = [worker.timed(feed) for feed in FEEDS * 3]
        assert {status for status, _ in answers} == {200}
        # At most one request waits for the lock in each cool-down.
        assert len([took for _, took in answers if took > REQUEST_TIMEOUT]) <= 1
        _assert_refreshes(worker, teamup, running_clock, "While it was locked")
        other.execute("ROLLBACK")
    running_clock.move(COOLED_DOWN)
    _assert_refreshes(worker, teamup, running_clock, "Unlocked")
    wait_until(lambda: not worker.failing)
    _assert_store_is_shared([worker], make_worker)


class LimitedConnection(Connection):
    """A connection to a full or read-only disk, simulated with *pragma*."""

    pragma: str | None = None

    def run(self, operation: Callable[[sqlite3.Connection], Any]) -> Any:
        def limited(connection: sqlite3.Connection) -> Any:
            if self.pragma:
                connection.execute(self.pragma)
            return operation(connection)

        return super().run(limited)


class LimitedStore(SqliteStore):
    """A store that writes through a limited connection."""

    def __init__(self, path: Path, clock: Clock) -> None:
        super().__init__(path, clock)
        self._writer: LimitedConnection = LimitedConnection(path)

    def limit(self, pragma: str | None) -> None:
        self._writer.pragma = pragma

    def count_pages(self) -> int:
        (pages,) = self._writer.run(
            lambda connection: connection.execute("PRAGMA page_count").fetchone()
        )
        return int(pages)


def _fill(store: LimitedStore) -> None:
    store.limit(f"PRAGMA max_page_count = {store.count_pages()}")
    for size in (100_000, 3_000, 100):
        with pytest.raises(StoreError, match="full"):
            _write_until_full(store, size)


def _write_until_full(store: LimitedStore, size: int) -> None:
    for number in range(1_000):
        store.commit({f"filler {size} {number}": Write(_garbage(size))})


def _make_room(store: LimitedStore) -> None:
    store.limit(None)
    # The limit belongs to the connection.
    store.close()


def _make_read_only(store: LimitedStore) -> None:
    store.limit("PRAGMA query_only = ON")


@pytest.mark.parametrize("fault", [_fill, _make_read_only], ids=["full", "read-only"])
def test_a_full_or_read_only_disk_is_read_and_later_written_again(
    fault: Callable[[LimitedStore], None],
    make_worker: Callable[..., Worker],
    path: Path,
    running_clock: RunningClock,
    teamup: StubUpstream,
) -> None:
    store = LimitedStore(path, running_clock)
    worker = make_worker(store)
    before = worker.fetch_all(FEEDS)
    fault(store)
    assert worker.fetch_all(FEEDS) == before
    assert make_worker(store).fetch_all(FEEDS) == before, "the file can be read"
    generator = random.Random(1)
    # Random names, which do not compress, so that the new entry needs more space.
    teamup.rows = [
        {**row, "name": f"Held in memory {generator.randbytes(60).hex()}"} for row in teamup.rows
    ]
    running_clock.move(EXPIRED)
    wait_until(lambda: b"Held in memory" in worker.get(FEEDS[0]).data)
    wait_until(lambda: worker.failing)
    worker.fetch_ok(FEEDS)
    _make_room(store)
    running_clock.move(COOLED_DOWN)
    _assert_refreshes(worker, teamup, running_clock, "With room again")
    wait_until(lambda: not worker.failing)
    _assert_store_is_shared([worker], make_worker)


def test_a_worker_that_cannot_create_the_file_uses_memory(
    make_worker: Callable[..., Worker],
    path: Path,
    running_clock: RunningClock,
    teamup: StubUpstream,
) -> None:
    path.mkdir(parents=True)
    worker = make_worker()
    worker.fetch_ok(FEEDS)
    _assert_refreshes(worker, teamup, running_clock, "From memory")
    path.rmdir()
    running_clock.move(COOLED_DOWN)
    _assert_refreshes(worker, teamup, running_clock, "From a file")
    wait_until(lambda: not worker.failing)
    _assert_store_is_shared([worker], make_worker)


@linux
def test_a_server_that_cannot_write_to_disk_continues(path: Path) -> None:
    with (
        stub_upstream(80) as teamup,
        Machine(teamup.url, f"sqlite:///{path}", workers=2, CACHE_TTL="1") as machine,
    ):
        feeds = ("/sessions.ics", "/venues/11.ics", "/venues/12.json")
        assert {machine.get(feed).status for feed in feeds * 2} == {200}
        for pid in machine.workers():
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        rename_sessions(teamup, "Past the end of the disk")
        wait_until(lambda: b"Past the end of the disk" in machine.get(feeds[0]).body)
        answers = run_concurrently([lambda feed=feed: machine.get(feed) for feed in feeds * 8])
        assert {answer.status for answer in answers} == {200}
        assert max(answer.seconds for answer in answers) < 2


def _drop_permission_override() -> None:
    """Make file permissions apply to root too, by dropping the capability to override them."""
    if os.geteuid() == 0:
        library = ctypes.CDLL(None, use_errno=True)
        for capability in (_DAC_OVERRIDE, _DAC_READ_SEARCH):
            library.prctl(_DROP, capability, 0, 0, 0)


@contextmanager
def _read_only(folder: Path, *, with_folder: bool) -> Iterator[None]:
    for file in folder.iterdir():
        file.chmod(0o400)
    if with_folder:
        folder.chmod(0o500)
    try:
        yield
    finally:
        folder.chmod(0o700)
        for file in folder.iterdir():
            file.chmod(0o600)


@linux
@pytest.mark.parametrize(
    ("end", "with_folder"),
    [
        pytest.param(signal.SIGTERM, False, id="file"),
        pytest.param(signal.SIGTERM, True, id="file and folder"),
        pytest.param(signal.SIGKILL, True, id="file and folder, with a write-ahead log"),
    ],
)
def test_a_server_started_with_a_read_only_file_serves_its_feeds(
    end: int, with_folder: bool, path: Path
) -> None:
    feeds = ("/sessions.ics", "/venues/11.ics", "/venues/12.json")
    with stub_upstream(80) as teamup:
        upstream_url = teamup.url
        with Machine(upstream_url, f"sqlite:///{path}") as machine:
            before = {feed: machine.get(feed).validators for feed in feeds}
            if end == signal.SIGTERM:
                machine.stop()
    with (
        _read_only(path.parent, with_folder=with_folder),
        Machine(upstream_url, f"sqlite:///{path}", before=_drop_permission_override) as machine,
    ):
        after = {feed: machine.get(feed) for feed in feeds}
        assert {answer.status for answer in after.values()} == {200}
        assert {feed: answer.validators for feed, answer in after.items()} == before
        # Writing did fail.
        wait_until(
            lambda: any("readonly" in line or "unable to open" in line for line in machine.log)
        )
