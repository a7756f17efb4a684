"""Merges a complete walk with the previously published snapshot.

Data that upstream sends is published at once. Sessions that are missing from a walk are removed
late and with care: moving pages, a token with fewer permissions or a partly broken response must
not empty a subscriber's calendar.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from bridge.filters import FilterSet
from bridge.model import ClassSession, Identity, OfferingType, Published, Status
from bridge.snapshots import revisions
from bridge.snapshots.snapshot import Snapshot, is_new_since, ordered, replacements
from bridge.upstream.pagination import WALK_SECONDS, Walk
from bridge.upstream.sources import MAX_DURATION

HISTORY_DAYS = 400
ALWAYS_BELIEVED = 5
"""Up to this many missing sessions are never suspicious."""
_MAX_SHARE, _MAX_SHARE_OF_VENUE = 1 / 4, 1 / 2
"""Beyond these shares of all upcoming sessions, or of a venue's, missing ones are suspicious."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeRules:
    """How walks of a filter set are merged.

    Attributes:
        wide: the walks are provider-wide: a deleted session is published as cancelled, and past
            sessions are kept after they leave the filter set's window. Otherwise a session is
            removed, because it may only have left the filter set.
        shrink_hold: seconds for which suspiciously many missing sessions are held.
        settled: the filter set lies entirely in the past: fetched once, it is never refreshed.
    """

    wide: bool
    shrink_hold: float
    settled: bool = False


def merge_walk(
    filter_set: FilterSet,
    walk: Walk,
    previous: Snapshot | None,
    history: Mapping[Identity, Published],
    rules: MergeRules,
) -> Snapshot:
    """The snapshot that follows *previous* after *walk*.

    Args:
        history: the sessions of *walk* and *previous* as last published under any filter set.
    """
    merge = _Merge(filter_set, walk, previous, history, rules)
    merge.add_listed()
    merge.add_unlisted()
    merge.remove_replaced()
    return Snapshot(
        oldest_walk_at=walk.started,
        covers_from=_covers_from(filter_set, walk, previous, rules),
        published=ordered(merge.result),
        tally=walk.tally,
    )


def sessions_elsewhere(
    filter_set: FilterSet,
    walk: Walk,
    previous: Snapshot | None,
    history: Mapping[Identity, Published],
    rules: MergeRules,
) -> Mapping[Identity, Published]:
    """The sessions that have left the filter set, as a look-up found them, with their revisions."""
    merge = _Merge(filter_set, walk, previous, history, rules)
    return {session.identity: merge.current(session) for session in walk.elsewhere}


def is_contiguous(filter_set: FilterSet, walk: Walk, previous: Snapshot | None) -> bool:
    """Whether *previous* and *walk* together cover the time between them.

    After a longer pause, sessions may have come and gone that no walk has seen.
    """
    return previous is not None and previous.oldest_walk_at >= _edge(filter_set, walk)


def missing_ids(
    filter_set: FilterSet, walk: Walk, previous: Snapshot, rules: MergeRules
) -> frozenset[int]:
    """The ids of upcoming sessions that *walk* lacks, and that would be believed deleted."""
    listed = {session.identity for session in walk.sessions}
    if previous.by_identity.keys() <= listed:
        return frozenset()
    merge = _Merge(filter_set, walk, previous, {}, rules)
    known = previous.by_identity
    merge.result = {identity: known[identity] for identity in listed & known.keys()}
    missing = merge.missing()
    kept_anyway = {id for _, id in merge.suspicious(missing)} | walk.unusable
    return frozenset(
        entry.session.id
        for entry in missing
        if not entry.held and entry.session.id not in kept_anyway
    )


def with_detached(stored: Snapshot, detached: Snapshot) -> Snapshot:
    """*stored*, updated by a newer snapshot that was published without knowledge of it.

    What *detached* lacks stays: the next walk finds out whether it is missing. The times of changes
    and SEQUENCE never decrease for readers of either.
    """
    at = int(detached.oldest_walk_at)
    types = offering_types_by_id(entry.session for entry in detached.published)
    by_identity = {
        identity: with_stricter_visibility(entry, types)
        for identity, entry in stored.by_identity.items()
    }
    for identity, entry in detached.by_identity.items():
        before = stored.by_identity.get(identity)
        by_identity[identity] = revisions.continued(entry, before, at) if before else entry
    gapless = stored.oldest_walk_at >= detached.covers_from
    covers_from = min(stored.covers_from, detached.covers_from)
    return replace(
        detached,
        covers_from=covers_from if gapless else detached.covers_from,
        published=ordered(by_identity),
    )


