"""Walks without an upstream: sessions at will, a walker that can be held up, a cache before it."""

import threading
from collections.abc import Callable, Collection, Iterable
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
    Venue,
    Visibility,
)
from bridge.ops.alerts import Alerts
from bridge.snapshots.backoff import Backoff
from bridge.snapshots.bulkhead import Bulkhead
from bridge.snapshots.cache import SnapshotCache
from bridge.snapshots.freshness import FreshnessPolicy
from bridge.snapshots.key_registry import KeyRegistry
from bridge.snapshots.local_cache import LocalCache
from bridge.snapshots.merge import MergeRules
from bridge.snapshots.publisher import Publisher
from bridge.snapshots.refresh import Refresher
from bridge.snapshots.session_history import SessionHistory
from bridge.snapshots.single_flight import Flight
from bridge.store.interface import Store
from bridge.store.keys import Keys
from bridge.store.leases import Lease, acquire
from bridge.store.rate_limit import SharedRequestBudget
from bridge.upstream.budget import Purpose
from bridge.upstream.pagination import Walk

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
AT = int(NOW.timestamp())
KEYS = Keys("account")
LIFETIMES = FreshnessPolicy(ttl=300, stale_while_revalidate=3600, stale_if_error=604800)
HOUR = timedelta(hours=1)
TOMORROW = NOW + timedelta(days=1)
LONG_ENOUGH = 20.0

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
    """So many classes to come, an hour after another from tomorrow."""
    return [session(first_id + n, **fields) for n in range(number)]


def walk(found: Iterable[ClassSession], at: float = AT, *, unusable: Collection[int] = ()) -> Walk:
    """A complete walk that began at *at* and came to *found*."""
    return Walk(float(at), tuple(found), frozenset(unusable), {}, 1)


@dataclass
class FakeWalker:
    """Answers from a list.

    Attributes:
        timetable: what upstream has.
        error: raised instead of an answer.
        gate: walks wait here until it is set.
        asked: every question so far.
    """

    clock: ManualClock
    timetable: list[ClassSession] = field(default_factory=list)
    error: UpstreamError | None = None
    gate: threading.Event = field(default_factory=threading.Event)
    asked: list[FilterSet] = field(default_factory=list)
    purposes: list[Purpose] = field(default_factory=list)
    entered: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    def walk(
        self,
        filter_set: FilterSet,
        *,
        purpose: Purpose = Purpose.LIVE,
        heartbeat: Callable[[], None] = lambda: None,
    ) -> Walk:
        """What there is for *filter_set*."""
        started = self.clock.now()
        self.asked.append(filter_set)
        self.purposes.append(purpose)
        self.entered.set()
        assert self.gate.wait(LONG_ENOUGH)
        heartbeat()
        if self.error is not None:
            raise self.error
        day = datetime.fromtimestamp(started, UTC).date()
        return walk((one for one in self.timetable if filter_set.matches(one, day)), started)


class HurriedClock(ManualClock):
    """While ``hurried``, whoever waits finds that the time has passed."""

    hurried = False

    def wait(self, event: threading.Event, seconds: float) -> bool:
        if not self.hurried:
            return super().wait(event, seconds)
        self.waited.append(seconds)
        self.move(seconds)
        return event.is_set()


class FollowedRefresher(Refresher):
    """Lets a test wait for whatever was begun."""

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        self._begun: list[Flight] = []

    def refresh(self, *args: Any, **named: Any) -> Flight | None:
        flight = super().refresh(*args, **named)
        if flight is not None:
            self._begun.append(flight)
        return flight

    def finished(self) -> None:
        """Wait until nothing is under way."""
        while self._begun:
            assert self._begun.pop().wait(LONG_ENOUGH)


@dataclass
class Worker:
    """One process's cache; workers that are given the same store share what they publish."""

    clock: ManualClock
    store: Store
    walker: FakeWalker
    freshness: FreshnessPolicy = LIFETIMES

    def __post_init__(self) -> None:
        self.local_cache = LocalCache(self.store, KEYS, self.clock)
        self.failures = Backoff(self.store, KEYS)
        self.alerts = Alerts(self.store, KEYS, None)
        self.budget = SharedRequestBudget(self.store, KEYS, per_minute=200)
        self.asked = KeyRegistry(self.store, KEYS, self.clock)
        self.publisher = Publisher(
            store=self.store,
            keys=KEYS,
            local_cache=self.local_cache,
            freshness=self.freshness,
            alerts=self.alerts,
        )
        self.refresher = FollowedRefresher(
            store=self.store,
            keys=KEYS,
            local_cache=self.local_cache,
            walker=self.walker,  # type: ignore[arg-type]
            publisher=self.publisher,
            freshness=self.freshness,
            backoff=self.failures,
            clock=self.clock,
        )
        self.cache = SnapshotCache(
            store=self.store,
            local_cache=self.local_cache,
            refresher=self.refresher,
            freshness=self.freshness,
            backoff=self.failures,
            history=SessionHistory(self.store, KEYS),
            registry=self.asked,
            budget=self.budget,
            clock=self.clock,
            bulkhead=Bulkhead(),
        )

    def flight(self, filter_set: FilterSet, rules: MergeRules) -> Flight:
        """The refresh of *filter_set* that is under way, or one that finds nothing to do."""
        flight = self.refresher.refresh(filter_set, rules, None)
        assert flight is not None
        return flight

    def settle(self, filter_set: FilterSet, rules: MergeRules) -> None:
        """Let the refresh of *filter_set* come to its end."""
        assert self.flight(filter_set, rules).wait(LONG_ENOUGH)

    def lease(self, name: str = "anything") -> Lease:
        """A lease that nobody else holds."""
        lease = acquire(self.store, KEYS, name)
        assert lease is not None
        return lease
