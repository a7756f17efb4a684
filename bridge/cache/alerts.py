"""Alerts: what a person should know of, told once for the whole fleet at each change of state."""

import json
import threading
import urllib.request
from collections.abc import Callable

import structlog

from bridge.cache.keys import Keys
from bridge.cache.store import Store, Write

log = structlog.get_logger()

_SECONDS = 10.0
_REMEMBERED = 90 * 86400.0

Post = Callable[[str, bytes], None]


class _Nowhere(urllib.request.HTTPRedirectHandler):
    """A redirect is an error: what is told is told to the address that was set."""

    def redirect_request(self, *args: object) -> None:
        return None


_opener = urllib.request.build_opener(_Nowhere)


def post(url: str, body: bytes) -> None:
    """Send *body*, JSON, to *url*, and to no other."""
    request = urllib.request.Request(  # noqa: S310 - the settings admit http and https alone
        url, data=body, headers={"Content-Type": "application/json"}, method="POST"
    )
    with _opener.open(request, timeout=_SECONDS):
        pass


class Alerts:
    """Tells of changes of state: to the log always, to a web hook where there is one.

    Args:
        url: gets ``{"text": …}`` by POST. It is a secret of its own.
        send: how it is sent; it may raise OSError.
    """

    def __init__(self, store: Store, keys: Keys, url: str | None, send: Post = post) -> None:
        self._store = store
        self._keys = keys
        self._url = url
        self._send = send

    def raised(self, topic: str, text: str) -> None:
        """Tell *text*, unless *topic* was raised already and is not over."""
        if self._changed(topic, raised=True):
            log.error("alert", topic=topic, text=text)
            self._tell(text)

    def over(self, topic: str, text: str) -> None:
        """Tell *text*, if *topic* was raised."""
        if self._changed(topic, raised=False):
            log.warning("alert over", topic=topic, text=text)
            self._tell(text)

    def _changed(self, topic: str, *, raised: bool) -> bool:
        key = self._keys.alert(topic)
        version = self._store.versions([key]).get(key)
        if (version is not None) is raised:
            return False
        value = b"raised" if raised else None
        return (
            self._store.commit({key: Write(value, _REMEMBERED)}, expect={key: version}) is not None
        )

    def _tell(self, text: str) -> None:
        if self._url is None:
            return
        body = json.dumps({"text": text}).encode()
        # A hook that hangs must not hold up what was about to be done.
        threading.Thread(target=self._deliver, args=(self._url, body), daemon=True).start()

    def _deliver(self, url: str, body: bytes) -> None:
        try:
            self._send(url, body)
        except (OSError, ValueError) as err:
            # the address may hold a secret: only what kind of failure it was
            log.warning("alert not delivered", error=type(err).__name__)
