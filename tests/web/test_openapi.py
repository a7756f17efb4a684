"""The description of the API: /openapi.json."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from faults.fleet import Machine
from flask.testing import FlaskClient
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate
from thorough import THOROUGH
from web.conftest import NOW
from web.test_whole_timetable_pages import served

from bridge.config import Availability
from bridge.feeds.formats import CHANGE_FORMATS, FORMATS
from bridge.feeds.params import IGNORED, OPTIONS
from bridge.feeds.private import FeedGrant, new_audience
from bridge.feeds.spec import Kind
from bridge.filter_params import ALIASES, PARAMETERS
from bridge.model import SourceName, Visibility
from bridge.sandbox.api import create_api
from bridge.sandbox.demo_timetable import demo_studio
from bridge.sandbox.http_server import SandboxServer
from bridge.sandbox.studio import Studio

HOME = Path(__file__).parent.parent.parent
PATH = "/openapi.json"
KEY = "a-signing-key-of-the-tests"
TOKEN = "a-token-of-the-tests"

# Of the server, or of every response.
NOT_DESCRIBED = {
    *("Content-Type", "Content-Length", "Date", "X-Request-Id"),
    *("X-Content-Type-Options", "Referrer-Policy", "Access-Control-Expose-Headers"),
}

SiteOf = Callable[..., FlaskClient]


@pytest.fixture(scope="module")
def client() -> Iterator[FlaskClient]:
    """A client of a bridge with both lists of the demo studio."""
    with served(
        demo_studio(NOW.date()), public_availability=Availability.SPOTS, signing_keys=(KEY,)
    ) as client:
        yield client


@pytest.fixture(scope="module")
def document(client: FlaskClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get(PATH).json
    return found


def resolved(document: dict[str, Any], value: Any) -> Any:
    """*value*, or what it refers to."""
    if "$ref" not in value:
        return value
    for part in value["$ref"].removeprefix("#/").split("/"):
        document = document[part]
    return document


def operation(document: dict[str, Any], path: str) -> Any:
    return document["paths"][path]["get"]


def parameter_names(document: dict[str, Any], path: str) -> set[str]:
    found = operation(document, path)["parameters"]
    return {resolved(document, parameter)["name"] for parameter in found}


def test_it_is_valid(document: dict[str, Any]) -> None:
    validate(document)
    assert document["openapi"].startswith("3.1.")


def test_it_describes_every_route_for_programs(
    client: FlaskClient, document: dict[str, Any]
) -> None:
    described = set()
    endings = {
        "<feed_format:form>": FORMATS,
        "<change_format:form>": CHANGE_FORMATS,
        "": {"": None},
    }
    for rule in client.application.url_map.iter_rules():
        if rule.endpoint.partition(".")[0] in ("feeds", "api"):
            path = re.sub("<[a-z_]+:(identity|token)>", r"{\1}", rule.rule)
            path = path.replace("identity", "id")
            [placeholder] = [ending for ending in endings if ending in path][:1]
            described |= {path.replace(placeholder, suffix) for suffix in endings[placeholder]}
    assert described == set(document["paths"])
    ids = [item["get"]["operationId"] for item in document["paths"].values()]
    assert len(set(ids)) == len(ids)


def test_it_describes_every_parameter(document: dict[str, Any]) -> None:
    every = {*PARAMETERS, *OPTIONS} - {*ALIASES}
    for form in (*FORMATS.values(), *CHANGE_FORMATS.values()):
        suffix = f"/changes.{form.suffix}" if form.of_changes else f".{form.suffix}"
        assert parameter_names(document, f"/sessions{suffix}") == every | {*form.params}
        assert parameter_names(document, f"/venues/{{id}}{suffix}") == (
            (every - {"venues"}) | {*form.params, "id"}
        )
        for single in ("classes", "sessions"):
            names = parameter_names(document, f"/{single}/{{id}}{suffix}")
            assert names == {*OPTIONS, *form.params, "id"}
        assert parameter_names(document, f"/private/{{token}}{suffix}") == {
            *form.params,
            "token",
        }


def test_its_text_names_what_else_is_accepted(document: dict[str, Any]) -> None:
    text = document["info"]["description"]
    for name in (*IGNORED, *ALIASES, *ALIASES.values(), "utm_*", "&amp;"):
        assert f"`{name}`" in text
    assert "the last 30 and the next 90 days" in " ".join(text.split())


def test_it_describes_only_what_the_studio_offers(site_of: SiteOf) -> None:
    document = (
        site_of(
            sources=frozenset({SourceName.EVENTS}),
            public_availability=Availability.NONE,
            window_past_days=7,
        )
        .get(PATH)
        .json
    )
    parameters = document["components"]["parameters"]
    assert parameters["sources"]["schema"]["items"]["enum"] == ["events"]
    assert parameters["availability"]["schema"]["enum"] == ["none"]
    assert "occupancy_status" not in parameter_names(document, "/sessions.ics")
    assert "the last 7 and the next" in document["info"]["description"]
    validate(document)


class TestResponses:
    @pytest.fixture(scope="class")
    @staticmethod
    def private(client: FlaskClient) -> str:
        """The address of a private feed that shows everything."""
        parts = client.application.extensions["bridge"]
        audience = new_audience(Visibility, counts=True, join_links=True, staff_links=True)
        token = parts.private.sign(FeedGrant(Kind.SESSION, None, (), audience))
        return f"/private/{token}.json"

    def test_sessions_fit_their_schema(
        self, client: FlaskClient, document: dict[str, Any], private: str
    ) -> None:
        schema = document["components"]["schemas"]["Feed.json"]
        validator = OAS31Validator(schema)
        for path in ("/sessions.json", "/sessions.json?availability=spots", private):
            events = client.get(path).json
            validator.validate(events)
            assert len(events) > 500
        described = set(schema["items"]["properties"])
        assert {name for event in events for name in event} == described

    @pytest.mark.parametrize(
        ("address", "path"),
        [
            ("/sessions.ics", "/sessions.ics"),
            ("/venues/12.json", "/venues/{id}.json"),
            ("/courses/999.txt", "/courses/{id}.txt"),
            ("/venues/12/changes.atom", "/venues/{id}/changes.atom"),
            ("/catalogue.json", "/catalogue.json"),
            ("/openapi.json", "/openapi.json"),
        ],
    )
    def test_headers_are_as_described(
        self, client: FlaskClient, document: dict[str, Any], address: str, path: str
    ) -> None:
        whole = client.get(address)
        for code, response in (
            ("200", whole),
            ("304", client.get(address, headers={"If-None-Match": whole.headers["ETag"]})),
        ):
            assert response.status == f"{code} {response.status.partition(' ')[2]}"
            described = operation(document, path)["responses"][code]["headers"]
            sent = {name for name, _ in response.headers} - NOT_DESCRIBED
            assert sent <= set(described)
            required = {
                name for name, header in described.items() if resolved(document, header)["required"]
            }
            assert required <= sent

    @pytest.mark.parametrize("suffix", [".ics", ".json", "/changes.atom", "/changes.json"])
    @pytest.mark.parametrize(
        ("ending", "code"), [("?past=x", 400), (f"?{'x' * 9000}", 414), (None, 405)]
    )
    def test_errors_are_as_described(
        self,
        client: FlaskClient,
        document: dict[str, Any],
        suffix: str,
        ending: str | None,
        code: int,
    ) -> None:
        path = f"/sessions{suffix}"
        response = client.post(path) if ending is None else client.get(path + ending)
        assert response.status_code == code
        described = operation(document, path)["responses"][str(code)]
        described = resolved(document, described)
        [(media_type, content)] = described["content"].items()
        assert response.mimetype == media_type
        body = response.json if "json" in media_type else response.text
        OAS31Validator(resolved(document, content["schema"])).validate(body)
        assert set(described["headers"]) <= set(response.headers.keys())


class TestDocument:
    def test_programs_on_other_origins_may_cache_it(self, client: FlaskClient) -> None:
        response = client.get(PATH)
        assert response.headers["Content-Type"] == "application/json"
        assert response.headers["Cache-Control"] == "public, max-age=3600"
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        unchanged = client.get(PATH, headers={"If-None-Match": response.headers["ETag"]})
        assert unchanged.status_code == 304
        assert client.get(f"{PATH}?past=1").json["invalid_params"][0]["name"] == "past"

    def test_it_names_the_address_of_the_bridge(self, client: FlaskClient, site_of: SiteOf) -> None:
        assert client.get(PATH).json["servers"] == [{"url": "/"}]
        site = site_of(public_base_url="https://host.example/cal")
        assert site.get(PATH).json["servers"] == [{"url": "https://host.example/cal"}]
        proxied = site_of(trusted_proxies=1).get(PATH, headers={"X-Forwarded-Prefix": "/cal"})
        assert proxied.json["servers"] == [{"url": "/cal"}]

    def test_upstream_is_not_asked_for_it(self, site_of: SiteOf, upstream: Any) -> None:
        assert site_of().get(PATH).status_code == 200
        assert upstream.requests == []

    def test_without_a_catalogue_it_describes_none(self, site_of: SiteOf) -> None:
        assert "/catalogue.json" not in site_of(catalog=False).get(PATH).json["paths"]


def test_the_page_on_feeds_names_every_parameter() -> None:
    text = (HOME / "docs" / "feeds.md").read_text(encoding="utf-8")
    own = {name for form in FORMATS.values() for name in form.params}
    for name in {*PARAMETERS, *OPTIONS, *IGNORED, *own}:
        assert f"`{name}`" in text, name


def small_studio() -> Studio:
    """The demo studio as of today, with the classes of three days only."""
    now = datetime.now(UTC)
    studio = demo_studio(now.date())
    for kind, rows in (("course_session", studio.sessions), ("event", studio.events)):
        near = [
            row
            for row in rows
            if abs(datetime.fromisoformat(row["starts_at"]) - now) < timedelta(days=1.5)
        ]
        studio.replace_sessions(near, kind=kind)
    return studio


@contextmanager
def running(tmp_path: Path) -> Iterator[Machine]:
    """A server in front of a small studio."""
    api = create_api(small_studio(), token=TOKEN, requests_per_minute=1_000_000)
    with (
        SandboxServer(api) as teamup,
        Machine(
            teamup.url,
            f"sqlite:///{tmp_path}/bridge.sqlite3",
            TEAMUP_API_TOKEN=TOKEN,
            TEAMUP_SOURCES="",
            TEAMUP_REQUESTS_PER_MINUTE="1000000",
            FEED_SIGNING_KEYS=KEY,
        ) as machine,
    ):
        yield machine


def test_schemathesis_finds_no_difference_between_description_and_server(tmp_path: Path) -> None:
    def run(program: str, *arguments: str, **variables: str) -> str:
        done = subprocess.run(
            [Path(sys.executable).parent / program, *arguments],
            cwd=HOME,
            env={**machine.environment, **variables},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    with running(tmp_path) as machine:
        assert len(json.loads(machine.get("/sessions.json").body)) > 20
        described = json.loads(machine.get(PATH).body)["paths"]
        address = run("flask", "--app", "app", "sign", "sessions.ics").splitlines()[-1]
        token = address.removeprefix("/private/").removesuffix(".ics")
        report = run(
            "schemathesis",
            *("run", f"{machine.url}{PATH}", "--no-color", "--seed", "1"),
            *(() if THOROUGH else ("--max-examples", "1")),
            PRIVATE_TOKEN=token,
        )
    # It leaves out the description itself.
    assert f"Tested: {len(described) - 1}\n" in report
