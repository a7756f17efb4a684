"""When vendors' servers last fetched a feed, in words that stay true while a page is cached."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from bridge.feeds.spec import FeedSpec
from bridge.languages import Language
from bridge.web.pages.page_context import PageContext
from bridge.web.user_agents import SERVERS

_SECONDS: dict[Literal["hour", "day"], int] = {"hour": 3_600, "day": 86_400}
_MAX_HOURS = 48


@dataclass(frozen=True, slots=True)
class FetchTime:
    """When the servers of one vendor last fetched a feed.

    Attributes:
        family: the vendor's client family.
        count: how many whole units ago; None if no fetch is on record.
        since: since when this has been so.
    """

    family: str
    count: int | None
    unit: Literal["hour", "day"] = "hour"
    since: datetime | None = field(default=None, compare=False)

    def words(self, language: Language) -> str:
        """A sentence."""
        if self.count is None:
            return language(f"not_fetched_{self.family}")
        ago = language.whole_ago(self.count, self.unit) if self.count else language("hour_ago")
        return language(f"fetched_{self.family}", ago=ago)


def fetch_times(context: PageContext, spec: FeedSpec) -> tuple[FetchTime, ...]:
    """When each vendor's servers last fetched the feed of *spec*, as far as that is known.

    The clients on people's own devices are left out: their times would tell when a person looks.
    """
    last_reads = context.services.usage.last_reads(spec)
    if last_reads is None:
        return ()
    now = context.now.timestamp()
    return tuple(
        _fetch_time(family, last_reads[family], now)
        if family in last_reads
        else FetchTime(family, None)
        for family in SERVERS
        # The first is the vendor that people ask about.
        if family in last_reads or family == SERVERS[0]
    )


def _fetch_time(family: str, at: float, now: float) -> FetchTime:
    age = max(0.0, now - at)
    unit: Literal["hour", "day"] = "hour" if age < _MAX_HOURS * _SECONDS["hour"] else "day"
    count = int(age // _SECONDS[unit])
    since = datetime.fromtimestamp(at + count * _SECONDS[unit], UTC)
    return FetchTime(family, count, unit, since)
