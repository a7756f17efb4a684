"""The timetable of a page: the sessions of some days, each at its venue's local time."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

from bridge import times
from bridge.feeds.selection import SessionView, Subject
from bridge.web.pages import page_budget

DAYS = 7
_MOST = 60
_MOST_A_DAY = 20
# The markup of an entry, without the names in it.
_ENTRY = 370
_NOON = 12
_EVENING = 17
_FURTHEST = timedelta(days=3660)


@dataclass(frozen=True, slots=True)
class Entry:
    """A session in a timetable.

    Attributes:
        start, end: in the venue's zone.
        zone: its name, where it is not that of the whole timetable.
    """

    shown: SessionView
    start: datetime
    end: datetime | None
    zone: str | None

    @property
    def cancelled(self) -> bool:
        """Whether it is marked so; the reader of a page is always told."""
        return self.shown.cancelled

    @property
    def full(self) -> bool:
        """Whether it is known to be full."""
        return self.shown.availability == "full"

    @property
    def spots(self) -> int | None:
        """The number of places left, where it is told."""
        left = self.shown.availability
        return left if isinstance(left, int) else None

    @property
    def weight(self) -> int:
        """About its bytes in a page."""
        session = self.shown.session
        venue = session.venue.name if session.venue else ""
        link = session.booking_url or ""
        rest = page_budget.text(*self.instructors, venue, link)
        return rest + page_budget.text(session.title, frame=_ENTRY, times=2)

    @property
    def instructors(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(one.name for one in self.shown.session.instructors if one.name)


@dataclass(frozen=True, slots=True)
class Day:
    """A day and what is on.

    Attributes:
        left_out: how many more there are than a page can hold.
    """

    date: date
    entries: tuple[Entry, ...]
    left_out: int = 0

    @property
    def parts(self) -> tuple[tuple[Entry, ...], ...]:
        """Morning, afternoon and evening: what makes a week readable across."""
        morning = [one for one in self.entries if one.start.hour < _NOON]
        afternoon = [one for one in self.entries if _NOON <= one.start.hour < _EVENING]
        evening = [one for one in self.entries if one.start.hour >= _EVENING]
        return tuple(morning), tuple(afternoon), tuple(evening)


@dataclass(frozen=True, slots=True)
class Timetable:
    """Some days, in order.

    Attributes:
        zone: the one zone of all its times; None where each session has its own.
        today: the day it is there.
        days: in an agenda those with something on, in a week all of them.
        skipped: nothing is on before the first day, so that it was sought further on.
        earlier, later: the day that the timetable before and after begins with, if there is one.
        since, until: as long as the time of day lies between them, it stays as it is.
    """

    zone: str | None
    today: date
    first: date
    last: date
    days: tuple[Day, ...]
    skipped: bool
    earlier: date | None
    later: date | None
    since: datetime
    until: datetime

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All of them."""
        return tuple(one for day in self.days for one in day.entries)

    @property
    def density(self) -> str:
        """How closely a week has to be set to fit on one sheet."""
        most = max((len(day.entries) for day in self.days), default=0)
        steps = {4: "sparse", 5: "loose", 7: "close", 10: "tight"}
        return next((name for limit, name in steps.items() if most <= limit), "dense")


def agenda(
    shown: Sequence[SessionView], subject: Subject, now: datetime, first: date | None
) -> Timetable:
    """What is on in seven days, without what is over.

    Args:
        now: with a zone.
        first: the day to begin with; by default today, or the next on which something is on.
    """
    zone = times.zone(subject.zone)
    today = now.astimezone(zone or UTC).date()
    entries = _entries(shown, subject)
    coming = [one for one in entries if one.shown.session.ends > now]
    begin = max(first or today, today)
    ahead = [one for one in coming if one.start.date() >= begin]
    # What began yesterday and is not over is on today.
    if begin == today:
        ahead = coming
    skipped = False
    if ahead and ahead[0].start.date() >= begin + timedelta(days=DAYS):
        begin, skipped = ahead[0].start.date(), True
    days: list[Day] = []
    limit = page_budget.TIMETABLE - page_budget.STRUCTURED
    count = carried = 0
    end = begin + timedelta(days=DAYS)
    for day, of_day in _by_day(ahead):
        weights = [one.weight for one in of_day]
        count, carried = count + len(of_day), carried + sum(weights)
        if day >= end or (days and (count > _MOST or carried > limit)):
            end = min(end, day)
            break
        days.append(_day(day, of_day, page_budget.fitting([weights], limit, most=_MOST)))
    asked = max(first or today, today)
    return Timetable(
        zone=subject.zone if zone else None,
        today=today,
        first=begin,
        last=end - timedelta(days=1),
        days=tuple(days),
        skipped=skipped,
        earlier=max(today, asked - timedelta(days=DAYS)) if asked > today else None,
        later=end if any(one.start.date() >= end for one in ahead) else None,
        **_edges(entries, now, zone),
    )


