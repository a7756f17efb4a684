"""Sessions that are suddenly no longer listed: row 13."""

import copy
import socket
from collections.abc import Callable, MutableMapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from scenes import FEEDS, NOW, VENUE, Scene, Vendor, cancelled, uids
from upstreams import raw
from upstreams.rows import session_row

Events = list[MutableMapping[str, Any]]

HOLD = 21_600.0
STEP = 3_000.0
"""Between two walks: past the TTL, and within what is served while one refresh runs."""
EVERYTHING = "/sessions.ics"
ALL = (*FEEDS, EVERYTHING)


def without_visibility(rows: list[Any]) -> list[Any]:
    bare = copy.deepcopy(rows)
    for row in bare:
        row["course"]["offering_type"].pop("customer_visibility", None)
    return bare


LOSSES: dict[str, Callable[[list[Any]], list[Any]]] = {
    "all": lambda rows: [],
    "a third": lambda rows: [row for n, row in enumerate(rows) if n % 3],
    "one venue": lambda rows: [row for row in rows if row["venue"]["id"] != 11],
    "all but a tenth": lambda rows: rows[::10],
    "every visibility": without_visibility,
}


def alerts(events: Events, name: str = "alert") -> list[str]:
    return [event["topic"] for event in events if event["event"] == name]


@pytest.mark.parametrize("lost", LOSSES)
def test_a_suspicious_loss_is_held_until_every_walk_for_hours_said_so(
    scene: Scene, vendor: Vendor, events: Events, lost: str
) -> None:
    regular = scene.reader(ALL).warm()
    ever_cancelled = {path: cancelled(answer) for path, answer in regular.good.items()}
    vendor.rows = LOSSES[lost](vendor.rows)
    for _ in range(int(HOLD / STEP) + 1):
        scene.clock.move(STEP)
        regular.refreshed()
        regular.has_last_good(also="fresh")
    assert alerts(events) == ["held past=30"]
    assert not alerts(events, "alert over")
    scene.clock.move(STEP)
    regular.refreshed()
    for path, good in regular.good.items():
        now = regular.get(path)
        assert now.status_code == 200
        assert set(uids(now)) <= set(uids(good))
        assert cancelled(now) <= ever_cancelled[path]
    # What is left is what a bridge shows that never knew more.
    newcomer = scene.reader((EVERYTHING,)).warm()
    assert uids(regular.get(EVERYTHING)) == uids(newcomer.good[EVERYTHING])
    assert len(uids(regular.get(EVERYTHING))) < len(uids(regular.good[EVERYTHING]))
    assert alerts(events) == ["held past=30"]
    assert alerts(events, "alert over") == ["held past=30"]


@pytest.mark.parametrize("lost", ["a third", "every visibility"])
def test_what_was_held_and_comes_back_was_never_away(
    scene: Scene, vendor: Vendor, events: Events, lost: str
) -> None:
    regular = scene.reader(ALL).warm()
    whole = vendor.rows
    for rows in (LOSSES[lost](whole), whole, LOSSES[lost](whole), whole):
        vendor.rows = rows
        for _ in range(3):
            scene.clock.move(STEP)
            regular.refreshed()
            regular.has_last_good(also="fresh")
    assert alerts(events) == ["held past=30"] * 2
    assert alerts(events, "alert over") == ["held past=30"] * 2


@pytest.mark.parametrize("lost", ["all", "one venue"])
def test_accepting_a_loss_publishes_it_at_once(
    scene: Scene, vendor: Vendor, events: Events, tmp_path: Path, lost: str
) -> None:
    shared = f"sqlite:///{tmp_path}/bridge.sqlite3"
    regular = scene.reader(ALL, cache_url=shared).warm()
    vendor.rows = LOSSES[lost](vendor.rows)
    scene.clock.move(STEP)
    regular.refreshed()
    regular.has_last_good(also="fresh")
    requests = len(vendor.requests)
    operator = scene.reader(cache_url=shared)
    # what `flask --app app accept` does
    assert operator.parts.refresher.accept() > 5
    scene.clock.move(1)
    newcomer = scene.reader((EVERYTHING,)).warm()
    assert uids(regular.get(EVERYTHING)) == uids(newcomer.good[EVERYTHING])
    assert cancelled(regular.get(EVERYTHING)) <= cancelled(regular.good[EVERYTHING])
    assert alerts(events, "alert over") == ["held past=30"]
    assert operator.parts.refresher.accept() == 0
    # nothing had to be asked for it: these are the newcomer's
    assert len(vendor.requests) - requests <= 3
    scene.clock.move(STEP)
    regular.refreshed()
    assert uids(regular.get(EVERYTHING)) == uids(newcomer.good[EVERYTHING])
    assert alerts(events) == ["held past=30"]


def test_a_new_token_that_sees_a_tenth_empties_nobodys_calendar(
    scene: Scene, vendor: Vendor, events: Events, tmp_path: Path
) -> None:
    """The bridge is restarted with the other token, as it would be."""
    shared = f"sqlite:///{tmp_path}/bridge.sqlite3"
    # never started: it only makes pages
    narrower = Vendor(vendor.rows[::10])

    def by_token(connection: socket.socket, request: bytes, n: int) -> None:
        allowed = narrower if b"another-token" in request else vendor
        raw.ok(allowed.page(request))(connection, request, n)

    vendor.script = by_token
    before = scene.reader(ALL, cache_url=shared).warm()
    before.parts.close()
    after = scene.reader(ALL, cache_url=shared, token="another-token")
    after.good = before.good
    for _ in range(3):
        scene.clock.move(STEP)
        after.refreshed()
        after.has_last_good(also="fresh")
    assert alerts(events) == ["held past=30"]
    assert "another-token" not in str(events)
    assert after.parts.refresher.accept() == 45
    scene.clock.move(1)
    after.refreshed()
    assert len(uids(after.get(EVERYTHING))) < len(uids(before.good[EVERYTHING])) / 5
    assert cancelled(after.get(EVERYTHING)) <= cancelled(before.good[EVERYTHING])


def test_what_ends_while_it_is_held_holds_no_alert_up(
    scene: Scene, vendor: Vendor, events: Events
) -> None:
    today = [session_row(300 + n, NOW + timedelta(hours=1)) for n in range(8)]
    vendor.rows = [*today, *vendor.rows]
    regular = scene.reader((EVERYTHING,)).warm()
    vendor.rows = []
    for _ in range(int(HOLD / STEP) + 2):
        scene.clock.move(STEP)
        regular.refreshed()
    assert alerts(events, "alert over") == ["held past=30"]
    # They took place, as far as anybody knows.
    assert len(uids(regular.get(EVERYTHING))) == len(today)
    assert regular.parts.refresher.accept() == 0
    assert len(uids(regular.get(EVERYTHING))) == len(today)


def test_a_loss_that_is_no_more_than_a_few_is_shown_as_cancelled_by_the_second_walk(
    scene: Scene, vendor: Vendor, events: Events
) -> None:
    regular = scene.reader((VENUE,)).warm()
    before = regular.good[VENUE]
    few = [row["id"] for row in vendor.rows if row["venue"]["id"] == 11][:3]
    vendor.rows = [row for row in vendor.rows if row["id"] not in few]
    scene.clock.move(STEP)
    assert regular.refreshed().data == before.data
    scene.clock.move(STEP)
    after = regular.refreshed()
    assert uids(after) == uids(before)
    assert 1 <= len(cancelled(after) - cancelled(before)) <= 3
    assert not alerts(events)
