"""Timetables in frames of another site, and printed."""

import html
import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from clients.web import FileServer
from selenium.webdriver.common.by import By

from browser.bridges import Bridge, bridge
from browser.chromium import Chromium
from browser.conftest import ARTEFACTS

PAPER_SIZES = {"A4": (8.27, 11.69), "Letter": (8.5, 11.0)}


@pytest.fixture(scope="module")
def blog() -> Iterator[FileServer]:
    """Another site."""
    with FileServer() as server:
        server.put("/favicon.ico", b"")
        yield server


def snippet(tab: Chromium, live: Bridge) -> str:
    """The embed code on a venue's page."""
    tab.open(live.url("/venues/12"))
    return str(tab.driver.find_element(By.ID, "code").get_property("value"))


def paste(blog: FileServer, code: str) -> str:
    head = "<!doctype html><html lang=en><title>A blog</title><h1>Classes</h1>"
    return blog.put("/", f"{head}{code}<p>And so on.</p></html>".encode())


def in_frame(tab: Chromium) -> None:
    tab.driver.switch_to.frame(tab.driver.find_element(By.TAG_NAME, "iframe"))


def test_the_script_fits_the_frame_to_its_content(
    live: Bridge, tab: Chromium, blog: FileServer
) -> None:
    code = snippet(tab, live)
    tab.open(paste(blog, code))
    tab.wait_until("return parseInt(document.querySelector('iframe').style.height) > 200")
    fitted = tab.run("return document.querySelector('iframe').offsetHeight")
    in_frame(tab)
    assert "Riverside Studio" in tab.driver.find_element(By.TAG_NAME, "h1").text
    inner = "const main = document.querySelector('main'); return main.scrollHeight"
    assert tab.run(f"{inner} - main.clientHeight") <= 2
    tab.driver.switch_to.default_content()
    tab.screenshot(ARTEFACTS / "pages" / "embedded-fitted.png")
    assert 200 < fitted < 4000
    assert tab.console() == []


def test_each_frame_is_fitted_and_messages_of_other_sites_are_ignored(
    live: Bridge, tab: Chromium, blog: FileServer
) -> None:
    message = (
        "parent.postMessage({timetable: {height: 5000}}, '*'); parent.postMessage('sent', '*')"
    )
    other = blog.put("/other.html", f"<!doctype html><script>{message}</script>".encode())
    paths = ("/embed/venues/12", "/embed/venues/12?view=month&filters=on", "/embed/venues/999")
    frames = "".join(f'<iframe src="{live.url(path)}" title="x"></iframe>' for path in paths)
    script = f'<script src="{live.origin}/embed.js"></script>'
    tab.open(paste(blog, f'{frames}<iframe src="{other}" title="x"></iframe>{script}'))
    heights = "[...document.querySelectorAll('iframe')].map((frame) => frame.style.height)"
    tab.wait_until(f"return {heights}.slice(0, 3).every((height) => parseInt(height) > 200)")
    *fitted, ignored = tab.run(f"return {heights}")
    assert len(set(fitted)) == 3
    assert ignored == ""
    # A link in a frame may lead to another site.
    tab.run(
        "window.sent = false;"
        "addEventListener('message', (event) => { window.sent ||= event.data === 'sent'; });"
        "document.querySelector('iframe').contentWindow.location = arguments[0];",
        other,
    )
    tab.wait_until("return window.sent")
    assert tab.run(f"return {heights}") == [*fitted, ""]


def test_without_the_script_the_frame_scrolls(
    live: Bridge, tab: Chromium, blog: FileServer
) -> None:
    frame = snippet(tab, live).splitlines()[0].replace('height="600"', 'height="220"')
    tab.open(paste(blog, frame))
    in_frame(tab)
    # The embed script is not included. Disabling scripts would also disable those of the test.
    heights = tab.run(
        "const main = document.querySelector('main');"
        "return [innerHeight, document.documentElement.scrollHeight, main.clientHeight,"
        " main.scrollHeight]"
    )
    assert heights[0] == heights[1] == 220
    assert heights[2] < heights[3]
    tab.driver.switch_to.default_content()
    tab.emulate(scripts=False).open(paste(blog, frame))
    in_frame(tab)
    assert "Vinyasa Flow" in tab.driver.find_element(By.TAG_NAME, "main").text


def test_the_snippet_is_a_plain_frame_and_an_optional_script(live: Bridge, tab: Chromium) -> None:
    frame, script = snippet(tab, live).splitlines()
    attributes = r'src="[^"]+" title="[^"]+" width="100%" height="600" loading="lazy"'
    assert re.fullmatch(
        rf'<iframe {attributes} style="border:0;color-scheme:light"></iframe>', frame
    )
    assert html.unescape(frame).count("Riverside Studio") == 1
    assert script == f'<script src="{live.origin}/embed.js" async></script>'


