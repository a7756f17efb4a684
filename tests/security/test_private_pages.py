"""The pages of private feeds: they show what the feed shows, and keep its address secret."""

import html
import re
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from faults.scenarios import FastClock
from security import canaries, studios
from security.sites import Site
from security.test_private_feeds import EVERYBODY, command, identity, sign
from web.pages import Page, page
from werkzeug.test import TestResponse

from bridge.store.memory import MemoryStore

EVERYTHING = ("--visibility", EVERYBODY, "--counts", "--join-links", "--staff-links")


@pytest.fixture(scope="module")
def site(make_shared_site: Callable[..., Site]) -> Site:
    return make_shared_site()


def page_of(feed: str) -> str:
    """The path of the page of a private feed."""
    return re.sub(r"\.(ics|json|txt)$", "", feed)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), set()),
        (("--visibility", "membership_holders"), {"members"}),
        (("--visibility", "private"), {"private"}),
        (("--counts",), {"count"}),
        (("--join-links",), {"join"}),
        (("--staff-links",), {"staff"}),
        (EVERYTHING, {"members", "private", "count", "join", "staff"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
@pytest.mark.parametrize("view", ["agenda", "week"])
def test_a_page_shows_only_the_signed_content(
    site: Site, options: tuple[str, ...], expected: set[str], view: str
) -> None:
    found = site.client.get(f"{page_of(sign(site, 'sessions.ics', *options))}?view={view}")
    assert found.status_code == 200
    assert canaries.leaks(found.data) == expected


def test_a_page_says_what_it_shows_and_that_everybody_with_its_address_can_read_it(
    site: Site,
) -> None:
    found = page(site.client, page_of(sign(site, "venues/11.ics", *EVERYTHING)))
    assert "Everybody who has the address of this page can read it" in found.text
    assert (
        "It shows: public classes, classes for members, private classes, the numbers of bookings,"
        " links to join online classes, links with which staff manage classes."
    ) in found.text
    plain = page(site.client, page_of(sign(site, "venues/11.ics")))
    assert "It shows: public classes." in plain.text


def test_a_page_has_the_label_as_its_title_and_links_for_subscribing(site: Site) -> None:
    feed = sign(site, "sessions.ics", "--label", "For the team")
    found = page(site.client, page_of(feed))
    assert "<h1><bdi>For the team</bdi></h1>" in found.source
    assert found.value("address") == f"http://localhost{feed}"
    assert f"webcal://localhost{feed}" in found.links
    for link in found.links:
        if link.startswith("/private/"):
            assert site.client.get(link).status_code == 200


def test_a_page_links_to_public_pages_of_classes_only(site: Site) -> None:
    found = page(site.client, page_of(sign(site, "sessions.ics", *EVERYTHING)))
    links = [link for link in found.links if re.match("/(sessions|classes)/", link)]
    assert links
    assert {site.client.get(link).status_code for link in links} == {200}
    assert f"/classes/{studios.PRIVATE_CLASS}" not in links
    assert any("/p/" in urlsplit(link).path for link in found.links), "links for booking"


def test_a_page_without_sessions_is_an_empty_timetable(site: Site) -> None:
    found = page(site.client, page_of(sign(site, f"venues/{studios.HIDDEN_VENUE}.ics")))
    assert "There are no upcoming classes right now" in found.text
    assert canaries.leaks(found.source) == set()


@pytest.mark.parametrize("below", ["", "/changes"])
def test_a_page_is_not_shared_indexed_or_described(site: Site, below: str) -> None:
    address = page_of(sign(site, "venues/11.ics", *EVERYTHING)) + below
    first = site.client.get(address)
    for headers in ({}, {"If-None-Match": first.headers["ETag"]}, {"Accept-Encoding": "gzip"}):
        answer = site.client.get(address, headers=headers)
        assert answer.status_code == (304 if "If-None-Match" in headers else 200)
        assert answer.headers["Cache-Control"].startswith("private, ")
        assert answer.headers["X-Robots-Tag"] == "noindex"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert "Link" not in answer.headers
    [head] = re.findall("<head>.*?</head>", first.text, re.DOTALL)
    assert address not in head
    for word in ("og:", "canonical", "description", "ld+json", "alternate"):
        assert word not in head


def test_only_links_to_itself_contain_the_address(make_site: Callable[..., Site]) -> None:
    site = make_site()
    address = page_of(sign(site, "venues/11.ics", *EVERYTHING))
    found = page(site.client, address)
    token = address.rpartition("/")[2]
    for link in found.links:
        if token in link:
            # Calendars that subscribe have to know it, and so does the device it is sent to.
            assert re.match(
                r"/private/|webcal://localhost/private/|mailto:|https://calendar\.google\.com/"
                r"|https://outlook\.(live|office)\.com/",
                link,
            ), link
    assert site.client.get("/status", auth=("x", canaries.OPERATOR)).status_code == 200
    for piece in (token, token.upper(), token[:60]):
        assert piece not in site.log.getvalue()
        assert all(piece.encode() not in answer.data for answer in site.operator_pages())
    names = site.parts.store.names("")
    stored = b"".join(entry.value for entry in site.parts.store.read(names).values())
    assert token.encode() not in stored + "".join(names).encode()


def test_all_unknown_and_revoked_addresses_get_the_same_404(
    site: Site, make_site: Callable[..., Site]
) -> None:
    revoked = sign(site, "venues/11.ics")
    site.parts.private.revoke(identity(site, revoked))
    forged = sign(make_site(signing_keys=("another",)), "venues/11.ics")
    token = page_of(forged).rpartition("/")[2]
    unknown = (page_of(revoked), page_of(forged), "/private/x", "/private/1", f"/private/{token}/x",
               f"/private/{'a' * 3_000}", "/private/%ff%00%0d%0aX", "/private/..",
               f"{page_of(revoked)}?lang=klingon!", f"{page_of(revoked)}?view=x",
               f"{page_of(revoked)}/changes", f"/private/{token}/changes")  # fmt: skip
    answers: list[TestResponse] = [site.client.get(path) for path in unknown]
    assert {answer.status_code for answer in answers} == {404}
    assert {answer.headers["Cache-Control"] for answer in answers} == {"no-store"}
    assert len({answer.data for answer in answers}) == 1
    assert token not in html.unescape(answers[0].text)


def test_a_revocation_reaches_every_worker_within_a_minute(
    make_site: Callable[..., Site], fast_clock: FastClock
) -> None:
    store = MemoryStore(fast_clock)
    first, second = (make_site(store=store, cache_url="sqlite:///x") for _ in range(2))
    address = page_of(sign(first, "venues/11.ics"))
    assert second.client.get(address).status_code == 200
    # The command accepts the address of the page.
    assert command(first, "revoke", f"https://calendar.example.org{address}").exit_code == 0
    fast_clock.move(60)
    assert [site.client.get(address).status_code for site in (first, second)] == [404, 404]


def test_parameters_of_the_visitor_choose_the_days_but_not_the_content(site: Site) -> None:
    address = page_of(sign(site, "venues/11.ics"))
    plain: Page = page(site.client, address)
    assert page(site.client, f"{address}?venues=16&past=365").text == plain.text
    assert page(site.client, f"{address}?lang=de").all("html")[0]["lang"] == "de"
    assert site.client.get(f"{address}?view=x").status_code == 400


def test_the_command_prints_the_address_of_the_page_before_that_of_the_feed(
    make_site: Callable[..., Site],
) -> None:
    site = make_site(public_base_url="https://calendar.example.org")
    result = command(site, "sign", "venues/11.json")
    address = result.stdout.strip()
    assert address.endswith(".json")
    assert f": {page_of(address)}\n" in result.stderr
