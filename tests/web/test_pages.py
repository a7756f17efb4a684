"""The pages: content, validity, caching and errors."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from web.pages import page
from web.test_feeds import until
from web.test_whole_timetable_pages import served

from bridge.config import Availability
from bridge.languages import translated
from bridge.model import SourceName
from bridge.sandbox import records
from bridge.sandbox.api import create_api
from bridge.sandbox.http_server import SandboxServer
from bridge.sandbox.studio import Studio

TITLE = "<script>alert(1)</script> & \"Co\" 'n' {{ 7 * 7 }}"
#: A Monday; its seven o'clock class is Vinyasa Flow at venue 12.
TODAY = datetime(2026, 11, 23, tzinfo=UTC)
SESSION = TODAY.toordinal() * 100 + 1
TOMORROW = (TODAY.toordinal() + 1) * 100 + 4
AMERICAN = translated("en-US")
PATHS = (
    "/", "/venues/12", "/instructors/11", "/courses/51", "/sessions", f"/sessions/{TOMORROW}",
    "/sessions?venues=12,13", "/venues/12?view=week", "/embed/venues/12",
    "/embed/instructors/11", "/embed/courses/51", "/embed/sessions?view=week",
)  # fmt: skip
each_path = pytest.mark.parametrize("path", PATHS)


@pytest.fixture
def studio(near_studio: Studio) -> Studio:
    return near_studio


@pytest.fixture
def hostile(site_of: Any) -> Iterator[FlaskClient]:
    """A client of a bridge with a studio whose names are all HTML markup."""
    studio = Studio(
        venues=[records.venue(1, TITLE, "Europe/London")],
        instructors=[records.instructor(2, TITLE), records.instructor(5, TITLE)],
        offering_types=[records.offering_type(3, TITLE)],
        courses=[records.course(4, TITLE, 3)],
    )
    studio.add(starts_at="2026-11-24T10:00:00Z", instructors=[2])
    studio.add(starts_at="2026-11-25T10:00:00Z", instructors=[5])
    with SandboxServer(create_api(studio, token="a-token-of-the-tests")) as upstream:
        yield site_of(base_url=upstream.url)


class TestCatalogue:
    def test_it_lists_all_objects_with_public_sessions(self, site):
        text = page(site, "/").text
        for name in (
            "Riverside Studio", "The Old Chapel; Café & Gym", "Brooklyn Loft", "Online with Sydney",
            "Zoë Ashdown", "田中 美咲", "Hana Dvořáková", "Vinyasa Flow: Mornings",
        ):  # fmt: skip
            assert name in text

    def test_it_does_not_list_hidden_objects(self, site):
        body = site.get("/").text
        for name in (
            "Grace", "Tom O", "Members", "Staff Training", "Breathwork", "join-secret",
            "staff.studio.example",
        ):  # fmt: skip
            assert name not in body

    def test_it_does_not_list_a_venue_whose_sessions_became_private(self, client, studio):
        for kind in (31, 32, 33, 37, 38):
            studio.set_visibility(kind, "private")
        body = client.get("/").text
        for name in ("Riverside", "Chapel", "Brooklyn", "Sydney", "Zoë"):
            assert name not in body

    def test_linked_pages_exist_and_their_feeds_have_sessions(self, site):
        links = page(site, "/").links
        pages = [link for link in links if re.match(r"/(venues|instructors|courses)/", link)]
        assert len(pages) == 4 + 10 + 8
        for link in pages:
            assert site.get(link).status_code == 200
            assert "BEGIN:VEVENT" in site.get(f"{link}.ics").text

    def test_it_does_not_list_a_venue_without_sessions_in_the_window(self, site_of, studio):
        for row in studio.sessions:
            if row["venue"] == 14 and row["starts_at"] < "2027-03-01":
                studio.delete(row["id"])
        client = site_of()
        assert "BEGIN:VEVENT" not in client.get("/venues/14.ics").text
        assert "Brooklyn Loft" not in client.get("/").text

    def test_addresses_contain_no_comma_and_no_semicolon(self, site):
        assert not any(re.search("[,;]|%2C%20", link) for link in page(site, "/").links)

    def test_names_are_sorted_without_regard_to_accents(self, site):
        text = page(site, "/").text
        names = ("Kwame Mensah", "Łukasz Nowak", "Marcus Bell", "Zoë Ashdown", "田中 美咲")
        positions = [text.index(name) for name in names]
        assert positions == sorted(positions)


class TestWithoutCatalogue:
    def test_nothing_is_listed_and_upstream_gets_no_request(self, site_of, upstream):
        client = site_of(catalog=False)
        text = page(client, "/").text
        for name in ("Riverside", "Zoë", "Vinyasa"):
            assert name not in text
        assert "/sessions.ics" in page(client, "/").links
        assert upstream.requests == []

    def test_feeds_exist(self, site_of):
        assert site_of(catalog=False).get("/venues/12.ics").status_code == 200


class TestStartPage:
    def test_markup_in_names_is_escaped(self, hostile):
        found = page(hostile, "/")
        # Five links. The two instructors are a choice; the others have all classes.
        assert found.text.count(TITLE) == 5 + 2
        assert all(tag.get("src", "").startswith("/static/") for tag in found.all("script"))
        assert "<script>" not in hostile.get("/").text

    def test_its_headers_are_safe(self, site):
        headers = site.get("/").headers
        assert headers["Content-Type"] == "text/html; charset=utf-8"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "Set-Cookie" not in headers

    def test_head_is_get_without_the_body(self, site):
        assert site.head("/").status_code == 200
        assert site.head("/").data == b""

    def test_unknown_parameters_are_ignored(self, site):
        assert site.get("/?utm_source=x&venue=1&whatever").status_code == 200

    def test_without_snapshot_and_upstream_it_is_a_page_with_an_error(
        self, site_of: Any, upstream: Any
    ):
        upstream.stop()
        response = site_of().get("/")
        assert response.status_code in (200, 503)
        assert response.text.startswith("<!doctype html>")
        if response.status_code == 503:
            assert response.headers["Cache-Control"] == "no-store"
            assert int(response.headers["Retry-After"]) >= 1


class TestEveryPage:
    @each_path
    def test_it_is_valid_and_safe(self, site, path):
        found = page(site, path)
        headers = site.get(path).headers
        policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
        assert policy == {
            "default-src": "'none'", "style-src": "'self'", "script-src": "'self'",
            "img-src": "'self'", "connect-src": "'self'", "base-uri": "'none'",
            "form-action": "'self'",
            **(
                {"frame-ancestors": "*"}
                if path.startswith("/embed/")
                else {"frame-src": "'self'", "frame-ancestors": "'none'"}
            ),
        }  # fmt: skip
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "Set-Cookie" not in headers
        scripts = [tag for tag in found.all("script") if tag.get("type") != "application/ld+json"]
        styles = [tag["href"] for tag in found.all("link") if tag["rel"] == "stylesheet"]
        assert all(tag["src"].startswith("/static/") for tag in scripts)
        assert all(href.startswith("/static/") for href in styles)
        assert found.all("style") == []
        for _, attributes in found.tags:
            assert not any(name.startswith("on") or name == "style" for name in attributes)
        [root] = found.all("html")
        assert root["lang"] == "en"
        assert root["dir"] == "ltr"
        assert len(found.all("h1")) == len(found.all("main")) == 1

    @each_path
    def test_names_are_isolated_from_the_direction_of_the_text(self, site, path):
        # The content of scripts is not displayed.
        source = re.sub(r"<script.*?</script>", "", site.get(path).text, flags=re.DOTALL)
        for name in ("Zoë Ashdown", "田中 美咲", "Riverside Studio", "Vinyasa Flow: Evenings"):
            for text in re.findall(f">([^<]*{name}[^<]*)<", source):
                wrapped = f"<bdi>{text}</bdi>" in source or f"{text}</title>" in source
                # alone in an element, or in a form field
                assert (
                    wrapped
                    or f'<span class="unseen"> {text.strip()}</span>' in source
                    or ("&lt;iframe" in text)
                )

    @each_path
    def test_it_sends_no_request_to_upstream(self, client, upstream, path):
        client.get("/sessions.ics")
        client.get("/courses/51.ics")
        requests = len(upstream.requests)
        assert client.get(path).status_code == 200
        assert len(upstream.requests) == requests

    @each_path
    def test_it_supports_conditional_requests(self, site, path):
        response = site.get(path)
        tag, changed = response.headers["ETag"], response.headers["Last-Modified"]
        assert re.fullmatch(r'"[!#-~]{16,}"', tag)
        assert response.headers["Cache-Control"].startswith("public, max-age=300, ")
        assert response.headers["Vary"] == "Accept-Encoding, Accept-Language"
        for condition in ({"If-None-Match": tag}, {"If-Modified-Since": changed}):
            again = site.get(path, headers=condition)
            assert again.status_code == 304
            assert again.data == b""
            assert again.headers["ETag"] == tag
        other = site.get(path, headers={"If-None-Match": '"other"'})
        assert other.data == response.data
        gzipped = site.get(path, headers={"Accept-Encoding": "gzip"})
        assert gzipped.headers["Content-Encoding"] == "gzip"
        assert gzipped.headers["ETag"] != tag
        assert len(gzipped.data) < len(response.data)
        assert site.head(path).headers["Content-Length"] == str(len(response.data))

    @each_path
    def test_it_does_not_contain_hidden_data(self, site, path):
        body = site.get(path).text
        for secret in (
            "Members' Open Gym", "Members&#39; Open Gym", "Staff Training", "Breathwork",
            "join-secret", "staff.studio.example", "attending", "instructor-11-secret",
        ):  # fmt: skip
            assert secret not in body

    @each_path
    def test_unknown_parameters_are_ignored(self, site, path):
        separator = "&" if "?" in path else "?"
        plain, other = site.get(path), site.get(f"{path}{separator}utm_source=x&whatever=1&page=2")
        assert other.status_code == 200
        assert other.data == plain.data

    @each_path
    def test_empty_parameters_are_ignored(self, site, path):
        # Forms send all of their fields.
        separator = "&" if "?" in path else "?"
        empty = "".join(f"&{name}=" for name in ("lang", "view", "from", "venues", "past", "cover"))
        plain, other = site.get(path), site.get(f"{path}{separator}{empty.removeprefix('&')}")
        assert other.status_code == 200
        assert other.data == plain.data

    @each_path
    def test_addresses_of_feeds_end_in_ics_and_contain_no_comma(self, site, path):
        found = page(site, path)
        values = [*found.links, *(tag.get("value", "") for tag in found.all("input"))]
        feeds = [value for value in values if ".ics" in value and "calendar." not in value]
        assert feeds or path.startswith("/embed/")
        for address in feeds:
            assert not re.search("[,;]", address)
            assert address.endswith((".ics", ".ics%3F")) or "outlook" in address

    @pytest.mark.parametrize("path", ["/sessions", "/embed/venues/13"])
    def test_each_of_several_instructors_is_isolated(self, site, path):
        assert re.search("<bdi>Zoë Ashdown</bdi>, <bdi>[^<]+</bdi>", site.get(path).text)

    def test_markup_in_names_is_escaped(self, hostile):
        for path in (
            "/",
            "/venues/1",
            "/instructors/2",
            "/courses/4",
            "/sessions",
            "/embed/venues/1",
        ):
            found = page(hostile, path)
            assert TITLE in found.text
            assert "alert(1)</script>" not in found.source

    @pytest.mark.parametrize("host", ["evil.example/x", "a b", 'x"><script>', ""])
    def test_an_invalid_host_is_not_printed(self, site, host):
        response = site.get("/venues/12", headers={"Host": host})
        assert response.status_code in (200, 400)
        assert "evil.example/x" not in response.text
        assert "<script>" not in response.text

    def test_the_base_url_takes_precedence_over_the_host(self, site_of):
        client = site_of(public_base_url="https://calendar.example.org")
        body = client.get("/venues/12", headers={"Host": "evil.example"}).text
        assert "https://calendar.example.org/venues/12-riverside-studio.ics" in body
        assert "evil.example" not in body

    def test_all_links_have_the_prefix_of_the_proxy(self, site_of):
        client = site_of(trusted_proxies=1)
        headers = {"X-Forwarded-Prefix": "/bridge", "X-Forwarded-Host": "studio.example"}
        for path in ("/", "/venues/12", "/embed/venues/12", "/nowhere"):
            found = page(client, path, 404 if path == "/nowhere" else 200, **headers)
            inner = [link for link in found.links if link.startswith("/")]
            assert inner
            assert all(link.startswith("/bridge/") for link in inner)


class TestTimetable:
    def test_it_shows_title_place_time_and_instructor(self, site):
        text = page(site, "/venues/12").text
        for words in (
            "Riverside Studio", "4 Wharf Road, Bristol", "Tuesday 24 November Tomorrow",
            "18:30–19:45 Vinyasa Flow: Evenings", "Priya Raman", "Times are local time in London",
        ):  # fmt: skip
            assert words in text

    def test_it_does_not_contain_past_sessions(self, client, clock):
        before = page(client, "/venues/12").text
        assert "Today" in before
        clock.move(2 * 3600)
        assert "Today" not in page(client, "/venues/12").text

    def test_its_bytes_change_when_a_class_ends_and_not_before(self, client, clock):
        first = client.get("/venues/12")
        assert self.after(14 * 60, client, clock) == first.headers["ETag"]
        # the class at 12:15 ends at 13:05
        assert self.after(52 * 60, client, clock) != first.headers["ETag"]
        later = client.get("/venues/12")
        assert later.headers["Last-Modified"] != first.headers["Last-Modified"]

    @staticmethod
    def after(seconds: int, client: FlaskClient, clock: Any) -> str:
        """The page's ETag after *seconds*, and after the refresh that it causes."""
        clock.move(seconds)
        until(lambda: int(client.get("/venues/12").headers["Age"]) < 60, "a refresh")
        return client.get("/venues/12").headers["ETag"]

    def test_times_are_local_to_each_venue(self, site):
        text = page(site, "/sessions").text
        assert "07:00–07:30 Sydney time" in text
        assert "18:00–19:00 New York time" in text

    def test_cancelled_and_full_are_marked(self, site):
        text = page(site, "/sessions").text
        assert "Strength & Conditioning Cancelled" in text
        assert "Vinyasa Flow: Evenings Full" in text

    def test_availability_is_shown_as_the_owner_allows(self, site_of):
        nothing = page(site_of(public_availability=Availability.NONE), "/sessions").text
        assert " Full " not in nothing
        some = site_of(public_availability=Availability.SPOTS)
        assert "places left" not in page(some, "/sessions").text
        assert "places left" in page(some, "/sessions?availability=spots").text

    def test_a_cancelled_class_has_no_booking_link(self, site):
        rows = site.get("/sessions.json").json
        cancelled = {row["url"] for row in rows if row["status"] == "cancelled"}
        assert cancelled
        assert not cancelled & set(page(site, "/sessions").links)

    def test_links_lead_to_the_next_and_previous_days(self, site):
        first = page(site, "/venues/12")
        [later] = [a["href"] for a in first.all("a") if a.get("rel") == "next"]
        second = page(site, later)
        assert "30 Nov" in second.text
        [earlier] = [a["href"] for a in second.all("a") if a.get("rel") == "prev"]
        assert page(site, earlier).text == first.text

    def test_a_week_begins_on_the_first_day_of_the_locale(self, site):
        british = page(site, "/venues/12?view=week&lang=en-GB").text
        american = page(site, "/venues/12?view=week&lang=en-US").text
        assert british.index("Monday") < british.index("Sunday")
        assert american.index("Sunday") < american.index("Monday")
        assert "07:00–08:00" in british
        assert "7:00" in american
        assert "AM" in american

    def test_a_week_begins_as_in_the_studios_country(self, site_of, studio):
        studio.replace_sessions([row for row in studio.sessions if row["venue"] == 14])
        for settings in ({}, {"studio_timezone": "Europe/London", "feed_language": AMERICAN}):
            text = page(site_of(**settings), "/sessions?view=week&lang=en").text
            assert text.index("Sunday") < text.index("Monday")

    def test_a_browser_in_american_english_does_not_change_the_first_day_of_the_week(self, site):
        text = site.get("/venues/12?view=week", headers={"Accept-Language": "en-US"}).text
        assert text.index("Monday") < text.index("Sunday")

    def test_a_month_links_to_its_days_and_classes(self, site):
        found = page(site, "/venues/12?view=month&lang=de")
        assert "November 2026" in found.text
        assert "24 1 Termin" in found.text
        assert "/venues/12-riverside-studio?from=2026-11-24&lang=de" in found.links
        assert f"/sessions/{TOMORROW}?lang=de" in found.links
        assert "Dezember 2026" in page(site, "/venues/12?view=month&lang=de&from=2026-12-24").text

    def test_every_view_leads_to_the_others_and_to_today(self, site):
        path, query = "/venues/12?cancelled=keep", "cancelled=keep"
        for view in ("agenda", "week", "month"):
            found = page(site, f"{path}&view={view}&from=2026-12-24&lang=de")
            for other in ("agenda", "week", "month"):
                option = "" if other == "agenda" else f"&view={other}"
                assert any(
                    option in link and "from=2026-12-24" in link and query in link
                    for link in found.links
                )
            [today] = re.findall(r'href="([^"]*)">Heute<', found.source)
            assert "from=" not in today
            assert query in today
            assert ("view=" in today) is (view != "agenda")

    def test_a_date_can_be_entered(self, site):
        found = page(site, "/venues/12?view=week&cancelled=keep&from=&lang=de")
        [form] = re.findall(r'<form class="jump"(.*?)</form>', found.source, re.DOTALL)
        assert 'action="/venues/12-riverside-studio"' in form
        fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form))
        assert fields == {
            "cancelled": "keep", "view": "week", "lang": "de", "from": "2026-11-23",
        }  # fmt: skip

    def test_it_skips_to_the_next_day_with_sessions(self, client, studio):
        for row in studio.sessions:
            if row["venue"] == 14:
                studio.delete(row["id"])
        studio.add(starts_at="2027-01-11T18:00:00Z", venue=14, course=51)
        text = page(client, "/venues/14").text
        assert "There are no classes until Monday, 11 January 2027" in text or (
            "There are no classes until Monday 11 January 2027" in text
        )

    def test_an_empty_timetable_can_be_subscribed_to(self, site):
        found = page(site, "/venues/14?starts_at_gte=2035-01-01")
        assert "Brooklyn Loft" in found.text
        assert "There are no upcoming classes right now" in found.text
        assert any(link.startswith("webcal://") for link in found.links)

    def test_it_mentions_that_the_calendar_was_trimmed(self, site, site_of):
        words = "The calendar does not contain all of these classes"
        assert words not in page(site, "/venues/12").text
        client = site_of(feed_max_bytes=9_000)
        assert "trimmed" in client.get("/venues/12.ics").headers["Cache-Status"]
        assert words in page(client, "/venues/12").text
        assert words not in page(client, "/venues/12?past=0&future=1").text

    def test_it_contains_structured_data(self, site):
        events = page(site, "/venues/12").structured
        assert events[0] == {
            "@type": "Event",
            "@id": events[0]["@id"],
            "name": "Reformer Pilates, 8 weeks",
            "startDate": "2026-11-23T12:15:00+00:00",
            "endDate": "2026-11-23T13:05:00+00:00",
            "eventStatus": "https://schema.org/EventScheduled",
            "eventAttendanceMode": "https://schema.org/OfflineEventAttendanceMode",
            "location": events[0]["location"],
            "performer": [{"@type": "Person", "name": "Siobhán Ní Riain"}],
            "url": events[0]["url"],
        }
        assert events[0]["location"]["address"].startswith("4 Wharf Road")
        online = page(site, "/venues/15").structured[0]
        assert online["location"]["@type"] == "VirtualLocation"
        assert "join-secret" not in str(online)

    def test_it_links_to_the_alternate_formats(self, site):
        links = page(site, "/venues/12?cancelled=keep").all("link")
        alternates = {tag["type"]: tag["href"] for tag in links if tag["rel"] == "alternate"}
        path = "/venues/12-riverside-studio"
        assert alternates == {
            "text/calendar": f"{path}.ics?cancelled=keep&_=.ics",
            "application/json": f"{path}.json?cancelled=keep&_=.json",
            "application/atom+xml": f"{path}/changes.atom?cancelled=keep&_=.atom",
        }
        for link in alternates.values():
            assert site.get(link).status_code == 200

    def test_the_heading_contains_the_selected_names(self, site):
        assert "<h1><bdi>All classes</bdi></h1>" in site.get("/sessions").text
        two = site.get("/sessions?venues=12&venues=14").text
        assert "<h1><bdi>Brooklyn Loft, Riverside Studio</bdi></h1>" in two

    @pytest.mark.parametrize(
        ("query", "parameter"),
        [
            ("venues=13", "venues"), ("past=x", "past"), ("view=year", "view"),
            ("from=tomorrow", "from"), ("from=1900-01-01", "from"), ("lang=klingon!", "lang"),
            ("availability=spots", "availability"), ("from=2026-11-23T10:00", "from"),
        ],
    )  # fmt: skip
    def test_invalid_parameters_are_reported(self, site, query, parameter):
        found = page(site, f"/venues/12?{query}", 400)
        assert f"{parameter}:" in found.text
        assert "Check the address" in found.text


