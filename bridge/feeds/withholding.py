"""Withholding: what the readers of a feed may not see, and why; for its owner."""

import threading
from collections import Counter
from collections.abc import Iterable, Mapping

from cachetools import LRUCache

from bridge.cache.snapshots import Lookup
from bridge.feeds.selection import visible
from bridge.feeds.spec import Audience, FeedSpec
from bridge.model import ClassSession, Visibility

DRAFT, UNKNOWN = "draft", "unknown"
REASONS = (DRAFT, UNKNOWN, *(one.value for one in Visibility))
"""A draft; no known visibility; or the visibility that it has."""

_SNAPSHOTS = 8


def reason(session: ClassSession, audience: Audience) -> str | None:
    """Why *audience* may not see *session*: one of :data:`REASONS`; None: it may."""
    if visible(session, audience):
        return None
    kind = session.offering_type
    if kind is not None and kind.draft:
        return DRAFT
    return UNKNOWN if kind is None or kind.visibility is None else kind.visibility.value


def withheld(sessions: Iterable[ClassSession], audience: Audience) -> Counter[str]:
    """How many of *sessions* the *audience* may not see, by reason."""
    return Counter(filter(None, (reason(one, audience) for one in sessions)))


class Withholding:
    """Counts what is withheld from feeds; goes through a snapshot once for all of its feeds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: LRUCache[object, tuple[tuple[ClassSession, str], ...]] = LRUCache(_SNAPSHOTS)

    def of(self, lookup: Lookup, spec: FeedSpec) -> Mapping[str, int]:
        """How many sessions of the feed *spec* its readers may not see, by reason."""
        key = (lookup.version, spec.audience.visibilities)
        with self._lock:
            found = self._found.get(key)
        if found is None:
            sessions = (one.session for one in lookup.snapshot.published)
            reasons = ((one, reason(one, spec.audience)) for one in sessions)
            found = tuple((one, why) for one, why in reasons if why is not None)
            with self._lock:
                self._found[key] = found
        day = lookup.snapshot.day
        return Counter(why for one, why in found if spec.filter_set.matches(one, day))
