"""Fixtures: a deployment of two studios with equal ids, each with an upstream of its own."""

import atexit
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
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


def studio_of(slug: str) -> Studio:
    """The demo studio of today; the canary is in all of its names and descriptions."""
    demo = demo_studio(datetime.now(UTC).date())
    word = canary(slug)

    def marked(kind: str) -> list[dict[str, Any]]:
        texts = ("name", "description")
        return [
            {key: f"{word} {text}" if key in texts and text else text for key, text in row.items()}
            for row in demo.tables().rows[kind].values()
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


@pytest.fixture
def studios() -> dict[str, Studio]:
    """The studios by slug, to change their timetables."""
    return {slug: studio_of(slug) for slug in SLUGS}


@pytest.fixture
def upstreams(
    studios: dict[str, Studio],
) -> Iterator[tuple[dict[str, str], dict[str, Faults]]]:
    """The addresses and the faults of the studios' APIs, by slug."""
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


@pytest.fixture
def deploy(
    upstreams: tuple[dict[str, str], dict[str, Faults]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Deploy]:
    """Deploys the studios with further settings by slug, and with further variables."""
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
        (tmp_path / "studios.toml").write_text(toml(rows), encoding="utf-8")
        variables = {
            "STUDIOS": str(tmp_path / "studios.toml"),
            "CACHE_URL": "memory://",
            "REFRESH_AHEAD": "off",
            "OPERATOR_TOKEN": OPERATOR,
            **env,
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        made.append(Deployment(create_app(), faults, urls))
        return made[-1]

    yield deploy
    for deployment in made:
        atexit.unregister(deployment.sites.close)
        deployment.sites.close()
