"""Feeds: rendered once per snapshot and kept in memory, with their validators.

feed = feeds.get(spec, form)
feed.body.plain, feed.body.etag, feed.lookup.outcome
"""

import base64
import gzip
import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from weakref import WeakValueDictionary

import structlog

from bridge.bounded_cache import BoundedCache, CacheMemory
from bridge.feeds.changes import SessionChange, changes_of
from bridge.feeds.formats.base import Content, Format
from bridge.feeds.formats.ics import trim_to_size
from bridge.feeds.last_modified import LastModified
from bridge.feeds.selection import select
from bridge.feeds.spec import FeedSpec
from bridge.instrumentation import NO_INSTRUMENTATION, Instrumentation
from bridge.snapshots.cache import COLD_TIMEOUT, Lookup
from bridge.snapshots.change_log import ChangeLog
from bridge.snapshots.router import SnapshotRouter

log = structlog.get_logger()

_GZIP_LEVEL = 6
# Bytes of an entry besides the two bodies.
_OVERHEAD = 500


@dataclass(frozen=True, slots=True)
class Body:
    """The body of a response, plain and compressed, with its validators.

    Attributes:
        etag: the opaque part of its ETag: a digest of the bytes, the same on every machine.
        changed: when the walk began at which the ETag last changed, in seconds since 1970; 0 if
            that is unknown.
        name: what the feed is about, in one line.
        sessions: how many sessions it contains.
        trimmed: how many sessions were left out because of the feed's size.
        hidden: how many sessions its audience may not see, by reason.
        notice: what a reader should know, in one line of ASCII; usually empty.
    """

    plain: bytes
    gzipped: bytes
    etag: str
    changed: float
    name: str = ""
    sessions: int = 0
    trimmed: int = 0
    hidden: Mapping[str, int] = field(default_factory=dict)
    notice: str = ""

    @classmethod
    def of(cls, plain: bytes, *, previous: "Body | None" = None, **fields: Any) -> "Body":
        """The body with the bytes *plain*, compressed.

        Args:
            previous: if it has the same bytes, the new body shares its objects.
        """
        if previous is not None and previous.plain == plain:
            return cls(plain=previous.plain, gzipped=previous.gzipped, etag=previous.etag, **fields)
        return cls(plain=plain, gzipped=_compressed(plain), etag=etag_of(plain), **fields)

    @property
    def size(self) -> int:
        """The memory that it takes, in bytes."""
        return len(self.plain) + len(self.gzipped) + _OVERHEAD


def _compressed(plain: bytes) -> bytes:
    # Without a modification time, so that the bytes are the same on every machine.
    return gzip.compress(plain, _GZIP_LEVEL, mtime=0)


def etag_of(plain: bytes) -> str:
    """The opaque part of the ETag of these bytes: a digest."""
    return base64.urlsafe_b64encode(hashlib.sha256(plain).digest()[:18]).decode()


@dataclass(frozen=True, slots=True)
class Feed:
    """A rendered feed, and the snapshot that it was rendered from."""

    body: Body
    lookup: Lookup

    def with_params(
        self, form: Format, params: Mapping[str, Sequence[str]], now: datetime
    ) -> "Feed":
        """The feed, reduced by the values of the format's own parameters.

        Raises:
            ParameterError: a parameter cannot be parsed.
        """
        plain = form.apply_params(self.body.plain, params, now)
        if plain is self.body.plain:
            return self
        body = replace(
            self.body,
            plain=plain,
            gzipped=_compressed(plain),
            etag=etag_of(plain),
            changed=0.0 if form.timed_params & params.keys() else self.body.changed,
        )
        return Feed(body, self.lookup)


_RenderKey = tuple[FeedSpec, str, str]
LoadChangeLogs = Callable[[], Sequence[ChangeLog]]


@dataclass(frozen=True, slots=True)
class _CachedBody:
    body: Body
    version: str


class FirstRenders:
    """Serialises first-time renders; renders of known feeds and pages are not blocked.

    Otherwise a flood of made-up filter sets would occupy every thread of the worker, and requests
    for known feeds would wait.
    """

    def __init__(self) -> None:
        # Reentrant: the first render of a page may include the first render of a feed.
        self._lock = threading.RLock()

    def serialise(self, *, unless: bool) -> AbstractContextManager[object]:
        """A context manager that holds the lock; if *unless* is true, it does nothing."""
        return nullcontext() if unless else self._lock


