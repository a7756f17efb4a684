"""From TeamUp's rows to class sessions: what is needed is kept, staff data dropped at once."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

from bridge import text_cleanup, times
from bridge.model import (
    ClassSession,
    Course,
    Instructor,
    OfferingType,
    Status,
    Venue,
    Visibility,
)
from bridge.upstream.sources import Source

Row = Mapping[str, Any]

_MAX_NAME = 1_000
_MAX_DESCRIPTION = 8_000
_MAX_URL = 2_000
_MAX_PEOPLE = 50
_UNTITLED = "Class"


@dataclass(frozen=True, slots=True)
class Parsed:
    """What rows came to.

    Attributes:
        sessions: by id, each once.
        unusable: ids of rows that were dropped.
        tally: how many rows were dropped or repaired, by reason; reasons that begin with
            ``dropped`` cost the row.
    """

    sessions: tuple[ClassSession, ...]
    unusable: frozenset[int]
    tally: Mapping[str, int]


class _DroppedError(Exception):
    """One record cannot be shown; its text is the reason that is counted."""


def parse(rows: Iterable[object], source: Source, origin: str) -> Parsed:
    """Parse *rows*; one bad record costs that record alone.

    Args:
        origin: scheme and host that relative links are resolved against.
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


def together(parts: Iterable[Parsed]) -> Parsed:
    """What the rows of all *parts* come to, in their order, as if they had been parsed at once."""
    sessions: dict[int, ClassSession] = {}
    unusable: set[int] = set()
    tally: Counter[str] = Counter()
    for part in parts:
        sessions.update((one.id, one) for one in part.sessions)
        unusable |= part.unusable
        tally.update(part.tally)
    return Parsed(tuple(sessions.values()), frozenset(unusable - set(sessions)), dict(tally))


def row_id(row: object) -> int | None:
    """The id of a row, or None where it has none that can be used."""
    value = row.get("id") if isinstance(row, Mapping) else None
    return None if isinstance(value, str) else _integer(value)


def lacking(rows: Iterable[object], source: Source) -> bool:
    """Whether something that the parser needs is missing from every row.

    That is what an answer looks like when upstream understood ``fields`` in another way. A single
    row that lacks something is a bad record, and no such sign.
    """
    usable = [row for row in rows if isinstance(row, Mapping)]
    checks: list[Callable[[Row], bool]] = [
        *(partial(_has, path=(name,)) for name in _PLAIN_FIELDS),
        # a session may have no venue
        lambda row: row.get("venue", 0) is None or _has(row, ("venue", "timezone")),
        lambda row: _instructors(row.get("instructors", _ABSENT))[1],
        partial(_has, path=(*source.offering_type, "customer_visibility")),
    ]
    return bool(usable) and not all(any(check(row) for row in usable) for check in checks)


# Not told, which is not the same as null.
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
    venue, venue_told = _venue(row.get("venue", _ABSENT))
    people, people_told = _instructors(row.get("instructors", _ABSENT))
    kind, kind_told = _offering_type(_walk(row, source.offering_type))
    course, course_told = _course(row.get("course"))
    zone = venue.zone if venue else None
    start = _time(row.get("starts_at"), zone)
    if start is None:
        raise _DroppedError("no start that can be placed")
    end = _time(row.get("ends_at"), zone)
    if end is None or end <= start:
        end = None
        tally["repaired: no end after its start"] += 1
    named = (_name(row.get("name")), course.name if course else "", kind.name if kind else "")
    return ClassSession(
        source=source.object,
        id=identity,
        title=next(filter(None, named), _UNTITLED),
        start=start,
        end=end,
        status=_status(row.get("status"), tally),
        attending=max(0, _integer(row.get("attending_count")) or 0),
        capacity=_capacity(row.get("max_occupancy")),
        venue=venue,
        instructors=people,
        course=course,
        offering_type=kind,
        booking_url=_link(row.get("customer_url"), origin),
        staff_url=_link(row.get("provider_url"), origin),
        complete=venue_told and people_told and kind_told and course_told,
    )


def _walk(row: Any, path: tuple[str, ...]) -> object:
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
    # The vendor's page: None and 0 both mean unlimited.
    return _integer(value) or None


def _name(value: object) -> str:
    return text_cleanup.one_line(value[:_MAX_NAME]) if isinstance(value, str) else ""


def _status(value: object, tally: Counter[str]) -> Status:
    if value == Status.CANCELLED.value:
        return Status.CANCELLED
    if value != Status.ACTIVE.value:
        tally["kept as active: unknown status"] += 1
    return Status.ACTIVE


def _time(value: object, zone: str | None) -> datetime | None:
    written = times.read(value.strip()) if isinstance(value, str) else None
    if written is None or written.is_date:
        return None
    if written.value.tzinfo is None:
        if zone is None:
            return None
        # zoneinfo's default fold is what is documented: the first of two, the offset before a gap
        return written.value.replace(tzinfo=times.zone(zone)).astimezone(UTC)
    return written.value


