"""Clients of test servers; all are closed after the test."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from clocks import ManualClock
from upstream_client import TOKEN, UpstreamClient

from bridge.clock import Clock
from bridge.config import ListStyle
from bridge.store.interface import Store
from bridge.store.keys import Keys
from bridge.store.memory import MemoryStore
from bridge.store.request_budget import SharedRequestBudget
from bridge.upstream.account import Account
from bridge.upstream.client import Client
from bridge.upstream.pagination import Walker, WalkLimits
from bridge.upstream.sources import COURSE_SESSIONS, Source


@pytest.fixture
def connect() -> Iterator[Callable[..., UpstreamClient]]:
    """A function that creates a client for a base address. By default its clock skips waits."""
    clients: list[Client] = []

    def create(
        url: str,
        *,
        clock: Clock | None = None,
        store: Store | None = None,
        per_minute: int = 100_000,
        concurrency: int = 4,
        style: ListStyle = ListStyle.CSV,
        limits: WalkLimits | None = None,
        source: Source = COURSE_SESSIONS,
        **account_fields: Any,
    ) -> UpstreamClient:
        clock = clock or ManualClock(skip=True)
        account = Account(
            **{"token": TOKEN, "schemes": ("Bearer",), "base_url": url, **account_fields}
        )
        store = store or MemoryStore(clock)
        budget = SharedRequestBudget(store, Keys(account.name), per_minute=per_minute)
        client = Client(account, budget, clock, connections=concurrency)
        clients.append(client)
        walker = Walker(
            client,
            budget,
            source,
            clock,
            style=style,
            concurrency=concurrency,
            limits=limits or WalkLimits(),
        )
        return UpstreamClient(client, budget, walker, clock)

    yield create
    for client in clients:
        client.close()
