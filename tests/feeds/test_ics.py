"""The feed profile, line by line and rule by rule."""

import itertools
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from ical_lines import Component, content_lines, read
from icalendar import Calendar, Event
from icalendar.parser import Contentline
from samples import (
    HALL,
    SEEN,
    START,
    YOGA,
    calendar,
    chosen,
    content,
    published,
    session,
    snapshot,
    spec,
)
from upstreams.rows import CANARIES, awkward_rows

from bridge.config import Availability
from bridge.feeds.formats.base import Content
from bridge.feeds.formats.ics import fitting, render
from bridge.feeds.formats.ics.calendars import frame
from bridge.feeds.formats.ics.events import properties
from bridge.feeds.formats.ics.lines import folded
from bridge.feeds.selection import Subject
from bridge.feeds.spec import Cancelled, Kind, TimeStyle
from bridge.model import Course, Instructor, OfferingType, Status, Venue, Visibility
from bridge.upstream.parser import parse
from bridge.upstream.sources import COURSE_SESSIONS

GOLDEN = Path(__file__).parent / "testdata" / "timetable.ics"
SITE = "https://calendar.example.org"
CANCELLED = session(2, status=Status.CANCELLED)
BARE = session(
    3,
    start=START + timedelta(days=1),
    end=None,
    title="Open Gym",
    venue=None,
    instructors=(),
    course=None,
    offering_type=OfferingType(id=None, visibility=Visibility.PUBLIC),
    booking_url=None,
)


def event(*sessions: Any, **options: Any) -> Component:
    """The only event of a feed of *sessions*."""
    [one] = read(calendar(*sessions, **options)).all("VEVENT")
    return one


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


class TestTheWholeBody:
    def test_it_is_the_golden_file_byte_for_byte(self) -> None:
        long = session(
            4,
            start=START - timedelta(days=1),
            title="Slow, warm; easy \\ gentle – 田中 美咲と朝のヨガ 🧘🏽‍♀️ for all who like it long",
            instructors=(Instructor(101, "Zoë"), Instructor(102, "Siobhán Ní Riain")),
            course=Course(202, "Mornings"),
            offering_type=replace(YOGA, category="", description="Two\nlines; of text, here"),
        )
        body = calendar(session(), CANCELLED, BARE, long, base_url=SITE)
        assert body == GOLDEN.read_bytes()

    def test_every_line_ends_in_crlf_and_no_break_stands_alone(self) -> None:
        body = calendar(session(), CANCELLED, BARE)
        assert body.endswith(b"END:VCALENDAR\r\n")
        assert body.count(b"\r") == body.count(b"\n") == body.count(b"\r\n")

    def test_there_is_no_byte_order_mark(self) -> None:
        assert calendar(session()).startswith(b"BEGIN:VCALENDAR\r\n")

    @pytest.mark.parametrize("character", ["a", "é", "田", "🧘", "e\u0301", "👨‍👩‍👧‍👦", ",", "\\"])
    @pytest.mark.parametrize("shift", range(4))
    def test_lines_are_folded_at_75_octets_between_code_points(
        self, character: str, shift: int
    ) -> None:
        description = "x" * shift + character * 150
        body = calendar(session(offering_type=replace(YOGA, description=description)))
        physical = body.split(b"\r\n")
        assert max(map(len, physical)) <= 75
        for line in physical:
            line.decode()  # strict: a half character raises
        folded = [line for line, after in itertools.pairwise(physical) if after[:1] == b" "]
        assert folded
        # about as full as a line can be
        assert min(map(len, folded)) >= 70
        assert (
            event(session(offering_type=replace(YOGA, description=description)))
            .text("DESCRIPTION")
            .endswith(description)
        )

    @hypothesis_settings(max_examples=500, deadline=None)
    @given(st.text(st.sampled_from("abé田🧘\\^"), max_size=300), st.integers(0, 80))
    def test_lines_are_folded_where_icalendar_folds_them(self, text: str, before: int) -> None:
        content = "N:" + "x" * before + text
        assert folded(content.encode()) == Contentline(content).to_ical()

    def test_the_same_sessions_make_the_same_bytes_in_whatever_order_they_come(self) -> None:
        assert calendar(session(), CANCELLED, BARE) == calendar(BARE, CANCELLED, session())

    def test_events_are_sorted_by_start_and_then_uid(self) -> None:
        sessions = [session(n, start=START + timedelta(hours=n % 3)) for n in range(1, 40)]
        events = read(calendar(*sessions)).all("VEVENT")
        keys = [(one.value("DTSTART"), one.value("UID")) for one in events]
        assert keys == sorted(keys)
        assert len(set(keys)) == 39

    def test_an_empty_feed_holds_one_timezone_and_no_event(self) -> None:
        empty = read(calendar())
        assert [part.kind for part in empty.parts] == ["VTIMEZONE"]
        [zone] = empty.parts
        assert zone.names() == ["TZID"]
        [standard] = zone.parts
        assert standard.kind == "STANDARD"
        assert {"DTSTART", "TZOFFSETFROM", "TZOFFSETTO"} <= set(standard.names())

    def test_a_feed_with_events_has_nothing_but_events(self) -> None:
        assert {part.kind for part in read(calendar(session(), BARE)).parts} == {"VEVENT"}