def _venue(value: object) -> tuple[Venue | None, bool]:
    """A venue as an object, an id or nothing; and whether it came as it was asked for."""
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
        join_url=_link(value.get("video_url"), None),
    ), True


def _address(venue: Row) -> str:
    written = _name(venue.get("address"))
    if written:
        return written
    parts = venue.get("physical_address")
    if not isinstance(parts, Mapping):
        return ""
    order = ("street", "street_secondary", "city", "region", "postal_code", "country")
    return ", ".join(filter(None, (_name(parts.get(name)) for name in order)))


def _position(venue: Row) -> tuple[float, float] | tuple[None, None]:
    for place in (venue, venue.get("physical_address")):
        if not isinstance(place, Mapping):
            continue
        latitude, longitude = (_degrees(place.get(n), m) for n, m in (("lat", 90), ("lng", 180)))
        # 0, 0 is in the sea: it is what an address that was never placed has.
        if latitude is not None and longitude is not None and (latitude or longitude):
            return latitude, longitude
    return None, None


def _degrees(value: object, most: int) -> float | None:
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
    people: dict[int, Instructor] = {}
    told = True
    for one in value[:_MAX_PEOPLE]:
        identity = _reference(one)
        if identity is not None:
            name = _name(one.get("name")) if isinstance(one, Mapping) else ""
            people[identity] = Instructor(identity, name)
        told = told and isinstance(one, Mapping) and identity is not None
    return tuple(people.values()), told


def _course(value: object) -> tuple[Course | None, bool]:
    identity = _reference(value)
    if identity is None:
        return None, value is None
    if not isinstance(value, Mapping):
        return Course(identity), False
    return Course(identity, _name(value.get("name"))), True


def _offering_type(value: object) -> tuple[OfferingType | None, bool]:
    """An offering type, and whether it came with a visibility: without one, nobody may see it."""
    if not isinstance(value, Mapping):
        identity = _reference(value)
        return (None if identity is None else OfferingType(identity)), False
    category = value.get("category")
    description = value.get("description")
    visibility = value.get("customer_visibility")
    known = {one.value: one for one in Visibility}
    return OfferingType(
        id=_reference(value),
        name=_name(value.get("name")),
        description=text_cleanup.plain(description)[:_MAX_DESCRIPTION]
        if isinstance(description, str)
        else "",
        category=_name(category.get("name")) if isinstance(category, Mapping) else "",
        colour=_colour(value.get("background_color")) or _colour(value.get("color")),
        visibility=known.get(visibility) if isinstance(visibility, str) else None,
        # anything but a plain no counts as a draft
        draft=value.get("is_draft") not in (None, False),
    ), isinstance(visibility, str)


def _reference(value: object) -> int | None:
    """The id of something that came as an id, a URL that ends in one, or an object."""
    if isinstance(value, Mapping):
        return _integer(value.get("id"))
    if isinstance(value, str):
        last = re.fullmatch(r"https?://[^?#]{1,2000}/([0-9]{1,18})/?", value)
        return int(last[1]) if last else _integer(value)
    return _integer(value)


def _colour(value: object) -> str | None:
    if isinstance(value, str) and re.fullmatch(r"#[0-9A-Fa-f]{6}", value):
        return value.lower()
    return None


def _link(value: object, origin: str | None) -> str | None:
    """An http or https address, or None.

    Args:
        origin: what a path with exactly one leading slash is resolved against, if anything.
    """
    if not isinstance(value, str) or len(value) > _MAX_URL:
        return None
    value = value.strip()
    if re.search(r"[\x00-\x20\x7f\\\ud800-\udfff\"<>^`{|}]", value):
        return None
    if origin and re.match(r"/(?!/)", value):
        value = origin + value
    try:
        parts = urlsplit(value)
    except ValueError:
        return None
    server = _server(parts.netloc)
    if server is None or parts.scheme not in ("http", "https"):
        return None
    # A user name in an address is there to mislead; it and anything not ASCII does not stay.
    safe = "/:?#[]@!$&'()*+,;=%~"
    tail = (quote(part, safe=safe) for part in (parts.path, parts.query, parts.fragment))
    path, query, fragment = tail
    return urlunsplit((parts.scheme, server, path, query, fragment))


# Nearly all links of a timetable lead to the same few.
@lru_cache(maxsize=256)
def _server(netloc: str) -> str | None:
    """The host of an address, with its port if one is given, in ASCII; None: it is not usable."""
    parts = SplitResult("", netloc, "", "", "")
    try:
        host = (parts.hostname or "").encode("idna").decode("ascii")
        port = f":{parts.port}" if parts.port else ""
    except (ValueError, UnicodeError):
        return None
    if not re.fullmatch(r"[a-z0-9.\-_]+|[0-9a-f:.]+", host):
        return None
    return f"[{host}]{port}" if ":" in host else host + port
