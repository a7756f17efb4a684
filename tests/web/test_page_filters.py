"""The filters of timetable pages: choices, what is chosen, and unknown objects."""

import re
from collections.abc import Iterator
from urllib.parse import parse_qsl, urlencode

import pytest
from flask.testing import FlaskClient
from web.conftest import NOW
from web.pages import Page, page
from web.test_whole_timetable_pages import served

from bridge.sandbox import records
from bridge.sandbox.demo_timetable import demo_studio
from bridge.sandbox.studio import Studio

VENUE = "/venues/12-riverside-studio"


@pytest.fixture(scope="module")
def whole() -> Iterator[FlaskClient]:
    """A client of a bridge with the demo studio, which tests must not change."""
    with served(demo_studio(NOW.date())) as client:
        client.get("/sessions.ics")
        yield client


def choices(found: Page) -> dict[str, list[str]]:
    """The values that the form of a page offers, by parameter."""
    form = form_of(found)
    lists = {
        name: re.findall(r'<option value="([^"]+)"', options)
        for name, options in re.findall(
            r'<select id="\w+" name="(\w+)">(.*?)</select>', form, re.DOTALL
        )
    }
    days = re.findall(r'type="checkbox" name="weekdays" value="(\w+)"', form)
    return {**lists, "weekdays": days}


def form_of(found: Page) -> str:
    [form] = re.findall(r'<details class="filters">(.*?)</details>', found.source, re.DOTALL)
    return form


def submitted(found: Page, **changes: str) -> str:
    """The address to which the form of a page leads after *changes*."""
    form = form_of(found)
    [action] = re.findall(r'<form action="([^"]*)"', form)
    fields = [
        (tag["name"], tag["value"])
        for tag in Page(form).all("input")
        if tag["type"] != "checkbox" or "checked" in tag
    ]
    for name, options in re.findall(
        r'<select id="\w+" name="(\w+)">(.*?)</select>', form, re.DOTALL
    ):
        chosen = re.findall(r'value="([^"]*)" selected', options)
        fields.append((name, chosen[0] if chosen else ""))
    kept = [(name, value) for name, value in fields if name not in changes]
    return f"{action}?{urlencode([*kept, *changes.items()])}"


def active(found: Page) -> dict[str, str]:
    """The links that remove a filter, by the filter's text."""
    rows = re.findall(
        r'<li><a href="([^"]*)"><span class="unseen">[^<]*</span><bdi>([^<]*)</bdi>', found.source
    )
    return {text: link.replace("&amp;", "&") for link, text in rows}


def sessions(client: FlaskClient, path: str) -> list[dict]:
    return client.get(f"{path}.json" if "?" not in path else path.replace("?", ".json?")).json


class TestManyFilters:
    QUERY = "venues=" + ",".join(map(str, range(12, 42)))

    def test_some_have_a_link_and_the_rest_can_be_removed_together(self, whole):
        found = page(whole, f"/sessions?{self.QUERY}&alarm=15")
        links = active(found)
        assert 1 < len(links) <= 20
        assert f"and {30 - len(links)} more" in found.text
        [everything] = re.findall(r'<a href="([^"]*)">Remove all filters', found.source)
        assert everything == "/sessions?alarm=15"

    def test_the_fixed_ones_of_an_embedded_page_stay(self, whole):
        path = f"/embed/sessions?filters=on&fixed=weekdays,rooms&weekdays=mon&{self.QUERY}"
        found = page(whole, path)
        [everything] = re.findall(r'<a href="([^"]*)">Remove all filters', found.source)
        assert "venues=" not in everything
        assert "weekdays=mon" in everything

    def test_names_that_change_nothing_or_are_repeated_are_not_in_links(self, whole):
        found = page(whole, f"/embed/sessions?filters=on&fixed={'rooms,past,' * 50}rooms")
        assert set(re.findall(r'fixed=([^&"]*)', found.source)) == {"rooms"}


class TestChoices:
    def test_they_occur_in_the_feed(self, whole):
        offered = choices(page(whole, "/venues/12"))
        rows = sessions(whole, "/venues/12")
        assert set(offered) == {"weekdays", "offering_types", "instructors", "rooms"}
        assert set(offered["offering_types"]) == {str(row["type"]["id"]) for row in rows}
        assert set(offered["instructors"]) == {
            str(person["id"]) for row in rows for person in row["instructors"]
        }
        assert offered["weekdays"] == ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

    def test_each_passes_the_other_filters(self, whole):
        found = page(whole, "/venues/12?weekdays=sun&offering_types=31")
        offered = choices(found)
        rows = sessions(whole, "/venues/12?weekdays=sun")
        assert set(offered["offering_types"]) == {str(row["type"]["id"]) for row in rows} | {"31"}
        for value in offered["offering_types"]:
            if value != "31":
                assert sessions(whole, f"/venues/12?weekdays=sun&offering_types={value}")

    @pytest.mark.parametrize(
        ("path", "missing"),
        [
            ("/rooms/71", "rooms"),
            ("/instructors/11", "instructors"),
            ("/types/45", "offering_types"),
        ],
    )
    def test_they_do_not_repeat_what_the_page_is_about(self, whole, path, missing):
        assert missing not in choices(page(whole, path))

    def test_they_do_not_contain_what_the_public_may_not_see(self, whole):
        form = form_of(page(whole, "/sessions"))
        for name in ("Grace", "Tom O’", "Members", "Staff Training"):
            assert name not in form

    def test_rooms_of_several_venues_are_named_with_their_venue(self, whole):
        assert ">Riverside Studio, River room</option>" in form_of(page(whole, "/sessions"))
        assert ">River room</option>" in form_of(page(whole, "/venues/12"))

    def test_weekdays_begin_with_the_first_day_of_the_week(self, whole):
        assert choices(page(whole, "/venues/12?lang=en-US"))["weekdays"][0] == "sun"

    def test_where_nothing_can_be_chosen_there_is_no_form(self, whole):
        assert 'class="filters"' not in page(whole, "/venues/12?starts_at_gte=2035-01-01").source

    def test_those_of_a_large_studio_fit_into_the_page(self):
        studio = Studio(
            venues=[records.venue(1, "Riverside", "Europe/London")],
            offering_types=[records.offering_type(3, "Flow")],
            instructors=[
                records.instructor(number, f"Instructor with a long name {number:03}")
                for number in range(1, 301)
            ],
        )
        for number in range(1, 301):
            studio.add(kind="event", venue=1, offering_type=3, instructors=[number],
                       starts_at=f"2026-11-{24 + number % 5}T10:00:00Z")  # fmt: skip
        with served(studio) as client:
            found = page(client, "/sessions?instructors=300")
            values = choices(found)["instructors"]
            assert 100 < len(values) < 200
            assert "300" in values
            assert f"and {300 - len(values)} more" in found.text


