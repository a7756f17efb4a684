"""Prometheus metrics of all workers of a machine."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import copy
from functools import partial
from pathlib import Path
from typing import TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from bridge import __version__
from bridge.errors import public_code
from bridge.instrumentation import Instrumentation
from bridge.ops.metrics_dir import DIR_VARIABLE, runs

CONTENT_TYPE = CONTENT_TYPE_LATEST
COMPLETE = "complete"
_WALK_BUCKETS = (0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 120)
_WAIT_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40)
_REQUEST_BUCKETS = (0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_RENDER_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)

GaugeValue = tuple[str, str, dict[str, str], float]
"""Name, help text, labels and value."""

GaugeSource = Callable[[], Iterable[GaugeValue]]
"""Reads gauges of state that the whole fleet shares, grouped by name."""

AnyMetric = TypeVar("AnyMetric", Counter, Histogram)


class Metrics(Instrumentation):
    """Counts the events of the lower layers and the requests of the web layer.

    All workers of a machine count in files of the directory that :data:`DIR_VARIABLE` names.
    Without it each process has its own counts.

    Args:
        by_studio: whether the metrics of a studio have the label ``studio``. :meth:`of` sets it;
            it is empty for requests that belong to no studio.
    """

    def __init__(self, *, by_studio: bool = False) -> None:
        self._registry = CollectorRegistry(auto_describe=True)
        self._studio = ("",) if by_studio else ()
        studio = ("studio",) if by_studio else ()
        self._gauge_sources: list[tuple[tuple[str, ...], GaugeSource]] = []

        def counter(name: str, help_text: str, *labels: str) -> Counter:
            return Counter(name, help_text, labels, registry=self._registry)

        def histogram(
            name: str, help_text: str, buckets: Sequence[float], *labels: str
        ) -> Histogram:
            return Histogram(name, help_text, labels, buckets=buckets, registry=self._registry)

        self._requests = counter(
            "bridge_requests",
            "Responses, by route and by the outcome of the cache.",
            *("route", "method", "status", "cache", *studio),
        )
        self._durations = histogram(
            "bridge_request_duration_seconds",
            "Time from the arrival of a request until its response is ready.",
            _REQUEST_BUCKETS,
            *("route", "status_class"),
        )
        self._walks = counter(
            "bridge_walks",
            "Walks through all of TeamUp's pages, by outcome.",
            *("outcome", *studio),
        )
        self._attempts = counter(
            "bridge_upstream_attempts", "Requests to TeamUp, by outcome.", *("outcome", *studio)
        )
        self._pages = counter("bridge_pages", "Pages read by complete walks.", *studio)
        self._walk_seconds = histogram(
            "bridge_walk_seconds", "Duration of complete walks.", _WALK_BUCKETS, *studio
        )
        self._lease_waits = histogram(
            "bridge_lease_wait_seconds",
            "How long refreshes waited for another process that was refreshing the same key.",
            _WAIT_BUCKETS,
            *studio,
        )
        self._background_errors = counter(
            "bridge_background_errors",
            "Unexpected errors of background work; the log has their tracebacks.",
            *("work", *studio),
        )
        self._deliveries = counter(
            "bridge_deliveries",
            "Requests to the receivers of alerts and of changes, by outcome.",
            *("receiver", "outcome", *studio),
        )
        self._store_errors = counter(
            "bridge_store_errors", "Failed operations of the store.", "operation"
        )
        self._store_failing = Gauge(
            "bridge_store_failing_workers",
            "Workers that currently use their own memory, because the store fails.",
            multiprocess_mode="livesum",
            registry=self._registry,
        )
        self._log_dropped = counter(
            "bridge_log_lines_dropped",
            "Log lines that were dropped, because standard error could not be written.",
        )
        self._render_seconds = histogram(
            "bridge_render_seconds",
            "Duration of rendering feeds and pages.",
            _RENDER_BUCKETS,
            *("form", *studio),
        )

    def of(self, studio: str) -> "Metrics":
        """These metrics, counted for one studio.

        Args:
            studio: its slug; empty without one.
        """
        metrics = copy(self)
        metrics._studio = (studio,) if self._studio else ()
        return metrics

    def _of_studio(self, metric: AnyMetric) -> AnyMetric:
        """A metric without labels of its own, for the studio."""
        return metric.labels(*self._studio) if self._studio else metric

    def log_line_dropped(self) -> None:
        """A log line could not be written."""
        self._log_dropped.inc()

    def requests(self, route: str, method: str, status: str, cache: str) -> Counter:
        """The counter for these labels. Each label must come from a fixed set of values."""
        return self._requests.labels(route, method, status, cache, *self._studio)

    def durations(self, route: str, status_class: str) -> Histogram:
        """The histogram for these labels. Each label must come from a fixed set of values."""
        return self._durations.labels(route, status_class)

    def page_requested(self, outcome: str) -> None:
        self._attempts.labels(_outcome_label(outcome), *self._studio).inc()

    def walk_finished(self, outcome: str, seconds: float, pages: int) -> None:
        self._walks.labels(_outcome_label(outcome), *self._studio).inc()
        self._of_studio(self._pages).inc(pages)
        if outcome == COMPLETE:
            self._of_studio(self._walk_seconds).observe(seconds)

    def lease_waited(self, seconds: float) -> None:
        self._of_studio(self._lease_waits).observe(seconds)

    def background_failed(self, work: str) -> None:
        self._background_errors.labels(work, *self._studio).inc()

    def delivery_ended(self, receiver: str, outcome: str) -> None:
        self._deliveries.labels(receiver, outcome, *self._studio).inc()

    def store_failed(self, operation: str) -> None:
        self._store_errors.labels(operation).inc()
        self._store_failing.set(1)

    def store_recovered(self) -> None:
        self._store_failing.set(0)

    @contextmanager
    def rendering(self, form: str) -> Iterator[None]:
        with self._render_seconds.labels(form, *self._studio).time():
            yield

    def add_gauges(self, source: GaugeSource) -> None:
        """Include in each scrape the gauges that *source* then reads."""
        self._gauge_sources.append((self._studio, source))

    def exposition(self) -> bytes:
        """The metrics of all workers of this machine, in Prometheus' text format."""
        workers, counts = [os.getpid()], self._registry.collect()
        directory = os.environ.get(DIR_VARIABLE)
        if directory and os.path.isdir(directory):
            workers = _living_workers(Path(directory))
            # The library has no types for it.
            counts = MultiProcessCollector(None).collect()  # type: ignore[no-untyped-call]
        families = [_build_info(), *counts, *_processes(workers)]
        families += _gauges(self._gauge_sources)
        return generate_latest(_Families(families))


