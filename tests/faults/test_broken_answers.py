"""Answers that are no answer, or not a whole one: rows 1, 6, 7, 10, 11 and 12."""

import socket
import tracemalloc
from collections.abc import Callable, MutableMapping
from typing import Any

import pytest
from scenes import (
    FEEDS,
    NOW,
    STALE,
    VENUE,
    Reader,
    Scene,
    Vendor,
    edited,
    eventually,
    owners_page,
    spoilt,
    uids,
)
from upstreams import raw
from upstreams.raw import Script
from upstreams.rows import awkward_rows

Events = list[MutableMapping[str, Any]]

_CAP = 8 * 1024 * 1024


def causes(events: Events) -> set[str]:
    """The codes of what failed."""
    return {event["cause"].partition(":")[0] for event in events if event["event"] == "walk failed"}


def broke_off(events: Events) -> Events:
    """What was raised and belongs to no tree of errors."""
    return [event for event in events if event.get("exc_info")]


@pytest.mark.parametrize("page", [1, 2, 3])
@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_server_error_on_any_page_leaves_the_last_good_copy(
    scene: Scene, status: int, page: int
) -> None:
    scene.survives(page, raw.status(status, body=b"Oops"))


CUT_SHORT = {
    "before Content-Length": raw.short_content_length,
    "before Content-Length, in the text": lambda page: raw.short_content_length(page[:-500]),
    "in a chunk": raw.short_chunked,
    "before the last chunk": lambda page: raw.short_chunked(page, within_chunk=False),
    "by closing": raw.plain_close_midway,
}


@pytest.mark.parametrize("cut", CUT_SHORT)
def test_a_page_that_is_cut_short_leaves_the_last_good_copy(
    scene: Scene, vendor: Vendor, cut: str
) -> None:
    scene.survives(3, spoilt(vendor, CUT_SHORT[cut]))


NOT_JSON = {
    "HTML": raw.html_ok(),
    "invalid UTF-8": raw.invalid_utf8(),
    "NaN": raw.nan(),
    "nesting of 200,000": raw.deep_nesting(),
    "a number of 5,000 digits": raw.long_number(),
}


@pytest.mark.parametrize("answer", NOT_JSON)
def test_what_is_not_json_with_200_is_one_kind_of_failure(
    scene: Scene, events: Events, answer: str
) -> None:
    scene.survives(2, NOT_JSON[answer])
    assert causes(events) == {"malformed"}
    assert not broke_off(events)


def test_a_connection_that_is_reset_in_the_body_leaves_the_last_good_copy(
    scene: Scene, vendor: Vendor
) -> None:
    scene.survives(2, spoilt(vendor, raw.reset_in_body))


def test_a_name_that_no_longer_resolves_leaves_the_last_good_copy(
    scene: Scene, vendor: Vendor, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve: Callable[..., Any] = socket.getaddrinfo
    known = {"teamup.example": "127.0.0.1", "127.0.0.1": "127.0.0.1"}
    asked: list[str] = []

    def resolver(host: str, *args: Any, **kwargs: Any) -> Any:
        asked.append(host)
        if host not in known:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return resolve(known[host], *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    base_url = f"http://teamup.example:{vendor.port}/api/v2"
    regular, newcomer = scene.reader(base_url=base_url).warm(), scene.reader(base_url=base_url)
    name = known.pop("teamup.example")
    asked.clear()
    scene.clock.move(STALE)
    regular.has_last_good()
    eventually(lambda: regular.served() == "failed")
    regular.has_last_good(also="failed")
    assert 1 <= len(asked) <= 3
    newcomer.is_put_off()
    assert causes(events) == {"unreachable"}
    known["teamup.example"] = name
    scene.is_well_again(regular, newcomer)


UNUSABLE = {one.why: one.row for one in awkward_rows(NOW) if one.fate == "dropped"}
BAD_RECORDS = [
    "not an object but None",
    "not an object but 'session'",
    "the id is missing",
    "the id is 'abc'",
    "starts_at null",
    "no starts_at",
    "starts_at 'soon'",
    "starts_at '2026-02-30T10:00:00Z'",
    "the venue is a number, naive time",
]


def with_record(vendor: Vendor, record: Any) -> Script:
    """All rows, and *record* after the last of them."""

    def add(page: dict[str, Any]) -> None:
        page["count"] += 1
        if page["next"] is None:
            page["results"].append(record)

    return edited(vendor, add)


@pytest.mark.parametrize("why", BAD_RECORDS)
def test_one_bad_record_costs_that_record_and_no_other(
    scene: Scene, vendor: Vendor, events: Events, why: str
) -> None:
    there = uids(scene.reader((VENUE,)).warm().good[VENUE])
    events.clear()
    vendor.script = with_record(vendor, UNUSABLE[why])
    assert uids(scene.reader().refreshed()) == there
    (published,) = [event for event in events if event["event"] == "published"]
    assert sum(n for reason, n in published.items() if reason.startswith("dropped")) == 1
    assert published["sessions"] == len(vendor.rows)


def test_the_owner_is_shown_that_records_were_dropped(scene: Scene, vendor: Vendor) -> None:
    vendor.script = with_record(vendor, UNUSABLE["starts_at 'soon'"])
    regular = scene.reader(operator_token="the-owners").warm()
    assert "dropped" in owners_page(regular, "the-owners").lower()


def test_a_session_whose_record_turns_bad_stays_as_it_was(scene: Scene, vendor: Vendor) -> None:
    regular = scene.reader().warm()
    vendor.rows = [
        {**row, "starts_at": "soon"} if row["venue"]["id"] == 11 else row for row in vendor.rows
    ]
    for _ in range(3):
        scene.clock.move(STALE)
        regular.refreshed()
        regular.has_last_good(also="fresh")


OVERSIZE = {
    "spaces without end": raw.oversize(64 * 1024 * 1024),
    "spaces whose size is told": raw.oversize(64 * 1024 * 1024, declared=True),
    "a gzip bomb": raw.gzip_bomb(256),
}


@pytest.mark.parametrize("body", OVERSIZE)
def test_a_body_too_large_is_left_at_the_cap(scene: Scene, events: Events, body: str) -> None:
    regular = scene.reader().warm()
    tracemalloc.start()
    try:
        assert_refused_once(scene, regular, OVERSIZE[body])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 * _CAP
    assert causes(events) == {"oversize"}
    newcomer = scene.reader()
    newcomer.is_put_off()
    scene.is_well_again(regular, newcomer)


def assert_refused_once(scene: Scene, regular: Reader, fault: Script) -> None:
    before = len(scene.vendor.requests)
    scene.vendor.spoil(2, fault)
    scene.clock.move(STALE)
    regular.has_last_good()
    eventually(lambda: regular.served() == "failed")
    regular.has_last_good(also="failed")
    assert scene.vendor.attempts(before)[2] == 1


def test_the_last_good_copy_is_served_for_as_long_as_the_settings_say(
    scene: Scene, vendor: Vendor
) -> None:
    regular = scene.reader(stale_if_error=86_400).warm()
    vendor.spoil(None, raw.status(500))
    scene.clock.move(86_000)
    eventually(lambda: regular.served() == "failed")
    regular.has_last_good(also="failed")
    scene.clock.move(1_000)
    for path in FEEDS:
        regular.is_put_off(path)
