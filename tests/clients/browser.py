"""Chromium with a page that shows feeds by FullCalendar."""

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

from clients.programs import missing, needs_npm
from clients.reading import Reading, Rejected

_SWITCHES = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run"
    " --disable-background-networking --disable-component-update --disable-sync"
    " --disable-dev-shm-usage --no-proxy-server --window-size=1400,4000"
).split()
_SECONDS = 60


@dataclass(frozen=True)
class Shown:
    """What a browser made of a feed.

    Attributes:
        read: every event of the range.
        links: where a click on each leads.
        seen: day, time and title of the events as they stand on the page.
    """

    read: list[Reading]
    links: list[str]
    seen: list[tuple[str, str, str]]


class Browser:
    """A tab on *page*, which is another site than the feeds'."""

    def __init__(self, driver: Any, page: str) -> None:
        self._driver = driver
        self._page = page

    def month(self, url: str, form: str, month: date, *, zone: str) -> Shown:
        """FullCalendar's month with the feed at *url*, for a person in *zone*."""
        day = month.isoformat()
        settings = {"initialView": "dayGridMonth", "initialDate": day, "firstDay": 1}
        return self._show(url, form, settings, zone)

    def everything(self, url: str, first: date, last: date) -> list[Reading]:
        """All that FullCalendar reads of the feed at *url* between two days."""
        settings = {
            "initialView": "dayGrid",
            "visibleRange": {"start": first.isoformat(), "end": last.isoformat()},
            # held, not drawn: thousands of boxes take their time
            "eventDisplay": "none",
        }
        return self._show(url, "ics", settings, "Pacific/Marquesas").read

    def _show(self, url: str, form: str, settings: dict[str, Any], zone: str) -> Shown:
        driver = self._driver
        driver.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": zone})
        driver.get(self._page)
        told = driver.execute_async_script(
            "const done = arguments[2]; window.show(arguments[0], arguments[1]).then(done);",
            settings,
            {"url": url, "format": form},
        )
        if "rejected" in told:
            raise Rejected(told["rejected"])
        read = [
            Reading.of("", title, _instant(start), None if end is None else _instant(end))
            for _, title, start, end in told["events"]
        ]
        return Shown(read, told["links"], [tuple(one) for one in told["seen"]])


def _instant(seconds: Any) -> datetime:
    if isinstance(seconds, str):
        raise Rejected(f"read as {seconds}")
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)


@contextmanager
def browser(page: str) -> Iterator[Browser]:
    """A browser without anybody's settings; it ends with the block."""
    needs_npm()
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not chromedriver:
        missing("Chromium (chromium, chromium-driver)", "make test-deps")
    # Nothing is to be looked for or fetched: both programs are named.
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
