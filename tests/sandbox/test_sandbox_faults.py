"""Tests of the simulated faults."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from bridge.sandbox.api import create_api
from bridge.sandbox.faults import Faults
from bridge.sandbox.http_server import SandboxServer
from bridge.sandbox.records import course, offering_type, venue
from bridge.sandbox.studio import Studio

Get = Callable[..., requests.Response]
COURSES = "course_sessions"


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def server(faults: Faults) -> Iterator[SandboxServer]:
    """Serves six course sessions, two of them at venue 2, and six events with the same ids."""
    studio = Studio(
        venues=[venue(1, "Hall", "UTC"), venue(2, "Loft", "UTC")],
        offering_types=[offering_type(31, "Yoga")],
        courses=[course(51, None, 31)],
    )
    for day in range(1, 7):
        start, place = f"2026-01-0{day}T10:00:00Z", 2 if day > 4 else 1
        studio.add(starts_at=start, venue=place)
        studio.add(kind="event", starts_at=start, venue=place)
    with SandboxServer(create_api(studio, faults=faults)) as server:
        yield server


@pytest.fixture
def get(server: SandboxServer, session: requests.Session) -> Get:
    def request(path: str = "course_sessions", **args: Any) -> requests.Response:
        url = f"{server.url}/{path}"
        return session.get(url, params=args, timeout=5, allow_redirects=False)

    return request


@pytest.mark.parametrize("status", [401, 403, 429, 500, 502, 503, 504])
def test_an_error_status_has_teamups_body(get: Get, faults: Faults, status: int) -> None:
    faults.set("status", status)
    response = get()
    assert response.status_code == status
    assert set(response.json()) == {"code", "message", "type", "field_errors"}
    assert "Retry-After" not in response.headers


@pytest.mark.parametrize("retry_after", ["2", "86400", "soon", "-1"])
def test_retry_after_is_sent_unchanged(get: Get, faults: Faults, retry_after: str) -> None:
    faults.set("status", 429, retry_after=retry_after)
    assert get().headers["Retry-After"] == retry_after


def test_a_fault_can_be_limited_to_one_page(get: Get, faults: Faults) -> None:
    faults.set("status", 503, page=2)
    assert get(page_size=2).status_code == 200
    assert get(page_size=2, page=2).status_code == 503
    assert get(page_size=2, page=3).status_code == 200
    faults.set("status", 503, page=1)
    assert get().status_code == 503


def test_a_fault_ends_after_the_given_number_of_requests(get: Get, faults: Faults) -> None:
    faults.set("status", 500, times=2)
    assert [get().status_code for _ in range(3)] == [500, 500, 200]


def test_a_response_can_be_delayed(get: Get, faults: Faults) -> None:
    faults.set("delay", 0.2)
    start = time.monotonic()
    assert get().status_code == 200
    assert time.monotonic() - start >= 0.2


def test_a_truncated_body_is_shorter_than_its_content_length(get: Get, faults: Faults) -> None:
    faults.set("truncate")
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        get()


@pytest.mark.parametrize(
    ("path", "expand"), [("events", "offering_type"), (COURSES, "course.offering_type")]
)
def test_the_visibility_can_be_missing_in_either_list(
    get: Get, faults: Faults, path: str, expand: str
) -> None:
    assert "customer_visibility" in get(path, expand=expand).text
    faults.set("no_visibility", source=path)
    response = get(path, expand=expand)
    assert response.json()["count"] == 6
    assert "customer_visibility" not in response.text


def test_expand_can_be_ignored(get: Get, faults: Faults) -> None:
    faults.set("unexpanded")
    assert get(expand="venue").json()["results"][0]["venue"] == 1


@pytest.mark.parametrize(
    ("path", "filters"),
    [
        (COURSES, {"venues": "2", "starts_at_gte": "2030-01-01T00:00:00Z"}),
        ("events", {"ids": "2", "category": "9", "venues": "1", "instructors": "me"}),
    ],
)
def test_all_filters_can_be_ignored(
    get: Get, faults: Faults, path: str, filters: dict[str, str]
) -> None:
    assert get(path, **filters).json()["count"] == 0
    faults.set("ignore_filters")
    page = get(path, **filters, page_size=4).json()
    assert (page["count"], len(page["results"])) == (6, 4)


@pytest.mark.parametrize(("kind", "source"), [("stauts", None), ("html", "event")])
def test_an_unknown_fault_or_list_is_refused(
    get: Get, faults: Faults, kind: str, source: str | None
) -> None:
    with pytest.raises(ValueError, match=kind):
        faults.set(kind, source=source)
    assert get().json()["count"] == 6


def test_a_fault_of_one_list_takes_precedence_over_one_of_all(get: Get, faults: Faults) -> None:
    faults.set("status", 403, source="events", times=1)
    faults.set("status", 503)
    assert [get("events").status_code, get().status_code] == [403, 503]
    assert [get("events").status_code, get().status_code] == [503, 503]
    faults.clear()
    assert [get("events").status_code, get().status_code] == [200, 200]


def test_requests_for_another_list_do_not_use_up_a_fault(get: Get, faults: Faults) -> None:
    faults.set("empty", times=1, source="events")
    assert get().json()["count"] == 6
    assert [get("events").json()["count"] for _ in range(2)] == [0, 6]
