"""The HTTP cache as RFC 9111 has it; most of what applies of http-tests/cache-tests."""

import math
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from clocks import ManualClock
from werkzeug.test import Client, TestResponse, create_environ, run_wsgi_app

from bridge.web.httpcache import HttpCache
from bridge.web.negotiation import VARYING

TAG = '"1a2b"'
MODIFIED = "Mon, 23 Nov 2026 11:00:00 GMT"
LATER = "Mon, 23 Nov 2026 11:00:01 GMT"
AT_HAND = "bridge; hit; ttl=99999"
EARLIER = "Mon, 23 Nov 2026 10:59:59 GMT"


class Origin:
    """Answers with what it is told to, and counts; each body names its number."""

    def __init__(self) -> None:
        self.count = 0
        self.status = "200 OK"
        self.headers: dict[str, str] = {"Cache-Control": "public, max-age=300"}
        self.asked: list[dict[str, Any]] = []
        self.body: Callable[[int], bytes] = lambda number: b"body %d" % number
        self.note: str | None = None

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        self.count += 1
        self.asked.append(dict(environ))
        if self.note is not None:
            environ["origin.route"] = self.note
        body = self.body(self.count)
        headers = {"Content-Length": str(len(body)), "Cache-Status": AT_HAND}
        headers |= self.headers
        start_response(self.status, [*headers.items()])
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body]


@pytest.fixture
def origin() -> Origin:
    return Origin()


@pytest.fixture
def cache(origin: Origin, clock: ManualClock) -> HttpCache:
    return cache_of(origin, clock)


def cache_of(
    application: Any, clock: ManualClock, max_bytes: int = 1_000_000, again: float = math.inf
) -> HttpCache:
    return HttpCache(
        application,
        clock,
        max_bytes=max_bytes,
        again=again,
        varying=VARYING,
        keep=("origin.route",),
        details=("stale", "failed", "trimmed"),
    )


@pytest.fixture
def client(cache: HttpCache) -> Client:
    return Client(cache)


def hit(answer: TestResponse) -> bool:
    """Whether it came from the cache, which says other than the origin how long it is fresh."""
    return answer.headers["Cache-Status"] != AT_HAND


# Keeping


def test_what_is_fresh_is_given_again(client: Client, origin: Origin) -> None:
    first, second = client.get("/a"), client.get("/a")
    assert (first.data, second.data) == (b"body 1", b"body 1")
    assert origin.count == 1
    assert hit(second)
    assert not hit(first)


@pytest.mark.parametrize(
    "said",
    [
        "max-age=300",
        "MAX-AGE=300",
        "public, Max-Age=300",
        'max-age="300"',
        "s-maxage=300",
        "max-age=0, s-maxage=300",
        'max-age=300, extension="no-store, max-age=0"',
        "max-age=300, unknown, other=1",
        "max-age=300, must-revalidate, proxy-revalidate, immutable",
        "max-age=300, stale-while-revalidate=3600, stale-if-error=9",
    ],
)
def test_it_is_kept_where_it_says_so(client: Client, origin: Origin, said: str) -> None:
    origin.headers = {"Cache-Control": said}
    client.get("/a")
    assert hit(client.get("/a"))


@pytest.mark.parametrize(
    "said",
    [
        "",
        "public",
        "max-age=0",
        "max-age=-1",
        "max-age=300.5",
        "max-age=3e2",
        "max-age='300'",
        "max-age=",
        "max-age",
        "max-age=٣٠٠",
        "max-age=300, max-age=0",
        "s-maxage=0, max-age=300",
        "no-store, max-age=300",
        "max-age=300, No-Store",
        "private, max-age=300",
        'private="x-user", max-age=300',
        "no-cache, max-age=300",
        'max-age=300, no-cache="set-cookie"',
        'extension="max-age=300"',
        "max-stale=300",
    ],
)
def test_it_is_not_kept_where_it_does_not_say_so(client: Client, origin: Origin, said: str) -> None:
    origin.headers = {"Cache-Control": said} if said else {}
    client.get("/a")
    assert client.get("/a").data == b"body 2"


@pytest.mark.parametrize("other", ["Expires", "Pragma", "Last-Modified"])
def test_no_lifetime_is_guessed_at(client: Client, origin: Origin, other: str) -> None:
    origin.headers = {other: "Mon, 23 Nov 2099 11:00:00 GMT"}
    client.get("/a")
    assert client.get("/a").data == b"body 2"


