"""Limits: what is too long is refused before anybody looks at what it says."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import HTTPException, RequestHeaderFieldsTooLarge, RequestURITooLarge

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_MAX_QUERY = 8_000
_MAX_PATH = 4_000
_MAX_HEADER = 16_000
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
    if every > _MAX_HEADERS or (every > _MAX_HEADER and max(map(len, values)) > _MAX_HEADER):
        return RequestHeaderFieldsTooLarge
    return None


# Most requests have the same headers as some request before.
@lru_cache(maxsize=64)
def _headers(names: tuple[str, ...]) -> tuple[list[str], int]:
    """Those of *names* that are of headers, and how long they are."""
    found = [one for one in names if one[:5] == "HTTP_" or one in _HEADERS]
    return found, sum(map(len, found))


class Limits:
    """A layer around what keeps answers: it gives none to a request that is too long.

    Args:
        app: what answers.
        refusing: what refuses, by :func:`excess`.
    """

    def __init__(self, app: "WSGIApplication", refusing: "WSGIApplication") -> None:
        self._app = app
        self._refusing = refusing

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        app = self._app if excess(environ) is None else self._refusing
        return app(environ, start_response)
