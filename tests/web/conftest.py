"""Fixtures: a shared bridge that tests must not change, and bridges with other settings."""

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from clocks import ManualClock
from flask.testing import FlaskClient

from bridge import config, services
from bridge.sandbox.api import create_api
from bridge.sandbox.demo_timetable import demo_studio
from bridge.sandbox.http_server import SandboxServer
from bridge.web import create_app

#: Not a whole second, like the time of a real walk.
NOW = datetime(2026, 11, 23, 12, 0, 0, 700_000, tzinfo=UTC)


@pytest.fixture(scope="module")
def site() -> Iterator[FlaskClient]:
    """A client of a bridge with the sandbox studio and default settings; time does not pass."""
    token = "a-token-of-the-tests"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            os,
            "environ",
            {
                "TEAMUP_API_TOKEN": token,
                "TEAMUP_SOURCES": "course_sessions",
                "CACHE_URL": "memory://",
            },
        )
        settings = config.load()
    studio = demo_studio(NOW.date())
    api = create_api(studio, token=token, requests_per_minute=100_000)
    with SandboxServer(api) as upstream:
        parts = services.build(replace(settings, base_url=upstream.url), clock=ManualClock(NOW))
        try:
            yield create_app(parts).test_client()
        finally:
            parts.close()


@pytest.fixture
def site_of(make_bridge: Any) -> Any:
    """Makes a client of a new bridge with these settings."""

    def make(**fields: Any) -> FlaskClient:
        return create_app(make_bridge(**fields)).test_client()

    return make
