"""The network: whether an address answers, and what stands in the way where it does not."""

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

_SECONDS = 5.0
_MOST = 8 * 1024 * 1024
_CHUNK = 64 * 1024


def obstacle(address: str, clock: Clock) -> str:
    """What stands in the way to the host of *address*, as far as a connection tells."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    place = (host, parts.port or (443 if parts.scheme == "https" else 80))
    try:
        with socket.create_connection(place, _SECONDS) as plain:
            if parts.scheme == "https":
                with ssl.create_default_context().wrap_socket(plain, server_hostname=host):
                    pass
    except (OSError, UnicodeError) as err:
        return f"{host}: {network_errors.why(err)}{_time(err, clock)}"
    return f"{host} takes connections, and does not answer as it should"


def _time(err: BaseException, clock: Clock) -> str:
    if not network_errors.is_certificate_date_error(err):
        return ""
    now = datetime.fromtimestamp(clock.now(), UTC)
    return f"; this machine's clock says {now:%Y-%m-%d %H:%M} UTC: if that is wrong, set it"


@dataclass(frozen=True, slots=True)
class Answer:
    """What an address answered.

    Attributes:
        status: 0 where there was no answer; then *text* says why.
        etag: the ETag header.
        text: why there was none.
    """

    status: int
    kind: str = ""
    etag: str = ""
    body: bytes = b""
    text: str = ""


def ask(address: str, clock: Clock) -> Answer:
    """What is at *address*, as a calendar client finds it: without a redirect or a proxy."""
    request = urllib.request.Request(  # noqa: S310 - the settings admit http and https alone
        address, headers={"User-Agent": "teamup-feed-bridge check"}
    )
    try:
        with _opener.open(request, timeout=_SECONDS) as response:
            body = _read(response, Deadline(clock, _SECONDS))
            headers = response.headers
            kind, etag = headers.get_content_type(), headers.get("ETag", "")
            return Answer(response.status, kind, etag, body)
    except urllib.error.HTTPError as err:
        with err:
            return Answer(err.code)
    except (OSError, HTTPException, ValueError) as err:
        return Answer(0, text=network_errors.why(err))


def _read(response: HTTPResponse, deadline: Deadline) -> bytes:
    content = bytearray()
    # A socket's timeout starts anew with every byte.
    while (chunk := response.read1(_CHUNK)) and len(content) < _MOST:
        content += chunk
        if deadline.passed:
            raise TimeoutError
    return bytes(content)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Lets a redirect stand as the answer."""

    def redirect_request(self, *args: object) -> None:
        return None


_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirects)
