"""Refuses requests that are too long or not well-formed, before they are routed."""

import re
from collections.abc import Mapping
from typing import Any

from werkzeug.exceptions import (
    BadRequest,
    HTTPException,
    MethodNotAllowed,
    NotFound,
    RequestHeaderFieldsTooLarge,
    RequestURITooLarge,
)

METHODS = ("GET", "HEAD", "OPTIONS")
"""The methods of all routes; they are case-sensitive (RFC 9110, 9.1)."""

_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?", re.ASCII)
_MAX_QUERY = 8_000
_MAX_PATH = 4_000
MAX_HEADER = 16_000
"""Characters of one header's value."""
_MAX_HEADERS = 32_000


def is_host(host: str, protocol: str = "HTTP/1.1") -> bool:
    """Whether *host* is one valid Host value; HTTP/1.0 does not require one (RFC 9112, 3.2).

    Values of several Host headers, joined by commas, are not valid.
    """
    return _HOST.fullmatch(host) is not None or (not host and protocol != "HTTP/1.1")


def violation(environ: Mapping[str, Any]) -> type[HTTPException] | None:
    """The error for a request that exceeds a limit; None if it is within all limits."""
    if not is_host(environ.get("HTTP_HOST", ""), environ.get("SERVER_PROTOCOL", "")):
        return BadRequest
    path = max(len(environ.get(name, "")) for name in ("PATH_INFO", "SCRIPT_NAME"))
    if len(environ.get("QUERY_STRING", "")) > _MAX_QUERY or path > _MAX_PATH:
        return RequestURITooLarge
    headers = {
        name: len(value)
        for name, value in environ.items()
        if name.startswith("HTTP_") or name in ("CONTENT_TYPE", "CONTENT_LENGTH")
    }
    total = sum(map(len, headers)) + sum(headers.values())
    if total > _MAX_HEADERS or max(headers.values(), default=0) > MAX_HEADER:
        return RequestHeaderFieldsTooLarge
    return None


def refusal(environ: Mapping[str, Any]) -> type[HTTPException] | None:
    """The error for a request that no route answers; None if it is valid.

    Flask would match methods in any case, and paths without their leading slashes.
    """
    error = violation(environ)
    if error is None and environ["REQUEST_METHOD"] not in METHODS:
        error = MethodNotAllowed
    if error is None and "//" in environ.get("PATH_INFO", ""):
        error = NotFound
    return error
