"""Link previews: title, description and canonical address of a page, for chats and search."""

import re
from datetime import UTC, datetime

import pytest
from web.pages import Page, page

from bridge.config import Logo
from bridge.sandbox import records
from bridge.sandbox.api import create_api
from bridge.sandbox.http_server import SandboxServer
from bridge.sandbox.studio import Studio

BASE = "http://localhost"
CLASS = datetime(2026, 11, 24, tzinfo=UTC).toordinal() * 100 + 4
QUOTED = "\"Zen\" & <b>'calm'</b>"


def preview(found: Page) -> dict[str, str]:
    """The properties and names of a page's ``meta`` elements, and its canonical address."""
    tags = {
        tag.get("property") or tag.get("name", ""): tag.get("content", "")
        for tag in found.all("meta")
    }
    links = {tag["rel"]: tag["href"] for tag in found.all("link") if tag["rel"] == "canonical"}
    kept = {name: text for name, text in tags.items() if re.match("og:|description", name)}
    return {**kept, **links}


def test_a_timetable_has_a_title_a_description_and_its_address(site):
    description = (
        "The current timetable of Riverside Studio. Subscribe to it in Google, Apple or Outlook"
        " calendars: new, moved and cancelled classes appear there automatically."
    )
    assert preview(page(site, "/venues/12")) == {
        "description": description,
        "og:type": "website",
        "og:site_name": "Class timetables and calendars",
        "og:title": "Riverside Studio: timetable and calendar",
        "og:description": description,
        "og:url": f"{BASE}/venues/12-riverside-studio",
        "canonical": f"{BASE}/venues/12-riverside-studio",
    }


def test_a_class_is_described_by_time_place_and_instructor(site):
    found = preview(page(site, f"/sessions/{CLASS}"))
    # Versions of CLDR differ in the comma after the weekday.
    title = found["og:title"].replace("Tuesday,", "Tuesday")
    assert title == "Vinyasa Flow: Evenings, Tuesday 24 November 2026"
    assert re.fullmatch(
        "18:30–19:45 · Riverside Studio, 4 Wharf Road, Bristol.* · Priya Raman",
        found["description"],
    )
    assert found["og:url"] == f"{BASE}/sessions/{CLASS}"


@pytest.mark.parametrize(
    ("path", "canonical"),
    [
        ("/", "/"),
        ("/?utm_source=x&fbclid=y&lang=en", "/"),
        ("/venues/12-other?utm_source=x&fbclid=y&view=week", "/venues/12-riverside-studio"),
        ("/sessions?venues=13,12&gclid=x", "/sessions?venues=12&venues=13"),
        (f"/sessions/{CLASS}?from=chat", f"/sessions/{CLASS}"),
    ],
)
def test_the_canonical_address_has_no_other_spelling_and_no_tracking(site, path, canonical):
    found = preview(page(site, path))
    assert found["canonical"] == found["og:url"] == BASE + canonical


def test_the_address_is_that_of_the_settings_or_else_that_of_the_request(site, site_of):
    host = "studio.example:8080"
    found = preview(page(site, "/venues/12", Host=host))
    assert found["og:url"] == f"http://{host}/venues/12-riverside-studio"
    configured = site_of(public_base_url="https://calendar.example.org", sandbox=True)
    found = preview(page(configured, "/venues/12", Host=host))
    assert found["og:url"] == "https://calendar.example.org/venues/12-riverside-studio"


def test_names_are_escaped_once(site_of):
    studio = Studio(
        venues=[records.venue(1, QUOTED, "Europe/London")],
        offering_types=[records.offering_type(3, "Yoga")],
        courses=[records.course(4, "Yoga", 3)],
    )
    studio.add(starts_at="2026-11-24T10:00:00Z")
    with SandboxServer(create_api(studio, token="a-token-of-the-tests")) as upstream:
        found = preview(page(site_of(base_url=upstream.url), "/venues/1"))
    assert found["og:title"] == f"{QUOTED}: timetable and calendar"
    assert QUOTED in found["og:description"]


@pytest.mark.parametrize(
    ("path", "status"), [("/embed/venues/12", 200), ("/venues/999", 404), ("/nowhere", 404)]
)
def test_pages_that_are_not_for_sharing_have_none(site, path, status):
    assert preview(page(site, path, status)) == {}


@pytest.mark.parametrize(("suffix", "shown"), [(".png", True), (".svg", False)])
def test_the_image_is_the_logo_if_chats_can_show_its_format(site_of, suffix, shown):
    logo = Logo(suffix, b"the image")
    client = site_of(studio_logo=logo, studio_name="Åsa & Co")
    found = preview(page(client, "/venues/12"))
    assert found["og:site_name"] == "Åsa & Co"
    assert ("og:image" in found) is shown
    if shown:
        path = found["og:image"].removeprefix(BASE)
        assert client.get(path).mimetype == "image/png"
