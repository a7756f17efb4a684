"""The exception hierarchy: every error that the bridge raises on purpose."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class BridgeError(Exception):
    """The base class. Its text may be displayed: it contains no secret and no upstream body."""


class ConfigError(BridgeError):
    """Some settings are invalid. The text has one line for each of them.

    Args:
        problems: by environment variable, what is wrong (without secrets) and what is accepted.
    """

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("\n".join(f"{name}: {text}" for name, text in problems.items()))
        self.problems = problems


class ParameterError(BridgeError):
    """A query parameter or a feed's path has an invalid value (HTTP 400)."""

    def __init__(self, parameter: str, problem: str) -> None:
        super().__init__(problem)
        self.parameter = parameter

    @classmethod
    def unusable(cls, parameter: str, text: str, accepted: str) -> "ParameterError":
        """The error for the value *text*."""
        return cls(parameter, f"{parameter}: {quoted(text)} cannot be used; accepted: {accepted}")


def quoted(text: str) -> str:
    """*text* from a client, quoted and truncated for an error message."""
    return ascii(text if len(text) <= 40 else text[:40] + "…")


class Scope(Enum):
    """Which requests are affected by a failure of the upstream."""

    ACCOUNT = "account"
    """All requests: 429, 401, a 403 that concerns the whole account, no secure connection."""
    SOURCE = "source"
    """All requests for one of TeamUp's lists: no permission for it, no connection, no answer in
    time. The other lists are requested all the same, because they may be answered."""
    KEY = "key"
    """One filter set only: a server error, a malformed response, inconsistent pages."""


class ProblemArea(Enum):
    """The part of the connection to upstream that has a problem.

    Attributes:
        word: the name of the area in reports.
        setting: the environment variable to check.
    """

    TOKEN = "token", "TEAMUP_API_TOKEN"
    PERMISSION = "permission", "TEAMUP_API_TOKEN"
    PROVIDER = "provider", "TEAMUP_PROVIDER_ID"
    MODE = "mode", "TEAMUP_REQUEST_MODE"
    NETWORK = "network", "TEAMUP_BASE_URL"
    """The host cannot be reached."""
    ADDRESS = "address", "TEAMUP_BASE_URL"
    """A server answers, but it is not the API."""
    PACE = "pace", "TEAMUP_REQUESTS_PER_MINUTE"
    SIZE = "size", "WALK_MAX_ROWS"
    """The timetable is larger than the bridge is allowed to read."""

    def __init__(self, word: str, setting: str) -> None:
        self.word = word
        self.setting = setting


@dataclass(frozen=True, slots=True)
class Cause:
    """Why the upstream failed. It is stored, logged and displayed.

    Attributes:
        code: the vendor's ``code``, or the bridge's own code.
        text: one sentence: what is wrong, and how to fix it.
        scope: which requests are affected.
        retry_after: seconds that upstream requested to wait, or None.
        transient: whether a retry is likely to succeed.
        problem_area: what has to be checked, if that is known.
        rejected: the names of the parameters that upstream does not accept, if it tells.
    """

    code: str
    text: str
    scope: Scope = Scope.KEY
    retry_after: float | None = None
    transient: bool = False
    problem_area: ProblemArea | None = None
    rejected: tuple[str, ...] = ()


_PUBLIC_CODES = frozenset(
    "authentication_failed budget cancelled inconsistent internal internal_error malformed"
    " method_not_allowed mode_not_allowed not_authenticated not_found oversize parameter_invalid"
    " permission_denied provider_header_invalid provider_header_missing provider_invalid redirect"
    " server_error throttled timeout tls too_large too_many unreachable".split()
)


UNREACHABLE = "the studio's booking system cannot be reached"
"""What the public learns of a failure of upstream. Its cause is for the operator."""


def public_code(code: str) -> str:
    """The code of a cause as shown to the public; ``refused`` for any code that is not listed."""
    return code if code in _PUBLIC_CODES or re.fullmatch("http_[0-9]{3}", code) else "refused"


class UpstreamError(BridgeError):
    """A request or a walk failed. None of its data is used."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(f"{cause.code}: {cause.text}")
        self.cause = cause


class UnknownFeedError(BridgeError):
    """A private feed's address is malformed, unsigned or revoked; clients never learn which."""


class RetryLaterError(BridgeError):
    """The request cannot be answered now, but probably later.

    Attributes:
        retry_after: whole seconds, for the ``Retry-After`` header.
    """

    def __init__(self, text: str, *, retry_after: int) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class UnavailableError(RetryLaterError):
    """There is no copy to serve, and none could be fetched in time (HTTP 503)."""


class TooManyRequestsError(RetryLaterError):
    """Too many new filter sets were requested at once (HTTP 429)."""


class StoreError(BridgeError):
    """An operation of the shared store failed.

    Attributes:
        readable: whether reads probably still work: the store is full, locked or read-only.
    """

    def __init__(self, text: str, *, readable: bool) -> None:
        super().__init__(text)
        self.readable = readable
