"""Diagnostics: ``check`` reports the cause of a problem, and the variable to set."""

import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from test_deployment import settings
from tls import TlsFront
from valkey import Valkey

from bridge import config, network_errors, services
from bridge.clock import SystemClock
from bridge.diagnostics import run_checks, timetable_checks
from bridge.diagnostics.findings import CheckReport, Finding, Level
from bridge.feeds.changes import ChangeKind
from bridge.feeds.feed import etag_of
from bridge.sandbox.api import create_api
from bridge.sandbox.demo_timetable import demo_studio
from bridge.sandbox.endpoints import Kind
from bridge.sandbox.faults import Faults
from bridge.sandbox.http_server import SandboxServer
from bridge.sandbox.studio import Studio
from bridge.store.opening import open_backend

TOKEN = "canary-token-of-these-tests"

Check = Callable[..., CheckReport]


class OffClock(SystemClock):
    """A clock that is wrong by *seconds*."""

    def __init__(self, seconds: float) -> None:
        real = SystemClock.now
        self.now = lambda: real() + seconds  # type: ignore[method-assign]


def small_studio() -> Studio:
    """A studio with 20 upcoming sessions and 20 classes, so that checks are fast."""
    studio = demo_studio(datetime.now(UTC).date())
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    tables = studio.tables()
    kinds: tuple[Kind, ...] = ("course_session", "event")
    for kind in kinds:
        rows = tables.sessions(kind)
        timetable = [row for row in rows if not row.get("is_appointment")]
        starts = ((tables.instant(row, "starts_at"), row["id"]) for row in timetable)
        upcoming = sorted((start, id) for start, id in starts if start and start > tomorrow)
        for id in {row["id"] for row in rows} - {id for _, id in upcoming[:20]}:
            studio.delete(id, kind=kind)
    return studio


@contextmanager
def studio_api(studio: Studio | None = None, **api: Any) -> Iterator[SandboxServer]:
    api = {"token": TOKEN, "requests_per_minute": 100_000, **api}
    with SandboxServer(create_api(studio or small_studio(), **api)) as server:
        yield server


@pytest.fixture(scope="module")
def studio_url() -> Iterator[str]:
    with studio_api() as server:
        yield server.url


@pytest.fixture
def check(studio_url: str, monkeypatch: pytest.MonkeyPatch) -> Check:
    """Runs the checks with these variables in addition to valid ones; None removes one."""

    def run(*, clock: Any = None, **variables: str | None) -> CheckReport:
        environment = {
            "TEAMUP_API_TOKEN": TOKEN,
            "TEAMUP_BASE_URL": studio_url,
            "TEAMUP_SOURCES": "course_sessions",
            "CACHE_URL": "memory://",
            **variables,
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value or "")
        [report] = run_checks(os.environ, clock=clock).values()
        assert TOKEN not in report.as_text() + json.dumps(report.as_dict())
        return report

    return run


def errors(report: CheckReport) -> list[tuple[str, str | None]]:
    """Topic and variable of each error."""
    return topics(report, Level.ERROR)


def warnings(report: CheckReport) -> list[tuple[str, str | None]]:
    return topics(report, Level.WARNING)


def topics(report: CheckReport, level: Level) -> list[tuple[str, str | None]]:
    findings = [finding for finding in report.findings if finding.level is level]
    return [(finding.topic, finding.setting) for finding in findings]


def finding(report: CheckReport, topic: str) -> Finding:
    """The most severe finding with that topic."""
    ranks = list(Level)
    return max(
        (finding for finding in report.findings if finding.topic == topic),
        key=lambda finding: ranks.index(finding.level),
    )


