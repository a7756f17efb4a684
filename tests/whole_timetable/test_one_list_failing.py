"""Each list is walked, kept and guarded for itself: one that fails does not hold back the other."""

import re
from collections.abc import Callable, Iterator, MutableMapping
from datetime import timedelta
from typing import Any

import pytest
from clocks import ManualClock, wait_until
from faulty_store import DOWN, FaultyStore
from structlog.testing import capture_logs
from thorough import THOROUGH
from whole_timetable import rows
from whole_timetable import teamup as fake
from whole_timetable.bridges import STALE, Build, blocks, changed, events, state, uid
from whole_timetable.rows import FIRST_ID, NOW
from whole_timetable.teamup import FakeTeamUp, Fault, TeamUpList

from bridge.config import UpstreamPlan
from bridge.snapshots.merge import ALWAYS_BELIEVED
from bridge.store.fallback import FallbackStore
from bridge.store.interface import Write
from bridge.store.keys import Keys
from bridge.store.memory import MemoryStore
from bridge.upstream.account import Account

FEEDS = (
    "/sessions.ics",
    "/venues/11.ics",
    "/instructors/21.json",
    f"/classes/{FIRST_ID}.ics",
    f"/sessions/{FIRST_ID}.ics",
    "/courses/51.txt",
)
BOTH, CLASSES, COURSE_SESSIONS = (
    "/sessions.ics",
    "/sessions.ics?sources=events",
    "/sessions.ics?sources=course_sessions",
)
HOUR = 3_600
PROBE = 70.0
"""Seconds after which the failure of a list may be probed again."""

LISTS = ("events", "course_sessions")
FAULTS: dict[str, Fault] = {
    "answers with 500": fake.status(500),
    "answers with 502": fake.status(502),
    "hangs": fake.hang,
    "resets connections": fake.reset,
    "is refused": fake.refused,
}


def each_fault(*faults: str) -> pytest.MarkDecorator:
    """Runs a test with each fault in one of the lists, in turn; if thorough, in both."""
    cases = [
        (name, fault)
        for number, fault in enumerate(faults)
        for name in LISTS
        if THOROUGH or name == LISTS[number % 2]
    ]
    return pytest.mark.parametrize(("name", "fault"), cases)


@pytest.fixture
def break_list(monkeypatch: pytest.MonkeyPatch) -> Callable[[TeamUpList, str], None]:
    """Lets a list fail in one of the ways of `FAULTS`."""

    def begin(broken: TeamUpList, fault: str) -> None:
        broken.fault = FAULTS[fault]
        if fault == "hangs":
            # Not so short that the pages of the other list are late on a busy machine.
            monkeypatch.setattr("bridge.upstream.client.PAGE_SECONDS", 0.6)

    return begin


@pytest.fixture
def studio(teamup: FakeTeamUp) -> FakeTeamUp:
    teamup.events.rows = [
        rows.class_row(FIRST_ID + index, NOW + timedelta(hours=9 * index + 3))
        for index in range(60)
    ]
    teamup.course_sessions.rows = [
        rows.course_session_row(FIRST_ID + index, NOW + timedelta(hours=24 * index + 4))
        for index in range(40)
    ]
    return teamup


@pytest.fixture
def log() -> Iterator[list[MutableMapping[str, Any]]]:
    with capture_logs() as log:
        yield log


def list_of(teamup: FakeTeamUp, name: str) -> TeamUpList:
    return teamup.lists[name]


def other(name: str) -> str:
    return next(entry for entry in LISTS if entry != name)


def object_of(name: str) -> str:
    return name.removesuffix("s")


def only(name: str) -> str:
    return f"{BOTH}?sources={name}"


def uids_of(teamup: FakeTeamUp, name: str) -> set[str]:
    return {uid(object_of(name), row["id"]) for row in list_of(teamup, name).rows}


@each_fault(*FAULTS)
def test_while_one_list_fails_the_other_goes_on_changing(
    studio: FakeTeamUp,
    build: Build,
    clock: ManualClock,
    break_list: Callable[[TeamUpList, str], None],
    *,
    name: str,
    fault: str,
) -> None:
    site = build(studio, clock)
    for path in FEEDS:
        site.ok(path)
    break_list(list_of(studio, name), fault)
    for step in range(2 if fault == "hangs" else 5):
        list_of(studio, other(name)).change(FIRST_ID + step, name=f"New name {step}")
        site.pass_time(STALE)
        # Others ask meanwhile, for both lists at once.
        for path in FEEDS:
            site.ok(path)
        fresh = site.fresh(only(other(name)))
        assert f"New name {step}".encode() in fresh.data
        joined = site.ok(BOTH)
        assert f"New name {step}".encode() in joined.data
        assert state(joined) != "fresh"
        assert int(joined.headers["Age"]) >= (step + 1) * STALE
        assert int(fresh.headers["Age"]) < STALE
        site.wait_until_idle()
    assert site.source_status(name)["failure"]
    assert not site.source_status(other(name))["failure"]
    list_of(studio, name).fault = None
    site.pass_time(PROBE)
    assert state(site.fresh(BOTH)) == "fresh"