class TestTheCalendar:
    def test_its_properties_are_those_of_the_profile_in_its_order(self) -> None:
        feed = calendar(session(), kind=Kind.VENUE, identity=11, base_url=SITE)
        assert read(feed).names() == [
            "VERSION", "PRODID", "CALSCALE", "NAME", "X-WR-CALNAME", "DESCRIPTION", "X-WR-CALDESC",
            "X-WR-TIMEZONE", "URL", "SOURCE", "REFRESH-INTERVAL", "X-PUBLISHED-TTL", "COLOR",
            "X-APPLE-CALENDAR-COLOR",
        ]  # fmt: skip

    @pytest.mark.parametrize("sessions", [(), (session(),)], ids=["empty", "one session"])
    def test_it_names_version_product_and_scale(self, sessions: Any) -> None:
        feed = read(calendar(*sessions))
        assert feed.value("VERSION") == "2.0"
        assert feed.value("CALSCALE") == "GREGORIAN"
        assert feed.value("PRODID") == read(calendar(BARE)).value("PRODID") != ""

    def test_name_and_description_are_one_line_and_repeated_for_older_clients(self) -> None:
        venue = replace(HALL, name="Café, Bar; & Gym \\ Loft")
        feed = read(calendar(session(venue=venue), kind=Kind.VENUE, identity=11))
        assert feed.text("NAME") == feed.text("X-WR-CALNAME") == "Café, Bar; & Gym \\ Loft"
        assert feed.text("DESCRIPTION") == feed.text("X-WR-CALDESC") != ""
        assert "\n" not in feed.text("DESCRIPTION")

    def test_it_has_the_zone_that_all_sessions_share(self) -> None:
        feed = read(calendar(session(1), session(2, start=START + timedelta(days=1))))
        assert feed.value("X-WR-TIMEZONE") == "Europe/London"

    def test_it_has_no_zone_where_sessions_are_in_several(self) -> None:
        abroad = replace(HALL, id=12, zone="America/New_York")
        assert "X-WR-TIMEZONE" not in read(calendar(session(1), session(2, venue=abroad))).names()

    def test_it_has_no_zone_where_one_session_has_none(self) -> None:
        assert "X-WR-TIMEZONE" not in read(calendar(session(), BARE)).names()

    def test_a_venues_empty_feed_keeps_name_and_zone(self) -> None:
        feed = spec(Kind.VENUE, 11, filters={"starts_at_gte": START + timedelta(days=9)})
        empty = read(calendar(session(), feed=feed))
        assert not empty.all("VEVENT")
        assert empty.text("NAME") == "Kings Cross"
        assert empty.value("X-WR-TIMEZONE") == "Europe/London"

    def test_it_is_refreshed_hourly_and_says_that_this_is_a_duration(self) -> None:
        feed = read(calendar(session()))
        assert feed.line("REFRESH-INTERVAL").params == "VALUE=DURATION"
        assert feed.value("REFRESH-INTERVAL") == feed.value("X-PUBLISHED-TTL") == "PT1H"

    def test_its_colour_is_a_css_name_and_the_same_in_apples_form(self) -> None:
        colours = {
            (one.value("COLOR"), one.value("X-APPLE-CALENDAR-COLOR"))
            for one in (read(calendar(kind=Kind.VENUE, identity=n)) for n in range(40))
        }
        assert len(colours) > 1
        for name, value in colours:
            assert re.fullmatch(r"[a-z]+", name)
            assert re.fullmatch(r"#[0-9a-f]{6}", value)
        assert len({name for name, _ in colours}) == len({value for _, value in colours})

    def test_it_has_an_address_only_with_a_public_base_url(self) -> None:
        names = read(calendar(session())).names()
        assert not {"URL", "SOURCE"} & set(names)
        assert b"calendar.example.org" not in calendar(session())

    def test_url_is_the_page_and_source_the_feed(self) -> None:
        feed = read(calendar(session(), kind=Kind.VENUE, identity=11, base_url=SITE))
        assert feed.value("URL") == f"{SITE}/venues/11"
        assert feed.line("SOURCE").params == "VALUE=URI"
        assert feed.value("SOURCE") == f"{SITE}/venues/11.ics"

    def test_an_address_with_a_query_ends_in_ics_and_has_no_comma_or_semicolon(self) -> None:
        feed = spec(filters={"venues": (11, 12)}, query="venues=11%2C12")
        source = read(calendar(session(), feed=feed, base_url=SITE)).value("SOURCE")
        assert source == f"{SITE}/sessions.ics?venues=11%2C12&_=.ics"

    def test_nothing_in_it_tells_when_it_was_made(self) -> None:
        before = read(calendar(session())).lines
        later = read(calendar(published(session(), seen=SEEN + timedelta(days=3)))).lines
        assert before == later


