"""Walks without an upstream: made-up sessions, a fake walker, and a worker's cache that uses it."""

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from clocks import ManualClock

from bridge.errors import UpstreamError
from bridge.filters import FilterSet
from bridge.model import (
    ClassSession,
    Course,
    Instructor,
    OfferingType,
    SourceName,
    Venue,
    Visibility,
)
from bridge.ops.alerts import Alerts
from bridge.snapshots.backoff import Backoff
from bridge.snapshots.bulkhead import Bulkhead
from bridge.snapshots.cache import SnapshotCache
from bridge.snapshots.change_log import ChangeLogs
from bridge.snapshots.freshness import FreshnessPolicy
from bridge.snapshots.key_registry import KeyRegistry
from bridge.snapshots.local_cache import LocalCache
from bridge.snapshots.merge import MergeRules
from bridge.snapshots.publisher import Publisher
from bridge.snapshots.refresh import Refresher
from bridge.snapshots.router import SnapshotRouter
from bridge.snapshots.session_history import SessionHistory
from bridge.snapshots.single_flight import Flight
from bridge.snapshots.snapshot_key import SnapshotKey
from bridge.snapshots.source_router import NarrowRouter, SourceRouter, WideRouter
from bridge.store.interface import Store
from bridge.store.keys import Keys
from bridge.store.request_budget import SharedRequestBudget
from bridge.upstream.budget import Purpose
from bridge.upstream.pagination import Walk
from bridge.upstream.sources import SOURCES

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
AT = int(NOW.timestamp())
KEYS = Keys("account")
FRESHNESS = FreshnessPolicy(ttl=300, stale_while_revalidate=3600, stale_if_error=604800)
HOUR = timedelta(hours=1)
TOMORROW = NOW + timedelta(days=1)
TIMEOUT = 20.0

RIVERSIDE = Venue(12, "Riverside", "4 Wharf Road, Bristol", "Europe/London", 51.4, -2.6)
CHAPEL = Venue(13, "Old Chapel", "19 Chapel Lane, Bath", "Europe/London", 51.3, -2.3)
YOGA = OfferingType(31, "Yoga", "Bring a mat.", "Mind", "#2f855a", Visibility.PUBLIC)


def session(id: int = 1, start: datetime | None = None, **fields: Any) -> ClassSession:
    """A public class of an hour at Riverside, tomorrow; *fields* replace the defaults."""
    start = start or TOMORROW + (id - 1) % 200 * HOUR
    plain = ClassSession(
        source="course_session",
        id=id,
        title="Vinyasa",
        start=start,
        end=start + HOUR,
        attending=4,
        capacity=12,
        venue=RIVERSIDE,
        instructors=(Instructor(11, "Zoë"),),
        course=Course(51, "Mornings"),
        offering_type=YOGA,
        booking_url="https://studio.example/p/1",
        staff_url="https://staff.example/1",
    )
    return replace(plain, **fields)


def sessions(number: int, first_id: int = 1, **fields: Any) -> list[ClassSession]:
    """*number* upcoming classes, one per hour from tomorrow on."""
    return [session(first_id + n, **fields) for n in range(number)]


def walk(
    sessions: Iterable[ClassSession], at: float = AT, *, unusable: Collection[int] = ()
) -> Walk:
    """A complete walk that began at *at* and returned *sessions*."""
    return Walk(float(at), tuple(sessions), frozenset(unusable), {}, 1)


def key(filter_set: FilterSet, source: SourceName = SourceName.COURSE_SESSIONS) -> SnapshotKey:
    """The key of the snapshot of *filter_set* from one source."""
    return SnapshotKey(source, filter_set)


@dataclass
class FakeWalker:
    """Takes sessions from a list.

    Attributes:
        timetable: the sessions that upstream lists.
        error: raised by each walk.
        gate: walks wait until it is set.
        requested: the filter sets of all walks so far.
        purposes: the purposes of all walks so far.
        entered: set when a walk begins.
        can_fetch_by_ids: whether upstream has a parameter for ids.
    """

    clock: ManualClock
    timetable: list[ClassSession] = field(default_factory=list)
    error: UpstreamError | None = None
    gate: threading.Event = field(default_factory=threading.Event)
    requested: list[FilterSet] = field(default_factory=list)
    purposes: list[Purpose] = field(default_factory=list)
    entered: threading.Event = field(default_factory=threading.Event)
    can_fetch_by_ids: bool = False

    def __post_init__(self) -> None:
        self.gate.set()

    def walk(
        self,
        filter_set: FilterSet,
        *,
        purpose: Purpose = Purpose.LIVE,
        heartbeat: Callable[[], None] = lambda: None,
    ) -> Walk:
        """A walk for *filter_set*."""
        started = self.clock.now()
        self.requested.append(filter_set)
        self.purposes.append(purpose)
        self.entered.set()
        assert self.gate.wait(TIMEOUT)
        heartbeat()
        if self.error is not None:
            raise self.error
        day = datetime.fromtimestamp(started, UTC).date()
        matching = (session for session in self.timetable if filter_set.may_match(session, day))
        return walk(matching, started)