def week(
    shown: Sequence[SessionView],
    subject: Subject,
    now: datetime,
    first: date | None,
    *,
    first_weekday: int,
) -> Timetable:
    """All of a calendar week, over or not.

    Args:
        now: with a zone.
        first: a day of the week; by default today.
        first_weekday: the day that weeks begin with, 0 for Monday.
    """
    zone = times.zone(subject.zone)
    today = now.astimezone(zone or UTC).date()
    entries = _entries(shown, subject)
    chosen = first or today
    begin = chosen - timedelta(days=(chosen.weekday() - first_weekday) % DAYS)
    end = begin + timedelta(days=DAYS)
    found = dict(_by_day(entries))
    week = [begin + timedelta(days=number) for number in range(DAYS)]
    weights = [[one.weight for one in found.get(day, ())] for day in week]
    most = page_budget.fitting(weights, page_budget.TIMETABLE, most=_MOST_A_DAY)
    return Timetable(
        zone=subject.zone if zone else None,
        today=today,
        first=begin,
        last=end - timedelta(days=1),
        days=tuple(_day(day, found.get(day, ()), most) for day in week),
        skipped=False,
        earlier=begin - timedelta(days=DAYS) if any(one < begin for one in found) else None,
        later=end if any(one >= end for one in found) else None,
        **_edges(entries, now, zone),
    )


def within_reach(day: date, today: date) -> bool:
    """Whether a timetable may begin on *day*: what is farther is a slip of the pen."""
    return abs(day - today) < _FURTHEST


def _entries(shown: Iterable[SessionView], subject: Subject) -> list[Entry]:
    """Each at its own local time, and by that in order."""
    return sorted(
        (_entry(one, subject.zone) for one in shown),
        # by the clock on the wall, also where the walls are in several zones
        key=lambda one: (one.start.replace(tzinfo=None), one.shown.session.start, one.shown.uid),
    )


def _entry(one: SessionView, common: str | None) -> Entry:
    session = one.session
    name = (session.venue and session.venue.zone) or "UTC"
    local = times.zone(name) or ZoneInfo("UTC")
    return Entry(
        shown=one,
        start=session.start.astimezone(local),
        end=session.end.astimezone(local) if session.end else None,
        zone=None if name == common else name,
    )


def entry(one: SessionView) -> Entry:
    """One session, at its local time."""
    return _entry(one, None)


def _day(day: date, entries: tuple[Entry, ...], most: int) -> Day:
    return Day(day, entries[:most], max(0, len(entries) - most))


def _by_day(entries: Iterable[Entry]) -> list[tuple[date, tuple[Entry, ...]]]:
    day: Callable[[Entry], date] = lambda one: one.start.date()  # noqa: E731 - shared by two
    return [(one, tuple(several)) for one, several in groupby(entries, key=day)]


def _edges(entries: Sequence[Entry], now: datetime, zone: ZoneInfo | None) -> dict[str, datetime]:
    """The moments around *now* at which a timetable changes by itself."""
    ends = [one.shown.session.ends for one in entries]
    local = zone or UTC
    day = now.astimezone(local).date()
    midnight = datetime.combine(day, time(), local).astimezone(UTC)
    next_one = datetime.combine(day + timedelta(days=1), time(), local).astimezone(UTC)
    return {
        "since": max([midnight, *(end for end in ends if end <= now)]),
        "until": min([next_one, *(end for end in ends if end > now)]),
    }
