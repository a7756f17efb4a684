"""The in-memory data of a studio, with methods for the changes that its staff make."""

import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bridge.sandbox.endpoints import Kind, Path
from bridge.sandbox.records import Row, attendance, customer
from bridge.sandbox.schema import referenced_kind

CUSTOMER_PATH = "/p/123-demo-studio/course-sessions/"
STAFF_URL = "https://staff.studio.example/course-sessions/"
EVENT_CUSTOMER_PATH = "/p/123-demo-studio/e/"
EVENT_STAFF_PATH = "/staff/123-demo-studio/events/"

MAX_ATTENDANCES = 3
"""The largest number of bookings that an event lists."""


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """A snapshot of all records: object name → id → record. Compared by identity.

    Records are shared with the studio, which replaces records and never modifies them.
    """

    rows: Mapping[str, Mapping[int, Row]]

    def get(self, kind: str, reference: int | Row) -> Row | None:
        """Return the record of an object name (``venue``, ``course`` and so on) and an id.

        A record in place of an id is returned unchanged.
        """
        return reference if isinstance(reference, dict) else self.rows[kind].get(reference)

    def sessions(self, kind: Kind = "course_session") -> list[Row]:
        """Return all course sessions, or all events, ordered by id."""
        table = self.rows[kind]
        return [table[id] for id in sorted(table)]

    def related(self, kind: str, row: Row, path: Path) -> list[int | Row]:
        """Return the ids or records that a record of the object name *kind* holds at *path*."""
        found: list[int | Row] = [row]
        for name in path:
            records = [record for item in found if (record := self.get(kind, item))]
            values = [value for record in records if (value := record.get(name)) is not None]
            found = []
            for value in values:
                found += value if isinstance(value, list) else [value]
            kind = referenced_kind(kind, name) or ""
        return found

    def offering_type(self, session: Row) -> Row | None:
        """Return the offering type of an event, or of a course session's course."""
        parent = self.get("course", session["course"]) if "course" in session else session
        return parent and self.get("offering_type", parent["offering_type"])

    def zone(self, session: Row) -> tzinfo:
        """Return the time zone of the session's venue; UTC if the venue or its zone is unknown."""
        venue = self.get("venue", session.get("venue") or 0)
        try:
            return ZoneInfo(venue["timezone"]) if venue else UTC
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return UTC

    def instant(self, session: Row, field: str) -> datetime | None:
        """Return a time of the session in the venue's zone; None if the field holds no time."""
        try:
            value = datetime.fromisoformat(session.get(field) or "")
        except (TypeError, ValueError):
            return None
        zone = self.zone(session)
        return value.astimezone(zone) if value.tzinfo else value.replace(tzinfo=zone)