class TestAnEvent:
    def test_it_is_the_one_of_the_profile(self) -> None:
        plain = session(offering_type=replace(YOGA, description=""))
        lines = content_lines(calendar(plain))
        begin, end = lines.index("BEGIN:VEVENT"), lines.index("END:VEVENT")
        uid = event(plain).value("UID")
        apple = 'VALUE=URI;X-APPLE-RADIUS=100;X-TITLE="Kings Cross"'
        assert lines[begin : end + 1] == [
            "BEGIN:VEVENT",
            f"UID:{uid}",
            "DTSTAMP:20260417T183000Z",
            "CREATED:20260417T183000Z",
            "LAST-MODIFIED:20260417T183000Z",
            "SEQUENCE:153750",
            "DTSTART:20261020T173000Z",
            "DTEND:20261020T183000Z",
            "SUMMARY:Vinyasa Flow – Zoë",
            "STATUS:CONFIRMED",
            "TRANSP:TRANSPARENT",
            "X-MICROSOFT-CDO-BUSYSTATUS:FREE",
            "LOCATION:Kings Cross\\, 1 Example St\\, London",
            "GEO:51.530800;-0.123800",
            f"X-APPLE-STRUCTURED-LOCATION;{apple}:geo:51.530800,-0.123800",
            "DESCRIPTION:Instructor: Zoë\\nBook: https://studio.example/p/1/c/1",
            "URL:https://studio.example/p/1/c/1",
            "CATEGORIES:Yoga",
            "END:VEVENT",
        ]

    def test_what_is_not_known_is_left_out(self) -> None:
        assert event(BARE).names() == [
            "UID", "DTSTAMP", "CREATED", "LAST-MODIFIED", "SEQUENCE", "DTSTART", "SUMMARY",
            "STATUS", "TRANSP", "X-MICROSOFT-CDO-BUSYSTATUS",
        ]  # fmt: skip

    @pytest.mark.parametrize(
        "changed",
        [
            {"title": "Other"},
            {"start": START + timedelta(days=1)},
            {"venue": None},
            {"instructors": ()},
            {"status": Status.CANCELLED},
            {"capacity": None},
        ],
        ids=lambda changed: next(iter(changed)),
    )
    def test_its_uid_stays_whatever_changes_about_the_session(self, changed: Any) -> None:
        assert event(session(**changed)).value("UID") == event(session()).value("UID")

    def test_its_uid_is_the_same_in_every_feed_and_with_every_setting(self) -> None:
        feeds = [
            spec(),
            spec(Kind.VENUE, 11),
            spec(Kind.INSTRUCTOR, 101),
            spec(Kind.COURSE, 201),
            spec(cancelled=Cancelled.KEEP, availability=Availability.SPOTS),
        ]
        uids = {event(session(), feed=feed).value("UID") for feed in feeds}
        uids.add(event(session(), base_url=SITE).value("UID"))
        assert len(uids) == 1

    def test_its_uid_never_changes_between_versions_of_the_program(self) -> None:
        # Another one would double every event in every calendar there is.
        assert event(session(7)).value("UID") == "e9289c6e-97a4-5e41-b39c-8e43edd540bc"

    def test_its_uid_tells_ids_and_kinds_of_row_apart(self) -> None:
        several = [session(1), session(2), session(1, source="event")]
        uids = {event(one).value("UID") for one in several}
        assert len(uids) == 3

    def test_its_stamp_is_when_its_content_last_changed(self) -> None:
        first = published(session())
        later = published(session(title="Slow Flow"), seen=SEEN + timedelta(hours=5), before=first)
        for one in (event(first), event(later)):
            assert one.value("DTSTAMP") == one.value("LAST-MODIFIED")
        assert event(later).value("LAST-MODIFIED") == "20260417T233000Z"
        assert event(later).value("CREATED") == "20260417T183000Z"
        assert event(later).value("SEQUENCE") == event(first).value("SEQUENCE")

    def test_a_walk_without_changes_changes_nothing(self) -> None:
        first = published(session())
        again = published(session(), seen=SEEN + timedelta(hours=5), before=first)
        assert calendar(again) == calendar(first)

    @pytest.mark.parametrize(
        "changed",
        [
            {"start": START + timedelta(minutes=15)},
            {"end": START + timedelta(minutes=90)},
            {"venue": replace(HALL, id=12, name="Loft")},
            {"status": Status.CANCELLED},
        ],
        ids=lambda changed: next(iter(changed)),
    )
    def test_its_sequence_moves_with_time_place_and_status(self, changed: Any) -> None:
        first = published(session())
        later = published(session(**changed), seen=SEEN + timedelta(minutes=10), before=first)
        assert event(later).value("SEQUENCE") == "153760"
        at_once = published(session(**changed), before=first)
        assert event(at_once).value("SEQUENCE") == "153751"
        assert event(at_once).value("LAST-MODIFIED") > event(first).value("LAST-MODIFIED")

    def test_its_times_are_in_utc(self) -> None:
        one = event(session())
        for name in ("DTSTAMP", "CREATED", "LAST-MODIFIED", "DTSTART", "DTEND"):
            assert re.fullmatch(r"\d{8}T\d{6}Z", one.value(name))
            assert one.line(name).params == ""

    def test_it_makes_nobody_look_busy(self) -> None:
        one = event(session())
        assert one.value("TRANSP") == "TRANSPARENT"
        assert one.value("X-MICROSOFT-CDO-BUSYSTATUS") == "FREE"

    def test_several_instructors_are_in_title_and_description_and_are_no_attendees(self) -> None:
        people = (Instructor(1, "Zoë"), Instructor(2, ""), Instructor(3, "Bob; Jr."))
        one = event(session(instructors=people))
        assert one.text("SUMMARY") == "Vinyasa Flow – Zoë, Bob; Jr."
        assert one.text("DESCRIPTION").startswith("Instructors: Zoë, Bob; Jr.\n")

    def test_its_description_has_the_facts_first(self) -> None:
        one = event(session(course=Course(1, "Mornings")))
        assert one.text("DESCRIPTION").split("\n") == [
            "Instructor: Zoë",
            "Course: Mornings",
            "Book: https://studio.example/p/1/c/1",
            "",
            "Bring a mat",
        ]

    def test_geo_has_a_semicolon_and_apples_form_a_comma(self) -> None:
        south = replace(HALL, name="Loft; A, B", latitude=-33.5, longitude=151.20930049)
        one = event(session(venue=south))
        assert one.value("GEO") == "-33.500000;151.209300"
        apple = one.line("X-APPLE-STRUCTURED-LOCATION")
        assert apple.value == "geo:-33.500000,151.209300"
        assert apple.params == 'VALUE=URI;X-APPLE-RADIUS=100;X-TITLE="Loft; A, B"'

    @pytest.mark.parametrize("name", ['The "Barn"', "Semi;colon: comma,", "Caret ^n", "’"])
    def test_no_name_of_a_venue_breaks_out_of_apples_parameter(self, name: str) -> None:
        apple = event(session(venue=replace(HALL, name=name))).line("X-APPLE-STRUCTURED-LOCATION")
        assert apple.value == "geo:51.530800,-0.123800"
        assert apple.params.count('"') in (0, 2)

    @pytest.mark.parametrize(
        "venue",
        [
            replace(HALL, latitude=None, longitude=None),
            replace(HALL, online=True),
            Venue(id=5),
        ],
        ids=["not placed", "online", "known by its id alone"],
    )
    def test_it_has_no_position_where_there_is_none(self, venue: Venue) -> None:
        assert not {"GEO", "X-APPLE-STRUCTURED-LOCATION"} & set(event(session(venue=venue)).names())

    @pytest.mark.parametrize(
        ("kind", "category"),
        [
            (replace(YOGA, category="Mind, body; soul"), "Mind, body; soul"),
            (replace(YOGA, category=""), "Vinyasa"),
        ],
        ids=["category", "offering type"],
    )
    def test_its_category_is_the_class_category_or_the_offering_type(
        self, kind: OfferingType, category: str
    ) -> None:
        assert event(session(offering_type=kind)).text("CATEGORIES") == category


