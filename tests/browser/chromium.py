"""Chromium, with nobody's settings, as wide, as dark and as foreign as a test wants it."""

import base64
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

_SWITCHES = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --mute-audio"
    " --disable-background-networking --disable-component-update --disable-sync"
    " --disable-dev-shm-usage --no-proxy-server --hide-scrollbars"
).split()
_SECONDS = 60
_TALLEST = 9_000


class Missing(Exception):
    """There is no Chromium on this machine."""


class Chromium:
    """A tab."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        self.width, self.height = 1280, 800

    def look(
        self,
        *,
        width: int = 1280,
        height: int = 800,
        dark: bool = False,
        agent: str = "",
        language: str = "en-GB",
        scripts: bool = True,
        media: str = "",
    ) -> "Chromium":
        """Be another device from here on."""
        self.width, self.height = width, height
        self._do(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        features = {
            "prefers-color-scheme": "dark" if dark else "light",
            # A click has to find its target where it was a moment ago.
            "prefers-reduced-motion": "reduce",
        }
        said = [{"name": name, "value": value} for name, value in features.items()]
        self._do("Emulation.setEmulatedMedia", media=media, features=said)
        agent = agent or str(self._do("Browser.getVersion")["userAgent"])
        self._do(
            "Emulation.setUserAgentOverride", userAgent=agent, acceptLanguage=f"{language},en;q=0.5"
        )
        self._do("Emulation.setScriptExecutionDisabled", value=not scripts)
        return self

    def open(self, url: str) -> "Chromium":
        """Go there, with nothing said on the console before."""
        self.driver.get_log("browser")
        self.driver.get(url)
        return self

    def wait_until(self, script: str) -> None:
        """Until *script* returns true."""
        WebDriverWait(self.driver, 20).until(lambda driver: driver.execute_script(script))

    def wait_for_preview(self) -> None:
        """Until the start page's builder says what it has found; at once on other pages."""
        self.wait_until(
            "return !document.querySelector('[data-preview]') || !!document.querySelector('.next')"
        )

    def run(self, script: str, *arguments: Any) -> Any:
        """What *script* returns in the page."""
        return self.driver.execute_script(script, *arguments)

    def console(self) -> list[str]:
        """What was said there since the page was opened."""
        return [f"{one['level']}: {one['message']}" for one in self.driver.get_log("browser")]

    def screenshot(self, path: Path, *, whole: bool = True) -> None:
        """A picture of the page as a PNG file, also of what is below the fold."""
        size = self._do("Page.getLayoutMetrics")["cssContentSize"]
        height = min(int(size["height"]), _TALLEST) if whole else self.height
        clip = {"x": 0, "y": 0, "width": self.width, "height": height, "scale": 1}
        taken = self._do("Page.captureScreenshot", captureBeyondViewport=whole, clip=clip)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(taken["data"]))

    def print(self, *, inches: tuple[float, float]) -> bytes:
        """The page as a PDF, on paper of that width and height when upright."""
        width, height = inches
        # preferCSSPageSize would take the machine's paper; the sheet is laid as the style has it
        told = self._do(
            "Page.printToPDF",
            paperWidth=width,
            paperHeight=height,
            landscape=True,
            printBackground=False,
            marginTop=0.354,
            marginBottom=0.354,
            marginLeft=0.394,
            marginRight=0.394,
        )
        return base64.b64decode(told["data"])

    def _do(self, command: str, **parameters: Any) -> Any:
        return self.driver.execute_cdp_cmd(command, parameters)


@contextmanager
def chromium() -> Iterator[Chromium]:
    """A browser; it ends with the block.

    Raises:
        Missing: there is none.
    """
    program, server = shutil.which("chromium"), shutil.which("chromedriver")
    if not program or not server:
        raise Missing
    # Nothing is to be looked for or fetched: both programs are named.
    os.environ["SE_OFFLINE"] = "true"
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = Options()
        options.binary_location = program
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        for switch in (*_SWITCHES, f"--user-data-dir={profile}"):
            options.add_argument(switch)
        driver = webdriver.Chrome(options=options, service=Service(server))
        try:
            driver.set_script_timeout(_SECONDS)
            # What a page is now, and not what it was for an earlier test.
            driver.execute_cdp_cmd("Network.enable", {})
            driver.execute_cdp_cmd("Network.setCacheDisabled", {"cacheDisabled": True})
            yield Chromium(driver)
        finally:
            driver.quit()
