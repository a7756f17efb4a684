"""Rounds: what a worker sees to once a minute, and once more when it ends."""

import threading
from collections.abc import Callable

import structlog

from bridge.clock import Clock

log = structlog.get_logger()

EVERY = 60.0
_PARTING = 2.0

Duty = Callable[[], object]


class PeriodicTasks:
    """A thread that goes through duties, one after the other.

    Args:
        duties: what is done on each round. One that raises is logged, and done again next time.
    """

    def __init__(self, clock: Clock, *duties: Duty) -> None:
        self._clock = clock
        self._duties = list(duties)
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, duty: Duty) -> None:
        """One more duty, before the first round."""
        self._duties.append(duty)

    def start(self) -> None:
        """Begin, a minute from now."""
        self._thread = threading.Thread(target=self._run, name="rounds", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End, after a last round if there was to be any."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(_PARTING)

    def run_once(self) -> None:
        """Do what there is to do."""
        for duty in self._duties:
            try:
                duty()
            except Exception:
                # Whatever is wrong with one of them, the others have to be seen to.
                log.exception("a duty broke off")

    def _run(self) -> None:
        while not self._clock.wait(self._closing, EVERY):
            self.run_once()
        self.run_once()
