"""Parsing of TeamUp's rows to class sessions. Staff data and other unneeded data are dropped."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from bridge import html_text, text_cleanup, times
from bridge.model import (
    ClassSession,
    Course,
    Instructor,
    OfferingType,
    Status,
    Venue,
    Visibility,
)
from bridge.upstream.links import safe_link
from bridge.upstream.sources import Source

Row = Mapping[str, Any]

_MAX_NAME = 1_000
_MAX_DESCRIPTION = 8_000
_MAX_INSTRUCTORS = 50
_UNTITLED = "Class"


@dataclass(frozen=True, slots=True)
class Parsed:
    """The result of parsing rows.

    Attributes:
        sessions: the sessions, without duplicates.
        unusable: the ids of rows that were dropped.
        tally: the number of dropped and repaired rows, by reason; a reason that begins with
            ``dropped`` means that the row was dropped.
    """

    sessions: tuple[ClassSession, ...]
    unusable: frozenset[int]
    tally: Mapping[str, int]


class _DroppedError(Exception):
    """A row is unusable. The text is the reason in the tally."""


def parse(rows: Iterable[object], source: Source, origin: str) -> Parsed:
    """Parse *rows*. A bad row does not affect the others.

    Args:
        origin: scheme and host against which relative links are resolved.
    """
    sessions: dict[int, ClassSession] = {}
    unusable: set[int] = set()
    tally: Counter[str] = Counter()
    for row in rows:
        try:
            session = _session(row, source, origin, tally)
            sessions[session.id] = session
        except _DroppedError as err:
            tally[f"dropped: {err}"] += 1
            identity = row_id(row)
            if identity is not None:
                unusable.add(identity)
    return Parsed(tuple(sessions.values()), frozenset(unusable - set(sessions)), dict(tally))


def combine(parts: Iterable[Parsed]) -> Parsed:
    """Merge *parts* in their order: the result is as if all rows had been parsed at once."""
    sessions: dict[int, ClassSession] = {}
    unusable: set[int] = set()
    tally: Counter[str] = Counter()
    for part in parts:
        sessions.update((session.id, session) for session in part.sessions)
        unusable |= part.unusable
        tally.update(part.tally)
    return Parsed(tuple(sessions.values()), frozenset(unusable - set(sessions)), dict(tally))


def row_id(row: object) -> int | None:
    """The id of a row, or None if it has no usable id."""
    value = row.get("id") if isinstance(row, Mapping) else None
    return None if isinstance(value, str) else _integer(value)


def lacks_required_fields(rows: Iterable[object], source: Source) -> bool:
    """Whether a field that the parser needs is missing from every row.

    This happens if upstream interprets the parameter ``fields`` differently. A field that is
    missing from some rows only is not a sign of it: those are bad rows.
    """
    records = [row for row in rows if isinstance(row, Mapping)]
    checks: list[Callable[[Row], bool]] = [
        *(partial(_has, path=(name,)) for name in _PLAIN_FIELDS),
        # a session may have no venue
        lambda row: row.get("venue", 0) is None or _has(row, ("venue", "timezone")),
        lambda row: _instructors(row.get("instructors", _ABSENT))[1],
        partial(_has, path=(*source.offering_type, "customer_visibility")),
    ]
    return bool(records) and not all(any(check(row) for row in records) for check in checks)


# A missing field, as opposed to null.
_ABSENT = object()
_PLAIN_FIELDS = ("id", "starts_at", "ends_at", "status", "attending_count", "max_occupancy")


def _has(row: Any, path: tuple[str, ...]) -> bool:
    for name in path[:-1]:
        row = row.get(name) if isinstance(row, Mapping) else None
    return isinstance(row, Mapping) and path[-1] in row


def _session(row: object, source: Source, origin: str, tally: Counter[str]) -> ClassSession:
    if not isinstance(row, Mapping):
        raise _DroppedError("not a record")
    identity = row_id(row)
    if identity is None:
        raise _DroppedError("no usable id")
    venue, venue_complete = _venue(row.get("venue", _ABSENT))
    instructors, instructors_complete = _instructors(row.get("instructors", _ABSENT))
    offering_type, type_complete = _offering_type(_get_path(row, source.offering_type))
    course, course_complete = _course(row.get("course"))
    zone = venue.zone if venue else None
    start = _time(row.get("starts_at"), zone)
    if start is None:
        raise _DroppedError("no start that can be placed")
    end = _time(row.get("ends_at"), zone)
    if end is None or end <= start:
        end = None
        tally["repaired: no end after its start"] += 1
    titles = (
        _name(row.get("name")),
        course.name if course else "",
        offering_type.name if offering_type else "",
    )
    return ClassSession(
        source=source.object,
        id=identity,
        title=next(filter(None, titles), _UNTITLED),
        start=start,
        end=end,
        status=_status(row.get("status"), tally),
        attending=max(0, _integer(row.get("attending_count")) or 0),
        capacity=_capacity(row.get("max_occupancy")),
        venue=venue,
        instructors=instructors,
        course=course,
        offering_type=offering_type,
        booking_url=safe_link(row.get("customer_url"), origin),
        staff_url=safe_link(row.get("provider_url"), origin),
        complete=venue_complete and instructors_complete and type_complete and course_complete,
    )


def _get_path(row: Any, path: tuple[str, ...]) -> object:
    for name in path:
        row = row.get(name) if isinstance(row, Mapping) else None
    return row


def _integer(value: object) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        return None
    return value


def _capacity(value: object) -> int | None:
    # According to the vendor's documentation, null and 0 both mean unlimited.
    return _integer(value) or None


def _name(value: object) -> str:
    if not isinstance(value, str):
        return ""
    return text_cleanup.one_line(html_text.unescape(value[:_MAX_NAME]))


def _status(value: object, tally: Counter[str]) -> Status:
    if value == Status.CANCELLED.value:
        return Status.CANCELLED
    if value != Status.ACTIVE.value:
        tally["kept as active: unknown status"] += 1
    return Status.ACTIVE


def _time(value: object, zone: str | None) -> datetime | None:
    parsed = times.read(value.strip()) if isinstance(value, str) else None
    if parsed is None or parsed.is_date:
        return None
    if parsed.value.tzinfo is None:
        if zone is None:
            return None
        # zoneinfo's default fold is as documented: the first of two times, the offset before a gap
        return parsed.value.replace(tzinfo=times.zone(zone)).astimezone(UTC)
    return parsed.value


def _venue(value: object) -> tuple[Venue | None, bool]:
    """The venue, and whether it was sent as requested: as an object or null, not as an id."""
    if value is None:
        return None, True
    identity = _reference(value)
    if identity is None:
        return None, False
    if not isinstance(value, Mapping):
        return Venue(identity), False
    zone = times.zone(value.get("timezone"))
    latitude, longitude = _position(value)
    return Venue(
        id=identity,
        name=_name(value.get("name")),
        address=_address(value),
        zone=zone.key if zone else None,
        latitude=latitude,
        longitude=longitude,
        online=value.get("is_online") is True or value.get("venue_type") == "online",
        join_url=safe_link(value.get("video_url"), None),
    ), True


def _address(venue: Row) -> str:
    address = _name(venue.get("address"))
    if address:
        return address
    parts = venue.get("physical_address")
    if not isinstance(parts, Mapping):
        return ""
    order = ("street", "street_secondary", "city", "region", "postal_code", "country")
    return ", ".join(filter(None, (_name(parts.get(name)) for name in order)))


def _position(venue: Row) -> tuple[float, float] | tuple[None, None]:
    for position in (venue, venue.get("physical_address")):
        if not isinstance(position, Mapping):
            continue
        latitude, longitude = (_degrees(position.get(n), m) for n, m in (("lat", 90), ("lng", 180)))
        # 0, 0 is in the sea: it is the default of an address without coordinates.
        if latitude is not None and longitude is not None and (latitude or longitude):
            return latitude, longitude
    return None, None


def _degrees(value: object, most: int) -> float | None:
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?[0-9]{1,3}(\.[0-9]{1,20})?\s*", value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -most <= value <= most:
        return None
    return float(value)


def _instructors(value: object) -> tuple[tuple[Instructor, ...], bool]:
    if value is None:
        return (), True
    if isinstance(value, Mapping):
        value = [value]
    if not isinstance(value, list):
        return (), False
    instructors: dict[int, Instructor] = {}
    complete = True
    for item in value[:_MAX_INSTRUCTORS]:
        identity = _reference(item)
        if identity is not None:
            name = _name(item.get("name")) if isinstance(item, Mapping) else ""
            instructors[identity] = Instructor(identity, name)
        complete = complete and isinstance(item, Mapping) and identity is not None
    return tuple(instructors.values()), complete


def _course(value: object) -> tuple[Course | None, bool]:
    identity = _reference(value)
    if identity is None:
        return None, value is None
    if not isinstance(value, Mapping):
        return Course(identity), False
    return Course(identity, _name(value.get("name"))), True


def _offering_type(value: object) -> tuple[OfferingType | None, bool]:
    """The offering type, and whether it was sent with a visibility: without one it is hidden."""
    if not isinstance(value, Mapping):
        identity = _reference(value)
        return (None if identity is None else OfferingType(identity)), False
    category = value.get("category")
    description = value.get("description")
    visibility = value.get("customer_visibility")
    members = {member.value: member for member in Visibility}
    return OfferingType(
        id=_reference(value),
        name=_name(value.get("name")),
        description=html_text.plain(description)[:_MAX_DESCRIPTION]
        if isinstance(description, str)
        else "",
        category=_name(category.get("name")) if isinstance(category, Mapping) else "",
        colour=_colour(value.get("background_color")) or _colour(value.get("color")),
        visibility=members.get(visibility) if isinstance(visibility, str) else None,
        # any value other than false or null counts as a draft
        draft=value.get("is_draft") not in (None, False),
    ), isinstance(visibility, str)


def _reference(value: object) -> int | None:
    """The id in a reference: an id, a URL that ends with an id, or an object."""
    if isinstance(value, Mapping):
        return _integer(value.get("id"))
    if isinstance(value, str):
        match = re.fullmatch(r"https?://[^?#]{1,2000}/([0-9]{1,18})/?", value)
        return int(match[1]) if match else _integer(value)
    return _integer(value)


def _colour(value: object) -> str | None:
    if isinstance(value, str) and re.fullmatch(r"#[0-9A-Fa-f]{6}", value):
        return value.lower()
    return None
