"""A bridge in front of the stand-in, its client, and what its feeds must hold."""

import re
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import icalendar
from clocks import ManualClock, wait_until
from ical_lines import read
from ical_validator import check
from werkzeug.test import TestResponse
from whole_timetable import rows

from bridge.feeds.private import FeedGrant, new_audience
from bridge.feeds.spec import Kind
from bridge.model import Visibility
from bridge.sandbox.records import Row
from bridge.services import Services
from bridge.snapshots.single_flight import Flight
from bridge.web import create_app

STALE = 400.0
"""Seconds after which a copy is past its TTL."""
OPERATOR = "operator-password-of-the-tests"
SIGNING_KEY = "signing-key-of-the-tests"
PAST, FUTURE = 30, 90

_UID_NAMESPACE = uuid.UUID("0b6c3c5e-52f7-4b86-9d9a-1f6a6f2b7f11")


class ImpatientClock(ManualClock):
    """A clock that stands still, and whose waits take a thousandth of their time."""

    def wait(self, event: threading.Event, seconds: float) -> bool:
        end = time.monotonic() + max(0.0, seconds) / 1_000
        # Work in other threads takes real time, so whoever waits for it has to give it some.
        if seconds >= 4:
            end += 20
        start = self.monotonic()
        while self.monotonic() < start + seconds:
            left = end - time.monotonic()
            if left <= 0 or event.wait(min(left, 0.005)):
                break
        return event.is_set()


class Bridge:
    """A client of one bridge.

    Args:
        clock: of the bridge; it moves only by `pass_time`.
    """

    def __init__(self, parts: Services, clock: ManualClock) -> None:
        self.parts = parts
        self.clock = clock
        self.client = create_app(parts).test_client()
        self._flights: list[Flight] = []
        refresh = parts.refresher.refresh

        def recorded(*args: Any, **options: Any) -> Flight | None:
            flight = refresh(*args, **options)
            if flight is not None:
                self._flights.append(flight)
            return flight

        parts.refresher.refresh = recorded  # type: ignore[method-assign]

    def get(self, path: str, **headers: str) -> TestResponse:
        """Send a request; header names are written with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.get(path, headers=named)

    def ok(self, path: str) -> TestResponse:
        """Send a request that must be answered with 200."""
        response = self.get(path)
        assert response.status_code == 200, f"{path}: {response.text[:300]}"
        return response

    def fresh(self, path: str) -> TestResponse:
        """Request *path* until the response comes from a fresh copy."""
        why = f"{path} does not become fresh"
        wait_until(lambda: state(self.ok(path)) == "fresh", seconds=10, why=why)
        return self.ok(path)

    def operator(self, path: str) -> TestResponse:
        """Request a page that needs the operator's password."""
        response = self.get(path, Authorization=f"Bearer {OPERATOR}")
        assert response.status_code == 200, response.text[:300]
        return response

    def source_status(self, name: str) -> dict[str, Any]:
        """What `/status` reports of one of the lists."""
        report = self.operator("/status?format=json").json
        assert report is not None
        found: dict[str, Any] = report["upstream"]["sources"][name]
        return found

    def private(self, *visibilities: str, **options: Any) -> str:
        """The address of a new signed feed of all sessions, without extension."""
        audience = new_audience([Visibility(name) for name in visibilities], **options)
        grant = FeedGrant(Kind.SESSION, None, (("future", "200"),), audience)
        return f"/private/{self.parts.private.sign(grant)}"

    def wait_until_idle(self) -> None:
        """Wait until no refresh is running: its deadlines would pass when the clock moves."""
        while self._flights:
            flight = self._flights.pop()
            wait_until(lambda flight=flight: flight.wait(0), why="a refresh does not end")

    def pass_time(self, seconds: float = STALE) -> None:
        """Move the clock on."""
        self.wait_until_idle()
        self.clock.move(seconds)

    def refresh(self, *paths: str) -> None:
        """Let the copies of these feeds become stale, and wait for the new ones."""
        self.pass_time()
        for path in paths:
            self.fresh(path)
        self.wait_until_idle()


def state(response: TestResponse) -> str:
    """``fresh``, ``stale`` or ``failed``, by Cache-Status."""
    found = re.search(r"detail=(failed|stale)", response.headers["Cache-Status"])
    return found[1] if found else "fresh"


def uid(source: str, identity: int) -> str:
    """The UID of the row with this object name and id."""
    return str(uuid.uuid5(_UID_NAMESPACE, f"{source}:{identity}"))


