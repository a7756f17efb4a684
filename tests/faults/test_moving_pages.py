"""Pages that do not fit together: rows 8 and 9."""

import socket
import threading
from collections.abc import Callable, MutableMapping
from datetime import timedelta
from typing import Any

import pytest
from scenes import NOW, PAGE, STALE, VENUE, Scene, Vendor, edited, eventually, uids
from upstreams import raw
from upstreams.raw import Script, page_of
from upstreams.rows import session_row

Events = list[MutableMapping[str, Any]]
Change = Callable[[list[Any]], list[Any]]

EVERYTHING = "/sessions.ics"
ALL = (EVERYTHING, VENUE)
EARLY = session_row(77, NOW + timedelta(hours=1))
"""Before all others, so that it moves them from page to page."""
LATE = session_row(78, NOW + timedelta(days=80))


def changing(vendor: Vendor, change: Change, *, times: int = 1) -> Script:
    """Let *change* happen between page 1 and those after it, *times* over."""
    lock = threading.Lock()
    left = [change] * times

    def script(connection: socket.socket, request: bytes, n: int) -> None:
        with lock:
            if page_of(request) > 1 and left:
                vendor.rows = left.pop()(vendor.rows)
        vendor.well(connection, request, n)

    return script


def by_start(rows: list[Any]) -> list[Any]:
    """The rows in the order in which they stand on the pages."""
    return sorted(rows, key=lambda row: row["starts_at"])


CHANGES: dict[str, Change] = {
    "one inserted before": lambda rows: [EARLY, *rows],
    "one deleted before": lambda rows: by_start(rows)[1:],
    "many inserted": lambda rows: [
        *(session_row(500 + n, NOW + timedelta(minutes=30 * n + 1)) for n in range(PAGE)),
        *rows,
    ],
    "a page's worth deleted": lambda rows: by_start(rows)[PAGE:],
}


@pytest.mark.parametrize("change", CHANGES)
def test_rows_that_move_between_pages_are_neither_lost_nor_doubled(
    scene: Scene, vendor: Vendor, change: str
) -> None:
    vendor.script = changing(vendor, CHANGES[change])
    newcomer = scene.reader((EVERYTHING,)).warm()
    vendor.recover()
    vendor_has = uids(scene.reader((EVERYTHING,)).warm().good[EVERYTHING])
    found = uids(newcomer.good[EVERYTHING])
    assert sorted(found) == sorted(vendor_has)
    assert len(set(found)) == len(found)


def test_a_loss_that_no_count_betrays_costs_no_session(scene: Scene, vendor: Vendor) -> None:
    """One row goes from page 1 after that was read, another comes: one in between is never seen."""
    regular = scene.reader(ALL).warm()
    gone = by_start(vendor.rows)[0]
    vendor.script = changing(vendor, lambda rows: [*by_start(rows)[1:], LATE])
    scene.clock.move(STALE)
    found = uids(regular.refreshed(EVERYTHING))
    assert set(uids(regular.good[EVERYTHING])) <= set(found)
    assert len(found) == len(set(found)) == len(uids(regular.good[EVERYTHING])) + 1
    assert gone["id"] not in {row["id"] for row in vendor.rows}


def test_rows_that_never_come_to_rest_leave_the_last_good_copy(
    scene: Scene, vendor: Vendor, events: Events
) -> None:
    regular, newcomer = scene.reader(ALL).warm(), scene.reader()
    rows = vendor.rows
    numbers = iter(range(1_000, 2_000))
    more: Change = lambda rows: [session_row(next(numbers), NOW + timedelta(hours=1)), *rows]  # noqa: E731
    vendor.script = changing(vendor, more, times=1_000)
    before = len(vendor.requests)
    scene.clock.move(STALE)
    regular.has_last_good()
    eventually(lambda: regular.served() == "failed")
    regular.has_last_good(also="failed")
    assert max(vendor.attempts(before).values()) <= 3
    newcomer.is_put_off()
    assert {event["cause"][:13] for event in events if event["event"] == "walk failed"} == {
        "inconsistent:"
    }
    vendor.rows = rows
    scene.is_well_again(regular, newcomer)


def more_than_a_page(vendor: Vendor) -> Script:
    """All rows on one page, however few were asked for."""
    return raw.ok(raw.page(by_start(vendor.rows)))


def with_next(url: str) -> Callable[[dict[str, Any]], object]:
    return lambda page: page.update(next=url)


ODD_PAGES: dict[str, Callable[[Vendor], Script]] = {
    "the last row of each page twice": lambda vendor: edited(
        vendor, lambda page: page["results"].append(page["results"][-1])
    ),
    "all rows of each page twice": lambda vendor: edited(
        vendor, lambda page: page.update(results=page["results"] * 2)
    ),
    "always a next page": lambda vendor: edited(vendor, with_next("/api/v2/x?page=9")),
    "the next page is the same": lambda vendor: edited(vendor, with_next("?page=1")),
    "the next page is elsewhere": lambda vendor: edited(
        vendor, with_next("https://elsewhere.example/api/v2/course_sessions?page=2")
    ),
    "a page of more than was asked for": more_than_a_page,
}


@pytest.mark.parametrize("odd", ODD_PAGES)
def test_odd_pages_show_each_session_once_and_are_asked_for_once(
    scene: Scene, vendor: Vendor, odd: str
) -> None:
    regular = scene.reader(ALL).warm()
    vendor.script = ODD_PAGES[odd](vendor)
    before = len(vendor.requests)
    scene.clock.move(STALE)
    for reader in (regular, scene.reader()):
        assert uids(reader.refreshed(EVERYTHING)) == uids(regular.good[EVERYTHING])
    regular.has_last_good(also="fresh")
    assert set(vendor.attempts(before)) <= {1, 2, 3}
    assert max(vendor.attempts(before).values()) <= 2


ENDLESS = {
    "the same page again and again": 500,
    "more pages than anybody has": 10_000_000,
}


@pytest.mark.parametrize("endless", ENDLESS)
def test_pages_without_end_come_to_an_end(scene: Scene, vendor: Vendor, endless: str) -> None:
    regular, newcomer = scene.reader(ALL).warm(), scene.reader()
    rows = by_start(vendor.rows)[:PAGE]
    body = raw.page(rows, count=ENDLESS[endless], next=f"{vendor.url}/course_sessions?page=2")
    vendor.script = raw.ok(body)
    before = len(vendor.requests)
    scene.clock.move(STALE)
    regular.has_last_good()
    eventually(lambda: regular.served() == "failed")
    regular.has_last_good(also="failed")
    # At most two walks of as many pages as the count makes, and no walk of thousands.
    assert len(vendor.requests) - before <= 2 * ENDLESS[endless] / PAGE
    assert len(vendor.requests) - before <= 2 * 25
    newcomer.is_put_off()
    scene.is_well_again(regular, newcomer)
