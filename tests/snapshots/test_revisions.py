"""Revisions: which changes of a session affect SEQUENCE, LAST-MODIFIED, or neither."""

from collections.abc import Mapping
from dataclasses import astuple, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from walking import AT, CHAPEL, HOUR, RIVERSIDE, TOMORROW, YOGA, session

from bridge.model import (
    ClassSession,
    Course,
    Instructor,
    Published,
    Revision,
    Status,
    Visibility,
)
from bridge.snapshots import revisions

MINUTES = (AT - int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())) // 60
LATER = AT + 600

SCHEDULE: Mapping[str, dict[str, Any]] = {
    "start": {"start": TOMORROW - HOUR},
    "end": {"end": TOMORROW + 2 * HOUR},
    "no usable end": {"end": None},
    "cancelled": {"status": Status.CANCELLED},
    "another venue": {"venue": CHAPEL},
    "no venue": {"venue": None},
    "the venue's name": {"venue": replace(RIVERSIDE, name="Boathouse")},
    "the venue's address": {"venue": replace(RIVERSIDE, address="5 Wharf Road, Bristol")},
}
CONTENT: Mapping[str, dict[str, Any]] = {
    "title": {"title": "Vinyasa Flow"},
    "an instructor's name": {"instructors": (Instructor(11, "Zoë A."),)},
    "the course's name": {"course": Course(51, "Early")},
    "the description": {"offering_type": replace(YOGA, description="Mats are there.")},
    "the category": {"offering_type": replace(YOGA, category="Body")},
    "the visibility": {"offering_type": replace(YOGA, visibility=Visibility.PRIVATE)},
    "the booking link": {"booking_url": "https://studio.example/p/2"},
    "the position": {"venue": replace(RIVERSIDE, latitude=51.5)},
    "the zone": {"venue": replace(RIVERSIDE, zone="Europe/Paris")},
}


def first(**fields: Any) -> Revision:
    return revisions.with_revision(session(**fields), AT, None).revision


def change(at: int = LATER, **fields: Any) -> Revision:
    """The revision after *fields* of the default session changed."""
    before = revisions.with_revision(session(), AT, None)
    return revisions.with_revision(session(**fields), at, before).revision


def test_a_new_session_is_dated_now_and_its_sequence_is_minutes_since_2026() -> None:
    assert first() == Revision(AT, MINUTES, AT, AT, AT, AT, AT)


def test_a_clock_before_2026_gives_no_negative_sequence() -> None:
    assert revisions.with_revision(session(), 1_000, None).revision.sequence == 0


def test_an_unchanged_session_keeps_its_revision() -> None:
    assert change() == first()


@pytest.mark.parametrize("fields", SCHEDULE.values(), ids=SCHEDULE)
def test_time_place_and_status_change_sequence_and_content(fields: dict[str, Any]) -> None:
    revision = change(**fields)
    assert revision.sequence == MINUTES + 10
    assert revision.content == LATER
    assert revision.created == AT


@pytest.mark.parametrize("fields", CONTENT.values(), ids=CONTENT)
def test_other_content_changes_only_last_modified(fields: dict[str, Any]) -> None:
    assert change(**fields) == replace(first(), content=LATER)


def test_another_instructor_changes_the_sequence_as_another_venue_does() -> None:
    """Such a session moves from one feed to another, and must be newer there."""
    revision = change(instructors=(Instructor(14, "Priya"),))
    assert revision.content == LATER
    assert revision.sequence > MINUTES


def test_the_same_instructors_in_another_order_change_nothing() -> None:
    zoe, sam = Instructor(11, "Zoë"), Instructor(12, "Sam")
    before = revisions.with_revision(session(instructors=(zoe, sam)), AT, None)
    assert revisions.with_revision(session(instructors=(sam, zoe)), LATER, before) == before


def test_two_changes_within_a_minute_have_different_sequences() -> None:
    original = revisions.with_revision(session(), AT, None)
    cancelled = revisions.with_revision(session(status=Status.CANCELLED), AT + 1, original)
    restored = revisions.with_revision(session(), AT + 2, cancelled)
    entries = (original, cancelled, restored)
    assert [entry.revision.sequence - MINUTES for entry in entries] == [0, 1, 2]


def test_a_booking_changes_only_the_counts() -> None:
    assert change(attending=5) == replace(first(), counts=LATER)


def test_the_rounded_number_of_places_changes_with_its_value() -> None:
    # Of 12 places, 8 free ones are rounded to 5, and 4 stay 4.
    assert change(attending=8) == replace(first(), places=LATER, counts=LATER)


def test_becoming_full_changes_full_and_places_but_neither_content_nor_sequence() -> None:
    changed = {"full": LATER, "places": LATER, "counts": LATER}
    assert change(attending=12) == replace(first(), **changed)


