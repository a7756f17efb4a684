"""The HTTP client for upstream: requests one page, with a deadline and at most three attempts."""

import json
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode

import requests
import urllib3

from bridge.clock import Clock
from bridge.errors import Cause, ProblemArea, UpstreamError
from bridge.instrumentation import NO_INSTRUMENTATION, Instrumentation
from bridge.upstream import causes
from bridge.upstream.account import Account
from bridge.upstream.budget import Purpose, RequestBudget
from bridge.upstream.deadline import Deadline, Guards
from bridge.upstream.http_session import new_session

PAGE_SECONDS = 10.0
"""The time for one page, all attempts together: a hanging upstream is noticed after it."""
MAX_BYTES = 8 * 1024 * 1024
_ATTEMPTS = 3
# Two of the operating system's own retries are after one and three seconds.
_CONNECT_SECONDS = 3.1
# Of the time for a page: an attempt in less could only replace the last failure by a time-out.
_SHORTEST_ATTEMPT = 0.1
_CHUNK = 64 * 1024
_MAX_BACKOFF = 2.0
_HEARTBEAT_SECONDS = 5.0

Params = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class RequestContext:
    """How a page is requested.

    Attributes:
        deadline: that of the walk which the page belongs to.
        cancelled: set when another page of the walk has failed.
        heartbeat: called before each attempt, and every few seconds while waiting for it.
        received: called with the size of each body, in bytes; it may raise UpstreamError.
    """

    deadline: Deadline
    purpose: Purpose = Purpose.LIVE
    cancelled: threading.Event = field(default_factory=threading.Event)
    heartbeat: Callable[[], None] = lambda: None
    received: Callable[[int], None] = lambda size: None


class MissingPageError(UpstreamError):
    """There is no page of this number: rows were deleted during the walk."""


