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


def start_daemon(target: Callable[[], object], name: str) -> threading.Thread:
    """Start a thread for the studio of the current thread.

    It is a daemon: a process that shuts down must not wait for upstream.

    Store only what this returns: another thread may join what is stored, and a thread that was not
    started cannot be joined.

    Raises:
        RuntimeError: no more threads can be started.
    """
    slug = studio.get()

    def run() -> None:
        studio.set(slug)
        target()

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread
