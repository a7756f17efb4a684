"""Representations: the content of a 200 response in each content coding, and its headers.

    return respond(request, Representation(body, headers, content, freshness))

The response cache keeps the same object and serves later requests from it, so only this module
computes validators, ``Age`` and ``Cache-Status``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from flask import Request, Response
from werkzeug.http import http_date

from bridge.feeds.feed import Body
from bridge.snapshots.cache import CacheOutcome, Lookup
from bridge.web.negotiation import accepts_gzip, is_not_modified

Headers = Sequence[tuple[str, str]]

REPRESENTATION_KEY = "bridge.representation"
"""Key of the WSGI environment: the :class:`Representation`, if the response may be cached."""

OUTCOME_KEY = "bridge.outcome"
"""Key of the WSGI environment: the :class:`CacheOutcome` of the response."""

_STATES = {
    CacheOutcome.FETCHED: "fwd=miss; stored",
    CacheOutcome.REFRESHED: "fwd=stale; stored",
    CacheOutcome.FAILED: "fwd=stale",
}
_DETAILS = {CacheOutcome.STALE: "stale", CacheOutcome.FAILED: "failed"}


@dataclass(frozen=True, slots=True)
class Freshness:
    """How fresh a response is, at a certain time.

    Attributes:
        outcome: how the snapshot cache answered.
        age: seconds since the walk.
        fresh_for: seconds for which it is still fresh; negative once it is stale.
        servable_for: seconds for which it may still be served.
        at: the time for which these values hold, on the monotonic clock.
        trimmed: whether sessions were left out because of the feed's size.
    """

    outcome: CacheOutcome
    age: float
    fresh_for: float
    servable_for: float
    at: float
    trimmed: bool = False

    @classmethod
    def of(cls, lookup: Lookup, *, trimmed: bool = False) -> "Freshness":
        """The freshness of a response that is made from *lookup*."""
        return cls(
            lookup.outcome, lookup.age, lookup.fresh_for, lookup.servable_for, lookup.at, trimmed
        )

    def after(self, seconds: float) -> "Freshness":
        """The freshness after *seconds* in the response cache."""
        return replace(
            self,
            outcome=self.outcome if self.outcome in _DETAILS else CacheOutcome.HIT,
            age=self.age + seconds,
            fresh_for=self.fresh_for - seconds,
            servable_for=self.servable_for - seconds,
            at=self.at + seconds,
        )

    @property
    def headers(self) -> Headers:
        """``Age`` (RFC 9111, 5.1) and ``Cache-Status`` (RFC 9211)."""
        state = _STATES.get(self.outcome) or f"hit; ttl={int(self.fresh_for)}"
        details = [_DETAILS[self.outcome]] if self.outcome in _DETAILS else []
        if self.trimmed:
            details.append("trimmed")
        if len(details) == 1:
            state += f"; detail={details[0]}"
        elif details:
            # A single detail is a token; several are a string.
            state += f'; detail="{", ".join(details)}"'
        return (("Age", str(int(self.age))), ("Cache-Status", f"bridge; {state}"))


@dataclass(frozen=True)
class Representation:
    """The content of a 200 response in each coding.

    Attributes:
        body: the bytes and their validators.
        headers: headers of both a 200 and a 304.
        content: further headers of a 200.
        freshness: None if it is not made from a snapshot.
        max_age: seconds for which the response cache may keep it, if *freshness* is None; 0 if it
            must not.
        shared: whether caches may serve it to other clients.
        by_language: whether it depends on ``Accept-Language``.
        accel: whether to send ``X-Accel-Expires``, the lifetime in a proxy's cache.
        made_at: when it was made, in seconds since 1970 by the store's clock: the Date of every
            response that it is sent in (RFC 9110, 6.6.1). None leaves Date to the server.
    """

    body: Body
    headers: Headers
    content: Headers
    freshness: Freshness | None = None
    max_age: int = 0
    shared: bool = True
    by_language: bool = False
    accel: bool = False
    made_at: float | None = None

    @cached_property
    def date(self) -> str:
        """The value of Date, never before Last-Modified (RFC 9110, 8.8.2.1); empty if unknown."""
        return "" if self.made_at is None else http_date(max(self.made_at, self.body.changed))

    @cached_property
    def last_modified(self) -> str:
        """The value of Last-Modified; empty if the time of the last change is unknown."""
        return http_date(self.body.changed) if self.body.changed else ""

    @cached_property
    def etags(self) -> tuple[str, str]:
        """The strong ETags: without a coding, and with gzip."""
        return f'"{self.body.etag}"', f'"{self.body.etag}-gz"'

    def is_not_modified(
        self, if_none_match: str | None, if_modified_since: str | None, *, gzipped: bool
    ) -> bool:
        """Whether the response to a request with these headers is a 304."""
        return is_not_modified(
            if_none_match,
            if_modified_since,
            etag=self.etags[gzipped],
            last_modified=self.last_modified,
        )

    def head(
        self, freshness: Freshness | None, *, gzipped: bool, not_modified: bool
    ) -> list[tuple[str, str]]:
        """The headers of a response.

        Args:
            freshness: the current freshness.
            gzipped: whether the coding is gzip.
            not_modified: whether the response is a 304 (RFC 9110, 15.4.5).
        """
        head = [("ETag", self.etags[gzipped]), *self.headers]
        if self.date:
            head.append(("Date", self.date))
        if freshness is not None:
            head += freshness.headers
        if self.accel:
            left = self.max_age if freshness is None else int(freshness.fresh_for)
            # nginx does not cache for 0 seconds; a stale response may be cached for one.
            head.append(("X-Accel-Expires", str(max(1, left))))
        if not not_modified:
            if self.last_modified:
                head.append(("Last-Modified", self.last_modified))
            head += self.content
            if gzipped:
                head.append(("Content-Encoding", "gzip"))
        return head

    def bytes(self, *, gzipped: bool) -> bytes:
        """The body, compressed or not."""
        return self.body.gzipped if gzipped else self.body.plain


def respond(request: Request, representation: Representation) -> Response:
    """The response to *request*: the body in an accepted coding, or a 304."""
    gzipped = accepts_gzip(request.headers.get("Accept-Encoding", ""))
    not_modified = representation.is_not_modified(
        request.headers.get("If-None-Match"),
        request.headers.get("If-Modified-Since"),
        gzipped=gzipped,
    )
    freshness = representation.freshness
    if representation.shared:
        request.environ[REPRESENTATION_KEY] = representation
    if freshness is not None:
        request.environ[OUTCOME_KEY] = freshness.outcome
    return Response(
        b"" if not_modified else representation.bytes(gzipped=gzipped),
        status=304 if not_modified else 200,
        headers=representation.head(freshness, gzipped=gzipped, not_modified=not_modified),
    )
