"""Checks of every page: console, accessibility, layout, size and valid HTML."""

import json
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from clients.programs import skip_without

from browser.bridges import Bridge
from browser.chromium import Chromium
from browser.conftest import ARTEFACTS, HERE
from browser.pages import PAGES, SIZES

MAX_BYTES = 100_000
_AXE = """
const done = arguments[0];
// This rule of WCAG 2.2 is off by default. Without details of correct elements it is faster.
axe.run(document, {rules: {"target-size": {enabled: true}}, resultTypes: ["violations"]})
  .then((result) => done(result.violations));
"""

each_page = pytest.mark.parametrize("name", PAGES)
# Each size and each colour scheme once: colours do not depend on the size, nor layout on colours.
DEVICES = {
    f"{width}-{'dark' if dark else 'light'}": {"width": width, "height": height, "dark": dark}
    for (width, height), dark in zip(SIZES.items(), (True, False), strict=True)
}


def console_messages(tab: Chromium) -> list[str]:
    """The console, without the error status of pages that are errors on purpose."""
    return [
        line for line in tab.console() if "Failed to load resource: the server resp" not in line
    ]


def violations(tab: Chromium, packages: Path) -> list[str]:
    """The accessibility violations that axe-core reports."""
    tab.run((packages / "axe-core" / "axe.min.js").read_text())
    return [
        f"{violation['id']}: {node['html']} {node['failureSummary']}"
        for violation in tab.driver.execute_async_script(_AXE)
        for node in violation["nodes"]
    ]


def small_targets(tab: Chromium) -> list[str]:
    """The controls of a phone's page that are smaller than 24 by 24 pixels, except in texts.

    WCAG 2.2, 2.5.8, without its exception for small controls that are far from others.
    """
    sizes: list[str] = tab.run(
        """
        const inText = (node) => node.closest(".small, .lead, .who, dd");
        return [...document.querySelectorAll("a[href], button, select, input, textarea, summary")]
          .filter((node) => node.checkVisibility() && !node.matches(".skip") && !inText(node))
          .map((node) => [node.closest("label") || node, node.outerHTML])
          .map(([target, html]) => [target.getBoundingClientRect(), html])
          .filter(([box]) => box.width < 24 || box.height < 24)
          .map(([box, html]) => `${box.width}x${box.height} ${html}`);
        """
    )
    return sizes if tab.width < 600 else []


def unfocusable(tab: Chromium) -> list[str]:
    """The controls that cannot be focused, or whose focus is not visible."""
    controls: list[str] = tab.run(
        """
        const all = [...document.querySelectorAll(
          "a[href], button, input, select, textarea, summary"
        )].filter((element) => element.checkVisibility() && !element.matches(".skip, :disabled"));
        return all.filter((element) => {
          element.focus({focusVisible: true});
          const style = getComputedStyle(element);
          return document.activeElement !== element || element.tabIndex < 0
            || style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 2;
        }).map((element) => `cannot be focused visibly: ${element.outerHTML}`);
        """
    )
    return controls


@each_page
@pytest.mark.parametrize("device", DEVICES)
def test_a_page_has_no_errors_or_accessibility_violations(
    live: Bridge, tab: Chromium, packages: Path, name: str, device: str
) -> None:
    tab.emulate(**DEVICES[device]).open(live.url(PAGES[name]))
    tab.wait_for_preview()
    width = tab.run("return document.documentElement.scrollWidth")
    problems = [
        *console_messages(tab),
        *violations(tab, packages),
        *small_targets(tab),
        *unfocusable(tab),
    ]
    if width > tab.width or problems:
        tab.screenshot(ARTEFACTS / "pages" / f"{name}-{device}.png")
    assert width <= tab.width
    assert problems == []


@each_page
def test_long_names_fit_on_a_narrow_phone(live: Bridge, tab: Chromium, name: str) -> None:
    # WCAG 2.2, 1.4.10: 320 pixels correspond to a zoom of 400 %.
    tab.emulate(width=320, height=640).open(live.url(PAGES[name]))
    tab.run(
        "document.querySelectorAll('bdi').forEach((name) => name.textContent = 'W'.repeat(190))"
    )
    assert tab.run("return document.documentElement.scrollWidth") <= 320