@each_fault("answers with 500", "resets connections", "is refused")
def test_warm_feeds_are_answered_through_a_day_of_one_list_failing(
    studio: FakeTeamUp, build: Build, clock: ManualClock, name: str, fault: str
) -> None:
    site = build(studio, clock)
    for path in FEEDS:
        site.ok(path)
    before = site.ok(only(name)).data
    list_of(studio, name).fault = FAULTS[fault]
    began = clock.now()
    while clock.now() < began + 24 * HOUR:
        site.pass_time(HOUR)
        for path in FEEDS:
            assert site.get(path).status_code == 200
    site.wait_until_idle()
    site.fresh(only(other(name)))
    joined = site.ok(BOTH)
    assert int(joined.headers["Age"]) >= 24 * HOUR
    assert "detail=failed" in joined.headers["Cache-Status"]
    assert blocks(site.ok(only(name)).data).keys() <= blocks(before).keys()
    report = site.source_status(name)
    assert report["failure"]
    assert report["last_success"] == "2026-11-23T12:00:00Z"
    assert not report["left_out"]
    assert name in site.operator("/status?format=json").text
    metrics = site.operator("/metrics").text
    assert f'bridge_source_failing{{source="{name}"}} 1.0' in metrics
    assert f'bridge_source_failing{{source="{other(name)}"}} 0.0' in metrics


@each_fault("answers with 500", "hangs", "resets connections")
def test_from_cold_half_a_timetable_is_no_answer(
    studio: FakeTeamUp,
    build: Build,
    clock: ManualClock,
    break_list: Callable[[TeamUpList, str], None],
    *,
    name: str,
    fault: str,
) -> None:
    break_list(list_of(studio, name), fault)
    site = build(studio, clock)
    for path in (BOTH, "/venues/11.ics", "/instructors/21.json"):
        response = site.get(path)
        assert response.status_code == 503
        assert 1 <= int(response.headers["Retry-After"]) <= 300
        assert "BEGIN" not in response.text
    assert events(site.fresh(only(other(name))).data).keys() == uids_of(studio, other(name))
    list_of(studio, name).fault = None
    site.pass_time(PROBE)
    wait_until(lambda: site.get(BOTH).status_code == 200)
    assert events(site.fresh(BOTH).data).keys() == {
        identity for entry in LISTS for identity in uids_of(studio, entry)
    }


@pytest.mark.parametrize("name", LISTS)
def test_a_list_that_was_always_refused_is_left_out_until_the_permission_comes(
    studio: FakeTeamUp,
    build: Build,
    clock: ManualClock,
    log: list[MutableMapping[str, Any]],
    name: str,
) -> None:
    list_of(studio, name).fault = fake.refused
    site = build(studio, clock)
    first = site.ok(BOTH)
    assert events(first.data).keys() == uids_of(studio, other(name))
    for _ in range(3):
        site.refresh(BOTH)
    response = site.ok(BOTH)
    assert response.data == first.data
    assert state(response) == "fresh"
    report = site.source_status(name)
    assert report["left_out"]
    assert report["failure"]["code"] == "permission_denied"
    assert name in site.operator("/status").text
    assert any(name in repr(entry) and entry["log_level"] == "warning" for entry in log)
    list_of(studio, name).fault = None
    site.pass_time(STALE)
    everything = {identity for entry in LISTS for identity in uids_of(studio, entry)}
    wait_until(lambda: events(site.ok(BOTH).data).keys() == everything)
    assert not site.source_status(name)["left_out"]


def test_a_feed_of_a_list_that_is_refused_alone_is_no_empty_calendar(
    studio: FakeTeamUp, build: Build, clock: ManualClock
) -> None:
    studio.events.fault = fake.refused
    site = build(studio, clock)
    site.ok(BOTH)
    assert site.get(CLASSES).status_code == 503
    assert site.get(f"/classes/{FIRST_ID}.ics").status_code == 503


def test_with_both_lists_refused_there_is_no_answer(
    studio: FakeTeamUp, build: Build, clock: ManualClock
) -> None:
    studio.events.fault = studio.course_sessions.fault = fake.refused
    site = build(studio, clock)
    response = site.get(BOTH)
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) >= 1


@pytest.mark.parametrize("name", LISTS)
def test_a_list_that_was_read_before_is_never_left_out(
    studio: FakeTeamUp, build: Build, clock: ManualClock, name: str
) -> None:
    store = MemoryStore(clock)
    site = build(studio, clock, store=store)
    before = site.ok(BOTH)
    list_of(studio, name).fault = fake.refused
    site.pass_time()
    site.ok(BOTH)
    site.wait_until_idle()
    # Also in a process that has read neither list.
    for bridge in (site, build(studio, clock, store=store)):
        response = bridge.ok(BOTH)
        assert response.data == before.data
        assert not bridge.source_status(name)["left_out"]
        assert bridge.source_status(name)["failure"]["code"] == "permission_denied"


