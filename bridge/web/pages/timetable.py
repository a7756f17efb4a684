"""The timetable of a page: sessions by day, at the local time of their venues."""

from calendar import monthrange
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from bridge import times
from bridge.feeds.session_view import SessionView
from bridge.feeds.spec import session_path
from bridge.text_cleanup import folded
from bridge.web.pages import page_budget
from bridge.web.pages.next_classes import NextClasses

DAYS = 7
_MAX_ENTRIES = 60
_MAX_ENTRIES_A_DAY = 20
_MAX_ENTRIES_A_MONTH_DAY = 6
# Bytes of the markup of an entry and of each link of the class, without names and addresses.
_ENTRY_MARKUP = 300
_LINK_MARKUP = 80
_SUBSTITUTE_MARKUP = 200
_DAYS_MARKUP = 100
# The same in the page of a month.
_BRIEF_MARKUP = 170
_NOON = 12
_EVENING = 17
_MAX_DISTANCE = timedelta(days=3660)


@dataclass(frozen=True, slots=True)
class Entry:
    """A session in a timetable.

    Attributes:
        start, end: in the session's zone.
        zone: the name of that zone or offset, if it is not the zone of the whole timetable.
        day: under which it is listed: its first day, or another one until its end.
        substitute: of a cancelled session, the next one of its kind.
    """

    session_view: SessionView
    start: datetime
    end: datetime | None
    day: date
    zone: str | None
    substitute: "Entry | None" = None

    @property
    def first_day(self) -> date:
        """The day on which it starts."""
        return self.start.date()

    @property
    def last_day(self) -> date:
        """The last day on which it is listed: the first, if it takes a night at most."""
        if self.end is None or not times.spans_days(self.start, self.end):
            return self.first_day
        # At midnight the day of the end has no part of it.
        return (self.end - timedelta(seconds=1)).date()

    @property
    def continues(self) -> bool:
        """Whether it started on a day before the one under which it is listed."""
        return self.first_day < self.day

    @property
    def hour(self) -> int:
        """The first hour in which it takes place on its day."""
        return 0 if self.continues else self.start.hour

    @property
    def cancelled(self) -> bool:
        """Whether it is marked as cancelled."""
        return self.session_view.cancelled

    @property
    def full(self) -> bool:
        """Whether it is marked as full."""
        return self.session_view.availability == "full"

    @property
    def waitlist(self) -> bool:
        """Whether it is marked as having a waiting list."""
        return self.session_view.waitlist

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
        if self.substitute is not None:
            rest += _SUBSTITUTE_MARKUP
        if self.last_day != self.first_day:
            rest += _DAYS_MARKUP
        return rest + page_budget.text_size(session.title, frame=_ENTRY_MARKUP, times=titles)

    @property
    def brief_size(self) -> int:
        """Its approximate size in the page of a month, in bytes."""
        return page_budget.text_size(self.session_view.session.title, frame=_BRIEF_MARKUP)

    @property
    def instructors(self) -> tuple[str, ...]:
        """The instructors' names."""
        people = self.session_view.session.instructors
        return tuple(person.name for person in people if person.name)

    @property
    def path(self) -> str:
        """The path of the session's own page."""
        return session_path(self.session_view.session)

    @property
    def booking_opens(self) -> datetime | None:
        """When customers can begin to book, in the venue's time zone, if that is known."""
        at = self.session_view.session.booking_opens
        return at.astimezone(self.start.tzinfo) if at else None


@dataclass(frozen=True, slots=True)
class Day:
    """A day and its sessions.

    Attributes:
        overflow: how many sessions do not fit into the page.
        rest_from: the time of day from which a list shows those; None if it would be the same list.
    """

    date: date
    entries: tuple[Entry, ...]
    overflow: int = 0
    rest_from: time | None = None

    @property
    def count(self) -> int:
        """The number of its sessions, including those that do not fit into the page."""
        return len(self.entries) + self.overflow

    @property
    def parts(self) -> tuple[tuple[Entry, ...], ...]:
        """Morning, afternoon and evening, which are aligned across a week."""
        morning = [entry for entry in self.entries if entry.hour < _NOON]
        afternoon = [entry for entry in self.entries if _NOON <= entry.hour < _EVENING]
        evening = [entry for entry in self.entries if entry.hour >= _EVENING]
        return tuple(morning), tuple(afternoon), tuple(evening)