class Studio:
    """The records of one provider; thread-safe.

    Each argument is a list of complete records, as `session`, `event` and the functions in
    `records` create them; a field that can be expanded holds ids or records. A course session may
    have a ``waiting_count``, which decides ``occupancy_status=has_waitlist`` and is never sent.

    The methods for changes apply to course sessions, or with ``kind="event"`` to events. A course
    session and an event may have the same id.
    """

    def __init__(
        self,
        *,
        venues: Iterable[Row] = (),
        venue_rooms: Iterable[Row] = (),
        instructors: Iterable[Row] = (),
        categories: Iterable[Row] = (),
        offering_types: Iterable[Row] = (),
        courses: Iterable[Row] = (),
        sessions: Iterable[Row] = (),
        events: Iterable[Row] = (),
    ) -> None:
        self._lock = threading.Lock()
        self._snapshot: Tables | None = None
        self._tables = {
            "venue": _by_id(venues),
            "venue_room": _by_id(venue_rooms),
            "instructor": _by_id(instructors),
            "offering_type_category": _by_id(categories),
            "offering_type": _by_id(offering_types),
            "course": _by_id(courses),
            "course_session": _by_id(sessions),
            "event": _by_id(events),
            "customer": {},
            "attendance": {},
        }

    def copy(self) -> "Studio":
        """Return a studio that has the same records now, and changes for itself."""
        copied = Studio()
        copied._tables = {kind: dict(table) for kind, table in self.tables().rows.items()}
        return copied

    def tables(self) -> Tables:
        """Return a snapshot of the records; the same object until a record changes."""
        with self._lock:
            if self._snapshot is None:
                rows = {kind: dict(table) for kind, table in self._tables.items()}
                self._snapshot = Tables(rows)
            return self._snapshot

    @property
    def sessions(self) -> list[Row]:
        """Copies of all course sessions, ordered by id."""
        rows: list[Row] = _copied(self.tables().sessions())
        return rows

    @property
    def events(self) -> list[Row]:
        """Copies of all events, ordered by id."""
        rows: list[Row] = _copied(self.tables().sessions("event"))
        return rows

    def replace_sessions(self, sessions: Iterable[Row], *, kind: Kind = "course_session") -> None:
        """Replace all sessions of a kind, atomically."""
        with self._changing():
            self._tables[kind] = _by_id(sessions)

    def add(
        self, *, starts_at: datetime | str, kind: Kind = "course_session", **fields: Any
    ) -> Row:
        """Add a session and return a copy of its record.

        By default: the next free id, the first venue, the first course or offering type, one hour,
        ten places, no attendees; an event has the name of its offering type. Times are aware
        datetimes, or strings, which are sent unchanged even if invalid. Datetimes of an event are
        sent with the offset of its venue.
        """
        with self._changing():
            id = fields.get("id") or max(self._tables[kind], default=0) + 1
            values = {
                "venue": next(iter(self._tables["venue"]), 0),
                **self._default_parent(kind, fields),
                **fields,
                "id": id,
                "starts_at": starts_at,
            }
            create = event if kind == "event" else session
            row = create(**self._with_offsets(kind, values, values["venue"]))
            self._tables[kind][id] = row
            copied: Row = _copied(row)
            return copied

    def change(self, id: int, *, kind: Kind = "course_session", **fields: Any) -> None:
        """Replace fields of a session. Raises KeyError for an unknown id.

        The fields of an event that depend on its counts are updated.
        """
        self._change(kind, id, fields)

    def cancel(self, id: int, *, kind: Kind = "course_session") -> None:
        """Cancel a session."""
        self.change(id, kind=kind, status="cancelled")

    def delete(self, id: int, *, kind: Kind = "course_session") -> None:
        """Remove a session; no trace remains, as in TeamUp. Raises KeyError for an unknown id."""
        with self._changing():
            del self._tables[kind][id]

    def set_visibility(self, offering_type_id: int, visibility: str) -> None:
        """Set an offering type's ``customer_visibility``."""
        self._change("offering_type", offering_type_id, {"customer_visibility": visibility})

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with self._lock:
            self._snapshot = None
            yield

    def _change(self, kind: str, id: int, fields: Mapping[str, Any]) -> None:
        with self._changing():
            row = {**self._tables[kind][id], **fields}
            given = self._with_offsets(kind, fields, row.get("venue"))
            values = {
                name: _json_value(value, utc=kind != "event") for name, value in given.items()
            }
            row.update(values)
            if kind == "event" and values.keys() & {"attending_count", "max_occupancy"}:
                row.update({**_fields_by_counts(row), **values})
            self._tables[kind][id] = row

    def _default_parent(self, kind: Kind, fields: Mapping[str, Any]) -> Row:
        """The course or the offering type of an added session; also the name of an event."""
        if kind == "course_session":
            return {"course": next(iter(self._tables["course"]), 0)}
        reference = fields.get("offering_type") or next(iter(self._tables["offering_type"]), 0)
        offering_type = Tables(self._tables).get("offering_type", reference)
        name = {"name": offering_type["name"]} if offering_type else {}
        return {"offering_type": reference, **name}

    def _with_offsets(self, kind: str, fields: Mapping[str, Any], venue: Any) -> Row:
        """Return *fields*; for an event, with datetimes in the venue's zone."""
        if kind != "event":
            return dict(fields)
        zone = Tables(self._tables).zone({"venue": venue})
        return {
            name: value.astimezone(zone) if isinstance(value, datetime) and value.tzinfo else value
            for name, value in fields.items()
        }


