"""Limits: what is too long is refused before anybody looks at what it says."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from werkzeug.exceptions import HTTPException, RequestHeaderFieldsTooLarge, RequestURITooLarge

_MAX_QUERY = 8_000
_MAX_PATH = 4_000
MAX_HEADER = 16_000
"""Characters of one header, its name aside."""
_MAX_HEADERS = 32_000
_PATHS = ("PATH_INFO", "SCRIPT_NAME")
_HEADERS = ("CONTENT_TYPE", "CONTENT_LENGTH")


def excess(environ: Mapping[str, Any]) -> type[HTTPException] | None:
    """What is to be said of a request that is too long; None for any other."""
    if len(environ.get("QUERY_STRING", "")) > _MAX_QUERY:
        return RequestURITooLarge
    for name in _PATHS:
        if len(environ.get(name, "")) > _MAX_PATH:
            return RequestURITooLarge
    headers, of_names = _headers(tuple(environ))
    values = [environ[name] for name in headers]
    # every answer comes through here, and hardly any request is longer than one header may be
    every = of_names + sum(map(len, values))
    if every > _MAX_HEADERS or (every > MAX_HEADER and max(map(len, values)) > MAX_HEADER):
        return RequestHeaderFieldsTooLarge
    return None


# Most requests have the same headers as some request before.
@lru_cache(maxsize=64)
def _headers(names: tuple[str, ...]) -> tuple[list[str], int]:
    """Those of *names* that are of headers, and how long they are."""
    found = [one for one in names if one[:5] == "HTTP_" or one in _HEADERS]
    return found, sum(map(len, found))