class TestClass:
    def test_it_shows_the_class_and_calendar_links(self, site):
        found = page(site, f"/sessions/{TOMORROW}")
        for words in (
            "Vinyasa Flow: Evenings", "Tuesday, 24 November 2026", "18:30–19:45", "London time",
            "Riverside Studio", "Priya Raman", "Mats are there",
        ):  # fmt: skip
            assert words in found.text.replace("Tuesday 24", "Tuesday, 24")
        assert f"/sessions/{TOMORROW}.ics" in found.links
        assert any("calendar.google.com/calendar/render" in link for link in found.links)
        assert [event["name"] for event in found.structured] == ["Vinyasa Flow: Evenings"]

    def test_a_past_class_is_marked_and_has_no_calendar_links(self, site):
        found = page(site, f"/sessions/{SESSION}")
        assert "This class is over" in found.text
        assert f"/sessions/{SESSION}.ics" not in [a.get("href") for a in found.all("a")]

    @pytest.mark.parametrize("path", ["/sessions/999", "/sessions/73991617"])
    def test_an_unknown_class_is_reported(self, site, path):
        assert "This class was not found" in page(site, path, 404).text


class TestErrors:
    @pytest.mark.parametrize(
        ("path", "message"),
        [
            ("/venues/999", "This venue was not found"),
            ("/instructors/22", "This instructor was not found"),
            ("/courses/57", "This course was not found"),
            ("/embed/venues/999", "This venue was not found"),
            ("/nowhere", "Nothing was found at this address"),
        ],
    )
    def test_unknown_objects_are_reported(self, site, path, message):
        found = page(site, path, 404)
        assert message in found.text
        assert "/" in found.links
        assert site.get(path).headers["Cache-Control"] == "no-store"

    @pytest.mark.parametrize("theme", ["light", "dark"])
    def test_errors_of_embedded_pages_have_their_theme(self, site, theme):
        found = page(site, f"/embed/venues/999?theme={theme}", 404)
        assert found.all("html")[0]["data-theme"] == theme
        assert found.all("header") == found.all("footer") == []
        [root] = page(site, "/embed/venues/999?theme=puce", 400).all("html")
        assert root["data-theme"] == "light"
        assert "data-theme" not in page(site, "/venues/999?theme=dark", 404).all("html")[0]

    def test_an_old_timetable_shows_its_age(self, client, clock, upstream):
        fresh = page(client, "/venues/12").text
        assert "as of" not in fresh
        upstream.stop()
        clock.move(3 * 3600)
        for path in ("/venues/12", "/embed/venues/12", "/", f"/sessions/{TOMORROW}"):
            client.get(path)
            zone = " UTC" if path == "/" else ""
            notice = f"This is the timetable as of 23 Nov 2026, 12:00{zone}."
            assert notice in page(client, path).text

    @pytest.mark.parametrize("path", ["/", "/venues/12", "/embed/sessions"])
    def test_without_a_snapshot_it_asks_to_retry(self, site_of, upstream, path):
        upstream.stop()
        client = site_of()
        found = page(client, path, 503)
        assert "The timetable is not available right now" in found.text
        assert "Load the page again in a minute" in found.text
        assert int(client.get(path).headers["Retry-After"]) >= 1


