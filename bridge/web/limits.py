"""Limits: what is too long is refused before anybody looks at what it says."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import HTTPException, RequestHeaderFieldsTooLarge, RequestURITooLarge

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_MAX_QUERY = 8_000
_MAX_PATH = 4_000
_MAX_HEADER = 16_000
_MAX_HEADERS = 32_000
_PATHS = ("PATH_INFO", "SCRIPT_NAME")


def excess(environ: Mapping[str, Any]) -> type[HTTPException] | None:
    """What is to be said of a request that is too long; None for any other."""
    if len(environ.get("QUERY_STRING", "")) > _MAX_QUERY:
        return RequestURITooLarge
    if any(len(environ.get(name, "")) > _MAX_PATH for name in _PATHS):
        return RequestURITooLarge
    longest = every = 0
    for name, value in environ.items():
        if name[:5] == "HTTP_" or name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            size = len(value)
            every += size + len(name)
            longest = max(longest, size)
    if longest > _MAX_HEADER or every > _MAX_HEADERS:
        return RequestHeaderFieldsTooLarge
    return None


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
