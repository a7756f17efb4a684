"""A worker that starts while the store is down: what is stored survives what it publishes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from clocks import ManualClock
from faulty_store import DOWN, FaultyStore
from walking import (
    FRESHNESS,
    KEYS,
    YOGA,
    FakeWalker,
    SkippingClock,
    Worker,
    key,
    session,
    sessions,
)

from bridge.filters import FilterSet
from bridge.model import Published, Status, Visibility
from bridge.snapshots.cache import Lookup
from bridge.snapshots.encoding import decode
from bridge.snapshots.merge import MergeRules
from bridge.snapshots.snapshot import Snapshot
from bridge.store.fallback import FallbackStore
from bridge.store.interface import Entry, Write
from bridge.store.memory import MemoryStore

WHOLE = FilterSet(past=30)
RULES = MergeRules(wide=True, shrink_hold=21_600)
PAST_TTL = FRESHNESS.ttl * 1.2


@pytest.fixture
def primary(clock: ManualClock) -> FaultyStore:
    return FaultyStore(clock)


def start(clock: SkippingClock, primary: FaultyStore, walker: FakeWalker) -> Worker:
    return Worker(clock, FallbackStore(primary, clock), walker)


def refresh(worker: Worker) -> None:
    worker.clock.move(PAST_TTL)
    worker.settle(WHOLE, RULES)


def get(worker: Worker) -> Lookup:
    return worker.cache.get(key(WHOLE), RULES)


def served(worker: Worker) -> dict[int, Published]:
    return {entry.session.id: entry for entry in get(worker).snapshot.published}


def stored(store: MemoryStore) -> Snapshot:
    name = KEYS.snapshot(key(WHOLE).text)
    return decode(store.read([name])[name].value)


@pytest.fixture
def first(clock: SkippingClock, primary: FaultyStore, walker: FakeWalker) -> Worker:
    """Has published 43 sessions, of which 40 are held because the last walk lacked them."""
    worker = start(clock, primary, walker)
    walker.timetable = sessions(43)
    get(worker)
    walker.timetable = sessions(3)
    refresh(worker)
    assert sum(entry.held for entry in served(worker).values()) == 40
    return worker


def test_held_sessions_history_and_revisions_survive_a_start_without_the_store(
    clock: SkippingClock, primary: FaultyStore, walker: FakeWalker, first: Worker
) -> None:
    before = served(first)
    covers_from = stored(primary).covers_from
    clock.move(10 * 86_400)
    walker.timetable = [session(1, title="Hatha"), *sessions(2, first_id=2)]
    primary.fault = DOWN
    restarted = start(clock, primary, walker)
    meanwhile = served(restarted)
    assert meanwhile.keys() == {1, 2, 3}
    primary.fault = None
    refresh(restarted)
    after = served(restarted)
    assert after.keys() == before.keys()
    assert after == {entry.session.id: entry for entry in stored(primary).published}
    assert sum(entry.held for entry in after.values()) == 40 - sum(
        entry.session.ends.timestamp() <= clock.now() for id, entry in before.items() if id > 3
    )
    assert after[1].session.title == "Hatha"
    assert stored(primary).covers_from == covers_from
    for id, entry in after.items():
        assert entry.revision.created == before[id].revision.created
        assert entry.revision.sequence >= before[id].revision.sequence
    for id, entry in meanwhile.items():
        assert after[id].revision.sequence >= entry.revision.sequence
        assert after[id].revision.content >= entry.revision.content


def test_stored_sessions_are_served_as_soon_as_the_store_can_be_read_again(
    clock: SkippingClock, primary: FaultyStore, walker: FakeWalker, first: Worker
) -> None:
    primary.fault = DOWN
    clock.move(60)
    private = replace(YOGA, visibility=Visibility.PRIVATE)
    walker.timetable = sessions(3, offering_type=private)
    restarted = start(clock, primary, walker)
    version = get(restarted).version
    primary.fault = None
    clock.move(11)
    # Any write shows that the store works.
    restarted.budget.cool_down(0)
    assert served(restarted).keys() == served(first).keys()
    assert {entry.session.visibility for entry in served(restarted).values()} == {
        Visibility.PRIVATE
    }, "also of the held ones: their type was made private"
    assert get(restarted).version != version
    assert len(walker.requested) == 3, "no walk was needed"


@pytest.mark.parametrize("earlier", ["with the copy", "restarted"])
def test_a_fleet_keeps_held_sessions_whichever_of_its_workers_publishes_first(
    earlier: str,
    clock: SkippingClock,
    primary: FaultyStore,
    walker: FakeWalker,
    first: Worker,
) -> None:
    everything = served(first).keys()
    primary.fault = DOWN
    restarted = start(clock, primary, walker)
    refresh(first)
    refresh(restarted)
    primary.fault = None
    order = [first, restarted] if earlier == "with the copy" else [restarted, first]
    for worker in order:
        refresh(worker)
    clock.move(2)
    for worker in order:
        assert served(worker).keys() == everything
        assert all(entry.session.status is Status.ACTIVE for entry in served(worker).values())
    assert stored(primary).by_identity.keys() == {("course_session", id) for id in everything}


class UnreadableStore(MemoryStore):
    """Seems empty until a transaction fails.

    Attributes:
        unreadable: whether reads find nothing.
    """

    unreadable = False

    def read(self, keys: Sequence[str]) -> dict[str, Entry]:
        return {} if self.unreadable else super().read(keys)

    def commit(
        self, writes: Mapping[str, Write], *, expect: Mapping[str, str | None] | None = None
    ) -> str | None:
        version = super().commit(writes, expect=expect)
        self.unreadable = self.unreadable and version is not None
        return version


def test_a_snapshot_that_could_not_be_read_is_not_overwritten(
    clock: SkippingClock, walker: FakeWalker
) -> None:
    store = UnreadableStore(clock)
    walker.timetable = sessions(43)
    get(Worker(clock, store, walker))
    walker.timetable = sessions(3)
    clock.move(PAST_TTL)
    store.unreadable = True
    get(Worker(clock, store, walker))
    assert len(stored(store).published) == 43
