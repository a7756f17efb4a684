"""Usage counts: summed over all processes, bounded in size, and for the last day."""

import tracemalloc

import pytest
from clocks import ManualClock
from walking import KEYS

from bridge.config import Availability
from bridge.feeds.private import new_audience
from bridge.feeds.spec import Audience, FeedSpec, Kind
from bridge.filters import FilterSet
from bridge.model import Visibility
from bridge.ops.usage import FeedInfo, ReadCount, UsageCounter, feed_name
from bridge.store.interface import Write
from bridge.store.memory import MemoryStore

VENUE = FeedInfo("/venues/12.ics", "past=30&venues=12", sessions=40, hidden=(("draft", 1),))
STAFF = FeedInfo("a1b2", "past=30", private=True, title="Staff")
HOUR = 3600


@pytest.fixture
def store(clock: ManualClock) -> MemoryStore:
    return MemoryStore(clock)


@pytest.fixture
def usage(store: MemoryStore) -> UsageCounter:
    return UsageCounter(store, KEYS)


def test_without_reads_there_is_no_usage(usage: UsageCounter) -> None:
    usage.flush()
    assert usage.families() == {}
    assert usage.feeds() == []


def test_reads_are_added_once_by_a_flush(usage: UsageCounter, clock: ManualClock) -> None:
    usage.record("google", VENUE)
    usage.record("google", VENUE)
    usage.record("browsers", None)
    assert usage.families() == {}
    usage.flush()
    usage.flush()
    assert usage.families() == {
        "google": ReadCount(2, clock.now()),
        "browsers": ReadCount(1, clock.now()),
    }
    [feed_usage] = usage.feeds()
    assert feed_usage.feed == VENUE
    assert feed_usage.reads == ReadCount(2, clock.now())
    assert feed_usage.families == {"google": clock.now()}


def test_the_reads_of_several_processes_are_summed(store: MemoryStore, clock: ManualClock) -> None:
    fleet = [UsageCounter(store, KEYS) for _ in range(3)]
    for process in fleet:
        process.record("apple", STAFF)
    for process in fleet:
        process.flush()
    assert fleet[0].families() == {"apple": ReadCount(3, clock.now())}
    [feed_usage] = fleet[1].feeds()
    assert (feed_usage.feed, feed_usage.reads.today) == (STAFF, 3)


def test_only_the_last_day_is_counted_and_the_last_read_is_kept(
    usage: UsageCounter, clock: ManualClock
) -> None:
    began = clock.now()
    for _ in range(30):
        usage.record("google", VENUE)
        usage.flush()
        clock.move(HOUR)
    assert usage.families()["google"].today == 23
    clock.move(30 * HOUR)
    assert usage.families() == {"google": ReadCount(0, began + 29 * HOUR)}
    assert usage.feeds()[0].reads == ReadCount(0, began + 29 * HOUR)


def test_the_last_read_feed_and_its_last_family_come_first(
    usage: UsageCounter, clock: ManualClock
) -> None:
    for family, feed in (("google", VENUE), ("apple", STAFF), ("outlook", VENUE)):
        usage.record(family, feed)
        usage.flush()
        clock.move(60)
    first, second = usage.feeds()
    assert (first.feed, list(first.families)) == (VENUE, ["outlook", "google"])
    assert second.feed == STAFF


PUBLIC = Audience(visibilities=frozenset(Visibility), availability=Availability.NONE)


def spec_of(audience: Audience = PUBLIC, identity: int = 12, query: str = "") -> FeedSpec:
    return FeedSpec(
        kind=Kind.VENUE,
        identity=identity,
        filter_set=FilterSet(),
        audience=audience,
        query=query,
    )


def test_the_last_reads_of_a_feed_are_those_of_all_processes_at_the_last_refresh(
    store: MemoryStore, clock: ManualClock
) -> None:
    reading, asked = UsageCounter(store, KEYS), UsageCounter(store, KEYS)
    assert asked.last_reads(spec_of()) is None
    asked.refresh()
    reading.record("google", VENUE)
    reading.flush()
    assert asked.last_reads(spec_of()) == {}
    asked.refresh()
    assert asked.last_reads(spec_of()) == {"google": clock.now()}
    assert asked.last_reads(spec_of(identity=13)) == {}
    # It would not have been counted.
    assert asked.last_reads(spec_of(query="venues=" + "1" * 700)) is None


def test_reads_of_a_private_feed_are_not_those_of_the_public_one(usage: UsageCounter) -> None:
    private = spec_of(new_audience([Visibility.PUBLIC]))
    usage.record("google", FeedInfo(feed_name(private), "", private=True))
    usage.flush()
    usage.refresh()
    assert "google" in (usage.last_reads(private) or {})
    assert usage.last_reads(spec_of()) == {}


def test_a_feed_is_reported_as_last_read(usage: UsageCounter) -> None:
    usage.record("google", VENUE)
    usage.flush()
    changed = FeedInfo(VENUE.name, VENUE.key, sessions=41, trimmed=3)
    usage.record("google", VENUE)
    usage.record("apple", changed)
    usage.flush()
    [feed_usage] = usage.feeds()
    assert feed_usage.feed == changed
    assert feed_usage.reads.today == 3


def test_a_flood_of_invented_feeds_is_bounded_and_evicts_no_feed_that_is_read_again(
    usage: UsageCounter, clock: ManualClock
) -> None:
    for _ in range(2):
        usage.record("google", VENUE)
        usage.flush()
        clock.move(60)
    tracemalloc.start()
    for number in range(5_000):
        usage.record("others", FeedInfo(f"/sessions.ics?venues={number}", f"venues={number}"))
    usage.record("others", FeedInfo("/sessions.ics?" + "x" * 1_000, "x"))
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # About two thousand of the five thousand feeds, at less than half a kilobyte each.
    assert used < 1_000_000
    usage.flush()
    kept = usage.feeds()
    assert len(kept) <= 256
    assert VENUE in [feed_usage.feed for feed_usage in kept]
    assert all(len(feed_usage.feed.name) < 1_000 for feed_usage in kept)
    assert usage.families()["others"].today == 5_001


@pytest.mark.parametrize("garbage", [b"", b"[]", b"{}", b'{"google": 3}', b'{"google": [1]}'])
def test_invalid_data_in_the_store_is_ignored(
    usage: UsageCounter, store: MemoryStore, clock: ManualClock, garbage: bytes
) -> None:
    store.commit({KEYS.client_usage: Write(garbage)})
    store.commit({KEYS.feed_usage(bucket): Write(garbage) for bucket in range(8)})
    assert usage.families() == {}
    assert usage.feeds() == []
    usage.record("google", VENUE)
    usage.flush()
    assert usage.families() == {"google": ReadCount(1, clock.now())}
    assert [feed_usage.feed for feed_usage in usage.feeds()] == [VENUE]
