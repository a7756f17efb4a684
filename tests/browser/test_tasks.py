"""What visitors come for, each within three clicks from the start page.

The Saturday mornings of a venue on a phone are in test_subscribing.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from clients.web import FileServer
from icalendar import Calendar
from selenium.webdriver.common.by import By

from browser.accessibility import violations
from browser.bridges import Bridge, bridge
from browser.builder import address
from browser.chromium import Chromium
from browser.conftest import ARTEFACTS
from browser.test_every_page import DEVICES, console_messages

MAX_CLICKS = 3


@pytest.fixture(scope="module")
def studio() -> Iterator[Bridge]:
    """A bridge whose studio has changed since the first walk, and whose feed Google has fetched."""
    with bridge(studio_name="Riverside Movement") as running:
        _publish(running)
        covered, moved = (int(running.url("{class}")[-8:]), int(running.url("{session}")[-8:]))
        running.studio.change(covered, instructors=[12, 16], kind="event")
        running.studio.cancel(moved)
        running.clock.move(400.0)
        _publish(running)
        google = {"User-Agent": "Google-Calendar-Importer"}
        requests.get(running.url("/venues/12.ics"), headers=google, timeout=10)
        running.parts.periodic.run_once()
        yield running


def _publish(running: Bridge) -> None:
    for key in running.parts.router.widest_keys:
        rules = running.parts.router.merge_rules(key)
        assert rules is not None
        flight = running.parts.refresher.refresh(key, rules, None)
        assert flight is not None
        assert flight.wait(60)
        assert flight.failure is None


class Visitor:
    """Somebody who begins on the start page and clicks on words."""

    def __init__(self, tab: Chromium, running: Bridge) -> None:
        self._tab = tab
        self._clicks = 0
        tab.open(running.url("/"))
        tab.wait_for_preview()

    def click(self, words: str, within: str = "main", *, then: str) -> None:
        """Click the first visible control whose text begins with *words*.

        Args:
            then: a script that returns true once the click had its effect.
        """
        controls = self._tab.driver.find_elements(
            By.CSS_SELECTOR, f"{within} :is(a, button, summary)"
        )
        control = next(one for one in controls if one.is_displayed() and one.text.startswith(words))
        self._count()
        self._tab.run("arguments[0].scrollIntoView({block: 'center'})", control)
        control.click()
        self._tab.wait_until(f"return {then}")

    def choose(self, field: str, words: str) -> None:
        """Choose an option of a list."""
        self._count()
        # With the keyboard, since the driver sends no "input" event for a chosen option.
        self._tab.driver.find_element(By.ID, field).send_keys(words)

    def _count(self) -> None:
        self._clicks += 1
        assert self._clicks <= MAX_CLICKS


def test_a_week_for_a_wordpress_page(studio: Bridge, tab: Chromium) -> None:
    visitor = Visitor(tab, studio)
    visitor.click("Show it on your website", then="location.hash === '#embed'")
    tab.wait_until("return document.querySelector('.site details').open")
    visitor.choose("embed_view", "Week")
    tab.wait_until("return document.getElementById('code').value.includes('view=week')")
    tab.run("navigator.clipboard.writeText = async (text) => { window.copied = text; };")
    visitor.click("Copy", "#embed", then="window.copied !== undefined")
    code = tab.run("return window.copied")
    with FileServer() as blog:
        blog.put("/favicon.ico", b"")
        column = f'<div style="width: 640px">{code}</div>'
        page = f"<!doctype html><html lang=en><title>A blog</title>{column}</html>"
        tab.open(blog.put("/", page.encode()))
        tab.wait_until("return parseInt(document.querySelector('iframe').style.height) > 200")
        tab.screenshot(ARTEFACTS / "tasks" / "wordpress.png")
        tab.driver.switch_to.frame(tab.driver.find_element(By.TAG_NAME, "iframe"))
        days = "[...document.querySelectorAll('.day')]"
        tops = tab.run(f"return {days}.map((day) => day.getBoundingClientRect().top)")
        tab.driver.switch_to.default_content()
    assert len(tops) == 7
    assert len(set(tops)) == 1


def test_a_printed_week(studio: Bridge, tab: Chromium) -> None:
    visitor = Visitor(tab, studio)
    visitor.click("Print a week", then="location.search === '?view=week'")
    tab.run("window.print = () => { window.printed = true; };")
    visitor.click("Print", then="window.printed")


def test_the_calendar_of_one_instructor(studio: Bridge, tab: Chromium) -> None:
    visitor = Visitor(tab, studio)
    visitor.click(
        "Priya Raman", "#directory", then="location.pathname === '/instructors/14-priya-raman'"
    )
    visitor.click("Subscribe", then="location.hash === '#subscribe'")
    events = Calendar.from_ical(requests.get(address(tab), timeout=10).content).walk("VEVENT")
    assert events
    assert all("Priya Raman" in event["SUMMARY"] for event in events)


def test_a_link_for_a_chat(studio: Bridge, tab: Chromium) -> None:
    visitor = Visitor(tab.emulate(width=390, height=844), studio)
    visitor.click("Riverside Studio", "#directory", then="location.pathname !== '/'")
    tab.run("navigator.share = async (data) => { window.shared = data.url; };")
    visitor.click("Share", then="window.shared !== undefined")
    shared = requests.get(tab.run("return window.shared"), timeout=10).text
    preview = dict(re.findall('<meta property="og:([a-z_]+)" content="([^"]*)">', shared))
    assert preview["site_name"] == "Riverside Movement"
    assert preview["title"] == "Riverside Studio: timetable and calendar"
    assert preview["description"]


def test_what_a_cancellation_looks_like(studio: Bridge, tab: Chromium) -> None:
    visitor = Visitor(tab, studio)
    visitor.click("See the timetable", then="location.pathname === '/sessions'")
    main = tab.driver.find_element(By.TAG_NAME, "main")
    assert "Google Calendar hides cancelled classes" in main.text
    visitor.click("", ".entry.cancelled .name", then="document.querySelector('.facts') !== null")
    text = tab.driver.find_element(By.TAG_NAME, "main").text
    assert "Cancelled" in text
    assert "Next: " in text


def test_whether_google_has_fetched_a_calendar(studio: Bridge, tab: Chromium) -> None:
    visitor = Visitor(tab, studio)
    visitor.click("Riverside Studio", "#directory", then="location.pathname !== '/'")
    fetched = tab.driver.find_element(By.CSS_SELECTOR, ".fetched").text
    assert fetched == "Google last fetched this calendar less than an hour ago."


@pytest.mark.parametrize("device", DEVICES)
def test_what_changed_lately(studio: Bridge, tab: Chromium, packages: Path, device: str) -> None:
    visitor = Visitor(tab.emulate(**DEVICES[device]), studio)
    visitor.click("See the timetable", then="location.pathname === '/sessions'")
    visitor.click("All changes", then="location.pathname === '/sessions/changes'")
    texts = [item.text for item in tab.driver.find_elements(By.CSS_SELECTOR, ".changes li")]
    assert [text.partition(":")[0] for text in texts] == ["Cancelled", "Cover"]
    assert all("Noticed on " in text for text in texts)
    assert console_messages(tab) == []
    assert violations(tab, packages) == []
