"""Bodies that lie in a file in memory: whole, bounded, and never in the way."""

import contextlib
import mmap
import os
import runpy
import socket
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest
from clocks import ManualClock

from bridge import bodies
from bridge.bodies import Bodies

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs memfd_create(2)")
HEAD = b"HTTP/1.1 200 OK\r\n\r\n"
LARGE = os.urandom(90_000)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A server's end of a connection, which waits for nobody, and its client's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    server.setblocking(False)
    client.settimeout(20)
    with client, server:
        yield server, client


def files() -> dict[int, int]:
    """Files in memory that this process has open, and their sizes; others than a test's may end at
    any time.
    """
    found = {}
    for name in os.listdir("/proc/self/fd"):
        # the one that the folder itself is read by
        with contextlib.suppress(FileNotFoundError):
            path = f"/proc/self/fd/{name}"
            if os.readlink(path).startswith("/memfd:bodies"):
                status = os.stat(path)
                found[status.st_ino] = status.st_size
    return found


def begun(before: dict[int, int]) -> list[int]:
    """The sizes of those that there are since."""
    return [size for inode, size in files().items() if inode not in before]


def read(client: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length and (more := client.recv(65_536)):
        data += more
    return data


def test_head_and_body_arrive_whole(pair: tuple[socket.socket, socket.socket]) -> None:
    server, client = pair
    store = Bodies()
    for _ in range(3):
        sent = store.send(server, HEAD, LARGE)
        assert 0 < sent <= len(HEAD + LARGE)
        assert read(client, sent) == (HEAD + LARGE)[:sent]


def test_what_the_system_does_not_take_is_told(pair: tuple[socket.socket, socket.socket]) -> None:
    server, client = pair
    server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 20_000)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_000)
    store, said = Bodies(), b""
    for _ in range(200):
        sent = store.send(server, HEAD, LARGE)
        said += (HEAD + LARGE)[:sent]
        if sent < len(HEAD + LARGE):
            break
    else:
        pytest.fail("it takes everything")
    assert store.send(server, HEAD, LARGE) == 0
    server.shutdown(socket.SHUT_WR)
    assert read(client, len(said) + 1) == said


def test_a_client_that_is_gone_is_for_others_to_find(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    server, client = pair
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
    store = Bodies()
    assert [store.send(server, HEAD, LARGE) for _ in range(3)][1:] == [0, 0]


def test_small_ones_are_left_to_the_usual_way(pair: tuple[socket.socket, socket.socket]) -> None:
    before = files()
    assert Bodies().send(pair[0], HEAD, b"x" * 1_000) == 0
    assert not begun(before)


@pytest.mark.parametrize(
    ("module", "name"), [(os, "memfd_create"), (socket, "MSG_MORE")], ids=["files", "corks"]
)
def test_on_another_system_everything_is_left_to_the_usual_way(
    pair: tuple[socket.socket, socket.socket],
    module: ModuleType,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(module, name)
    there = runpy.run_path(bodies.__file__)["Bodies"]
    assert there().send(pair[0], HEAD, LARGE) == 0


def test_all_of_them_together_are_bounded(pair: tuple[socket.socket, socket.socket]) -> None:
    server, client = pair
    before = files()
    store = Bodies(most=250_000)
    many = [os.urandom(90_000) for _ in range(5)]
    for _ in range(2):
        sent = [store.send(server, HEAD, body) for body in many]
        # in turn, they do not push out each other
        assert [one > 0 for one in sent] == [True, True, False, False, False]
        read(client, sum(sent))
    assert len(begun(before)) == 1
    assert 180_000 <= sum(begun(before)) <= 250_000


def test_however_many_there_are_they_take_one_descriptor(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    server, client = pair
    store, before = Bodies(), files()
    many = [os.urandom(90_000 + number) for number in range(100)]
    for body in many * 2:
        sent = store.send(server, HEAD, body)
        assert read(client, sent) == (HEAD + body)[:sent] != HEAD
    assert len(begun(before)) == 1


def test_each_begins_where_the_system_sends_it_best(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, client = pair
    begins = []
    sendfile = os.sendfile

    def see(*given: int) -> int:
        begins.append(given[2])
        return sendfile(*given)

    monkeypatch.setattr(bodies.os, "sendfile", see)
    store = Bodies()
    for length in (90_000, 20 * mmap.PAGESIZE, 90_001, 90_000):
        read(client, store.send(server, HEAD, os.urandom(length)))
    assert len({*begins}) == 4
    assert not any(begin % mmap.PAGESIZE for begin in begins)


def test_those_that_nobody_asks_for_go(pair: tuple[socket.socket, socket.socket]) -> None:
    server, client = pair
    before = files()
    clock = ManualClock()
    store = Bodies(most=250_000, clock=clock.monotonic)
    for _ in range(4):
        for body in (os.urandom(90_000), os.urandom(90_000)):
            read(client, store.send(server, HEAD, body))
        assert len(begun(before)) == 1
        assert 180_000 <= sum(begun(before)) <= 250_000
        clock.move(61)
    del store
    assert not begun(before)


def test_what_is_on_its_way_arrives_even_if_it_goes(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    server, client = pair
    clock = ManualClock()
    store, said = Bodies(clock=clock.monotonic), b""
    for _ in range(4):
        body = os.urandom(90_000)
        said += (HEAD + body)[: store.send(server, HEAD, body)]
        clock.move(61)
    del store
    assert len(said) > 10_000
    assert read(client, len(said)) == said


@pytest.mark.parametrize("fault", ["memfd_create", "pwrite", "sendfile"])
def test_where_the_system_does_not_let_it_the_usual_way_is_left(
    pair: tuple[socket.socket, socket.socket], fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, client = pair
    before = files()

    def refuse(*given: object) -> int:
        if fault == "pwrite":
            return 100
        raise PermissionError(fault)

    store = Bodies()
    monkeypatch.setattr(bodies.os, fault, refuse)
    sent = store.send(server, HEAD, LARGE)
    assert sent == (len(HEAD) if fault == "sendfile" else 0)
    monkeypatch.undo()
    assert [size > 0 for size in begun(before)] == {
        "memfd_create": [],
        "pwrite": [False],
        "sendfile": [True],
    }[fault]
    server.sendall(HEAD[sent:])
    assert read(client, len(HEAD)) == HEAD
