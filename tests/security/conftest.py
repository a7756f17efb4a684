"""Fixtures: bridges with canaries in all settings, and an upstream with canaries in all fields."""

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import structlog
from clocks import wait_until
from faults.scenarios import FastClock
from security import canaries, studios
from security.sites import NARROW_PATHS, Site
from upstreams.raw import RawUpstream

from bridge import config, services
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


@contextmanager
def _making_sites(teamup: RawUpstream, clock: FastClock) -> Iterator[Callable[..., Site]]:
    sites: list[Site] = []
    defaults = config.load({"TEAMUP_API_TOKEN": canaries.TOKEN, "CACHE_URL": "memory://"})

    def make(*, store: Any = None, cold: bool = False, **fields: Any) -> Site:
        log = io.StringIO()
        patch.setattr(sys, "stderr", log)
        patch.setattr(log_config, "STDERR", log)
        settings = replace(defaults, **{**SECRETS, "base_url": teamup.url, **fields})
        log_config.configure(settings.log_format, settings.log_level)
        site = Site(services.build(settings, clock=clock, store=store), log)
        sites.append(site)
        # While it warms up, the deadline of a page is the real one; later it is divided by the
        # clock's speedup.
        patch.setattr("bridge.upstream.client.PAGE_SECONDS", PAGE_SECONDS)
        if not cold:
            # Repeated, since a cold request may time out on a busy machine.
            for path in ("/sessions.ics", *NARROW_PATHS):
                wait_until(lambda path=path: site.client.get(path).status_code == 200)
        patch.setattr("bridge.upstream.client.PAGE_SECONDS", PAGE_SECONDS / clock.speedup)
        return site

    with pytest.MonkeyPatch.context() as patch:
        yield make
        teamup.stop()
        clock.move(1_000)
        for site in sites:
            site.parts.close()
        structlog.reset_defaults()


@pytest.fixture
def make_site(teamup: RawUpstream, fast_clock: FastClock) -> Iterator[Callable[..., Site]]:
    """Creates bridges with a canary in every secret setting."""
    with _making_sites(teamup, fast_clock) as make:
        yield make


@pytest.fixture(scope="module")
def make_shared_site() -> Iterator[Callable[..., Site]]:
    """Like `make_site`, for the tests of a module that leave the bridge as it is."""
    with RawUpstream(studios.healthy()) as teamup, _making_sites(teamup, FastClock()) as make:
        yield make
