"""Relative windows count days of the feed's zone; weekdays and times of day are the venue's."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ical_lines import read
from samples import calendar, content, session, snapshot, spec

from bridge import languages
from bridge.errors import ParameterError
from bridge.feeds.formats import FORMATS
from bridge.feeds.selection import select
from bridge.feeds.spec import Kind
from bridge.filter_params import filters_of_key, parse_filters
from bridge.filters import FilterSet, Weekday
from bridge.model import ClassSession, Venue

AUCKLAND = Venue(21, "Ponsonby", zone="Pacific/Auckland")
LONDON = Venue(11, "Kings Cross", zone="Europe/London")
HONOLULU = Venue(31, "Waikiki", zone="Pacific/Honolulu")
NOWHERE = Venue(41, "Somewhere")

# Monday 23 November, eight in the morning in Auckland; still Sunday evening in UTC.
MORNING = datetime(2026, 11, 22, 19, tzinfo=UTC)


def at(number: int, venue: Venue | None, local: str, zone: str = "", **fields: Any) -> ClassSession:
    """A class of an hour that starts at a local time of its venue."""
    name = zone or (venue and venue.zone) or "UTC"
    start = datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(name)).astimezone(UTC)
    return session(number, start=start, venue=venue, **fields)


def ids(*sessions: ClassSession, walked: datetime = MORNING, **fields: Any) -> list[int]:
    selection = select(snapshot(*sessions, walked=walked), spec(**fields))
    return [view.session.id for view in selection.shown]


IN_AUCKLAND = (
    at(1, AUCKLAND, "2026-11-22T22:30"),  # ends on Sunday
    at(2, AUCKLAND, "2026-11-22T23:30"),  # ends on Monday
    at(3, AUCKLAND, "2026-11-23T15:00"),
    at(4, AUCKLAND, "2026-11-23T23:45"),
    at(5, AUCKLAND, "2026-11-24T00:00"),
)


def test_today_is_the_day_of_the_venue() -> None:
    assert ids(*IN_AUCKLAND, filters={"past": 0, "future": 0}) == [2, 3, 4]


def test_today_in_a_zone_behind_utc() -> None:
    sessions = (
        at(1, HONOLULU, "2026-11-21T20:00"),
        at(2, HONOLULU, "2026-11-22T06:00"),
        at(3, HONOLULU, "2026-11-22T23:00"),
        at(4, HONOLULU, "2026-11-23T00:30"),
    )
    assert ids(*sessions, filters={"past": 0, "future": 0}) == [2, 3]


def test_the_edge_moves_once_a_day_at_the_venues_midnight() -> None:
    window = {"past": 0, "future": 0}
    days = [
        ids(*IN_AUCKLAND, walked=MORNING + timedelta(hours=hours), filters=window)
        for hours in range(24)
    ]
    # 08:00 to 23:00 is the 23rd, then begins the 24th.
    assert days == [[2, 3, 4]] * 16 + [[4, 5]] * 8


def test_a_filter_set_has_the_same_key_on_every_day() -> None:
    assert FilterSet(past=0, future=0).key == "past=0&future=0"


@pytest.mark.parametrize(
    ("zone", "expected"),
    [("Pacific/Auckland", [2]), ("Europe/London", [1]), (None, [1])],
)
def test_where_the_sessions_share_no_zone_the_studios_day_counts(
    zone: str | None, expected: list[int]
) -> None:
    sessions = (
        at(1, LONDON, "2026-11-22T09:00"),
        at(2, AUCKLAND, "2026-11-23T18:00"),
        # two venues in London: without a setting it is the zone of most venues
        at(3, Venue(12, "Old Street", zone="Europe/London"), "2026-12-22T22:00"),
    )
    shown = ids(*sessions, studio_zone=zone, filters={"past": 0, "future": 0})
    assert shown == expected


def test_a_corrected_zone_of_a_venue_counts_also_while_old_sessions_have_the_wrong_one() -> None:
    wrong = replace(AUCKLAND, zone="Europe/London")
    # The history holds it as it was published.
    before = at(9, wrong, "2026-11-01T10:00")
    assert ids(before, *IN_AUCKLAND, filters={"past": 0, "future": 0}) == [2, 3, 4]
    subject = select(snapshot(before, *IN_AUCKLAND), spec(Kind.VENUE, AUCKLAND.id)).subject
    assert subject.zone == "Pacific/Auckland"
    nothing_shown = spec(Kind.VENUE, AUCKLAND.id, filters={"past": 1, "future": 1})
    late = at(1, AUCKLAND, "2026-11-22T22:30")
    assert select(snapshot(before, late), nothing_shown).subject.zone == "Pacific/Auckland"


def test_a_venue_counts_once_for_the_zone_of_the_studio() -> None:
    spellings = [replace(LONDON, address=f"{number} Example St") for number in range(3)]
    wrong = replace(HONOLULU, zone="Europe/London")
    sessions = [
        *(at(n, venue, f"2026-11-0{n}T10:00") for n, venue in enumerate(spellings, 1)),
        *(at(4 + n, replace(AUCKLAND, id=n), f"2026-11-1{n}T10:00") for n in (1, 2)),
        at(8, wrong, "2026-11-08T10:00"),
        at(9, HONOLULU, "2026-11-20T10:00"),
    ]
    assert snapshot(*sessions).main_zone == "Pacific/Auckland"


def test_without_any_zone_days_are_those_of_utc() -> None:
    sessions = (at(1, NOWHERE, "2026-11-22T23:30"), at(2, None, "2026-11-23T00:30"))
    assert ids(*sessions, filters={"past": 0, "future": 0}) == [1]


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Etc/GMT+12", "America/New_York", "UTC"])
@pytest.mark.parametrize("hour", [0, 1, 5, 12, 13, 23])
@pytest.mark.parametrize(
    "day", [datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)]
)
def test_the_widest_window_contains_that_of_every_zone(zone: str, hour: int, day: datetime) -> None:
    filter_set = FilterSet(past=3, future=4)
    earliest, latest = filter_set.window(day + timedelta(hours=hour), ZoneInfo(zone))
    first, last = filter_set.widest_window(day.date())
    assert earliest is not None
    assert latest is not None
    assert first is not None
    assert last is not None
    assert first <= earliest
    assert latest <= last


@settings(max_examples=60)
@given(
    zone=st.sampled_from(sorted(available_timezones() - {"localtime", "Factory"})),
    at=st.datetimes(datetime(2026, 6, 1), datetime(2027, 6, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    shared=st.booleans(),
)
# The days on which the clocks change; in Cairo and Santiago they do so at midnight.
@example(zone="Europe/London", at=datetime(2026, 10, 25, 0, 30, tzinfo=UTC), shared=True)
@example(zone="Europe/London", at=datetime(2027, 3, 28, 22, 30, tzinfo=UTC), shared=False)
@example(zone="Africa/Cairo", at=datetime(2026, 4, 24, 12, tzinfo=UTC), shared=True)
@example(zone="Africa/Cairo", at=datetime(2026, 10, 29, 20, 30, tzinfo=UTC), shared=False)
@example(zone="America/Santiago", at=datetime(2026, 9, 6, 12, tzinfo=UTC), shared=True)
@example(zone="America/Santiago", at=datetime(2027, 4, 4, 2, tzinfo=UTC), shared=False)
@example(zone="Australia/Lord_Howe", at=datetime(2026, 10, 4, 3, tzinfo=UTC), shared=True)
def test_today_is_exactly_the_local_day_in_every_zone(
    zone: str, at: datetime, *, shared: bool
) -> None:
    venue = Venue(51, "Here", zone=zone)
    quarter, first = timedelta(minutes=15), at.replace(minute=0, second=0, microsecond=0)
    sessions = [
        session(number, start=(start := first + (number - 128) * quarter), end=start + quarter,
                venue=venue)
        for number in range(256)
    ]  # fmt: skip
    elsewhere = [] if shared else [session(999, start=at + timedelta(days=30), venue=NOWHERE)]
    today = at.astimezone(ZoneInfo(zone)).date()

    def local_day(instant: datetime) -> date:
        return instant.astimezone(ZoneInfo(zone)).date()

    expected = [
        each.id for each in sessions if local_day(each.start) <= today <= local_day(each.ends)
    ]
    shown = ids(*sessions, *elsewhere, walked=at, studio_zone=None if shared else zone,
                filters={"past": 0, "future": 0})  # fmt: skip
    assert shown == expected


WEEK = tuple(at(n, LONDON, f"2026-11-{22 + n}T{6 + n:02}:30") for n in range(1, 8))


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"weekdays": {Weekday.MON}}, [1]),
        ({"weekdays": {Weekday.SUN, Weekday.SAT}}, [6, 7]),
        ({"weekdays": set(Weekday)}, [1, 2, 3, 4, 5, 6, 7]),
        ({"time_from": time(10, 30)}, [4, 5, 6, 7]),
        ({"time_until": time(10, 30)}, [1, 2, 3]),
        ({"time_from": time(8, 30), "time_until": time(9, 31)}, [2, 3]),
        ({"weekdays": {Weekday.TUE, Weekday.WED}, "time_from": time(9)}, [3]),
    ],
)
def test_weekdays_and_times_of_day_select(filters: dict[str, Any], expected: list[int]) -> None:
    assert ids(*WEEK, filters=filters) == expected


def test_a_range_past_midnight_has_both_sides_of_it() -> None:
    sessions = (
        at(1, LONDON, "2026-11-23T21:59"),
        at(2, LONDON, "2026-11-23T22:00"),
        at(3, LONDON, "2026-11-24T01:59"),
        at(4, LONDON, "2026-11-24T02:00"),
    )
    night = {"time_from": time(22), "time_until": time(2)}
    assert ids(*sessions, filters=night) == [2, 3]
    # The weekday is that of the start.
    assert ids(*sessions, filters={**night, "weekdays": {Weekday.TUE}}) == [3]


def test_until_midnight_is_until_the_end_of_the_day() -> None:
    assert parse(time_until="00:00") == parse(time_from="00:00", time_until="00:00") == parse()
    late = parse(time_from="10:30", time_until="00:00")
    assert ids(*WEEK, filters={"time_from": late.time_from, "time_until": late.time_until}) == [
        4, 5, 6, 7,
    ]  # fmt: skip


def test_they_are_those_of_each_sessions_own_venue() -> None:
    # One and the same instant.
    sessions = (
        at(1, AUCKLAND, "2026-11-23T08:00"),
        session(2, start=MORNING, venue=LONDON),
    )
    assert ids(*sessions, filters={"weekdays": {Weekday.MON}}) == [1]
    assert ids(*sessions, filters={"weekdays": {Weekday.SUN}}) == [2]
    assert ids(*sessions, filters={"time_from": time(8), "time_until": time(9)}) == [1]


def test_without_a_venue_the_sessions_own_offset_counts() -> None:
    one = session(1, start=MORNING, venue=None, utc_offset=13 * 60)
    assert ids(one, filters={"weekdays": {Weekday.MON}, "time_until": time(8, 1)}) == [1]
    assert ids(session(1, start=MORNING, venue=None), filters={"weekdays": {Weekday.MON}}) == []


def test_a_day_whose_last_hour_comes_twice_ends_with_the_second() -> None:
    # On 24 October 2026 at midnight the clocks of Scoresbysund go back to 23:00.
    venue = Venue(61, "Ittoqqortoormiit", zone="America/Scoresbysund")
    midnight = datetime(2026, 10, 25, 1, tzinfo=UTC)
    half = timedelta(minutes=30)
    sessions = [
        session(number, start=midnight + (number - 2) * half, venue=venue) for number in range(5)
    ]
    until = parse(local_starts_at_lte="2026-10-24").local_starts_at_lte
    assert ids(*sessions, filters={"local_starts_at_lte": until}) == [0, 1, 2, 3]
    since = parse(local_starts_at_gte="2026-10-24T23:00").local_starts_at_gte
    assert ids(*sessions, filters={"local_starts_at_gte": since}) == [0, 1, 2, 3, 4]


def parse(**values: str) -> FilterSet:
    return parse_filters({name: [text] for name, text in values.items()}, past=None, future=None)


def test_every_spelling_is_one_key_in_the_order_of_the_week() -> None:
    filters = parse(weekdays="sat,mon,sat", time_from="08:05", time_until="12:00")
    assert filters == parse(weekdays="mon,sat", time_from="08:05", time_until="12:00")
    assert filters.weekdays == (Weekday.MON, Weekday.SAT)
    assert filters_of_key(filters.key) == filters
    assert parse(weekdays="mon,tue,wed,thu,fri,sat,sun") == parse()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *[("weekdays", text) for text in ("monday", "1", "", "mon,,tue")],
        *[("time_from", text) for text in ("8:00", "24:00", "08:60", "08:00:00", "8am", "")],
    ],
)
def test_other_values_are_refused_and_named(name: str, text: str) -> None:
    with pytest.raises(ParameterError, match=name):
        parse(**{name: text})


def test_a_range_without_length_is_refused() -> None:
    with pytest.raises(ParameterError, match="time_until"):
        parse(time_from="08:00", time_until="08:00")


@pytest.mark.parametrize(
    ("filters", "lang", "name"),
    [
        ({}, "en", "Kings Cross"),
        (
            {"weekdays": {Weekday.SAT}, "time_until": time(12)},
            "en",
            "Kings Cross, Saturday before 12:00",
        ),
        (
            {"weekdays": {Weekday.SAT}, "time_until": time(12)},
            "de",
            "Kings Cross, Samstag vor 12:00",
        ),
        ({"weekdays": {Weekday.SUN, Weekday.SAT}}, "fr", "Kings Cross, samedi, dimanche"),
        ({"weekdays": {*Weekday} - {Weekday.SUN}}, "es", "Kings Cross, lunes–sábado"),
        ({"time_from": time(17, 30)}, "en", "Kings Cross, from 17:30"),
        ({"time_from": time(22), "time_until": time(2)}, "it", "Kings Cross, 22:00–02:00"),
    ],
)
def test_the_name_of_a_calendar_says_on_which_days_and_at_which_times(
    filters: dict[str, Any], lang: str, name: str
) -> None:
    language = languages.translated(lang)
    assert language is not None
    feed = spec(Kind.VENUE, LONDON.id, language=language, filters=filters)
    assert read(calendar(*WEEK, feed=feed)).text("NAME") == name
    text = FORMATS["txt"].render(content(snapshot(*WEEK), feed)).decode()
    assert text.splitlines()[0] == name


def test_the_label_of_a_private_feed_is_its_name() -> None:
    audience = replace(spec().audience, private="x", label="For the team")
    feed = spec(filters={"weekdays": {Weekday.MON}}, audience=audience)
    assert read(calendar(*WEEK, feed=feed)).text("NAME") == "For the team"
