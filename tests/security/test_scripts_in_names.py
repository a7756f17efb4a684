"""In a real browser: hostile names and links of a studio are neither run nor loaded."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from browser.bridges import serve
from browser.chromium import Chromium
from browser.conftest import _browser, tab  # noqa: F401 - fixtures
from clients import strict
from security import studios
from security.names import LINKS, NAMES
from thorough import THOROUGH
from upstreams.raw import RawUpstream
from upstreams.rows import Row, class_row, course_row, instructor_row, session_row, venue_row

from bridge import config, services
from bridge.html_text import unescape
from bridge.sandbox import records
from bridge.web import create_app

TOKEN = "a-token-of-the-tests"
SHOWN_NAMES = tuple(unescape(name) for name in NAMES)
_INSPECT = """
const all = (selector) => [...document.querySelectorAll(selector)];
all('script[type="application/ld+json"]').forEach((script) => JSON.parse(script.textContent));
return {
  ran: window.xss === undefined ? null : "ran",
  foreign: all(`iframe:not(.stage > iframe), object, embed, base, meta[http-equiv], style, img,
    math, form[action^="//"],
    script:not([src]):not([type="application/ld+json"]), [srcdoc], [autofocus]`)
    .map((node) => node.outerHTML),
  handlers: all("*").filter((node) => [...node.attributes]
    .some((attribute) => attribute.name.startsWith("on"))).map((node) => node.outerHTML),
  hosts: all("script[src], link[rel=stylesheet], link[rel=icon]")
    .map((node) => new URL(node.src || node.href).origin)
    .concat(performance.getEntriesByType("resource").map((node) => new URL(node.name).origin))
    .filter((origin) => origin !== location.origin),
  links: all("a[href], area, form[action]")
    .map((node) => [new URL(node.href || node.action, location).protocol, node.outerHTML])
    .filter(([protocol]) => !["http:", "https:", "webcal:", "mailto:"].includes(protocol)),
};
"""
CLEAN = {"ran": None, "foreign": [], "handlers": [], "hosts": [], "links": []}


def hostile(number: int, at: datetime) -> Row:
    """A session whose texts are a hostile name and whose links are hostile."""
    name = NAMES[number % len(NAMES)]
    link = LINKS[number % len(LINKS)]
    course = course_row(0, id=300 + number, name=name)
    course["offering_type"].update(
        id=400 + number,
        name=name,
        description=f"{name}<p>{name}</p>",
        category={"id": 500 + number, "name": name},
        background_color=f"#000000{name}",
    )
    return session_row(
        1_000 + number,
        at,
        name=name,
        venue=venue_row(0, id=100 + number, name=name, address=name, timezone="Europe/London"),
        instructors=[instructor_row(0, id=200 + number, name=name)],
        course=course,
        customer_url=link,
        provider_url=link,
        attending_count=12 if number % 3 == 0 else 4,
        status="cancelled" if number % 7 == 5 else "active",
    )


def hostile_class(number: int, at: datetime) -> Row:
    """A class with the texts and links of a hostile session, and in a hostile room."""
    session = hostile(number, at)
    same = ("name", "venue", "instructors", "customer_url", "provider_url", "status")
    name = session["name"]
    return class_row(
        3_000 + number,
        at,
        **{field: session[field] for field in (*same, "attending_count")},
        venue_room=records.venue_room(600 + number, name, 100 + number),
        offering_type=session["course"]["offering_type"],
        description=f"{name}<p>{name}</p>",
    )


@pytest.fixture(scope="module")
def bridge() -> Iterator[Any]:
    """A bridge in front of a studio with hostile names; uses the real time, like the browser."""
    # All of a kind on one day, independent of the current time.
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    soon = tomorrow.replace(hour=12, minute=0, second=0, microsecond=0)
    rows = [
        create(n, soon + timedelta(days=day, minutes=5 * n))
        for day, create in enumerate((hostile, hostile_class))
        for n in range(len(NAMES))
    ]
    variables = {"TEAMUP_API_TOKEN": TOKEN, "CACHE_URL": "memory://"}
    with RawUpstream(studios.healthy(rows)) as teamup:
        parts = services.build(config.load({**variables, "TEAMUP_BASE_URL": teamup.url}))
        app = create_app(parts)
        try:
            with serve(app) as origin:
                yield SimpleNamespace(origin=origin, client=app.test_client(), day=soon.date())
        finally:
            parts.close()


def assert_harmless(tab: Chromium, url: str) -> None:  # noqa: F811 - the value of the fixture
    """Open *url*; fails if anything hostile is run, loaded or linked."""
    tab.open(url)
    assert tab.run(_INSPECT) == CLEAN, url
    # The content security policy blocked nothing, since nothing hostile is in the page.
    assert [line for line in tab.console() if "the server responded" not in line] == [], url


@pytest.mark.parametrize("number", range(len(NAMES)))
def test_a_page_shows_the_name_as_text(tab: Chromium, bridge: Any, number: int) -> None:  # noqa: F811
    paths = (
        *(f"/venues/{100 + number}", f"/rooms/{600 + number}", f"/types/{400 + number}"),
        *(f"/sessions/{1_000 + number}", f"/classes/{3_000 + number}"),
    )
    # Two kinds of pages for each name, and each kind for eight names.
    for path in paths if THOROUGH else (paths[number % 5], paths[(number + 2) % 5]):
        assert_harmless(tab, bridge.origin + path)
        heading = " ".join(str(tab.run("return document.querySelector('h1').textContent")).split())
        assert heading == SHOWN_NAMES[number], path
    assert_harmless(tab, f"{bridge.origin}/embed/{('instructors', 'courses')[number % 2]}"
                  f"/{(200, 300)[number % 2] + number}?view=week")  # fmt: skip


@pytest.mark.parametrize("path", ["/sessions", "/sessions?view=week&from={}", "/embed/sessions"])
def test_a_page_with_all_names_is_harmless(tab: Chromium, bridge: Any, path: str) -> None:  # noqa: F811
    assert_harmless(tab, bridge.origin + path.format(bridge.day))
    text = tab.run("return document.querySelector('main').textContent")
    assert all(name in text for name in SHOWN_NAMES)


def test_the_builder_shows_names_as_text(tab: Chromium, bridge: Any) -> None:  # noqa: F811
    assert_harmless(tab, f"{bridge.origin}/#<img src=x onerror=xss=1>")
    tab.wait_for_preview()
    tab.run("document.querySelectorAll('input[type=checkbox]').forEach((node) => node.click())")
    tab.wait_until("return document.querySelector('[data-chosen]').textContent.length > 400")
    tab.wait_for_preview()
    assert tab.run(_INSPECT) == CLEAN


def test_the_embed_code_is_a_frame_and_a_script_for_any_name(
    tab: Chromium, bridge: Any  # noqa: F811
) -> None:  # fmt: skip
    # The policy of the bridge's own pages forbids to parse HTML.
    tab.open("about:blank")
    for number, name in enumerate(SHOWN_NAMES):
        html = bridge.client.get(f"/venues/{100 + number}").text
        tags, title = tab.run(
            """
            const page = new DOMParser().parseFromString(arguments[0], "text/html");
            const code = page.querySelector("#code").value;
            const pasted = new DOMParser().parseFromString(code, "text/html").documentElement;
            return [[...pasted.querySelectorAll("body *, head *")].map((node) => node.tagName),
                    pasted.querySelector("iframe").title];
            """,
            html,
        )
        assert sorted(tags) == ["IFRAME", "SCRIPT"]
        assert name in title


REFLECTED = (
    "/{}", "/venues/11?venues={}", "/venues/11?{}=1", "/sessions?lang={}", "/sessions?from={}",
    "/sessions?view={}", "/embed/venues/11?accent={}", "/embed/sessions?theme={}", "/private/{}",
    "/sessions?starts_at_gte={}", "/?lang={}&x={}", "/embed/{}",
)  # fmt: skip


@pytest.mark.parametrize("path", REFLECTED)
def test_input_of_a_visitor_is_not_run(tab: Chromium, bridge: Any, path: str) -> None:  # noqa: F811
    first = REFLECTED.index(path) % 3
    for name in NAMES[:4] if THOROUGH else NAMES[first : first + 2]:
        assert_harmless(tab, bridge.origin + path.replace("{}", quote(name, safe="")))


def test_calendars_have_every_name_on_one_line(bridge: Any) -> None:
    for path in ("/sessions.ics", "/sessions.ics?tz=local&cancelled=keep&availability=full"):
        answer = bridge.client.get(path)
        assert len(strict.load(answer.data)) == 2 * len(NAMES)
        unfolded = answer.data.replace(b"\r\n ", b"").decode()
        assert "URL:javascript" not in unfolded
        assert "user:pass" not in unfolded