def test_the_builder_shows_a_preview_and_updates_the_code(live: Bridge, tab: Chromium) -> None:
    tab.open(live.url("/venues/12"))
    assert tab.run("return document.querySelector('.stage iframe').src") == ""
    tab.driver.find_element(By.CSS_SELECTOR, ".site summary").click()
    tab.wait_until("return parseInt(document.querySelector('.stage iframe').style.height) > 450")
    choose(tab, "embed_view", "week")
    choose(tab, "embed_theme", "dark")
    choose(tab, "embed_height", "450")
    tab.wait_until("return document.getElementById('code').value.includes('height=\"450\"')")
    code = tab.run("return document.getElementById('code').value")
    assert "?view=week&theme=dark" in code
    frame = "document.querySelector('.stage iframe')"
    assert tab.run(f"return {frame}.offsetHeight") == 450
    tab.driver.switch_to.frame(tab.driver.find_element(By.CSS_SELECTOR, ".stage iframe"))
    assert tab.run("return document.documentElement.dataset.theme") == "dark"
    tab.driver.switch_to.default_content()
    # Out of range: the code stays that of the last valid choice.
    choose(tab, "embed_height", "9")
    choose(tab, "embed_height", "500")
    tab.wait_until("return document.getElementById('code').value.includes('height=\"500\"')")
    assert tab.console() == []


def choose(tab: Chromium, field: str, value: str) -> None:
    """Set a field of the builder, as a visitor does."""
    tab.run(
        "const field = document.getElementById(arguments[0]); field.value = arguments[1];"
        "field.dispatchEvent(new Event('input', {bubbles: true}));",
        field,
        value,
    )


def test_only_allowed_origins_can_frame_a_timetable(tab: Chromium, blog: FileServer) -> None:
    with bridge(embed_allowed_origins=("https://studio.example",)) as strict:
        tab.open(paste(blog, f'<iframe src="{strict.origin}/embed/venues/12" title="x"></iframe>'))
        in_frame(tab)
        assert tab.driver.find_elements(By.CSS_SELECTOR, ".bar") == []


def test_other_pages_cannot_be_framed(live: Bridge, tab: Chromium, blog: FileServer) -> None:
    tab.open(paste(blog, f'<iframe src="{live.origin}/venues/12" title="x"></iframe>'))
    in_frame(tab)
    assert tab.driver.find_elements(By.ID, "subscribe") == []


#: Query, colour scheme of the <iframe> and of its page → the background in the frame; by default
#: that of the page.
PAGE = (222, 238, 255)
BACKGROUNDS = {
    ("", "normal", "normal"): PAGE,
    ("", "light", "light dark"): PAGE,
    ("theme=dark", "dark", "normal"): PAGE,
    ("theme=dark", "dark", "dark"): PAGE,
    ("theme=auto", "normal", "normal"): (23, 22, 20),
}


@pytest.mark.parametrize("case", BACKGROUNDS)
def test_a_visitors_dark_mode_changes_the_background_only_where_asked_for(
    live: Bridge, tab: Chromium, blog: FileServer, case: tuple[str, str, str]
) -> None:
    query, frame_scheme, page_scheme = case
    tab.emulate(width=700, height=500, dark=True)
    style = f"border:0;color-scheme:{frame_scheme}"
    src = live.url(f"/embed/venues/14?starts_at_gte=2035-01-01&{query}")
    tab.open(
        blog.put(
            "/",
            f"<!doctype html><html style='color-scheme:{page_scheme}'>"
            f"<body style='margin:0;background:rgb{PAGE}'>"
            f"<iframe style='{style}' src='{src}' title=x width=600 height=400></iframe>".encode(),
        )
    )
    in_frame(tab)
    tab.wait_until("return document.readyState === 'complete'")
    assert tab.colour_at(300, 380) == BACKGROUNDS[case]


def test_outside_of_a_frame_a_timetable_has_a_background_of_its_own(
    live: Bridge, tab: Chromium
) -> None:
    tab.open(live.url("/embed/venues/12?theme=dark"))
    assert tab.run("return getComputedStyle(document.body).backgroundColor") == "rgb(23, 22, 20)"


@pytest.mark.parametrize("dark", [False, True])
def test_the_accent_colour_is_used_where_it_is_legible(
    live: Bridge, tab: Chromium, dark: bool
) -> None:
    tab.emulate(dark=dark).open(live.url("/embed/venues/12?accent=ffeb3b&theme=auto"))
    button = "getComputedStyle(document.querySelector('.bar .button'))"
    assert tab.run(f"return {button}.backgroundColor") == "rgb(255, 235, 59)"
    assert tab.run(f"return {button}.color") == "rgb(0, 0, 0)"
    link = tab.run("return getComputedStyle(document.querySelector('.periods a')).color")
    assert (link == "rgb(255, 235, 59)") is dark


