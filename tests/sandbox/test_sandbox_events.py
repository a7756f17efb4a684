"""Tests of the list of events: rows, filters, ``fields`` and the options of the dialect."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from bridge.sandbox.api import create_api
from bridge.sandbox.http_server import SandboxServer
from bridge.sandbox.list_params import Dialect
from bridge.sandbox.records import (
    category,
    course,
    instructor,
    offering_type,
    registration_timeline,
    venue,
    venue_room,
)
from bridge.sandbox.studio import Studio, event

Get = Callable[..., requests.Response]
GetIds = Callable[..., list[int]]


def small_studio() -> Studio:
    """Four events, the last one cancelled, and a course session with the id of the first."""
    studio = Studio(
        venues=[
            venue(1, "London", "Europe/London", venue_rooms=[71]),
            venue(2, "Sydney", "Australia/Sydney"),
        ],
        venue_rooms=[venue_room(71, "Nave", 1)],
        instructors=[instructor(5, "Zoë"), instructor(6, "Tom")],
        categories=[category(9, "Mind")],
        offering_types=[
            offering_type(
                31,
                "Yoga",
                category=9,
                background_color="#2f855a",
                dropin_price={"decimal": 12, "string": "£12"},
                registration_timelines=[registration_timeline(81, "All", "everyone")],
            ),
            offering_type(32, "Gym"),
        ],
        courses=[course(51, "Yoga", 31)],
    )
    studio.add(id=1, starts_at="2026-07-06T18:00:00Z", name="Workshop")

    def add(**fields: Any) -> None:
        studio.add(kind="event", **fields)

    add(id=1, starts_at="2026-07-06T18:00:00Z", venue=1, venue_room=71, instructors=[5])
    add(
        id=2,
        starts_at="2026-07-06T08:00:00Z",
        ends_at="2026-07-06T20:00:00Z",
        venue=2,
        offering_type=32,
        instructors=[5, 6],
    )
    add(id=3, starts_at="2026-07-07T18:00:00Z", venue=1, offering_type=32, instructors=[6])
    add(id=4, starts_at="2026-07-08T18:00:00Z", venue=1, status="cancelled")
    studio.change(1, attending_count=10, waiting_count=2, kind="event")
    studio.change(2, attending_count=2, kind="event")
    return studio


@contextmanager
def running(studio: Studio, dialect: Dialect | None = None) -> Iterator[Get]:
    api = create_api(studio, requests_per_minute=10_000, dialect=dialect)
    with SandboxServer(api) as server, requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = "Bearer sandbox-token"

        def get(path: str = "events", **args: Any) -> requests.Response:
            return session.get(f"{server.url}/{path}", params=args, timeout=5)

        yield get


@pytest.fixture(scope="module")
def get() -> Iterator[Get]:
    with running(small_studio()) as get:
        yield get


@pytest.fixture
def get_ids(get: Get) -> GetIds:
    """Requests the list of events; returns the ids in order."""

    def request(**args: Any) -> list[int]:
        response = get(**args)
        assert response.status_code == 200, response.text
        return [row["id"] for row in response.json()["results"]]

    return request


@pytest.fixture
def first(get: Get) -> Callable[..., dict[str, Any]]:
    """Requests the list of events; returns the first."""

    def request(**args: Any) -> dict[str, Any]:
        response = get(**args)
        assert response.status_code == 200, response.text
        row: dict[str, Any] = response.json()["results"][0]
        return row

    return request


First = Callable[..., dict[str, Any]]


def many_events() -> Studio:
    """A studio with 260 events and 120 course sessions."""
    studio = small_studio()
    days = [f"2026-09-{1 + n % 30:02}T{5 + n // 30:02}:00:00Z" for n in range(260)]
    studio.replace_sessions(
        [event(id=1 + n, starts_at=day, venue=1, offering_type=31) for n, day in enumerate(days)],
        kind="event",
    )
    for day in days[:119]:
        studio.add(starts_at=day)
    return studio


def test_an_event_and_a_course_session_with_the_same_id_are_two_classes(get: Get) -> None:
    (session,) = get("course_sessions").json()["results"]
    row = get().json()["results"][0]
    assert session["id"] == row["id"] == 1
    assert (session["object"], session["name"]) == ("course_session", "Workshop")
    assert (row["object"], row["name"]) == ("event", "Yoga")


def test_an_event_has_exactly_the_known_fields(first: First) -> None:
    row = first()
    assert set(row) == {
        "id",
        "object",
        "name",
        "starts_at",
        "ends_at",
        "status",
        "max_occupancy",
        "attending_count",
        "waiting_count",
        "waitlist_max_override",
        "occupancy",
        "is_full",
        "is_appointment",
        "venue",
        "venue_room",
        "instructors",
        "offering_type",
        "description",
        "customer_url",
        "provider_url",
        "registrations_open_at",
        "registrations_close_at",
        "late_cancel_deadline",
        "overriden_registration_timelines",
        "small_session_attendances",
    }
    assert (row["venue"], row["venue_room"], row["offering_type"]) == (1, 71, 31)
    assert row["instructors"].endswith("/related_collection")
    assert row["customer_url"] == "/p/123-demo-studio/e/1-yoga/"
    assert (row["occupancy"], row["max_occupancy"], row["is_full"]) == (10, 10, True)
    assert (row["waiting_count"], row["waitlist_max_override"]) == (2, -1)


def test_the_category_of_an_event_is_deferred(first: First) -> None:
    assert first(expand="category")["category"] is None
    assert first(fields="id,category") == {"id": 1, "category": None}


def test_the_time_at_which_customers_see_a_class_is_never_sent(get: Get) -> None:
    studio = small_studio()
    studio.change(1, kind="event", calendar_opens_at="2026-06-01T00:00:00Z")
    with running(studio) as get_changed:
        assert "calendar_opens_at" not in get_changed().text
        assert get_changed(fields="calendar_opens_at").json()["results"][0] == {}


def test_customers_of_a_class_are_sent_by_default_and_named_when_expanded(first: First) -> None:
    bookings = first()["small_session_attendances"]
    assert [set(booking) for booking in bookings] == [{"id", "object", "customer", "status"}] * 3
    assert all(isinstance(booking["customer"], int) for booking in bookings)
    expanded = first(expand="small_session_attendances.customer")["small_session_attendances"]
    customer = expanded[0]["customer"]
    assert customer["first_name"] == f"Customer Canary {customer['id']}"
    assert customer["email"] == f"customer-canary-{customer['id']}@customers.example"


def test_an_offering_type_is_expanded_on_the_event_itself(first: First) -> None:
    row = first(expand="offering_type.category,venue,venue_room,instructors")
    kind = row["offering_type"]
    assert (kind["name"], kind["category"]["name"]) == ("Yoga", "Mind")
    assert (row["venue"]["name"], row["venue_room"]["name"]) == ("London", "Nave")
    assert [person["name"] for person in row["instructors"]] == ["Zoë"]
    assert kind["dropin_price"] == {"decimal": 12, "string": "£12"}


def test_only_events_have_colours_without_a_hash(get: Get, first: First) -> None:
    kind = first(expand="offering_type")["offering_type"]
    assert (kind["background_color"], kind["color"]) == ("2f855a", "ffffff")
    (session,) = get("course_sessions", expand="course.offering_type").json()["results"]
    assert session["course"]["offering_type"]["background_color"] == "#2f855a"


def test_registration_timelines_of_a_type_are_sent_only_when_named(first: First) -> None:
    assert "registration_timelines" not in first(expand="offering_type")["offering_type"]
    timelines = [{"id": 81, "name": "All", "audience_type": "everyone"}]
    row = first(expand="offering_type.registration_timelines")
    assert row["offering_type"]["registration_timelines"] == timelines
    row = first(expand="offering_type", fields="offering_type.registration_timelines")
    assert row == {"offering_type": {"registration_timelines": timelines}}


def test_fields_that_are_not_named_are_absent(first: First) -> None:
    assert first(fields="name") == {"name": "Yoga"}


def test_expanded_fields_are_sent_without_being_named(first: First) -> None:
    row = first(fields="id,venue.name", expand="venue,venue_room,offering_type.category")
    assert set(row) == {"id", "venue", "venue_room", "offering_type"}
    assert row["venue"] == {"name": "London"}
    assert row["offering_type"]["category"]["name"] == "Mind"
    row = first(fields="offering_type.name", expand="offering_type.category")
    assert set(row["offering_type"]) == {"name", "category"}


def test_expanded_fields_of_course_sessions_must_be_named(get: Get) -> None:
    (row,) = get("course_sessions", fields="id", expand="venue").json()["results"]
    assert row == {"id": 1}


def test_fields_can_be_lenient() -> None:
    with running(small_studio(), Dialect(strict_fields=False)) as get:
        row = get(fields="name").json()["results"][0]
    assert row == {"id": 1, "object": "event", "name": "Yoga", "status": "active"}


@pytest.mark.parametrize(("included", "sent"), [(True, {"id", "venue"}), (False, {"id"})])
def test_whether_expanded_fields_are_included_can_be_set_for_both_lists(
    included: bool, sent: set[str]
) -> None:
    with running(small_studio(), Dialect(expand_includes=included)) as get:
        for path in ("events", "course_sessions"):
            assert set(get(path, fields="id", expand="venue").json()["results"][0]) == sent


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ({}, [1, 2, 3]),
        ({"status": "cancelled"}, [4]),
        ({"status": "active,cancelled"}, [1, 2, 3, 4]),
        ({"ids": "3,1,99"}, [1, 3]),
        ({"ids": "4"}, []),
        ({"ids": "4", "status": "active,cancelled"}, [4]),
        ({"venues": "2"}, [2]),
        ({"offering_types": "32"}, [2, 3]),
        ({"category": "9"}, [1]),
        ({"category": "8"}, []),
        ({"instructors": "5"}, [1, 2]),
        ({"instructors": "5,6"}, [1, 2, 3]),
        ({"instructors": "me"}, []),
        ({"occupancy_status": "full"}, [1]),
        ({"occupancy_status": "has_waitlist,empty"}, [1, 3]),
        ({"starts_at_gte": "2026-07-06T18:00:00Z"}, [1, 3]),
        ({"start_lte": "2026-07-06T18:00:00Z"}, [1, 2]),
        ({"ends_at_gte": "2026-07-06T19:30:00Z"}, [2, 3]),
        ({"local_starts_at_gte": "2026-07-06T18:30:00"}, [1, 3]),
        ({"course": "51"}, [1, 2, 3]),
        ({"is_appointment": "true"}, [1, 2, 3]),
        ({"sort": "start"}, [2, 1, 3]),
        ({"sort": "-start"}, [3, 1, 2]),
        ({"sort": "end"}, [1, 2, 3]),
        ({"sort": "-end"}, [3, 2, 1]),
    ],
    ids=repr,
)
def test_events_are_filtered_and_sorted(
    get_ids: GetIds, args: dict[str, Any], expected: list[int]
) -> None:
    assert get_ids(**args) == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ids", "one"),
        ("category", "Mind"),
        ("instructors", "5,me"),
        ("sort", "name"),
        ("expand", "course"),
        ("page", "0"),
    ],
)
def test_the_error_for_an_invalid_value_names_the_parameter(
    get: Get, name: str, value: str
) -> None:
    response = get(**{name: value})
    assert (response.status_code, response.json()["code"]) == (400, "parameter_invalid")
    assert response.json()["field_errors"][name]


def test_filters_of_events_have_no_effect_on_course_sessions(get: Get) -> None:
    assert get("course_sessions", ids="2", category="8").json()["count"] == 1


@pytest.mark.parametrize("args", [{"instructors": "me"}, {"sort": "end"}], ids=repr)
def test_values_that_only_events_accept_are_refused_for_course_sessions(
    get: Get, args: dict[str, str]
) -> None:
    assert get("course_sessions", **args).status_code == 400


def test_ids_can_be_without_effect() -> None:
    with running(small_studio(), Dialect(ignored={"ids"})) as get:
        assert get(ids="2").json()["count"] == 3
        assert get(ids="two").json()["count"] == 3


def test_a_page_has_at_most_250_events_or_100_course_sessions() -> None:
    with running(many_events()) as get:
        for size in ({}, {"page_size": 500}):
            assert len(get(**size).json()["results"]) == 250
            assert len(get("course_sessions", **size).json()["results"]) == 100
        second = get(page=2).json()
    assert (second["count"], len(second["results"]), second["next"]) == (260, 10, None)


def test_the_page_size_limit_can_be_set_for_all_lists_or_for_each() -> None:
    sizes = {}
    for limit in (40, {"events": 100}):
        with running(many_events(), Dialect(max_page_size=limit)) as get:
            sizes[str(limit)] = [
                len(get(path, page_size=250).json()["results"])
                for path in ("events", "course_sessions")
            ]
    assert [*sizes.values()] == [[40, 40], [100, 100]]


def test_a_page_size_over_the_limit_can_be_refused() -> None:
    dialect = Dialect(max_page_size={"events": 100}, over_limit="refuse")
    with running(many_events(), dialect) as get:
        response = get(page_size=101)
        assert (response.status_code, response.json()["code"]) == (400, "parameter_invalid")
        assert list(response.json()["field_errors"]) == ["page_size", "non_field_errors"]
        assert len(get(page_size=100).json()["results"]) == 100


def test_a_time_has_the_offset_of_the_venue() -> None:
    studio = small_studio()
    times = [datetime(2026, month, 6, 18, tzinfo=UTC) for month in (1, 7)]
    rows = [studio.add(kind="event", starts_at=time, venue=1) for time in times]
    assert [row["starts_at"] for row in rows] == [
        "2026-01-06T18:00:00Z",
        "2026-07-06T19:00:00+01:00",
    ]
    assert rows[1]["ends_at"] == "2026-07-06T20:00:00+01:00"
    assert rows[1]["late_cancel_deadline"] == "2026-07-06T07:00:00+01:00"
    sydney = studio.add(kind="event", starts_at=times[0], venue=2)
    assert sydney["starts_at"] == "2026-01-07T05:00:00+11:00"


@pytest.mark.parametrize("text", ["2026-07-06T18:00:00Z", "2026-07-06T18:00:00.5", "soon"])
def test_times_given_as_text_are_sent_unchanged(text: str) -> None:
    studio = small_studio()
    studio.add(id=7, kind="event", starts_at=text, ends_at=text)
    with running(studio) as get:
        (row,) = get(ids=7).json()["results"]
    assert (row["starts_at"], row["ends_at"]) == (text, text)


def test_an_event_without_a_venue_is_listed() -> None:
    row = event(id=1, starts_at="2026-07-06T18:00:00+02:00", offering_type=31)
    del row["venue"]
    with running(Studio(offering_types=[offering_type(31, "Yoga")], events=[row])) as get:
        args = {"starts_at_gte": "2026-07-06T16:00:00Z", "sort": "start"}
        (sent,) = get(**args, expand="venue,offering_type").json()["results"]
        assert "venue" not in sent
        assert get(venues="1").json()["count"] == 0
