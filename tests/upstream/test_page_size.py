"""Pages of every size: what upstream gives is learned once, and remembered in the store."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from clocks import ManualClock
from upstream_client import TOKEN, UpstreamClient

from bridge.sandbox import records
from bridge.sandbox.api import create_api
from bridge.sandbox.http_server import SandboxServer
from bridge.sandbox.list_params import Dialect
from bridge.sandbox.studio import Studio, event
from bridge.store.memory import MemoryStore
from bridge.upstream.sources import EVENTS

Connect = Callable[..., UpstreamClient]
START = datetime(2026, 12, 1, 18, tzinfo=UTC)


class Upstream(SandboxServer):
    """A sandbox with 520 classes that records the page sizes of its requests."""

    def __init__(self, dialect: Dialect) -> None:
        studio = Studio(
            venues=[records.venue(12, "Hall", "Europe/London")],
            offering_types=[records.offering_type(31, "Spin")],
            events=[
                event(id=n, starts_at=START + timedelta(hours=n), venue=12, offering_type=31)
                for n in range(1, 521)
            ],
        )
        api = create_api(studio, token=TOKEN, dialect=dialect, requests_per_minute=100_000)
        self.sizes: list[str] = []
        inner = api.wsgi_app

        def recorded(environ: Any, start_response: Any) -> Any:
            query = environ["QUERY_STRING"]
            self.sizes.extend(
                pair.partition("=")[2] for pair in query.split("&") if pair.startswith("page_size=")
            )
            return inner(environ, start_response)

        api.wsgi_app = recorded  # type: ignore[method-assign]
        super().__init__(api)


@contextmanager
def upstream(**dialect: Any) -> Iterator[Upstream]:
    with Upstream(Dialect(**dialect)) as server:
        yield server


def test_the_vendors_largest_page_is_requested(connect: Connect) -> None:
    with upstream() as server:
        assert len(connect(server.url, source=EVENTS).ids()) == 520
        assert server.sizes == ["250"] * 3


@pytest.mark.parametrize(
    ("over_limit", "first_walk"),
    [("clamp", ["250"] * 6), ("refuse", ["250"] + ["100"] * 6)],
)
def test_an_upstream_with_smaller_pages_is_asked_for_those_from_then_on(
    connect: Connect, over_limit: str, first_walk: list[str]
) -> None:
    store = MemoryStore(ManualClock())
    with upstream(max_page_size=100, over_limit=over_limit) as server:
        client = connect(server.url, source=EVENTS, store=store)
        assert len(client.ids()) == 520
        assert sorted(server.sizes) == sorted(first_walk)
        server.sizes.clear()
        # Another process with the same store knows it, too.
        assert len(connect(server.url, source=EVENTS, store=store).ids()) == 520
        assert server.sizes == ["100"] * 6


def test_a_page_that_holds_everything_teaches_nothing(connect: Connect) -> None:
    with upstream() as server:
        client = connect(server.url, source=EVENTS)
        assert client.ids(starts_at_lte=START + timedelta(hours=5)) == [1, 2, 3, 4, 5]
        client.ids()
        assert set(server.sizes) == {"250"}
