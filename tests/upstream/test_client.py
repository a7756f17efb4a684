"""Requesting a page over real HTTP: headers, errors, retries, deadlines and the budget."""

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
from clocks import ManualClock, wait_until
from faults.proxies import TcpProxy
from flask import Response
from upstream_client import TOKEN, VENDOR_TEXT, UpstreamClient, failure_of
from upstreams import raw
from upstreams.raw import RawUpstream
from upstreams.rows import timetable
from upstreams.stub import Hook, StubUpstream

from bridge import config
from bridge.clock import SystemClock
from bridge.errors import ProblemArea, Scope
from bridge.sandbox.api_error import ApiError
from bridge.store.memory import MemoryStore
from bridge.upstream.account import Account
from bridge.upstream.client import RequestContext
from bridge.upstream.deadline import Deadline, Guard

Connect = Callable[..., UpstreamClient]
ONE_MODE: dict[str, Any] = {"modes": ("provider",), "multiple_modes": True}
ALL_SCHEMES = ("Bearer", "Token", "JWT")


@pytest.fixture
def short_pages(monkeypatch: pytest.MonkeyPatch) -> float:
    monkeypatch.setattr("bridge.upstream.client.PAGE_SECONDS", 0.15)
    return 0.15


def respond_first_with(*responses: Response) -> Hook:
    """A hook that answers with these in turn, and then with pages."""
    remaining = list(responses)
    return lambda page: remaining.pop(0) if remaining else None


def error_response(status: int, code: str) -> Response:
    return ApiError(status, VENDOR_TEXT, code=code).response()


# Headers


def test_token_provider_and_mode_are_sent_as_headers_only(connect: Connect) -> None:
    with StubUpstream(token=TOKEN, provider_id="77", **ONE_MODE) as upstream:
        connect(upstream.url, provider_id="77", request_mode="provider").page()
    headers = upstream.requests[0].headers
    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert headers["teamup-provider-id"] == "77"
    assert headers["teamup-request-mode"] == "provider"
    assert headers["accept"] == "application/json"
    assert TOKEN not in upstream.requests[0].path
    assert TOKEN not in str(upstream.requests[0].args)


def test_provider_and_mode_are_not_sent_unless_set(connect: Connect) -> None:
    with StubUpstream(token=TOKEN) as upstream:
        connect(upstream.url).page()
    headers = upstream.requests[0].headers
    assert "teamup-provider-id" not in headers
    assert "teamup-request-mode" not in headers


def test_cookies_are_never_sent_back(connect: Connect) -> None:
    cookie = {"Set-Cookie": "session=1; Path=/"}
    with RawUpstream(raw.ok(headers=cookie)) as upstream:
        client = connect(upstream.url)
        client.page()
        client.page()
    assert len(upstream.requests) == 2
    assert not [request for request in upstream.requests if b"cookie" in request.lower()]


