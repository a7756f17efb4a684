"""The iCalendar format: the feed profile, property by property."""

import itertools
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from ical_lines import Component, read
from icalendar import Calendar, vDatetime, vText
from icalendar.parser import Contentline, Contentlines
from samples import (
    HALL,
    SEEN,
    START,
    YOGA,
    calendar,
    content,
    published,
    session,
    snapshot,
    spec,
    views,
)
from upstreams.rows import CANARIES, awkward_rows

from bridge.config import Availability
from bridge.feeds.formats.base import Content
from bridge.feeds.formats.ics import render, trim_to_size
from bridge.feeds.formats.ics.lines import date_time, fold
from bridge.feeds.spec import Cancelled, Kind, TimeStyle
from bridge.feeds.subject import Subject
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
    [vevent] = read(calendar(*sessions, **options)).all("VEVENT")
    return vevent


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


class TestBody:
    def test_it_equals_the_golden_file(self) -> None:
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
            line.decode()  # raises for a split character
        folded = [line for line, after in itertools.pairwise(physical) if after[:1] == b" "]
        assert folded
        # nearly the maximum
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
        assert fold(content.encode()) == Contentline(content).to_ical()

    def test_the_order_of_the_sessions_does_not_change_the_bytes(self) -> None:
        assert calendar(session(), CANCELLED, BARE) == calendar(BARE, CANCELLED, session())

    def test_events_are_sorted_by_start_and_then_uid(self) -> None:
        sessions = [session(n, start=START + timedelta(hours=n % 3)) for n in range(1, 40)]
        events = read(calendar(*sessions)).all("VEVENT")
        keys = [(vevent.value("DTSTART"), vevent.value("UID")) for vevent in events]
        assert keys == sorted(keys)
        assert len(set(keys)) == 39

    def test_an_empty_feed_has_one_timezone_and_no_event(self) -> None:
        empty = read(calendar())
        assert [part.kind for part in empty.parts] == ["VTIMEZONE"]
        [zone] = empty.parts
        assert zone.names() == ["TZID"]
        [standard] = zone.parts
        assert standard.kind == "STANDARD"
        assert {"DTSTART", "TZOFFSETFROM", "TZOFFSETTO"} <= set(standard.names())

    def test_a_feed_with_events_has_only_events(self) -> None:
        assert {part.kind for part in read(calendar(session(), BARE)).parts} == {"VEVENT"}


