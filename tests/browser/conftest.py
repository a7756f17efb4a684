"""A bridge and a browser, made once and looked at by many tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from clients.programs import missing

from browser.bridges import Bridge, bridge
from browser.chromium import Chromium, Missing, chromium

HERE = Path(__file__).parent
ARTEFACTS = HERE.parent.parent / "artefacts"


@pytest.fixture(scope="session")
def live() -> Iterator[Bridge]:
    with bridge() as one:
        yield one


@pytest.fixture(scope="session")
def _browser() -> Iterator[Chromium]:
    try:
        with chromium() as one:
            yield one
    except Missing:
        missing("Chromium (chromium, chromium-driver)", "make test-deps")


@pytest.fixture
def tab(_browser: Chromium) -> Chromium:
    """A browser as it comes: at a desk, light, in British English, with scripts."""
    return _browser.look()


@pytest.fixture(scope="session")
def packages() -> Path:
    """What npm installed to check pages with."""
    found = HERE / "node_modules"
    if not found.exists():
        missing("tests/browser/node_modules", "make clients")
    return found
