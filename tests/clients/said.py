"""What upstream said: its rows read by other code than the bridge's, as the specification says."""

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import requests

from bridge.feeds import selection
from bridge.model import ClassSession
from clients.reading import Reading

Row = dict[str, Any]

_BREAKS = "\n\r\x0b\x0c\x85\u2028\u2029"
_ZONES = available_timezones()
_UNITS = 255


def rows(url: str, token: str) -> list[Any]:
    """Every row that the API at *url* has, in full."""
    found: list[Any] = []
    for page in count(1):
        answer = requests.get(
            f"{url}/course_sessions",
            params={
                "expand": "venue,instructors,course.offering_type.category",
                "status": "active,cancelled",
                "page": str(page),
            },
            headers={"Authorization": f"Bearer {token}"},
            timeout=60,
        )
        answer.raise_for_status()
        told = answer.json()
        found += told["results"]
        if told["next"] is None:
            return found
    raise AssertionError


def public(said: Iterable[Any], where: Callable[[Row], bool] = lambda row: True) -> list[Row]:
    """The rows that anybody may see and that have a place in time, each once."""
    return list({row["id"]: row for row in said if _shown(row) and where(row)}.values())


def _shown(row: Any) -> bool:
    if not isinstance(row, dict) or isinstance(row.get("id"), bool | str | None):
        return False
    kind = _inner(_inner(row, "course"), "offering_type")
    return (
        isinstance(row["id"], int)
        and kind.get("customer_visibility") == "public"
        and kind.get("is_draft") in (None, False)
        and start(row) is not None
    )


def _inner(row: Row, name: str) -> Row:
    part = row.get(name)
    return part if isinstance(part, dict) else {}


def start(row: Row) -> datetime | None:
    return _moment(row, "starts_at")


def end(row: Row) -> datetime | None:
    """The end; the start where there is none after it."""
    first, last = start(row), _moment(row, "ends_at")
    return last if first and last and last > first else first


def _moment(row: Row, name: str) -> datetime | None:
    try:
        value = datetime.fromisoformat(row[name])
        if value.tzinfo is None:
            zone = _inner(row, "venue").get("timezone")
            value = value.replace(tzinfo=ZoneInfo(zone if zone in _ZONES else "nowhere"))
        return value.astimezone(UTC).replace(microsecond=0)
    except (KeyError, ValueError, TypeError, OverflowError):
        return None


def reading(row: Row, *, cancelled: str = "status", availability: str = "none") -> Reading:
    """The event that is to come of *row*, at the instants that it gives."""
    told = _title(row)
    people = row.get("instructors")
    names = {one["id"]: _line(one.get("name")) for one in _people(people)}
    if any(names.values()):
        told += " – " + ", ".join(filter(None, names.values()))
    if row.get("status") == "cancelled":
        told = "CANCELLED: " + told
    else:
        told += _places(row, availability)
    begins, ends = start(row), end(row)
    assert begins
    assert ends
    return Reading(_uid(row), _clipped(told), begins, ends)


def readings(said: Iterable[Row], *, cancelled: str = "status", **options: str) -> list[Reading]:
    """The feed that is to come of *said*."""
    return [
        reading(row, **options)
        for row in said
        if not (cancelled == "hide" and row.get("status") == "cancelled")
    ]


def _people(value: Any) -> Iterator[Row]:
    for one in [value] if isinstance(value, dict) else value if isinstance(value, list) else ():
        if isinstance(one, dict) and str(one.get("id")).isdecimal():
            yield {**one, "id": int(one["id"])}


def _title(row: Row) -> str:
    course = _inner(row, "course")
    for named in (row, course, _inner(course, "offering_type")):
        if _line(named.get("name")):
            return _line(named.get("name"))
    return "Class"


def _line(value: Any) -> str:
    """One line: breaks and runs of blanks are one space; controls and lone surrogates are gone."""
    if not isinstance(value, str):
        return ""
    kept = "".join(" " if one in _BREAKS else one for one in value if not _unfit(one))
    return " ".join(kept.split())


def _unfit(one: str) -> bool:
    if one in _BREAKS or one == "\t":
        return False
    return one < " " or one in "\x7f\ufeff\ufffe\uffff" or unicodedata.category(one) == "Cs"


def _places(row: Row, availability: str) -> str:
    most, attending = row.get("max_occupancy"), row.get("attending_count")
    if availability == "none" or not most:
        return ""
    left = max(0, most - attending)
    if left == 0:
        return " (Full)"
    if availability == "full":
        return ""
    return f" ({left if left < 5 else left // 5 * 5} left)"


def _clipped(text: str) -> str:
    """At most 255 UTF-16 units, with a mark where something was cut."""
    if _units(text) <= _UNITS:
        return text
    while _units(text) > _UNITS - 1:
        text = text[:-1]
    # no joiner or variation selector before the mark
    return text.rstrip("\u200d\ufe0f ") + "…"


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _uid(row: Row) -> str:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    return selection.uid(
        ClassSession("course_session", row["id"], "", moment, moment + timedelta(hours=1))
    )
