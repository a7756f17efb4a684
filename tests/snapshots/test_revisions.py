"""Revisions: what counts as a change, for SEQUENCE, for LAST-MODIFIED, and for neither."""

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
    return revisions.published(session(**fields), AT, None).revision


def change(at: int = LATER, **fields: Any) -> Revision:
    """The revision after the usual session changed in *fields*."""
    before = revisions.published(session(), AT, None)
    return revisions.published(session(**fields), at, before).revision


def test_at_first_sight_everything_dates_from_now_and_sequence_counts_minutes_since_2026() -> None:
    assert first() == Revision(AT, MINUTES, AT, AT, AT, AT, AT)


def test_a_clock_before_2026_gives_no_negative_sequence() -> None:
    assert revisions.published(session(), 1_000, None).revision.sequence == 0


def test_what_did_not_change_keeps_its_revision() -> None:
    assert change() == first()


@pytest.mark.parametrize("fields", SCHEDULE.values(), ids=SCHEDULE)
def test_time_place_and_status_move_sequence_and_content(fields: dict[str, Any]) -> None:
    revision = change(**fields)
    assert revision.sequence == MINUTES + 10
    assert revision.content == LATER
    assert revision.created == AT


@pytest.mark.parametrize("fields", CONTENT.values(), ids=CONTENT)
def test_other_content_moves_last_modified_alone(fields: dict[str, Any]) -> None:
    assert change(**fields) == replace(first(), content=LATER)


def test_another_instructor_moves_the_sequence_as_another_venue_does() -> None:
    """Such a session leaves one feed and enters another, and must be newer there."""
    revision = change(instructors=(Instructor(14, "Priya"),))
    assert revision.content == LATER
    assert revision.sequence > MINUTES


def test_two_changes_within_a_minute_have_different_sequences() -> None:
    one = revisions.published(session(), AT, None)
    two = revisions.published(session(status=Status.CANCELLED), AT + 1, one)
    three = revisions.published(session(), AT + 2, two)
    assert [each.revision.sequence - MINUTES for each in (one, two, three)] == [0, 1, 2]


def test_a_booking_moves_the_counts_alone() -> None:
    assert change(attending=5) == replace(first(), counts=LATER)


def test_the_rounded_number_of_places_moves_when_it_shows_another() -> None:
    # 12 places: 8 left is told as 5, 4 left as 4
    assert change(attending=8) == replace(first(), places=LATER, counts=LATER)


def test_becoming_full_moves_what_is_told_of_places_and_neither_content_nor_sequence() -> None:
    moved = {"full": LATER, "places": LATER, "counts": LATER}
    assert change(attending=12) == replace(first(), **moved)


def test_one_more_in_a_full_class_changes_nothing_that_is_told() -> None:
    full = revisions.published(session(attending=12), AT, None)
    over = revisions.published(session(attending=13), LATER, full)
    assert over.revision == replace(full.revision, counts=LATER)


def test_an_unlimited_class_is_never_full() -> None:
    one = revisions.published(session(capacity=None, attending=0), AT, None)
    two = revisions.published(session(capacity=None, attending=50), LATER, one)
    assert two.revision == replace(one.revision, counts=LATER)


def test_links_of_private_feeds_move_nothing_of_public_ones() -> None:
    for fields in (
        {"staff_url": "https://staff.example/2"},
        {"venue": replace(RIVERSIDE, join_url="https://video.example/j")},
    ):
        assert change(**fields) == replace(first(), links=LATER)


def test_a_clock_that_was_set_back_never_takes_a_revision_back() -> None:
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
def test_no_number_ever_decreases_and_each_moves_with_its_change(
    steps: list[tuple[ClassSession, int]],
) -> None:
    known, at = revisions.published(session(), AT, None), AT
    for one, passed in steps:
        at += passed
        after = revisions.published(one, at, known)
        assert after.revision.created == AT
        pairs = zip(astuple(known.revision), astuple(after.revision), strict=True)
        assert all(old <= new for old, new in pairs)
        moved = one.start != known.session.start or one.status is not known.session.status
        if moved:
            assert after.revision.sequence > known.revision.sequence
            assert after.revision.content > known.revision.content
        if one == known.session:
            assert after.revision == known.revision
        known = after
