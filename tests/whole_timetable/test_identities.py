"""UIDs stay what they were, and studios without ordinary classes notice nothing."""

import uuid

import pytest
from clocks import ManualClock
from whole_timetable import rows
from whole_timetable.bridges import Build, events, uid
from whole_timetable.rows import FIRST_ID, NOW
from whole_timetable.teamup import FakeTeamUp

from bridge.config import UpstreamPlan
from bridge.model import SourceName

# In a calendar that somebody subscribed to before there were classes.
_KNOWN_UID = uuid.uuid5(uuid.UUID("0b6c3c5e-52f7-4b86-9d9a-1f6a6f2b7f11"), "course_session:1001")

FEEDS = (
    "/sessions.ics",
    "/sessions.ics?tz=local&cancelled=keep",
    "/sessions.ics?availability=spots&future=120",
    "/sessions.ics?occupancy_status=has_waitlist",
    "/venues/11-harbour-house.ics",
    "/instructors/22.ics",
    "/courses/51.ics",
    f"/sessions/{FIRST_ID + 56}.ics",
)


def test_sessions_of_equal_ids_in_both_lists_have_different_uids(
    teamup: FakeTeamUp, build: Build, clock: ManualClock
) -> None:
    teamup.events.rows = [rows.class_row(FIRST_ID, NOW)]
    teamup.course_sessions.rows = [rows.course_session_row(FIRST_ID, NOW)]
    site = build(teamup, clock)
    course_session, ordinary_class = uid("course_session", FIRST_ID), uid("event", FIRST_ID)
    assert course_session == str(_KNOWN_UID) != ordinary_class
    assert events(site.ok("/sessions.ics").data).keys() == {course_session, ordinary_class}
    assert events(site.ok(f"/sessions/{FIRST_ID}.ics").data).keys() == {course_session}
    assert events(site.ok(f"/classes/{FIRST_ID}.ics").data).keys() == {ordinary_class}


@pytest.mark.parametrize("plan", list(UpstreamPlan))
def test_with_an_empty_list_of_classes_calendars_are_the_same_to_the_byte(
    teamup: FakeTeamUp, build: Build, clock: ManualClock, plan: UpstreamPlan
) -> None:
    teamup.course_sessions.rows = rows.course_sessions(130)
    both = build(teamup, clock, plan=plan, requests_per_minute=10_000)
    one = build(
        teamup,
        clock,
        plan=plan,
        requests_per_minute=10_000,
        sources=frozenset({SourceName.COURSE_SESSIONS}),
    )
    for path in FEEDS:
        first, second = both.ok(path), one.ok(path)
        assert events(first.data)
        assert first.data == second.data, path
        assert first.headers["ETag"] == second.headers["ETag"]
        assert first.headers["Last-Modified"] == second.headers["Last-Modified"]
    assert teamup.requests_for("events")