class TestCalendarProperties:
    def test_its_properties_are_in_the_order_of_the_profile(self) -> None:
        feed = calendar(session(), kind=Kind.VENUE, identity=11, base_url=SITE)
        assert read(feed).names() == [
            "VERSION", "PRODID", "CALSCALE", "NAME", "X-WR-CALNAME", "DESCRIPTION", "X-WR-CALDESC",
            "X-WR-TIMEZONE", "URL", "SOURCE", "REFRESH-INTERVAL", "X-PUBLISHED-TTL", "COLOR",
            "X-APPLE-CALENDAR-COLOR",
        ]  # fmt: skip

    def test_name_and_description_are_one_line_and_repeated_for_older_clients(self) -> None:
        venue = replace(HALL, name="Café, Bar; & Gym \\ Loft")
        feed = read(calendar(session(venue=venue), kind=Kind.VENUE, identity=11))
        assert feed.text("NAME") == feed.text("X-WR-CALNAME") == "Café, Bar; & Gym \\ Loft"
        assert feed.text("DESCRIPTION") == feed.text("X-WR-CALDESC") != ""
        assert "\n" not in feed.text("DESCRIPTION")

    def test_a_course_without_a_name_is_called_like_its_classes(self) -> None:
        nameless = session(course=Course(60, ""), title="Trial week")
        feed = read(calendar(nameless, kind=Kind.COURSE, identity=60))
        assert feed.text("NAME") == "Trial week"

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

    def test_its_colour_is_a_css_name_and_the_matching_value_for_apple(self) -> None:
        colours = {
            (feed.value("COLOR"), feed.value("X-APPLE-CALENDAR-COLOR"))
            for feed in (read(calendar(kind=Kind.VENUE, identity=n)) for n in range(40))
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
        assert source == f"{SITE}/sessions.ics?venues=11&venues=12&_=.ics"

    def test_it_does_not_contain_the_time_of_rendering(self) -> None:
        before = read(calendar(session())).lines
        later = read(calendar(published(session(), seen=SEEN + timedelta(days=3)))).lines
        assert before == later


class TestEvent:
    def test_its_uid_is_the_same_in_every_feed_and_with_every_setting(self) -> None:
        feeds = [
            spec(),
            spec(Kind.VENUE, 11),
            spec(Kind.INSTRUCTOR, 101),
            spec(Kind.COURSE, 201),
            spec(cancelled=Cancelled.KEEP, availability=Availability.SPOTS, times=TimeStyle.LOCAL),
        ]
        uids = {event(session(), feed=feed).value("UID") for feed in feeds}
        uids.add(event(session(), base_url=SITE).value("UID"))
        assert len(uids) == 1

    def test_its_uid_never_changes_between_versions_of_the_program(self) -> None:
        # A different UID would duplicate every event in every subscribed calendar.
        assert event(session(7)).value("UID") == "e9289c6e-97a4-5e41-b39c-8e43edd540bc"

    def test_uids_differ_by_id_and_source(self) -> None:
        several = [session(1), session(2), session(1, source="event")]
        uids = {event(row).value("UID") for row in several}
        assert len(uids) == 3

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
    def test_changes_of_time_place_and_status_raise_the_sequence(self, changed: Any) -> None:
        first = published(session())
        later = published(session(**changed), seen=SEEN + timedelta(minutes=10), before=first)
        assert event(later).value("SEQUENCE") == "153760"
        at_once = published(session(**changed), before=first)
        assert event(at_once).value("SEQUENCE") == "153751"
        assert event(at_once).value("LAST-MODIFIED") > event(first).value("LAST-MODIFIED")

    def test_several_instructors_are_in_title_and_description(self) -> None:
        people = (Instructor(1, "Zoë"), Instructor(2, ""), Instructor(3, "Bob; Jr."))
        vevent = event(session(instructors=people))
        assert vevent.text("SUMMARY") == "Vinyasa Flow – Zoë, Bob; Jr."
        assert vevent.text("DESCRIPTION").startswith("Instructors: Zoë, Bob; Jr.\n")

    def test_geo_has_a_semicolon_and_the_apple_location_a_comma(self) -> None:
        south = replace(HALL, name="Loft; A, B", latitude=-33.5, longitude=151.20930049)
        vevent = event(session(venue=south))
        assert vevent.value("GEO") == "-33.500000;151.209300"
        apple = vevent.line("X-APPLE-STRUCTURED-LOCATION")
        assert apple.value == "geo:-33.500000,151.209300"
        assert (
            apple.params
            == 'VALUE=URI;X-APPLE-RADIUS=100;X-TITLE="Loft; A, B, 1 Example St, London"'
        )

    def test_a_place_without_name_and_address_has_no_apple_location(self) -> None:
        vevent = event(session(venue=replace(HALL, name="", address="")))
        names = {line.name for line in vevent.lines}
        assert "GEO" in names
        assert not names & {"LOCATION", "X-APPLE-STRUCTURED-LOCATION"}

    @pytest.mark.parametrize(
        "venue",
        [
            replace(HALL, latitude=None, longitude=None),
            replace(HALL, online=True),
            Venue(id=5),
        ],
        ids=["without coordinates", "online", "only the id is known"],
    )
    def test_it_has_no_position_without_a_place(self, venue: Venue) -> None:
        assert not {"GEO", "X-APPLE-STRUCTURED-LOCATION"} & set(event(session(venue=venue)).names())


class TestText:
    @pytest.mark.parametrize(
        "text",
        ["back\\slash", "semi;colon", "com,ma", "\\,;\\", "C:\\new", "A\\Nb", "tab\there", "50 %"],
    )
    def test_escaped_text_is_read_back_unchanged(self, text: str) -> None:
        vevent = event(
            session(
                title=text,
                instructors=(),
                venue=replace(HALL, name="", address=text),
                offering_type=replace(YOGA, category=text, description=f"{text}\n{text}"),
            )
        )
        assert (
            vevent.text("SUMMARY") == vevent.text("LOCATION") == vevent.text("CATEGORIES") == text
        )
        assert vevent.text("DESCRIPTION").endswith(f"\n{text}\n{text}")

    @pytest.mark.parametrize("character", ["x", "é", "🧘", "👨‍👩‍👧‍👦"])
    def test_title_and_place_have_at_most_255_utf16_units_in_one_line(self, character: str) -> None:
        long = character * 400
        vevent = event(session(title=long, venue=replace(HALL, name=long, address=long)))
        for name in ("SUMMARY", "LOCATION"):
            assert 240 < units(vevent.text(name)) <= 255
            assert vevent.text(name).endswith("…")
            assert "\n" not in vevent.text(name)

    def test_a_cancelled_class_with_a_long_title_is_marked_as_cancelled(self) -> None:
        vevent = event(replace(CANCELLED, title="🧘" * 300))
        assert vevent.text("SUMMARY").startswith("CANCELLED: 🧘")
        assert units(vevent.text("SUMMARY")) <= 255

    def test_a_long_title_still_says_that_the_class_is_full(self) -> None:
        long = event(session(title="x" * 300, attending=10), availability=Availability.FULL).text(
            "SUMMARY"
        )
        assert long.endswith("x… (Full)")
        assert units(long) == 255

    def test_names_of_255_units_are_not_truncated(self) -> None:
        assert event(session(title="x" * 255, instructors=())).text("SUMMARY") == "x" * 255

    def test_the_calendars_name_is_short_enough_too(self) -> None:
        feed = calendar(session(venue=replace(HALL, name="🧘" * 400)), kind=Kind.VENUE, identity=11)
        assert units(read(feed).text("NAME")) <= 255


@pytest.fixture(scope="module")
def awkward() -> Component:
    """A public feed of all awkward rows that upstream may send."""
    rows = [awkward.row for awkward in awkward_rows(START)]
    sessions = parse(rows, COURSE_SESSIONS, "https://goteamup.com").sessions
    public = [
        replace(row, offering_type=replace(row.offering_type or YOGA, visibility=Visibility.PUBLIC))
        for row in sessions
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
def test_names_that_look_like_calendar_lines_are_kept(name: str) -> None:
    class_session = session(title=name, instructors=(), venue=replace(HALL, name=name))
    feed = read(calendar(class_session, kind=Kind.VENUE, identity=11))
    assert feed.text("NAME") == name
    assert feed.all("VEVENT")[0].text("SUMMARY") == name


class TestForbiddenContent:
    def test_awkward_rows_make_a_valid_calendar(self, awkward: Component) -> None:
        for vevent in awkward.all("VEVENT"):
            for name in ("SUMMARY", "LOCATION", "DESCRIPTION", "CATEGORIES"):
                if name in vevent.names():
                    assert vevent.text(name)

    def test_there_are_no_control_characters(self, awkward: Component) -> None:
        for component in awkward.walk():
            for line in component.lines:
                assert not re.search(r"[\x00-\x1f\x7f]", f"{line.name}{line.params}{line.value}")

    @pytest.mark.parametrize(
        "name",
        ["METHOD", "CLASS", "ORGANIZER", "ATTENDEE", "RRULE", "RDATE", "PRIORITY", "X-EVIL"],
    )
    def test_forbidden_properties_are_absent(self, awkward: Component, name: str) -> None:
        assert not any(name in component.names() for component in awkward.walk())

    def test_there_is_no_alarm(self, awkward: Component) -> None:
        assert {component.kind for component in awkward.walk()} == {"VCALENDAR", "VEVENT"}

    def test_the_calendar_has_no_uid_and_no_stamp(self, awkward: Component) -> None:
        assert not {"UID", "DTSTAMP", "LAST-MODIFIED", "CREATED"} & set(awkward.names())

    @pytest.mark.parametrize("sessions", [(), (session(), BARE)], ids=["empty", "sparse"])
    def test_no_property_is_empty(self, awkward: Component, sessions: Any) -> None:
        for component in (*awkward.walk(), *read(calendar(*sessions)).walk()):
            assert all(line.value for line in component.lines)

    def test_no_property_occurs_twice(self, awkward: Component) -> None:
        for component in awkward.walk():
            assert len(component.names()) == len(set(component.names()))

    def test_links_are_http_only(self, awkward: Component) -> None:
        links = [vevent.value("URL") for vevent in awkward.all("VEVENT") if "URL" in vevent.names()]
        assert links
        assert all(re.fullmatch(r"https?://[!-~]+", link) for link in links)


class TestCancelled:
    def test_by_default_it_is_marked_in_status_and_title(self) -> None:
        vevent = event(CANCELLED)
        assert vevent.value("STATUS") == "CANCELLED"
        assert vevent.text("SUMMARY") == "CANCELLED: Vinyasa Flow – Zoë"

    def test_with_keep_it_is_marked_in_the_title_only(self) -> None:
        vevent = event(CANCELLED, cancelled=Cancelled.KEEP)
        assert vevent.value("STATUS") == "CONFIRMED"
        assert vevent.text("SUMMARY") == "CANCELLED: Vinyasa Flow – Zoë"

    def test_with_hide_it_is_left_out(self) -> None:
        feed = read(calendar(session(), CANCELLED, cancelled=Cancelled.HIDE))
        assert [vevent.text("SUMMARY") for vevent in feed.all("VEVENT")] == ["Vinyasa Flow – Zoë"]

    @pytest.mark.parametrize("how", list(Cancelled))
    def test_active_sessions_are_the_same_in_each_mode(self, how: Cancelled) -> None:
        assert event(session(), cancelled=how) == event(session())


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
    def test_it_is_shown_as_requested_and_never_exact(
        self, attending: int, capacity: int | None, full: str, spots: str
    ) -> None:
        class_session = session(attending=attending, capacity=capacity)
        suffixes = {
            level: event(class_session, availability=level)
            .text("SUMMARY")
            .removeprefix("Vinyasa Flow – Zoë")
            for level in Availability
        }
        assert suffixes == {
            Availability.NONE: "",
            Availability.FULL: full,
            Availability.SPOTS: spots,
        }

    def test_a_cancelled_class_has_no_places(self) -> None:
        vevent = event(replace(CANCELLED, attending=10), availability=Availability.SPOTS)
        assert vevent.text("SUMMARY") == "CANCELLED: Vinyasa Flow – Zoë"

    @pytest.mark.parametrize(
        ("attending", "moved"),
        [
            (4, set()),
            (8, {Availability.SPOTS}),
            (12, {Availability.FULL, Availability.SPOTS}),
        ],
        ids=["fewer places, same number shown", "fewer places", "full"],
    )
    def test_a_visible_change_raises_last_modified_but_not_the_sequence(
        self, attending: int, moved: set[Availability]
    ) -> None:
        # 12 places: at first 9 are free, shown as 5
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
)


def in_zone(number: int, zone: str | None, start: datetime, **fields: Any) -> Any:
    return session(number, start=start, venue=replace(HALL, zone=zone), **fields)


class TestLocalTimes:
    def test_they_have_a_tzid_and_the_calendar_has_its_vtimezone(self) -> None:
        feed = read(calendar(session(), times=TimeStyle.LOCAL))
        [vevent] = feed.all("VEVENT")
        for name, value in (("DTSTART", "20261020T183000"), ("DTEND", "20261020T193000")):
            assert vevent.line(name).params == "TZID=Europe/London"
            assert vevent.value(name) == value
        [zone] = feed.all("VTIMEZONE")
        assert zone.value("TZID") == "Europe/London"
        assert {part.kind for part in zone.parts} == {"STANDARD", "DAYLIGHT"}
        assert all("RRULE" in part.names() for part in zone.parts)
        assert not any("RDATE" in part.names() for part in zone.parts)

    def test_stamps_stay_in_utc(self) -> None:
        vevent = event(session(), times=TimeStyle.LOCAL)
        for name in ("DTSTAMP", "CREATED", "LAST-MODIFIED"):
            assert vevent.value(name).endswith("Z")

    def test_each_timezone_occurs_once_and_before_the_events(self) -> None:
        sessions = [in_zone(n, zone, START) for n, zone in enumerate((*ZONES, *ZONES), start=1)]
        feed = read(calendar(*sessions, times=TimeStyle.LOCAL))
        zones = [zone.value("TZID") for zone in feed.all("VTIMEZONE")]
        assert len(zones) == len(set(zones))
        named = {
            vevent.line("DTSTART").params.removeprefix("TZID=") for vevent in feed.all("VEVENT")
        }
        assert named - {""} <= set(zones)
        kinds = [part.kind for part in feed.parts]
        assert kinds == sorted(kinds, reverse=True)

    def test_venues_without_a_zone_use_utc(self) -> None:
        vevent = event(in_zone(1, None, START), times=TimeStyle.LOCAL)
        assert vevent.value("DTSTART") == "20261020T173000Z"

    @pytest.mark.parametrize("zone", ["UTC", "Etc/UTC", "Zulu"])
    def test_names_of_utc_are_no_tzid_because_clients_do_not_know_all_of_them(
        self, zone: str
    ) -> None:
        feed = read(calendar(in_zone(1, zone, START), times=TimeStyle.LOCAL))
        [vevent] = feed.all("VEVENT")
        assert vevent.value("DTSTART") == "20261020T173000Z"
        assert not feed.all("VTIMEZONE")

    def test_ambiguous_local_times_are_written_in_utc(self) -> None:
        # London, 25 October 2026: 01:30 is at 00:30 and again at 01:30 UTC.
        night = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
        first = event(in_zone(1, "Europe/London", night), times=TimeStyle.LOCAL)
        second = event(
            in_zone(1, "Europe/London", night + timedelta(hours=1)), times=TimeStyle.LOCAL
        )
        assert first.value("DTSTART") == "20261025T003000Z"
        assert second.value("DTSTART") == "20261025T013000Z"

    @pytest.mark.parametrize("zone", ZONES)
    def test_local_times_and_vtimezone_give_the_original_instants(self, zone: str) -> None:
        starts = [START + timedelta(days=9 * n, minutes=47 * n) for n in range(90)]
        sessions = [in_zone(n, zone, start) for n, start in enumerate(starts, start=1)]
        read_back = Calendar.from_ical(calendar(*sessions, times=TimeStyle.LOCAL))
        [rules] = read_back.walk("VTIMEZONE")
        by_rules = rules.to_tz(lookup_tzid=False)
        found = []
        for vevent in read_back.walk("VEVENT"):
            written = vevent["DTSTART"].dt
            if "TZID" in vevent["DTSTART"].params:
                written = written.replace(tzinfo=by_rules)
            found.append(written.astimezone(UTC))
        assert sorted(found) == starts


class TestTrimming:
    @pytest.fixture
    def shown(self) -> Any:
        return views(*(session(n, start=START + timedelta(days=n - 50)) for n in range(1, 101)))

    def size(self, shown: Any) -> int:
        return len(render(Content(shown, Subject("Classes", None), spec(), SITE)))

    def fit(self, shown: Any, max_bytes: int) -> list[int]:
        content = Content(shown, Subject("Classes", None), spec(), SITE)
        kept = trim_to_size(content, max_bytes=max_bytes, day=START.date()).shown
        assert self.size(kept) <= max_bytes or not max_bytes
        return [view.session.id for view in kept]

    def test_a_feed_that_fits_is_unchanged(self, shown: Any) -> None:
        all_ids = list(range(1, 101))
        assert self.fit(shown, self.size(shown)) == all_ids
        assert self.fit(shown, 0) == all_ids

    def test_the_oldest_are_left_out_first(self, shown: Any) -> None:
        assert self.fit(shown, self.size(shown) - 1) == list(range(2, 101))
        kept = self.fit(shown, self.size(shown) * 6 // 10)
        assert kept[-1] == 100
        assert 35 < kept[0] < 50

    def test_then_the_latest_are_left_out(self, shown: Any) -> None:
        kept = self.fit(shown, self.size(shown) * 3 // 10)
        assert kept[0] == 50
        assert 70 < kept[-1] < 90

    def test_the_next_class_is_left_out_last(self, shown: Any) -> None:
        assert self.fit(shown, 2_000) in ([50], [50, 51])


# Text as the parser returns it: without control characters, surrogates and repeated blanks.
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
_TIMETABLES = st.lists(_SESSIONS, max_size=6, unique_by=lambda row: row.id)
_round_trip = hypothesis_settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)


def _summary(row: Any) -> str:
    names = ", ".join(person.name for person in row.instructors)
    mark = "CANCELLED: " if row.status is Status.CANCELLED else ""
    return f"{mark}{row.title}{' – ' + names if names else ''}"


@_round_trip
@given(_TIMETABLES)
def test_sessions_are_read_back_by_the_strict_parser(sessions: Any) -> None:
    events = read(calendar(*sessions)).all("VEVENT")
    assert len(events) == len(sessions)
    by_uid = {vevent.value("UID"): vevent for vevent in events}
    for given_session in sessions:
        vevent = by_uid[event(given_session).value("UID")]
        assert vevent.text("SUMMARY") == _summary(given_session)
        assert vevent.text("DESCRIPTION") if "DESCRIPTION" in vevent.names() else True
        if given_session.venue:
            assert vevent.text("LOCATION") == given_session.location
        kind = given_session.offering_type
        assert vevent.text("CATEGORIES") == (kind.category or kind.name)
        if kind.description:
            assert vevent.text("DESCRIPTION").endswith(kind.description)


@_round_trip
@given(_TIMETABLES, st.sampled_from(TimeStyle), st.sampled_from(Cancelled))
def test_icalendar_writes_every_line_the_same(
    sessions: Any, times: TimeStyle, cancelled: Cancelled
) -> None:
    feed = spec(times=times, cancelled=cancelled)
    body = render(content(snapshot(*sessions), feed, base_url=SITE))
    lines = [line for line in Contentlines.from_ical(body) if line]
    assert b"".join(line.to_ical() + b"\r\n" for line in lines) == body
    for line in lines:
        name, params, _ = line.parts()
        assert line.startswith(str(Contentline.from_parts(name, params, vText(""), sorted=False)))


@hypothesis_settings(deadline=None)
@given(
    st.integers(-62_135_000_000, 253_402_000_000),
    st.sampled_from(["Europe/Berlin", "America/St_Johns", "Pacific/Apia"]),
)
def test_icalendar_writes_times_the_same(seconds: int, zone: str) -> None:
    instant = datetime.fromtimestamp(seconds, UTC)
    local = vDatetime(instant.astimezone(ZoneInfo(zone)))
    assert date_time("DTSTART", instant) == ("DTSTART", vDatetime(instant).to_ical().decode(), "")
    assert date_time("DTSTART", instant, ZoneInfo(zone)) == (
        "DTSTART",
        local.to_ical().decode(),
        local.params.to_ical().decode(),
    )


@_round_trip
@given(_TIMETABLES)
def test_sessions_are_read_back_by_icalendar(sessions: Any) -> None:
    read_back = Calendar.from_ical(calendar(*sessions))
    events = {str(vevent["UID"]): vevent for vevent in read_back.walk("VEVENT")}
    assert len(events) == len(sessions)
    for given_session in sessions:
        vevent = events[event(given_session).value("UID")]
        assert not vevent.errors
        assert vevent["DTSTART"].dt == given_session.start
        assert vevent["DTEND"].dt == (given_session.end or given_session.start + timedelta(hours=1))
        assert vevent["STATUS"] == (
            "CANCELLED" if given_session.status is Status.CANCELLED else "CONFIRMED"
        )
        assert (
            vevent["DTSTAMP"].dt
            == vevent["LAST-MODIFIED"].dt
            == datetime.fromtimestamp(SEEN.timestamp(), UTC)
        )
        assert vevent.get("URL") == given_session.booking_url
        if "\\" not in _summary(given_session):  # icalendar reads \\n as a newline
            assert str(vevent["SUMMARY"]) == _summary(given_session)
        venue = given_session.venue
        placed = venue is not None and venue.latitude is not None and not venue.online
        assert ("GEO" in vevent) == placed
        if placed:
            assert vevent["GEO"].latitude == pytest.approx(venue.latitude, abs=1e-6)
            assert vevent["GEO"].longitude == pytest.approx(venue.longitude, abs=1e-6)
