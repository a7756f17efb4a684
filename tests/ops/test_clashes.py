"""Clashes: who or what is needed twice at once, and how the owner is told."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pace import timed
from walking import AT, CHAPEL, HOUR, NOW, RIVERSIDE, TOMORROW, YOGA, session

from bridge.model import (
    ClassSession,
    Instructor,
    OfferingType,
    Published,
    Room,
    Status,
    Venue,
    Visibility,
)
from bridge.ops.clashes import Clash, Clashes, ClashKind, find_clashes
from bridge.snapshots.revisions import with_revision
from bridge.snapshots.snapshot import ordered

ZOE, SAM = Instructor(11, "Zoë"), Instructor(12, "Sam")
SKY, CELLAR = Room(1, "Sky"), Room(2, "Cellar")
ONLINE = Venue(99, "Zoom", zone="Europe/London", online=True)
HALF = timedelta(minutes=30)


def published(*sessions: ClassSession, **fields: Any) -> tuple[Published, ...]:
    return ordered(
        {each.identity: replace(with_revision(each, AT, None), **fields) for each in sessions}
    )


def clashes(*sessions: ClassSession, **fields: Any) -> Clashes:
    return find_clashes(published(*sessions, **fields), NOW)


def kinds(*sessions: ClassSession, **fields: Any) -> list[ClashKind]:
    return [clash.kind for clash in clashes(*sessions, **fields).all]


FIRST = session(1, TOMORROW, instructors=(ZOE,), room=SKY)


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        # an instructor in two places
        ({"venue": CHAPEL, "room": None}, [ClashKind.INSTRUCTOR]),
        ({"venue": CHAPEL, "room": None, "start": TOMORROW + HALF}, [ClashKind.INSTRUCTOR]),
        ({"room": CELLAR}, [ClashKind.INSTRUCTOR]),
        ({"room": CELLAR, "instructors": (SAM, ZOE)}, [ClashKind.INSTRUCTOR]),
        ({"room": CELLAR, "source": "event"}, [ClashKind.INSTRUCTOR]),
        # one after the other, or somebody else
        ({"venue": CHAPEL, "room": None, "start": TOMORROW + HOUR}, []),
        ({"room": CELLAR, "instructors": (SAM,)}, []),
        # not known to be elsewhere
        ({"room": None}, []),
        ({"venue": None, "room": None}, []),
        # streamed; or two classes after all
        ({"venue": ONLINE, "room": None}, []),
        ({"venue": ONLINE, "room": None, "start": TOMORROW + HALF}, [ClashKind.INSTRUCTOR]),
        # two classes in a room
        ({"instructors": (SAM,)}, [ClashKind.ROOM]),
        ({"instructors": (SAM,), "start": TOMORROW + HALF}, [ClashKind.ROOM]),
        ({"instructors": (SAM,), "start": TOMORROW - HALF}, [ClashKind.ROOM]),
        ({"instructors": (SAM,), "start": TOMORROW + HOUR}, []),
        ({}, [ClashKind.ROOM]),
        # without an instructor
        ({"instructors": (), "start": TOMORROW + HOUR}, [ClashKind.NO_INSTRUCTOR]),
        # classes that do not take place, or not as they are known
        ({"status": Status.CANCELLED}, []),
        ({"offering_type": replace(YOGA, draft=True), "instructors": ()}, []),
        ({"complete": False}, []),
        ({"end": None}, []),
        ({"end": TOMORROW}, []),
    ],
)
def test_which_two_classes_clash(second: dict[str, Any], expected: list[ClashKind]) -> None:
    start = second.get("start", TOMORROW)
    fields = {"instructors": (ZOE,), "room": SKY, "end": start + HOUR, "title": "Yin", **second}
    other = replace(session(2, start), **fields)
    assert kinds(FIRST, other) == expected


def test_a_class_with_two_instructors_does_not_clash_with_itself() -> None:
    assert kinds(replace(FIRST, instructors=(ZOE, SAM))) == []


@pytest.mark.parametrize(
    "fields", [{"is_tombstone": True}, {"missing_since": AT}, {"missing_since": AT, "held": True}]
)
def test_a_class_that_is_missing_upstream_does_not_clash(fields: dict[str, Any]) -> None:
    assert kinds(FIRST, replace(FIRST, id=2), **fields) == []


def test_a_clash_ends_with_the_class_that_ends_first() -> None:
    long = session(1, NOW - HOUR, end=NOW + HOUR, room=SKY)
    short = session(2, NOW - HOUR, end=NOW, room=SKY)
    assert kinds(long, short) == []
    assert kinds(long, replace(short, end=NOW + HALF)) == [ClashKind.ROOM]


def test_a_short_class_does_not_hide_that_a_long_one_goes_on() -> None:
    long = session(1, TOMORROW, end=TOMORROW + 3 * HOUR, room=SKY)
    short = session(2, TOMORROW + HALF, end=TOMORROW + HOUR, room=SKY)
    last = session(3, TOMORROW + 2 * HOUR, room=SKY)
    found = clashes(long, short, last).all
    pairs = [(clash.first.id, clash.second and clash.second.id) for clash in found]
    assert pairs == [(1, 2), (1, 3)]


class TestVenuesWithoutRooms:
    FIRST = session(1, TOMORROW)
    SECOND = session(2, TOMORROW, instructors=(SAM,))

    def test_two_classes_at_once_clash(self) -> None:
        assert kinds(self.FIRST, self.SECOND) == [ClashKind.VENUE]

    def test_they_do_not_if_the_venue_has_rooms(self) -> None:
        past = session(3, NOW - 5 * HOUR, room=SKY)
        assert kinds(self.FIRST, self.SECOND, past) == []

    def test_they_do_not_online(self) -> None:
        assert kinds(*(replace(each, venue=ONLINE) for each in (self.FIRST, self.SECOND))) == []

    @pytest.mark.parametrize(
        ("pairs", "alone", "expected"), [(10, 0, 10), (11, 0, 0), (11, 40, 11)]
    )
    def test_what_is_usual_at_a_venue_is_no_clash(
        self, pairs: int, alone: int, expected: int
    ) -> None:
        starts = [TOMORROW + number * HOUR for number in range(pairs + alone)]
        timetable = [
            session(number * 2 + copy, start, instructors=(Instructor(number * 2 + copy),))
            for number, start in enumerate(starts)
            for copy in range(2 if number < pairs else 1)
        ]
        assert clashes(*timetable).count(ClashKind.VENUE) == expected


@pytest.mark.parametrize(("number", "expected"), [(10, 10), (11, 0)])
def test_a_class_type_that_never_has_an_instructor_needs_none(number: int, expected: int) -> None:
    gym = OfferingType(77, "Open gym")
    timetable = [
        session(id, TOMORROW + id * HOUR, offering_type=gym, instructors=()) for id in range(number)
    ]
    assert clashes(*timetable).count(ClashKind.NO_INSTRUCTOR) == expected
    taught = session(100, NOW - 5 * HOUR, offering_type=gym)
    assert clashes(*timetable, taught).count(ClashKind.NO_INSTRUCTOR) == number


def weekly(weeks: int, **fields: Any) -> list[ClassSession]:
    """Two classes of Zoë's at once, each week."""
    return [
        session(week * 10 + venue.id, TOMORROW + timedelta(weeks=week), venue=venue, **fields)
        for week in range(weeks)
        for venue in (RIVERSIDE, CHAPEL)
    ]