def test_one_more_booking_of_a_full_class_changes_only_the_counts() -> None:
    full = revisions.with_revision(session(attending=12), AT, None)
    over = revisions.with_revision(session(attending=13), LATER, full)
    assert over.revision == replace(full.revision, counts=LATER)


def test_an_unlimited_class_is_never_full() -> None:
    before = revisions.with_revision(session(capacity=None, attending=0), AT, None)
    after = revisions.with_revision(session(capacity=None, attending=50), LATER, before)
    assert after.revision == replace(before.revision, counts=LATER)


def test_links_of_private_feeds_change_nothing_for_public_feeds() -> None:
    for fields in (
        {"staff_url": "https://staff.example/2"},
        {"venue": replace(RIVERSIDE, join_url="https://video.example/j")},
    ):
        assert change(**fields) == replace(first(), links=LATER)


def test_a_clock_that_was_set_back_never_decreases_a_revision() -> None:
    revision = change(at=AT - 86_400, status=Status.CANCELLED)
    assert revision.sequence == MINUTES + 1
    assert revision.content == AT + 1
    assert revision.created == AT


_ANY = st.builds(
    session,
    title=st.sampled_from(["Vinyasa", "Flow"]),
    start=st.sampled_from([TOMORROW, TOMORROW + HOUR]),
    status=st.sampled_from(Status),
    venue=st.sampled_from([RIVERSIDE, CHAPEL, None]),
    attending=st.integers(0, 14),
    capacity=st.sampled_from([None, 12]),
)


@given(st.lists(st.tuples(_ANY, st.integers(-90_000, 90_000)), min_size=1))
def test_no_number_ever_decreases_and_each_increases_with_its_change(
    steps: list[tuple[ClassSession, int]],
) -> None:
    before, at = revisions.with_revision(session(), AT, None), AT
    for changed, passed in steps:
        at += passed
        after = revisions.with_revision(changed, at, before)
        assert after.revision.created == AT
        pairs = zip(astuple(before.revision), astuple(after.revision), strict=True)
        assert all(old <= new for old, new in pairs)
        old = before.session
        if changed.start != old.start or changed.status is not old.status:
            assert after.revision.sequence > before.revision.sequence
            assert after.revision.content > before.revision.content
        notes = (before.moved_from, before.covered) == (after.moved_from, after.covered)
        # The note of a move ends when the first start is over.
        if changed == old and notes:
            assert after.revision == before.revision
        before = after


def after_changes(*changes: dict[str, Any], at: int = LATER) -> Published:
    """The session after one change after the other, ten minutes apart; each replaces the last."""
    entry = revisions.with_revision(session(), AT, None)
    for number, fields in enumerate(changes):
        entry = revisions.with_revision(session(**fields), at + 600 * number, entry)
    return entry


MOVED = {"start": TOMORROW + HOUR, "end": TOMORROW + 2 * HOUR}
MOVED_AGAIN = {"start": TOMORROW + 2 * HOUR, "end": TOMORROW + 3 * HOUR}
SAM, ANN, ZOE = Instructor(12, "Sam"), Instructor(13, "Ann"), Instructor(11, "Zoë")


def test_a_moved_session_remembers_the_start_that_was_published_first() -> None:
    assert after_changes().moved_from is None
    assert after_changes(MOVED).moved_from == TOMORROW
    assert after_changes(MOVED, MOVED_AGAIN).moved_from == TOMORROW
    assert after_changes(MOVED, {}).moved_from is None
    assert after_changes({"end": TOMORROW + 2 * HOUR}).moved_from is None


def test_the_first_start_is_forgotten_once_it_is_over_and_subscribers_get_the_change() -> None:
    over = int(TOMORROW.timestamp())
    entry = after_changes(MOVED, MOVED, at=over - 300)
    before = after_changes(MOVED, at=over - 300)
    assert (before.moved_from, entry.moved_from) == (TOMORROW, None)
    assert entry.revision.content > before.revision.content
    assert entry.revision.sequence == before.revision.sequence


@pytest.mark.parametrize(
    ("changes", "covered"),
    [
        ([[SAM]], (ZOE,)),
        ([[SAM], [ANN]], (ZOE,)),
        ([[SAM], [ZOE]], ()),
        ([[ZOE, SAM]], ()),
        ([[]], (ZOE,)),
        ([[], [SAM]], (ZOE,)),
        ([[], [ZOE]], ()),
    ],
    ids="covered covered-twice back joined nobody nobody-then-cover nobody-then-back".split(),
)
def test_a_covered_session_remembers_its_first_instructors(
    changes: list[list[Instructor]], covered: tuple[Instructor, ...]
) -> None:
    steps = [{"instructors": tuple(people)} for people in changes]
    assert after_changes(*steps).covered == covered


def test_a_class_that_gets_its_first_instructor_is_not_covered() -> None:
    before = revisions.with_revision(session(instructors=()), AT, None)
    assert revisions.with_revision(session(instructors=(SAM,)), LATER, before).covered == ()
