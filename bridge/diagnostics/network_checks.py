"""Network checks: connecting to a host, and fetching an address."""

import socket
import ssl
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit, urlunsplit

from bridge import network_errors
from bridge.clock import Clock
from bridge.upstream.deadline import Guard

_TIMEOUT = 5.0
_MAX_BYTES = 8 * 1024 * 1024


def connection_problem(address: str, clock: Clock) -> str:
    """Connect to the host of *address*, and describe the problem."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    host_and_port = (host, parts.port or (443 if parts.scheme == "https" else 80))
    try:
        with socket.create_connection(host_and_port, _TIMEOUT) as plain:
            if parts.scheme == "https":
                with ssl.create_default_context().wrap_socket(plain, server_hostname=host):
                    pass
    except (OSError, UnicodeError) as err:
        return f"{host}: {network_errors.describe(err)}{_clock_hint(err, clock)}"
    return f"{host} accepts connections, but does not answer correctly"


def _clock_hint(err: BaseException, clock: Clock) -> str:
    if not network_errors.is_certificate_date_error(err):
        return ""
    now = datetime.fromtimestamp(clock.now(), UTC)
    return f"; this machine's clock says {now:%Y-%m-%d %H:%M} UTC: set it if that is wrong"


@dataclass(frozen=True, slots=True)
class FetchResult:
    """The response to a request.

    Attributes:
        status: 0 if there was no response; *text* contains the reason.
        kind: the media type.
        etag: the ETag header.
        link: the Link header.
        tls_failed: whether there was no response because of the certificate, or of TLS.
    """

    status: int
    kind: str = ""
    etag: str = ""
    link: str = ""
    body: bytes = b""
    text: str = ""
    tls_failed: bool = False


def fetch(address: str, clock: Clock) -> FetchResult:
    """Fetch *address* as calendar clients do: without following redirects, and without a proxy.

    It takes at most as long as it takes to connect and five seconds more.
    """
    parts = urlsplit(address)
    connect = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    with Guard(_TIMEOUT) as guard:
        try:
            port = parts.port or connect.default_port
            with closing(connect(parts.hostname or "", port, timeout=_TIMEOUT)) as connection:
                connection.request(
                    "GET",
                    urlunsplit(("", "", parts.path or "/", parts.query, "")),
                    headers={"User-Agent": "teamup-feed-bridge check"},
                )
                guard.attach(connection.sock)
                response = connection.getresponse()
                body = response.read(_MAX_BYTES)
                if guard.fired:
                    raise TimeoutError
                return FetchResult(
                    response.status,
                    kind=response.headers.get_content_type(),
                    etag=response.headers.get("ETag", ""),
                    link=response.headers.get("Link", ""),
                    body=body,
                )
        except (OSError, HTTPException, ValueError) as err:
            error = TimeoutError() if guard.fired else err
            text = f"{network_errors.describe(error)}{_clock_hint(error, clock)}"
            return FetchResult(0, text=text, tls_failed=network_errors.is_tls_error(error))