def drop_held(snapshot: Snapshot) -> Snapshot:
    """*snapshot* without its held sessions: the operator confirms that they are deleted."""
    return replace(
        snapshot, published=tuple(entry for entry in snapshot.published if not entry.held)
    )


def offering_types_by_id(sessions: Iterable[ClassSession]) -> Mapping[int, OfferingType]:
    """The offering types of the complete *sessions*."""
    return {
        offering_type.id: offering_type
        for session in sessions
        if session.complete
        and (offering_type := session.offering_type)
        and offering_type.id is not None
    }


def with_current_visibility(entry: Published, types: Mapping[int, OfferingType]) -> Published:
    """*entry*, which upstream no longer lists, with its offering type's visibility of today."""
    stored = entry.session.offering_type
    current = types.get(stored.id) if stored and stored.id is not None else None
    if stored is None or current is None or _visibility(stored) == _visibility(current):
        return entry
    updated = replace(stored, visibility=current.visibility, draft=current.draft)
    session = replace(entry.session, offering_type=updated)
    # Readers who could not see the session before must not learn its former data.
    return replace(entry, session=session, moved_from=None, covered=(), noted_at=None)


def _visibility(offering_type: OfferingType) -> object:
    return (offering_type.visibility, offering_type.draft)


def with_stricter_visibility(entry: Published, types: Mapping[int, OfferingType]) -> Published:
    """The same for a session that may be listed again: it never becomes more visible."""
    return max(entry, with_current_visibility(entry, types), key=_strictness)


def _strictness(entry: Published) -> float:
    kind = entry.session.offering_type
    if kind is None or kind.visibility is None or kind.draft:
        return math.inf
    return kind.visibility.rank


