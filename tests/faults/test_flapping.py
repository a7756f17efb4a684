"""An upstream that comes and goes, and then stays: row 24."""

import socket
import threading
from collections.abc import MutableMapping
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from scenes import LONGEST_PAUSE, OLD, STALE, VENUE, Reader, Scene, Vendor, eventually, how
from upstreams import raw
from upstreams.raw import Script, pause

Events = list[MutableMapping[str, Any]]

OF_THEIR_OWN = tuple(f"/sessions.ics?starts_at_gte=2026-09-0{day}" for day in range(1, 7))
"""Feeds that each ask upstream for themselves."""
PAGES = 3
ROUNDS = 12


def hung_up(connection: socket.socket, request: bytes, n: int) -> None:
    """Close without a word."""


class Counted:
    """Has callers wait, and knows how many waited at once; then answers as *then* does.

    Whoever was answered counts no more, so that the next caller is not counted with them.
    """

    def __init__(self, then: Script) -> None:
        self._then = then
        self._lock = threading.Lock()
        self._waiting = 0
        self.peak = 0

    def __call__(self, connection: socket.socket, request: bytes, n: int) -> None:
        with self._lock:
            self._waiting += 1
            self.peak = max(self.peak, self._waiting)
        try:
            self.hold(connection)
        finally:
            with self._lock:
                self._waiting -= 1
        self._then(connection, request, n)

    def hold(self, connection: socket.socket) -> None:
        pause(connection, 0.02)


class Gate(Counted):
    """Holds every caller until one is let go."""

    def __init__(self, then: Script) -> None:
        super().__init__(then)
        self._turns = threading.Semaphore(0)

    def hold(self, connection: socket.socket) -> None:
        while not self._turns.acquire(blocking=False) and pause(connection, 0.005):
            pass

    def let_go(self) -> None:
        self._turns.release()


def published(events: Events) -> list[str]:
    return [event["key"] for event in events if event["event"] == "published"]


@pytest.mark.parametrize(
    ("fault", "attempts"), [(hung_up, 3), (raw.status(403), 1)], ids=["no answer", "403"]
)
def test_while_upstream_as_a_whole_is_down_one_probe_at_a_time_looks(
    scene: Scene, vendor: Vendor, tmp_path: Path, fault: Script, attempts: int
) -> None:
    shared = f"sqlite:///{tmp_path}/bridge.sqlite3"
    feeds = (VENUE, *OF_THEIR_OWN)
    fleet = [scene.reader(feeds, cache_url=shared).warm() for _ in range(2)]
    vendor.script = raw.status(401)
    scene.clock.move(STALE)
    eventually(lambda: how(fleet[0].get()) == "failed")
    scene.quiet()
    counted = vendor.script = Counted(fault)
    probes = []
    for _ in range(ROUNDS):
        before = len(vendor.requests)
        scene.clock.move(30)
        herd(fleet, feeds)
        scene.quiet()
        probes.append(len(vendor.requests) - before)
    assert counted.peak == 1
    # A probe at a time, and once it has failed no other before the pause is over.
    assert set(probes) == {0, attempts}


def test_an_outage_is_remembered_until_a_probe_ends_it(scene: Scene, vendor: Vendor) -> None:
    """However seldom somebody asks: nobody waits, and every time one probe looks."""
    regular = scene.reader((VENUE,)).warm()
    vendor.script = raw.status(403)
    scene.clock.move(OLD)
    eventually(lambda: regular.served() == "failed")
    scene.quiet()
    for number in range(1, 6):
        before = len(vendor.requests)
        scene.clock.move(600)
        scene.clock.waited.clear()
        regular.has_last_good(also="failed")
        assert not scene.clock.waited, f"round {number}"
        eventually(lambda before=before: len(vendor.requests) == before + 1)
        scene.quiet()
    vendor.recover()
    scene.clock.move(600)
    assert regular.served() == "failed"
    regular.refreshed()


