"""Usage counts: which feeds are read, by which user agents, how often and when last."""

import json
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.feeds.formats import ICS
from bridge.feeds.spec import FeedSpec
from bridge.store.bounded_map import BoundedMap
from bridge.store.interface import Store, Write
from bridge.store.json_values import decode_json
from bridge.store.keys import Keys

_HOUR = 3600
_HOURS_PER_DAY = 24
_TTL = 40 * 86400.0
_BUCKETS, _BUCKET_SIZE = 8, 32
_MAX_PENDING = 2_000
_MAX_NAME_LENGTH = 600
_MAX_TRIES = 5


@dataclass(frozen=True, slots=True)
class FeedInfo:
    """A feed at the time it was read.

    Attributes:
        name: the path; for a private feed, whose path is secret, its id.
        key: the key of its filter set.
        title: the feed's title.
        sessions: number of sessions in the feed.
        trimmed: number of sessions that were left out because of the size limit.
        hidden: number of sessions that its audience may not see, by reason.
    """

    name: str
    key: str
    private: bool = False
    title: str = ""
    sessions: int = 0
    trimmed: int = 0
    hidden: tuple[tuple[str, int], ...] = ()


def feed_name(spec: FeedSpec) -> str:
    """The name by which the reads of a feed are counted, whatever its format."""
    return spec.audience.private or spec.path(f".{ICS.suffix}")


@dataclass(frozen=True, slots=True)
class ReadCount:
    """The number of reads in the last 24 hours, and the time of the last, in seconds since 1970."""

    today: int
    last: float


@dataclass(frozen=True, slots=True)
class FeedUsage:
    """How a feed is used.

    Attributes:
        reads: by all clients.
        families: each user agent's last read, in seconds since 1970; the latest first.
    """

    feed: FeedInfo
    reads: ReadCount
    families: Mapping[str, float]


class _Pending:
    """Reads of one feed, or of pages, by one family, that are not yet in the store."""

    __slots__ = ("count", "feed")

    def __init__(self, feed: FeedInfo | None) -> None:
        self.count = 0
        self.feed = feed


class UsageCounter:
    """Counts reads in this process; :meth:`flush` adds them to the store.

    :meth:`last_reads` answers from memory, so that pages need not read the store.

    No address or other personal data is kept. If there are more feeds than the store may hold,
    feeds that were read only once are evicted first.
    """

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store = store
        self._key = keys.client_usage
        self._lock = threading.Lock()
        self._pending: dict[tuple[str, str], _Pending] = {}
        self._last_reads: Mapping[str, Mapping[str, float]] | None = None
        self._feeds = BoundedMap(
            store, keys.feed_usage, buckets=_BUCKETS, size=_BUCKET_SIZE, ttl=_TTL
        )

    def record(self, family: str, feed: FeedInfo | None) -> None:
        """Count a read of *feed*, or of a page (None), by a client of *family*."""
        # This runs for every response: it must be fast.
        key = (family, feed.name if feed else "")
        with self._lock:
            pending = self._pending.get(key) or self._add_pending(family, feed)
            pending.count += 1
            if pending.feed is not None:
                pending.feed = feed

    def flush(self) -> None:
        """Add the reads since the last flush to the store."""
        with self._lock:
            all_pending, self._pending = self._pending, {}
        now = self._store.now()
        families: Counter[str] = Counter()
        feeds: dict[str, FeedInfo] = {}
        reads: dict[str, Counter[str]] = {}
        for (family, name), pending in all_pending.items():
            families[family] += pending.count
            if pending.feed is not None:
                feeds[name] = pending.feed
                reads.setdefault(name, Counter())[family] += pending.count
        if families:
            self._add_totals(families, now)
            changes = {name: _addition(feed, reads[name], now) for name, feed in feeds.items()}
            self._feeds.update(changes, seen=now)

    def refresh(self) -> None:
        """Read the store for :meth:`last_reads`."""
        self._last_reads = {usage.feed.name: usage.families for usage in self.feeds()}

    def last_reads(self, spec: FeedSpec) -> Mapping[str, float] | None:
        """Each client family's last read of a feed, in seconds since 1970, at the last refresh.

        None if that is not known: before the first refresh, and for names that are too long.
        """
        name = feed_name(spec)
        if self._last_reads is None or len(name) > _MAX_NAME_LENGTH:
            return None
        return self._last_reads.get(name, {})

    def families(self) -> dict[str, ReadCount]:
        """The number of reads by user agent, without user agents that have read nothing."""
        now = self._store.now()
        return {family: hours.read_count(now) for family, hours in self._totals()[0].items()}

    def feeds(self) -> list[FeedUsage]:
        """The recently read feeds; the most recently read comes first."""
        now = self._store.now()
        feeds = (_decode(name, record.data, now) for name, record in self._feeds.records().items())
        return sorted(filter(None, feeds), key=lambda usage: usage.reads.last, reverse=True)

    def _add_pending(self, family: str, feed: FeedInfo | None) -> _Pending:
        full = len(self._pending) >= _MAX_PENDING
        if feed is None or full or len(feed.name) > _MAX_NAME_LENGTH:
            # Counted together with the pages.
            return self._pending.setdefault((family, ""), _Pending(None))
        return self._pending.setdefault((family, feed.name), _Pending(feed))

    def _totals(self) -> tuple[dict[str, "_HourlyCounts"], str | None]:
        entry = self._store.read([self._key]).get(self._key)
        rows = decode_json(entry.value) if entry else None
        totals = {
            str(family): hours
            for family, row in (rows.items() if isinstance(rows, dict) else ())
            if (hours := _HourlyCounts.of(row)) is not None
        }
        return totals, entry.version if entry else None

    def _add_totals(self, families: Mapping[str, int], now: float) -> None:
        for _ in range(_MAX_TRIES):
            totals, version = self._totals()
            for family, count in families.items():
                totals[family] = totals.get(family, _HourlyCounts()).plus(count, now)
            value = json.dumps({family: hours.row for family, hours in totals.items()}).encode()
            if self._store.commit({self._key: Write(value, _TTL)}, expect={self._key: version}):
                return
        # Other processes keep changing the totals: this minute's counts are lost.


