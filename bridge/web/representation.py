"""Representations: a complete 200 answer in each content coding, and the heads that go with it.

A route makes a :class:`Representation` and returns ``answer(request, representation)``. The
response cache keeps the same value and answers later requests from it, so that what both say
(validators, ``CopyState``, ``Cache-Status``) is worked out here and nowhere else.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from flask import Request, Response
from werkzeug.http import http_date

from bridge.feeds.feed import Body
from bridge.snapshots.cache import CacheOutcome, Lookup
from bridge.web.negotiation import unmodified, wants_gzip

Headers = Sequence[tuple[str, str]]

REPRESENTATION = "bridge.representation"
"""In the WSGI environment of a request: the :class:`Representation` that answers it."""

OUTCOME = "bridge.outcome"
"""In the WSGI environment of a request: the :class:`CacheOutcome` of its answer."""

_STATES = {
    CacheOutcome.FETCHED: "fwd=miss; stored",
    CacheOutcome.REFRESHED: "fwd=stale; stored",
    CacheOutcome.FAILED: "fwd=stale",
}
_DETAILS = {CacheOutcome.STALE: "stale", CacheOutcome.FAILED: "failed"}


@dataclass(frozen=True, slots=True)
class Freshness:
    """How fresh an answer is: what the snapshot cache did for it, and for how long it is right.

    Attributes:
        served: what the snapshot cache did.
        age: seconds since the walk.
        left: seconds for which it is fresh; negative once it is stale.
        servable: seconds for which it may be served at all.
        at: when this was so, in seconds on the monotonic clock.
        trimmed: sessions were left out for the feed's size.
    """

    served: CacheOutcome
    age: float
    left: float
    servable: float
    at: float
    trimmed: bool = False

    @classmethod
    def of(cls, lookup: Lookup, *, trimmed: bool = False) -> "Freshness":
        """The freshness of what was cut from *lookup*."""
        return cls(lookup.served, lookup.age, lookup.left, lookup.servable, lookup.at, trimmed)

    def after(self, seconds: float) -> "Freshness":
        """The same so many seconds later, when the response cache gives it again."""
        return replace(
            self,
            served=self.served if self.served in _DETAILS else CacheOutcome.HIT,
            age=self.age + seconds,
            left=self.left - seconds,
            servable=self.servable - seconds,
            at=self.at + seconds,
        )

    @property
    def headers(self) -> Headers:
        """``CopyState`` (RFC 9111, 5.1) and ``Cache-Status`` (RFC 9211)."""
        state = _STATES.get(self.served) or f"hit; ttl={int(self.left)}"
        details = [_DETAILS[self.served]] if self.served in _DETAILS else []
        if self.trimmed:
            details.append("trimmed")
        if len(details) == 1:
            state += f"; detail={details[0]}"
        elif details:
            # one word is a token, more are a string
            state += f'; detail="{", ".join(details)}"'
        return (("Age", str(int(self.age))), ("Cache-Status", f"bridge; {state}"))


@dataclass(frozen=True)
class Representation:
    """A complete 200 answer in each coding.

    Attributes:
        body: the bytes, and what they are known by.
        headers: of a 200 and of a 304.
        content: further headers of a 200.
        freshness: None for what is cut from no snapshot.
        max_age: seconds for which the response cache may keep it; 0 for not at all. Of what is cut
            from a snapshot the freshness says more.
        shared: whether it may be given to others than the client that asked.
        by_language: whether it depends on ``Accept-Language``.
        accel: whether a proxy is told how long it may keep the answer (``X-Accel-Expires``).
    """

    body: Body
    headers: Headers
    content: Headers
    freshness: Freshness | None = None
    max_age: int = 0
    shared: bool = True
    by_language: bool = False
    accel: bool = False

    @cached_property
    def last_modified(self) -> str:
        """The Last-Modified header; empty where nothing is known of it."""
        return http_date(self.body.changed) if self.body.changed else ""

    @cached_property
    def etags(self) -> tuple[str, str]:
        """The strong ETags: plain, and of the gzip coding."""
        return f'"{self.body.tag}"', f'"{self.body.tag}-gz"'

    def head(
        self, freshness: Freshness | None, *, zipped: bool, known: bool
    ) -> list[tuple[str, str]]:
        """The headers of an answer.

        Args:
            freshness: as it is by now.
            zipped: the coding.
            known: the client has it already, and gets 304 (RFC 9110, 15.4.5).
        """
        head = [("ETag", self.etags[zipped]), *self.headers]
        if freshness is not None:
            head += freshness.headers
        if self.accel:
            left = self.max_age if freshness is None else int(freshness.left)
            # nginx keeps nothing for 0, and a stale answer is worth a second
            head.append(("X-Accel-Expires", str(max(1, left))))
        if not known:
            if self.last_modified:
                head.append(("Last-Modified", self.last_modified))
            head += self.content
            if zipped:
                head.append(("Content-Encoding", "gzip"))
        return head

    def bytes(self, *, zipped: bool) -> bytes:
        """The body in a coding."""
        return self.body.zipped if zipped else self.body.plain


def answer(request: Request, representation: Representation) -> Response:
    """*representation* in the coding that the client asks for, or 304 where it has that already."""
    zipped = wants_gzip(request.headers.get("Accept-Encoding", ""))
    known = unmodified(
        request.headers.get("If-None-Match"),
        request.headers.get("If-Modified-Since"),
        etag=representation.etags[zipped],
        last_modified=representation.last_modified,
    )
    freshness = representation.freshness
    if representation.shared:
        request.environ[REPRESENTATION] = representation
    if freshness is not None:
        request.environ[OUTCOME] = freshness.served
    return Response(
        b"" if known else representation.bytes(zipped=zipped),
        status=304 if known else 200,
        headers=representation.head(freshness, zipped=zipped, known=known),
    )
