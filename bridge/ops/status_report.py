"""The report: how things stand, for the person who runs the bridge."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bridge.errors import ParameterError
from bridge.feeds.selection import HIDDEN_REASONS, hidden_reason
from bridge.feeds.spec import Audience
from bridge.filters import FilterSet
from bridge.ops.usage import FeedUsage, ReadCount, UsageCounter
from bridge.snapshots.backoff import Backoff, Failure
from bridge.snapshots.freshness import FreshnessPolicy
from bridge.snapshots.router import SnapshotRouter
from bridge.snapshots.snapshot import Snapshot
from bridge.store.interface import Store
from bridge.store.rate_limit import SharedRequestBudget

Gauge = tuple[str, str, dict[str, str], float]


@dataclass(frozen=True, slots=True)
class SnapshotCounts:
    """What a snapshot holds.

    Attributes:
        listed: sessions, those to come and those that are over.
        held: of them, how many upstream lists no more, while that is not believed yet.
        gone: of them, how many upstream lists no more, and are shown as cancelled.
        hidden: of them, how many the public may not see, by reason.
        dropped, repaired: rows of upstream's that could not be used, and those that were used
            otherwise than they came, by what was wrong.
    """

    listed: int
    held: int
    gone: int
    hidden: Mapping[str, int]
    dropped: Mapping[str, int]
    repaired: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """A feed that was asked for lately.

    Attributes:
        walked: when what it is cut from was asked of upstream; None where no copy is left.
    """

    readership: FeedUsage
    walked: float | None


@dataclass(frozen=True, slots=True)
class BridgeStatus:
    """How things stand. Times are in seconds since 1970, spans in seconds.

    Attributes:
        walked: the last success: when the walk began.
        left: for how long its snapshot is still fresh; negative once it is stale.
        expires: for how long it would be served if upstream failed from now on.
        failure: the last one, over or not.
        failing: whether upstream fails at present.
        numbers: of the widest snapshot, if there is one.
        feeds: the one that was read last comes first.
        families: what each family of clients has read.
        store_failing: whether this process does with its memory.
    """

    now: float
    walked: float | None
    left: float | None
    expires: float | None
    failure: Failure | None
    failing: bool
    numbers: SnapshotCounts | None
    feeds: tuple[FeedStatus, ...]
    families: Mapping[str, ReadCount]
    store_failing: bool


class StatusReport:
    """Reads from the cache what its owner wants to know; upstream is not asked.

    Args:
        audience: of the public feeds.
    """

    def __init__(
        self,
        *,
        router: SnapshotRouter,
        backoff: Backoff,
        usage: UsageCounter,
        budget: SharedRequestBudget,
        freshness: FreshnessPolicy,
        store: Store,
        audience: Audience,
    ) -> None:
        self._router = router
        self._backoff = backoff
        self._usage = usage
        self._budget = budget
        self._freshness = freshness
        self._store = store
        self._audience = audience
        self._counted: tuple[Snapshot, SnapshotCounts] | None = None

    def standing(self) -> BridgeStatus:
        """How things stand."""
        now = self._store.now()
        snapshot = self._router.peek_widest()
        walked = snapshot.walked if snapshot else None
        left = None if walked is None else self._left(walked, now)
        return BridgeStatus(
            now=now,
            walked=walked,
            left=left,
            expires=None if left is None else left + self._freshness.stale_if_error,
            failure=self._backoff.last(),
            failing=self._backoff.current(self._router.widest_key) is not None,
            numbers=self._numbers(snapshot) if snapshot else None,
            feeds=tuple(map(self._feed, self._usage.feeds())),
            families=self._usage.families(),
            store_failing=self._store.failing,
        )

    def gauges(self) -> Iterator[Gauge]:
        """What the whole fleet shares, for :class:`~bridge.ops.metrics.Metrics`."""
        now = self._store.now()
        failing = self._backoff.current(self._router.widest_key) is not None
        yield "bridge_upstream_failing", "Whether TeamUp fails at present.", {}, float(failing)
        budget = float(self._budget.left())
        yield "bridge_budget_left", "Requests that TeamUp may be sent just now.", {}, budget
        quiet = self._budget.cooldown_left()
        yield "bridge_cool_down_seconds", "For how long TeamUp is not to be asked.", {}, quiet
        snapshot = self._router.peek_widest()
        if snapshot is not None:
            yield from self._of_snapshot(snapshot, now)

    def _of_snapshot(self, snapshot: Snapshot, now: float) -> Iterator[Gauge]:
        left = self._left(snapshot.walked, now)
        for name, said, value in (
            ("age", "Since the walk of the widest snapshot.", now - snapshot.walked),
            ("fresh", "For how long it is fresh; negative once it is stale.", left),
            (
                "expiry",
                "For how long it would be served if TeamUp failed.",
                left + self._freshness.stale_if_error,
            ),
        ):
            yield f"bridge_snapshot_{name}_seconds", said, {}, value
        numbers = self._numbers(snapshot)
        yield "bridge_sessions", "Sessions in the widest snapshot.", {}, numbers.listed
        yield (
            "bridge_sessions_held",
            "Sessions that TeamUp lists no more, and that stay for now.",
            {},
            numbers.held,
        )
        for name, said, counts in (
            ("withheld", "Sessions that the public may not see.", numbers.hidden),
            ("dropped", "Rows of the last walk that could not be used.", numbers.dropped),
            ("repaired", "Rows of the last walk that were put right.", numbers.repaired),
        ):
            for reason, number in counts.items():
                yield f"bridge_sessions_{name}", said, {"reason": reason}, number

    def _left(self, walked: float, now: float) -> float:
        return self._freshness.left(self._router.widest_key, walked, now)

    def _feed(self, readership: FeedUsage) -> FeedStatus:
        try:
            snapshot = self._router.peek(FilterSet.of_key(readership.feed.key))
        except ParameterError:  # noted by another version of the program
            snapshot = None
        return FeedStatus(readership, snapshot.walked if snapshot else None)

    def _numbers(self, snapshot: Snapshot) -> SnapshotCounts:
        counted = self._counted
        if counted is None or counted[0] is not snapshot:
            counted = self._counted = (snapshot, _count(snapshot, self._audience))
        return counted[1]


def _count(snapshot: Snapshot, audience: Audience) -> SnapshotCounts:
    reasons = (hidden_reason(one.session, audience) for one in snapshot.published)
    hidden = Counter(filter(None, reasons))
    odd = [(*reason.partition(": ")[::2], number) for reason, number in snapshot.tally.items()]
    return SnapshotCounts(
        listed=len(snapshot.published),
        held=sum(one.held for one in snapshot.published),
        gone=sum(one.vanished for one in snapshot.published),
        hidden={reason: hidden[reason] for reason in HIDDEN_REASONS},
        dropped={why: number for kind, why, number in odd if kind == "dropped"},
        repaired={why: number for kind, why, number in odd if kind != "dropped"},
    )
