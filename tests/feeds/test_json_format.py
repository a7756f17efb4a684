"""The JSON format: its keys are documented, and FullCalendar reads it directly."""

import json
from datetime import timedelta
from typing import Any

import pytest
from ical_lines import read
from samples import HALL, SEEN, START, YOGA, content, published, session, snapshot, spec
from samples import calendar as calendar_of

from bridge.config import Availability
from bridge.errors import ParameterError
from bridge.feeds.formats.json import apply_params, render
from bridge.feeds.spec import Cancelled
from bridge.model import Course, Instructor, OfferingType, Status, Visibility


def rendered(*sessions: Any, feed: Any = None, **options: Any) -> bytes:
    return render(content(snapshot(*sessions), feed or spec(**options)))


def objects(*sessions: Any, **options: Any) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = json.loads(rendered(*sessions, **options))
    return events


NOW = START + timedelta(days=2, minutes=30)
"""In the middle of the third of the seven classes."""


def days_in(*ranges: str | None, zone: str | None = None) -> list[str]:
    """Narrow seven evening classes from 20 October on; the one on the 23rd has no end.

    Returns:
        The days of the classes in the range.
    """
    sessions = [
        session(n, start=START + timedelta(days=n), **({"end": None} if n == 3 else {}))
        for n in range(7)
    ]
    names = ("start", "end")
    values = {**dict(zip(names, ranges, strict=False)), "timeZone": zone}
    params = {name: [text] for name, text in values.items() if text is not None}
    return [
        event["start"][8:10] for event in json.loads(apply_params(rendered(*sessions), params, NOW))
    ]


def test_a_session_is_an_object_of_the_documented_keys() -> None:
    [event] = objects(session())
    uid = read(calendar_of(session())).all("VEVENT")[0].value("UID")
    assert event == {
        "id": uid,
        "title": "Vinyasa Flow – Zoë",
        "start": "2026-10-20T17:30:00Z",
        "end": "2026-10-20T18:30:00Z",
        "url": "https://studio.example/p/1/c/1",
        "status": "active",
        "location": "Kings Cross, 1 Example St, London",
        "description": "Bring a mat",
        "venue": {"id": 11, "name": "Kings Cross", "timezone": "Europe/London"},
        "instructors": [{"id": 101, "name": "Zoë"}],
        "course": {"id": 201, "name": "Vinyasa Flow"},
        "type": {"id": 301, "name": "Vinyasa", "category": "Yoga"},
        "availability": None,
        "updated": "2026-04-17T18:30:00Z",
        "sequence": 153750,
        "object": "course_session",
        "session": 1,
        "room": None,
        "booking_opens": None,
        "instead_of": None,
        "moved_from": None,
        "classNames": [],
    }


def test_unknown_values_are_null_or_empty() -> None:
    bare = session(
        end=None,
        venue=None,
        instructors=(),
        course=None,
        offering_type=OfferingType(id=None, visibility=Visibility.PUBLIC),
        booking_url=None,
    )
    [event] = objects(bare)
    assert set(event) == set(objects(session())[0])
    assert event["end"] is event["url"] is event["venue"] is event["course"] is None
    assert event["instructors"] == []
    assert event["location"] == event["description"] == ""
    assert event["type"] == {"id": None, "name": "", "category": ""}


def test_the_body_is_utf8_without_a_byte_order_mark_and_ends_in_a_newline() -> None:
    body = rendered(session(title="朝ヨガ"))
    assert body.startswith(b"[")
    assert body.endswith(b"]\n")
    assert "朝ヨガ" in body.decode()


@pytest.mark.parametrize(
    ("attending", "capacity", "expected"),
    [
        (10, 10, {"none": None, "full": "full", "spots": "full"}),
        (99, 10, {"none": None, "full": "full", "spots": "full"}),
        (8, 10, {"none": None, "full": None, "spots": 2}),
        (1, 10, {"none": None, "full": None, "spots": 5}),
        (8, None, {"none": None, "full": None, "spots": None}),
    ],
)
def test_availability_is_null_full_or_a_number(
    attending: int, capacity: int | None, expected: dict[str, Any]
) -> None:
    class_session = session(attending=attending, capacity=capacity)
    assert expected == {
        level.value: objects(class_session, availability=level)[0]["availability"]
        for level in Availability
    }


@pytest.mark.parametrize("how", [Cancelled.STATUS, Cancelled.KEEP])
def test_a_cancelled_class_is_marked_in_title_and_status(how: Cancelled) -> None:
    [event] = objects(session(status=Status.CANCELLED), cancelled=how)
    assert event["status"] == "cancelled"
    assert event["title"].startswith("CANCELLED: ")


def test_updated_and_sequence_are_those_of_the_calendar() -> None:
    first = published(session())
    moved = session(start=START + timedelta(hours=1))
    later = published(moved, before=first, seen=SEEN + timedelta(hours=5))
    [obj] = objects(later)
    [event] = read(calendar_of(later)).all("VEVENT")
    assert obj["updated"] == "2026-04-17T23:30:00Z"
    assert event.value("LAST-MODIFIED") == "20260417T233000Z"
    assert str(obj["sequence"]) == event.value("SEQUENCE")