@pytest.mark.parametrize("view", ["agenda", "week"])
def test_the_embed_page_fits_any_width(live: Bridge, tab: Chromium, view: str) -> None:
    tab.emulate(width=320, height=500).open(live.url(f"/embed/sessions?view={view}"))
    for width in (320, 600, 1280):
        tab.emulate(width=width, height=500)
        assert tab.run("return document.documentElement.scrollWidth") <= width
        assert tab.run("return document.querySelector('main').scrollWidth") <= width
        wide = tab.run(
            "return [...document.querySelectorAll('.week .day')]"
            ".filter((day) => day.scrollWidth > day.clientWidth).length"
        )
        assert wide == 0, width


def test_a_week_is_side_by_side_from_600_pixels(live: Bridge, tab: Chromium) -> None:
    tab.emulate(width=599, height=500).open(live.url("/embed/venues/12?view=week"))
    tops = (
        "return [...document.querySelectorAll('.day')]"
        ".map((day) => day.getBoundingClientRect().top)"
    )
    assert len(set(tab.run(tops))) > 1
    tab.emulate(width=600, height=500)
    assert len(set(tab.run(tops))) == 1


@pytest.mark.parametrize(
    "path",
    ["/venues/12?view=week", "/sessions?view=week", "/sessions", "/venues/12"],
)
def test_a_week_or_list_is_printed_on_one_page(live: Bridge, tab: Chromium, path: str) -> None:
    tab.open(live.url(path))
    counts = {name: page_count(tab.print(inches=paper)) for name, paper in PAPER_SIZES.items()}
    assert counts == dict.fromkeys(PAPER_SIZES, 1)


def test_a_very_full_week_is_printed_on_one_page(tab: Chromium) -> None:
    with bridge() as busy:
        first = busy.clock.now()
        for day in range(14):
            for number in range(20):
                start = first + day * 86400 + number * 2400
                busy.studio.add(starts_at=_iso(start), ends_at=_iso(start + 2400), venue=12)
        tab.open(busy.url("/venues/12?view=week"))
        tab.screenshot(ARTEFACTS / "pages" / "venue-full-week.png")
        for name, paper in PAPER_SIZES.items():
            pdf = tab.print(inches=paper)
            (ARTEFACTS / "pages" / f"full-week-{name}.pdf").write_bytes(pdf)
            assert page_count(pdf) == 1


def test_in_print_a_session_is_beside_its_time(live: Bridge, tab: Chromium) -> None:
    tab.open(live.url("/venues/12"))
    tab.emulate(media="print", width=1040, height=720)
    distance = tab.run(
        "const edges = (selector) => document.querySelector(selector).getBoundingClientRect();"
        "return edges('.entry .what').left - edges('.entry .at time').right"
    )
    assert 0 < distance < 100


def test_a_day_with_many_sessions_fits_on_the_page(tab: Chromium) -> None:
    with bridge() as busy:
        busy.studio.replace_sessions([])
        busy.studio.replace_sessions([], kind="event")
        weeks = {count: busy.clock.now() + count * 7 * 86400 for count in (4, 5, 7, 8, 10, 11, 12)}
        name = "Rückenschulungsgymnastik für alle, die sehr lange sitzen"
        for count, first in weeks.items():
            for number in range(count):
                start = first + number * 3600
                busy.studio.add(
                    starts_at=_iso(start),
                    ends_at=_iso(start + 3600),
                    name=name,
                    instructors=[11, 12],
                )
        for count, first in weeks.items():
            tab.open(f"{busy.origin}/sessions?view=week&from={_iso(first)[:10]}")
            assert [page_count(tab.print(inches=size)) for size in PAPER_SIZES.values()] == [
                1,
                1,
            ], count


def test_the_printed_week_has_a_qr_code_and_no_buttons(live: Bridge, tab: Chromium) -> None:
    tab.open(live.url("/venues/12?view=week"))
    tab.emulate(media="print", width=1040, height=720)
    tab.screenshot(ARTEFACTS / "pages" / "venue-week-printed.png")
    assert tab.driver.find_element(By.CSS_SELECTOR, ".qr").is_displayed()
    assert not tab.driver.find_element(By.CSS_SELECTOR, ".acts").is_displayed()


def page_count(pdf: bytes) -> int:
    return len(re.findall(rb"/Type\s*/Page\b", pdf))


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
