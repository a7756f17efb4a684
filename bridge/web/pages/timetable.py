"""The timetable of a page: sessions by day, at the local time of their venues."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

from bridge import times
from bridge.feeds.session_view import SessionView
from bridge.feeds.subject import Subject
from bridge.web.pages import calendar_links, page_budget

DAYS = 7
_MAX_ENTRIES = 60
_MAX_ENTRIES_A_DAY = 20
# Bytes of the markup of an entry and of each link of the class, without names and addresses.
_ENTRY_MARKUP = 300
_LINK_MARKUP = 80
_NOON = 12
_EVENING = 17
_MAX_DISTANCE = timedelta(days=3660)


@dataclass(frozen=True, slots=True)
class Entry:
    """A session in a timetable.

    Attributes:
        start, end: in the venue's time zone.
        zone: the name of that zone, if it is not the zone of the whole timetable.
    """

    session_view: SessionView
    start: datetime
    end: datetime | None
    zone: str | None

    @property
    def cancelled(self) -> bool:
        """Whether it is marked as cancelled."""
        return self.session_view.cancelled

    @property
    def full(self) -> bool:
        """Whether it is marked as full."""
        return self.session_view.availability == "full"

    @property
    def spots(self) -> int | None:
        """The number of free places, if it is shown."""
        availability = self.session_view.availability
        return availability if isinstance(availability, int) else None

    @property
    def size(self) -> int:
        """Its approximate size in a page, in bytes."""
        session = self.session_view.session
        place = (part.name for part in (session.venue, session.room) if part)
        join_url = session.venue.join_url if session.venue else None
        links = [*filter(None, (session.booking_url, join_url, session.staff_url))]
        rest = page_budget.text_size(
            *self.instructors, *place, *links, frame=_LINK_MARKUP * len(links)
        )
        titles = 1 + len(links)
        return rest + page_budget.text_size(session.title, frame=_ENTRY_MARKUP, times=titles)

    @property
    def instructors(self) -> tuple[str, ...]:
        """The instructors' names."""
        people = self.session_view.session.instructors
        return tuple(person.name for person in people if person.name)

    @property
    def path(self) -> str:
        """The path of the session's own page."""
        return calendar_links.session_path(self.session_view.session)

    @property
    def booking_opens(self) -> datetime | None:
        """When customers can begin to book, in the venue's time zone, if that is known."""
        at = self.session_view.session.booking_opens
        return at.astimezone(self.start.tzinfo) if at else None


@dataclass(frozen=True, slots=True)
class Day:
    """A day and its sessions.

    Attributes:
        left_out: how many sessions do not fit into the page.
    """

    date: date
    entries: tuple[Entry, ...]
    left_out: int = 0

    @property
    def parts(self) -> tuple[tuple[Entry, ...], ...]:
        """Morning, afternoon and evening, which are aligned across a week."""
        morning = [entry for entry in self.entries if entry.start.hour < _NOON]
        afternoon = [entry for entry in self.entries if _NOON <= entry.start.hour < _EVENING]
        evening = [entry for entry in self.entries if entry.start.hour >= _EVENING]
        return tuple(morning), tuple(afternoon), tuple(evening)


