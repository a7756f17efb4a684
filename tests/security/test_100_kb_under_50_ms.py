"""100 kB of anything, in any place of a request, is refused at once."""

import gc
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from flask.testing import FlaskClient
from pace import AT_ONCE, timed
from security.sites import Site
from werkzeug.test import EnvironBuilder, run_wsgi_app

from bridge.filters import PARAMETERS

SIZE = 100_000
FILLINGS = {
    "letters": "a" * SIZE,
    "digits": "9" * SIZE,
    "ids": "1," * (SIZE // 2),
    "commas": "," * SIZE,
    "zeros": "0" * SIZE,
    "blanks": "%20" * (SIZE // 3),
    "nul": "%00" * (SIZE // 3),
    "utf-8": "%F0%9F%A7%98" * (SIZE // 12),
    "not-utf-8": "%FF" * (SIZE // 3),
    "brackets": "[(" * (SIZE // 2),
    "dates": "2026-10-20T" * (SIZE // 11),
    "markup": "<a" * (SIZE // 2),
    "dots": "../" * (SIZE // 3),
}
OPTIONS = ("cancelled", "availability", "tz", "start", "end", "timeZone", "_", "utm_x", "lang",
           "view", "from", "theme", "accent", "nothing")  # fmt: skip
HEADERS = (
    *("Accept", "Accept-Encoding", "Accept-Language", "Accept-Charset", "Authorization", "Cookie"),
    *("If-None-Match", "If-Modified-Since", "If-Match", "Range", "If-Range", "Origin", "Referer"),
    *("User-Agent", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Prefix", "Forwarded"),
    *("Cache-Control", "Access-Control-Request-Headers", "X-Anything", "Content-Type", "Host"),
)
PATHS = (
    "/{}", "/venues/{}.ics", "/venues/11{}.ics", "/venues/11-{}.ics", "/venues/11.{}",
    "/sessions/{}", "/private/{}.ics", "/private/1{}.json", "/embed/{}", "/embed/accent/{}.css",
    "/static/{}/site.css", "/static/x/{}", "/{}.txt", "/{}/", "//{}", "/a/{}",
)  # fmt: skip


@pytest.fixture
def client(site_of: Callable[..., Site]) -> Iterator[FlaskClient]:
    client = site_of().client
    # a template is compiled once, and not at the expense of whoever is first
    for path in ("/nowhere", "/sessions", "/venues/11.ics"):
        client.get(path)
    # nor does a request pay for going through all that other tests left
    gc.collect()
    gc.freeze()
    yield client
    gc.unfreeze()


class Watch:
    """Notes what was not refused, or not at once, by this thread's own time."""

    def __init__(self, client: FlaskClient) -> None:
        self._app = client.application.wsgi_app
        self.wrong: list[str] = []

    def ask(self, what: str, path: str, query: str = "", method: str = "GET", **more: Any) -> None:
        environ = {
            **EnvironBuilder(method=method).get_environ(),
            "PATH_INFO": path,
            "QUERY_STRING": query,
            **more,
        }
        took, (_, status, _) = timed(lambda: run_wsgi_app(self._app, dict(environ), buffered=True))
        if not status.startswith("4") or took >= AT_ONCE:
            self.wrong.append(f"{what}: {status} in {took * 1000:.0f} ms")


@pytest.fixture
def watch(client: FlaskClient) -> Iterator[Watch]:
    one = Watch(client)
    yield one
    assert one.wrong == []


@pytest.mark.parametrize("filling", FILLINGS)
def test_in_any_parameter(watch: Watch, filling: str) -> None:
    text = FILLINGS[filling]
    for path in ("/venues/11.ics", "/sessions.json", "/sessions", "/", "/embed/sessions"):
        for name in ("venues", "starts_at_gte", "timeZone", "lang"):
            watch.ask(f"{path} {name}", path, f"{name}={text}")
        watch.ask(f"{path} as a name", path, text)
        watch.ask(f"{path} as many", path, "&".join(f"{n}=1" for n in range(SIZE // 8)))
    for name in (*PARAMETERS, *OPTIONS):
        watch.ask(name, "/sessions.ics", f"{name}={text}")


@pytest.mark.parametrize("filling", FILLINGS)
def test_in_any_path(watch: Watch, filling: str) -> None:
    text = unquote_to_bytes(FILLINGS[filling]).decode("latin-1")
    text += "x" * (SIZE - len(text))
    for path in PATHS:
        watch.ask(path, path.format(text))


def test_in_any_header(watch: Watch) -> None:
    fillings = {
        "letters": "a" * SIZE,
        "list": "a, " * (SIZE // 3),
        "weights": "a;q=0.1, " * (SIZE // 9),
        "quotes": '"' * SIZE,
        "tags": 'W/"a", ' * (SIZE // 7),
        "blanks": " " * SIZE,
        "hosts": "a." * (SIZE // 2),
    }
    paths = ("/venues/11.ics", "/sessions", "/nowhere", "/status")
    for header, filling, path in product(HEADERS, fillings, paths):
        name = header.upper().replace("-", "_")
        named = {name if name == "CONTENT_TYPE" else f"HTTP_{name}": fillings[filling]}
        watch.ask(f"{path} {header} {filling}", path, **named)


def test_in_many_headers_and_in_their_names(watch: Watch) -> None:
    for path in ("/venues/11.ics", "/sessions", "/private/x.ics"):
        watch.ask("many", path, **{f"HTTP_X_{number}": "a" * 1_000 for number in range(100)})
        watch.ask("name", path, **{"HTTP_X" + "_A" * (SIZE // 2): "1"})


def test_in_the_method(watch: Watch) -> None:
    watch.ask("method", "/venues/11.ics", method="A" * SIZE)


def test_what_is_just_short_enough_is_read_in_no_time(client: FlaskClient) -> None:
    watch = Watch(client)
    room = 7_900
    for filling, text in FILLINGS.items():
        for name in (*PARAMETERS, *OPTIONS):
            watch.ask(f"{name} {filling}", "/sessions.ics", f"{name}={text[:room]}")
    for header in ("ACCEPT_LANGUAGE", "ACCEPT_ENCODING", "IF_NONE_MATCH", "RANGE", "COOKIE"):
        for text in ("a;q=0.1, " * 1_700, 'W/"a", ' * 2_200, "a" * 15_900):
            watch.ask(header, "/sessions", **{f"HTTP_{header}": text})
    for path in PATHS:
        watch.ask(path, path.format("1-" * 1_900))
    # what is right is right, however long it is; what is ignored is ignored
    assert [one for one in watch.wrong if "200 OK in" not in one and "304" not in one] == []
    assert [one for one in watch.wrong if int(one.split()[-2]) > 1_000 * AT_ONCE] == []


def test_the_longest_question_that_is_accepted_is_answered(client: FlaskClient) -> None:
    ids = "%2C".join(str(number) for number in range(100))
    answer = client.get(f"/sessions.ics?venues={ids}&instructors={ids}&course={ids}")
    assert answer.status_code == 200