class TestTexts:
    @pytest.mark.parametrize(
        "text",
        ["back\\slash", "semi;colon", "com,ma", "\\,;\\", "C:\\new", "A\\Nb", "tab\there", "50 %"],
    )
    def test_text_is_escaped_so_that_it_reads_as_it_was_written(self, text: str) -> None:
        one = event(
            session(
                title=text,
                instructors=(),
                venue=replace(HALL, name="", address=text),
                offering_type=replace(YOGA, category=text, description=f"{text}\n{text}"),
            )
        )
        assert one.text("SUMMARY") == one.text("LOCATION") == one.text("CATEGORIES") == text
        assert one.text("DESCRIPTION").endswith(f"\n{text}\n{text}")

    def test_a_newline_is_an_escape_and_no_line(self) -> None:
        body = calendar(session(offering_type=replace(YOGA, description="one\ntwo")))
        assert any(line.endswith("one\\ntwo") for line in content_lines(body))

    @pytest.mark.parametrize("character", ["x", "é", "🧘", "👨‍👩‍👧‍👦"])
    def test_title_and_place_have_at_most_255_utf16_units_in_one_line(self, character: str) -> None:
        long = character * 400
        one = event(session(title=long, venue=replace(HALL, name=long, address=long)))
        for name in ("SUMMARY", "LOCATION"):
            assert 240 < units(one.text(name)) <= 255
            assert one.text(name).endswith("…")
            assert "\n" not in one.text(name)

    def test_a_cancelled_class_with_a_long_title_still_says_so(self) -> None:
        one = event(replace(CANCELLED, title="🧘" * 300))
        assert one.text("SUMMARY").startswith("CANCELLED: 🧘")
        assert units(one.text("SUMMARY")) <= 255

    def test_names_of_255_units_are_not_cut(self) -> None:
        assert event(session(title="x" * 255, instructors=())).text("SUMMARY") == "x" * 255

    def test_the_calendars_name_is_short_enough_too(self) -> None:
        feed = calendar(session(venue=replace(HALL, name="🧘" * 400)), kind=Kind.VENUE, identity=11)
        assert units(read(feed).text("NAME")) <= 255


