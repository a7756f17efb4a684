"""The access log: log lines, summaries and request counts."""

import io
import json
import re
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

import pytest
from asgi_client import AsgiClient
from flask import Flask
from flask.testing import FlaskClient
from structlog.testing import capture_logs

from bridge.config import Config, LogRequests
from bridge.feeds.private import FeedGrant, new_audience
from bridge.feeds.spec import Kind
from bridge.model import Visibility
from bridge.ops import log_config
from bridge.sandbox.faults import Faults
from bridge.sandbox.studio import Studio
from bridge.services import Services
from bridge.web import create_app

Lines = list[MutableMapping[str, Any]]

PASSWORD = "an-operators-password"
KEY = "a-key-that-signs-private-feeds"


@pytest.fixture
def studio(near_studio: Studio) -> Studio:
    return near_studio


@pytest.fixture
def lines() -> Iterator[Lines]:
    with capture_logs() as captured:
        yield captured


def requests(lines: Lines) -> Lines:
    return [line for line in lines if line["event"] == "request"]


def counted(parts: Services) -> dict[tuple[str, str, str, str], float]:
    """The number of responses by route, method, status and cache outcome."""
    counts = {}
    for line in parts.metrics.exposition().decode().splitlines():
        if line.startswith("bridge_requests_total{"):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', line))
            key = (labels["route"], labels["method"], labels["status"], labels["cache"])
            counts[key] = float(line.rpartition(" ")[2])
    return counts


FEED = "/venues/<feed_id:identity>.<feed_format:form>"


