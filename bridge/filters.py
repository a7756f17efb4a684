"""Filter sets: which sessions a feed selects. A filter set is canonical and serves as cache key."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import Enum
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from bridge.model import ClassSession, Identity, SourceName, Status


class Occupancy(Enum):
    """How booked a session is.

    Only upstream can evaluate ``has_waitlist`` for a source that does not state waiting lists.
    """

    FULL = "full"
    NOT_FULL = "not_full"
    HAS_REGISTRATIONS = "has_registrations"
    HAS_WAITLIST = "has_waitlist"
    EMPTY = "empty"


class Weekday(Enum):
    """A day of the week, from Monday on."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"

    @property
    def number(self) -> int:
        """Its place in the week, 0 for Monday."""
        return list(Weekday).index(self)


Window = tuple[datetime | None, datetime | None]
"""Sessions of the window end at or after the first time, and start before the second."""

ID_FIELDS = ("venues", "rooms", "instructors", "course", "offering_types", "category")
"""The fields of a filter set that contain ids; see :func:`parts`."""

# The largest distance between the starts of a day in UTC and in any time zone, and one more hour
# for a change of the clocks in between.
_BEFORE_UTC_DAY, _AFTER_UTC_DAY = timedelta(hours=26), timedelta(hours=26)

# The earliest zone is 14 hours ahead of UTC, the latest 12 hours behind.
_MAX_AHEAD, _MAX_BEHIND = timedelta(hours=14), timedelta(hours=12)