def test_markup_and_quotes_are_kept() -> None:
    title = "\"Flow\" </script> \\ \u2028 'n' <b>"
    [event] = objects(
        session(title=title, instructors=(Instructor(1, title),), course=Course(2, title))
    )
    assert event["title"] == f"{title} – {title}"
    assert event["instructors"][0]["name"] == event["course"]["name"] == title


class TestRange:
    """A time range as in FullCalendar's requests: start inclusive, end exclusive."""

    @pytest.mark.parametrize(
        ("start", "end", "days"),
        [
            (None, None, ["20", "21", "22", "23", "24", "25", "26"]),
            ("2026-10-22T00:00:00Z", "2026-10-24T00:00:00Z", ["22", "23"]),
            ("2026-10-22", "2026-10-24", ["22", "23"]),
            ("2026-10-25", None, ["25", "26"]),
            (None, "2026-10-21", ["20"]),
            # from the end of one class to the start of another
            ("2026-10-21T18:30:00Z", "2026-10-22T17:30:00Z", []),
            ("2026-10-21T18:29:59Z", "2026-10-22T17:30:01Z", ["21", "22"]),
            # within a class
            ("2026-10-21T17:45:00Z", "2026-10-21T18:00:00Z", ["21"]),
            # a class without an end counts at its start
            ("2026-10-23T17:30:00Z", "2026-10-24T00:00:00Z", ["23"]),
            ("2026-10-23T17:30:01Z", "2026-10-24T00:00:00Z", []),
            ("2026-10-22T19:30:00+02:00", "2026-10-22T20:30:00+02:00", ["22"]),
            ("2026-10-22T19:30:00 02:00", "2026-10-22T20:30:00 02:00", ["22"]),
            ("2027-01-01", "2027-02-01", []),
        ],
    )
    def test_it_contains_the_sessions_that_overlap_it(
        self, start: str | None, end: str | None, days: list[str]
    ) -> None:
        assert days_in(start, end) == days

    def test_times_without_an_offset_are_in_the_given_zone(self) -> None:
        # 17:30 UTC is 02:30 of the next day in Tokyo
        assert days_in("2026-10-23T00:00:00", "2026-10-24T00:00:00", zone="Asia/Tokyo") == ["22"]
        assert days_in("2026-10-23", "2026-10-24", zone="Asia/Tokyo") == ["22"]

    @pytest.mark.parametrize("zone", ["UTC", "local", "", None])
    def test_without_a_zone_they_are_in_utc(self, zone: str | None) -> None:
        assert days_in("2026-10-22T00:00:00", "2026-10-23T00:00:00", zone=zone) == ["22"]

    @pytest.mark.parametrize("zone", ["Mars/Olympus", "../etc", "BST", "+01:00"])
    def test_an_unknown_zone_is_rejected(self, zone: str) -> None:
        with pytest.raises(ParameterError, match="timeZone"):
            days_in("2026-10-22T00:00:00", zone=zone)

    def test_an_end_before_the_start_is_rejected(self) -> None:
        with pytest.raises(ParameterError, match="end: is before start"):
            days_in("2026-10-23", "2026-10-22")
        assert days_in("2026-10-22", "2026-10-22") == []

    @pytest.mark.parametrize("text", ["soon", "", "2026-02-30", "20261020", "9" * 5000])
    @pytest.mark.parametrize("name", ["start", "end"])
    def test_invalid_times_are_rejected_by_name(self, name: str, text: str) -> None:
        with pytest.raises(ParameterError, match=name):
            apply_params(b"[]\n", {name: [text]}, NOW)


class TestLimit:
    @staticmethod
    def days(**params: str) -> list[str]:
        sessions = [session(n, start=START + timedelta(days=n)) for n in range(7)]
        values = {name: [text] for name, text in params.items()}
        body = apply_params(rendered(*sessions), values, NOW)
        return [event["start"][8:10] for event in json.loads(body)]

    def test_it_gives_the_first_that_are_not_over(self) -> None:
        assert self.days(limit="3") == ["22", "23", "24"]
        assert self.days(limit="0") == []
        assert self.days(limit="100") == ["22", "23", "24", "25", "26"]

    def test_it_counts_within_the_range(self) -> None:
        assert self.days(limit="2", start="2026-10-24") == ["24", "25"]
        assert self.days(limit="9", end="2026-10-21") == []

    @pytest.mark.parametrize("text", ["-1", "many", "", "1.5", "10001"])
    def test_other_values_are_rejected(self, text: str) -> None:
        with pytest.raises(ParameterError, match="limit"):
            self.days(limit=text)


def test_the_css_classes_say_what_is_cancelled_or_full() -> None:
    cancelled, full = session(status=Status.CANCELLED), session(attending=10)
    assert objects(cancelled)[0]["classNames"] == ["cancelled"]
    [of_full] = objects(full, feed=spec(availability=Availability.FULL))
    assert of_full["classNames"] == ["full"]
    assert objects(full)[0]["classNames"] == []


def test_no_value_contains_the_join_link_or_staff_link() -> None:
    online = session(
        venue=HALL, offering_type=YOGA, staff_url="https://staff.example/canary-staff-link"
    )
    assert "canary" not in json.dumps(objects(online, feed=spec()))
