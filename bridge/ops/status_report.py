"""The status report for the operator: health of upstream and store, sessions, feeds and clients."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.errors import ParameterError
from bridge.feeds.changes import ChangeKind
from bridge.feeds.selection import HIDDEN_REASONS, hidden_reason
from bridge.feeds.spec import Audience
from bridge.filter_params import filters_of_key
from bridge.ops.change_counts import ChangeCounts
from bridge.ops.clashes import Clashes, ClashKind, ClashReport
from bridge.ops.metrics import GaugeValue
from bridge.ops.sender import DeliveryFailure, Sender
from bridge.ops.usage import FeedUsage, ReadCount, UsageCounter
from bridge.snapshots.backoff import Backoff, Failure
from bridge.snapshots.freshness import FreshnessPolicy
from bridge.snapshots.router import SnapshotRouter, SourceState
from bridge.snapshots.snapshot import Snapshot
from bridge.store.interface import Store
from bridge.store.request_budget import SharedRequestBudget
from bridge.upstream.parser import APPOINTMENTS

APPOINTMENT = "appointment"
"""Why a row of upstream is in no feed at all, beside the reasons of the selection."""


@dataclass(frozen=True, slots=True)
class SnapshotCounts:
    """Numbers of sessions in a snapshot.

    Attributes:
        listed: all sessions, past and upcoming.
        held: sessions that upstream no longer lists, but that stay published for now.
        gone: tombstones: sessions that upstream no longer lists, published as cancelled.
        hidden: sessions that the public may not see, by reason; and private appointments.
        dropped: upstream rows that were unusable, by reason.
        repaired: upstream rows that were used although a value was missing or unknown, by reason.
    """

    listed: int
    held: int
    gone: int
    hidden: Mapping[str, int]
    dropped: Mapping[str, int]
    repaired: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """A feed that was read recently.

    Attributes:
        walked: the time of the walk behind the feed's snapshot; None if no copy exists.
    """

    usage: FeedUsage
    walked: float | None


@dataclass(frozen=True, slots=True)
class DeliveryStatus:
    """What a receiver of alerts or changes has not accepted.

    Attributes:
        waiting: the number of messages.
        failure: why it does not accept them at present.
    """

    waiting: int
    failure: DeliveryFailure | None


@dataclass(frozen=True, slots=True)
class BridgeStatus:
    """The state of the bridge. Times are in seconds since 1970, durations in seconds.

    Attributes:
        walked: when the last successful walk began; of several sources the earliest.
        failure: the last failure, even if it is over.
        failing: whether upstream fails at present.
        sources: those of the timetable.
        counts: of the widest snapshot, if it exists.
        feeds: the most recently read feed comes first.
        families: reads by client family.
        changes: how many sessions changed in the last week, by kind of change.
        clashes: in the timetable to come.
        deliveries: by receiver, of those that are set.
        store_failing: whether this process uses its own memory instead of the store.
    """

    now: float
    walked: float | None
    failure: Failure | None
    failing: bool
    sources: Sequence[SourceState]
    counts: SnapshotCounts | None
    feeds: tuple[FeedStatus, ...]
    families: Mapping[str, ReadCount]
    changes: Mapping[ChangeKind, int]
    clashes: Clashes
    deliveries: Mapping[str, DeliveryStatus]
    store_failing: bool


class StatusReport:
    """Collects the status from the caches and the store; never contacts upstream.

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
        changes: ChangeCounts,
        clashes: ClashReport,
        senders: Sequence[Sender[Any]],
    ) -> None:
        self._router = router
        self._backoff = backoff
        self._usage = usage
        self._budget = budget
        self._freshness = freshness
        self._store = store
        self._audience = audience
        self._changes = changes
        self._clashes = clashes
        self._senders = senders
        self._cached_counts: tuple[Snapshot, SnapshotCounts] | None = None

    def status(self) -> BridgeStatus:
        """The current state of the bridge."""
        snapshot = self._router.peek_widest()
        states = self._router.states()
        now = self._store.now()
        return BridgeStatus(
            now=now,
            walked=snapshot.oldest_walk_at if snapshot else None,
            failure=self._backoff.last(),
            failing=_failing(states),
            sources=states,
            counts=self._counts(snapshot) if snapshot else None,
            feeds=tuple(map(self._feed, self._usage.feeds())),
            families=self._usage.families(),
            changes=self._changes.current(now),
            clashes=self._clashes.current(now),
            deliveries={
                sender.outbox.name: DeliveryStatus(sender.outbox.waiting(), sender.failure())
                for sender in self._senders
            },
            store_failing=self._store.failing,
        )

    def gauges(self) -> Iterator[GaugeValue]:
        """The state that the whole fleet shares, for :mod:`bridge.ops.metrics`."""
        now = self._store.now()
        states = self._router.states()
        failing = float(_failing(states))
        yield "bridge_upstream_failing", "Whether TeamUp fails at present.", {}, failing
        budget = float(self._budget.left())
        yield "bridge_budget_left", "Requests to TeamUp that the budget allows now.", {}, budget
        cooldown = self._budget.cooldown_left()
        yield (
            "bridge_cool_down_seconds",
            "How long no requests are sent to TeamUp, because it asked for a pause.",
            {},
            cooldown,
        )
        for state in states:
            yield from _source_gauges(state, now)
        for sender in self._senders:
            yield (
                "bridge_deliveries_waiting",
                "Messages that a receiver has not accepted.",
                {"receiver": sender.outbox.name},
                sender.outbox.waiting(),
            )
        snapshot = self._router.peek_widest()
        fresh_for = [
            self._freshness.fresh_for(state.key.filter_set.key, state.snapshot.oldest_walk_at, now)
            for state in states
            if state.snapshot is not None
        ]
        # The first walk may end between the two look-ups.
        if snapshot is not None and fresh_for:
            yield from self._snapshot_gauges(snapshot, min(fresh_for), now)
            changes = self._changes.current(now)
            for change_kind in ChangeKind:
                labels = {"kind": change_kind.value}
                count = changes.get(change_kind, 0)
                yield "bridge_changes_week", "Changes in the last seven days.", labels, count
            clashes = self._clashes.current(now)
            for kind in ClashKind:
                help_text = "Clashes in the timetable to come."
                yield "bridge_clashes", help_text, {"kind": kind.value}, clashes.count(kind)

    def _snapshot_gauges(
        self, snapshot: Snapshot, fresh_for: float, now: float
    ) -> Iterator[GaugeValue]:
        for name, help_text, value in (
            ("age", "Age of the widest snapshot.", now - snapshot.oldest_walk_at),
            ("fresh", "How long it is still fresh; negative once it is stale.", fresh_for),
            (
                "expiry",
                "How long it could be served if TeamUp failed from now on.",
                fresh_for + self._freshness.stale_if_error,
            ),
        ):
            yield f"bridge_snapshot_{name}_seconds", help_text, {}, value
        counts = self._counts(snapshot)
        yield "bridge_sessions", "Sessions in the widest snapshot.", {}, counts.listed
        yield (
            "bridge_sessions_held",
            "Sessions that TeamUp no longer lists, but that stay published for now.",
            {},
            counts.held,
        )
        for name, help_text, by_reason in (
            ("withheld", "Sessions that the public may not see.", counts.hidden),
            ("dropped", "Unusable rows of the last walk.", counts.dropped),
            (
                "repaired",
                "Rows used although a value was missing.",
                counts.repaired,
            ),
        ):
            for reason, count in by_reason.items():
                yield f"bridge_sessions_{name}", help_text, {"reason": reason}, count

    def _feed(self, usage: FeedUsage) -> FeedStatus:
        try:
            snapshot = self._router.peek(filters_of_key(usage.feed.key))
        except ParameterError:  # recorded by another version of the program
            snapshot = None
        return FeedStatus(usage, snapshot.oldest_walk_at if snapshot else None)

    def _counts(self, snapshot: Snapshot) -> SnapshotCounts:
        cached = self._cached_counts
        if cached is None or cached[0] is not snapshot:
            cached = self._cached_counts = (snapshot, _count(snapshot, self._audience))
        return cached[1]


