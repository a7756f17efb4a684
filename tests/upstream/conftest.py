"""Askers in front of any server; all are closed at the end."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asking import TOKEN, Asker
from clocks import ManualClock

from bridge.clock import Clock
from bridge.config import ListStyle
from bridge.store.interface import Store
from bridge.store.keys import Keys
from bridge.store.memory import MemoryStore
from bridge.store.rate_limit import SharedRequestBudget
from bridge.upstream.account import Account
from bridge.upstream.client import Client
from bridge.upstream.pagination import Walker
from bridge.upstream.sources import COURSE_SESSIONS


@pytest.fixture
def asker() -> Iterator[Callable[..., Asker]]:
    """Makes one by the address of its upstream; its clock skips all waiting."""
    made: list[Client] = []

    def make(
        url: str,
        *,
        clock: Clock | None = None,
        store: Store | None = None,
        per_minute: int = 100_000,
        concurrency: int = 4,
        style: ListStyle = ListStyle.CSV,
        **account: Any,
    ) -> Asker:
        clock = clock or ManualClock(skip=True)
        who = Account(**{"token": TOKEN, "schemes": ("Bearer",), "base_url": url, **account})
        store = store or MemoryStore(clock)
        budget = SharedRequestBudget(store, Keys(who.name), per_minute=per_minute)
        client = Client(who, budget, clock, connections=concurrency)
        made.append(client)
        walker = Walker(
            client,
            budget,
            COURSE_SESSIONS,
            clock,
            origin=who.origin,
            style=style,
            concurrency=concurrency,
        )
        return Asker(client, budget, walker, clock)

    yield make
    for client in made:
        client.close()
