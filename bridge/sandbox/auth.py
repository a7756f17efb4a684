"""Authentication, request mode and rate limit of the sandbox API."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from werkzeug.datastructures import Headers

from bridge.sandbox.api_error import ApiError

REQUIRED_PERMISSIONS = frozenset(
    {
        "manage_events",
        "attendances",
        "instructor_manage_events",
        "instructor_attendances",
        "developer",
    }
)
"""At least one of these is needed (TeamUp's reference page)."""

ANONYMOUS = "anonymous"
"""The request mode of a reader without a token."""

_WINDOW = 60.0  # seconds


@dataclass(frozen=True, slots=True)
class Authenticator:
    """Checks the headers of a request.

    Attributes:
        token: the valid token.
        schemes: accepted authentication schemes, in any letter case.
        provider_id: the required provider id; None: none is required.
        modes: the request modes that the token may use, the default first.
        multiple_modes: whether the mode header is required.
        permissions: the permissions of the token's owner.
    """

    token: str = field(repr=False)
    schemes: tuple[str, ...]
    provider_id: str | None
    modes: tuple[str, ...]
    multiple_modes: bool
    permissions: frozenset[str]

    def authorize(self, headers: Headers, *, anonymous: bool = False) -> str:
        """Return the request mode. Raises ApiError where the request is not allowed.

        Args:
            anonymous: whether the provider's header is enough if no token is sent.
        """
        if anonymous and "Authorization" not in headers:
            self._check_provider(headers.get("TeamUp-Provider-ID"))
            return ANONYMOUS
        self._authenticate(headers.get("Authorization", ""))
        if self.provider_id is not None:
            self._check_provider(headers.get("TeamUp-Provider-ID"))
        mode = self._mode(headers.get("Teamup-Request-Mode"))
        if not self.permissions & REQUIRED_PERMISSIONS:
            raise ApiError(403, "You do not have permission to perform this action.")
        return mode

    def _authenticate(self, header: str) -> None:
        scheme, _, token = header.partition(" ")
        schemes = {accepted.lower() for accepted in self.schemes}
        if scheme.lower() not in schemes or token.strip() != self.token:
            raise ApiError(401, "Authentication credentials were not provided or are invalid.")

    def _check_provider(self, header: str | None) -> None:
        if not header:
            raise ApiError(400, "Name the provider.", code="provider_header_missing")
        if not (header.isascii() and header.isdigit()):
            raise ApiError(400, "A provider is a number.", code="provider_header_invalid")
        if self.provider_id not in (None, header):
            raise ApiError(403, "You cannot act for this provider.", code="provider_invalid")

    def _mode(self, header: str | None) -> str:
        if header is None and not self.multiple_modes:
            return self.modes[0]
        if header not in self.modes:
            raise ApiError(403, "This mode is not allowed.", code="mode_not_allowed")
        return header


class RateLimit:
    """A sliding window of sixty seconds; rejected requests do not count.

    Args:
        clock: monotonic, in seconds.
    """

    def __init__(self, requests_per_minute: int, clock: Callable[[], float]) -> None:
        self._limit = requests_per_minute
        self._clock = clock
        self._lock = threading.Lock()
        self._times: deque[float] = deque()

    def hit(self) -> None:
        """Count a request. Raises ApiError (429, without Retry-After: none is documented)."""
        with self._lock:
            now = self._clock()
            while self._times and self._times[0] <= now - _WINDOW:
                self._times.popleft()
            if len(self._times) >= self._limit:
                raise ApiError(429, "Request was throttled.")
            self._times.append(now)
