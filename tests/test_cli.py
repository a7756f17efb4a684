"""The command line: check, feed, accept and sandbox."""

import json
import os
import shutil
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
from near_classes import near_classes

from bridge.cli import sandbox
from bridge.sandbox.api import create_api
from bridge.sandbox.demo_timetable import demo_studio
from bridge.sandbox.http_server import PORT, SandboxServer
from bridge.web import create_app

HOME = Path(__file__).parent.parent
TOKEN = "canary-token-of-these-tests"
BASE_URL = "https://calendar.example.org"

Run = Callable[..., Result]


@contextmanager
def studio_api(**api: Any) -> Iterator[SandboxServer]:
    """The sandbox studio as of today, with the classes of three weeks."""
    now = datetime.now(UTC)
    studio = near_classes(demo_studio(now.date()), now)
    with SandboxServer(create_api(studio, **{"token": TOKEN, **api})) as server:
        yield server


@pytest.fixture(scope="module")
def studio_url() -> Iterator[str]:
    with studio_api(requests_per_minute=100_000) as server:
        yield server.url


@pytest.fixture
def environment(studio_url: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets environment variables in addition to valid ones; None removes one."""

    def make(**variables: str | None) -> None:
        environment = {
            "TEAMUP_API_TOKEN": TOKEN,
            "TEAMUP_BASE_URL": studio_url,
            "TEAMUP_SOURCES": "course_sessions",
            "CACHE_URL": "memory://",
            # as under flask
            "FLASK_RUN_FROM_CLI": "true",
            **variables,
        }
        for name, value in environment.items():
            # An empty value counts as not set, and overrides a .env file.
            monkeypatch.setenv(name, value or "")

    return make


@pytest.fixture
def run(environment: Callable[..., None]) -> Run:
    """Runs a command in this process, with these environment variables."""

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
    """Runs a command in a new process, with these environment variables."""

    def invoke(*arguments: str, **variables: str | None) -> "subprocess.CompletedProcess[bytes]":
        environment(**variables)
        process = subprocess.run(
            flask_command(*arguments),
            cwd=HOME,
            env={**os.environ, "FLASK_RUN_FROM_CLI": ""},
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert b"Traceback" not in process.stdout + process.stderr
        assert TOKEN.encode() not in process.stdout + process.stderr
        return process

    return invoke


def flask_command(*arguments: str) -> list[str]:
    return [str(Path(sys.executable).parent / "flask"), "--app", "app", *arguments]


class TestCheckWithoutErrors:
    @pytest.fixture(scope="class")
    @classmethod
    def cached(cls) -> dict[str, Any]:
        return {}

    @pytest.fixture
    def report(self, run: Run, cached: dict[str, Any]) -> dict[str, Any]:
        if not cached:
            result = run("check", "--json", PUBLIC_BASE_URL=BASE_URL)
            assert result.exit_code == 0
            cached.update(json.loads(result.stdout))
        return cached

    def test_it_is_healthy(self, report: dict[str, Any]) -> None:
        assert report["healthy"] is True
        assert {finding["level"] for finding in report["findings"]} <= {"ok", "warning"}
        assert all(
            set(finding) == {"level", "topic", "setting", "text"} for finding in report["findings"]
        )

    def test_it_counts_what_the_token_can_read(self, report: dict[str, Any]) -> None:
        assert report["sees"]["sessions"] > 30
        assert report["sees"]["venues"] == 4
        assert report["sees"]["instructors"] > 8

    def test_it_counts_hidden_sessions_by_reason(self, report: dict[str, Any]) -> None:
        assert set(report["withheld"]) == {
            "drafts",
            "visible to membership_holders",
            "visible to private",
        }
        assert all(number > 0 for number in report["withheld"].values())

    def test_it_lists_addresses_of_feeds(self, report: dict[str, Any]) -> None:
        assert report["feeds"]["all classes"] == f"{BASE_URL}/sessions.ics"
        assert report["feeds"]["Riverside Studio"] == f"{BASE_URL}/venues/12.ics"
        for address in report["feeds"].values():
            assert address.endswith(".ics")
            assert not {",", ";"} & set(address)

    def test_it_checks_the_clock(self, report: dict[str, Any]) -> None:
        assert any(finding["topic"] == "clock" for finding in report["findings"])

    def test_it_states_what_the_timetable_contains(self, report: dict[str, Any]) -> None:
        number = report["sees"]["course_sessions"]
        assert number == report["sees"]["sessions"]
        assert "events" not in report["sees"]
        [scope] = [finding for finding in report["findings"] if finding["topic"] == "scope"]
        assert f"contains {number} sessions of courses" in scope["text"]

    def test_the_text_report_has_the_same_content(self, run: Run, report: dict[str, Any]) -> None:
        result = run("check", PUBLIC_BASE_URL=BASE_URL)
        assert result.exit_code == 0
        for finding in report["findings"]:
            assert finding["text"] in result.stdout
        assert f"{BASE_URL}/venues/12.ics" in result.stdout
        assert not result.stdout.lstrip().startswith("{")

    def test_with_warnings_only_the_exit_code_is_0(self, run: Run) -> None:
        result = run("check", "--json", TEAMUP_REQUESTS_PER_MINUTE="300", OPERATOR_TOKEN="short")
        report = json.loads(result.stdout)
        assert result.exit_code == 0
        assert report["healthy"] is True
        findings = [item for item in report["findings"] if item["level"] == "warning"]
        warnings = [finding["text"] for finding in findings]
        for name in ("TEAMUP_REQUESTS_PER_MINUTE", "OPERATOR_TOKEN", "PUBLIC_BASE_URL"):
            assert any(name in text for text in warnings)
        assert not any("'short'" in text for text in warnings)


def assert_failed(result: Result, *texts: str) -> None:
    """The exit code is 1, and the output contains *texts*."""
    assert result.exit_code == 1
    for text in texts:
        assert text in result.stdout


class TestCheckWithErrors:
    @pytest.mark.parametrize("options", [(), ("--json",)], ids=["lines", "json"])
    def test_without_a_token(self, run: Run, options: tuple[str, ...]) -> None:
        result = run("check", *options, TEAMUP_API_TOKEN=None)
        assert_failed(result, "TEAMUP_API_TOKEN", "is not set")
        if options:
            report = json.loads(result.stdout)
            assert report["healthy"] is False
            assert [finding["level"] for finding in report["findings"]] == ["error"]

    def test_with_a_wrong_token(self, run: Run) -> None:
        result = run("check", TEAMUP_API_TOKEN="canary-other-token-than-it")
        assert_failed(result, "authentication_failed", "TEAMUP_API_TOKEN")
        assert "canary" not in result.output

    def test_with_a_memory_store_for_several_workers(self, run: Run) -> None:
        assert_failed(run("check", WEB_CONCURRENCY="2"), "CACHE_URL", "WEB_CONCURRENCY")


class TestCheckAsAProcess:
    def test_it_prints_only_the_report(self, flask: Any) -> None:
        process = flask("check", "--json", PUBLIC_BASE_URL=BASE_URL)
        assert process.returncode == 0
        assert json.loads(process.stdout)["healthy"] is True

    def test_it_works_without_a_token(self, flask: Any) -> None:
        process = flask("check", TEAMUP_API_TOKEN=None)
        assert process.returncode == 1
        assert b"TEAMUP_API_TOKEN" in process.stdout
        assert len(process.stdout.strip().splitlines()) == 1


class TestFeed:
    def test_it_prints_only_the_bytes_of_the_feed(self, flask: Any) -> None:
        process = flask("feed", "venues/12.ics?past=7")
        assert process.returncode == 0
        assert process.stdout.startswith(b"BEGIN:VCALENDAR\r\n")
        assert process.stdout.endswith(b"END:VCALENDAR\r\n")
        events = Calendar.from_ical(process.stdout).walk("VEVENT")
        assert len(events) > 10
        assert f"{len(events)} sessions".encode() in process.stderr

    @pytest.mark.parametrize(
        "path",
        [
            "/venues/12.ics?past=7",
            "venues/12-riverside-studio.ics?past=7",
            "venues/12.ics?_=1&past=7",
        ],
    )
    def test_the_path_is_the_address_without_the_host(self, run: Run, path: str) -> None:
        result = run("feed", path)
        assert result.exit_code == 0
        assert Calendar.from_ical(result.stdout_bytes)["NAME"] == "Riverside Studio"

    @pytest.mark.parametrize(
        "path", ["instructors/11", "courses/51", "sessions", "sessions/1", "venues/999"]
    )
    def test_every_feed_can_be_printed_in_every_format(self, run: Run, path: str) -> None:
        calendar = run("feed", f"{path}.ics").stdout_bytes
        objects = json.loads(run("feed", f"{path}.json").stdout)
        text = run("feed", f"{path}.txt").stdout
        events = Calendar.from_ical(calendar).walk("VEVENT")
        assert [str(event["UID"]) for event in events] == [obj["id"] for obj in objects]
        assert len([line for line in text.splitlines() if line.startswith("  ")]) == len(events)

    def test_feeds_of_ordinary_classes_can_be_printed(self, run: Run) -> None:
        def printed(path: str) -> list[dict[str, Any]]:
            result = run("feed", path, TEAMUP_SOURCES="events,course_sessions")
            assert result.exit_code == 0
            objects: list[dict[str, Any]] = json.loads(result.stdout)
            return objects

        room = printed("rooms/71.json?future=7&past=0")
        assert {event["room"]["id"] for event in room} == {71}
        assert {event["object"] for event in room} == {"event"}
        first = room[0]
        [single] = printed(f"classes/{first['session']}.json")
        assert (single["id"], single["title"]) == (first["id"], first["title"])
        of_type = printed(f"types/{first['type']['id']}.json?future=7&past=0")
        assert first["id"] in {event["id"] for event in of_type}
        both = {event["object"] for event in printed("types/31.json")}
        assert both == {"event", "course_session"}

    def test_it_equals_the_feed_of_the_server(self, run: Run, monkeypatch: Any) -> None:
        printed = run("feed", "venues/12.json?future=7&past=0&cancelled=hide").stdout_bytes
        monkeypatch.delenv("FLASK_RUN_FROM_CLI")
        app = create_app()
        parts = app.extensions["bridge"]
        try:
            path = "/venues/12.json?future=7&past=0&cancelled=hide"
            served = app.test_client().get(path).data
        finally:
            parts.close()
        ignored = ("updated", "sequence")  # they depend on the time of the walk

        def comparable(body: bytes) -> list[dict[str, Any]]:
            return [
                {name: value for name, value in obj.items() if name not in ignored}
                for obj in json.loads(body)
            ]

        assert comparable(printed) == comparable(served) != []

    def test_json_feeds_take_a_range(self, run: Run) -> None:
        result = run("feed", "venues/12.json?start=1999-01-01&end=1999-02-01")
        assert result.exit_code == 0
        assert json.loads(result.stdout) == []

    @pytest.mark.parametrize(
        ("path", "message"),
        [
            ("nowhere", "is not a feed"),
            ("venues/12", "is not a feed"),
            ("venues/12.xml", "is not a feed"),
            ("venues/12.ics/", "is not a feed"),
            ("", "is not a feed"),
            ("healthz", "is not a feed"),
            ("https://calendar.example.org/venues/12.ics", "is not a feed"),
            ("venues/12.ics?venue=1", "did you mean venues?"),
            ("venues/12.ics?past=soon", "past"),
            ("rooms/12.xml", "and so for rooms, instructors"),
            ("sessions.ics?sources=events", "accepted: course_sessions"),
            ("classes/1.ics?past=7", "a single session has no filters"),
            ("sessions.ics?status=gone", "active, cancelled"),
        ],
    )
    def test_an_invalid_address_is_one_line_on_standard_error(
        self, run: Run, path: str, message: str
    ) -> None:
        result = run("feed", path)
        assert result.exit_code == 1
        assert result.stdout == ""
        assert message in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1

    def test_a_rejection_by_upstream_is_reported_on_standard_error(self, flask: Any) -> None:
        process = flask("feed", "venues/12.ics", TEAMUP_API_TOKEN="another-token-than-that")
        assert process.returncode == 1
        assert process.stdout == b""
        assert b"authentication_failed" in process.stderr

    def test_without_a_token_it_reports_the_variable(self, run: Run) -> None:
        result = run("feed", "venues/12.ics", TEAMUP_API_TOKEN=None)
        assert result.exit_code == 1
        assert result.stdout == ""
        assert "TEAMUP_API_TOKEN" in result.stderr


class TestAccept:
    def test_with_a_store_that_does_not_answer_it_fails(self, run: Run) -> None:
        result = run("accept", CACHE_URL="redis://127.0.0.1:1/0")
        assert result.exit_code == 1
        assert "not known" in result.stderr
        assert "nothing is held" not in result.output

    def test_with_a_memory_store_it_fails(self, run: Run) -> None:
        result = run("accept", CACHE_URL="memory://")
        assert result.exit_code == 1
        assert "memory://" in result.stderr

    def test_it_reports_that_nothing_is_held(self, run: Run, tmp_path: Path) -> None:
        result = run("accept", CACHE_URL=f"sqlite:///{tmp_path}/store.sqlite3")
        assert (result.exit_code, result.stdout) == (0, "nothing is held\n")


class TestBackup:
    PATH = "venues/12.ics"

    @pytest.fixture
    def store(self, tmp_path: Path) -> dict[str, str]:
        return {"CACHE_URL": f"sqlite:///{tmp_path}/var/store.sqlite3"}

    def test_a_lost_store_is_restored(
        self, run: Run, tmp_path: Path, store: dict[str, str]
    ) -> None:
        file = str(tmp_path / "backup")
        before = run("feed", self.PATH, **store)
        written = run("backup", file, **store)
        assert (written.exit_code, written.stdout.count("\n")) == (0, 1)
        assert written.stdout.startswith(f"wrote {file}; timetables: 1, classes: ")
        shutil.rmtree(tmp_path / "var")
        restored = run("restore", file, **store)
        assert restored.exit_code == 0
        content = written.stdout.removeprefix(f"wrote {file}; ")
        assert restored.stdout == f"replaced {tmp_path}/var/store.sqlite3; {content}"
        assert run("feed", self.PATH, **store).stdout == before.stdout

    def test_an_error_is_one_line(self, run: Run, tmp_path: Path, store: dict[str, str]) -> None:
        (tmp_path / "text").write_text("text")
        for arguments in (
            ("backup", str(tmp_path / "backup")),
            ("restore", str(tmp_path / "missing")),
            ("restore", str(tmp_path / "text")),
        ):
            result = run(*arguments, **store)
            assert (result.exit_code, result.stdout) == (1, "")
            assert result.stderr.startswith("Error: ")
            assert result.stderr.count("\n") == 1

    @pytest.mark.parametrize("command", ["backup", "restore"])
    @pytest.mark.parametrize(
        ("url", "words"),
        [
            ("memory://", "CACHE_URL: is memory:// nothing to back up"),
            ("redis://:canary@127.0.0.1:1/0", "CACHE_URL: Redis docs/operations.md"),
            ("rediss://:canary@127.0.0.1:1/0", "CACHE_URL: Redis docs/operations.md"),
        ],
    )
    def test_another_store_is_named_with_what_to_do(
        self, run: Run, tmp_path: Path, command: str, url: str, words: str
    ) -> None:
        result = run(command, str(tmp_path / "file"), CACHE_URL=url)
        assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
        assert all(word in result.stderr for word in words.split())
        assert "canary" not in result.stderr
        assert not (tmp_path / "file").exists()


class TestSandbox:
    @pytest.fixture
    def url(self) -> Iterator[str]:
        """The address that a sandbox process prints."""
        with socket.create_server(("127.0.0.1", 0)) as free_socket:
            port = free_socket.getsockname()[1]
        with subprocess.Popen(
            flask_command("sandbox", "--port", str(port)),
            cwd=HOME,
            # It needs no settings.
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

    def test_its_default_port_is_that_of_the_sandbox_server(self) -> None:
        # The command must not import the sandbox before it runs.
        (port,) = sandbox.params
        assert port.default == PORT

    def test_a_port_in_use_is_reported_in_one_line(self, run: Run) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            result = run("sandbox", "--port", str(taken.getsockname()[1]))
        assert result.exit_code == 1
        assert len(result.output.strip().splitlines()) == 1
        assert "--port" in result.output

    def test_it_serves_the_api_with_its_token(self, url: str) -> None:
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
