"""Subscribing: from the start page to the URL of a calendar."""

from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pytest
import requests
from icalendar import Calendar
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from browser.bridges import Bridge
from browser.chromium import Chromium
from browser.test_every_page import violations

IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148"
PIXEL = "Mozilla/5.0 (Linux; Android 16; Pixel 9) AppleWebKit/537.36 Chrome/140.0 Mobile"
CHROMEBOOK = "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 Chrome/140.0"
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0"


def links(tab: Chromium, selector: str = ".ways a") -> list[str]:
    return [
        link.get_attribute("href") for link in tab.driver.find_elements(By.CSS_SELECTOR, selector)
    ]


def summaries(address: str) -> list[str]:
    body = requests.get(address, timeout=10).content
    return [str(event["SUMMARY"]) for event in Calendar.from_ical(body).walk("VEVENT")]


def test_a_page_links_to_the_common_calendars(live: Bridge, tab: Chromium) -> None:
    tab.open(live.url("/venues/12"))
    address = f"{live.origin}/venues/12-riverside-studio.ics"
    webcal = address.replace("http://", "webcal://")
    encoded = quote(address, safe="")
    name = quote("Riverside Studio", safe="")
    assert sorted(links(tab)) == sorted(
        [
            f"https://calendar.google.com/calendar/r?cid={quote(webcal, safe='')}",
            webcal,
            f"https://outlook.live.com/calendar/0/addfromweb/?url={encoded}&name={name}",
            f"https://outlook.office.com/calendar/0/addfromweb/?url={encoded}&name={name}",
        ]
    )
    assert "https://calendar.google.com/calendar/u/0/r/settings/addbyurl" in links(tab, ".small a")
    assert "You cannot speed this up" in tab.driver.find_element(By.ID, "subscribe").text


@pytest.mark.parametrize(
    ("agent", "way"), [(IPHONE, "apple"), (CHROMEBOOK, "google"), (WINDOWS, "outlook")]
)
def test_the_calendar_of_the_visitors_device_comes_first(
    live: Bridge, tab: Chromium, agent: str, way: str
) -> None:
    tab.emulate(width=390, height=844, agent=agent).open(live.url("/venues/12"))
    first = tab.driver.find_element(By.CSS_SELECTOR, "[data-ways] > li")
    assert first.get_attribute("data-way") == way


def texts(tab: Chromium) -> list[str]:
    """The parts of the section for subscribing, in the order in which they are displayed."""
    parts = tab.driver.find_elements(By.CSS_SELECTOR, "#subscribe > *")
    return [part.text for part in parts if part.is_displayed()]


@pytest.mark.parametrize("dark", [False, True])
def test_on_android_the_section_begins_with_sending_the_page_to_a_computer(
    live: Bridge, tab: Chromium, packages: Path, dark: bool
) -> None:
    tab.emulate(width=390, height=844, agent=PIXEL, dark=dark).open(live.url("/venues/12"))
    tab.run("document.querySelector('.taps').open = true")
    _, _, android, ways, *_ = texts(tab)
    assert android.startswith("On Android, Google’s app cannot add a calendar by its address.")
    assert android.endswith("Share this page\nSend this page by mail")
    assert ways.startswith("Google Calendar on a computer")
    assert tab.run("return document.documentElement.scrollWidth") <= tab.width
    assert violations(tab, packages) == []


@pytest.mark.parametrize("scripts", [True, False])
def test_elsewhere_android_is_explained_after_the_links(
    live: Bridge, tab: Chromium, scripts: bool
) -> None:
    tab.emulate(scripts=scripts).open(live.url("/venues/12"))
    _, _, ways, android, *_ = texts(tab)
    assert ways.startswith("Google Calendar on a computer")
    assert android.endswith("it then appears on the phone as well.\nSend this page by mail")


def share(tab: Chromium) -> WebElement:
    return tab.driver.find_element(By.CSS_SELECTOR, ".head [data-share]")


def test_the_share_button_shares_the_address_of_what_is_shown(live: Bridge, tab: Chromium) -> None:
    tab.open(live.url("/venues/12?view=week&from=2026-12-01&utm_source=x"))
    tab.run("navigator.share = async (data) => { window.shared = data; };")
    share(tab).click()
    tab.wait_until("return window.shared !== undefined")
    assert tab.run("return window.shared") == {
        "title": "Riverside Studio: timetable and calendar",
        "url": f"{live.origin}/venues/12-riverside-studio?view=week&from=2026-12-01",
    }


