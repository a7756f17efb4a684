"""Goodbye: the last answer of a connection, before the server ends."""

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING

from bridge import ending

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]


class Goodbye:
    """A layer around the application: once the end is near, each answer says that it is the last.

    Otherwise the server would close the connection between two answers, when the client may have
    sent its next request (RFC 9112, 9.6). The server heeds the header, and closes when it has sent
    the answer; of what was asked for before, it says so itself where it has to wait for it.
    """

    def __init__(self, app: "WSGIApplication") -> None:
        self._app = app

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer."""
        if not ending.near:
            return self._app(environ, start_response)

        def start(
            line: str, headers: list[tuple[str, str]], exc_info: _ExcInfo | None = None
        ) -> Callable[[bytes], object]:
            return start_response(line, [*headers, ("Connection", "close")], exc_info)

        return self._app(environ, start)