class TestSettings:
    def test_all_invalid_settings_are_reported(self, check: Check) -> None:
        report = check(
            TEAMUP_API_TOKEN=None, CACHE_TTL="soon", PORT="x", CACHE_URL="mysql://root:canary@db"
        )
        wrong = ["TEAMUP_API_TOKEN", "CACHE_URL", "CACHE_TTL", "PORT"]
        assert errors(report) == [("settings", name) for name in wrong]
        assert "canary" not in report.as_text()

    @pytest.mark.parametrize("name", ["CACHE_URL", "REDIS_URL"])
    @pytest.mark.parametrize(
        "address",
        [
            "redis://:canary@127.0.0.1:1/0?foo=bar",
            "redis://:canary@127.0.0.1:1/0?ssl_cert_reqs=none",
            "rediss://:canary@127.0.0.1:1/0?ssl_cert_reqs=perhaps",
            "redis://:canary@127.0.0.1:1/0?protocol=9",
            "redis://:canary@127.0.0.1:1/0?socket_timeout=long",
            "redis://:canary@127.0.0.1:1/0?socket_timeout=60",
            "redis://:canary@127.0.0.1:1/0?encoding=nope",
            "redis://:canary@127.0.0.1:1/0?decode_responses=1",
            "redis://:canary@127.0.0.1:123456",
            "redis://:canary@[::1/0",
        ],
    )
    def test_a_store_address_that_the_redis_library_rejects(
        self, check: Check, name: str, address: str
    ) -> None:
        report = check(**{"CACHE_URL": None, name: address})
        assert errors(report) == [("settings", name)]
        assert "canary" not in report.as_text()

    @pytest.mark.parametrize("name", ["TEAMUP_API_TOKEN", "FEED_SIGNING_KEYS", "CACHE_URL"])
    def test_a_value_that_is_not_utf_8(self, check: Check, name: str) -> None:
        report = check(**{name: os.fsdecode(b"sqlite:///\xff")})
        assert errors(report) == [("settings", name)]
        assert report.as_text().encode()

    @pytest.mark.parametrize("name", sorted(settings()))
    def test_any_value_of_a_setting_gives_a_report(self, check: Check, name: str) -> None:
        for value in (
            "0",
            "-1",
            "💥\n{{X}}",
            "https://[",
            "https://\u202e..b/%00",
            "redis://u%ff:@:1?a=%zz",
            "sqlite:////dev/null",
            os.fsdecode(b"\xff"),
        ):
            report = check(**{name: value})
            assert report.findings
            assert report.as_text().encode()


class TestToken:
    def test_a_missing_token(self, check: Check) -> None:
        assert errors(check(TEAMUP_API_TOKEN=None)) == [("settings", "TEAMUP_API_TOKEN")]

    @pytest.mark.parametrize("scheme", ["auto", "Bearer", "Token"])
    def test_a_wrong_token_is_not_reported_as_a_wrong_scheme(
        self, check: Check, scheme: str
    ) -> None:
        with studio_api(token="another") as server:
            report = check(TEAMUP_BASE_URL=server.url, TEAMUP_AUTH_SCHEME=scheme)
        assert errors(report) == [("token", "TEAMUP_API_TOKEN")]

    @pytest.mark.parametrize("right", ["Bearer", "Token", "JWT"])
    def test_a_wrong_scheme_is_reported_with_the_right_one(self, check: Check, right: str) -> None:
        wrong = "JWT" if right != "JWT" else "Bearer"
        with studio_api(schemes=(right,)) as server:
            report = check(TEAMUP_BASE_URL=server.url, TEAMUP_AUTH_SCHEME=wrong)
            assert errors(report) == [("scheme", "TEAMUP_AUTH_SCHEME")]
            advice = f"TEAMUP_AUTH_SCHEME={right}"
            assert finding(report, "scheme").text.endswith(advice)
            good = check(TEAMUP_BASE_URL=server.url, TEAMUP_AUTH_SCHEME=right)
        assert good.healthy
        assert right in finding(good, "token").text

    def test_a_scheme_that_no_longer_works(self, check: Check, tmp_path: Path) -> None:
        store = f"sqlite:///{tmp_path}/store.db"
        with studio_api(schemes=("Bearer",)) as server:
            assert check(TEAMUP_BASE_URL=server.url, CACHE_URL=store).healthy
            port = int(server.origin.rpartition(":")[2])
        api = create_api(small_studio(), token=TOKEN, schemes=("Token",))
        with SandboxServer(api, port) as server:
            report = check(TEAMUP_BASE_URL=server.url, CACHE_URL=store)
        assert errors(report) == [("scheme", "TEAMUP_AUTH_SCHEME")]
        assert "with the scheme Bearer, but accepts it with Token" in finding(report, "scheme").text

    def test_further_problems_after_a_wrong_scheme_are_reported(self, check: Check) -> None:
        with studio_api(schemes=("Token",), provider_id="123") as server:
            report = check(TEAMUP_BASE_URL=server.url, TEAMUP_AUTH_SCHEME="JWT")
        assert errors(report) == [
            ("scheme", "TEAMUP_AUTH_SCHEME"),
            ("provider", "TEAMUP_PROVIDER_ID"),
        ]


