"""How things stand, for the owner: a page and JSON."""

from collections.abc import Callable
from typing import Any

import pytest
from clocks import ManualClock
from flask.testing import FlaskClient

from bridge.feeds.private import Grant, audience
from bridge.feeds.spec import Kind
from bridge.model import Visibility
from bridge.sandbox.faults import Faults
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


def told(site: FlaskClient) -> dict[str, Any]:
    answer = site.get("/status?format=json", auth=("anybody", PASSWORD))
    assert answer.status_code == 200
    found: dict[str, Any] = answer.get_json()
    return found


def test_it_is_not_there_without_a_token_for_it(client: FlaskClient) -> None:
    assert client.get("/status").status_code == 404
    assert client.get("/status?format=json").status_code == 404


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer guessed"}, {"Authorization": "Basic Zm9vOmJhcg=="}],
    ids=["nothing", "another token", "another password"],
)
@pytest.mark.parametrize("path", ["/status", "/status?format=json", "/metrics"])
def test_it_asks_for_the_password(site: FlaskClient, path: str, headers: dict[str, str]) -> None:
    answer = site.get(path, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    assert PASSWORD not in answer.text


def test_in_the_sandbox_it_is_open(make_bridge: Callable[..., Services]) -> None:
    site = create_app(make_bridge(sandbox=True)).test_client()
    assert site.get("/status").status_code == 200
    assert site.get("/metrics").status_code == 200


@pytest.mark.parametrize("way", ["basic", "bearer"])
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
def test_it_is_a_page_or_json_and_kept_by_nobody(
    site: FlaskClient, way: str, query: str, accept: str, kind: str
) -> None:
    if way == "basic":
        answer = site.get(f"/status{query}", auth=("x", PASSWORD), headers={"Accept": accept})
    else:
        given = {"Authorization": f"Bearer {PASSWORD}", "Accept": accept}
        answer = site.get(f"/status{query}", headers=given)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == kind
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Robots-Tag"] == "noindex"


def test_at_the_beginning_there_is_nothing_to_tell(site: FlaskClient) -> None:
    found = told(site)
    assert found["upstream"] == {"failing": False, "last_success": None, "last_failure": None}
    assert found["sessions"] is None
    assert found["readers"] == {}
    assert found["feeds"] == []
    assert "None yet: no feed was asked for since the store began" in page(site)


def test_it_tells_of_the_last_success_and_of_what_upstream_lists(
    site: FlaskClient, clock: ManualClock
) -> None:
    site.get("/venues/12.ics")
    clock.move(120)
    found = told(site)
    assert found["upstream"]["last_success"] == "2026-11-23T12:00:00Z"
    assert found["upstream"]["last_failure"] is None
    assert found["sessions"]["listed"] > 100
    assert found["sessions"]["held"] == 0
    # the sandbox has a draft, and classes for members only
    assert found["sessions"]["withheld"]["draft"] > 0
    assert found["sessions"]["withheld"]["membership_holders"] > 0
    text = page(site)
    assert "12:00:00 UTC, 2 minutes ago" in text
    assert "for members only" in text


def test_it_names_what_went_wrong_and_what_to_do(site: FlaskClient, faults: Faults) -> None:
    faults.set("status", 401)
    assert site.get("/venues/12.ics").status_code == 503
    found = told(site)["upstream"]
    assert found["failing"]
    assert found["last_failure"]["setting"] == "TEAMUP_API_TOKEN"
    assert "TEAMUP_API_TOKEN" in found["last_failure"]["text"]
    text = page(site)
    assert "TEAMUP_API_TOKEN" in text
    assert "TeamUp is failing" in text


def test_a_failure_that_is_over_is_still_told_of(
    site: FlaskClient, faults: Faults, clock: ManualClock
) -> None:
    faults.set("status", 500)
    assert site.get("/venues/12.ics").status_code == 503
    faults.clear()
    clock.move(3600)
    assert site.get("/venues/12.ics").status_code == 200
    found = told(site)["upstream"]
    assert not found["failing"]
    assert found["last_failure"]["at"] == "2026-11-23T12:00:00Z"
    assert found["last_success"] == "2026-11-23T13:00:00Z"
    text = page(site)
    assert "TeamUp is failing" not in text
    assert "12:00:00 UTC, 60 minutes ago" in text


class TestWhoReads:
    def test_families_are_told_by_how_often_and_when_last(
        self, parts: Services, site: FlaskClient, clock: ManualClock
    ) -> None:
        for _ in range(3):
            site.get("/venues/12.ics", headers=GOOGLE)
        site.get("/venues/12", headers={"User-Agent": "Mozilla/5.0 (X11; Linux) Firefox/140.0"})
        parts.periodic.run_once()
        clock.move(6 * 3600)
        site.get("/venues/12.ics", headers=APPLE)
        parts.periodic.run_once()
        found = told(site)["readers"]
        assert found == {
            "google": {"last_day": 3, "last": "2026-11-23T12:00:00Z"},
            "apple": {"last_day": 1, "last": "2026-11-23T18:00:00Z"},
            "browsers": {"last_day": 1, "last": "2026-11-23T12:00:00Z"},
        }
        text = page(site)
        assert ">Google Calendar</th><td>6 hours ago</td>" in text
        assert ">Outlook</th><td>not yet</td>" in text

    def test_a_feed_is_told_with_its_age_what_it_holds_and_who_reads_it(
        self, parts: Services, site: FlaskClient, clock: ManualClock
    ) -> None:
        site.get("/venues/12-kings-cross.ics", headers=GOOGLE)
        site.get("/venues/12.json", headers=APPLE)
        parts.periodic.run_once()
        clock.move(60)
        [feed] = told(site)["feeds"]
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

    def test_a_feed_that_was_trimmed_says_so(self, make_bridge: Callable[..., Services]) -> None:
        parts = make_bridge(operator_token=PASSWORD, feed_max_bytes=20_000)
        site = create_app(parts).test_client()
        site.get("/sessions.ics")
        parts.periodic.run_once()
        [feed] = told(site)["feeds"]
        assert feed["trimmed"] > 0
        assert f"{feed['trimmed']} left out for the feed's size" in page(site)

    def test_a_private_feed_is_told_by_its_id_and_label_and_never_by_its_address(
        self, parts: Services, site: FlaskClient
    ) -> None:
        who = audience((Visibility.PRIVATE,), label="Staff & <friends>")
        token = parts.private.sign(Grant(Kind.VENUE, 12, (), who))
        assert site.get(f"/private/{token}.ics", headers=APPLE).status_code == 200
        parts.periodic.run_once()
        answer = site.get("/status?format=json", auth=("x", PASSWORD))
        [feed] = answer.get_json()["feeds"]
        assert (feed["private"], feed["title"]) == (who.private, "Staff & <friends>")
        assert "path" not in feed
        text = page(site)
        assert "Private feed Staff &amp; &lt;friends&gt;" in text
        for said in (answer.text, text):
            assert token not in said
            assert token[10:40] not in said

    def test_what_is_refused_or_unknown_is_read_by_nobody(
        self, parts: Services, site: FlaskClient
    ) -> None:
        for path in ("/nowhere", "/venues/12.ics?past=x", "/private/x.ics", "/healthz", "/status"):
            site.get(path, headers=GOOGLE)
        site.post("/venues/12.ics", headers=GOOGLE)
        parts.periodic.run_once()
        found = told(site)
        assert (found["readers"], found["feeds"]) == ({}, [])

    def test_workers_and_machines_add_up(
        self, make_bridge: Callable[..., Services], parts: Services
    ) -> None:
        fleet = [parts, make_bridge(operator_token=PASSWORD, store=parts.store)]
        sites = [create_app(one).test_client() for one in fleet]
        for number, site in enumerate(sites):
            for _ in range(number + 1):
                site.get("/venues/12.ics", headers=GOOGLE)
        for one in fleet:
            one.periodic.run_once()
        for site in sites:
            found = told(site)
            assert found["readers"]["google"]["last_day"] == 3
            assert [feed["last_day"] for feed in found["feeds"]] == [3]


def test_it_speaks_german(site: FlaskClient) -> None:
    site.get("/venues/12.ics", headers=GOOGLE)
    text = page(site, **{"Accept-Language": "de"})
    assert "Wie es steht" in text
    assert "Letzter Erfolg" in text
    assert '<html lang="de"' in text