@pytest.mark.parametrize(
    "status",
    [
        "201 Created",
        "203 X",
        "204 X",
        "206 X",
        "301 X",
        "304 X",
        "400 X",
        "404 X",
        "500 X",
        "503 X",
    ],
)
def test_nothing_but_a_200_is_kept(client: Client, origin: Origin, status: str) -> None:
    origin.status = status
    client.get("/a")
    assert client.get("/a").status == status
    assert origin.count == 2


def test_what_sets_a_cookie_is_not_kept(client: Client, origin: Origin) -> None:
    origin.headers["Set-Cookie"] = "a=b"
    client.get("/a")
    assert not hit(client.get("/a"))


def test_a_fresh_answer_takes_the_place_of_one_that_is_over(
    client: Client, origin: Origin, clock: ManualClock
) -> None:
    client.get("/a")
    clock.move(300)
    assert client.get("/a").data == b"body 2"
    assert client.get("/a").data == b"body 2"
    assert origin.count == 2


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_other_methods_go_through_and_are_not_kept(
    client: Client, origin: Origin, method: str
) -> None:
    client.get("/a")
    assert client.open("/a", method=method).data == b"body 2"
    assert client.get("/a").data == b"body 1"


@pytest.mark.parametrize("length", ["5", "7", "", "0x6"])
def test_an_incomplete_body_is_passed_on_and_not_kept(
    client: Client, origin: Origin, length: str
) -> None:
    origin.headers["Content-Length"] = length
    client.get("/a")
    client.get("/a")
    assert origin.count == 2


def test_a_body_that_breaks_off_is_not_kept(clock: ManualClock) -> None:
    closed = []

    class Broken:
        def __iter__(self) -> Iterator[bytes]:
            yield b"half"
            raise OSError("gone")

        def close(self) -> None:
            closed.append(True)

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Cache-Control", "max-age=9"), ("Content-Length", "8")])
        return Broken()

    cache = cache_of(application, clock)
    for _ in range(2):
        with pytest.raises(OSError, match="gone"):
            Client(cache).get("/a")
    assert closed == [True, True]


def test_what_is_not_kept_is_streamed(clock: ManualClock) -> None:
    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Cache-Control", "no-store")])
        return chunks

    chunks = iter([b"a", b"b"])
    given = cache_of(application, clock)(create_environ("/a"), lambda status, headers: None)
    assert given is chunks


# Addresses


@pytest.mark.parametrize(
    "other",
    [
        {"path": "/b"},
        {"path": "/A"},
        {"path": "/a/"},
        {"path": "/a", "query_string": "x"},
        {"path": "/a", "query_string": "b=2&a=1"},
        {"path": "/a", "base_url": "http://other.example"},
        {"path": "/a", "base_url": "https://localhost"},
        {"path": "/a", "base_url": "http://localhost:81"},
        {"path": "/a", "base_url": "http://localhost/below"},
    ],
)
def test_another_address_is_another_answer(
    client: Client, origin: Origin, other: dict[str, str]
) -> None:
    client.get("/a")
    client.get("/a", query_string="a=1&b=2")
    assert client.get(**other).data == b"body 3"
    assert client.get("/a").data == b"body 1"


# Age


def test_the_age_is_right(client: Client, origin: Origin, clock: ManualClock) -> None:
    origin.headers["Age"] = "100"
    assert client.get("/a").headers["Age"] == "100"
    clock.move(0.9)
    assert client.get("/a").headers["Age"] == "100"
    clock.move(0.2)
    answer = client.get("/a")
    assert answer.headers.getlist("Age") == ["101"]
    assert answer.headers["Cache-Status"] == "bridge; hit; ttl=199"


def test_nothing_is_given_beyond_its_lifetime(
    client: Client, origin: Origin, clock: ManualClock
) -> None:
    origin.headers["Age"] = "100"
    client.get("/a")
    clock.move(199.9)
    assert hit(client.get("/a"))
    clock.move(0.1)
    assert client.get("/a").data == b"body 2"


@pytest.mark.parametrize("age", ["300", "301", "99999999"])
def test_what_comes_too_old_is_not_kept(client: Client, origin: Origin, age: str) -> None:
    origin.headers["Age"] = age
    client.get("/a")
    assert client.get("/a").data == b"body 2"


@pytest.mark.parametrize("age", ["abc", "-7200", "7200.0", "", "0, 7200"])
def test_an_age_that_cannot_be_read_is_none(client: Client, origin: Origin, age: str) -> None:
    origin.headers["Age"] = age
    client.get("/a")
    assert client.get("/a").headers["Age"] == "0"


def test_the_time_that_the_answer_took_counts(origin: Origin, clock: ManualClock) -> None:
    def slow(environ: Any, start_response: Any) -> Any:
        clock.move(8)
        return origin(environ, start_response)

    client = Client(cache_of(slow, clock))
    client.get("/a")
    assert client.get("/a").headers["Age"] == "8"


