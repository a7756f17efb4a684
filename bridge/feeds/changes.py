"""The changes of a feed: what its audience may see of the change logs, one entry for each kind."""

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from enum import Enum
from itertools import islice

from bridge.feeds.selection import hidden_reason
from bridge.feeds.session_view import SessionView, ViewOptions, make_view
from bridge.feeds.spec import Audience, FeedSpec, Kind
from bridge.filters import FilterSet, Window
from bridge.languages import Language
from bridge.model import ClassSession, Published, Status
from bridge.snapshots.change_log import LOG_SECONDS, ChangeLog, LoggedChange
from bridge.snapshots.merge import offering_types_by_id, with_current_visibility
from bridge.snapshots.snapshot import Snapshot, is_new_in_another_source, replacements

MAX_CHANGES = 200
"""The most changes that a feed shows, the newest."""

_NAMESPACE = uuid.UUID("5e9d1f44-7b0a-4a51-9f0e-8f0d6a3d2c63")


class ChangeKind(Enum):
    """What changed about a session."""

    ADDED = "added"
    CANCELLED = "cancelled"
    REINSTATED = "reinstated"
    MOVED = "moved"
    COVER = "cover"
    VENUE = "venue"
    ROOM = "room"
    RENAMED = "renamed"
    GONE = "gone"
    """It was deleted, or is in the feed no longer."""


@dataclass(frozen=True, slots=True)
class SessionChange:
    """One change of a session in a feed.

    Attributes:
        id: never changes; the same in every feed.
        at: when the bridge saw it.
        before: the session before it; for an added one, the same as *after*.
        after: the session after it; for one that is gone, its last form in the feed.
        is_listed: whether the timetable contains the session today.
    """

    id: uuid.UUID
    kind: ChangeKind
    at: datetime
    before: SessionView
    after: SessionView
    is_listed: bool


def changes_of(
    logs: Iterable[ChangeLog], snapshot: Snapshot, spec: FeedSpec, zone: tzinfo
) -> list[SessionChange]:
    """The changes that concern the feed of *spec* and that its audience may see, newest first.

    A change concerns a feed that contained the session before it or contained it after it, in the
    window of that day: it reads the same for as long as it is told. Nobody sees the past of a
    session that is hidden from them today, nor forms of it that were hidden or beyond the
    audience's horizon at the time.

    Args:
        logs: of the sources of *snapshot*.
        zone: the zone whose days the feed's window counts.
    """
    # Those that are newer than the snapshot appear with the next one, so that all workers with the
    # same snapshot render the same bytes.
    now = snapshot.newest_walk_at
    entries = [
        entry for log in logs for entry in log.changes if now - LOG_SECONDS < entry.at <= now
    ]
    entries.sort(key=lambda entry: (-entry.at, entry.change.identity, -entry.publication))
    feed = _ChangeFeed(snapshot, spec, zone)
    entries = feed.without_replaced(entries)
    return list(islice(feed.all_changes(entries), MAX_CHANGES))


def timetable_changes(
    entries: Iterable[LoggedChange], snapshot: Snapshot, audience: Audience, language: Language
) -> Iterator[SessionChange]:
    """The changes of *entries* of a log that *audience* may see, in their order.

    Args:
        language: of the words that the bridge adds to sessions.
    """
    spec = FeedSpec(
        kind=Kind.SESSION,
        identity=None,
        filter_set=FilterSet(),
        audience=audience,
        language=language,
    )
    return _ChangeFeed(snapshot, spec, UTC).all_changes(entries)


