"""The start page."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from flask.testing import FlaskClient

from bridge.sandbox import records
from bridge.sandbox.api import create_api
from bridge.sandbox.server import SandboxServer
from bridge.sandbox.studio import Studio

TITLE = "<script>alert(1)</script> & \"Co\" 'n' {{ 7 * 7 }}"


class _Page(HTMLParser):
    """The links and the tags of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value for name, value in attrs if name == "href" and value]

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def page(client: FlaskClient) -> _Page:
    response = client.get("/")
    assert response.status_code == 200
    return _Page(response.text)


@pytest.fixture
def hostile(site_of: Any) -> Iterator[FlaskClient]:
    """A browser in front of a studio of one record each, whose name is markup."""
    studio = Studio(
        venues=[records.venue(1, TITLE, "Europe/London")],
        instructors=[records.instructor(2, TITLE)],
        offering_types=[records.offering_type(3, TITLE)],
        courses=[records.course(4, TITLE, 3)],
    )
    studio.add(starts_at="2026-11-24T10:00:00Z", instructors=[2])
    with SandboxServer(create_api(studio, token="a-token-of-the-tests")) as upstream:
        yield site_of(base_url=upstream.url)


class TestWhatIsListed:
    def test_everything_with_something_public_to_show_is(self, site):
        text = page(site).text
        for name in (
            "Riverside Studio", "The Old Chapel; Café & Gym", "Brooklyn Loft", "Online with Sydney",
            "Zoë Ashdown", "田中 美咲", "Hana Dvořáková", "Vinyasa Flow: Mornings",
        ):  # fmt: skip
            assert name in text

    def test_nothing_else_is(self, site):
        body = site.get("/").text
        for name in (
            "Grace", "Tom O", "Members", "Staff Training", "Breathwork", "join-secret",
            "staff.studio.example",
        ):  # fmt: skip
            assert name not in body

    def test_a_venue_whose_sessions_became_private_is_not(self, client, studio):
        for kind in (31, 32, 33, 37, 38):
            studio.set_visibility(kind, "private")
        body = client.get("/").text
        for name in ("Riverside", "Chapel", "Brooklyn", "Sydney", "Zoë"):
            assert name not in body

    def test_every_feed_that_it_links_is_there_and_has_something_on(self, site):
        feeds = [link for link in page(site).links if re.search(r"\.(ics|txt|json)$", link)]
        assert len(feeds) > 30
        for link in feeds:
            response = site.get(link)
            assert response.status_code == 200
            assert "Nothing is on" not in response.text
            assert link.endswith(".txt") or "BEGIN:VEVENT" in response.text

    def test_a_venue_with_nothing_in_the_window_of_its_feed_is_not(self, site_of, studio):
        for row in studio.sessions:
            if row["venue"] == 14 and row["starts_at"] < "2027-03-01":
                studio.delete(row["id"])
        client = site_of()
        assert "BEGIN:VEVENT" not in client.get("/venues/14.ics").text
        assert "Brooklyn Loft" not in client.get("/").text

    def test_addresses_hold_no_comma_and_no_semicolon(self, site):
        assert not any(re.search("[,;]|%2C%20", link) for link in page(site).links)

    def test_it_says_what_is_not_served(self, site):
        assert "ordinary classes elsewhere" in page(site).text


class TestTheCatalogueSwitchedOff:
    def test_nobody_is_listed_and_upstream_is_not_asked(self, site_of, upstream):
        client = site_of(catalog=False)
        text = page(client).text
        for name in ("Riverside", "Zoë", "Vinyasa"):
            assert name not in text
        assert "/sessions.ics" in page(client).links
        assert upstream.requests == []

    def test_feeds_are_there_all_the_same(self, site_of):
        assert site_of(catalog=False).get("/venues/12.ics").status_code == 200


class TestThePage:
    def test_markup_in_names_is_text(self, hostile):
        found = page(hostile)
        assert found.text.count(TITLE) == 3
        assert "script" not in found.tags
        assert "<script>" not in hostile.get("/").text

    def test_no_script_and_no_foreign_asset_is_on_it(self, site):
        response = site.get("/")
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        found = page(site)
        assert not {"script", "iframe", "object", "embed"} & found.tags
        assert not any(name.startswith("on") or name == "style" for name in found.attributes)
        assert all(link.startswith("/") and not link.startswith("//") for link in found.links)

    def test_its_headers_are_safe(self, site):
        headers = site.get("/").headers
        assert headers["Content-Type"] == "text/html; charset=utf-8"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "Set-Cookie" not in headers

    def test_head_is_get_without_the_body(self, site):
        assert site.head("/").status_code == 200
        assert site.head("/").data == b""

    def test_parameters_that_it_does_not_know_are_ignored(self, site):
        assert site.get("/?utm_source=x&venue=1&whatever").status_code == 200

    def test_without_a_copy_and_without_an_upstream_it_is_a_page_that_says_so(
        self, site_of: Any, upstream: Any
    ):
        upstream.stop()
        response = site_of().get("/")
        assert response.status_code in (200, 503)
        assert response.text.startswith("<!doctype html>")
        if response.status_code == 503:
            assert response.headers["Cache-Control"] == "no-store"
            assert int(response.headers["Retry-After"]) >= 1
