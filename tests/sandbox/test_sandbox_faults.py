"""Tests of the simulated faults."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from bridge.sandbox.api import create_api
from bridge.sandbox.faults import FOREIGN_NEXT, Faults
from bridge.sandbox.http_server import SandboxServer
from bridge.sandbox.records import course, offering_type, venue
from bridge.sandbox.studio import Studio

Get = Callable[..., requests.Response]


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
    assert faults.listing() == {}


def test_a_response_can_be_delayed(get: Get, faults: Faults) -> None:
    faults.set("delay", 0.2)
    start = time.monotonic()
    assert get().status_code == 200
    assert time.monotonic() - start >= 0.2


def test_html_is_sent_with_status_200(get: Get, faults: Faults) -> None:
    faults.set("html")
    response = get()
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/html")


def test_a_truncated_body_is_shorter_than_its_content_length(get: Get, faults: Faults) -> None:
    faults.set("truncate")
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        get()


def test_invalid_json_is_a_complete_http_response(get: Get, faults: Faults) -> None:
    faults.set("invalid_json")
    response = get()
    assert response.status_code == 200
    with pytest.raises(requests.exceptions.JSONDecodeError):
        response.json()


def test_with_the_fault_empty_no_session_is_listed(get: Get, faults: Faults) -> None:
    faults.set("empty")
    assert get().json() == {"count": 0, "next": None, "previous": None, "results": []}


def test_the_visibility_can_be_missing(get: Get, faults: Faults) -> None:
    faults.set("no_visibility")
    for row in get(expand="course.offering_type").json()["results"]:
        assert "customer_visibility" not in row["course"]["offering_type"]
    faults.clear()
    row = get(expand="course.offering_type").json()["results"][0]
    assert row["course"]["offering_type"]["customer_visibility"] == "public"


def test_expand_can_be_ignored(get: Get, faults: Faults) -> None:
    faults.set("unexpanded")
    assert get(expand="venue").json()["results"][0]["venue"] == 1


def test_filters_can_be_ignored(get: Get, faults: Faults) -> None:
    assert get(venues=2).json()["count"] == 2
    faults.set("ignore_filters")
    page = get(venues=2, starts_at_gte="2030-01-01T00:00:00Z", page_size=4).json()
    assert (page["count"], len(page["results"])) == (6, 4)


def test_a_duplicate_row_is_not_counted(get: Get, faults: Faults) -> None:
    faults.set("duplicate_row")
    page = get().json()
    assert page["count"] == 6
    assert [row["id"] for row in page["results"]] == [1, 2, 3, 4, 5, 6, 6]


def test_hidden_rows_are_not_counted(get: Get, faults: Faults) -> None:
    faults.set("hide_every_nth", 3)
    page = get().json()
    assert page["count"] == 4
    assert [row["id"] for row in page["results"]] == [1, 2, 4, 5]


def test_next_can_name_another_host(get: Get, faults: Faults) -> None:
    faults.set("foreign_next")
    assert get().json()["next"] == FOREIGN_NEXT
    faults.set("foreign_next", "http://127.0.0.1:9/x")
    assert get().json()["next"] == "http://127.0.0.1:9/x"


def test_a_redirect_names_its_target(get: Get, faults: Faults) -> None:
    faults.set("redirect", "https://elsewhere.example/")
    response = get()
    assert response.status_code == 302
    assert response.headers["Location"] == "https://elsewhere.example/"


@pytest.mark.parametrize(
    ("kind", "value"),
    [("stauts", 500), ("status", 200), ("status", "500"), ("delay", -1), ("html", 3)],
)
def test_an_unusable_fault_is_refused(faults: Faults, kind: str, value: Any) -> None:
    with pytest.raises(ValueError, match=kind):
        faults.set(kind, value)
    assert faults.listing() == {}


def test_faults_are_switched_over_http(
    get: Get, server: SandboxServer, session: requests.Session, faults: Faults
) -> None:
    url = f"{server.origin}/_sandbox/faults"
    settings = {"status": {"value": 503, "page": 1, "retry_after": "5"}, "html": True}
    listing = session.put(url, json=settings, timeout=5).json()
    assert listing == session.get(url, timeout=5).json() == faults.listing()
    assert set(listing) == {"status", "html"}
    assert get().headers["Retry-After"] == "5"

    session.put(url, json={"status": None}, timeout=5)
    assert get().text.startswith("<!doctype html>")

    assert session.delete(url, timeout=5).json() == {}
    assert get().json()["count"] == 6


@pytest.mark.parametrize("settings", [[], {"nothing": 1}, {"status": {"code": 1}}, {"delay": "1"}])
def test_an_unusable_fault_over_http_is_a_400(
    server: SandboxServer, session: requests.Session, settings: Any
) -> None:
    response = session.put(f"{server.origin}/_sandbox/faults", json=settings, timeout=5)
    assert response.status_code == 400
    assert response.json()["message"]


@pytest.mark.parametrize("path", ["events", "course_sessions"])
def test_a_fault_can_be_limited_to_one_list(get: Get, faults: Faults, path: str) -> None:
    faults.set("status", 403, source=path)
    (other,) = {"events", "course_sessions"} - {path}
    response = get(path)
    assert (response.status_code, response.json()["code"]) == (403, "permission_denied")
    assert set(response.json()) == {"code", "message", "type", "field_errors"}
    assert get(other).status_code == 200
    faults.clear("status")
    assert get(path).status_code == 200


def test_a_fault_of_one_list_takes_precedence_over_one_of_all(get: Get, faults: Faults) -> None:
    faults.set("status", 403, source="events", times=1)
    faults.set("status", 503)
    assert set(faults.listing()) == {"status", "events/status"}
    assert [get("events").status_code, get().status_code] == [403, 503]
    assert [get("events").status_code, get().status_code] == [503, 503]
    faults.set("html", source="events")
    faults.clear("status", source="events")
    assert set(faults.listing()) == {"status", "events/html"}
    faults.clear(source="events")
    assert set(faults.listing()) == {"status"}


def test_requests_for_another_list_do_not_use_up_a_fault(get: Get, faults: Faults) -> None:
    faults.set("empty", times=1, source="events")
    assert get().json()["count"] == 6
    assert [get("events").json()["count"] for _ in range(2)] == [0, 6]


def test_an_unknown_source_is_refused(faults: Faults) -> None:
    with pytest.raises(ValueError, match="source"):
        faults.set("html", source="event")


def test_faults_of_one_list_are_switched_over_http(
    get: Get, server: SandboxServer, session: requests.Session, faults: Faults
) -> None:
    url = f"{server.origin}/_sandbox/faults"
    session.put(url, json={"status": {"value": 503, "source": "events"}}, timeout=5)
    assert [get("events").status_code, get().status_code] == [503, 200]
    listing = session.put(url, json={"course_sessions/status": 403}, timeout=5).json()
    assert set(listing) == {"events/status", "course_sessions/status"}
    assert [get("events").status_code, get().status_code] == [503, 403]
    session.put(url, json={"events/status": None}, timeout=5)
    assert [get("events").status_code, get().status_code] == [200, 403]
    session.put(url, json={"status": None}, timeout=5)
    assert faults.listing() == {}
    assert session.put(url, json={"venues/status": 503}, timeout=5).status_code == 400


def test_the_visibility_of_events_can_be_missing(get: Get, faults: Faults) -> None:
    faults.set("no_visibility", source="events")
    for row in get("events", expand="offering_type").json()["results"]:
        assert "customer_visibility" not in row["offering_type"]
    row = get(expand="course.offering_type").json()["results"][0]
    assert row["course"]["offering_type"]["customer_visibility"] == "public"
    assert get("events").json()["results"][0]["offering_type"] == 31


def test_the_faults_of_a_page_apply_to_events(get: Get, faults: Faults) -> None:
    faults.set("unexpanded")
    faults.set("duplicate_row")
    faults.set("hide_every_nth", 3)
    faults.set("foreign_next")
    page = get("events", expand="venue,offering_type").json()
    assert (page["count"], page["next"]) == (4, FOREIGN_NEXT)
    assert [row["id"] for row in page["results"]] == [1, 2, 4, 5, 5]
    assert (page["results"][0]["venue"], page["results"][0]["offering_type"]) == (1, 31)


def test_all_filters_of_events_can_be_ignored(get: Get, faults: Faults) -> None:
    filters = {"ids": "2", "category": "9", "venues": "1", "instructors": "me"}
    assert get("events", **filters).json()["count"] == 0
    faults.set("ignore_filters")
    assert get("events", **filters).json()["count"] == 6
