"""The status report for the operator, as a page and as JSON."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from clocks import ManualClock, wait_until
from flask.testing import FlaskClient
from walking import NOW
from webhook import wait_for_deliveries

from bridge.feeds.private import FeedGrant, new_audience
from bridge.feeds.spec import Kind
from bridge.model import SourceName, Visibility
from bridge.sandbox.faults import Faults
from bridge.sandbox.studio import Studio
from bridge.services import Services
from bridge.web import create_app

PASSWORD = "an-operators-password"
GOOGLE = {"User-Agent": "Google-Calendar-Importer"}
APPLE = {"User-Agent": "iOS/18.0 (22A3354) dataaccessd/1.0"}


@pytest.fixture
def parts(make_bridge: Callable[..., Services]) -> Services:
    return make_bridge(operator_token=PASSWORD, signing_keys=("a-key-that-signs",))


@pytest.fixture
def site(parts: Services) -> FlaskClient:
    return create_app(parts).test_client()


def page(site: FlaskClient, **headers: str) -> str:
    answer = site.get("/status", auth=("anybody", PASSWORD), headers=headers)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    return answer.text


def status_of(site: FlaskClient) -> dict[str, Any]:
    answer = site.get("/status?format=json", auth=("anybody", PASSWORD))
    assert answer.status_code == 200
    status: dict[str, Any] = answer.get_json()
    return status


def test_it_is_404_if_no_token_is_set(client: FlaskClient) -> None:
    assert client.get("/status").status_code == 404
    assert client.get("/status?format=json").status_code == 404


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer guessed"}, {"Authorization": "Basic Zm9vOmJhcg=="}],
    ids=["nothing", "another token", "another password"],
)
@pytest.mark.parametrize("path", ["/status", "/status?format=json", "/metrics"])
def test_it_requires_the_password(site: FlaskClient, path: str, headers: dict[str, str]) -> None:
    answer = site.get(path, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    assert PASSWORD not in answer.text


def test_in_the_sandbox_it_is_open(make_bridge: Callable[..., Services]) -> None:
    site = create_app(make_bridge(sandbox=True)).test_client()
    assert site.get("/status").status_code == 200
    assert site.get("/metrics").status_code == 200


@pytest.mark.parametrize("scheme", ["basic", "bearer"])
@pytest.mark.parametrize(
    ("query", "accept", "kind"),
    [
        ("", "*/*", "text/html; charset=utf-8"),
        ("", "text/html,application/xhtml+xml,*/*;q=0.8", "text/html; charset=utf-8"),
        ("", "application/json", "application/json"),
        ("", "application/json;q=0.5, text/html;q=0.4", "application/json"),
        ("?format=json", "text/html", "application/json"),
        ("?format=html", "application/json", "text/html; charset=utf-8"),
    ],
)
def test_it_is_a_page_or_json_and_is_not_cached(
    site: FlaskClient, scheme: str, query: str, accept: str, kind: str
) -> None:
    if scheme == "basic":
        answer = site.get(f"/status{query}", auth=("x", PASSWORD), headers={"Accept": accept})
    else:
        headers = {"Authorization": f"Bearer {PASSWORD}", "Accept": accept}
        answer = site.get(f"/status{query}", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == kind
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Robots-Tag"] == "noindex"


def test_at_first_it_is_empty(site: FlaskClient) -> None:
    status = status_of(site)
    nothing = {"last_success": None, "sessions": 0, "failure": None, "left_out": False}
    assert status["upstream"] == {
        "failing": False,
        "last_success": None,
        "last_failure": None,
        "sources": {"course_sessions": nothing},
    }
    assert status["sessions"] is None
    assert status["readers"] == {}
    assert status["feeds"] == []
    assert "None yet: no feed has been requested since the store was created" in page(site)


def test_it_shows_the_last_success_and_the_number_of_sessions(
    site: FlaskClient, clock: ManualClock
) -> None:
    site.get("/venues/12.ics")
    clock.move(120)
    status = status_of(site)
    assert status["upstream"]["last_success"] == "2026-11-23T12:00:00Z"
    assert status["upstream"]["last_failure"] is None
    assert status["sessions"]["listed"] > 100
    assert status["sessions"]["held"] == 0
    # the sandbox has a draft, and classes for members only
    assert status["sessions"]["withheld"]["draft"] > 0
    assert status["sessions"]["withheld"]["membership_holders"] > 0
    text = page(site)
    assert "12:00:00 UTC, 2 minutes ago" in text
    assert "for members only" in text


def test_it_shows_the_cause_of_a_failure_and_the_setting(site: FlaskClient, faults: Faults) -> None:
    faults.set("status", 401)
    assert site.get("/venues/12.ics").status_code == 503
    status = status_of(site)["upstream"]
    assert status["failing"]
    assert status["last_failure"]["setting"] == "TEAMUP_API_TOKEN"
    assert "TEAMUP_API_TOKEN" in status["last_failure"]["text"]
    text = page(site)
    assert "TEAMUP_API_TOKEN" in text
    assert "Requests to TeamUp are failing" in text


def test_a_past_failure_is_still_shown(
    site: FlaskClient, faults: Faults, clock: ManualClock
) -> None:
    faults.set("status", 500)
    assert site.get("/venues/12.ics").status_code == 503
    faults.clear()
    clock.move(3600)
    assert site.get("/venues/12.ics").status_code == 200
    status = status_of(site)["upstream"]
    assert not status["failing"]
    assert status["last_failure"]["at"] == "2026-11-23T12:00:00Z"
    assert status["last_success"] == "2026-11-23T13:00:00Z"
    text = page(site)
    assert "Requests to TeamUp are failing" not in text
    assert "12:00:00 UTC, 60 minutes ago" in text


class TestSources:
    """Both lists are read, classes and sessions of courses."""

    @pytest.fixture
    def parts(self, make_bridge: Callable[..., Services]) -> Services:
        return make_bridge(operator_token=PASSWORD, sources=frozenset(SourceName))

    def test_it_shows_the_sessions_of_each_list(self, site: FlaskClient) -> None:
        site.get("/venues/12.ics")
        status = status_of(site)
        sources = status["upstream"]["sources"]
        assert list(sources) == ["events", "course_sessions"]
        for source in sources.values():
            assert source["last_success"] == "2026-11-23T12:00:00Z"
            assert source["failure"] is None
            assert not source["left_out"]
        assert (
            sum(source["sessions"] for source in sources.values()) == status["sessions"]["listed"]
        )
        assert all(source["sessions"] > 100 for source in sources.values())

    def test_private_appointments_and_what_is_beyond_the_horizon_are_withheld(
        self, make_bridge: Callable[..., Services]
    ) -> None:
        parts = make_bridge(
            operator_token=PASSWORD, sources=frozenset(SourceName), public_horizon_days=7
        )
        site = create_app(parts).test_client()
        site.get("/venues/12.ics")
        withheld = status_of(site)["sessions"]["withheld"]
        assert withheld["appointment"] > 0
        assert withheld["later"] > 100
        assert f"{withheld['appointment']} " in page(site)
        assert f"{withheld['later']} " in page(site)

    def test_it_shows_which_list_fails(self, site: FlaskClient, faults: Faults) -> None:
        faults.set("status", 418, source="events")
        assert site.get("/venues/12.ics").status_code == 503

        def last_success() -> str | None:
            status = status_of(site)["upstream"]
            text: str | None = status["sources"]["course_sessions"]["last_success"]
            return text

        wait_until(lambda: last_success() == "2026-11-23T12:00:00Z")
        status = status_of(site)["upstream"]
        assert status["failing"]
        assert status["sources"]["events"]["failure"]["text"] == status["last_failure"]["text"]
        assert not status["sources"]["events"]["left_out"]
        assert status["sources"]["course_sessions"]["failure"] is None

    def test_it_shows_which_list_is_left_out_and_that_this_is_no_failure(
        self, site: FlaskClient, faults: Faults
    ) -> None:
        faults.set("status", 403, source="events")
        assert site.get("/venues/12.ics").status_code == 200
        status = status_of(site)["upstream"]
        assert not status["failing"]
        assert status["sources"]["events"]["left_out"]
        assert status["sources"]["events"]["failure"]["code"] == "permission_denied"
        assert not status["sources"]["course_sessions"]["left_out"]
        assert status["last_success"] == "2026-11-23T12:00:00Z"

    def test_if_no_list_may_be_read_teamup_fails(self, site: FlaskClient, faults: Faults) -> None:
        faults.set("status", 403)
        assert site.get("/venues/12.ics").status_code == 503
        assert status_of(site)["upstream"]["failing"]


class TestUsage:
    def test_it_shows_the_reads_of_each_family(
        self, parts: Services, site: FlaskClient, clock: ManualClock
    ) -> None:
        for _ in range(3):
            site.get("/venues/12.ics", headers=GOOGLE)
        site.get("/venues/12", headers={"User-Agent": "Mozilla/5.0 (X11; Linux) Firefox/140.0"})
        parts.periodic.run_once()
        clock.move(6 * 3600)
        site.get("/venues/12.ics", headers=APPLE)
        parts.periodic.run_once()
        status = status_of(site)["readers"]
        assert status == {
            "google": {"last_day": 3, "last": "2026-11-23T12:00:00Z"},
            "apple": {"last_day": 1, "last": "2026-11-23T18:00:00Z"},
            "browsers": {"last_day": 1, "last": "2026-11-23T12:00:00Z"},
        }
        text = page(site)
        assert ">Google Calendar</th><td>6 hours ago</td>" in text
        assert ">Outlook.com, Microsoft 365</th><td>never</td>" in text

    def test_it_shows_age_content_and_readers_of_a_feed(
        self, parts: Services, site: FlaskClient, clock: ManualClock
    ) -> None:
        site.get("/venues/12-kings-cross.ics", headers=GOOGLE)
        site.get("/venues/12.json", headers=APPLE)
        parts.periodic.run_once()
        clock.move(60)
        [feed] = status_of(site)["feeds"]
        numbers = {name: feed.pop(name) for name in ("sessions", "withheld")}
        assert feed == {
            "path": "/venues/12.ics",
            "title": "Riverside Studio",
            "trimmed": 0,
            "age": 60,
            "last_day": 2,
            "last": "2026-11-23T12:00:00Z",
            "readers": {"google": "2026-11-23T12:00:00Z", "apple": "2026-11-23T12:00:00Z"},
        }
        assert numbers["sessions"] == len(site.get("/venues/12.json").get_json())
        assert sum(numbers["withheld"].values()) > 0
        assert '<a href="/venues/12.ics"><bdi>Riverside Studio</bdi></a>' in page(site)

    def test_it_shows_that_a_feed_was_trimmed(self, make_bridge: Callable[..., Services]) -> None:
        parts = make_bridge(operator_token=PASSWORD, feed_max_bytes=20_000)
        site = create_app(parts).test_client()
        site.get("/sessions.ics")
        parts.periodic.run_once()
        [feed] = status_of(site)["feeds"]
        assert feed["trimmed"] > 0
        assert f"{feed['trimmed']} left out because the feed would be too large" in page(site)

    def test_it_shows_id_and_label_of_a_private_feed_but_not_its_address(
        self, parts: Services, site: FlaskClient
    ) -> None:
        audience = new_audience((Visibility.PRIVATE,), label="Staff & <friends>")
        token = parts.private.sign(FeedGrant(Kind.VENUE, 12, (), audience))
        assert site.get(f"/private/{token}.ics", headers=APPLE).status_code == 200
        parts.periodic.run_once()
        answer = site.get("/status?format=json", auth=("x", PASSWORD))
        [feed] = answer.get_json()["feeds"]
        assert (feed["private"], feed["title"]) == (audience.private, "Staff & <friends>")
        assert "path" not in feed
        text = page(site)
        assert "Private feed Staff &amp; &lt;friends&gt;" in text
        for body in (answer.text, text):
            assert token not in body
            assert token[10:40] not in body

    def test_errors_do_not_count_as_reads(self, parts: Services, site: FlaskClient) -> None:
        for path in ("/nowhere", "/venues/12.ics?past=x", "/private/x.ics", "/healthz", "/status"):
            site.get(path, headers=GOOGLE)
        site.post("/venues/12.ics", headers=GOOGLE)
        parts.periodic.run_once()
        status = status_of(site)
        assert (status["readers"], status["feeds"]) == ({}, [])

    def test_counts_of_all_workers_are_added(
        self, make_bridge: Callable[..., Services], parts: Services
    ) -> None:
        fleet = [parts, make_bridge(operator_token=PASSWORD, store=parts.store)]
        sites = [create_app(services).test_client() for services in fleet]
        for number, site in enumerate(sites):
            for _ in range(number + 1):
                site.get("/venues/12.ics", headers=GOOGLE)
        for services in fleet:
            services.periodic.run_once()
        for site in sites:
            status = status_of(site)
            assert status["readers"]["google"]["last_day"] == 3
            assert [feed["last_day"] for feed in status["feeds"]] == [3]


def test_it_is_translated(site: FlaskClient) -> None:
    site.get("/venues/12.ics", headers=GOOGLE)
    text = page(site, **{"Accept-Language": "de"})
    assert "Kürzlich abgerufene Kalender" in text
    assert "Letzter Erfolg" in text
    assert '<html lang="de"' in text


class TestClashes:
    @pytest.fixture
    def site(self, parts: Services, studio: Studio) -> FlaskClient:
        start = NOW.replace(hour=2)
        for id in range(24):
            # two at a time, on twelve nights
            night, venue = start + timedelta(days=1 + id // 2), (12, 13)[id % 2]
            name = f"Night {id // 2}"
            instructors = [] if id == 23 else [21]
            studio.add(
                id=90_000 + id,
                starts_at=night,
                venue=venue,
                course=51,
                name=name,
                instructors=instructors,
            )
        site = create_app(parts).test_client()
        site.get("/venues/12.ics")
        return site

    def test_the_json_counts_all_and_lists_the_next_ten(self, site: FlaskClient) -> None:
        clashes = status_of(site)["clashes"]
        counts = {kind: clashes[kind] for kind in ("instructor", "room", "venue", "no_instructor")}
        assert counts == {"instructor": 11, "room": 0, "venue": 0, "no_instructor": 1}
        assert len(clashes["next"]) == 10
        first = clashes["next"][0]
        sessions = first.pop("sessions")
        assert first == {
            "kind": "instructor",
            "subject": "Kwame Mensah",
            "times": 1,
            "until": "2026-11-24T03:00:00Z",
        }
        assert [each["session"] for each in sessions] == [90_000, 90_001]
        assert sessions[0].pop("location").startswith("Riverside Studio, ")
        assert sessions[0] == {
            "object": "course_session",
            "session": 90_000,
            "title": "Night 0",
            "start": "2026-11-24T02:00:00Z",
        }

    def test_the_page_lists_the_next_ten(self, site: FlaskClient) -> None:
        text = page(site)
        assert text.count("Kwame Mensah teaches in two places at once") == 10
        assert "Night 0</bdi>, Tue 24 Nov, 02:00, <bdi>Riverside Studio" in text
        assert "and 2 more" in text

    def test_the_metrics_count_them(self, site: FlaskClient) -> None:
        metrics = site.get("/metrics", auth=("anybody", PASSWORD)).text
        assert 'bridge_clashes{kind="instructor"} 11.0' in metrics
        assert 'bridge_clashes{kind="room"} 0.0' in metrics
        assert 'bridge_clashes{kind="no_instructor"} 1.0' in metrics


def test_it_shows_what_the_receiver_of_alerts_does_not_accept(
    make_bridge: Callable[..., Services], clock: ManualClock, faults: Faults
) -> None:
    parts = make_bridge(operator_token=PASSWORD, alert_url="http://127.0.0.1:9/a-secret")
    site = create_app(parts).test_client()
    assert status_of(site)["deliveries"] == {
        "alerts": {"waiting": 0, "failing_since": None, "failure": None}
    }
    faults.set("status", 401)
    site.get("/venues/12.ics")
    parts.periodic.run_once()
    wait_for_deliveries()
    assert status_of(site)["deliveries"] == {
        "alerts": {
            "waiting": 1,
            "failing_since": "2026-11-23T12:00:00Z",
            "failure": "nothing listens there",
        }
    }
    text = page(site)
    assert "Alerts (ALERT_URL)" in text
    assert "nothing listens there" in text
    metrics = site.get("/metrics", auth=("anybody", PASSWORD)).text
    assert 'bridge_deliveries_waiting{receiver="alerts"} 1.0' in metrics
    assert 'bridge_deliveries_total{outcome="unreachable",receiver="alerts"} 1.0' in metrics
    assert "a-secret" not in text + metrics


def test_it_shows_how_many_sessions_changed_in_the_last_week(
    parts: Services, site: FlaskClient, studio: Studio, clock: ManualClock
) -> None:
    def refresh() -> None:
        clock.move(400)
        site.get("/sessions.ics")
        wait_until(lambda: "stale" not in site.get("/sessions.ics").headers["Cache-Status"])

    refresh()
    assert "nothing" in page(site)
    later = clock.now() + 86_400
    upcoming = [
        row["id"]
        for row in studio.sessions
        if datetime.fromisoformat(row["starts_at"]).timestamp() > later
        and row["status"] == "active"
    ]
    studio.cancel(upcoming[0])
    studio.cancel(upcoming[1])
    refresh()
    clock.move(5 * 86_400)
    studio.change(upcoming[-1], name="Renamed")
    refresh()
    changes = {kind: count for kind, count in status_of(site)["changes"].items() if count}
    assert changes == {"cancelled": 2, "renamed": 1}
    assert "2 cancelled, 1 renamed" in page(site)
    metrics = site.get("/metrics", auth=("anybody", PASSWORD)).text
    assert 'bridge_changes_week{kind="cancelled"} 2.0' in metrics
    assert 'bridge_changes_week{kind="moved"} 0.0' in metrics
    clock.move(3 * 86_400)
    refresh()
    assert status_of(site)["changes"]["cancelled"] == 0
    assert status_of(site)["changes"]["renamed"] == 1
