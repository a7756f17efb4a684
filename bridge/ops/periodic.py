"""Periodic tasks: run once a minute in a background thread, and once more at shutdown."""

import threading
from collections.abc import Callable

import structlog

from bridge.background import start_daemon
from bridge.clock import Clock
from bridge.instrumentation import NO_INSTRUMENTATION, Instrumentation

log = structlog.get_logger()

INTERVAL = 60.0
_CLOSE_TIMEOUT = 2.0

Task = Callable[[], object]


class PeriodicTasks:
    """A thread that runs tasks, one after the other.

    Args:
        tasks: an exception in one is counted and logged; the task runs again at the next interval.
    """

    def __init__(
        self, clock: Clock, *tasks: Task, instrumentation: Instrumentation = NO_INSTRUMENTATION
    ) -> None:
        self._clock = clock
        self._instrumentation = instrumentation
        self._tasks = list(tasks)
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, task: Task) -> None:
        """Add a task, before the thread is started."""
        self._tasks.append(task)

    def start(self) -> None:
        """Start the thread; the tasks run for the first time after a minute."""
        self._thread = start_daemon(self._run, "periodic")

    def close(self) -> None:
        """Stop the thread, if it was started, after a last run of all tasks."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(_CLOSE_TIMEOUT)

    def run_once(self) -> None:
        """Run all tasks."""
        for task in self._tasks:
            try:
                task()
            except Exception:
                # An error in one task must not prevent the others.
                self._instrumentation.background_failed("periodic")
                log.exception("periodic task failed")

    def _run(self) -> None:
        while not self._clock.wait(self._closing, INTERVAL):
            self.run_once()
        self.run_once()
