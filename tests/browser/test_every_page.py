"""What holds for every page: nothing on the console, nothing in a reader's way, nothing heavy."""

import json
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from clients.programs import missing

from browser.bridges import Bridge
from browser.chromium import Chromium
from browser.conftest import ARTEFACTS, HERE
from browser.shown import PAGES, SIZES

MOST_BYTES = 100_000
_AXE = """
const done = arguments[0];
// on its own this rule of WCAG 2.2 is off
axe.run(document, {rules: {"target-size": {enabled: true}}}).then(done);
"""

each_page = pytest.mark.parametrize("name", PAGES)
LOOKS = {
    f"{width}-{'dark' if dark else 'light'}": {"width": width, "height": height, "dark": dark}
    for width, height in SIZES.items()
    for dark in (False, True)
}


def complaints(tab: Chromium) -> list[str]:
    """The console, but for the status of a page that is an error on purpose."""
    return [one for one in tab.console() if "Failed to load resource: the server resp" not in one]


def violations(tab: Chromium, packages: Path) -> list[str]:
    """What axe-core finds."""
    tab.run((packages / "axe-core" / "axe.min.js").read_text())
    found = tab.driver.execute_async_script(_AXE)
    return [
        f"{one['id']}: {node['html']} {node['failureSummary']}"
        for one in found["violations"]
        for node in one["nodes"]
    ]


@each_page
@pytest.mark.parametrize("look", LOOKS)
def test_nothing_is_wrong_with_it_and_there_is_a_picture(
    live: Bridge, tab: Chromium, packages: Path, name: str, look: str
) -> None:
    tab.look(**LOOKS[look]).open(live.url(PAGES[name]))
    tab.wait_for_preview()
    whole = not name.startswith("embed")
    tab.screenshot(ARTEFACTS / "pages" / f"{name}-{look}.png", whole=whole)
    assert tab.run("return document.documentElement.scrollWidth") <= tab.width
    assert complaints(tab) == []
    assert violations(tab, packages) == []


@each_page
def test_no_name_is_too_long_for_a_narrow_phone(live: Bridge, tab: Chromium, name: str) -> None:
    # WCAG 2.2, 1.4.10: 320 pixels are a page at four times its size
    tab.look(width=320, height=640).open(live.url(PAGES[name]))
    tab.run("document.querySelectorAll('bdi').forEach((one) => one.textContent = 'W'.repeat(190))")
    assert tab.run("return document.documentElement.scrollWidth") <= 320


@pytest.mark.parametrize("name", ["all", "venue-week", "embed-agenda"])
@pytest.mark.parametrize("width", SIZES)
def test_classes_stand_in_line_whether_they_can_be_booked_or_not(
    live: Bridge, tab: Chromium, name: str, width: int
) -> None:
    tab.look(width=width, height=800).open(live.url(PAGES[name]))
    tab.run(
        "document.querySelectorAll('.entry:nth-child(odd) .book').forEach((one) => one.remove())"
    )
    edges = tab.run(
        "const left = (one) => one.getBoundingClientRect().left;"
        "return [...document.querySelectorAll('.entry')]"
        ".map((one) => left(one.querySelector('.what')) - left(one))"
    )
    assert edges
    assert max(edges) - min(edges) < 1


def test_the_checker_can_fail(live: Bridge, tab: Chromium, packages: Path) -> None:
    tab.open(live.url("/venues/12"))
    tab.run("document.querySelector('h1').style.color = '#ddd'; document.title = '';")
    assert {one.split(":")[0] for one in violations(tab, packages)} >= {
        "color-contrast",
        "document-title",
    }


@each_page
def test_it_is_light_and_from_one_host(live: Bridge, tab: Chromium, name: str) -> None:
    tab.open(live.url(PAGES[name]))
    entries = "performance.getEntriesByType('resource')"
    asked = tab.run(f"return {entries}.map((one) => [one.name, one.initiatorType])")
    hosts = {urlsplit(url).netloc for url, _ in asked}
    assert hosts == {urlsplit(live.origin).netloc}
    # What the builder shows of a feed is the feed, and not the page.
    parts = [url for url, why in asked if why != "fetch"]
    sizes = [len(requests.get(url, timeout=10).content) for url in (live.url(PAGES[name]), *parts)]
    assert sum(sizes) < MOST_BYTES


@each_page
def test_it_can_be_used_before_any_script_has_run(live: Bridge, tab: Chromium, name: str) -> None:
    tab.look(scripts=False).open(live.url(PAGES[name]))
    words = tab.driver.find_element("css selector", "main").text
    assert len(words) > 40
    buttons = tab.driver.find_elements("css selector", "button")
    assert all(one.get_attribute("type") in ("submit", "reset") or not one.is_displayed()
               for one in buttons)  # fmt: skip


@each_page
def test_it_is_valid_html(live: Bridge, packages: Path, tmp_path: Path, name: str) -> None:
    if shutil.which("node") is None:
        missing("Node.js (nodejs, npm)", "make test-deps")
    page = tmp_path / "page.html"
    page.write_bytes(requests.get(live.url(PAGES[name]), timeout=10).content)
    command = [
        "node", str(packages / "html-validate" / "bin" / "html-validate.js"),
        "--config", str(HERE / "html-validate.json"), "--formatter", "json", str(page),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=HERE)
    assert done.returncode in (0, 1), done.stderr
    found = json.loads(done.stdout or "[]")
    told = [
        f"{one['line']}: {one['ruleId']}: {one['message']}"
        for file in found
        for one in file["messages"]
    ]
    assert told == []


def test_the_validator_can_fail(packages: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<!doctype html><html lang=en><title>x</title><p><div></div></p>")
    command = [
        "node", str(packages / "html-validate" / "bin" / "html-validate.js"),
        "--config", str(HERE / "html-validate.json"), str(page),
    ]  # fmt: skip
    assert subprocess.run(command, capture_output=True, check=False, cwd=HERE).returncode == 1


@each_page
def test_the_keyboard_reaches_it_all_and_is_seen(live: Bridge, tab: Chromium, name: str) -> None:
    tab.open(live.url(PAGES[name]))
    unseen = tab.run(
        """
        const all = [...document.querySelectorAll("a[href], button, input, select, textarea")]
          .filter((one) => one.offsetParent && !one.matches(".skip"));
        return all.filter((one) => {
          one.focus({focusVisible: true});
          const style = getComputedStyle(one);
          return document.activeElement !== one || one.tabIndex < 0
            || style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 2;
        }).map((one) => one.outerHTML);
        """
    )
    assert unseen == []


@each_page
def test_what_is_touched_is_large_enough(live: Bridge, tab: Chromium, name: str) -> None:
    # WCAG 2.2, 2.5.8: 24 by 24, but for links in running text
    tab.look(width=390, height=844).open(live.url(PAGES[name]))
    small = tab.run(
        """
        const inText = (one) => one.closest(".small, .lead, .who, dd");
        return [...document.querySelectorAll("a[href], button, select, input, textarea")]
          .filter((one) => one.offsetParent && !one.matches(".skip") && !inText(one))
          .map((one) => [one.closest("label") || one, one.outerHTML])
          .map(([one, html]) => [one.getBoundingClientRect(), html])
          .filter(([box]) => box.width < 24 || box.height < 24)
          .map(([box, html]) => `${box.width}x${box.height} ${html}`);
        """
    )
    assert small == []
