"""The studio: its records, and what its staff do to them."""

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
STAFF_ADDRESS = "https://staff.studio.example/course-sessions/"


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """The records as they stood at one moment: object name → id → record. Compared by identity.

    The records are shared with the studio, which replaces and never changes them.
    """

    rows: Mapping[str, Mapping[int, Row]]

    def get(self, kind: str, reference: int | Row) -> Row | None:
        """The record of that object name (``venue``, ``course`` and so on) and id.

        A record that is held in place of its id is returned as it is.
        """
        return reference if isinstance(reference, dict) else self.rows[kind].get(reference)

    def sessions(self) -> list[Row]:
        """Every course session, by id."""
        table = self.rows["course_session"]
        return [table[id] for id in sorted(table)]

    def offering_type(self, session: Row) -> Row | None:
        """The offering type of the session's course."""
        course = self.get("course", session["course"])
        return course and self.get("offering_type", course["offering_type"])

    def zone(self, session: Row) -> tzinfo:
        """The zone of the session's venue; UTC where the venue or its zone is not known."""
        venue = self.get("venue", session["venue"])
        try:
            return ZoneInfo(venue["timezone"]) if venue else UTC
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return UTC

    def instant(self, session: Row, field: str) -> datetime | None:
        """``starts_at`` or ``ends_at`` in the venue's zone; None if it holds no time at all."""
        try:
            value = datetime.fromisoformat(session[field])
        except (TypeError, ValueError):
            return None
        zone = self.zone(session)
        return value.astimezone(zone) if value.tzinfo else value.replace(tzinfo=zone)


class Studio:
    """The records of one provider, safe to read and to change from several threads.

    Each argument is a list of records in the vendor's full form, as `records` makes them; what
    expands is held as an id or a list of ids, or as the records themselves. A session may also
    have a ``waiting_count``, by which ``occupancy_status=has_waitlist`` is decided and which is
    never sent.
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
        """The records as they stand now: the same object until something changes."""
        with self._lock:
            if self._snapshot is None:
                rows = {kind: dict(table) for kind, table in self._tables.items()}
                self._snapshot = Tables(rows)
            return self._snapshot

    @property
    def sessions(self) -> list[Row]:
        """Copies of all sessions, by id."""
        return copy.deepcopy(self.tables().sessions())

    def replace_sessions(self, sessions: Iterable[Row]) -> None:
        """Put these sessions in place of all that there are, in one step."""
        with self._changing():
            self._tables["course_session"] = _by_id(sessions)

    def add(self, *, starts_at: datetime | str, **fields: Any) -> Row:
        """Add a session; a copy of its record.

        What *fields* leave out is believable: the next free id, the first venue and course, one
        hour, ten places, nobody in. Times are aware datetimes, or strings, which are sent as they
        are, however odd.
        """
        with self._changing():
            id = fields.get("id") or max(self._tables["course_session"], default=0) + 1
            row = {
                **session(id=id, starts_at=starts_at),
                "venue": next(iter(self._tables["venue"]), 0),
                "course": next(iter(self._tables["course"]), 0),
                **{name: _json(value) for name, value in fields.items()},
            }
            self._tables["course_session"][id] = row
            return copy.deepcopy(row)

    def change(self, id: int, **fields: Any) -> None:
        """Replace any fields of a session. KeyError if there is none with this id."""
        self._change("course_session", id, fields)

    def cancel(self, id: int) -> None:
        """Cancel a session."""
        self.change(id, status="cancelled")

    def restore(self, id: int) -> None:
        """Take a cancellation back."""
        self.change(id, status="active")

    def retime(self, id: int, starts_at: datetime, ends_at: datetime) -> None:
        """Move a session to other times (aware datetimes)."""
        self.change(id, starts_at=starts_at, ends_at=ends_at)

    def rename(self, id: int, name: str | None) -> None:
        """Give a session another name; None leaves it to its course."""
        self.change(id, name=name)

    def book(self, id: int, attending_count: int, *, waiting_count: int = 0) -> None:
        """Set how many are in, and how many wait."""
        self.change(id, attending_count=attending_count, waiting_count=waiting_count)

    def move(self, id: int, venue: int | None = None, instructors: list[int] | None = None) -> None:
        """Give a session another venue, other instructors, or both (ids)."""
        fields = {"venue": venue, "instructors": instructors}
        self.change(id, **{name: value for name, value in fields.items() if value is not None})

    def delete(self, id: int) -> None:
        """Remove a session without a trace, as upstream does. KeyError if there is none."""
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
        new = {name: _json(value) for name, value in fields.items()}
        with self._changing():
            self._tables[kind][id] = {**self._tables[kind][id], **new}


def session(*, id: int, starts_at: datetime | str, **fields: Any) -> Row:
    """A session's record: an hour, ten places, nobody in, unless *fields* say otherwise."""
    return {
        "id": id,
        "object": "course_session",
        "name": None,
        "starts_at": _json(starts_at),
        "ends_at": _an_hour_after(starts_at),
        "status": "active",
        "attending_count": 0,
        "max_occupancy": 10,
        "venue": 0,
        "instructors": [],
        "course": 0,
        "customer_url": f"{CUSTOMER_PATH}{id}",
        "provider_url": f"{STAFF_ADDRESS}{id}",
        "waiting_count": 0,
        **{name: _json(value) for name, value in fields.items()},
    }


def id_of(reference: int | Row) -> int:
    """The id of a record that is held as its id or as the record itself."""
    return int(reference["id"]) if isinstance(reference, dict) else reference


def _by_id(rows: Iterable[Row]) -> dict[int, Row]:
    return {row["id"]: row for row in copy.deepcopy(list(rows))}


def _json(value: Any) -> Any:
    if not isinstance(value, datetime):
        return copy.deepcopy(value)
    if value.tzinfo is None:
        raise ValueError("a time needs an offset; to send a naive one, give it as a string")
    return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _an_hour_after(starts_at: datetime | str) -> Any:
    if isinstance(starts_at, datetime):
        return _json(starts_at + timedelta(hours=1))
    try:
        end = datetime.fromisoformat(starts_at) + timedelta(hours=1)
    except ValueError:
        return starts_at
    return _json(end) if end.tzinfo else end.isoformat(timespec="seconds")
