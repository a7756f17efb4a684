"""Publishes walks: merges each with the previous snapshot, and writes the result to the store."""

from collections.abc import Sequence

import structlog

from bridge.errors import StoreError, UpstreamError
from bridge.instrumentation import AlertSink
from bridge.model import SourceName
from bridge.snapshots import merge
from bridge.snapshots.change_log import Change, ChangeLogs, changed_sessions
from bridge.snapshots.encoding import encode
from bridge.snapshots.freshness import FreshnessPolicy
from bridge.snapshots.local_cache import LocalCache
from bridge.snapshots.merge import HISTORY_DAYS, MergeRules
from bridge.snapshots.session_history import SessionHistory
from bridge.snapshots.snapshot import Snapshot
from bridge.snapshots.snapshot_key import SnapshotKey, source_of
from bridge.store.interface import Store, Write
from bridge.store.keys import Keys
from bridge.store.leases import Lease, LostLeaseError
from bridge.upstream.pagination import Walk

log = structlog.get_logger()

_MAX_TRIES = 5
_DAY = 86400.0


class Publisher:
    """Writes snapshots and session histories in one transaction, protected by a lease."""

    def __init__(
        self,
        *,
        store: Store,
        keys: Keys,
        local_cache: LocalCache,
        freshness: FreshnessPolicy,
        history: SessionHistory,
        change_logs: ChangeLogs,
        alerts: AlertSink,
    ) -> None:
        self._store = store
        self._keys = keys
        self._local_cache = local_cache
        self._freshness = freshness
        self._history = history
        self._change_logs = change_logs
        self._alerts = alerts

    def check(self, key: SnapshotKey, walk: Walk) -> None:
        """Check that a first snapshot of *key* would not lack everything that upstream lists.

        Raises:
            UpstreamError: no row of *walk* can be used, and there is no earlier snapshot that keeps
                the sessions: an empty calendar would look like a complete one.
        """
        if walk.defect is not None and self._local_cache.revalidate(key.text) is None:
            raise UpstreamError(walk.defect)

    def missing(self, key: SnapshotKey, rules: MergeRules, walk: Walk) -> frozenset[int]:
        """The ids of upcoming sessions that *walk* lacks, and that would be believed deleted."""
        entry = self._local_cache.revalidate(key.text)
        if entry is None:
            return frozenset()
        return merge.missing_ids(key.filter_set, walk, entry.snapshot, rules)

    def publish(self, key: SnapshotKey, rules: MergeRules, walk: Walk, lease: Lease) -> None:
        """Merge *walk* with the previous snapshot, and publish the result.

        Raises:
            LostLeaseError: another process has taken over; nothing was published.
            StoreError: walks of other filter sets kept changing the same sessions.
        """
        name = self._keys.snapshot(key.text)
        for _ in range(_MAX_TRIES):
            # If the store cannot be read now, the commit fails once the store works again.
            stored = self._store.versions([name]).get(name)
            entry = self._local_cache.revalidate(key.text)
            previous = entry.snapshot if entry else None
            records = self._history.load(walk, previous)
            snapshot = merge.merge_walk(key.filter_set, walk, previous, records.published, rules)
            elsewhere = merge.sessions_elsewhere(
                key.filter_set, walk, previous, records.published, rules
            )
            published = (*snapshot.published, *elsewhere.values())
            writes, expect = records.writes_for(published, walk.started)
            writes[name] = Write(encode(snapshot), self._store_ttl(rules))
            expect[name] = stored
            writes[self._keys.source_read(key.source.value)] = Write(b"1", HISTORY_DAYS * _DAY)
            if previous is not None and merge.is_contiguous(key.filter_set, walk, previous):
                changes = changed_sessions(
                    previous,
                    snapshot,
                    {**records.published, **elsewhere},
                    deleted=None if key.filter_set.is_window else walk.deleted,
                )
                self._log_changes(key.source, changes, (previous, snapshot), writes, expect)
            lease.renew()
            version = self._store.commit(writes, expect={**expect, **lease.expectation})
            if version is not None:
                self._local_cache.put(key.text, snapshot, version, previous=entry)
                self._report(key.text, snapshot, walk)
                return
        raise StoreError("other filter sets kept changing the same sessions", readable=True)

    def _log_changes(
        self,
        source: SourceName,
        changes: Sequence[Change],
        snapshots: tuple[Snapshot, Snapshot],
        writes: dict[str, Write],
        expect: dict[str, str | None],
    ) -> None:
        seen_at, at = (int(snapshot.oldest_walk_at) for snapshot in snapshots)
        log_writes, log_expect = self._change_logs.writes_for(source, changes, at, seen_at)
        writes.update(log_writes)
        expect.update(log_expect)

    def confirm_deletions(self, key: str, lease: Lease) -> int:
        """Remove the held sessions of *key* at once; how many were removed.

        Raises:
            LostLeaseError: a refresh has taken over.
        """
        entry = self._local_cache.revalidate(key)
        count = self.held_count(key)
        if entry is None or not count:
            return 0
        snapshot = merge.drop_held(entry.snapshot)
        name = self._keys.snapshot(key)
        writes = {name: Write(encode(snapshot), HISTORY_DAYS * _DAY)}
        expect: dict[str, str | None] = {}
        changes = changed_sessions(entry.snapshot, snapshot, {})
        self._log_changes(source_of(key), changes, (entry.snapshot, snapshot), writes, expect)
        lease.renew()
        if self._store.commit(writes, expect={**expect, **lease.expectation}) is None:
            raise LostLeaseError(name)
        self._alerts.resolve(f"held {key}", "What TeamUp no longer lists was accepted as gone.")
        return count

    def held_count(self, key: str) -> int:
        """The number of held sessions of *key*."""
        entry = self._local_cache.revalidate(key)
        return _held_count(entry.snapshot) if entry else 0

    def _report(self, key: str, snapshot: Snapshot, walk: Walk) -> None:
        held = _held_count(snapshot)
        log.info(
            "published",
            key=key,
            sessions=len(snapshot.published),
            pages=walk.pages,
            held=held,
            **{reason.replace(" ", "_"): count for reason, count in walk.tally.items()},
        )
        if held > merge.ALWAYS_BELIEVED:
            self._alerts.fire(
                f"held {key}",
                f"TeamUp no longer lists {held} sessions to come, or not with the data that"
                " feeds need. That is suspiciously many, so they stay in the feeds as they were. If"
                " they are really gone, run `flask --app app accept`; if not, check what the token"
                " may see.",
            )
        elif not held:
            self._alerts.resolve(f"held {key}", "No sessions are held back any more.")

    def _store_ttl(self, rules: MergeRules) -> float:
        """Seconds after which the store drops a snapshot that is not refreshed."""
        if rules.settled or rules.wide:
            return HISTORY_DAYS * _DAY
        return self._freshness.ttl * 2 + self._freshness.stale_if_error + _DAY


def _held_count(snapshot: Snapshot) -> int:
    return sum(entry.held for entry in snapshot.published)