@pytest.fixture(scope="module")
def awkward() -> Component:
    """A feed of every odd row that upstream may send, shown to everybody."""
    rows = [one.row for one in awkward_rows(START)]
    sessions = parse(rows, COURSE_SESSIONS, "https://goteamup.com").sessions
    public = [
        replace(one, offering_type=replace(one.offering_type or YOGA, visibility=Visibility.PUBLIC))
        for one in sessions
    ]
    feed = spec(availability=Availability.SPOTS)
    body = calendar(*public, feed=feed, base_url=SITE)
    for canary in CANARIES:
        assert canary.encode() not in body
    assert len(read(body).all("VEVENT")) > 100
    return read(body)


@pytest.mark.parametrize(
    "name", ["END:VCALENDAR", "END:VEVENT", "BEGIN:VEVENT", "x\\", "DTSTART:19700101T000000Z"]
)
def test_a_name_that_looks_like_a_line_of_a_calendar_is_a_name(name: str) -> None:
    one = session(title=name, instructors=(), venue=replace(HALL, name=name))
    feed = read(calendar(one, kind=Kind.VENUE, identity=11))
    assert feed.text("NAME") == name
    assert feed.all("VEVENT")[0].text("SUMMARY") == name


class TestWhatMustNotBeThere:
    def test_odd_rows_make_a_calendar_that_can_be_read(self, awkward: Component) -> None:
        for one in awkward.all("VEVENT"):
            for name in ("SUMMARY", "LOCATION", "DESCRIPTION", "CATEGORIES"):
                if name in one.names():
                    assert one.text(name)

    def test_no_control_and_no_surrogate_gets_through(self, awkward: Component) -> None:
        for component in awkward.walk():
            for line in component.lines:
                assert not re.search(r"[\x00-\x1f\x7f]", f"{line.name}{line.params}{line.value}")

    @pytest.mark.parametrize(
        "name",
        ["METHOD", "CLASS", "ORGANIZER", "ATTENDEE", "RRULE", "RDATE", "PRIORITY", "X-EVIL"],
    )
    def test_there_is_no(self, awkward: Component, name: str) -> None:
        assert not any(name in component.names() for component in awkward.walk())

    def test_there_is_no_alarm(self, awkward: Component) -> None:
        assert {component.kind for component in awkward.walk()} == {"VCALENDAR", "VEVENT"}

    def test_the_calendar_has_no_uid_and_no_stamp(self, awkward: Component) -> None:
        assert not {"UID", "DTSTAMP", "LAST-MODIFIED", "CREATED"} & set(awkward.names())

    @pytest.mark.parametrize("sessions", [(), (session(), BARE)], ids=["empty", "sparse"])
    def test_no_property_is_empty(self, awkward: Component, sessions: Any) -> None:
        for component in (*awkward.walk(), *read(calendar(*sessions)).walk()):
            assert all(line.value for line in component.lines)

    def test_no_property_is_there_twice(self, awkward: Component) -> None:
        for component in awkward.walk():
            assert len(component.names()) == len(set(component.names()))

    def test_links_are_http_only(self, awkward: Component) -> None:
        links = [one.value("URL") for one in awkward.all("VEVENT") if "URL" in one.names()]
        assert links
        assert all(re.fullmatch(r"https?://[!-~]+", link) for link in links)


