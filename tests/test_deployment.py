"""The files for operators: they name all settings, and the configuration of nginx works."""

import itertools
import json
import os
import re
import shlex
import subprocess
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
from browser.bridges import serve
from clocks import wait_until
from faults.fleet import Machine, rename_sessions, run_concurrently, running, stub_upstream
from nginx import HOST, Nginx, with_certificate
from upstreams.stub import StubUpstream
from valkey import Valkey, free_port

from bridge import config
from bridge.clock import SystemClock
from bridge.config import variables as variable_texts
from bridge.feeds.private import FeedGrant, new_audience
from bridge.feeds.spec import Kind
from bridge.model import Visibility
from bridge.sandbox.studio import Studio
from bridge.services import Services
from bridge.web import create_app

HOME = Path(__file__).parent.parent

LOCAL_BRIDGE = "127.0.0.1:8000"
"""The bridge's address if it runs on the same machine as nginx."""

ONE_MACHINE = "A machine of your own"
OPERATOR = "a-token-of-the-operator"
FEED = "/venues/11.ics"
REFRESH = 2.0
"""Seconds that one refresh may take on a busy machine."""

_NOT_FOR_OPERATORS = {config.SANDBOX_FLAG, "DYNO"}
"""Set by ``make run`` and by a platform."""


class RecordingVariables(dict[str, str]):
    """Records which variables are read."""

    def __init__(self, **values: str) -> None:
        super().__init__(values)
        self.names: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name)
        return super().get(name, default)


def variables() -> set[str]:
    """The variables that an operator may set, with those of files with secrets."""
    values = RecordingVariables(TEAMUP_API_TOKEN="a-token-of-the-tests")
    config.load(values)
    return values.names - _NOT_FOR_OPERATORS


def secrets() -> set[str]:
    """The settings whose value may be in a file."""
    return {name.removesuffix("_FILE") for name in variables() if name.endswith("_FILE")}


def settings() -> set[str]:
    """The settings, each by one variable."""
    return variables() - {f"{name}_FILE" for name in secrets()}


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
    by_default = config.load(os.environ)
    for name, value in example():
        if name != "TEAMUP_API_TOKEN":
            monkeypatch.setenv(name, value)
    assert config.load(os.environ) == by_default


def test_the_example_with_a_token_is_a_valid_settings_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (HOME / ".env.example").read_text(encoding="utf-8")
    (tmp_path / ".env").write_text(
        text.replace("TEAMUP_API_TOKEN=", "TEAMUP_API_TOKEN=my-own", 1), encoding="utf-8"
    )
    monkeypatch.setattr(variable_texts, "FILE", tmp_path / ".env")
    assert config.load().token == "my-own"


def test_the_readme_explains_every_setting_and_nothing_else() -> None:
    text = (HOME / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[A-Z][^|]*) \|", text, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`([A-Z_]+)`", row)} == settings()


def test_the_readme_names_the_secrets_that_files_may_hold() -> None:
    text = (HOME / "README.md").read_text(encoding="utf-8")
    [row] = re.findall(r"^\| `<NAME>_FILE` \|.*", text, re.MULTILINE)
    assert set(re.findall(r"`([A-Z_]+)`", row)) == secrets()


