"""One page over real HTTP: what is sent, what is believed, when it is given up."""

import gzip
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from asking import SAID_BY_VENDOR, TOKEN, Asker, failing
from clocks import ManualClock
from flask import Response
from upstreams import raw
from upstreams.raw import RawUpstream
from upstreams.rows import timetable
from upstreams.stub import Hook, StubUpstream

from bridge import config
from bridge.clock import SystemClock
from bridge.errors import Scope
from bridge.sandbox.api_error import ApiError
from bridge.store.memory import MemoryStore
from bridge.upstream.account import Account
from bridge.upstream.deadline import Deadline, Guard

Ask = Callable[..., Asker]
ONE_MODE: dict[str, Any] = {"modes": ("provider",), "multiple_modes": True}
ALL_SCHEMES = ("Bearer", "Token", "JWT")


@pytest.fixture
def short_pages(monkeypatch: pytest.MonkeyPatch) -> float:
    monkeypatch.setattr("bridge.upstream.client.PAGE_SECONDS", 0.15)
    return 0.15


def refusing(*responses: Response) -> Hook:
    """A hook that gives these in turn, and then lets requests through."""
    left = list(responses)
    return lambda page: left.pop(0) if left else None


def refused(status: int, code: str) -> Response:
    return ApiError(status, SAID_BY_VENDOR, code=code).response()


# What is sent


def test_the_token_goes_out_with_provider_and_mode_and_no_more(asker: Ask) -> None:
    with StubUpstream(token=TOKEN, provider_id="77", **ONE_MODE) as upstream:
        asker(upstream.url, provider_id="77", request_mode="provider").page()
    headers = upstream.requests[0].headers
    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert headers["teamup-provider-id"] == "77"
    assert headers["teamup-request-mode"] == "provider"
    assert headers["accept"] == "application/json"
    assert TOKEN not in upstream.requests[0].path
    assert TOKEN not in str(upstream.requests[0].args)


def test_provider_and_mode_go_unsaid_when_they_are_not_set(asker: Ask) -> None:
    with StubUpstream(token=TOKEN) as upstream:
        asker(upstream.url).page()
    headers = upstream.requests[0].headers
    assert "teamup-provider-id" not in headers
    assert "teamup-request-mode" not in headers


def test_no_cookie_is_ever_sent_back(asker: Ask) -> None:
    cookie = {"Set-Cookie": "session=1; Path=/"}
    with RawUpstream(raw.ok(headers=cookie)) as upstream:
        ask = asker(upstream.url)
        ask.page()
        ask.page()
    assert len(upstream.requests) == 2
    assert not [request for request in upstream.requests if b"cookie" in request.lower()]


