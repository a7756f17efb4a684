"""A wall clock that is set an hour or a day off (docs/faults.md, row 22)."""

from pathlib import Path

import pytest
from clocks import wait_until
from faults.scenarios import VENUE, FakeTeamUp, FeedClient, Scenario, cache_state
from upstreams import raw

HOUR, DAY = 3_600.0, 86_400.0
PAGES = 3
MAX_TTL = 330
MINUTE = 60

every_shift = pytest.mark.parametrize(
    "shift", [HOUR, -HOUR, DAY, -DAY], ids=["hour ahead", "hour back", "day ahead", "day back"]
)


def rename_sessions(teamup: FakeTeamUp, name: str) -> None:
    """Rename every session in TeamUp."""
    teamup.rows = [{**row, "name": name} for row in teamup.rows]


def request_every_minute(scenario: Scenario, client: FeedClient, minutes: int) -> None:
    """Send a request every minute; every response has status 200."""
    for _ in range(minutes):
        scenario.clock.move(MINUTE)
        answer = client.get()
        assert answer.status_code == 200
        if cache_state(answer) != "fresh":
            wait_until(lambda: client.state() == "fresh")
            scenario.wait_until_idle()


@every_shift
def test_after_setting_the_clock_feeds_are_still_refreshed(
    scenario: Scenario, teamup: FakeTeamUp, shift: float
) -> None:
    warm = scenario.client((VENUE,)).warm_up()
    scenario.clock.set_wall(shift)
    rename_sessions(teamup, "Named later")
    request_every_minute(scenario, warm, MAX_TTL // MINUTE + 1)
    assert "Named later" in warm.get().text
    # Set back again, as time synchronisation does.
    scenario.clock.set_wall(-shift)
    rename_sessions(teamup, "Named last")
    request_every_minute(scenario, warm, MAX_TTL // MINUTE + 1)
    assert "Named last" in warm.get().text


@every_shift
def test_setting_the_clock_causes_no_burst_of_walks(
    scenario: Scenario, teamup: FakeTeamUp, shift: float, tmp_path: Path
) -> None:
    shared = f"sqlite:///{tmp_path}/bridge.sqlite3"
    clients = [scenario.client((VENUE,), cache_url=shared).warm_up() for _ in range(3)]
    before = len(teamup.requests)
    scenario.clock.set_wall(shift)
    for client in clients * 3:
        wait_until(lambda client=client: client.state() == "fresh")
        scenario.wait_until_idle()
        scenario.clock.move(1)
    assert len(teamup.requests) - before <= PAGES
    before = len(teamup.requests)
    for _ in range(3):
        for client in clients:
            request_every_minute(scenario, client, 2)
    # At most one walk per TTL, for all bridges together.
    assert len(teamup.requests) - before <= PAGES * (18 * MINUTE / 270 + 1)


@every_shift
def test_setting_the_clock_during_an_outage_loses_no_copy(
    scenario: Scenario, teamup: FakeTeamUp, shift: float, tmp_path: Path
) -> None:
    shared = f"sqlite:///{tmp_path}/bridge.sqlite3"
    warm = scenario.client(cache_url=shared).warm_up()
    teamup.script = raw.status(503)
    scenario.clock.set_wall(shift)
    before = len(teamup.requests)
    wait_until(lambda: warm.state() == "failed")
    warm.assert_last_good(states="failed")
    for _ in range(10):
        scenario.clock.move(30)
        warm.assert_last_good(states="failed stale")
        scenario.wait_until_idle()
    # At most one probe of three attempts per pause; pauses double from one second to sixty.
    assert len(teamup.requests) - before <= 3 * (7 + 300 / 54)
    teamup.recover()
    scenario.clock.move(70)
    assert warm.get_fresh().status_code == 200


@every_shift
def test_a_restart_after_setting_the_clock_serves_the_stored_feeds(
    scenario: Scenario, teamup: FakeTeamUp, shift: float, tmp_path: Path
) -> None:
    shared = f"sqlite:///{tmp_path}/bridge.sqlite3"
    warm = scenario.client(cache_url=shared).warm_up()
    warm.parts.close()
    teamup.script = raw.status(503)
    scenario.clock.set_wall(shift)
    restarted = scenario.client(cache_url=shared)
    restarted.good = warm.good
    wait_until(lambda: restarted.state() == "failed")
    restarted.assert_last_good(states="failed")


@every_shift
def test_setting_the_clock_does_not_extend_the_pause_after_a_failure(
    scenario: Scenario, teamup: FakeTeamUp, shift: float
) -> None:
    cold = scenario.client()
    teamup.script = raw.status(429, {"Retry-After": "86400"})
    cold.assert_unavailable()
    teamup.recover()
    scenario.clock.set_wall(shift)
    scenario.clock.move(301)
    assert cold.get_fresh().status_code == 200
