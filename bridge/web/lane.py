"""The lane: answers that are ready, for a server that reads many connections and waits for none."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from bridge import ending
from bridge.web.answers import Ready
from bridge.web.httpcache import Asked, HttpCache
from bridge.web.limits import excess
from bridge.web.readiness import NotAtHand
from bridge.web.traffic import Traffic

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Around = Callable[["WSGIApplication"], "WSGIApplication"]
"""Puts a layer around an application."""


class Lane:
    """Does for answers that are ready what the layers in front of the routes do for all.

    Args:
        cache: what has answers ready.
        traffic: sees them.
        around: layers that say what a request is, such as the one that believes a proxy.
    """

    def __init__(self, cache: HttpCache, traffic: Traffic, around: Around) -> None:
        self._cache = cache
        self._traffic = traffic
        self._understood = around(_nothing)

    def asked(self, environ: "WSGIEnvironment") -> Asked | None:
        """What a request comes to, for each time that it is sent; None: it is none for the lane.

        Args:
            environ: it is changed.
        """
        self._understood(environ, _unheard)
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD") or excess(environ) is not None:
            return None
        return Asked(environ)

    def answer(self, asked: Asked) -> tuple[Ready, str]:
        """The answer, and what it is called in its ``X-Request-Id``.

        Raises:
            NotAtHand: somebody has to wait for it.
        """
        if ending.near:  # there is more to say
            raise NotAtHand
        ready = self._cache.ready(asked)
        return ready, self._traffic.ready(asked.environ, ready)


def _nothing(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    return []


def _unheard(
    status: str, headers: list[tuple[str, str]], exc_info: object = None, /
) -> Callable[[bytes], object]:
    raise NotImplementedError("nothing is said")