def test_netrc_files_and_proxy_variables_are_ignored(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
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
        connect(upstream.url).page()
        assert proxy.requests == []
    assert upstream.requests[0].headers["authorization"] == f"Bearer {TOKEN}"


def test_double_and_trailing_slashes_of_the_base_address_are_removed(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    with StubUpstream(token=TOKEN) as upstream:
        monkeypatch.setenv("TEAMUP_API_TOKEN", TOKEN)
        monkeypatch.setenv("CACHE_URL", "memory://")
        monkeypatch.setenv("TEAMUP_BASE_URL", upstream.url.replace("/api/v2", "//api//v2//"))
        base = Account.of(config.load()).base_url
        connect(base).page()
    assert base == upstream.url
    assert [request.path for request in upstream.requests] == ["/api/v2/course_sessions"]


def test_no_text_of_an_account_contains_its_token() -> None:
    account = Account(token=TOKEN, schemes=ALL_SCHEMES, base_url="https://a.example")
    assert TOKEN not in repr(account) + str(account) + account.name + account.token_fingerprint


# The scheme


def schemes_sent(upstream: StubUpstream) -> list[str]:
    return [request.headers["authorization"].split(" ")[0] for request in upstream.requests]


@pytest.mark.parametrize("scheme", ALL_SCHEMES)
def test_schemes_are_tried_in_order_until_one_works(connect: Connect, scheme: str) -> None:
    with StubUpstream(token=TOKEN, schemes=(scheme,)) as upstream:
        client = connect(upstream.url, schemes=ALL_SCHEMES)
        client.page()
        tried = [*ALL_SCHEMES[: ALL_SCHEMES.index(scheme)], scheme]
        assert schemes_sent(upstream) == tried
        client.page()
        assert schemes_sent(upstream) == [*tried, scheme]


def test_workers_share_the_scheme_that_works(connect: Connect) -> None:
    clock = ManualClock(skip=True)
    store = MemoryStore(clock)
    with StubUpstream(token=TOKEN, schemes=("JWT",)) as upstream:
        for _ in range(2):
            connect(upstream.url, schemes=ALL_SCHEMES, clock=clock, store=store).page()
        assert schemes_sent(upstream) == ["Bearer", "Token", "JWT", "JWT"]


def test_an_invalid_token_is_tried_once_with_each_scheme(connect: Connect) -> None:
    with StubUpstream(token="another") as upstream:
        cause = failure_of(connect(upstream.url, schemes=ALL_SCHEMES).page)
        assert schemes_sent(upstream) == ["Bearer", "Token", "JWT"]
    assert (cause.code, cause.scope) == ("authentication_failed", Scope.ACCOUNT)
    assert "TEAMUP_API_TOKEN" in cause.text


def test_other_schemes_are_not_tried_after_one_has_worked(connect: Connect) -> None:
    with StubUpstream(token=TOKEN, schemes=("Token",)) as upstream:
        client = connect(upstream.url, schemes=ALL_SCHEMES)
        client.page()
        upstream.app = upstream.api(token="another")
        upstream.requests.clear()
        failure_of(client.page)
        assert schemes_sent(upstream) == ["Token"]


def test_each_token_has_its_own_scheme(connect: Connect) -> None:
    clock = ManualClock(skip=True)
    store = MemoryStore(clock)
    with StubUpstream(token=TOKEN, schemes=("Bearer",)) as upstream:
        connect(upstream.url, schemes=ALL_SCHEMES, clock=clock, store=store).page()
        upstream.app = upstream.api(token="another", schemes=("Token",))
        connect(upstream.url, schemes=ALL_SCHEMES, clock=clock, store=store, token="another").page()
        assert schemes_sent(upstream) == ["Bearer", "Bearer", "Token"]


def test_a_configured_scheme_is_the_only_one_tried(connect: Connect) -> None:
    with StubUpstream(token=TOKEN, schemes=("Bearer",)) as upstream:
        failure_of(connect(upstream.url, schemes=("Token",)).page)
        assert schemes_sent(upstream) == ["Token"]


# Redirects


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_error_and_is_not_followed(connect: Connect, code: int) -> None:
    with (
        RawUpstream(raw.ok()) as trap,
        RawUpstream(raw.redirect(f"{trap.url}/course_sessions", code)) as upstream,
    ):
        cause = failure_of(connect(upstream.url).page)
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
def test_a_refusal_names_the_variable_and_is_not_retried(
    connect: Connect, status: int, code: str, variable: str
) -> None:
    hook = respond_first_with(*[error_response(status, code)] * 9)
    with StubUpstream(token=TOKEN, before_page=hook) as upstream:
        cause = failure_of(connect(upstream.url).page)
        assert len(upstream.requests) == 1
    assert cause.code == code
    assert variable in cause.text
    # The permission for one list may be missing; everything else concerns the whole account.
    of_list = code == "permission_denied" or (status, code) == (403, "something_new")
    assert cause.scope is (Scope.SOURCE if of_list else Scope.ACCOUNT)
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
def test_a_rejected_setting_is_identified_by_the_code(
    connect: Connect, account: dict[str, str], code: str
) -> None:
    with StubUpstream(token=TOKEN, provider_id="77", **ONE_MODE) as upstream:
        assert failure_of(connect(upstream.url, **account).page).code == code


def test_a_rejected_parameter_is_named_and_not_retried(
    connect: Connect,
) -> None:
    refusal = ApiError(400, VENDOR_TEXT, fields={"venues": VENDOR_TEXT, "x": "y"})
    hook = respond_first_with(*[refusal.response()] * 9)
    with StubUpstream(token=TOKEN, before_page=hook) as upstream:
        cause = failure_of(connect(upstream.url).page)
        assert len(upstream.requests) == 1, "a retry would fail again"
    assert (cause.code, cause.scope) == ("parameter_invalid", Scope.KEY)
    assert "venues" in cause.text


def test_an_unknown_address_is_reported_and_not_retried(connect: Connect) -> None:
    with StubUpstream(token=TOKEN) as upstream:
        cause = failure_of(connect(f"{upstream.url}/v9").page)
        assert len(upstream.requests) == 1
    assert "TEAMUP_BASE_URL" in cause.text


ODD_BODIES = (
    *(b"", b"<html>no</html>", b"[]", b"null", b"\xff", b'{"code": 7}', b'{"code": null}'),
    *(b'{"code": {"a": 1}, "field_errors": [1]}', b'{"code": "' + b"x" * 500 + b'"}'),
    *(f'{{"code": "{VENDOR_TEXT}", "field_errors": "x"}}'.encode(), b"[" * 100_000),
)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
def test_an_error_without_a_usable_body_is_identified_by_its_status(
    connect: Connect, status: int
) -> None:
    with RawUpstream(raw.ok()) as upstream:
        for body in ODD_BODIES:
            upstream.script = raw.status(status, body=body)
            assert failure_of(connect(upstream.url).page).code == f"http_{status}", body[:40]


@pytest.mark.parametrize("body", [b"", b"<html>Access denied</html>"])
def test_a_403_that_is_not_of_the_api_is_no_lack_of_permission(
    connect: Connect, body: bytes
) -> None:
    with RawUpstream(raw.status(403, body=body)) as upstream:
        cause = failure_of(connect(upstream.url).page)
        assert len(upstream.requests) == 1
    assert (cause.scope, cause.problem_area) == (Scope.SOURCE, ProblemArea.NETWORK)


@pytest.mark.parametrize("code", ["maintenance_mode", "model_error", "service_provider_down"])
def test_a_server_error_is_not_mistaken_for_a_wrong_setting(connect: Connect, code: str) -> None:
    with StubUpstream(
        token=TOKEN, before_page=respond_first_with(error_response(503, code))
    ) as upstream:
        assert connect(upstream.url).page()["count"] == 0, "a server error is worth another attempt"


def test_a_token_that_upstream_returns_as_a_code_is_not_revealed(connect: Connect) -> None:
    with StubUpstream(
        token=TOKEN, before_page=respond_first_with(error_response(400, TOKEN))
    ) as upstream:
        failure_of(connect(upstream.url).page)


# Attempts


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_after_a_server_error_there_are_three_attempts(connect: Connect, status: int) -> None:
    with StubUpstream(token=TOKEN) as upstream:
        upstream.faults.set("status", status, times=2)
        assert connect(upstream.url).page()["count"] == 0
        assert len(upstream.requests) == 3
        upstream.faults.set("status", status)
        upstream.requests.clear()
        cause = failure_of(connect(upstream.url).page)
        assert len(upstream.requests) == 3
    assert (cause.code, cause.scope) == ("server_error", Scope.KEY)


def test_all_attempts_together_take_no_longer_than_one_page_may(connect: Connect) -> None:
    clock = ManualClock(skip=True)

    def slow(connection: socket.socket, request: bytes, n: int) -> None:
        clock.move(6.0)
        raw.status(503)(connection, request, n)

    with RawUpstream(slow) as upstream:
        began = clock.monotonic()
        cause = failure_of(connect(upstream.url, clock=clock).page)
        assert len(upstream.requests) == 2
    # The client would have cut the second attempt, were the clock not moved by the server.
    assert clock.monotonic() - began < 6.0 + 6.0 + 1.0
    assert cause.code in ("timeout", "http_503")


def test_pauses_between_attempts_are_random(connect: Connect) -> None:
    pauses = set()
    with RawUpstream(raw.status(500)) as upstream:
        for _ in range(3):
            clock = ManualClock(skip=True)
            failure_of(connect(upstream.url, clock=clock).page)
            assert len(clock.waited) == 2
            assert all(0.1 <= pause <= 2 for pause in clock.waited)
            pauses.add(tuple(clock.waited))
    assert len(pauses) == 3


def test_a_cancelled_walk_sends_no_requests(connect: Connect) -> None:
    cancelled = threading.Event()
    cancelled.set()
    with StubUpstream(token=TOKEN) as upstream:
        client = connect(upstream.url)
        context = RequestContext(Deadline(client.clock, 120), cancelled=cancelled)
        failure_of(lambda: client.http.page("course_sessions", [], context))
        assert upstream.requests == []


# 429


def http_date(seconds: float) -> str:
    return format_datetime(datetime.fromtimestamp(ManualClock().now() + seconds, UTC), usegmt=True)


RETRY_AFTER = (
    *(("2", 2), ("0", 1), ("86400", 300), ("soon", 60), ("-5", 60), (None, 60), ("", 60)),
    *(("1.5", 60), ("9" * 30, 300), (http_date(30), 30), (http_date(-30), 1)),
    *((http_date(86400), 300), ("Mon, 99 Nov 2026 99:00:00 GMT", 60), ("\xb2", 60)),
)


@pytest.mark.parametrize(("header", "seconds"), RETRY_AFTER)
def test_a_429_is_a_cool_down_of_1_to_300_seconds_for_all_workers(
    connect: Connect, header: str | None, seconds: int
) -> None:
    clock = ManualClock(skip=True)
    store = MemoryStore(clock)
    headers = {} if header is None else {"Retry-After": header}
    body = b'{"code": "throttled", "message": "%s"}' % VENDOR_TEXT.encode()
    with RawUpstream(raw.status(429, headers, body)) as upstream:
        client = connect(upstream.url, clock=clock, store=store)
        cause = failure_of(lambda: client.page(seconds=0.5))
        assert len(upstream.requests) == 1
        assert (cause.code, cause.retry_after) == ("throttled", seconds)
        assert cause.scope is Scope.ACCOUNT
        assert "TEAMUP_REQUESTS_PER_MINUTE" in cause.text
        other = connect(upstream.url, clock=clock, store=store)
        assert other.budget.cooldown_left() == pytest.approx(seconds)
        cause = failure_of(lambda: other.page(seconds=0.5))
        assert len(upstream.requests) == 1, "no requests during the cool-down"
        assert cause.code == "throttled", "the budget is not used up"
        upstream.script = raw.ok()
        clock.move(seconds)
        other.page(seconds=0.5)


def test_after_a_short_cool_down_the_page_is_requested_again(connect: Connect) -> None:
    clock = ManualClock(skip=True)
    began = clock.now()
    with StubUpstream(token=TOKEN) as upstream:
        upstream.faults.set("status", 429, retry_after="2", times=1)
        connect(upstream.url, clock=clock).page()
        assert len(upstream.requests) == 2
    assert 2 <= clock.now() - began < 5


def test_after_repeated_429s_there_are_three_attempts(connect: Connect) -> None:
    with RawUpstream(raw.status(429, {"Retry-After": "2"})) as upstream:
        failure_of(connect(upstream.url).page)
        assert len(upstream.requests) == 3


def test_a_long_cool_down_ends_the_walk_at_once(connect: Connect) -> None:
    clock = ManualClock(skip=True)
    began = clock.now()
    with RawUpstream(raw.status(429, {"Retry-After": "86400"})) as upstream:
        failure_of(connect(upstream.url, clock=clock).page)
        assert len(upstream.requests) == 1
    assert clock.now() == began


@pytest.mark.parametrize("headers", [{"Content-Length": "50"}, {"Content-Encoding": "gzip"}])
def test_a_429_with_a_broken_body_is_handled_as_a_429(
    connect: Connect, headers: dict[str, str]
) -> None:
    script = raw.status(429, {"Retry-After": "200", **headers}, b"slow down")
    with RawUpstream(script) as upstream:
        client = connect(upstream.url)
        cause = failure_of(client.page)
        assert len(upstream.requests) == 1
    assert cause.retry_after == 200
    assert client.budget.cooldown_left() == pytest.approx(200)


# Broken responses

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
    "an endless head": lambda connection, request, n: connection.sendall(
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 500 + b"\r\n"
    ),
    "a bad chunk size": lambda connection, request, n: connection.sendall(
        raw.head(200, {"Transfer-Encoding": "chunked"}) + b"zz\r\n{}\r\n"
    ),
    "a negative chunk size": lambda connection, request, n: connection.sendall(
        raw.head(200, {"Transfer-Encoding": "chunked"}) + b"-5\r\n{}\r\n"
    ),
}
BROKEN = {**{f"cut short {place}": script for place, script in SHORT.items()}, **GARBLED}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_response_is_an_error_after_three_attempts(connect: Connect, case: str) -> None:
    with RawUpstream(BROKEN[case]) as upstream:
        client = connect(upstream.url)
        cause = failure_of(client.page)
        assert len(upstream.requests) == 3
        upstream.script = raw.in_turn(BROKEN[case], BROKEN[case], raw.ok())
        assert client.page()["results"] == [], "the third attempt succeeds"
    assert cause.code in ("malformed", "unreachable")


def bomb(mb: int, layers: int) -> raw.Script:
    """Spaces, compressed several times."""
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


@pytest.mark.parametrize("case", HUGE)
def test_an_oversize_body_is_abandoned_at_the_limit(connect: Connect, case: str) -> None:
    with RawUpstream(HUGE[case]()) as upstream:
        client = connect(upstream.url)
        traced = tracemalloc.is_tracing()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        try:
            cause = failure_of(client.page)
            peak = tracemalloc.get_traced_memory()[1] - before
        finally:
            if not traced:
                tracemalloc.stop()
        assert len(upstream.requests) == 1, "a retry would be as large"
    assert cause.code == "oversize"
    assert peak < 40 * 1024 * 1024


# Connections


def test_a_closed_port_is_unreachable(connect: Connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    cause = failure_of(connect(f"http://127.0.0.1:{port}/api/v2").page)
    assert (cause.code, cause.scope) == ("unreachable", Scope.SOURCE)


@pytest.mark.parametrize(
    "host",
    ["does-not-exist.invalid", "a..invalid", "a" * 64 + ".invalid", ".invalid", "*.invalid"],
)
def test_an_unresolvable_host_is_unreachable(connect: Connect, host: str) -> None:
    cause = failure_of(connect(f"https://{host}/api").page)
    assert "TEAMUP_BASE_URL" in cause.text


def test_connecting_ends_at_the_deadline(connect: Connect, short_pages: float) -> None:
    with raw.unanswered() as url:
        began = time.monotonic()
        cause = failure_of(connect(url).page)
    assert time.monotonic() - began < 3 * short_pages + 2
    assert (cause.code, cause.scope) == ("timeout", Scope.SOURCE)


class ForgetfulRouter(TcpProxy):
    """A router that drops the packets of connections which it has forgotten, and tells nobody."""

    def __init__(self, target_port: int) -> None:
        super().__init__(target_port)
        self.forgotten = 0

    def forget(self) -> None:
        """Forget all connections."""
        self.forgotten = len(self._sockets)

    def _relay(self, source: socket.socket, target: socket.socket, responses: bool) -> None:
        while data := source.recv(65_536):
            if self._sockets.index(source) >= self.forgotten:
                target.sendall(data)


def test_a_connection_that_was_idle_for_long_is_not_used_again(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    with StubUpstream(token=TOKEN) as upstream:
        port = int(upstream.url.split(":")[2].split("/")[0])
        with ForgetfulRouter(port) as router:
            client = connect(upstream.url.replace(str(port), str(router.port)))
            client.page()
            client.page()
            assert len(router._sockets) == 2, "one connection, with its two ends"
            router.forget()
            monkeypatch.setattr("bridge.upstream.deadline._MAX_IDLE_SECONDS", 0.0)
            client.page()


@pytest.mark.parametrize("count", [1, 3])
def test_interim_responses_are_skipped(connect: Connect, count: int) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"

    def script(connection: socket.socket, request: bytes, n: int) -> None:
        connection.sendall(hints * count)
        raw.pause(connection, 0.02)
        raw.ok()(connection, request, n)

    with RawUpstream(script) as upstream:
        assert connect(upstream.url).page()["count"] == 0
        assert len(upstream.requests) == 1


def endless_continue(connection: socket.socket, request: bytes, n: int) -> None:
    while raw.pause(connection, 0.02):
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")


def endless_hints(connection: socket.socket, request: bytes, n: int) -> None:
    while raw.pause(connection, 0.02):
        connection.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n")


def endless_chunks(connection: socket.socket, request: bytes, n: int) -> None:
    connection.sendall(raw.head(200, {"Transfer-Encoding": "chunked"}))
    while raw.pause(connection, 0.02):
        connection.sendall(b"1\r\n \r\n")


SLOW = {
    "silence": raw.silence(),
    "a byte at a time in the head": raw.drip_headers(0.05),
    "a byte at a time in the body": raw.drip_body(0.05),
    "endless interim responses": endless_continue,
    "endless early hints": endless_hints,
    "endless chunks": endless_chunks,
}


@pytest.mark.parametrize("case", SLOW)
def test_a_slow_response_is_abandoned_at_the_deadline(
    connect: Connect, short_pages: float, case: str
) -> None:
    with RawUpstream(SLOW[case]) as upstream:
        client = connect(upstream.url)
        began = time.monotonic()
        cause = failure_of(client.page)
        assert len(upstream.requests) == 1
    assert time.monotonic() - began < 3 * short_pages + 2
    assert (cause.code, cause.scope) == ("timeout", Scope.SOURCE)


def test_a_socket_timeout_in_the_body_is_reported_as_a_timeout(
    connect: Connect, short_pages: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    # only the socket's own timeout is active, which may fire first on a busy machine
    monkeypatch.setattr(Guard, "cut", lambda guard: None)
    with RawUpstream(raw.drip_body(30)) as upstream:
        cause = failure_of(connect(upstream.url).page)
    assert cause.code == "timeout"


@pytest.mark.parametrize("case", list(SLOW)[1:3])
def test_a_slow_response_is_abandoned_at_the_walks_earlier_deadline(
    connect: Connect, case: str
) -> None:
    with RawUpstream(SLOW[case]) as upstream:
        client = connect(upstream.url, clock=SystemClock())
        began = time.monotonic()
        cause = failure_of(lambda: client.page(seconds=0.2))
        assert len(upstream.requests) == 1
    assert time.monotonic() - began < 5
    assert cause.code == "timeout"


@contextmanager
def raw_tls_server(first: bytes, then: bytes = b"") -> Iterator[str]:
    """An https address whose server sends *first* at once, and *then* repeatedly."""
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


def test_a_slow_handshake_is_abandoned_at_the_deadline(
    connect: Connect, short_pages: float
) -> None:
    with raw_tls_server(b"\x16\x03\x03\x3f\xff\x02\x00\x3f\xfb", b"\x03") as url:
        began = time.monotonic()
        failure_of(connect(url).page)
    assert time.monotonic() - began < 3 * short_pages + 2


def test_a_port_without_tls_is_reported(connect: Connect) -> None:
    with raw_tls_server(b"HTTP/1.1 400 Bad Request\r\n\r\n") as url:
        cause = failure_of(connect(url).page)
    assert "TEAMUP_BASE_URL" in cause.text
    assert cause.scope is Scope.ACCOUNT


def test_a_client_works_again_after_a_timeout(
    connect: Connect, short_pages: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawUpstream(raw.in_turn(raw.drip_headers(0.05), raw.ok())) as upstream:
        client = connect(upstream.url)
        assert failure_of(client.page).code == "timeout"
        monkeypatch.setattr("bridge.upstream.client.PAGE_SECONDS", 10.0)
        assert client.page()["count"] == 0
        assert client.page()["count"] == 0
        assert len(upstream.requests) == 3


def test_no_thread_is_left_running(
    connect: Connect, short_pages: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = threading.active_count()
    with RawUpstream(raw.in_turn(raw.drip_body(0.05), raw.ok())) as upstream:
        client = connect(upstream.url)
        failure_of(client.page)
        monkeypatch.setattr("bridge.upstream.client.PAGE_SECONDS", 10.0)
        client.page()
    wait_until(lambda: threading.active_count() <= before)


# The budget


def most_in_a_minute(times: list[float]) -> int:
    return max(sum(0 <= at - first < 60 for at in times) for first in times)


def test_no_sixty_seconds_contain_more_requests_than_the_budget(connect: Connect) -> None:
    clock = ManualClock(skip=True)
    times: list[float] = []
    with StubUpstream(token=TOKEN) as upstream:
        upstream.before_page = lambda page: times.append(clock.now())
        client = connect(upstream.url, clock=clock, per_minute=7)
        for number in range(40):
            clock.move(number * 37 % 11 / 3)
            client.page()
    assert len(times) == 40
    assert most_in_a_minute(times) == 7


def test_attempts_count_against_the_budget(connect: Connect) -> None:
    clock = ManualClock(skip=True)
    times: list[float] = []

    def hook(page: int) -> Response:
        times.append(clock.now())
        return Response(status=500)

    with StubUpstream(token=TOKEN, before_page=hook) as upstream:
        client = connect(upstream.url, clock=clock, per_minute=4)
        for _ in range(4):
            failure_of(client.page)
    assert len(times) == 12
    assert most_in_a_minute(times) == 4


def test_attempts_with_other_schemes_count_against_the_budget(connect: Connect) -> None:
    with StubUpstream(token="another") as upstream:
        client = connect(upstream.url, per_minute=4, schemes=ALL_SCHEMES)
        failure_of(lambda: client.page(seconds=10))
        failure_of(lambda: client.page(seconds=10))
        assert len(upstream.requests) <= 4


def test_a_used_up_budget_is_reported_without_a_request(connect: Connect) -> None:
    with StubUpstream(token=TOKEN) as upstream:
        client = connect(upstream.url, per_minute=1)
        client.page()
        cause = failure_of(lambda: client.page(seconds=30))
        assert len(upstream.requests) == 1
    assert "TEAMUP_REQUESTS_PER_MINUTE" in cause.text


def test_all_clients_of_a_store_share_the_budget(connect: Connect) -> None:
    clock = ManualClock(skip=True)
    store = MemoryStore(clock)
    with StubUpstream(timetable(1), token=TOKEN) as upstream:
        workers = [connect(upstream.url, clock=clock, store=store, per_minute=3) for _ in range(3)]
        for client in workers:
            client.page(seconds=1)
        for client in workers:
            failure_of(lambda client=client: client.page(seconds=1))
        assert len(upstream.requests) == 3
