"""Rows of `/events`: how ordinary classes are read, and what of them is never read."""

from typing import Any

import pytest

from bridge.model import ClassSession, Room, Status, Visibility
from bridge.upstream.parser import (
    APPOINTMENTS,
    TIMELINES_WITHOUT_AUDIENCE,
    Parsed,
    combine,
    missing_fields,
    parse,
)
from bridge.upstream.sources import COURSE_SESSIONS, EVENTS, SOURCES

ORIGIN = "https://goteamup.example"


def type_row(**fields: Any) -> dict[str, Any]:
    return {
        "id": 301,
        "name": "Spin",
        "description": "<p>Bring a towel.</p>",
        "category": {"id": 9, "name": "Cardio"},
        "background_color": "FF8800",
        "customer_visibility": "public",
        "is_draft": False,
        "registration_timelines": [],
        **fields,
    }


def event_row(number: int = 1, **fields: Any) -> dict[str, Any]:
    return {
        "id": number,
        "object": "event",
        "name": None,
        "starts_at": "2026-12-01T18:00:00Z",
        "ends_at": "2026-12-01T19:00:00Z",
        "status": "active",
        "attending_count": 3,
        "max_occupancy": 10,
        "waiting_count": 0,
        "is_appointment": False,
        "venue": {"id": 11, "name": "Hall", "timezone": "Europe/London"},
        "venue_room": {"id": 71, "name": "Studio 1", "status": "active", "venue": 11},
        "instructors": [{"id": 101, "name": "Zoë"}],
        "offering_type": type_row(),
        "description": None,
        "customer_url": "/p/123-hall/e/1-spin/",
        "provider_url": "/staff/1",
        "registrations_open_at": None,
        "overriden_registration_timelines": [],
        **fields,
    }


def parsed(*rows: Any, anonymous: bool = False) -> Parsed:
    return parse(rows, EVENTS, ORIGIN, anonymous=anonymous)


def event(anonymous: bool = False, **fields: Any) -> ClassSession:
    [session] = parsed(event_row(**fields), anonymous=anonymous).sessions
    return session


def timeline(audience: str) -> dict[str, Any]:
    return {"id": 1, "name": "Booking", "audience_type": audience}


def test_a_class_is_read_with_its_room_type_and_category() -> None:
    session = event()
    assert session.identity == ("event", 1)
    assert session.title == "Spin"
    assert session.room == Room(71, "Studio 1")
    assert session.location == "Hall, Studio 1"
    assert session.course is None
    assert session.complete
    assert session.offering_type is not None
    assert (session.offering_type.category_id, session.offering_type.category) == (9, "Cardio")
    assert session.booking_url == "https://goteamup.example/p/123-hall/e/1-spin/"


def test_a_class_and_a_course_session_with_equal_ids_have_different_identities() -> None:
    row = event_row(7)
    course_row = {**row, "course": {"id": 1, "name": "C", "offering_type": type_row()}}
    [a], [b] = (
        parse([r], source, ORIGIN).sessions
        for r, source in ((row, EVENTS), (course_row, COURSE_SESSIONS))
    )
    assert a.id == b.id
    assert a.identity != b.identity


@pytest.mark.parametrize("value", [True, "true", "True", " TRUE ", "1", 1, "yes", [], {}])
def test_an_appointment_is_left_out_before_anything_else_is_read(value: Any) -> None:
    result = parsed(event_row(1, is_appointment=value, starts_at=None), event_row(2))
    assert [session.id for session in result.sessions] == [2]
    assert result.excluded == {1}
    assert not result.unusable
    assert result.tally == {APPOINTMENTS: 1}


@pytest.mark.parametrize("value", [False, "false", "False", "", "0", 0, None])
def test_other_values_of_is_appointment_are_ordinary_classes(value: Any) -> None:
    assert event(is_appointment=value)


def test_a_row_that_does_not_say_whether_it_is_an_appointment_is_a_class() -> None:
    row = event_row()
    del row["is_appointment"]
    assert parsed(row).sessions


def test_a_class_that_is_an_appointment_on_another_page_is_left_out() -> None:
    result = combine(
        [parsed(event_row(1), event_row(2)), parsed(event_row(1, is_appointment=True))]
    )
    assert [session.id for session in result.sessions] == [2]
    assert result.excluded == {1}


@pytest.mark.parametrize(
    ("own", "usual", "expected"),
    [
        ([], [], None),
        (None, None, None),
        (["everyone"], [], Visibility.PUBLIC),
        (["membership_holders"], [], Visibility.MEMBERSHIP_HOLDERS),
        (["specific_memberships"], [], Visibility.MEMBERSHIP_HOLDERS),
        (["business_only"], [], Visibility.PRIVATE),
        (["specific_customers"], [], Visibility.PRIVATE),
        (["private_url"], [], Visibility.PRIVATE),
        (["something_new"], [], Visibility.PRIVATE),
        (["private_url", "everyone"], [], Visibility.PUBLIC),
        (["private_url", "membership_holders"], [], Visibility.MEMBERSHIP_HOLDERS),
        ([], ["private_url"], Visibility.PRIVATE),
        # the row's own go before its type's
        (["everyone"], ["private_url"], Visibility.PUBLIC),
        (["private_url"], ["everyone"], Visibility.PRIVATE),
    ],
)
def test_registration_timelines_limit_who_may_see_a_class(
    own: list[str] | None, usual: list[str] | None, expected: Visibility | None
) -> None:
    timelines = own and [timeline(audience) for audience in own]
    kind = type_row(registration_timelines=usual and [timeline(audience) for audience in usual])
    session = event(overriden_registration_timelines=timelines, offering_type=kind)
    assert session.registration is expected


