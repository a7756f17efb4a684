"""The store's file is damaged, full, locked, read-only or gone: reads go on, and it is mended."""

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
from fleet import NOW, TOKEN, Machine, RunningClock, Worker, herd, rename, studio, until
from upstreams.stub import StubUpstream

from bridge.errors import StoreError
from bridge.services import Services
from bridge.store.fallback import COOL_DOWN_SECONDS, FallbackStore
from bridge.store.interface import Write
from bridge.store.sqlite import SqliteStore

FEEDS = ("/sessions.ics", "/venues/12.json", "/instructors/104.txt")
COOLED_DOWN = COOL_DOWN_SECONDS + 1
EXPIRED = 400.0
_DAC_OVERRIDE, _DAC_READ_SEARCH = 1, 2
_DROP = 24

linux = pytest.mark.skipif(sys.platform != "linux", reason="the fault is injected in Linux's way")


@pytest.fixture
def running() -> RunningClock:
    return RunningClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "var" / "store.sqlite3"


@pytest.fixture
def vendor() -> Iterator[StubUpstream]:
    with studio(30, at=NOW) as server:
        yield server


@pytest.fixture
def make_worker(
    make_bridge: Callable[..., Services], vendor: StubUpstream, running: RunningClock, path: Path
) -> Callable[..., Worker]:
    def make(store: SqliteStore | None = None) -> Worker:
        resilient = FallbackStore(store or SqliteStore(path, running), running)
        return Worker(make_bridge(store=resilient, at=running, base_url=vendor.url, token=TOKEN))

    return make


def _goes_on(worker: Worker, vendor: StubUpstream, running: RunningClock, name: str) -> None:
    """What changes upstream is in the feeds as soon as the copy has expired."""
    rename(vendor, name)
    running.move(EXPIRED)
    until(lambda: name.encode() in worker.get(FEEDS[0]).data)
    worker.served(FEEDS)


def _is_shared_again(workers: list[Worker], make_worker: Callable[..., Worker]) -> None:
    """All work on one file: of those who want the same lease, one gets it."""
    assert not any(worker.failing for worker in workers)
    stores = [worker.parts.store for worker in [*workers, make_worker()]]
    won = [store.commit({"lease": Write(b"", 15)}, expect={"lease": None}) for store in stores]
    assert sum(version is not None for version in won) == 1
    newcomer = make_worker()
    assert newcomer.all(FEEDS) == workers[0].all(FEEDS)


