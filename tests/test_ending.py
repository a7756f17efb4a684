"""A process that is told to end hears it once, and loses nobody who is connected."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HOME = Path(__file__).parent.parent
# As a server waits: in the main thread, for what its handler will set.
WAITING = """
import os, signal, socket, sys, threading, time
from bridge import ending
ending.listen()
heard, told = [], threading.Event()
def hear(number, frame):
    heard.append(number)
    told.set()
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, hear)
"""
# A host tells all processes, and the server tells its workers again.
TOLD_TWICE = """
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
    os.kill(os.getpid(), number)
told.wait()
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(0.3)
print(len(heard), ending.near)
"""
# As under more connections than the host allows for.
WITHOUT_DESCRIPTORS = """
import contextlib, resource
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
with contextlib.suppress(OSError):
    while True:
        os.dup(0)
os.kill(os.getpid(), signal.SIGTERM)
print(told.wait(10))
"""
# One connection is accepted before it is told, one after that; both send late.
ACCEPTING = """
host = sys.argv[1]
family = socket.AF_INET6 if ":" in host else socket.AF_INET
with socket.create_server((host, 0), family=family) as listener:
    print(listener.getsockname()[1], flush=True)
    early, _ = listener.accept()
    print("accepted", flush=True)
    told.wait()
    print("told", flush=True)
    queued, _ = listener.accept()
    for connection in (early, queued):
        connection.sendall(connection.recv(1))
        connection.close()
    listener.setblocking(False)
    try:
        listener.accept()
        print("another")
    except BlockingIOError:
        print("no other")
"""


def run(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", WAITING + script],
        cwd=HOME,
        timeout=20,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def test_told_by_several_and_again_it_hears_it_once() -> None:
    assert run(TOLD_TWICE) == "1 True"


def test_a_process_without_a_descriptor_left_hears_it_too() -> None:
    assert run(WITHOUT_DESCRIPTORS) == "True"


def test_a_process_that_is_not_told_has_no_end_near() -> None:
    assert run("print(len(heard), ending.near)") == "0 False"


@pytest.fixture(params=["127.0.0.1", "::1"])
def host(request: pytest.FixtureRequest) -> str:
    given: str = request.param
    return request.getfixturevalue("ipv6") if ":" in given else given


@pytest.fixture
def server(host: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-c", WAITING + ACCEPTING, host]
    with subprocess.Popen(command, cwd=HOME, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps new connections away")
def test_who_is_connected_is_answered_and_nobody_else_gets_in(
    server: "subprocess.Popen[str]", host: str
) -> None:
    assert server.stdout is not None
    address = (host, int(server.stdout.readline()))
    with (
        socket.create_connection(address, 10) as early,
        socket.create_connection(address, 10) as queued,
    ):
        assert server.stdout.readline() == "accepted\n"
        server.send_signal(signal.SIGTERM)
        assert server.stdout.readline() == "told\n"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, 10)
        for connection in (early, queued):
            connection.sendall(b"x")
            assert connection.recv(1) == b"x"
        assert server.stdout.readline() == "no other\n"
