"""Tests of the sandbox's HTTP server: address, recorded requests, start and stop."""

import http.client
import json
import logging
from contextlib import closing

import pytest
import requests

from bridge.sandbox import http_server
from bridge.sandbox.api import create_api
from bridge.sandbox.http_server import SandboxServer, serve_forever
from bridge.sandbox.studio import Studio

HEADERS = {"Authorization": "Bearer sandbox-token", "X-Requested-By": "the test"}


def test_the_server_answers_on_loopback_until_it_is_stopped(session: requests.Session) -> None:
    server = SandboxServer(create_api(Studio()))
    assert server.url.startswith("http://127.0.0.1:")
    assert server.url.endswith("/api/v2")
    server.start()
    assert session.get(f"{server.url}/course_sessions", headers=HEADERS, timeout=5).ok
    server.stop()
    with pytest.raises(requests.exceptions.ConnectionError):
        session.get(f"{server.url}/course_sessions", headers=HEADERS, timeout=5)


def test_a_stopped_server_restarts_on_the_same_port(session: requests.Session) -> None:
    server = SandboxServer(create_api(Studio()))
    url = server.url
    for _ in range(2):
        with server:
            assert server.url == url
            assert session.get(f"{url}/course_sessions", headers=HEADERS, timeout=5).ok


def test_a_connection_stays_open_until_the_server_stops() -> None:
    server = SandboxServer(create_api(Studio()))
    client = http.client.HTTPConnection(server.origin.removeprefix("http://"), timeout=5)
    with server, closing(client):
        for _ in range(2):
            client.request("GET", "/api/v2/course_sessions", headers=HEADERS)
            assert json.loads(client.getresponse().read())["count"] == 0
        connection = client.sock
        server.stop()
        assert connection.recv(1) == b""


def test_the_api_can_be_replaced_while_it_runs(session: requests.Session) -> None:
    with SandboxServer(create_api(Studio())) as server:
        server.app = create_api(Studio(), token="another")
        assert (
            session.get(f"{server.url}/course_sessions", headers=HEADERS, timeout=5).status_code
            == 401
        )


def test_a_server_that_never_started_can_be_stopped_twice() -> None:
    server = SandboxServer(create_api(Studio()))
    server.stop()
    server.stop()


@pytest.mark.parametrize("path", ["/api/v2//course_sessions", "/api/v2/course_sessions/"])
def test_doubled_and_trailing_slashes_are_tolerated(session: requests.Session, path: str) -> None:
    with SandboxServer(create_api(Studio())) as server:
        response = session.get(
            f"{server.origin}{path}", headers=HEADERS, timeout=5, allow_redirects=False
        )
    assert response.status_code == 200


def test_an_unknown_path_or_method_has_teamups_body(session: requests.Session) -> None:
    with SandboxServer(create_api(Studio())) as server:
        response = session.get(f"{server.url}/attendances", timeout=5)
        assert (response.status_code, response.json()["code"]) == (404, "not_found")
        response = session.post(f"{server.url}/course_sessions", timeout=5)
        assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")


def test_requests_are_recorded_and_can_be_cleared(session: requests.Session) -> None:
    with SandboxServer(create_api(Studio())) as server:
        args = {"venues": ["1", "2"], "sort": "start", "page": ""}
        session.get(f"{server.url}/course_sessions", params=args, headers=HEADERS, timeout=5)
        (recorded,) = server.requests
        assert (recorded.method, recorded.path) == ("GET", "/api/v2/course_sessions")
        assert recorded.args == {"venues": ["1", "2"], "sort": ["start"], "page": [""]}
        assert recorded.headers["x-requested-by"] == "the test"
        server.requests.clear()
        assert server.requests == []


def test_only_the_latest_requests_are_remembered(
    session: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_server, "_MAX_RECORDED", 2)
    with SandboxServer(create_api(Studio())) as server:
        for name in "abc":
            session.get(f"{server.origin}/{name}", timeout=5)
        assert [recorded.path for recorded in server.requests] == ["/b", "/c"]


def test_requests_are_not_logged(
    session: requests.Session, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG, "werkzeug"), SandboxServer(create_api(Studio())) as server:
        session.get(f"{server.url}/course_sessions", headers=HEADERS, timeout=5)
    assert not caplog.records
    assert capfd.readouterr().err == ""


def test_serve_forever_announces_the_url(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    urls: list[str] = []

    def run(server: SandboxServer) -> None:
        urls.append(server.url)
        server.stop()

    monkeypatch.setattr(SandboxServer, "run", run)
    serve_forever(Studio(), port=0, token="t0", announce=lines.append)
    assert lines == [f"The sandbox studio answers at {urls[0]} (token: t0)"]