class TestCancelled:
    def test_by_default_it_is_told_in_status_and_title(self) -> None:
        one = event(CANCELLED)
        assert one.value("STATUS") == "CANCELLED"
        assert one.text("SUMMARY") == "CANCELLED: Vinyasa Flow – Zoë"

    def test_kept_it_is_told_in_the_title_alone(self) -> None:
        one = event(CANCELLED, cancelled=Cancelled.KEEP)
        assert one.value("STATUS") == "CONFIRMED"
        assert one.text("SUMMARY") == "CANCELLED: Vinyasa Flow – Zoë"

    def test_hidden_it_is_not_there(self) -> None:
        feed = read(calendar(session(), CANCELLED, cancelled=Cancelled.HIDE))
        assert [one.text("SUMMARY") for one in feed.all("VEVENT")] == ["Vinyasa Flow – Zoë"]

    @pytest.mark.parametrize("how", list(Cancelled))
    def test_what_takes_place_is_the_same_in_each_mode(self, how: Cancelled) -> None:
        assert event(session(), cancelled=how) == event(session())

    @pytest.mark.parametrize("how", [Cancelled.STATUS, Cancelled.KEEP])
    def test_a_cancellation_moves_sequence_and_stamp(self, how: Cancelled) -> None:
        before = published(session(2))
        after = published(CANCELLED, before=before)
        old, new = event(before, cancelled=how), event(after, cancelled=how)
        assert int(new.value("SEQUENCE")) == int(old.value("SEQUENCE")) + 1
        assert new.value("LAST-MODIFIED") > old.value("LAST-MODIFIED")


class TestAvailability:
    @pytest.mark.parametrize(
        ("attending", "capacity", "full", "spots"),
        [
            (10, 10, " (Full)", " (Full)"),
            (13, 10, " (Full)", " (Full)"),
            (9, 10, "", " (1 left)"),
            (6, 10, "", " (4 left)"),
            (3, 10, "", " (5 left)"),
            (0, 18, "", " (15 left)"),
            (50, None, "", ""),
        ],
    )
    def test_it_is_told_as_asked_and_never_exactly_or_below_nothing(
        self, attending: int, capacity: int | None, full: str, spots: str
    ) -> None:
        one = session(attending=attending, capacity=capacity)
        told = {
            how: event(one, availability=how).text("SUMMARY").removeprefix("Vinyasa Flow – Zoë")
            for how in Availability
        }
        assert told == {Availability.NONE: "", Availability.FULL: full, Availability.SPOTS: spots}

    def test_a_cancelled_class_has_no_places(self) -> None:
        one = event(replace(CANCELLED, attending=10), availability=Availability.SPOTS)
        assert one.text("SUMMARY") == "CANCELLED: Vinyasa Flow – Zoë"

    @pytest.mark.parametrize(
        ("attending", "moved"),
        [
            (4, set()),
            (8, {Availability.SPOTS}),
            (12, {Availability.FULL, Availability.SPOTS}),
        ],
        ids=["fewer places of as many fives", "fewer places", "full"],
    )
    def test_it_moves_last_modified_where_it_is_shown_and_never_the_sequence(
        self, attending: int, moved: set[Availability]
    ) -> None:
        # 12 places: 9 are left at first, and told as 5
        first = published(session(capacity=12))
        later = published(
            session(capacity=12, attending=attending), seen=SEEN + timedelta(hours=1), before=first
        )
        for how in Availability:
            old, new = event(first, availability=how), event(later, availability=how)
            assert (new.value("LAST-MODIFIED") > old.value("LAST-MODIFIED")) == (how in moved)
            assert (new != old) == (how in moved)
            assert new.value("SEQUENCE") == old.value("SEQUENCE")


ZONES = (
    "Europe/London",
    "Europe/Dublin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Asia/Kathmandu",
    "Asia/Jerusalem",
    "America/Santiago",
    "Pacific/Kiritimati",
    "Etc/UTC",
)


def in_zone(number: int, zone: str | None, start: datetime, **fields: Any) -> Any:
    return session(number, start=start, venue=replace(HALL, zone=zone), **fields)


