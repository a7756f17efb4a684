"""The log stream, with real pipes, files and devices."""

import errno
import fcntl
import itertools
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bridge.ops.log_stream import LogStream

HOME = Path(__file__).parent.parent.parent
SECONDS = 10.0
PIPE_BYTES = 4096
LINE = "x" * 99 + "\n"

pytestmark = pytest.mark.skipif(
    not hasattr(fcntl, "F_SETPIPE_SZ"), reason="only Linux can set the size of a pipe"
)


class Pipe:
    """A pipe with a buffer of one page, and the streams that write to it."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        fcntl.fcntl(self.writer, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._open = {self.reader, self.writer}
        self._streams: list[LogStream] = []

    def stream(self, **options: int) -> LogStream:
        self._streams.append(LogStream(self.writer, **options))
        return self._streams[-1]

    def close_reader(self) -> None:
        if self.reader in self._open:
            os.close(self.reader)
            self._open.remove(self.reader)

    def close(self) -> None:
        self.close_reader()
        # Without a reader all lines are dropped at once. If they were written later, another file
        # might have the same descriptor.
        for stream in self._streams:
            stream.drain(SECONDS)
        if self.writer in self._open:
            os.close(self.writer)
            self._open.remove(self.writer)

    def fill(self) -> None:
        """Fill the buffer."""
        os.write(self.writer, b"." * PIPE_BYTES)

    def read_lines(self, done: Callable[[bytes], bool]) -> list[str]:
        """Read until *done* returns true for all data so far; the lines that were read."""
        data = b""
        deadline = time.monotonic() + SECONDS / 2
        while not done(data):
            readable, _, _ = select.select([self.reader], [], [], deadline - time.monotonic())
            assert readable, data[-500:]
            data += os.read(self.reader, 65_536)
        return data.decode().splitlines()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.005)


class Drops:
    """Counts the dropped lines of a stream."""

    def __init__(self, stream: LogStream) -> None:
        self.count = 0
        self._lock = threading.Lock()
        stream.on_drop = self

    def __call__(self) -> None:
        with self._lock:
            self.count += 1


def lines_of(count: int) -> Callable[[bytes], bool]:
    return lambda data: data.count(b"\n") >= count


class TestWriting:
    def test_lines_arrive_whole_and_in_order(self, pipe: Pipe) -> None:
        stream = pipe.stream()
        drops = Drops(stream)
        for number in range(1_000):
            assert stream.write(f"line {number}\n") == len(f"line {number}\n")
            stream.flush()
        assert pipe.read_lines(lines_of(1_000)) == [f"line {n}" for n in range(1_000)]
        stream.drain(SECONDS)
        assert drops.count == 0

    def test_lines_of_several_threads_do_not_mix(self, pipe: Pipe) -> None:
        stream = pipe.stream()

        def log(name: str) -> None:
            for number in range(300):
                stream.write(f"{name * (number % 120)} {number}\n")

        threads = [threading.Thread(target=log, args=(name,)) for name in "abcdef"]
        for thread in threads:
            thread.start()
        lines = pipe.read_lines(lines_of(6 * 300))
        for thread in threads:
            thread.join()
        assert sorted(lines) == sorted(
            f"{name * (number % 120)} {number}" for name in "abcdef" for number in range(300)
        )
        for name in "abcdef":
            numbers = [int(line.split()[-1]) for line in lines if line.startswith(name)]
            assert numbers == sorted(numbers)

    def test_short_lines_are_written_together_as_far_as_a_write_is_atomic(
        self, monkeypatch: pytest.MonkeyPatch, pipe: Pipe
    ) -> None:
        pipe.fill()
        stream = pipe.stream()
        stream.write("first\n")
        wait_until(lambda: not stream._queue)  # its write is under way
        for _ in range(100):
            stream.write(LINE)
        write = os.write
        sizes: list[int] = []

        def measured(fd: int, data: bytes) -> int:
            sizes.append(len(data))
            return write(fd, data)

        monkeypatch.setattr("bridge.ops.log_stream.os.write", measured)
        pipe.read_lines(lines_of(101))
        stream.drain(SECONDS)
        assert sizes == [4_000, 4_000, 2_000]

    def test_lone_surrogates_are_escaped(self, pipe: Pipe) -> None:
        pipe.stream().write("lone \udcff, naïve\n")
        assert pipe.read_lines(lines_of(1)) == ["lone \\udcff, naïve"]

    def test_it_waits_for_room_in_a_non_blocking_pipe(self, pipe: Pipe) -> None:
        os.set_blocking(pipe.writer, False)
        pipe.fill()
        stream = pipe.stream()
        drops = Drops(stream)
        for _ in range(200):
            stream.write(LINE)
        stream.write("y" * 10_000 + "\n")
        lines = pipe.read_lines(lambda data: data.endswith(b"y\n"))
        assert len(lines) == 201
        assert drops.count == 0


class TestLinesThatCannotBeWritten:
    def test_without_a_reader_every_line_is_dropped_and_counted(self, pipe: Pipe) -> None:
        pipe.close_reader()
        stream = pipe.stream()
        drops = Drops(stream)
        for _ in range(50):
            stream.write(LINE)
        wait_until(lambda: drops.count == 50)

    def test_on_a_full_disk_every_line_is_dropped_and_counted(self) -> None:
        full = os.open("/dev/full", os.O_WRONLY)
        stream = LogStream(full)
        drops = Drops(stream)
        for _ in range(50):
            stream.write(LINE)
        wait_until(lambda: drops.count == 50)
        stream.drain(SECONDS)
        os.close(full)

    def test_on_a_closed_descriptor_every_line_is_dropped_and_counted(self, pipe: Pipe) -> None:
        pipe.close()
        stream = pipe.stream()
        drops = Drops(stream)
        stream.write(LINE)
        wait_until(lambda: drops.count == 1)

    def test_a_line_written_in_part_is_dropped_and_the_next_starts_on_a_line_of_its_own(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        # The disk has room for 130 more bytes, and later for many more.
        rooms = itertools.chain([130, 0], itertools.repeat(10_000))
        write = os.write

        def partial_write(fd: int, data: bytes) -> int:
            room = next(rooms)
            if not room:
                raise OSError(errno.ENOSPC, "no space left")
            return write(fd, data[:room])

        log = tmp_path / "log"
        with log.open("wb") as file:
            stream = LogStream(file.fileno())
            drops = Drops(stream)
            stream.notice = lambda count: f"{count} dropped\n"
            with monkeypatch.context() as patch:
                patch.setattr("bridge.ops.log_stream.os.write", partial_write)
                stream.write(LINE + LINE)
                stream.drain(SECONDS)
                assert drops.count == 1
                stream.write("next\n")
                stream.drain(SECONDS)
        assert log.read_text() == f"{LINE}{LINE[:30]}\n1 dropped\nnext\n"

    def test_only_the_lines_of_a_batch_that_were_not_written_are_counted(
        self, monkeypatch: pytest.MonkeyPatch, pipe: Pipe
    ) -> None:
        pipe.fill()
        stream = pipe.stream()
        drops = Drops(stream)
        stream.write("first\n")
        wait_until(lambda: not stream._queue)  # its write is under way
        for _ in range(10):
            stream.write(LINE)
        write = os.write
        rooms = iter([250, 0])

        def partial_write(fd: int, data: bytes) -> int:
            room = next(rooms, 10_000)
            if not room:
                raise OSError(errno.ENOSPC, "no space left")
            return write(fd, data[:room])

        monkeypatch.setattr("bridge.ops.log_stream.os.write", partial_write)
        pipe.read_lines(lambda data: b"first\n" in data)
        wait_until(lambda: drops.count)
        stream.drain(SECONDS)
        assert drops.count == 8

    def test_an_error_in_on_drop_does_not_reach_the_caller(self, pipe: Pipe) -> None:
        stream = pipe.stream(max_bytes=1)

        def fail() -> None:
            raise OSError("no space left")

        stream.on_drop = fail
        assert stream.write(LINE) == len(LINE)

    def test_a_thread_that_cannot_start_is_tried_again_with_the_next_line(
        self, monkeypatch: pytest.MonkeyPatch, pipe: Pipe
    ) -> None:
        def refuse(thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        stream = pipe.stream()
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            stream.write("one\n")
        stream.write("two\n")
        assert pipe.read_lines(lines_of(2)) == ["one", "two"]


class TestStalledReader:
    def test_writing_does_not_wait_and_memory_is_bounded(self, pipe: Pipe) -> None:
        pipe.fill()
        stream = pipe.stream(max_bytes=100_000)
        drops = Drops(stream)
        began = time.monotonic()
        for length in [10_000] * 5 + [1] * 10_000:
            stream.write("y" * length + "\n")
        assert time.monotonic() - began < 2
        # Short lines count with the memory that they take, which is more than their length.
        assert 8_000 < drops.count < 9_000

    def test_the_loss_is_reported_once_all_queued_lines_are_written(self, pipe: Pipe) -> None:
        pipe.fill()
        stream = pipe.stream(max_bytes=15_000)
        drops = Drops(stream)
        stream.notice = lambda count: f"{count} dropped\n"
        for number in range(300):
            stream.write(f"{number:099d}\n")
        # The queued lines need more than one write.
        kept = 300 - drops.count
        assert 100 < kept < 300
        lines = pipe.read_lines(lambda data: b"dropped" in data)
        assert lines[0] == "." * PIPE_BYTES + f"{0:099d}"
        assert lines[1:] == [f"{n:099d}" for n in range(1, kept)] + [f"{300 - kept} dropped"]
        stream.write("after it\n")
        assert pipe.read_lines(lines_of(1)) == ["after it"]

    def test_a_loss_that_could_not_be_reported_is_reported_later(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        full = [True]
        write = os.write

        def write_unless_full(fd: int, data: bytes) -> int:
            if full:
                raise OSError(errno.ENOSPC, "no space left")
            return write(fd, data)

        with (tmp_path / "log").open("wb") as file, monkeypatch.context() as patch:
            patch.setattr("bridge.ops.log_stream.os.write", write_unless_full)
            stream = LogStream(file.fileno())
            stream.notice = lambda count: f"{count} dropped\n"
            for _ in range(3):
                stream.write(LINE)
                stream.drain(SECONDS)
            full.clear()
            stream.write("there is room\n")
            stream.drain(SECONDS)
        assert (tmp_path / "log").read_text() == "there is room\n3 dropped\n"

    def test_the_default_notice_gives_the_number_of_lines(self, pipe: Pipe) -> None:
        pipe.fill()
        stream = pipe.stream(max_bytes=200)
        for _ in range(3):
            stream.write(LINE)
        lines = pipe.read_lines(lambda data: b"dropped" in data)
        assert lines[-1] == "2 log lines were dropped: the log could not be written"

    def test_drain_returns_after_its_timeout(self, pipe: Pipe) -> None:
        pipe.fill()
        stream = pipe.stream()
        stream.write(LINE)
        began = time.monotonic()
        stream.drain(0.1)
        assert 0.1 <= time.monotonic() - began < 2


def fork(run: Callable[[], None]) -> int:
    """The id of a child process that calls *run* and exits, with status 0 if *run* returned."""
    child = os.fork()
    if child == 0:
        signal.alarm(int(SECONDS))
        status = 1
        try:
            run()
            status = 0
        finally:
            os._exit(status)
    return child


def python(script: str, **options: Any) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [sys.executable, "-c", script], cwd=HOME, timeout=SECONDS, check=True, **options
    )


LOGGING = """
from bridge.ops.log_stream import STDERR
for number in range(1000):
    STDERR.write(f"{number}\\n")
