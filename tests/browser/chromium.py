"""Chromium with an empty profile; emulates screen sizes, colour schemes, agents and languages."""

import base64
import os
import shutil
import struct
import zlib
from collections import defaultdict
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
_PNG = b"\x89PNG\r\n\x1a\n"


class ChromiumNotFound(Exception):
    """Chromium or chromedriver is not installed."""


class Chromium:
    """A browser tab."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        self.width, self.height = 1280, 800
        self._agent = str(self._do("Browser.getVersion")["userAgent"])
        self._emulated: dict[str, dict[str, Any]] = {}
        self._checked: dict[str, set[int]] = defaultdict(set)

    @property
    def checked(self) -> set[int]:
        """The parts of pages whose accessibility was checked in the current emulation."""
        return self._checked[str(self._emulated)]

    def emulate(
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
        """Emulate a device from now on."""
        self.width, self.height = width, height
        self._emulate(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        features = {
            "prefers-color-scheme": "dark" if dark else "light",
            # Without animations, so that targets of clicks do not move.
            "prefers-reduced-motion": "reduce",
        }
        media_features = [{"name": name, "value": value} for name, value in features.items()]
        self._emulate("Emulation.setEmulatedMedia", media=media, features=media_features)
        self._emulate(
            "Emulation.setUserAgentOverride",
            userAgent=agent or self._agent,
            acceptLanguage=f"{language},en;q=0.5",
        )
        self._emulate("Emulation.setScriptExecutionDisabled", value=not scripts)
        return self

    def open(self, url: str) -> "Chromium":
        """Open *url* with an empty console log."""
        self.driver.get_log("browser")
        self.driver.get(url)
        return self

    def wait_until(self, script: str) -> None:
        """Wait until *script* returns true."""
        WebDriverWait(self.driver, 20).until(lambda driver: driver.execute_script(script))

    def wait_for_preview(self) -> None:
        """On the start page, wait until the builder shows its result."""
        self.wait_until(
            "return !document.querySelector('[data-preview]') || !!document.querySelector('.next')"
        )

    def run(self, script: str, *arguments: Any) -> Any:
        """Run *script* in the page; return its result."""
        return self.driver.execute_script(script, *arguments)

    def console(self) -> list[str]:
        """The console messages since the page was opened."""
        return [f"{entry['level']}: {entry['message']}" for entry in self.driver.get_log("browser")]

    def screenshot(self, path: Path, *, whole: bool = True) -> None:
        """Save a screenshot as a PNG file; *whole* includes the parts below the visible area."""
        size = self._do("Page.getLayoutMetrics")["cssContentSize"]
        height = min(int(size["height"]), _TALLEST) if whole else self.height
        clip = {"x": 0, "y": 0, "width": self.width, "height": height, "scale": 1}
        image = self._do("Page.captureScreenshot", captureBeyondViewport=whole, clip=clip)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(image["data"]))

    def colour_at(self, x: int, y: int) -> tuple[int, int, int]:
        """The colour on the screen: red, green and blue of a pixel, 0 to 255."""
        clip = {"x": x, "y": y, "width": 1, "height": 1, "scale": 1}
        image = base64.b64decode(self._do("Page.captureScreenshot", clip=clip)["data"])
        data, at = b"", len(_PNG)
        while at < len(image):
            length, kind = struct.unpack_from(">I4s", image, at)
            data += image[at + 8 : at + 8 + length] if kind == b"IDAT" else b""
            at += 12 + length
        # The only row begins with the number of its filter, which changes nothing in one pixel.
        red, green, blue = zlib.decompress(data)[1:4]
        return red, green, blue

    def print(self, *, inches: tuple[float, float]) -> bytes:
        """Print the page as a PDF in landscape, on paper of this width and height."""
        width, height = inches
        # preferCSSPageSize would use the system's paper size. The margins are those of the CSS.
        pdf = self._do(
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
        return base64.b64decode(pdf["data"])

    def _emulate(self, command: str, **parameters: Any) -> None:
        """Run *command* unless it changes nothing, since the page is drawn anew after it."""
        if self._emulated.get(command) != parameters:
            self._do(command, **parameters)
            self._emulated[command] = parameters

    def _do(self, command: str, **parameters: Any) -> Any:
        return self.driver.execute_cdp_cmd(command, parameters)


@contextmanager
def chromium() -> Iterator[Chromium]:
    """Run Chromium until the end of the block.

    Raises:
        ChromiumNotFound: if it is not installed.
    """
    program, server = shutil.which("chromium"), shutil.which("chromedriver")
    if not program or not server:
        raise ChromiumNotFound
    # Selenium must not search for or download programs.
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
            # Without the HTTP cache, which would keep pages of earlier tests.
            driver.execute_cdp_cmd("Network.enable", {})
            driver.execute_cdp_cmd("Network.setCacheDisabled", {"cacheDisabled": True})
            yield Chromium(driver)
        finally:
            driver.quit()