class TestLocalTimes:
    def test_they_name_their_zone_whose_rules_stand_beside_them(self) -> None:
        feed = read(calendar(session(), times=TimeStyle.LOCAL))
        [one] = feed.all("VEVENT")
        for name, value in (("DTSTART", "20261020T183000"), ("DTEND", "20261020T193000")):
            assert one.line(name).params == "TZID=Europe/London"
            assert one.value(name) == value
        [zone] = feed.all("VTIMEZONE")
        assert zone.value("TZID") == "Europe/London"
        assert {part.kind for part in zone.parts} == {"STANDARD", "DAYLIGHT"}
        assert all("RRULE" in part.names() for part in zone.parts)
        assert not any("RDATE" in part.names() for part in zone.parts)

    def test_stamps_stay_in_utc(self) -> None:
        one = event(session(), times=TimeStyle.LOCAL)
        for name in ("DTSTAMP", "CREATED", "LAST-MODIFIED"):
            assert one.value(name).endswith("Z")

    def test_each_zone_that_is_named_is_there_once_and_before_the_events(self) -> None:
        sessions = [in_zone(n, zone, START) for n, zone in enumerate((*ZONES, *ZONES), start=1)]
        feed = read(calendar(*sessions, times=TimeStyle.LOCAL))
        zones = [zone.value("TZID") for zone in feed.all("VTIMEZONE")]
        assert len(zones) == len(set(zones))
        named = {one.line("DTSTART").params.removeprefix("TZID=") for one in feed.all("VEVENT")}
        assert named - {""} <= set(zones)
        kinds = [part.kind for part in feed.parts]
        assert kinds == sorted(kinds, reverse=True)

    def test_a_venue_without_a_zone_keeps_utc(self) -> None:
        one = event(in_zone(1, None, START), times=TimeStyle.LOCAL)
        assert one.value("DTSTART") == "20261020T173000Z"

    def test_a_time_that_comes_twice_is_never_read_as_the_other_one(self) -> None:
        # London, 25 October 2026: 01:30 is at 00:30 and again at 01:30 UTC.
        night = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
        first = event(in_zone(1, "Europe/London", night), times=TimeStyle.LOCAL)
        second = event(
            in_zone(1, "Europe/London", night + timedelta(hours=1)), times=TimeStyle.LOCAL
        )
        assert first.value("DTSTART") == "20261025T003000Z"
        assert second.value("DTSTART") == "20261025T013000Z"

    def test_the_uid_is_that_of_the_feed_in_utc(self) -> None:
        assert event(session(), times=TimeStyle.LOCAL).value("UID") == event(session()).value("UID")

    @pytest.mark.parametrize("zone", ZONES)
    def test_by_the_rules_of_the_calendar_alone_each_is_the_instant_that_it_was(
        self, zone: str
    ) -> None:
        starts = [START + timedelta(days=9 * n, minutes=47 * n) for n in range(90)]
        sessions = [in_zone(n, zone, start) for n, start in enumerate(starts, start=1)]
        read_back = Calendar.from_ical(calendar(*sessions, times=TimeStyle.LOCAL))
        [rules] = read_back.walk("VTIMEZONE")
        by_rules = rules.to_tz(lookup_tzid=False)
        found = []
        for one in read_back.walk("VEVENT"):
            written = one["DTSTART"].dt
            if "TZID" in one["DTSTART"].params:
                written = written.replace(tzinfo=by_rules)
            found.append(written.astimezone(UTC))
        assert sorted(found) == starts


