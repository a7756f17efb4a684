"""Fixtures: bridges with canaries in all settings, and an upstream with canaries in all fields."""

import io
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from clocks import wait_until
from faults.scenarios import FastClock
from security import canaries, studios
from security.sites import NARROW_PATHS, Site
from upstreams.raw import RawUpstream

from bridge import services
from bridge.config import Config
from bridge.model import SourceName
from bridge.ops import log_config
from bridge.upstream.client import PAGE_SECONDS

SECRETS: dict[str, Any] = {
    "token": canaries.TOKEN,
    "signing_keys": canaries.KEYS,
    "operator_token": canaries.OPERATOR,
    "log_level": "debug",
    "refresh_ahead": False,
    "sources": frozenset(SourceName),
}


@pytest.fixture
def fast_clock() -> FastClock:
    return FastClock()


@pytest.fixture
def teamup() -> Iterator[RawUpstream]:
    """An upstream that answers correctly until its script is replaced."""
    with RawUpstream(studios.healthy()) as upstream:
        yield upstream


@pytest.fixture
def make_site(
    settings: Callable[..., Config],
    teamup: RawUpstream,
    fast_clock: FastClock,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., Site]]:
    """Creates bridges with a canary in every secret setting."""
    sites: list[Site] = []

    def make(*, store: Any = None, cold: bool = False, **fields: Any) -> Site:
        log = io.StringIO()
        monkeypatch.setattr(sys, "stderr", log)
        monkeypatch.setattr(log_config, "STDERR", log)
        fields = {**SECRETS, "base_url": teamup.url, **fields}
        config = settings(**fields)
        log_config.configure(config.log_format, config.log_level)
        site = Site(services.build(config, clock=fast_clock, store=store), log)
        sites.append(site)
        # While it warms up, the deadline of a page is the real one; later it is divided by the
        # clock's speedup.
        monkeypatch.setattr("bridge.upstream.client.PAGE_SECONDS", PAGE_SECONDS)
        if not cold:
            # Repeated, since a cold request may time out on a busy machine.
            for path in ("/sessions.ics", *NARROW_PATHS):
                wait_until(lambda path=path: site.client.get(path).status_code == 200)
        monkeypatch.setattr(
            "bridge.upstream.client.PAGE_SECONDS", PAGE_SECONDS / fast_clock.speedup
        )
        return site

    yield make
    teamup.stop()
    fast_clock.move(1_000)
    for site in sites:
        site.parts.close()
    structlog.reset_defaults()