class TestAccount:
    @pytest.mark.parametrize("given", [None, "456", "studio"], ids=["missing", "wrong", "no id"])
    def test_a_missing_or_wrong_provider(self, check: Check, given: str | None) -> None:
        with studio_api(provider_id="123") as server:
            report = check(TEAMUP_BASE_URL=server.url, TEAMUP_PROVIDER_ID=given)
        assert errors(report) == [("provider", "TEAMUP_PROVIDER_ID")]

    @pytest.mark.parametrize(
        ("modes", "given", "right"),
        [
            (("provider",), "customer", "provider"),
            (("customer",), "provider", "customer"),
            (("provider", "customer"), None, "provider"),
        ],
    )
    def test_a_wrong_mode_is_reported_with_the_right_one(
        self, check: Check, modes: tuple[str, ...], given: str | None, right: str
    ) -> None:
        with studio_api(modes=modes, multiple_modes=True) as server:
            report = check(TEAMUP_BASE_URL=server.url, TEAMUP_REQUEST_MODE=given)
        assert errors(report) == [("mode", "TEAMUP_REQUEST_MODE")]
        assert f"TEAMUP_REQUEST_MODE={right}" in finding(report, "mode").text

    def test_a_missing_permission(self, check: Check) -> None:
        with studio_api(permissions=frozenset({"revenue"})) as server:
            report = check(TEAMUP_BASE_URL=server.url)
        assert errors(report) == [("permission", "TEAMUP_API_TOKEN")]
        assert "manage_events" in finding(report, "permission").text

    def test_an_instructors_token_that_can_only_read_its_own_sessions(self, check: Check) -> None:
        studio = small_studio()
        mine = studio.sessions[0]["instructors"][0]
        for row in studio.sessions:
            studio.change(row["id"], instructors=[mine])
        with studio_api(studio) as server:
            report = check(TEAMUP_BASE_URL=server.url)
        assert report.healthy
        assert ("permission", "TEAMUP_API_TOKEN") in warnings(report)
        assert "instructor permission" in finding(report, "permission").text

    def test_accepted_settings_are_reported(self, check: Check) -> None:
        with studio_api(provider_id="123", multiple_modes=True) as server:
            report = check(
                TEAMUP_BASE_URL=server.url,
                TEAMUP_PROVIDER_ID="123",
                TEAMUP_REQUEST_MODE="provider",
            )
        assert report.healthy
        for topic, text in (("token", "Bearer"), ("provider", "123"), ("mode", "provider")):
            assert finding(report, topic).level is Level.GOOD
            assert text in finding(report, topic).text


def simple_classes() -> Studio:
    """A studio with one public class and one public session of a course, both tomorrow."""
    studio = small_studio()
    studio.replace_sessions([])
    studio.replace_sessions([], kind="event")
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    studio.add(starts_at=tomorrow, course=51)
    studio.add(starts_at=tomorrow, kind="event", offering_type=31, venue=12, venue_room=71)
    return studio


