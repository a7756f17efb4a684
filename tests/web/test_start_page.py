"""The start page: what it leads to, its lists, and its form for choosing classes."""

import json
import re
from collections.abc import Iterator
from itertools import product
from urllib.parse import parse_qsl, urlsplit

import pytest
from flask.testing import FlaskClient
from web.conftest import NOW
from web.pages import Page, page
from web.test_feeds import until
from web.test_whole_timetable_pages import in_hours, inputs, served, studio_of

from bridge.sandbox import records
from bridge.sandbox.demo_timetable import demo_studio
from bridge.web.pages import page_budget
from bridge.web.pages.feed_builder import weekdays

DAYS = "mon tue wed thu fri sat sun".split()


@pytest.fixture(scope="module")
def whole() -> Iterator[FlaskClient]:
    """A client of a bridge with the demo studio, which tests must not change."""
    with served(demo_studio(NOW.date()), studio_name="Riverside Movement") as client:
        # On a busy machine the walk may take longer than a request waits.
        until(lambda: client.get("/sessions.json").status_code == 200, "a timetable", 60)
        yield client


def focusable(found: Page) -> list[dict[str, str]]:
    """The elements of a page that the tab key reaches, in order; without scripts."""
    names = ("a", "button", "input", "select", "textarea", "summary")
    return [
        attributes
        for name, attributes in found.tags
        if name in names and "hidden" not in attributes and attributes.get("type") != "hidden"
    ]


class TestLead:
    def test_the_studio_is_the_heading(self, whole):
        found = page(whole, "/")
        assert "<h1><bdi>Riverside Movement</bdi></h1>" in found.source
        assert "<title>Riverside Movement: timetable and calendar</title>" in found.source

    def test_subscribing_embedding_and_printing_all_classes_take_one_click(self, whole):
        links = [
            link
            for link in page(whole, "/").links
            if re.fullmatch(r"/sessions(\?view=week)?(#.*)?", link)
        ]
        assert links == [
            "/sessions#subscribe",
            "/sessions",
            "/sessions#embed",
            "/sessions?view=week",
        ]
        for link in links:
            target = page(whole, link)
            fragment = urlsplit(link).fragment
            assert not fragment or fragment in [tag.get("id") for _, tag in target.tags]

    def test_the_main_button_is_reached_within_ten_tab_stops(self, site_of):
        client = site_of(studio_name="Riverside", studio_url="https://studio.example/")
        stops = focusable(page(client, "/"))
        # The links to other languages are closed in a list.
        stops = [stop for stop in stops if "hreflang" not in stop]
        [position] = [n for n, stop in enumerate(stops, 1) if stop.get("class") == "button"][:1]
        assert stops[position - 1]["href"] == "/sessions#subscribe"
        assert position <= 10

    def test_links_keep_the_language(self, whole):
        links = page(whole, "/?lang=de").links
        assert "/sessions?lang=de#subscribe" in links
        assert "/sessions?view=week&lang=de" in links


class TestLists:
    def test_each_row_is_a_link_and_no_box(self, whole):
        lists, _, form = whole.get("/").text.partition("<form")
        assert "<input" not in re.sub(r"<p class=\"find\" hidden>.*?</p>", "", lists, flags=re.S)
        assert '<a href="/venues/13-the-old-chapel-cafe-gym">' in lists
        assert '<a href="/sessions?category=5">' in lists
        assert "<a href" not in form

    def test_a_category_leads_to_its_timetable(self, whole):
        assert "<h1><bdi>Yoga</bdi></h1>" in page(whole, "/sessions?category=5").source

    def test_types_that_have_the_classes_of_one_course_are_closed(self, whole):
        source = whole.get("/").text
        closed = re.findall(
            r"<details><summary>2 more, each with the same classes as a course</summary>"
            r"(.*?)</details>",
            source,
            re.DOTALL,
        )
        assert len(closed) == 2
        for rows in closed:
            assert re.findall("<bdi>(.*?)</bdi>", rows) == ["Junior Gymnastics", "Reformer Pilates"]
        assert source.count("<bdi>Reformer Pilates</bdi>") == 2

    def test_an_item_that_has_all_classes_is_listed_but_no_choice(self):
        studio = studio_of()
        studio.add(kind="event", starts_at=in_hours(1))
        with served(studio) as client:
            found = page(client, "/")
            assert {"/venues/1-riverside", "/types/3-flow"} <= set(found.links)
            assert inputs(found, "venues") == inputs(found, "offering_types") == []

    def test_few_items_are_not_searched(self, whole, site):
        studio = studio_of()
        studio.add(kind="event", starts_at=in_hours(1))
        with served(studio) as client:
            assert "search" not in [tag.get("type") for tag in page(client, "/").all("input")]
        searched = [tag["id"] for tag in page(whole, "/").all("input") if tag["type"] == "search"]
        assert searched == ["find-directory", "find-choose"]