_OCCUPANCY_TESTS: dict[Occupancy, Callable[[ClassSession], bool]] = {
    Occupancy.FULL: lambda session: session.full,
    Occupancy.NOT_FULL: lambda session: not session.full,
    Occupancy.HAS_REGISTRATIONS: lambda session: session.attending > 0,
    Occupancy.EMPTY: lambda session: session.attending == 0,
    # If the source states nothing about waitlists, every session that upstream returned for this
    # filter has one.
    Occupancy.HAS_WAITLIST: lambda session: session.waiting is None or session.waiting > 0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterSet:
    """A set of filters for sessions; equal filters in different spellings give equal values.

    Empty tuples and None do not restrict. Create instances with :meth:`of`, which sorts and
    de-duplicates::

        FilterSet.of(venues=[12, 11], past=7)

    A relative window (``past``, ``future``: whole days) stays relative: it is resolved against the
    day of each refresh, so that the key does not change at midnight.

    Weekdays, times of day and naive ``local_*`` bounds are in the session's local time: that of its
    venue, or of its own offset where it has none. All other bounds are UTC.
    """

    sources: tuple[SourceName, ...] = ()
    course: tuple[int, ...] = ()
    venues: tuple[int, ...] = ()
    rooms: tuple[int, ...] = ()
    instructors: tuple[int, ...] = ()
    offering_types: tuple[int, ...] = ()
    category: tuple[int, ...] = ()
    status: tuple[Status, ...] = ()
    occupancy_status: tuple[Occupancy, ...] = ()
    weekdays: tuple[Weekday, ...] = ()
    time_from: time | None = None
    time_until: time | None = None
    past: int | None = None
    future: int | None = None
    starts_at_gte: datetime | None = None
    starts_at_lte: datetime | None = None
    ends_at_gte: datetime | None = None
    ends_at_lte: datetime | None = None
    local_starts_at_gte: datetime | None = None
    local_starts_at_lte: datetime | None = None
    session: Identity | None = None

    @property
    def key(self) -> str:
        """The canonical query string, without ``?``."""
        return _key(self)

    def query(self, *, without: Mapping[str, int | None] | None = None) -> str:
        """The canonical query string.

        Args:
            without: values by field that are left out, because they are the reader's defaults.
        """
        defaults = without or {}
        pairs = []
        for field in fields(self):
            value = getattr(self, field.name)
            if value in (None, ()) or defaults.get(field.name) == value:
                continue
            pairs.append((field.name, _to_text(value)))
        return urlencode(pairs)

    @classmethod
    def of(cls, **values: Any) -> "FilterSet":
        """Create a canonical filter set from any iterables of values."""
        every = (("status", Status), ("sources", SourceName), ("weekdays", Weekday))
        for name, members in every:
            if set(values.get(name, ())) == set(members):
                values[name] = ()
        canonical: dict[str, Any] = {
            name: _canonical(value)
            if name != "session" and isinstance(value, (tuple, list, set, frozenset))
            else value
            for name, value in values.items()
        }
        return cls(**canonical)

    @property
    def by_waitlist(self) -> bool:
        """Whether the sessions depend on the waitlist, which not every source states."""
        return Occupancy.HAS_WAITLIST in self.occupancy_status

    @property
    def is_window(self) -> bool:
        """Whether it selects all sessions of its window, so that only deleted ones leave it."""
        return self == FilterSet(past=self.past, future=self.future)

    def window(self, at: datetime, zone: tzinfo) -> Window:
        """The window at a time, whose days are those of *zone*.

        Args:
            at: when the sessions were fetched.
        """
        today = at.astimezone(zone).date()
        return (
            None if self.past is None else _start_of(today - timedelta(days=self.past), zone),
            None if self.future is None else _start_of(today + timedelta(self.future + 1), zone),
        )

    def widest_window(self, day: date) -> Window:
        """The window that contains :meth:`window` for each zone and for each time of a UTC day."""
        earliest, latest = self.window(datetime.combine(day, time(), UTC), UTC)
        return (
            earliest and earliest - _BEFORE_UTC_DAY,
            latest and latest + _AFTER_UTC_DAY,
        )

    @property
    def widest_local_bounds(self) -> Window:
        """The bounds of the local start in UTC, so wide that they hold in each time zone."""
        return (
            _in_utc(self.local_starts_at_gte, -_MAX_AHEAD),
            _in_utc(self.local_starts_at_lte, _MAX_BEHIND),
        )

    def may_match(self, session: ClassSession, day: date) -> bool:
        """Whether *session* passes the filters in some zone, as far as its data can tell.

        Args:
            day: the UTC day on which the session was fetched.
        """
        return self.matches(session, self.widest_window(day))

    def matches(self, session: ClassSession, window: Window) -> bool:
        """Whether *session* passes the filters, with the given window in place of the relative one.

        Args:
            window: a result of :meth:`window` or :meth:`widest_window`.
        """
        return (
            self._matches_ids(session)
            and in_window(session, window)
            and self._matches_bounds(session)
            and self._matches_local_time(session)
            and (not self.status or session.status in self.status)
            and (
                not self.occupancy_status
                or any(_OCCUPANCY_TESTS[status](session) for status in self.occupancy_status)
            )
        )

    def with_changes(self, **changes: Any) -> "FilterSet":
        """A copy with other values in some fields."""
        return replace(self, **changes)

    def _matches_ids(self, session: ClassSession) -> bool:
        offering_type = session.offering_type
        return (
            (self.session is None or session.identity == self.session)
            and (not self.sources or any(session.source == name.object for name in self.sources))
            and (
                not self.course or (session.course is not None and session.course.id in self.course)
            )
            and (not self.venues or (session.venue is not None and session.venue.id in self.venues))
            and (not self.rooms or (session.room is not None and session.room.id in self.rooms))
            and (
                not self.instructors
                or any(person.id in self.instructors for person in session.instructors)
            )
            and (
                not self.offering_types
                or (offering_type is not None and offering_type.id in self.offering_types)
            )
            and (
                not self.category
                or (offering_type is not None and offering_type.category_id in self.category)
            )
        )

    def _matches_local_time(self, session: ClassSession) -> bool:
        """Whether the weekday and the time of day at which it starts are selected."""
        if not self.weekdays and self.time_from is None and self.time_until is None:
            return True
        start = session.local_start
        if self.weekdays and not any(day.number == start.weekday() for day in self.weekdays):
            return False
        clock = start.time()
        after = self.time_from is None or clock >= self.time_from
        before = self.time_until is None or clock < self.time_until
        if self.time_from and self.time_until and self.time_from > self.time_until:
            # past midnight
            return after or before
        return after and before

    def _matches_bounds(self, session: ClassSession) -> bool:
        start, end = session.start, session.ends
        return (
            (self.starts_at_gte is None or start >= self.starts_at_gte)
            and (self.starts_at_lte is None or start <= self.starts_at_lte)
            and (self.ends_at_gte is None or end >= self.ends_at_gte)
            and (self.ends_at_lte is None or end <= self.ends_at_lte)
            and (
                self.local_starts_at_gte is None
                or _first_at(session, self.local_starts_at_gte) <= start
            )
            and (
                self.local_starts_at_lte is None
                or start <= _last_at(session, self.local_starts_at_lte)
            )
        )


def in_window(session: ClassSession, window: Window) -> bool:
    """Whether *session* ends after *window* begins, and starts before it ends."""
    earliest, latest = window
    return (earliest is None or session.ends >= earliest) and (
        latest is None or session.start < latest
    )


def _start_of(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


# Cached, because each request reads the key several times.
@lru_cache(maxsize=1024)
def _key(filter_set: FilterSet) -> str:
    return filter_set.query()


def _first_at(session: ClassSession, bound: datetime) -> datetime:
    """*bound* in UTC. A naive bound is in the session's local time, the first if it comes twice."""
    if bound.tzinfo is not None:
        return bound
    return bound.replace(tzinfo=session.zone).astimezone(UTC)


def _last_at(session: ClassSession, bound: datetime) -> datetime:
    """The same, but the second if it comes twice: the clocks may go back at the end of a day."""
    return max(_first_at(session, bound.replace(fold=fold)) for fold in (0, 1))


def parts(session: ClassSession) -> Iterator[tuple[str, int, str]]:
    """The objects by which *session* can be selected: filter field, id and name of each."""
    if session.venue:
        yield "venues", session.venue.id, session.venue.name
    if session.room:
        yield "rooms", session.room.id, session.room.name
    for person in session.instructors:
        yield "instructors", person.id, person.name
    if session.course:
        yield "course", session.course.id, session.course.name or session.title
    offering_type = session.offering_type
    if offering_type and offering_type.id is not None:
        yield "offering_types", offering_type.id, offering_type.name or session.title
    if offering_type and offering_type.category_id is not None:
        yield "category", offering_type.category_id, offering_type.category


def _in_utc(bound: datetime | None, margin: timedelta) -> datetime | None:
    """*bound* in UTC; if it is naive, moved by *margin*."""
    if bound is None or bound.tzinfo is not None:
        return bound
    return bound.replace(tzinfo=UTC) + margin


def _canonical(values: Any) -> tuple[Any, ...]:
    return tuple(sorted(set(values), key=_order))


def _order(value: Any) -> Any:
    if isinstance(value, Weekday):
        return value.number
    return value.value if isinstance(value, Enum) else value


def _to_text(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(_to_text(item) for item in value)
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, time):
        return f"{value:%H:%M}"
    if isinstance(value, datetime):
        text = value.replace(tzinfo=None).isoformat()
        return text if value.tzinfo is None else f"{text}Z"
    return str(value)
