"""Tests of the demo studio: deterministic, and with every kind of session."""

from collections import Counter
from datetime import date, datetime, timedelta
from itertools import combinations
from zoneinfo import ZoneInfo

import pytest

from bridge.sandbox.demo_classes import CLASS_SLOTS, ClassSlot
from bridge.sandbox.demo_timetable import demo_studio
from bridge.sandbox.endpoints import Kind
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
    assert studio.events == demo_studio(TODAY).events


@pytest.mark.parametrize("kind", ["course_session", "event"])
def test_timetables_of_two_days_agree_where_they_overlap(kind: Kind) -> None:
    today, later = (
        {row["id"]: row for row in demo_studio(day).tables().sessions(kind)}
        for day in (TODAY, TODAY + timedelta(days=1))
    )
    both = today.keys() & later.keys()
    assert len(both) > len(today) * 0.97
    assert all(today[id] == later[id] for id in both)


def test_events_cover_five_weeks_back_and_ten_ahead(studio: Studio) -> None:
    days = [datetime.fromisoformat(row["starts_at"]).date() for row in studio.events]
    assert (min(days), max(days)) == (TODAY - timedelta(days=35), TODAY + timedelta(days=70))
    weeks = Counter(day.isocalendar()[:2] for day in days)
    assert weeks.most_common(1)[0][1] == len(CLASS_SLOTS) == 64


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


def test_the_online_venue_has_a_join_link(studio: Studio) -> None:
    venue = studio.tables().get("venue", 15)
    assert venue
    assert venue["is_online"]
    assert venue["video_url"].startswith("https://")


def test_some_events_have_ids_of_course_sessions(studio: Studio) -> None:
    sessions, events = ({row["id"] for row in rows} for rows in (studio.sessions, studio.events))
    assert 10 < len(sessions & events) < len(events) / 2


def test_times_of_events_have_the_offset_of_their_venue(studio: Studio) -> None:
    for row in studio.events:
        venue = studio.tables().get("venue", row["venue"])
        assert venue
        for field in ("starts_at", "ends_at"):
            time = datetime.fromisoformat(row[field])
            assert time.utcoffset() == time.astimezone(ZoneInfo(venue["timezone"])).utcoffset()


@pytest.mark.parametrize("today", [date(2025, 12, 25), date(2026, 8, 1), date(2028, 2, 29)])
def test_every_kind_of_event_is_in_the_future(today: date) -> None:
    tables = demo_studio(today).tables()
    ahead = [row for row in tables.sessions("event") if row["starts_at"] > today.isoformat()]
    slots = {slot.number: slot for slot in CLASS_SLOTS}
    usual = {row["id"]: [*slots[row["id"] % 100].instructors] for row in ahead}
    tomorrow = f"{today + timedelta(days=1)}"
    for kind, present in {
        "cancelled": any(row["status"] == "cancelled" for row in ahead),
        "full": any(row["is_full"] for row in ahead),
        "with a waiting list": any(row["waiting_count"] for row in ahead),
        "empty": any(row["attending_count"] == 0 for row in ahead),
        "without a limit (null)": any(row["max_occupancy"] is None for row in ahead),
        "without a limit (0)": any(row["max_occupancy"] == 0 for row in ahead),
        "an appointment": any(row["is_appointment"] for row in ahead),
        "covered": any(row["instructors"] != usual[row["id"]] for row in ahead),
        "with two instructors": any(len(row["instructors"]) == 2 for row in ahead),
        "without an instructor": any(not row["instructors"] for row in ahead),
        "in a room": any(row["venue_room"] for row in ahead),
        "without a room": any(row["venue_room"] is None for row in ahead),
        "with a join link": any("zoom.us/j/" in row["description"] for row in ahead),
        "without a description": any(row["description"] == "" for row in ahead),
        "past midnight": any(row["starts_at"][:10] < row["ends_at"][:10] for row in ahead),
        "not yet open for booking": any(row["registrations_open_at"] > tomorrow for row in ahead),
        "not yet revealed": any((row["calendar_opens_at"] or "") > tomorrow for row in ahead),
        "with customers": any(row["small_session_attendances"] for row in ahead),
    }.items():
        assert present, kind
    audiences = {
        timeline["audience_type"]
        for row in ahead
        for timeline in row["overriden_registration_timelines"]
    }
    assert audiences == {
        "everyone",
        "business_only",
        "membership_holders",
        "specific_memberships",
        "specific_customers",
        "private_url",
    }
    offering_types = [tables.offering_type(row) or {} for row in ahead]
    assert {row["customer_visibility"] for row in offering_types} == {
        "public",
        "membership_holders",
        "private",
    }
    assert any(row["is_draft"] for row in offering_types)
    assert any(isinstance(row["dropin_price"], dict) for row in offering_types)
    assert any(row["registration_timelines"] for row in offering_types)


def test_every_referenced_record_exists(studio: Studio) -> None:
    tables = studio.tables()
    for row in (*tables.sessions(), *tables.sessions("event")):
        assert tables.get("venue", row["venue"])
        assert tables.offering_type(row)
        assert all(tables.get("instructor", id) for id in row["instructors"])
        room = row.get("venue_room") and tables.get("venue_room", row["venue_room"])
        assert room is None or room["venue"] == row["venue"]


def test_no_room_or_instructor_has_two_classes_at_once() -> None:
    def minutes(slot: ClassSlot) -> range:
        start = (slot.weekday * 24 + slot.at.hour) * 60 + slot.at.minute
        return range(start, start + slot.minutes)

    for slot, other in combinations(CLASS_SLOTS, 2):
        if slot.venue in (12, 13) and set(minutes(slot)) & set(minutes(other)):
            assert slot.room != other.room, (slot, other)
            assert not set(slot.instructors) & set(other.instructors), (slot, other)


def test_a_copy_and_its_original_change_for_themselves(studio: Studio) -> None:
    before = studio.sessions
    copied = studio.copy()
    copied.cancel(before[0]["id"])
    copied.delete(before[1]["id"])
    assert studio.sessions == before
    studio.change(before[2]["id"], name="Changed")
    assert copied.sessions[1] == before[2]
