"""Addresses as proxies and clients change them, and the dates of responses."""

import re
import threading
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

import pytest
from asgi_client import AsgiClient
from clocks import ManualClock
from flask.testing import FlaskClient

from bridge.services import Services
from bridge.web import create_app

SiteOf = Callable[..., FlaskClient]
EXPIRED = 400
OURS = "host.example/cal"
# Click ids of advertisers and mailers, and what clients add to get past caches.
ADDED = (
    "_ fbclid gclid msclkid mc_cid mc_eid gad_source gbraid wbraid nocache v t ts cb rand"
    " utm_source utm_campaign".split()
)


@pytest.mark.parametrize("scheme", ["HTTPS", "Https", "https"])
def test_the_scheme_from_a_proxy_may_have_any_case(site_of: SiteOf, scheme: str) -> None:
    # RFC 3986, 3.1
    response = site_of(trusted_proxies=1).get("/venues/12", headers={"X-Forwarded-Proto": scheme})
    assert response.status_code == 200
    assert "https://localhost/venues/12" in response.text


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/venues/12", "/venues/12/changes", "/sessions?venues=12&view=month", "/nowhere"),
        *("/embed/venues/12", "/embed/sessions?filters=on"),
    ],
)
def test_a_path_in_the_base_url_is_enough_for_all_links_of_a_page(
    site_of: SiteOf, path: str
) -> None:
    site = site_of(public_base_url="https://host.example/cal")
    text = site.get(path).text
    links = re.findall(r'(?:href|src|action|content|data-[a-z-]+)="(/[^"]*)"', text)
    assert any(link.startswith("/cal/static/") for link in links)
    assert [link for link in links if not f"{link}/".startswith("/cal/")] == []
    absolute = re.findall(r"(?:https?|webcal)://host\.example[^\"'<& ]*", text)
    assert [link for link in absolute if not link.partition("://")[2].startswith(OURS)] == []
    for link in links:
        if link.startswith("/cal/static/"):
            assert site.get(link.removeprefix("/cal")).status_code == 200


@pytest.mark.parametrize("path", ["/venues/12.ics", "/venues/12.json", "/venues/12/changes.atom"])
def test_a_path_in_the_base_url_is_enough_for_the_link_of_a_feed(
    site_of: SiteOf, path: str
) -> None:
    site = site_of(public_base_url="https://host.example/cal")
    assert site.get(path).headers["Link"].startswith("<https://host.example/cal/venues/12")


def test_the_link_of_a_feed_has_the_prefix_from_a_proxy(site_of: SiteOf) -> None:
    site = site_of(trusted_proxies=1)
    link = site.get("/venues/12.ics", headers={"X-Forwarded-Prefix": "/cal"}).headers["Link"]
    assert link.startswith("</cal/venues/12>")


@pytest.mark.parametrize("name", ADDED)
def test_click_ids_and_cache_busters_change_nothing(site: FlaskClient, name: str) -> None:
    plain = site.get("/venues/12.ics")
    for query in (f"{name}=1", name):
        response = site.get(f"/venues/12.ics?{query}")
        assert response.status_code == 200
        assert response.data == plain.data


def test_an_ampersand_copied_from_html_is_read_as_meant(site: FlaskClient) -> None:
    for path in (
        "/sessions.ics?past=0&venues=12",
        "/sessions?past=0&venues=12",
        "/sessions.json?past=0&limit=2",
    ):
        meant, copied = site.get(path), site.get(path.replace("&", "&amp;"))
        assert copied.status_code == 200
        assert copied.data == meant.data != site.get(path.partition("&")[0]).data


@pytest.mark.parametrize("path", ["/venues/12", "/venues/12.ics"])
def test_a_list_of_dates_is_no_date(site: FlaskClient, path: str) -> None:
    # RFC 9110, 13.1.3
    date = site.get(path).headers["Last-Modified"]
    assert site.get(path, headers={"If-Modified-Since": date}).status_code == 304
    both = f"{date}, {date}"
    assert site.get(path, headers={"If-Modified-Since": both}).status_code == 200


@pytest.fixture
def parts(make_bridge: Callable[..., Services]) -> Services:
    return make_bridge(refresh_ahead=False)


@pytest.mark.parametrize("path", ["/venues/12?view=week", "/venues/12.ics"])
def test_last_modified_stays_after_a_walk_that_changed_nothing(
    parts: Services, clock: ManualClock, path: str
) -> None:
    client = create_app(parts).test_client()
    before = client.get(path)
    walked = parts.router.peek_widest()
    clock.move(EXPIRED)
    client.get(path)
    deadline = time.monotonic() + 20
    while parts.router.peek_widest() is walked:
        assert time.monotonic() < deadline, "no refresh"
        threading.Event().wait(0.01)
    after = client.get(path)
    assert after.headers["ETag"] == before.headers["ETag"]
    assert after.headers["Last-Modified"] == before.headers["Last-Modified"]


@pytest.mark.parametrize("path", ["/venues/12", "/venues/12.ics"])
def test_date_is_when_the_response_was_made(parts: Services, clock: ManualClock, path: str) -> None:
    # RFC 9110, 6.6.1
    client = AsgiClient(create_app(parts))
    clock.move(0.5)
    made = client.get(path)
    assert parsedate_to_datetime(made.headers["Date"]).timestamp() == int(clock.now())
    clock.move(0.9)  # into the next second
    kept = client.get(path)
    assert kept.headers["Date"] == made.headers["Date"]


@pytest.mark.parametrize("path", ["/venues/12", "/venues/12.ics"])
def test_last_modified_is_not_after_date_even_if_the_clock_was_set_back(
    parts: Services, clock: ManualClock, path: str
) -> None:
    # RFC 9110, 8.8.2.1
    client = create_app(parts).test_client()
    for seconds in (0, -3600):
        clock.set_wall(seconds)
        headers = client.get(path).headers
        changed, made = (parsedate_to_datetime(headers[name]) for name in ("Last-Modified", "Date"))
        assert changed <= made
