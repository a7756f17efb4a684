"""The expected events of upstream rows: an implementation independent of the bridge's."""

import html
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import requests

from bridge.feeds import session_view
from bridge.model import ClassSession
from clients.events import Event

Row = dict[str, Any]

_BREAKS = "\n\r\x0b\x0c\x85\u2028\u2029"
_ZONES = available_timezones()
_MAX_UNITS = 255
_TAG = re.compile(r"<(?:/?[a-zA-Z][a-zA-Z0-9]*[\s/>]|!--|!doctype)", re.IGNORECASE)
_REFERENCE = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][0-9A-Za-z]{1,31});")


_EXPANSIONS = {
    "course_sessions": "venue,instructors,course.offering_type.category",
    "events": "venue,venue_room,instructors,offering_type.category"
    ",offering_type.registration_timelines",
}
_CANCELLED = {"en": "CANCELLED: ", "fr": "ANNULÉ\u00a0: "}
_FULL = {"en": " (Full)", "fr": " (complet)"}
_COVER = {"en": " (cover)", "fr": " (remplacement)"}
_LEFT = {"en": " ({0} left)", "fr": " ({0} place{1} restante{1})"}


def fetch_rows(url: str, token: str, lists: Iterable[str] = ("course_sessions",)) -> list[Any]:
    """Fetch all rows of TeamUp's *lists* from the API at *url*, expanded.

    The ``object`` of each row is set to that of its list.
    """
    return [
        {**row, "object": name.removesuffix("s")} if isinstance(row, dict) else row
        for name in lists
        for row in _fetch_list(url, token, name)
    ]


def _fetch_list(url: str, token: str, name: str) -> list[Any]:
    fetched: list[Any] = []
    for page in count(1):
        response = requests.get(
            f"{url}/{name}",
            params={
                "expand": _EXPANSIONS[name],
                "status": "active,cancelled",
                "page": str(page),
            },
            headers={"Authorization": f"Bearer {token}"},
            timeout=60,
        )
        response.raise_for_status()
        body = response.json()
        fetched += body["results"]
        if body["next"] is None:
            return fetched
    raise AssertionError


def mark_covers(rows: Iterable[Row], before: Iterable[Row]) -> None:
    """Add the field ``covering`` to *rows*: the ids of the instructors who cover for others.

    Args:
        before: the rows as a bridge read them first.
    """
    first = {(row["object"], row["id"]): _people_ids(row) for row in before}
    for row in rows:
        announced = first.get((row["object"], row["id"]), set())
        if announced - _people_ids(row):
            row["covering"] = _people_ids(row) - announced


def _people_ids(row: Row) -> set[int]:
    return {person["id"] for person in _people(row.get("instructors"))}


def public_rows(rows: Iterable[Any], where: Callable[[Row], bool] = lambda row: True) -> list[Row]:
    """The public rows with a valid time, without duplicates."""
    public = (row for row in rows if _is_public(row) and where(row))
    return list({(row.get("object"), row["id"]): row for row in public}.values())


def _is_public(row: Any) -> bool:
    if not isinstance(row, dict) or isinstance(row.get("id"), bool | str | None):
        return False
    kind = _kind(row)
    return (
        isinstance(row["id"], int)
        and not row.get("is_appointment")
        and _may_register(row, kind)
        and kind.get("customer_visibility") == "public"
        and kind.get("is_draft") in (None, False)
        and start(row) is not None
    )


def _kind(row: Row) -> Row:
    """The offering type: of an ordinary class its own, of a course session its course's."""
    return _inner(row if row.get("object") == "event" else _inner(row, "course"), "offering_type")


def _may_register(row: Row, kind: Row) -> bool:
    """Whether everybody may register; true if no timeline says otherwise."""
    timelines = row.get("overriden_registration_timelines") or kind.get("registration_timelines")
    if row.get("object") != "event" or not isinstance(timelines, list) or not timelines:
        return True
    return any(timeline["audience_type"] == "everyone" for timeline in timelines)


