"""Feeds of objects that are not known: an empty 200 that says so."""

import json
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from bridge.config import UpstreamPlan
from bridge.services import Services
from bridge.web import create_app

UNKNOWN = {
    "/venues/999": "no class of venue 999 is known",
    "/rooms/999": "no class of room 999 is known",
    "/instructors/999": "no class of instructor 999 is known",
    "/courses/999": "no class of course 999 is known",
    "/types/999": "no class of class type 999 is known",
    "/classes/999": "no class with the id 999 is known",
    "/sessions/999": "no class with the id 999 is known",
    "/sessions?venues=12,999": "no class of venue 999 is known",
    "/sessions?venues=999&category=998": (
        "no class of venue 999 is known; no class of category 998 is known"
    ),
    "/venues/12?instructors=999": "no class of instructor 999 is known",
    "/venues/999?offering_types=998": (
        "no class of venue 999 is known; no class of class type 998 is known"
    ),
    "/sessions?rooms=991,992,993,994,995,996": "; ".join(
        [*(f"no class of room {number} is known" for number in range(991, 996)), "..."]
    ),
}


@pytest.mark.parametrize("suffix", ["ics", "json", "txt"])
@pytest.mark.parametrize(("path", "notice"), UNKNOWN.items())
def test_a_feed_of_an_unknown_object_says_so(
    site: FlaskClient, path: str, notice: str, suffix: str
) -> None:
    path, _, query = path.partition("?")
    response = site.get(f"{path}.{suffix}?{query}")
    assert response.status_code == 200
    assert response.headers["Bridge-Notice"] == notice
    if suffix == "txt":
        assert f"{notice.capitalize()}.\n" in response.text


@pytest.mark.parametrize(
    "path", ["/venues/12.ics", "/sessions.ics", "/sessions.ics?venues=12&instructors=19"]
)
def test_other_feeds_have_no_notice(site: FlaskClient, path: str) -> None:
    assert "Bridge-Notice" not in site.get(path).headers


@pytest.mark.parametrize("plan", UpstreamPlan)
def test_a_known_venue_stays_known_where_weekday_and_time_leave_nothing(
    make_bridge: Callable[..., Services], plan: UpstreamPlan
) -> None:
    client = create_app(make_bridge(plan=plan)).test_client()
    for query in ("weekdays=sun", "time_from=03:00&time_until=04:00"):
        response = client.get(f"/venues/12.txt?{query}")
        assert "Bridge-Notice" not in response.headers
        assert response.text.startswith("Riverside Studio, ")
        assert client.get(f"/venues/12?{query}").status_code == 200


def test_scripts_of_other_sites_may_read_the_notice(site: FlaskClient) -> None:
    exposed = site.get("/venues/999.json").headers["Access-Control-Expose-Headers"]
    assert "Bridge-Notice" in exposed.split(", ")


@pytest.mark.parametrize(
    ("query", "name"),
    [("past=soon", "past"), ("venue=1", "venue"), ("limit=x", "limit"), ("end=x", "end")],
)
def test_an_error_names_the_parameter(site: FlaskClient, query: str, name: str) -> None:
    response = site.get(f"/venues/12.json?{query}")
    assert response.status_code == 400
    problem = json.loads(response.data)
    [wrong] = problem["invalid_params"]
    assert wrong["name"] == name
    assert wrong["reason"] == problem["detail"]