class TestForm:
    def test_saturday_mornings_of_one_venue_have_a_page_and_a_feed_without_scripts(self, whole):
        fields = {tag.get("name") for _, tag in page(whole, "/").tags}
        assert {"venues", "weekdays", "time_from", "time_until"} <= fields
        query = "venues=13&weekdays=sat&time_from=&time_until=12:00&cancelled=status"
        address = page(whole, f"/sessions?{query}").value("address")
        assert address.endswith("/sessions.ics?venues=13&weekdays=sat&time_until=12:00&_=.ics")
        assert not set(",;%") & set(address)
        rows = whole.get(urlsplit(address)._replace(scheme="", netloc="").geturl().replace(
            ".ics?", ".json?"
        )).json  # fmt: skip
        assert rows
        assert {row["venue"]["id"] for row in rows} == {13}

    @pytest.mark.parametrize(
        ("first", "expected"), [(0, DAYS), (6, ["sun", *DAYS[:6]]), (5, ["sat", "sun", *DAYS[:5]])]
    )
    def test_the_week_begins_as_in_the_language(self, first, expected):
        days = weekdays(first)
        assert [name for name, _ in days] == expected
        assert [DAYS[day.weekday()] for _, day in days] == expected

    def test_without_a_catalogue_days_and_times_can_be_chosen(self, site_of):
        found = page(site_of(catalog=False), "/")
        assert inputs(found, "weekdays") == DAYS
        assert not any("data-facets" in form for form in found.all("form"))


class TestFacets:
    @staticmethod
    def table(client: FlaskClient) -> dict[str, str]:
        [form] = [form for form in page(client, "/").all("form") if "data-builder" in form]
        return json.loads(form["data-facets"])

    def classes(self, client: FlaskClient) -> list[tuple[dict[str, list[str]], str, int]]:
        """Each class: its values by filter, its weekday, and the minute of its day."""
        table = self.table(client)
        rows = table.pop("rows").split(";")
        found = []
        for row in rows:
            *positions, slots = [part.split(",") if part else [] for part in row.split(".")]
            values = {
                name: [ids.split(",")[int(at)] for at in part]
                for (name, ids), part in zip(table.items(), positions, strict=True)
            }
            for minute, number in zip(slots[::2], slots[1::2], strict=True):
                day, start = divmod(int(minute), 1440)
                found += [(values, DAYS[day], start)] * int(number)
        return found

    # The venues of each feed are in one time zone, whose days its window has.
    @pytest.mark.parametrize(
        "query",
        [
            "venues=13", "venues=14", "rooms=71", "instructors=13", "category=5&venues=12",
            "offering_types=45", "course=51", "sources=events&venues=13",
        ],
    )  # fmt: skip
    def test_they_count_the_classes_of_each_feed_that_take_place(self, whole, query):
        chosen = parse_qsl(query)
        classes = [
            entry
            for entry in self.classes(whole)
            if all(value in entry[0][name] for name, value in chosen)
        ]
        assert classes
        parts = (("", "12:00"), ("12:00", "17:00"), ("17:00", ""))
        for day, (first, last) in product(DAYS, parts):
            times = f"&time_from={first}" * bool(first) + f"&time_until={last}" * bool(last)
            rows = whole.get(
                f"/sessions.json?{query}&weekdays={day}{times}&status=active&limit=10000"
            ).json
            low, high = int(first[:2] or 0) * 60, int(last[:2] or 24) * 60
            counted = [m for _, weekday, m in classes if weekday == day and low <= m < high]
            assert len(counted) == len(rows)

    def test_classes_that_are_over_or_cancelled_are_not_counted(self):
        studio = studio_of()
        studio.add(kind="event", starts_at=in_hours(-3))
        studio.add(kind="event", starts_at=in_hours(3), status="cancelled")
        studio.add(kind="event", starts_at=in_hours(24), instructors=[])
        with served(studio) as client:
            [(values, day, minute)] = self.classes(client)
        # Tuesday, 24 Nov 2026
        assert (values["venues"], values["course"], day, minute) == (["1"], [], "tue", 720)

    def test_weekday_and_time_are_those_of_the_venue(self):
        studio = studio_of()
        studio.add(kind="event", starts_at=in_hours(24 + 14), venue=2)
        with served(studio) as client:
            # 02:00 UTC on Wednesday is 21:00 on Tuesday in New York.
            assert [entry[1:] for entry in self.classes(client)] == [("tue", 21 * 60)]

    def test_hidden_classes_are_not_counted(self):
        studio = studio_of()
        studio.add(kind="event", starts_at=in_hours(3))
        studio.add(kind="event", starts_at=in_hours(3), offering_type=4, venue=2)
        with served(studio) as client:
            assert self.table(client)["venues"] == "1"

    def test_they_are_left_out_if_the_page_has_no_room_for_them(self, monkeypatch):
        studio = studio_of()
        studio.add(kind="event", starts_at=in_hours(3))
        monkeypatch.setattr(page_budget, "CATALOGUE", 300)
        with served(studio) as client:
            found = page(client, "/")
        assert "/venues/1-riverside" in found.links
        assert not any("data-facets" in form for form in found.all("form"))


def test_a_studio_with_80_instructors_is_listed_completely_with_counts():
    studio = studio_of(instructors=[records.instructor(n, f"Teacher {n}") for n in range(1, 81)])
    for n in range(80):
        for week in range(4):
            studio.add(
                kind="event", starts_at=in_hours(24 + n + 7 * 24 * week), instructors=[n % 80 + 1]
            )
    with served(studio) as client:
        until(lambda: client.get("/sessions.json").status_code == 200, "a timetable", 60)
        found = page(client, "/")
        assert len(inputs(found, "instructors")) == 80
        assert len([link for link in found.links if link.startswith("/instructors/")]) == 80
        assert any("data-facets" in form for form in found.all("form"))
