"""Network checks: connecting to a host, and fetching an address."""

import socket
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException, HTTPResponse
from urllib.parse import urlsplit

from bridge import network_errors
from bridge.clock import Clock
from bridge.upstream.deadline import Deadline

_TIMEOUT = 5.0
_MAX_BYTES = 8 * 1024 * 1024
_CHUNK = 64 * 1024


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
    """Fetch *address* as calendar clients do: without following redirects, and without a proxy."""
    request = urllib.request.Request(  # noqa: S310 - the settings accept only http and https
        address, headers={"User-Agent": "teamup-feed-bridge check"}
    )
    try:
        with _open(request) as response:
            headers = response.headers
            return FetchResult(
                response.status,
                kind=headers.get_content_type(),
                etag=headers.get("ETag", ""),
                link=headers.get("Link", ""),
                body=_read(response, Deadline(clock, _TIMEOUT)),
            )
    except (OSError, HTTPException, ValueError) as err:
        text = f"{network_errors.describe(err)}{_clock_hint(err, clock)}"
        return FetchResult(0, text=text, tls_failed=network_errors.is_tls_error(err))


def _open(request: urllib.request.Request) -> HTTPResponse:
    try:
        response: HTTPResponse = _opener.open(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as err:
        return err  # type: ignore[return-value]  # it has the methods of a response
    return response


def _read(response: HTTPResponse, deadline: Deadline) -> bytes:
    content = bytearray()
    # The socket's timeout restarts with every byte, so it does not limit the total time.
    while (chunk := response.read1(_CHUNK)) and len(content) < _MAX_BYTES:
        content += chunk
        if deadline.passed:
            raise TimeoutError
    return bytes(content)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Returns redirects instead of following them."""

    def redirect_request(self, *args: object) -> None:
        return None


_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirects)
