"""What is asked of upstream for a filter set."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from bridge.config import ListStyle
from bridge.filters import FilterSet, Occupancy
from bridge.model import Status
from bridge.upstream.sources import COURSE_SESSIONS, questions

DAY = date(2026, 11, 23)


def asked(style: ListStyle = ListStyle.CSV, **filters: Any) -> list[dict[str, list[str]]]:
    """The values of each parameter, question by question."""
    found = []
    for question in questions(COURSE_SESSIONS, FilterSet.of(**filters), DAY, style):
        values: dict[str, list[str]] = {}
        for name, value in question:
            values.setdefault(name, []).append(value)
        found.append(values)
    return found


def one(style: ListStyle = ListStyle.CSV, **filters: Any) -> dict[str, list[str]]:
    (question,) = asked(style, **filters)
    return question


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


def test_everything_is_one_question_sorted_and_of_full_pages_with_both_statuses_said() -> None:
    assert one() == {"sort": ["start"], "page_size": ["100"], "status": ["active,cancelled"]}


@pytest.mark.parametrize(
    ("wanted", "sent"),
    [
        ((Status.ACTIVE,), "active"),
        ((Status.CANCELLED,), "cancelled"),
        ((Status.CANCELLED, Status.ACTIVE), "active,cancelled"),
    ],
)
def test_the_status_is_always_said(wanted: tuple[Status, ...], sent: str) -> None:
    assert one(status=wanted)["status"] == [sent]


@pytest.mark.parametrize("name", ["course", "venues", "offering_types"])
def test_ids_go_out_under_the_vendors_name_in_either_list_style(name: str) -> None:
    ids = {name: (12, 3, 12)}
    assert one(**ids)[name] == ["3,12"]
    assert one(ListStyle.REPEAT, **ids)[name] == ["3", "12"]
    assert one(ListStyle.REPEAT, **ids)["status"] == ["active", "cancelled"]


@pytest.mark.parametrize("style", ListStyle)
def test_each_instructor_is_a_question_of_its_own_with_all_else_repeated(style: ListStyle) -> None:
    filters = {"venues": (1, 2), "past": 1, "status": (Status.ACTIVE,)}
    rest = one(style, **filters)
    found = asked(style, instructors=(9, 5, 7), **filters)
    assert [question.pop("instructors") for question in found] == [["5"], ["7"], ["9"]]
    assert found == [rest, rest, rest]


def test_one_instructor_is_one_question() -> None:
    assert one(instructors=(5,))["instructors"] == ["5"]


@pytest.mark.parametrize("kind", [one for one in Occupancy if one is not Occupancy.HAS_WAITLIST])
def test_what_the_counts_decide_is_not_asked_of_upstream(kind: Occupancy) -> None:
    assert "occupancy_status" not in one(occupancy_status=(kind,))


def test_a_waitlist_is_asked_of_upstream_with_whatever_is_asked_beside_it() -> None:
    kinds = (Occupancy.HAS_WAITLIST, Occupancy.FULL)
    assert one(occupancy_status=kinds)["occupancy_status"] == ["full,has_waitlist"]
    assert one(ListStyle.REPEAT, occupancy_status=kinds)["occupancy_status"] == [
        "full",
        "has_waitlist",
    ]


@pytest.mark.parametrize("name", ["starts_at_gte", "starts_at_lte", "ends_at_gte", "ends_at_lte"])
def test_a_bound_goes_out_in_utc_with_a_z(name: str) -> None:
    question = one(**{name: at(2026, 11, 24, 17, 30, 5)})
    assert question[name] == ["2026-11-24T17:30:05Z"]
    others = {"starts_at_gte", "starts_at_lte", "ends_at_gte", "ends_at_lte"} - {name}
    assert not others & set(question)


def test_a_relative_window_begins_earlier_than_it_says_for_what_is_under_way() -> None:
    question = one(past=30, future=90)
    begins = datetime.fromisoformat(question["starts_at_gte"][0])
    assert begins <= at(2026, 10, 24) - timedelta(days=1)
    assert begins >= at(2026, 10, 24) - timedelta(days=31)
    assert question["starts_at_gte"][0].endswith("Z")
    assert question["starts_at_lte"] == ["2027-02-22T00:00:00Z"]


def test_an_open_edge_is_not_bounded() -> None:
    assert "starts_at_lte" not in one(past=30)
    assert "starts_at_gte" not in one(future=30)


def test_of_two_bounds_on_a_side_the_narrower_is_asked() -> None:
    question = one(
        starts_at_gte=at(2026, 11, 1),
        local_starts_at_gte=datetime(2026, 11, 10),  # noqa: DTZ001 - the venue's own time
        starts_at_lte=at(2026, 12, 1),
        local_starts_at_lte=datetime(2026, 12, 31),  # noqa: DTZ001
    )
    assert question["starts_at_gte"] == ["2026-11-09T10:00:00Z"]
    assert question["starts_at_lte"] == ["2026-12-01T00:00:00Z"]


def test_local_bounds_are_asked_wide_enough_for_every_zone_on_earth() -> None:
    wall = datetime(2026, 11, 24, 9)  # noqa: DTZ001
    question = one(local_starts_at_gte=wall, local_starts_at_lte=wall)
    first = datetime.fromisoformat(question["starts_at_gte"][0])
    last = datetime.fromisoformat(question["starts_at_lte"][0])
    for hours in range(-12, 15):
        there = wall.replace(tzinfo=timezone(timedelta(hours=hours)))
        assert first <= there <= last
    assert last - first <= timedelta(hours=30)
    assert not {"local_starts_at_gte", "local_starts_at_lte"} & set(question)


def test_a_local_bound_with_an_offset_is_an_instant_like_any_other() -> None:
    assert one(local_starts_at_gte=at(2026, 11, 24, 9))["starts_at_gte"] == ["2026-11-24T09:00:00Z"]


def test_every_parameter_together() -> None:
    assert one(
        ListStyle.REPEAT,
        course=(1, 2),
        venues=(3,),
        instructors=(4,),
        offering_types=(5, 6),
        status=(Status.CANCELLED,),
        occupancy_status=(Occupancy.HAS_WAITLIST,),
        starts_at_gte=at(2026, 1, 1),
        starts_at_lte=at(2026, 1, 2),
        ends_at_gte=at(2026, 1, 1, 1),
        ends_at_lte=at(2026, 1, 3),
    ) == {
        "sort": ["start"],
        "page_size": ["100"],
        "course": ["1", "2"],
        "venues": ["3"],
        "instructors": ["4"],
        "offering_types": ["5", "6"],
        "status": ["cancelled"],
        "occupancy_status": ["has_waitlist"],
        "starts_at_gte": ["2026-01-01T00:00:00Z"],
        "starts_at_lte": ["2026-01-02T00:00:00Z"],
        "ends_at_gte": ["2026-01-01T01:00:00Z"],
        "ends_at_lte": ["2026-01-03T00:00:00Z"],
    }


def test_neither_secrets_nor_what_is_for_staff_is_asked_for() -> None:
    asked_for = {*COURSE_SESSIONS.fields, *COURSE_SESSIONS.expand}
    unwanted = ("icalendar_links", "availability_schedules", "permissions", "staff", "zoom_user")
    assert not [name for name in asked_for if name.endswith(unwanted)]
    assert all(path.count(".") < 4 for path in asked_for)