class TestSources:
    """Both lists are read, classes and sessions of courses."""

    @pytest.fixture
    def check_both(self, check: Check) -> Check:
        def run(studio: Studio | None = None, **settings: Any) -> CheckReport:
            api = settings.pop("api", {})
            with studio_api(studio or simple_classes(), **api) as server:
                both = {"TEAMUP_SOURCES": "events,course_sessions", "TEAMUP_BASE_URL": server.url}
                return check(**{**both, **settings})

        return run

    def test_the_sessions_of_each_list_are_counted(self, check_both: Check) -> None:
        report = check_both(small_studio())
        counts = report.counts
        assert report.healthy
        assert (counts["events"], counts["course_sessions"], counts["sessions"]) == (20, 20, 40)
        assert counts["rooms"] > 1
        text = finding(report, "scope").text
        assert "20 ordinary classes" in text
        assert "20 sessions of courses" in text
        permission = finding(report, "permission")
        assert permission.level is Level.GOOD
        assert "events" in permission.text
        assert "course_sessions" in permission.text

    @pytest.mark.parametrize(
        ("refused", "allowed"), [("events", "course_sessions"), ("course_sessions", "events")]
    )
    def test_a_token_that_may_not_read_one_of_the_lists(
        self, check_both: Check, refused: str, allowed: str
    ) -> None:
        faults = Faults()
        faults.set("status", 403, source=refused)
        report = check_both(api={"faults": faults})
        assert report.healthy
        assert ("permission", "TEAMUP_SOURCES") in warnings(report)
        text = finding(report, "permission").text
        assert f"let the bridge read {refused}" in text
        assert "manage_events" in text
        assert f"TEAMUP_SOURCES={allowed} " in text
        # What it may read is checked all the same.
        assert report.counts[allowed] == report.counts["sessions"] == 1
        assert refused not in report.counts
        assert report.feeds

    def test_a_token_that_may_read_neither_list_is_reported_once(self, check_both: Check) -> None:
        report = check_both(api={"permissions": frozenset({"revenue"})})
        assert errors(report) == [("permission", "TEAMUP_API_TOKEN")]
        assert report.counts == {}

    def test_a_list_that_fails_for_another_reason_is_an_error(self, check_both: Check) -> None:
        faults = Faults()
        faults.set("status", 418, source="events")
        report = check_both(api={"faults": faults})
        assert errors(report) == [("TeamUp", None)]
        assert report.counts["course_sessions"] == 1

    def test_a_rejected_token_is_reported_once(self, check_both: Check) -> None:
        assert errors(check_both(api={"token": "another"})) == [("token", "TEAMUP_API_TOKEN")]

    def test_a_list_without_any_usable_row_is_an_error(self, check_both: Check) -> None:
        studio = simple_classes()
        [first] = studio.events
        for _ in range(6):
            studio.add(starts_at="soon", kind="event", offering_type=31)
        assert check_both(studio).healthy
        studio.change(first["id"], kind="event", starts_at="soon")
        report = check_both(studio)
        assert errors(report) == [("rows", None)]
        assert "events: none of TeamUp's 7 rows can be used" in finding(report, "rows").text

    def test_private_appointments_are_counted_as_withheld(self, check_both: Check) -> None:
        studio = simple_classes()
        tomorrow = datetime.now(UTC) + timedelta(days=1)
        for _ in range(2):
            studio.add(starts_at=tomorrow, kind="event", offering_type=31, is_appointment=True)
        report = check_both(studio)
        assert report.healthy
        assert report.hidden == {"private appointments": 2}
        assert report.counts["events"] == 1
        # They are nothing to worry about.
        assert "rows" not in {topic for topic, _ in warnings(report)}

    def test_classes_beyond_the_horizon_are_counted_as_withheld(self, check_both: Check) -> None:
        studio = simple_classes()
        for days in (9, 11, 12):
            later = datetime.now(UTC) + timedelta(days=days)
            studio.add(starts_at=later, kind="event", offering_type=31)
        assert check_both(studio).hidden == {}
        report = check_both(studio, PUBLIC_HORIZON_DAYS="10")
        assert report.hidden == {"beyond PUBLIC_HORIZON_DAYS": 2}
        assert report.counts["events"] == 4

    def test_classes_that_are_hidden_by_timelines_are_counted_as_withheld(
        self, check_both: Check
    ) -> None:
        studio = simple_classes()
        tomorrow = datetime.now(UTC) + timedelta(days=1)
        for audience in ("everyone", "membership_holders", "specific_customers"):
            timelines = [{"id": 1, "name": "Booking", "audience_type": audience}]
            studio.add(starts_at=tomorrow, kind="event", overriden_registration_timelines=timelines)
        report = check_both(studio)
        assert report.hidden == {"visible to membership_holders": 1, "visible to private": 1}

    def test_timelines_can_reveal_classes_later_than_to_the_token(self, check_both: Check) -> None:
        studio = simple_classes()
        timelines = [{"id": 1, "name": "Booking", "audience_type": "everyone"}]
        [row] = studio.events
        studio.change(row["id"], kind="event", overriden_registration_timelines=timelines)
        assert ("timelines", "PUBLIC_HORIZON_DAYS") in warnings(check_both(studio))
        for report in (check_both(), check_both(studio, PUBLIC_HORIZON_DAYS="28")):
            assert "timelines" not in {topic for topic, _ in warnings(report)}

    def test_timelines_of_which_the_audience_is_not_told_are_reported(
        self, check_both: Check
    ) -> None:
        studio = simple_classes()
        [row] = studio.events
        timelines = [{"id": 1, "name": "Booking"}]
        studio.change(row["id"], kind="event", overriden_registration_timelines=timelines)
        report = check_both(studio)
        assert report.healthy
        settings_of = [setting for topic, setting in warnings(report) if topic == "timelines"]
        assert settings_of == ["PUBLIC_VISIBILITY", "PUBLIC_HORIZON_DAYS"]
        assert any("1 classes have registration timelines" in f.text for f in report.findings)
        assert "rows" not in {topic for topic, _ in warnings(report)}

    def test_feeds_of_rooms_and_types_are_listed(self, check_both: Check) -> None:
        report = check_both(small_studio())
        paths = [urlsplit(address).path for address in report.feeds.values()]
        assert len(set(paths)) == len(paths)
        for kind in ("venues", "rooms", "instructors", "courses", "types"):
            listed = sum(path.startswith(f"/{kind}/") for path in paths)
            assert listed == report.counts[kind] > 0

    def test_names_and_addresses_of_customers_are_not_reported(self, check_both: Check) -> None:
        studio = simple_classes()
        [row] = studio.events
        studio.change(row["id"], attending_count=3, kind="event")
        attendances = studio.events[0]["small_session_attendances"]
        assert "canary" in json.dumps(attendances)
        report = check_both(studio)
        written = report.as_text() + json.dumps(report.as_dict())
        assert "canary" not in written.lower()


