"""The command line, as an operator meets it."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from click.testing import Result
from icalendar import Calendar

from bridge.cli import sandbox
from bridge.sandbox.api import create_api
from bridge.sandbox.demo_timetable import believable_studio
from bridge.sandbox.faults import Faults
from bridge.sandbox.http_server import PORT, SandboxServer
from bridge.web import create_app

HOME = Path(__file__).parent.parent
TOKEN = "canary-token-of-these-tests"
BASE_URL = "https://calendar.example.org"

Run = Callable[..., Result]


@contextmanager
def studio_api(**api: Any) -> Iterator[SandboxServer]:
    """The sandbox studio as of today."""
    studio = believable_studio(datetime.now(UTC).date())
    with SandboxServer(create_api(studio, **{"token": TOKEN, **api})) as server:
        yield server


@pytest.fixture(scope="module")
def studio_url() -> Iterator[str]:
    with studio_api(requests_per_minute=100_000) as server:
        yield server.url


@pytest.fixture
def environment(studio_url: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets variables beside good ones; None takes one away."""

    def make(**variables: str | None) -> None:
        given = {
            "TEAMUP_API_TOKEN": TOKEN,
            "TEAMUP_BASE_URL": studio_url,
            "CACHE_URL": "memory://",
            # as under flask
            "FLASK_RUN_FROM_CLI": "true",
            **variables,
        }
        for name, value in given.items():
            # An empty value is one that is not set, whatever a .env file says.
            monkeypatch.setenv(name, value or "")

    return make


@pytest.fixture
def run(environment: Callable[..., None]) -> Run:
    """Runs a command in this process, with these variables."""

    def invoke(*arguments: str, **variables: str | None) -> Result:
        environment(**variables)
        app = create_app()
        result: Result = app.test_cli_runner().invoke(args=list(arguments))
        if "bridge" in app.extensions:
            app.extensions["bridge"].close()
        assert result.exception is None or isinstance(result.exception, SystemExit)
        assert "Traceback" not in result.output
        assert TOKEN not in result.output
        return result

    return invoke


