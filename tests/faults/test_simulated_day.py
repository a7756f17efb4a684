"""Fifty feeds during a simulated day of outage, and during a simulated hour of flapping."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from clocks import wait_until
from faults.scenarios import NOW, FakeTeamUp, FastClock, Scenario
from flask.testing import FlaskClient
from upstreams import raw
from upstreams.raw import Script, params_of
from upstreams.tested_list import TESTED_LIST

from bridge.config import Availability
from bridge.model import SourceName
from bridge.web import create_app

MINUTE, HOUR = 60, 3_600
POLL_SECONDS = 6 * MINUTE
FLAP_SECONDS = 45
PAGES = 3

NARROW_FEEDS = (
    "/sessions.ics?starts_at_gte=2026-08-01&starts_at_lte=2026-09-30",
    "/venues/12.ics?starts_at_gte=2026-09-01",
    *{
        SourceName.COURSE_SESSIONS: (
            "/sessions.ics?occupancy_status=has_waitlist",
            "/venues/11.ics?occupancy_status=has_waitlist",
            "/instructors/101.json?occupancy_status=has_waitlist",
            "/courses/201.ics",
        ),
        SourceName.EVENTS: (
            "/sessions.ics?starts_at_gte=2026-10-01",
            "/venues/11.ics?ends_at_gte=2026-10-01",
            "/instructors/101.json?starts_at_gte=2026-10-01",
            "/types/301.ics?starts_at_gte=2026-10-01",
        ),
    }[TESTED_LIST],
)
"""Feeds that each need an upstream walk of their own."""
FEEDS = (
    *(f"/venues/{number}.ics" for number in range(11, 16)),
    *(f"/venues/{number}-a-slug.ics?cancelled=hide" for number in range(11, 16)),
    *(f"/instructors/{number}.ics" for number in range(101, 113)),
    *(f"/venues/{number}.json" for number in range(11, 16)),
    *(f"/sessions.ics?offering_types={number}" for number in range(301, 304)),
    *(f"/sessions.ics?venues={number},{number + 1}&past=0" for number in range(11, 15)),
    *(f"/sessions.txt?instructors={number}&future=14" for number in range(101, 105)),
    "/sessions.ics",
    "/sessions.ics?tz=local",
    "/sessions.ics?status=active",
    "/sessions.json?availability=full",
    "/venues/99.ics",
    "/instructors/101.ics?past=0&future=7&cancelled=keep",
    *NARROW_FEEDS,
)
NARROW_KEYS = len(NARROW_FEEDS)


@dataclass
class Subscribers:
    """Subscribers of all feeds; they send conditional requests with the last ETag."""

    client: FlaskClient
    tags: dict[str, str] = field(default_factory=dict)
    statuses: Counter[int] = field(default_factory=Counter)
    changed: set[str] = field(default_factory=set)

    def poll(self, step: int) -> None:
        """Let a quarter of the subscribers request their feed, each quarter in step."""
        for number, path in enumerate(FEEDS):
            if number % 4 != step % 4:
                continue
            tag = self.tags.get(path, "")
            # Some send no ETag, like a new device.
            headers = {"If-None-Match": tag} if (number + step) // 4 % 4 else {}
            response = self.client.get(path, headers=headers)
            self.statuses[response.status_code] += 1
            if tag not in ("", response.headers.get("ETag")):
                self.changed.add(path)
            self.tags[path] = response.headers.get("ETag", "")


@pytest.fixture
def fast_clock() -> FastClock:
    """A clock whose waits take a few hundredths of a second at most."""
    return FastClock(speedup=2_000.0)


@pytest.fixture
def subscribers(scenario: Scenario) -> Subscribers:
    """Subscribers that have all received their feed."""
    bridge = scenario.client(FEEDS, public_availability=Availability.SPOTS).warm_up()
    scenario.wait_until_idle()
    subscribers = Subscribers(create_app(bridge.parts).test_client())
    for step in range(4):
        subscribers.poll(step)
    assert subscribers.statuses == {200: len(FEEDS)}
    return subscribers


def outages(teamup: FakeTeamUp) -> list[Callable[[], None]]:
    """Functions that start one kind of outage each; each lasts an hour, in turn."""

    def answering(script: Script) -> Callable[[], None]:
        def begin() -> None:
            if teamup.stopped:
                teamup.start()
            teamup.script = script

        return begin

    return [
        teamup.stop,
        answering(raw.status(503)),
        answering(raw.status(429, {"Retry-After": "120"})),
        answering(raw.html_ok()),
        answering(raw.reset_in_body()),
        answering(raw.status(403)),
    ]


def test_fifty_feeds_through_a_day_without_upstream(
    scenario: Scenario, teamup: FakeTeamUp, subscribers: Subscribers
) -> None:
    assert len(set(FEEDS)) == 50
    requests = [params_of(request) for request in teamup.requests]
    queries = {str({**params, "page": None}) for params in requests}
    assert len(queries) == NARROW_KEYS + 1
    before = len(teamup.requests)
    kinds = outages(teamup)
    for step in range(24 * HOUR // POLL_SECONDS):
        if step * POLL_SECONDS % HOUR == 0:
            kinds[step * POLL_SECONDS // HOUR % len(kinds)]()
        scenario.clock.move(POLL_SECONDS)
        subscribers.poll(step)
    assert scenario.clock.now() == NOW.timestamp() + 24 * HOUR
    assert set(subscribers.statuses) <= {200, 304}
    assert not subscribers.changed
    # At most one probe of three attempts per key and round.
    rounds = 24 * HOUR // POLL_SECONDS
    assert len(teamup.requests) - before <= rounds * (NARROW_KEYS + 1) * 3
    if teamup.stopped:
        teamup.start()
    teamup.recover()
    before = len(teamup.requests)
    scenario.wait_until_idle()
    scenario.clock.move(POLL_SECONDS)
    for path in FEEDS:
        wait_until(lambda path=path: "detail" not in cache_status(subscribers, path))
    # One walk for each key.
    assert len(teamup.requests) - before <= (NARROW_KEYS + 1) * PAGES


def cache_status(subscribers: Subscribers, path: str) -> str:
    response = subscribers.client.get(path)
    assert response.status_code == 200
    return response.headers["Cache-Status"]


def test_fifty_feeds_through_an_hour_of_flapping(
    scenario: Scenario, teamup: FakeTeamUp, subscribers: Subscribers
) -> None:
    """Upstream changes between healthy and failing every 45 seconds or more, irregularly."""
    before = len(teamup.requests)
    down = [raw.status(502), raw.status(403), raw.html_ok(), raw.reset_in_body()]
    for step in range(HOUR // FLAP_SECONDS):
        teamup.script = teamup.healthy if step * 5 % 7 < 3 else down[step % len(down)]
        scenario.clock.move(FLAP_SECONDS)
        subscribers.poll(step)
        scenario.wait_until_idle()
    assert set(subscribers.statuses) <= {200, 304}
    walks = HOUR / 270 + 1
    probes = HOUR / FLAP_SECONDS
    assert len(teamup.requests) - before <= (NARROW_KEYS + 1) * (walks * PAGES + probes)
    per_minute = 200
    assert len(teamup.requests) - before <= HOUR / 60 * per_minute