def only(found: Clashes) -> Clash:
    [clash] = found.all
    return clash


def test_a_clash_that_is_repeated_weekly_is_one() -> None:
    clash = only(clashes(*weekly(12)))
    assert clash.times == 12
    assert (clash.first.start, clash.first.location) == (TOMORROW, RIVERSIDE.location())
    assert clash.until == TOMORROW + timedelta(weeks=11) + HOUR
    assert clash.text == (
        "Zoë teaches Vinyasa (Tue 24 Nov, 12:00) and Vinyasa (Tue 24 Nov, 12:00) in two places at"
        " once, 12 times"
    )


def test_its_identity_stays_as_weeks_pass_and_differs_for_other_times_and_people() -> None:
    fingerprint = only(clashes(*weekly(12))).fingerprint
    assert only(clashes(*weekly(12)[6:])).fingerprint == fingerprint
    assert only(clashes(*weekly(1, instructors=(SAM,)))).fingerprint != fingerprint
    assert only(clashes(*weekly(1, title="Yin"))).fingerprint != fingerprint
    later = [replace(each, start=each.start + HALF) for each in weekly(1)]
    assert only(clashes(*later)).fingerprint != fingerprint


def test_the_text_of_a_class_without_an_instructor() -> None:
    text = only(clashes(session(1, TOMORROW, instructors=(), room=SKY))).text
    assert text == "Vinyasa (Tue 24 Nov, 12:00) has no instructor"


@pytest.mark.parametrize("spacing", [30, 0], ids=["half an hour apart", "all at once"])
def test_twice_as_many_classes_take_less_than_three_times_as_long(spacing: int) -> None:
    [entry] = published(FIRST)
    timetable = [
        replace(
            entry,
            session=ClassSession(
                "event",
                id,
                "Vinyasa",
                start := TOMORROW + timedelta(minutes=spacing * id),
                start + HOUR,
                venue=RIVERSIDE,
                room=Room(id % 3),
                instructors=(Instructor(id % 7), Instructor(id % 11)),
            ),
        )
        for id in range(4_000)
    ]
    half, _ = timed(lambda: find_clashes(timetable[:2_000], NOW), limit=0)
    whole, _ = timed(lambda: find_clashes(timetable, NOW), limit=0)
    assert whole < 3 * half


HIDDEN = replace(YOGA, visibility=Visibility.PRIVATE)


def test_of_a_hidden_class_only_the_time_is_told() -> None:
    hidden = session(1, TOMORROW, title="Secret", room=SKY, offering_type=HIDDEN)
    at = "Tue 24 Nov, 12:00"
    with_public = only(clashes(hidden, session(2, TOMORROW, room=SKY)))
    assert with_public.text == (
        f"Riverside, Sky has a hidden class ({at}) and Vinyasa ({at}) at once"
    )
    assert (with_public.first.title, with_public.first.location) == ("", "")
    both = only(clashes(hidden, replace(hidden, id=2)))
    assert both.text == f"a room has a hidden class ({at}) and a hidden class ({at}) at once"
    assert both.subject == ""
    alone = only(clashes(replace(hidden, instructors=())))
    assert alone.text == f"a hidden class ({at}) has no instructor"
