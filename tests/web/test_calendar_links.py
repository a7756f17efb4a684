"""Add-to-calendar links, exactly as calendars want them."""

import html
import re
from datetime import UTC, datetime
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from web.pages import page

from bridge.web.pages.calendar_links import CalendarLinks, embed_snippet, qr_code

BASE = "https://calendar.example.org"
ADDRESS = f"{BASE}/venues/12-riverside-studio.ics"
WEBCAL = "webcal://calendar.example.org/venues/12-riverside-studio.ics"
TOMORROW = (datetime(2026, 11, 24, tzinfo=UTC).toordinal()) * 100 + 4


@pytest.fixture
def client(site_of):
    return site_of(public_base_url=BASE)


class TestTheLinks:
    def test_each_is_that_of_the_profile(self):
        one = CalendarLinks(ADDRESS, "Riverside Studio")
        assert one.apple == WEBCAL
        assert one.google == (
            "https://calendar.google.com/calendar/r?cid="
            "webcal%3A%2F%2Fcalendar.example.org%2Fvenues%2F12-riverside-studio.ics"
        )
        web = (
            "/calendar/0/addfromweb/"
            "?url=https%3A%2F%2Fcalendar.example.org%2Fvenues%2F12-riverside-studio.ics"
            "&name=Riverside%20Studio"
        )
        assert one.outlook == f"https://outlook.live.com{web}"
        assert one.microsoft == f"https://outlook.office.com{web}"

    @pytest.mark.parametrize("name", ["A & B = C?", "田中 美咲", "x/y#z", "100 %"])
    def test_any_name_arrives_as_it_is(self, name):
        one = CalendarLinks(ADDRESS, name)
        assert parse_qs(urlsplit(one.outlook).query) == {"url": [ADDRESS], "name": [name]}

    def test_a_page_has_all_of_them(self, client):
        links = page(client, "/venues/12").links
        one = CalendarLinks(ADDRESS, "Riverside Studio")
        for link in (
            one.google, one.apple, one.outlook, one.microsoft,
            "https://calendar.google.com/calendar/u/0/r/settings/addbyurl",
        ):  # fmt: skip
            assert link in links

    @pytest.mark.parametrize(
        ("path", "feed"),
        [
            ("/venues/12", "/venues/12-riverside-studio.ics"),
            ("/venues/12-any-other", "/venues/12-riverside-studio.ics"),
            ("/instructors/19", "/instructors/19.ics"),
            ("/courses/60", "/courses/60-junior-gymnastics.ics"),
            ("/sessions", "/sessions.ics"),
            ("/sessions?venues=13,12", "/sessions.ics?venues=12%2C13&_=.ics"),
            ("/venues/12?from=2026-12-01&view=week&lang=de", "/venues/12-riverside-studio.ics"),
            (
                "/sessions?venues=12&cancelled=status&availability=none",
                "/sessions.ics?venues=12&_=.ics",
            ),
        ],
    )
    def test_the_address_is_the_feeds_own(self, client, path, feed):
        found = page(client, path)
        assert found.value("address") == BASE + feed
        response = client.get(feed)
        assert response.status_code == 200
        assert "BEGIN:VEVENT" in response.text

    def test_without_an_address_of_its_own_it_is_the_host_that_was_asked(self, site):
        found = page(site, "/venues/12", Host="studio.example:8080")
        assert found.value("address") == "http://studio.example:8080/venues/12-riverside-studio.ics"
        assert "webcal://studio.example:8080/venues/12-riverside-studio.ics" in found.links

    def test_one_host_never_gets_what_was_rendered_for_another(self, site):
        for host in ("one.example", "two.example", "one.example"):
            assert f"http://{host}/" in page(site, "/venues/12", Host=host).value("address")

    def test_it_says_that_google_takes_its_time(self, client):
        assert "Nobody can hurry it" in page(client, "/venues/12").text


class TestOneClass:
    def test_googles_form_is_filled_in(self, client):
        [link] = [one for one in page(client, f"/sessions/{TOMORROW}").links if "render?" in one]
        assert link.startswith(
            "https://calendar.google.com/calendar/render?action=TEMPLATE"
            "&dates=20261124T183000Z%2F20261124T194500Z&text="
        )
        query = parse_qs(urlsplit(link).query)
        assert query["text"] == ["Vinyasa Flow: Evenings – Priya Raman"]
        assert query["location"][0].startswith("Riverside Studio, 4 Wharf Road")
        assert "Priya Raman" in query["details"][0]
        assert "/p/" in query["details"][0]
        assert link.count("/", link.index("?")) == 0

    def test_its_file_is_linked(self, client):
        response = client.get(f"/sessions/{TOMORROW}.ics")
        assert f"/sessions/{TOMORROW}.ics" in page(client, f"/sessions/{TOMORROW}").links
        assert response.text.count("BEGIN:VEVENT") == 1


class TestTheCode:
    def test_it_is_a_picture_of_the_pages_address(self, client):
        source = page(client, "/venues/12").source
        assert qr_code(f"{BASE}/venues/12-riverside-studio") in source

    def test_it_has_no_style_of_its_own_and_is_small(self):
        svg = qr_code(f"{BASE}/sessions?venues=12%2C13%2C14%2C15&offering_types=31%2C32&past=0")
        assert "style" not in svg
        assert len(svg) < 12_000


class TestTheSnippet:
    def test_it_is_a_frame_and_a_script_and_safe_to_paste(self):
        frame, script = embed_snippet(BASE, "/embed/sessions?a=1&b=2", 'A "B" <C>').splitlines()
        assert frame == (
            '<iframe src="https://calendar.example.org/embed/sessions?a=1&amp;b=2"'
            ' title="A &quot;B&quot; &lt;C>" width="100%" height="600" loading="lazy"'
            ' style="border:0"></iframe>'
        )
        assert script == '<script src="https://calendar.example.org/embed.js" async></script>'

    @pytest.mark.parametrize("language", ["en", "de"])
    def test_names_in_it_are_escaped_once(self, client, language):
        source = page(client, f"/venues/13?lang={language}").source
        frame = html.unescape(re.search("&lt;iframe.*?iframe&gt;", source)[0])
        [title] = re.findall(' title="([^"]*)"', frame)
        assert html.unescape(title).endswith(": The Old Chapel; Café & Gym")

    def test_what_it_frames_is_there(self, client):
        source = page(client, "/sessions?venues=12,13").text
        assert f"{BASE}/embed/sessions?venues=12%2C13" in source
        assert client.get("/embed/sessions?venues=12%2C13").status_code == 200


def test_quoting_is_complete():
    one = CalendarLinks(f"{BASE}/sessions.ics?venues=1%2C2&_=.ics", "x")
    assert quote(one.apple, safe="") in one.google
    assert one.google.count("&") == 0
