"""A wall clock that is an hour or a day off: row 22."""

from pathlib import Path

import pytest
from scenes import VENUE, Reader, Scene, Vendor, eventually, how
from upstreams import raw

HOUR, DAY = 3_600.0, 86_400.0
PAGES = 3
TTL_AT_MOST = 330
MINUTE = 60

every_shift = pytest.mark.parametrize(
    "shift", [HOUR, -HOUR, DAY, -DAY], ids=["hour on", "hour back", "day on", "day back"]
)


def named(vendor: Vendor, name: str) -> None:
    """Rename every session upstream."""
    vendor.rows = [{**row, "name": name} for row in vendor.rows]


def asks_on(scene: Scene, reader: Reader, minutes: int) -> None:
    """Ask every minute; every answer is a calendar."""
    for _ in range(minutes):
        scene.clock.move(MINUTE)
        answer = reader.get()
        assert answer.status_code == 200
        if how(answer) != "fresh":
            eventually(lambda: reader.served() == "fresh")
            scene.quiet()


@every_shift
def test_a_clock_that_was_set_makes_nothing_fresh_for_ever(
    scene: Scene, vendor: Vendor, shift: float
) -> None:
    regular = scene.reader((VENUE,)).warm()
    scene.clock.set_wall(shift)
    named(vendor, "Named later")
    asks_on(scene, regular, TTL_AT_MOST // MINUTE + 1)
    assert "Named later" in regular.get().text
    # and back again, as time servers do
    scene.clock.set_wall(-shift)
    named(vendor, "Named last")
    asks_on(scene, regular, TTL_AT_MOST // MINUTE + 1)
    assert "Named last" in regular.get().text


@every_shift
def test_a_clock_that_was_set_makes_no_storm_of_walks(
    scene: Scene, vendor: Vendor, shift: float, tmp_path: Path
) -> None:
    shared = f"sqlite:///{tmp_path}/bridge.sqlite3"
    readers = [scene.reader((VENUE,), cache_url=shared).warm() for _ in range(3)]
    before = len(vendor.requests)
    scene.clock.set_wall(shift)
    for reader in readers * 3:
        eventually(lambda reader=reader: reader.served() == "fresh")
        scene.quiet()
        scene.clock.move(1)
    assert len(vendor.requests) - before <= PAGES
    before = len(vendor.requests)
    for _ in range(3):
        for reader in readers:
            asks_on(scene, reader, 2)
    # no more than a walk per TTL, whoever asks
    assert len(vendor.requests) - before <= PAGES * (18 * MINUTE / 270 + 1)


@every_shift
def test_a_clock_that_was_set_during_an_outage_costs_no_copy(
    scene: Scene, vendor: Vendor, shift: float, tmp_path: Path
) -> None:
    shared = f"sqlite:///{tmp_path}/bridge.sqlite3"
    regular = scene.reader(cache_url=shared).warm()
    vendor.script = raw.status(503)
    scene.clock.set_wall(shift)
    before = len(vendor.requests)
    eventually(lambda: regular.served() == "failed")
    regular.has_last_good(also="failed")
    for _ in range(10):
        scene.clock.move(30)
        regular.has_last_good(also="failed stale")
        scene.quiet()
    # at most one probe for each pause, which doubles from one second to sixty, of three attempts
    assert len(vendor.requests) - before <= 3 * (7 + 300 / 54)
    vendor.recover()
    scene.clock.move(70)
    assert regular.refreshed().status_code == 200


@every_shift
def test_a_restart_after_the_clock_was_set_serves_what_is_stored(
    scene: Scene, vendor: Vendor, shift: float, tmp_path: Path
) -> None:
    shared = f"sqlite:///{tmp_path}/bridge.sqlite3"
    regular = scene.reader(cache_url=shared).warm()
    regular.parts.close()
    vendor.script = raw.status(503)
    scene.clock.set_wall(shift)
    restarted = scene.reader(cache_url=shared)
    restarted.good = regular.good
    eventually(lambda: restarted.served() == "failed")
    restarted.has_last_good(also="failed")


@every_shift
def test_a_failure_that_was_remembered_before_the_clock_was_set_keeps_nobody_out(
    scene: Scene, vendor: Vendor, shift: float
) -> None:
    newcomer = scene.reader()
    vendor.script = raw.status(429, {"Retry-After": "86400"})
    newcomer.is_put_off()
    vendor.recover()
    scene.clock.set_wall(shift)
    scene.clock.move(301)
    assert newcomer.refreshed().status_code == 200
