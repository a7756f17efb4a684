"""One page from upstream: sent with care, read against a deadline, tried at most three times."""

import json
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlencode

import requests
import urllib3

from bridge.clock import Clock
from bridge.errors import Cause, ProblemArea, Scope, UpstreamError
from bridge.instrumentation import NO_INSTRUMENTATION, Instrumentation
from bridge.upstream import causes
from bridge.upstream.account import Account
from bridge.upstream.budget import Purpose, RequestBudget
from bridge.upstream.deadline import Deadline, Guard, GuardedAdapter, Guards

PAGE_SECONDS = 10.0
MAX_BYTES = 8 * 1024 * 1024
_ATTEMPTS = 3
_CONNECT_SECONDS = 5.0
_CHUNK = 64 * 1024
_LAST_WAIT = 2.0
_SIGN_OF_LIFE = 5.0

Params = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class _Turn:
    """What a page has of the walk that it belongs to."""

    limit: Deadline
    purpose: Purpose
    cancelled: threading.Event
    alive: Callable[[], None]


class MissingPageError(UpstreamError):
    """Upstream has no page of that number: rows went while the walk was under way."""


class Client:
    """Asks upstream as one account.

    Safe to use from several threads at once.

    Args:
        connections: how many pages are fetched at a time.

    Attributes:
        skew: seconds by which upstream's clock was ahead of this machine's at the last answer.
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
        self._account = account
        self._budget = budget
        self._clock = clock
        self._instrumentation = instrumentation
        self.skew: float | None = None
        self._guards = Guards()
        # another token may want another scheme
        self._scheme_name = f"scheme of {account.token_mark}"
        self._http = _Direct()
        # A .netrc would replace the Authorization header, a proxy variable would see the token.
        self._http.trust_env = False
        self._http.cookies.set_policy(_NoCookies())
        adapter = GuardedAdapter(pool_connections=2, pool_maxsize=connections * 2, max_retries=0)
        for scheme in ("https://", "http://"):
            self._http.mount(scheme, adapter)

    @property
    def scheme(self) -> str | None:
        """The Authorization scheme that has worked, if one has."""
        return self._budget.hint(self._scheme_name)

    def page(
        self,
        path: str,
        params: Params,
        *,
        limit: Deadline,
        purpose: Purpose = Purpose.LIVE,
        cancelled: threading.Event | None = None,
        alive: Callable[[], None] = lambda: None,
    ) -> Mapping[str, Any]:
        """The decoded body of one page.

        Args:
            path: below the base address.
            limit: the deadline of the walk that the page belongs to.
            cancelled: set when the walk has failed elsewhere.
            alive: called before each attempt, and every few seconds of waiting for it.

        Raises:
            UpstreamError: what went wrong at the last attempt.
        """
        turn = _Turn(limit, purpose, cancelled or threading.Event(), alive)
        for attempt in range(1, _ATTEMPTS + 1):
            self._await(turn)
            try:
                return self._with_scheme(path, params, turn)
            except UpstreamError as err:
                cause = err.cause
                if cause.retry_after is not None:
                    self._budget.cool_down(cause.retry_after)
                    if cause.retry_after >= limit.remaining:
                        raise
                if attempt == _ATTEMPTS or not cause.transient or limit.passed:
                    raise
                if cause.retry_after is None:
                    # jitter of a whole step, so that pages that failed together part
                    pause = random.uniform(0.5, 1.0) * min(_LAST_WAIT, 0.25 * 2**attempt)  # noqa: S311
                    self._clock.wait(turn.cancelled, min(pause, limit.remaining))
        raise AssertionError("the last attempt returns or raises")

    def close(self) -> None:
        """Close the connections; what is under way fails."""
        self._guards.close()
        self._http.close()

    def _await(self, turn: "_Turn") -> None:
        while not turn.cancelled.is_set() and (wait := self._budget.reserve(turn.purpose)):
            if wait >= turn.limit.remaining:
                raise UpstreamError(
                    Cause(
                        "budget",
                        "the budget of TEAMUP_REQUESTS_PER_MINUTE is used up for now",
                        matter=ProblemArea.PACE,
                    )
                )
            turn.alive()
            self._clock.wait(turn.cancelled, min(wait, _SIGN_OF_LIFE))
        if turn.cancelled.is_set():
            raise UpstreamError(Cause("cancelled", "another page of the same walk failed"))
        turn.alive()

    def _with_scheme(self, path: str, params: Params, turn: "_Turn") -> Mapping[str, Any]:
        """Ask with the scheme that has worked, or else with each in turn until one does."""
        known = self.scheme
        schemes = (known,) if known in self._account.schemes else self._account.schemes
        for scheme in schemes:
            if scheme != schemes[0]:
                self._await(turn)
            try:
                body = self._ask(path, params, scheme, turn.limit)
                self._instrumentation.attempted("complete")
            except UpstreamError as err:
                self._instrumentation.attempted(err.cause.code)
                if isinstance(err, _Unauthorised) and scheme != schemes[-1]:
                    continue
                raise
            if scheme != known:
                self._budget.remember_hint(self._scheme_name, scheme)
            return body
        raise AssertionError("an account has at least one scheme")

    def _ask(self, path: str, params: Params, scheme: str, limit: Deadline) -> Mapping[str, Any]:
        deadline = Deadline(self._clock, PAGE_SECONDS, limit)
        with self._guards.guard(deadline.remaining) as guard:
            try:
                status, headers, content = self._fetch(path, params, scheme, deadline)
            except (requests.RequestException, urllib3.exceptions.HTTPError) as err:
                raise UpstreamError(_broken(err, deadline, guard)) from None
            if guard.fired or deadline.passed:
                raise UpstreamError(_slow())
        self._compare_clocks(headers.get("Date"))
        body = _decoded(content, status)
        if status == 200:
            return body
        if self._account.token in str(body.get("code")):
            body = {}
        cause = causes.refusal(status, body, headers.get("Retry-After"), self._clock.now())
        if status == 401:
            raise _Unauthorised(cause)
        if status == 404:
            raise MissingPageError(cause)
        raise UpstreamError(cause)

    def _compare_clocks(self, date: str | None) -> None:
        try:
            self.skew = parsedate_to_datetime(date or "").timestamp() - self._clock.now()
        except (ValueError, TypeError, IndexError, OverflowError):
            self.skew = None

    def _fetch(
        self, path: str, params: Params, scheme: str, deadline: Deadline
    ) -> tuple[int, Mapping[str, str], bytes]:
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "gzip, deflate",
            "Authorization": f"{scheme} {self._account.token}",
            "User-Agent": "teamup-feed-bridge",
        }
        if self._account.provider_id:
            headers["TeamUp-Provider-ID"] = self._account.provider_id
        if self._account.request_mode:
            headers["Teamup-Request-Mode"] = self._account.request_mode
        left = max(0.05, deadline.remaining)
        with self._http.get(
            f"{self._account.base_url}/{path}?{urlencode(params)}",
            headers=headers,
            timeout=(min(_CONNECT_SECONDS, left), left),
            allow_redirects=False,
            stream=True,
        ) as response:
            try:
                content = _read(response, deadline)
            except requests.RequestException:
                # An error whose body is broken is still that error.
                if response.status_code == 200:
                    raise
                content = b""
            return response.status_code, response.headers, content


_UNREACHABLE = (
    requests.ConnectionError,
    requests.exceptions.InvalidURL,
    urllib3.exceptions.LocationParseError,
)


class _Unauthorised(UpstreamError):
    """401: the scheme may be the wrong one."""


class _Direct(requests.Session):
    """Asks what it is told to ask: a redirect is an answer like any other."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        # The library reads it even where it is not to follow it, and stumbles over bad ones.
        return None


