"""A year of sessions where times go wrong: 10,000 of them, the same on every run."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import count
from zoneinfo import ZoneInfo

from upstreams.rows import instructor_row, session_row, venue_row

from clients.said import Row

MANY = 10_000

#: Ahead of it are changes of the clocks in every zone that has them, Morocco's last one too.
NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)

#: Half an hour of daylight saving; no whole hour; an hour from half past; by decree;
#: none; none, west of those that have it; UTC itself; an hour.
ZONES = (
    "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns", "Africa/Casablanca",
    "Asia/Tokyo", "America/Phoenix", "Etc/UTC", "Europe/London",
)  # fmt: skip

_WORDS = (
    "Vinyasa", "Flow", "Zoë", "יוגה", "田中", "👨‍👩‍👧‍👦", "a,b;c", "\\n", "\\", "\r\n", "\x00",
    "\u2028", "\ud800", "\ufeff", "BEGIN:VEVENT", '"quoted"', "&amp;", "<b>", "é" * 40, "x" * 74,
)  # fmt: skip


@dataclass(frozen=True)
class Truth:
    """A row, and when it is."""

    row: Row
    start: datetime
    end: datetime


def changes(zone: str) -> list[datetime]:
    """When the zone's offset changes in the year from NOW on."""
    tz, step = ZoneInfo(zone), timedelta(minutes=15)
    start = NOW.replace(minute=0)
    moments = (start + step * n for n in range(365 * 24 * 4 - 200))
    return [
        at + step
        for at in moments
        if at.astimezone(tz).utcoffset() != (at + step).astimezone(tz).utcoffset()
    ]


def sessions() -> list[Truth]:
    """MANY sessions, in no order."""
    dice = random.Random("a year of sessions")
    starts = list(_around_changes())
    starts += list(_around_midnights())
    while len(starts) < MANY:
        moment = NOW + timedelta(seconds=dice.randrange(360 * 86400))
        starts.append((dice.choice(ZONES), moment))
    dice.shuffle(starts)
    return [
        _truth(id, zone, start, dice)
        for id, (zone, start) in zip(count(1), starts[:MANY], strict=False)
    ]


def _around_changes() -> Iterator[tuple[str, datetime]]:
    """Every third minute of the two hours before and after each change."""
    for zone in ZONES:
        for change in changes(zone):
            for minutes in range(-120, 121, 3):
                yield zone, change + timedelta(minutes=minutes)


def _around_midnights() -> Iterator[tuple[str, datetime]]:
    """The last hours of some days in each zone, and of the year, there and in UTC."""
    for zone in ZONES:
        tz = ZoneInfo(zone)
        for day in [NOW.date() + timedelta(days=19 * n) for n in range(18)]:
            for minute in (0, 30, 59):
                yield zone, datetime.combine(day, time(23, minute), tz).astimezone(UTC)
        for at in (tz, UTC):
            for minutes in range(-180, 181, 15):
                newyear = datetime(2027, 1, 1, tzinfo=at).astimezone(UTC)
                yield zone, newyear + timedelta(minutes=minutes)


def _truth(id: int, zone: str, start: datetime, dice: random.Random) -> Truth:
    start = start.replace(microsecond=0)
    end = start + timedelta(minutes=dice.choice((1, 30, 45, 60, 90, 180, 300)))
    number = ZONES.index(zone)
    name = " ".join(dice.choices(_WORDS, k=dice.randrange(1, 6)))
    row = session_row(
        id,
        _written(start, zone, dice),
        ends_at=_written(end, zone, dice),
        name=name,
        status="cancelled" if dice.random() < 0.05 else "active",
        venue=venue_row(id=500 + number, name=zone, timezone=zone),
        instructors=[instructor_row(dice.randrange(12))],
    )
    return Truth(row, start, end)


def _written(moment: datetime, zone: str, dice: random.Random) -> str:
    """The moment in one of the notations that the vendor's API may use."""
    tz = ZoneInfo(zone)
    local = moment.astimezone(tz)
    naive = local.replace(tzinfo=None, fold=0)
    forms = [
        moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        moment.strftime("%Y-%m-%dT%H:%M:%S.987654+00:00"),
        local.isoformat(),
        moment.astimezone(ZoneInfo("Asia/Kathmandu")).isoformat(),
    ]
    # A naive time that comes twice is the first, so the second cannot be written so.
    if naive.replace(tzinfo=tz).astimezone(UTC) == moment:
        forms.append(naive.isoformat())
    return dice.choice(forms)
