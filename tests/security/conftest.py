"""Bridges with canaries in every setting, in front of an upstream with canaries in every field."""

import io
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from faults.scenes import HurriedClock, eventually
from security import canaries, studios
from security.sites import ASKED_ALONE, Site
from upstreams.raw import RawUpstream

from bridge import services
from bridge.config import Config
from bridge.ops import log_config

SECRETS: dict[str, Any] = {
    "token": canaries.TOKEN,
    "signing_keys": canaries.KEYS,
    "operator_token": canaries.OPERATOR,
    "log_level": "debug",
    "refresh_ahead": False,
}


@pytest.fixture
def hurried() -> HurriedClock:
    return HurriedClock()


@pytest.fixture
def vendor() -> Iterator[RawUpstream]:
    """An upstream that is well until its script is replaced."""
    with RawUpstream(studios.well()) as upstream:
        yield upstream


@pytest.fixture
def site_of(
    settings: Callable[..., Config],
    vendor: RawUpstream,
    hurried: HurriedClock,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., Site]]:
    """Bridges whose every setting that can hold a secret holds a canary."""
    made: list[Site] = []
    # a deadline is as hurried as the clock
    monkeypatch.setattr("bridge.upstream.client.PAGE_SECONDS", 10 / hurried.hurry)

    def make(*, store: Any = None, cold: bool = False, **fields: Any) -> Site:
        written = io.StringIO()
        monkeypatch.setattr(sys, "stderr", written)
        monkeypatch.setattr(log_config, "STDERR", written)
        given = {**SECRETS, "base_url": vendor.url, **fields}
        config = settings(**given)
        log_config.configure(config.log_format, config.log_level)
        site = Site(services.build(config, clock=hurried, store=store), written)
        made.append(site)
        if not cold:
            # however busy the machine is: a cold request does not wait for long
            for path in ("/sessions.ics", *ASKED_ALONE):
                eventually(lambda path=path: site.client.get(path).status_code == 200)
        return site

    yield make
    vendor.stop()
    hurried.move(1_000)
    for site in made:
        site.parts.close()
    structlog.reset_defaults()
