"""Publication: how a complete walk and what was published before become one snapshot.

What upstream says is taken at once. What it no longer says is believed slowly: a page that shifted,
a token that suddenly sees less or a half-broken answer must not empty anybody's calendar.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from bridge.filters import FilterSet
from bridge.model import ClassSession, OfferingType, Published, Status
from bridge.snapshots import revisions
from bridge.snapshots.snapshot import Identity, Snapshot, ordered
from bridge.upstream.pagination import WALK_SECONDS, Walk

HISTORY_DAYS = 400
FEW = 5
_OF_ALL, _OF_A_VENUE = 1 / 4, 1 / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeRules:
    """How a filter set is published.

    Attributes:
        tombstones: what vanishes is shown as cancelled (it was looked for provider-wide);
            otherwise it leaves, because it may only have moved out of the filter.
        history: what is over is kept although the filter set's window has moved on.
        shrink_hold: seconds for which suspicious losses are held.
        settled: it lies in the past as a whole: fetched once, it is kept.
    """

    tombstones: bool
    history: bool
    shrink_hold: float
    settled: bool = False


def publish(
    filter_set: FilterSet,
    walk: Walk,
    previous: Snapshot | None,
    memory: Mapping[Identity, Published],
    rules: MergeRules,
) -> Snapshot:
    """The snapshot that follows *previous* after *walk*.

    Args:
        memory: sessions of the walk, and of *previous*, as they were last published under
            whichever filter set.
    """
    merge = _Merge(filter_set, walk, previous, memory, rules)
    merge.take()
    merge.keep()
    return Snapshot(
        walked=walk.started,
        covers_from=_covers_from(filter_set, walk, previous, rules),
        published=ordered(merge.result),
        tally=walk.tally,
    )


def drop_held(snapshot: Snapshot) -> Snapshot:
    """*snapshot* with what is held removed: the operator says that it is really gone."""
    return replace(snapshot, published=tuple(one for one in snapshot.published if not one.held))


def types_of(sessions: Iterable[ClassSession]) -> Mapping[int, OfferingType]:
    """The offering types as *sessions* know them, by id."""
    return {
        kind.id: kind
        for session in sessions
        if session.complete and (kind := session.offering_type) and kind.id is not None
    }


def with_current_type(one: Published, types: Mapping[int, OfferingType]) -> Published:
    """*one*, which upstream tells no more, shown to those who may see its kind today."""
    kind = one.session.offering_type
    today = types.get(kind.id) if kind and kind.id is not None else None
    if kind is None or today is None or _shown_to(kind) == _shown_to(today):
        return one
    kind = replace(kind, visibility=today.visibility, draft=today.draft)
    return replace(one, session=replace(one.session, offering_type=kind))


def _shown_to(kind: OfferingType) -> object:
    return (kind.visibility, kind.draft)


class _Merge:
    def __init__(
        self,
        filter_set: FilterSet,
        walk: Walk,
        previous: Snapshot | None,
        memory: Mapping[Identity, Published],
        rules: MergeRules,
    ) -> None:
        self.result: dict[Identity, Published] = {}
        self._filter_set = filter_set
        self._walk = walk
        self._at = int(walk.started)
        self._now = datetime.fromtimestamp(walk.started, UTC)
        self._before = previous.by_identity if previous else {}
        self._memory = memory
        self._rules = rules
        self._unusable = set(walk.unusable)
        self._types = types_of(walk.sessions)

    def take(self) -> None:
        """What the walk has, as it is now."""
        for session in self._walk.sessions:
            known = self._known(session.identity)
            if not session.complete and known is not None and known.session.complete:
                self._unusable.add(session.id)
                if session.identity not in self._before:
                    self.result[session.identity] = known
            elif known is not None and self._overtaken(known):
                self.result[session.identity] = known
            else:
                self.result[session.identity] = revisions.published(session, self._at, known)

    def keep(self) -> None:
        """What the walk lacks."""
        lacking = []
        again = {_occasion(session) for session in self._walk.sessions if _live(session)}
        for identity, one in self._before.items():
            if identity in self.result or not self._still_wanted(one):
                continue
            if one.session.ends <= self._now:
                if not one.vanished:
                    # over: whether upstream still has it does not matter any more
                    over = replace(one, lacking_since=None, held=False)
                    self.result[identity] = with_current_type(over, self._types)
            elif one.vanished:
                if _occasion(one.session) not in again:
                    self.result[identity] = one
            else:
                lacking.append(one)
        suspicious = self._suspicious(lacking)
        for one in lacking:
            kept = self._lacking(one, one.session.identity in suspicious, again)
            if kept is not None:
                self.result[one.session.identity] = kept

    def _known(self, identity: Identity) -> Published | None:
        """How a session was last published: here, or under another filter set if that was later."""
        here, anywhere = self._before.get(identity), self._memory.get(identity)
        if here is None or anywhere is None:
            return here or anywhere
        return max(anywhere, here, key=lambda one: (one.revision.content, one.revision.sequence))

    def _overtaken(self, known: Published) -> bool:
        """Whether another walk, begun after this one, already published a change of it."""
        return self._at < known.revision.content <= self._at + WALK_SECONDS

    def _still_wanted(self, one: Published) -> bool:
        if self._rules.history:
            return one.session.ends >= self._now - timedelta(days=HISTORY_DAYS)
        newer = self._memory.get(one.session.identity)
        session = newer.session if newer and newer.revision.content > one.revision.content else None
        return self._filter_set.matches(session or one.session, self._now.date())

    def _suspicious(self, lacking: Sequence[Published]) -> frozenset[Identity]:
        """Those of *lacking* that are too many at once to be believed."""
        lost = [one.session for one in lacking]
        if len(lost) <= FEW:
            return frozenset()
        to_come = [
            one.session
            for one in self._before.values()
            if one.session.ends > self._now and not one.vanished
        ]
        if len(lost) > len(to_come) * _OF_ALL:
            return frozenset(session.identity for session in lost)
        of_venue = Counter(_venue(session) for session in to_come)
        lost_of_venue = Counter(_venue(session) for session in lost)
        return frozenset(
            session.identity
            for session in lost
            if lost_of_venue[_venue(session)] > of_venue[_venue(session)] * _OF_A_VENUE
        )

    def _lacking(
        self, one: Published, suspicious: bool, again: Collection[object]
    ) -> Published | None:
        """What becomes of a session to come that the walk lacks; None: it is removed."""
        if one.session.id in self._unusable and not suspicious and not one.held:
            # upstream has it, in whatever form: it is not gone
            return replace(one, lacking_since=None)
        since = self._at if one.lacking_since is None else one.lacking_since
        if suspicious or one.held:
            if self._walk.started - since >= self._rules.shrink_hold:
                return None
            return replace(one, lacking_since=since, held=True)
        if one.lacking_since is None:
            return replace(one, lacking_since=since)
        if not self._rules.tombstones or _occasion(one.session) in again:
            return None
        cancelled = replace(one.session, status=Status.CANCELLED)
        return replace(revisions.published(cancelled, self._at, one), vanished=True)


def _live(session: ClassSession) -> bool:
    return session.status is Status.ACTIVE


def _venue(session: ClassSession) -> int | None:
    return session.venue.id if session.venue else None


def _occasion(session: ClassSession) -> object:
    """What a session that was deleted and made anew has in common with the old one."""
    return (_venue(session), session.start, session.title)


def _covers_from(
    filter_set: FilterSet, walk: Walk, previous: Snapshot | None, rules: MergeRules
) -> float:
    day: date = walk.day
    earliest, _ = filter_set.window(day)
    edge = earliest.timestamp() if earliest else float("-inf")
    if not rules.history or previous is None or previous.walked < edge:
        # between the last walk and this one's edge nobody looked
        return edge
    oldest = walk.started - HISTORY_DAYS * 86400
    return min(edge, max(previous.covers_from, oldest))
