"""The operator's status page in a browser, in both languages and widths."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from browser.accessibility import violations
from browser.bridges import Bridge, bridge
from browser.chromium import Chromium
from browser.conftest import ARTEFACTS
from browser.test_every_page import MAX_BYTES, console_messages

CLIENTS = (
    "Google-Calendar-Importer",
    "iOS/18.0 (22A3354) dataaccessd/1.0",
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.0",
)
FEEDS = ("/venues/12.ics", "/sessions.ics?venues=12%2C13&future=365&past=365", "/venues/13.ics")


@pytest.fixture(scope="module")
def failing() -> Iterator[Bridge]:
    """A bridge whose feeds were read, and whose upstream has failed since."""
    with bridge(sandbox=True) as running:
        for feed, client in zip(FEEDS, CLIENTS, strict=True):
            requests.get(running.url(feed), headers={"User-Agent": client}, timeout=10)
        running.parts.periodic.run_once()
        running.upstream.stop()
        running.clock.move(3 * 3600)
        requests.get(running.url(FEEDS[0]), timeout=20)
        yield running


@pytest.mark.parametrize(
    ("device", "language"),
    [
        ({"width": 390, "height": 844, "dark": False}, "de"),
        ({"width": 1280, "height": 800, "dark": True}, "en"),
    ],
    ids=["phone, German", "desktop, dark"],
)
def test_the_status_page_has_no_errors_or_accessibility_violations(
    failing: Bridge,
    tab: Chromium,
    packages: Path,
    device: dict[str, int],
    language: str,
) -> None:
    tab.emulate(**device).open(failing.url(f"/status?lang={language}"))
    tab.screenshot(ARTEFACTS / "pages" / f"status-{language}.png", whole=True)
    text = tab.driver.find_element("css selector", "main").text
    assert {"de": "Apple Kalender", "en": "Apple Calendar"}[language] in text
    assert "TEAMUP_BASE_URL" in text
    assert tab.run("return document.documentElement.scrollWidth") <= tab.width
    assert console_messages(tab) == []
    assert violations(tab, packages) == []
    page = requests.get(failing.url("/status"), timeout=10)
    assert len(page.content) < MAX_BYTES
