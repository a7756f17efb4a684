"""One client and one walker in front of a server, and what every failure must keep to itself."""

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from bridge.clock import Clock
from bridge.errors import Cause, UpstreamError
from bridge.filters import FilterSet
from bridge.store.rate_limit import SharedRequestBudget
from bridge.upstream.client import Client
from bridge.upstream.deadline import Deadline
from bridge.upstream.pagination import Walk, Walker

TOKEN = "s3cret_token_of_the_tests"
SAID_BY_VENDOR = "canary: what the vendor said"


@dataclass(frozen=True)
class Asker:
    """What asks upstream, with the clock that it goes by."""

    client: Client
    budget: SharedRequestBudget
    walker: Walker
    clock: Clock

    def page(self, number: int = 1, *, seconds: float = 120.0) -> Mapping[str, Any]:
        limit = Deadline(self.clock, seconds)
        return self.client.page("course_sessions", [("page", str(number))], limit=limit)

    def walk(self, **filters: Any) -> Walk:
        return self.walker.walk(FilterSet.of(**filters))

    def ids(self, **filters: Any) -> list[int]:
        return sorted(session.id for session in self.walk(**filters).sessions)


def failing(call: Callable[[], object]) -> Cause:
    """The cause that *call* fails with; it tells neither the token nor what the vendor wrote."""
    with pytest.raises(UpstreamError) as caught:
        call()
    error = caught.value
    told = "".join(traceback.format_exception(error))
    for text in (told, str(error), repr(error), repr(error.cause), repr(error.__dict__)):
        assert TOKEN not in text
        assert SAID_BY_VENDOR not in text
    return error.cause
