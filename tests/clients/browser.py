"""Chromium with a page that shows feeds with FullCalendar."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from tempfile import TemporaryDirectory
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

from clients.events import Event, Rejected
from clients.programs import needs_npm, skip_without

_SWITCHES = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run"
    " --disable-background-networking --disable-component-update --disable-sync"
    " --disable-dev-shm-usage --no-proxy-server --window-size=1400,4000"
).split()
_SECONDS = 60


@dataclass(frozen=True)
class RenderedCalendar:
    """A feed as FullCalendar shows it.

    Attributes:
        events: all events of the range.
        links: the URL of each event.
        texts: day, time and title of each event on the page.
    """

    events: list[Event]
    links: list[str]
    texts: list[tuple[str, str, str]]


class Browser:
    """A tab with *page*, which has another origin than the feeds."""

    def __init__(self, driver: Any, page: str) -> None:
        self._driver = driver
        self._page = page

    def month(self, url: str, form: str, month: date, *, zone: str) -> RenderedCalendar:
        """Show a month of the feed at *url* in the time zone *zone*."""
        day = month.isoformat()
        settings = {"initialView": "dayGridMonth", "initialDate": day, "firstDay": 1}
        return self._show(url, form, settings, zone)

    def everything(self, url: str, first: date, last: date) -> list[Event]:
        """All events of the feed at *url* between two days."""
        settings = {
            "initialView": "dayGrid",
            "visibleRange": {"start": first.isoformat(), "end": last.isoformat()},
            # Not drawn: thousands of elements are slow.
            "eventDisplay": "none",
        }
        return self._show(url, "ics", settings, "Pacific/Marquesas").events

    def _show(self, url: str, form: str, settings: dict[str, Any], zone: str) -> RenderedCalendar:
        driver = self._driver
        driver.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": zone})
        driver.get(self._page)
        result = driver.execute_async_script(
            "const done = arguments[2]; window.show(arguments[0], arguments[1]).then(done);",
            settings,
            {"url": url, "format": form},
        )
        if "rejected" in result:
            raise Rejected(result["rejected"])
        events = [
            Event.of("", title, _instant(start), None if end is None else _instant(end))
            for _, title, start, end in result["events"]
        ]
        return RenderedCalendar(events, result["links"], [tuple(t) for t in result["texts"]])


def _instant(seconds: Any) -> datetime:
    if isinstance(seconds, str):
        raise Rejected(f"read as {seconds}")
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)


@contextmanager
def browser(page: str) -> Iterator[Browser]:
    """A browser with an empty profile, which ends with the block."""
    needs_npm()
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not chromedriver:
        skip_without("Chromium (chromium, chromium-driver)", "make test-deps")
    # Selenium must not search for or download programs.
    os.environ["SE_OFFLINE"] = "true"
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = Options()
        options.binary_location = chromium
        for switch in (*_SWITCHES, f"--user-data-dir={profile}"):
            options.add_argument(switch)
        driver = webdriver.Chrome(options=options, service=Service(chromedriver))
        try:
            driver.set_script_timeout(_SECONDS)
            yield Browser(driver, page)
        finally:
            driver.quit()
