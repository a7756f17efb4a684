"""Alerts: what a person should know of, told once for the whole fleet at each change of state."""

import json
import threading
import urllib.request
from collections.abc import Callable, Mapping, Sequence

import structlog

from bridge.store.interface import Store, Write
from bridge.store.keys import Keys

log = structlog.get_logger()

_SECONDS = 10.0
_REMEMBERED = 90 * 86400.0

Post = Callable[[str, bytes], None]


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect is an error: what is told is told to the address that was set."""

    def redirect_request(self, *args: object) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirects)


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
        key = self._keys.alert(topic)
        if self._store.versions([key]):
            return
        value = repr(self._store.now()).encode()
        if self._changed({key: Write(value, _REMEMBERED)}, {key: None}):
            log.error("alert", topic=topic, text=text)
            self._tell(text)

    def over(self, topic: str, text: str) -> None:
        """Tell *text*, if *topic* was raised."""
        self.over_by(float("inf"), (topic,), text)

    def over_by(self, at: float, topics: Sequence[str], text: str) -> None:
        """Tell *text* once, if any of *topics* was raised, and all of them before *at*."""
        named = {self._keys.alert(topic): topic for topic in topics}
        raised = self._store.read(list(named))
        if not raised or max(_moment(entry.value) for entry in raised.values()) >= at:
            return
        expect = {key: entry.version for key, entry in raised.items()}
        if self._changed({key: Write(None) for key in raised}, expect):
            log.warning("alert over", topic=", ".join(named[key] for key in raised), text=text)
            self._tell(text)

    def _changed(self, writes: Mapping[str, Write], expect: Mapping[str, str | None]) -> bool:
        """Whether it was this process that made the change, for the fleet."""
        made = self._store.commit(writes, expect=expect) is not None
        # What is not shared each process would tell anew, as often as the store goes away.
        return made and not self._store.failing

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


def _moment(value: bytes) -> float:
    """When it was raised, in seconds since 1970."""
    try:
        return float(value)
    except ValueError:  # of another version of the program
        return 0.0
