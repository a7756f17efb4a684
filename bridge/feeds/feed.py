"""Feeds: a specification in, bytes and validators out, rendered once per snapshot."""

import base64
import gzip
import hashlib
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakValueDictionary

import structlog

from bridge.bounded_cache import BoundedCache
from bridge.feeds.formats.base import Content, Format
from bridge.feeds.formats.ics import fitting
from bridge.feeds.last_modified import LastModified
from bridge.feeds.selection import select
from bridge.feeds.spec import FeedSpec
from bridge.instrumentation import NO_INSTRUMENTATION, Instrumentation
from bridge.snapshots.cache import COLD_PATIENCE, Lookup
from bridge.snapshots.router import SnapshotRouter

log = structlog.get_logger()

_GZIP_LEVEL = 6


@dataclass(frozen=True, slots=True)
class Body:
    """A feed's bytes.

    Attributes:
        name: what the feed is about, one line.
        trimmed: sessions that were left out for the feed's size.
        hidden: sessions that its audience may not see, by reason.
        tag: changes with the bytes, and with nothing else; the same on every machine.
        changed: the walk at which the tag last changed, in seconds since 1970.
    """

    plain: bytes
    zipped: bytes
    tag: str
    changed: float
    name: str
    sessions: int
    trimmed: int = 0
    hidden: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, plain: bytes, *, before: "Body | None" = None, **rest: Any) -> "Body":
        """The body that *plain* makes.

        Args:
            before: one that may have the same bytes: then they are those very objects.
        """
        if before is not None and before.plain == plain:
            return cls(plain=before.plain, zipped=before.zipped, tag=before.tag, **rest)
        # no time of day in it: the same bytes on every machine
        zipped = gzip.compress(plain, _GZIP_LEVEL, mtime=0)
        return cls(
            plain=plain,
            zipped=zipped,
            tag=tag_of(plain),
            **rest,
        )

    @property
    def size(self) -> int:
        """Bytes that it takes to keep."""
        return len(self.plain) + len(self.zipped) + 500


def tag_of(plain: bytes) -> str:
    """The digest that is the opaque part of an ETag."""
    return base64.urlsafe_b64encode(hashlib.sha256(plain).digest()[:18]).decode()


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed as it stands: its bytes, and the snapshot that they were made of."""

    body: Body
    lookup: Lookup

    def narrowed(self, form: Format, params: Mapping[str, str]) -> "Feed":
        """The feed, reduced to what the format's own parameters ask for.

        Raises:
            ParameterError: a parameter cannot be read.
        """
        plain = form.narrow(self.body.plain, params)
        if plain is self.body.plain:
            return self
        known = self.body
        narrowed = Body.of(
            plain,
            changed=known.changed,
            name=known.name,
            sessions=known.sessions,
            trimmed=known.trimmed,
            hidden=known.hidden,
        )
        return Feed(narrowed, self.lookup)


_Place = tuple[FeedSpec, str, str]


@dataclass(frozen=True, slots=True)
class _Kept:
    body: Body
    version: str


class FirstRenders:
    """Serialises first-time renders; renders of known feeds and pages are not blocked.

    A flood of made-up filter sets would otherwise keep every thread of the worker at work, and
    known feeds would wait for all of them.
    """

    def __init__(self) -> None:
        # A page is made of a feed, which may be new as well.
        self._lock = threading.RLock()

    def held(self, *, unless: bool) -> AbstractContextManager[object]:
        """A context manager that holds the lock, or does nothing."""
        return nullcontext() if unless else self._lock


class _Rendering:
    """Held by the thread that renders a body, and by those who wait for it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()


class Feeds:
    """Renders feeds, and keeps what it rendered for as long as its snapshot stands.

    Args:
        max_bytes: of rendered feeds that this worker keeps.
        feed_max_bytes: of one calendar; what is over is trimmed. 0 for any size.
        base_url: the bridge's own address, if it is known.
        first_renders: held while a feed that this worker has not rendered before is rendered.
    """

    def __init__(
        self,
        router: SnapshotRouter,
        last_modified: LastModified,
        *,
        max_bytes: int,
        feed_max_bytes: int,
        base_url: str | None,
        first_renders: FirstRenders,
        instrumentation: Instrumentation = NO_INSTRUMENTATION,
    ) -> None:
        self._router = router
        self._first_renders = first_renders
        self._instrumentation = instrumentation
        self._last_modified = last_modified
        self._feed_max_bytes = feed_max_bytes
        self._base_url = base_url
        self._lock = threading.Lock()
        # A lock is there as long as somebody holds it: nothing to tidy up.
        self._rendering: WeakValueDictionary[_Place, _Rendering] = WeakValueDictionary()
        self._bodies: BoundedCache[_Kept] = BoundedCache(max_bytes, lambda one: one.body.size)

    def get(self, spec: FeedSpec, form: Format, *, patience: float = COLD_PATIENCE) -> Feed:
        """The feed of *spec* in *form*.

        Raises:
            UnavailableError: there is no copy of its timetable and none can be had.
        """
        return self.made_of(self._router.find(spec.filter_set, patience=patience), spec, form)

    def made_of(self, lookup: Lookup, spec: FeedSpec, form: Format) -> Feed:
        """The feed of *spec* in *form*, of a snapshot that is at hand; upstream is not asked."""
        body = self._kept(spec, form, lookup)
        if body is None:
            with self._lock:
                place = (spec, form.suffix, lookup.version)
                rendering = self._rendering.setdefault(place, _Rendering())
            known = self._bodies.get((spec, form.suffix)) is not None
            # In this order: a page that is rendered for the first time holds the first lock.
            # A herd would render the same bytes once each, all the slower for it.
            with self._first_renders.held(unless=known), rendering.lock:
                body = self._kept(spec, form, lookup)
                if body is None:
                    with self._instrumentation.rendering(form.suffix):
                        body = self._render(spec, form, lookup)
                    self._bodies.put((spec, form.suffix), _Kept(body, lookup.version))
        return Feed(body, lookup)

    def _kept(self, spec: FeedSpec, form: Format, lookup: Lookup) -> Body | None:
        kept = self._bodies.get((spec, form.suffix))
        return kept.body if kept is not None and kept.version == lookup.version else None

    def _render(self, spec: FeedSpec, form: Format, lookup: Lookup) -> Body:
        selection = select(lookup.snapshot, spec)
        content = Content(selection.shown, selection.subject, spec, self._base_url)
        # Every format holds the sessions that fit into the calendar.
        shown = fitting(content, max_bytes=self._feed_max_bytes, day=lookup.snapshot.day)
        trimmed = len(selection.shown) - len(shown)
        if trimmed:
            log.warning("feed trimmed", feed=spec.name, sessions=len(shown), left_out=trimmed)
        before = self._bodies.get((spec, form.suffix))
        walked = lookup.snapshot.walked
        body = Body.of(
            form.render(replace(content, shown=shown)),
            before=before.body if before is not None else None,
            changed=walked,
            name=selection.subject.name,
            sessions=len(shown),
            trimmed=trimmed,
            hidden=selection.hidden,
        )
        changed = self._last_modified.changed(f"{spec.name} {form.suffix}", body.tag, walked)
        return replace(body, changed=changed)