class Client:
    """Sends requests to upstream for one account. Thread-safe.

    Args:
        connections: how many pages are requested at the same time.

    Attributes:
        account: whose requests it sends.
        skew: seconds by which upstream's clock was ahead of this machine's at the last response;
            None if the response had no usable date.
    """

    def __init__(
        self,
        account: Account,
        budget: RequestBudget,
        clock: Clock,
        *,
        connections: int = 4,
        instrumentation: Instrumentation = NO_INSTRUMENTATION,
    ) -> None:
        self.account = account
        self._budget = budget
        self._clock = clock
        self._instrumentation = instrumentation
        self.skew: float | None = None
        self._guards = Guards()
        # another token may need another scheme
        self._scheme_hint = f"scheme of {account.token_fingerprint}"
        self._http = new_session(connections * 2)

    @property
    def scheme(self) -> str | None:
        """The Authorization scheme that has worked, or None."""
        if self.account.anonymous:
            return None
        return self._budget.hint(self._scheme_hint)

    def page(self, path: str, params: Params, context: RequestContext) -> Mapping[str, Any]:
        """Request one page and return its decoded body.

        Args:
            path: the path relative to the base URL.

        Raises:
            UpstreamError: the last attempt failed.
        """
        time_left = PAGE_SECONDS
        for attempt in range(1, _ATTEMPTS + 1):
            self._wait_for_budget(context)
            began = self._clock.monotonic()
            try:
                return self._get_with_scheme(path, params, context, time_left)
            except UpstreamError as err:
                cause = err.cause
                pause = 0.0
                if cause.retry_after is not None:
                    self._budget.cool_down(cause.retry_after)
                    if cause.retry_after >= context.deadline.remaining:
                        raise
                else:
                    # equal jitter, so that pages that failed together are not retried together
                    pause = random.uniform(0.5, 1.0) * min(_MAX_BACKOFF, 0.25 * 2**attempt)  # noqa: S311
                time_left -= self._clock.monotonic() - began + pause
                if attempt == _ATTEMPTS or not cause.transient or context.deadline.passed:
                    raise
                if time_left < _SHORTEST_ATTEMPT * PAGE_SECONDS:
                    raise
                if pause:
                    self._clock.wait(context.cancelled, min(pause, context.deadline.remaining))
        raise AssertionError("the last attempt returns or raises")

    def close(self) -> None:
        """Close the connections. Current requests fail."""
        self._guards.close()
        self._http.close()

    def _wait_for_budget(self, context: RequestContext) -> None:
        while not context.cancelled.is_set() and (wait := self._budget.reserve(context.purpose)):
            if wait >= context.deadline.remaining:
                if (pause := self._budget.cooldown_left()) > 0:
                    raise UpstreamError(causes.cool_down(pause))
                raise UpstreamError(
                    Cause(
                        "budget",
                        "the budget of TEAMUP_REQUESTS_PER_MINUTE is used up for now",
                        problem_area=ProblemArea.PACE,
                    )
                )
            context.heartbeat()
            self._clock.wait(context.cancelled, min(wait, _HEARTBEAT_SECONDS))
        if context.cancelled.is_set():
            raise UpstreamError(Cause("cancelled", "another page of the same walk failed"))
        context.heartbeat()

    def _get_with_scheme(
        self, path: str, params: Params, context: RequestContext, seconds: float
    ) -> Mapping[str, Any]:
        """Request with the scheme that has worked, or else with each scheme until one works."""
        known = self.scheme
        schemes: tuple[str | None, ...] = self.account.schemes or (None,)
        if known in schemes:
            schemes = (known,)
        for scheme in schemes:
            if scheme != schemes[0]:
                self._wait_for_budget(context)
            try:
                body = self._get(path, params, scheme, context, seconds)
                self._instrumentation.page_requested("complete")
            except UpstreamError as err:
                self._instrumentation.page_requested(err.cause.code)
                if isinstance(err, _UnauthorizedError) and scheme != schemes[-1]:
                    continue
                raise
            if scheme is not None and scheme != known:
                self._budget.remember_hint(self._scheme_hint, scheme)
            return body
        raise AssertionError("an account has at least one scheme")

    def _get(
        self, path: str, params: Params, scheme: str | None, context: RequestContext, seconds: float
    ) -> Mapping[str, Any]:
        deadline = Deadline(self._clock, seconds, context.deadline)
        with self._guards.guard(deadline.remaining) as guard:
            try:
                status, headers, content = self._fetch(path, params, scheme, deadline)
            # The library lets a ValueError for a negative chunk size through.
            except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as err:
                if guard.fired or deadline.passed:
                    cause = causes.timeout(PAGE_SECONDS)
                else:
                    cause = causes.cause_of_error(
                        err, seconds=PAGE_SECONDS, connect_seconds=_CONNECT_SECONDS
                    )
                raise UpstreamError(cause) from None
            if guard.fired or deadline.passed:
                raise UpstreamError(causes.timeout(PAGE_SECONDS))
        self._compare_clocks(headers.get("Date"))
        context.received(len(content))
        body = _decode(content, status)
        if status == 200:
            return body
        if self.account.token and self.account.token in str(body.get("code")):
            body = {}
        cause = causes.cause_of_response(
            status,
            body,
            headers.get("Retry-After"),
            self._clock.now(),
            anonymous=self.account.anonymous,
        )
        if status == 401:
            raise _UnauthorizedError(cause)
        if status == 404:
            raise MissingPageError(cause)
        raise UpstreamError(cause)

    def _compare_clocks(self, date: str | None) -> None:
        try:
            self.skew = parsedate_to_datetime(date or "").timestamp() - self._clock.now()
        except (ValueError, TypeError, IndexError, OverflowError):
            self.skew = None

    def _fetch(
        self, path: str, params: Params, scheme: str | None, deadline: Deadline
    ) -> tuple[int, Mapping[str, str], bytes]:
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "gzip, deflate",
            "User-Agent": "teamup-feed-bridge",
        }
        if scheme is not None:
            headers["Authorization"] = f"{scheme} {self.account.token}"
        if self.account.provider_id:
            headers["TeamUp-Provider-ID"] = self.account.provider_id
        if self.account.request_mode:
            headers["Teamup-Request-Mode"] = self.account.request_mode
        timeout = max(0.05, deadline.remaining)
        with self._http.get(
            f"{self.account.base_url}/{path}?{urlencode(params)}",
            headers=headers,
            timeout=(min(_CONNECT_SECONDS, timeout), timeout),
            allow_redirects=False,
            stream=True,
        ) as response:
            try:
                content = _read(response, deadline)
            except requests.RequestException:
                # An error response is reported by its status, even if its body is incomplete.
                if response.status_code == 200:
                    raise
                content = b""
            return response.status_code, response.headers, content


class _UnauthorizedError(UpstreamError):
    """401: the scheme may be wrong."""


def _read(response: requests.Response, deadline: Deadline) -> bytes:
    content = bytearray()
    for chunk in response.iter_content(_CHUNK):
        content += chunk
        if len(content) > MAX_BYTES:
            raise UpstreamError(
                Cause("oversize", f"an answer from TeamUp was over {MAX_BYTES} bytes")
            )
        if deadline.passed:
            break
    return bytes(content)


def _decode(content: bytes, status: int) -> Mapping[str, Any]:
    try:
        body = json.loads(content, parse_constant=_reject_constant)
    except (ValueError, RecursionError):
        body = None
    if isinstance(body, Mapping):
        return body
    if status == 200:
        raise UpstreamError(
            Cause(
                "malformed",
                "TeamUp's answer is not a JSON object",
                transient=True,
            )
        )
    return {}


def _reject_constant(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")
