"""Links for subscribing and for adding a class, and QR codes."""

from datetime import UTC, datetime
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from web.pages import page

from bridge.web.pages.calendar_links import CalendarLinks, qr_code

BASE = "https://calendar.example.org"
ADDRESS = f"{BASE}/venues/12-riverside-studio.ics"
WEBCAL = "webcal://calendar.example.org/venues/12-riverside-studio.ics"
TOMORROW = (datetime(2026, 11, 24, tzinfo=UTC).toordinal()) * 100 + 4


@pytest.fixture
def client(site_of):
    return site_of(public_base_url=BASE)


class TestLinks:
    def test_each_calendar_has_its_link(self):
        calendar_links = CalendarLinks(ADDRESS, "Riverside Studio")
        assert calendar_links.apple == WEBCAL
        assert calendar_links.google == (
            "https://calendar.google.com/calendar/r?cid="
            "webcal%3A%2F%2Fcalendar.example.org%2Fvenues%2F12-riverside-studio.ics"
        )
        web = (
            "/calendar/0/addfromweb/"
            "?url=https%3A%2F%2Fcalendar.example.org%2Fvenues%2F12-riverside-studio.ics"
            "&name=Riverside%20Studio"
        )
        assert calendar_links.outlook == f"https://outlook.live.com{web}"
        assert calendar_links.microsoft == f"https://outlook.office.com{web}"

    @pytest.mark.parametrize("name", ["A & B = C?", "田中 美咲", "x/y#z", "100 %"])
    def test_names_are_percent_encoded(self, name):
        calendar_links = CalendarLinks(ADDRESS, name)
        assert parse_qs(urlsplit(calendar_links.outlook).query) == {
            "url": [ADDRESS],
            "name": [name],
        }

    def test_a_page_contains_all_links(self, client):
        links = page(client, "/venues/12").links
        calendar_links = CalendarLinks(ADDRESS, "Riverside Studio")
        assert {
            calendar_links.google,
            calendar_links.apple,
            calendar_links.outlook,
            calendar_links.microsoft,
            "https://calendar.google.com/calendar/u/0/r/settings/addbyurl",
        } <= set(links)

    @pytest.mark.parametrize(
        ("path", "feed"),
        [
            ("/venues/12", "/venues/12-riverside-studio.ics"),
            ("/venues/12-any-other", "/venues/12-riverside-studio.ics"),
            ("/instructors/19", "/instructors/19.ics"),
            ("/courses/60", "/courses/60-junior-gymnastics.ics"),
            ("/sessions", "/sessions.ics"),
            ("/sessions?venues=13,12", "/sessions.ics?venues=12&venues=13&_=.ics"),
            ("/venues/12?from=2026-12-01&view=week&lang=en", "/venues/12-riverside-studio.ics"),
            ("/venues/12?lang=de", "/venues/12-riverside-studio.ics?lang=de&_=.ics"),
            (
                "/sessions?venues=12&cancelled=status&availability=none",
                "/sessions.ics?venues=12&_=.ics",
            ),
        ],
    )
    def test_the_address_is_the_canonical_address_of_the_feed(self, client, path, feed):
        found = page(client, path)
        assert found.value("address") == BASE + feed
        response = client.get(feed)
        assert response.status_code == 200
        assert "BEGIN:VEVENT" in response.text

    def test_without_a_base_url_the_address_has_the_host_of_the_request(self, site):
        found = page(site, "/venues/12", Host="studio.example:8080")
        assert found.value("address") == "http://studio.example:8080/venues/12-riverside-studio.ics"
        assert "webcal://studio.example:8080/venues/12-riverside-studio.ics" in found.links

    def test_pages_are_cached_by_host(self, site):
        for host in ("one.example", "two.example", "one.example"):
            assert f"http://{host}/" in page(site, "/venues/12", Host=host).value("address")

    def test_the_page_mentions_that_google_is_slow(self, client):
        assert "You cannot speed this up" in page(client, "/venues/12").text

    def test_the_page_can_be_sent_by_mail(self, client):
        [link] = [link for link in page(client, "/venues/13").links if link.startswith("mailto:")]
        mail = parse_qs(urlsplit(link).query)
        assert mail == {
            "subject": ["The Old Chapel; Café & Gym"],
            "body": [f"{BASE}/venues/13-the-old-chapel-cafe-gym"],
        }

    def test_the_page_says_what_happens_on_a_tap(self, client):
        text = page(client, "/venues/12").text
        for words in (
            "On an iPhone, iPad or Mac the calendar asks whether to subscribe.",
            "The browser downloads a file. The classes in it are added once, and are not updated.",
            "On Android, Google’s app cannot add a calendar by its address.",
        ):
            assert words in text


class TestSingleClass:
    def test_googles_form_is_filled_in(self, client):
        links = page(client, f"/sessions/{TOMORROW}").links
        [link] = [link for link in links if "render?" in link]
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


class TestQrCode:
    def test_it_contains_the_address_of_the_page(self, client):
        source = page(client, "/venues/12").source
        assert qr_code(f"{BASE}/venues/12-riverside-studio") in source

    def test_it_is_small_and_has_no_inline_style(self):
        svg = qr_code(f"{BASE}/sessions?venues=12%2C13%2C14%2C15&offering_types=31%2C32&past=0")
        assert "style" not in svg
        assert len(svg) < 12_000

    def test_a_page_with_a_very_long_address_has_none(self, site):
        ids = ",".join(str(10**18 + number) for number in range(60))
        found = page(site, f"/sessions?venues={ids}")
        assert 'role="img"' not in found.source
        assert len(found.value("address")) > 1_500


def test_the_google_link_is_percent_encoded():
    calendar_links = CalendarLinks(f"{BASE}/sessions.ics?venues=1%2C2&_=.ics", "x")
    assert quote(calendar_links.apple, safe="") in calendar_links.google
    assert calendar_links.google.count("&") == 0
