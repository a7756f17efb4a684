"""Timetables: days, sessions and their order."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest

from bridge.feeds.session_view import SessionView
from bridge.model import ClassSession, Status, Venue
from bridge.web.pages import timetable

#: A Monday.
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LONDON = "Europe/London"


def view(start, minutes=60, zone="Europe/London", title="Flow"):
    begin = datetime.fromisoformat(start).replace(tzinfo=UTC)
    session = ClassSession(
        source="s",
        id=int(begin.timestamp()),
        title=title,
        start=begin,
        end=begin + timedelta(minutes=minutes) if minutes else None,
        venue=Venue(1, "Riverside", zone=zone),
    )
    return SessionView(
        uid=f"{title}{start}",
        session=session,
        availability=None,
        booked=None,
        waitlist=False,
        created=begin,
        modified=begin,
        sequence=1,
        cancelled=False,
        status=Status.ACTIVE,
        moved_from=None,
        covering=frozenset(),
        instead_of=(),
    )


def starts(table):
    return [entry.start.strftime("%m-%d %H:%M") for entry in table.entries]


def days(table):
    return [day.date.day for day in table.days if day.entries]


class TestAgenda:
    def test_it_contains_seven_days_without_past_sessions(self):
        several = [view(f"2026-11-{day}T10:00") for day in range(22, 31)]
        table = timetable.agenda(several, LONDON, NOW, None)
        assert starts(table) == [f"11-{day} 10:00" for day in range(24, 30)]
        assert (table.first, table.last) == (date(2026, 11, 23), date(2026, 11, 29))
        assert table.later == date(2026, 11, 30)
        assert table.earlier is None

    def test_it_contains_current_sessions(self):
        table = timetable.agenda([view("2026-11-22T23:30", 13 * 60)], LONDON, NOW, None)
        assert starts(table) == ["11-22 23:30"]
        night = datetime(2026, 11, 23, 1, tzinfo=UTC)
        assert days(timetable.agenda([view("2026-11-22T22:00", 300)], LONDON, night, None)) == [22]

    def test_a_class_of_several_days_is_listed_on_each_of_them(self):
        retreat = view("2026-11-27T18:00", 42 * 60)  # until Sunday, 12:00
        assert days(timetable.agenda([retreat], LONDON, NOW, None)) == [27, 28, 29]
        saturday = date(2026, 11, 28)
        table = timetable.agenda([retreat, view("2026-11-28T09:00")], LONDON, NOW, saturday)
        assert starts(table) == ["11-27 18:00", "11-28 09:00", "11-27 18:00"]
        assert [entry.continues for entry in table.entries] == [True, False, True]
        until_monday = timetable.agenda([view("2026-11-27T18:00", 96 * 60)], LONDON, NOW, None)
        assert until_monday.later == date(2026, 11, 30)
        later = timetable.agenda([retreat], LONDON, NOW + timedelta(days=5), None)
        assert days(later) == [28, 29]

    @pytest.mark.parametrize(
        ("start", "hours", "expected"),
        [
            ("2026-11-27T22:00", 7, [27]),  # a night
            ("2026-11-27T22:00", 8, [27, 28]),
            ("2026-11-27T09:00", 24, [27, 28]),
            ("2026-11-27T02:00", 25, [27, 28]),
            ("2026-11-27T00:00", 24, [27]),
            ("2026-11-27T18:00", 30, [27, 28]),  # until midnight
        ],
    )
    def test_a_night_belongs_to_its_first_day(self, start, hours, expected):
        table = timetable.agenda([view(start, hours * 60)], LONDON, NOW, None)
        assert days(table) == expected

    def test_its_days_are_in_the_venues_zone(self):
        auckland = "Pacific/Auckland"
        table = timetable.agenda([view("2026-11-23T19:00", zone=auckland)], auckland, NOW, None)
        assert table.today == date(2026, 11, 24)
        assert starts(table) == ["11-24 08:00"]

    def test_without_a_venue_the_day_is_that_at_the_sessions_own_offset(self):
        late = view("2026-11-24T22:30")
        late = replace(late, session=replace(late.session, venue=None, utc_offset=120))
        table = timetable.agenda([late], "Europe/Berlin", NOW, None)
        assert [day.date for day in table.days] == [date(2026, 11, 25)]
        assert (starts(table), table.entries[0].zone) == (["11-25 00:30"], "UTC+2")

    def test_empty_days_are_skipped_only_at_the_beginning(self):
        table = timetable.agenda([view("2027-01-04T10:00")], LONDON, NOW, None)
        assert table.coming == table.first == date(2027, 1, 4)
        assert table.earlier is None

    @pytest.mark.parametrize(
        ("first", "earlier"),
        [("2026-11-30", "2026-11-23"), ("2026-11-25", "2026-11-23"), ("2026-12-07", "2026-11-30")],
    )
    def test_the_previous_page_begins_today_at_the_earliest(self, first, earlier):
        table = timetable.agenda([view(f"{first}T10:00")], LONDON, NOW, date.fromisoformat(first))
        assert table.earlier == date.fromisoformat(earlier)

    def test_it_begins_in_the_past_only_if_asked_to(self):
        several = [view(f"2026-11-{day:02}T10:00") for day in (9, 20, 23, 24)]
        assert starts(timetable.agenda(several, LONDON, NOW, None)) == ["11-24 10:00"]
        table = timetable.agenda(several, LONDON, NOW, date(2026, 11, 18))
        assert (table.first, table.last) == (date(2026, 11, 18), date(2026, 11, 24))
        assert starts(table) == ["11-20 10:00", "11-23 10:00", "11-24 10:00"]
        assert (table.earlier, table.later) == (date(2026, 11, 11), None)

    def test_a_long_list_ends_after_a_complete_day(self):
        several = [
            view(f"2026-11-{day}T{hour:02}:{minute:02}")
            for day in (24, 25, 26)
            for hour in range(24)
            for minute in (0, 30)
        ]
        table = timetable.agenda(several, LONDON, NOW, None)
        assert [day.date.day for day in table.days] == [24]
        assert table.days[0].overflow == 0
        assert table.later == date(2026, 11, 25)

    def test_a_day_that_is_too_long_counts_the_sessions_left_out(self):
        several = [view("2026-11-24T10:00", title=f"Flow {number}") for number in range(99)]
        [day] = timetable.agenda(several, LONDON, NOW, None).days
        assert len(day.entries) + day.overflow == 99
        assert day.overflow == 39
        assert day.rest_from is None, "the list from that time on would be the same"
        several.append(view("2026-11-24T09:59"))
        [day] = timetable.agenda(several, LONDON, NOW, None).days
        assert (day.overflow, day.rest_from) == (40, time(10))

    def test_classes_in_several_zones_are_sorted_by_local_time(self):
        table = timetable.agenda(
            [
                view("2026-11-24T20:00", zone="Australia/Sydney"),
                view("2026-11-25T06:00"),
                view("2026-11-25T23:00", zone="America/New_York"),
            ],
            LONDON,
            NOW,
            None,
        )
        assert starts(table) == ["11-25 06:00", "11-25 07:00", "11-25 18:00"]
        # Only those that are not in the zone of the timetable state their own.
        assert [entry.zone for entry in table.entries] == [
            None, "Australia/Sydney", "America/New_York",
        ]  # fmt: skip
        assert not table.in_one_zone

    def test_it_is_valid_from_the_end_of_one_class_to_that_of_the_next(self):
        table = timetable.agenda(
            [view("2026-11-23T10:00"), view("2026-11-23T12:30")], LONDON, NOW, None
        )
        assert table.since == datetime(2026, 11, 23, 11, tzinfo=UTC)
        assert table.until == datetime(2026, 11, 23, 13, 30, tzinfo=UTC)

    def test_it_is_valid_until_local_midnight(self):
        table = timetable.agenda([], "America/New_York", NOW, None)
        assert table.since == datetime(2026, 11, 23, 5, tzinfo=UTC)
        assert table.until == datetime(2026, 11, 24, 5, tzinfo=UTC)


class TestWeek:
    @pytest.mark.parametrize(("weekday", "first"), [(0, 23), (6, 22), (5, 21)])
    def test_it_begins_on_the_first_day_of_the_week(self, weekday, first):
        table = timetable.week([], LONDON, NOW, None, first_weekday=weekday)
        assert [day.date.day for day in table.days] == list(range(first, first + 7))

    def test_it_contains_past_sessions(self):
        table = timetable.week([view("2026-11-23T07:00")], LONDON, NOW, None, first_weekday=0)
        assert starts(table) == ["11-23 07:00"]

    def test_a_class_without_an_end_is_listed_at_its_start(self):
        table = timetable.week([view("2026-11-24T07:00", 0)], LONDON, NOW, None, first_weekday=0)
        assert table.entries[0].end is None

    def test_a_day_has_morning_afternoon_and_evening(self):
        several = [view(f"2026-11-23T{hour}:00") for hour in ("07", "12", "16", "17", "23")]
        [monday, *_] = timetable.week(several, LONDON, NOW, None, first_weekday=0).days
        assert [[entry.start.hour for entry in part] for part in monday.parts] == [
            [7], [12, 16], [17, 23],
        ]  # fmt: skip

    def test_a_class_of_several_days_is_listed_on_each_of_them(self):
        several = [view("2026-11-27T18:00", 96 * 60)]  # until Tuesday
        first = timetable.week(several, LONDON, NOW, None, first_weekday=0)
        assert (days(first), first.later) == ([27, 28, 29], date(2026, 11, 30))
        second = timetable.week(several, LONDON, NOW, first.later, first_weekday=0)
        assert (days(second), second.earlier) == ([30, 1], date(2026, 11, 23))
        assert second.days[0].parts[0] == second.days[0].entries

    def test_links_lead_only_to_weeks_with_sessions(self):
        several = [view("2026-11-10T07:00"), view("2026-12-10T07:00")]
        table = timetable.week(several, LONDON, NOW, NOW.date(), first_weekday=0)
        assert (table.earlier, table.later) == (date(2026, 11, 16), date(2026, 11, 30))
        last = timetable.week(several, LONDON, NOW, date(2026, 12, 9), first_weekday=0)
        assert last.later is None

    def test_the_coming_week_is_shown_once_the_current_one_has_nothing_more(self):
        several = [view("2026-11-23T11:00"), view("2026-12-02T07:00")]
        before = timetable.week(several, LONDON, NOW - timedelta(minutes=1), None, first_weekday=0)
        assert (before.first, before.coming) == (date(2026, 11, 23), None)
        after = timetable.week(several, LONDON, NOW, None, first_weekday=0)
        assert (after.first, after.coming) == (date(2026, 11, 30), date(2026, 12, 2))
        assert after.earlier == date(2026, 11, 23)
        chosen = timetable.week(several, LONDON, NOW, after.earlier, first_weekday=0)
        assert (chosen.first, chosen.coming) == (date(2026, 11, 23), None)

    def test_without_coming_classes_it_is_the_current_week(self):
        table = timetable.week([view("2026-11-10T07:00")], LONDON, NOW, None, first_weekday=0)
        assert (table.first, table.coming) == (date(2026, 11, 23), None)


class TestMonth:
    def test_its_rows_are_calendar_weeks(self):
        table = timetable.month([], LONDON, NOW, None)
        for weekday, before, rows in ((0, 6, 6), (6, 0, 5)):
            weeks = table.weeks(weekday)
            assert len(weeks) == rows
            assert all(len(week) == 7 for week in weeks)
            cells = [day for week in weeks for day in week]
            assert cells[:before] == [None] * before
            assert [day.date.day for day in cells if day] == list(range(1, 31))

    def test_it_contains_all_days_of_the_month_of_any_day(self):
        several = [view("2026-10-31T10:00"), view("2026-11-01T10:00"), view("2026-12-31T10:00")]
        table = timetable.month(several, LONDON, NOW, date(2026, 12, 9))
        assert (table.first, table.last) == (date(2026, 12, 1), date(2026, 12, 31))
        assert starts(table) == ["12-31 10:00"]
        assert (table.earlier, table.later) == (date(2026, 11, 1), None)

    def test_the_coming_month_is_shown_once_the_current_one_has_nothing_more(self):
        table = timetable.month([view("2027-01-04T10:00")], LONDON, NOW, None)
        assert (table.first, table.coming) == (date(2027, 1, 1), date(2027, 1, 4))

    def test_a_full_day_counts_the_classes_left_out(self):
        several = [view("2026-11-24T10:00", title=f"Flow {number}") for number in range(99)]
        [day] = [day for day in timetable.month(several, LONDON, NOW, None).days if day.count]
        assert (len(day.entries), day.count) == (6, 99)
