"""Dates, times and time zones: parsing of RFC 3339 times and dates, and IANA zones."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from functools import cache
from zoneinfo import ZoneInfo, available_timezones, reset_tzpath

from bridge.errors import ParameterError

# The pinned tzdata, and not whatever this machine has: the same rules, and bytes, everywhere.
reset_tzpath(to=())

# Written out rather than left to datetime.fromisoformat, which also takes week dates and the like.
_WRITTEN = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?(?:([Zz])|([+\- ])(\d\d):?([0-5]\d))?)?",
    re.ASCII,
)
_YEARS = range(1900, 3000)
_ACCEPTED = "a date (2026-10-20) or an RFC 3339 time (2026-10-20T17:30:00Z)"


@dataclass(frozen=True, slots=True)
class Written:
    """What was written.

    Attributes:
        value: whole seconds; UTC where an offset was given, else naive.
        is_date: no time of day was given; ``value`` is the start of the day.
        fraction: whether a fraction of a second was cut off.
    """

    value: datetime
    is_date: bool
    fraction: bool


def read(text: str) -> Written | None:
    """Read a time or a date of the years 1900 to 2999; None if *text* is neither.

    A space before the offset stands for ``+``, which is what a ``+`` in a query string turns into.
    """
    match = _WRITTEN.fullmatch(text)
    if not match:
        return None
    year, month, day, hour, minute, second, fraction, zulu, sign, off_hours, off_minutes = (
        match.groups()
    )
    if int(year) not in _YEARS:
        return None
    try:
        value = datetime(  # noqa: DTZ001 - its zone, if any, is read below
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0)
        )
        if sign:
            offset = timedelta(hours=int(off_hours), minutes=int(off_minutes))
            value = value.replace(tzinfo=timezone(-offset if sign == "-" else offset))
            value = value.astimezone(UTC)
        elif zulu:
            value = value.replace(tzinfo=UTC)
    except ValueError:  # the 31st of February, 25 o'clock, an offset of days
        return None
    return Written(value, hour is None, bool(fraction) and int(fraction) > 0)


class Edge(Enum):
    """Which end of a range a bound is: a date is its start for the first, its end for the last."""

    FIRST = "first"
    LAST = "last"


def bound(name: str, text: str, *, edge: Edge, local: bool = False) -> datetime:
    """Read a bound of a range, in whole seconds.

    Args:
        name: the parameter, for the error.
        text: what was given for it.
        edge: a fraction of a second is rounded towards the inside of the range.
        local: a naive time stays naive; otherwise it is UTC.

    Raises:
        ParameterError: it is no such time.
    """
    written = read(text)
    if written is None:
        raise ParameterError(name, f"{name}: {text[:40]!a} cannot be used; accepted: {_ACCEPTED}")
    value = written.value
    if written.is_date and edge is Edge.LAST:
        value += timedelta(days=1, seconds=-1)
    if written.fraction and edge is Edge.FIRST:
        value += timedelta(seconds=1)
    return value if value.tzinfo or local else value.replace(tzinfo=UTC)


@cache
def _known() -> frozenset[str]:
    # Listing takes a walk over the zone files; a look at the file of a hostile name would be worse.
    return frozenset(available_timezones())


def zone(name: object) -> ZoneInfo | None:
    """The zone of that name, or None for anything that is not one."""
    return ZoneInfo(name) if isinstance(name, str) and name in _known() else None
