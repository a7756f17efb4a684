"""Readers: which feeds are read, by which families of clients, how often and when last."""

import json
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.store.bounded_map import BoundedMap
from bridge.store.interface import Store, Write
from bridge.store.json_values import decode_json
from bridge.store.keys import Keys

_HOUR = 3600
_DAY_OF_HOURS = 24
_KEPT = 40 * 86400.0
_BUCKETS, _IN_A_BUCKET = 8, 32
_MOST_WAITING = 2_000
_LONGEST_NAME = 600
_TRIES = 5


@dataclass(frozen=True, slots=True)
class FeedInfo:
    """A feed as it was read.

    Attributes:
        name: its path; of a private one, which has none that may be told, its id.
        key: of its filter set.
        title: what it is called.
        sessions: that it shows.
        trimmed: that were left out for its size.
        hidden: that its readers may not see, by reason.
    """

    name: str
    key: str
    private: bool = False
    title: str = ""
    sessions: int = 0
    trimmed: int = 0
    hidden: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class ReadCount:
    """How often something was read in the last 24 hours, and when last, in seconds since 1970."""

    today: int
    last: float


@dataclass(frozen=True, slots=True)
class FeedUsage:
    """A feed, and who reads it.

    Attributes:
        reads: by anybody.
        families: when each family read it last, in seconds since 1970; latest first.
    """

    feed: FeedInfo
    reads: ReadCount
    families: Mapping[str, float]


class _Waiting:
    """Reads of one feed, or of pages, by one family, that the store has not been told of yet."""

    __slots__ = ("count", "feed")

    def __init__(self, feed: FeedInfo | None) -> None:
        self.count = 0
        self.feed = feed


class UsageCounter:
    """Counts in this process, and adds it to the store when told to.

    No address and nothing of a person is kept. Of more feeds than the store is to hold, those
    that were read once go first.
    """

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store = store
        self._key = keys.client_usage
        self._lock = threading.Lock()
        self._waiting: dict[tuple[str, str], _Waiting] = {}
        self._feeds = BoundedMap(
            store, keys.feed_usage, buckets=_BUCKETS, size=_IN_A_BUCKET, ttl=_KEPT
        )

    def note(self, family: str, feed: FeedInfo | None) -> None:
        """A client of *family* has read *feed*; None: a page."""
        # every answer comes through here
        key = (family, feed.name if feed else "")
        with self._lock:
            one = self._waiting.get(key) or self._begun(family, feed)
            one.count += 1
            if one.feed is not None:
                one.feed = feed

    def flush(self) -> None:
        """Add to the store what was noted since this was done last."""
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        now = self._store.now()
        families: Counter[str] = Counter()
        feeds: dict[str, FeedInfo] = {}
        reads: dict[str, Counter[str]] = {}
        for (family, name), one in waiting.items():
            families[family] += one.count
            if one.feed is not None:
                feeds[name] = one.feed
                reads.setdefault(name, Counter())[family] += one.count
        if families:
            self._add_up(families, now)
            changes = {name: _adding(feed, reads[name], now) for name, feed in feeds.items()}
            self._feeds.update(changes, seen=now)

    def families(self) -> dict[str, ReadCount]:
        """What each family has read; those that never read anything are not in it."""
        now = self._store.now()
        return {name: one.reads(now) for name, one in self._totals()[0].items()}

    def feeds(self) -> list[FeedUsage]:
        """The feeds that were read lately; the last one first."""
        now = self._store.now()
        found = (_readership(name, row.data, now) for name, row in self._feeds.records().items())
        return sorted(filter(None, found), key=lambda one: one.reads.last, reverse=True)

    def _begun(self, family: str, feed: FeedInfo | None) -> _Waiting:
        crowded = len(self._waiting) >= _MOST_WAITING
        if feed is None or crowded or len(feed.name) > _LONGEST_NAME:
            # counted with the pages
            return self._waiting.setdefault((family, ""), _Waiting(None))
        return self._waiting.setdefault((family, feed.name), _Waiting(feed))

    def _totals(self) -> tuple[dict[str, "_Hours"], str | None]:
        entry = self._store.read([self._key]).get(self._key)
        rows = decode_json(entry.value) if entry else None
        found = {
            str(name): hours
            for name, row in (rows.items() if isinstance(rows, dict) else ())
            if (hours := _Hours.of(row)) is not None
        }
        return found, entry.version if entry else None

    def _add_up(self, families: Mapping[str, int], now: float) -> None:
        for _ in range(_TRIES):
            totals, version = self._totals()
            for name, count in families.items():
                totals[name] = totals.get(name, _Hours()).plus(count, now)
            value = json.dumps({name: one.row for name, one in totals.items()}).encode()
            if self._store.commit({self._key: Write(value, _KEPT)}, expect={self._key: version}):
                return
        # Others keep adding: this minute's count is what is lost.


@dataclass(frozen=True, slots=True)
class _Hours:
    """Counts by hour since 1970, of the last day; and the last moment."""

    counts: Mapping[int, int] = field(default_factory=dict)
    last: float = 0.0

    @classmethod
    def of(cls, row: Any) -> "_Hours | None":
        try:
            last, counts = row
            return cls({int(hour): int(count) for hour, count in counts.items()}, float(last))
        except (TypeError, ValueError, AttributeError, OverflowError):
            return None

    @property
    def row(self) -> list[Any]:
        return [self.last, self.counts]

    def plus(self, count: int, now: float) -> "_Hours":
        hour = int(now) // _HOUR
        counts = {one: n for one, n in self.counts.items() if hour - _DAY_OF_HOURS < one <= hour}
        counts[hour] = counts.get(hour, 0) + count
        return _Hours(counts, now)

    def reads(self, now: float) -> ReadCount:
        hour = int(now) // _HOUR
        of_today = (n for one, n in self.counts.items() if hour - _DAY_OF_HOURS < one <= hour)
        return ReadCount(sum(of_today), self.last)


def _adding(feed: FeedInfo, reads: Mapping[str, int], now: float) -> Any:
    """What makes the record of *feed* out of the one before."""

    def added(before: Any) -> Any:
        known = before if isinstance(before, dict) else {}
        hours = _Hours.of(known.get("hours")) or _Hours()
        last = known.get("families")
        return {
            "key": feed.key,
            "private": feed.private,
            "title": feed.title,
            "numbers": [feed.sessions, feed.trimmed, feed.hidden],
            "hours": hours.plus(sum(reads.values()), now).row,
            "families": {**(last if isinstance(last, dict) else {}), **dict.fromkeys(reads, now)},
        }

    return added


def _readership(name: str, data: Any, now: float) -> FeedUsage | None:
    """What a record of the store says; None where it is of another version of the program."""
    try:
        sessions, trimmed, hidden = data["numbers"]
        feed = FeedInfo(
            name=name,
            key=str(data["key"]),
            private=bool(data["private"]),
            title=str(data["title"]),
            sessions=int(sessions),
            trimmed=int(trimmed),
            hidden=tuple((str(reason), int(number)) for reason, number in hidden),
        )
        hours = _Hours.of(data["hours"])
        families = {str(family): float(at) for family, at in data["families"].items()}
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError):
        return None
    if hours is None:
        return None
    latest = sorted(families.items(), key=lambda item: item[1], reverse=True)
    return FeedUsage(feed, hours.reads(now), dict(latest))
