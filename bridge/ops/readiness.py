"""Readiness: whether this process can serve feeds, found out by a background thread.

A probe must be answered at once, so it reads no more than the result of the last check.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from bridge.background import start_daemon
from bridge.clock import Clock
from bridge.errors import UNREACHABLE
from bridge.instrumentation import NO_INSTRUMENTATION, Instrumentation
from bridge.snapshots.cache import SnapshotCache
from bridge.snapshots.router import SnapshotRouter, SourceState
from bridge.upstream.budget import Purpose

log = structlog.get_logger()

# Seconds between two checks: while feeds can be served, while a walk runs, and while only a request
# or another process may bring a copy.
_READY, _WALKING, _WAITING = 60.0, 0.25, 5.0
_CLOSE_TIMEOUT = 2.0


@dataclass(frozen=True, slots=True)
class ReadinessState:
    """Whether feeds can be served, and why not.

    Attributes:
        public: one line for everybody; it tells nothing about the account.
        detail: one or more lines for the operator.
    """

    ready: bool
    public: str
    detail: str

    @classmethod
    def same_for_all(cls, text: str, *, ready: bool) -> "ReadinessState":
        """A state whose text everybody may read."""
        return cls(ready, text, text)


READY = ReadinessState.same_for_all("ready", ready=True)
STARTING = ReadinessState.same_for_all(
    "not ready: the timetable is being fetched for the first time", ready=False
)


class Readiness:
    """Keeps :attr:`state` up to date.

    Feeds can be served while there is a copy of every source that requests would get. Without one
    upstream is walked, even if nobody has requested a feed: a new machine gets no requests before
    it is ready. Walks follow the pauses after failures, as those of requests do.

    Args:
        eager: whether to walk from the start; otherwise the first probe is waited for.
        patient: whether to check less often, because this process checks many studios.

    Attributes:
        state: the result of the last check.
    """

    def __init__(
        self,
        *,
        router: SnapshotRouter,
        cache: SnapshotCache,
        clock: Clock,
        eager: bool,
        patient: bool = False,
        instrumentation: Instrumentation = NO_INSTRUMENTATION,
    ) -> None:
        self.state = STARTING
        self._wanted = eager
        self._walking = _WAITING if patient else _WALKING
        self._router = router
        self._cache = cache
        self._clock = clock
        self._instrumentation = instrumentation
        self._closing = False
        self._wake = threading.Event()
        """Ends the pause before the next check."""
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread = start_daemon(self._run, "readiness")

    def close(self) -> None:
        """Stop the thread."""
        self._closing = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(_CLOSE_TIMEOUT)

    def probe(self) -> ReadinessState:
        """The state, for a probe; never blocks."""
        if not self._wanted:
            self._wanted = True
            self._wake.set()
        return self.state

    def check(self) -> float:
        """Update the state, and start the walks that it needs; seconds until the next check."""
        lacking = [source for source in self._router.states() if not source.servable]
        failing = [source for source in lacking if source.failure is not None]
        if not lacking:
            self.state = READY
        elif failing:
            self.state = _failed(failing)
        # Otherwise upstream has not failed: what was ready stays so while expired copies are
        # replaced.
        for source in lacking if self._wanted else ():
            rules = self._router.merge_rules(source.key)
            if rules is not None:
                self._cache.start_refresh(source.key, rules, Purpose.LIVE)
        if self.state.ready:
            return _READY
        return self._walking if self._wanted and not failing else _WAITING

    def _run(self) -> None:
        while not self._closing:
            self._wake.clear()
            try:
                pause = self.check()
            except Exception:
                # No caller can handle the error, and the thread must keep running.
                self._instrumentation.background_failed("readiness")
                log.exception("readiness check failed")
                pause = _WAITING
            if not self._closing:
                self._clock.wait(self._wake, pause)


def _failed(sources: Sequence[SourceState]) -> ReadinessState:
    causes = (
        f"{source.source.value}: {source.failure.code}: {source.failure.text}"
        for source in sources
        if source.failure is not None
    )
    return ReadinessState(
        ready=False,
        public=f"not ready: {UNREACHABLE}, and there is no earlier copy of the timetable",
        detail="\n".join(("not ready: TeamUp fails, and there is no earlier copy", *causes)),
    )