@pytest.mark.parametrize("name", ["all", "venue-week", "embed-agenda"])
@pytest.mark.parametrize("width", SIZES)
def test_sessions_are_aligned_with_and_without_booking_links(
    live: Bridge, tab: Chromium, name: str, width: int
) -> None:
    tab.emulate(width=width, height=800).open(live.url(PAGES[name]))
    tab.run(
        "document.querySelectorAll('.entry:nth-child(odd) .book').forEach((link) => link.remove())"
    )
    edges = tab.run(
        "const left = (element) => element.getBoundingClientRect().left;"
        "return [...document.querySelectorAll('.entry')]"
        ".map((entry) => left(entry.querySelector('.what')) - left(entry))"
    )
    assert edges
    assert max(edges) - min(edges) < 1


def test_the_accessibility_check_can_fail(live: Bridge, tab: Chromium, packages: Path) -> None:
    tab.open(live.url("/venues/12"))
    tab.run("document.querySelector('h1').style.color = '#ddd'; document.title = '';")
    assert {line.split(":")[0] for line in violations(tab, packages)} >= {
        "color-contrast",
        "document-title",
    }


@each_page
def test_a_page_is_small_and_loads_from_one_host(live: Bridge, tab: Chromium, name: str) -> None:
    tab.open(live.url(PAGES[name]))
    entries = "performance.getEntriesByType('resource')"
    resources = tab.run(f"return {entries}.map((entry) => [entry.name, entry.initiatorType])")
    hosts = {urlsplit(url).netloc for url, _ in resources}
    assert hosts == {urlsplit(live.origin).netloc}
    # Without the feed and the embedded timetable that builders load for their previews.
    parts = [url for url, initiator in resources if initiator not in ("fetch", "iframe")]
    sizes = [len(requests.get(url, timeout=10).content) for url in (live.url(PAGES[name]), *parts)]
    assert sum(sizes) < MAX_BYTES


@each_page
def test_a_page_works_without_scripts(live: Bridge, tab: Chromium, name: str) -> None:
    tab.emulate(scripts=False).open(live.url(PAGES[name]))
    text = tab.driver.find_element("css selector", "main").text
    assert len(text) > 40
    buttons = tab.driver.find_elements("css selector", "button")
    assert all(
        button.get_attribute("type") in ("submit", "reset") or not button.is_displayed()
        for button in buttons
    )


@pytest.fixture(scope="module")
def html_errors(
    live: Bridge, packages: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[str]]:
    """The errors that html-validate reports for each page, and for an invalid one.

    It reads all pages in one process, since it takes longer to start than to read a page.
    """
    if shutil.which("node") is None:
        skip_without("Node.js (nodejs, npm)", "make test-deps")
    folder = tmp_path_factory.mktemp("pages")
    for name, path in PAGES.items():
        page = requests.get(live.url(path), timeout=10).content
        (folder / f"{name}.html").write_bytes(page)
    (folder / "invalid.html").write_text(
        "<!doctype html><html lang=en><title>x</title><p><div></div></p>"
    )
    command = [
        "node", str(packages / "html-validate" / "bin" / "html-validate.mjs"),
        "--config", str(HERE / "html-validate.json"), "--formatter", "json",
        *map(str, sorted(folder.iterdir())),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=HERE)
    assert done.returncode == 1, done.stderr
    errors: dict[str, list[str]] = {name: [] for name in PAGES}
    for file in json.loads(done.stdout):
        errors[Path(file["filePath"]).stem] = [
            f"{error['line']}: {error['ruleId']}: {error['message']}" for error in file["messages"]
        ]
    return errors


@each_page
def test_a_page_is_valid_html(html_errors: dict[str, list[str]], name: str) -> None:
    assert html_errors[name] == []


def test_the_html_check_can_fail(html_errors: dict[str, list[str]]) -> None:
    assert html_errors["invalid"]
