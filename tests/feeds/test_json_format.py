"""The JSON array: its keys are a promise, and FullCalendar reads it as it is."""

import json
from datetime import timedelta
from typing import Any

import pytest
from ical_lines import read
from samples import HALL, SEEN, START, YOGA, content, published, session, snapshot, spec
from samples import calendar as calendar_of

from bridge.config import Availability
from bridge.errors import ParameterError
from bridge.feeds.formats.json import narrow, render
from bridge.feeds.spec import Cancelled
from bridge.model import Course, Instructor, OfferingType, Status, Visibility


def rendered(*sessions: Any, feed: Any = None, **options: Any) -> bytes:
    return render(content(snapshot(*sessions), feed or spec(**options)))


def objects(*sessions: Any, **options: Any) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = json.loads(rendered(*sessions, **options))
    return made


def cut(*ranges: str | None, zone: str | None = None) -> list[str]:
    """The days of October whose evening class is left of seven, with an endless one on the 23rd."""
    sessions = [
        session(n, start=START + timedelta(days=n), **({"end": None} if n == 3 else {}))
        for n in range(7)
    ]
    names = ("start", "end")
    given = {**dict(zip(names, ranges, strict=False)), "timeZone": zone}
    params = {name: text for name, text in given.items() if text is not None}
    return [one["start"][8:10] for one in json.loads(narrow(rendered(*sessions), params))]


def test_a_session_is_an_object_of_the_documented_keys() -> None:
    [one] = objects(session())
    uid = read(calendar_of(session())).all("VEVENT")[0].value("UID")
    assert one == {
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
    }


def test_what_is_not_known_is_null_or_empty_and_its_key_is_there() -> None:
    bare = session(
        end=None,
        venue=None,
        instructors=(),
        course=None,
        offering_type=OfferingType(id=None, visibility=Visibility.PUBLIC),
        booking_url=None,
    )
    [one] = objects(bare)
    assert set(one) == set(objects(session())[0])
    assert one["end"] is one["url"] is one["venue"] is one["course"] is None
    assert one["instructors"] == []
    assert one["location"] == one["description"] == ""
    assert one["type"] == {"id": None, "name": "", "category": ""}


def test_the_body_is_utf8_without_a_byte_order_mark_and_ends_in_a_newline() -> None:
    body = rendered(session(title="朝ヨガ"))
    assert body.startswith(b"[")
    assert body.endswith(b"]\n")
    assert "朝ヨガ" in body.decode()


def test_an_empty_feed_is_an_empty_array() -> None:
    assert json.loads(rendered()) == []


def test_the_same_sessions_make_the_same_bytes() -> None:
    several = [session(n) for n in range(5)]
    assert rendered(*several) == rendered(*reversed(several))


def test_objects_are_in_the_order_of_the_calendar() -> None:
    several = [session(n, start=START - timedelta(hours=n % 3)) for n in range(12)]
    keys = [(one["start"], one["id"]) for one in objects(*several)]
    assert keys == sorted(keys)


@pytest.mark.parametrize(
    ("attending", "capacity", "told"),
    [
        (10, 10, {"none": None, "full": "full", "spots": "full"}),
        (99, 10, {"none": None, "full": "full", "spots": "full"}),
        (8, 10, {"none": None, "full": None, "spots": 2}),
        (1, 10, {"none": None, "full": None, "spots": 5}),
        (8, None, {"none": None, "full": None, "spots": None}),
    ],
)
def test_availability_is_null_full_or_a_number(
    attending: int, capacity: int | None, told: dict[str, Any]
) -> None:
    one = session(attending=attending, capacity=capacity)
    assert told == {
        how.value: objects(one, availability=how)[0]["availability"] for how in Availability
    }


@pytest.mark.parametrize("how", [Cancelled.STATUS, Cancelled.KEEP])
def test_a_cancelled_class_says_so_in_title_and_status(how: Cancelled) -> None:
    [one] = objects(session(status=Status.CANCELLED), cancelled=how)
    assert one["status"] == "cancelled"
    assert one["title"].startswith("CANCELLED: ")


