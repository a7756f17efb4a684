"""The owner's page."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from bridge.sandbox.faults import Faults
from bridge.services import Services
from bridge.web import create_app

PASSWORD = "an-operators-password"


@pytest.fixture
def site(make_bridge: Callable[..., Services]) -> FlaskClient:
    return create_app(make_bridge(operator_token=PASSWORD)).test_client()


def test_it_is_not_there_without_a_token_for_it(client: FlaskClient) -> None:
    assert client.get("/status").status_code == 404


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer guessed"}, {"Authorization": "Basic Zm9vOmJhcg=="}],
    ids=["nothing", "another token", "another password"],
)
def test_it_asks_for_the_password(site: FlaskClient, headers: dict[str, str]) -> None:
    answer = site.get("/status", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    assert PASSWORD not in answer.text


@pytest.mark.parametrize("way", ["basic", "bearer"])
def test_it_tells_of_the_last_success(site: FlaskClient, way: str) -> None:
    site.get("/venues/12.ics")
    if way == "basic":
        answer = site.get("/status", auth=("anybody", PASSWORD))
    else:
        answer = site.get("/status", headers={"Authorization": f"Bearer {PASSWORD}"})
    assert answer.status_code == 200
    assert "last success: 2026-11-23 12:00:00 UTC" in answer.text
    assert "last failure: none" in answer.text
    assert answer.headers["Cache-Control"] == "no-store"


def test_it_names_what_went_wrong_and_what_to_do(site: FlaskClient, faults: Faults) -> None:
    faults.set("status", 401)
    assert site.get("/venues/12.ics").status_code == 503
    told = site.get("/status", auth=("anybody", PASSWORD)).text
    assert "TEAMUP_API_TOKEN" in told
    assert "last success: none yet" in told
