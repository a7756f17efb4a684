"""The response cache: responses, lifetimes and headers (RFC 9110, 9111, 9211)."""

from dataclasses import replace
from typing import Any

import pytest
from clocks import ManualClock

from bridge.bounded_cache import CacheMemory
from bridge.feeds.feed import Body
from bridge.snapshots.cache import CacheOutcome
from bridge.web.middleware.response_cache import CacheRequest, PreparedResponse, ResponseCache
from bridge.web.representation import Freshness, Representation

KEY = CacheRequest(("http", "/venues/12.ics", b"", "localhost"), ("en", "en-GB"))
GERMAN = replace(KEY, language=("de", "de"))
PLAIN = b"BEGIN:VCALENDAR " * 100


class Cached:
    """A response cache with helpers for tests.

    Attributes:
        token: the change token.
    """

    def __init__(self, clock: ManualClock, max_bytes: int = 1_000_000) -> None:
        self.clock = clock
        self.token = 0
        self.cache = ResponseCache(
            clock, memory=CacheMemory(max_bytes), change_token=lambda: self.token
        )

    def representation(self, plain: bytes = PLAIN, **fields: Any) -> Representation:
        """A representation of *plain*; by default it is fresh for 300 seconds."""
        body = Body.of(plain, changed=self.clock.now() - 3600, name="", sessions=1)
        fields.setdefault("freshness", self.freshness())
        return Representation(
            body, headers=[("Vary", "Accept-Encoding")], content=[("X-Of", "200")], **fields
        )

    def freshness(
        self,
        outcome: CacheOutcome = CacheOutcome.HIT,
        *,
        fresh_for: float = 300,
        age: float = 0,
        **fields: Any,
    ) -> Freshness:
        fields.setdefault("servable_for", fresh_for + 600)
        return Freshness(outcome, age, fresh_for, at=self.clock.monotonic(), **fields)

    def put(self, representation: Representation | None, key: CacheRequest = KEY) -> None:
        self.cache.put(key, representation, token=self.token, route_info=None)

    def get(self, request: CacheRequest = KEY, **fields: Any) -> PreparedResponse | None:
        return self.cache.get(replace(request, **fields))


@pytest.fixture
def cached(clock: ManualClock) -> Cached:
    return Cached(clock)


def headers_of(response: PreparedResponse | None) -> dict[str, str]:
    assert response is not None
    return {name.decode(): value.decode() for name, value in response.headers}


def state(cached: Cached) -> str:
    return headers_of(cached.get())["cache-status"]


# Responses


def test_a_response_is_served_again(cached: Cached) -> None:
    representation = cached.representation()
    cached.put(representation)
    response = cached.get()
    assert response is not None
    assert (response.status, response.outcome) == (200, CacheOutcome.HIT)
    # not a copy, to save memory
    assert response.body is representation.body.plain
    assert headers_of(response)["content-length"] == str(len(PLAIN))


def test_responses_without_language_are_shared_by_all_languages(cached: Cached) -> None:
    cached.put(cached.representation())
    assert cached.get(GERMAN) is not None


# Lifetimes


@pytest.mark.parametrize("second", [0, 1, 299])
def test_age_and_ttl_are_current(cached: Cached, second: int) -> None:
    cached.put(cached.representation(freshness=cached.freshness(age=7)))
    cached.clock.move(second)
    cached.get()  # this one revalidates
    headers = headers_of(cached.get())
    assert headers["age"] == str(7 + second)
    assert headers["cache-status"] == f"bridge; hit; ttl={300 - second}"


def test_fresh_responses_are_not_served_after_their_lifetime(cached: Cached) -> None:
    cached.put(cached.representation())
    cached.clock.move(299.9)
    assert [cached.get() is None for _ in range(2)] == [True, False]
    cached.clock.move(0.1)
    assert [cached.get() for _ in range(3)] == [None] * 3


def test_the_age_includes_the_time_before_it_was_cached(cached: Cached) -> None:
    representation = cached.representation()
    cached.clock.move(10)
    cached.put(representation)
    cached.get()
    assert headers_of(cached.get())["age"] == "10"


def test_a_failing_application_does_not_remove_fresh_responses(cached: Cached) -> None:
    cached.put(cached.representation())
    cached.clock.move(1)
    assert cached.get() is None
    cached.put(None)
    assert cached.get() is not None


@pytest.mark.parametrize("seconds", [3600.0, -3600.0])
def test_responses_are_not_served_after_the_clock_was_set(cached: Cached, seconds: float) -> None:
    cached.put(cached.representation())
    cached.clock.set_wall(seconds)
    assert cached.get() is None


def test_a_small_difference_of_the_clocks_is_accepted(cached: Cached) -> None:
    cached.put(cached.representation())
    cached.clock.set_wall(1.5)
    assert cached.get() is not None


