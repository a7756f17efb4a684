"""Status: how things stand, as a page for the owner and as JSON for whoever watches."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bridge.ops.status_report import BridgeStatus, FeedStatus
from bridge.ops.usage import ReadCount
from bridge.snapshots.backoff import Failure
from bridge.web.pages.page_context import PageContext
from bridge.web.user_agents import FAMILIES


@dataclass(frozen=True, slots=True)
class _Told:
    """Says moments as a visitor's language does."""

    visit: PageContext
    now: float

    def ago(self, at: float) -> str:
        return self.visit.language.ago(self.now - at)

    def moment(self, at: float) -> str:
        return self.visit.language.moment(datetime.fromtimestamp(at, UTC), exact=True)


def render(visit: PageContext, standing: BridgeStatus) -> str:
    """The page."""
    return visit.render(
        "status.html",
        here="/status",
        standing=standing,
        told=_Told(visit, standing.now),
        families=[(name, standing.families.get(name)) for name in FAMILIES],
    )


def as_json(standing: BridgeStatus) -> dict[str, Any]:
    """The same, for programs; times are RFC 3339 in UTC, spans whole seconds."""
    numbers = standing.numbers
    return {
        "at": _time(standing.now),
        "upstream": {
            "failing": standing.failing,
            "last_success": _time(standing.walked),
            "last_failure": _failure(standing.failure),
        },
        "store": {"failing": standing.store_failing},
        "sessions": numbers
        and {
            "listed": numbers.listed,
            "held": numbers.held,
            "gone": numbers.gone,
            "withheld": _some(numbers.hidden),
            "dropped": _some(numbers.dropped),
            "repaired": _some(numbers.repaired),
        },
        "readers": {
            name: _reads(reads) for name in FAMILIES if (reads := standing.families.get(name))
        },
        "feeds": [_feed(one, standing.now) for one in standing.feeds],
    }


def _feed(one: FeedStatus, now: float) -> dict[str, Any]:
    feed, reads = one.readership.feed, one.readership.reads
    return {
        "private" if feed.private else "path": feed.name,
        "title": feed.title,
        "sessions": feed.sessions,
        "trimmed": feed.trimmed,
        "withheld": dict(feed.hidden),
        "age": None if one.walked is None else max(0, int(now - one.walked)),
        **_reads(reads),
        "readers": {name: _time(at) for name, at in one.readership.families.items()},
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
        "setting": failure.matter and failure.matter.setting,
    }


def _reads(reads: ReadCount) -> dict[str, Any]:
    return {"last_day": reads.today, "last": _time(reads.last)}


def _some(numbers: Mapping[str, int]) -> dict[str, int]:
    return {name: number for name, number in numbers.items() if number}


def _time(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
