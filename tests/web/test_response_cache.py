"""The response cache: what it gives, for how long, and what it says (RFC 9111, 9110, 9211)."""

from dataclasses import replace
from typing import Any

import pytest
from clocks import ManualClock

from bridge.feeds.feed import Body
from bridge.snapshots.cache import CacheOutcome
from bridge.web.middleware.response_cache import CacheRequest, PreparedResponse, ResponseCache
from bridge.web.representation import Freshness, Representation

KEY = CacheRequest(("http", "/venues/12.ics", b"", "localhost"), ("en", "en-GB"))
GERMAN = replace(KEY, language=("de", "de"))
PLAIN = b"BEGIN:VCALENDAR " * 100


class Cached:
    """A response cache, and what a test asks of it.

    Attributes:
        token: the change token; another value means that there may be something newer.
    """

    def __init__(self, clock: ManualClock, max_bytes: int = 1_000_000) -> None:
        self.clock = clock
        self.token = 0
        self.cache = ResponseCache(clock, max_bytes=max_bytes, change_token=lambda: self.token)

    def made(self, plain: bytes = PLAIN, **fields: Any) -> Representation:
        """A representation of *plain*, fresh for 300 seconds unless *fields* say otherwise."""
        body = Body.of(plain, changed=self.clock.now() - 3600, name="", sessions=1)
        fields.setdefault("freshness", self.freshness())
        return Representation(
            body, headers=[("Vary", "Accept-Encoding")], content=[("X-Of", "200")], **fields
        )

    def freshness(
        self,
        served: CacheOutcome = CacheOutcome.HIT,
        *,
        left: float = 300,
        age: float = 0,
        **fields: Any,
    ) -> Freshness:
        fields.setdefault("servable", left + 600)
        return Freshness(served, age, left, at=self.clock.monotonic(), **fields)

    def put(self, representation: Representation | None, key: CacheRequest = KEY) -> None:
        self.cache.put(key, representation, token=self.token, noted=None)

    def get(self, request: CacheRequest = KEY, **fields: Any) -> PreparedResponse | None:
        return self.cache.get(replace(request, **fields))


@pytest.fixture
def cached(clock: ManualClock) -> Cached:
    return Cached(clock)


def said(answer: PreparedResponse | None) -> dict[str, str]:
    assert answer is not None
    return {name.decode(): value.decode() for name, value in answer.headers}


def state(cached: Cached) -> str:
    return said(cached.get())["cache-status"]


# What it gives


def test_what_was_kept_is_given_again_whole(cached: Cached) -> None:
    representation = cached.made()
    cached.put(representation)
    answer = cached.get()
    assert answer is not None
    assert (answer.status, answer.served) == (200, CacheOutcome.HIT)
    # not a copy: a thousand feeds take the memory of a thousand
    assert answer.body is representation.body.plain
    assert said(answer)["content-length"] == str(len(PLAIN))


def test_each_coding_has_its_own_bytes_and_validator(cached: Cached) -> None:
    representation = cached.made()
    cached.put(representation)
    plain, zipped = cached.get(), cached.get(zipped=True)
    assert zipped is not None
    assert zipped.body is representation.body.zipped
    assert said(zipped)["content-encoding"] == "gzip"
    assert "content-encoding" not in said(plain)
    assert said(zipped)["etag"] == said(plain)["etag"][:-1] + '-gz"'


def test_who_has_it_gets_a_304_that_says_nothing_of_content(cached: Cached) -> None:
    cached.put(cached.made())
    whole = said(cached.get())
    conditions = {"if_none_match": whole["etag"]}, {"if_modified_since": whole["last-modified"]}
    for condition in conditions:
        bare = cached.get(**condition)
        assert bare is not None
        assert (bare.status, bare.body) == (304, b"")
    content = {"x-of", "content-length", "last-modified"}
    assert said(bare) == {name: value for name, value in whole.items() if name not in content}


def test_another_address_is_another_answer(cached: Cached) -> None:
    cached.put(cached.made())
    assert cached.get(replace(KEY, address=("http", "/venues/13.ics", b"", "localhost"))) is None