@dataclass(frozen=True, slots=True)
class Timetable:
    """The timetable of some days.

    Attributes:
        zone: the zone of its times, except those of entries that state their own; None if it is
            not known.
        today: the current day in that zone.
        days: in order; in an agenda only days with sessions, in a week or a month all days.
        coming: the next day with sessions, if the days before it were skipped.
        earlier, later: first day of the previous and next timetable; None if there is none.
        since, until: the timetable is the same for all times between these two.
    """

    zone: str | None
    today: date
    first: date
    last: date
    days: tuple[Day, ...]
    coming: date | None
    earlier: date | None
    later: date | None
    since: datetime
    until: datetime

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All entries, in order."""
        return tuple(entry for day in self.days for entry in day.entries)

    @property
    def cancelled(self) -> bool:
        """Whether a session is marked as cancelled."""
        return any(entry.cancelled for entry in self.entries)

    @property
    def colours(self) -> tuple[tuple[str, str], ...]:
        """The names of the class types and their colours, to tell them apart; empty for one."""
        sessions = (entry.session_view.session for entry in self.entries)
        types = {
            (session.offering_type.name or session.title, session.offering_type.colour)
            for session in sessions
            if session.offering_type and session.offering_type.colour
        }
        return (
            tuple(sorted(types, key=lambda item: (folded(item[0]), item))) if len(types) > 1 else ()
        )

    @property
    def in_one_zone(self) -> bool:
        """Whether all entries are in the zone of the timetable."""
        return all(entry.zone is None for entry in self.entries)

    @property
    def density(self) -> str:
        """The CSS class with which a week fits on one printed sheet."""
        most = max((len(day.entries) for day in self.days), default=0)
        steps = {4: "sparse", 5: "loose", 7: "close", 10: "tight"}
        return next((name for limit, name in steps.items() if most <= limit), "dense")

    def weeks(self, first_weekday: int) -> tuple[tuple[Day | None, ...], ...]:
        """The rows of a calendar month; None stands for the days of other months."""
        before = (self.first.weekday() - first_weekday) % DAYS
        after = -(before + len(self.days)) % DAYS
        cells = (*[None] * before, *self.days, *[None] * after)
        return tuple(cells[at : at + DAYS] for at in range(0, len(cells), DAYS))


def agenda(
    shown: Iterable[SessionView],
    zone_name: str | None,
    now: datetime,
    first: date | None,
    *,
    budget: int = page_budget.TIMETABLE,
) -> Timetable:
    """The sessions of seven days; from today on only those that are not over.

    Args:
        zone_name: the zone whose days are counted.
        now: an aware datetime.
        first: the first day; by default today, or the next day with sessions.
        budget: maximum bytes of the timetable in the page, structured data included.
    """
    zone = times.zone(zone_name)
    today = now.astimezone(zone or UTC).date()
    entries = _entries(shown, zone_name)
    begin = first or today
    if begin < today:
        listed = [entry for entry in entries if entry.last_day >= begin]
    else:
        listed = [entry for entry in entries if entry.session_view.session.ends > now]
        # Today includes sessions that started yesterday and are not over.
        if begin > today:
            listed = [entry for entry in listed if entry.last_day >= begin]
    requested, coming = begin, None
    if listed and listed[0].first_day >= begin + timedelta(days=DAYS):
        begin = coming = listed[0].first_day
    days: list[Day] = []
    limit = budget - page_budget.STRUCTURED_DATA
    count = total_size = 0
    end = begin + timedelta(days=DAYS)
    for day, day_entries in sorted(_by_day(listed, begin, end).items()):
        sizes = [entry.size for entry in day_entries]
        count, total_size = count + len(day_entries), total_size + sum(sizes)
        if days and (count > _MAX_ENTRIES or total_size > limit):
            end = day
            break
        most = page_budget.items_per_group([sizes], limit, most=_MAX_ENTRIES)
        days.append(_day(day, day_entries, most))
    earlier: date | None = requested - timedelta(days=DAYS)
    if requested > today:
        earlier = max(today, requested - timedelta(days=DAYS))
    elif requested == today or not any(entry.first_day < requested for entry in entries):
        earlier = None
    return Timetable(
        zone=zone_name if zone else None,
        today=today,
        first=begin,
        last=end - timedelta(days=1),
        days=tuple(days),
        coming=coming,
        earlier=earlier,
        later=end if any(entry.last_day >= end for entry in listed) else None,
        **_validity(entries, now, zone),
    )


def week(
    shown: Iterable[SessionView],
    zone_name: str | None,
    now: datetime,
    requested: date | None,
    *,
    first_weekday: int,
    budget: int = page_budget.TIMETABLE,
) -> Timetable:
    """All sessions of a calendar week, also those that are over.

    Args:
        zone_name: the zone whose days are counted.
        now: an aware datetime.
        requested: any day of the week; by default today, or the next day with sessions.
        first_weekday: the first day of the week, 0 for Monday.
        budget: maximum bytes of the timetable in the page.
    """

    def start_of_week(day: date) -> date:
        return day - timedelta(days=(day.weekday() - first_weekday) % DAYS)

    return _period(
        shown, zone_name, now, requested,
        start_of=start_of_week, days=lambda _: DAYS, size=lambda entry: entry.size,
        most=_MAX_ENTRIES_A_DAY,
        budget=budget,
    )  # fmt: skip


def month(
    shown: Iterable[SessionView],
    zone_name: str | None,
    now: datetime,
    requested: date | None,
    *,
    budget: int = page_budget.TIMETABLE,
) -> Timetable:
    """All sessions of a calendar month, also those that are over.

    Args:
        zone_name: the zone whose days are counted.
        now: an aware datetime.
        requested: any day of the month; by default today, or the next day with sessions.
        budget: maximum bytes of the timetable in the page.
    """
    return _period(
        shown, zone_name, now, requested,
        start_of=lambda day: day.replace(day=1),
        days=lambda begin: monthrange(begin.year, begin.month)[1],
        size=lambda entry: entry.brief_size, most=_MAX_ENTRIES_A_MONTH_DAY,
        budget=budget,
    )  # fmt: skip


def _period(
    shown: Iterable[SessionView],
    zone_name: str | None,
    now: datetime,
    requested: date | None,
    *,
    start_of: Callable[[date], date],
    days: Callable[[date], int],
    size: Callable[[Entry], int],
    most: int,
    budget: int,
) -> Timetable:
    """All sessions of a period of the calendar.

    Args:
        requested: any day of the period; by default today, or the next day with sessions.
        start_of: finds the first day of the period that contains a day.
        days: the number of days of the period that begins on a day.
        size: the approximate size of an entry in the page, in bytes.
        most: the maximum number of entries of a day.
    """
    zone = times.zone(zone_name)
    today = now.astimezone(zone or UTC).date()
    entries = _entries(shown, zone_name)
    # On Sunday evening the coming week is of more use than the one that is over.
    upcoming = (entry for entry in entries if entry.session_view.session.ends > now)
    next_day = max(today, next((entry.first_day for entry in upcoming), today))
    begin = start_of(requested or next_day)
    skipped = requested is None and begin > today
    end = begin + timedelta(days=days(begin))
    by_day = _by_day(entries, begin, end)
    dates = [begin + timedelta(days=number) for number in range((end - begin).days)]
    sizes = [[size(entry) for entry in by_day.get(day, ())] for day in dates]
    most = page_budget.items_per_group(sizes, budget, most=most)
    return Timetable(
        zone=zone_name if zone else None,
        today=today,
        first=begin,
        last=end - timedelta(days=1),
        days=tuple(_day(day, by_day.get(day, ()), most) for day in dates),
        coming=next_day if skipped else None,
        earlier=(
            start_of(begin - timedelta(days=1))
            if any(entry.first_day < begin for entry in entries)
            else None
        ),
        later=end if any(entry.last_day >= end for entry in entries) else None,
        **_validity(entries, now, zone),
    )


def is_in_range(day: date, today: date) -> bool:
    """Whether a timetable may begin on *day*: days too far away are probably typing errors."""
    return abs(day - today) < _MAX_DISTANCE


def _entries(shown: Iterable[SessionView], common_zone: str | None) -> list[Entry]:
    """The entries of sessions, sorted by local time, even if they are in several zones."""
    views = [*shown]
    next_classes = NextClasses(views)
    entries = (
        entry(view, next_classes.after(view.session) if view.cancelled else None, common_zone)
        for view in views
    )
    return sorted(
        entries,
        key=lambda entry: (
            entry.start.replace(tzinfo=None),
            entry.session_view.session.start,
            entry.session_view.uid,
        ),
    )


def entry(
    view: SessionView, substitute: SessionView | None = None, common_zone: str | None = None
) -> Entry:
    """The entry of a session.

    Args:
        substitute: if it is cancelled, the next one of its kind.
        common_zone: the zone that is stated once for the timetable, and not for each entry.
    """
    session = view.session
    name = times.zone_name(session.zone)
    return Entry(
        session_view=view,
        start=session.local_start,
        end=session.local_end,
        day=session.local_start.date(),
        zone=None if name == common_zone else name,
        substitute=entry(substitute, None, common_zone) if substitute else None,
    )


def _day(day: date, entries: tuple[Entry, ...], most: int) -> Day:
    shown, rest = entries[:most], entries[most:]
    rest_from = (
        rest[0].start.time() if rest and rest[0].start.time() != shown[0].start.time() else None
    )
    return Day(day, shown, len(rest), rest_from)


def _by_day(entries: Iterable[Entry], first: date, end: date) -> dict[date, tuple[Entry, ...]]:
    """The entries by day. A session of several days has an entry on each of them.

    Args:
        first: the first day. Entries that are over before are listed on their last day.
        end: the day after the last one.
    """
    by_day: defaultdict[date, list[Entry]] = defaultdict(list)
    for entry in entries:
        day = max(entry.first_day, min(first, entry.last_day))
        while day <= entry.last_day and day < end:
            by_day[day].append(entry if day == entry.day else replace(entry, day=day))
            day += timedelta(days=1)
    return {day: tuple(day_entries) for day, day_entries in by_day.items()}


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
