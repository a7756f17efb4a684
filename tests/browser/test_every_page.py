"""Checks of every page: console, accessibility, layout, size and valid HTML."""

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from clients.programs import skip_without
from thorough import THOROUGH

from browser.accessibility import violations
from browser.bridges import Bridge
from browser.chromium import Chromium
from browser.conftest import ARTEFACTS, HERE
from browser.pages import PAGES, SIZES

MAX_BYTES = 100_000
_WIDTH = "return document.documentElement.scrollWidth"
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


@dataclass(frozen=True)
class Inspection:
    """What a page is like, from loading it once.

    Attributes:
        problems: what is wrong on each device of DEVICES.
        widths: its width in pixels on each of them.
        width_with_long_names: its width on a narrow phone, of 320 pixels.
        resources: URL and initiator of what it has loaded.
    """

    problems: Mapping[str, list[str]]
    widths: Mapping[str, int]
    width_with_long_names: int
    resources: Sequence[tuple[str, str]]


def inspect(tab: Chromium, packages: Path, url: str, name: str) -> Inspection:
    """Load *url* on the first device, and then change to the others."""
    problems, widths = {}, {}
    for number, (device, emulation) in enumerate(DEVICES.items()):
        tab.emulate(**emulation)
        if number == 0 or THOROUGH:
            tab.open(url)
            tab.wait_for_preview()
        widths[device] = tab.run(_WIDTH)
        problems[device] = [
            *console_messages(tab),
            *violations(tab, packages),
            *small_targets(tab),
            *unfocusable(tab),
        ]
        if widths[device] > tab.width or problems[device]:
            tab.screenshot(ARTEFACTS / "pages" / f"{name}-{device}.png")
    entries = "performance.getEntriesByType('resource')"
    resources = tab.run(f"return {entries}.map((entry) => [entry.name, entry.initiatorType])")
    # WCAG 2.2, 1.4.10: 320 pixels correspond to a zoom of 400 %.
    tab.emulate(width=320, height=640).run(
        "document.querySelectorAll('bdi').forEach((name) => name.textContent = 'W'.repeat(190))"
    )
    return Inspection(problems, widths, tab.run(_WIDTH), resources)


@pytest.fixture(scope="module")
def inspections() -> dict[str, Inspection]:
    return {}


@pytest.fixture
def inspection(
    inspections: dict[str, Inspection], live: Bridge, tab: Chromium, packages: Path, name: str
) -> Inspection:
    """The inspection of the page *name*, for all tests."""
    if name not in inspections:
        inspections[name] = inspect(tab, packages, live.url(PAGES[name]), name)
    return inspections[name]


@each_page
@pytest.mark.parametrize("device", DEVICES)
def test_a_page_has_no_errors_or_accessibility_violations(
    inspection: Inspection, device: str
) -> None:
    assert inspection.widths[device] <= DEVICES[device]["width"]
    assert inspection.problems[device] == []


@each_page
def test_long_names_fit_on_a_narrow_phone(inspection: Inspection) -> None:
    assert inspection.width_with_long_names <= 320


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
    violations(tab, packages)
    # All but what changes has been checked before. No attribute is new, only values are.
    tab.run(
        """
        const last = [...document.querySelectorAll(".entry .name bdi")].at(-1);
        for (const part of [document.querySelector("h1"), last]) part.style.color = "#ddd";
        document.title = "";
        document.querySelector(".entry .name bdi").textContent = "";
        document.querySelector("[aria-hidden]").ariaHidden = "perhaps";
        document.querySelector("label[for]").htmlFor = "nothing";
        """
    )
    found = [line.split(":")[0] for line in violations(tab, packages)]
    assert sorted(found) == [
        "aria-valid-attr-value",
        "color-contrast",
        "color-contrast",
        "document-title",
        "label",
        "link-name",
    ]


def test_the_accessibility_check_fails_for_one_theme(
    live: Bridge, tab: Chromium, packages: Path
) -> None:
    tab.open(live.url("/embed/venues/12?theme=light"))
    rule = "[data-theme=dark] h1 a { color: #222 !important }"
    tab.run("document.styleSheets[0].insertRule(arguments[0])", rule)
    assert violations(tab, packages) == []
    tab.run("document.documentElement.dataset.theme = 'dark'")
    [found] = violations(tab, packages)
    assert found.startswith("color-contrast")


@each_page
def test_a_page_is_small_and_loads_from_one_host(
    live: Bridge, inspection: Inspection, name: str
) -> None:
    hosts = {urlsplit(url).netloc for url, _ in inspection.resources}
    assert hosts == {urlsplit(live.origin).netloc}
    # Without the feed and the embedded timetable that builders load for their previews.
    parts = [url for url, initiator in inspection.resources if initiator not in ("fetch", "iframe")]
    sizes = [len(requests.get(url, timeout=10).content) for url in (live.url(PAGES[name]), *parts)]
    assert sum(sizes) < MAX_BYTES


@each_page
def test_a_page_works_without_scripts(live: Bridge, tab: Chromium, name: str) -> None:
    tab.emulate(scripts=False).open(live.url(PAGES[name]))
    # From now on the scripts of this test run, but those of the page do not run any more.
    tab.emulate()
    text, useless = tab.run(
        """
        const buttons = [...document.querySelectorAll("button:not([type=submit], [type=reset])")];
        const shown = buttons.filter((button) => button.checkVisibility());
        return [document.querySelector("main").innerText, shown.map((button) => button.outerHTML)];
        """
    )
    assert len(text) > 40
    assert useless == []


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
