"""The timetable: what the token sees, what is withheld, and whether feeds of it are sound."""

from collections import Counter
from collections.abc import Iterator, Sequence

from bridge.config import Config, UpstreamPlan
from bridge.diagnostics.findings import CheckReport
from bridge.feeds.catalogue import Catalogue, catalogue_of
from bridge.feeds.formats import ics
from bridge.feeds.formats.base import Content
from bridge.feeds.params import Defaults, feed_spec
from bridge.feeds.selection import DRAFT, UNKNOWN, hidden_reason, select
from bridge.feeds.spec import Audience, FeedSpec, Kind
from bridge.filters import FilterSet
from bridge.model import ClassSession
from bridge.snapshots import merge
from bridge.snapshots.merge import MergeRules
from bridge.snapshots.snapshot import Snapshot
from bridge.upstream.pagination import Walk


def check_walk(report: CheckReport, walk: Walk, settings: Config) -> None:
    """Look at what TeamUp listed."""
    audience = Defaults.of(settings).audience
    found = catalogue_of(walk.sessions, audience)
    report.sees = {
        "sessions": len(walk.sessions),
        "pages": walk.pages,
        "venues": len(found.venues),
        "instructors": len(found.instructors),
        "courses": len(found.courses),
    }
    report.withheld = _withheld(walk.sessions, audience)
    for reason, number in walk.tally.items():
        report.warning("rows", f"{number} {reason}")
    _check_extent(report, walk, settings)
    report.good(
        "scope",
        "only the dated sessions of courses are served; TeamUp keeps ordinary classes elsewhere,"
        " and they are not shown",
    )
    _check_feeds(report, walk, found, settings)
    report.feeds = _addresses(found, settings)


def _check_extent(report: CheckReport, walk: Walk, settings: Config) -> None:
    per_ttl = settings.requests_per_minute * settings.cache_ttl / 60
    if settings.plan is UpstreamPlan.WIDE and walk.pages > per_ttl / 2:
        report.warning(
            "plan",
            f"one walk takes {walk.pages} pages, over half of the {per_ttl:.0f} requests per"
            " CACHE_TTL: raise CACHE_TTL, or set UPSTREAM_PLAN=narrow",
            "UPSTREAM_PLAN",
        )
    if not walk.sessions:
        report.warning("sees", "TeamUp lists no session of a course at all")
    crews = [{person.id for person in session.instructors} for session in walk.sessions]
    if len(crews) > 1 and set.intersection(*crews):
        report.warning(
            "permission",
            "all sessions have the same instructor: a token with instructor permission only may"
            " see nothing but its own; use a TEAMUP_API_TOKEN with manage_events",
            "TEAMUP_API_TOKEN",
        )


def _withheld(sessions: Sequence[ClassSession], audience: Audience) -> dict[str, int]:
    texts = {DRAFT: "drafts", UNKNOWN: "without a known visibility"}
    reasons = (hidden_reason(session, audience) for session in sessions)
    return {
        texts.get(reason, f"visible to {reason}"): number
        for reason, number in Counter(filter(None, reasons)).items()
    }


def _check_feeds(report: CheckReport, walk: Walk, found: Catalogue, settings: Config) -> None:
    """Look at every feed of what was listed, and whether it is too large."""
    rules = MergeRules(tombstones=True, history=True, shrink_hold=settings.shrink_hold)
    snapshot = merge.publish(FilterSet(past=settings.window_past_days), walk, None, {}, rules)
    count = 0
    for name, spec in _specifications(found, Defaults.of(settings)):
        count += 1
        if left_out := _left_out(snapshot, spec, settings):
            report.warning(
                "feeds",
                f"the feed of {name} is over FEED_MAX_BYTES: {left_out} sessions are left out",
                "FEED_MAX_BYTES",
            )
    report.good("feeds", f"there are {count}")


def _left_out(snapshot: Snapshot, spec: FeedSpec, settings: Config) -> int:
    """How many sessions the feed of *spec* leaves out for its size."""
    selection = select(snapshot, spec)
    content = Content(selection.shown, selection.subject, spec, settings.public_base_url)
    shown = ics.fitting(content, max_bytes=settings.feed_max_bytes, day=snapshot.day)
    return len(selection.shown) - len(shown)


def _specifications(found: Catalogue, defaults: Defaults) -> Iterator[tuple[str, FeedSpec]]:
    yield "all classes", feed_spec(Kind.SESSION, None, (), defaults)
    for kind, items in (
        (Kind.VENUE, found.venues),
        (Kind.INSTRUCTOR, found.instructors),
        (Kind.COURSE, found.courses),
    ):
        for item in items:
            yield item.name, feed_spec(kind, item.identity, (), defaults)


def _addresses(found: Catalogue, settings: Config) -> dict[str, str]:
    base = settings.public_base_url or f"http://127.0.0.1:{settings.port}"
    addresses = {"all classes": f"{base}/sessions.ics"}
    for kind, items in (
        (Kind.VENUE, found.venues),
        (Kind.INSTRUCTOR, found.instructors),
        (Kind.COURSE, found.courses),
    ):
        for item in items:
            path = f"{kind.value}/{item.identity}"
            # names are not unique
            name = f"{item.name} ({path})" if item.name in addresses else item.name
            addresses[name] = f"{base}/{path}.ics"
    return addresses
