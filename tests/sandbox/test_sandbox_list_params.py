"""Tests of filtering, sorting and pagination by query parameters."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from bridge.sandbox.api import create_api
from bridge.sandbox.http_server import SandboxServer
from bridge.sandbox.list_params import Dialect
from bridge.sandbox.records import course, instructor, offering_type, venue
from bridge.sandbox.studio import Studio

GetIds = Callable[..., list[int]]


def small_studio() -> Studio:
    studio = Studio(
        venues=[venue(1, "London", "Europe/London"), venue(2, "Sydney", "Australia/Sydney")],
        instructors=[instructor(5, "Zoë"), instructor(6, "Tom")],
        offering_types=[offering_type(31, "Yoga"), offering_type(32, "Gym")],
        courses=[course(51, "Yoga", 31), course(52, "Gym", 32)],
    )
    add = studio.add
    add(id=1, starts_at="2026-07-06T18:00:00Z", venue=1, course=51, instructors=[5])
    add(id=2, starts_at="2026-07-06T08:00:00Z", venue=2, course=52, instructors=[5, 6])
    add(id=3, starts_at="2026-07-07T18:00:00Z", venue=1, course=52, instructors=[6])
    add(id=4, starts_at="2026-07-08T18:00:00Z", venue=1, course=51, status="cancelled")
    studio.change(1, attending_count=10, waiting_count=2)
    studio.change(2, attending_count=12)
    studio.change(3, attending_count=4)
    return studio


@contextmanager
def running(
    studio: Studio, dialect: Dialect | None = None
) -> Iterator[Callable[..., requests.Response]]:
    api = create_api(studio, requests_per_minute=10_000, dialect=dialect)
    with SandboxServer(api) as server, requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = "Bearer sandbox-token"
        yield lambda **args: session.get(f"{server.url}/course_sessions", params=args, timeout=5)


@pytest.fixture(scope="module")
def get() -> Iterator[Callable[..., requests.Response]]:
    with running(small_studio()) as get:
        yield get


@pytest.fixture
def get_ids(get: Callable[..., requests.Response]) -> GetIds:
    """Requests the list; returns the ids in order."""

    def request(**args: Any) -> list[int]:
        response = get(**args)
        assert response.status_code == 200, response.text
        return [row["id"] for row in response.json()["results"]]

    return request


def test_only_active_sessions_are_listed_by_default(get_ids: GetIds) -> None:
    assert get_ids() == [1, 2, 3]
    assert get_ids(status="cancelled") == [4]
    assert get_ids(status="active,cancelled") == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ({"venues": "1"}, [1, 3]),
        ({"venues": "1,2"}, [1, 2, 3]),
        ({"venues": ["1", "2"]}, [1, 2, 3]),
        ({"venues": "9"}, []),
        ({"venues": ""}, [1, 2, 3]),
        ({"course": "52"}, [2, 3]),
        ({"offering_types": "31"}, [1]),
        ({"instructors": "5"}, [1, 2]),
        ({"instructors": "6", "venues": "1"}, [3]),
        ({"instructor": "5"}, [1, 2, 3]),
    ],
    ids=repr,
)
def test_sessions_are_filtered_by_ids(
    get_ids: GetIds, args: dict[str, Any], expected: list[int]
) -> None:
    assert get_ids(**args) == expected


@pytest.mark.parametrize("several", ["5,6", ["5", "6"]])
def test_several_instructors_are_refused(
    get: Callable[..., requests.Response], several: Any
) -> None:
    response = get(instructors=several)
    assert response.status_code == 400
    assert response.json()["code"] == "parameter_invalid"
    assert list(response.json()["field_errors"]) == ["instructors", "non_field_errors"]


@pytest.mark.parametrize("prefix", ["starts_at", "start"])
def test_bounds_on_the_start_are_inclusive(get_ids: GetIds, prefix: str) -> None:
    assert get_ids(**{f"{prefix}_gte": "2026-07-06T18:00:00Z"}) == [1, 3]
    assert get_ids(**{f"{prefix}_gte": "2026-07-06T19:00:00.5+01:00"}) == [3]
    assert get_ids(**{f"{prefix}_lte": "2026-07-06T08:00:00Z"}) == [2]
    assert get_ids(**{f"{prefix}_lte": "2026-07-06T07:59:59Z"}) == []


def test_bounds_on_the_end_include_current_sessions(get_ids: GetIds) -> None:
    assert get_ids(ends_at_gte="2026-07-06T18:30:00Z") == [1, 3]
    assert get_ids(ends_at_lte="2026-07-06T09:00:00Z") == [2]


def test_local_bounds_are_compared_with_the_venues_wall_clock(get_ids: GetIds) -> None:
    # 18:00Z is 19:00 in London; 08:00Z is 18:00 in Sydney.
    assert get_ids(local_starts_at_gte="2026-07-06T18:30:00") == [1, 3]
    assert get_ids(local_starts_at_lte="2026-07-06T18:00:00") == [2]
    # The same instant with two UTC offsets:
    assert get_ids(local_starts_at_lte="2026-07-06T18:00:00+00:00") == [2]
    assert get_ids(local_starts_at_lte="2026-07-06T19:00:00+01:00") == [1, 2]


@pytest.mark.parametrize(
    ("occupancy", "expected"),
    [
        ("full", [1, 2]),
        ("not_full", [3]),
        ("has_registrations", [1, 2, 3]),
        ("empty", []),
        ("has_waitlist", [1]),
        ("not_full,has_waitlist", [1, 3]),
    ],
)
def test_occupancy_is_decided_from_the_counts(
    get_ids: GetIds, occupancy: str, expected: list[int]
) -> None:
    assert get_ids(occupancy_status=occupancy) == expected


@pytest.mark.parametrize("unlimited", [None, 0])
def test_an_unlimited_session_is_never_full(unlimited: int | None) -> None:
    studio = small_studio()
    studio.change(1, max_occupancy=unlimited, attending_count=500)
    with running(studio) as get:
        page = get(occupancy_status="full").json()["results"]
    assert [row["id"] for row in page] == [2]


def test_the_waiting_count_is_never_sent(get: Callable[..., requests.Response]) -> None:
    assert "wait" not in get().text
    assert "wait" not in get(fields="id,waiting_count").text


def test_sorting_is_by_start(get_ids: GetIds) -> None:
    assert get_ids(sort="start") == [2, 1, 3]
    assert get_ids(sort="-start") == [3, 1, 2]


def test_each_session_is_on_exactly_one_page(
    get_ids: GetIds, get: Callable[..., requests.Response]
) -> None:
    first = get(sort="start", page_size=2).json()
    assert (first["count"], first["previous"]) == (3, None)
    assert first["next"].startswith("http://127.0.0.1:")
    assert "sort=start" in first["next"]
    assert "page=2" in first["next"]
    second = get(sort="start", page_size=2, page=2).json()
    assert (second["count"], second["next"]) == (3, None)
    assert "page=1" in second["previous"]
    assert [row["id"] for row in first["results"] + second["results"]] == [2, 1, 3]


def test_a_page_past_the_end_is_not_found(get: Callable[..., requests.Response]) -> None:
    response = get(page_size=2, page=3)
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


def test_no_matching_session_is_an_empty_first_page(get: Callable[..., requests.Response]) -> None:
    page = get(venues=9).json()
    assert page == {"count": 0, "next": None, "previous": None, "results": []}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("venues", "1,x"),
        ("venues", "-1"),
        ("starts_at_gte", "today"),
        ("starts_at_gte", "2026-07-06"),
        ("starts_at_gte", "2026-07-06T18:00:00 01:00"),
        ("status", "canceled"),
        ("occupancy_status", "half"),
        ("sort", "starts_at"),
        ("page", "0"),
        ("page_size", "many"),
        ("format", "xml"),
        ("expand", "venues"),
        ("expand", "name"),
        ("expand", "course.offering_type.instructors.availability_schedules.x"),
        ("fields", "venue..name"),
    ],
)
def test_the_error_for_an_invalid_value_names_the_parameter(
    get: Callable[..., requests.Response], name: str, value: str
) -> None:
    response = get(**{name: value})
    assert response.status_code == 400
    assert response.json()["code"] == "parameter_invalid"
    assert response.json()["field_errors"][name]


def test_an_unknown_parameter_is_ignored(get_ids: GetIds) -> None:
    assert get_ids(venue="1", sort_by="start") == [1, 2, 3]


def test_a_page_has_at_most_a_hundred_sessions() -> None:
    studio = small_studio()
    for day in range(1, 31):
        for hour in range(4):
            studio.add(starts_at=f"2026-09-{day:02}T{10 + hour}:00:00Z")
    with running(studio) as get:
        for page in (get().json(), get(page_size=500).json()):
            assert (page["count"], len(page["results"])) == (123, 100)


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
        row = get(expand="venue", fields="id,venue.name").json()["results"][0]
    assert len(row) == sent


def test_a_page_may_be_smaller_than_requested() -> None:
    with running(small_studio(), Dialect(max_page_size=2)) as get:
        page = get(page_size=100).json()
    assert (page["count"], len(page["results"])) == (3, 2)
    assert "page=2" in page["next"]