def test_updated_and_sequence_are_those_of_the_calendar() -> None:
    first = published(session())
    moved = session(start=START + timedelta(hours=1))
    later = published(moved, before=first, seen=SEEN + timedelta(hours=5))
    [one] = objects(later)
    [event] = read(calendar_of(later)).all("VEVENT")
    assert one["updated"] == "2026-04-17T23:30:00Z"
    assert event.value("LAST-MODIFIED") == "20260417T233000Z"
    assert str(one["sequence"]) == event.value("SEQUENCE")


def test_markup_and_quotes_come_out_as_they_went_in() -> None:
    title = "\"Flow\" </script> \\ \u2028 'n' <b>"
    [one] = objects(
        session(title=title, instructors=(Instructor(1, title),), course=Course(2, title))
    )
    assert one["title"] == f"{title} – {title}"
    assert one["instructors"][0]["name"] == one["course"]["name"] == title


class TestARange:
    """As FullCalendar asks: the start belongs, the end does not."""

    @pytest.mark.parametrize(
        ("start", "end", "days"),
        [
            (None, None, ["20", "21", "22", "23", "24", "25", "26"]),
            ("2026-10-22T00:00:00Z", "2026-10-24T00:00:00Z", ["22", "23"]),
            ("2026-10-22", "2026-10-24", ["22", "23"]),
            ("2026-10-25", None, ["25", "26"]),
            (None, "2026-10-21", ["20"]),
            # it begins as one class ends and ends as another begins
            ("2026-10-21T18:30:00Z", "2026-10-22T17:30:00Z", []),
            ("2026-10-21T18:29:59Z", "2026-10-22T17:30:01Z", ["21", "22"]),
            # inside of a class
            ("2026-10-21T17:45:00Z", "2026-10-21T18:00:00Z", ["21"]),
            # one without an end is where it starts
            ("2026-10-23T17:30:00Z", "2026-10-24T00:00:00Z", ["23"]),
            ("2026-10-23T17:30:01Z", "2026-10-24T00:00:00Z", []),
            ("2026-10-22T19:30:00+02:00", "2026-10-22T20:30:00+02:00", ["22"]),
            ("2026-10-22T19:30:00 02:00", "2026-10-22T20:30:00 02:00", ["22"]),
            ("2027-01-01", "2027-02-01", []),
            ("2026-10-24", "2026-10-22", []),
        ],
    )
    def test_holds_what_overlaps_it(
        self, start: str | None, end: str | None, days: list[str]
    ) -> None:
        assert cut(start, end) == days

    def test_without_an_offset_is_in_the_zone_that_was_named(self) -> None:
        # 17:30 UTC is 02:30 of the next day in Tokyo
        assert cut("2026-10-23T00:00:00", "2026-10-24T00:00:00", zone="Asia/Tokyo") == ["22"]
        assert cut("2026-10-23", "2026-10-24", zone="Asia/Tokyo") == ["22"]

    @pytest.mark.parametrize("zone", ["UTC", "local", "", "Mars/Olympus", "../etc", None])
    def test_is_in_utc_where_no_known_zone_is_named(self, zone: str | None) -> None:
        assert cut("2026-10-22T00:00:00", "2026-10-23T00:00:00", zone=zone) == ["22"]

    @pytest.mark.parametrize("text", ["soon", "", "2026-02-30", "20261020", "9" * 5000])
    @pytest.mark.parametrize("name", ["start", "end"])
    def test_that_is_no_time_is_refused_by_name(self, name: str, text: str) -> None:
        with pytest.raises(ParameterError, match=name):
            narrow(b"[]\n", {name: text})

    def test_leaves_the_objects_themselves_alone(self) -> None:
        body = rendered(session(1), session(2, start=START + timedelta(days=1)))
        [first, _] = json.loads(body)
        assert json.loads(narrow(body, {"end": "2026-10-21"})) == [first]


def test_the_place_online_and_the_description_hold_no_link_to_join() -> None:
    online = session(
        venue=HALL, offering_type=YOGA, staff_url="https://staff.example/canary-staff-link"
    )
    assert "canary" not in json.dumps(objects(online, feed=spec()))
