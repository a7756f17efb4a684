"""Subscribing: from the start page to the URL of a calendar."""

from pathlib import Path
from unittest.mock import ANY
from urllib.parse import parse_qs, quote, urlsplit
from zoneinfo import ZoneInfo

import pytest
import requests
from icalendar import Calendar
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from browser.accessibility import violations
from browser.bridges import Bridge
from browser.builder import address, box, cell, submit
from browser.chromium import Chromium
from browser.conftest import ARTEFACTS
from browser.test_every_page import DEVICES, console_messages

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
    for name, value in (("venues", 12), ("venues", 13), ("offering_types", 31)):
        box(tab, name, value)
    found = address(tab)
    assert urlsplit(found).path == "/sessions.ics"
    assert found.endswith(".ics")
    assert not set(",;%") & set(found)
    assert parse_qs(urlsplit(found).query) == {
        "venues": ["12", "13"], "offering_types": ["31"], "_": [".ics"],
    }  # fmt: skip
    titles = summaries(found)
    assert titles
    assert all("Vinyasa Flow" in title for title in titles)
    upcoming = requests.get(
        f"{live.origin}/sessions.json?venues=12,13&offering_types=31&status=active&limit=10000",
        timeout=10,
    ).json()
    assert tab.driver.find_element(By.CSS_SELECTOR, ".count").text.startswith(f"{len(upcoming)} ")
    tab.wait_until(
        "return document.querySelectorAll('.next li').length === 3 && "
        "[...document.querySelectorAll('.next li')].every((row) => row.textContent.includes('Vin'))"
    )


def test_the_builder_uses_the_url_and_page_of_a_single_venue(live: Bridge, tab: Chromium) -> None:
    tab.open(live.url("/"))
    box(tab, "venues", 12)
    assert address(tab) == f"{live.origin}/venues/12-riverside-studio.ics"
    submit(tab)
    tab.wait_until("return location.pathname === '/venues/12-riverside-studio'")


def test_three_clicks_on_a_phone_lead_to_saturday_mornings_at_a_venue(
    live: Bridge, tab: Chromium
) -> None:
    tab.emulate(width=390, height=844).open(live.url("/"))
    box(tab, "venues", 13)
    cell(tab, "sat", 0)
    submit(tab)
    tab.wait_until("return location.pathname === '/venues/13-the-old-chapel-cafe-gym'")
    found = address(tab)
    assert found.endswith("gym.ics?weekdays=sat&time_until=12:00&_=.ics")
    events = Calendar.from_ical(requests.get(found, timeout=10).content).walk("VEVENT")
    london = ZoneInfo("Europe/London")
    starts = [event["DTSTART"].dt.astimezone(london) for event in events]
    assert starts
    assert {(start.weekday(), start.hour < 12) for start in starts} == {(5, True)}


@pytest.mark.parametrize("scripts", [True, False])
def test_three_clicks_lead_to_a_feed_url(live: Bridge, tab: Chromium, scripts: bool) -> None:
    tab.emulate(scripts=scripts).open(live.url("/"))
    box(tab, "venues", 13)
    submit(tab)
    tab.wait_until("return document.querySelector('[data-way=apple]') !== null")
    [found] = [link for link in links(tab) if link.startswith("webcal://")]
    assert len(summaries(found.replace("webcal://", "http://"))) > 20


def test_impossible_combinations_are_grey_and_choices_are_counted(
    live: Bridge, tab: Chromium
) -> None:
    tab.open(live.url("/"))

    def number(selector: str) -> int:
        return int(tab.run("return document.querySelector(arguments[0]).textContent", selector))

    def disabled(name: str, value: object) -> bool:
        selector = f"#choose input[name={name}][value='{value}']"
        return bool(tab.run("return document.querySelector(arguments[0]).disabled", selector))

    whole = number("#choose li:has([name=instructors][value='13']) .n")
    assert not disabled("venues", 14)
    box(tab, "instructors", 13)
    assert number("#choose li:has([name=instructors][value='13']) .n") == whole
    counted = tab.driver.find_element(By.CSS_SELECTOR, ".chosen .count").text
    assert counted == f"{whole} upcoming classes"
    # She does not teach in Brooklyn; another instructor can still be added.
    assert disabled("venues", 14)
    assert not disabled("instructors", 11)
    tab.driver.find_element(By.CSS_SELECTOR, "[type=reset]").click()
    tab.wait_until("return !document.querySelector('#choose input[value=\"14\"]').disabled")


@pytest.mark.parametrize("device", DEVICES)
def test_the_form_is_accessible_while_choices_are_made(
    live: Bridge, tab: Chromium, packages: Path, device: str
) -> None:
    tab.emulate(**DEVICES[device]).open(live.url("/"))
    box(tab, "instructors", 13)
    cell(tab, "tue", 2)
    tab.wait_for_preview()
    tab.run("for (const list of document.querySelectorAll('details')) list.open = true")
    tab.screenshot(ARTEFACTS / "pages" / f"start-chosen-{device}.png")
    assert tab.run("return document.querySelectorAll('#choose :disabled').length") > 10
    assert tab.run("return document.documentElement.scrollWidth") <= tab.width
    assert console_messages(tab) == []
    assert violations(tab, packages) == []


def test_the_lists_are_searched_as_one_types(live: Bridge, tab: Chromium) -> None:
    tab.open(live.url("/"))
    script = (
        "return [...document.querySelectorAll('#directory li')]"
        ".filter((row) => row.checkVisibility()).map((row) => row.textContent.trim())"
    )
    before = tab.run(script)
    field = tab.driver.find_element(By.ID, "find-directory")
    field.send_keys("lukasz")
    assert tab.run(script) == ["Łukasz Nowak"]
    field.send_keys(Keys.ENTER, "x")
    assert tab.run(script) == []
    assert "Nothing found" in tab.driver.find_element(By.ID, "directory").text
    for _ in "lukaszx":
        field.send_keys(Keys.BACKSPACE)
    assert tab.run(script) == before
    tab.driver.find_element(By.ID, "find-choose").send_keys("crypt")
    lists = tab.driver.find_elements(By.CSS_SELECTOR, "#choose details[data-group]")
    assert [found.text.split() for found in lists if found.is_displayed()] == [
        ["Rooms", "Crypt", "The", "Old", "Chapel;", "Café", "&", "Gym", ANY]
    ]


def test_choices_are_kept_when_a_visitor_comes_back(live: Bridge, tab: Chromium) -> None:
    tab.open(live.url("/"))
    box(tab, "venues", 12)
    submit(tab)
    tab.wait_until("return location.pathname === '/venues/12-riverside-studio'")
    tab.driver.back()
    tab.wait_until("return document.querySelector('#address')?.value.includes('/venues/12-')")


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
