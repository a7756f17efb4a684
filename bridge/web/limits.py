"""Limits: requests that are too long are refused before anything reads what they say."""

from collections.abc import Mapping
from typing import Any

from werkzeug.exceptions import HTTPException, RequestHeaderFieldsTooLarge, RequestURITooLarge

_MAX_QUERY = 8_000
_MAX_PATH = 4_000
MAX_HEADER = 16_000
"""Characters of one header, its name aside."""
_MAX_HEADERS = 32_000


def excess(environ: Mapping[str, Any]) -> type[HTTPException] | None:
    """The error that answers a request that is too long; None for any other."""
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
