"""The hot path: what is ready is answered without Flask, and with the same words."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgi_client import AsgiClient
from clocks import ManualClock

from bridge.feeds.params import feed_spec
from bridge.feeds.private import Grant, audience
from bridge.feeds.spec import Kind
from bridge.model import Visibility
from bridge.sandbox.faults import Faults
from bridge.services import Services
from bridge.snapshots.backoff import Backoff
from bridge.snapshots.freshness import FreshnessPolicy
from bridge.upstream.client import Client
from bridge.web import create_app

KEYS = ("a-key-of-the-tests-that-is-long",)
FEED = "/venues/12.ics"
ADDRESSES = (
    FEED,
    "/venues/12.json",
    "/sessions.txt",
    "/venues/12",
    "/embed/venues/12",
    "/",
    "/embed.js",
    "/robots.txt",
)
OF_THE_REQUEST = {"X-Request-Id", "Cache-Status", "x-request-id", "cache-status"}


def words(answer: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in answer.headers if name not in OF_THE_REQUEST}


@pytest.fixture
def parts(make_bridge: Callable[..., Services]) -> Services:
    return make_bridge()


@pytest.fixture
def client(parts: Services) -> AsgiClient:
    return AsgiClient.of(parts)


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_answer_that_is_ready_says_what_the_application_would(
    make_bridge: Callable[..., Services], asked: list[str], address: str
) -> None:
    plain = create_app(make_bridge(cache_max_bytes=0)).test_client()
    hot = AsgiClient.of(make_bridge())
    for headers in ({}, {"Accept-Encoding": "gzip"}, {"Accept-Language": "de"}):
        for client in (plain, hot, hot):
            client.get(address, headers=headers)
        one = plain.get(address, headers=headers)
        asked.clear()
        other = hot.get(address, headers=headers)
        assert asked == []
        assert other.data == one.data
        assert words(other) == {"age": "0", **words(one)}
        if "ETag" in one.headers:
            with_it = {**headers, "If-None-Match": one.headers["ETag"]}
            one, other = (client.get(address, headers=with_it) for client in (plain, hot))
            assert one.status_code == other.status_code == 304
            assert words(other) == {"age": "0", **words(one)}
    assert words(hot.head(address)) == {"age": "0", **words(plain.head(address))}


def test_the_cache_is_off_where_it_may_keep_nothing(
    make_bridge: Callable[..., Services], asked: list[str]
) -> None:
    client = AsgiClient.of(make_bridge(cache_max_bytes=0))
    for _ in range(3):
        assert client.get(FEED).status_code == 200
    assert asked == [FEED] * 3


@pytest.mark.parametrize("address", ["/status", "/metrics", "/nothing"])
def test_what_is_for_few_or_for_the_moment_is_asked_for_each_time(
    make_bridge: Callable[..., Services], asked: list[str], address: str
) -> None:
    client = AsgiClient.of(make_bridge(operator_token="a-token-of-the-owner"))
    for _ in range(2):
        client.get(address, {"Authorization": "Bearer a-token-of-the-owner"})
    assert asked == [address] * 2


def test_a_private_feed_is_asked_for_each_time(
    make_bridge: Callable[..., Services], asked: list[str]
) -> None:
    parts = make_bridge(signing_keys=KEYS)
    client = AsgiClient.of(parts)
    token = parts.private.sign(Grant(Kind.VENUE, 12, (), audience([Visibility.PUBLIC])))
    path = f"/private/{token}.ics"
    tag = client.get(path).headers["ETag"]
    assert client.get(path, headers={"If-None-Match": tag}).status_code == 304
    assert len(asked) == 2


def test_what_is_ready_is_asked_for_once_a_second(
    client: AsgiClient, asked: list[str], clock: ManualClock
) -> None:
    for _ in range(5):
        client.get(FEED)
    assert asked == [FEED]
    clock.move(1)
    for _ in range(5):
        client.get(FEED)
    assert asked == [FEED] * 2


# While the copy is past its time

OLD = 400
"""Seconds after which it is."""


@pytest.fixture
def hanging(
    make_bridge: Callable[..., Services], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Services]]:
    """Makes bridges with a copy, whose upstream takes requests and does not answer any more."""
    hangs, over = threading.Event(), threading.Event()
    page = Client.page

    def held(*given: Any, **named: Any) -> Any:
        if hangs.is_set():
            over.wait(60)
        return page(*given, **named)

    monkeypatch.setattr(Client, "page", held)

    def make(**fields: Any) -> Services:
        parts = make_bridge(**fields)
        hangs.clear()
        create_app(parts).test_client().get(FEED)
        hangs.set()
        return parts

    yield make
    over.set()


def changes(parts: Services, before: int) -> None:
    """Wait until something does."""
    until = time.monotonic() + 20
    while parts.refresher.changes == before:
        assert time.monotonic() < until
        time.sleep(0.005)


def refused(parts: Services, faults: Faults) -> None:
    """Let upstream refuse, and the bridge have noticed."""
    faults.set("status", 403)
    before = parts.refresher.changes
    parts.router.find(feed_spec(Kind.VENUE, 12, (), parts.defaults).filter_set)
    changes(parts, before)


@pytest.mark.parametrize("address", ["/venues/12.ics", "/venues/12.json", "/venues/12", "/"])
def test_while_upstream_hangs_the_old_copy_is_asked_for_once_a_second(
    hanging: Callable[..., Services], asked: list[str], clock: ManualClock, address: str
) -> None:
    plain = create_app(hanging(cache_max_bytes=0)).test_client()
    hot = AsgiClient.of(hanging())
    for client in (plain, hot):
        client.get(address)
    clock.move(OLD)
    for seconds in (0, 1.5, 1.5):
        clock.move(seconds)
        hot.get(address)
        one = plain.get(address)
        asked.clear()
        for _ in range(4):
            other = hot.get(address)
            assert other.data == one.data
            assert words(other) == words(one)
            assert other.headers["Cache-Status"] == one.headers["Cache-Status"]
            assert other.headers["Cache-Status"].endswith("; detail=stale")
        assert asked == []
        with_it = {"If-None-Match": one.headers["ETag"]}
        one, other = (client.get(address, headers=with_it) for client in (plain, hot))
        assert one.status_code == other.status_code == 304
        assert words(other) == words(one)
        assert asked == [address]


def test_while_upstream_refuses_the_old_copy_is_asked_for_once_a_second(
    client: AsgiClient, parts: Services, asked: list[str], clock: ManualClock, faults: Faults
) -> None:
    client.get(FEED)
    clock.move(OLD)
    refused(parts, faults)
    asked.clear()
    for age in (400, 400, 400):
        answer = client.get(FEED)
        assert answer.headers["Cache-Status"] == "bridge; fwd=stale; detail=failed"
        assert answer.headers["Age"] == str(age)
    assert asked == [FEED]
    clock.move(0.9)
    client.get(FEED)
    assert asked == [FEED]
    # the next probe is due after at most 1.1 seconds
    clock.move(0.3)
    before = parts.refresher.changes
    client.get(FEED)
    assert asked == [FEED] * 2
    # it began that probe, whose end is something new
    changes(parts, before)
    for _ in range(3):
        assert client.get(FEED).headers["Age"] == "401"
    assert asked == [FEED] * 3


def test_a_new_copy_is_seen_at_once(
    client: AsgiClient, parts: Services, clock: ManualClock, faults: Faults
) -> None:
    client.get(FEED)
    clock.move(OLD)
    faults.set("delay", 0.3)
    before = parts.refresher.changes
    for _ in range(2):
        assert client.get(FEED).headers["Cache-Status"].endswith("; detail=stale")
    changes(parts, before)
    # at the very same time
    assert "stale" not in client.get(FEED).headers["Cache-Status"]


def test_a_new_copy_is_seen_before_its_refresh_has_tidied_up(
    client: AsgiClient,
    parts: Services,
    clock: ManualClock,
    faults: Faults,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client.get(FEED)
    tidy = threading.Event()
    monkeypatch.setattr(Backoff, "clear", lambda *_: tidy.wait(60))
    clock.move(OLD)
    faults.set("delay", 0.3)
    before = parts.refresher.changes
    for _ in range(2):
        assert client.get(FEED).headers["Cache-Status"].endswith("; detail=stale")
    changes(parts, before)
    assert "stale" not in client.get(FEED).headers["Cache-Status"]
    tidy.set()


def test_a_copy_that_became_too_old_is_gone_within_a_second(
    client: AsgiClient, parts: Services, clock: ManualClock, faults: Faults
) -> None:
    client.get(FEED)
    most = (
        FreshnessPolicy.of(parts.config).ttl_of(parts.router.widest_key)
        + parts.config.stale_if_error
    )
    clock.move(OLD)
    refused(parts, faults)
    clock.move(most - OLD - 0.5)
    for _ in range(3):
        assert client.get(FEED).status_code == 200
    clock.move(1)
    for _ in range(3):
        answer = client.get(FEED)
        assert answer.status_code == 503
        assert answer.headers["Cache-Control"] == "no-store"


def test_a_private_feed_and_one_without_a_cache_are_asked_for_each_time_when_old(
    hanging: Callable[..., Services], asked: list[str], clock: ManualClock
) -> None:
    bridges = [hanging(signing_keys=KEYS), hanging(cache_max_bytes=0)]
    token = bridges[0].private.sign(Grant(Kind.VENUE, 12, (), audience([Visibility.PUBLIC])))
    clock.move(OLD)
    for parts, path in zip(bridges, (f"/private/{token}.ics", FEED), strict=True):
        client = AsgiClient.of(parts)
        asked.clear()
        for _ in range(3):
            assert client.get(path).headers["Cache-Status"].endswith("; detail=stale")
        assert asked == [path] * 3
