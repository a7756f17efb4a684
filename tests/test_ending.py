"""A process that is told to end hears it, whichever of its threads the signal finds."""

import subprocess
import sys
from pathlib import Path

import pytest

HOME = Path(__file__).parent.parent
# as a server waits: in the main thread, for what its handler will set
WAITING = """
import os, signal, sys, threading
from bridge import ending
told = threading.Event()
if sys.argv[1] == "listening":
    ending.listen()
signal.signal(signal.SIGTERM, lambda *_: told.set())
other = threading.Thread(target=threading.Event().wait, daemon=True)
other.start()
def tell():
    signal.pthread_kill(other.ident, signal.SIGTERM)
threading.Timer(0.2, tell).start()
told.wait()
os._exit(7)
"""


def wait_of(how: str, seconds: float) -> int:
    done = subprocess.run(
        [sys.executable, "-c", WAITING, how], cwd=HOME, timeout=seconds, check=False
    )
    return done.returncode


def test_a_signal_that_another_thread_takes_is_heard() -> None:
    assert wait_of("listening", 20) == 7


def test_without_listening_it_is_not() -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        wait_of("deaf", 1.5)
