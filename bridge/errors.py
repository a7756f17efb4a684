"""One tree of exceptions: every error that the bridge raises on purpose."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class BridgeError(Exception):
    """Base of all. Its text is fit to be shown: it holds no secret and no upstream body."""


class ConfigError(BridgeError):
    """Settings cannot be used. Its text has one line for each.

    Args:
        problems: what is wrong, secrets left out, and what would be accepted; by the name of the
            environment variable.
    """

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("\n".join(f"{name}: {text}" for name, text in problems.items()))
        self.problems = problems


class ParameterError(BridgeError):
    """A query parameter, or a feed's path, asks for something that is not offered (HTTP 400)."""

    def __init__(self, parameter: str, problem: str) -> None:
        super().__init__(problem)
        self.parameter = parameter


class Scope(Enum):
    """What a failure of the upstream says something about."""

    ACCOUNT = "account"
    """The upstream as a whole: no connection, 429, 401, 403."""
    KEY = "key"
    """One question only: a server error, a malformed answer, a walk that never came consistent."""


class ProblemArea(Enum):
    """What there is between the bridge and upstream that can be wrong.

    Attributes:
        setting: the environment variable to look at.
    """

    TOKEN = "token", "TEAMUP_API_TOKEN"
    PERMISSION = "permission", "TEAMUP_API_TOKEN"
    PROVIDER = "provider", "TEAMUP_PROVIDER_ID"
    MODE = "mode", "TEAMUP_REQUEST_MODE"
    NETWORK = "network", "TEAMUP_BASE_URL"
    """It cannot be reached."""
    ADDRESS = "address", "TEAMUP_BASE_URL"
    """Something answers, and it is not the API."""
    PACE = "pace", "TEAMUP_REQUESTS_PER_MINUTE"

    def __init__(self, word: str, setting: str) -> None:
        self.word = word
        self.setting = setting


@dataclass(frozen=True, slots=True)
class Cause:
    """Why the upstream failed, in the form that is remembered, logged and shown.

    Attributes:
        code: the vendor's ``code``, or the bridge's own word for what happened.
        text: one sentence: what is wrong, and what to do about it.
        scope: what the failure says something about.
        retry_after: seconds for which upstream asked to be left alone, if it did.
        transient: whether the same request may well succeed a moment later.
        matter: what has to be looked at, where that is known.
    """

    code: str
    text: str
    scope: Scope = Scope.KEY
    retry_after: float | None = None
    transient: bool = False
    matter: ProblemArea | None = None


_TOLD = frozenset(
    "authentication_failed budget cancelled inconsistent internal internal_error malformed"
    " method_not_allowed mode_not_allowed not_authenticated not_found oversize parameter_invalid"
    " permission_denied provider_header_invalid provider_header_missing provider_invalid redirect"
    " server_error throttled timeout tls too_many unreachable".split()
)


def told(code: str) -> str:
    """*code* of a cause as anybody may read it: words that upstream chose are the operator's."""
    return code if code in _TOLD or re.fullmatch("http_[0-9]{3}", code) else "refused"


class UpstreamError(BridgeError):
    """A walk failed. Nothing of it is used."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(f"{cause.code}: {cause.text}")
        self.cause = cause


class UnknownFeedError(BridgeError):
    """There is no such private feed: malformed, never signed, or revoked; nobody learns which."""


class UnavailableError(BridgeError):
    """There is no copy to serve and none could be had in time (HTTP 503).

    Attributes:
        retry_after: whole seconds after which to ask again.
    """

    def __init__(self, text: str, *, retry_after: int) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class TooManyRequestsError(BridgeError):
    """Too much that is new was asked for at once (HTTP 429).

    Attributes:
        retry_after: whole seconds after which to ask again.
    """

    def __init__(self, text: str, *, retry_after: int) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class StoreError(BridgeError):
    """The shared store did not do what it was asked to.

    Attributes:
        readable: whether it may well answer reads all the same: it is full, locked or read-only.
    """

    def __init__(self, text: str, *, readable: bool) -> None:
        super().__init__(text)
        self.readable = readable
