"""Fixtures: a deployment of two studios with equal ids, each with an upstream of its own."""

import atexit
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from asgi_client import AsgiClient
from flask import Flask

from bridge.sandbox.api import create_api
from bridge.sandbox.demo_timetable import demo_studio
from bridge.sandbox.faults import Faults
from bridge.sandbox.http_server import SandboxServer
from bridge.sandbox.studio import Studio
from bridge.web import create_app
from bridge.web.sites import Site, Sites

SLUGS = ("riverside", "old-chapel")
OPERATOR = "the operator of the server"


def canary(slug: str) -> str:
    """A word that only names and texts of this studio contain."""
    return f"Canary{slug.replace('-', '').title()}"


def token(slug: str) -> str:
    """The studio's API token."""
    return f"token-of-{slug}-{'x' * 20}"


@cache
def _studio_of(slug: str) -> Studio:
    today = datetime.now(UTC).date()
    demo = demo_studio(today)
    word = canary(slug)
    # Half as many days as in the demo studio, since each test fetches them anew.
    last = (today + timedelta(days=21)).isoformat()

    def marked(kind: str) -> list[dict[str, Any]]:
        texts = ("name", "description")
        return [
            {key: f"{word} {text}" if key in texts and text else text for key, text in row.items()}
            for row in demo.tables().rows[kind].values()
            if row.get("starts_at", "") < last
        ]

    return Studio(
        venues=marked("venue"),
        venue_rooms=marked("venue_room"),
        instructors=marked("instructor"),
        categories=marked("offering_type_category"),
        offering_types=marked("offering_type"),
        courses=marked("course"),
        sessions=marked("course_session"),
        events=marked("event"),
    )


def studio_of(slug: str) -> Studio:
    """The demo studio of today; the canary is in all of its names and descriptions."""
    return _studio_of(slug).copy()


def toml(tables: Mapping[str, Mapping[str, Any]]) -> str:
    """The file of studios with these settings by slug; values are written as in JSON."""
    return "\n".join(
        "\n".join(
            ["[[studio]]", f'slug = "{slug}"']
            + [f"{key} = {json.dumps(value)}" for key, value in table.items()]
        )
        for slug, table in tables.items()
    )


@dataclass
class Deployment:
    """A bridge of several studios in this process.

    Attributes:
        client: of the ASGI application.
    """

    app: Flask
    faults: Mapping[str, Faults]
    urls: Mapping[str, str]
    client: AsgiClient = field(init=False)

    def __post_init__(self) -> None:
        self.client = AsgiClient(self.app)

    @property
    def sites(self) -> Sites:
        sites: Sites = self.app.extensions["sites"]
        return sites

    def site(self, slug: str) -> Site:
        return self.sites.by_slug[slug]

    def get(self, path: str, host: str = "localhost", **headers: str) -> Any:
        return self.client.get(path, {"Host": host, **headers})


Deploy = Callable[..., Deployment]


Upstreams = tuple[dict[str, str], dict[str, Faults]]
"""The addresses and the faults of the studios' APIs, by slug."""


@contextmanager
def serving(studios: Mapping[str, Studio]) -> Iterator[Upstreams]:
    """Serve the APIs of these studios."""
    faults = {slug: Faults() for slug in SLUGS}
    with ExitStack() as stack:
        urls = {
            slug: stack.enter_context(
                SandboxServer(
                    create_api(
                        studios[slug],
                        token=token(slug),
                        faults=faults[slug],
                        requests_per_minute=100_000,
                    )
                )
            ).url
            for slug in SLUGS
        }
        yield urls, faults


@contextmanager
def deploying(upstreams: Upstreams, folder: Path) -> Iterator[Deploy]:
    """A function that deploys the studios with further settings by slug, and further variables.

    Args:
        folder: for the file of studios.
    """
    urls, faults = upstreams
    made: list[Deployment] = []

    def deploy(tables: Mapping[str, Mapping[str, Any]] | None = None, **env: str) -> Deployment:
        rows = {
            slug: {
                "token": token(slug),
                "teamup_base_url": urls[slug],
                "feed_signing_keys": [f"signing-key-of-{slug}"],
                **(tables or {}).get(slug, {}),
            }
            for slug in SLUGS
        }
        (folder / "studios.toml").write_text(toml(rows), encoding="utf-8")
        variables = {
            "STUDIOS": str(folder / "studios.toml"),
            "CACHE_URL": "memory://",
            "REFRESH_AHEAD": "off",
            "OPERATOR_TOKEN": OPERATOR,
            **env,
        }
        for name, value in variables.items():
            environment.setenv(name, value)
        made.append(Deployment(create_app(), faults, urls))
        return made[-1]

    with pytest.MonkeyPatch.context() as environment:
        yield deploy
    for deployment in made:
        atexit.unregister(deployment.sites.close)
        deployment.sites.close()


@pytest.fixture(scope="module")
def deploy_shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deploy]:
    """Deploys studios for the tests of a module that change nothing."""
    studios = {slug: studio_of(slug) for slug in SLUGS}
    with (
        serving(studios) as upstreams,
        deploying(upstreams, tmp_path_factory.mktemp("studios")) as deploy,
    ):
        yield deploy


@pytest.fixture
def studios() -> dict[str, Studio]:
    """The studios by slug, to change their timetables."""
    return {slug: studio_of(slug) for slug in SLUGS}


@pytest.fixture
def upstreams(studios: dict[str, Studio]) -> Iterator[Upstreams]:
    with serving(studios) as upstreams:
        yield upstreams


@pytest.fixture
def deploy(upstreams: Upstreams, tmp_path: Path) -> Iterator[Deploy]:
    """Deploys the studios with further settings by slug, and with further variables."""
    with deploying(upstreams, tmp_path) as deploy:
        yield deploy