ANONYMOUS = {
    "TEAMUP_API_TOKEN": None,
    "TEAMUP_AUTH_SCHEME": "none",
    "TEAMUP_PROVIDER_ID": "123",
    "TEAMUP_SOURCES": "events,course_sessions",
}


class TestWithoutAToken:
    def test_what_everybody_may_see_is_checked(self, check: Check) -> None:
        lists = ("events", "course_sessions")
        api = {"provider_id": "123", "anonymous": True, "anonymous_lists": lists}
        studio = small_studio()
        with studio_api(studio, **api) as server:
            report = check(TEAMUP_BASE_URL=server.url, **ANONYMOUS)
        assert report.healthy
        assert ("token", "TEAMUP_AUTH_SCHEME") in warnings(report)
        assert "none is used" in finding(report, "token").text
        assert 0 < report.counts["events"] < len(studio.events)
        assert 0 < report.counts["course_sessions"] < len(studio.sessions)
        assert report.hidden == {}

    def test_a_studio_of_one_instructor_needs_no_other_token(self, check: Check) -> None:
        studio = small_studio()
        mine = studio.events[0]["instructors"][:1]
        for row in studio.events:
            studio.change(row["id"], kind="event", instructors=mine)
        with studio_api(studio, provider_id="123", anonymous=True) as server:
            one_list = {**ANONYMOUS, "TEAMUP_SOURCES": "events"}
            report = check(TEAMUP_BASE_URL=server.url, **one_list)
        assert ("permission", "TEAMUP_API_TOKEN") not in warnings(report)

    def test_a_list_that_is_not_public_is_to_be_left_out(self, check: Check) -> None:
        with studio_api(provider_id="123", anonymous=True) as server:
            report = check(TEAMUP_BASE_URL=server.url, **ANONYMOUS)
        assert report.healthy
        assert ("permission", "TEAMUP_SOURCES") in warnings(report)
        assert "TEAMUP_SOURCES=events " in finding(report, "permission").text
        assert report.counts["events"] == report.counts["sessions"] > 0

    def test_a_studio_that_shows_nothing_without_a_token(self, check: Check) -> None:
        with studio_api(provider_id="123") as server:
            report = check(TEAMUP_BASE_URL=server.url, **ANONYMOUS)
        assert errors(report) == [("permission", "TEAMUP_API_TOKEN")]
        assert "without a token" in finding(report, "permission").text

    def test_a_missing_or_wrong_provider(self, check: Check) -> None:
        missing = check(**{**ANONYMOUS, "TEAMUP_PROVIDER_ID": None})
        assert errors(missing) == [("settings", "TEAMUP_PROVIDER_ID")]
        with studio_api(provider_id="123", anonymous=True) as server:
            wrong = {**ANONYMOUS, "TEAMUP_PROVIDER_ID": "456", "TEAMUP_SOURCES": "events"}
            report = check(TEAMUP_BASE_URL=server.url, **wrong)
        assert errors(report) == [("provider", "TEAMUP_PROVIDER_ID")]

    def test_a_token_that_is_not_used_is_a_warning(self, check: Check) -> None:
        with studio_api(provider_id="123", anonymous=True) as server:
            given = {**ANONYMOUS, "TEAMUP_API_TOKEN": TOKEN, "TEAMUP_SOURCES": "events"}
            report = check(TEAMUP_BASE_URL=server.url, **given)
        assert report.healthy
        assert any("TEAMUP_API_TOKEN is not used" in f.text for f in report.findings)


