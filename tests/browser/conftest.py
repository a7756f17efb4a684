"""Fixtures: a bridge and a browser, created once for all tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from clients.programs import skip_without

from browser.bridges import Bridge, bridge
from browser.chromium import Chromium, ChromiumNotFound, chromium

HERE = Path(__file__).parent
ARTEFACTS = HERE.parent.parent / "artefacts"


@pytest.fixture(scope="session")
def live() -> Iterator[Bridge]:
    with bridge() as running:
        yield running


@pytest.fixture(scope="session")
def _browser() -> Iterator[Chromium]:
    try:
        with chromium() as tab:
            yield tab
    except ChromiumNotFound:
        skip_without("Chromium (chromium, chromium-driver)", "make test-deps")


@pytest.fixture
def tab(_browser: Chromium) -> Chromium:
    """A browser with defaults: desktop, light, British English, scripts enabled."""
    return _browser.emulate()


@pytest.fixture(scope="session")
def packages() -> Path:
    """The folder of the npm packages that check pages."""
    folder = HERE / "node_modules"
    if not folder.exists():
        skip_without("tests/browser/node_modules", "make clients")
    return folder
