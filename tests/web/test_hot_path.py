"""The hot path: what is fresh is answered without the application, and with the same words."""

from collections.abc import Callable
from typing import Any

import pytest
from clocks import ManualClock
from flask import Flask, request
from flask.testing import FlaskClient
from werkzeug.test import create_environ

from bridge.feeds.private import Grant, audience
from bridge.feeds.spec import Kind
from bridge.model import Visibility
from bridge.services import Services
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
OF_THE_REQUEST = {"X-Request-Id", "Cache-Status", "Date"}


def words(answer: Any) -> dict[str, str]:
    return {name: value for name, value in answer.headers if name not in OF_THE_REQUEST}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that the application was asked for."""
    paths: list[str] = []
    dispatch = Flask.full_dispatch_request

    def noted(app: Flask) -> Any:
        if app.name == "bridge.web":
            paths.append(request.path)
        return dispatch(app)

    monkeypatch.setattr(Flask, "full_dispatch_request", noted)
    return paths


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_answer_that_is_ready_says_what_the_application_would(
    make_bridge: Callable[..., Services], asked: list[str], address: str
) -> None:
    plain = create_app(make_bridge(cache_max_bytes=0)).test_client()
    hot = create_app(make_bridge()).test_client()
    for headers in ({}, {"Accept-Encoding": "gzip"}, {"Accept-Language": "de"}):
        for client in (plain, hot, hot):
            client.get(address, headers=headers)
        one = plain.get(address, headers=headers)
        asked.clear()
        other = hot.get(address, headers=headers)
        assert asked == []
        assert other.data == one.data
        assert words(other) == {"Age": "0", **words(one)}
        if "ETag" in one.headers:
            with_it = {**headers, "If-None-Match": one.headers["ETag"]}
            one, other = (client.get(address, headers=with_it) for client in (plain, hot))
            assert one.status_code == other.status_code == 304
            assert words(other) == {"Age": "0", **words(one)}
    assert words(hot.head(address)) == {"Age": "0", **words(plain.head(address))}


def test_the_cache_is_off_where_it_may_keep_nothing(
    make_bridge: Callable[..., Services], asked: list[str]
) -> None:
    client = create_app(make_bridge(cache_max_bytes=0)).test_client()
    for _ in range(3):
        assert client.get(FEED).status_code == 200
    assert asked == [FEED] * 3


@pytest.mark.parametrize("address", ["/status", "/metrics", "/healthz", "/readyz", "/nothing"])
def test_what_is_for_few_or_for_the_moment_is_asked_for_each_time(
    make_bridge: Callable[..., Services], asked: list[str], address: str
) -> None:
    client = create_app(make_bridge(operator_token="a-token-of-the-owner")).test_client()
    for _ in range(2):
        client.get(address, auth=("x", "a-token-of-the-owner"))
    assert asked == [address] * 2


def test_a_private_feed_is_asked_for_each_time(
    make_bridge: Callable[..., Services], asked: list[str]
) -> None:
    parts = make_bridge(signing_keys=KEYS)
    client = create_app(parts).test_client()
    token = parts.private.sign(Grant(Kind.VENUE, 12, (), audience([Visibility.PUBLIC])))
    path = f"/private/{token}.ics"
    tag = client.get(path).headers["ETag"]
    assert client.get(path, headers={"If-None-Match": tag}).status_code == 304
    assert len(asked) == 2


def test_a_feed_is_kept_once_and_not_copied(make_bridge: Callable[..., Services]) -> None:
    app = create_app(make_bridge())
    environ = {"path": FEED, "base_url": "http://localhost"}
    [first], [second], [third] = (
        app.wsgi_app(create_environ(**environ), lambda status, headers, exc_info=None: None)
        for _ in range(3)
    )
    assert first is second is third


def test_what_is_ready_is_asked_for_once_a_second(
    client: FlaskClient, asked: list[str], clock: ManualClock
) -> None:
    for _ in range(5):
        client.get(FEED)
    # it had to be fetched; it was at hand
    assert asked == [FEED] * 2
    clock.move(1)
    for _ in range(5):
        client.get(FEED)
    assert asked == [FEED] * 3