class TestNetwork:
    @pytest.mark.parametrize(
        ("address", "reason"),
        [
            ("https://teamup.invalid/api/v2", "name cannot be resolved"),
            ("https://te..amup/api/v2", "name cannot be resolved"),
            ("http://127.0.0.1:1/api/v2", "nothing listens there"),
        ],
    )
    def test_an_unreachable_host(self, check: Check, address: str, reason: str) -> None:
        report = check(TEAMUP_BASE_URL=address)
        assert errors(report) == [("network", "TEAMUP_BASE_URL")]
        assert reason in finding(report, "network").text

    def test_another_server_at_the_address(self, check: Check, studio_url: str) -> None:
        report = check(TEAMUP_BASE_URL=studio_url.replace("/v2", "/v3"))
        assert errors(report) == [("address", "TEAMUP_BASE_URL")]

    def test_a_redirect(self, check: Check) -> None:
        faults = Faults()
        faults.set("redirect", "https://elsewhere.example/")
        with studio_api(faults=faults) as server:
            report = check(TEAMUP_BASE_URL=server.url)
        assert errors(report) == [("address", "TEAMUP_BASE_URL")]
        assert "elsewhere" not in report.as_text()

    def test_an_untrusted_certificate(self, check: Check, tmp_path: Path) -> None:
        with studio_api() as server:
            port = int(server.origin.rpartition(":")[2])
            with TlsFront(port, tmp_path) as front:
                report = check(TEAMUP_BASE_URL=f"https://127.0.0.1:{front.port}/api/v2")
        assert errors(report) == [("network", "TEAMUP_BASE_URL")]
        assert "certificate cannot be verified" in finding(report, "network").text

    def test_an_expired_certificate_is_reported_with_the_time_of_the_clock(
        self, check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with studio_api() as server:
            port = int(server.origin.rpartition(":")[2])
            until = datetime.now(UTC) - timedelta(days=1)
            with TlsFront(port, tmp_path, until=until) as front:
                monkeypatch.setenv("SSL_CERT_FILE", str(front.authority))
                report = check(TEAMUP_BASE_URL=f"https://127.0.0.1:{front.port}/api/v2")
        assert errors(report) == [("network", "TEAMUP_BASE_URL")]
        assert "this machine's clock says" in finding(report, "network").text


class TestClock:
    @pytest.mark.parametrize("seconds", [3600, -3600, 86400, -86400])
    def test_a_wrong_clock(self, check: Check, seconds: int) -> None:
        report = check(clock=OffClock(seconds))
        assert errors(report) == [("clock", None)]
        match = re.search(r"([+-]\d+) seconds off", finding(report, "clock").text)
        assert match is not None
        assert abs(int(match[1]) - seconds) <= 5

    def test_a_slightly_wrong_clock(self, check: Check) -> None:
        report = check(clock=OffClock(150))
        assert report.healthy
        assert ("clock", None) in warnings(report)

    def test_the_clock_is_checked_even_if_the_token_is_rejected(self, check: Check) -> None:
        report = check(clock=OffClock(3600), TEAMUP_API_TOKEN=TOKEN[::-1])
        assert errors(report) == [("token", "TEAMUP_API_TOKEN"), ("clock", None)]


class TestStore:
    def test_a_writable_file(self, check: Check, tmp_path: Path) -> None:
        report = check(CACHE_URL=f"sqlite:///{tmp_path}/store.db")
        assert report.healthy
        assert finding(report, "store").level is Level.GOOD

    def test_the_test_value_is_deleted(self, check: Check, tmp_path: Path) -> None:
        address = f"sqlite:///{tmp_path}/store.db"
        check(CACHE_URL=address)
        store = open_backend(config.load(os.environ), SystemClock())
        try:
            assert store.names("check") == []
        finally:
            store.close()

    @pytest.mark.parametrize("case", ["below a file", "nowhere", "a folder"])
    def test_an_unwritable_file(self, check: Check, tmp_path: Path, case: str) -> None:
        (tmp_path / "file").write_text("")
        path = {
            "below a file": f"{tmp_path}/file/store.db",
            "nowhere": "/proc/nowhere/store.db",
            "a folder": str(tmp_path),
        }[case]
        report = check(CACHE_URL=f"sqlite:///{path}")
        assert errors(report) == [("store", "CACHE_URL")]
        # the other checks are still run
        assert report.counts["sessions"] > 5

    @pytest.mark.parametrize("name", ["CACHE_URL", "REDIS_URL"])
    def test_a_redis_that_is_down(self, check: Check, name: str) -> None:
        report = check(**{"CACHE_URL": None, name: "redis://:canary@127.0.0.1:1/0"})
        assert errors(report) == [("store", name)]
        assert "nothing listens there" in finding(report, "store").text
        assert "canary" not in report.as_text()

    def test_a_redis_with_another_password(self, check: Check, valkey: Valkey) -> None:
        valkey.ask("CONFIG", "SET", "requirepass", "right")
        report = check(CACHE_URL=f"redis://:canary@127.0.0.1:{valkey.port}/0")
        assert errors(report) == [("store", "CACHE_URL")]
        assert "refuses the user or the password" in finding(report, "store").text

    def test_a_redis_that_hangs(self, check: Check, valkey: Valkey) -> None:
        valkey.pause()
        report = check(CACHE_URL=valkey.url)
        assert errors(report) == [("store", "CACHE_URL")]
        assert "no answer" in finding(report, "store").text

    def test_a_redis_with_an_untrusted_certificate(
        self, check: Check, valkey: Valkey, tmp_path: Path
    ) -> None:
        with TlsFront(valkey.port, tmp_path) as front:
            address = f"rediss://127.0.0.1:{front.port}"
            refused = check(CACHE_URL=address)
            assert errors(refused) == [("store", "CACHE_URL")]
            assert "certificate cannot be verified" in finding(refused, "store").text
            trusted = check(CACHE_URL=f"{address}?ssl_ca_certs={front.authority}")
            assert trusted.healthy
            assert "not verified" not in finding(trusted, "store").text
            unverified = check(CACHE_URL=f"{address}?ssl_cert_reqs=none")
            assert unverified.healthy, unverified.as_text()
            assert "not verified" in finding(unverified, "store").text

    def test_the_self_signed_certificate_of_the_platforms_redis_is_accepted(
        self, check: Check, valkey: Valkey, tmp_path: Path
    ) -> None:
        with TlsFront(valkey.port, tmp_path) as front:
            address = f"rediss://:@127.0.0.1:{front.port}"
            heroku = {"CACHE_URL": None, "REDIS_URL": address, "DYNO": "web.1"}
            assert finding(check(**heroku), "store").level is Level.GOOD
            # but no other server's
            for other in ({"DYNO": None}, {"CACHE_URL": address}):
                assert errors(check(**{**heroku, **other})) != []


class TestPrivateFeeds:
    def test_a_duplicate_key_is_a_warning(self, check: Check) -> None:
        report = check(FEED_SIGNING_KEYS=f"{'k' * 20},{'k' * 20}")
        assert ("private feeds", "FEED_SIGNING_KEYS") in warnings(report)
        assert "kkk" not in report.as_text()


SENT = b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"


class OtherServer(BaseHTTPRequestHandler):
    """A server that is not the bridge."""

    responses: dict[str, tuple[int, str, bytes]] = {}  # noqa: RUF012 - set by each test

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        status, kind, body = self.responses.get(path, (404, "text/html", b"no"))
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("ETag", f'"{etag_of(SENT)}"')
        if status == 301:
            self.send_header("Location", "https://elsewhere.example/")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def other_server() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), OtherServer)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