def uid_of(row: Row) -> str:
    """The UID of a row."""
    return uid(row["object"], row["id"])


@dataclass(frozen=True)
class Event:
    """What a subscriber sees of a session."""

    start: datetime
    end: datetime
    status: str
    summary: str


def event_of(row: Row) -> Event:
    """The event that a row must become."""
    name = row["name"] or (row.get("course") or {}).get("name") or rows.kind_of(row)["name"]
    people = ", ".join(person["name"] for person in row["instructors"])
    cancelled = row["status"] == "cancelled"
    return Event(
        start=instant(row["starts_at"]),
        end=instant(row["ends_at"]),
        status="CANCELLED" if cancelled else "CONFIRMED",
        summary=("CANCELLED: " if cancelled else "") + name + (f" – {people}" if people else ""),
    )


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def in_window(
    row: Row, *, past: int | None = PAST, future: int | None = FUTURE, now: datetime = rows.NOW
) -> bool:
    """Whether a row is in a window of whole days; None: without an edge on that side."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    first = datetime.min.replace(tzinfo=UTC) if past is None else midnight - timedelta(days=past)
    last = datetime.max.replace(tzinfo=UTC)
    if future is not None:
        last = midnight + timedelta(days=future + 1)
    return instant(row["ends_at"]) >= first and instant(row["starts_at"]) < last


def public(all_rows: Iterable[Row]) -> list[Row]:
    """The rows that everybody may see."""
    return [row for row in all_rows if rows.audience_of(row) == "public"]


def expected(all_rows: Iterable[Row]) -> dict[str, Event]:
    """The events of rows, by UID."""
    return {uid_of(row): event_of(row) for row in all_rows}


@lru_cache(maxsize=256)
def events(body: bytes) -> Mapping[str, Event]:
    """The events of a calendar, by UID, as two independent parsers read them; none occurs twice.

    Cached, because bridges in front of equal studios serve equal bytes.
    """
    by_validator = check(body)
    calendar = icalendar.Calendar.from_ical(body)
    components = calendar.walk("VEVENT")
    uids = Counter(str(component["UID"]) for component in components)
    assert max(uids.values(), default=1) == 1
    found = {
        str(component["UID"]): Event(
            start=component.decoded("DTSTART").astimezone(UTC),
            end=component.decoded("DTEND").astimezone(UTC),
            status=str(component["STATUS"]),
            summary=str(component["SUMMARY"]),
        )
        for component in components
    }
    assert {event.uid: event.start for event in by_validator} == {
        identity: event.start for identity, event in found.items()
    }
    return found


def blocks(body: bytes) -> dict[str, bytes]:
    """The bytes of each event by UID, and under an empty UID all other bytes."""
    head, *parts = body.split(b"BEGIN:VEVENT\r\n")
    found = {}
    tail = b""
    for part in parts:
        block, _, tail = part.partition(b"END:VEVENT\r\n")
        match = re.search(rb"^UID:(\S+)\r$", block, re.MULTILINE)
        assert match is not None
        found[match[1].decode()] = block
    return {**found, "": head + tail}


def properties(body: bytes, identity: str) -> Mapping[str, str]:
    """The properties of one event with their parameters, as they are written."""
    event = next(part for part in read(body).all("VEVENT") if part.value("UID") == identity)
    return {
        line.name: f"{line.params}:{line.value}" if line.params else line.value
        for line in event.lines
    }


def changed(before: bytes, after: bytes) -> set[str]:
    """The UIDs of the events that are new, gone, or differ in any byte; empty for the rest."""
    old, new = blocks(before), blocks(after)
    return {
        identity for identity in old.keys() | new.keys() if old.get(identity) != new.get(identity)
    }


def sequence_at(now: float, before: int) -> int:
    """The SEQUENCE of an event whose time, place or status was seen to change at *now*."""
    minutes = int(now - datetime(2026, 1, 1, tzinfo=UTC).timestamp()) // 60
    return max(minutes, before + 1)


def assert_no_canary(texts: Mapping[str, str], words: Collection[str] = ("canary",)) -> None:
    """No text contains any of the words, in whatever case."""
    for name, text in texts.items():
        for word in words:
            at = text.lower().find(word)
            assert at < 0, f"{name}: …{text[max(0, at - 80) : at + 80]}…"


Build = Callable[..., Bridge]
Bridges = Iterator[Build]
