"""Access: whose request it is, in which mode it runs, and whether there were too many."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from werkzeug.datastructures import Headers

from bridge.sandbox.api_error import ApiError

ENOUGH = frozenset(
    {
        "manage_events",
        "attendances",
        "instructor_manage_events",
        "instructor_attendances",
        "developer",
    }
)
"""One of these permissions is needed (the vendor's reference page)."""

WINDOW = 60.0


@dataclass(frozen=True, slots=True)
class Authenticator:
    """What a request must show to be let in.

    Attributes:
        token: the one that is known.
        schemes: the words before it that are understood, in any case.
        provider_id: the provider that must be named; None asks for none.
        modes: those that the credentials reach, the default first.
        multiple_modes: whether the mode must be named.
        permissions: what the token's owner may do.
    """

    token: str
    schemes: tuple[str, ...]
    provider_id: str | None
    modes: tuple[str, ...]
    multiple_modes: bool
    permissions: frozenset[str]

    def admit(self, headers: Headers) -> str:
        """The mode in which the request runs. Raises Refusal."""
        self._authenticate(headers.get("Authorization", ""))
        self._check_provider(headers.get("TeamUp-Provider-ID"))
        mode = self._mode(headers.get("Teamup-Request-Mode"))
        if not self.permissions & ENOUGH:
            raise ApiError(403, "You do not have permission to perform this action.")
        return mode

    def _authenticate(self, header: str) -> None:
        scheme, _, token = header.partition(" ")
        known = {each.lower() for each in self.schemes}
        if scheme.lower() not in known or token.strip() != self.token:
            raise ApiError(401, "Authentication credentials were not provided or are invalid.")

    def _check_provider(self, header: str | None) -> None:
        if self.provider_id is None:
            return
        if not header:
            raise ApiError(400, "Name the provider.", code="provider_header_missing")
        if not (header.isascii() and header.isdigit()):
            raise ApiError(400, "A provider is a number.", code="provider_header_invalid")
        if header != self.provider_id:
            raise ApiError(403, "You cannot act for this provider.", code="provider_invalid")

    def _mode(self, header: str | None) -> str:
        if header is None and not self.multiple_modes:
            return self.modes[0]
        if header not in self.modes:
            raise ApiError(403, "This mode is not allowed.", code="mode_not_allowed")
        return header


class RateLimit:
    """So many requests in any sixty seconds; one that was refused does not count.

    Args:
        requests_per_minute: how many.
        clock: seconds, monotonic.
    """

    def __init__(self, requests_per_minute: int, clock: Callable[[], float]) -> None:
        self._limit = requests_per_minute
        self._clock = clock
        self._lock = threading.Lock()
        self._times: deque[float] = deque()

    def count(self) -> None:
        """Count a request. Raises Refusal (429, with no Retry-After: none is documented)."""
        with self._lock:
            now = self._clock()
            while self._times and self._times[0] <= now - WINDOW:
                self._times.popleft()
            if len(self._times) >= self._limit:
                raise ApiError(429, "Request was throttled.")
            self._times.append(now)
