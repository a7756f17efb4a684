"""Timetable checks: what the token can read, what is hidden, and the size of the feeds."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from bridge.config import Config, UpstreamPlan
from bridge.diagnostics.findings import CheckReport
from bridge.feeds.catalogue import Catalogue, CatalogueItem, catalogue_of, visible_sessions
from bridge.feeds.changes import ChangeKind
from bridge.feeds.formats import ics
from bridge.feeds.formats.base import Content
from bridge.feeds.params import FeedDefaults, feed_spec
from bridge.feeds.selection import DRAFT, LATER, NO_VISIBILITY, hidden_reason, select
from bridge.feeds.spec import PATH_FIELDS, Audience, FeedSpec, Kind
from bridge.filters import FilterSet
from bridge.model import ClassSession, SourceName
from bridge.ops.clashes import find_clashes
from bridge.snapshots import merge
from bridge.snapshots.merge import MergeRules
from bridge.snapshots.snapshot import Snapshot, join
from bridge.upstream.pagination import Walk
from bridge.upstream.parser import APPOINTMENTS, TIMELINES_WITHOUT_AUDIENCE

_CLASHES_LISTED = 5


def check_walks(report: CheckReport, walks: Mapping[SourceName, Walk], settings: Config) -> None:
    """Check the sessions of complete walks, by source."""
    defaults = FeedDefaults.of(settings)
    snapshot = join([_snapshot(walk, settings) for walk in walks.values()])
    visible = visible_sessions(snapshot, FilterSet(), defaults.audience)
    catalogue = catalogue_of(visible, defaults.language)
    sessions = [session for walk in walks.values() for session in walk.sessions]
    report.counts = {
        "sessions": len(sessions),
        **{source.value: len(walk.sessions) for source, walk in walks.items()},
        "pages": sum(walk.pages for walk in walks.values()),
        **{kind.value: len(catalogue[field]) for kind, field in PATH_FIELDS.items()},
    }
    report.hidden = _hidden_counts(snapshot, defaults.audience)
    for reason, number in snapshot.tally.items():
        if reason not in (APPOINTMENTS, TIMELINES_WITHOUT_AUDIENCE):
            report.warning("rows", f"{number} {reason}")
    for source, walk in walks.items():
        if walk.defect is not None:
            report.error(
                "rows",
                f"{source.value}: {walk.defect.text}: without an earlier copy there are no feeds;"
                " TeamUp's API may have changed: look for a newer version of the bridge",
            )
    _check_volume(report, sessions, report.counts["pages"], settings)
    _check_timelines(report, snapshot, settings)
    _check_clashes(report, snapshot)
    parts = (f"{len(walk.sessions)} {_TEXTS[source]}" for source, walk in walks.items())
    report.good("scope", f"the timetable contains {' and '.join(parts)}")
    _check_feeds(report, snapshot, catalogue, settings)
    report.feeds = _addresses(catalogue, settings)


_TEXTS = {
    SourceName.EVENTS: "ordinary classes (events)",
    SourceName.COURSE_SESSIONS: "sessions of courses (course_sessions)",
}


def _snapshot(walk: Walk, settings: Config) -> Snapshot:
    rules = MergeRules(wide=True, shrink_hold=settings.shrink_hold)
    return merge.merge_walk(FilterSet(past=settings.window_past_days), walk, None, {}, rules)


def _check_volume(
    report: CheckReport, sessions: Sequence[ClassSession], pages: int, settings: Config
) -> None:
    per_ttl = settings.requests_per_minute * settings.cache_ttl / 60
    if settings.plan is UpstreamPlan.WIDE and pages > per_ttl / 2:
        report.warning(
            "plan",
            f"reading the timetable takes {pages} pages, more than half of the {per_ttl:.0f}"
            " requests per CACHE_TTL: raise CACHE_TTL, or set UPSTREAM_PLAN=narrow",
            "UPSTREAM_PLAN",
        )
    if not sessions:
        report.warning("sees", "TeamUp lists no classes")
    instructors = [{person.id for person in session.instructors} for session in sessions]
    if settings.schemes and len(instructors) > 1 and set.intersection(*instructors):
        report.warning(
            "permission",
            "all sessions have the same instructor: a token with instructor permission can only"
            " read its own sessions; use a TEAMUP_API_TOKEN with manage_events",
            "TEAMUP_API_TOKEN",
        )


def _check_timelines(report: CheckReport, snapshot: Snapshot, settings: Config) -> None:
    """Report what registration timelines do not tell the bridge."""
    if untold := snapshot.tally.get(TIMELINES_WITHOUT_AUDIENCE):
        report.warning(
            "timelines",
            f"{untold} classes have registration timelines for which TeamUp states no audience:"
            " they are shown as their class type's visibility says",
            "PUBLIC_VISIBILITY",
        )
    has_timelines = any(entry.session.registration for entry in snapshot.published)
    if (untold or has_timelines) and settings.public_horizon_days is None and settings.schemes:
        report.warning(
            "timelines",
            "classes have registration timelines, which can reveal a class to customers later than"
            " to this token, and TeamUp does not tell when: if your classes are revealed some days"
            " ahead, set PUBLIC_HORIZON_DAYS to that number of days",
            "PUBLIC_HORIZON_DAYS",
        )


def _check_clashes(report: CheckReport, snapshot: Snapshot) -> None:
    now = datetime.fromtimestamp(snapshot.newest_walk_at, UTC)
    clashes = find_clashes(snapshot.published, now).all
    if not clashes:
        report.good("clashes", "no instructor, room or venue is needed twice at once")
    for clash in clashes[:_CLASHES_LISTED]:
        report.warning("clashes", clash.text)
    if len(clashes) > _CLASHES_LISTED:
        report.warning("clashes", f"and {len(clashes) - _CLASHES_LISTED} more")


def check_changes(report: CheckReport, counts: Mapping[ChangeKind, int]) -> None:
    """Report how many sessions changed in the last week."""
    listed = ", ".join(f"{number} {_CHANGES[kind]}" for kind, number in counts.items())
    report.good("last 7 days", listed or "no changes were seen")


_CHANGES = {
    ChangeKind.ADDED: "added",
    ChangeKind.CANCELLED: "cancelled",
    ChangeKind.REINSTATED: "reinstated",
    ChangeKind.MOVED: "moved",
    ChangeKind.COVER: "with another instructor",
    ChangeKind.VENUE: "at another venue",
    ChangeKind.ROOM: "in another room",
    ChangeKind.RENAMED: "renamed",
    ChangeKind.GONE: "deleted",
}


def _hidden_counts(snapshot: Snapshot, audience: Audience) -> dict[str, int]:
    texts = {
        DRAFT: "drafts",
        NO_VISIBILITY: "without a known visibility",
        LATER: "beyond PUBLIC_HORIZON_DAYS",
    }
    now = snapshot.newest_walk_at
    reasons = (hidden_reason(entry, audience, now) for entry in snapshot.published)
    counts = {
        texts.get(reason, f"visible to {reason}"): number
        for reason, number in Counter(filter(None, reasons)).items()
    }
    appointments = snapshot.tally.get(APPOINTMENTS, 0)
    return {**counts, "private appointments": appointments} if appointments else counts


def _check_feeds(
    report: CheckReport, snapshot: Snapshot, catalogue: Catalogue, settings: Config
) -> None:
    """Check that no feed exceeds the maximum size."""
    count = 0
    for name, spec in _specs(catalogue, FeedDefaults.of(settings)):
        count += 1
        if left_out := _left_out(snapshot, spec, settings):
            report.warning(
                "feeds",
                f"the feed of {name} exceeds FEED_MAX_BYTES: {left_out} sessions are left out",
                "FEED_MAX_BYTES",
            )
    report.good("feeds", f"{count} feeds were checked")


def _left_out(snapshot: Snapshot, spec: FeedSpec, settings: Config) -> int:
    """How many sessions are left out of the feed of *spec* because of its size."""
    selection = select(snapshot, spec)
    content = Content(selection.shown, selection.subject, spec, settings.public_base_url)
    shown = ics.trim_to_size(content, max_bytes=settings.feed_max_bytes, day=snapshot.day).shown
    return len(selection.shown) - len(shown)


def _items(catalogue: Catalogue) -> Iterator[tuple[Kind, CatalogueItem]]:
    for kind, field in PATH_FIELDS.items():
        for item in catalogue[field]:
            yield kind, item


def _specs(catalogue: Catalogue, defaults: FeedDefaults) -> Iterator[tuple[str, FeedSpec]]:
    yield "all classes", feed_spec(Kind.SESSION, None, (), defaults)
    for kind, item in _items(catalogue):
        yield item.name, feed_spec(kind, item.identity, (), defaults)


def _addresses(catalogue: Catalogue, settings: Config) -> dict[str, str]:
    base = settings.public_base_url or f"http://127.0.0.1:{settings.port}{settings.prefix}"
    addresses = {"all classes": f"{base}/sessions.ics"}
    for kind, item in _items(catalogue):
        path = f"{kind.value}/{item.identity}"
        # Names are not unique.
        name = f"{item.name} ({path})" if item.name in addresses else item.name
        addresses[name] = f"{base}/{path}.ics"
    return addresses
