"""An upstream that refuses: too many requests, a token it does not take; rows 2 and 3."""

import threading
from collections.abc import MutableMapping
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from flask import request
from scenes import NOW, STALE, VENUE, Scene, Vendor, eventually, owners_page, uids
from upstreams import raw
from upstreams.rows import timetable
from upstreams.stub import StubUpstream

from bridge.sandbox.api_error import ApiError
from bridge.sandbox.list_params import Dialect

Events = list[MutableMapping[str, Any]]

WIDE = "past=30"
OF_ITS_OWN = "/sessions.ics?starts_at_gte=2026-09-01"
"""A feed that the provider-wide walk does not reach back to."""


def in_seconds(seconds: float) -> str:
    """That moment, counted from when the first refusal comes, as an HTTP date."""
    return format_datetime(NOW + timedelta(seconds=STALE + seconds), usegmt=True)


# Retry-After → the seconds that it comes to
PAUSES = {
    "2": 2.0,
    "86400": 300.0,
    in_seconds(100): 100.0,
    in_seconds(-100): 1.0,
    in_seconds(86_400): 300.0,
    "soon": 60.0,
    "-5": 60.0,
}


@pytest.mark.parametrize("retry_after", PAUSES)
def test_after_a_429_nobody_in_the_fleet_asks_until_the_pause_is_over(
    scene: Scene, vendor: Vendor, events: Events, tmp_path: Path, retry_after: str
) -> None:
    shared = f"sqlite:///{tmp_path}/bridge.sqlite3"
    one, other = scene.reader(cache_url=shared).warm(), scene.reader(cache_url=shared).warm()
    vendor.script = raw.status(429, {"Retry-After": retry_after}, ApiError(429).response().data)
    before = len(vendor.requests)
    events.clear()
    scene.clock.move(STALE)
    one.has_last_good()
    eventually(lambda: len(vendor.requests) == before + 1)
    for moved in (0.0, PAUSES[retry_after] - 1.5):
        scene.clock.move(max(0.0, moved))
        for reader in (one, other):
            reader.has_last_good()
        # that it is new may be a reason of its own to put it off
        other.is_put_off(OF_ITS_OWN, as_one_of=(503, 429))
    assert len(vendor.requests) == before + 1
    vendor.recover()
    scene.clock.move(3)
    for reader in (one, other):
        assert reader.refreshed().data == reader.good[VENUE].data
        reader.has_last_good(also="fresh")
    assert len(uids(other.refreshed(OF_ITS_OWN))) > 20
    assert not [event for event in events if event.get("exc_info")]
    assert [event["key"] for event in events if event["event"] == "published"].count(WIDE) == 1
    # One refusal, and one walk of each of the two keys: of three pages, and of two.
    assert len(vendor.requests) == before + 1 + 3 + 2


def test_who_comes_new_during_the_pause_is_told_that_it_is_upstreams(
    scene: Scene, vendor: Vendor
) -> None:
    regular = scene.reader().warm()
    vendor.script = raw.status(429, {"Retry-After": "60"})
    before = len(vendor.requests)
    scene.clock.move(STALE)
    regular.has_last_good()
    eventually(lambda: len(vendor.requests) == before + 1)
    assert regular.is_put_off(OF_ITS_OWN) <= 61
    vendor.recover()
    scene.clock.move(61)
    regular.refreshed(OF_ITS_OWN)


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_is_refused_is_not_tried_again_and_again(
    scene: Scene, events: Events, tmp_path: Path, status: int
) -> None:
    shared = f"sqlite:///{tmp_path}/bridge.sqlite3"
    code = {401: "authentication_failed", 403: "permission_denied"}[status]
    refused = threading.Event()

    def refuse(page: int) -> None:
        if refused.is_set() and request.headers["Authorization"].startswith("JWT "):
            raise ApiError(status, "canary-of-the-vendor", code=code)

    with StubUpstream(
        timetable(50, NOW),
        token="a-token-of-the-tests",
        schemes=("JWT",),
        dialect=Dialect(max_page_size=20),
        before_page=refuse,
    ) as upstream:
        fields = {"cache_url": shared, "base_url": upstream.url}
        scene.reader(**fields).warm().parts.close()
        # what has worked is in the store, and no longer in a process
        regular = scene.reader(**fields).warm()
        upstream.requests.clear()
        events.clear()
        refused.set()
        scene.clock.move(STALE)
        regular.has_last_good()
        eventually(lambda: regular.served() == "failed")
        regular.has_last_good(also="failed")
        assert [request.headers["authorization"][:4] for request in upstream.requests] == ["JWT "]
        (failed,) = [event for event in events if event["event"] == "walk failed"]
        assert failed["cause"].startswith(f"{code}: ")
        assert "TEAMUP_API_TOKEN" in failed["cause"]
        assert "canary" not in str(events)
        assert "a-token-of-the-tests" not in str(events)
        newcomer = scene.reader(base_url=upstream.url)
        newcomer.is_put_off()
        refused.clear()
        scene.clock.move(70)
        assert regular.refreshed().data == regular.good[VENUE].data
        assert uids(newcomer.refreshed()) == uids(regular.good[VENUE])


def test_the_owner_is_shown_that_the_token_is_refused(scene: Scene, vendor: Vendor) -> None:
    regular = scene.reader(operator_token="the-owners").warm()
    vendor.script = raw.status(401)
    scene.clock.move(STALE)
    eventually(lambda: regular.served() == "failed")
    assert "TEAMUP_API_TOKEN" in owners_page(regular, "the-owners")


def test_a_token_that_never_worked_is_tried_once_with_each_scheme(
    scene: Scene, events: Events
) -> None:
    with StubUpstream(timetable(5, NOW), token="another") as upstream:
        newcomer = scene.reader(base_url=upstream.url)
        newcomer.is_put_off()
        newcomer.is_put_off()
        tried = [request.headers["authorization"].split()[0] for request in upstream.requests]
        assert tried == ["Bearer", "Token", "JWT"]
    assert "authentication_failed" in newcomer.get().text