@pytest.mark.parametrize(
    ("visibility", "audience", "expected"),
    [
        ("public", "everyone", Visibility.PUBLIC),
        ("private", "everyone", Visibility.PRIVATE),
        ("membership_holders", "private_url", Visibility.PRIVATE),
        ("public", "membership_holders", Visibility.MEMBERSHIP_HOLDERS),
        (None, "everyone", None),
        ("something_new", "everyone", None),
    ],
)
def test_the_stricter_of_visibility_and_timelines_decides(
    visibility: str | None, audience: str, expected: Visibility | None
) -> None:
    session = event(
        offering_type=type_row(customer_visibility=visibility),
        overriden_registration_timelines=[timeline(audience)],
    )
    assert session.visibility is expected


@pytest.mark.parametrize("untold", [[5, 6], "https://goteamup.example/api/v2/timelines/", [{}]])
def test_timelines_without_an_audience_are_counted(untold: Any) -> None:
    result = parsed(event_row(offering_type=type_row(registration_timelines=untold)))
    assert result.sessions[0].registration is None
    assert result.tally == {TIMELINES_WITHOUT_AUDIENCE: 1}


def test_timelines_of_its_own_without_an_audience_are_counted_where_the_types_decide() -> None:
    row = event_row(
        overriden_registration_timelines=[5],
        offering_type=type_row(registration_timelines=[timeline("private_url")]),
    )
    result = parsed(row)
    assert result.sessions[0].registration is Visibility.PRIVATE
    assert result.tally == {TIMELINES_WITHOUT_AUDIENCE: 1}


@pytest.mark.parametrize(
    ("colour", "expected"),
    [("FF8800", "#ff8800"), ("#FF8800", "#ff8800"), ("F80", None), ("red", None), ("GG8800", None)],
)
def test_a_colour_may_lack_the_number_sign(colour: str, expected: str | None) -> None:
    kind = event(offering_type=type_row(background_color=colour)).offering_type
    assert kind is not None
    assert kind.colour == expected


def test_its_own_description_goes_before_its_types() -> None:
    assert event().description == "Bring a towel."
    assert event(description="<p>Today <b>outside</b>.</p>").description == "Today outside."
    assert event(description="<p> </p>").description == "Bring a towel."


def test_a_class_without_a_venue_is_placed_by_its_own_offset() -> None:
    session = event(venue=None, starts_at="2026-07-01T18:00:00+01:00", ends_at=None)
    assert session.start.isoformat() == "2026-07-01T17:00:00+00:00"
    assert session.location == "Studio 1"


@pytest.mark.parametrize("room", [71, "https://goteamup.example/api/v2/venue_rooms/71"])
def test_a_room_that_was_not_expanded_makes_the_row_incomplete(room: Any) -> None:
    session = event(venue_room=room)
    assert session.room == Room(71)
    assert not session.complete


@pytest.mark.parametrize("price", ["14.00", {"amount": "14.00", "currency": "GBP"}, None])
def test_a_price_of_any_form_does_not_matter(price: Any) -> None:
    assert event(offering_type=type_row(dropin_price=price)).complete


def test_counts_decide_whether_a_class_is_full_and_has_a_waiting_list() -> None:
    session = event(attending_count=10, waiting_count=2, is_full=False, occupancy=3)
    assert session.full
    assert session.waiting == 2
    assert event(max_occupancy=0, attending_count=99).full is False
    assert event(waiting_count=None).waiting == 0


def test_without_a_token_a_missing_visibility_does_not_hide() -> None:
    bare = type_row()
    del bare["customer_visibility"]
    assert event(offering_type=bare).visibility is None
    assert event(offering_type=bare, anonymous=True).visibility is Visibility.PUBLIC
    assert event(offering_type=bare, anonymous=True).complete
    hidden = type_row(customer_visibility="private")
    assert event(offering_type=hidden, anonymous=True).visibility is Visibility.PRIVATE
    assert missing_fields([event_row(offering_type=bare)], EVENTS)
    assert not missing_fields([event_row(offering_type=bare)], EVENTS, anonymous=True)


def test_cancelled_classes_are_read() -> None:
    assert event(status="cancelled").status is Status.CANCELLED


def test_customers_data_and_the_field_that_repeats_the_capacity_are_never_requested() -> None:
    for source in SOURCES.values():
        requested = [*source.fields, *source.expand]
        assert not [name for name in requested if "small_session_attendances" in name]
        assert not [name for name in requested if name.split(".")[-1] == "occupancy"]
    assert "small_session_attendances" in EVENTS.forbidden