class _NoCookies(DefaultCookiePolicy):
    """Nothing that upstream sends is kept for a later request."""

    def set_ok(self, cookie: object, request: object) -> bool:
        return False


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


def _slow() -> Cause:
    return Cause(
        "timeout",
        f"TeamUp did not answer within {PAGE_SECONDS:.0f} seconds",
        Scope.ACCOUNT,
        transient=True,
        matter=ProblemArea.NETWORK,
    )


def _broken(err: Exception, deadline: Deadline, guard: Guard) -> Cause:
    """The cause of a failed exchange; the library's own text stays out, it may hold the address."""
    # While a body is read requests wraps a timeout of urllib3's in a ConnectionError.
    timeouts = (requests.Timeout, urllib3.exceptions.TimeoutError)
    if guard.fired or deadline.passed or any(isinstance(e, timeouts) for e in (err, *err.args)):
        return _slow()
    if isinstance(err, requests.exceptions.SSLError):
        return Cause(
            "tls",
            "the secure connection to TeamUp failed: check TEAMUP_BASE_URL",
            Scope.ACCOUNT,
            matter=ProblemArea.NETWORK,
        )
    if isinstance(err, _UNREACHABLE):
        return Cause(
            "unreachable",
            "TeamUp cannot be reached: check the network, and TEAMUP_BASE_URL",
            Scope.ACCOUNT,
            transient=True,
            matter=ProblemArea.NETWORK,
        )
    return Cause("malformed", "TeamUp's answer was cut short or garbled", transient=True)


def _decoded(content: bytes, status: int) -> Mapping[str, Any]:
    try:
        body = json.loads(content, parse_constant=_not_json)
    except (ValueError, RecursionError):
        body = None
    if isinstance(body, Mapping):
        return body
    if status == 200:
        raise UpstreamError(
            Cause(
                "malformed",
                "TeamUp's answer is not the JSON object that was expected",
                transient=True,
            )
        )
    return {}


def _not_json(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")
