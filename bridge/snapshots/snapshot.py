"""Snapshots: the published sessions of a filter set after one complete walk, and their encoding."""

import json
import math
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime
from functools import cached_property, lru_cache
from operator import attrgetter
from typing import Any

from bridge.filters import FilterSet
from bridge.model import (
    ClassSession,
    Course,
    Identity,
    Instructor,
    OfferingType,
    Published,
    Revision,
    Room,
    Status,
    Venue,
    Visibility,
)
from bridge.snapshots.index import Index


@dataclass(frozen=True)
class Snapshot:
    """A filter set's sessions as published. Snapshots are stored, shared and served as a whole.

    Attributes:
        walked: when the walk began, in seconds since 1970; of joined snapshots, the first walk.
        covers_from: the snapshot contains every session that ended at or after this time, in
            seconds since 1970; minus infinity if the filter set has no lower bound.
        published: ordered by start and identity.
        tally: number of dropped and repaired rows of the walk, by reason.
        last_walk: of joined snapshots, when the last walk began; otherwise None.
    """

    walked: float
    covers_from: float
    published: tuple[Published, ...]
    tally: Mapping[str, int]
    last_walk: float | None = None

    @property
    def changed_at(self) -> float:
        """When the walk began from which the newest data come, in seconds since 1970."""
        return self.walked if self.last_walk is None else self.last_walk

    @property
    def day(self) -> date:
        """The UTC day of the newest walk, against which relative windows are resolved."""
        return datetime.fromtimestamp(self.changed_at, UTC).date()

    @cached_property
    def by_identity(self) -> Mapping[Identity, Published]:
        """The published sessions by source and id."""
        return {entry.session.identity: entry for entry in self.published}

    @cached_property
    def main_zone(self) -> str | None:
        """The time zone of most venues; None if none is known."""
        venues = {entry.session.venue for entry in self.published if entry.session.venue}
        zones = Counter(venue.zone for venue in venues if venue.zone)
        return min(zones, key=lambda zone: (-zones[zone], zone), default=None)

    @cached_property
    def _index(self) -> Index:
        return Index(self.published)

    def matching(self, filter_set: FilterSet) -> Iterator[Published]:
        """The sessions that match *filter_set* in some time zone, in order."""
        window = filter_set.widest_window(self.day)
        for position in self._index.positions(filter_set, window):
            entry = self.published[position]
            if filter_set.admits(entry.session, window):
                yield entry

    def sharing_with(self, previous: "Snapshot") -> "Snapshot":
        """An equal snapshot that shares the instances of unchanged sessions with *previous*.

        This saves memory, and speeds up caches that are keyed by session: equal keys are identical.
        """
        by_identity = previous.by_identity
        published = []
        for entry in self.published:
            old = by_identity.get(entry.session.identity)
            published.append(old if old is not None and old == entry else entry)
        return replace(self, published=tuple(published))


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


def ordered(published: Mapping[Identity, Published]) -> tuple[Published, ...]:
    """The values, ordered by start and identity."""
    return tuple(
        sorted(published.values(), key=lambda entry: (entry.session.start, entry.session.identity))
    )


def join(snapshots: Sequence[Snapshot]) -> Snapshot:
    """The snapshots of several sources as one. A single snapshot is returned unchanged."""
    if len(snapshots) == 1:
        return snapshots[0]
    tally: Counter[str] = Counter()
    for snapshot in snapshots:
        tally.update(snapshot.tally)
    return Snapshot(
        walked=min(snapshot.walked for snapshot in snapshots),
        covers_from=max(snapshot.covers_from for snapshot in snapshots),
        published=ordered(
            {id: entry for snapshot in snapshots for id, entry in snapshot.by_identity.items()}
        ),
        tally=dict(tally),
        last_walk=max(snapshot.changed_at for snapshot in snapshots),
    )


def encode(snapshot: Snapshot) -> bytes:
    """The snapshot as compressed JSON, with venues and other shared parts stored once."""
    parts = _PartTable()
    rows = [_encode_row(entry, parts) for entry in snapshot.published]
    data = {
        "walked": snapshot.walked,
        "covers_from": None if snapshot.covers_from == float("-inf") else snapshot.covers_from,
        "tally": dict(snapshot.tally),
        "parts": parts.rows,
        "rows": rows,
    }
    return zlib.compress(_json(data).encode(), 6)


