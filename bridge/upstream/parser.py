"""Parsing of TeamUp's rows to class sessions. Staff data and other unneeded data are dropped."""

import marshal
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from bridge import html_text, text_cleanup, times
from bridge.model import (
    ClassSession,
    Course,
    Instructor,
    OfferingType,
    Room,
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

APPOINTMENTS = "left out: appointment"
TIMELINES_WITHOUT_AUDIENCE = "kept as visible: registration timelines without an audience"
"""Reasons in the tally of a walk."""


_MAX_MEMOIZED = 4_096

T = TypeVar("T")
Named = TypeVar("Named", Course, Room, Instructor)


def _memoized(parse: Callable[..., T]) -> Callable[..., T]:
    """*parse* for records that many rows contain: each content is parsed once.

    A row takes half as long, and sessions share the objects of their venue, instructors and type.
    """
    results: dict[bytes, T] = {}

    def memoized(*arguments: Any) -> T:
        try:
            # Equal bytes mean equal content of the same types; 1 and True differ. Version 2 has no
            # references, which depend on the identity of objects.
            content = marshal.dumps(arguments, 2)
        except ValueError:  # nested more than 2,000 deep
            return parse(*arguments)
        result = results.get(content)
        if result is None:
            result = parse(*arguments)
            if len(results) >= _MAX_MEMOIZED:
                results.clear()
            results[content] = result
        return result

    return memoized


@dataclass(frozen=True, slots=True)
class Parsed:
    """The result of parsing rows.

    Attributes:
        sessions: the sessions, without duplicates.
        unusable: the ids of rows that were dropped.
        excluded: the ids of rows that are no part of a timetable: private appointments.
        tally: the number of rows that were not taken as they are, by reason; a reason that begins
            with ``dropped`` means an unusable row.
    """

    sessions: tuple[ClassSession, ...]
    unusable: frozenset[int]
    tally: Mapping[str, int]
    excluded: frozenset[int] = frozenset()


class _DroppedError(Exception):
    """A row is unusable. The text is the reason in the tally."""


def parse(
    rows: Iterable[object], source: Source, origin: str, *, anonymous: bool = False
) -> Parsed:
    """Parse *rows*. A bad row does not affect the others.

    Args:
        origin: scheme and host against which relative links are resolved.
        anonymous: the rows were requested without a token, so that all of them are public, even
            those without a visibility.
    """
    sessions: dict[int, ClassSession] = {}
    unusable: set[int] = set()
    excluded: set[int] = set()
    tally: Counter[str] = Counter()
    for row in rows:
        id = row_id(row)
        try:
            # First of all: an appointment is somebody's private booking.
            if isinstance(row, Mapping) and _is_appointment(row.get("is_appointment")):
                tally[APPOINTMENTS] += 1
                if id is not None:
                    excluded.add(id)
                continue
            session = _session(row, source, origin, tally, anonymous=anonymous)
            sessions[session.id] = session
            if not session.complete:
                tally["incomplete: a part without its name or visibility"] += 1
        except _DroppedError as err:
            tally[f"dropped: {err}"] += 1
            if id is not None:
                unusable.add(id)
    return _parsed(sessions, unusable, excluded, tally)


def combine(parts: Iterable[Parsed]) -> Parsed:
    """Merge *parts* in their order: the result is as if all rows had been parsed at once."""
    sessions: dict[int, ClassSession] = {}
    unusable: set[int] = set()
    excluded: set[int] = set()
    tally: Counter[str] = Counter()
    for part in parts:
        sessions.update((session.id, session) for session in part.sessions)
        unusable |= part.unusable
        excluded |= part.excluded
        tally.update(part.tally)
    return _parsed(sessions, unusable, excluded, tally)


def _parsed(
    sessions: dict[int, ClassSession], unusable: set[int], excluded: set[int], tally: Counter[str]
) -> Parsed:
    """The result; a row that is an appointment on any page is none of the sessions."""
    listed = tuple(session for id, session in sessions.items() if id not in excluded)
    unusable = unusable - sessions.keys() - excluded
    return Parsed(listed, frozenset(unusable), dict(tally), frozenset(excluded))


def _is_appointment(value: object) -> bool:
    """Whether a row's ``is_appointment`` says so. In the vendor's schema it is a string."""
    if isinstance(value, str):
        return value.strip().lower() not in ("", "false", "0")
    return value not in (None, False, 0)


def row_id(row: object) -> int | None:
    """The id of a row, or None if it has no usable id."""
    value = row.get("id") if isinstance(row, Mapping) else None
    return None if isinstance(value, str) else _integer(value)


def missing_fields(
    rows: Iterable[object], source: Source, *, anonymous: bool = False
) -> frozenset[str]:
    """The fields that the parser needs, and that are missing from every row.

    This happens if upstream interprets the parameter ``fields`` differently. A field that is
    missing from some rows only is not a sign of it: those are bad rows.
    """
    records = [row for row in rows if isinstance(row, Mapping)]
    checks: dict[str, Callable[[Row], bool]] = {
        **{name: partial(_has, path=(name,)) for name in _PLAIN_FIELDS},
        # a session may have no venue
        "venue": lambda row: row.get("venue", 0) is None or _has(row, ("venue", "timezone")),
        "instructors": lambda row: _instructors(row.get("instructors", _ABSENT))[1],
    }
    if not anonymous:
        checks["visibility"] = partial(_has, path=(*source.offering_type, "customer_visibility"))
    return frozenset(
        name for name, check in checks.items() if records and not any(map(check, records))
    )


# A missing field, as opposed to null.
_ABSENT = object()
_PLAIN_FIELDS = ("id", "starts_at", "ends_at", "status", "attending_count", "max_occupancy")


def _has(row: Row, path: tuple[str, ...]) -> bool:
    parent = _get_path(row, path[:-1])
    return isinstance(parent, Mapping) and path[-1] in parent


def _session(
    row: object, source: Source, origin: str, tally: Counter[str], *, anonymous: bool
) -> ClassSession:
    if not isinstance(row, Mapping):
        raise _DroppedError("not a record")
    id = row_id(row)
    if id is None:
        raise _DroppedError("no usable id")
    unstated_venue = None if source.may_lack_venue else _ABSENT
    venue, venue_complete = _venue(row.get("venue", unstated_venue))
    instructors, instructors_complete = _instructors(row.get("instructors", _ABSENT))
    room, room_complete = _room(row.get("venue_room"))
    type_row = _get_path(row, source.offering_type)
    offering_type, type_complete = _offering_type(type_row, anonymous)
    course, course_complete = _course(row.get("course"))
    zone = venue.zone if venue else None
    start, offset = _start(row.get("starts_at"), zone)
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
        source=source.name.object,
        id=id,
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
        booking_url=_booking_link(row.get("customer_url"), origin),
        staff_url=safe_link(row.get("provider_url"), origin),
        complete=all(
            (venue_complete, room_complete, instructors_complete, type_complete, course_complete)
        ),
        room=room,
        own_description=_description(row.get("description")),
        waiting=_integer(row.get("waiting_count")) or 0 if source.states_waitlist else None,
        booking_opens=_time(row.get("registrations_open_at"), zone),
        registration=_registration(row, type_row, tally),
        utc_offset=offset,
    )


