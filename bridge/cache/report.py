"""The report: how things stand, for the person who runs the bridge."""

from collections.abc import Iterator
from datetime import UTC, datetime

from bridge.cache.failures import Failures
from bridge.cache.plan import Plan
from bridge.cache.store import Store


class Report:
    """Reads from the cache what its owner wants to know; upstream is not asked."""

    def __init__(self, plan: Plan, failures: Failures, store: Store) -> None:
        self._plan = plan
        self._failures = failures
        self._store = store

    def lines(self) -> Iterator[tuple[str, str]]:
        """What is known, as names and values, both for people."""
        now = self._store.now()
        snapshot = self._plan.known()
        if snapshot is None:
            yield "last success", "none yet: no feed was asked for since the store began"
        else:
            age = max(0, int(now - snapshot.walked))
            yield "last success", f"{_time(snapshot.walked)}, {age} seconds ago"
            yield "sessions", str(len(snapshot.published))
            yield "held back", str(sum(one.held for one in snapshot.published))
            for reason, number in sorted(snapshot.tally.items()):
                yield reason, str(number)
        failure = self._failures.current(self._plan.widest)
        if failure is None:
            yield "last failure", "none is remembered"
        else:
            yield "last failure", f"{_time(failure.at)}, {failure.code}: {failure.text}"
            yield "failing since", f"{_time(failure.since)}, {failure.count} times in a row"
        if getattr(self._store, "failing", False):
            yield "store", "fails at present; this worker does with its memory"


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
