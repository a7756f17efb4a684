"""A year of sessions with difficult times, the same in every run."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import count
from zoneinfo import ZoneInfo

from thorough import THOROUGH
from upstreams.rows import instructor_row, session_row, venue_row

from clients.expected_events import Row

MANY = 10_000 if THOROUGH else 2_500
"""How many: some 1,500 with difficult times, and others."""

#: Followed by clock changes in every zone that has them, including Morocco's last one.
NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)

#: Daylight saving of half an hour; an offset with minutes; an offset of half an hour with daylight
#: saving; daylight saving by decree; none; none, next to zones with it; UTC; one hour.
ZONES = (
    "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns", "Africa/Casablanca",
    "Asia/Tokyo", "America/Phoenix", "Etc/UTC", "Europe/London",
)  # fmt: skip

_WORDS = (
    "Vinyasa", "Flow", "Zoë", "יוגה", "田中", "👨‍👩‍👧‍👦", "a,b;c", "\\n", "\\", "\r\n", "\x00",
    "\u2028", "\ud800", "\ufeff", "BEGIN:VEVENT", '"quoted"', "&amp;", "<b>", "é" * 40, "x" * 74,
)  # fmt: skip


@dataclass(frozen=True)
class TimedRow:
    """A row and its true times."""

    row: Row
    start: datetime
    end: datetime


def changes(zone: str) -> list[datetime]:
    """The changes of the zone's offset in the year after NOW."""
    tz, step = ZoneInfo(zone), timedelta(minutes=15)
    start = NOW.replace(minute=0)
    moments = (start + step * n for n in range(365 * 24 * 4 - 200))
    return [
        at + step
        for at in moments
        if at.astimezone(tz).utcoffset() != (at + step).astimezone(tz).utcoffset()
    ]


def sessions() -> list[TimedRow]:
    """MANY sessions in random order."""
    rng = random.Random("a year of sessions")
    starts = list(_around_changes())
    starts += list(_around_midnights())
    while len(starts) < MANY:
        moment = NOW + timedelta(seconds=rng.randrange(360 * 86400))
        starts.append((rng.choice(ZONES), moment))
    rng.shuffle(starts)
    return [
        _timed_row(id, zone, start, rng)
        for id, (zone, start) in zip(count(1), starts[:MANY], strict=False)
    ]


def _around_changes() -> Iterator[tuple[str, datetime]]:
    """Every third minute of the two hours before and after each change."""
    for zone in ZONES:
        for change in changes(zone):
            for minutes in range(-120, 121, 3):
                yield zone, change + timedelta(minutes=minutes)


def _around_midnights() -> Iterator[tuple[str, datetime]]:
    """Times before midnight on some days in each zone, and around New Year there and in UTC."""
    for zone in ZONES:
        tz = ZoneInfo(zone)
        for day in [NOW.date() + timedelta(days=19 * n) for n in range(18)]:
            for minute in (0, 30, 59):
                yield zone, datetime.combine(day, time(23, minute), tz).astimezone(UTC)
        for at in (tz, UTC):
            for minutes in range(-180, 181, 15):
                newyear = datetime(2027, 1, 1, tzinfo=at).astimezone(UTC)
                yield zone, newyear + timedelta(minutes=minutes)


def _timed_row(id: int, zone: str, start: datetime, rng: random.Random) -> TimedRow:
    start = start.replace(microsecond=0)
    end = start + timedelta(minutes=rng.choice((1, 30, 45, 60, 90, 180, 300)))
    number = ZONES.index(zone)
    name = " ".join(rng.choices(_WORDS, k=rng.randrange(1, 6)))
    row = session_row(
        id,
        _formatted(start, zone, rng),
        ends_at=_formatted(end, zone, rng),
        name=name,
        status="cancelled" if rng.random() < 0.05 else "active",
        venue=venue_row(id=500 + number, name=zone, timezone=zone),
        instructors=[instructor_row(rng.randrange(12))],
    )
    return TimedRow(row, start, end)


def _formatted(moment: datetime, zone: str, rng: random.Random) -> str:
    """Format the time in one of the notations that TeamUp's API may use."""
    tz = ZoneInfo(zone)
    local = moment.astimezone(tz)
    naive = local.replace(tzinfo=None, fold=0)
    forms = [
        moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        moment.strftime("%Y-%m-%dT%H:%M:%S.987654+00:00"),
        local.isoformat(),
        moment.astimezone(ZoneInfo("Asia/Kathmandu")).isoformat(),
    ]
    # An ambiguous naive time means the first of two, so the second cannot be written so.
    if naive.replace(tzinfo=tz).astimezone(UTC) == moment:
        forms.append(naive.isoformat())
    return rng.choice(forms)