def _booking_link(value: object, origin: str) -> str | None:
    link = safe_link(value, origin)
    return None if link is None or text_cleanup.is_meeting_link(link) else link


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
    name = text_cleanup.one_line(html_text.unescape(value[:_MAX_NAME]))
    if not any(map(text_cleanup.is_visible, name)):
        # A link of that text could be neither seen nor clicked.
        return ""
    # Names are in every feed, so a link to a meeting has no place in them.
    return text_cleanup.without_meeting_links(name)


def _status(value: object, tally: Counter[str]) -> Status:
    if value == Status.CANCELLED.value:
        return Status.CANCELLED
    if value != Status.ACTIVE.value:
        tally["kept as active: unknown status"] += 1
    return Status.ACTIVE


def _start(value: object, zone: str | None) -> tuple[datetime | None, int | None]:
    """When a session starts; without a zone, also the offset in minutes."""
    start = _time(value, zone)
    parsed = times.read(value.strip()) if isinstance(value, str) and zone is None else None
    offset = parsed.offset if parsed else None
    return start, None if offset is None else round(offset.total_seconds() / 60)


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


@_memoized
def _venue(value: object) -> tuple[Venue | None, bool]:
    """The venue, and whether it was sent as requested: as an object or null, not as an id."""
    if value is None:
        return None, True
    id = _reference(value)
    if id is None:
        return None, False
    if not isinstance(value, Mapping):
        return Venue(id), False
    zone = times.zone(value.get("timezone"))
    latitude, longitude = _position(value)
    return Venue(
        id=id,
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


def _named(kind: Callable[..., Named], value: object) -> tuple[Named | None, bool]:
    """A part with a name, and whether it was sent as requested: as an object or null, not as an id.

    Args:
        kind: its constructor, of an id and a name.
    """
    id = _reference(value)
    if id is None:
        return None, value is None
    if not isinstance(value, Mapping):
        return kind(id), False
    return kind(id, _name(value.get("name"))), True


_course = _memoized(partial(_named, Course))
_room = _memoized(partial(_named, Room))


@_memoized
def _instructors(value: object) -> tuple[tuple[Instructor, ...], bool]:
    if value is None:
        return (), True
    if isinstance(value, Mapping):
        value = [value]
    if not isinstance(value, list):
        return (), False
    named = [_named(Instructor, item) for item in value[:_MAX_INSTRUCTORS]]
    instructors = {person.id: person for person, _ in named if person}
    return tuple(instructors.values()), all(person and complete for person, complete in named)


def _description(value: object) -> str:
    return html_text.plain(value)[:_MAX_DESCRIPTION] if isinstance(value, str) else ""


_MEMBERS = frozenset(("membership_holders", "specific_memberships"))


def _registration(row: Row, offering_type: object, tally: Counter[str]) -> Visibility | None:
    """The audience that may book: of the row's own timelines, or else of its offering type's."""
    kind = offering_type if isinstance(offering_type, Mapping) else {}
    # the vendor's spelling
    own, usual = row.get("overriden_registration_timelines"), kind.get("registration_timelines")
    untold = False
    for timelines in (own, usual):
        items = timelines if isinstance(timelines, list) else []
        audiences = {
            item["audience_type"]
            for item in items
            if isinstance(item, Mapping) and isinstance(item.get("audience_type"), str)
        }
        if audiences:
            found = _visibility_for(audiences)
            break
        untold = untold or bool(timelines)
    else:
        found = None
    tally.update([TIMELINES_WITHOUT_AUDIENCE] if untold else [])
    return found


def _visibility_for(audiences: Set[str]) -> Visibility:
    """Who may see a class that these audiences of its registration timelines may book."""
    if "everyone" in audiences:
        return Visibility.PUBLIC
    return Visibility.MEMBERSHIP_HOLDERS if audiences & _MEMBERS else Visibility.PRIVATE


@_memoized
def _offering_type(value: object, anonymous: bool) -> tuple[OfferingType | None, bool]:
    """The offering type, and whether it was sent with a visibility: without one it is hidden.

    Args:
        anonymous: without a visibility it is public.
    """
    unstated = Visibility.PUBLIC if anonymous else None
    if not isinstance(value, Mapping):
        id = _reference(value)
        if id is None and not anonymous:
            return None, False
        return OfferingType(id, visibility=unstated), anonymous
    category = value.get("category")
    visibility = value.get("customer_visibility")
    if visibility is None and anonymous:
        visibility = Visibility.PUBLIC.value
    members = {member.value: member for member in Visibility}
    return OfferingType(
        id=_reference(value),
        name=_name(value.get("name")),
        description=_description(value.get("description")),
        category=_name(category.get("name")) if isinstance(category, Mapping) else "",
        colour=_colour(value.get("background_color")) or _colour(value.get("color")),
        visibility=members.get(visibility) if isinstance(visibility, str) else None,
        # any value other than false or null counts as a draft
        draft=value.get("is_draft") not in (None, False),
        category_id=_reference(category),
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
    # Offering types of ordinary classes have it without the number sign.
    if isinstance(value, str) and re.fullmatch(r"#?[0-9A-Fa-f]{6}", value):
        return f"#{value.removeprefix('#').lower()}"
    return None