def test_without_a_snapshot_a_response_is_kept_for_max_age(cached: Cached) -> None:
    cached.put(cached.representation(freshness=None, max_age=60))
    headers = headers_of(cached.get())
    assert headers["age"] == "0"
    assert "cache-status" not in headers
    cached.clock.move(60)
    assert cached.get() is None


@pytest.mark.parametrize("fields", [{"max_age": 0}, {}])
def test_without_a_lifetime_a_response_is_not_kept(cached: Cached, fields: dict[str, int]) -> None:
    cached.put(cached.representation(freshness=None, **fields))
    assert cached.get() is None


# Stale responses


@pytest.mark.parametrize(
    ("first", "later"),
    [
        (CacheOutcome.FETCHED, "bridge; hit; ttl=299"),
        (CacheOutcome.REFRESHED, "bridge; hit; ttl=299"),
        (CacheOutcome.HIT, "bridge; hit; ttl=299"),
    ],
)
def test_a_cached_fresh_response_is_a_hit(cached: Cached, first: CacheOutcome, later: str) -> None:
    cached.put(cached.representation(freshness=cached.freshness(first)))
    cached.clock.move(0.5)
    assert state(cached) == later


def test_several_details_are_a_string(cached: Cached) -> None:
    cached.put(
        cached.representation(
            freshness=cached.freshness(CacheOutcome.FAILED, fresh_for=-40, trimmed=True)
        )
    )
    assert state(cached) == 'bridge; fwd=stale; detail="failed, trimmed"'


def test_a_stale_response_is_served_for_six_seconds_while_the_application_is_slow(
    cached: Cached,
) -> None:
    cached.put(cached.representation(freshness=cached.freshness(CacheOutcome.STALE, fresh_for=-1)))
    for _ in range(5):
        cached.clock.move(1)
        assert [cached.get() is None for _ in range(2)] == [True, False]
    cached.clock.move(1)
    assert [cached.get() for _ in range(2)] == [None, None]


def test_a_stale_response_is_not_served_longer_than_allowed(cached: Cached) -> None:
    cached.put(
        cached.representation(
            freshness=cached.freshness(CacheOutcome.STALE, fresh_for=-9, servable_for=0.5)
        )
    )
    assert cached.get() is not None
    cached.clock.move(0.5)
    assert cached.get() is None


def test_changes_during_a_call_of_the_application_are_noticed(cached: Cached) -> None:
    token = cached.cache.token()
    cached.token += 1
    stale = cached.representation(freshness=cached.freshness(CacheOutcome.STALE, fresh_for=-9))
    cached.cache.put(KEY, stale, token=token, route_info=None)
    assert cached.get() is None


@pytest.mark.parametrize("fresh", [None, "something else"])
def test_a_stale_response_is_removed_once_the_application_answers_differently(
    cached: Cached, fresh: str | None
) -> None:
    cached.put(cached.representation(freshness=cached.freshness(CacheOutcome.STALE, fresh_for=-9)))
    cached.put(cached.representation(b"new") if fresh else None)
    response = cached.get()
    assert (response and response.body) == (b"new" if fresh else None)


# Limits


def test_the_size_is_limited(clock: ManualClock) -> None:
    cached = Cached(clock, max_bytes=50_000)
    for number in range(100):
        for _ in range(2):
            cached.put(cached.representation(), replace(KEY, address=(number,)))
    assert 0 < cached.cache.size <= 50_000


def test_addresses_requested_once_evict_nothing(clock: ManualClock) -> None:
    cached = Cached(clock, max_bytes=50_000)
    cached.put(cached.representation())
    for number in range(100):
        cached.put(cached.representation(), replace(KEY, address=(number,)))
    assert cached.get() is not None


@pytest.mark.parametrize("max_bytes", [0, 1_000])
def test_responses_larger_than_the_cache_are_not_kept(clock: ManualClock, max_bytes: int) -> None:
    cached = Cached(clock, max_bytes=max_bytes)
    cached.put(cached.representation())
    assert cached.get() is None


def test_x_accel_expires_is_the_remaining_lifetime(cached: Cached) -> None:
    cached.put(cached.representation(accel=True))
    cached.clock.move(0.5)
    assert headers_of(cached.get())["x-accel-expires"] == "299"
    # nginx does not cache for 0 seconds
    cached.put(
        cached.representation(
            accel=True, freshness=cached.freshness(CacheOutcome.STALE, fresh_for=-40)
        )
    )
    assert headers_of(cached.get())["x-accel-expires"] == "1"


def test_the_address_of_a_private_feed_is_not_in_the_repr_of_its_request() -> None:
    request = CacheRequest(("http", "/private/a-secret.ics", b"", "localhost"))
    assert "a-secret" not in repr(request)
