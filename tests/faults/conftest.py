"""Scenes: bridges in front of an upstream of bare sockets that can be made to fail."""

from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

import pytest
from scenes import HURRY, NOW, HurriedClock, Scene, Vendor
from structlog.testing import capture_logs
from upstreams.rows import timetable

from bridge import services
from bridge.config import Config
from bridge.services import Services

PAGE_SECONDS = 10 / HURRY


@pytest.fixture
def hurried() -> HurriedClock:
    return HurriedClock()


@pytest.fixture
def vendor(hurried: HurriedClock) -> Iterator[Vendor]:
    """An upstream with three pages of sessions to come."""
    rows = timetable(50, NOW)
    with Vendor(rows) as upstream:
        yield upstream


@pytest.fixture
def scene(
    vendor: Vendor, hurried: HurriedClock, settings: Callable[..., Config]
) -> Iterator[Scene]:
    """Its bridges are closed at the end."""
    made: list[Services] = []

    def build(*, store: Any = None, at: Any = None, **fields: Any) -> Services:
        fields.setdefault("base_url", vendor.url)
        parts = services.build(settings(**fields), clock=at or hurried, store=store)
        made.append(parts)
        return parts

    stage = Scene(vendor, hurried, build)
    yield stage
    # What is under way ends now, and not in the middle of the next test.
    vendor.stop()
    hurried.move(1_000)
    stage.quiet()
    for parts in made:
        parts.close()


@pytest.fixture
def short_pages(monkeypatch: pytest.MonkeyPatch) -> float:
    """A page's deadline, and that of a connection, as hurried as the clock."""
    monkeypatch.setattr("bridge.upstream.client.PAGE_SECONDS", PAGE_SECONDS)
    monkeypatch.setattr("bridge.upstream.client._CONNECT_SECONDS", PAGE_SECONDS / 2)
    return PAGE_SECONDS


@pytest.fixture
def events() -> Iterator[list[MutableMapping[str, Any]]]:
    """What is logged during the test."""
    with capture_logs() as logged:
        yield logged
