"""The catalogue for programs: /catalogue.json."""

import gzip
import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient
from openapi_schema_validator import OAS31Validator
from web.conftest import NOW
from web.test_whole_timetable_pages import served

from bridge.sandbox.demo_timetable import demo_studio
from bridge.sandbox.studio import Studio
from bridge.web.catalogue_document import SCHEMA

PATH = "/catalogue.json"
GROUPS = ("venues", "rooms", "instructors", "courses", "types", "categories")

SiteOf = Callable[..., FlaskClient]


@pytest.fixture(scope="module")
def client() -> Iterator[FlaskClient]:
    """A client of a bridge with both lists of the demo studio."""
    with served(demo_studio(NOW.date())) as client:
        yield client


@pytest.fixture(scope="module")
def catalogue(client: FlaskClient) -> dict[str, Any]:
    document: dict[str, Any] = client.get(PATH).json
    return document


def path_of(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def test_it_fits_its_schema(catalogue: dict[str, Any]) -> None:
    OAS31Validator.check_schema(SCHEMA)
    OAS31Validator(SCHEMA).validate(catalogue)
    assert all(len(catalogue[group]) > 1 for group in GROUPS)


@pytest.mark.parametrize("group", ["all", *GROUPS])
def test_all_addresses_lead_to_what_they_name(
    client: FlaskClient, catalogue: dict[str, Any], group: str
) -> None:
    feeds = [catalogue[group]] if group == "all" else catalogue[group]
    for feed in feeds:
        for form in ("page", "embed", "ics", "txt"):
            response = client.get(path_of(feed[form]))
            assert response.status_code == 200
            assert "Bridge-Notice" not in response.headers
        assert urlsplit(feed["ics"]).geturl().endswith(".ics")
        assert not {",", ";", "%"} & set(feed["ics"])
        separator = "&" if "?" in feed["json"] else "?"
        # A course has no default window.
        events = client.get(path_of(f"{feed['json']}{separator}past=30&future=90")).json
        now = f"{NOW:%Y-%m-%dT%H:%M:%SZ}"
        upcoming = [
            event for event in events if event["status"] == "active" and event["end"] >= now
        ]
        assert feed["upcoming"] == len(upcoming)
        if group != "all":
            assert feed["name"] in client.get(path_of(feed["txt"])).text.splitlines()[0]


def test_ids_refer_to_each_other(catalogue: dict[str, Any]) -> None:
    venues, categories = (
        {item["id"] for item in catalogue[group]} for group in ("venues", "categories")
    )
    assert {room["venue"] for room in catalogue["rooms"]} <= venues
    assert {kind["category"] for kind in catalogue["types"]} <= categories | {None}
    zones = {venue["name"]: venue["timezone"] for venue in catalogue["venues"]}
    assert zones["Riverside Studio"] == "Europe/London"


def test_it_lists_nothing_that_the_public_may_not_see(site_of: SiteOf, studio: Studio) -> None:
    for kind in (31, 32, 33, 37, 38):
        studio.set_visibility(kind, "private")
    text = site_of().get(PATH).text
    for name in ("Riverside", "Chapel", "Brooklyn", "Sydney", "Zoë"):
        assert name not in text


def test_what_has_only_past_sessions_is_listed_with_none_upcoming(
    site_of: SiteOf, studio: Studio
) -> None:
    for row in studio.sessions:
        if row["venue"] == 14 and row["starts_at"] > "2026-11-22":
            studio.delete(row["id"])
    [venue] = [item for item in site_of().get(PATH).json["venues"] if item["id"] == 14]
    assert venue["upcoming"] == 0


class TestHeaders:
    def test_it_is_cached_like_a_feed(self, client: FlaskClient) -> None:
        feed, response = client.get("/sessions.json").headers, client.get(PATH).headers
        assert response["Content-Type"] == "application/json"
        assert response["Cache-Status"].startswith("bridge; hit; ttl=")
        for name in (
            *("Cache-Control", "Age", "Last-Modified", "Vary", "X-Content-Type-Options"),
            *("Access-Control-Allow-Origin", "Access-Control-Expose-Headers", "Referrer-Policy"),
        ):
            assert response[name] == feed[name]

    def test_conditional_requests_are_answered_with_304(self, client: FlaskClient) -> None:
        headers = client.get(PATH).headers
        for condition in (
            {"If-None-Match": headers["ETag"]},
            {"If-Modified-Since": headers["Last-Modified"]},
        ):
            response = client.get(PATH, headers=condition)
            assert (response.status_code, response.data) == (304, b"")
            assert response.headers["ETag"] == headers["ETag"]

    def test_it_can_be_gzipped(self, client: FlaskClient) -> None:
        response = client.get(PATH, headers={"Accept-Encoding": "gzip"})
        assert json.loads(gzip.decompress(response.data)) == client.get(PATH).json

    def test_other_origins_may_ask_for_it(self, client: FlaskClient) -> None:
        response = client.options(PATH, headers={"Origin": "https://studio.example"})
        assert response.headers["Access-Control-Allow-Methods"] == "GET, HEAD, OPTIONS"
        assert response.headers["Access-Control-Allow-Origin"] == "*"

    def test_it_is_read_from_the_same_copy_as_the_feeds(
        self, site_of: SiteOf, upstream: Any
    ) -> None:
        client = site_of()
        client.get("/venues/12.ics")
        requests = len(upstream.requests)
        assert client.get(PATH).headers["Cache-Status"].startswith("bridge; hit")
        assert len(upstream.requests) == requests


class TestAddresses:
    def test_they_begin_with_the_address_in_the_settings(self, site_of: SiteOf) -> None:
        client = site_of(public_base_url="https://host.example/cal")
        feed = client.get(PATH, headers={"Host": "other.example"}).json["all"]
        assert feed["ics"] == "https://host.example/cal/sessions.ics"

    def test_otherwise_with_the_host_of_the_request(self, client: FlaskClient) -> None:
        feed = client.get(PATH, headers={"Host": "other.example:81"}).json["all"]
        assert feed["embed"] == "http://other.example:81/embed/sessions"

    def test_behind_a_proxy_with_what_it_forwards(self, site_of: SiteOf) -> None:
        forwarded = {
            "X-Forwarded-Host": "host.example",
            "X-Forwarded-Proto": "https",
            "X-Forwarded-Prefix": "/cal",
        }
        feed = site_of(trusted_proxies=1).get(PATH, headers=forwarded).json["all"]
        assert feed["page"] == "https://host.example/cal/sessions"


class TestErrors:
    @staticmethod
    def problem(client: FlaskClient, path: str, code: int, method: str = "GET") -> Any:
        response = client.open(path, method=method)
        assert response.status_code == code
        assert response.headers["Content-Type"] == "application/problem+json"
        assert response.headers["Cache-Control"] == "no-store"
        assert response.json["status"] == code
        return response.json

    def test_if_it_is_switched_off_it_does_not_exist(self, site_of: SiteOf, upstream: Any) -> None:
        self.problem(site_of(catalog=False), PATH, 404)
        assert upstream.requests == []

    def test_an_unknown_parameter_is_refused_by_name(self, client: FlaskClient) -> None:
        problem = self.problem(client, f"{PATH}?venues=12", 400)
        assert [param["name"] for param in problem["invalid_params"]] == ["venues"]

    def test_what_others_append_is_ignored(self, client: FlaskClient) -> None:
        assert client.get(f"{PATH}?utm_source=x&_=1&v=2").data == client.get(PATH).data

    def test_another_method_is_refused(self, client: FlaskClient) -> None:
        self.problem(client, PATH, 405, method="POST")

    def test_without_a_copy_while_upstream_is_down_it_is_unavailable(self, site_of: SiteOf) -> None:
        client = site_of(base_url="http://127.0.0.1:1/api")
        self.problem(client, PATH, 503)
        assert int(client.get(PATH).headers["Retry-After"]) > 0