class Feeds:
    """Renders feeds, and keeps each in memory while its snapshot is current.

    Args:
        memory: for rendered feeds.
        feed_max_bytes: maximum size of a calendar, which is trimmed to it; 0 for no limit.
        base_url: the bridge's own address, if it is set.
        first_renders: serialises the renders of feeds that are not in memory.
        change_logs: loads the change log of each source.
    """

    def __init__(
        self,
        router: SnapshotRouter,
        last_modified: LastModified,
        *,
        memory: CacheMemory,
        feed_max_bytes: int,
        base_url: str | None,
        first_renders: FirstRenders,
        change_logs: LoadChangeLogs,
        instrumentation: Instrumentation = NO_INSTRUMENTATION,
    ) -> None:
        self._router = router
        self._first_renders = first_renders
        self._change_logs = change_logs
        self._instrumentation = instrumentation
        self._last_modified = last_modified
        self._feed_max_bytes = feed_max_bytes
        self._base_url = base_url
        self._lock = threading.Lock()
        # Each is held while a body is rendered; other threads that need the same body wait for it.
        # Weak references: a lock disappears once no thread holds it or waits for it.
        self._render_locks: WeakValueDictionary[_RenderKey, threading.Lock] = WeakValueDictionary()
        self._bodies: BoundedCache[_CachedBody] = BoundedCache(
            memory, lambda entry: entry.body.size
        )

    def get(self, spec: FeedSpec, form: Format, *, timeout: float = COLD_TIMEOUT) -> Feed:
        """The feed of *spec* in the format *form*.

        Args:
            timeout: seconds to wait for a first snapshot.

        Raises:
            UnavailableError: there is no snapshot, and none could be fetched in time.
        """
        return self.render_from(self._router.find(spec.filter_set, timeout=timeout), spec, form)

    def render_from(self, lookup: Lookup, spec: FeedSpec, form: Format) -> Feed:
        """The feed of *spec* in the format *form*, from the snapshot in *lookup*."""
        body = self._cached_body(spec, form, lookup)
        if body is None:
            with self._lock:
                key = (spec, form.name, lookup.version)
                render_lock = self._render_locks.setdefault(key, threading.Lock())
            cached = self._bodies.get((spec, form.name)) is not None
            # The order of the locks matters: a first-time render of a page already holds the first
            # one. The second one lets one of many concurrent requests render, and the rest reuse
            # the result.
            with self._first_renders.serialise(unless=cached), render_lock:
                body = self._cached_body(spec, form, lookup)
                if body is None:
                    with self._instrumentation.rendering(form.name):
                        body = self._render(spec, form, lookup)
                    self._bodies.put((spec, form.name), _CachedBody(body, lookup.version))
        return Feed(body, lookup)

    def changes(self, lookup: Lookup, spec: FeedSpec) -> list[SessionChange]:
        """The changes of the feed of *spec* that its audience may see, newest first."""
        zone = select(lookup.snapshot, spec).zone
        return changes_of(self._change_logs(), lookup.snapshot, spec, zone)

    def _cached_body(self, spec: FeedSpec, form: Format, lookup: Lookup) -> Body | None:
        entry = self._bodies.get((spec, form.name))
        return entry.body if entry is not None and entry.version == lookup.version else None

    def _render(self, spec: FeedSpec, form: Format, lookup: Lookup) -> Body:
        selection = select(lookup.snapshot, spec)
        content = Content(selection.shown, selection.subject, spec, self._base_url)
        if form.of_changes:
            changes = changes_of(self._change_logs(), lookup.snapshot, spec, selection.zone)
            content = replace(content, shown=(), changes=changes)
            trimmed = 0
        else:
            # All formats show the sessions that fit into the calendar.
            content = trim_to_size(content, max_bytes=self._feed_max_bytes, day=lookup.snapshot.day)
            trimmed = len(selection.shown) - len(content.shown)
        count = len(content.shown)
        if trimmed:
            log.warning("feed trimmed", feed=spec.name, sessions=count, left_out=trimmed)
        previous = self._bodies.get((spec, form.name))
        walked = lookup.snapshot.newest_walk_at
        body = Body.of(
            form.render(content),
            previous=previous.body if previous is not None else None,
            changed=walked,
            name=content.name,
            sessions=count,
            trimmed=trimmed,
            hidden=selection.hidden,
            notice=content.notice,
        )
        changed = self._last_modified.record(f"{spec.name} {form.name}", body.etag, walked)
        return replace(body, changed=changed)
