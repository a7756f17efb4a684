"""Selection: the sessions that a feed shows, found in one pass over the snapshot."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo

from bridge import times
from bridge.feeds.session_view import SessionView, ViewOptions, make_view
from bridge.feeds.spec import Audience, Cancelled, FeedSpec
from bridge.feeds.subject import Subject, SubjectCollector
from bridge.filters import ID_FIELDS, in_window, parts
from bridge.model import ClassSession, Published, Status, Visibility, venue_zones
from bridge.snapshots.snapshot import Snapshot

DRAFT, NO_VISIBILITY, LATER = "draft", "unknown", "later"
HIDDEN_REASONS = (DRAFT, NO_VISIBILITY, LATER, *(visibility.value for visibility in Visibility))
"""Why a session is hidden: a draft, an unknown visibility, a start beyond the audience's horizon,
or a visibility that is not open to the audience."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The content of a feed.

    Attributes:
        shown: ordered by start and UID.
        hidden: how many sessions of the feed the audience may not see, by reason.
        zone: the zone whose days the feed's window counts.
    """

    shown: list[SessionView]
    subject: Subject
    hidden: Mapping[str, int]
    zone: tzinfo


def select(snapshot: Snapshot, spec: FeedSpec) -> Selection:
    """The content of a feed, found in one pass over the snapshot."""
    options = ViewOptions.of(spec)
    collector = SubjectCollector(spec)
    widest = spec.filter_set.widest_window(snapshot.day)
    candidates: list[tuple[Published, str | None]] = []
    visible: list[ClassSession] = []
    for published in snapshot.matching(collector.scope):
        session = published.session
        reason = hidden_reason(published, spec.audience, snapshot.newest_walk_at)
        if reason is None:
            collector.add(session)
            visible.append(session)
        if spec.filter_set.matches(session, widest):
            candidates.append((published, reason))
    zone = _zone(visible, snapshot, spec)
    now = datetime.fromtimestamp(snapshot.newest_walk_at, UTC)
    window = spec.filter_set.window(now, zone)
    shown: list[SessionView] = []
    hidden: Counter[str] = Counter()
    for published, reason in candidates:
        session = published.session
        if not in_window(session, window):
            continue
        if reason is not None:
            hidden[reason] += 1
        elif spec.cancelled is not Cancelled.HIDE or session.status is not Status.CANCELLED:
            shown.append(make_view(published, options))
    shown.sort(key=lambda view: (view.session.start, view.uid))
    subject = collector.subject(shown)
    unmatched = _unmatched_ids(snapshot, spec, shown)
    subject = replace(subject, unmatched_ids=unmatched) if unmatched else subject
    return Selection(shown, subject, hidden, zone)


def _unmatched_ids(
    snapshot: Snapshot, spec: FeedSpec, shown: Sequence[SessionView]
) -> tuple[tuple[str, int], ...]:
    """The objects in the filters that no session has which the audience may see."""
    unmatched = {
        (field, identity)
        for field in ID_FIELDS
        if field != spec.path_field
        for identity in getattr(spec.filter_set, field)
    }
    for view in shown:
        if not unmatched:
            return ()
        unmatched.difference_update(part[:2] for part in parts(view.session))
    # Combined filters may exclude all sessions of an object that is known.
    for published in snapshot.published if unmatched else ():
        if hidden_reason(published, spec.audience, snapshot.newest_walk_at) is None:
            unmatched.difference_update(part[:2] for part in parts(published.session))
    return tuple(sorted(unmatched, key=lambda item: (ID_FIELDS.index(item[0]), item[1])))


def _zone(sessions: Iterable[ClassSession], snapshot: Snapshot, spec: FeedSpec) -> tzinfo:
    """The zone whose days a feed's window counts: the one of its sessions, or the studio's."""
    zones = {*venue_zones(sessions).values()}
    [shared] = zones if len(zones) == 1 else [None]
    names = (shared, spec.studio_zone, snapshot.main_zone)
    return next(filter(None, map(times.zone, names)), UTC)


def hidden_reason(entry: Published, audience: Audience, now: float) -> str | None:
    """Why *audience* may not see a session: one of :data:`HIDDEN_REASONS`; None: it may.

    Nobody sees drafts, nor sessions that came without a visibility. A session that was deleted
    before it was revealed to the audience stays hidden from them.

    Args:
        now: the time of the snapshot, in seconds since 1970.
    """
    session = entry.session
    offering_type, visibility = session.offering_type, session.visibility
    if offering_type is not None and offering_type.draft:
        return DRAFT
    if visibility is None:
        return NO_VISIBILITY
    if visibility not in audience.visibilities:
        return visibility.value
    if audience.horizon is None:
        return None
    at = now
    if entry.is_tombstone:
        at = entry.revision.content if entry.missing_since is None else entry.missing_since
    return LATER if session.start > datetime.fromtimestamp(at, UTC) + audience.horizon else None
