"""The response cache: complete responses in the worker's memory, served without calling Flask.

    prepared = cache.get(request)  # None: call the application, then cache.put(request, …)

Routes make a :class:`~bridge.web.representation.Representation`. The cache keeps it while its
snapshot is fresh or may be served stale. Once a second one request goes to the application, which
checks the store for a newer snapshot; concurrent requests are served from the cache (RFC 5861).
Request directives such as ``no-cache`` are advisory (RFC 9111, 5.2.1) and ignored, so a flood of
reloads does not reach the application. The caller obeys ``no-store``.
"""

import weakref
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

from bridge.bounded_cache import BoundedCache, CacheMemory
from bridge.clock import Clock
from bridge.snapshots.cache import CacheOutcome
from bridge.web.representation import Representation

RawHeaders = list[tuple[bytes, bytes]]

REVALIDATE_SECONDS = 1.0
"""The interval at which one request goes to the application, which reads the store as often."""

# How long the application may take to answer with a newer response, while a stale one is served.
_SLOW_SECONDS = 5.0
# Seconds by which the wall clock and the monotonic clock may differ during an entry's lifetime.
_MAX_DRIFT = 2.0
# Bytes of an entry besides its body: the headers, in each coding.
_ENTRY_OVERHEAD = 4_000


@dataclass(slots=True, eq=False)
class CacheRequest:
    """The parts of a request that select a cached response; one object for all equal requests.

    Attributes:
        address: scheme, host, path, query, and the forwarded headers of a trusted proxy; that of a
            private feed is a secret.
        language: the negotiated language and locale.
        gzipped: whether the client accepts gzip.
        if_none_match, if_modified_since: the headers of a conditional request.
    """

    address: tuple[Hashable, ...] = field(repr=False)
    language: Hashable = None
    gzipped: bool = False
    if_none_match: str | None = None
    if_modified_since: str | None = None
    entry: Callable[[], "_Entry | None"] = lambda: None
    """A weak reference to the entry that served this request last."""


@dataclass(frozen=True, slots=True)
class PreparedResponse:
    """A response that is ready to be sent; valid for one second.

    Attributes:
        headers: with lower-case names, as ASGI requires.
        route_info: the :class:`~bridge.web.middleware.access_log.RouteInfo` for the access log.
    """

    status: int
    headers: RawHeaders
    body: bytes
    outcome: CacheOutcome | None
    route_info: Any


@dataclass(slots=True, weakref_slot=True)
class _Entry:
    """A cached response.

    Attributes:
        at: when it was made, on the monotonic clock.
        wall: the same, on the wall clock.
        stale: whether its snapshot was stale by then.
        lifetime: seconds after *at* for which it may be served.
        revalidated: seconds after *at* at which a request went to the application last.
        second: the age in seconds for which *prepared* is valid.
        prepared: responses by coding, and by whether they are a 304.
    """

    representation: Representation
    route_info: Any
    change_token: Hashable
    at: float
    wall: float
    stale: bool = False
    lifetime: float = 0.0
    revalidated: float = 0.0
    second: int = -1
    prepared: dict[tuple[bool, bool], PreparedResponse] = field(default_factory=dict)

    def __post_init__(self) -> None:
        freshness = self.representation.freshness
        if freshness is None:
            self.lifetime = self.representation.max_age
        elif freshness.fresh_for > 0:
            self.lifetime = freshness.fresh_for
        else:
            self.stale = True
            # Long enough for an application that waits for upstream before it answers.
            self.lifetime = min(freshness.servable_for, REVALIDATE_SECONDS + _SLOW_SECONDS)

    @property
    def size(self) -> int:
        return self.representation.body.size + _ENTRY_OVERHEAD

    def prepare(self, elapsed: float, *, gzipped: bool, not_modified: bool) -> PreparedResponse:
        # Headers state whole seconds, so a prepared response is shared for one second.
        second = int(elapsed)
        if second != self.second:
            self.second, self.prepared = second, {}
        key = (gzipped, not_modified)
        prepared = self.prepared.get(key)
        if prepared is None:
            prepared = self._response(elapsed, gzipped=gzipped, not_modified=not_modified)
            self.prepared[key] = prepared
        return prepared

    def _response(self, elapsed: float, *, gzipped: bool, not_modified: bool) -> PreparedResponse:
        representation = self.representation
        freshness = representation.freshness
        now = None if freshness is None else freshness.after(elapsed)
        head = representation.head(now, gzipped=gzipped, not_modified=not_modified)
        body = b"" if not_modified else representation.bytes(gzipped=gzipped)
        if not not_modified:
            head.append(("Content-Length", str(len(body))))
        if now is None:
            head.append(("Age", str(int(elapsed))))
        return PreparedResponse(
            status=304 if not_modified else 200,
            headers=[(name.lower().encode(), value.encode("latin-1")) for name, value in head],
            body=body,
            outcome=None if now is None else now.outcome,
            route_info=self.route_info,
        )