class _ChangeFeed:
    def __init__(self, snapshot: Snapshot, spec: FeedSpec, zone: tzinfo) -> None:
        self._snapshot = snapshot
        self._spec = spec
        self._zone = zone
        self._windows: dict[float, Window] = {}
        self._in_any_status = spec.filter_set.with_changes(status=())
        self._options = ViewOptions.of(spec)
        self._types = offering_types_by_id(entry.session for entry in snapshot.published)

    def without_replaced(self, entries: Sequence[LoggedChange]) -> list[LoggedChange]:
        """*entries* without sessions that left one source and were added to another one instead."""
        removed = {
            entry.change.identity: entry.change.before
            for entry in reversed(entries)
            if entry.change.removed
            and entry.change.before is not None
            and self._is_in_feed(entry.change.before.session, entry.at)
            and self._is_visible(entry.change.before, _seen_at(entry))
        }
        added = {
            entry.change.identity: entry.change.after
            for entry in entries
            if entry.change.before is None
            and self._is_in_feed(entry.change.after.session, entry.at)
            and self._is_visible(entry.change.after, entry.at)
        }
        replaced = replacements(list(removed.values()), added.values(), is_new_in_another_source)
        new = set(replaced.values())
        return [
            entry
            for entry in entries
            if not (entry.change.removed and entry.change.identity in replaced)
            and not (entry.change.before is None and entry.change.identity in new)
        ]

    def all_changes(self, entries: Iterable[LoggedChange]) -> Iterator[SessionChange]:
        """The changes of *entries* of the log, in their order."""
        return (change for entry in entries for change in self._changes(entry))

    def _changes(self, entry: LoggedChange) -> Iterator[SessionChange]:
        before, after, removed = entry.change
        current = self._snapshot.by_identity.get(entry.change.identity)
        now = self._snapshot.newest_walk_at
        if not self._is_visible(current or with_current_visibility(after, self._types), now):
            return
        if not self._is_visible(after, entry.at):
            return
        if before is not None and not self._is_visible(before, _seen_at(entry)):
            before = None
        if not any(form and self._is_in_feed(form.session, entry.at) for form in (before, after)):
            return
        # In a feed of one status, sessions are cancelled and reinstated as in every other feed.
        window, in_any_status = self._window(entry.at), self._in_any_status.matches
        was_in = before is not None and in_any_status(before.session, window)
        is_in = in_any_status(after.session, window)
        for kind in _kinds(before if was_in else None, after if is_in else None, removed):
            first, last = (before or after), (after if is_in else before or after)
            yield self._change(kind, entry, first, last)

    def _change(
        self, kind: ChangeKind, entry: LoggedChange, before: Published, after: Published
    ) -> SessionChange:
        source, identity = entry.change.identity
        return SessionChange(
            id=uuid.uuid5(_NAMESPACE, f"{source}:{identity}:{entry.at}:{kind.value}"),
            kind=kind,
            at=datetime.fromtimestamp(entry.at, UTC),
            before=make_view(before, self._options),
            after=make_view(after, self._options),
            is_listed=entry.change.identity in self._snapshot.by_identity,
        )

    def _is_visible(self, entry: Published, at: float) -> bool:
        """Whether the audience could see *entry* at a time, in seconds since 1970."""
        return hidden_reason(entry, self._spec.audience, at) is None

    def _is_in_feed(self, session: ClassSession, at: float) -> bool:
        return self._spec.filter_set.matches(session, self._window(at))

    def _window(self, at: float) -> Window:
        """The feed's window at a time, in seconds since 1970."""
        if at not in self._windows:
            time = datetime.fromtimestamp(at, UTC)
            self._windows[at] = self._spec.filter_set.window(time, self._zone)
        return self._windows[at]


def _seen_at(entry: LoggedChange) -> float:
    """When readers could see the form before the change last."""
    return entry.at if entry.seen_at is None else entry.seen_at


def _kinds(before: Published | None, after: Published | None, removed: bool) -> list[ChangeKind]:
    """The kinds of a change.

    Args:
        before, after: None where the session was or is not in the feed.
    """
    if before is None:
        if after is None or removed or after.session.status is Status.CANCELLED:
            return []
        return [ChangeKind.ADDED]
    if after is None or removed:
        return [ChangeKind.GONE]
    old, new = before.session, after.session
    kinds = []
    if old.status is not new.status:
        cancelled = new.status is Status.CANCELLED
        kinds.append(ChangeKind.CANCELLED if cancelled else ChangeKind.REINSTATED)
    if (old.start, old.end) != (new.start, new.end):
        kinds.append(ChangeKind.MOVED)
    if _instructor_ids(old) != _instructor_ids(new):
        kinds.append(ChangeKind.COVER)
    if (old.venue and old.venue.id) != (new.venue and new.venue.id):
        kinds.append(ChangeKind.VENUE)
    elif (old.room and old.room.id) != (new.room and new.room.id):
        kinds.append(ChangeKind.ROOM)
    if old.title != new.title:
        kinds.append(ChangeKind.RENAMED)
    return kinds


def _instructor_ids(session: ClassSession) -> frozenset[int]:
    return frozenset(person.id for person in session.instructors)
