"""The in-memory data of a studio, with methods for the changes that its staff make."""

import copy
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bridge.sandbox.records import Row

CUSTOMER_PATH = "/p/123-demo-studio/course-sessions/"
STAFF_URL = "https://staff.studio.example/course-sessions/"


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

    def sessions(self) -> list[Row]:
        """Return all course sessions, ordered by id."""
        table = self.rows["course_session"]
        return [table[id] for id in sorted(table)]

    def offering_type(self, session: Row) -> Row | None:
        """Return the offering type of the session's course."""
        course = self.get("course", session["course"])
        return course and self.get("offering_type", course["offering_type"])

    def zone(self, session: Row) -> tzinfo:
        """Return the time zone of the session's venue; UTC if the venue or its zone is unknown."""
        venue = self.get("venue", session["venue"])
        try:
            return ZoneInfo(venue["timezone"]) if venue else UTC
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return UTC

    def instant(self, session: Row, field: str) -> datetime | None:
        """Return ``starts_at`` or ``ends_at`` in the venue's zone; None if it is not a time."""
        try:
            value = datetime.fromisoformat(session[field])
        except (TypeError, ValueError):
            return None
        zone = self.zone(session)
        return value.astimezone(zone) if value.tzinfo else value.replace(tzinfo=zone)


class Studio:
    """The records of one provider; thread-safe.

    Each argument is a list of complete records, as the functions in `records` create them; a field
    that can be expanded holds ids or records. A session may have a ``waiting_count``, which decides
    ``occupancy_status=has_waitlist`` and is never sent.
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
        }

    def tables(self) -> Tables:
        """Return a snapshot of the records; the same object until a record changes."""
        with self._lock:
            if self._snapshot is None:
                rows = {kind: dict(table) for kind, table in self._tables.items()}
                self._snapshot = Tables(rows)
            return self._snapshot

    @property
    def sessions(self) -> list[Row]:
        """Copies of all sessions, ordered by id."""
        return copy.deepcopy(self.tables().sessions())

    def replace_sessions(self, sessions: Iterable[Row]) -> None:
        """Replace all sessions, atomically."""
        with self._changing():
            self._tables["course_session"] = _by_id(sessions)

    def add(self, *, starts_at: datetime | str, **fields: Any) -> Row:
        """Add a session and return a copy of its record.

        By default: the next free id, first venue and course, one hour, ten places, no attendees.
        Times are aware datetimes, or strings, which are sent unchanged even if invalid.
        """
        with self._changing():
            id = fields.get("id") or max(self._tables["course_session"], default=0) + 1
            row = {
                **session(id=id, starts_at=starts_at),
                "venue": next(iter(self._tables["venue"]), 0),
                "course": next(iter(self._tables["course"]), 0),
                **{name: _json_value(value) for name, value in fields.items()},
            }
            self._tables["course_session"][id] = row
            return copy.deepcopy(row)

    def change(self, id: int, **fields: Any) -> None:
        """Replace fields of a session. Raises KeyError for an unknown id."""
        self._change("course_session", id, fields)

    def cancel(self, id: int) -> None:
        """Cancel a session."""
        self.change(id, status="cancelled")

    def restore(self, id: int) -> None:
        """Undo a cancellation."""
        self.change(id, status="active")

    def reschedule(self, id: int, starts_at: datetime, ends_at: datetime) -> None:
        """Set a session's times (aware datetimes)."""
        self.change(id, starts_at=starts_at, ends_at=ends_at)

    def rename(self, id: int, name: str | None) -> None:
        """Set a session's name; with None, the course's name applies."""
        self.change(id, name=name)

    def book(self, id: int, attending_count: int, *, waiting_count: int = 0) -> None:
        """Set the number of attendees and the length of the waiting list."""
        self.change(id, attending_count=attending_count, waiting_count=waiting_count)

    def move(self, id: int, venue: int | None = None, instructors: list[int] | None = None) -> None:
        """Set a session's venue, its instructors, or both (ids)."""
        fields = {"venue": venue, "instructors": instructors}
        self.change(id, **{name: value for name, value in fields.items() if value is not None})

    def delete(self, id: int) -> None:
        """Remove a session; no trace remains, as in TeamUp. Raises KeyError for an unknown id."""
        with self._changing():
            del self._tables["course_session"][id]

    def set_visibility(self, offering_type_id: int, visibility: str) -> None:
        """Set an offering type's ``customer_visibility``."""
        self._change("offering_type", offering_type_id, {"customer_visibility": visibility})

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with self._lock:
            self._snapshot = None
            yield

    def _change(self, kind: str, id: int, fields: Mapping[str, Any]) -> None:
        values = {name: _json_value(value) for name, value in fields.items()}
        with self._changing():
            self._tables[kind][id] = {**self._tables[kind][id], **values}


def session(*, id: int, starts_at: datetime | str, **fields: Any) -> Row:
    """Create a session's record: by default one hour, ten places and no attendees."""
    return {
        "id": id,
        "object": "course_session",
        "name": None,
        "starts_at": _json_value(starts_at),
        "ends_at": _one_hour_later(starts_at),
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


def id_of(reference: int | Row) -> int:
    """Return the id of a reference, which is an id or a record."""
    return int(reference["id"]) if isinstance(reference, dict) else reference


def _by_id(rows: Iterable[Row]) -> dict[int, Row]:
    return {row["id"]: row for row in copy.deepcopy(list(rows))}


def _json_value(value: Any) -> Any:
    if not isinstance(value, datetime):
        return copy.deepcopy(value)
    if value.tzinfo is None:
        raise ValueError("a datetime needs an offset; to send a naive time, pass a string")
    return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _one_hour_later(starts_at: datetime | str) -> Any:
    if isinstance(starts_at, datetime):
        return _json_value(starts_at + timedelta(hours=1))
    try:
        end = datetime.fromisoformat(starts_at) + timedelta(hours=1)
    except ValueError:
        return starts_at
    return _json_value(end) if end.tzinfo else end.isoformat(timespec="seconds")
