"""Tests that the API reflects the changes made to a `Studio`."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from bridge.sandbox.api import create_api
from bridge.sandbox.http_server import SandboxServer
from bridge.sandbox.records import (
    category,
    course,
    instructor,
    offering_type,
    venue,
    venue_room,
)
from bridge.sandbox.studio import Studio, event, session

Listing = Callable[[], dict[int, dict[str, Any]]]


@pytest.fixture
def studio() -> Studio:
    studio = Studio(
        venues=[venue(1, "Hall", "Europe/London"), venue(2, "Loft", "America/New_York")],
        instructors=[instructor(5, "Zoë"), instructor(6, "Tom")],
        offering_types=[offering_type(31, "Yoga")],
        courses=[course(51, "Yoga", 31)],
    )
    studio.add(starts_at=datetime(2026, 1, 5, 18, tzinfo=UTC), instructors=[5])
    return studio


@pytest.fixture
def listing(studio: Studio, session: requests.Session) -> Iterator[Listing]:
    """Requests all sessions, expanded; returns them by id."""
    with SandboxServer(create_api(studio)) as server:
        args = {"status": "active,cancelled", "expand": "venue,instructors,course.offering_type"}

        def request() -> dict[int, dict[str, Any]]:
            response = session.get(f"{server.url}/course_sessions", params=args, timeout=5)
            return {row["id"]: row for row in response.json()["results"]}

        yield request


def test_an_added_session_has_realistic_defaults(studio: Studio, listing: Listing) -> None:
    added = studio.add(starts_at="2026-01-06T18:00:00+00:00", name="Special")
    row = listing()[added["id"]]
    assert (row["name"], row["status"], row["venue"]["id"]) == ("Special", "active", 1)
    assert row["ends_at"] == "2026-01-06T19:00:00Z"
    assert row["customer_url"] == "/p/123-demo-studio/course-sessions/2"
    assert row["provider_url"].startswith("https://")


def test_references_may_be_records_instead_of_ids() -> None:
    hall, zoe = venue(7, "Hall", "Asia/Tokyo"), instructor(8, "Zoë \ud800")
    yoga = course(9, "Yoga", offering_type(10, "Yoga", category=category(11, "Mind")))
    studio = Studio()
    studio.replace_sessions(
        [session(id=3, starts_at="2026-01-06T18:00", venue=hall, instructors=[zoe], course=yoga)]
    )
    client = create_api(studio).test_client()

    def request(**args: str) -> list[dict[str, Any]]:
        headers = {"Authorization": "Bearer sandbox-token"}
        response = client.get("/api/v2/course_sessions", query_string=args, headers=headers)
        return response.get_json()["results"]

    (row,) = request(venues="7", instructors="8", course="9", offering_types="10")
    assert (row["venue"], row["course"]) == (7, 9)
    (row,) = request(expand="venue,instructors,course.offering_type.category")
    assert (row["venue"]["name"], row["instructors"][0]["name"]) == ("Hall", "Zoë \ud800")
    assert row["course"]["offering_type"]["category"]["id"] == 11
    assert not request(starts_at_gte="2026-01-06T09:00:01Z")


def test_invalid_values_are_sent_unchanged(studio: Studio, listing: Listing) -> None:
    id = studio.add(starts_at="soon", ends_at=None, status="postponed", venue=99)["id"]
    row = listing()[id]
    values = (row["starts_at"], row["ends_at"], row["status"], row["venue"])
    assert values == ("soon", None, "postponed", 99)


def test_a_naive_datetime_is_refused(studio: Studio) -> None:
    with pytest.raises(ValueError, match="offset"):
        studio.add(starts_at=datetime(2026, 1, 5, 18))  # noqa: DTZ001 - the naive time is under test


def test_listed_sessions_are_copies(studio: Studio) -> None:
    studio.sessions[0]["instructors"].append(6)
    assert studio.sessions[0]["instructors"] == [5]


@pytest.fixture
def both() -> Studio:
    """A course session and an event, both with the id 1."""
    return Studio(
        venues=[venue(1, "Hall", "Europe/London"), venue(2, "Loft", "America/New_York")],
        venue_rooms=[venue_room(71, "Nave", 1), venue_room(72, "Crypt", 1)],
        instructors=[instructor(5, "Zoë"), instructor(6, "Tom")],
        offering_types=[offering_type(31, "Yoga")],
        courses=[course(51, "Yoga", 31)],
        sessions=[session(id=1, starts_at="2026-01-05T18:00:00Z", venue=1, course=51)],
        events=[event(id=1, starts_at="2026-01-05T18:00:00Z", venue=1, offering_type=31)],
    )


def test_a_change_applies_to_one_kind_only(both: Studio) -> None:
    (session_before,) = both.sessions
    both.cancel(1, kind="event")
    both.change(1, name="Yin", instructors=[6], venue_room=72, kind="event")
    start = datetime(2026, 7, 1, 9, tzinfo=UTC)
    both.change(1, starts_at=start, ends_at=start + timedelta(hours=1), kind="event")
    assert both.sessions == [session_before]
    (row,) = both.events
    assert (row["status"], row["name"]) == ("cancelled", "Yin")
    assert (row["venue"], row["venue_room"], row["instructors"]) == (1, 72, [6])
    assert (row["starts_at"], row["ends_at"]) == (
        "2026-07-01T10:00:00+01:00",
        "2026-07-01T11:00:00+01:00",
    )
    both.change(1, kind="event", status="active")
    assert both.events[0]["status"] == "active"
    both.cancel(1)
    assert both.events[0]["status"] == "active"


def test_deleting_or_replacing_events_leaves_the_course_sessions(both: Studio) -> None:
    both.delete(1, kind="event")
    assert (both.events, len(both.sessions)) == ([], 1)
    both.replace_sessions([event(id=8, starts_at="2026-01-05T18:00:00Z")], kind="event")
    assert [row["id"] for row in both.events] == [8]
    assert [row["id"] for row in both.sessions] == [1]
    assert both.add(kind="event", starts_at="2026-01-06T18:00:00Z")["id"] == 9
    assert both.add(starts_at="2026-01-06T18:00:00Z")["id"] == 2


def test_the_fields_of_an_event_agree_with_its_counts(both: Studio) -> None:
    both.change(1, attending_count=10, waiting_count=3, kind="event")
    (row,) = both.events
    assert (row["is_full"], row["waiting_count"], row["occupancy"]) == (True, 3, 10)
    assert len(row["small_session_attendances"]) == 3
    both.change(1, kind="event", max_occupancy=12)
    (row,) = both.events
    assert (row["is_full"], row["occupancy"]) == (False, 12)
    both.change(1, kind="event", max_occupancy=None, attending_count=1, occupancy=99)
    (row,) = both.events
    assert (row["is_full"], row["occupancy"]) == (False, 99)
    assert len(row["small_session_attendances"]) == 1