@pytest.mark.parametrize(("told", "age"), [("7", "8"), ("100", "100")])
def test_the_time_that_the_answer_took_counts_once(
    origin: Origin, clock: ManualClock, told: str, age: str
) -> None:
    def slow(environ: Any, start_response: Any) -> Any:
        clock.move(8)
        return origin(environ, start_response)

    origin.headers["Age"] = told
    client = Client(cache_of(slow, clock))
    client.get("/a")
    assert client.get("/a").headers["Age"] == age


@pytest.mark.parametrize("seconds", [-86_400, -60, 60, 86_400])
def test_what_is_from_before_the_clock_was_set_is_not_given(
    client: Client, origin: Origin, clock: ManualClock, seconds: int
) -> None:
    client.get("/a")
    clock.set_wall(seconds)
    assert client.get("/a").data == b"body 2"
    assert client.get("/a").data == b"body 2"


def test_clocks_may_drift_apart_a_little(
    client: Client, origin: Origin, clock: ManualClock
) -> None:
    client.get("/a")
    for _ in range(2):
        clock.set_wall(-0.5)
    assert hit(client.get("/a"))


def test_a_machine_that_slept_gives_nothing_that_is_over(
    client: Client, origin: Origin, clock: ManualClock
) -> None:
    client.get("/a")
    # while it sleeps, the monotonic clock stands still
    clock.set_wall(301)
    assert client.get("/a").data == b"body 2"


def test_once_in_a_while_the_application_is_asked_again(origin: Origin, clock: ManualClock) -> None:
    client = Client(cache_of(origin, clock, again=1.0))
    client.get("/a")
    clock.move(0.9)
    assert client.get("/a").data == b"body 1"
    clock.move(0.1)
    assert client.get("/a").data == b"body 2"
    assert client.get("/a").data == b"body 2"


def test_while_one_asks_again_the_others_get_what_is_there(
    origin: Origin, clock: ManualClock
) -> None:
    meanwhile: list[bytes] = []

    def asking(environ: Any, start_response: Any) -> Any:
        if origin.count:
            meanwhile.extend(client.get("/a").data for _ in range(3))
        return origin(environ, start_response)

    client = Client(cache_of(asking, clock, again=1.0))
    client.get("/a")
    clock.move(5)
    assert client.get("/a").data == b"body 2"
    assert meanwhile == [b"body 1"] * 3


def test_an_application_that_fails_when_asked_again_takes_nothing_away(
    origin: Origin, clock: ManualClock
) -> None:
    client = Client(cache_of(origin, clock, again=1.0))
    client.get("/a")
    clock.move(2)
    origin.status = "503 X"
    assert client.get("/a").status_code == 503
    assert client.get("/a").data == b"body 1"


# What is no longer fresh

ALLOWED = "public, max-age=300, stale-while-revalidate=3600, stale-if-error=604800"
STALE = "bridge; hit; ttl=-40; detail=stale"
FAILED = "bridge; fwd=stale; detail=failed"


@pytest.fixture
def old(origin: Origin) -> Origin:
    """An origin that has an old copy, and says so."""
    origin.headers |= {"Cache-Control": ALLOWED, "Age": "340", "Cache-Status": STALE}
    return origin


@pytest.mark.parametrize(
    ("said", "after"),
    [
        (STALE, "bridge; hit; ttl=-42; detail=stale"),
        ("bridge; hit; ttl=0; detail=stale", "bridge; hit; ttl=-2; detail=stale"),
        (
            'bridge; hit; ttl=-40; detail="stale, trimmed"',
            'bridge; hit; ttl=-42; detail="stale, trimmed"',
        ),
        (FAILED, FAILED),
        (
            'bridge; fwd=stale; detail="failed, trimmed"',
            'bridge; fwd=stale; detail="failed, trimmed"',
        ),
    ],
)
def test_an_old_copy_is_given_again_for_a_moment_and_says_what_it_is(
    old: Origin, clock: ManualClock, said: str, after: str
) -> None:
    old.headers["Cache-Status"] = said
    client = Client(cache_of(old, clock, again=3.0))
    assert client.get("/a").headers["Cache-Status"] == said
    assert client.get("/a").headers["Cache-Status"] == said
    clock.move(2)
    answer = client.get("/a")
    assert (answer.data, answer.headers["Age"]) == (b"body 1", "342")
    assert answer.headers.getlist("Cache-Status") == [after]
    clock.move(1)
    assert client.get("/a").data == b"body 2"
    assert old.count == 2


