"""Address checks: whether feeds, pages and assets arrive at the public address unchanged."""

import hashlib
import re
from collections.abc import Callable
from functools import partial
from urllib.parse import urljoin, urlsplit

from bridge.clock import Clock
from bridge.config import Config
from bridge.diagnostics import network_checks
from bridge.diagnostics.findings import CheckReport
from bridge.diagnostics.network_checks import FetchResult
from bridge.feeds.feed import etag_of

_NAME = "PUBLIC_BASE_URL"
_TOPIC = "public address"
_LOOPBACK = re.compile(r"localhost|127\.[0-9.]+|::1")
_WEEK = "past=0&future=6"
# What the bridge says of an unknown address that ends in .ics.
_UNKNOWN_TO_THE_BRIDGE = b"/venues/<id>.ics"
_STYLESHEET = re.compile(rb'<link rel="stylesheet" href="([^"]+)"')
# An asset's path contains the beginning of its digest: /static/<digest>/<name>.
_ASSET = re.compile(r"/static/([0-9a-f]+)/[^/]+")
# What a proxy says that does not reach the server behind it (RFC 9110, 15.6.3 to 15.6.5).
_GATEWAY_STATUSES = (502, 503, 504)

_Report = Callable[[str], None]


def check_address(report: CheckReport, settings: Config, clock: Clock) -> None:
    """Fetch a feed, a page and an asset from the public address.

    What another server seems to answer is a warning, because this machine may see another server
    at the address than everybody else does.
    """
    base = settings.public_base_url
    if base is None:
        return  # the settings already contain a warning
    check = _AddressCheck(report, base, clock)
    check.check_scheme()
    probe = check.fetch("/healthz")
    if _is_alive(probe):
        check.check_feed()
        check.check_page()
    else:
        check.report_failure(probe)


def _is_alive(probe: FetchResult) -> bool:
    return probe.status == 200 and probe.body.split()[:1] == [b"ok"]


class _AddressCheck:
    """The checks of the address *base*."""

    def __init__(self, report: CheckReport, base: str, clock: Clock) -> None:
        self._base = base
        self._parts = urlsplit(base)
        self._clock = clock
        self._good = partial(report.good, _TOPIC)
        self._warning: _Report = partial(report.warning, _TOPIC, setting=_NAME)
        self._error: _Report = partial(report.error, _TOPIC, setting=_NAME)

    def fetch(self, path: str, base: str | None = None) -> FetchResult:
        return network_checks.fetch(f"{base or self._base}{path}", self._clock)

    def check_scheme(self) -> None:
        if _LOOPBACK.fullmatch(self._parts.hostname or ""):
            self._warning(f"{_NAME} is {self._base}, which other machines cannot reach")
        elif self._parts.scheme == "http":
            self._warning(
                f"{_NAME} is plain http: everybody on the network path can read private feeds"
            )

    def report_failure(self, probe: FetchResult) -> None:
        """Report why *probe*, the response to a health check, is not the bridge's."""
        base = self._base
        if probe.tls_failed:
            self._error(
                f"{base} cannot be reached: {probe.text}; calendars refuse it as well: check the"
                " certificate of the server there, and its chain"
            )
        elif probe.status == 0:
            self._warning(
                f"{base} cannot be reached from here: {probe.text}; is the bridge running?"
            )
        elif 300 <= probe.status < 400:
            self._warning(
                f"{base} redirects, which some calendars do not follow; set {_NAME} to its target"
            )
        elif probe.status in _GATEWAY_STATUSES:
            self._warning(
                f"{base} answers with {probe.status}: the proxy there does not reach the bridge; is"
                " it running, at the host and port to which the proxy forwards?"
            )
        elif self._parts.path:
            self._report_path(probe)
        else:
            self._warning(
                f"{base} answers with {probe.status}, and is not the bridge; if a proxy serves the"
                f" bridge below a path, {_NAME} contains this path"
            )

    def _report_path(self, probe: FetchResult) -> None:
        base, path = self._base, self._parts.path
        origin = base.removesuffix(path)
        if _UNKNOWN_TO_THE_BRIDGE in self.fetch("/sessions.ics").body:
            self._error(
                f"the proxy at {base} forwards requests to the bridge with the path {path}, which"
                " the bridge does not know: make the proxy remove it (nginx: a slash at the end of"
                " proxy_pass; Caddy: handle_path)"
            )
        elif _is_alive(self.fetch("/healthz", origin)):
            self._error(
                f"the bridge is not at {base}, but at {origin}: set {_NAME} to that, or make the"
                f" proxy serve the bridge below {path}"
            )
        else:
            self._warning(
                f"{base} answers with {probe.status}, and is not the bridge: does the proxy forward"
                f" {path}/ to the bridge?"
            )

    def check_feed(self) -> None:
        base = self._base
        feed = self.fetch(f"/sessions.ics?{_WEEK}&_=.ics")
        if feed.status != 200:
            self._warning(f"{base} answers, but a feed there has the status {feed.status}")
        elif feed.kind != "text/calendar":
            self._error(f"a feed at {base} arrives as {feed.kind}")
        elif etag_of(feed.body) not in feed.etag:
            # The ETag is a digest of the bytes that the bridge sent.
            self._error(
                f"a feed at {base} does not arrive as it was sent: a proxy or CDN changes it"
            )
        elif not feed.link.startswith(f"<{base}/"):
            self._warning(
                f"the bridge at {base} does not use this address in its links: it was started with"
                f" another {_NAME}, or without; restart it"
            )
        else:
            count = feed.body.count(b"BEGIN:VEVENT")
            self._good(f"{base} serves feeds ({count} sessions this week)")

    def check_page(self) -> None:
        base = self._base
        page = self.fetch(f"/sessions?{_WEEK}")
        if page.status != 200:
            self._warning(f"{base} answers, but a page there has the status {page.status}")
            return
        link = _STYLESHEET.search(page.body)
        address = urljoin(f"{base}/", link[1].decode(errors="replace")) if link else ""
        asset = _ASSET.fullmatch(address.removeprefix(base))
        if asset is None:
            self._error(
                f"a page at {base} links to no stylesheet below {base}/static/: a proxy or CDN"
                f" changes it, or the bridge was started with another {_NAME}"
            )
            return
        response = network_checks.fetch(address, self._clock)
        if response.status != 200:
            problem = f"has the status {response.status}" if response.status else response.text
            self._error(
                f"the pages at {base} look broken, because {address} {problem}: make the proxy"
                f" forward {self._parts.path}/static/ to the bridge as well"
            )
        elif not hashlib.sha256(response.body).hexdigest().startswith(asset[1]):
            self._warning(f"{address} does not arrive as it was sent: a proxy or CDN changes it")
        else:
            self._good(f"{base} serves pages and their assets")
