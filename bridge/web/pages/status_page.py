"""The status page for the owner, and the same data as JSON for monitoring."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bridge.feeds.changes import ChangeKind
from bridge.ops.clashes import Clash, ClashKind
from bridge.ops.status_report import BridgeStatus, FeedStatus
from bridge.ops.usage import ReadCount
from bridge.snapshots.backoff import Failure
from bridge.snapshots.router import SourceState
from bridge.times import utc_text
from bridge.web.pages.page_context import PageContext
from bridge.web.user_agents import FAMILIES

_CLASHES_SHOWN = 10


@dataclass(frozen=True, slots=True)
class _Times:
    """Formats times of the page in the visitor's language."""

    context: PageContext
    now: float

    def ago(self, at: float) -> str:
        return self.context.language.ago(self.now - at)

    def day(self, at: datetime) -> str:
        return self.context.language.short_day(at, year=True)

    def day_time(self, at: datetime) -> str:
        return f"{self.context.language.short_day(at)}, {self.context.language.time(at)}"

    def date_time(self, at: float) -> str:
        return self.context.language.date_time(datetime.fromtimestamp(at, UTC), exact=True)


def render(context: PageContext, status: BridgeStatus) -> str:
    """The status page as HTML."""
    read = [source for source in status.sources if not source.left_out]
    failing = [source for source in read if source.failure]
    return context.render(
        "status.html",
        page_path="/status",
        status=status,
        partly_failing=failing if len(failing) < len(read) else [],
        times=_Times(context, status.now),
        families=[(name, status.families.get(name)) for name in FAMILIES],
        clashes=status.clashes.all[:_CLASHES_SHOWN],
        more_clashes=len(status.clashes.all) - _CLASHES_SHOWN,
    )


def as_json(status: BridgeStatus) -> dict[str, Any]:
    """The status as JSON: times as RFC 3339 in UTC, durations in whole seconds."""
    counts = status.counts
    return {
        "at": _time(status.now),
        "upstream": {
            "failing": status.failing,
            "last_success": _time(status.walked),
            "last_failure": _failure(status.failure),
            "sources": {state.source.value: _source(state) for state in status.sources},
        },
        "store": {"failing": status.store_failing},
        "sessions": counts
        and {
            "listed": counts.listed,
            "held": counts.held,
            "gone": counts.gone,
            "withheld": _nonzero(counts.hidden),
            "dropped": _nonzero(counts.dropped),
            "repaired": _nonzero(counts.repaired),
        },
        "changes": {kind.value: status.changes.get(kind, 0) for kind in ChangeKind},
        "clashes": {
            **{kind.value: status.clashes.count(kind) for kind in ClashKind},
            "next": [_clash(clash) for clash in status.clashes.all[:_CLASHES_SHOWN]],
        },
        "deliveries": {
            receiver: {
                "waiting": delivery.waiting,
                "failing_since": _time(delivery.failure.since) if delivery.failure else None,
                "failure": delivery.failure.text if delivery.failure else None,
            }
            for receiver, delivery in status.deliveries.items()
        },
        "readers": {
            name: _reads(reads) for name in FAMILIES if (reads := status.families.get(name))
        },
        "feeds": [_feed(feed, status.now) for feed in status.feeds],
    }


def _source(state: SourceState) -> dict[str, Any]:
    return {
        "last_success": _time(state.walked),
        "sessions": len(state.snapshot.published) if state.snapshot else 0,
        "failure": _failure(state.failure),
        "left_out": state.left_out,
    }


def _clash(clash: Clash) -> dict[str, Any]:
    sessions = [each for each in (clash.first, clash.second) if each is not None]
    return {
        "kind": clash.kind.value,
        "subject": clash.subject or None,
        "sessions": [
            {
                "object": each.source,
                "session": each.id,
                "title": each.title or None,
                "start": _time(each.start.timestamp()),
                "location": each.location or None,
            }
            for each in sessions
        ],
        "times": clash.times,
        "until": _time(clash.until.timestamp()),
    }


def _feed(status: FeedStatus, now: float) -> dict[str, Any]:
    feed, reads = status.usage.feed, status.usage.reads
    return {
        "private" if feed.private else "path": feed.name,
        "title": feed.title,
        "sessions": feed.sessions,
        "trimmed": feed.trimmed,
        "withheld": dict(feed.hidden),
        "age": None if status.walked is None else max(0, int(now - status.walked)),
        **_reads(reads),
        "readers": {name: _time(at) for name, at in status.usage.families.items()},
    }


def _failure(failure: Failure | None) -> dict[str, Any] | None:
    if failure is None:
        return None
    return {
        "at": _time(failure.at),
        "since": _time(failure.since),
        "times": failure.count,
        "code": failure.code,
        "text": failure.text,
        "setting": failure.problem_area and failure.problem_area.setting,
    }


def _reads(reads: ReadCount) -> dict[str, Any]:
    return {"last_day": reads.today, "last": _time(reads.last)}


def _nonzero(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else utc_text(datetime.fromtimestamp(seconds, UTC))
