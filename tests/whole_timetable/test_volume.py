"""Hundreds of classes, or with ``THOROUGH=1`` thousands: requests to upstream, and the budget."""

import math
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from clocks import ManualClock, wait_until
from thorough import THOROUGH
from whole_timetable import rows
from whole_timetable.bridges import Build, ImpatientClock, events, state
from whole_timetable.rows import FIRST_ID, NOW
from whole_timetable.teamup import FakeTeamUp

from bridge.sandbox.records import Row

CLASSES, COURSE_SESSIONS, FEEDS = (2_000, 200, 1_000) if THOROUGH else (750, 120, 200)
PAGES = {"events": math.ceil(CLASSES / 250), "course_sessions": math.ceil(COURSE_SESSIONS / 100)}
PAGE_SECONDS = 0.25
CONCURRENCY = 4


def classes() -> list[Row]:
    teachers = [rows.instructor(100 + number, f"Teacher {number}") for number in range(40)]
    return [
        rows.class_row(
            FIRST_ID + index,
            NOW + timedelta(minutes=120 * index + 60),
            instructors=[teachers[index % 40]],
            venue=rows.BROOKLYN if index % 3 == 2 else rows.HARBOUR,
        )
        for index in range(CLASSES)
    ]


def course_sessions() -> list[Row]:
    return [
        rows.course_session_row(FIRST_ID + index, NOW + timedelta(hours=18 * index + 3))
        for index in range(COURSE_SESSIONS)
    ]


@pytest.fixture(scope="module")
def studio() -> Iterator[FakeTeamUp]:
    """A large studio, which no test changes."""
    clock = ImpatientClock(NOW)
    with FakeTeamUp(classes(), course_sessions(), now=clock.now) as teamup:
        yield teamup


@pytest.fixture
def teamup(studio: FakeTeamUp, clock: ManualClock) -> FakeTeamUp:
    studio.requests.clear()
    studio.now = clock.now
    studio.events.seconds = studio.course_sessions.seconds = 0.0
    return studio


def _pages(teamup: FakeTeamUp) -> Counter[tuple[str, int]]:
    return Counter((request.list, request.page) for request in teamup.requests)


def _one_walk() -> dict[tuple[str, int], int]:
    return {(name, page): 1 for name, pages in PAGES.items() for page in range(1, pages + 1)}


def _feeds() -> list[str]:
    """Addresses of different filter sets, all of short feeds."""
    days = 1_000 // FEEDS
    return [
        f"/sessions.ics?instructors={100 + number % 40}&past=0&future={number // 40 * days}"
        for number in range(FEEDS)
    ]


def test_hundreds_of_feeds_are_cut_from_one_walk_of_each_list(
    teamup: FakeTeamUp, build: Build, clock: ManualClock
) -> None:
    site = build(teamup, clock)
    feeds = _feeds()
    assert len(set(feeds)) == FEEDS
    assert len({site.ok(path).headers["ETag"] for path in feeds}) > FEEDS / 2
    assert _pages(teamup) == _one_walk()
    teamup.requests.clear()
    site.pass_time()
    for path in feeds[::4]:
        site.ok(path)
    site.wait_until_idle()
    assert _pages(teamup) == _one_walk()
    assert state(site.ok(feeds[-1])) == "fresh"


def test_many_first_requests_at_the_same_time_cause_one_walk_of_each_list(
    teamup: FakeTeamUp, build: Build, clock: ManualClock
) -> None:
    site = build(teamup, clock)
    paths = _feeds()[:: FEEDS // 16]
    with ThreadPoolExecutor(16) as pool:
        statuses = set(pool.map(lambda path: site.get(path).status_code, paths))
    assert statuses == {200}
    assert _pages(teamup) == _one_walk()


def test_both_lists_are_walked_side_by_side(
    teamup: FakeTeamUp, build: Build, clock: ManualClock
) -> None:
    teamup.events.seconds = teamup.course_sessions.seconds = 0.05
    build(teamup, clock).ok("/sessions.ics")
    first = {name: min(request.began for request in teamup.requests_for(name)) for name in PAGES}
    last = {name: max(request.began for request in teamup.requests_for(name)) for name in PAGES}
    # Neither waits for the end of the other.
    assert max(first.values()) < min(last.values())


def test_both_walks_together_never_exceed_the_budget(
    teamup: FakeTeamUp, build: Build, clock: ManualClock
) -> None:
    per_minute = sum(PAGES.values()) * 3 // 5
    site = build(teamup, clock, requests_per_minute=per_minute)
    found: list[bytes] = []
    stopped = threading.Event()

    def subscribe() -> None:
        while not found and not stopped.is_set():
            response = site.get("/sessions.ics")
            if response.status_code == 200:
                found.append(response.data)

    subscriber = threading.Thread(target=subscribe)
    subscriber.start()
    try:
        # Slowly enough for pages that are under way: they have ten seconds.
        wait_until(lambda: found or clock.move(0.25) or time.sleep(0.01))
    finally:
        stopped.set()
        subscriber.join()
    assert len(events(found[0])) > 500
    times = sorted(request.at for request in teamup.requests)
    assert len(times) == sum(PAGES.values())
    # Between its admission and its arrival, a request may lose up to ten seconds of this clock.
    for index, at in enumerate(times):
        assert sum(other < at + 60 - 10 for other in times[index:]) <= per_minute