class TestForm:
    def test_it_keeps_the_rest_of_the_address(self, whole):
        path = (
            "/venues/12?cancelled=keep&past=3&weekdays=sat&instructors=11&view=week"
            "&from=2026-11-28&lang=de"
        )
        found = page(whole, path)
        query = dict(parse_qsl(submitted(found, offering_types="31").partition("?")[2]))
        assert query == {
            "cancelled": "keep", "past": "3", "weekdays": "sat", "instructors": "11",
            "view": "week", "from": "2026-11-28", "lang": "de", "offering_types": "31",
        }  # fmt: skip

    def test_an_unchanged_form_leads_to_the_same_feed(self, whole):
        path = "/sessions?weekdays=sat&time_from=08:00&instructors=11,12&rooms=71"
        found = page(whole, path)
        again = page(whole, submitted(found))
        assert again.value("address") == found.value("address")
        assert "instructors=11&instructors=12" in again.value("address")

    def test_the_page_subscribes_to_the_filtered_feed(self, whole):
        found = page(
            whole, submitted(page(whole, "/venues/12"), weekdays="sat", time_until="12:00")
        )
        address = found.value("address")
        assert address.endswith(f"{VENUE}.ics?weekdays=sat&time_until=12:00&_=.ics")
        rows = sessions(whole, "/venues/12?weekdays=sat&time_until=12:00")
        assert rows
        body = whole.get(address.removeprefix("http://localhost")).text
        assert body.count("BEGIN:VEVENT") == len(rows)


class TestActive:
    def test_each_can_be_removed(self, whole):
        query = "cancelled=keep&venues=12&venues=13&offering_types=31&weekdays=sat&time_from=08:00"
        found = page(whole, f"/sessions?{query}&time_until=12:30&view=week")
        links = active(found)
        assert list(links) == [
            "Riverside Studio", "The Old Chapel; Café &amp; Gym", "Vinyasa Flow", "Saturday",
            "08:00–12:30",
        ]  # fmt: skip
        assert links["Saturday"] == (
            "/sessions?venues=12&venues=13&offering_types=31&time_from=08:00&time_until=12:30"
            "&cancelled=keep&view=week"
        )
        assert "time_" not in links["08:00–12:30"]
        assert "venues=12&" not in links["Riverside Studio"]
        for link in links.values():
            assert len(active(page(whole, link))) == len(links) - 1

    def test_the_last_one_leads_to_the_whole_timetable(self, whole):
        assert active(page(whole, "/venues/12?time_from=17:00")) == {"from 17:00": VENUE}

    def test_the_title_states_them(self, whole):
        found = page(whole, "/venues/12?weekdays=sat&instructors=11&time_until=12:00&lang=de")
        title = "Riverside Studio · Zoë Ashdown · Samstag · vor 12:00"
        assert f"<title>{title}: " in found.source
        outlook = next(link for link in found.links if "outlook.live" in link)
        assert "Zo%C3%AB%20Ashdown" in outlook

    def test_a_name_that_states_them_is_not_repeated(self, whole):
        found = page(whole, "/sessions?venues=12&instructors=11&weekdays=sat")
        assert "<title>Riverside Studio · Zoë Ashdown · Saturday: " in found.source
        assert "<h1><bdi>All classes</bdi></h1>" in page(whole, "/sessions?weekdays=sat").source

    def test_other_filters_are_shown_as_in_the_address(self, whole):
        assert active(page(whole, "/venues/12?status=active")) == {"status=active": VENUE}


class TestUnknownObjects:
    def test_the_page_says_so(self, whole):
        found = page(whole, "/sessions?venues=12,99&instructors=98")
        assert "No public class of Venue 99, Instructor 98 is known" in found.text
        german = page(whole, "/venues/12?rooms=99&lang=de")
        assert "Es ist kein öffentlicher Termin bekannt von: Raum 99" in german.text

    @pytest.mark.parametrize(
        "query", ["venues=12&instructors=19", "venues=12&weekdays=sat&starts_at_gte=2035-01-01"]
    )
    def test_known_objects_without_common_classes_are_not_unknown(self, whole, query):
        assert "is known" not in page(whole, f"/sessions?{query}").text

    def test_an_object_that_the_public_may_not_see_is_unknown(self, whole):
        hidden = page(whole, "/sessions?offering_types=34").text
        missing = page(whole, "/sessions?offering_types=99").text
        assert hidden.replace("34", "99") == missing
