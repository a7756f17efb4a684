"""The pages of a timetable of two lists: ordinary classes and sessions of courses."""

import html
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from clocks import ManualClock
from flask.testing import FlaskClient
from web.conftest import NOW
from web.pages import Page, page
from web.test_feeds import until

from bridge import config, services
from bridge.config import Availability
from bridge.feeds.session_view import SessionView, ViewOptions, make_view
from bridge.model import ClassSession, Published, Revision, Room, SourceName, Venue
from bridge.sandbox import records
from bridge.sandbox.api import create_api
from bridge.sandbox.demo_timetable import demo_studio
from bridge.sandbox.http_server import SandboxServer
from bridge.sandbox.studio import Studio
from bridge.services import Services
from bridge.web import create_app
from bridge.web.pages import structured_data, timetable

TOKEN = "a-token-of-the-tests"
BOTH = frozenset(SourceName)
NO_CLASSES = "Ordinary classes are not included: TeamUp does not let this site read them."
NO_COURSES = "Courses are not included: TeamUp does not let this site read them."


def demo_id(slot: int, *, days: int = 0) -> int:
    """The id of the demo studio's session in a weekly slot, so many days after Monday, 23 Nov."""
    return (NOW.date().toordinal() + days) * 100 + slot


@contextmanager
def served(studio: Studio, **fields: Any) -> Iterator[FlaskClient]:
    """A client of a bridge that reads both lists of *studio*; time does not pass."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "environ", {"TEAMUP_API_TOKEN": TOKEN, "CACHE_URL": "memory://"})
        settings = config.load()
    api = create_api(studio, token=TOKEN, requests_per_minute=100_000)
    with SandboxServer(api) as upstream:
        fields = {"base_url": upstream.url, **fields}
        parts = services.build(replace(settings, **fields), clock=ManualClock(NOW))
        try:
            yield create_app(parts).test_client()
        finally:
            parts.close()


@pytest.fixture(scope="module")
def whole() -> Iterator[FlaskClient]:
    """A client of a bridge with the demo studio, which tests must not change."""
    with served(demo_studio(NOW.date()), sandbox=True) as client:
        client.get("/sessions.ics")
        yield client


@pytest.fixture
def studio(near_studio: Studio) -> Studio:
    return near_studio


def studio_of(**tables: Any) -> Studio:
    """A studio with a venue in London, another in New York, and without classes."""
    return Studio(
        **{
            "venues": [
                records.venue(1, "Riverside", "Europe/London", address="4 Wharf Road"),
                records.venue(2, "Loft", "America/New_York"),
            ],
            "venue_rooms": [records.venue_room(7, "Hall", 1), records.venue_room(8, "Hall", 2)],
            "categories": [records.category(5, "Yoga"), records.category(6, "Gym")],
            "offering_types": [
                records.offering_type(3, "Flow", category=5, description="What the type says."),
                records.offering_type(4, "Staff", customer_visibility="private"),
            ],
            "courses": [records.course(9, "Evenings", 3)],
            **tables,
        }
    )


def in_hours(hours: float) -> datetime:
    return NOW.replace(microsecond=0) + timedelta(hours=hours)


def entries(found: Page) -> dict[str, str]:
    """What a timetable says below each class, by the path of the class."""
    rows = re.findall(
        r'<p class="name"><a href="([^"?]*)[^>]*>.*?</p>\s*(?:<p class="who">(.*?)</p>)?',
        found.source,
        re.DOTALL,
    )
    return {path: re.sub("<[^>]*>", "", text) for path, text in rows}


def inputs(found: Page, parameter: str) -> list[str]:
    """The ids that can be chosen for a parameter on the start page."""
    return [tag["value"] for tag in found.all("input") if tag.get("name") == parameter]


def view(session: ClassSession) -> SessionView:
    """The view of a session for the public."""
    options = ViewOptions(
        availability=Availability.NONE,
        counts=False,
        join_links=False,
        staff_links=False,
        keep_cancelled=False,
        change_notes=False,
    )
    return make_view(Published(session, Revision(*[int(NOW.timestamp())] * 7)), options)


class TestLinks:
    def test_equal_ids_of_the_two_lists_are_two_classes(self, whole):
        ordinary = page(whole, f"/classes/{demo_id(1)}")
        of_course = page(whole, f"/sessions/{demo_id(1)}")
        assert "<h1><bdi>Sunrise Yoga</bdi></h1>" in ordinary.source
        assert "<h1><bdi>Vinyasa Flow: Mornings</bdi></h1>" in of_course.source

    @pytest.mark.parametrize("query", ["?view=agenda", "?view=week"])
    @pytest.mark.parametrize("path", ["/venues/12", "/sessions", "/embed/venues/12"])
    def test_each_class_is_linked_by_the_path_of_its_list(self, whole, path, query):
        feed = path.removeprefix("/embed")
        prefixes = {"event": "/classes/", "course_session": "/sessions/"}
        rows = whole.get(f"{feed}.json").json
        existing = {f"{prefixes[row['object']]}{row['session']}" for row in rows}
        linked = set(entries(page(whole, path + query)))
        assert {link.split("/")[1] for link in linked} == {"classes", "sessions"}
        assert linked <= existing

    def test_the_links_of_a_class_page_stay_in_its_list(self, whole):
        path = f"/classes/{demo_id(8)}"
        found = page(whole, path)
        assert f"{path}.ics" in found.links
        assert f"{path}?lang=de" in found.links
        assert not any(link.startswith("/sessions/") for link in found.links)
        assert whole.get(f"{path}.ics").text.count("BEGIN:VEVENT") == 1

    def test_structured_data_has_the_path_of_the_list(self):
        for source, path in (("event", "classes"), ("course_session", "sessions")):
            entry = timetable.entry(view(ClassSession(source, 5, "Flow", in_hours(1), in_hours(2))))
            data = structured_data.events([entry], "https://calendar.example.org")
            assert data is not None
            assert data["@graph"][0]["url"] == f"https://calendar.example.org/{path}/5"

    def test_structured_data_tells_equal_ids_apart(self, whole):
        events = page(whole, "/venues/12").structured
        assert len({event["@id"] for event in events}) == len(events)

    @pytest.mark.parametrize(
        "path", ["/", "/sessions", "/sessions?view=week", "/embed/venues/12", "/status"]
    )
    def test_no_html_id_occurs_twice(self, whole, path):
        ids = Counter(tag["id"] for _, tag in page(whole, path).tags if "id" in tag)
        assert ids
        assert [name for name, count in ids.items() if count > 1] == []


class TestRoom:
    CLASS = f"/classes/{demo_id(8)}"

    @pytest.mark.parametrize("path", ["/sessions", "/sessions?view=week", "/embed/sessions"])
    def test_it_is_shown_after_the_venue(self, whole, path):
        assert (
            entries(page(whole, path))[self.CLASS] == "Priya Raman · Riverside Studio, River room"
        )

    @pytest.mark.parametrize("path", ["/venues/12", "/venues/12?view=week", "/embed/venues/12"])
    def test_on_the_page_of_its_venue_it_is_shown_alone(self, whole, path):
        assert entries(page(whole, path))[self.CLASS] == "Priya Raman · River room"

    @pytest.mark.parametrize("path", ["/rooms/71", "/embed/rooms/71"])
    def test_its_own_page_names_the_venue_once(self, whole, path):
        found = page(whole, path)
        assert entries(found)[self.CLASS] == "Priya Raman"
        [place] = re.findall(r'<p class="place">(.*?)</p>', found.source)
        assert "<bdi>Riverside Studio</bdi>" in place
        assert ">River room</" in found.source

    def test_its_own_page_names_the_venue_while_nothing_is_on(self, whole):
        found = page(whole, "/rooms/71?starts_at_gte=2035-01-01")
        assert "There are no upcoming classes right now" in found.text
        assert "Riverside Studio , 4 Wharf Road" in found.text

    def test_the_page_of_a_class_links_to_it(self, whole):
        found = page(whole, self.CLASS)
        assert "Riverside Studio , River room" in found.text
        assert "/rooms/71-river-room" in found.links
        assert page(whole, "/rooms/71-river-room")

    def test_a_session_without_a_room_shows_the_venue_only(self, whole):
        shown = entries(page(whole, "/sessions"))
        assert shown[f"/sessions/{demo_id(7)}"] == "Siobhán Ní Riain · Riverside Studio"

    def test_a_room_without_a_venue_is_shown(self):
        studio = studio_of()
        studio.add(
            kind="event", starts_at=in_hours(1), venue=None, venue_room=7, description="", id=5
        )
        with served(studio) as client:
            assert entries(page(client, "/sessions"))["/classes/5"] == "Hall"
            assert "Where Hall" in page(client, "/classes/5").text

    def test_beside_a_class_without_a_venue_the_others_state_theirs(self):
        studio = studio_of()
        studio.add(kind="event", starts_at=in_hours(1), venue=None, description="", id=5)
        studio.add(kind="event", starts_at=in_hours(2), venue=1, description="", id=6)
        with served(studio) as client:
            found = page(client, "/sessions")
            assert entries(found) == {"/classes/5": "", "/classes/6": "Riverside"}
            assert '<p class="place">' not in found.source

    def test_it_counts_towards_the_size_of_an_entry(self):
        session = ClassSession("event", 5, "Flow", in_hours(1), in_hours(2), venue=Venue(1, "V"))
        plain, roomy = (
            timetable.entry(view(replace(session, room=room))).size
            for room in (None, Room(7, "R" * 100))
        )
        assert roomy == plain + 100


class TestDescription:
    def test_the_page_of_a_class_shows_its_own_description(self, whole):
        found = page(whole, f"/classes/{demo_id(5)}")
        assert "six weeks, and each class stands alone" in found.text

    def test_without_one_it_shows_that_of_the_type(self):
        studio = studio_of()
        studio.add(kind="event", starts_at=in_hours(1), id=5, description="")
        with served(studio) as client:
            assert "What the type says." in page(client, "/classes/5").text

    def test_links_to_meetings_are_not_shown(self, whole):
        sunday = page(whole, f"/classes/{demo_id(64, days=6)}")
        assert "We sit for half an hour" in sunday.text
        assert "canary-zoom-link" not in sunday.source


class TestBookingOpens:
    @pytest.fixture
    def opening(
        self, studio: Studio, site_of: Callable[..., FlaskClient]
    ) -> tuple[FlaskClient, int]:
        """A client, and the id of a class in New York whose booking opens in two hours."""
        row = studio.add(
            kind="event",
            starts_at=in_hours(72),
            venue=14,
            offering_type=31,
            registrations_open_at=in_hours(2),
        )
        return site_of(sources=BOTH), row["id"]

    def test_it_is_shown_in_the_time_of_the_venue(self, opening):
        client, identity = opening
        text = page(client, f"/classes/{identity}").text
        assert "Booking opens 23 Nov 2026, 09:00 New York time" in text

    @pytest.mark.parametrize(
        ("lang", "text"),
        [
            ("de", "Buchbar ab 23.11.2026, 09:00"),
            ("en-US", "Booking opens Nov 23, 2026, 9:00 AM"),
        ],
    )
    def test_it_is_shown_in_the_language_of_the_page(self, opening, lang, text):
        client, identity = opening
        assert text in page(client, f"/classes/{identity}?lang={lang}").text

    def test_the_link_to_book_leads_to_the_details_until_then(self, opening, clock):
        client, identity = opening
        assert link_text(client, identity) == "Details"
        clock.move(2 * 3600)
        assert link_text(client, identity) == "Book"

    def test_it_is_not_shown_any_more_when_booking_is_open(self, opening, clock):
        client, identity = opening
        path = f"/classes/{identity}"
        before = client.get(path)
        clock.move(2 * 3600 - 1)
        assert client.get(path).headers["ETag"] == before.headers["ETag"]
        clock.move(1)
        after = client.get(path)
        assert "Booking opens" not in after.text
        assert after.headers["Last-Modified"] == "Mon, 23 Nov 2026 14:00:00 GMT"

    def test_it_is_not_shown_for_a_cancelled_class(self, opening, studio):
        client, identity = opening
        studio.cancel(identity, kind="event")
        found = page(client, f"/classes/{identity}")
        assert "Cancelled" in found.text
        assert "Booking opens" not in found.text

    def test_without_a_time_nothing_is_shown(self, whole):
        assert "Booking opens" not in page(whole, f"/sessions/{demo_id(4, days=1)}").text


def link_text(client: FlaskClient, identity: int) -> str:
    [text] = re.findall(
        '<a class="button"[^>]*>([^<]*)</a>', client.get(f"/classes/{identity}").text
    )
    return text


class TestLeftOut:
    PATHS = ("/", "/venues/12", "/sessions?view=week", "/embed/venues/12")

    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize(
        ("refused", "notice"), [("events", NO_CLASSES), ("course_sessions", NO_COURSES)]
    )
    def test_pages_say_which_part_is_missing(self, site_of, faults, path, refused, notice):
        faults.set("status", 403, source=refused)
        client = site_of(sources=BOTH)
        text = page(client, path).text
        assert [words for words in (NO_CLASSES, NO_COURSES) if words in text] == [notice]

    def test_they_say_so_in_the_language_of_the_page(self, site_of, faults):
        faults.set("status", 403, source="events")
        text = page(site_of(sources=BOTH), "/venues/12?lang=de").text
        assert "Reguläre Stunden sind nicht enthalten" in text

    @pytest.mark.parametrize("path", [*PATHS, f"/classes/{demo_id(8)}", f"/sessions/{demo_id(7)}"])
    def test_pages_of_the_whole_timetable_say_nothing(self, whole, path):
        text = page(whole, path).text
        assert "not included" not in text
        assert "Only sessions of courses" not in text

    @pytest.mark.parametrize("path", PATHS)
    def test_pages_say_nothing_about_a_list_that_the_operator_does_not_want(self, site, path):
        assert "not included" not in page(site, path).text

    def test_a_cached_page_says_so_no_longer_when_the_list_can_be_read(
        self, site_of, faults, clock
    ):
        faults.set("status", 403, source="events")
        client = site_of(sources=BOTH)
        assert NO_CLASSES in page(client, "/venues/12").text
        faults.clear()
        clock.move(600)
        until(lambda: "River room" in client.get("/venues/12").text, "the ordinary classes")
        assert NO_CLASSES not in page(client, "/venues/12").text


class TestAge:
    @pytest.mark.parametrize("path", ["/", "/venues/12", "/embed/venues/12"])
    def test_while_one_list_fails_pages_say_that_a_part_is_old(self, site_of, faults, clock, path):
        client = site_of(sources=BOTH)
        assert "as of" not in page(client, path).text
        faults.set("status", 500, source="course_sessions")
        clock.move(2 * 3600)
        until(lambda: "as of" in client.get(path).text, "the notice")
        until(lambda: "A part of" in client.get(path).text, "the other list")
        zone = " UTC" if path == "/" else ""
        notice = f"A part of this timetable is as of 23 Nov 2026, 12:00{zone}."
        assert notice in page(client, path).text

    def test_while_both_fail_they_say_that_the_timetable_is_old(self, site_of, faults, clock):
        client = site_of(sources=BOTH)
        assert page(client, "/venues/12")
        faults.set("status", 500)
        clock.move(2 * 3600)
        until(lambda: "as of" in client.get("/venues/12").text, "the notice")
        notice = "This is the timetable as of 23 Nov 2026, 12:00."
        assert notice in page(client, "/venues/12").text

    def test_a_page_of_the_list_that_works_says_nothing(self, site_of, faults, clock):
        client = site_of(sources=BOTH)
        assert page(client, "/rooms/71")
        faults.set("status", 500, source="course_sessions")
        clock.move(2 * 3600)
        until(lambda: client.get("/rooms/71").headers["Age"] == "0", "a refresh")
        assert "as of" not in page(client, "/rooms/71").text


class TestBuilder:
    def test_it_offers_rooms_types_categories_and_courses(self, whole):
        found = page(whole, "/")
        assert inputs(found, "rooms") == ["71", "72", "74", "73"]
        assert inputs(found, "category") == ["7", "6", "5"]
        assert {"31", "41", "45"} <= set(inputs(found, "offering_types"))
        assert {"51", "60"} <= set(inputs(found, "course"))

    def test_a_room_is_named_with_its_venue_if_several_venues_have_rooms(self, whole):
        assert "River room Riverside Studio" in page(whole, "/").text

    def test_a_room_is_named_alone_if_only_one_venue_has_rooms(self):
        studio = studio_of()
        studio.add(kind="event", starts_at=in_hours(1), venue_room=7)
        with served(studio) as client:
            assert "Rooms Hall Choose classes" in page(client, "/").text

    def test_each_item_links_to_a_page_of_its_own(self, whole):
        links = page(whole, "/").links
        for prefix, parameter in (("rooms", "rooms"), ("types", "offering_types")):
            pages = [link for link in links if link.startswith(f"/{prefix}/")]
            assert len(pages) == len(inputs(page(whole, "/"), parameter)) > 3
            for link in pages:
                assert "BEGIN:VEVENT" in whole.get(f"{link}.ics").text
                assert page(whole, link)

    def test_what_the_public_may_not_see_is_not_offered(self):
        studio = studio_of()
        studio.add(kind="event", starts_at=in_hours(1), venue_room=7)
        studio.add(kind="event", starts_at=in_hours(1), venue=2, venue_room=8, offering_type=4)
        with served(studio) as client:
            found = page(client, "/")
            assert "/rooms/7-hall" in found.links
            assert "/types/3-flow" in found.links
            assert not {"/rooms/8-hall", "/types/4-staff"} & set(found.links)
            assert "Loft" not in found.text

    def test_only_a_studio_with_both_lists_can_choose_what_to_show(self, whole, site):
        selects = [tag["id"] for tag in page(whole, "/").all("select")]
        assert selects == ["sources", "cancelled", "availability"]
        assert "sources" not in [tag["id"] for tag in page(site, "/").all("select")]
        studio = studio_of()
        studio.add(kind="event", starts_at=in_hours(1))
        # invisible to the public
        studio.add(starts_at=in_hours(1), course=records.course(10, "Training", 4))
        with served(studio) as client:
            assert "sources" not in [tag["id"] for tag in page(client, "/").all("select")]

    def test_without_courses_rooms_or_a_second_category_their_lists_are_missing(self, site):
        studio = studio_of()
        studio.add(kind="event", starts_at=in_hours(1))
        with served(studio) as client:
            found = page(client, "/")
            titles = re.findall("<h3[^>]*>(.*?)</h3>", found.source)
            assert titles == ["Venues", "Class types"]
        assert inputs(page(site, "/"), "rooms") == []

    def test_two_categories_are_a_choice(self):
        studio = studio_of(
            offering_types=[
                records.offering_type(3, "Flow", category=5),
                records.offering_type(4, "Lifting", category=6),
            ]
        )
        for kind in (3, 4):
            studio.add(kind="event", starts_at=in_hours(1), offering_type=kind)
        with served(studio) as client:
            assert inputs(page(client, "/"), "category") == ["6", "5"]

    def test_its_form_works_without_scripts(self, whole):
        [everything] = [
            tag["value"] for tag in page(whole, "/").all("option") if "," in tag["value"]
        ]
        query = f"sources={everything}&cancelled=status&availability=none"
        assert page(whole, f"/sessions?{query}").value("address").endswith("/sessions.ics")
        chosen = page(whole, "/sessions?sources=events&rooms=71&category=5&offering_types=41")
        assert chosen.value("address").endswith(
            "/sessions.ics?sources=events&rooms=71&offering_types=41&category=5&_=.ics"
        )

    @pytest.mark.parametrize(
        ("query", "heading"),
        [
            ("sources=events", "Ordinary classes"),
            ("sources=course_sessions", "Courses"),
            ("sources=events,course_sessions", "All classes"),
            ("sources=events&rooms=71", "River room"),
            ("status=active", "Selected classes"),
        ],
    )
    def test_the_page_of_a_choice_is_named_after_it(self, whole, query, heading):
        assert f"<h1><bdi>{heading}</bdi></h1>" in page(whole, f"/sessions?{query}").source


class TestTypes:
    def test_the_page_of_a_type_is_named_after_it(self, whole):
        found = page(whole, "/types/45")
        assert "Class type Indoor Cycling" in found.text
        assert "/types/45-indoor-cycling.ics" in found.links

    def test_the_page_of_a_type_without_a_name_has_the_name_of_its_class(self):
        studio = studio_of(offering_types=[records.offering_type(3, "")])
        studio.add(kind="event", starts_at=in_hours(1), name="Flow")
        with served(studio) as client:
            assert "<h1><bdi>Flow</bdi></h1>" in page(client, "/types/3").source

    def test_the_page_of_a_class_links_to_its_type(self, whole):
        midnight = page(whole, f"/classes/{demo_id(56, days=5)}")
        assert "Class type Sound Bath" in midnight.text
        assert "/types/49-sound-bath" in midnight.links


class TestErrors:
    @pytest.mark.parametrize(
        ("path", "lang", "message"),
        [
            ("/rooms/999", "en", "This room was not found"),
            ("/types/999", "en", "This class type was not found"),
            ("/classes/999", "en", "This class was not found"),
            ("/embed/rooms/999", "en", "This room was not found"),
            ("/rooms/999", "de", "Dieser Raum wurde nicht gefunden"),
            ("/types/999", "de", "Diese Kursart wurde nicht gefunden"),
        ],
    )
    def test_unknown_objects_are_reported(self, whole, path, lang, message):
        assert message in page(whole, f"{path}?lang={lang}", 404).text

    def test_a_private_appointment_is_unknown(self, whole):
        assert (
            "This class was not found" in page(whole, f"/classes/{demo_id(19, days=1)}", 404).text
        )


class TestEmbed:
    def test_a_single_class_can_be_added_but_not_subscribed_to(self, whole):
        path = f"/classes/{demo_id(8)}-yin-restore"
        found = page(whole, f"/embed{path}")
        assert f"{path}#add" in found.links
        assert "Add to calendar" in found.text
        assert "Subscribe" not in found.text
        assert 'id="add"' in page(whole, path).source


class TestStatus:
    @pytest.fixture
    def make_site(self, make_bridge: Callable[..., Services]) -> Callable[..., FlaskClient]:
        return lambda **fields: create_app(
            make_bridge(sources=BOTH, sandbox=True, **fields)
        ).test_client()

    @staticmethod
    def facts(site: FlaskClient, lang: str = "en") -> dict[str, str]:
        source = page(site, f"/status?lang={lang}").source
        rows = re.findall(r"<dt>(.*?)</dt>\s*<dd>(.*?)</dd>", source, re.DOTALL)
        return {
            " ".join(name.split()): " ".join(re.sub("<[^>]*>", " ", text).split())
            for name, text in rows
        }

    def wait_for_failure(self, site: FlaskClient, name: str) -> None:
        """Request a feed, which starts a refresh, until the failure of the list is known."""

        def failing() -> bool:
            site.get("/sessions.ics")
            return "Failing since" in self.facts(site)[name]

        until(failing, "a failure")

    def test_it_shows_each_list_with_its_last_success_and_its_sessions(self, make_site):
        site = make_site()
        site.get("/sessions.ics")
        facts = self.facts(site)
        at = r"23 Nov 2026, 12:00:00 UTC, 1 second ago; (\d+) classes"
        classes = re.fullmatch(at, facts["Ordinary classes"])
        courses = re.fullmatch(at, facts["Courses"])
        assert classes is not None
        assert courses is not None
        listed = f"{int(classes[1]) + int(courses[1]):,} classes"
        assert facts["Classes"] == listed

    def test_a_failing_list_is_named_with_the_cause_and_its_copy(self, make_site, faults, clock):
        site = make_site()
        site.get("/sessions.ics")
        faults.set("status", 403, source="events")
        clock.move(600)
        self.wait_for_failure(site, "Ordinary classes")
        facts = self.facts(site)
        assert facts["Ordinary classes"].startswith("23 Nov 2026, 12:00:00 UTC, 10 minutes ago; ")
        assert "Failing since 23 Nov 2026, 12:10:00 UTC, 1 second ago:" in facts["Ordinary classes"]
        assert "lacks permission" in facts["Ordinary classes"]
        assert "Failing" not in facts["Courses"]
        text = page(site, "/status").text
        assert "failing for a part of the timetable: Ordinary classes." in text
        assert "the first failure was" not in text

    def test_a_failure_of_both_lists_is_a_failure_of_teamup(self, make_site, faults, clock):
        site = make_site()
        site.get("/sessions.ics")
        faults.set("status", 401)
        clock.move(600)
        self.wait_for_failure(site, "Courses")
        text = page(site, "/status").text
        assert "the first failure was" in text
        assert "a part of the timetable" not in text

    @pytest.mark.parametrize(
        ("lang", "text", "other"),
        [
            ("en", "Left out: TeamUp does not let the bridge read this list", "Courses"),
            ("de", "Weggelassen: TeamUp erlaubt der Bridge nicht, diese Liste zu lesen", "Kurse"),
        ],
    )
    def test_a_list_that_is_left_out_is_named_with_what_to_do(
        self, make_site, faults, lang, text, other
    ):
        faults.set("status", 403, source="events")
        site = make_site()
        site.get("/sessions.ics")
        facts = self.facts(site, lang)
        row = facts[{"en": "Ordinary classes", "de": "Reguläre Stunden"}[lang]]
        assert text in row
        assert "events" in row
        assert "TEAMUP_SOURCES" in row
        assert "permission_denied" in row
        assert "UTC" in facts[other]
        notice = {"en": "Requests to TeamUp are failing", "de": "Anfragen an TeamUp schlagen"}
        assert notice[lang] not in page(site, f"/status?lang={lang}").text
        sources = site.get("/status?format=json").json["upstream"]["sources"]
        assert [name for name, state in sources.items() if state["left_out"]] == ["events"]

    def test_a_list_that_was_never_read_is_not_called_a_success(self, make_site, faults):
        faults.set("status", 500, source="events")
        site = make_site()
        assert site.get("/sessions.ics").status_code == 503
        until(lambda: "UTC" in self.facts(site)["Courses"], "the courses")
        facts = self.facts(site)
        assert facts["Ordinary classes"].startswith("not read yet")
        assert facts["Last success"] == "None yet: a part of the timetable was never read."

    @pytest.mark.parametrize(
        ("lang", "later", "appointments"),
        [
            ("en", "later than PUBLIC_HORIZON_DAYS allows", "private appointments"),
            ("de", "später, als PUBLIC_HORIZON_DAYS erlaubt", "private Einzeltermine"),
        ],
    )
    def test_it_counts_appointments_and_what_is_too_far_ahead(
        self, make_site, lang, later, appointments
    ):
        site = make_site(public_horizon_days=7)
        site.get("/sessions.ics")
        hidden = self.facts(site, lang)[{"en": "Hidden", "de": "Ausgeblendet"}[lang]]
        assert re.search(rf"\d+ {later}", hidden)
        assert re.search(rf"\d+ {appointments}", hidden)


@pytest.fixture(scope="module")
def crowded() -> Iterator[FlaskClient]:
    """A client of a bridge whose studio has many objects, all with long names."""
    studio = Studio(
        venues=[records.venue(n, long(n), "Europe/London") for n in range(1, 31)],
        venue_rooms=[records.venue_room(n, long(n), n % 30 + 1) for n in range(1, 121)],
        instructors=[records.instructor(n, long(n)) for n in range(1, 201)],
        categories=[records.category(n, long(n)) for n in range(1, 31)],
        offering_types=[
            records.offering_type(n, long(n), category=n % 30 + 1) for n in range(1, 101)
        ],
        courses=[records.course(n, long(n), n % 100 + 1) for n in range(1, 101)],
    )
    for n in range(800):
        start = NOW.replace(microsecond=0) + timedelta(hours=1, minutes=10 * n)
        common = {"starts_at": start, "instructors": [n % 200 + 1, (n + 7) % 200 + 1]}
        room = n % 120 + 1
        studio.add(kind="event", venue=room % 30 + 1, venue_room=room,
                   offering_type=n % 100 + 1, **common)  # fmt: skip
        studio.add(venue=n % 30 + 1, course=n % 100 + 1, **common)
    with served(studio, public_base_url="https://calendar.example.org") as client:
        until(lambda: client.get("/sessions.json").status_code == 200, "a timetable", 60)
        yield client


def long(number: int) -> str:
    return f"{number} & what is called by a rather long name, Größe {'x' * 40}"


@pytest.mark.parametrize(
    "path",
    [
        "/?lang=zh-Hant-TW", "/sessions", "/sessions?view=week", "/rooms/1", "/types/1?view=week",
        "/embed/sessions", "/embed/sessions?view=week", "/sessions?view=month",
    ],
)  # fmt: skip
def test_every_page_is_below_100_kb(crowded: FlaskClient, path: str) -> None:
    found = page(crowded, path)
    assets = {tag["src"] for tag in found.all("script") if "src" in tag}
    assets |= {link for link in found.links if link.startswith("/static/")}
    bodies = [crowded.get(asset).data for asset in assets]
    assert len(found.source.encode()) + sum(map(len, bodies)) < 100_000


OBJECTS = ("venues", "rooms", "instructors", "offering_types", "category", "course")
UNKNOWN = ",".join(str(1_000_000_000 + number) for number in range(100))
OTHERS = (
    "&past=0&future=365&alarm=15&tz=local&cancelled=keep&availability=full&status=active"
    "&weekdays=mon,tue,wed,thu,fri,sat,sun&time_from=00:01&time_until=23:59"
    "&sources=events,course_sessions"
)


@pytest.mark.parametrize(
    ("query", "status", "limit"),
    [
        # 600 ids, in less than 8 kB.
        ("&".join(f"{name}={UNKNOWN}" for name in OBJECTS), 414, 2_000),
        ("&".join(f"{name}={','.join(map(str, range(1, 101)))}" for name in OBJECTS), 414, 2_000),
        (f"instructors={UNKNOWN[: 11 * 30 - 1]}{OTHERS}", 200, 100_000),
        (f"instructors={','.join(map(str, range(1, 45)))}{OTHERS}", 200, 100_000),
        (
            f"category={','.join(map(str, range(1, 31)))}&rooms=1,2,3,4,5,6,7,8,9,10{OTHERS}",
            200,
            100_000,
        ),
        (f"instructors={UNKNOWN[: 11 * 68 - 1]}{OTHERS}", 200, 150_000),
        (f"instructors={','.join(map(str, range(1, 91)))}{OTHERS}", 200, 150_000),
        (
            f"category={','.join(map(str, range(1, 91)))}&rooms=1,2,3,4,5,6,7,8,9,10{OTHERS}",
            200,
            150_000,
        ),
    ],
    ids=[
        "unknown ids",
        "ids",
        "30 unknown ids",
        "44 long names",
        "40 long names",
        "68 unknown ids",
        "90 long names",
        "100 long names",
    ],
)
@pytest.mark.parametrize(
    "path",
    [
        "/sessions?", "/sessions?view=week&lang=zh-Hant-TW&", "/sessions?view=month&",
        f"/embed/sessions?filters=on&view=month&fixed={'past,venues,' * 200}&",
        "/embed/sessions?filters=on&view=week&fixed=&", "/sessions/changes?",
    ],
    ids=["list", "week", "month", "embedded month", "embedded week", "changes"],
)  # fmt: skip
def test_no_query_makes_a_page_larger_than_its_limit(
    crowded: FlaskClient, path: str, query: str, status: int, limit: int
) -> None:
    response = crowded.get(path + query)
    assert response.status_code == status
    assert len(response.data) < limit


def test_every_class_of_a_long_day_is_reached_through_the_link_to_the_rest(
    crowded: FlaskClient,
) -> None:
    address: str | None = "/sessions?from=2026-11-24&weekdays=tue&time_from=06:00"
    found: set[str] = set()
    while address:
        [day] = re.findall('<section class="day" aria-labelledby="d2026-11-24">.*?</section>',
                           crowded.get(address).text, re.DOTALL)  # fmt: skip
        new = {*re.findall('href="(/(?:sessions|classes)/[^"]*)"', day)}
        assert new - found, address
        found |= new
        rest = re.search('<p class="more"><a href="([^"]*)"', day)
        address = html.unescape(rest[1]) if rest else None
    assert len(found) == 18 * 6 * 2
