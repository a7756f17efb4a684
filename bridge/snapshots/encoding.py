"""The stored form of snapshots and sessions: JSON in which shared parts are stored once."""

import json
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from datetime import UTC, datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any

from bridge.model import (
    ClassSession,
    Course,
    Instructor,
    OfferingType,
    Published,
    Revision,
    Room,
    Status,
    Venue,
    Visibility,
)
from bridge.snapshots.snapshot import Snapshot

# The exceptions that zlib, JSON, enums and dates raise for invalid data.
_INVALID_DATA_ERRORS = (
    zlib.error,
    ArithmeticError,
    AttributeError,
    LookupError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
)


@contextmanager
def decoding(what: str) -> Iterator[None]:
    """Raises ValueError if the block finds invalid data, or data in another format.

    Args:
        what: what is decoded, for the error.
    """
    try:
        yield
    except _INVALID_DATA_ERRORS as err:
        raise ValueError(f"invalid {what}: {type(err).__name__}") from err


def compressed_json(data: object) -> bytes:
    """*data* as compressed JSON."""
    return zlib.compress(_json(data).encode(), 6)


def encode(snapshot: Snapshot) -> bytes:
    """The snapshot as compressed JSON, with venues and other shared parts stored once."""
    parts = PartTable()
    rows = [encode_row(entry, parts) for entry in snapshot.published]
    return compressed_json(
        {
            "walked": snapshot.oldest_walk_at,
            "covers_from": None if snapshot.covers_from == float("-inf") else snapshot.covers_from,
            "tally": dict(snapshot.tally),
            "parts": parts.rows,
            "rows": rows,
        }
    )


def decode(value: bytes) -> Snapshot:
    """The inverse of :func:`encode`.

    Raises:
        ValueError: *value* is invalid, or was stored in another format.
    """
    with decoding("snapshot"):
        data = json.loads(zlib.decompress(value))
        parts = decode_parts(data["parts"])
        covers_from, walked = data["covers_from"], float(data["walked"])
        if not math.isfinite(walked):
            raise ValueError("the time of the walk is not finite")
        return Snapshot(
            oldest_walk_at=walked,
            covers_from=float("-inf") if covers_from is None else float(covers_from),
            published=tuple(decode_row(row, parts) for row in data["rows"]),
            tally=dict(data["tally"]),
        )


def encode_session(published: Published) -> bytes:
    """One session as JSON."""
    parts = PartTable()
    row = encode_row(published, parts)
    return _json({"parts": parts.rows, "row": row}).encode()


def decode_session(value: bytes) -> Published:
    """The inverse of :func:`encode_session`.

    Raises:
        ValueError: *value* is invalid, or was stored in another format.
    """
    with decoding("session"):
        data = json.loads(value)
        return decode_row(data["row"], decode_parts(data["parts"]))


Part = Venue | Room | Instructor | Course | OfferingType

_CLASSES: Mapping[str, type[Part]] = {
    "venue": Venue,
    "room": Room,
    "instructor": Instructor,
    "course": Course,
    "type": OfferingType,
}
_NAMES = {cls: name for name, cls in _CLASSES.items()}
# dataclasses.astuple would copy each value deeply, several times per session.
_FIELD_VALUES = {
    cls: attrgetter(*(field.name for field in fields(cls))) for cls in (*_NAMES, Revision)
}
_json = json.JSONEncoder(separators=(",", ":")).encode


class PartTable:
    """Numbers the parts that sessions share.

    Attributes:
        rows: the stored form of each part, by its number.
    """

    def __init__(self) -> None:
        self.rows: list[Sequence[Any]] = []
        self._numbers: dict[Part, int] = {}

    def number(self, part: Part | None) -> int | None:
        """The number of *part*; the same for equal parts."""
        if part is None:
            return None
        number = self._numbers.get(part)
        if number is None:
            number = self._numbers[part] = len(self.rows)
            self.rows.append(_encode_part(part))
        return number


