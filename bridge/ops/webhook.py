"""A webhook: the HTTP POST of alerts and of changes to an address that is a secret."""

import hashlib
from collections.abc import Mapping
from urllib.parse import urlsplit

import requests
import urllib3

from bridge import network_errors
from bridge.upstream.deadline import Guards
from bridge.upstream.http_session import new_session

POST_SECONDS = 10.0
_CONNECT_SECONDS = 5.0


class DeliveryError(Exception):
    """The receiver did not accept a message.

    The text does not contain the address.

    Attributes:
        outcome: ``redirected``, ``refused`` (4xx), ``failed`` (any other status), or
            ``unreachable`` (no complete response in time).
    """

    def __init__(self, outcome: str, text: str) -> None:
        super().__init__(text)
        self.outcome = outcome


class Webhook:
    """The receiver at an address.

    Args:
        url: http or https.
        seconds: the limit for one request, from its start to the head of the response.
    """

    def __init__(self, url: str, *, seconds: float = POST_SECONDS) -> None:
        self._url = url
        self._host = urlsplit(url).hostname or "its host"
        self._seconds = seconds
        self._guards = Guards()
        self._http = new_session(1)

    @property
    def fingerprint(self) -> str:
        """A hash that identifies the address without revealing it."""
        return hashlib.sha256(self._url.encode()).hexdigest()[:8]

    def post(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Send *body*, JSON, and return when the receiver has accepted it with a 2xx.

        The body of the response is not read, and a redirect is not followed.

        Raises:
            DeliveryError: the receiver did not accept it, or :meth:`close` was called.
        """
        with self._guards.guard(self._seconds) as guard:
            try:
                with self._http.post(
                    self._url,
                    data=body,
                    headers={
                        "Content-Type": "application/json",
                        "User-Agent": "teamup-feed-bridge",
                        **headers,
                    },
                    timeout=(min(_CONNECT_SECONDS, self._seconds), self._seconds),
                    allow_redirects=False,
                    stream=True,
                ) as response:
                    status = response.status_code
            except (
                requests.RequestException,
                urllib3.exceptions.HTTPError,
                OSError,
                ValueError,
            ) as err:
                # The error's own text may contain the address.
                text = "it does not answer" if guard.fired else network_errors.describe(err)
                raise DeliveryError("unreachable", text.replace(self._host, "it")) from None
        if not 200 <= status < 300:
            raise DeliveryError(_outcome(status), f"it answers with {status}")

    def close(self) -> None:
        """Cut the connection, if there is one."""
        self._guards.close()
        self._http.close()


def _outcome(status: int) -> str:
    return {3: "redirected", 4: "refused"}.get(status // 100, "failed")
