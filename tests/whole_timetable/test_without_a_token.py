"""TEAMUP_AUTH_SCHEME=none: what the studio's public page shows, read without a token."""

from datetime import timedelta
from typing import Any

import pytest
from clocks import ManualClock
from whole_timetable import rows
from whole_timetable.bridges import (
    PAST,
    STALE,
    Bridge,
    Build,
    blocks,
    event_of,
    events,
    expected,
    in_window,
    public,
    state,
    uid_of,
)
from whole_timetable.rows import FIRST_ID, NOW
from whole_timetable.teamup import PROVIDER, FakeTeamUp

from bridge.config import UpstreamPlan
from bridge.model import SourceName
from bridge.sandbox.list_params import Dialect
from bridge.sandbox.records import Row
from bridge.store.memory import MemoryStore

ANONYMOUS: dict[str, Any] = {"schemes": (), "token": "", "provider_id": PROVIDER}
FEED = "/sessions.ics"
DAY = 86_400


@pytest.fixture
def studio(teamup: FakeTeamUp) -> FakeTeamUp:
    teamup.events.rows = rows.classes(300)
    teamup.course_sessions.rows = rows.course_sessions(40)
    return teamup


@pytest.fixture
def site(studio: FakeTeamUp, build: Build, clock: ManualClock) -> Bridge:
    return build(studio, clock, **ANONYMOUS)


@pytest.mark.parametrize("token", ["", "canary-token-of-another-account"])
def test_no_request_has_an_authorization_header(
    studio: FakeTeamUp, build: Build, clock: ManualClock, token: str
) -> None:
    site = build(studio, clock, **{**ANONYMOUS, "token": token})
    studio.dialect = Dialect(max_page_size=100, over_limit="refuse", fields="ignored")
    for path in (FEED, "/venues/11.ics", "/sessions.ics?occupancy_status=has_waitlist", "/"):
        site.ok(path)
    studio.events.delete(FIRST_ID + 150)
    site.refresh(FEED)
    assert len(studio.requests) > 6
    for request in studio.requests:
        assert "authorization" not in request.headers
        assert request.headers["teamup-provider-id"] == PROVIDER
        assert not any("canary-token" in value for value in request.headers.values())


def test_what_the_public_page_shows_is_public_without_a_visibility(
    studio: FakeTeamUp, site: Bridge
) -> None:
    found = events(site.ok(FEED).data)
    assert found == expected(row for row in _on_public_page(studio) if in_window(row, past=3))


def _on_public_page(studio: FakeTeamUp) -> list[Row]:
    """The classes that the studio shows to everybody: of the past, those of three days."""
    return [
        row for row in public(studio.events.rows) if event_of(row).start >= NOW - timedelta(days=3)
    ]


def test_a_list_that_needs_a_token_is_left_out(studio: FakeTeamUp, site: Bridge) -> None:
    found = events(site.ok(FEED).data)
    assert found
    assert found.keys() <= {uid_of(row) for row in studio.events.rows}
    report = site.source_status("course_sessions")
    assert report["left_out"]
    assert "TEAMUP_SOURCES" in report["failure"]["text"]
    assert not site.source_status("events")["failure"]
    site.refresh(FEED)
    assert state(site.ok(FEED)) == "fresh"
    assert events(site.ok(FEED).data) == found


def test_both_lists_are_shown_where_neither_needs_a_token(
    studio: FakeTeamUp, build: Build, clock: ManualClock
) -> None:
    studio.without_token.add("course_sessions")
    found = events(build(studio, clock, **ANONYMOUS).ok(FEED).data)
    assert {uid_of(row) for row in studio.course_sessions.rows} & found.keys()


@pytest.mark.parametrize("plan", list(UpstreamPlan))
def test_past_classes_stay_after_upstream_stopped_listing_them(
    studio: FakeTeamUp, build: Build, clock: ManualClock, plan: UpstreamPlan
) -> None:
    site = build(studio, clock, plan=plan, **ANONYMOUS)
    first = blocks(site.ok(FEED).data)
    for _ in range(20):
        site.pass_time(DAY)
        site.fresh(FEED)
    now = NOW + timedelta(days=20)
    body = site.ok(FEED).data
    wanted = {uid_of(row) for row in _on_public_page(studio) if in_window(row, past=PAST, now=now)}
    assert events(body).keys() == wanted
    over = {
        uid_of(row)
        for row in _on_public_page(studio)
        if event_of(row).end < now - timedelta(days=4) and uid_of(row) in first
    }
    assert len(over) > 5
    # Not a byte of them has changed: upstream does not speak of them any more.
    assert {identity: blocks(body)[identity] for identity in over} == {
        identity: first[identity] for identity in over
    }


def test_a_token_that_is_given_up_keeps_the_history(
    studio: FakeTeamUp, build: Build, clock: ManualClock
) -> None:
    """The account is the same with and without a token, and so is what was published."""
    store = MemoryStore(clock)
    both = frozenset({SourceName.EVENTS})
    with_token = build(studio, clock, store=store, provider_id=PROVIDER, sources=both)
    before = events(with_token.ok(FEED).data)
    without = build(studio, clock, store=store, sources=both, **ANONYMOUS)
    without.pass_time(STALE)
    after = events(without.fresh(FEED).data)
    past = {
        uid_of(row)
        for row in public(studio.events.rows)
        if event_of(row).end < NOW - timedelta(days=4) and in_window(row)
    }
    assert past
    assert past <= before.keys()
    assert past <= after.keys()