class TestPublicAddress:
    @pytest.mark.parametrize(
        ("response", "text"),
        [
            ((404, "text/html", b"no"), "answers with 404"),
            ((200, "text/html", b"<p>Welcome"), "answers with 200, and is not the bridge"),
            ((301, "text/html", b""), "redirects"),
        ],
    )
    def test_another_server(
        self, check: Check, other_server: str, response: tuple[int, str, bytes], text: str
    ) -> None:
        OtherServer.responses = {"/healthz": response}
        report = check(PUBLIC_BASE_URL=other_server)
        assert report.healthy
        assert ("public address", "PUBLIC_BASE_URL") in warnings(report)
        assert any(text in finding.text for finding in report.findings)

    @pytest.mark.parametrize("address", ["http://127.0.0.1:1", "https://calendar.invalid"])
    def test_no_server(self, check: Check, address: str) -> None:
        report = check(PUBLIC_BASE_URL=address)
        assert report.healthy
        assert any("cannot be reached from here" in finding.text for finding in report.findings)

    @pytest.mark.parametrize(
        ("kind", "body"),
        [
            ("text/html", SENT),
            ("text/calendar", SENT.replace(b"\r\n", b"\n")),
            ("text/calendar", b""),
        ],
    )
    def test_a_feed_that_was_changed_is_an_error(
        self, check: Check, other_server: str, kind: str, body: bytes
    ) -> None:
        OtherServer.responses = {
            "/healthz": (200, "text/plain", b"ok 1.2.3\n"),
            "/sessions.ics": (200, kind, body),
        }
        report = check(PUBLIC_BASE_URL=other_server)
        assert errors(report) == [("public address", "PUBLIC_BASE_URL")]


