"""The demo studio: a realistic timetable of course sessions and events around a given day."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from bridge.sandbox import demo_records
from bridge.sandbox.demo_classes import (
    CLASS_SLOTS,
    COVERS,
    FRI,
    MON,
    REVEALED_DAYS,
    SAT,
    SUN,
    THU,
    TUE,
    WED,
    ClassSlot,
)
from bridge.sandbox.records import Row
from bridge.sandbox.studio import Studio, event, session

DAYS_BACK = 40
DAYS_AHEAD = 120

EVENT_DAYS_BACK = 35
EVENT_DAYS_AHEAD = 70

_ZONES = {venue["id"]: ZoneInfo(venue["timezone"]) for venue in demo_records.VENUES}
_COURSE_NAMES = {course["id"]: course["name"] for course in demo_records.COURSES}
_TYPE_NAMES = {row["id"]: row["name"] for row in demo_records.OFFERING_TYPES}


@dataclass(frozen=True, slots=True)
class Slot:
    """One weekly course session.

    Attributes:
        number: 0 to 99, part of the session ids; must never change.
        at: wall-clock time in the venue's time zone, the same all year.
        minutes: duration.
        places: None and 0 both mean unlimited, as in TeamUp.
        named: whether its sessions repeat the course's name; otherwise their name is null.
    """

    number: int
    course: int
    venue: int
    weekday: int
    at: time
    minutes: int
    instructors: tuple[int, ...]
    places: int | None
    named: bool = True


SLOTS = (
    Slot(1, 51, 12, MON, time(7), 60, (11,), 18),
    Slot(2, 51, 12, WED, time(7), 60, (14,), 18),
    Slot(3, 51, 13, FRI, time(6, 45), 60, (11, 14), 20),
    Slot(4, 52, 12, TUE, time(18, 30), 75, (14,), 18),
    Slot(5, 52, 12, THU, time(18, 30), 75, (15,), 18),
    Slot(6, 52, 13, SUN, time(17), 90, (11, 15), 24),
    Slot(7, 53, 12, MON, time(12, 15), 50, (13,), 8),
    Slot(8, 53, 12, WED, time(17, 30), 50, (20,), 8),
    Slot(9, 53, 12, SAT, time(9), 50, (13, 20), 8),
    Slot(10, 54, 13, TUE, time(6, 30), 45, (12,), 14),
    Slot(11, 54, 13, THU, time(12), 45, (16,), 14),
    Slot(12, 54, 13, SAT, time(10, 30), 60, (12, 16), 16, named=False),
    Slot(13, 55, 14, MON, time(18), 60, (21,), 12),
    Slot(14, 55, 14, WED, time(18), 60, (21,), 12),
    Slot(15, 55, 14, SAT, time(9, 30), 60, (21,), 12),
    Slot(16, 56, 13, FRI, time(15), 180, (18,), 0),
    Slot(17, 57, 12, FRI, time(13), 120, (11,), 12),
    Slot(18, 58, 13, THU, time(20), 60, (15,), 10),
    Slot(19, 59, 15, TUE, time(7), 30, (19,), None),
    Slot(20, 59, 15, SAT, time(8), 30, (19,), None),
    Slot(21, 60, 13, SAT, time(14), 45, (17,), 10, named=False),
    # ends after midnight
    Slot(22, 61, 12, FRI, time(23, 30), 75, (14, 11), 15),
)


def demo_studio(today: date) -> Studio:
    """Create the demo studio around *today*.

    There are course sessions from 40 days before to 120 days after it, and events, the ordinary
    classes, from 35 days before to 70 days after it. Each depends only on its date and slot:
    timetables created on different days have the same sessions, with the same ids, on the days that
    both cover. Some ids belong to a course session and to an event.
    """
    return Studio(
        venues=demo_records.VENUES,
        venue_rooms=demo_records.VENUE_ROOMS,
        instructors=demo_records.INSTRUCTORS,
        categories=demo_records.CATEGORIES,
        offering_types=demo_records.OFFERING_TYPES,
        courses=demo_records.COURSES,
        sessions=[
            _session(day, slot)
            for day in _days(today, DAYS_BACK, DAYS_AHEAD)
            for slot in SLOTS
            if slot.weekday == day.weekday()
        ],
        events=_events(today),
    )


def _days(today: date, back: int, ahead: int) -> Iterator[date]:
    return (today + timedelta(days=n) for n in range(-back, ahead + 1))


# Cached, because most tests have a studio of their own; it copies the rows.
@lru_cache(maxsize=8)
def _events(today: date) -> tuple[Row, ...]:
    return tuple(
        _event(day, slot)
        for day in _days(today, EVENT_DAYS_BACK, EVENT_DAYS_AHEAD)
        for slot in CLASS_SLOTS
        if slot.weekday == day.weekday()
    )


def _session(day: date, slot: Slot) -> Row:
    # The duration is added in UTC, so that a clock change does not alter it.
    start = datetime.combine(day, slot.at, _ZONES[slot.venue]).astimezone(UTC)
    week = day.toordinal() // 7
    attending, waiting = _booking_counts((week + slot.number) % 9, slot.places)
    return session(
        id=day.toordinal() * 100 + slot.number,
        name=_COURSE_NAMES[slot.course] if slot.named else None,
        starts_at=start,
        ends_at=start + timedelta(minutes=slot.minutes),
        status="cancelled" if (week * 3 + slot.number * 5) % 16 == 0 else "active",
        attending_count=attending,
        max_occupancy=slot.places,
        waiting_count=waiting,
        venue=slot.venue,
        instructors=list(slot.instructors),
        course=slot.course,
    )


def _event(day: date, slot: ClassSlot) -> Row:
    zone = _ZONES[slot.venue]
    start = datetime.combine(day, slot.at, zone).astimezone(UTC)
    week = day.toordinal() // 7
    attending, waiting = _booking_counts((week + slot.number) % 9, slot.places)
    if slot.appointment:
        attending, waiting = 1, 0
    revealed = REVEALED_DAYS.get(slot.offering_type)

    def local(difference: timedelta) -> datetime:
        return (start + difference).astimezone(zone)

    return event(
        id=day.toordinal() * 100 + slot.number,
        name=slot.name or _TYPE_NAMES[slot.offering_type],
        starts_at=local(timedelta()),
        ends_at=local(timedelta(minutes=slot.minutes)),
        status="cancelled" if (week * 7 + slot.number * 11) % 31 == 0 else "active",
        max_occupancy=slot.places,
        attending_count=attending,
        waiting_count=waiting,
        is_appointment=slot.appointment,
        venue=slot.venue,
        venue_room=slot.room,
        instructors=_event_instructors(week, slot),
        offering_type=slot.offering_type,
        description=slot.description,
        registrations_open_at=local(timedelta(days=-slot.opens_days)),
        overriden_registration_timelines=[demo_records.TIMELINES[key] for key in slot.audiences],
        calendar_opens_at=revealed and local(timedelta(days=-revealed)),
    )


def _event_instructors(week: int, slot: ClassSlot) -> list[int]:
    """The slot's instructors; in some weeks another one covers."""
    covers = [id for id in COVERS.get(slot.venue, ()) if id not in slot.instructors]
    if covers and slot.instructors and (week * 5 + slot.number * 3) % 23 == 0:
        return [covers[slot.number % len(covers)]]
    return list(slot.instructors)


def _booking_counts(step: int, places: int | None) -> tuple[int, int]:
    """Counts of attendees and of the waiting list: in turn empty, part full, full, overbooked."""
    if not places:
        return step * 3, 0
    if step < 6:
        return places * step // 6, 0
    return {6: (places, 0), 7: (places, 3), 8: (places + 2, 1)}[step]