@pytest.mark.parametrize(
    "said",
    [
        "max-age=300",
        "max-age=300, stale-while-revalidate=0, stale-if-error=0",
        "max-age=300, stale-while-revalidate=x",
        "max-age=300, stale-while-revalidate=39, stale-if-error=40",
        ALLOWED + ", must-revalidate",
        ALLOWED + ", proxy-revalidate",
        ALLOWED + ", s-maxage=300",
        ALLOWED.replace("public", "private"),
        ALLOWED + ", no-store",
        ALLOWED + ", no-cache",
    ],
)
def test_an_old_copy_is_not_given_again_where_that_is_not_allowed(
    client: Client, old: Origin, said: str
) -> None:
    old.headers["Cache-Control"] = said
    client.get("/a")
    assert client.get("/a").data == b"body 2"


@pytest.mark.parametrize(
    "said",
    [
        "bridge; fwd=stale; stored",
        "bridge; fwd=stale; detail=trimmed; stored",
        "bridge; fwd=miss; stored",
        "bridge; fwd=miss",
        "bridge; hit",
        "",
    ],
)
def test_what_a_cache_behind_does_not_call_old_is_not_given_as_such(
    client: Client, old: Origin, said: str
) -> None:
    old.headers["Cache-Status"] = said
    client.get("/a")
    assert client.get("/a").data == b"body 2"


def test_an_old_copy_is_given_no_longer_than_that_is_allowed(
    client: Client, old: Origin, clock: ManualClock
) -> None:
    old.headers["Cache-Control"] = "max-age=300, stale-if-error=42"
    client.get("/a")
    clock.move(1.9)
    assert client.get("/a").data == b"body 1"
    clock.move(0.1)
    assert client.get("/a").data == b"body 2"


def test_what_is_over_by_its_age_is_given_for_as_long_as_a_cache_behind_calls_it_fresh(
    old: Origin, clock: ManualClock
) -> None:
    old.headers |= {"Age": "310", "Cache-Status": "bridge; hit; ttl=2"}
    client = Client(cache_of(old, clock, again=5.0))
    client.get("/a")
    clock.move(1)
    answer = client.get("/a")
    assert (answer.data, answer.headers["Cache-Status"]) == (b"body 1", "bridge; hit; ttl=1")
    clock.move(1)
    assert client.get("/a").data == b"body 2"


def test_while_one_asks_for_newer_the_others_get_the_old_copy(
    old: Origin, clock: ManualClock
) -> None:
    meanwhile: list[bytes] = []

    def asking(environ: Any, start_response: Any) -> Any:
        if old.count:
            meanwhile.extend(client.get("/a").data for _ in range(3))
        return old(environ, start_response)

    client = Client(cache_of(asking, clock, again=1.0))
    client.get("/a")
    clock.move(5)
    assert client.get("/a").data == b"body 2"
    assert meanwhile == [b"body 1"] * 3


def test_of_an_application_that_takes_its_time_an_old_copy_stands_in_for_six_seconds(
    old: Origin, clock: ManualClock
) -> None:
    meanwhile: list[bytes] = []

    def slow(environ: Any, start_response: Any) -> Any:
        answer = old(environ, start_response)
        if old.count == 2:
            clock.move(0.9)
            meanwhile.append(client.get("/a").data)
            clock.move(4.1)
            meanwhile.append(client.get("/a").data)
        elif old.count == 3:
            meanwhile.append(client.get("/a").data)
        return answer

    client = Client(cache_of(slow, clock, again=1.0))
    client.get("/a")
    clock.move(1)
    assert client.get("/a").data == b"body 2"
    # the third asked, and so did another while it did
    assert meanwhile == [b"body 1", b"body 4", b"body 3"]


def test_what_may_have_changed_is_asked_for_at_once_where_the_copy_is_old(
    old: Origin, clock: ManualClock
) -> None:
    told = [0]
    cache = HttpCache(
        old, clock, max_bytes=10_000, again=math.inf, news=lambda: told[0], varying=VARYING
    )
    client = Client(cache)
    client.get("/a")
    assert client.get("/a").data == b"body 1"
    told[0] += 1
    assert client.get("/a").data == b"body 2"
    assert client.get("/a").data == b"body 2"
    # what is fresh is fresh
    old.headers |= {"Age": "0", "Cache-Status": AT_HAND}
    client.get("/b")
    told[0] += 1
    assert client.get("/b").data == b"body 3"