def test_the_deployment_files_set_only_existing_variables() -> None:
    app = json.loads((HOME / "app.json").read_text(encoding="utf-8"))
    service = (HOME / "deploy" / "teamup-feed-bridge.service").read_text(encoding="utf-8")
    image = (HOME / "Dockerfile").read_text(encoding="utf-8")
    pages = (HOME / "docs" / "deploy.md").read_text(encoding="utf-8")
    used = {
        *app["env"],
        *re.findall(r"^Environment=([A-Z_]+)=", service, re.MULTILINE),
        *re.findall(r"^(?:ENV| +) ?([A-Z_]+)=", image, re.MULTILINE),
        *re.findall(r"\b([A-Z][A-Z_]{3,})=", pages),
    }
    assert len(used) > 10
    # DOMAIN is one of the Compose file.
    others = {"PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "PATH", "DOMAIN"}
    assert used - others <= variables()


def shipped() -> str:
    """The shipped configuration of nginx."""
    return (HOME / "deploy" / "nginx.conf").read_text(encoding="utf-8")


def section(title: str) -> str:
    """A section of the page on deployment."""
    page = (HOME / "docs" / "deploy.md").read_text(encoding="utf-8")
    return page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_nginx_accepts_the_shipped_configuration(tmp_path: Path) -> None:
    checked = Nginx(shipped(), {}, tmp_path).check()
    assert checked.returncode == 0, checked.stderr


@pytest.fixture
def studio(near_studio: Studio) -> Studio:
    return near_studio


@pytest.fixture
def parts(make_bridge: Callable[..., Services]) -> Services:
    """The bridge behind nginx."""
    return make_bridge(
        at=SystemClock(), trusted_proxies=1, signing_keys=("k" * 20,), operator_token=OPERATOR
    )


@pytest.fixture
def port(parts: Services) -> Iterator[int]:
    """The port of the bridge."""
    with serve(create_app(parts)) as origin:
        yield int(origin.rpartition(":")[2])


@pytest.fixture
def nginx(port: int, tmp_path: Path) -> Iterator[Nginx]:
    """nginx with the shipped configuration, in front of the bridge."""
    with Nginx(shipped(), {LOCAL_BRIDGE: f"127.0.0.1:{port}"}, tmp_path) as front:
        yield front


def from_cache(nginx: Nginx, path: str, **headers: str) -> bool:
    """Whether the second of two requests is answered from nginx's cache.

    Each response of the bridge has a new X-Request-ID.
    """
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    first, second = (nginx.get(path, named)[1]["X-Request-ID"] for _ in range(2))
    assert first
    return bool(first == second)


def test_nginx_caches_feeds_pages_and_assets(
    nginx: Nginx,
) -> None:
    for path in (
        *("/venues/12.ics", "/sessions.json?venues=12", "/venues/12", "/", "/embed/venues/12"),
        *(
            "/catalogue.json",
            "/openapi.json",
            "/embed.js",
            "/embed/accent/336699.css",
            "/static/old/embed.js",
            "/robots.txt",
        ),
    ):
        assert nginx.get(path)[0] == 200
        assert from_cache(nginx, path), path


def test_nginx_caches_each_content_coding_with_its_own_etag(
    nginx: Nginx,
) -> None:
    status, headers, feed = nginx.get("/venues/12.ics")
    assert status == 200
    assert feed.startswith(b"BEGIN:VCALENDAR")
    for _ in range(2):
        _, zipped, body = nginx.get("/venues/12.ics", {"Accept-Encoding": "gzip"})
        assert zipped["Content-Encoding"] == "gzip"
        assert zipped["ETag"] != headers["ETag"]
        assert len(body) < len(feed) / 2
        assert nginx.get("/venues/12.ics")[2] == feed


def test_nginx_answers_conditional_requests_with_304(nginx: Nginx) -> None:
    _, headers, _ = nginx.get("/venues/12.ics")
    modified = parsedate_to_datetime(headers["Last-Modified"]).timestamp()
    for condition in (
        {"If-None-Match": headers["ETag"]},
        {"If-Modified-Since": headers["Last-Modified"]},
        {"If-Modified-Since": formatdate(modified + 60, usegmt=True)},
    ):
        status, unmodified, body = nginx.get("/venues/12.ics", condition)
        assert (status, body) == (304, b"")
        assert unmodified["ETag"] == headers["ETag"]
    before = {"If-Modified-Since": formatdate(modified - 60, usegmt=True)}
    assert nginx.get("/venues/12.ics", before)[0] == 200


def test_nginx_does_not_pass_x_accel_expires_to_clients(nginx: Nginx, parts: Services) -> None:
    direct = create_app(parts).test_client()
    for path in ("/venues/12.ics", "/venues/12"):
        assert 1 <= int(direct.get(path).headers["X-Accel-Expires"]) <= 330
        _, headers, _ = nginx.get(path)
        assert "X-Accel-Expires" not in headers
        assert "max-age=300, stale-while-revalidate=3600" in headers["Cache-Control"]


def test_nginx_caches_no_error(nginx: Nginx) -> None:
    for path, error in (
        ("/venues/987654", 404),
        ("/nowhere", 404),
        ("/nowhere.ics", 404),
        ("/venues/12.ics?past=x", 400),
        ("/embed/accent/nothing.css", 400),
        ("/static/old/nothing.css", 404),
    ):
        status, headers, _ = nginx.get(path)
        assert (path, status) == (path, error)
        assert headers["Cache-Control"] == "no-store"
        assert not from_cache(nginx, path)


def test_nginx_caches_no_operator_pages_and_health_checks(nginx: Nginx, parts: Services) -> None:
    assert nginx.get("/venues/12.ics")[0] == 200
    parts.readiness.check()
    token = {"Authorization": f"Bearer {OPERATOR}"}
    for path in ("/status", "/status?format=json", "/metrics"):
        assert nginx.get(path, token)[0] == 200
        assert nginx.get(path)[0] == 401
        assert not from_cache(nginx, path, **token)
    for path in ("/healthz", "/readyz"):
        assert nginx.get(path)[0] == 200
        assert not from_cache(nginx, path)


def private_path(parts: Services) -> str:
    """The path of a private feed."""
    grant = FeedGrant(Kind.VENUE, 12, (), new_audience([Visibility.PUBLIC]))
    return f"/private/{parts.private.sign(grant)}.ics"


def test_nginx_caches_no_private_feed(nginx: Nginx, parts: Services) -> None:
    path = private_path(parts)
    status, headers, _ = nginx.get(path)
    assert status == 200
    assert headers["Cache-Control"].startswith("private")
    assert not from_cache(nginx, path)
    assert nginx.get("/venues/12.ics")[0] == 200
    wait_until(lambda: b"/venues/12.ics" in nginx.stored())
    assert path.encode() not in nginx.stored()
    assert nginx.get(path, {"If-None-Match": headers["ETag"]})[0] == 304


def test_the_address_of_a_private_feed_is_in_no_log_of_nginx(nginx: Nginx) -> None:
    for folder in ("/private", "/Private", "//private", "/other/private"):
        assert nginx.get(f"{folder}/1canary-secret.ics")[0] == 404
    assert nginx.get("/venues/12.ics")[0] == 200
    # nginx logs a request after the response.
    assert "canary" not in nginx.logged(until="/venues/12.ics")


def test_the_address_of_a_private_feed_is_in_no_log_while_the_bridge_is_down(
    tmp_path: Path,
) -> None:
    with Nginx(shipped(), {LOCAL_BRIDGE: f"127.0.0.1:{free_port()}"}, tmp_path) as nginx:
        assert nginx.get("/private/1canary-secret.ics")[0] == 502
        assert nginx.get("/venues/12.ics")[0] == 502
        assert "canary" not in nginx.logged(until="/venues/12.ics")


def test_behind_nginx_forwarded_headers_of_clients_do_not_change_links(
    nginx: Nginx,
) -> None:
    forged = {
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Prefix": "/evil",
        "X-Forwarded-Proto": "ftp",
    }
    for path in ("/venues/12", "http://evil.example/sessions?venues=12"):
        nginx.get(path, forged)
    for path in ("/venues/12", "/sessions?venues=12"):
        status, _, page = nginx.get(path)
        assert status == 200
        assert b"http://calendar.example.org" in page
        assert b"evil" not in page
        assert b"ftp:" not in page


@pytest.fixture
def secure(port: int, tmp_path: Path) -> Iterator[Nginx]:
    """nginx with a certificate, configured as docs/deploy.md describes."""
    site = tmp_path / "certified.conf"
    site.write_text(with_certificate(shipped()), encoding="utf-8")
    [command] = re.findall(
        r"^    (sed .*managed by Certbot.*)$", section(ONE_MACHINE), re.MULTILINE
    )
    subprocess.run([*shlex.split(command)[:-1], str(site)], check=True)
    replacements = {LOCAL_BRIDGE: f"127.0.0.1:{port}"}
    with Nginx(site.read_text(encoding="utf-8"), replacements, tmp_path) as front:
        yield front


def test_with_a_certificate_links_and_redirects_use_https(secure: Nginx) -> None:
    status, _, page = secure.get("/venues/12", secure=True)
    assert status == 200
    assert b"https://calendar.example.org" in page
    status, headers, _ = secure.get("/venues/12.ics")
    assert status == 301
    assert headers["Location"] == f"https://{HOST}/venues/12.ics"


def test_with_a_certificate_the_address_of_a_private_feed_is_in_no_log_either(
    secure: Nginx,
) -> None:
    assert secure.get("/private/1canary-secret.ics")[0] == 301
    assert secure.get("/private/1canary-secret.ics", secure=True)[0] == 404
    assert secure.get("/venues/12.ics", secure=True)[0] == 200
    assert "canary" not in secure.logged(until="/venues/12.ics")


class CachedSite:
    """nginx in front of a bridge whose timetable changes; it starts with change 0.

    Attributes:
        ttl: the bridge's CACHE_TTL, in seconds.
    """

    def __init__(self, nginx: Nginx, bridge: Machine, upstream: StubUpstream, ttl: int) -> None:
        self.nginx, self.bridge, self.ttl = nginx, bridge, ttl
        self._upstream = upstream
        self._changes = [time.monotonic()]

    def change(self) -> None:
        """Rename all sessions to the number of this change."""
        rename_sessions(self._upstream, f"Change {len(self._changes)} of the test")
        self._changes.append(time.monotonic())

    def staleness(self) -> float:
        """Seconds for which the feed from nginx has been out of date."""
        requested = time.monotonic()
        status, _, feed = self.nginx.get(FEED)
        assert status == 200
        match = re.search(rb"Change (\d+) of the test", feed)
        assert match is not None
        later = self._changes[int(match[1]) + 1 :]
        return max(0.0, requested - later[0]) if later else 0.0

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Change the timetable ten times a second."""
        stopping = threading.Event()

        def run() -> None:
            while not stopping.wait(0.1):
                self.change()

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            stopping.set()
            thread.join()

    def cache_seconds(self) -> int:
        """Seconds for which the bridge currently lets nginx cache the feed."""
        return int(self.bridge.get(FEED).headers["x-accel-expires"])


@pytest.fixture
def fronted(tmp_path: Path) -> Iterator[Callable[[int], CachedSite]]:
    """Starts a bridge with the given CACHE_TTL, and nginx with the shipped configuration."""
    with ExitStack() as stack:

        def start(ttl: int) -> CachedSite:
            teamup = stack.enter_context(stub_upstream())
            rename_sessions(teamup, "Change 0 of the test")
            bridge = Machine(
                teamup.url,
                "memory://",
                TRUSTED_PROXIES="1",
                CACHE_TTL=str(ttl),
                REFRESH_AHEAD="on",
                TEAMUP_REQUESTS_PER_MINUTE="100000",
            )
            stack.enter_context(bridge)
            nginx = Nginx(shipped(), {LOCAL_BRIDGE: f"127.0.0.1:{bridge.port}"}, tmp_path)
            return CachedSite(stack.enter_context(nginx), bridge, teamup, ttl)

        yield start


def test_behind_nginx_a_feed_is_never_older_than_its_lifetime_plus_one_refresh(
    fronted: Callable[[int], CachedSite],
) -> None:
    site = fronted(4)
    with site.changing():
        # nginx caches the bridge's copy just before that expires.
        wait_until(lambda: site.cache_seconds() > 1)
        wait_until(lambda: site.cache_seconds() == 1)
        began = time.monotonic()
        _, headers, _ = site.nginx.get(FEED)
        oldest, replaced = 0.0, None
        while time.monotonic() < began + site.ttl:
            oldest = max(oldest, site.staleness())
            if (
                replaced is None
                and site.nginx.get(FEED)[1]["X-Request-ID"] != headers["X-Request-ID"]
            ):
                replaced = time.monotonic() - began
            time.sleep(0.02)
    # nginx counts whole seconds and rounds up.
    assert replaced is not None
    assert replaced < 2 + REFRESH
    # A lifetime is up to a tenth longer than CACHE_TTL; nginx caches for at least one second.
    assert site.ttl / 2 < oldest < 1.1 * site.ttl + 2 + REFRESH


def test_behind_nginx_a_feed_that_was_idle_is_up_to_date_for_all_clients(
    fronted: Callable[[int], CachedSite],
) -> None:
    site = fronted(1)
    assert site.staleness() == 0.0
    site.change()
    changed = time.monotonic()
    # Wait until the bridge has the change and nginx's copy has expired.
    lifetime = 1.1 * site.ttl
    wait_until(lambda: b"Change 1 of the test" in site.bridge.get(FEED).body)
    time.sleep(max(0.0, changed + lifetime + 2 + REFRESH - time.monotonic()))
    assert run_concurrently([site.staleness] * 12) == [0.0] * 12


def test_nginx_serves_cached_responses_while_the_bridge_is_down(
    fronted: Callable[[int], CachedSite],
) -> None:
    site = fronted(1)
    site.change()
    paths = (FEED, "/venues/11", "/embed.js")
    before = {path: site.nginx.get(path) for path in paths}
    assert [status for status, _, _ in before.values()] == [200] * len(paths)
    site.bridge.stop()
    time.sleep(site.ttl + 1.5)
    for path, (_, headers, body) in before.items():
        status, later, kept = site.nginx.get(path)
        assert (status, kept) == (200, body)
        # So that other caches know the age.
        assert later["Date"] == headers["Date"]
        assert site.nginx.get(path, {"If-None-Match": headers["ETag"]})[0] == 304
    assert site.nginx.get("/venues/11.ics?past=7")[0] == 502


def two_machines_config() -> str:
    """nginx's configuration for two machines, as docs/deploy.md describes."""
    blocks = [
        textwrap.dedent(block)
        for block in re.findall(r"^(?:    .*\n|\n(?=    ))+", section("Two machines"), re.MULTILINE)
    ]
    [upstream] = [block for block in blocks if "upstream teamup_feed_bridge {" in block]
    site, count = re.subn(r"^upstream [^}]*}\n", upstream, shipped(), flags=re.MULTILINE)
    assert count == 1
    return site


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[Nginx, Machine, Machine]]:
    """nginx in front of two machines that share a store, as docs/deploy.md describes."""
    store = Valkey()
    settings = {"TRUSTED_PROXIES": "1"}
    try:
        with stub_upstream() as teamup:
            machines = [Machine(teamup.url, store.url, **settings) for _ in range(2)]
            replacements = {
                "10.0.0.1:8000": f"127.0.0.1:{machines[0].port}",
                "10.0.0.2:8000": f"127.0.0.1:{machines[1].port}",
            }
            with (
                running(*machines) as (first, second),
                Nginx(two_machines_config(), replacements, tmp_path) as front,
            ):
                yield front, first, second
    finally:
        store.kill()


