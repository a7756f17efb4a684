"""A client and a walker for a test server, and a check that errors reveal no secrets."""

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from bridge.clock import Clock
from bridge.errors import Cause, UpstreamError
from bridge.filters import FilterSet
from bridge.store.request_budget import SharedRequestBudget
from bridge.upstream.client import Client, RequestContext
from bridge.upstream.deadline import Deadline
from bridge.upstream.pagination import Walk, Walker

TOKEN = "s3cret_token_of_the_tests"
VENDOR_TEXT = "canary: text of the vendor"


@dataclass(frozen=True)
class UpstreamClient:
    """All parts that send requests to upstream, and their clock."""

    http: Client
    budget: SharedRequestBudget
    walker: Walker
    clock: Clock

    def page(self, number: int = 1, *, seconds: float = 120.0) -> Mapping[str, Any]:
        context = RequestContext(Deadline(self.clock, seconds))
        return self.http.page("course_sessions", [("page", str(number))], context)

    def walk(self, **filters: Any) -> Walk:
        return self.walker.walk(FilterSet.of(**filters))

    def ids(self, **filters: Any) -> list[int]:
        return sorted(session.id for session in self.walk(**filters).sessions)


def failure_of(call: Callable[[], object]) -> Cause:
    """The cause with which *call* fails; the error contains neither the token nor vendor text."""
    with pytest.raises(UpstreamError) as caught:
        call()
    error = caught.value
    trace = "".join(traceback.format_exception(error))
    for text in (trace, str(error), repr(error), repr(error.cause), repr(error.__dict__)):
        assert TOKEN not in text
        assert VENDOR_TEXT not in text
    return error.cause
