"""Tests of both lists: rows, filters, sorting, pages, ``fields`` and the options of the dialect."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
import requests

from bridge.sandbox.api import create_api
from bridge.sandbox.endpoints import Kind
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
First = Callable[..., dict[str, Any]]
COURSE_SESSIONS = "course_sessions"
PARENTS: dict[Kind, tuple[str, int, int]] = {
    "event": ("offering_type", 31, 32),
    "course_session": ("course", 51, 52),
}


def small_studio() -> Studio:
    """Four events, the last one cancelled, and four course sessions with the same ids and times."""
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
        courses=[course(51, "Yoga", 31), course(52, "Gym", 32)],
    )
    for kind, (parent, yoga, gym) in PARENTS.items():
        add = partial(studio.add, kind=kind, venue=1)
        add(id=1, starts_at="2026-07-06T18:00:00Z", instructors=[5], **{parent: yoga})
        add(
            id=2,
            starts_at="2026-07-06T08:00:00Z",
            ends_at="2026-07-06T20:00:00Z",
            venue=2,
            instructors=[5, 6],
            **{parent: gym},
        )
        add(id=3, starts_at="2026-07-07T18:00:00Z", instructors=[6], **{parent: gym})
        add(id=4, starts_at="2026-07-08T18:00:00Z", status="cancelled", **{parent: yoga})
        studio.change(1, attending_count=10, waiting_count=2, kind=kind)
        studio.change(2, attending_count=2, kind=kind)
    studio.change(1, kind="event", venue_room=71)
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


def ids(response: requests.Response) -> list[int]:
    assert response.status_code == 200, response.text
    return [row["id"] for row in response.json()["results"]]


@pytest.fixture
def first(get: Get) -> Callable[..., dict[str, Any]]:
    """Requests the list of events; returns the first."""

    def request(**args: Any) -> dict[str, Any]:
        response = get(**args)
        assert response.status_code == 200, response.text
        row: dict[str, Any] = response.json()["results"][0]
        return row

    return request


def many_events() -> Studio:
    """A studio with 260 events and 120 course sessions."""
    studio = small_studio()
    days = [f"2026-09-{1 + n % 30:02}T{5 + n // 30:02}:00:00Z" for n in range(260)]
    studio.replace_sessions(
        [event(id=1 + n, starts_at=day, venue=1, offering_type=31) for n, day in enumerate(days)],
        kind="event",
    )
    for day in days[:117]:
        studio.add(starts_at=day)
    return studio


def test_an_event_and_a_course_session_with_the_same_id_are_two_classes(get: Get) -> None:
    for path, name in (("events", "Yoga"), (COURSE_SESSIONS, None)):
        row = get(path).json()["results"][0]
        assert (row["id"], row["object"], row["name"]) == (1, path.removesuffix("s"), name)


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
    session = get(COURSE_SESSIONS, expand="course.offering_type").json()["results"][0]
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
    row = get(COURSE_SESSIONS, fields="id", expand="venue").json()["results"][0]
    assert row == {"id": 1}


@pytest.mark.parametrize("path", ["events", COURSE_SESSIONS])
@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ({}, [1, 2, 3]),
        ({"status": "cancelled"}, [4]),
        ({"status": "active,cancelled"}, [1, 2, 3, 4]),
        ({"venues": "1,2"}, [1, 2, 3]),
        ({"venues": ["1", "2"]}, [1, 2, 3]),
        ({"venues": "2"}, [2]),
        ({"venues": "9"}, []),
        ({"venues": ""}, [1, 2, 3]),
        ({"offering_types": "32"}, [2, 3]),
        ({"instructors": "5"}, [1, 2]),
        ({"instructors": "6", "venues": "1"}, [3]),
        ({"instructor": "5"}, [1, 2, 3]),
        ({"occupancy_status": "full"}, [1]),
        ({"occupancy_status": "not_full"}, [2, 3]),
        ({"occupancy_status": "has_registrations"}, [1, 2]),
        ({"occupancy_status": "has_waitlist,empty"}, [1, 3]),
        ({"starts_at_gte": "2026-07-06T18:00:00Z"}, [1, 3]),
        ({"starts_at_gte": "2026-07-06T19:00:00.5+01:00"}, [3]),
        ({"start_gte": "2026-07-06T18:00:01Z"}, [3]),
        ({"start_lte": "2026-07-06T18:00:00Z"}, [1, 2]),
        ({"starts_at_lte": "2026-07-06T07:59:59Z"}, []),
        ({"ends_at_gte": "2026-07-06T19:30:00Z"}, [2, 3]),
        ({"ends_at_lte": "2026-07-06T19:00:00Z"}, [1]),
        # 18:00Z is 19:00 in London; 08:00Z is 18:00 in Sydney.
        ({"local_starts_at_gte": "2026-07-06T18:30:00"}, [1, 3]),
        ({"local_starts_at_lte": "2026-07-06T18:00:00"}, [2]),
        # The same instant with two UTC offsets:
        ({"local_starts_at_lte": "2026-07-06T18:00:00+00:00"}, [2]),
        ({"local_starts_at_lte": "2026-07-06T19:00:00+01:00"}, [1, 2]),
        ({"is_appointment": "true"}, [1, 2, 3]),
        ({"sort": "start"}, [2, 1, 3]),
        ({"sort": "-start"}, [3, 1, 2]),
    ],
    ids=repr,
)
def test_both_lists_are_filtered_and_sorted(
    get: Get, path: str, args: dict[str, Any], expected: list[int]
) -> None:
    assert ids(get(path, **args)) == expected


@pytest.mark.parametrize(
    ("path", "args", "expected"),
    [
        ("events", {"ids": "3,1,99"}, [1, 3]),
        ("events", {"ids": "4"}, []),
        ("events", {"ids": "4", "status": "active,cancelled"}, [4]),
        ("events", {"category": "9"}, [1]),
        ("events", {"category": "8"}, []),
        ("events", {"instructors": "5,6"}, [1, 2, 3]),
        ("events", {"instructors": "me"}, []),
        ("events", {"course": "51"}, [1, 2, 3]),
        ("events", {"sort": "end"}, [1, 2, 3]),
        ("events", {"sort": "-end"}, [3, 2, 1]),
        (COURSE_SESSIONS, {"course": "52"}, [2, 3]),
        (COURSE_SESSIONS, {"ids": "2", "category": "8"}, [1, 2, 3]),
    ],
    ids=repr,
)
def test_each_list_has_filters_and_orders_of_its_own(
    get: Get, path: str, args: dict[str, Any], expected: list[int]
) -> None:
    assert ids(get(path, **args)) == expected


@pytest.mark.parametrize("unlimited", [None, 0])
def test_an_unlimited_session_is_never_full(unlimited: int | None) -> None:
    studio = small_studio()
    studio.change(1, max_occupancy=unlimited, attending_count=500)
    with running(studio) as get:
        assert ids(get(COURSE_SESSIONS, occupancy_status="full")) == []


def test_the_waiting_count_of_a_course_session_is_never_sent(get: Get) -> None:
    assert "wait" not in get(COURSE_SESSIONS).text
    assert "wait" not in get(COURSE_SESSIONS, fields="id,waiting_count").text


def test_each_class_is_on_exactly_one_page(get: Get) -> None:
    first = get(sort="start", page_size=2).json()
    assert (first["count"], first["previous"]) == (3, None)
    assert first["next"].startswith("http://127.0.0.1:")
    assert "sort=start" in first["next"]
    assert "page=2" in first["next"]
    second = get(sort="start", page_size=2, page=2).json()
    assert (second["count"], second["next"]) == (3, None)
    assert "page=1" in second["previous"]
    assert [row["id"] for row in first["results"] + second["results"]] == [2, 1, 3]


def test_a_page_past_the_end_is_not_found_but_the_first_may_be_empty(get: Get) -> None:
    response = get(page_size=2, page=3)
    assert (response.status_code, response.json()["code"]) == (404, "not_found")
    page = get(venues=9).json()
    assert page == {"count": 0, "next": None, "previous": None, "results": []}


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        ("events", "ids", "one"),
        ("events", "category", "Mind"),
        ("events", "instructors", "5,me"),
        ("events", "sort", "name"),
        ("events", "expand", "course"),
        (COURSE_SESSIONS, "instructors", "5,6"),
        (COURSE_SESSIONS, "instructors", ["5", "6"]),
        (COURSE_SESSIONS, "instructors", "me"),
        (COURSE_SESSIONS, "sort", "end"),
        (COURSE_SESSIONS, "expand", "venues"),
        (COURSE_SESSIONS, "expand", "name"),
        (COURSE_SESSIONS, "expand", "course.offering_type.instructors.availability_schedules.x"),
        (COURSE_SESSIONS, "venues", "1,x"),
        (COURSE_SESSIONS, "venues", "-1"),
        (COURSE_SESSIONS, "starts_at_gte", "today"),
        (COURSE_SESSIONS, "starts_at_gte", "2026-07-06"),
        (COURSE_SESSIONS, "starts_at_gte", "2026-07-06T18:00:00 01:00"),
        (COURSE_SESSIONS, "status", "canceled"),
        (COURSE_SESSIONS, "occupancy_status", "half"),
        (COURSE_SESSIONS, "page", "0"),
        (COURSE_SESSIONS, "page_size", "many"),
        (COURSE_SESSIONS, "format", "xml"),
        (COURSE_SESSIONS, "fields", "venue..name"),
    ],
)
def test_the_error_for_an_invalid_value_names_the_parameter(
    get: Get, path: str, name: str, value: Any
) -> None:
    response = get(path, **{name: value})
    assert (response.status_code, response.json()["code"]) == (400, "parameter_invalid")
    assert list(response.json()["field_errors"]) == [name, "non_field_errors"]


def test_lists_can_be_accepted_in_one_form_only() -> None:
    with running(small_studio(), Dialect(list_style="repeat")) as get:
        assert get(venues="1,2").status_code == 400
        assert get(venues=["1", "2"]).json()["count"] == 3
    with running(small_studio(), Dialect(list_style="csv")) as get:
        assert get(venues="1,2").json()["count"] == 3
        assert get(venues=["1", "2"]).json()["count"] == 1


@pytest.mark.parametrize(("fields", "sent"), [("flat", 1), ("ignored", 13)])
def test_nested_fields_can_be_unsupported(fields: Any, sent: int) -> None:
    with running(small_studio(), Dialect(fields=fields)) as get:
        page = get(COURSE_SESSIONS, expand="venue", fields="id,venue.name").json()
    assert len(page["results"][0]) == sent


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