def test_what_changes_while_the_application_is_asked_is_not_missed(
    old: Origin, clock: ManualClock
) -> None:
    told = [0]

    def changing(environ: Any, start_response: Any) -> Any:
        told[0] += old.count < 2
        return old(environ, start_response)

    cache = HttpCache(
        changing, clock, max_bytes=10_000, again=math.inf, news=lambda: told[0], varying=VARYING
    )
    assert [Client(cache).get("/a").data for _ in range(4)] == [
        b"body 1",
        b"body 2",
        b"body 3",
        b"body 3",
    ]


@pytest.mark.parametrize("status", ["503 X", "404 X", "410 X", "302 X"])
def test_an_old_copy_is_gone_once_the_application_says_something_else(
    old: Origin, clock: ManualClock, status: str
) -> None:
    client = Client(cache_of(old, clock, again=1.0))
    client.get("/a")
    clock.move(1)
    old.status = status
    assert client.get("/a").status == status
    assert client.get("/a").status == status


def test_an_old_copy_is_gone_once_there_is_a_new_one(old: Origin, clock: ManualClock) -> None:
    client = Client(cache_of(old, clock, again=1.0))
    client.get("/a")
    clock.move(1)
    old.headers |= {"Age": "0", "Cache-Status": "bridge; fwd=stale; stored"}
    assert client.get("/a").data == b"body 2"
    assert client.get("/a").data == b"body 3"


def test_who_wants_nothing_stored_takes_an_old_copy_from_nobody(
    old: Origin, clock: ManualClock
) -> None:
    client = Client(cache_of(old, clock, again=1.0))
    client.get("/a")
    clock.move(1)
    assert client.get("/a", headers={"Cache-Control": "no-store"}).data == b"body 2"
    assert client.get("/a").data == b"body 1"


@pytest.mark.parametrize("state", [AT_HAND, STALE])
def test_who_wants_no_body_does_not_keep_others_from_what_is_newer(
    old: Origin, clock: ManualClock, state: str
) -> None:
    old.headers |= {"Age": "0", "Cache-Status": state}
    client = Client(cache_of(old, clock, again=1.0))
    client.get("/a")
    clock.move(1)
    assert client.head("/a").status_code == 200
    assert old.count == 2
    assert client.get("/a").data == b"body 3"
    assert client.head("/a").status_code == 200
    assert old.count == 3


@pytest.mark.parametrize("seconds", [-86_400, 86_400])
def test_an_old_copy_from_before_the_clock_was_set_is_not_given(
    client: Client, old: Origin, clock: ManualClock, seconds: int
) -> None:
    client.get("/a")
    clock.set_wall(seconds)
    assert client.get("/a").data == b"body 2"


# Headers


def test_headers_are_those_of_the_answer_but_for_what_was_of_that_one_request(
    client: Client, origin: Origin
) -> None:
    origin.headers |= {
        "Date": MODIFIED,
        "X-Request-Id": "abc",
        "Connection": "X-Hop, close",
        "X-Hop": "1",
        "Keep-Alive": "timeout=5",
        "Transfer-Encoding": "identity",
        "Content-Type": "text/calendar",
        "ETag": TAG,
        "X-Own": "é".encode().decode("latin-1"),
    }
    first = client.get("/a")
    assert {"Date", "X-Request-Id", "X-Hop"} <= {name for name, _ in first.headers}
    assert dict(client.get("/a").headers) == {
        "Content-Length": "6",
        "Cache-Control": "public, max-age=300",
        "Content-Type": "text/calendar",
        "ETag": TAG,
        "X-Own": origin.headers["X-Own"],
        "Age": "0",
        "Cache-Status": "bridge; hit; ttl=300",
    }


@pytest.mark.parametrize(
    ("said", "after"),
    [
        ("bridge; hit; ttl=212", "bridge; hit; ttl=202"),
        ("bridge; hit; ttl=400", "bridge; hit; ttl=290"),
        ("bridge; hit; ttl=212; detail=trimmed", "bridge; hit; ttl=202; detail=trimmed"),
        ('bridge; hit; ttl=212; detail="other, trimmed"', "bridge; hit; ttl=202; detail=trimmed"),
        ("bridge; hit; ttl=212; detail=other", "bridge; hit; ttl=202"),
    ],
)
def test_it_is_fresh_for_no_longer_than_a_cache_behind_says(
    client: Client, origin: Origin, clock: ManualClock, said: str, after: str
) -> None:
    origin.headers["Cache-Status"] = said
    assert client.get("/a").headers["Cache-Status"] == said
    clock.move(10)
    assert client.get("/a").headers.getlist("Cache-Status") == [after]
    clock.move(int(after.split("ttl=")[1].split(";", maxsplit=1)[0]))
    assert client.get("/a").data == b"body 2"