class ResponseCache:
    """Keeps the newest response for each address; evicts the least recently used.

    Args:
        memory: for the entries.
        change_token: a new value forces revalidation of stale entries, because this process may
            have a newer snapshot.
    """

    def __init__(
        self, clock: Clock, *, memory: CacheMemory, change_token: Callable[[], Hashable]
    ) -> None:
        self._clock = clock
        self._change_token = change_token
        self._entries: BoundedCache[_Entry] = BoundedCache(memory, lambda entry: entry.size)

    @property
    def size(self) -> int:
        """The memory that the entries take, in bytes."""
        return self._entries.size

    def get(self, request: CacheRequest) -> PreparedResponse | None:
        """The cached response; None if the application must be called."""
        entry = request.entry() or self._find(request)
        elapsed = None if entry is None else self._valid_age(entry)
        if entry is None or elapsed is None:
            return None
        token = self._change_token() if entry.stale else entry.change_token
        if elapsed >= entry.revalidated + REVALIDATE_SECONDS or token != entry.change_token:
            # This request revalidates; concurrent requests are served from the entry.
            entry.revalidated, entry.change_token = elapsed, token
            return None
        not_modified = entry.representation.is_not_modified(
            request.if_none_match, request.if_modified_since, gzipped=request.gzipped
        )
        return entry.prepare(elapsed, gzipped=request.gzipped, not_modified=not_modified)

    def is_valid(self, request: CacheRequest) -> bool:
        """Whether :meth:`get` may return a response, except once a second."""
        entry = request.entry()
        return entry is not None and self._valid_age(entry) is not None

    def _valid_age(self, entry: _Entry) -> float | None:
        """Seconds since *entry* was made; None if it may not be served any more."""
        clock = self._clock
        elapsed = clock.monotonic() - entry.at
        # If the clocks disagree, the wall clock was set or the machine was suspended.
        drift = abs(clock.now() - entry.wall - elapsed)
        return elapsed if elapsed < entry.lifetime and drift < _MAX_DRIFT else None

    def _find(self, request: CacheRequest) -> _Entry | None:
        for key in _keys(request):
            entry = self._entries.get(key)
            if entry is not None:
                request.entry = weakref.ref(entry)
                return entry
        return None

    def token(self) -> Hashable:
        """The change token. Read it before the application is called, and pass it to :meth:`put`
        with the response."""
        return self._change_token()

    def put(
        self,
        request: CacheRequest,
        representation: Representation | None,
        *,
        token: Hashable,
        route_info: Any,
    ) -> None:
        """Keep the application's response if it may be kept; otherwise drop a stale entry.

        Args:
            representation: None if the response is not a 200 that may be kept.
            route_info: for the access log.
        """
        if representation is not None:
            now, wall = self._clock.monotonic(), self._clock.now()
            freshness = representation.freshness
            at = now if freshness is None else freshness.at
            entry = _Entry(representation, route_info, token, at, wall - (now - at))
            if entry.lifetime > 0:
                language = request.language if representation.by_language else None
                self._entries.put((request.address, language), entry)
                return
        for key in _keys(request):
            previous = self._entries.get(key)
            if previous is not None and previous.stale:
                self._entries.pop(key)


def _keys(request: CacheRequest) -> tuple[Hashable, Hashable]:
    """The keys of a response that is the same in all languages, and of one that is not."""
    return (request.address, None), (request.address, request.language)
