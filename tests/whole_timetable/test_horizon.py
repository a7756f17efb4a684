"""PUBLIC_HORIZON_DAYS: nothing public holds a session that starts later."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from whole_timetable import rows
from whole_timetable.bridges import (
    Bridge,
    ImpatientClock,
    Row,
    assert_no_canary,
    events,
    expected,
    instant,
    uid,
    uid_of,
)
from whole_timetable.conftest import bridges
from whole_timetable.rows import CELLAR, CHLOE, FIRST_ID, NOW, STRENGTH
from whole_timetable.teamup import FakeTeamUp

from bridge.config import UpstreamPlan

HORIZON = 14
FEED = "/sessions.ics"
LATER_VENUE = rows.venue(15, "canary-later hall", "Europe/London")
LATER_ROOM = rows.room(151, "canary-later room")
LATER_TEACHER = rows.instructor(25, "canary-later teacher")
LATER_TYPE = rows.offering_type(43, "canary-later type", category={**STRENGTH, "id": 49})
COUNT = 90


def _rows() -> tuple[list[Row], list[Row]]:
    classes, course_sessions = [], []
    for index in range(COUNT):
        # To the minute: one starts exactly at the horizon, the next a minute later.
        start = NOW + timedelta(days=HORIZON, minutes=(index - 45) * (1 if index < 50 else 1440))
        later: dict[str, Any] = {}
        if start > NOW + timedelta(days=HORIZON):
            later = {"venue": LATER_VENUE, "instructors": [LATER_TEACHER]}
        classes.append(
            rows.class_row(
                FIRST_ID + index,
                start,
                **later,
                name="canary-later class" if later else "Morning Flow",
                venue_room=LATER_ROOM if later else CELLAR,
                offering_type=LATER_TYPE if later else rows.YOGA,
                description="",
            )
        )
        course_sessions.append(
            rows.course_session_row(
                FIRST_ID + index,
                start,
                **later,
                course=rows.course(59, "canary-later course") if later else rows.course(),
            )
        )
    return classes, course_sessions


@contextmanager
def _bridge(plan: UpstreamPlan) -> Iterator[Bridge]:
    clock = ImpatientClock(NOW)
    with FakeTeamUp(*_rows(), now=clock.now) as teamup, bridges() as build:
        yield build(
            teamup, clock, plan=plan, public_horizon_days=HORIZON, requests_per_minute=10_000
        )


@pytest.fixture(scope="module", params=list(UpstreamPlan), ids=lambda plan: plan.value)
def site(request: pytest.FixtureRequest) -> Iterator[Bridge]:
    """A bridge for tests that only read."""
    with _bridge(request.param) as bridge:
        yield bridge


@pytest.fixture(params=list(UpstreamPlan), ids=lambda plan: plan.value)
def new_site(request: pytest.FixtureRequest) -> Iterator[Bridge]:
    """A bridge that has read nothing yet."""
    with _bridge(request.param) as bridge:
        yield bridge


def _revealed() -> list[Row]:
    limit = NOW + timedelta(days=HORIZON)
    return [row for part in _rows() for row in part if instant(row["starts_at"]) <= limit]


def test_public_feeds_end_at_the_horizon(site: Bridge) -> None:
    wanted = expected(_revealed())
    assert 80 < len(wanted) < 2 * COUNT
    for path in (FEED, f"{FEED}?future=200", f"{FEED}?starts_at_gte=2026-11-23"):
        assert events(site.ok(path).data) == wanted
    assert events(site.ok("/courses/51.ics").data)
    last = FIRST_ID + COUNT - 1
    for path in (
        "/courses/59.ics",
        "/venues/15.ics",
        "/rooms/151.ics",
        "/instructors/25.ics",
        "/types/43.ics",
        f"/classes/{last}.ics",
        f"/sessions/{last}.ics",
        f"{FEED}?category=49",
        f"{FEED}?starts_at_gte=2027-01-01",
    ):
        assert events(site.ok(path).data) == {}, path


def test_nothing_public_names_what_is_later(site: Bridge) -> None:
    last = FIRST_ID + COUNT - 1
    paths = [
        *("/", "/sessions", "/sessions?view=week", "/sessions?from=2026-12-28", "/embed/sessions"),
        *(f"/{kind}" for kind in ("venues/15", "rooms/151", "instructors/25", "types/43")),
        *("/courses/59", f"/classes/{last}", f"/sessions/{last}", "/embed/venues/15"),
        *("/sessions.json?future=200", "/sessions.txt?future=200", "/venues/15.json"),
        *("/courses/59.ics", "/venues/15.ics", "/rooms/151.txt", "/sessions.ics?venues=15"),
    ]
    for path in paths:
        text = site.get(path).text
        at = text.find("canary-later")
        assert at < 0, f"{path}: {text[max(0, at - 60) : at + 60]}"


def test_a_page_of_something_later_is_unknown(site: Bridge) -> None:
    last = FIRST_ID + COUNT - 1
    for path in ("/venues/15", "/rooms/151", f"/classes/{last}", f"/sessions/{last}"):
        assert site.get(path).status_code == 404, path


def test_signed_feeds_have_no_horizon(site: Bridge) -> None:
    everything = expected(row for part in _rows() for row in part)
    body = site.ok(f"{site.private('public')}.ics").data
    assert events(body) == everything


def test_counts_do_not_include_what_is_later(new_site: Bridge) -> None:
    site = new_site
    site.ok(FEED)
    assert len(json.loads(site.ok("/sessions.json?future=200").data)) == len(_revealed())
    report = site.operator("/status?format=json").json
    assert report is not None
    # In the narrow plan the bridge has read no more than the default window.
    last = NOW + timedelta(days=91)
    later = [
        row
        for part in _rows()
        for row in part
        if row not in _revealed()
        and (site.parts.config.plan is UpstreamPlan.WIDE or instant(row["starts_at"]) < last)
    ]
    assert report["sessions"]["withheld"]["later"] == len(later)


def test_what_comes_within_the_horizon_appears(new_site: Bridge) -> None:
    site = new_site
    limit = NOW + timedelta(days=HORIZON)
    due = min(
        (row for row in _rows()[0] if instant(row["starts_at"]) > limit + timedelta(days=1)),
        key=lambda row: instant(row["starts_at"]),
    )
    assert uid_of(due) not in events(site.ok(FEED).data)
    site.pass_time((instant(due["starts_at"]) - limit).total_seconds() + 1)
    assert uid_of(due) in events(site.fresh(FEED).data)
    assert uid("course_session", due["id"]) in events(site.fresh(FEED).data)


def test_what_was_deleted_before_it_was_revealed_stays_hidden() -> None:
    limit = NOW + timedelta(days=HORIZON)
    clock = ImpatientClock(NOW)
    with FakeTeamUp(*_rows(), now=clock.now) as teamup, bridges() as build:
        site = build(teamup, clock, public_horizon_days=HORIZON)
        site.ok(FEED)
        listed = teamup.events.rows
        later = min(
            (row for row in listed if instant(row["starts_at"]) > limit + timedelta(days=1)),
            key=lambda row: instant(row["starts_at"]),
        )
        revealed = max(
            (row for row in listed if instant(row["starts_at"]) <= limit),
            key=lambda row: instant(row["starts_at"]),
        )
        teamup.events.delete(later["id"], revealed["id"])
        site.refresh(FEED)
        site.refresh(FEED)
        site.pass_time((instant(later["starts_at"]) - limit).total_seconds() + 1)
        public = events(site.fresh(FEED).data)
        assert uid_of(later) not in public
        assert public[uid_of(revealed)].status == "CANCELLED"
        assert site.get(f"/classes/{later['id']}").status_code == 404
        assert uid_of(later) not in site.ok(f"/classes/{later['id']}/changes.json").text
        private = events(site.ok(f"{site.private('public')}.ics").data)
        assert private[uid_of(later)].status == "CANCELLED"


def test_a_refresh_that_reveals_a_class_tells_nothing_of_what_it_was_before() -> None:
    limit = NOW + timedelta(days=HORIZON)
    clock = ImpatientClock(NOW)
    with FakeTeamUp(*_rows(), now=clock.now) as teamup, bridges() as build:
        # A minute apart from each other.
        changed, deleted = sorted(
            (row for row in teamup.events.rows if instant(row["starts_at"]) > limit),
            key=lambda row: instant(row["starts_at"]),
        )[:2]
        substitute = rows.instructor(26, "canary-former teacher")
        teamup.events.change(changed["id"], name="canary-former", instructors=[substitute])
        site = build(teamup, clock, public_horizon_days=HORIZON)
        site.ok(FEED)
        moved = (instant(changed["starts_at"]) + timedelta(minutes=1)).isoformat()
        teamup.events.change(changed["id"], name="Slow", starts_at=moved, instructors=[CHLOE])
        teamup.events.delete(deleted["id"])
        site.pass_time()
        public = site.fresh(FEED).text
        assert uid_of(changed) in public
        assert uid_of(deleted) not in public
        told = site.ok("/sessions/changes.json").text
        assert [change["kind"] for change in json.loads(told)] == ["added"]
        assert_no_canary({"feed": public, "changes": told}, ["canary-former", "Moved from"])
        private = site.ok(f"{site.private('public')}/changes.json").text
        assert "Renamed: canary-former → Slow" in private


def test_a_cancelled_class_that_is_deleted_later_stays_as_visible_as_it_was() -> None:
    limit = NOW + timedelta(days=HORIZON)
    clock = ImpatientClock(NOW)
    with FakeTeamUp(*_rows(), now=clock.now) as teamup, bridges() as build:
        site = build(teamup, clock, public_horizon_days=HORIZON)
        due = min(
            (row for row in teamup.events.rows if instant(row["starts_at"]) > limit),
            key=lambda row: instant(row["starts_at"]),
        )
        teamup.events.change(due["id"], status="cancelled")
        assert uid_of(due) not in events(site.ok(FEED).data)
        site.pass_time()
        assert events(site.fresh(FEED).data)[uid_of(due)].status == "CANCELLED"
        teamup.events.delete(due["id"])
        site.pass_time()
        assert events(site.fresh(FEED).data)[uid_of(due)].status == "CANCELLED"


def test_the_start_page_chooses_among_what_is_revealed(site: Bridge) -> None:
    page = site.ok("/").text
    assert re.search(r'href="/venues/11\b', page)
    assert not re.search(r'value="(15|25|151|43|59)"|/[a-z]+/(15|25|151|43|59)\b', page)
    assert CHLOE["name"] not in page