"""


class TestProcesses:
    @pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
    def test_a_forked_process_writes_its_own_lines_but_not_its_parents(self, pipe: Pipe) -> None:
        pipe.fill()
        stream = pipe.stream()
        stream.write("the parent's\n")

        def log() -> None:
            stream.write("the child's\n")
            stream.drain(SECONDS)

        # The lock is held while the process forks, as another thread might hold it.
        with stream._changed:
            child = fork(log)
        lines = pipe.read_lines(lambda data: b"child's" in data and b"parent's" in data)
        assert os.waitpid(child, 0)[1] == 0
        assert sorted(line.lstrip(".") for line in lines) == ["the child's", "the parent's"]

    @pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
    def test_long_lines_of_several_processes_do_not_mix(self, pipe: Pipe) -> None:
        stream = pipe.stream()

        def log(name: str) -> None:
            for number in range(40):
                stream.write(name * (9_000 if number % 2 else 50) + "\n")
            stream.drain(SECONDS)

        children = [fork(partial(log, name)) for name in "abc"]
        lines = pipe.read_lines(lines_of(120))
        for child in children:
            assert os.waitpid(child, 0)[1] == 0
        expected = [name * length for name in "abc" for length in (50, 9_000) for _ in range(20)]
        assert sorted(lines) == expected

    def test_a_process_ends_within_a_second_if_the_reader_stalls(self, pipe: Pipe) -> None:
        pipe.fill()
        began = time.monotonic()
        python(LOGGING, stderr=pipe.writer)
        assert 1 <= time.monotonic() - began < 4

    def test_the_last_lines_of_a_process_are_written_before_it_ends(self) -> None:
        written = python(LOGGING, capture_output=True).stderr
        assert written.decode().split() == [str(number) for number in range(1_000)]

    @pytest.mark.parametrize("closed", [(2,), (0, 2), (0, 1, 2)])
    def test_a_closed_standard_error_is_opened_on_dev_null(
        self, closed: tuple[int, ...], tmp_path: Path
    ) -> None:
        file = tmp_path / "file"
        script = f"""
import os, sys
from bridge.ops.log_stream import STDERR
file = open({str(file)!r}, "w")
STDERR.write("a line of the log\\n")
STDERR.drain(1.0)
sys.stderr.write("a warning\\n")
sys.stderr.flush()
os.write(2, b"a last word of the interpreter")
file.write(os.readlink("/proc/self/fd/2"))
file.close()
"""

        def close() -> None:
            for number in closed:
                os.close(number)

        python(script, preexec_fn=close)
        assert file.read_text() == "/dev/null"
