"""Pages of 250 classes are requested until upstream has shown that it does not return them."""

from pathlib import Path

import pytest
from clocks import ManualClock
from faults.fleet import Machine
from whole_timetable import rows
from whole_timetable.bridges import Build
from whole_timetable.teamup import TOKEN, FakeTeamUp

from bridge.sandbox.list_params import Dialect

FEED = "/sessions.ics"
SMALL_PAGES = {
    "cut": Dialect(max_page_size=100),
    "refused": Dialect(max_page_size=100, over_limit="refuse"),
    "cut, and all fields sent": Dialect(max_page_size=100, fields="ignored"),
}


@pytest.fixture
def studio(teamup: FakeTeamUp) -> FakeTeamUp:
    teamup.events.rows = rows.classes(300)
    return teamup


def sizes(teamup: FakeTeamUp, since: int = 0) -> list[int]:
    """The sizes of the requested pages of classes, in the order of the requests."""
    return [request.page_size for request in teamup.requests_for("events", since)]


def test_a_whole_timetable_is_read_in_pages_of_250(
    studio: FakeTeamUp, build: Build, clock: ManualClock
) -> None:
    site = build(studio, clock)
    site.ok(FEED)
    site.refresh(FEED)
    assert sizes(studio) == [250] * 4


@pytest.mark.parametrize("dialect", SMALL_PAGES.values(), ids=SMALL_PAGES)
def test_smaller_pages_are_remembered_for_the_next_walk(
    studio: FakeTeamUp, build: Build, clock: ManualClock, dialect: Dialect
) -> None:
    studio.dialect = dialect
    site = build(studio, clock)
    first = site.ok(FEED)
    assert sizes(studio)[0] == 250
    since = len(studio.requests)
    site.refresh(FEED)
    assert sizes(studio, since) == [100] * 3
    assert site.ok(FEED).data == first.data


def test_course_sessions_are_never_asked_for_in_larger_pages(
    studio: FakeTeamUp, build: Build, clock: ManualClock
) -> None:
    studio.course_sessions.rows = rows.course_sessions(130)
    site = build(studio, clock)
    site.ok(FEED)
    assert {request.page_size for request in studio.requests_for("course_sessions")} == {100}


def test_few_classes_on_one_page_prove_nothing(
    teamup: FakeTeamUp, build: Build, clock: ManualClock
) -> None:
    teamup.events.rows = rows.classes(20)
    site = build(teamup, clock)
    site.ok(FEED)
    site.refresh(FEED)
    assert sizes(teamup) == [250, 250]


@pytest.mark.parametrize("dialect", SMALL_PAGES.values(), ids=SMALL_PAGES)
def test_a_new_process_with_the_same_store_asks_for_small_pages_at_once(
    tmp_path: Path, dialect: Dialect
) -> None:
    store = f"sqlite:///{tmp_path}/bridge.sqlite3"
    settings = {
        "TEAMUP_API_TOKEN": TOKEN,
        "TEAMUP_SOURCES": "events,course_sessions",
        "CACHE_TTL": "1",
        "WEB_CONCURRENCY": "1",
    }
    with FakeTeamUp(rows.classes(300), rows.course_sessions(10), dialect=dialect) as teamup:
        with Machine(teamup.url, store, **settings) as machine:
            assert machine.get(FEED).status == 200
        assert sizes(teamup)[0] == 250
        since = len(teamup.requests)
        # Another filter set, so that it has to walk.
        with Machine(teamup.url, store, **settings, UPSTREAM_PLAN="narrow") as machine:
            assert machine.get(FEED).status == 200
        assert sizes(teamup, since)
        assert set(sizes(teamup, since)) == {100}