class SkippingClock(ManualClock):
    """While ``skip_waits`` is true, waiting moves the clock on and returns at once."""

    skip_waits = False

    def wait(self, event: threading.Event, seconds: float) -> bool:
        if not self.skip_waits:
            return super().wait(event, seconds)
        self.waited.append(seconds)
        self.move(seconds)
        return event.is_set()


class FollowedRefresher(Refresher):
    """Lets a test wait until all refreshes have ended."""

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        self._flights: list[Flight] = []

    def refresh(self, *args: Any, **kwargs: Any) -> Flight | None:
        flight = super().refresh(*args, **kwargs)
        if flight is not None:
            self._flights.append(flight)
        return flight

    def wait_until_idle(self) -> None:
        """Wait until no refresh is running."""
        while self._flights:
            assert self._flights.pop().wait(TIMEOUT)


@dataclass
class Worker:
    """One process's cache. Workers with the same store share their snapshots.

    Attributes:
        walker: of all sources that have none in *walkers*.
    """

    clock: ManualClock
    store: Store
    walker: FakeWalker
    freshness: FreshnessPolicy = FRESHNESS
    walkers: Mapping[SourceName, FakeWalker] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.local_cache = LocalCache(self.store, KEYS, self.clock)
        self.backoff = Backoff(self.store, KEYS)
        self.alerts = Alerts(self.store, KEYS, None)
        self.budget = SharedRequestBudget(self.store, KEYS, per_minute=200)
        self.registry = KeyRegistry(self.store, KEYS, self.clock)
        self.publisher = Publisher(
            store=self.store,
            keys=KEYS,
            local_cache=self.local_cache,
            freshness=self.freshness,
            history=SessionHistory(self.store, KEYS),
            change_logs=ChangeLogs(self.store, KEYS),
            alerts=self.alerts,
        )
        self.refresher = FollowedRefresher(
            store=self.store,
            keys=KEYS,
            local_cache=self.local_cache,
            walkers={**dict.fromkeys(SourceName, self.walker), **self.walkers},  # type: ignore[arg-type]
            publisher=self.publisher,
            freshness=self.freshness,
            backoff=self.backoff,
            clock=self.clock,
        )
        self.cache = SnapshotCache(
            store=self.store,
            local_cache=self.local_cache,
            refresher=self.refresher,
            freshness=self.freshness,
            backoff=self.backoff,
            history=SessionHistory(self.store, KEYS),
            registry=self.registry,
            budget=self.budget,
            clock=self.clock,
            bulkhead=Bulkhead(),
        )

    def flight(self, filter_set: FilterSet, rules: MergeRules) -> Flight:
        """The running refresh of *filter_set*, or a new one, which may have nothing to do."""
        flight = self.refresher.refresh(key(filter_set), rules, None)
        assert flight is not None
        return flight

    def settle(self, filter_set: FilterSet, rules: MergeRules) -> None:
        """Wait until the refresh of *filter_set* has ended."""
        assert self.flight(filter_set, rules).wait(TIMEOUT)


def single_source_router(
    worker: Worker,
    clock: ManualClock,
    *,
    narrow: bool = False,
    past: int = 30,
    shrink_hold: float,
) -> SnapshotRouter:
    """A router with the course sessions as its only source."""
    name = SourceName.COURSE_SESSIONS
    source_router: SourceRouter
    if narrow:
        default = FilterSet(past=30, future=90)
        source_router = NarrowRouter(worker.cache, SOURCES[name], default, shrink_hold=shrink_hold)
    else:
        source_router = WideRouter(
            worker.cache, SOURCES[name], clock, past=past, shrink_hold=shrink_hold
        )
    return SnapshotRouter({name: source_router}, worker.cache, worker.backoff, clock)
