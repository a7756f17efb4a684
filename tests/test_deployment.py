"""What is shipped for operators: it names the settings that there are, and works as it is."""

import json
import os
import re
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from environs import Env
from faults.fleet import Machine, studio, together
from nginx import Nginx
from valkey import Valkey, free_port
from werkzeug.serving import make_server

from bridge import config
from bridge.clock import SystemClock
from bridge.web import create_app

HOME = Path(__file__).parent.parent

ALONE = "127.0.0.1:8000"
"""The bridge, where it shares its machine with nginx."""

_NOT_FOR_OPERATORS = {config.SANDBOX_FLAG, "DYNO"}
"""Set by ``make run`` and by a platform."""


class Noting(Env):
    """An environment of nothing but a token, which notes what is asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[str] = set()

    def str(self, name: str, *given: Any, **named: Any) -> Any:
        self.asked.add(name)
        return "a-token-of-the-tests" if name == "TEAMUP_API_TOKEN" else None


def settings() -> set[str]:
    """The variables that an operator may set."""
    env = Noting()
    config.load(env)
    return env.asked - _NOT_FOR_OPERATORS


def example() -> list[tuple[str, str]]:
    """The variables of ``.env.example``, with their values."""
    text = (HOME / ".env.example").read_text(encoding="utf-8")
    return re.findall(r"^(?:# )?([A-Z][A-Z0-9_]*)=(.*)$", text, re.MULTILINE)


def test_the_example_names_every_setting_once_and_nothing_else() -> None:
    names = [name for name, _ in example()]
    assert len(names) == len(set(names))
    assert set(names) == settings()


def test_the_example_has_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEAMUP_API_TOKEN", "a-token")
    by_default = config.load(Env())
    for name, value in example():
        if name != "TEAMUP_API_TOKEN":
            monkeypatch.setenv(name, value)
    assert config.load(Env()) == by_default


def test_the_example_works_as_a_settings_file_once_it_has_a_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (HOME / ".env.example").read_text(encoding="utf-8")
    (tmp_path / ".env").write_text(
        text.replace("TEAMUP_API_TOKEN=", "TEAMUP_API_TOKEN=my-own", 1), encoding="utf-8"
    )
    monkeypatch.setattr(config, "__file__", str(tmp_path / "bridge" / "config.py"))
    # read_env puts them into the environment; put them out of it again afterwards
    monkeypatch.setattr(os, "environ", os.environ.copy())
    assert config.load().token == "my-own"


def test_the_readme_explains_every_setting_and_nothing_else() -> None:
    text = (HOME / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[A-Z][^|]*) \|", text, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`([A-Z_]+)`", row)} == settings()


def test_what_is_shipped_sets_no_variable_that_nobody_reads() -> None:
    app = json.loads((HOME / "app.json").read_text(encoding="utf-8"))
    service = (HOME / "deploy" / "teamup-feed-bridge.service").read_text(encoding="utf-8")
    image = (HOME / "Dockerfile").read_text(encoding="utf-8")
    pages = (HOME / "docs" / "deploy.md").read_text(encoding="utf-8")
    set_there = {
        *app["env"],
        *re.findall(r"^Environment=([A-Z_]+)=", service, re.MULTILINE),
        *re.findall(r"^(?:ENV| +) ?([A-Z_]+)=", image, re.MULTILINE),
        *re.findall(r"\b([A-Z][A-Z_]{3,})=", pages),
    }
    assert len(set_there) > 10
    of_python = {"PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "PATH"}
    assert set_there - of_python <= settings()


def shipped() -> str:
    """The configuration of nginx."""
    return (HOME / "deploy" / "nginx.conf").read_text(encoding="utf-8")


@pytest.fixture
def nginx(make_bridge: Callable[..., Any], tmp_path: Path) -> Iterator[Nginx]:
    """nginx as it is shipped, in front of a bridge."""
    app = create_app(make_bridge(at=SystemClock(), trusted_proxies=1, signing_keys=("k" * 20,)))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        behind = {ALONE: f"127.0.0.1:{server.server_port}"}
        with Nginx(shipped(), behind, tmp_path) as front:
            yield front
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_through_nginx_a_feed_arrives_with_the_coding_and_the_tag_that_the_bridge_gave_it(
    nginx: Nginx,
) -> None:
    status, headers, feed = nginx.get("/venues/12.ics")
    assert status == 200
    assert feed.startswith(b"BEGIN:VCALENDAR")
    _, zipped, body = nginx.get("/venues/12.ics", {"Accept-Encoding": "gzip"})
    assert zipped["Content-Encoding"] == "gzip"
    assert zipped["ETag"] != headers["ETag"]
    assert len(body) < len(feed) / 2
    assert nginx.get("/venues/12.ics", {"If-None-Match": headers["ETag"]})[0] == 304


def test_through_nginx_links_are_of_the_address_that_is_asked_whatever_is_claimed(
    nginx: Nginx,
) -> None:
    forged = {
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Prefix": "/evil",
        "X-Forwarded-Proto": "ftp",
    }
    status, _, page = nginx.get("/venues/12", forged)
    assert status == 200
    assert b"https://calendar.example.org" in page
    assert b"evil" not in page
    assert b"ftp:" not in page


def test_the_address_of_a_private_feed_is_in_no_log_of_nginx(nginx: Nginx) -> None:
    assert nginx.get("/private/1canary-secret.ics")[0] == 404
    assert nginx.get("/venues/12.ics")[0] == 200
    # it logs a request once it has been answered
    assert "canary" not in nginx.logged(until="/venues/12.ics")


def test_nor_is_it_where_the_bridge_is_down(tmp_path: Path) -> None:
    with Nginx(shipped(), {ALONE: f"127.0.0.1:{free_port()}"}, tmp_path) as nginx:
        assert nginx.get("/private/1canary-secret.ics")[0] == 502
        assert nginx.get("/venues/12.ics")[0] == 502
        assert "canary" not in nginx.logged(until="/venues/12.ics")


def test_whoever_comes_without_tls_is_sent_to_it(nginx: Nginx) -> None:
    status, headers, _ = nginx.get("/venues/12.ics", secure=False)
    assert status == 301
    assert headers["Location"] == "https://calendar.example.org/venues/12.ics"


def pasted() -> str:
    """nginx's configuration in front of two machines, made of what is shipped as the page says."""
    page = (HOME / "docs" / "deploy.md").read_text(encoding="utf-8")
    section = page.partition("\n## Two machines\n")[2].partition("\n## ")[0]
    blocks = [
        textwrap.dedent(block)
        for block in re.findall(r"^(?:    .*\n|\n(?=    ))+", section, re.MULTILINE)
    ]
    [upstream] = [block for block in blocks if "upstream teamup_feed_bridge {" in block]
    [cache] = [block for block in blocks if "proxy_cache feeds;" in block]
    site = shipped()
    for there, here in (
        (r"^upstream [^}]*}\n", upstream),
        (r"^ *location / {\n.*proxy_pass .*\n", rf"\g<0>{cache}"),
    ):
        site, many = re.subn(there, here, site, flags=re.MULTILINE)
        assert many == 1, there
    return site


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[Nginx, Machine, Machine]]:
    """nginx as the page has it, in front of two machines that share a store."""
    store = Valkey()
    settings = {"TRUSTED_PROXIES": "1"}
    try:
        with studio() as vendor:
            machines = [Machine(vendor.url, store.url, **settings) for _ in range(2)]
            moved = {
                "10.0.0.1:8000": f"127.0.0.1:{machines[0].port}",
                "10.0.0.2:8000": f"127.0.0.1:{machines[1].port}",
                "/var/cache/nginx": str(tmp_path),
            }
            with together(*machines) as (one, other), Nginx(pasted(), moved, tmp_path) as front:
                yield front, one, other
    finally:
        store.kill()


