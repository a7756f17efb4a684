"""The next class of the same kind as a cancelled one, and other explanations on pages."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from web.pages import page
from web.test_whole_timetable_pages import in_hours, served, studio_of, view

from bridge.config import Availability
from bridge.feeds.session_view import SessionView
from bridge.model import ClassSession, Course, OfferingType, Status, Venue
from bridge.web.pages.next_classes import NextClasses

HERE, THERE = Venue(1, "Here"), Venue(2, "There")
YOGA, GYM = OfferingType(3, "Yoga"), OfferingType(4, "Gym")


def session(number: int, **fields: object) -> ClassSession:
    """A class that starts in so many hours."""
    start = in_hours(number)
    values = {"venue": HERE, "offering_type": YOGA, **fields}
    return ClassSession("event", number, "Flow", start, start + timedelta(hours=1), **values)


def found(cancelled: ClassSession, *others: ClassSession) -> int | None:
    """The number of the class that follows the cancelled one."""
    views: list[SessionView] = [view(other) for other in (cancelled, *others)]
    views.sort(key=lambda item: item.session.start)
    after = NextClasses(views).after(cancelled)
    return after and after.session.id


class TestNextClass:
    CANCELLED = session(5, status=Status.CANCELLED)

    def test_it_is_the_next_of_the_same_type(self):
        others = (session(2), session(6, offering_type=GYM), session(8), session(9))
        assert found(self.CANCELLED, *others) == 8

    def test_the_same_venue_comes_before_an_earlier_start(self):
        assert found(self.CANCELLED, session(6, venue=THERE), session(9)) == 9
        assert found(self.CANCELLED, session(6, venue=THERE), session(7, venue=None)) == 6

    def test_it_takes_place(self):
        assert found(self.CANCELLED, session(6, status=Status.CANCELLED), session(9)) == 9
        assert found(self.CANCELLED, session(2)) is None

    def test_a_course_is_more_exact_than_a_type(self):
        course = Course(7, "Evenings")
        cancelled = replace(self.CANCELLED, course=course)
        assert found(cancelled, session(6), session(9, course=course)) == 9

    def test_without_a_type_the_title_decides(self):
        cancelled = replace(self.CANCELLED, offering_type=None)
        other = replace(session(6, offering_type=None), title="Other")
        assert found(cancelled, other, session(9, offering_type=None)) == 9


@pytest.fixture(scope="module")
def client() -> Iterator[FlaskClient]:
    """A client of a studio with a cancelled class, a full one, and one that follows them."""
    studio = studio_of()
    common = {"kind": "event", "offering_type": 3, "max_occupancy": 10}
    studio.add(id=1, name="Early", starts_at=in_hours(2), attending_count=0, **common)
    studio.add(id=2, starts_at=in_hours(4), attending_count=10, waiting_count=2, **common)
    studio.add(id=3, starts_at=in_hours(30), attending_count=0, venue=2, **common)
    studio.add(id=4, starts_at=in_hours(60), attending_count=0, offering_type=4, kind="event")
    studio.cancel(1, kind="event")
    with served(studio, public_availability=Availability.SPOTS) as found:
        yield found


class TestCancelledClass:
    @pytest.mark.parametrize("path", ["/sessions", "/sessions?view=week", "/classes/1"])
    def test_it_names_the_next_of_its_kind(self, client, path):
        text = page(client, path).text
        assert "Next: Mon 23 Nov, 16:00" in text
        assert "/classes/2" in page(client, path).links

    def test_a_venue_elsewhere_is_named(self):
        studio = studio_of()
        studio.add(kind="event", id=1, starts_at=in_hours(2))
        studio.add(kind="event", id=2, starts_at=in_hours(30), venue=2)
        studio.cancel(1, kind="event")
        with served(studio) as client:
            text = page(client, "/classes/1?lang=de").text
        assert "Nächster Termin: Di., 24. Nov., 13:00 · Loft" in text

    def test_the_page_explains_what_google_does(self, client):
        found = page(client, "/sessions?weekdays=mon&view=week&lang=de")
        assert "Google Kalender blendet abgesagte Termine aus" in found.text
        [link] = re.findall(r'href="([^"]*)">wählen Sie', found.source)
        kept = page(client, link.replace("&amp;", "&"))
        assert kept.value("address").endswith("?weekdays=mon&cancelled=keep&lang=de&_=.ics")
        assert "behält abgesagte Termine" in kept.text
        [back] = re.findall(r'href="([^"]*)">Zum Kalender, der sie nicht', kept.source)
        assert page(client, back.replace("&amp;", "&")).source == found.source

    @pytest.mark.parametrize("path", ["/sessions?cancelled=hide", "/venues/2"])
    def test_without_cancelled_classes_nothing_is_explained(self, client, path):
        assert "Google Calendar hides" not in page(client, path).text


class TestFullClass:
    def test_its_page_says_how_to_join_the_waiting_list(self, client):
        text = page(client, "/classes/2").text
        assert "There is a waiting list, which you can join on the booking page." in text
        assert "Waiting list" in text

    def test_without_a_known_waiting_list_the_booking_page_is_named(self, site):
        rows = page(site, "/sessions").source
        full = r'href="(/sessions/\d+)"[^>]*><bdi>[^<]*</bdi></a>\s*<strong class="mark">Full'
        path = re.findall(full, rows)[0]
        assert "The booking page says whether you can join a waiting list." in page(site, path).text

    def test_where_places_are_not_public_nothing_is_said(self):
        studio = studio_of()
        studio.add(
            kind="event", id=2, starts_at=in_hours(4), max_occupancy=1, attending_count=1,
            waiting_count=1,
        )  # fmt: skip
        with served(studio, public_availability=Availability.NONE) as hidden:
            text = page(hidden, "/classes/2").text
            assert "full" not in text.lower()
            assert "aiting list" not in text


def test_the_colours_of_types_are_explained(site):
    found = page(site, "/venues/12").source
    [legend] = re.findall(r'<ul class="legend".*?</ul>', found, re.DOTALL)
    names = re.findall(r"<bdi>(.*?)</bdi>", legend)
    assert len(names) > 1
    assert names == sorted(names)
    assert 'class="legend"' not in page(site, "/types/31").source


def test_filters_that_no_class_passes_are_not_a_break_of_the_studio(site):
    text = page(site, "/venues/12?time_from=03:00&time_until=04:00").text
    assert "No coming class passes all of these filters." in text
    assert "Studios take breaks" not in text