@pytest.fixture
def flask(environment: Callable[..., None]) -> Callable[..., "subprocess.CompletedProcess[bytes]"]:
    """Runs a command as a person would, with these variables."""

    def invoke(*arguments: str, **variables: str | None) -> "subprocess.CompletedProcess[bytes]":
        environment(**variables)
        done = subprocess.run(
            flask_command(*arguments),
            cwd=HOME,
            env={**os.environ, "FLASK_RUN_FROM_CLI": ""},
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert b"Traceback" not in done.stdout + done.stderr
        assert TOKEN.encode() not in done.stdout + done.stderr
        return done

    return invoke


def flask_command(*arguments: str) -> list[str]:
    return [str(Path(sys.executable).parent / "flask"), "--app", "app", *arguments]


class TestCheckWhereAllIsWell:
    @pytest.fixture(scope="class")
    @classmethod
    def kept(cls) -> dict[str, Any]:
        return {}

    @pytest.fixture
    def report(self, run: Run, kept: dict[str, Any]) -> dict[str, Any]:
        if not kept:
            result = run("check", "--json", PUBLIC_BASE_URL=BASE_URL)
            assert result.exit_code == 0
            kept.update(json.loads(result.stdout))
        return kept

    def test_it_is_healthy(self, report: dict[str, Any]) -> None:
        assert report["healthy"] is True
        assert {one["level"] for one in report["findings"]} <= {"ok", "warning"}
        assert all(set(one) == {"level", "topic", "setting", "text"} for one in report["findings"])

    def test_it_tells_what_the_token_sees(self, report: dict[str, Any]) -> None:
        assert report["sees"]["sessions"] > 300
        assert report["sees"]["venues"] == 4
        assert report["sees"]["instructors"] > 8

    def test_it_tells_how_many_sessions_are_withheld_and_why(self, report: dict[str, Any]) -> None:
        assert set(report["withheld"]) == {
            "drafts",
            "visible to membership_holders",
            "visible to private",
        }
        assert all(number > 5 for number in report["withheld"].values())

    def test_it_has_ready_made_addresses_of_feeds(self, report: dict[str, Any]) -> None:
        assert report["feeds"]["all classes"] == f"{BASE_URL}/sessions.ics"
        assert report["feeds"]["Riverside Studio"] == f"{BASE_URL}/venues/12.ics"
        for address in report["feeds"].values():
            assert address.endswith(".ics")
            assert not {",", ";"} & set(address)

    def test_it_looks_at_the_clock(self, report: dict[str, Any]) -> None:
        assert any(one["topic"] == "clock" for one in report["findings"])

    def test_it_says_what_is_not_served(self, report: dict[str, Any]) -> None:
        assert any("ordinary classes elsewhere" in one["text"] for one in report["findings"])

    def test_people_get_the_same_in_lines(self, run: Run, report: dict[str, Any]) -> None:
        result = run("check", PUBLIC_BASE_URL=BASE_URL)
        assert result.exit_code == 0
        for one in report["findings"]:
            assert one["text"] in result.stdout
        assert f"{BASE_URL}/venues/12.ics" in result.stdout
        assert not result.stdout.lstrip().startswith("{")

    def test_warnings_alone_exit_0(self, run: Run) -> None:
        result = run("check", "--json", TEAMUP_REQUESTS_PER_MINUTE="300", OPERATOR_TOKEN="short")
        report = json.loads(result.stdout)
        assert result.exit_code == 0
        assert report["healthy"] is True
        warnings = [one["text"] for one in report["findings"] if one["level"] == "warning"]
        for name in ("TEAMUP_REQUESTS_PER_MINUTE", "OPERATOR_TOKEN", "PUBLIC_BASE_URL"):
            assert any(name in text for text in warnings)
        assert not any("'short'" in text for text in warnings)


def assert_refused(result: Result, *said: str) -> None:
    """Exit code 1, and the cause and what to change are named."""
    assert result.exit_code == 1
    for words in said:
        assert words in result.stdout


class TestCheckWhereSomethingIsWrong:
    @pytest.mark.parametrize("options", [(), ("--json",)], ids=["lines", "json"])
    def test_without_a_token(self, run: Run, options: tuple[str, ...]) -> None:
        result = run("check", *options, TEAMUP_API_TOKEN=None)
        assert_refused(result, "TEAMUP_API_TOKEN", "is not set")
        if options:
            report = json.loads(result.stdout)
            assert report["healthy"] is False
            assert [one["level"] for one in report["findings"]] == ["error"]

    def test_with_a_wrong_token(self, run: Run) -> None:
        result = run("check", TEAMUP_API_TOKEN="canary-other-token-than-it")
        assert_refused(result, "authentication_failed", "TEAMUP_API_TOKEN")
        assert "canary" not in result.output

    def test_with_the_wrong_scheme(self, run: Run) -> None:
        result = run("check", TEAMUP_AUTH_SCHEME="JWT")
        assert_refused(result, "TEAMUP_AUTH_SCHEME")

    @pytest.mark.parametrize("scheme", ["Token", "JWT"])
    def test_the_scheme_is_found_by_itself(self, run: Run, scheme: str) -> None:
        with studio_api(schemes=(scheme,)) as server:
            assert run("check", TEAMUP_BASE_URL=server.url).exit_code == 0

    @pytest.mark.parametrize(
        ("provider", "code"),
        [
            (None, "provider_header_missing"),
            ("456", "provider_invalid"),
            ("abc", "provider_header_invalid"),
        ],
    )
    def test_without_the_provider_or_with_a_wrong_one(
        self, run: Run, provider: str | None, code: str
    ) -> None:
        with studio_api(provider_id="123") as server:
            result = run("check", TEAMUP_BASE_URL=server.url, TEAMUP_PROVIDER_ID=provider)
            assert_refused(result, code, "TEAMUP_PROVIDER_ID")
            good = run("check", TEAMUP_BASE_URL=server.url, TEAMUP_PROVIDER_ID="123")
            assert good.exit_code == 0

    @pytest.mark.parametrize("mode", [None, "customer"])
    def test_without_the_mode_or_in_the_wrong_one(self, run: Run, mode: str | None) -> None:
        with studio_api(modes=("provider",), multiple_modes=True) as server:
            result = run("check", TEAMUP_BASE_URL=server.url, TEAMUP_REQUEST_MODE=mode)
            assert_refused(result, "mode_not_allowed", "TEAMUP_REQUEST_MODE")
            good = run("check", TEAMUP_BASE_URL=server.url, TEAMUP_REQUEST_MODE="provider")
            assert good.exit_code == 0

    def test_without_permission(self, run: Run) -> None:
        with studio_api(permissions=frozenset({"revenue"})) as server:
            result = run("check", TEAMUP_BASE_URL=server.url)
        assert_refused(result, "permission", "manage_events", "TEAMUP_API_TOKEN")

    def test_with_an_instructors_token_that_may_see_its_own_sessions_only(self, run: Run) -> None:
        studio = believable_studio(datetime.now(UTC).date())
        for row in studio.sessions:
            if row["instructors"] != [19]:
                studio.delete(row["id"])
        with SandboxServer(create_api(studio, token=TOKEN)) as server:
            result = run("check", TEAMUP_BASE_URL=server.url)
        assert result.exit_code == 0
        assert "instructor permission" in result.stdout

    def test_with_an_upstream_that_is_not_there(self, run: Run) -> None:
        with studio_api() as server:
            address = server.url
        assert_refused(run("check", TEAMUP_BASE_URL=address), "TEAMUP_BASE_URL", "network")

    def test_with_the_address_of_something_else(self, run: Run, studio_url: str) -> None:
        result = run("check", TEAMUP_BASE_URL=studio_url.replace("/v2", "/v3"))
        assert_refused(result, "TEAMUP_BASE_URL")

    @pytest.mark.parametrize(
        "fault",
        [
            {"kind": "status", "value": 500},
            {"kind": "status", "value": 429, "retry_after": "300"},
            {"kind": "html"},
            {"kind": "invalid_json"},
            {"kind": "truncate"},
            {"kind": "redirect", "value": "https://elsewhere.example/"},
        ],
        ids=lambda fault: "-".join(map(str, fault.values())),
    )
    def test_with_an_upstream_that_is_not_well(self, run: Run, fault: dict[str, Any]) -> None:
        faults = Faults()
        faults.set(**fault)
        with studio_api(faults=faults) as server:
            result = run("check", "--json", TEAMUP_BASE_URL=server.url)
        assert result.exit_code == 1
        report = json.loads(result.stdout)
        assert report["healthy"] is False
        assert any(one["level"] == "error" and one["text"] for one in report["findings"])
        assert "elsewhere.example" not in result.output

    @pytest.mark.parametrize(
        ("name", "value", "accepted"),
        [
            ("CACHE_TTL", "soon", "1 or more"),
            ("CACHE_TTL", "0", "1 or more"),
            ("TEAMUP_REQUESTS_PER_MINUTE", "-1", "1 or more"),
            ("TEAMUP_AUTH_SCHEME", "Basic", "auto, Bearer, Token, JWT"),
            ("TEAMUP_REQUEST_MODE", "admin", "provider, customer"),
            ("TEAMUP_LIST_STYLE", "json", "csv, repeat"),
            ("TEAMUP_BASE_URL", "http://goteamup.com/api/v2", "https"),
            ("UPSTREAM_PLAN", "huge", "wide, narrow"),
            ("CACHE_URL", "mysql://root:canary@host/db", "sqlite:///"),
            ("WINDOW_PAST_DAYS", "9999", "365"),
            ("PUBLIC_VISIBILITY", "everybody", "public, membership_holders, private"),
            ("PUBLIC_AVAILABILITY", "lots", "none, full, spots"),
            ("PUBLIC_BASE_URL", "calendar.example.org", "http"),
            ("CATALOG", "maybe", "on, off"),
            ("PORT", "99999", "65535"),
            ("LOG_LEVEL", "loud", "debug, info"),
        ],
    )
    def test_with_a_setting_that_cannot_be_used(
        self, run: Run, name: str, value: str, accepted: str
    ) -> None:
        result = run("check", **{name: value})
        assert_refused(result, name, accepted)
        assert "canary" not in result.output

    @pytest.mark.parametrize(
        "address",
        ["sqlite:////proc/nowhere/bridge.sqlite3", "redis://127.0.0.1:1/0", "redis://:x@[::1/0"],
    )
    def test_with_a_store_that_cannot_be_had_there_is_no_traceback(
        self, run: Run, address: str
    ) -> None:
        result = run("check", CACHE_URL=address)
        assert result.exit_code in (0, 1)
        if result.exit_code:
            assert "CACHE_URL" in result.stdout

    def test_memory_for_several_workers(self, run: Run) -> None:
        assert_refused(run("check", WEB_CONCURRENCY="2"), "CACHE_URL", "WEB_CONCURRENCY")


class TestCheckAsAProcess:
    def test_it_prints_nothing_but_its_report(self, flask: Any) -> None:
        done = flask("check", "--json", PUBLIC_BASE_URL=BASE_URL)
        assert done.returncode == 0
        assert json.loads(done.stdout)["healthy"] is True

    def test_without_a_token_it_is_still_there(self, flask: Any) -> None:
        done = flask("check", TEAMUP_API_TOKEN=None)
        assert done.returncode == 1
        assert b"TEAMUP_API_TOKEN" in done.stdout
        assert len(done.stdout.strip().splitlines()) == 1


class TestFeed:
    def test_it_prints_the_feed_byte_for_byte_and_nothing_else(self, flask: Any) -> None:
        done = flask("feed", "venues/12.ics?past=7")
        assert done.returncode == 0
        assert done.stdout.startswith(b"BEGIN:VCALENDAR\r\n")
        assert done.stdout.endswith(b"END:VCALENDAR\r\n")
        events = Calendar.from_ical(done.stdout).walk("VEVENT")
        assert len(events) > 10
        assert f"{len(events)} sessions".encode() in done.stderr

    @pytest.mark.parametrize(
        "path",
        [
            "/venues/12.ics?past=7",
            "venues/12-riverside-studio.ics?past=7",
            "venues/12.ics?_=1&past=7",
        ],
    )
    def test_the_address_is_written_as_after_the_host(self, run: Run, path: str) -> None:
        result = run("feed", path)
        assert result.exit_code == 0
        assert Calendar.from_ical(result.stdout_bytes)["NAME"] == "Riverside Studio"

    @pytest.mark.parametrize(
        "path", ["instructors/11", "courses/51", "sessions", "sessions/1", "venues/999"]
    )
    def test_every_feed_is_had_in_every_form(self, run: Run, path: str) -> None:
        calendar = run("feed", f"{path}.ics").stdout_bytes
        objects = json.loads(run("feed", f"{path}.json").stdout)
        text = run("feed", f"{path}.txt").stdout
        events = Calendar.from_ical(calendar).walk("VEVENT")
        assert [str(one["UID"]) for one in events] == [one["id"] for one in objects]
        assert len([line for line in text.splitlines() if line.startswith("  ")]) == len(events)

    def test_it_is_what_the_server_serves(self, run: Run, monkeypatch: Any) -> None:
        printed = run("feed", "venues/12.json?future=7&past=0&cancelled=hide").stdout_bytes
        monkeypatch.delenv("FLASK_RUN_FROM_CLI")
        app = create_app()
        parts = app.extensions["bridge"]
        try:
            path = "/venues/12.json?future=7&past=0&cancelled=hide"
            served = app.test_client().get(path).data
        finally:
            parts.close()
        strip = ("updated", "sequence")  # the time of either walk

        def told(body: bytes) -> list[dict[str, Any]]:
            return [
                {name: value for name, value in one.items() if name not in strip}
                for one in json.loads(body)
            ]

        assert told(printed) == told(served) != []

    def test_json_takes_a_range_as_it_does_over_http(self, run: Run) -> None:
        result = run("feed", "venues/12.json?start=1999-01-01&end=1999-02-01")
        assert result.exit_code == 0
        assert json.loads(result.stdout) == []

    @pytest.mark.parametrize(
        ("path", "said"),
        [
            ("nowhere", "is no feed"),
            ("venues/12", "is no feed"),
            ("venues/12.xml", "is no feed"),
            ("venues/12.ics/", "is no feed"),
            ("", "is no feed"),
            ("healthz", "is no feed"),
            ("https://calendar.example.org/venues/12.ics", "is no feed"),
            ("venues/12.ics?venue=1", "did you mean venues?"),
            ("venues/12.ics?past=soon", "past"),
            ("sessions.ics?status=gone", "active, cancelled"),
        ],
    )
    def test_a_wrong_address_is_one_line_on_standard_error(
        self, run: Run, path: str, said: str
    ) -> None:
        result = run("feed", path)
        assert result.exit_code == 1
        assert result.stdout == ""
        assert said in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1

    def test_an_upstream_that_refuses_is_said_on_standard_error(self, flask: Any) -> None:
        done = flask("feed", "venues/12.ics", TEAMUP_API_TOKEN="another-token-than-that")
        assert done.returncode == 1
        assert done.stdout == b""
        assert b"authentication_failed" in done.stderr

    def test_without_a_token_it_names_the_variable(self, run: Run) -> None:
        result = run("feed", "venues/12.ics", TEAMUP_API_TOKEN=None)
        assert result.exit_code == 1
        assert result.stdout == ""
        assert "TEAMUP_API_TOKEN" in result.stderr


class TestAccept:
    def test_what_a_store_holds_that_does_not_answer_is_not_known(self, run: Run) -> None:
        result = run("accept", CACHE_URL="redis://127.0.0.1:1/0")
        assert result.exit_code == 1
        assert "not known" in result.stderr
        assert "nothing is held" not in result.output

    def test_what_a_server_holds_in_its_own_memory_is_out_of_reach(self, run: Run) -> None:
        result = run("accept", CACHE_URL="memory://")
        assert result.exit_code == 1
        assert "memory://" in result.stderr

    def test_where_nothing_is_held_it_says_so(self, run: Run, tmp_path: Path) -> None:
        result = run("accept", CACHE_URL=f"sqlite:///{tmp_path}/store.sqlite3")
        assert (result.exit_code, result.stdout) == (0, "nothing is held\n")


class TestSandbox:
    @pytest.fixture
    def url(self) -> Iterator[str]:
        """The address that a sandbox of its own process says it has."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        with subprocess.Popen(
            flask_command("sandbox", "--port", str(port)),
            cwd=HOME,
            # No setting is needed for it.
            env={**os.environ, "TEAMUP_API_TOKEN": "", "CACHE_URL": "memory://"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            try:
                assert process.stdout is not None
                line = process.stdout.readline()
                assert f"http://127.0.0.1:{port}/api/v2" in line
                assert "sandbox-token" in line
                yield f"http://127.0.0.1:{port}/api/v2"
            finally:
                process.terminate()
                process.wait(10)

    def test_its_port_is_the_servers_own_by_default(self) -> None:
        # the command may not import it before it runs
        (port,) = sandbox.params
        assert port.default == PORT

    def test_a_port_that_is_taken_is_one_line(self, run: Run) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            result = run("sandbox", "--port", str(taken.getsockname()[1]))
        assert result.exit_code == 1
        assert len(result.output.strip().splitlines()) == 1
        assert "--port" in result.output

    def test_it_serves_the_studios_api_to_whoever_has_its_token(self, url: str) -> None:
        address = f"{url}/course_sessions?page_size=3"
        request = urllib.request.Request(address, headers={"Authorization": "Bearer sandbox-token"})
        deadline = time.monotonic() + 10
        while True:
            try:
                with urllib.request.urlopen(request, timeout=5) as response:
                    page = json.load(response)
                break
            except urllib.error.URLError:
                assert time.monotonic() < deadline
                Event().wait(0.05)
        assert len(page["results"]) == 3
        assert page["count"] > 300
        with pytest.raises(urllib.error.HTTPError, match="401") as refused:
            urllib.request.urlopen(address, timeout=5)
        refused.value.close()