@dataclass(frozen=True, slots=True)
class _HourlyCounts:
    """The counts of the last day, by hours since 1970, and the time of the last read."""

    counts: Mapping[int, int] = field(default_factory=dict)
    last: float = 0.0

    @classmethod
    def of(cls, row: Any) -> "_HourlyCounts | None":
        try:
            last, counts = row
            return cls({int(hour): int(count) for hour, count in counts.items()}, float(last))
        except (TypeError, ValueError, AttributeError, OverflowError):
            return None

    @property
    def row(self) -> list[Any]:
        return [self.last, self.counts]

    def plus(self, count: int, now: float) -> "_HourlyCounts":
        counts = self._last_day(now)
        hour = int(now) // _HOUR
        counts[hour] = counts.get(hour, 0) + count
        return _HourlyCounts(counts, now)

    def read_count(self, now: float) -> ReadCount:
        return ReadCount(sum(self._last_day(now).values()), self.last)

    def _last_day(self, now: float) -> dict[int, int]:
        current = int(now) // _HOUR
        return {
            hour: count
            for hour, count in self.counts.items()
            if current - _HOURS_PER_DAY < hour <= current
        }


def _addition(feed: FeedInfo, reads: Mapping[str, int], now: float) -> Any:
    """A change of the stored record of *feed* that adds *reads*."""

    def add(before: Any) -> Any:
        record = before if isinstance(before, dict) else {}
        hours = _HourlyCounts.of(record.get("hours")) or _HourlyCounts()
        families = record.get("families")
        return {
            "key": feed.key,
            "private": feed.private,
            "title": feed.title,
            "numbers": [feed.sessions, feed.trimmed, feed.hidden],
            "hours": hours.plus(sum(reads.values()), now).row,
            "families": {
                **(families if isinstance(families, dict) else {}),
                **dict.fromkeys(reads, now),
            },
        }

    return add


def _decode(name: str, data: Any, now: float) -> FeedUsage | None:
    """A stored record; None if it was stored by another version of the program."""
    try:
        sessions, trimmed, hidden = data["numbers"]
        feed = FeedInfo(
            name=name,
            key=str(data["key"]),
            private=bool(data["private"]),
            title=str(data["title"]),
            sessions=int(sessions),
            trimmed=int(trimmed),
            hidden=tuple((str(reason), int(count)) for reason, count in hidden),
        )
        hours = _HourlyCounts.of(data["hours"])
        families = {str(family): float(at) for family, at in data["families"].items()}
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError):
        return None
    if hours is None:
        return None
    latest_first = sorted(families.items(), key=lambda item: item[1], reverse=True)
    return FeedUsage(feed, hours.read_count(now), dict(latest_first))
