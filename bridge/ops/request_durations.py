"""The histogram of request durations, for many thousands of requests a second.

prometheus-client's own histogram costs up to 6 µs an observation when several workers share it in
files: a third of the time of a cached response. This one collects the observations of a second in
memory and adds them to counters, from which :func:`with_histogram` makes a histogram.
"""

import threading
from bisect import bisect_left
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import HistogramMetricFamily, Metric

NAME = "bridge_request_duration_seconds"
_HELP = "Time from the arrival of a request until its response is ready."
_LABELS = ("route", "status_class")
# Cached responses take less than a millisecond; a request waits for TeamUp for up to eight seconds.
_BUCKETS = (0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_PARTS = (*map(str, _BUCKETS), "+Inf")
_SUM = "sum"
_COUNTERS = "bridge_request_duration_parts"
_FLUSH_SECONDS = 1.0


class Durations:
    """The durations of one series.

    Args:
        counters: for each bucket, and for the sum.
    """

    def __init__(self, counters: list[Counter]) -> None:
        self._counters = counters
        self._lock = threading.Lock()
        self._pending = [0.0] * len(counters)
        self._flushed = 0.0

    def observe(self, seconds: float, *, now: float) -> None:
        """Add one duration.

        Args:
            now: the time, by :func:`time.monotonic`.
        """
        with self._lock:
            self._pending[bisect_left(_BUCKETS, seconds)] += 1
            self._pending[-1] += seconds
            due = now - self._flushed >= _FLUSH_SECONDS
            if due:
                self._flushed = now
        if due:
            self.flush()

    def flush(self) -> None:
        """Add what was collected to the counters."""
        with self._lock:
            pending, self._pending = self._pending, [0.0] * len(self._pending)
        for counter, amount in zip(self._counters, pending, strict=True):
            if amount:
                counter.inc(amount)


class RequestDurations:
    """The durations of all series of this process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._counter = Counter(_COUNTERS, _HELP, (*_LABELS, "part"), registry=registry)
        self._series: dict[tuple[str, str], Durations] = {}
        self._lock = threading.Lock()

    def labels(self, route: str, status_class: str) -> Durations:
        """The series with these labels. Each label must come from a fixed set of values."""
        labels = (route, status_class)
        with self._lock:
            if labels not in self._series:
                parts = [self._counter.labels(*labels, part) for part in (*_PARTS, _SUM)]
                self._series[labels] = Durations(parts)
            return self._series[labels]

    def flush(self) -> None:
        """Add what was collected to the counters."""
        with self._lock:
            series = list(self._series.values())
        for durations in series:
            durations.flush()


def with_histogram(families: Iterable[Metric]) -> Iterator[Metric]:
    """*families*, with the histogram in place of the counters of its parts."""
    for family in families:
        if family.name == _COUNTERS:
            yield _histogram(family)
        else:
            yield family


def _histogram(counters: Metric) -> Metric:
    parts: dict[tuple[str, ...], dict[str, float]] = {}
    for sample in counters.samples:
        if sample.name.endswith("_total"):
            labels = tuple(sample.labels[name] for name in _LABELS)
            parts.setdefault(labels, {})[sample.labels["part"]] = sample.value
    histogram = HistogramMetricFamily(NAME, _HELP, labels=_LABELS)
    for labels, values in parts.items():
        buckets, count = [], 0.0
        for part in _PARTS:
            count += values.get(part, 0.0)
            buckets.append((part, count))
        histogram.add_metric(labels, buckets, values.get(_SUM, 0.0))
    return histogram