@pytest.fixture(scope="module")
def crowded() -> Iterator[FlaskClient]:
    """A client of a studio with many objects, all with long names."""
    studio = Studio(
        venues=[records.venue(n, _long(n), "Europe/London") for n in range(1, 31)],
        instructors=[records.instructor(n, _long(n)) for n in range(1, 301)],
        offering_types=[records.offering_type(n, _long(n)) for n in range(1, 41)],
        courses=[records.course(n, _long(n), n % 40 + 1) for n in range(1, 201)],
    )
    for n in range(1500):
        start = TODAY + timedelta(hours=13, minutes=10 * n)
        studio.add(
            starts_at=f"{start:%Y-%m-%dT%H:%M:%SZ}",
            ends_at=f"{start + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}",
            venue=n % 3 + 1,
            course=n % 200 + 1,
            instructors=[n % 300 + 1, (n + 7) % 300 + 1],
        )
    with served(
        studio,
        sources=frozenset({SourceName.COURSE_SESSIONS}),
        public_base_url="https://calendar.example.org",
    ) as client:
        # On a busy machine the walk may take longer than a request waits.
        until(lambda: client.get("/venues/1.json").status_code == 200, "a timetable", 60)
        yield client


class TestSize:
    @pytest.mark.parametrize(
        "path",
        [
            "/", "/sessions", "/sessions?view=week", "/venues/1", "/venues/1?view=week",
            "/embed/sessions", "/embed/sessions?view=week",
        ],
    )  # fmt: skip
    def test_every_page_is_below_100_kb(self, crowded, path):
        found = page(crowded, path)
        assets = {tag["src"] for tag in found.all("script") if "src" in tag}
        assets |= {link for link in found.links if link.startswith("/static/")}
        bodies = [crowded.get(asset).data for asset in assets]
        assert len(found.source.encode()) + sum(map(len, bodies)) < 100_000
        assert "more" in found.text


def _long(number: int) -> str:
    return f"{number} & what is called by a rather long name, Größe {'x' * 40}"