def test_while_the_store_cannot_be_read_no_list_is_newly_left_out(
    studio: FakeTeamUp, build: Build, clock: ManualClock
) -> None:
    """A new process does not know whether the refused list was read before."""
    shared = FaultyStore(clock)
    before = build(studio, clock, store=FallbackStore(shared, clock)).ok(BOTH)
    studio.events.fault = fake.refused
    shared.fault = DOWN
    site = build(studio, clock, store=FallbackStore(shared, clock))
    for _ in range(3):
        assert site.get(BOTH).status_code == 503
        site.pass_time()
    shared.fault = None
    site.pass_time()
    wait_until(lambda: site.get(BOTH).status_code == 200)
    assert events(site.ok(BOTH).data) == events(before.data)


def test_a_list_that_was_left_out_stays_so_while_the_store_cannot_be_read(
    studio: FakeTeamUp, build: Build, clock: ManualClock
) -> None:
    studio.events.fault = fake.refused
    shared = FaultyStore(clock)
    site = build(studio, clock, store=FallbackStore(shared, clock))
    before = site.ok(BOTH)
    shared.fault = DOWN
    for _ in range(3):
        site.pass_time()
        assert events(site.ok(BOTH).data) == events(before.data)


def test_a_list_that_an_earlier_version_has_read_is_never_left_out(
    studio: FakeTeamUp, build: Build, clock: ManualClock
) -> None:
    """Earlier versions kept their copies of course sessions, but no mark that they had read them.

    In the narrow plan a new filter set has no copy, and half of it is no answer.
    """
    store = MemoryStore(clock)
    before = build(studio, clock, store=store, plan=UpstreamPlan.NARROW)
    before.ok(BOTH)
    keys = Keys(Account.of(before.parts.config).name)
    store.commit({keys.source_read("course_sessions"): Write(None)})
    studio.course_sessions.fault = fake.refused
    site = build(studio, clock, store=store, plan=UpstreamPlan.NARROW)
    assert site.ok(BOTH).data == before.ok(BOTH).data
    assert site.get("/venues/11.ics").status_code == 503


@pytest.mark.parametrize("name", LISTS)
def test_a_list_that_shrinks_is_held_and_the_other_is_not(
    studio: FakeTeamUp, build: Build, clock: ManualClock, name: str
) -> None:
    site = build(studio, clock)
    before = site.ok(BOTH)
    shrinking = list_of(studio, name)
    shrinking.delete(*(row["id"] for row in shrinking.rows[4:]))
    [lost] = list_of(studio, other(name)).delete(FIRST_ID + 9)
    list_of(studio, other(name)).change(FIRST_ID + 8, name="New name")
    for _ in range(3):
        site.refresh(BOTH)
    after = site.ok(BOTH)
    source = object_of(other(name))
    assert changed(before.data, after.data) == {
        uid(source, FIRST_ID + 8),
        uid(source, lost["id"]),
    }
    assert events(after.data)[uid(source, lost["id"])].status == "CANCELLED"
    held = site.operator("/status?format=json").json
    assert held is not None
    assert held["sessions"]["held"] > ALWAYS_BELIEVED
    assert held["sessions"]["gone"] == 1


def test_a_list_that_empties_is_held(studio: FakeTeamUp, build: Build, clock: ManualClock) -> None:
    site = build(studio, clock)
    before = site.ok(BOTH)
    studio.events.rows = []
    for _ in range(4):
        site.refresh(BOTH)
    assert site.ok(BOTH).data == before.data


def test_the_share_that_is_suspicious_is_counted_in_the_list_alone(
    studio: FakeTeamUp, build: Build, clock: ManualClock
) -> None:
    """Ten of forty course sessions are not many of a hundred sessions, but a quarter of theirs."""
    site = build(studio, clock)
    before = site.ok(BOTH)
    studio.course_sessions.delete(*range(FIRST_ID + 5, FIRST_ID + 16))
    for _ in range(3):
        site.refresh(BOTH)
    assert site.ok(BOTH).data == before.data


@pytest.mark.parametrize("name", LISTS)
def test_the_page_of_the_status_names_the_list_that_fails(
    studio: FakeTeamUp, build: Build, clock: ManualClock, name: str
) -> None:
    site = build(studio, clock)
    site.ok(BOTH)
    words = {"events": "Ordinary classes", "course_sessions": "Courses"}
    list_of(studio, name).fault = fake.status(500)
    site.pass_time()
    site.ok(BOTH)
    site.wait_until_idle()
    text = re.sub(r"<[^>]*>", " ", site.operator("/status").text)
    section = text[text.index(words[name]) :][:300]
    assert "500" in section or "http_500" in section or "server_error" in section
