"""The hot path: cached responses are sent without calling Flask, and are the same."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgi_client import AsgiClient
from clocks import ManualClock

from bridge.feeds.params import feed_spec
from bridge.feeds.private import FeedGrant, new_audience
from bridge.feeds.spec import Kind
from bridge.model import Visibility
from bridge.sandbox.faults import Faults
from bridge.sandbox.studio import Studio
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
VOLATILE_HEADERS = {"X-Request-Id", "Cache-Status", "x-request-id", "cache-status"}


def stable_headers(answer: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in answer.headers if name not in VOLATILE_HEADERS}


@pytest.fixture
def studio(near_studio: Studio) -> Studio:
    return near_studio


@pytest.fixture
def parts(make_bridge: Callable[..., Services]) -> Services:
    return make_bridge()


@pytest.fixture
def client(parts: Services) -> AsgiClient:
    return AsgiClient.of(parts)


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_cached_response_equals_that_of_the_application(
    make_bridge: Callable[..., Services], flask_requests: list[str], address: str
) -> None:
    plain = create_app(make_bridge(cache_max_bytes=0)).test_client()
    hot = AsgiClient.of(make_bridge())
    for headers in ({}, {"Accept-Encoding": "gzip"}, {"Accept-Language": "de"}):
        for client in (plain, hot, hot):
            client.get(address, headers=headers)
        expected = plain.get(address, headers=headers)
        flask_requests.clear()
        cached = hot.get(address, headers=headers)
        assert flask_requests == []
        assert cached.data == expected.data
        assert stable_headers(cached) == {"age": "0", **stable_headers(expected)}
        if "ETag" in expected.headers:
            conditional = {**headers, "If-None-Match": expected.headers["ETag"]}
            expected, cached = (client.get(address, headers=conditional) for client in (plain, hot))
            assert expected.status_code == cached.status_code == 304
            assert stable_headers(cached) == {"age": "0", **stable_headers(expected)}
    assert stable_headers(hot.head(address)) == {"age": "0", **stable_headers(plain.head(address))}


def test_the_cache_is_off_if_its_size_is_0(
    make_bridge: Callable[..., Services], flask_requests: list[str]
) -> None:
    client = AsgiClient.of(make_bridge(cache_max_bytes=0))
    for _ in range(3):
        assert client.get(FEED).status_code == 200
    assert flask_requests == [FEED] * 3


@pytest.mark.parametrize("address", ["/status", "/metrics", "/nothing"])
def test_operator_pages_and_errors_are_not_cached(
    make_bridge: Callable[..., Services], flask_requests: list[str], address: str
) -> None:
    client = AsgiClient.of(make_bridge(operator_token="a-token-of-the-owner"))
    for _ in range(2):
        client.get(address, {"Authorization": "Bearer a-token-of-the-owner"})
    assert flask_requests == [address] * 2


@pytest.mark.parametrize("suffix", [".ics", ""])
def test_a_private_feed_and_its_page_are_not_cached(
    make_bridge: Callable[..., Services], flask_requests: list[str], suffix: str
) -> None:
    parts = make_bridge(signing_keys=KEYS)
    client = AsgiClient.of(parts)
    token = parts.private.sign(FeedGrant(Kind.VENUE, 12, (), new_audience([Visibility.PUBLIC])))
    path = f"/private/{token}{suffix}"
    tag = client.get(path).headers["ETag"]
    assert client.get(path, headers={"If-None-Match": tag}).status_code == 304
    assert len(flask_requests) == 2


def test_a_cached_response_is_revalidated_once_a_second(
    client: AsgiClient, flask_requests: list[str], clock: ManualClock
) -> None:
    for _ in range(5):
        client.get(FEED)
    assert flask_requests == [FEED]
    clock.move(1)
    for _ in range(5):
        client.get(FEED)
    assert flask_requests == [FEED] * 2


# Stale snapshots

STALE_SECONDS = 400
"""The age at which a snapshot is stale."""


@pytest.fixture
def hanging(
    make_bridge: Callable[..., Services], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Services]]:
    """Makes bridges with a snapshot, whose upstream no longer answers."""
    hangs, finished = threading.Event(), threading.Event()
    page = Client.page

    def blocked(*args: Any, **kwargs: Any) -> Any:
        if hangs.is_set():
            finished.wait(60)
        return page(*args, **kwargs)

    monkeypatch.setattr(Client, "page", blocked)

    def make(**fields: Any) -> Services:
        parts = make_bridge(**fields)
        hangs.clear()
        create_app(parts).test_client().get(FEED)
        hangs.set()
        return parts

    yield make
    finished.set()


def wait_for_change(parts: Services, before: int) -> None:
    """Wait until the change token differs from *before*."""
    until = time.monotonic() + 20
    while parts.refresher.generation == before:
        assert time.monotonic() < until
        time.sleep(0.005)


def reject_requests(parts: Services, faults: Faults) -> None:
    """Make upstream reject requests, and wait until the bridge has noticed."""
    faults.set("status", 403)
    before = parts.refresher.generation
    parts.router.find(feed_spec(Kind.VENUE, 12, (), parts.defaults).filter_set)
    wait_for_change(parts, before)


@pytest.mark.parametrize("address", ["/venues/12.ics", "/venues/12.json", "/venues/12", "/"])
def test_while_upstream_hangs_a_stale_response_is_revalidated_once_a_second(
    hanging: Callable[..., Services], flask_requests: list[str], clock: ManualClock, address: str
) -> None:
    plain = create_app(hanging(cache_max_bytes=0)).test_client()
    hot = AsgiClient.of(hanging())
    for client in (plain, hot):
        client.get(address)
    clock.move(STALE_SECONDS)
    for seconds in (0, 1.5, 1.5):
        clock.move(seconds)
        hot.get(address)
        expected = plain.get(address)
        flask_requests.clear()
        for _ in range(4):
            cached = hot.get(address)
            assert cached.data == expected.data
            assert stable_headers(cached) == stable_headers(expected)
            assert cached.headers["Cache-Status"] == expected.headers["Cache-Status"]
            assert cached.headers["Cache-Status"].endswith("; detail=stale")
        assert flask_requests == []
        conditional = {"If-None-Match": expected.headers["ETag"]}
        expected, cached = (client.get(address, headers=conditional) for client in (plain, hot))
        assert expected.status_code == cached.status_code == 304
        assert stable_headers(cached) == stable_headers(expected)
        assert flask_requests == [address]


def test_while_upstream_rejects_a_stale_response_is_revalidated_once_a_second(
    client: AsgiClient,
    parts: Services,
    flask_requests: list[str],
    clock: ManualClock,
    faults: Faults,
) -> None:
    client.get(FEED)
    clock.move(STALE_SECONDS)
    reject_requests(parts, faults)
    flask_requests.clear()
    for age in (400, 400, 400):
        answer = client.get(FEED)
        assert answer.headers["Cache-Status"] == "bridge; fwd=stale; detail=failed"
        assert answer.headers["Age"] == str(age)
    assert flask_requests == [FEED]
    clock.move(0.9)
    client.get(FEED)
    assert flask_requests == [FEED]
    # The next probe is due after at most 1.1 seconds.
    clock.move(0.3)
    before = parts.refresher.generation
    client.get(FEED)
    assert flask_requests == [FEED] * 2
    # This request started the probe, whose end changes the token.
    wait_for_change(parts, before)
    for _ in range(3):
        assert client.get(FEED).headers["Age"] == "401"
    assert flask_requests == [FEED] * 3


def test_a_new_snapshot_is_served_at_once(
    client: AsgiClient, parts: Services, clock: ManualClock, faults: Faults
) -> None:
    client.get(FEED)
    clock.move(STALE_SECONDS)
    faults.set("delay", 0.3)
    before = parts.refresher.generation
    for _ in range(2):
        assert client.get(FEED).headers["Cache-Status"].endswith("; detail=stale")
    wait_for_change(parts, before)
    # without any time passing
    assert "stale" not in client.get(FEED).headers["Cache-Status"]


def test_a_new_snapshot_is_served_before_its_refresh_has_finished(
    client: AsgiClient,
    parts: Services,
    clock: ManualClock,
    faults: Faults,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client.get(FEED)
    finish = threading.Event()
    monkeypatch.setattr(Backoff, "clear", lambda *_: finish.wait(60))
    clock.move(STALE_SECONDS)
    faults.set("delay", 0.3)
    before = parts.refresher.generation
    for _ in range(2):
        assert client.get(FEED).headers["Cache-Status"].endswith("; detail=stale")
    wait_for_change(parts, before)
    assert "stale" not in client.get(FEED).headers["Cache-Status"]
    finish.set()


def test_a_snapshot_that_is_too_old_is_not_served_after_a_second(
    client: AsgiClient, parts: Services, clock: ManualClock, faults: Faults
) -> None:
    client.get(FEED)
    max_age = (
        FreshnessPolicy.of(parts.config).ttl_of(parts.router.widest_keys[0].text)
        + parts.config.stale_if_error
    )
    clock.move(STALE_SECONDS)
    reject_requests(parts, faults)
    clock.move(max_age - STALE_SECONDS - 0.5)
    for _ in range(3):
        assert client.get(FEED).status_code == 200
    clock.move(1)
    for _ in range(3):
        answer = client.get(FEED)
        assert answer.status_code == 503
        assert answer.headers["Cache-Control"] == "no-store"


def test_stale_responses_are_not_cached_for_private_feeds_or_without_a_cache(
    hanging: Callable[..., Services], flask_requests: list[str], clock: ManualClock
) -> None:
    bridges = [hanging(signing_keys=KEYS), hanging(cache_max_bytes=0)]
    token = bridges[0].private.sign(
        FeedGrant(Kind.VENUE, 12, (), new_audience([Visibility.PUBLIC]))
    )
    clock.move(STALE_SECONDS)
    for parts, path in zip(bridges, (f"/private/{token}.ics", FEED), strict=True):
        client = AsgiClient.of(parts)
        flask_requests.clear()
        for _ in range(3):
            assert client.get(path).headers["Cache-Status"].endswith("; detail=stale")
        assert flask_requests == [path] * 3