def decode(value: bytes) -> Snapshot:
    """The inverse of :func:`encode`.

    Raises:
        ValueError: *value* is invalid, or was stored in another format.
    """
    try:
        data = json.loads(zlib.decompress(value))
        parts = [_decode_part(*row) for row in data["parts"]]
        covers_from, walked = data["covers_from"], float(data["walked"])
        if not math.isfinite(walked):
            raise ValueError("the time of the walk is not finite")
        return Snapshot(
            walked=walked,
            covers_from=float("-inf") if covers_from is None else float(covers_from),
            published=tuple(_decode_row(row, parts) for row in data["rows"]),
            tally=dict(data["tally"]),
        )
    except _INVALID_DATA_ERRORS as err:
        raise ValueError(f"invalid snapshot: {type(err).__name__}") from err


def encode_session(published: Published) -> bytes:
    """One session as JSON."""
    parts = _PartTable()
    row = _encode_row(published, parts)
    return _json({"parts": parts.rows, "row": row}).encode()


def decode_session(value: bytes) -> Published:
    """The inverse of :func:`encode_session`.

    Raises:
        ValueError: *value* is invalid, or was stored in another format.
    """
    try:
        data = json.loads(value)
        return _decode_row(data["row"], [_decode_part(*row) for row in data["parts"]])
    except _INVALID_DATA_ERRORS as err:
        raise ValueError(f"invalid session: {type(err).__name__}") from err


Part = Venue | Room | Instructor | Course | OfferingType

_CONSTRUCTORS: Mapping[str, Callable[..., Part]] = {
    "venue": Venue,
    "room": Room,
    "instructor": Instructor,
    "course": Course,
    "type": lambda *values: _with_enum_visibility(OfferingType(*values)),
}
_NAMES = {
    Venue: "venue",
    Room: "room",
    Instructor: "instructor",
    Course: "course",
    OfferingType: "type",
}
# dataclasses.astuple would copy each value deeply, several times per session.
_FIELD_VALUES = {
    cls: attrgetter(*(field.name for field in fields(cls))) for cls in (*_NAMES, Revision)
}
_json = json.JSONEncoder(separators=(",", ":")).encode


def _with_enum_visibility(offering_type: OfferingType) -> OfferingType:
    text = offering_type.visibility
    return replace(offering_type, visibility=None if text is None else Visibility(text))


class _PartTable:
    """Numbers the parts that sessions share."""

    def __init__(self) -> None:
        self.rows: list[list[Any]] = []
        self._numbers: dict[Part, int] = {}

    def number(self, part: Part | None) -> int | None:
        if part is None:
            return None
        number = self._numbers.get(part)
        if number is None:
            number = self._numbers[part] = len(self.rows)
            values = (
                value.value if isinstance(value, Visibility) else value
                for value in _FIELD_VALUES[type(part)](part)
            )
            self.rows.append([_NAMES[type(part)], *values])
        return number


# Equal parts of different snapshots share one instance: most comparisons then end at identity.
@lru_cache(maxsize=8_192, typed=True)
def _decode_part(name: str, *values: Any) -> Part:
    return _CONSTRUCTORS[name](*values)


def _encode_row(entry: Published, parts: _PartTable) -> list[Any]:
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
        entry.vanished,
        parts.number(session.room),
        session.own_description,
        session.waiting,
        session.booking_opens and int(session.booking_opens.timestamp()),
        session.registration and session.registration.value,
        session.utc_offset,
    ]


# What rows that earlier versions stored do not have, for the last elements of a row.
_ADDED = (None, "", None, None, None, None)
_ROW_LENGTH = 25


def _decode_row(row: list[Any], parts: list[Any]) -> Published:
    if len(row) < _ROW_LENGTH:
        row = [*row, *_ADDED[len(row) - _ROW_LENGTH :]]
    (
        source, identity, title, start, end, status, attending, capacity,
        venue, instructors, course, offering_type, booking_url, staff_url, complete,
        revision, missing_since, held, vanished,
        room, own_description, waiting, booking_opens, registration, utc_offset,
    ) = row  # fmt: skip
    session = ClassSession(
        source=source,
        id=identity,
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
    return Published(session, Revision(*revision), missing_since, held, vanished)