def session(*, id: int, starts_at: datetime | str, **fields: Any) -> Row:
    """Create a course session's record: by default one hour, ten places and no attendees."""
    return {
        "id": id,
        "object": "course_session",
        "name": None,
        "starts_at": _json_value(starts_at),
        "ends_at": _shifted(_json_value(starts_at), timedelta(hours=1)),
        "status": "active",
        "attending_count": 0,
        "max_occupancy": 10,
        "venue": 0,
        "instructors": [],
        "course": 0,
        "customer_url": f"{CUSTOMER_PATH}{id}",
        "provider_url": f"{STAFF_URL}{id}",
        "waiting_count": 0,
        **{name: _json_value(value) for name, value in fields.items()},
    }


def event(*, id: int, starts_at: datetime | str, **fields: Any) -> Row:
    """Create the record of an event, an ordinary class: by default one hour and ten places.

    Datetimes are written with their own offset. ``calendar_opens_at``, the time from which
    customers see the class, is never sent.
    """
    name = fields.get("name", "Class")
    slug = re.sub("[^a-z0-9]+", "-", str(name or "class").lower()).strip("-")
    row = {
        "id": id,
        "object": "event",
        "name": name,
        "starts_at": starts_at,
        "ends_at": _shifted(starts_at, timedelta(hours=1)),
        "status": "active",
        "max_occupancy": 10,
        "waitlist_max_override": -1,
        "attending_count": 0,
        "waiting_count": 0,
        "is_appointment": False,
        "venue": 0,
        "venue_room": None,
        "instructors": [],
        "offering_type": 0,
        "category": None,
        "description": "<p>Bring a towel and <b>water</b>.</p>",
        "customer_url": f"{EVENT_CUSTOMER_PATH}{id}-{slug}/",
        "provider_url": f"{EVENT_STAFF_PATH}{id}/",
        "registrations_open_at": _shifted(starts_at, timedelta(days=-90)),
        "registrations_close_at": starts_at,
        "late_cancel_deadline": _shifted(starts_at, timedelta(hours=-12)),
        "overriden_registration_timelines": [],
        "calendar_opens_at": None,
        **fields,
    }
    row = {**row, **_fields_by_counts(row), **fields}
    return {name: _json_value(value, utc=False) for name, value in row.items()}


def id_of(reference: int | Row) -> int:
    """Return the id of a reference, which is an id or a record."""
    return int(reference["id"]) if isinstance(reference, dict) else reference


def _by_id(rows: Iterable[Row]) -> dict[int, Row]:
    return {row["id"]: _copied(row) for row in rows}


def _copied(value: Any) -> Any:
    """A deep copy of a JSON value; several times as fast as `copy.deepcopy`."""
    if isinstance(value, dict):
        return {name: _copied(item) for name, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value


def _fields_by_counts(event: Row) -> Row:
    """The fields of an event that follow from its counts."""
    attending, places = (
        value if isinstance(value := event[name], int) else 0
        for name in ("attending_count", "max_occupancy")
    )
    bookings = range(min(attending, MAX_ATTENDANCES))
    return {
        "occupancy": event["max_occupancy"],
        "is_full": 0 < places <= attending,
        "small_session_attendances": [
            attendance(event["id"] * 10 + n, customer((event["id"] + n) % 400 + 1))
            for n in bookings
        ],
    }


def _json_value(value: Any, *, utc: bool = True) -> Any:
    """A copy of a JSON value; a datetime as text, in UTC or with its own offset."""
    if not isinstance(value, datetime):
        return _copied(value)
    if value.tzinfo is None:
        raise ValueError("a datetime needs an offset; to send a naive time, pass a string")
    return _text(value.astimezone(UTC) if utc else value)


def _text(time: datetime) -> str:
    return time.isoformat(timespec="seconds").replace("+00:00", "Z")


def _shifted(time: datetime | str, difference: timedelta) -> Any:
    """Another time with the offset of *time*; text that is not a time is returned unchanged."""
    try:
        parsed = time if isinstance(time, datetime) else datetime.fromisoformat(time)
    except (TypeError, ValueError):
        return time
    if parsed.tzinfo:
        # In UTC: Python adds to the wall clock, which clock changes shift.
        return _text((parsed.astimezone(UTC) + difference).astimezone(parsed.tzinfo))
    return _text(parsed + difference)