@dataclass(frozen=True, slots=True)
class Timetable:
    """The timetable of some days.

    Attributes:
        zone: the zone of all its times; None if each session has its own.
        today: the current day in that zone.
        days: in order; in an agenda only days with sessions, in a week all days.
        skipped: whether days without sessions were skipped at the beginning.
        earlier, later: first day of the previous and next timetable; None if there is none.
        since, until: the timetable is the same for all times between these two.
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
        """All entries, in order."""
        return tuple(entry for day in self.days for entry in day.entries)

    @property
    def density(self) -> str:
        """The CSS class with which a week fits on one printed sheet."""
        most = max((len(day.entries) for day in self.days), default=0)
        steps = {4: "sparse", 5: "loose", 7: "close", 10: "tight"}
        return next((name for limit, name in steps.items() if most <= limit), "dense")


def agenda(
    shown: Sequence[SessionView], subject: Subject, now: datetime, first: date | None
) -> Timetable:
    """The sessions of seven days that are not over.

    Args:
        now: an aware datetime.
        first: the first day; by default today, or the next day with sessions.
    """
    zone = times.zone(subject.zone)
    today = now.astimezone(zone or UTC).date()
    entries = _entries(shown, subject)
    upcoming = [entry for entry in entries if entry.session_view.session.ends > now]
    requested = begin = max(first or today, today)
    # Today includes sessions that started yesterday and are not over.
    if begin > today:
        upcoming = [entry for entry in upcoming if entry.start.date() >= begin]
    skipped = False
    if upcoming and upcoming[0].start.date() >= begin + timedelta(days=DAYS):
        begin, skipped = upcoming[0].start.date(), True
    days: list[Day] = []
    limit = page_budget.TIMETABLE - page_budget.STRUCTURED_DATA
    count = total_size = 0
    end = begin + timedelta(days=DAYS)
    for day, day_entries in _by_day(upcoming):
        sizes = [entry.size for entry in day_entries]
        count, total_size = count + len(day_entries), total_size + sum(sizes)
        if day >= end or (days and (count > _MAX_ENTRIES or total_size > limit)):
            end = min(end, day)
            break
        most = page_budget.items_per_group([sizes], limit, most=_MAX_ENTRIES)
        days.append(_day(day, day_entries, most))
    return Timetable(
        zone=subject.zone if zone else None,
        today=today,
        first=begin,
        last=end - timedelta(days=1),
        days=tuple(days),
        skipped=skipped,
        earlier=max(today, requested - timedelta(days=DAYS)) if requested > today else None,
        later=end if any(entry.start.date() >= end for entry in upcoming) else None,
        **_validity(entries, now, zone),
    )


def week(
    shown: Sequence[SessionView],
    subject: Subject,
    now: datetime,
    first: date | None,
    *,
    first_weekday: int,
) -> Timetable:
    """All sessions of a calendar week, also those that are over.

    Args:
        now: an aware datetime.
        first: any day of the week; by default today.
        first_weekday: the first day of the week, 0 for Monday.
    """
    zone = times.zone(subject.zone)
    today = now.astimezone(zone or UTC).date()
    entries = _entries(shown, subject)
    chosen = first or today
    begin = chosen - timedelta(days=(chosen.weekday() - first_weekday) % DAYS)
    end = begin + timedelta(days=DAYS)
    by_day = dict(_by_day(entries))
    week = [begin + timedelta(days=number) for number in range(DAYS)]
    sizes = [[entry.size for entry in by_day.get(day, ())] for day in week]
    most = page_budget.items_per_group(sizes, page_budget.TIMETABLE, most=_MAX_ENTRIES_A_DAY)
    return Timetable(
        zone=subject.zone if zone else None,
        today=today,
        first=begin,
        last=end - timedelta(days=1),
        days=tuple(_day(day, by_day.get(day, ()), most) for day in week),
        skipped=False,
        earlier=begin - timedelta(days=DAYS) if any(day < begin for day in by_day) else None,
        later=end if any(day >= end for day in by_day) else None,
        **_validity(entries, now, zone),
    )


def is_in_range(day: date, today: date) -> bool:
    """Whether a timetable may begin on *day*: days too far away are probably typing errors."""
    return abs(day - today) < _MAX_DISTANCE


def _entries(shown: Iterable[SessionView], subject: Subject) -> list[Entry]:
    """The entries of sessions, sorted by local time, even if they are in several zones."""
    return sorted(
        (_entry(view, subject.zone) for view in shown),
        key=lambda entry: (
            entry.start.replace(tzinfo=None),
            entry.session_view.session.start,
            entry.session_view.uid,
        ),
    )


def _entry(view: SessionView, common_zone: str | None) -> Entry:
    session = view.session
    name = (session.venue and session.venue.zone) or "UTC"
    local = times.zone(name) or ZoneInfo("UTC")
    return Entry(
        session_view=view,
        start=session.start.astimezone(local),
        end=session.end.astimezone(local) if session.end else None,
        zone=None if name == common_zone else name,
    )


def entry(view: SessionView) -> Entry:
    """The entry of a single session, outside of a timetable."""
    return _entry(view, None)


def _day(day: date, entries: tuple[Entry, ...], most: int) -> Day:
    return Day(day, entries[:most], max(0, len(entries) - most))


def _by_day(entries: Iterable[Entry]) -> list[tuple[date, tuple[Entry, ...]]]:
    groups = groupby(entries, key=lambda entry: entry.start.date())
    return [(day, tuple(day_entries)) for day, day_entries in groups]


def _validity(
    entries: Sequence[Entry], now: datetime, zone: ZoneInfo | None
) -> dict[str, datetime]:
    """The times around *now* at which a timetable changes because time passes."""
    ends = [entry.session_view.session.ends for entry in entries]
    local = zone or UTC
    day = now.astimezone(local).date()
    midnight = datetime.combine(day, time(), local).astimezone(UTC)
    next_midnight = datetime.combine(day + timedelta(days=1), time(), local).astimezone(UTC)
    return {
        "since": max([midnight, *(end for end in ends if end <= now)]),
        "until": min([next_midnight, *(end for end in ends if end > now)]),
    }
