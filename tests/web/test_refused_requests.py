"""Requests that are refused whatever their route, and exceptions outside of the application."""

from collections.abc import Callable
from typing import Any

import pytest
from asgi_client import AsgiClient
from flask.testing import FlaskClient
from security.canaries import OPERATOR
from structlog.testing import capture_logs

from bridge.feeds.private import FeedGrant, new_audience
from bridge.feeds.spec import Kind
from bridge.services import Services
from bridge.web import asgi, create_app

FEED = "/sessions.ics"
UNPARSABLE = ("Basic é", "Basic =", "Basic /", "Bearer é", "é", "Digest é")


@pytest.fixture(scope="module", params=["ASGI", "WSGI"])
def get(request: Any, site: FlaskClient) -> Callable[..., Any]:
    """Sends a request of any method to a bridge, as a server of this kind does."""
    if request.param == "ASGI":
        client = AsgiClient(site.application)
        return lambda path, method="GET", **headers: client.request(method, path, headers)

    def call(path: str, method: str = "GET", **headers: str) -> Any:
        # With the path as it is: the test client would remove doubled slashes.
        overrides = {"PATH_INFO": path, "REQUEST_METHOD": method}
        return site.get("/", environ_overrides=overrides, headers=headers)

    return call


class TestMethods:
    @pytest.mark.parametrize("method", ["get", "Get", "head", "options", "POST", "BREW", "GET "])
    @pytest.mark.parametrize("path", [FEED, "/sessions", "/healthz", "/robots.txt", "/nowhere"])
    def test_only_get_head_and_options_are_accepted_in_this_spelling(
        self, get: Callable[..., Any], method: str, path: str
    ) -> None:
        response = get(path, method)
        assert response.status_code == 405
        assert response.headers["Allow"] == "GET, HEAD, OPTIONS"

    def test_options_is_answered(self, get: Callable[..., Any]) -> None:
        assert get(FEED, "OPTIONS").status_code == 200


class TestPaths:
    @pytest.mark.parametrize(
        "path",
        ["//sessions.ics", "////sessions.ics", "//", "//healthz", "/venues//12", "//robots.txt"],
    )
    def test_a_path_with_a_doubled_slash_is_404(self, get: Callable[..., Any], path: str) -> None:
        response = get(path)
        assert response.status_code == 404
        assert "Location" not in response.headers

    def test_a_private_feed_has_one_address(self, make_bridge: Callable[..., Services]) -> None:
        parts = make_bridge(signing_keys=("a key",))
        grant = FeedGrant(Kind.SESSION, None, (), new_audience(()))
        client = AsgiClient.of(parts)
        address = f"/private/{parts.private.sign(grant)}.ics"
        assert client.get(address).status_code == 200
        assert client.get(f"/{address}").status_code == 404


class TestCredentials:
    @pytest.mark.parametrize("authorization", UNPARSABLE)
    def test_credentials_that_cannot_be_parsed_are_none(
        self, make_bridge: Callable[..., Services], authorization: str
    ) -> None:
        app = create_app(make_bridge(operator_token=OPERATOR))
        for client in (AsgiClient(app), app.test_client()):
            for path, status in {
                "/healthz": 200, "/readyz": 503, "/status": 401, "/metrics": 401,
            }.items():  # fmt: skip
                response = client.get(path, headers={"Authorization": authorization})
                assert response.status_code == status, path
                assert response.data


class TestLongHeaders:
    @pytest.mark.parametrize("name", ["Accept-Encoding", "Accept-Language"])
    def test_a_long_list_of_preferences_is_not_parsed_in_the_event_loop(
        self,
        make_bridge: Callable[..., Services],
        monkeypatch: pytest.MonkeyPatch,
        name: str,
    ) -> None:
        client = AsgiClient.of(make_bridge())
        parsed: list[str] = []
        for function in ("accepts_gzip", "preferred_language"):
            monkeypatch.setattr(asgi, function, lambda text, *_: parsed.append(text))
        assert client.get(FEED, {name: f"gzip{';a' * 7_000}"}).status_code == 200
        assert parsed == []

    def test_probes_need_no_language(
        self, make_bridge: Callable[..., Services], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client = AsgiClient.of(make_bridge())
        monkeypatch.delattr(asgi, "preferred_language")
        assert client.get("/healthz", {"Accept-Language": "fi"}).status_code == 200


class TestExceptions:
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_an_exception_in_the_event_loop_is_logged_counted_and_a_500(
        self,
        make_bridge: Callable[..., Services],
        monkeypatch: pytest.MonkeyPatch,
        method: str,
    ) -> None:
        parts = make_bridge()
        client = AsgiClient.of(parts)

        def fail(*_: object) -> None:
            raise RuntimeError("the cause")

        monkeypatch.setattr(asgi, "accepts_gzip", fail)
        with capture_logs() as lines:
            response = client.request(method, FEED)
        assert response.status_code == 500
        assert response.headers["Cache-Control"] == "no-store"
        request_id = response.headers["X-Request-Id"]
        body = f"Internal error of the bridge. The error is logged with the ID {request_id};"
        assert response.data.startswith(body.encode() if method == "GET" else b"")
        assert (response.data == b"") == (method == "HEAD")
        [error] = [line for line in lines if line["log_level"] == "error"]
        assert error["request_id"] == request_id
        assert error["exc_info"]
        assert (
            f'bridge_requests_total{{cache="none",method="{method}",route="none",status="500"}} 1.0'
            in parts.metrics.exposition().decode()
        )