@pytest.mark.parametrize("error", [None, "NotAllowedError"])
def test_without_a_share_sheet_the_share_button_copies_the_address(
    live: Bridge, tab: Chromium, error: str | None
) -> None:
    tab.open(live.url("/venues/12"))
    fails = f"async () => {{ throw new DOMException('', '{error}'); }}"
    tab.run(f"navigator.share = {fails if error else 'undefined'};")
    tab.run("navigator.clipboard.writeText = async (text) => { window.copied = text; };")
    share(tab).click()
    tab.wait_until("return document.querySelector('.head [data-share]').textContent === 'Copied'")
    assert tab.run("return window.copied") == f"{live.origin}/venues/12-riverside-studio"


def test_a_share_sheet_that_was_closed_copies_nothing(live: Bridge, tab: Chromium) -> None:
    tab.open(live.url("/venues/12"))
    tab.run(
        """
        navigator.share = async () => {
          setTimeout(() => { window.closed_sheet = true; }, 100);
          throw new DOMException("", "AbortError");
        };
        """
    )
    share(tab).click()
    tab.wait_until("return window.closed_sheet === true")
    assert share(tab).text == "Share"


def test_copying_is_confirmed(live: Bridge, tab: Chromium) -> None:
    tab.open(live.url("/venues/12"))
    button = tab.driver.find_element(By.CSS_SELECTOR, "[data-copy=address]")
    button.click()
    tab.wait_until("return document.querySelector('[data-copy=address]').textContent === 'Copied'")
    assert tab.driver.find_element(By.CSS_SELECTOR, ".copy [role=status]").get_property(
        "textContent"
    ) == "Copied"  # fmt: skip


def test_the_builder_creates_the_url_of_a_feed(live: Bridge, tab: Chromium) -> None:
    tab.open(live.url("/"))
    tab.wait_for_preview()
    before = tab.driver.find_element(By.CSS_SELECTOR, ".count").text
    for name, value in (("venues", 12), ("venues", 13), ("offering_types", 31)):
        tab.driver.find_element(
            By.CSS_SELECTOR, f"input[name={name}][value='{value}']"
        ).click()  # fmt: skip
    tab.wait_until(f"return document.querySelector('.count').textContent !== {before!r}")
    address = tab.driver.find_element(By.ID, "address").get_attribute("value")
    assert urlsplit(address).path == "/sessions.ics"
    assert address.endswith(".ics")
    assert not set(",;%") & set(address)
    assert parse_qs(urlsplit(address).query) == {
        "venues": ["12", "13"], "offering_types": ["31"], "_": [".ics"],
    }  # fmt: skip
    titles = summaries(address)
    assert titles
    assert all("Vinyasa Flow" in title for title in titles)
    upcoming = requests.get(
        f"{live.origin}/sessions.json?venues=12,13&offering_types=31",
        params={"start": tab.run("return new Date().toISOString().slice(0, 16) + 'Z'")},
        timeout=10,
    ).json()
    assert tab.driver.find_element(By.CSS_SELECTOR, ".count").text.startswith(f"{len(upcoming)} ")
    assert upcoming[0]["title"] in tab.driver.find_element(By.CSS_SELECTOR, ".next").text


def test_the_builder_uses_the_url_and_page_of_a_single_venue(live: Bridge, tab: Chromium) -> None:
    tab.open(live.url("/"))
    tab.driver.find_element(By.CSS_SELECTOR, "input[name=venues][value='12']").click()
    address = tab.driver.find_element(By.ID, "address").get_attribute("value")
    assert address == f"{live.origin}/venues/12-riverside-studio.ics"
    tab.driver.find_element(By.CSS_SELECTOR, "button[type=submit]").click()
    tab.wait_until("return location.pathname === '/venues/12-riverside-studio'")


@pytest.mark.parametrize("scripts", [True, False])
def test_three_clicks_lead_to_a_feed_url(live: Bridge, tab: Chromium, scripts: bool) -> None:
    tab.emulate(scripts=scripts).open(live.url("/"))
    tab.driver.find_element(By.CSS_SELECTOR, "input[name=venues][value='13']").click()
    tab.driver.find_element(By.CSS_SELECTOR, "button[type=submit]").click()
    tab.wait_until("return document.querySelector('[data-way=apple]') !== null")
    [address] = [link for link in links(tab) if link.startswith("webcal://")]
    assert len(summaries(address.replace("webcal://", "http://"))) > 20


def test_an_outage_of_upstream_is_shown(live: Bridge, tab: Chromium) -> None:
    live.upstream.stop()
    before = live.clock.now()
    try:
        live.clock.move(3 * 3600)
        tab.open(live.url("/venues/12")).open(live.url("/venues/12"))
        notice = tab.driver.find_element(By.CSS_SELECTOR, ".notice").text
        assert "This is the timetable as of" in notice
        assert len(links(tab)) == 4
    finally:
        live.clock.move(before - live.clock.now())
        live.upstream.start()