class _Merge:
    def __init__(
        self,
        filter_set: FilterSet,
        walk: Walk,
        previous: Snapshot | None,
        history: Mapping[Identity, Published],
        rules: MergeRules,
    ) -> None:
        self.result: dict[Identity, Published] = {}
        self._filter_set = filter_set
        self._walk = walk
        self._at = int(walk.started)
        self._now = datetime.fromtimestamp(walk.started, UTC)
        self._previous = previous.by_identity if previous else {}
        self._seen_at = int(previous.oldest_walk_at) if previous else self._at
        self._history = history
        self._rules = rules
        self._unusable = set(walk.unusable)
        self._types = offering_types_by_id(walk.sessions)

    def add_listed(self) -> None:
        """Add the sessions that the walk contains, with their current data."""
        for session in self._walk.sessions:
            last = self._last_published(session.identity)
            if not session.complete and last is not None and last.session.complete:
                self._unusable.add(session.id)
                if session.identity not in self._previous:
                    self._keep(last)
            else:
                self.result[session.identity] = self.current(session)

    def current(self, session: ClassSession) -> Published:
        """*session*, which upstream sent, with its revision."""
        last = self._last_published(session.identity)
        if last is not None and self._is_overtaken(last):
            return last
        if last is not None and last.session.end and session.id in self._walk.without_end:
            # Each walk contains other sessions, from which it estimates another length.
            length = last.session.end - last.session.start
            session = replace(session, end=session.start + length)
        return revisions.with_revision(session, self._at, last, seen_at=self._seen_at)

    def add_unlisted(self) -> None:
        """Add those previously published sessions that stay although the walk lacks them."""
        missing = self.missing()
        for entry in self._unlisted():
            if entry.session.ends <= self._now:
                if not entry.is_tombstone:
                    # For past sessions it does not matter whether upstream still lists them.
                    past = replace(entry, missing_since=None, held=False)
                    current = with_current_visibility(past, self._types)
                    self.result[entry.session.identity] = current
            elif entry.is_tombstone:
                self._keep(entry)
        unreachable = [entry for entry in missing if self._is_out_of_reach(entry)]
        for entry in unreachable:
            self._keep(replace(entry, missing_since=None, held=False))
        reachable = [entry for entry in missing if not self._is_out_of_reach(entry)]
        suspicious = self.suspicious(reachable)
        for entry in reachable:
            kept = self._resolve_missing(entry, entry.session.identity in suspicious)
            if kept is not None:
                self._keep(kept)

    def remove_replaced(self) -> None:
        """Remove the tombstones of sessions that were created again under another id."""
        tombstones = [entry for entry in self.result.values() if entry.is_tombstone]
        listed = (
            self.result[session.identity]
            for session in self._walk.sessions
            if session.identity in self.result
        )
        for identity in replacements(tombstones, listed, is_new_since(self._previous)):
            del self.result[identity]

    def missing(self) -> list[Published]:
        """The upcoming sessions that the walk lacks."""
        return [
            entry
            for entry in self._unlisted()
            if entry.session.ends > self._now and not entry.is_tombstone
        ]

    def _unlisted(self) -> list[Published]:
        """The previously published sessions that have no result yet and may stay."""
        return [
            entry
            for identity, entry in self._previous.items()
            if identity not in self.result
            and entry.session.id not in self._walk.excluded
            and self._belongs(entry)
        ]

    def _keep(self, entry: Published) -> None:
        """Add a session of which the walk contains no current data."""
        self.result[entry.session.identity] = with_stricter_visibility(entry, self._types)

    def _is_out_of_reach(self, entry: Published) -> bool:
        """Whether a session began so long ago that the walk could not list it."""
        earliest, _ = self._filter_set.widest_window(self._walk.day)
        oldest = self._now - timedelta(days=HISTORY_DAYS)
        return (
            earliest is not None
            and oldest <= entry.session.start < earliest - MAX_DURATION
            and entry.session.id not in self._walk.deleted
        )

    def _last_published(self, identity: Identity) -> Published | None:
        """The latest published form of a session, under this or any other filter set."""
        own, latest = self._previous.get(identity), self._history.get(identity)
        if own is None or latest is None:
            return own or latest
        return max(latest, own, key=lambda entry: (entry.revision.content, entry.revision.sequence))

    def _is_overtaken(self, last: Published) -> bool:
        """Whether a walk that started after this one has already published a change."""
        return self._at < last.revision.content <= self._at + WALK_SECONDS

    def _belongs(self, entry: Published) -> bool:
        """Whether a session still belongs to the filter set."""
        if self._rules.wide:
            return entry.session.ends >= self._now - timedelta(days=HISTORY_DAYS)
        session = entry.session
        latest = self._history.get(session.identity)
        if latest and latest.revision.content > entry.revision.content:
            session = latest.session
        return self._filter_set.may_match(session, self._now.date())

    def suspicious(self, missing: Sequence[Published]) -> frozenset[Identity]:
        """Those of the *missing* sessions that are too many at once to be credible."""
        lost = [entry.session for entry in missing]
        if len(lost) <= ALWAYS_BELIEVED:
            return frozenset()
        upcoming = [
            entry.session
            for entry in self._previous.values()
            if entry.session.ends > self._now and not entry.is_tombstone
        ]
        if len(lost) > len(upcoming) * _MAX_SHARE:
            return frozenset(session.identity for session in lost)
        upcoming_at = Counter(_venue_id(session) for session in upcoming)
        lost_at = Counter(_venue_id(session) for session in lost)
        return frozenset(
            session.identity
            for session in lost
            if lost_at[_venue_id(session)] > upcoming_at[_venue_id(session)] * _MAX_SHARE_OF_VENUE
        )

    def _resolve_missing(self, entry: Published, suspicious: bool) -> Published | None:
        """The new form of an upcoming session that the walk does not contain; None: removed."""
        if entry.session.id in self._unusable:
            # Upstream still lists the session: it stays until its row is usable again, or gone.
            return replace(entry, missing_since=None, held=suspicious)
        since = self._at if entry.missing_since is None else entry.missing_since
        if suspicious or entry.held:
            if self._walk.started - since >= self._rules.shrink_hold:
                return None
            return replace(entry, missing_since=since, held=True)
        if entry.missing_since is None and entry.session.id not in self._walk.deleted:
            return replace(entry, missing_since=since)
        if not self._rules.wide:
            return None
        cancelled = replace(entry.session, status=Status.CANCELLED)
        tombstone = revisions.with_revision(cancelled, self._at, entry)
        return replace(tombstone, is_tombstone=True, missing_since=self._seen_at)


def _venue_id(session: ClassSession) -> int | None:
    return session.venue.id if session.venue else None


def _covers_from(
    filter_set: FilterSet, walk: Walk, previous: Snapshot | None, rules: MergeRules
) -> float:
    edge = _edge(filter_set, walk)
    if not rules.wide or previous is None or not is_contiguous(filter_set, walk, previous):
        return edge
    oldest = walk.started - HISTORY_DAYS * 86400
    return min(edge, max(previous.covers_from, oldest))


def _edge(filter_set: FilterSet, walk: Walk) -> float:
    """The start of the walk's window, in seconds since 1970."""
    earliest, _ = filter_set.widest_window(walk.day)
    return earliest.timestamp() if earliest else float("-inf")