@pytest.mark.parametrize(
    "said",
    [
        "bridge; fwd=miss",
        "bridge; fwd=miss; stored",
        "bridge; fwd=stale; stored",
        "bridge; fwd=stale; detail=failed",
        "bridge; hit; ttl=-1; detail=stale",
        "bridge; hit; ttl=0",
        "bridge; hit",
        "",
    ],
)
def test_what_a_cache_behind_did_not_have_at_hand_is_not_kept(
    client: Client, origin: Origin, said: str
) -> None:
    origin.headers["Cache-Status"] = said
    client.get("/a")
    assert client.get("/a").data == b"body 2"


def test_what_says_nothing_of_caches_goes_on_saying_nothing(clock: ManualClock) -> None:
    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Cache-Control", "max-age=9"), ("Content-Length", "1")])
        return [b"x"]

    client = Client(cache_of(application, clock))
    client.get("/a")
    answer = client.get("/a")
    assert answer.headers["Age"] == "0"
    assert "Cache-Status" not in answer.headers


def test_whoever_gets_headers_may_change_them(cache: HttpCache, client: Client) -> None:
    client.get("/a")

    def spoil(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> None:
        headers.clear()

    cache(create_environ("/a"), spoil)
    assert client.get("/a").headers["Age"] == "0"


def test_what_the_application_noted_is_there_again(cache: HttpCache, origin: Origin) -> None:
    origin.note = "/<thing>"
    for condition in ({}, {"If-None-Match": "*"}):
        for _ in range(2):
            environ = create_environ("/a", headers=condition)
            # it tells of the answer, not of the request before
            environ["origin.route"] = "of another"
            cache(environ, lambda status, headers: None)
            assert environ["origin.route"] == "/<thing>"
    assert origin.count == 1


# Conditions

MATCHING = [
    TAG,
    f"W/{TAG}",
    '"x", "1a2b", "y"',
    '"x",W/"1a2b"',
    '"x" , "1a2b"',
    "*",
]
OTHER = ['"1A2B"', '"x", "y"', '"1a2b-gz"', 'W/"x"', '""']


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("condition", MATCHING)
def test_who_has_it_gets_304(client: Client, origin: Origin, condition: str, kept: bool) -> None:
    origin.headers["ETag"] = TAG
    if kept:
        client.get("/a")
    answer = client.get("/a", headers={"If-None-Match": condition})
    assert (answer.status_code, answer.data) == (304, b"")
    assert origin.count == 1


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("condition", OTHER)
def test_who_has_something_else_gets_all_of_it(
    client: Client, origin: Origin, condition: str, kept: bool
) -> None:
    origin.headers |= {"ETag": TAG, "Last-Modified": MODIFIED}
    if kept:
        client.get("/a")
    headers = {"If-None-Match": condition, "If-Modified-Since": MODIFIED}
    assert client.get("/a", headers=headers).data == b"body 1"


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize(
    ("since", "status"),
    [(MODIFIED, 304), (LATER, 304), (EARLIER, 200), ("yesterday", 200), ("", 200)],
)
def test_a_date_is_compared(
    client: Client, origin: Origin, since: str, status: int, kept: bool
) -> None:
    origin.headers["Last-Modified"] = MODIFIED
    if kept:
        client.get("/a")
    answer = client.get("/a", headers={"If-Modified-Since": since})
    assert answer.status_code == status
    assert origin.count == 1


def test_a_weak_tag_of_the_answers_own_matches(client: Client, origin: Origin) -> None:
    origin.headers["ETag"] = f"W/{TAG}"
    client.get("/a")
    for condition in (TAG, f"W/{TAG}"):
        assert client.get("/a", headers={"If-None-Match": condition}).status_code == 304


def test_conditions_for_writers_and_ranges_are_passed_over(client: Client, origin: Origin) -> None:
    origin.headers["ETag"] = TAG
    client.get("/a")
    for headers in (
        {"If-Match": '"other"'},
        {"If-Unmodified-Since": EARLIER},
        {"Range": "bytes=0-1"},
        {"Range": "bytes=0-1", "If-Range": TAG},
    ):
        answer = client.get("/a", headers=headers)
        assert (answer.status_code, answer.data) == (200, b"body 1")


def test_a_304_says_what_the_200_would_but_nothing_of_content(
    client: Client, origin: Origin, clock: ManualClock
) -> None:
    origin.headers |= {
        "ETag": TAG,
        "Last-Modified": MODIFIED,
        "Vary": "Accept-Encoding",
        "Content-Type": "text/calendar",
        "Content-Disposition": "inline",
        "Content-Encoding": "gzip",
        "Content-Security-Policy": "default-src 'none'",
        "Content-Location": "/a",
    }
    client.get("/a")
    clock.move(5)
    assert dict(client.get("/a", headers={"If-None-Match": TAG}).headers) == {
        "Cache-Control": "public, max-age=300",
        "ETag": TAG,
        "Vary": "Accept-Encoding",
        "Content-Security-Policy": "default-src 'none'",
        "Content-Location": "/a",
        "Age": "5",
        "Cache-Status": "bridge; hit; ttl=295",
    }


def test_where_there_is_no_tag_a_304_says_the_date(client: Client, origin: Origin) -> None:
    origin.headers["Last-Modified"] = MODIFIED
    client.get("/a")
    answer = client.get("/a", headers={"If-Modified-Since": MODIFIED})
    assert answer.headers["Last-Modified"] == MODIFIED


def test_a_conditional_request_fills_the_cache(client: Client, origin: Origin) -> None:
    """Calendar clients send hardly any others: from a 304 there would be nothing to keep."""
    origin.headers["ETag"] = TAG
    assert client.get("/a", headers={"If-None-Match": TAG}).status_code == 304
    assert client.get("/a").data == b"body 1"
    assert hit(client.get("/a"))
    assert not {"HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE"} & set(origin.asked[0])


def test_conditions_hold_for_what_is_not_kept_as_well(client: Client, origin: Origin) -> None:
    origin.headers = {
        "Cache-Control": "private",
        "ETag": TAG,
        "Content-Type": "text/calendar",
        "X-Request-Id": "1",
    }
    answer = client.get("/a", headers={"If-None-Match": TAG})
    assert (answer.status_code, answer.data) == (304, b"")
    assert dict(answer.headers) == {
        "Cache-Control": "private",
        "ETag": TAG,
        "X-Request-Id": "1",
        "Cache-Status": AT_HAND,
    }


def test_an_error_is_never_a_304(client: Client, origin: Origin) -> None:
    origin.status = "503 X"
    origin.headers = {"ETag": TAG}
    assert client.get("/a", headers={"If-None-Match": TAG}).status_code == 503


# HEAD


def test_head_is_answered_from_a_get(client: Client, origin: Origin) -> None:
    origin.headers["ETag"] = TAG
    client.get("/a")
    got, headed = client.get("/a"), client.head("/a")
    assert (headed.status_code, headed.data) == (200, b"")
    assert dict(headed.headers) == dict(got.headers)
    assert client.head("/a", headers={"If-None-Match": TAG}).status_code == 304
    assert origin.count == 1


def test_the_answer_to_a_head_is_not_kept(client: Client, origin: Origin) -> None:
    client.head("/a")
    assert client.get("/a").data == b"body 2"


# Vary


def test_each_coding_is_kept_by_itself(client: Client, origin: Origin) -> None:
    origin.headers["Vary"] = "accept-encoding"
    for given, body in (
        ("gzip", b"body 1"),
        ("gzip, deflate, br", b"body 1"),
        ("GZIP;q=1.0", b"body 1"),
        ("", b"body 2"),
        ("br", b"body 2"),
        ("gzip;q=0", b"body 2"),
        ("identity, gzip;q=0.5", b"body 2"),
        ("*", b"body 1"),
    ):
        assert client.get("/a", headers={"Accept-Encoding": given}).data == body, given
    assert client.get("/a").data == b"body 2"


def test_each_language_is_kept_by_itself(client: Client, origin: Origin) -> None:
    origin.headers["Vary"] = "Accept-Language, Accept-Encoding"
    for given, body in (
        ("de", b"body 1"),
        ("de,en;q=0.5", b"body 1"),
        ("en-US", b"body 2"),
        ("en-GB", b"body 3"),
        ("", b"body 3"),
    ):
        assert client.get("/a", headers={"Accept-Language": given}).data == body, given


@pytest.mark.parametrize("vary", ["*", "Accept-Encoding, *", "Cookie", "User-Agent, Accept"])
def test_what_varies_on_anything_else_is_not_kept(
    client: Client, origin: Origin, vary: str
) -> None:
    origin.headers["Vary"] = vary
    client.get("/a")
    assert client.get("/a").data == b"body 2"


def test_the_newest_answer_says_what_it_varies_on(
    client: Client, origin: Origin, clock: ManualClock
) -> None:
    client.get("/a")
    clock.move(300)
    origin.headers["Vary"] = "Accept-Encoding"
    assert client.get("/a", headers={"Accept-Encoding": "gzip"}).data == b"body 2"
    assert client.get("/a").data == b"body 3"
    assert client.get("/a", headers={"Accept-Encoding": "gzip"}).data == b"body 2"


def test_an_overlong_header_is_the_applications_business(client: Client, origin: Origin) -> None:
    origin.headers["Vary"] = "Accept-Encoding"
    client.get("/a")
    long = {"Accept-Encoding": "x," * 10_000}
    assert client.get("/a", headers=long).data == b"body 2"
    assert client.get("/a", headers=long).data == b"body 3"
    assert client.get("/a").data == b"body 1"


# Authorization


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("max-age=300", False),
        ("public, max-age=300", True),
        ("s-maxage=300", True),
        ("must-revalidate, max-age=300", True),
        ("private, max-age=300", False),
    ],
)
def test_what_was_asked_for_with_a_credential_is_kept_where_it_says_so(
    client: Client, origin: Origin, said: str, kept: bool
) -> None:
    origin.headers["Cache-Control"] = said
    client.get("/a", headers={"Authorization": "Bearer x"})
    assert hit(client.get("/a")) is kept


