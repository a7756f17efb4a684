"""Background threads, and the studio for which the current thread works."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

studio: ContextVar[str] = ContextVar("studio", default="")
"""The slug of the studio, for log lines; empty if the bridge serves only one."""


@contextmanager
def working_for(slug: str) -> Iterator[None]:
    """Let the current thread work for a studio, for the duration of the block."""
    token = studio.set(slug)
    try:
        yield
    finally:
        studio.reset(token)


def daemon_thread(target: Callable[[], object], name: str) -> threading.Thread:
    """A thread for the studio of the current thread; it is not started yet.

    It is a daemon: a process that shuts down must not wait for upstream.
    """
    slug = studio.get()

    def run() -> None:
        studio.set(slug)
        target()

    return threading.Thread(target=run, name=name, daemon=True)


def start_daemon(target: Callable[[], object], name: str) -> threading.Thread:
    """Start such a thread.

    Store only what this returns: another thread may join what is stored, and a thread that was not
    started cannot be joined.
    """
    thread = daemon_thread(target, name)
    thread.start()
    return thread
