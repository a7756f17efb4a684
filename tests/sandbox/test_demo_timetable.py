"""Tests of the demo studio: deterministic, and with every kind of session."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from bridge.sandbox.demo_timetable import demo_studio
from bridge.sandbox.records import Row
from bridge.sandbox.studio import Studio

TODAY = date(2026, 3, 10)


@pytest.fixture(scope="module")
def studio() -> Studio:
    return demo_studio(TODAY)


def local_start(row: Row, zone: str) -> datetime:
    return datetime.fromisoformat(row["starts_at"]).astimezone(ZoneInfo(zone))


def test_the_same_day_gives_the_same_sessions(studio: Studio) -> None:
    assert studio.sessions == demo_studio(TODAY).sessions


def test_timetables_of_two_days_agree_where_they_overlap(studio: Studio) -> None:
    today = {row["id"]: row for row in studio.sessions}
    later = {row["id"]: row for row in demo_studio(TODAY + timedelta(days=1)).sessions}
    both = today.keys() & later.keys()
    assert len(both) > len(today) * 0.97
    assert all(today[id] == later[id] for id in both)


def test_sessions_cover_forty_days_back_and_a_hundred_and_twenty_ahead(studio: Studio) -> None:
    days = [local_start(row, "UTC").date() for row in studio.sessions]
    assert min(days) - TODAY <= timedelta(days=-39)
    assert max(days) - TODAY >= timedelta(days=119)
    assert 300 < len(days) < 600


@pytest.mark.parametrize(
    ("venue", "zone"), [(12, "Europe/London"), (14, "America/New_York"), (15, "Australia/Sydney")]
)
def test_wall_clock_times_do_not_change_with_the_utc_offset(
    studio: Studio, venue: int, zone: str
) -> None:
    rows = [row for row in studio.sessions if row["venue"] == venue]
    slot = rows[0]["id"] % 100
    starts = [local_start(row, zone) for row in rows if row["id"] % 100 == slot]
    assert len({start.utcoffset() for start in starts}) == 2
    assert len({start.time() for start in starts}) == 1


@pytest.mark.parametrize("today", [date(2025, 12, 25), date(2026, 8, 1), date(2028, 2, 29)])
def test_every_kind_of_session_is_in_the_future(today: date) -> None:
    tables = demo_studio(today).tables()
    ahead = [row for row in tables.sessions() if row["starts_at"] > today.isoformat()]
    bounded = [row for row in ahead if row["max_occupancy"]]
    for kind, present in {
        "cancelled": any(row["status"] == "cancelled" for row in ahead),
        "full": any(row["attending_count"] == row["max_occupancy"] for row in bounded),
        "over-full": any(row["attending_count"] > row["max_occupancy"] for row in bounded),
        "with a waiting list": any(row["waiting_count"] for row in ahead),
        "empty": any(row["attending_count"] == 0 for row in ahead),
        "without a limit (null)": any(row["max_occupancy"] is None for row in ahead),
        "without a limit (0)": any(row["max_occupancy"] == 0 for row in ahead),
        "without a name": any(row["name"] is None for row in ahead),
        "with two instructors": any(len(row["instructors"]) == 2 for row in ahead),
        "past midnight": any(row["id"] % 100 == 22 for row in ahead),
    }.items():
        assert present, kind
    offering_types = [tables.offering_type(row) or {} for row in ahead]
    assert {row["customer_visibility"] for row in offering_types} == {
        "public",
        "membership_holders",
        "private",
    }
    assert any(row["is_draft"] for row in offering_types)


def test_every_referenced_record_exists(studio: Studio) -> None:
    tables = studio.tables()
    for row in tables.sessions():
        assert tables.get("venue", row["venue"])
        assert tables.offering_type(row)
        assert all(tables.get("instructor", id) for id in row["instructors"])


def test_the_online_venue_has_a_join_link(studio: Studio) -> None:
    venue = studio.tables().get("venue", 15)
    assert venue
    assert venue["is_online"]
    assert venue["video_url"].startswith("https://")
