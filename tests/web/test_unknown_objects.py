"""Feeds of objects that are not known: an empty 200 that says so."""

import json

import pytest
from flask.testing import FlaskClient

UNKNOWN = {
    "/venues/999": "no class of venue 999 is known",
    "/rooms/999": "no class of room 999 is known",
    "/instructors/999": "no class of instructor 999 is known",
    "/courses/999": "no class of course 999 is known",
    "/types/999": "no class of class type 999 is known",
    "/classes/999": "no class with the id 999 is known",
    "/sessions/999": "no class with the id 999 is known",
}


@pytest.mark.parametrize("suffix", ["ics", "json", "txt"])
@pytest.mark.parametrize(("path", "notice"), UNKNOWN.items())
def test_a_feed_of_an_unknown_object_says_so(
    site: FlaskClient, path: str, notice: str, suffix: str
) -> None:
    response = site.get(f"{path}.{suffix}")
    assert response.status_code == 200
    assert response.headers["Bridge-Notice"] == notice
    if suffix == "txt":
        assert f"{notice.capitalize()}.\n" in response.text


@pytest.mark.parametrize("path", ["/venues/12.ics", "/sessions.ics", "/sessions.ics?venues=999"])
def test_other_feeds_have_no_notice(site: FlaskClient, path: str) -> None:
    assert "Bridge-Notice" not in site.get(path).headers


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
