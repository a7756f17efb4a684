"""Who reads what: added up by all, bounded, and of the last day."""

import tracemalloc

import pytest
from clocks import ManualClock
from walking import KEYS

from bridge.ops.usage import FeedInfo, ReadCount, UsageCounter
from bridge.store.interface import Write
from bridge.store.memory import MemoryStore

VENUE = FeedInfo("/venues/12.ics", "past=30&venues=12", sessions=40, hidden=(("draft", 1),))
STAFF = FeedInfo("a1b2", "past=30", private=True, title="Staff")
HOUR = 3600


@pytest.fixture
def store(clock: ManualClock) -> MemoryStore:
    return MemoryStore(clock)


@pytest.fixture
def readers(store: MemoryStore) -> UsageCounter:
    return UsageCounter(store, KEYS)


def test_nothing_is_known_of_what_nobody_read(readers: UsageCounter) -> None:
    readers.flush()
    assert readers.families() == {}
    assert readers.feeds() == []


def test_what_was_noted_is_told_after_a_flush_and_once(
    readers: UsageCounter, clock: ManualClock
) -> None:
    readers.note("google", VENUE)
    readers.note("google", VENUE)
    readers.note("browsers", None)
    assert readers.families() == {}
    readers.flush()
    readers.flush()
    assert readers.families() == {
        "google": ReadCount(2, clock.now()),
        "browsers": ReadCount(1, clock.now()),
    }
    [one] = readers.feeds()
    assert one.feed == VENUE
    assert one.reads == ReadCount(2, clock.now())
    assert one.families == {"google": clock.now()}


def test_what_several_processes_noted_adds_up(store: MemoryStore, clock: ManualClock) -> None:
    fleet = [UsageCounter(store, KEYS) for _ in range(3)]
    for one in fleet:
        one.note("apple", STAFF)
    for one in fleet:
        one.flush()
    assert fleet[0].families() == {"apple": ReadCount(3, clock.now())}
    [found] = fleet[1].feeds()
    assert (found.feed, found.reads.today) == (STAFF, 3)


def test_only_the_last_day_is_counted_and_the_last_time_stays(
    readers: UsageCounter, clock: ManualClock
) -> None:
    began = clock.now()
    for _ in range(30):
        readers.note("google", VENUE)
        readers.flush()
        clock.move(HOUR)
    assert readers.families()["google"].today == 23
    clock.move(30 * HOUR)
    assert readers.families() == {"google": ReadCount(0, began + 29 * HOUR)}
    assert readers.feeds()[0].reads == ReadCount(0, began + 29 * HOUR)


def test_the_feed_that_was_read_last_and_its_last_reader_come_first(
    readers: UsageCounter, clock: ManualClock
) -> None:
    for family, feed in (("google", VENUE), ("apple", STAFF), ("outlook", VENUE)):
        readers.note(family, feed)
        readers.flush()
        clock.move(60)
    first, second = readers.feeds()
    assert (first.feed, list(first.families)) == (VENUE, ["outlook", "google"])
    assert second.feed == STAFF


def test_a_feed_is_told_as_it_was_last(readers: UsageCounter) -> None:
    readers.note("google", VENUE)
    readers.flush()
    changed = FeedInfo(VENUE.name, VENUE.key, sessions=41, trimmed=3)
    readers.note("google", VENUE)
    readers.note("apple", changed)
    readers.flush()
    [one] = readers.feeds()
    assert one.feed == changed
    assert one.reads.today == 3


def test_a_flood_of_made_up_feeds_is_bounded_and_drives_out_none_that_is_read_again(
    readers: UsageCounter, clock: ManualClock
) -> None:
    for _ in range(2):
        readers.note("google", VENUE)
        readers.flush()
        clock.move(60)
    tracemalloc.start()
    for number in range(5_000):
        readers.note("others", FeedInfo(f"/sessions.ics?venues={number}", f"venues={number}"))
    readers.note("others", FeedInfo("/sessions.ics?" + "x" * 1_000, "x"))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # of the five thousand some two thousand, at less than half a kilobyte each
    assert held < 1_000_000
    readers.flush()
    kept = readers.feeds()
    assert len(kept) <= 256
    assert VENUE in [one.feed for one in kept]
    assert all(len(one.feed.name) < 1_000 for one in kept)
    assert readers.families()["others"].today == 5_001


@pytest.mark.parametrize("garbage", [b"", b"[]", b"{}", b'{"google": 3}', b'{"google": [1]}'])
def test_garbage_in_the_store_is_nothing_known(
    readers: UsageCounter, store: MemoryStore, clock: ManualClock, garbage: bytes
) -> None:
    store.commit({KEYS.client_usage: Write(garbage)})
    store.commit({KEYS.feed_usage(bucket): Write(garbage) for bucket in range(8)})
    assert readers.families() == {}
    assert readers.feeds() == []
    readers.note("google", VENUE)
    readers.flush()
    assert readers.families() == {"google": ReadCount(1, clock.now())}
    assert [one.feed for one in readers.feeds()] == [VENUE]
