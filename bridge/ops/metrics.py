"""Metrics: what happened since the start, counted over all workers of a machine, for Prometheus."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from bridge.errors import told
from bridge.instrumentation import Instrumentation
from bridge.ops.metrics_dir import FOLDER

CONTENT_TYPE = CONTENT_TYPE_LATEST
COMPLETE = "complete"
_WALK_BUCKETS = (0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 120)
_WAIT_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40)
_RENDER_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)


class State(Protocol):
    """What is read when somebody looks, because the whole fleet shares it."""

    def gauges(self) -> Iterable[tuple[str, str, dict[str, str], float]]:
        """Name, explanation, labels and value; those of one name in a row."""


class Metrics(Instrumentation):
    """Counts what it is told, and what the web counts.

    Numbers of all workers stand in files of the folder that :data:`FOLDER` names; without it they
    are this process's own.
    """

    def __init__(self) -> None:
        self._own = CollectorRegistry(auto_describe=True)
        self._state: State | None = None
        self._requests = Counter(
            "bridge_requests",
            "Answers, by the route that was asked for, and by what the cache had to do with them.",
            ("route", "method", "status", "cache"),
            registry=self._own,
        )
        self._walks = Counter(
            "bridge_walks",
            "Walks through all pages of TeamUp's, by how they ended.",
            ("outcome",),
            registry=self._own,
        )
        self._attempts = Counter(
            "bridge_upstream_attempts",
            "Requests to TeamUp, by how they ended.",
            ("outcome",),
            registry=self._own,
        )
        self._pages = Counter("bridge_pages", "Pages that complete walks read.", registry=self._own)
        self._walk_seconds = Histogram(
            "bridge_walk_seconds",
            "How long complete walks took.",
            buckets=_WALK_BUCKETS,
            registry=self._own,
        )
        self._lease_waits = Histogram(
            "bridge_lease_wait_seconds",
            "How long refreshes waited for another process that was at work on the same.",
            buckets=_WAIT_BUCKETS,
            registry=self._own,
        )
        self._store_errors = Counter(
            "bridge_store_errors",
            "Operations that the store did not do.",
            ("operation",),
            registry=self._own,
        )
        self._store_failing = Gauge(
            "bridge_store_failing_workers",
            "Workers that do with their memory at present, because the store fails.",
            multiprocess_mode="livesum",
            registry=self._own,
        )
        self._log_dropped = Counter(
            "bridge_log_lines_dropped",
            "Log lines that were dropped, because standard error could not be written.",
            registry=self._own,
        )
        self._render_seconds = Histogram(
            "bridge_render_seconds",
            "How long feeds and pages took to render.",
            ("form",),
            buckets=_RENDER_BUCKETS,
            registry=self._own,
        )

    def log_line_dropped(self) -> None:
        """A line of the log could not be written."""
        self._log_dropped.inc()

    def requests(self, route: str, method: str, status: str, cache: str) -> Counter:
        """What counts such answers. Every label is from a set that does not grow."""
        return self._requests.labels(route, method, status, cache)

    def attempted(self, outcome: str) -> None:
        """See :class:`~bridge.instrumentation.Instrumentation`."""
        self._attempts.labels(_outcome(outcome)).inc()

    def walked(self, outcome: str, seconds: float, pages: int) -> None:
        """See :class:`~bridge.instrumentation.Instrumentation`."""
        self._walks.labels(_outcome(outcome)).inc()
        self._pages.inc(pages)
        if outcome == COMPLETE:
            self._walk_seconds.observe(seconds)

    def lease_waited(self, seconds: float) -> None:
        """See :class:`~bridge.instrumentation.Instrumentation`."""
        self._lease_waits.observe(seconds)

    def store_failed(self, operation: str) -> None:
        """See :class:`~bridge.instrumentation.Instrumentation`."""
        self._store_errors.labels(operation).inc()
        self._store_failing.set(1)

    def store_recovered(self) -> None:
        """See :class:`~bridge.instrumentation.Instrumentation`."""
        self._store_failing.set(0)

    @contextmanager
    def rendering(self, form: str) -> Iterator[None]:
        """See :class:`~bridge.instrumentation.Instrumentation`."""
        with self._render_seconds.labels(form).time():
            yield

    def show(self, state: State) -> None:
        """Show *state* too, as it is when somebody looks."""
        self._state = state

    def exposition(self) -> bytes:
        """All numbers of this machine's workers, in Prometheus' text format."""
        registry = self._own
        if folder := os.environ.get(FOLDER):
            _forget_the_dead(Path(folder))
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # it has none
        state = CollectorRegistry()
        if self._state is not None:
            state.register(_Gauges(self._state))
        return generate_latest(registry) + generate_latest(state)


class _Gauges(Collector):
    def __init__(self, state: State) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        family: GaugeMetricFamily | None = None
        for name, said, labels, value in self._state.gauges():
            if family is None or family.name != name:
                if family is not None:
                    yield family
                family = GaugeMetricFamily(name, said, labels=list(labels))
            family.add_metric(list(labels.values()), value)
        if family is not None:
            yield family


def _outcome(code: str) -> str:
    """*code* as a label: of upstream's own words there may be any number."""
    return code if code == COMPLETE else told(code)


def _forget_the_dead(folder: Path) -> None:
    """Drop what workers that are gone said of themselves; what they counted stays counted."""
    for pid in {int(file.stem.rpartition("_")[2]) for file in folder.glob("gauge_live*_*.db")}:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            with suppress(FileNotFoundError):  # another worker was quicker
                mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]
