"""The rules of a time zone over some years, as few as can be: what a VTIMEZONE is made of."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from bridge import times

_STEP = timedelta(hours=12)
_WEEK = 7
Rule = dict[str, str | int | list[int]]

_DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


@dataclass(frozen=True, slots=True)
class Observance:
    """A stretch of time with one offset, that may come every year (RFC 5545, 3.6.5).

    Attributes:
        onset: the first moment of it, in the local time that ends there.
        before, after: offsets from UTC.
        name: the zone's abbreviation in it.
        rule: how it recurs yearly, by the names of RFC 5545; None: this once.
    """

    onset: datetime
    before: timedelta
    after: timedelta
    name: str
    rule: Rule | None = None

    @property
    def daylight(self) -> bool:
        """Whether clocks go forward into it (the zone's own word for it differs in Dublin)."""
        return self.after > self.before


@dataclass(frozen=True, slots=True)
class _Change:
    at: datetime
    before: timedelta
    after: timedelta
    name: str

    @property
    def local(self) -> datetime:
        return (self.at + self.before).replace(tzinfo=None)

    @property
    def kind(self) -> tuple[timedelta, timedelta, str]:
        return (self.before, self.after, self.name)


@lru_cache(maxsize=256)
def observances(zone: str, first: int, last: int) -> tuple[Observance, ...]:
    """The observances of *zone* that hold for every moment of the years *first* to *last*.

    Rules are used where they give exactly the zone's own changes in all of these years; a change
    that follows none stands by itself.
    """
    tz = times.zone(zone) or ZoneInfo("UTC")
    # From a year before, so that there is an onset ahead of every moment asked for.
    changes = list(_changes(tz, first - 1, last))
    if not changes:
        return (_before_all(tz, first),)
    kinds = defaultdict(list)
    for change in changes:
        kinds[change.kind].append(change)
    years = last - first + 2
    found: list[Observance] = []
    for alike in kinds.values():
        rule = _rule(alike) if len(alike) == years else None
        several = alike[:1] if rule else alike
        found.extend(Observance(change.local, *change.kind, rule) for change in several)
    if changes[0].at > datetime(first, 1, 1, tzinfo=UTC):
        # The first change on record came late: until then it was as before it.
        found.append(_before_all(tz, first - 1))
    return tuple(sorted(found, key=lambda one: one.onset))


def _before_all(tz: ZoneInfo, year: int) -> Observance:
    """What held at the beginning of *year*, as if it always had."""
    offset, name = _state(tz, datetime(year, 1, 1, tzinfo=UTC))
    return Observance(datetime(1970, 1, 1), offset, offset, name)  # noqa: DTZ001 - local time


def _state(tz: ZoneInfo, at: datetime) -> tuple[timedelta, str]:
    local = at.astimezone(tz)
    return (local.utcoffset() or timedelta(), local.tzname() or "")


def _changes(tz: ZoneInfo, first: int, last: int) -> Iterator[_Change]:
    """Every change of the offset from the year *first* through *last*, in order."""
    at, end = datetime(first, 1, 1, tzinfo=UTC), datetime(last + 1, 1, 1, tzinfo=UTC)
    while at < end:
        after = min(end, at + _STEP)
        if _state(tz, at)[0] != _state(tz, after)[0]:
            low, high = at, after
            while high - low > timedelta(seconds=1):
                middle = (low + (high - low) / 2).replace(microsecond=0)
                if _state(tz, middle)[0] == _state(tz, low)[0]:
                    low = middle
                else:
                    high = middle
            yield _Change(high, _state(tz, low)[0], *_state(tz, high))
        at = after


def _rule(changes: Sequence[_Change]) -> Rule | None:
    """The yearly rule that all *changes*, one a year, follow; None if there is none."""
    onsets = [change.local for change in changes]
    if any(later.year - earlier.year != 1 for earlier, later in pairwise(onsets)):
        return None
    if len({(one.month, one.weekday(), one.time()) for one in onsets}) != 1:
        return None
    month, day = onsets[0].month, _DAYS[onsets[0].weekday()]
    rule: Rule = {"FREQ": "YEARLY", "BYMONTH": month}
    if all((one + timedelta(days=_WEEK)).month != month for one in onsets):
        return {**rule, "BYDAY": f"-1{day}"}
    weeks = {(one.day - 1) // _WEEK + 1 for one in onsets}
    if len(weeks) == 1:
        return {**rule, "BYDAY": f"{weeks.pop()}{day}"}
    # such as the Friday before the last Sunday: that weekday within seven days of the month
    lowest = min(one.day for one in onsets)
    if max(one.day for one in onsets) - lowest < _WEEK:
        return {**rule, "BYDAY": day, "BYMONTHDAY": list(range(lowest, lowest + _WEEK))}
    return None