def test_what_depends_on_no_language_is_kept_once_for_all(cached: Cached) -> None:
    cached.put(cached.made())
    assert cached.get(GERMAN) is not None


def test_what_depends_on_a_language_is_kept_for_each(cached: Cached) -> None:
    cached.put(cached.made(b"English", by_language=True))
    assert cached.get(GERMAN) is None
    cached.put(cached.made(b"Deutsch", by_language=True), GERMAN)
    english, german = cached.get(), cached.get(GERMAN)
    assert english is not None
    assert german is not None
    assert (english.body, german.body) == (b"English", b"Deutsch")


# For how long


@pytest.mark.parametrize("second", [0, 1, 299])
def test_age_and_what_is_left_are_right_at_any_second(cached: Cached, second: int) -> None:
    cached.put(cached.made(freshness=cached.freshness(age=7)))
    cached.clock.move(second)
    cached.get()  # this one revalidates
    headers = said(cached.get())
    assert headers["age"] == str(7 + second)
    assert headers["cache-status"] == f"bridge; hit; ttl={300 - second}"


def test_nothing_fresh_is_given_beyond_its_lifetime(cached: Cached) -> None:
    cached.put(cached.made())
    cached.clock.move(299.9)
    assert [cached.get() is None for _ in range(2)] == [True, False]
    cached.clock.move(0.1)
    assert [cached.get() for _ in range(3)] == [None] * 3


def test_time_that_passed_before_it_was_kept_counts(cached: Cached) -> None:
    representation = cached.made()
    cached.clock.move(10)
    cached.put(representation)
    cached.get()
    assert said(cached.get())["age"] == "10"


def test_once_a_second_one_request_goes_to_the_application(cached: Cached) -> None:
    cached.put(cached.made())
    for _ in range(3):
        assert cached.get() is not None
        cached.clock.move(1)
        # while it is asked the others are answered
        assert [cached.get() is None for _ in range(4)] == [True, False, False, False]


def test_an_application_that_fails_takes_nothing_fresh_away(cached: Cached) -> None:
    cached.put(cached.made())
    cached.clock.move(1)
    assert cached.get() is None
    cached.put(None)
    assert cached.get() is not None


@pytest.mark.parametrize("seconds", [3600.0, -3600.0])
def test_nothing_from_before_the_clock_was_set_is_given(cached: Cached, seconds: float) -> None:
    cached.put(cached.made())
    cached.clock.set_wall(seconds)
    assert cached.get() is None


def test_clocks_may_drift_apart_a_little(cached: Cached) -> None:
    cached.put(cached.made())
    cached.clock.set_wall(1.5)
    assert cached.get() is not None


def test_what_is_cut_from_no_snapshot_is_kept_for_its_max_age(cached: Cached) -> None:
    cached.put(cached.made(freshness=None, max_age=60))
    headers = said(cached.get())
    assert headers["age"] == "0"
    assert "cache-status" not in headers
    cached.clock.move(60)
    assert cached.get() is None


@pytest.mark.parametrize("fields", [{"max_age": 0}, {}])
def test_what_says_no_lifetime_is_not_kept(cached: Cached, fields: dict[str, int]) -> None:
    cached.put(cached.made(freshness=None, **fields))
    assert cached.get() is None


# What it says of a copy that is stale


@pytest.mark.parametrize(
    ("first", "later"),
    [
        (CacheOutcome.FETCHED, "bridge; hit; ttl=299"),
        (CacheOutcome.REFRESHED, "bridge; hit; ttl=299"),
        (CacheOutcome.HIT, "bridge; hit; ttl=299"),
    ],
)
def test_whatever_made_it_fresh_later_it_is_a_hit(
    cached: Cached, first: CacheOutcome, later: str
) -> None:
    cached.put(cached.made(freshness=cached.freshness(first)))
    cached.clock.move(0.5)
    assert state(cached) == later