def _inner(row: Row, name: str) -> Row:
    part = row.get(name)
    return part if isinstance(part, dict) else {}


def start(row: Row) -> datetime | None:
    return _time(row, "starts_at")


def end(row: Row) -> datetime | None:
    """The end of the session; an hour after its start if the row has no later end.

    An hour is the usual length of all courses in the timetables that have such rows.
    """
    first, last = start(row), _time(row, "ends_at")
    return last if first and last and last > first else first and first + timedelta(hours=1)


def _time(row: Row, name: str) -> datetime | None:
    try:
        value = datetime.fromisoformat(row[name])
        if value.tzinfo is None:
            zone = _inner(row, "venue").get("timezone")
            value = value.replace(tzinfo=ZoneInfo(zone if zone in _ZONES else "nowhere"))
        return value.astimezone(UTC).replace(microsecond=0)
    except (KeyError, ValueError, TypeError, OverflowError):
        return None


def event_of(
    row: Row, *, cancelled: str = "status", availability: str = "none", lang: str = "en"
) -> Event:
    """The expected event of *row*."""
    title = _title(row)
    people = row.get("instructors")
    names = {person["id"]: _line(person.get("name")) for person in _people(people)}
    for covering in row.get("covering", ()):
        names[covering] += _COVER[lang]
    if any(names.values()):
        title += " – " + ", ".join(filter(None, names.values()))
    if row.get("status") == "cancelled":
        title = _CANCELLED[lang] + title
    else:
        title += _places(row, availability, lang)
    begins, ends = start(row), end(row)
    assert begins
    assert ends
    return Event(_uid(row), _truncated(title), begins, ends)


def events_of(rows: Iterable[Row], *, cancelled: str = "status", **options: str) -> list[Event]:
    """The expected events of a feed with *rows*."""
    return [
        event_of(row, **options)
        for row in rows
        if not (cancelled == "hide" and row.get("status") == "cancelled")
    ]


def _people(value: Any) -> Iterator[Row]:
    items = [value] if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in items:
        if isinstance(item, dict) and str(item.get("id")).isdecimal():
            yield {**item, "id": int(item["id"])}


def _title(row: Row) -> str:
    for source in (row, _inner(row, "course"), _kind(row)):
        if name := _line(source.get("name")):
            return name
    return "Class"


def _line(value: Any) -> str:
    """Clean a text to one line, without control characters and lone surrogates."""
    if not isinstance(value, str):
        return ""
    if not _TAG.search(value):
        value = _REFERENCE.sub(lambda match: html.unescape(match[0]), value)
    cleaned = "".join(" " if char in _BREAKS else char for char in value if not _removed(char))
    line = " ".join(cleaned.split())
    # A name of which nothing can be seen is no name.
    return line if any(unicodedata.category(char) not in {"Cf", "Zs"} for char in line) else ""


def _removed(char: str) -> bool:
    if char in _BREAKS or char == "\t":
        return False
    return unicodedata.category(char) in ("Cc", "Cs") or char in "\ufeff\ufffe\uffff"


def _places(row: Row, availability: str, lang: str) -> str:
    places, attending = row.get("max_occupancy"), row.get("attending_count")
    if availability == "none" or not places:
        return ""
    left = max(0, places - attending)
    if left == 0:
        return _FULL[lang]
    if availability == "full":
        return ""
    count = left if left < 5 else left // 5 * 5
    return _LEFT[lang].format(count, "" if count == 1 else "s")


def _truncated(text: str) -> str:
    """At most 255 UTF-16 units, with an ellipsis if the text was cut."""
    if _utf16_units(text) <= _MAX_UNITS:
        return text
    while _utf16_units(text) > _MAX_UNITS - 1:
        text = text[:-1]
    # No joiner or variation selector before the ellipsis.
    return text.rstrip("\u200d\ufe0f ") + "…"


def _utf16_units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _uid(row: Row) -> str:
    start, source = datetime(2026, 1, 1, tzinfo=UTC), row.get("object") or "course_session"
    return session_view.uid(ClassSession(source, row["id"], "", start, start + timedelta(hours=1)))
