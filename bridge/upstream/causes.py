"""Translation of upstream's errors to causes, with advice on how to fix them."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

import requests
import urllib3

from bridge.errors import Cause, ProblemArea, Scope
from bridge.filter_params import PARAMETERS

_MIN_RETRY, _MAX_RETRY, _DEFAULT_RETRY = 1.0, 300.0, 60.0

_UNAUTHENTICATED = (
    "TeamUp refused the token: check TEAMUP_API_TOKEN, and TEAMUP_AUTH_SCHEME if it is set"
)
_PERMISSION = (
    "the token's user lacks permission: give it one of manage_events, attendances,"
    " instructor_manage_events, instructor_attendances or developer in TeamUp, use another"
    " TEAMUP_API_TOKEN, or leave the list out of TEAMUP_SOURCES"
)
_ANONYMOUS = (
    "TeamUp does not show this list without a token: leave it out of TEAMUP_SOURCES, or set"
    " TEAMUP_API_TOKEN and another TEAMUP_AUTH_SCHEME"
)
_UNEXPLAINED = (
    "TeamUp, or a firewall in front of it, refuses the request without a reason (403): if it goes"
    " on, try from another network, or ask TeamUp"
)
_MODE = "TeamUp does not accept the request mode: set TEAMUP_REQUEST_MODE to provider or customer"
_PROVIDER = "TeamUp does not accept the provider: check TEAMUP_PROVIDER_ID"
_NO_PROVIDER = "the token reaches several providers: set TEAMUP_PROVIDER_ID to the one to show"

_Advice = tuple[ProblemArea, str]

_BY_CODE: Mapping[str, _Advice] = {
    "authentication_failed": (ProblemArea.TOKEN, _UNAUTHENTICATED),
    "not_authenticated": (ProblemArea.TOKEN, _UNAUTHENTICATED),
    "permission_denied": (ProblemArea.PERMISSION, _PERMISSION),
    "mode_not_allowed": (ProblemArea.MODE, _MODE),
    "provider_invalid": (ProblemArea.PROVIDER, _PROVIDER),
    "provider_header_invalid": (ProblemArea.PROVIDER, _PROVIDER),
    "provider_header_missing": (ProblemArea.PROVIDER, _NO_PROVIDER),
}
_BY_WORD: tuple[tuple[str, _Advice], ...] = (
    (r"(^|_)mode(_|$)", (ProblemArea.MODE, _MODE)),
    (r"(^|_)provider(_|$)", (ProblemArea.PROVIDER, _PROVIDER)),
)
_BY_STATUS: Mapping[int, _Advice] = {
    401: (ProblemArea.TOKEN, _UNAUTHENTICATED),
    403: (ProblemArea.PERMISSION, _PERMISSION),
    404: (ProblemArea.ADDRESS, "TeamUp has no such address: check TEAMUP_BASE_URL"),
}


def cause_of_response(
    status: int, body: Any, retry_after: str | None, now: float, *, anonymous: bool = False
) -> Cause:
    """The cause of a response whose status is not 200.

    Args:
        status: the HTTP status.
        body: the decoded body, or None. Only its code and names of known parameters are used.
        retry_after: the value of the ``Retry-After`` header, or None.
        now: seconds since 1970, for a ``Retry-After`` that is a date.
        anonymous: whether the request was sent without a token.
    """
    code = body.get("code") if isinstance(body, Mapping) else None
    if not (isinstance(code, str) and re.fullmatch(r"[a-z][a-z0-9_]{1,60}", code)):
        code = f"http_{status}"
    if status == 429:
        seconds = retry_after_seconds(retry_after, now)
        return replace(
            cool_down(seconds),
            code=code,
            scope=Scope.ACCOUNT,
            retry_after=seconds,
            transient=True,
        )
    advice = _advice(code) if 400 <= status < 500 else None
    if advice or status in (401, 403):
        problem_area, text = advice or _BY_STATUS[status]
        if status == 403 and not body:
            # The API itself would state a code: the token may have the permission.
            problem_area, text = ProblemArea.NETWORK, _UNEXPLAINED
        elif anonymous and problem_area in (ProblemArea.TOKEN, ProblemArea.PERMISSION):
            problem_area, text = ProblemArea.PERMISSION, _ANONYMOUS
        of_source = problem_area in (ProblemArea.PERMISSION, ProblemArea.NETWORK)
        scope = Scope.SOURCE if of_source else Scope.ACCOUNT
        return Cause(code, text, scope, problem_area=problem_area)
    if status in range(300, 400):
        return Cause(
            "redirect",
            "TeamUp answered with a redirect, which is not followed: check TEAMUP_BASE_URL",
            problem_area=ProblemArea.ADDRESS,
        )
    if status == 400:
        rejected = _rejected_params(body)
        names = f" ({', '.join(rejected)})" if rejected else ""
        return Cause(code, f"TeamUp does not accept the request{names}", rejected=rejected)
    if status in _BY_STATUS:
        problem_area, text = _BY_STATUS[status]
        return Cause(code, text, problem_area=problem_area)
    return Cause(code, f"TeamUp answered with status {status}", transient=status >= 500)


def cool_down(seconds: float) -> Cause:
    """The cause of a request that is not sent, because TeamUp has asked for a pause.

    Args:
        seconds: until its end.
    """
    return Cause(
        "throttled",
        f"TeamUp limits the request rate (429), the bridge waits {seconds:.0f} seconds: lower"
        " TEAMUP_REQUESTS_PER_MINUTE if this happens often",
        problem_area=ProblemArea.PACE,
    )


def _advice(code: str) -> _Advice | None:
    matches = (advice for pattern, advice in _BY_WORD if re.search(pattern, code))
    return _BY_CODE.get(code) or next(matches, None)


def _rejected_params(body: Any) -> tuple[str, ...]:
    """The known parameters that an error body names."""
    errors = body.get("field_errors") if isinstance(body, Mapping) else None
    parameters = {*PARAMETERS, "expand", "fields", "ids", "sort", "page", "page_size"}
    return tuple(sorted(parameters.intersection(errors))) if isinstance(errors, Mapping) else ()


def retry_after_seconds(retry_after: str | None, now: float) -> float:
    """The value of a ``Retry-After`` header in seconds, from 1 to 300; 60 if it is invalid.

    Source: RFC 9110, 10.2.3: a number of seconds, or a date.
    """
    if retry_after is None:
        return _DEFAULT_RETRY
    value = retry_after.strip()
    if re.fullmatch(r"[0-9]+", value):
        seconds = float(value)
    else:
        try:
            at = parsedate_to_datetime(value)
            seconds = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now
        except (ValueError, TypeError, IndexError, OverflowError):
            return _DEFAULT_RETRY
    return min(_MAX_RETRY, max(_MIN_RETRY, seconds))


_UNREACHABLE = (
    requests.ConnectionError,
    requests.exceptions.InvalidURL,
    urllib3.exceptions.LocationParseError,
)
_TIMEOUTS = (requests.Timeout, urllib3.exceptions.TimeoutError)


def timeout(seconds: float) -> Cause:
    """The cause of a page that took longer than *seconds*, after which it is not tried again."""
    return Cause(
        "timeout",
        f"TeamUp did not answer within {seconds:.0f} seconds",
        Scope.SOURCE,
        problem_area=ProblemArea.NETWORK,
    )


def cause_of_error(err: Exception, *, seconds: float, connect_seconds: float) -> Cause:
    """The cause of a failed exchange, without the library's text, which may contain the address.

    Args:
        seconds: the time that a page may take.
        connect_seconds: the time that connecting may take.
    """
    if isinstance(err, requests.ConnectTimeout):
        return replace(timeout(connect_seconds), transient=True)
    # While a body is read, requests wraps a timeout of urllib3 in a ConnectionError.
    if any(isinstance(error, _TIMEOUTS) for error in (err, *err.args)):
        return timeout(seconds)
    if isinstance(err, requests.exceptions.SSLError):
        return Cause(
            "tls",
            "the secure connection to TeamUp failed: check TEAMUP_BASE_URL",
            Scope.ACCOUNT,
            problem_area=ProblemArea.NETWORK,
        )
    if isinstance(err, _UNREACHABLE):
        return Cause(
            "unreachable",
            "TeamUp cannot be reached: check the network, and TEAMUP_BASE_URL",
            Scope.SOURCE,
            transient=True,
            problem_area=ProblemArea.NETWORK,
        )
    return Cause("malformed", "TeamUp's answer was cut short or garbled", transient=True)
