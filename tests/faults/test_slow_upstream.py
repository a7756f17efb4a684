"""An upstream that does not answer, or never comes to an end: rows 4 and 5."""

import socket
import threading
import time

import pytest
from scenes import (
    FEEDS,
    HURRY,
    OLD,
    STALE,
    VENUE,
    Reader,
    Scene,
    Vendor,
    eventually,
    how,
    spoilt,
    uids,
)
from upstreams import raw
from upstreams.raw import Script, pause, unanswered

SECONDS_PER_BYTE = 1 / HURRY


def held_until(event: threading.Event, then: Script) -> Script:
    """Answer only once *event* is set."""

    def script(connection: socket.socket, request: bytes, n: int) -> None:
        while not event.is_set():
            if not pause(connection, 0.01):
                return
        then(connection, request, n)

    return script


def waits_for_nothing(scene: Scene, reader: Reader) -> bool:
    """Ask, and tell whether that took none of the clock's time."""
    scene.clock.waited.clear()
    reader.get()
    return not scene.clock.waited


def test_while_upstream_hangs_nobody_with_a_copy_waits(scene: Scene, vendor: Vendor) -> None:
    regular = scene.reader().warm()
    vendor.script = raw.silence()
    before = len(vendor.requests)
    scene.clock.move(STALE)
    for _ in range(50):
        regular.has_last_good(also="stale")
    # Nothing had ended in the meantime that anybody could have waited for.
    assert len(vendor.requests) <= before + 1
    vendor.stop()
    eventually(lambda: regular.served() == "failed")


def test_a_copy_past_its_revalidation_waits_four_seconds_and_no_more(
    scene: Scene, vendor: Vendor
) -> None:
    regular = scene.reader().warm()
    vendor.script = raw.silence()
    before = len(vendor.requests)
    scene.clock.move(OLD)
    began = time.monotonic()
    answer = regular.get()
    assert 4 / HURRY <= time.monotonic() - began < 4 / HURRY + 2
    assert how(answer) == "failed"
    assert answer.data == regular.good[VENUE].data
    assert len(vendor.requests) == before + 1
    vendor.stop()
    eventually(lambda: waits_for_nothing(scene, regular))


def test_a_copy_past_its_revalidation_is_refreshed_for_whoever_waits(
    scene: Scene, vendor: Vendor
) -> None:
    regular = scene.reader().warm()
    vendor.rows = [{**row, "name": "Renamed"} for row in vendor.rows]
    scene.clock.hurry = 1.0
    scene.clock.move(OLD)
    answer = regular.get()
    assert answer.headers["Cache-Status"] == "bridge; fwd=stale; stored"
    assert "SUMMARY:Renamed" in answer.text


def test_a_failure_that_is_remembered_spares_everybody_the_wait(
    scene: Scene, vendor: Vendor, short_pages: float
) -> None:
    regular, newcomer = scene.reader().warm(), scene.reader()
    vendor.script = raw.silence()
    scene.clock.move(OLD)
    for reader in (regular, newcomer):
        eventually(lambda reader=reader: "still being" not in reader.get().text)
        eventually(lambda: vendor.in_flight == 0)
    assert waits_for_nothing(scene, regular)
    assert waits_for_nothing(scene, newcomer)
    regular.has_last_good(also="failed")
    newcomer.is_put_off()


def test_a_cold_request_leaves_after_eight_seconds_and_the_walk_goes_on(
    scene: Scene, vendor: Vendor
) -> None:
    answering = threading.Event()
    vendor.spoil(2, held_until(answering, vendor.well))
    newcomer = scene.reader()
    assert newcomer.is_put_off() == 5
    assert newcomer.is_put_off(FEEDS[-1]) == 5
    answering.set()
    answer = newcomer.refreshed()
    assert len(uids(answer)) > 5
    assert vendor.attempts(0) == {1: 1, 2: 1, 3: 1}


def test_a_connection_that_is_never_made_ends_by_its_deadline(
    scene: Scene, vendor: Vendor, short_pages: float
) -> None:
    regular, newcomer = scene.reader().warm(), scene.reader()
    vendor.stop()
    scene.clock.move(STALE)
    with unanswered(vendor.port):
        regular.has_last_good()
        newcomer.is_put_off()
        eventually(lambda: regular.served() == "failed", seconds=3 * short_pages + 2)
        eventually(lambda: "(timeout)" in newcomer.get().text)
        regular.has_last_good(also="failed")
        newcomer.is_put_off()
    vendor.start()
    scene.is_well_again(regular, newcomer)


SLOW = {
    "no answer": lambda page: raw.silence(),
    "headers": lambda page: raw.drip_headers(SECONDS_PER_BYTE, page),
    "body": lambda page: raw.drip_body(SECONDS_PER_BYTE, page),
}


@pytest.mark.parametrize(
    ("what", "page"), [("no answer", 1), ("headers", 1), ("headers", 2), ("body", 1), ("body", 3)]
)
def test_a_page_that_never_comes_to_an_end_is_given_up_at_its_deadline(
    scene: Scene, vendor: Vendor, short_pages: float, what: str, page: int
) -> None:
    regular, newcomer = scene.reader().warm(), scene.reader()
    vendor.spoil(page, spoilt(vendor, SLOW[what]))
    before = len(vendor.requests)
    scene.clock.move(STALE)
    began = time.monotonic()
    regular.has_last_good()
    newcomer.is_put_off()
    eventually(lambda: regular.served() == "failed")
    eventually(lambda: "(timeout)" in newcomer.get().text)
    # three attempts of ten seconds each, hurried, and the pauses between them
    assert time.monotonic() - began < 3 * short_pages + 3
    assert vendor.attempts(before)[page] == 3 * 2
    regular.has_last_good(also="failed")
    newcomer.is_put_off()
    scene.is_well_again(regular, newcomer)
