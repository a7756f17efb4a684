"""The query parameters that are sent to upstream for a filter set."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from bridge.config import ListStyle
from bridge.filters import FilterSet, Occupancy
from bridge.model import Status
from bridge.upstream.sources import COURSE_SESSIONS, walk_params

DAY = date(2026, 11, 23)


def all_params(style: ListStyle = ListStyle.CSV, **filters: Any) -> list[dict[str, list[str]]]:
    """For each walk, the values of each parameter."""
    queries = []
    for query in walk_params(COURSE_SESSIONS, FilterSet.of(**filters), DAY, style):
        values: dict[str, list[str]] = {}
        for name, value in query:
            values.setdefault(name, []).append(value)
        queries.append(values)
    return queries


def params(style: ListStyle = ListStyle.CSV, **filters: Any) -> dict[str, list[str]]:
    (query,) = all_params(style, **filters)
    return query


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


def test_without_filters_there_is_one_walk_with_order_size_and_both_statuses() -> None:
    assert params() == {"sort": ["start"], "status": ["active,cancelled"]}


@pytest.mark.parametrize(
    ("wanted", "sent"),
    [
        ((Status.ACTIVE,), "active"),
        ((Status.CANCELLED,), "cancelled"),
        ((Status.CANCELLED, Status.ACTIVE), "active,cancelled"),
    ],
)
def test_the_status_is_always_sent(wanted: tuple[Status, ...], sent: str) -> None:
    assert params(status=wanted)["status"] == [sent]


@pytest.mark.parametrize("name", ["course", "venues", "offering_types"])
def test_ids_are_sent_under_the_vendors_name_in_both_list_styles(name: str) -> None:
    ids = {name: (12, 3, 12)}
    assert params(**ids)[name] == ["3,12"]
    assert params(ListStyle.REPEAT, **ids)[name] == ["3", "12"]
    assert params(ListStyle.REPEAT, **ids)["status"] == ["active", "cancelled"]


@pytest.mark.parametrize("style", ListStyle)
def test_there_is_one_walk_for_each_instructor(style: ListStyle) -> None:
    filters = {"venues": (1, 2), "past": 1, "status": (Status.ACTIVE,)}
    rest = params(style, **filters)
    queries = all_params(style, instructors=(9, 5, 7), **filters)
    assert [query.pop("instructors") for query in queries] == [["5"], ["7"], ["9"]]
    assert queries == [rest, rest, rest]


def test_for_one_instructor_there_is_one_walk() -> None:
    assert params(instructors=(5,))["instructors"] == ["5"]


@pytest.mark.parametrize(
    "occupancy", [member for member in Occupancy if member is not Occupancy.HAS_WAITLIST]
)
def test_an_occupancy_that_depends_on_counts_is_not_sent(occupancy: Occupancy) -> None:
    assert "occupancy_status" not in params(occupancy_status=(occupancy,))


def test_a_waitlist_is_sent_together_with_other_occupancies() -> None:
    occupancies = (Occupancy.HAS_WAITLIST, Occupancy.FULL)
    assert params(occupancy_status=occupancies)["occupancy_status"] == ["full,has_waitlist"]
    assert params(ListStyle.REPEAT, occupancy_status=occupancies)["occupancy_status"] == [
        "full",
        "has_waitlist",
    ]


@pytest.mark.parametrize("name", ["starts_at_gte", "starts_at_lte", "ends_at_gte", "ends_at_lte"])
def test_a_bound_is_sent_in_utc_with_a_z(name: str) -> None:
    query = params(**{name: at(2026, 11, 24, 17, 30, 5)})
    assert query[name] == ["2026-11-24T17:30:05Z"]
    others = {"starts_at_gte", "starts_at_lte", "ends_at_gte", "ends_at_lte"} - {name}
    assert not others & set(query)


def test_a_relative_window_begins_a_month_earlier_for_sessions_under_way() -> None:
    query = params(past=30, future=90)
    begins = datetime.fromisoformat(query["starts_at_gte"][0])
    assert begins <= at(2026, 10, 24) - timedelta(days=31)
    assert begins >= at(2026, 10, 24) - timedelta(days=33)
    assert query["starts_at_gte"][0].endswith("Z")
    # 26 hours later, so that the day has ended in every time zone
    assert query["starts_at_lte"] == ["2027-02-23T02:00:00Z"]


def test_an_open_side_has_no_bound() -> None:
    assert "starts_at_lte" not in params(past=30)
    assert "starts_at_gte" not in params(future=30)


def test_of_two_bounds_on_a_side_the_narrower_is_sent() -> None:
    query = params(
        starts_at_gte=at(2026, 11, 1),
        local_starts_at_gte=datetime(2026, 11, 10),  # noqa: DTZ001 - the venue's own time
        starts_at_lte=at(2026, 12, 1),
        local_starts_at_lte=datetime(2026, 12, 31),  # noqa: DTZ001
    )
    assert query["starts_at_gte"] == ["2026-11-09T10:00:00Z"]
    assert query["starts_at_lte"] == ["2026-12-01T00:00:00Z"]


def test_local_bounds_are_wide_enough_for_every_time_zone() -> None:
    wall = datetime(2026, 11, 24, 9)  # noqa: DTZ001
    query = params(local_starts_at_gte=wall, local_starts_at_lte=wall)
    first = datetime.fromisoformat(query["starts_at_gte"][0])
    last = datetime.fromisoformat(query["starts_at_lte"][0])
    for hours in range(-12, 15):
        local = wall.replace(tzinfo=timezone(timedelta(hours=hours)))
        assert first <= local <= last
    assert last - first <= timedelta(hours=30)
    assert not {"local_starts_at_gte", "local_starts_at_lte"} & set(query)


def test_a_local_bound_with_an_offset_is_sent_unchanged() -> None:
    assert params(local_starts_at_gte=at(2026, 11, 24, 9))["starts_at_gte"] == [
        "2026-11-24T09:00:00Z"
    ]


def test_every_parameter_together() -> None:
    assert params(
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


def test_neither_secrets_nor_staff_data_are_requested() -> None:
    requested = {*COURSE_SESSIONS.fields, *COURSE_SESSIONS.expand}
    unwanted = ("icalendar_links", "availability_schedules", "permissions", "staff", "zoom_user")
    assert not [name for name in requested if name.endswith(unwanted)]
    assert all(path.count(".") < 4 for path in requested)
