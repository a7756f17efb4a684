"""The snapshot: what one complete walk left published, and its form in the store."""

import json
import math
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime
from functools import cached_property, lru_cache
from operator import attrgetter
from typing import Any

from bridge.filters import FilterSet
from bridge.model import (
    ClassSession,
    Course,
    Instructor,
    OfferingType,
    Published,
    Revision,
    Status,
    Venue,
    Visibility,
)
from bridge.snapshots.index import Index

Identity = tuple[str, int]


@dataclass(frozen=True)
class Snapshot:
    """A filter set's sessions as published: the unit that is shared, kept and served.

    Attributes:
        walked: when the walk began, in seconds since 1970.
        covers_from: every session that ended at or after it is here, in seconds since 1970;
            minus infinity where the filter set asked for all.
        published: ordered by start and identity.
        tally: dropped and repaired rows of the walk, by reason.
    """

    walked: float
    covers_from: float
    published: tuple[Published, ...]
    tally: Mapping[str, int]

    @property
    def day(self) -> date:
        """The UTC day of the walk, against which relative windows are resolved."""
        return datetime.fromtimestamp(self.walked, UTC).date()

    @cached_property
    def by_identity(self) -> Mapping[Identity, Published]:
        """Each session by what makes it the same one."""
        return {one.session.identity: one for one in self.published}

    @cached_property
    def _index(self) -> Index:
        return Index(self.published)

    def matching(self, filter_set: FilterSet) -> Iterator[Published]:
        """The sessions of *filter_set*, in order, found by the index."""
        window = filter_set.window(self.day)
        places = self._index.places(filter_set, window)
        for place in places:
            one = self.published[place]
            if filter_set.admits(one.session, window):
                yield one

    def sharing(self, before: "Snapshot") -> "Snapshot":
        """The same; what did not change since *before* is the very object that it was there.

        What is made of a session is then found again by it, and it is in memory once.
        """
        known = before.by_identity
        published = []
        for one in self.published:
            was = known.get(one.session.identity)
            published.append(was if was is not None and was == one else one)
        return replace(self, published=tuple(published))


# What garbage may raise on its way through zlib, JSON, enums and dates.
_UNREADABLE = (
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
    """The values, by start and identity."""
    return tuple(sorted(published.values(), key=lambda o: (o.session.start, o.session.identity)))


def encode(snapshot: Snapshot) -> bytes:
    """The snapshot as compressed JSON; parts that sessions share stand in it once."""
    parts = _Parts()
    rows = [_row(one, parts) for one in snapshot.published]
    data = {
        "walked": snapshot.walked,
        "covers_from": None if snapshot.covers_from == float("-inf") else snapshot.covers_from,
        "tally": dict(snapshot.tally),
        "parts": parts.listed,
        "rows": rows,
    }
    return zlib.compress(_json(data).encode(), 6)


def decode(value: bytes) -> Snapshot:
    """The snapshot that *value* holds.

    Raises:
        ValueError: *value* is no snapshot of this version of the program.
    """
    try:
        data = json.loads(zlib.decompress(value))
        parts = [_part(*one) for one in data["parts"]]
        covers_from, walked = data["covers_from"], float(data["walked"])
        if not math.isfinite(walked):
            raise ValueError("walked at no time")
        return Snapshot(
            walked=walked,
            covers_from=float("-inf") if covers_from is None else float(covers_from),
            published=tuple(_published(row, parts) for row in data["rows"]),
            tally=dict(data["tally"]),
        )
    except _UNREADABLE as err:
        raise ValueError(f"no snapshot: {type(err).__name__}") from err


def encode_session(published: Published) -> bytes:
    """One session, by itself, as JSON."""
    parts = _Parts()
    row = _row(published, parts)
    return _json({"parts": parts.listed, "row": row}).encode()


def decode_session(value: bytes) -> Published:
    """The session that *value* holds.

    Raises:
        ValueError: *value* is no session of this version of the program.
    """
    try:
        data = json.loads(value)
        return _published(data["row"], [_part(*one) for one in data["parts"]])
    except _UNREADABLE as err:
        raise ValueError(f"no session: {type(err).__name__}") from err


Part = Venue | Instructor | Course | OfferingType

_KINDS: Mapping[str, Callable[..., Part]] = {
    "venue": Venue,
    "instructor": Instructor,
    "course": Course,
    "type": lambda *values: _with_visibility(OfferingType(*values)),
}
_NAMES = {Venue: "venue", Instructor: "instructor", Course: "course", OfferingType: "type"}
# dataclasses.astuple copies each value deeply, and these are copied a few times for each session.
_VALUES = {
    kind: attrgetter(*(field.name for field in fields(kind))) for kind in (*_NAMES, Revision)
}
_json = json.JSONEncoder(separators=(",", ":")).encode


def _with_visibility(kind: OfferingType) -> OfferingType:
    told = kind.visibility
    return replace(kind, visibility=None if told is None else Visibility(told))


class _Parts:
    """Numbers the parts that sessions share."""

    def __init__(self) -> None:
        self.listed: list[list[Any]] = []
        self._numbers: dict[Part, int] = {}

    def number(self, part: Part | None) -> int | None:
        if part is None:
            return None
        number = self._numbers.get(part)
        if number is None:
            number = self._numbers[part] = len(self.listed)
            values = _VALUES[type(part)](part)
            told = (one.value if isinstance(one, Visibility) else one for one in values)
            self.listed.append([_NAMES[type(part)], *told])
        return number


# The same part of two snapshots is one object: they are compared often, and mostly alike.
@lru_cache(maxsize=8_192, typed=True)
def _part(name: str, *values: Any) -> Part:
    return _KINDS[name](*values)


def _row(one: Published, parts: _Parts) -> list[Any]:
    session = one.session
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
        [*_VALUES[Revision](one.revision)],
        one.lacking_since,
        one.held,
        one.vanished,
    ]


def _published(row: list[Any], parts: list[Any]) -> Published:
    (
        source, identity, title, start, end, status, attending, capacity,
        venue, people, course, kind, booking, staff, complete,
        revision, lacking_since, held, vanished,
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
        instructors=tuple(parts[person] for person in people),
        course=None if course is None else parts[course],
        offering_type=None if kind is None else parts[kind],
        booking_url=booking,
        staff_url=staff,
        complete=complete,
    )
    return Published(session, Revision(*revision), lacking_since, held, vanished)
