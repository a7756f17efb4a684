"""Feeds: a specification in, bytes and validators out, rendered once per snapshot."""

import base64
import gzip
import hashlib
import json
import threading
from dataclasses import dataclass, replace
from weakref import WeakValueDictionary

from cachetools import LRUCache

from bridge.cache.keys import Keys
from bridge.cache.plan import Plan
from bridge.cache.snapshots import COLD_PATIENCE, Lookup
from bridge.cache.store import Store, Write
from bridge.feeds import agenda, ics, jsonfeed
from bridge.feeds.selection import select, subject
from bridge.feeds.spec import FeedSpec, Format

_GZIP_LEVEL = 6
_VALIDATOR_SECONDS = 40 * 86400.0


@dataclass(frozen=True, slots=True)
class Body:
    """A feed's bytes.

    Attributes:
        name: what the feed is about, one line.
        tag: changes with the bytes, and with nothing else; the same on every machine.
        changed: the walk at which the tag last changed, in seconds since 1970.
    """

    plain: bytes
    zipped: bytes
    tag: str
    changed: float
    name: str
    sessions: int

    @classmethod
    def of(cls, plain: bytes, *, changed: float, name: str, sessions: int) -> "Body":
        """The body that *plain* makes."""
        digest = hashlib.sha256(plain).digest()[:18]
        return cls(
            plain=plain,
            # no time of day in it: the same bytes on every machine
            zipped=gzip.compress(plain, _GZIP_LEVEL, mtime=0),
            tag=base64.urlsafe_b64encode(digest).decode(),
            changed=changed,
            name=name,
            sessions=sessions,
        )

    @property
    def size(self) -> int:
        """Bytes that it takes to keep."""
        return len(self.plain) + len(self.zipped) + 500


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed as it stands: its bytes, and the snapshot that they were made of."""

    body: Body
    lookup: Lookup


_Place = tuple[FeedSpec, Format, str]


class _Rendering:
    """Held by the thread that renders a body, and by those who wait for it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()


class Feeds:
    """Renders feeds, and keeps what it rendered for as long as its snapshot stands.

    Args:
        max_bytes: of rendered feeds that this worker keeps.
        base_url: the bridge's own address, if it is known.
    """

    def __init__(
        self, plan: Plan, store: Store, keys: Keys, *, max_bytes: int, base_url: str | None
    ) -> None:
        self._plan = plan
        self._store = store
        self._keys = keys
        self._base_url = base_url
        self._lock = threading.Lock()
        # A lock is there as long as somebody holds it: nothing to tidy up.
        self._rendering: WeakValueDictionary[_Place, _Rendering] = WeakValueDictionary()
        self._bodies: LRUCache[_Place, Body] = LRUCache(max_bytes, getsizeof=lambda body: body.size)

    def get(self, spec: FeedSpec, form: Format, *, patience: float = COLD_PATIENCE) -> Feed:
        """The feed of *spec* in *form*.

        Raises:
            UnavailableError: there is no copy of its timetable and none can be had.
        """
        lookup = self._plan.find(spec.filter_set, patience=patience)
        place = (spec, form, lookup.version)
        with self._lock:
            body = self._bodies.get(place)
            if body is not None:
                return Feed(body, lookup)
            rendering = self._rendering.setdefault(place, _Rendering())
        # A herd would render the same bytes once each, all the slower for it.
        with rendering.lock:
            with self._lock:
                body = self._bodies.get(place)
            if body is None:
                body = self._render(spec, form, lookup)
                with self._lock:
                    if body.size <= self._bodies.maxsize:
                        self._bodies[place] = body
        return Feed(body, lookup)

    def _render(self, spec: FeedSpec, form: Format, lookup: Lookup) -> Body:
        shown = select(lookup.snapshot, spec)
        about = subject(lookup.snapshot, spec, shown)
        if form is Format.ICS:
            plain = ics.render(shown, spec, about, base_url=self._base_url)
        elif form is Format.JSON:
            plain = jsonfeed.render(shown)
        else:
            plain = agenda.render(shown, about)
        body = Body.of(plain, changed=lookup.snapshot.walked, name=about.name, sessions=len(shown))
        changed = self._changed(f"{spec.name} {form.value}", body.tag, lookup.snapshot.walked)
        return replace(body, changed=changed)

    def _changed(self, name: str, tag: str, walked: float) -> float:
        """The walk at which *tag* came to be this feed's; remembered, so that a restart is none."""
        key = self._keys.validator(name)
        entry = self._store.read([key]).get(key)
        if entry is not None:
            known = json.loads(entry.value)
            if known["tag"] == tag:
                return float(known["changed"])
        value = json.dumps({"tag": tag, "changed": walked}).encode()
        expect = {key: entry.version if entry else None}
        if not self._store.commit({key: Write(value, _VALIDATOR_SECONDS)}, expect=expect):
            # Another worker rendered the same just now, from the same snapshot or a newer one.
            entry = self._store.read([key]).get(key)
            known = json.loads(entry.value) if entry else {}
            return float(known["changed"]) if known.get("tag") == tag else walked
        return walked