class TestItsSize:
    @pytest.fixture
    def shown(self) -> Any:
        return chosen(*(session(n, start=START + timedelta(days=n - 50)) for n in range(1, 101)))

    def size(self, shown: Any) -> int:
        return len(render(Content(shown, Subject("Classes", None), spec(), SITE)))

    def fit(self, shown: Any, max_bytes: int) -> list[int]:
        made = Content(shown, Subject("Classes", None), spec(), SITE)
        kept = fitting(made, max_bytes=max_bytes, day=START.date())
        assert self.size(kept) <= max_bytes or not max_bytes
        return [one.session.id for one in kept]

    def test_what_fits_is_left_alone(self, shown: Any) -> None:
        everything = list(range(1, 101))
        assert self.fit(shown, self.size(shown)) == everything
        assert self.fit(shown, 0) == everything

    def test_the_oldest_goes_first(self, shown: Any) -> None:
        assert self.fit(shown, self.size(shown) - 1) == list(range(2, 101))
        kept = self.fit(shown, self.size(shown) * 6 // 10)
        assert kept[-1] == 100
        assert 35 < kept[0] < 50

    def test_then_what_is_farthest(self, shown: Any) -> None:
        kept = self.fit(shown, self.size(shown) * 3 // 10)
        assert kept[0] == 50
        assert 70 < kept[-1] < 90

    def test_where_there_is_little_room_the_next_class_stays(self, shown: Any) -> None:
        assert self.fit(shown, 2_000) in ([50], [50, 51])


# Text as the parser lets it through: no controls, no surrogates, no ragged blanks.
_LETTERS = st.characters(exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp", "Cn"))
_WORDS = st.text(_LETTERS, min_size=1, max_size=60)
_LINES = st.lists(_WORDS, max_size=5).map("\n".join)
_DEGREES = st.floats(-90, 90, allow_nan=False)
_VENUES = st.builds(
    Venue,
    id=st.integers(1, 9),
    name=_WORDS,
    address=_WORDS | st.just(""),
    zone=st.sampled_from(["Europe/London", "Asia/Kathmandu", None]),
    online=st.booleans(),
) | st.builds(replace, st.just(HALL), latitude=_DEGREES, longitude=_DEGREES, name=_WORDS)
_TYPES = st.builds(
    OfferingType,
    id=st.integers(1, 9),
    name=_WORDS,
    description=_LINES,
    category=_WORDS | st.just(""),
    visibility=st.just(Visibility.PUBLIC),
)
_STARTS = st.integers(0, 400 * 86400).map(lambda seconds: START + timedelta(seconds=seconds))
_SESSIONS = st.builds(
    lambda minutes, **fields: session(
        end=fields["start"] + timedelta(minutes=minutes) if minutes else None, **fields
    ),
    minutes=st.integers(0, 600),
    number=st.integers(1, 2**62),
    start=_STARTS,
    title=_WORDS,
    status=st.sampled_from(Status),
    venue=st.none() | _VENUES,
    instructors=st.lists(st.builds(Instructor, st.integers(1, 99), _WORDS), max_size=3).map(tuple),
    offering_type=_TYPES,
    booking_url=st.none() | st.just("https://studio.example/p/1;a,b?c=d&e=%2C"),
)
_TIMETABLES = st.lists(_SESSIONS, max_size=6, unique_by=lambda one: one.id)
_round_trip = hypothesis_settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)


def _summary(one: Any) -> str:
    names = ", ".join(person.name for person in one.instructors)
    mark = "CANCELLED: " if one.status is Status.CANCELLED else ""
    return f"{mark}{one.title}{' – ' + names if names else ''}"


@_round_trip
@given(_TIMETABLES)
def test_what_goes_in_is_read_back_by_the_letter_of_the_rfc(sessions: Any) -> None:
    events = read(calendar(*sessions)).all("VEVENT")
    assert len(events) == len(sessions)
    by_uid = {one.value("UID"): one for one in events}
    for given_session in sessions:
        one = by_uid[event(given_session).value("UID")]
        assert one.text("SUMMARY") == _summary(given_session)
        assert one.text("DESCRIPTION") if "DESCRIPTION" in one.names() else True
        if given_session.venue:
            assert one.text("LOCATION") == given_session.venue.location
        kind = given_session.offering_type
        assert one.text("CATEGORIES") == (kind.category or kind.name)
        if kind.description:
            assert one.text("DESCRIPTION").endswith(kind.description)


@_round_trip
@given(_TIMETABLES, st.sampled_from(TimeStyle), st.sampled_from(Cancelled))
def test_a_calendar_is_what_icalendar_makes_of_all_of_it_at_once(
    sessions: Any, times: TimeStyle, cancelled: Cancelled
) -> None:
    feed = spec(times=times, cancelled=cancelled)
    made = content(snapshot(*sessions), feed, base_url=SITE)
    whole = frame(made)
    for one in made.shown:
        event = Event()
        for each in properties(one, times):
            event.add(each.name, each.value, encode=False)
        whole.add_component(event)
    assert render(made) == whole.to_ical(sorted=False)


@_round_trip
@given(_TIMETABLES)
def test_what_goes_in_is_read_back_by_icalendar(sessions: Any) -> None:
    read_back = Calendar.from_ical(calendar(*sessions))
    events = {str(one["UID"]): one for one in read_back.walk("VEVENT")}
    assert len(events) == len(sessions)
    for given_session in sessions:
        one = events[event(given_session).value("UID")]
        assert not one.errors
        assert one["DTSTART"].dt == given_session.start
        assert ("DTEND" in one) == (given_session.end is not None)
        if given_session.end:
            assert one["DTEND"].dt == given_session.end
        assert one["STATUS"] == (
            "CANCELLED" if given_session.status is Status.CANCELLED else "CONFIRMED"
        )
        assert (
            one["DTSTAMP"].dt
            == one["LAST-MODIFIED"].dt
            == datetime.fromtimestamp(SEEN.timestamp(), UTC)
        )
        assert one.get("URL") == given_session.booking_url
        if "\\" not in _summary(given_session):  # icalendar reads \\n as a newline
            assert str(one["SUMMARY"]) == _summary(given_session)
        venue = given_session.venue
        placed = venue is not None and venue.latitude is not None and not venue.online
        assert ("GEO" in one) == placed
        if placed:
            assert one["GEO"].latitude == pytest.approx(venue.latitude, abs=1e-6)
            assert one["GEO"].longitude == pytest.approx(venue.longitude, abs=1e-6)
