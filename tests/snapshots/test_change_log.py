"""The change log: which changes of sessions publications record."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from clocks import ManualClock
from hypothesis import given
from hypothesis import strategies as st
from walking import (
    AT,
    CHAPEL,
    HOUR,
    KEYS,
    NOW,
    RIVERSIDE,
    TIMEOUT,
    TOMORROW,
    FakeWalker,
    SkippingClock,
    Worker,
    session,
    sessions,
)

from bridge.filters import FilterSet
from bridge.model import ClassSession, Instructor, Published, SourceName, Status
from bridge.snapshots import revisions
from bridge.snapshots.change_log import (
    LOG_SECONDS,
    MAX_CHANGES,
    MAX_PER_SESSION,
    Change,
    ChangeLog,
    ChangeLogs,
    LoggedChange,
    decode_log,
    encode_log,
)
from bridge.snapshots.merge import MergeRules
from bridge.snapshots.snapshot_key import SnapshotKey
from bridge.store.interface import Write
from bridge.store.memory import MemoryStore

SOURCE = SourceName.COURSE_SESSIONS
WIDE = MergeRules(wide=True, shrink_hold=21_600)
NARROW = MergeRules(wide=False, shrink_hold=21_600)
EVERYTHING = FilterSet(past=30)
SAM, ZOE = Instructor(12, "Sam"), Instructor(11, "Zoë")

Walks = Callable[..., tuple[LoggedChange, ...]]


@pytest.fixture
def walks(clock: ManualClock, walker: FakeWalker, worker: Worker) -> Walks:
    """Publishes a walk of the given sessions ten minutes after the last; the whole log."""

    def publish(
        listed: Iterable[ClassSession],
        *,
        filter_set: FilterSet = EVERYTHING,
        rules: MergeRules = WIDE,
        after: float = 600,
    ) -> tuple[LoggedChange, ...]:
        clock.move(after)
        walker.timetable = list(listed)
        flight = worker.refresher.refresh(SnapshotKey(SOURCE, filter_set), rules, None)
        assert flight is not None
        assert flight.wait(TIMEOUT)
        return logged(worker)

    return publish


def logged(worker: Worker) -> tuple[LoggedChange, ...]:
    return ChangeLogs(worker.store, KEYS).load(SOURCE).changes


@pytest.mark.parametrize(
    "after",
    [
        {"attending": 12},
        {"instructors": (replace(ZOE, name="Zoë A."),)},
        {"venue": replace(RIVERSIDE, name="Boathouse")},
        {"booking_url": "https://studio.example/p/2"},
    ],
    ids="booked names venue's-name link".split(),
)
def test_nobody_is_told_of_bookings_and_corrected_names(
    walks: Walks, after: dict[str, Any]
) -> None:
    walks(sessions(2))
    assert walks([session(**after), session(2)]) == ()


@pytest.mark.parametrize(
    ("filter_set", "logged"),
    [
        (FilterSet(past=30, future=90), [True]),
        (FilterSet(past=30, venues=(12,)), []),
        (FilterSet(past=30, status=(Status.ACTIVE,)), []),
    ],
    ids=["all sessions of a window", "of a venue", "of a status"],
)
def test_one_feed_logs_a_removal_only_if_the_session_cannot_be_in_other_feeds(
    walks: Walks, filter_set: FilterSet, logged: list[bool]
) -> None:
    for listed in (8, 7, 7):
        log = walks(sessions(listed), filter_set=filter_set, rules=NARROW)
    assert [entry.change.removed for entry in log] == logged


def test_a_deleted_session_is_logged_once_it_is_believed_gone(walks: Walks) -> None:
    walks(sessions(8))
    assert walks(sessions(7)) == ()
    [entry] = walks(sessions(7))
    assert entry.change.removed
    assert entry.change.after.is_tombstone
    assert walks(sessions(7)) == (entry,)


def test_a_session_under_a_new_id_is_neither_gone_nor_added(walks: Walks) -> None:
    walks(sessions(8))
    renumbered = [*sessions(7), session(99, start=session(8).start)]
    for _ in range(3):
        assert walks(renumbered) == ()


@pytest.mark.parametrize("rules", [WIDE, NARROW], ids=["wide", "narrow"])
def test_the_deletion_of_one_of_two_parallel_classes_is_logged(
    walks: Walks, rules: MergeRules, monkeypatch: pytest.MonkeyPatch, walker: FakeWalker
) -> None:
    plain = walker.walk
    monkeypatch.setattr(
        walker,
        "walk",
        lambda *args, **options: replace(plain(*args, **options), deleted=frozenset({9})),
    )
    parallel = session(9, start=session(1).start)
    walks([*sessions(3), parallel], rules=rules)
    [entry] = walks(sessions(3), rules=rules)
    assert (entry.change.identity, entry.change.removed) == (("course_session", 9), True)


def test_a_held_shrink_logs_nothing_and_its_acceptance_logs_the_removals(
    walks: Walks, worker: Worker, clock: SkippingClock
) -> None:
    walks(sessions(40))
    for _ in range(3):
        assert walks(sessions(10)) == ()
    clock.skip_waits = True
    assert worker.refresher.confirm_deletions() == 30
    assert [entry.change.removed for entry in logged(worker)] == [True] * 30


@pytest.mark.parametrize("title", ["Vinyasa", "Yin"])
def test_sessions_that_return_after_their_removal_are_logged_as_added(
    walks: Walks, worker: Worker, clock: SkippingClock, title: str
) -> None:
    walks(sessions(40))
    walks(sessions(10))
    clock.skip_waits = True
    worker.refresher.confirm_deletions()
    clock.skip_waits = False
    returned = [*sessions(10), *(session(n, title=title) for n in range(11, 41))]
    entries = walks(returned)[30:]
    assert [entry.change.before for entry in entries] == [None] * 30
    assert [entry.change.removed for entry in entries] == [False] * 30
    assert len(walks(returned)) == 60


def test_sessions_that_return_after_a_held_shrink_log_nothing(walks: Walks) -> None:
    walks(sessions(40))
    walks(sessions(10))
    assert walks(sessions(40)) == ()


def test_a_history_with_a_gap_logs_nothing(walks: Walks) -> None:
    walks(sessions(3))
    far = [session(n, start=NOW + timedelta(days=60, hours=n)) for n in range(3, 6)]
    assert walks(far, after=40 * 86_400) == ()


def test_a_lost_store_logs_nothing(walks: Walks, clock: ManualClock, walker: FakeWalker) -> None:
    walks(sessions(3))
    walker.timetable = [session(title="Yin")]
    restarted = Worker(clock, MemoryStore(clock), walker)
    restarted.settle(EVERYTHING, WIDE)
    assert logged(restarted) == ()


def test_changes_of_past_sessions_are_not_logged(walks: Walks) -> None:
    past = NOW - timedelta(days=2)
    walks([session(1, start=past), session(2)])
    assert walks([session(1, start=past, title="Yin"), session(2), session(3, start=past)]) == ()


def test_a_venue_that_loses_a_session_to_another_logs_both_forms(walks: Walks) -> None:
    at_riverside, at_chapel = FilterSet(venues=(12,)), FilterSet(venues=(13,))
    for filter_set in (at_riverside, at_chapel):
        here = [session(n, venue=RIVERSIDE) for n in (1, 2)]
        there = [session(3, venue=CHAPEL)]
        walks([*here, *there], filter_set=filter_set, rules=NARROW)
    moved = [session(1, venue=CHAPEL), session(2), session(3, venue=CHAPEL)]
    walks(moved, filter_set=at_chapel, rules=NARROW)
    [entry] = walks(moved, filter_set=at_riverside, rules=NARROW)
    assert entry.change.before is not None
    assert entry.change.before.session.venue == RIVERSIDE
    assert entry.change.after.session.venue == CHAPEL
    assert not entry.change.removed


def test_several_changes_of_a_session_are_logged_one_after_the_other(walks: Walks) -> None:
    later = {"start": TOMORROW + HOUR, "end": TOMORROW + 2 * HOUR}
    steps: list[dict[str, Any]] = [{}, later, {}, {"status": Status.CANCELLED}, {}]
    for step in steps:
        log = walks([session(**step), session(2)])
    starts = [entry.change.after.session.start - TOMORROW for entry in log]
    assert starts == [HOUR, *[timedelta()] * 3]
    assert [entry.publication for entry in log] == [1, 2, 3, 4]


def test_walks_of_the_same_second_log_one_change_of_a_session() -> None:
    """Readers tell changes of a session apart by their time."""
    first, second, third = (published(title=title) for title in ("Flow", "Yin", "Yang"))
    second, third = (
        replace(entry, revision=replace(entry.revision, content=AT + n))
        for n, entry in enumerate((second, third), 1)
    )
    log = ChangeLog().extended([Change(first, second)], AT)
    log = log.extended([Change(second, third)], AT)
    [entry] = log.changes
    assert entry.change == Change(first, third)
    assert len(log.extended([Change(third, first)], AT + 1).changes) == 2


def published(id: int = 1, *, at: int = AT, **fields: Any) -> Published:
    return revisions.with_revision(session(id, **fields), at, None)


def test_a_log_keeps_thirty_days() -> None:
    log = ChangeLog().extended([Change(None, published(1))], AT)
    log = log.extended([Change(None, published(2))], AT + LOG_SECONDS - 1)
    assert [entry.change.identity[1] for entry in log.changes] == [1, 2]
    log = log.extended([Change(None, published(3))], AT + LOG_SECONDS)
    assert [entry.change.identity[1] for entry in log.changes] == [2, 3]


def test_a_log_is_bounded_for_each_session_and_in_all() -> None:
    log = ChangeLog()
    for minute in range(MAX_PER_SESSION + 5):
        log = log.extended([Change(None, published(at=AT + minute))], AT + minute)
    assert [entry.at for entry in log.changes] == [AT + 5 + n for n in range(MAX_PER_SESSION)]
    log = log.extended([Change(None, published(n)) for n in range(2, MAX_CHANGES + 2)], AT + 99)
    assert len(log.changes) == MAX_CHANGES
    assert log.publications == MAX_PER_SESSION + 6


def test_a_full_log_takes_a_bounded_number_of_bytes() -> None:
    people = [Instructor(n, f"Instructor {n}") for n in range(80)]
    changes = [
        Change(
            published(n, title=f"Class {n}", instructors=(people[n % 80],)),
            published(n, title=f"Class {n} B", instructors=(people[-n % 80],), at=AT + 5),
        )
        for n in range(MAX_CHANGES)
    ]
    assert len(encode_log(ChangeLog().extended(changes, AT))) < 120_000


@given(st.integers(0, 9), st.booleans())
def test_a_stored_log_is_read_back(publication: int, removed: bool) -> None:
    before = replace(published(), moved_from=NOW, covered=(ZOE,))
    log = ChangeLog(
        publication,
        (
            LoggedChange(publication, AT, Change(before, published(), removed)),
            LoggedChange(publication, AT, Change(None, published(), removed), AT - 300),
        ),
    )
    assert decode_log(encode_log(log)) == log


@pytest.mark.parametrize("value", [b"", b"{}", b"x" * 40])
def test_an_unreadable_log_begins_anew(
    value: bytes, walks: Walks, store: MemoryStore, worker: Worker
) -> None:
    walks(sessions(2))
    store.commit({KEYS.changes(SOURCE.value): Write(value)})
    assert logged(worker) == ()
    assert len(walks(sessions(3))) == 1
