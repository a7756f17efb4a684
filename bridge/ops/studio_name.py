"""The studio's name: that of the settings, or else the one that TeamUp has for its provider."""

import json

import structlog

from bridge.clock import Clock
from bridge.errors import UpstreamError
from bridge.store.interface import Store, Write
from bridge.store.json_values import decode_json
from bridge.store.keys import Keys
from bridge.store.leases import acquire
from bridge.upstream.client import Client
from bridge.upstream.provider import provider_name

log = structlog.get_logger()

_FRESH_SECONDS = 86_400.0
_RETRY_SECONDS = 3_600.0
_TTL = 90 * 86_400.0


class StudioName:
    """The name that heads the pages.

    Args:
        configured: the name of the settings; if there is one, upstream is not asked.
        provider: the provider's id; without one, upstream is not asked either.

    Attributes:
        current: the name; empty if it is not known.
    """

    def __init__(
        self,
        configured: str,
        provider: str | None,
        *,
        client: Client,
        store: Store,
        keys: Keys,
        clock: Clock,
    ) -> None:
        self.current = configured
        self._provider = None if configured else provider
        self._client = client
        self._store = store
        self._keys = keys
        self._clock = clock

    def refresh(self) -> None:
        """Take the name that the fleet knows. Once a day one process asks upstream for it."""
        provider = self._provider
        if provider is None:
            return
        self.current, until = self._load()
        if until > self._store.now():
            return
        lease = acquire(self._store, self._keys, "provider")
        if lease is None:
            return
        try:
            self._ask(provider)
        finally:
            lease.release()

    def close(self) -> None:
        """Ask upstream no longer."""
        self._provider = None

    def _ask(self, provider: str) -> None:
        try:
            self.current = provider_name(self._client, provider, self._clock)
            until = self._store.now() + _FRESH_SECONDS
        except UpstreamError as err:
            # The last known name stays.
            log.info("studio name not read", code=err.cause.code)
            until = self._store.now() + _RETRY_SECONDS
        value = json.dumps([self.current, until]).encode()
        self._store.commit({self._keys.provider_name: Write(value, _TTL)})

    def _load(self) -> tuple[str, float]:
        """The name in the store, and until when it is fresh, in seconds since 1970."""
        key = self._keys.provider_name
        entry = self._store.read([key]).get(key)
        try:
            name, until = decode_json(entry.value) if entry else ("", 0)
            return str(name), float(until)
        except (TypeError, ValueError):  # stored by another version of the program
            return "", 0.0
