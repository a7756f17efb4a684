"""Ordinary classes beside courses: the builder's choices, and a list that TeamUp refuses."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from browser.accessibility import violations
from browser.bridges import Bridge, bridge
from browser.builder import address, box, select, submit
from browser.chromium import Chromium
from browser.conftest import ARTEFACTS
from browser.test_every_page import DEVICES, console_messages


def chosen(tab: Chromium) -> str:
    return tab.driver.find_element(By.CSS_SELECTOR, "[data-chosen] bdi").text


@pytest.mark.parametrize(
    ("name", "value", "path"),
    [
        ("rooms", 71, "/rooms/71-river-room"),
        ("offering_types", 45, "/types/45-indoor-cycling"),
    ],
)
def test_the_builder_uses_the_url_and_page_of_a_single_room_or_type(
    live: Bridge, tab: Chromium, name: str, value: int, path: str
) -> None:
    tab.open(live.url("/"))
    box(tab, name, value)
    assert address(tab) == f"{live.origin}{path}.ics"
    submit(tab)
    tab.wait_until(f"return location.pathname === {path!r}")


def test_the_builder_creates_the_url_of_rooms_categories_and_one_list(
    live: Bridge, tab: Chromium
) -> None:
    tab.open(live.url("/"))
    for room in (71, 73):
        box(tab, "rooms", room)
    box(tab, "category", 5)
    select(tab, "sources", "events")
    assert chosen(tab) == "Yoga, River room, Nave"
    assert parse_qs(urlsplit(address(tab)).query) == {
        "sources": ["events"], "rooms": ["71", "73"], "category": ["5"], "_": [".ics"],
    }  # fmt: skip
    assert not set(",;%") & set(address(tab))
    rows = requests.get(address(tab).replace(".ics", ".json"), timeout=10).json()
    assert rows
    assert {row["room"]["name"] for row in rows} <= {"River room", "Nave"}
    assert {row["type"]["category"] for row in rows} == {"Yoga"}
    assert {row["object"] for row in rows} == {"event"}


def test_the_builder_names_a_list_that_is_chosen_alone(live: Bridge, tab: Chromium) -> None:
    tab.open(live.url("/"))
    tab.wait_for_preview()
    assert chosen(tab) == "All classes"
    everything = address(tab)
    select(tab, "sources", "course_sessions")
    assert chosen(tab) == "Courses"
    assert address(tab).endswith("/sessions.ics?sources=course_sessions&_=.ics")
    select(tab, "sources", "events,course_sessions")
    assert (chosen(tab), address(tab)) == ("All classes", everything)


def test_the_builder_shows_the_room_of_each_class(live: Bridge, tab: Chromium) -> None:
    tab.open(live.url("/"))
    box(tab, "rooms", 74)
    assert tab.run("return document.querySelector('[data-glance] bdi').textContent") == "Crypt"
    tab.wait_until(
        "const places = [...document.querySelectorAll('.next .at')].map((at) => at.textContent);"
        "return places.length && places.every((at) => at.endsWith('Café & Gym, Crypt'))"
    )


def test_the_builder_works_with_the_keyboard(live: Bridge, tab: Chromium) -> None:
    tab.open(live.url("/"))
    tab.run("document.querySelector('input[name=rooms]').focus()")
    tab.driver.switch_to.active_element.send_keys(Keys.SPACE)
    assert address(tab).endswith("/rooms/71-river-room.ics")
    tab.run("document.querySelector('details:has(#sources) summary').focus()")
    tab.driver.switch_to.active_element.send_keys(Keys.ENTER, Keys.TAB)
    tab.driver.switch_to.active_element.send_keys(Keys.ARROW_DOWN)
    assert address(tab).endswith("/rooms/71-river-room.ics?sources=events&_=.ics")


@pytest.mark.parametrize("scripts", [True, False])
def test_the_form_shows_only_what_was_chosen(live: Bridge, tab: Chromium, scripts: bool) -> None:
    tab.emulate(scripts=scripts).open(live.url("/"))
    box(tab, "category", 5)
    select(tab, "sources", "course_sessions")
    submit(tab)
    tab.wait_until("return document.querySelector('[data-way=apple]') !== null")
    feed = urlsplit(address(tab))
    assert parse_qs(feed.query) == {
        "category": ["5"], "sources": ["course_sessions"], "_": [".ics"],
    }  # fmt: skip
    assert tab.driver.find_element(By.TAG_NAME, "h1").text == "Yoga"


@pytest.fixture(scope="module")
def refused() -> Iterator[Bridge]:
    """A bridge that may not read the ordinary classes."""
    with bridge(sandbox=True) as running:
        running.faults.set("status", 403, source="events")
        requests.get(running.url("/sessions.ics"), timeout=20)
        yield running


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("path", ["/", "/venues/12", "/embed/venues/12", "/status"])
def test_pages_without_a_list_say_so_and_are_accessible(
    refused: Bridge, tab: Chromium, packages: Path, path: str, device: str
) -> None:
    tab.emulate(**DEVICES[device]).open(refused.url(path))
    tab.wait_for_preview()
    name = path.strip("/").replace("/", "-") or "start"
    tab.screenshot(ARTEFACTS / "pages" / f"refused-{name}-{device}.png")
    text = tab.driver.find_element(By.TAG_NAME, "main").text
    wanted = "TEAMUP_SOURCES" if path == "/status" else "Ordinary classes are not included"
    assert wanted in text
    assert tab.run("return document.documentElement.scrollWidth") <= tab.width
    assert console_messages(tab) == []
    assert violations(tab, packages) == []