class TestRequestId:
    @pytest.mark.parametrize("path", ["/venues/12.ics", "/", "/nowhere", "/venues/12.ics?past=x"])
    def test_every_response_has_its_own(self, client: FlaskClient, path: str) -> None:
        ids = [client.get(path).headers.getlist("X-Request-Id") for _ in range(2)]
        assert all(re.fullmatch("[0-9a-f]{16}", request_id) for [request_id] in ids)
        assert ids[0] != ids[1]

    def test_every_log_line_of_the_request_contains_it(
        self, make_bridge: Callable[..., Services], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        parts = make_bridge(log_format="json", log_level="info")
        app = create_app(parts)
        app.add_url_rule("/fails", view_func=fail)
        stderr = io.StringIO()
        monkeypatch.setattr(log_config, "STDERR", stderr)
        with Configured(parts.config):
            answer = app.test_client().get("/fails.txt")
            failed = app.test_client().get("/fails")
            log_config.structlog.get_logger().info("outside of the request")
        first, broken, last, outside = map(json.loads, stderr.getvalue().splitlines())
        assert first["request_id"] == answer.headers["X-Request-Id"]
        assert broken["request_id"] == last["request_id"] == failed.headers["X-Request-Id"]
        assert "an error of the test's own" in broken["exception"]
        assert failed.headers["X-Request-Id"] in failed.text
        assert "request_id" not in outside


def fail() -> str:
    raise RuntimeError("an error of the test's own")


class Configured:
    """Configures logging by *config* until the end of the block."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def __enter__(self) -> None:
        self._previous = log_config.structlog.get_config()
        log_config.configure(self._config.log_format, self._config.log_level)

    def __exit__(self, *error: object) -> None:
        log_config.structlog.configure(**self._previous)


class TestLogLines:
    def test_a_response_of_the_application_gets_a_line(
        self, client: FlaskClient, lines: Lines
    ) -> None:
        client.get("/venues/12-kings-cross.ics?past=3")
        [line] = requests(lines)
        assert line["method"] == "GET"
        assert line["route"] == FEED
        assert line["path"] == "/venues/12-kings-cross.ics"
        assert line["status"] == 200
        assert line["cache"] == "miss"
        assert line["milliseconds"] > 0

    @pytest.mark.parametrize("form", ["json", "console"])
    def test_a_line_is_written_with_its_newline_at_once(
        self, make_bridge: Callable[..., Services], monkeypatch: pytest.MonkeyPatch, form: str
    ) -> None:
        written: list[str] = []
        unbuffered = io.StringIO()
        unbuffered.write = written.append  # type: ignore[assignment, method-assign]
        monkeypatch.setattr(log_config, "STDERR", unbuffered)
        with Configured(make_bridge(log_format=form, log_level="info").config):
            for number in range(3):
                log_config.structlog.get_logger().info("event", number=number)
        assert [line.count("\n") for line in written] == [1] * 3
        assert all(line.endswith("\n") for line in written)

    def test_cached_responses_are_summarised(
        self, make_bridge: Callable[..., Services], lines: Lines
    ) -> None:
        parts = make_bridge()
        client = AsgiClient.of(parts)
        for _ in range(6):
            client.get("/venues/12.ics")
        for _ in range(2):
            client.get("/venues/12")
        assert len(requests(lines)) == 1
        parts.periodic.run_once()
        parts.periodic.run_once()
        [summary] = [line for line in lines if line["event"] == "ready answers"]
        assert summary["count"] == 7
        assert summary["routes"] == {f"{FEED} hit": 5, "/venues/<feed_id:identity> hit": 2}

    def test_an_outage_does_not_fill_the_log(
        self, make_bridge: Callable[..., Services], lines: Lines, faults: Faults, clock: Any
    ) -> None:
        parts = make_bridge(stale_while_revalidate=0)
        client = create_app(parts).test_client()
        client.get("/venues/12.ics")
        clock.move(400)
        faults.set("status", 500)
        for _ in range(3):
            client.get("/venues/12.ics")
        assert len(requests(lines)) == 1
        parts.periodic.run_once()
        [summary] = [line for line in lines if line["event"] == "ready answers"]
        assert summary["routes"] == {f"{FEED} failed": 3}

    def test_with_log_requests_all_each_response_gets_a_line(
        self, make_bridge: Callable[..., Services], lines: Lines
    ) -> None:
        parts = make_bridge(log_requests=LogRequests.ALL)
        client = AsgiClient.of(parts)
        for _ in range(3):
            client.get("/venues/12.ics")
        assert len(requests(lines)) == 3
        parts.periodic.run_once()
        assert not [line for line in lines if line["event"] == "ready answers"]

    def test_rejected_requests_get_a_line(self, client: FlaskClient, lines: Lines) -> None:
        client.get("/venues/12.ics?past=x")
        client.post("/venues/12.ics")
        client.get("/nowhere")
        assert [line["status"] for line in requests(lines)] == [400, 405, 404]

    @pytest.mark.parametrize(
        "path",
        ["/private/{}.ics", "/Private/{}.ics", "//private/{}.ics", "/a/private/{}", "/{}.ics"],
    )
    def test_no_line_contains_the_address_of_a_private_feed(
        self, make_bridge: Callable[..., Services], lines: Lines, path: str
    ) -> None:
        parts = make_bridge(signing_keys=(KEY,), log_requests=LogRequests.ALL)
        token = private(parts)
        client = create_app(parts).test_client()
        client.get("/", environ_overrides={"PATH_INFO": path.format("short")})
        assert "short" not in repr(lines) or "private" not in path.lower()
        lines.clear()
        client.get("/", environ_overrides={"PATH_INFO": path.format(token)})
        assert len(requests(lines)) == 1
        assert token not in repr(lines)
        assert token[5:15] not in repr(lines)

    def test_a_long_path_is_truncated(self, client: FlaskClient, lines: Lines) -> None:
        client.get("/x" * 1_500)
        assert len(requests(lines)[0]["path"]) == 200


def private(parts: Services) -> str:
    audience = new_audience((Visibility.PUBLIC, Visibility.PRIVATE), label="Staff")
    return parts.private.sign(FeedGrant(Kind.VENUE, 12, (), audience))


class TestCounts:
    def test_every_response_is_counted_once_by_cache_outcome(
        self, make_bridge: Callable[..., Services], faults: Faults, clock: Any
    ) -> None:
        parts = make_bridge(cache_ttl=100, stale_while_revalidate=0)
        client = AsgiClient.of(parts)
        for _ in range(3):
            client.get("/venues/12.ics")
        client.head("/venues/12.ics")
        client.request("OPTIONS", "/venues/12.ics")
        client.request("BREW", "/venues/12.ics")
        client.get("/venues/12.ics?past=x")
        client.get("/healthz")
        client.get("/nowhere")
        clock.move(200)
        client.get("/venues/12.ics")
        clock.move(200)
        faults.set("status", 500)
        client.get("/venues/12.ics")
        assert counted(parts) == {
            (FEED, "GET", "200", "miss"): 1,
            (FEED, "GET", "200", "hit"): 2,
            (FEED, "HEAD", "200", "hit"): 1,
            (FEED, "OPTIONS", "200", "none"): 1,
            ("none", "other", "405", "none"): 1,
            (FEED, "GET", "400", "none"): 1,
            ("/healthz", "GET", "200", "none"): 1,
            ("none", "GET", "404", "none"): 1,
            (FEED, "GET", "200", "refreshed"): 1,
            (FEED, "GET", "200", "failed"): 1,
        }

    def test_a_failed_request_is_counted(self, make_bridge: Callable[..., Services]) -> None:
        parts = make_bridge()
        app = create_app(parts)
        app.add_url_rule("/fails", view_func=fail)
        assert app.test_client().get("/fails").status_code == 500
        assert counted(parts) == {("/fails", "GET", "500", "none"): 1}

    def test_ten_thousand_addresses_make_no_new_series(
        self, make_bridge: Callable[..., Services]
    ) -> None:
        parts = make_bridge()
        app = create_app(parts)
        call(app, 0)
        before = series(parts)
        for number in range(1, 10_000):
            call(app, number)
        assert series(parts) == before
        assert sum(counted(parts).values()) == 10_000


def series(parts: Services) -> set[str]:
    text = parts.metrics.exposition().decode()
    return {line.rpartition(" ")[0] for line in text.splitlines() if line[:1] != "#"}


def call(app: Flask, number: int) -> None:
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": f"/{number}/made-up-{number}.txt",
        "QUERY_STRING": f"n={number}",
        "HTTP_USER_AGENT": f"made-up/{number}",
        "HTTP_HOST": f"{number}.example",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
    }
    list(app.wsgi_app(environ, lambda status, headers, exc_info=None: print))