def test_behind_nginx_one_machine_may_fail_and_cached_feeds_survive_both(
    two: tuple[Nginx, Machine, Machine],
) -> None:
    nginx, first, second = two
    status, headers, feed = nginx.get("/venues/11.ics")
    assert status == 200
    assert feed.endswith(b"END:VCALENDAR\r\n")
    for machine in (first, second):
        direct = machine.get("/venues/11.ics")
        assert (direct.body, direct.headers["etag"]) == (feed, headers["ETag"])
    gzip_header = {"Accept-Encoding": "gzip"}
    first.kill()
    # Several, since nginx alternates between the machines.
    fresh = [f"/venues/11.ics?past={days}" for days in range(6)]
    assert [nginx.get(path)[0] for path in fresh] == [200] * 6
    _, zipped, _ = nginx.get("/venues/11.ics", gzip_header)
    assert zipped["Content-Encoding"] == "gzip"
    second.kill()
    assert nginx.get("/venues/11.ics")[2] == feed
    assert nginx.get("/venues/11.ics", {"If-None-Match": headers["ETag"]})[0] == 304
    assert nginx.get("/venues/11.ics", gzip_header)[1]["ETag"] == zipped["ETag"]
    assert nginx.get("/venues/11.ics?past=7")[0] == 502


def test_behind_nginx_a_rolling_restart_of_two_machines_loses_no_request(
    two: tuple[Nginx, Machine, Machine],
) -> None:
    nginx, first, second = two
    stopping = threading.Event()
    statuses: list[int] = []

    def send_requests(form: str) -> None:
        for number in itertools.count():
            if stopping.is_set():
                return
            # None of these is in nginx's cache.
            statuses.append(nginx.get(f"/venues/11.{form}?past={number % 30}&_={number}")[0])

    threads = [
        threading.Thread(target=send_requests, args=(form,)) for form in ("ics", "json", "txt")
    ]
    for thread in threads:
        thread.start()
    try:
        first.stop()
        first.start()
        # Wait until nginx tries it again.
        time.sleep(2)
        second.stop()
        second.start()
    finally:
        stopping.set()
        for thread in threads:
            thread.join()
    assert len(statuses) > 50
    assert set(statuses) == {200}
