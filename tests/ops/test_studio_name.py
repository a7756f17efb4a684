"""The studio's name: from the settings, or from TeamUp once a day."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from clocks import ManualClock
from flask import request
from web.pages import page

from bridge.ops import studio_name
from bridge.sandbox.api import PROVIDER_NAME, create_api
from bridge.sandbox.http_server import SandboxServer
from bridge.sandbox.studio import Studio
from bridge.services import Services
from bridge.store.leases import Lease, acquire
from bridge.store.memory import MemoryStore
from bridge.web import create_app

TOKEN = "a-token-of-the-tests"
DAY = 86_400


class Upstream(SandboxServer):
    """The demo studio as the provider 123, which counts the requests for its name.

    Attributes:
        answer: replaces the answer to such a request.
    """

    def __init__(self, studio: Studio) -> None:
        api = create_api(studio, token=TOKEN, provider_id="123", requests_per_minute=100_000)
        api.before_request(self._begin)
        self.answer: Any = None
        self.asked = 0
        super().__init__(api)

    def _begin(self) -> Any:
        if "/providers/" not in request.path:
            return None
        self.asked += 1
        return self.answer


@pytest.fixture
def provider() -> Iterator[Upstream]:
    with Upstream(Studio()) as server:
        yield server


@pytest.fixture
def make(make_bridge: Callable[..., Services], provider: Upstream) -> Callable[..., Services]:
    """Creates bridges with the id of the provider."""

    def bridge(**fields: Any) -> Services:
        return make_bridge(base_url=provider.url, **{"provider_id": "123", **fields})

    return bridge


def test_pages_are_headed_by_the_name_that_teamup_has(make: Any) -> None:
    parts = make()
    client = create_app(parts).test_client()
    assert PROVIDER_NAME not in page(client, "/").text
    parts.studio_name.refresh()
    assert f"<h1><bdi>{PROVIDER_NAME}</bdi></h1>" in page(client, "/").source
    assert PROVIDER_NAME in page(client, "/sessions").text


def test_the_name_of_the_settings_goes_before_it(make: Any, provider: Upstream) -> None:
    parts = make(studio_name="Own name")
    parts.studio_name.refresh()
    assert (parts.studio_name.current, provider.asked) == ("Own name", 0)


def test_without_the_id_of_the_provider_teamup_is_not_asked(make: Any, provider: Upstream) -> None:
    parts = make(provider_id=None)
    parts.studio_name.refresh()
    assert (parts.studio_name.current, provider.asked) == ("", 0)


def test_the_fleet_asks_once_a_day(make: Any, provider: Upstream, clock: ManualClock) -> None:
    store = MemoryStore(clock)
    fleet = [make(store=store) for _ in range(3)]
    for parts in fleet * 2:
        parts.studio_name.refresh()
    assert {parts.studio_name.current for parts in fleet} == {PROVIDER_NAME}
    assert provider.asked == 1
    provider.answer = {"id": 123, "name": "New\nname "}
    clock.move(DAY + 1)
    for parts in fleet:
        parts.studio_name.refresh()
    assert {parts.studio_name.current for parts in fleet} == {"New name"}
    assert provider.asked == 2


@pytest.mark.parametrize("answer", [({"code": "permission_denied"}, 403), ("<html>", 200)])
def test_after_a_failure_the_last_name_stays_for_an_hour(
    make: Any, provider: Upstream, clock: ManualClock, answer: Any
) -> None:
    parts = make()
    parts.studio_name.refresh()
    provider.answer = answer
    clock.move(DAY + 1)
    parts.studio_name.refresh()
    failed = provider.asked
    parts.studio_name.refresh()
    assert (parts.studio_name.current, provider.asked) == (PROVIDER_NAME, failed)
    provider.answer = {"name": "Another"}
    clock.move(3_601)
    parts.studio_name.refresh()
    assert parts.studio_name.current == "Another"


@pytest.mark.parametrize("name", [None, 5, {"en": "x"}, ""])
def test_an_answer_without_a_name_is_no_name(make: Any, provider: Upstream, name: Any) -> None:
    provider.answer = {"id": 123, "name": name}
    parts = make()
    parts.studio_name.refresh()
    assert parts.studio_name.current == ""


def test_a_bridge_that_stops_does_not_ask(make: Any, provider: Upstream) -> None:
    parts = make()
    parts.stop_refreshing()
    parts.studio_name.refresh()
    assert provider.asked == 0


def test_a_bridge_that_stops_while_it_begins_to_ask_asks_for_its_own_studio(
    make: Any, provider: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = make()

    def acquire_and_stop(*args: Any) -> Lease | None:
        parts.studio_name.close()
        return acquire(*args)

    monkeypatch.setattr(studio_name, "acquire", acquire_and_stop)
    parts.studio_name.refresh()
    assert parts.studio_name.current == PROVIDER_NAME


def test_the_lease_is_released_after_an_unexpected_error(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = make()
    monkeypatch.setattr(studio_name, "provider_name", lambda *args: 1 / 0)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            parts.studio_name.refresh()
