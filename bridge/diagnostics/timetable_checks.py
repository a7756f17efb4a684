"""Timetable checks: what the token can read, what is hidden, and the size of the feeds."""

from collections import Counter
from collections.abc import Iterator, Sequence

from bridge.config import Config, UpstreamPlan
from bridge.diagnostics.findings import CheckReport
from bridge.feeds.catalogue import Catalogue, catalogue_of
from bridge.feeds.formats import ics
from bridge.feeds.formats.base import Content
from bridge.feeds.params import FeedDefaults, feed_spec
from bridge.feeds.selection import DRAFT, UNKNOWN, hidden_reason, select
from bridge.feeds.spec import Audience, FeedSpec, Kind
from bridge.filters import FilterSet
from bridge.model import ClassSession
from bridge.snapshots import merge
from bridge.snapshots.merge import MergeRules
from bridge.snapshots.snapshot import Snapshot
from bridge.upstream.pagination import Walk


def check_walk(report: CheckReport, walk: Walk, settings: Config) -> None:
    """Check the sessions of a complete walk."""
    audience = FeedDefaults.of(settings).audience
    catalogue = catalogue_of(walk.sessions, audience)
    report.counts = {
        "sessions": len(walk.sessions),
        "pages": walk.pages,
        "venues": len(catalogue.venues),
        "instructors": len(catalogue.instructors),
        "courses": len(catalogue.courses),
    }
    report.hidden = _hidden_counts(walk.sessions, audience)
    for reason, number in walk.tally.items():
        report.warning("rows", f"{number} {reason}")
    _check_volume(report, walk, settings)
    report.good(
        "scope",
        "only the dated sessions of courses are served, not regular classes, which TeamUp stores"
        " separately",
    )
    _check_feeds(report, walk, catalogue, settings)
    report.feeds = _addresses(catalogue, settings)


def _check_volume(report: CheckReport, walk: Walk, settings: Config) -> None:
    per_ttl = settings.requests_per_minute * settings.cache_ttl / 60
    if settings.plan is UpstreamPlan.WIDE and walk.pages > per_ttl / 2:
        report.warning(
            "plan",
            f"one walk takes {walk.pages} pages, more than half of the {per_ttl:.0f} requests per"
            " CACHE_TTL: raise CACHE_TTL, or set UPSTREAM_PLAN=narrow",
            "UPSTREAM_PLAN",
        )
    if not walk.sessions:
        report.warning("sees", "TeamUp lists no course sessions")
    instructors = [{person.id for person in session.instructors} for session in walk.sessions]
    if len(instructors) > 1 and set.intersection(*instructors):
        report.warning(
            "permission",
            "all sessions have the same instructor: a token with instructor permission can only"
            " read its own sessions; use a TEAMUP_API_TOKEN with manage_events",
            "TEAMUP_API_TOKEN",
        )


def _hidden_counts(sessions: Sequence[ClassSession], audience: Audience) -> dict[str, int]:
    texts = {DRAFT: "drafts", UNKNOWN: "without a known visibility"}
    reasons = (hidden_reason(session, audience) for session in sessions)
    return {
        texts.get(reason, f"visible to {reason}"): number
        for reason, number in Counter(filter(None, reasons)).items()
    }


def _check_feeds(report: CheckReport, walk: Walk, catalogue: Catalogue, settings: Config) -> None:
    """Check that no feed exceeds the maximum size."""
    rules = MergeRules(tombstones=True, history=True, shrink_hold=settings.shrink_hold)
    snapshot = merge.merge_walk(FilterSet(past=settings.window_past_days), walk, None, {}, rules)
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


def _specs(catalogue: Catalogue, defaults: FeedDefaults) -> Iterator[tuple[str, FeedSpec]]:
    yield "all classes", feed_spec(Kind.SESSION, None, (), defaults)
    for kind, items in (
        (Kind.VENUE, catalogue.venues),
        (Kind.INSTRUCTOR, catalogue.instructors),
        (Kind.COURSE, catalogue.courses),
    ):
        for item in items:
            yield item.name, feed_spec(kind, item.identity, (), defaults)


def _addresses(catalogue: Catalogue, settings: Config) -> dict[str, str]:
    base = settings.public_base_url or f"http://127.0.0.1:{settings.port}"
    addresses = {"all classes": f"{base}/sessions.ics"}
    for kind, items in (
        (Kind.VENUE, catalogue.venues),
        (Kind.INSTRUCTOR, catalogue.instructors),
        (Kind.COURSE, catalogue.courses),
    ):
        for item in items:
            path = f"{kind.value}/{item.identity}"
            # Names are not unique.
            name = f"{item.name} ({path})" if item.name in addresses else item.name
            addresses[name] = f"{base}/{path}.ics"
    return addresses
