"""The observances of a VTIMEZONE: an IANA zone's rules for some years, as few as possible."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from bridge import times

# Zones are searched for transitions in steps of this length.
_STEP = timedelta(hours=12)
_WEEK = 7
RRule = dict[str, str | int | list[int]]

_WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


@dataclass(frozen=True, slots=True)
class Observance:
    """A period with a constant UTC offset, which may recur every year (RFC 5545, 3.6.5).

    Attributes:
        onset: its start, in the local time before the change.
        offset_from, offset_to: UTC offsets before and from the onset.
        name: the zone's abbreviation during the period.
        rrule: the yearly recurrence rule; None if it occurs once.
    """

    onset: datetime
    offset_from: timedelta
    offset_to: timedelta
    name: str
    rrule: RRule | None = None

    @property
    def daylight(self) -> bool:
        """Whether clocks go forward at the onset (tzinfo.dst() is negative in winter in Dublin)."""
        return self.offset_to > self.offset_from


@dataclass(frozen=True, slots=True)
class _Transition:
    """A change of a zone's UTC offset."""

    at: datetime
    offset_from: timedelta
    offset_to: timedelta
    name: str

    @property
    def onset(self) -> datetime:
        return (self.at + self.offset_from).replace(tzinfo=None)

    @property
    def kind(self) -> tuple[timedelta, timedelta, str]:
        return (self.offset_from, self.offset_to, self.name)


@lru_cache(maxsize=256)
def observances(zone: str, first_year: int, last_year: int) -> tuple[Observance, ...]:
    """The observances of *zone* for the years *first_year* to *last_year*, inclusive.

    A recurrence rule is used if it gives exactly the zone's transitions in all of these years; all
    other transitions are listed one by one.
    """
    tz = times.zone(zone) or ZoneInfo("UTC")
    # From the year before, so that an onset precedes every time in the range.
    transitions = list(_transitions(tz, first_year - 1, last_year))
    if not transitions:
        return (_initial_observance(tz, first_year),)
    kinds = defaultdict(list)
    for transition in transitions:
        kinds[transition.kind].append(transition)
    years = last_year - first_year + 2
    result: list[Observance] = []
    for same_kind in kinds.values():
        rrule = _yearly_rule(same_kind) if len(same_kind) == years else None
        listed = same_kind[:1] if rrule else same_kind
        result.extend(Observance(entry.onset, *entry.kind, rrule) for entry in listed)
    if transitions[0].at > datetime(first_year, 1, 1, tzinfo=UTC):
        # The range begins before the first transition.
        result.append(_initial_observance(tz, first_year - 1))
    return tuple(sorted(result, key=lambda observance: observance.onset))


def _initial_observance(tz: ZoneInfo, year: int) -> Observance:
    """The offset at the start of *year*, with an onset before every session."""
    offset, name = _offset_and_name(tz, datetime(year, 1, 1, tzinfo=UTC))
    return Observance(datetime(1970, 1, 1), offset, offset, name)  # noqa: DTZ001 - local time


def _offset_and_name(tz: ZoneInfo, at: datetime) -> tuple[timedelta, str]:
    local = at.astimezone(tz)
    return (local.utcoffset() or timedelta(), local.tzname() or "")


def _transitions(tz: ZoneInfo, first_year: int, last_year: int) -> Iterator[_Transition]:
    """Every change of the offset in these years, in order, found by bisection."""
    at, end = datetime(first_year, 1, 1, tzinfo=UTC), datetime(last_year + 1, 1, 1, tzinfo=UTC)
    while at < end:
        after = min(end, at + _STEP)
        if _offset_and_name(tz, at)[0] != _offset_and_name(tz, after)[0]:
            low, high = at, after
            while high - low > timedelta(seconds=1):
                middle = (low + (high - low) / 2).replace(microsecond=0)
                if _offset_and_name(tz, middle)[0] == _offset_and_name(tz, low)[0]:
                    low = middle
                else:
                    high = middle
            yield _Transition(high, _offset_and_name(tz, low)[0], *_offset_and_name(tz, high))
        at = after


def _yearly_rule(transitions: Sequence[_Transition]) -> RRule | None:
    """The recurrence rule of all *transitions*, one a year; None if there is none."""
    onsets = [transition.onset for transition in transitions]
    if any(later.year - earlier.year != 1 for earlier, later in pairwise(onsets)):
        return None
    if len({(onset.month, onset.weekday(), onset.time()) for onset in onsets}) != 1:
        return None
    month, weekday = onsets[0].month, _WEEKDAYS[onsets[0].weekday()]
    rule: RRule = {"FREQ": "YEARLY", "BYMONTH": month}
    if all((onset + timedelta(days=_WEEK)).month != month for onset in onsets):
        return {**rule, "BYDAY": f"-1{weekday}"}
    weeks = {(onset.day - 1) // _WEEK + 1 for onset in onsets}
    if len(weeks) == 1:
        return {**rule, "BYDAY": f"{weeks.pop()}{weekday}"}
    # For example the Friday before the last Sunday: that weekday within seven days of the month.
    first_day = min(onset.day for onset in onsets)
    if max(onset.day for onset in onsets) - first_day < _WEEK:
        return {**rule, "BYDAY": weekday, "BYMONTHDAY": list(range(first_day, first_day + _WEEK))}
    return None
