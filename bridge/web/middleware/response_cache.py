"""The response cache: complete answers in the worker's memory, ready before Flask is asked.

Routes hand their :class:`~bridge.web.representation.Representation` to it. It keeps one for as long
as the snapshot that it was cut from is current or may be served: once a second one request is let
through to the application, which looks whether the store holds a newer snapshot, while the others
are answered from here (RFC 5861). Request directives such as ``no-cache`` are advisory (RFC 9111,
5.2.1) and ignored, so that a flood of reloads ends here; ``no-store`` is obeyed by the caller.
"""

import weakref
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

from bridge.bounded_cache import BoundedCache
from bridge.clock import Clock
from bridge.snapshots.cache import CacheOutcome
from bridge.web.negotiation import unmodified
from bridge.web.representation import Representation

RawHeaders = list[tuple[bytes, bytes]]

REVALIDATE_SECONDS = 1.0
"""After so long one request goes to the application. It looks at the store as often."""

_SLOW_SECONDS = 5.0
# Seconds that the wall clock and the monotonic clock may drift apart within a lifetime.
_MAX_DRIFT = 2.0
# Bytes that an entry takes beside its body: headers, as lists and strings, in each coding.
_FRAME = 4_000


@dataclass(slots=True, eq=False)
class CacheRequest:
    """A request, as far as ready answers differ by it; used again for each that says the same.

    Attributes:
        address: scheme, host, path and query, and what a trusted proxy says of them.
        language: what ``Accept-Language`` comes to.
        zipped: whether gzip is welcome.
        if_none_match, if_modified_since: what the client has already.
    """

    address: tuple[Hashable, ...]
    language: Hashable = None
    zipped: bool = False
    if_none_match: str | None = None
    if_modified_since: str | None = None
    entry: Callable[[], "_Entry | None"] = lambda: None
    """The entry that answered it last, while the cache has it (a weak reference)."""


@dataclass(frozen=True, slots=True)
class PreparedResponse:
    """An answer as it is given within one second.

    Attributes:
        headers: in lower case, as ASGI has them.
        noted: what the application noted for the access log.
    """

    status: int
    headers: RawHeaders
    body: bytes
    served: CacheOutcome | None
    noted: Any


@dataclass(slots=True, weakref_slot=True)
class _Entry:
    """An answer, and for how long it may be given.

    Attributes:
        at: when it was made, on the monotonic clock.
        wall: the same on the wall clock.
        usable: seconds from then on for which it may be given.
        revalidated: seconds from then on after which a request went to the application last.
    """

    representation: Representation
    noted: Any
    change_token: Hashable
    at: float
    wall: float
    stale: bool = False
    usable: float = 0.0
    revalidated: float = 0.0
    second: int = -1
    prepared: dict[tuple[bool, bool], PreparedResponse] = field(default_factory=dict)

    def __post_init__(self) -> None:
        freshness = self.representation.freshness
        if freshness is None:
            self.usable = self.representation.max_age
        elif freshness.left > 0:
            self.usable = freshness.left
        else:
            self.stale = True
            # An application that waits for upstream may take its time to say something newer.
            self.usable = min(freshness.servable, REVALIDATE_SECONDS + _SLOW_SECONDS)

    @property
    def size(self) -> int:
        return self.representation.body.size + _FRAME

    def prepare(self, since: float, *, zipped: bool, known: bool) -> PreparedResponse:
        # Headers tell whole seconds: an answer is made once a second for all who get the same.
        second = int(since)
        if second != self.second:
            self.second, self.prepared = second, {}
        found = self.prepared.get((zipped, known))
        if found is None:
            found = self.prepared[zipped, known] = self._prepared(since, zipped=zipped, known=known)
        return found

    def _prepared(self, since: float, *, zipped: bool, known: bool) -> PreparedResponse:
        representation = self.representation
        freshness = representation.freshness
        now = None if freshness is None else freshness.after(since)
        head = representation.head(now, zipped=zipped, known=known)
        body = b"" if known else representation.bytes(zipped=zipped)
        if not known:
            head.append(("Content-Length", str(len(body))))
        if now is None:
            head.append(("Age", str(int(since))))
        return PreparedResponse(
            status=304 if known else 200,
            headers=[(name.lower().encode(), value.encode("latin-1")) for name, value in head],
            body=body,
            served=None if now is None else now.served,
            noted=self.noted,
        )


class ResponseCache:
    """Keeps the newest response for each address; evicts the least recently used.

    Args:
        max_bytes: of what is kept.
        change_token: a new value forces revalidation of stale entries: there may be something
            newer in this process.
    """

    def __init__(
        self, clock: Clock, *, max_bytes: int, change_token: Callable[[], Hashable]
    ) -> None:
        self._clock = clock
        self._change_token = change_token
        self._entries: BoundedCache[_Entry] = BoundedCache(max_bytes, lambda entry: entry.size)

    @property
    def size(self) -> int:
        """Bytes that are kept."""
        return self._entries.size

    def get(self, request: CacheRequest) -> PreparedResponse | None:
        """The answer that is ready; None where the application has to be asked."""
        entry = request.entry() or self._find(request)
        if entry is None:
            return None
        clock = self._clock
        since = clock.monotonic() - entry.at
        # Where the clocks disagree one was set, or the machine slept.
        if since >= entry.usable or abs(clock.now() - entry.wall - since) >= _MAX_DRIFT:
            return None
        token = self._change_token() if entry.stale else entry.change_token
        if since >= entry.revalidated + REVALIDATE_SECONDS or token != entry.change_token:
            # This request revalidates; concurrent ones are answered from the entry.
            entry.revalidated, entry.change_token = since, token
            return None
        return entry.prepare(since, zipped=request.zipped, known=_is_known(request, entry))

    def _find(self, request: CacheRequest) -> _Entry | None:
        for place in _places(request):
            entry = self._entries.get(place)
            if entry is not None:
                request.entry = weakref.ref(entry)
                return entry
        return None

    def token(self) -> Hashable:
        """To be had before the application is asked, and given to :meth:`put` with its answer."""
        return self._change_token()

    def put(
        self,
        request: CacheRequest,
        representation: Representation | None,
        *,
        token: Hashable,
        noted: Any,
    ) -> None:
        """Keep what the application said, if it may be kept; else what it makes out of date goes.

        Args:
            representation: None where it said something else than a 200.
            noted: for the access log.
        """
        if representation is not None:
            now, wall = self._clock.monotonic(), self._clock.now()
            freshness = representation.freshness
            at = now if freshness is None else freshness.at
            entry = _Entry(representation, noted, token, at, wall - (now - at))
            if entry.usable > 0:
                language = request.language if representation.by_language else None
                self._entries.put((request.address, language), entry)
                return
        for place in _places(request):
            before = self._entries.get(place)
            if before is not None and before.stale:
                self._entries.pop(place)


def _places(request: CacheRequest) -> tuple[Hashable, Hashable]:
    return (request.address, None), (request.address, request.language)


def _is_known(request: CacheRequest, entry: _Entry) -> bool:
    """Whether the client has what *entry* would give it."""
    if request.if_none_match is None and request.if_modified_since is None:
        return False
    representation = entry.representation
    return unmodified(
        request.if_none_match,
        request.if_modified_since,
        etag=representation.etags[request.zipped],
        last_modified=representation.last_modified,
    )