# Requests that would rather not have it from a cache


@pytest.mark.parametrize(
    "headers",
    [
        {"Cache-Control": "no-cache"},
        {"Cache-Control": "max-age=0"},
        {"Cache-Control": "min-fresh=9999"},
        {"Cache-Control": "no-store"},
        {"Pragma": "no-cache"},
    ],
)
def test_a_flood_of_reloads_ends_here(
    client: Client, origin: Origin, headers: dict[str, str]
) -> None:
    client.get("/a")
    for _ in range(3):
        assert hit(client.get("/a", headers=headers))
    assert origin.count == 1


def test_what_a_request_forbids_to_keep_is_not_kept(client: Client, origin: Origin) -> None:
    client.get("/a", headers={"Cache-Control": "no-store"})
    assert client.get("/a").data == b"body 2"


# Size


def test_what_is_kept_stays_below_the_limit(origin: Origin, clock: ManualClock) -> None:
    cache = cache_of(origin, clock, max_bytes=100_000)
    origin.body = lambda number: b"x" * 10_000
    client = Client(cache)
    for number in range(200):
        client.get(f"/{number % 50}")
        assert cache.size <= 100_000
    assert cache.size > 80_000


def test_questions_that_are_asked_once_drive_nothing_out(
    origin: Origin, clock: ManualClock
) -> None:
    cache = cache_of(origin, clock, max_bytes=100_000)
    origin.body = lambda number: b"x" * 10_000
    client = Client(cache)
    client.get("/hot")
    for number in range(500):
        client.get("/a", query_string=f"{number}")
    assert hit(client.get("/hot"))


