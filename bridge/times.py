"""RFC 3339 dates and times, and look-up of IANA time zones."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, timezone, tzinfo
from enum import Enum
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones, reset_tzpath

from bridge.errors import ParameterError

# Use the pinned tzdata package, not the machine's: the same rules, and the same bytes, everywhere.
reset_tzpath(to=())

# Not datetime.fromisoformat, which also accepts week dates and other forms.
_DATE_OR_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?(?:([Zz])|([+\- ])(\d\d):?([0-5]\d))?)?",
    re.ASCII,
)
TIME_OF_DAY = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
"""The pattern of a time of day."""

BOUND_SCHEMA: Mapping[str, Any] = {
    "type": "string",
    # 29 February is accepted in leap years as well, and times with an offset or a fraction on the
    # first and the last day if they are in the range in UTC.
    "pattern": (
        r"^(?!(?:1900-01-01|2999-12-31)[Tt ].*[+\-., ])"
        "(?:19|2[0-9])[0-9]{2}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])"
        "|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
        f"(?:[Tt ]{TIME_OF_DAY}(?::[0-5][0-9](?:[.,][0-9]{{1,9}})?)?"
        f"(?:[Zz]|[+\\- ](?:[01][0-9]|2[0-3]):?[0-5][0-9])?)?$"
    ),
}
"""The JSON Schema of what :func:`bound` accepts."""

_YEARS = range(1900, 3000)
_END_OF_NIGHT = time(5)
_ACCEPTED = "a date (2026-10-20) or an RFC 3339 time (2026-10-20T17:30:00Z)"


@dataclass(frozen=True, slots=True)
class ParsedTime:
    """A parsed date or time.

    Attributes:
        value: whole seconds; UTC if the text has an offset, otherwise naive.
        is_date: the text has no time of day; ``value`` is the start of the day.
        fraction: whether a fraction of a second was cut off.
        offset: that of the text; None if it has none.
    """

    value: datetime
    is_date: bool
    fraction: bool
    offset: timedelta | None = None


def read(text: str) -> ParsedTime | None:
    """Parse a date or time of the years 1900 to 2999; None if *text* is neither.

    A space before the offset is read as ``+``: a ``+`` in a query string is decoded to a space.
    """
    match = _DATE_OR_TIME.fullmatch(text)
    if not match:
        return None
    year, month, day, hour, minute, second, fraction, zulu, sign, off_hours, off_minutes = (
        match.groups()
    )
    if int(year) not in _YEARS:
        return None
    offset: timedelta | None = None
    try:
        value = datetime(  # noqa: DTZ001 - the offset, if any, is applied below
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0)
        )
        if sign:
            offset = timedelta(hours=int(off_hours), minutes=int(off_minutes))
            offset = -offset if sign == "-" else offset
            value = value.replace(tzinfo=timezone(offset)).astimezone(UTC)
        elif zulu:
            offset = timedelta()
            value = value.replace(tzinfo=UTC)
    except ValueError:  # 31 February, 25:00, an offset of several days
        return None
    return ParsedTime(value, hour is None, bool(fraction) and int(fraction) > 0, offset)


class Edge(Enum):
    """Which end of a range a bound is. A date means its start as FIRST and its end as LAST."""

    FIRST = "first"
    LAST = "last"


def bound(name: str, text: str, *, edge: Edge, local: bool = False) -> datetime:
    """Parse a bound of a range, in whole seconds.

    Args:
        name: the parameter's name, for the error.
        text: the parameter's value.
        edge: a fraction of a second is rounded towards the inside of the range.
        local: whether a naive time stays naive; otherwise it is taken as UTC.

    Raises:
        ParameterError: *text* is not a date or time, or the bound is not in the years 1900 to 2999.
    """
    unusable = ParameterError.unusable(name, text, _ACCEPTED)
    parsed = read(text)
    if parsed is None:
        raise unusable
    value = parsed.value
    if parsed.is_date and edge is Edge.LAST:
        value += timedelta(days=1, seconds=-1)
    if parsed.fraction and edge is Edge.FIRST:
        value += timedelta(seconds=1)
    if value.year not in _YEARS:
        # Applying the offset or rounding led out of the range. The canonical form must be readable.
        raise unusable
    return value if value.tzinfo or local else value.replace(tzinfo=UTC)


def time_of_day(name: str, text: str) -> time:
    """Parse a time of day such as ``18:30``.

    Args:
        name: the parameter's name, for the error.

    Raises:
        ParameterError: *text* is anything else.
    """
    if not re.fullmatch(TIME_OF_DAY, text):
        raise ParameterError.unusable(name, text, "a time such as 18:30")
    return time.fromisoformat(text)


@cache
def zone_names() -> frozenset[str]:
    """The names of all time zones."""
    # Cached, because listing reads all zone files. Opening a file by an untrusted name is unsafe.
    return frozenset(available_timezones())


def utc_text(moment: datetime) -> str:
    """A time in UTC as RFC 3339 has it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def is_utc(zone: ZoneInfo) -> bool:
    """Whether *zone* is one of the names of UTC."""
    return zone.key.removeprefix("Etc/") in ("UTC", "UCT", "Universal", "Zulu")


def spans_days(start: datetime, end: datetime | None) -> bool:
    """Whether the day of the end has to be stated: not if a night of the first day ends by 05:00.

    Args:
        start, end: in the same zone.
    """
    if end is None or end.date() == start.date():
        return False
    return end.time() > _END_OF_NIGHT or end - start >= timedelta(days=1)


def zone_name(zone: tzinfo) -> str:
    """The name of a time zone, or of a fixed offset: ``Europe/London``, ``UTC+2``, ``UTC``."""
    return re.sub(r"^(UTC[+-])0?([0-9]+)(?::00|(:[0-9]+))$", r"\1\2\3", str(zone))


def zone(name: object) -> ZoneInfo | None:
    """The time zone called *name*; None if *name* is not the name of a zone."""
    return ZoneInfo(name) if isinstance(name, str) and name in zone_names() else None
