"""Alerts to the operator: logged and sent to a webhook, once per change of state in the fleet."""

import json
import threading
import urllib.request
from collections.abc import Callable, Mapping, Sequence

import structlog

from bridge.store.interface import Store, Write
from bridge.store.keys import Keys

log = structlog.get_logger()

_TIMEOUT = 10.0
_TTL = 90 * 86400.0

Post = Callable[[str, bytes], None]


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Treats a redirect as an error: alerts go to the configured address only."""

    def redirect_request(self, *args: object) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirects)


def post(url: str, body: bytes) -> None:
    """Send *body*, JSON, to *url*, without following redirects.

    Raises:
        OSError: the request failed.
    """
    request = urllib.request.Request(  # noqa: S310 - the settings accept only http and https
        url, data=body, headers={"Content-Type": "application/json"}, method="POST"
    )
    with _opener.open(request, timeout=_TIMEOUT):
        pass


class Alerts:
    """Fires and resolves alerts by topic. The store records which topics have fired.

    Args:
        url: the webhook, which gets ``{"text": …}`` by POST; None: alerts are only logged. The
            address is a secret.
        send: sends a body to the webhook; it may raise OSError.
    """

    def __init__(self, store: Store, keys: Keys, url: str | None, send: Post = post) -> None:
        self._store = store
        self._keys = keys
        self._url = url
        self._send = send

    def fire(self, topic: str, text: str) -> None:
        """Send *text*, unless *topic* has already fired and is not resolved."""
        key = self._keys.alert(topic)
        if self._store.versions([key]):
            return
        value = repr(self._store.now()).encode()
        if self._commit({key: Write(value, _TTL)}, {key: None}):
            log.error("alert", topic=topic, text=text)
            self._notify(text)

    def resolve(self, topic: str, text: str) -> None:
        """Send *text*, if *topic* has fired."""
        self.resolve_before(float("inf"), (topic,), text)

    def resolve_before(self, at: float, topics: Sequence[str], text: str) -> None:
        """Send *text* once if any of *topics* has fired, and all of those fired before *at*.

        Args:
            at: seconds since 1970.
        """
        topic_of = {self._keys.alert(topic): topic for topic in topics}
        fired = self._store.read(list(topic_of))
        if not fired or max(_fired_at(entry.value) for entry in fired.values()) >= at:
            return
        expect = {key: entry.version for key, entry in fired.items()}
        if self._commit({key: Write(None) for key in fired}, expect):
            log.warning("alert over", topic=", ".join(topic_of[key] for key in fired), text=text)
            self._notify(text)

    def _commit(self, writes: Mapping[str, Write], expect: Mapping[str, str | None]) -> bool:
        """Whether this process made the change, and the change is visible to the whole fleet."""
        committed = self._store.commit(writes, expect=expect) is not None
        # While the store fails, every process would send each alert again.
        return committed and not self._store.failing

    def _notify(self, text: str) -> None:
        if self._url is None:
            return
        body = json.dumps({"text": text}).encode()
        # A webhook that hangs must not delay the caller.
        threading.Thread(target=self._deliver, args=(self._url, body), daemon=True).start()

    def _deliver(self, url: str, body: bytes) -> None:
        try:
            self._send(url, body)
        except (OSError, ValueError) as err:
            # The message may contain the secret address: log only the type of the error.
            log.warning("alert not delivered", error=type(err).__name__)


def _fired_at(value: bytes) -> float:
    try:
        return float(value)
    except ValueError:  # stored by another version of the program
        return 0.0