class TestFeeds:
    def test_all_feeds_are_listed(self, check: Check) -> None:
        report = check()
        assert finding(report, "feeds").level is Level.GOOD
        assert report.feeds.keys() > {"all classes"}

    def test_feeds_with_the_same_name_are_all_listed(self, check: Check) -> None:
        studio = small_studio()
        for number in {number for row in studio.sessions for number in row["instructors"]}:
            person = studio.tables().get("instructor", number)
            assert person is not None
            person["name"] = "Alex"
        with studio_api(studio) as server:
            report = check(TEAMUP_BASE_URL=server.url)
        paths = [urlsplit(address).path for address in report.feeds.values()]
        assert len(set(paths)) == len(paths)
        for kind in ("venues", "instructors", "courses"):
            assert sum(path.startswith(f"/{kind}/") for path in paths) == report.counts[kind]
        assert report.feeds["Alex"].rpartition("/")[0].endswith("/instructors")

    def test_a_trimmed_feed_is_a_warning(self, check: Check) -> None:
        report = check(FEED_MAX_BYTES="2000")
        assert report.healthy
        assert ("feeds", "FEED_MAX_BYTES") in warnings(report)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (TimeoutError(), "it does not answer"),
        (ConnectionResetError(), "the connection broke"),
        (OSError(101, "Network is unreachable"), "Network is unreachable"),
        (OSError(), "OSError"),
    ],
)
def test_network_errors_are_described_in_plain_words(error: OSError, text: str) -> None:
    assert network_errors.describe(error) == text


class TestClashes:
    def test_each_clash_is_a_warning_and_further_ones_are_counted(self, check: Check) -> None:
        studio = simple_classes()
        tomorrow = datetime.now(UTC) + timedelta(days=1)
        studio.replace_sessions([])
        for number in range(16):
            start = tomorrow + timedelta(hours=2 * (number // 2))
            studio.add(starts_at=start, course=51, instructors=[11], venue=(12, 13)[number % 2])
        with studio_api(studio) as server:
            report = check(TEAMUP_BASE_URL=server.url)
        texts = [finding.text for finding in report.findings if finding.topic == "clashes"]
        assert report.healthy
        assert len(texts) == 6
        assert all("in two places at once" in text for text in texts[:5])
        assert texts[5] == "and 3 more"

    def test_without_any_this_is_reported(self, check: Check) -> None:
        studio = simple_classes()
        [row] = studio.sessions
        studio.change(row["id"], instructors=[11])
        with studio_api(studio) as server:
            report = check(TEAMUP_BASE_URL=server.url)
        [finding] = [finding for finding in report.findings if finding.topic == "clashes"]
        assert finding.level is Level.GOOD


class TestReceivers:
    URL = "http://127.0.0.1:9/a-secret"

    def test_what_a_receiver_has_not_accepted_is_a_warning(
        self, check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings = {"CACHE_URL": f"sqlite:///{tmp_path}/store.sqlite3", "ALERT_URL": self.URL}
        [before] = [each for each in check(**settings).findings if each.topic == "alerts"]
        assert before == Finding(Level.GOOD, "alerts", "sent to ALERT_URL; 0 messages wait")
        # with the environment of the check
        bridge = services.build(config.load(os.environ))
        [sender] = bridge.senders
        writes, expect = sender.outbox.addition("TeamUp fails")
        bridge.store.commit(writes, expect=expect)
        sender.deliver()
        bridge.close()
        report = check(**settings)
        [after] = [each for each in report.findings if each.topic == "alerts"]
        assert report.healthy
        assert after == Finding(
            Level.WARNING,
            "alerts",
            "ALERT_URL has not accepted 1 messages, after 1 tries: nothing listens there",
            "ALERT_URL",
        )
        assert "a-secret" not in report.as_text()

    def test_a_missing_key_is_a_warning(self, check: Check) -> None:
        report = check(CHANGES_URL=self.URL)
        texts = [each.text for each in report.findings if each.level is Level.WARNING]
        assert any("CHANGES_URL is set without CHANGES_KEY" in text for text in texts)
        assert "a-secret" not in report.as_text()


def test_the_changes_of_the_last_week_are_counted() -> None:
    report = CheckReport()
    timetable_checks.check_changes(report, {ChangeKind.ADDED: 3, ChangeKind.COVER: 1})
    timetable_checks.check_changes(report, {})
    texts = [finding.text for finding in report.findings]
    assert texts == ["3 added, 1 with another instructor", "no changes were seen"]
