"""Fifty feeds through a day without upstream, and through an hour in which it comes and goes."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from flask.testing import FlaskClient
from scenes import NOW, HurriedClock, Scene, Vendor, eventually
from upstreams import raw
from upstreams.raw import Script, params_of

from bridge.config import Availability
from bridge.web import create_app

MINUTE, HOUR = 60, 3_600
EVERY = 6 * MINUTE
SHORT = 45
PAGES = 3

OF_THEIR_OWN = (
    "/sessions.ics?occupancy_status=has_waitlist",
    "/venues/11.ics?occupancy_status=has_waitlist",
    "/instructors/101.json?occupancy_status=has_waitlist",
    "/sessions.ics?starts_at_gte=2026-08-01&starts_at_lte=2026-09-30",
    "/venues/12.ics?starts_at_gte=2026-09-01",
    "/courses/201.ics",
)
"""Feeds that ask upstream for themselves."""
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
    *OF_THEIR_OWN,
)
KEYS_OF_THEIR_OWN = len(OF_THEIR_OWN)


@dataclass
class Followers:
    """Subscribers of every feed, each of whom keeps what it got and asks if it has changed."""

    client: FlaskClient
    tags: dict[str, str] = field(default_factory=dict)
    statuses: Counter[int] = field(default_factory=Counter)
    changed: set[str] = field(default_factory=set)

    def poll(self, turn: int) -> None:
        """A quarter of them ask, each quarter in turn."""
        for number, path in enumerate(FEEDS):
            if number % 4 != turn % 4:
                continue
            tag = self.tags.get(path, "")
            # some keep nothing, as a phone that was set up anew
            headers = {"If-None-Match": tag} if (number + turn) // 4 % 4 else {}
            answer = self.client.get(path, headers=headers)
            self.statuses[answer.status_code] += 1
            if tag not in ("", answer.headers.get("ETag")):
                self.changed.add(path)
            self.tags[path] = answer.headers.get("ETag", "")


@pytest.fixture
def hurried() -> HurriedClock:
    """Nobody waits for more than a few hundredths of a second, here least of all."""
    return HurriedClock(hurry=2_000.0)


@pytest.fixture
def followers(scene: Scene) -> Followers:
    """All of them have their feed."""
    bridge = scene.reader(FEEDS, public_availability=Availability.SPOTS).warm()
    scene.quiet()
    followers = Followers(create_app(bridge.parts).test_client())
    for turn in range(4):
        followers.poll(turn)
    assert followers.statuses == {200: len(FEEDS)}
    return followers


def outages(vendor: Vendor) -> list[Callable[[], None]]:
    """Each for an hour, over and over."""

    def sends(script: Script) -> Callable[[], None]:
        def begin() -> None:
            if vendor.stopped:
                vendor.start()
            vendor.script = script

        return begin

    return [
        vendor.stop,
        sends(raw.status(503)),
        sends(raw.status(429, {"Retry-After": "120"})),
        sends(raw.html_ok()),
        sends(raw.reset_in_body()),
        sends(raw.status(403)),
    ]


def test_fifty_feeds_through_a_day_without_upstream(
    scene: Scene, vendor: Vendor, followers: Followers
) -> None:
    assert len(set(FEEDS)) == 50
    asked = [params_of(request) for request in vendor.requests]
    questions = {str({**params, "page": None}) for params in asked}
    assert len(questions) == KEYS_OF_THEIR_OWN + 1
    before = len(vendor.requests)
    kinds = outages(vendor)
    for turn in range(24 * HOUR // EVERY):
        if turn * EVERY % HOUR == 0:
            kinds[turn * EVERY // HOUR % len(kinds)]()
        scene.clock.move(EVERY)
        followers.poll(turn)
    assert scene.clock.now() == NOW.timestamp() + 24 * HOUR
    assert set(followers.statuses) <= {200, 304}
    assert not followers.changed
    # A probe for each key in each round at most, of three attempts: no storm, whoever asks.
    rounds = 24 * HOUR // EVERY
    assert len(vendor.requests) - before <= rounds * (KEYS_OF_THEIR_OWN + 1) * 3
    if vendor.stopped:
        vendor.start()
    vendor.recover()
    before = len(vendor.requests)
    scene.quiet()
    scene.clock.move(EVERY)
    for path in FEEDS:
        eventually(lambda path=path: "detail" not in scene_status(followers, path))
    # One walk for each key, and none of them twice.
    assert len(vendor.requests) - before <= (KEYS_OF_THEIR_OWN + 1) * PAGES


def scene_status(followers: Followers, path: str) -> str:
    answer = followers.client.get(path)
    assert answer.status_code == 200
    return answer.headers["Cache-Status"]


def test_fifty_feeds_through_an_hour_of_flapping(
    scene: Scene, vendor: Vendor, followers: Followers
) -> None:
    """Well or not for three quarters of a minute or more at a time, in no simple order."""
    before = len(vendor.requests)
    down = [raw.status(502), raw.status(403), raw.html_ok(), raw.reset_in_body()]
    for turn in range(HOUR // SHORT):
        vendor.script = vendor.well if turn * 5 % 7 < 3 else down[turn % len(down)]
        scene.clock.move(SHORT)
        followers.poll(turn)
        scene.quiet()
    assert set(followers.statuses) <= {200, 304}
    walks = HOUR / 270 + 1
    probes = HOUR / SHORT
    assert len(vendor.requests) - before <= (KEYS_OF_THEIR_OWN + 1) * (walks * PAGES + probes)
    per_minute = 200
    assert len(vendor.requests) - before <= HOUR / 60 * per_minute