class _Families(CollectorRegistry):
    """Metric families that were collected already."""

    def __init__(self, families: Iterable[Metric]) -> None:
        super().__init__()
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _build_info() -> Metric:
    family = GaugeMetricFamily("bridge_build_info", "1, with the version.", labels=("version",))
    family.add_metric((__version__,), 1)
    return family


def _gauges(sources: Iterable[tuple[tuple[str, ...], GaugeSource]]) -> Iterable[Metric]:
    """The gauges of all sources, each with its studio as a further label."""
    families: dict[str, GaugeMetricFamily] = {}
    for studio, source in sources:
        for name, help_text, labels, value in source():
            if name not in families:
                names = [*labels, *(["studio"] if studio else [])]
                families[name] = GaugeMetricFamily(name, help_text, labels=names)
            families[name].add_metric([*labels.values(), *studio], value)
    return families.values()


def _processes(pids: Iterable[int]) -> Iterable[Metric]:
    """CPU time, memory and open files of these processes, which any of them can read."""
    families: dict[str, Metric] = {}
    for pid in pids:
        collector = ProcessCollector(namespace="bridge", pid=partial(int, pid), registry=None)
        for metric in collector.collect():
            family = Metric(metric.name, metric.documentation, metric.type)
            for sample in metric.samples:
                families.setdefault(metric.name, family).add_sample(
                    sample.name, {**sample.labels, "pid": str(pid)}, sample.value
                )
    return families.values()


def _outcome_label(code: str) -> str:
    """*code* as a label value: upstream's own codes are unlimited in number, so they share one."""
    return code if code == COMPLETE else public_code(code)


def _living_workers(directory: Path) -> list[int]:
    """The workers of this machine that run.

    The live gauges of others are removed; their counts are kept.
    """
    # Each worker has a live gauge from its start.
    files = directory.glob("gauge_live*_*.db")
    living = []
    for pid in sorted({int(file.stem.rpartition("_")[2]) for file in files}):
        if runs(pid):
            living.append(pid)
            continue
        with suppress(FileNotFoundError):  # another worker has removed them already
            mark_process_dead(pid, str(directory))  # type: ignore[no-untyped-call]
    return living