def test_behind_nginx_one_of_two_machines_may_end_and_what_was_asked_for_outlives_both(
    two: tuple[Nginx, Machine, Machine],
) -> None:
    nginx, one, other = two
    status, headers, feed = nginx.get("/venues/11.ics")
    assert status == 200
    assert feed.endswith(b"END:VCALENDAR\r\n")
    for machine in (one, other):
        direct = machine.get("/venues/11.ics")
        assert (direct.body, direct.headers["etag"]) == (feed, headers["ETag"])
    zip_it = {"Accept-Encoding": "gzip"}
    one.kill()
    # a few, as nginx turns from one to the other
    fresh = [f"/venues/11.ics?past={days}" for days in range(6)]
    assert [nginx.get(path)[0] for path in fresh] == [200] * 6
    _, zipped, _ = nginx.get("/venues/11.ics", zip_it)
    assert zipped["Content-Encoding"] == "gzip"
    other.kill()
    assert nginx.get("/venues/11.ics")[2] == feed
    assert nginx.get("/venues/11.ics", {"If-None-Match": headers["ETag"]})[0] == 304
    assert nginx.get("/venues/11.ics", zip_it)[1]["ETag"] == zipped["ETag"]
    assert nginx.get("/venues/11.ics?past=7")[0] == 502


def test_what_nginx_keeps_of_two_machines_is_nothing_that_a_visitor_claims(
    two: tuple[Nginx, Machine, Machine],
) -> None:
    nginx, *_ = two
    forged = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Prefix": "/evil"}
    for path in ("/venues/11", "http://evil.example/sessions?venues=11"):
        nginx.get(path, forged)
    for path in ("/venues/11", "/sessions?venues=11"):
        status, _, page = nginx.get(path)
        assert status == 200
        assert b"https://calendar.example.org" in page
        assert b"evil" not in page