def _failing(states: list[SourceState]) -> bool:
    return any(state.failure and not state.left_out for state in states)


def _source_gauges(state: SourceState, now: float) -> Iterator[GaugeValue]:
    labels = {"source": state.source.value}
    failing = float(state.failure is not None)
    yield (
        "bridge_source_failing",
        "Whether one of TeamUp's lists fails at present.",
        labels,
        failing,
    )
    if state.snapshot is not None:
        age = now - state.snapshot.oldest_walk_at
        yield "bridge_source_age_seconds", "Age of the copy of one list.", labels, age


def _count(snapshot: Snapshot, audience: Audience) -> SnapshotCounts:
    now = snapshot.newest_walk_at
    reasons = (hidden_reason(entry, audience, now) for entry in snapshot.published)
    hidden = Counter(filter(None, reasons))
    hidden[APPOINTMENT] = snapshot.tally.get(APPOINTMENTS, 0)
    # The keys of the tally are such as "dropped: no usable id".
    rows = [
        (*reason.partition(": ")[::2], count)
        for reason, count in snapshot.tally.items()
        if reason != APPOINTMENTS
    ]
    return SnapshotCounts(
        listed=len(snapshot.published),
        held=sum(entry.held for entry in snapshot.published),
        gone=sum(entry.is_tombstone for entry in snapshot.published),
        hidden={reason: hidden[reason] for reason in (*HIDDEN_REASONS, APPOINTMENT)},
        dropped={reason: count for kind, reason, count in rows if kind == "dropped"},
        repaired={reason: count for kind, reason, count in rows if kind != "dropped"},
    )