@pytest.mark.parametrize(
    ("served", "says"),
    [
        (CacheOutcome.STALE, "bridge; hit; ttl=-40; detail=stale"),
        (CacheOutcome.FAILED, "bridge; fwd=stale; detail=failed"),
    ],
)
def test_a_stale_copy_says_what_it_is(cached: Cached, served: CacheOutcome, says: str) -> None:
    cached.put(cached.made(freshness=cached.freshness(served, left=-40)))
    assert state(cached) == says


def test_several_details_are_one_string(cached: Cached) -> None:
    cached.put(cached.made(freshness=cached.freshness(CacheOutcome.FAILED, left=-40, trimmed=True)))
    assert state(cached) == 'bridge; fwd=stale; detail="failed, trimmed"'


def test_a_stale_copy_stands_in_for_six_seconds_while_the_application_takes_its_time(
    cached: Cached,
) -> None:
    cached.put(cached.made(freshness=cached.freshness(CacheOutcome.STALE, left=-1)))
    for _ in range(5):
        cached.clock.move(1)
        assert [cached.get() is None for _ in range(2)] == [True, False]
    cached.clock.move(1)
    assert [cached.get() for _ in range(2)] == [None, None]


def test_a_stale_copy_is_given_no_longer_than_it_may_be_served(cached: Cached) -> None:
    cached.put(cached.made(freshness=cached.freshness(CacheOutcome.STALE, left=-9, servable=0.5)))
    assert cached.get() is not None
    cached.clock.move(0.5)
    assert cached.get() is None


def test_what_may_have_changed_is_asked_for_at_once_where_the_copy_is_stale(
    cached: Cached,
) -> None:
    cached.put(cached.made(freshness=cached.freshness(CacheOutcome.STALE, left=-9)))
    assert cached.get() is not None
    cached.token += 1
    assert [cached.get() is None for _ in range(2)] == [True, False]


def test_what_changes_while_the_application_is_asked_is_not_missed(cached: Cached) -> None:
    token = cached.cache.token()
    cached.token += 1
    stale = cached.made(freshness=cached.freshness(CacheOutcome.STALE, left=-9))
    cached.cache.put(KEY, stale, token=token, noted=None)
    assert cached.get() is None


@pytest.mark.parametrize("fresh", [None, "something else"])
def test_a_stale_copy_is_gone_once_the_application_says_something_else(
    cached: Cached, fresh: str | None
) -> None:
    cached.put(cached.made(freshness=cached.freshness(CacheOutcome.STALE, left=-9)))
    cached.put(cached.made(b"new") if fresh else None)
    answer = cached.get()
    assert (answer and answer.body) == (b"new" if fresh else None)


# Bounds


def test_what_is_kept_stays_below_the_limit(clock: ManualClock) -> None:
    cached = Cached(clock, max_bytes=50_000)
    for number in range(100):
        for _ in range(2):
            cached.put(cached.made(), replace(KEY, address=(number,)))
    assert 0 < cached.cache.size <= 50_000


def test_addresses_that_are_asked_for_once_drive_nothing_out(clock: ManualClock) -> None:
    cached = Cached(clock, max_bytes=50_000)
    cached.put(cached.made())
    for number in range(100):
        cached.put(cached.made(), replace(KEY, address=(number,)))
    assert cached.get() is not None


@pytest.mark.parametrize("max_bytes", [0, 1_000])
def test_nothing_larger_than_the_cache_is_kept(clock: ManualClock, max_bytes: int) -> None:
    cached = Cached(clock, max_bytes=max_bytes)
    cached.put(cached.made())
    assert cached.get() is None


def test_a_trusted_proxy_is_told_the_seconds_that_are_left(cached: Cached) -> None:
    cached.put(cached.made(accel=True))
    cached.clock.move(0.5)
    assert said(cached.get())["x-accel-expires"] == "299"
    # nginx would not keep it at all for 0
    cached.put(cached.made(accel=True, freshness=cached.freshness(CacheOutcome.STALE, left=-40)))
    assert said(cached.get())["x-accel-expires"] == "1"