def _intact(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def _garbage(size: int) -> bytes:
    return random.Random(1).randbytes(size)


def _scribble(path: Path, spare: int) -> None:
    """Overwrite all but the first *spare* bytes, in place, as a dying disk might."""
    with closing(sqlite3.connect(path)) as connection:
        # what is in the log would be read from there
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(spare)
        file.write(_garbage(size - spare))


@pytest.mark.parametrize("spare", [0, 100, 4096], ids=["all of it", "but its header", "its data"])
def test_a_file_that_was_corrupted_while_nobody_had_it_open_is_set_aside_and_made_anew(
    spare: int,
    make_worker: Callable[..., Worker],
    path: Path,
    running: RunningClock,
    vendor: StubUpstream,
) -> None:
    before = make_worker()
    before.all(FEEDS)
    before.parts.close()
    _scribble(path, spare)
    damaged = path.read_bytes()
    worker = make_worker()
    worker.served(FEEDS)
    running.move(COOLED_DOWN)
    _goes_on(worker, vendor, running, "Made anew")
    until(lambda: not worker.failing)
    aside = list(path.parent.glob("*.corrupt-*"))
    assert [one.read_bytes() for one in aside] == [damaged]
    _intact(path)
    _is_shared_again([worker], make_worker)


@pytest.mark.parametrize(
    "content", [b"no database at all, but a text\n" * 200, b"SQLite format 3\0"]
)
def test_a_file_that_never_was_a_store_is_set_aside(
    content: bytes, make_worker: Callable[..., Worker], path: Path, running: RunningClock
) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    worker = make_worker()
    worker.served(FEEDS)
    running.move(EXPIRED)
    until(lambda: worker.get(FEEDS[0]) and not worker.failing)
    _intact(path)
    _is_shared_again([worker], make_worker)


@pytest.mark.parametrize("spare", [0, 4096], ids=["all of it", "its data"])
def test_a_file_that_is_corrupted_while_workers_have_it_open_is_set_aside_once(
    spare: int,
    make_worker: Callable[..., Worker],
    path: Path,
    running: RunningClock,
    vendor: StubUpstream,
) -> None:
    workers = [make_worker(), make_worker()]
    before = workers[0].all(FEEDS)
    assert workers[1].all(FEEDS) == before
    _scribble(path, spare)
    running.move(EXPIRED)
    for worker in workers:
        assert worker.all(FEEDS) == before
    for worker in workers:
        running.move(COOLED_DOWN)
        _goes_on(worker, vendor, running, f"Anew {workers.index(worker)}")
    # one after the other finds out, each at its own next look
    for _ in range(3):
        running.move(EXPIRED)
        for worker in workers:
            until(lambda worker=worker: b"stale" not in _state(worker))
    until(lambda: not any(worker.failing for worker in workers))
    assert len(list(path.parent.glob("*.corrupt-*"))) == 1
    _intact(path)
    _is_shared_again(workers, make_worker)


def _state(worker: Worker) -> bytes:
    return worker.get(FEEDS[0]).headers["Cache-Status"].encode()


def test_a_file_that_is_removed_under_the_workers_hands_is_made_anew_for_all(
    make_worker: Callable[..., Worker], path: Path, running: RunningClock, vendor: StubUpstream
) -> None:
    workers = [make_worker(), make_worker()]
    for worker in workers:
        worker.all(FEEDS)
    for file in list(path.parent.iterdir()):
        file.unlink()
    for _ in range(2):
        running.move(EXPIRED)
        for worker in workers:
            until(lambda worker=worker: b"stale" not in _state(worker))
    running.move(COOLED_DOWN)
    _goes_on(workers[0], vendor, running, "Made anew")
    until(lambda: b"Made anew" in workers[1].get(FEEDS[0]).data)
    _is_shared_again(workers, make_worker)


def test_a_file_that_another_program_has_locked_can_still_be_read(
    make_worker: Callable[..., Worker], path: Path, running: RunningClock, vendor: StubUpstream
) -> None:
    worker = make_worker()
    before = worker.all(FEEDS)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        newcomer = make_worker()
        assert newcomer.all(FEEDS) == before
        running.move(EXPIRED)
        answers = [worker.timed(feed) for feed in FEEDS * 3]
        assert {status for status, _ in answers} == {200}
        # one at most waits with the refresh that waits for the lock, half a second in a cool-down
        slow = [took for _, took in answers if took > 0.2]
        assert len(slow) <= 1
        assert sum(slow) < 0.8
        _goes_on(worker, vendor, running, "While it was locked")
        other.execute("ROLLBACK")
    running.move(COOLED_DOWN)
    _goes_on(worker, vendor, running, "Unlocked")
    until(lambda: not worker.failing)
    _is_shared_again([worker], make_worker)


class Limited(SqliteStore):
    """On a disk that has so much room and no more, or that was mounted anew for reading alone."""

    pragma: str | None = None

    def _connected(self) -> Any:
        connection = super()._connected()
        if self.pragma:
            connection.execute(self.pragma)
        return connection


def _fill(store: Limited) -> None:
    (pages,) = store._connected().execute("PRAGMA page_count").fetchone()
    store.pragma = f"PRAGMA max_page_count = {pages}"
    for size in (100_000, 3_000, 100):
        with pytest.raises(StoreError, match="full"):
            _pour(store, size)


def _pour(store: Limited, size: int) -> None:
    for number in range(1_000):
        store.commit({f"filler {size} {number}": Write(_garbage(size))})


def _make_room(store: Limited) -> None:
    store.pragma = None
    # the limit is the connection's own
    store.close()


def _shut(store: Limited) -> None:
    store.pragma = "PRAGMA query_only = ON"


@pytest.mark.parametrize("fault", [_fill, _shut], ids=["full", "read-only"])
def test_a_disk_that_takes_no_more_is_read_and_written_again_when_it_does(
    fault: Callable[[Limited], None],
    make_worker: Callable[..., Worker],
    path: Path,
    running: RunningClock,
    vendor: StubUpstream,
) -> None:
    store = Limited(path, running)
    worker = make_worker(store)
    before = worker.all(FEEDS)
    fault(store)
    assert worker.all(FEEDS) == before
    assert make_worker(store).all(FEEDS) == before, "what is in the file is read"
    letters = random.Random(1)
    # names that no compression makes fit into the old one's place
    vendor.rows = [
        {**row, "name": f"Held in memory {letters.randbytes(60).hex()}"} for row in vendor.rows
    ]
    running.move(EXPIRED)
    until(lambda: b"Held in memory" in worker.get(FEEDS[0]).data)
    until(lambda: worker.failing)
    worker.served(FEEDS)
    _make_room(store)
    running.move(COOLED_DOWN)
    _goes_on(worker, vendor, running, "With room again")
    until(lambda: not worker.failing)
    _is_shared_again([worker], make_worker)


def test_where_no_file_can_be_had_a_worker_does_with_its_memory(
    make_worker: Callable[..., Worker], path: Path, running: RunningClock, vendor: StubUpstream
) -> None:
    path.mkdir(parents=True)
    worker = make_worker()
    worker.served(FEEDS)
    _goes_on(worker, vendor, running, "From memory")
    path.rmdir()
    running.move(COOLED_DOWN)
    _goes_on(worker, vendor, running, "From a file")
    until(lambda: not worker.failing)
    _is_shared_again([worker], make_worker)


@linux
def test_a_server_that_can_write_no_byte_more_goes_on(path: Path) -> None:
    with (
        studio(80) as vendor,
        Machine(vendor.url, f"sqlite:///{path}", workers=2, CACHE_TTL="1") as machine,
    ):
        feeds = ("/sessions.ics", "/venues/11.ics", "/venues/12.json")
        assert {machine.get(feed).status for feed in feeds * 2} == {200}
        for pid in machine.workers():
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        rename(vendor, "Past the end of the disk")
        until(lambda: b"Past the end of the disk" in machine.get(feeds[0]).body)
        answers = herd([lambda feed=feed: machine.get(feed) for feed in feeds * 8])
        assert {answer.status for answer in answers} == {200}
        assert max(answer.seconds for answer in answers) < 2


def _bind_by_permissions() -> None:
    """Let file permissions hold for root too: give up the capability to pass over them."""
    if os.geteuid() == 0:
        library = ctypes.CDLL(None, use_errno=True)
        for capability in (_DAC_OVERRIDE, _DAC_READ_SEARCH):
            library.prctl(_DROP, capability, 0, 0, 0)


@contextmanager
def _read_only(folder: Path, *, folder_too: bool) -> Iterator[None]:
    for file in folder.iterdir():
        file.chmod(0o400)
    if folder_too:
        folder.chmod(0o500)
    try:
        yield
    finally:
        folder.chmod(0o700)
        for file in folder.iterdir():
            file.chmod(0o600)


@linux
@pytest.mark.parametrize(
    ("end", "folder_too"),
    [
        pytest.param(signal.SIGTERM, False, id="the file"),
        pytest.param(signal.SIGTERM, True, id="its folder too"),
        pytest.param(signal.SIGKILL, True, id="its folder too, and a log was left"),
    ],
)
def test_a_server_started_on_a_read_only_file_serves_what_is_in_it(
    end: int, folder_too: bool, path: Path
) -> None:
    feeds = ("/sessions.ics", "/venues/11.ics", "/venues/12.json")
    with studio(80) as vendor:
        address = vendor.url
        with Machine(address, f"sqlite:///{path}") as machine:
            before = {feed: machine.get(feed).validators for feed in feeds}
            if end == signal.SIGTERM:
                machine.stop()
    with (
        _read_only(path.parent, folder_too=folder_too),
        Machine(address, f"sqlite:///{path}", before=_bind_by_permissions) as machine,
    ):
        after = {feed: machine.get(feed) for feed in feeds}
        assert {answer.status for answer in after.values()} == {200}
        assert {feed: answer.validators for feed, answer in after.items()} == before
        # it could not write, indeed
        until(lambda: any("readonly" in line or "unable to open" in line for line in machine.log))
