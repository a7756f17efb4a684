"""``check`` fetches a feed, a page and an asset through the public address, as visitors do."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tls import TlsFront
from upstreams import raw
from valkey import free_port
from werkzeug.serving import WSGIRequestHandler, make_server

from bridge.clock import SystemClock
from bridge.config import Config
from bridge.diagnostics import network_checks
from bridge.diagnostics.address_checks import check_address
from bridge.diagnostics.findings import CheckReport, Level
from bridge.services import Services
from bridge.web import create_app

Settings = Callable[..., Config]
App = Callable[..., Any]
Proxy = Callable[[App], App]
Served = Callable[..., str]
PREFIX = "/cal"


class Quiet(WSGIRequestHandler):
    def log(self, *args: object) -> None:
        pass


@contextmanager
def listening(app: App, port: int) -> Iterator[None]:
    server = make_server("127.0.0.1", port, app, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def elsewhere(status: str) -> App:
    """Another site, or the proxy itself."""

    def app(environ: dict[str, str], start_response: App) -> list[bytes]:
        start_response(status, [("Content-Type", "text/html")])
        return [b"<p>not the bridge"]

    return app


def stripping(app: App) -> App:
    """A proxy that serves *app* below the path, which it removes, and another site elsewhere."""

    def proxy(environ: dict[str, str], start_response: App) -> Any:
        path = environ["PATH_INFO"]
        if not path.startswith(f"{PREFIX}/"):
            return elsewhere("404 Not Found")(environ, start_response)
        behind = {**environ, "PATH_INFO": path.removeprefix(PREFIX)}
        return app(behind, start_response)

    return proxy


def keeping(app: App) -> App:
    """A proxy that forwards requests below the path as they are, as nginx does without a slash."""

    def proxy(environ: dict[str, str], start_response: App) -> Any:
        behind = app if environ["PATH_INFO"].startswith(PREFIX) else elsewhere("404 Not Found")
        return behind(environ, start_response)

    return proxy


def without(path: str) -> Proxy:
    """A proxy in front of the bridge that sends requests below *path* to another site."""

    def around(app: App) -> App:
        def proxy(environ: dict[str, str], start_response: App) -> Any:
            other = environ["PATH_INFO"].startswith(path)
            behind = elsewhere("404 Not Found") if other else app
            return behind(environ, start_response)

        return proxy

    return around


def changing(path: str) -> Proxy:
    """A proxy in front of the bridge that changes the bodies below *path*."""

    def around(app: App) -> App:
        def proxy(environ: dict[str, str], start_response: App) -> Any:
            parts = app(environ, start_response)
            return [
                part.replace(b": ", b":") if environ["PATH_INFO"].startswith(path) else part
                for part in parts
            ]

        return proxy

    return around


@pytest.fixture
def served(make_bridge: Callable[..., Services]) -> Iterator[Served]:
    """Starts a bridge behind a proxy; returns its public address."""
    with ExitStack() as stack:

        def start(proxy: Proxy, path: str = "", started_with: str | None = None) -> str:
            port = free_port()
            address = f"http://127.0.0.1:{port}{path}"
            bridge = make_bridge(at=SystemClock(), public_base_url=started_with or address)
            stack.enter_context(listening(proxy(create_app(bridge).wsgi_app), port))
            return address

        yield start


@pytest.fixture
def findings(settings: Settings) -> Callable[[str], list[tuple[Level, str]]]:
    """Checks an address; returns the findings after the warning about loopback addresses."""

    def run(address: str) -> list[tuple[Level, str]]:
        report = CheckReport()
        check_address(report, settings(public_base_url=address), SystemClock())
        found = [(finding.level, finding.text) for finding in report.findings]
        assert all(finding.topic == "public address" for finding in report.findings)
        assert "which other machines cannot reach" in found[0][1]
        return found[1:]

    return run


Findings = Callable[[str], list[tuple[Level, str]]]


@pytest.mark.parametrize("path", ["", PREFIX])
def test_feeds_pages_and_assets_arrive_through_a_proxy_that_removes_the_path(
    served: Served, findings: Findings, path: str
) -> None:
    def direct(app: App) -> App:
        return app

    address = served(stripping if path else direct, path)
    (feed, feeds_text), (page, pages_text) = findings(address)
    assert (feed, page) == (Level.GOOD, Level.GOOD)
    assert "serves feeds" in feeds_text
    assert pages_text == f"{address} serves pages and their assets"


def test_a_proxy_that_keeps_the_path_is_named_with_what_to_change(
    served: Served, findings: Findings
) -> None:
    [(level, text)] = findings(served(keeping, PREFIX))
    assert level is Level.ERROR
    assert f"with the path {PREFIX}, which the bridge does not know" in text
    assert "make the proxy remove it" in text


def test_a_bridge_at_the_root_of_the_host_is_found_there(
    served: Served, findings: Findings
) -> None:
    # Another site's 404, and not the bridge's, below the path.
    address = served(without(PREFIX), PREFIX)
    [(level, text)] = findings(address)
    assert level is Level.ERROR
    assert "set PUBLIC_BASE_URL to that" in text
    assert address.removesuffix(PREFIX) + ":" in text


def test_a_path_that_belongs_to_another_site(served: Served, findings: Findings) -> None:
    address = served(stripping, "/elsewhere")
    [(level, text)] = findings(address)
    assert level is Level.WARNING
    assert "does the proxy forward /elsewhere/ to the bridge?" in text
    [(level, text)] = findings(address.removesuffix("/elsewhere"))
    assert level is Level.WARNING
    assert "if a proxy serves the bridge below a path" in text


@pytest.mark.parametrize("status", ["502 Bad Gateway", "504 Gateway Timeout"])
def test_a_proxy_that_does_not_reach_the_bridge(findings: Findings, status: str) -> None:
    port = free_port()
    with listening(elsewhere(status), port):
        [(level, text)] = findings(f"http://127.0.0.1:{port}")
    assert level is Level.WARNING
    assert f"answers with {status[:3]}: the proxy there does not reach the bridge" in text


def test_a_bridge_that_does_not_run_yet_is_only_a_warning(findings: Findings) -> None:
    [(level, text)] = findings(f"http://127.0.0.1:{free_port()}{PREFIX}")
    assert level is Level.WARNING
    assert "nothing listens there; is the bridge running?" in text


def test_a_certificate_that_is_refused_is_an_error(findings: Findings, tmp_path: Path) -> None:
    port = free_port()
    with listening(elsewhere("200 OK"), port), TlsFront(port, tmp_path) as front:
        [(level, text)] = findings(f"https://127.0.0.1:{front.port}")
    assert level is Level.ERROR
    assert "its certificate cannot be verified" in text
    assert "calendars refuse it as well" in text


def test_assets_that_another_location_of_the_proxy_catches(
    served: Served, findings: Findings
) -> None:
    address = served(without("/static/"))
    (feed, _), (level, text) = findings(address)
    assert (feed, level) == (Level.GOOD, Level.ERROR)
    assert "has the status 404" in text
    assert "make the proxy forward /static/ to the bridge as well" in text


def test_assets_that_a_proxy_minifies(served: Served, findings: Findings) -> None:
    (_, _), (level, text) = findings(served(changing("/static/")))
    assert level is Level.WARNING
    assert "does not arrive as it was sent" in text


@pytest.mark.parametrize("started_with", ["https://calendar.example.org", "http://127.0.0.1/old"])
def test_a_bridge_that_runs_with_another_address_has_to_be_restarted(
    served: Served, findings: Findings, started_with: str
) -> None:
    (level, text), (pages, pages_text) = findings(
        served(stripping, PREFIX, started_with=started_with)
    )
    assert level is Level.WARNING
    assert "it was started with another PUBLIC_BASE_URL" in text
    assert pages is Level.ERROR
    assert "the bridge was started with another PUBLIC_BASE_URL" in pages_text


@pytest.mark.parametrize("script", [raw.drip_headers(0.05), raw.drip_body(0.05)])
def test_a_server_that_sends_a_byte_at_a_time_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, script: raw.Script
) -> None:
    monkeypatch.setattr(network_checks, "_TIMEOUT", 0.3)
    with raw.RawUpstream(script) as server:
        found = network_checks.fetch(server.url, SystemClock())
    assert (found.status, found.text) == (0, "it does not answer")