def test_what_comes_back_finds_room(origin: Origin, clock: ManualClock) -> None:
    cache = cache_of(origin, clock, max_bytes=100_000)
    origin.body = lambda number: b"x" * 10_000
    client = Client(cache)
    for number in range(50):
        client.get("/a", query_string=f"{number}")
    client.get("/new")
    client.get("/new")
    assert hit(client.get("/new"))


def test_what_is_larger_than_the_cache_is_answered_all_the_same(
    origin: Origin, clock: ManualClock
) -> None:
    client = Client(cache_of(origin, clock, max_bytes=1_000))
    origin.body = lambda number: b"x" * 2_000
    assert len(client.get("/a").data) == 2_000
    assert not hit(client.get("/a"))


def test_long_addresses_count(origin: Origin, clock: ManualClock) -> None:
    cache = cache_of(origin, clock)
    Client(cache).get("/a", query_string="x" * 7_000)
    assert cache.size > 7_000


def test_made_up_languages_are_bounded(cache: HttpCache, client: Client, origin: Origin) -> None:
    origin.headers["Vary"] = "Accept-Language"
    for number in range(300):
        client.get("/a", headers={"Accept-Language": f"en-{number:03}"})
    assert cache.size < 200_000


# What the application has is not copied


def test_bytes_are_shared_with_the_application(cache: HttpCache, origin: Origin) -> None:
    body = b"the very object"
    origin.body = lambda number: body
    for _ in range(2):
        [given] = cache(create_environ("/a"), lambda status, headers: None)
        assert given is body


def test_many_threads_get_whole_answers(cache: HttpCache, origin: Origin) -> None:
    origin.headers["ETag"] = TAG
    wrong = []

    def ask() -> None:
        for number in range(300):
            chunks, status, headers = run_wsgi_app(cache, create_environ(f"/{number % 3}"))
            if status != "200 OK" or headers["ETag"] != TAG or b"".join(chunks)[:4] != b"body":
                wrong.append(status)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    # a herd may ask once each; the application answers as one
    assert origin.count <= 3 * 4