@lru_cache(maxsize=4_096)
def _encode_part(part: Part) -> Sequence[Any]:
    values = (
        value.value if isinstance(value, Visibility) else value
        for value in _FIELD_VALUES[type(part)](part)
    )
    return [_NAMES[type(part)], *values]


# Equal parts of different snapshots share one instance: most comparisons then end at identity.
@lru_cache(maxsize=8_192, typed=True)
def _decode_part(name: str, *values: Any) -> Part:
    part = _CLASSES[name](*values)
    if isinstance(part, OfferingType) and part.visibility is not None:
        return replace(part, visibility=Visibility(part.visibility))
    return part


def decode_parts(rows: Sequence[Sequence[Any]]) -> list[Part]:
    """The inverse of :attr:`PartTable.rows`. Use it while :func:`decoding`."""
    return [_decode_part(*row) for row in rows]


def encode_row(entry: Published, parts: PartTable) -> list[Any]:
    """One session, with numbers in place of its parts."""
    session = entry.session
    return [
        session.source,
        session.id,
        session.title,
        int(session.start.timestamp()),
        None if session.end is None else int(session.end.timestamp()),
        session.status.value,
        session.attending,
        session.capacity,
        parts.number(session.venue),
        [parts.number(person) for person in session.instructors],
        parts.number(session.course),
        parts.number(session.offering_type),
        session.booking_url,
        session.staff_url,
        session.complete,
        [*_FIELD_VALUES[Revision](entry.revision)],
        entry.missing_since,
        entry.held,
        entry.is_tombstone,
        parts.number(session.room),
        session.own_description,
        session.waiting,
        session.booking_opens and int(session.booking_opens.timestamp()),
        session.registration and session.registration.value,
        session.utc_offset,
        entry.moved_from and int(entry.moved_from.timestamp()),
        [parts.number(person) for person in entry.covered],
        entry.noted_at,
    ]


# What rows that earlier versions stored do not have, for the last elements of a row.
_ADDED = (None, "", None, None, None, None, None, (), None)
_ROW_LENGTH = 28


def decode_row(row: list[Any], parts: list[Any]) -> Published:
    """The inverse of :func:`encode_row`. Use it while :func:`decoding`."""
    # A later version may have added elements at the end, which this one ignores.
    if len(row) < _ROW_LENGTH:
        row = [*row, *_ADDED[len(row) - _ROW_LENGTH :]]
    (
        source, id, title, start, end, status, attending, capacity,
        venue, instructors, course, offering_type, booking_url, staff_url, complete,
        revision, missing_since, held, is_tombstone,
        room, own_description, waiting, booking_opens, registration, utc_offset,
        moved_from, covered, noted_at,
    ) = row[:_ROW_LENGTH]  # fmt: skip
    session = ClassSession(
        source=source,
        id=id,
        title=title,
        start=datetime.fromtimestamp(start, UTC),
        end=None if end is None else datetime.fromtimestamp(end, UTC),
        status=Status(status),
        attending=attending,
        capacity=capacity,
        venue=None if venue is None else parts[venue],
        instructors=tuple(parts[number] for number in instructors),
        course=None if course is None else parts[course],
        offering_type=None if offering_type is None else parts[offering_type],
        booking_url=booking_url,
        staff_url=staff_url,
        complete=complete,
        room=None if room is None else parts[room],
        own_description=own_description,
        waiting=waiting,
        booking_opens=None if booking_opens is None else datetime.fromtimestamp(booking_opens, UTC),
        registration=None if registration is None else Visibility(registration),
        utc_offset=utc_offset,
    )
    return Published(
        session,
        Revision(*revision),
        missing_since,
        held,
        is_tombstone,
        None if moved_from is None else datetime.fromtimestamp(moved_from, UTC),
        tuple(parts[number] for number in covered),
        noted_at,
    )