def test_a_netrc_file_and_proxy_variables_change_nothing(
    asker: Ask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("default login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with RawUpstream(raw.ok()) as proxy, StubUpstream(token=TOKEN) as upstream:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        asker(upstream.url).page()
        assert proxy.requests == []
    assert upstream.requests[0].headers["authorization"] == f"Bearer {TOKEN}"


def test_doubled_and_trailing_slashes_of_the_base_address_are_made_good(
    asker: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    with StubUpstream(token=TOKEN) as upstream:
        monkeypatch.setenv("TEAMUP_API_TOKEN", TOKEN)
        monkeypatch.setenv("CACHE_URL", "memory://")
        monkeypatch.setenv("TEAMUP_BASE_URL", upstream.url.replace("/api/v2", "//api//v2//"))
        base = Account.of(config.load()).base_url
        asker(base).page()
    assert base == upstream.url
    assert [request.path for request in upstream.requests] == ["/api/v2/course_sessions"]


def test_the_account_does_not_show_its_token() -> None:
    account = Account(token=TOKEN, schemes=ALL_SCHEMES, base_url="https://a.example")
    assert TOKEN not in repr(account) + str(account) + account.name + account.token_mark


# The scheme


def sent(upstream: StubUpstream) -> list[str]:
    return [request.headers["authorization"].split(" ")[0] for request in upstream.requests]


@pytest.mark.parametrize("scheme", ALL_SCHEMES)
def test_schemes_are_tried_in_order_until_one_works_and_it_is_kept(asker: Ask, scheme: str) -> None:
    with StubUpstream(token=TOKEN, schemes=(scheme,)) as upstream:
        ask = asker(upstream.url, schemes=ALL_SCHEMES)
        ask.page()
        tried = [*ALL_SCHEMES[: ALL_SCHEMES.index(scheme)], scheme]
        assert sent(upstream) == tried
        ask.page()
        assert sent(upstream) == [*tried, scheme]


def test_what_one_worker_learnt_of_the_scheme_the_others_know(asker: Ask) -> None:
    clock = ManualClock(skip=True)
    store = MemoryStore(clock)
    with StubUpstream(token=TOKEN, schemes=("JWT",)) as upstream:
        for _ in range(2):
            asker(upstream.url, schemes=ALL_SCHEMES, clock=clock, store=store).page()
        assert sent(upstream) == ["Bearer", "Token", "JWT", "JWT"]


def test_a_token_that_no_scheme_gets_in_with_is_refused_once(asker: Ask) -> None:
    with StubUpstream(token="another") as upstream:
        cause = failing(asker(upstream.url, schemes=ALL_SCHEMES).page)
        assert sent(upstream) == ["Bearer", "Token", "JWT"]
    assert (cause.code, cause.scope) == ("authentication_failed", Scope.ACCOUNT)
    assert "TEAMUP_API_TOKEN" in cause.text


def test_a_refused_token_is_not_tried_again_once_a_scheme_has_worked(asker: Ask) -> None:
    with StubUpstream(token=TOKEN, schemes=("Token",)) as upstream:
        ask = asker(upstream.url, schemes=ALL_SCHEMES)
        ask.page()
        upstream.app = upstream.api(token="another")
        upstream.requests.clear()
        failing(ask.page)
        assert sent(upstream) == ["Token"]


def test_another_token_finds_its_own_scheme(asker: Ask) -> None:
    clock = ManualClock(skip=True)
    store = MemoryStore(clock)
    with StubUpstream(token=TOKEN, schemes=("Bearer",)) as upstream:
        asker(upstream.url, schemes=ALL_SCHEMES, clock=clock, store=store).page()
        upstream.app = upstream.api(token="another", schemes=("Token",))
        asker(upstream.url, schemes=ALL_SCHEMES, clock=clock, store=store, token="another").page()
        assert sent(upstream) == ["Bearer", "Bearer", "Token"]


def test_a_scheme_that_is_set_is_the_only_one_tried(asker: Ask) -> None:
    with StubUpstream(token=TOKEN, schemes=("Bearer",)) as upstream:
        failing(asker(upstream.url, schemes=("Token",)).page)
        assert sent(upstream) == ["Token"]


# Redirects


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_error_and_the_token_goes_nowhere_else(asker: Ask, code: int) -> None:
    with (
        RawUpstream(raw.ok()) as trap,
        RawUpstream(raw.redirect(f"{trap.url}/course_sessions", code)) as upstream,
    ):
        cause = failing(asker(upstream.url).page)
        assert trap.requests == []
        assert len(upstream.requests) == 1
    assert cause.code == "redirect"
    assert "TEAMUP_BASE_URL" in cause.text


# Refusals


@pytest.mark.parametrize(
    ("status", "code", "variable"),
    [
        (401, "authentication_failed", "TEAMUP_API_TOKEN"),
        (401, "not_authenticated", "TEAMUP_API_TOKEN"),
        (401, "something_new", "TEAMUP_API_TOKEN"),
        (403, "permission_denied", "TEAMUP_API_TOKEN"),
        (403, "something_new", "TEAMUP_API_TOKEN"),
        (403, "mode_not_allowed", "TEAMUP_REQUEST_MODE"),
        (400, "mode_not_allowed", "TEAMUP_REQUEST_MODE"),
        (403, "provider_invalid", "TEAMUP_PROVIDER_ID"),
        (400, "provider_header_missing", "TEAMUP_PROVIDER_ID"),
        (400, "provider_header_invalid", "TEAMUP_PROVIDER_ID"),
    ],
)
def test_a_refusal_names_the_code_and_the_variable_and_is_not_repeated(
    asker: Ask, status: int, code: str, variable: str
) -> None:
    hook = refusing(*[refused(status, code)] * 9)
    with StubUpstream(token=TOKEN, before_page=hook) as upstream:
        cause = failing(asker(upstream.url).page)
        assert len(upstream.requests) == 1
    assert cause.code == code
    assert variable in cause.text
    assert cause.scope is Scope.ACCOUNT
    assert cause.retry_after is None


@pytest.mark.parametrize(
    ("account", "code"),
    [
        ({}, "provider_header_missing"),
        ({"provider_id": "x"}, "provider_header_invalid"),
        ({"provider_id": "78"}, "provider_invalid"),
        ({"provider_id": "77"}, "mode_not_allowed"),
        ({"provider_id": "77", "token": "another"}, "authentication_failed"),
    ],
)
def test_a_setting_that_upstream_refuses_is_told_by_its_code(
    asker: Ask, account: dict[str, str], code: str
) -> None:
    with StubUpstream(token=TOKEN, provider_id="77", **ONE_MODE) as upstream:
        assert failing(asker(upstream.url, **account).page).code == code


def test_a_question_that_is_refused_names_its_parameter_and_is_not_repeated(asker: Ask) -> None:
    refusal = ApiError(400, SAID_BY_VENDOR, fields={"venues": SAID_BY_VENDOR, "x": "y"})
    hook = refusing(*[refusal.response()] * 9)
    with StubUpstream(token=TOKEN, before_page=hook) as upstream:
        cause = failing(asker(upstream.url).page)
        assert len(upstream.requests) == 1, "what was refused once is refused again"
    assert (cause.code, cause.scope) == ("parameter_invalid", Scope.KEY)
    assert "venues" in cause.text


def test_an_address_that_upstream_does_not_know_is_told_and_not_repeated(asker: Ask) -> None:
    with StubUpstream(token=TOKEN) as upstream:
        cause = failing(asker(f"{upstream.url}/v9").page)
        assert len(upstream.requests) == 1
    assert "TEAMUP_BASE_URL" in cause.text


ODD_BODIES = (
    *(b"", b"<html>no</html>", b"[]", b"null", b"\xff", b'{"code": 7}', b'{"code": null}'),
    *(b'{"code": {"a": 1}, "field_errors": [1]}', b'{"code": "' + b"x" * 500 + b'"}'),
    *(f'{{"code": "{SAID_BY_VENDOR}", "field_errors": "x"}}'.encode(), b"[" * 100_000),
)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
def test_a_refusal_with_any_body_is_known_by_its_status(asker: Ask, status: int) -> None:
    with RawUpstream(raw.ok()) as upstream:
        for body in ODD_BODIES:
            upstream.script = raw.status(status, body=body)
            assert failing(asker(upstream.url).page).code == f"http_{status}", body[:40]


@pytest.mark.parametrize("code", ["maintenance_mode", "model_error", "service_provider_down"])
def test_a_server_error_is_not_taken_for_a_wrong_setting(asker: Ask, code: str) -> None:
    with StubUpstream(token=TOKEN, before_page=refusing(refused(503, code))) as upstream:
        assert asker(upstream.url).page()["count"] == 0, "a server error is worth another attempt"


def test_a_token_that_upstream_gives_back_as_a_code_is_not_told(asker: Ask) -> None:
    with StubUpstream(token=TOKEN, before_page=refusing(refused(400, TOKEN))) as upstream:
        failing(asker(upstream.url).page)


# Attempts


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_server_error_gets_three_attempts(asker: Ask, status: int) -> None:
    with StubUpstream(token=TOKEN) as upstream:
        upstream.faults.set("status", status, times=2)
        assert asker(upstream.url).page()["count"] == 0
        assert len(upstream.requests) == 3
        upstream.faults.set("status", status)
        upstream.requests.clear()
        cause = failing(asker(upstream.url).page)
        assert len(upstream.requests) == 3
    assert (cause.code, cause.scope) == ("server_error", Scope.KEY)


def test_attempts_are_apart_and_not_in_step(asker: Ask) -> None:
    pauses = set()
    with RawUpstream(raw.status(500)) as upstream:
        for _ in range(3):
            clock = ManualClock(skip=True)
            failing(asker(upstream.url, clock=clock).page)
            assert len(clock.waited) == 2
            assert all(0.1 <= pause <= 2 for pause in clock.waited)
            pauses.add(tuple(clock.waited))
    assert len(pauses) == 3


def test_a_walk_that_has_failed_elsewhere_asks_no_more(asker: Ask) -> None:
    cancelled = threading.Event()
    cancelled.set()
    with StubUpstream(token=TOKEN) as upstream:
        ask = asker(upstream.url)
        limit = Deadline(ask.clock, 120)
        failing(lambda: ask.client.page("course_sessions", [], limit=limit, cancelled=cancelled))
        assert upstream.requests == []


# 429


def http_date(seconds: float) -> str:
    return format_datetime(datetime.fromtimestamp(ManualClock().now() + seconds, UTC), usegmt=True)


RETRY_AFTER = (
    *(("2", 2), ("0", 1), ("86400", 300), ("soon", 60), ("-5", 60), (None, 60), ("", 60)),
    *(("1.5", 60), ("9" * 30, 60), (http_date(30), 30), (http_date(-30), 1)),
    *((http_date(86400), 300), ("Mon, 99 Nov 2026 99:00:00 GMT", 60), ("\xb2", 60)),
)


@pytest.mark.parametrize(("header", "seconds"), RETRY_AFTER)
def test_a_429_is_a_pause_for_everybody_of_1_to_300_seconds(
    asker: Ask, header: str | None, seconds: int
) -> None:
    clock = ManualClock(skip=True)
    store = MemoryStore(clock)
    headers = {} if header is None else {"Retry-After": header}
    body = b'{"code": "throttled", "message": "%s"}' % SAID_BY_VENDOR.encode()
    with RawUpstream(raw.status(429, headers, body)) as upstream:
        ask = asker(upstream.url, clock=clock, store=store)
        cause = failing(lambda: ask.page(seconds=0.5))
        assert len(upstream.requests) == 1
        assert (cause.code, cause.retry_after) == ("throttled", seconds)
        assert cause.scope is Scope.ACCOUNT
        assert "TEAMUP_REQUESTS_PER_MINUTE" in cause.text
        other = asker(upstream.url, clock=clock, store=store)
        assert other.budget.cooldown_left() == pytest.approx(seconds)
        failing(lambda: other.page(seconds=0.5))
        assert len(upstream.requests) == 1, "nobody asks while the pause lasts"
        upstream.script = raw.ok()
        clock.move(seconds)
        other.page(seconds=0.5)


def test_a_short_pause_is_waited_out_and_the_page_asked_for_again(asker: Ask) -> None:
    clock = ManualClock(skip=True)
    began = clock.now()
    with StubUpstream(token=TOKEN) as upstream:
        upstream.faults.set("status", 429, retry_after="2", times=1)
        asker(upstream.url, clock=clock).page()
        assert len(upstream.requests) == 2
    assert 2 <= clock.now() - began < 5


def test_a_pause_without_end_gets_three_attempts(asker: Ask) -> None:
    with RawUpstream(raw.status(429, {"Retry-After": "2"})) as upstream:
        failing(asker(upstream.url).page)
        assert len(upstream.requests) == 3


def test_a_long_pause_ends_the_walk_at_once(asker: Ask) -> None:
    clock = ManualClock(skip=True)
    began = clock.now()
    with RawUpstream(raw.status(429, {"Retry-After": "86400"})) as upstream:
        failing(asker(upstream.url, clock=clock).page)
        assert len(upstream.requests) == 1
    assert clock.now() == began


@pytest.mark.parametrize("headers", [{"Content-Length": "50"}, {"Content-Encoding": "gzip"}])
def test_a_429_whose_body_is_broken_is_a_429(asker: Ask, headers: dict[str, str]) -> None:
    script = raw.status(429, {"Retry-After": "200", **headers}, b"slow down")
    with RawUpstream(script) as upstream:
        ask = asker(upstream.url)
        cause = failing(ask.page)
        assert len(upstream.requests) == 1
    assert cause.retry_after == 200
    assert ask.budget.cooldown_left() == pytest.approx(200)


# Answers that cannot be used

SHORT = {
    "by Content-Length": raw.short_content_length(),
    "in a chunk": raw.short_chunked(),
    "between chunks": raw.short_chunked(within_chunk=False),
    "by a plain close": raw.plain_close_midway(),
    "by a reset": raw.reset_in_body(),
    "before the head": lambda connection, request, n: None,
    "in the head": lambda connection, request, n: connection.sendall(raw.head()[:40]),
}
GARBLED = {
    "HTML": raw.html_ok(),
    "invalid UTF-8": raw.invalid_utf8(),
    "NaN": raw.nan(),
    "deep nesting": raw.deep_nesting(),
    "a number of 5,000 digits": raw.long_number(),
    "nothing": raw.ok(b""),
    "a list": raw.ok(b"[]"),
    "null": raw.ok(b"null"),
    "no gzip": raw.ok(headers={"Content-Encoding": "gzip"}),
    "half a gzip": raw.ok(gzip.compress(raw.EMPTY_PAGE)[:-12], {"Content-Encoding": "gzip"}),
    "no HTTP": lambda connection, request, n: connection.sendall(b"SSH-2.0-x\r\n\r\n"),
    "a head without end": lambda connection, request, n: connection.sendall(
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 500 + b"\r\n"
    ),
    "a bad chunk size": lambda connection, request, n: connection.sendall(
        raw.head(200, {"Transfer-Encoding": "chunked"}) + b"zz\r\n{}\r\n"
    ),
}
BROKEN = {**{f"cut short {how}": script for how, script in SHORT.items()}, **GARBLED}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_answer_is_one_kind_of_error_after_three_attempts(asker: Ask, how: str) -> None:
    with RawUpstream(BROKEN[how]) as upstream:
        ask = asker(upstream.url)
        cause = failing(ask.page)
        assert len(upstream.requests) == 3
        upstream.script = raw.in_turn(BROKEN[how], BROKEN[how], raw.ok())
        assert ask.page()["results"] == [], "two broken answers are followed by a good one"
    assert cause.code in ("malformed", "unreachable")


def bomb(mb: int, layers: int) -> raw.Script:
    """Spaces packed several times over."""
    body = b" " * (mb * 1_048_576)
    for _ in range(layers):
        body = gzip.compress(body)
    return raw.ok(body, {"Content-Encoding": ", ".join(["gzip"] * layers)})


HUGE: dict[str, Callable[[], raw.Script]] = {
    "without a length": lambda: raw.oversize(10**11),
    "with its length": lambda: raw.oversize(10**11, declared=True),
    "a gzip bomb": lambda: raw.gzip_bomb(300),
    "a gzip bomb in a gzip bomb": lambda: bomb(100, 2),
}


@pytest.mark.parametrize("how", HUGE)
def test_a_body_too_large_is_left_at_the_cap_with_memory_bounded(asker: Ask, how: str) -> None:
    with RawUpstream(HUGE[how]()) as upstream:
        ask = asker(upstream.url)
        traced = tracemalloc.is_tracing()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        try:
            cause = failing(ask.page)
            peak = tracemalloc.get_traced_memory()[1] - before
        finally:
            if not traced:
                tracemalloc.stop()
        assert len(upstream.requests) == 1, "it would be as large the next time"
    assert cause.code == "oversize"
    assert peak < 40 * 1024 * 1024


# Connections that do not come, or do not end


def test_a_port_where_nobody_listens_is_unreachable(asker: Ask) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    cause = failing(asker(f"http://127.0.0.1:{port}/api/v2").page)
    assert (cause.code, cause.scope) == ("unreachable", Scope.ACCOUNT)


@pytest.mark.parametrize(
    "host",
    ["does-not-exist.invalid", "a..invalid", "a" * 64 + ".invalid", ".invalid", "*.invalid"],
)
def test_a_name_that_cannot_be_resolved_is_unreachable(asker: Ask, host: str) -> None:
    cause = failing(asker(f"https://{host}/api").page)
    assert "TEAMUP_BASE_URL" in cause.text


def test_a_connection_that_is_never_made_ends_by_the_deadline(
    asker: Ask, short_pages: float
) -> None:
    with raw.unanswered() as url:
        began = time.monotonic()
        cause = failing(asker(url).page)
    assert time.monotonic() - began < 3 * short_pages + 2
    assert (cause.code, cause.scope) == ("timeout", Scope.ACCOUNT)


def endless_continue(connection: socket.socket, request: bytes, n: int) -> None:
    while raw.pause(connection, 0.02):
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")


def endless_chunks(connection: socket.socket, request: bytes, n: int) -> None:
    connection.sendall(raw.head(200, {"Transfer-Encoding": "chunked"}))
    while raw.pause(connection, 0.02):
        connection.sendall(b"1\r\n \r\n")


SLOW = {
    "silence": raw.silence(),
    "a byte at a time in the head": raw.drip_headers(0.05),
    "a byte at a time in the body": raw.drip_body(0.05),
    "interim answers without end": endless_continue,
    "chunks without end": endless_chunks,
}


@pytest.mark.parametrize("how", SLOW)
def test_a_slow_sender_is_given_up_at_the_deadline(
    asker: Ask, short_pages: float, how: str
) -> None:
    with RawUpstream(SLOW[how]) as upstream:
        ask = asker(upstream.url)
        began = time.monotonic()
        cause = failing(ask.page)
        assert len(upstream.requests) == 3
    assert time.monotonic() - began < 3 * short_pages + 2
    assert (cause.code, cause.scope) == ("timeout", Scope.ACCOUNT)


def test_a_sender_that_falls_silent_in_the_body_is_slow_and_not_unreachable(
    asker: Ask, short_pages: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the socket's own timeout comes first, as it may on a busy machine
    monkeypatch.setattr(Guard, "cut", lambda guard: None)
    with RawUpstream(raw.drip_body(30)) as upstream:
        cause = failing(asker(upstream.url).page)
    assert cause.code == "timeout"


@pytest.mark.parametrize("how", list(SLOW)[1:3])
def test_a_slow_sender_is_given_up_at_the_end_of_the_walk_if_that_is_sooner(
    asker: Ask, how: str
) -> None:
    with RawUpstream(SLOW[how]) as upstream:
        ask = asker(upstream.url, clock=SystemClock())
        began = time.monotonic()
        cause = failing(lambda: ask.page(seconds=0.2))
        assert len(upstream.requests) == 1
    assert time.monotonic() - began < 1
    assert cause.code == "timeout"


@contextmanager
def speaking(first: bytes, then: bytes = b"") -> Iterator[str]:
    """A TLS address where *first* is said at once and *then* again and again."""
    stopping = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.02)

        def serve() -> None:
            while not stopping.is_set():
                with suppress(OSError):
                    connection, _ = listener.accept()
                    with connection:
                        connection.sendall(first)
                        while then and not stopping.wait(0.02):
                            connection.sendall(then)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"https://127.0.0.1:{listener.getsockname()[1]}/api/v2"
        finally:
            stopping.set()
            thread.join()


def test_a_slow_handshake_is_given_up_at_the_deadline(asker: Ask, short_pages: float) -> None:
    with speaking(b"\x16\x03\x03\x3f\xff\x02\x00\x3f\xfb", b"\x03") as url:
        began = time.monotonic()
        failing(asker(url).page)
    assert time.monotonic() - began < 3 * short_pages + 2


def test_a_port_that_does_not_speak_tls_is_told_as_such(asker: Ask) -> None:
    with speaking(b"HTTP/1.1 400 Bad Request\r\n\r\n") as url:
        cause = failing(asker(url).page)
    assert "TEAMUP_BASE_URL" in cause.text
    assert cause.scope is Scope.ACCOUNT


def test_a_client_that_gave_up_once_answers_again(asker: Ask, short_pages: float) -> None:
    with RawUpstream(raw.in_turn(raw.drip_headers(0.05), raw.ok())) as upstream:
        ask = asker(upstream.url)
        assert ask.page()["count"] == 0
        assert ask.page()["count"] == 0
        assert len(upstream.requests) == 3


def test_no_thread_is_left_behind(asker: Ask, short_pages: float) -> None:
    before = threading.active_count()
    with RawUpstream(raw.in_turn(raw.drip_body(0.05), raw.ok())) as upstream:
        asker(upstream.url).page()
    deadline = time.monotonic() + 2
    while threading.active_count() > before:
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)


# The budget


def most_in_a_minute(moments: list[float]) -> int:
    return max(sum(0 <= one - first < 60 for one in moments) for first in moments)


def test_no_sixty_seconds_hold_more_requests_than_the_budget(asker: Ask) -> None:
    clock = ManualClock(skip=True)
    asked: list[float] = []
    with StubUpstream(token=TOKEN) as upstream:
        upstream.before_page = lambda page: asked.append(clock.now())
        ask = asker(upstream.url, clock=clock, per_minute=7)
        for number in range(40):
            clock.move(number * 37 % 11 / 3)
            ask.page()
    assert len(asked) == 40
    assert most_in_a_minute(asked) == 7


def test_attempts_count_against_the_budget(asker: Ask) -> None:
    clock = ManualClock(skip=True)
    asked: list[float] = []

    def hook(page: int) -> Response:
        asked.append(clock.now())
        return Response(status=500)

    with StubUpstream(token=TOKEN, before_page=hook) as upstream:
        ask = asker(upstream.url, clock=clock, per_minute=4)
        for _ in range(4):
            failing(ask.page)
    assert len(asked) == 12
    assert most_in_a_minute(asked) == 4


def test_the_schemes_that_are_tried_count_against_the_budget(asker: Ask) -> None:
    with StubUpstream(token="another") as upstream:
        ask = asker(upstream.url, per_minute=4, schemes=ALL_SCHEMES)
        failing(lambda: ask.page(seconds=10))
        failing(lambda: ask.page(seconds=10))
        assert len(upstream.requests) <= 4


def test_a_budget_that_cannot_be_had_in_time_is_told_without_asking(asker: Ask) -> None:
    with StubUpstream(token=TOKEN) as upstream:
        ask = asker(upstream.url, per_minute=1)
        ask.page()
        cause = failing(lambda: ask.page(seconds=30))
        assert len(upstream.requests) == 1
    assert "TEAMUP_REQUESTS_PER_MINUTE" in cause.text


def test_the_budget_is_one_for_all_who_share_the_store(asker: Ask) -> None:
    clock = ManualClock(skip=True)
    store = MemoryStore(clock)
    with StubUpstream(timetable(1), token=TOKEN) as upstream:
        workers = [asker(upstream.url, clock=clock, store=store, per_minute=3) for _ in range(3)]
        for ask in workers:
            ask.page(seconds=1)
        for ask in workers:
            failing(lambda ask=ask: ask.page(seconds=1))
        assert len(upstream.requests) == 3