def herd(fleet: list[Reader], feeds: tuple[str, ...]) -> None:
    """Ask every bridge for every feed, all at once; each answers with what it has."""
    answers: list[str] = []

    def ask(reader: Reader, path: str) -> None:
        answers.append(reader.served(path))

    callers = [
        threading.Thread(target=ask, args=(reader, path)) for reader in fleet for path in feeds
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert set(answers) == {"failed"}
    assert len(answers) == len(fleet) * len(feeds)


def test_a_probe_that_takes_its_time_is_still_the_only_one(
    scene: Scene, vendor: Vendor, tmp_path: Path
) -> None:
    """Ten seconds an attempt: the second is under way when a lease of fifteen has run out."""
    shared = f"sqlite:///{tmp_path}/bridge.sqlite3"
    one, other = (scene.reader((VENUE,), cache_url=shared).warm() for _ in range(2))
    vendor.script = raw.status(401)
    scene.clock.move(STALE)
    eventually(lambda: one.served() == "failed")
    scene.quiet()
    gate = vendor.script = Gate(hung_up)
    scene.clock.move(2)
    one.has_last_good(also="failed")
    eventually(lambda: vendor.in_flight == 1)
    before = len(vendor.requests)
    scene.clock.move(10)
    gate.let_go()
    eventually(lambda: len(vendor.requests) == before + 1)
    for _ in range(8):
        scene.clock.move(1)
        other.has_last_good(also="failed")
        # the other bridge has every chance to take over
        threading.Event().wait(0.02)
    assert gate.peak == 1
    vendor.recover()
    gate.let_go()
    eventually(lambda: one.served() == "fresh")


def test_once_upstream_is_well_everything_is_fresh_within_a_ttl_and_by_one_walk(
    scene: Scene, vendor: Vendor, events: Events, tmp_path: Path
) -> None:
    shared = f"sqlite:///{tmp_path}/bridge.sqlite3"
    fleet = [scene.reader((VENUE,), cache_url=shared).warm() for _ in range(2)]
    flap(scene, fleet)
    events.clear()
    before = len(vendor.requests)
    for waited in count(5, 5):
        scene.clock.move(5)
        answers = [how(reader.get()) for reader in fleet]
        assert set(answers) <= {"failed", "stale", "fresh"}
        scene.quiet()
        if answers == ["fresh"] * 2:
            break
        assert waited < LONGEST_PAUSE + 5
    assert published(events) == ["past=30"]
    assert len(vendor.requests) == before + PAGES


def flap(scene: Scene, fleet: list[Reader]) -> None:
    """Down, up for too short, down again and so on, and at last well."""
    vendor = scene.vendor
    scene.clock.move(STALE)
    for turn in range(12):
        vendor.script = (hung_up, raw.status(500), raw.status(403))[turn % 3]
        for reader in fleet:
            reader.has_last_good()
        scene.quiet()
        scene.clock.move(2**turn % 97)
    eventually(lambda: {how(reader.get()) for reader in fleet} == {"failed"})
    scene.quiet()
    vendor.recover()


def test_an_upstream_that_flaps_is_walked_no_more_than_once_a_ttl(
    scene: Scene, vendor: Vendor, events: Events, tmp_path: Path
) -> None:
    """A quarter of an hour of twenty seconds up, twenty down, asked for every five seconds."""
    shared = f"sqlite:///{tmp_path}/bridge.sqlite3"
    fleet = [scene.reader((VENUE,), cache_url=shared).warm() for _ in range(2)]
    events.clear()
    before = len(vendor.requests)
    for turn in range(180):
        vendor.script = hung_up if turn // 4 % 2 else vendor.well
        scene.clock.move(5)
        answer = fleet[turn % 2].get()
        assert answer.status_code == 200
        assert answer.data == fleet[0].good[VENUE].data
        if how(answer) != "fresh":
            scene.quiet()
    walks = published(events)
    assert 900 / 450 <= len(walks) <= 900 / 270
    failures = [event for event in events if event["event"] == "walk failed"]
    assert len(failures) <= 3 * len(walks) + 3
    # On a busy machine the clock may overtake a walk, which somebody else then begins anew.
    overtaken = [event for event in events if "took too long" in event["event"]]
    begun = len(walks) + len(overtaken)
    assert len(vendor.requests) - before <= PAGES * begun + 3 * len(failures)
