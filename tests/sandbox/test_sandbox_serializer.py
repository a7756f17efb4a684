"""Tests of ``expand`` and ``fields``."""

from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest
import requests

from bridge.sandbox.api import create_api
from bridge.sandbox.demo_timetable import demo_studio
from bridge.sandbox.http_server import SandboxServer

First = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def first(session: requests.Session) -> Iterator[First]:
    """Requests the list; returns the first session."""
    with SandboxServer(create_api(demo_studio(date(2026, 3, 10)))) as server:

        def request(**args: str) -> dict[str, Any]:
            response = session.get(f"{server.url}/course_sessions", params=args, timeout=5)
            assert response.status_code == 200, response.text
            row: dict[str, Any] = response.json()["results"][0]
            return row

        yield request


def test_a_session_has_exactly_the_documented_fields(first: First) -> None:
    assert set(first()) == {
        "id",
        "object",
        "name",
        "starts_at",
        "ends_at",
        "status",
        "attending_count",
        "max_occupancy",
        "venue",
        "instructors",
        "course",
        "customer_url",
        "provider_url",
    }


def test_unexpanded_references_are_ids_and_lists_are_urls(first: First) -> None:
    row = first(venues="12")
    assert row["venue"] == 12
    assert isinstance(row["course"], int)
    assert row["instructors"].startswith("http://127.0.0.1:")
    assert row["instructors"].endswith("/api/v2/related_collection")


def test_an_expanded_venue_leaves_its_rooms_unexpanded(first: First) -> None:
    venue = first(venues="12", expand="venue")["venue"]
    assert (venue["name"], venue["timezone"]) == ("Riverside Studio", "Europe/London")
    assert venue["venue_rooms"].endswith("/related_collection")
    room = first(venues="12", expand="venue.venue_rooms")["venue"]["venue_rooms"][0]
    assert (room["object"], room["venue"]) == ("venue_room", 12)


def test_instructors_expand_to_a_list_without_deferred_fields(first: First) -> None:
    instructor = first(instructors="11", expand="instructors")["instructors"][0]
    assert (instructor["id"], instructor["name"]) == (11, "Zoë Ashdown")
    assert instructor["permissions"]["super_admin"] is True
    assert not {"availability_schedules", "icalendar_links"} & set(instructor)


@pytest.mark.parametrize("name", ["availability_schedules", "icalendar_links"])
def test_a_deferred_field_is_sent_only_when_named(first: First, name: str) -> None:
    expanded = first(expand=f"instructors,instructors.{name}")["instructors"][0]
    assert name in expanded
    assert "name" in expanded
    picked = first(expand="instructors", fields=f"instructors.{name}")["instructors"][0]
    assert set(picked) == {name}


def test_a_dotted_path_expands_each_level(first: First) -> None:
    assert isinstance(first(expand="course")["course"]["offering_type"], int)
    offering_type = first(course="51", expand="course.offering_type")["course"]["offering_type"]
    assert (offering_type["customer_visibility"], offering_type["category"]) == ("public", 5)
    row = first(course="51", expand="course.offering_type.category")
    assert row["course"]["offering_type"]["category"]["name"] == "Yoga"
    row = first(course="51", expand="course.offering_type.instructors.icalendar_links")
    assert "icalendar_links" in row["course"]["offering_type"]["instructors"][0]


def test_a_missing_category_stays_null(first: First) -> None:
    row = first(course="60", expand="course.offering_type.category")
    assert row["course"]["offering_type"]["category"] is None
    assert (row["name"], row["course"]["name"]) == (None, None)


def test_fields_apply_to_expanded_records(first: First) -> None:
    row = first(
        venues="12",
        expand="venue,instructors,course.offering_type",
        fields="id,venue.name,venue.physical_address.city,instructors.id,course.offering_type.name",
    )
    assert set(row) == {"id", "venue", "instructors", "course"}
    assert row["venue"] == {"name": "Riverside Studio", "physical_address": {"city": "Bristol"}}
    assert all(set(instructor) == {"id"} for instructor in row["instructors"])
    assert set(row["course"]) == {"offering_type"}


def test_fields_do_not_expand_references(first: First) -> None:
    row = first(venues="12", fields="venue.name,instructors.name")
    assert row["venue"] == 12
    assert row["instructors"].endswith("/related_collection")


def test_a_record_named_without_subfields_is_sent_in_full(first: First) -> None:
    assert "timezone" in first(expand="venue", fields="venue.name,venue")["venue"]
    assert set(first(fields="id,no_such_field")) == {"id"}
