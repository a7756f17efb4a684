"""A store in Redis or Valkey, shared by several machines."""

import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from bridge import network_errors
from bridge.clock import Clock
from bridge.errors import StoreError
from bridge.store.interface import (
    BACKGROUND_TIMEOUT,
    REQUEST_TIMEOUT,
    TIMEOUT,
    Entry,
    Store,
    Write,
)

_SYNC_SECONDS, _MAX_DRIFT = 60.0, 1.0
# Other options would change the types that the library returns, or its timeouts.
_OPTIONS = frozenset({"db", "client_name"})
_VERSION_LENGTH = 32
# KEYS: first the keys with an expectation, then the keys to write. ARGV: the number of
# expectations, the new version, the expected versions ("" for a missing key), then for each write
# "0" to delete or the milliseconds to live ("-" for no expiry), and the value. A stored value
# begins with its version.
_COMMIT = """
local expected = tonumber(ARGV[1])
for i = 1, expected do
  if redis.call('GETRANGE', KEYS[i], 0, 31) ~= ARGV[2 + i] then return 0 end
end
local at = 3 + expected
for i = expected + 1, #KEYS do
  local ttl, value = ARGV[at], ARGV[at + 1]
  at = at + 2
  if ttl == '0' then redis.call('DEL', KEYS[i])
  elseif ttl == '-' then redis.call('SET', KEYS[i], ARGV[2] .. value)
  else redis.call('SET', KEYS[i], ARGV[2] .. value, 'PX', ttl) end
end
return 1
"""
_GLOB_ESCAPES = str.maketrans({character: f"\\{character}" for character in "\\*?[]^-"})


class RedisStore(Store):
    """A store in a Redis or Valkey server. The whole fleet uses the server's clock.

    Raises:
        ValueError: the URL is invalid.
    """

    def __init__(self, url: str, clock: Clock) -> None:
        self._clock = clock
        options = parse_qs(urlsplit(url).query)
        if any(name not in _OPTIONS and not name.startswith("ssl_") for name in options):
            raise ValueError("an option of the address is unknown")
        self._url = url
        self._clients = _clients(url)
        try:
            # The library validates most of a URL only when it first connects.
            self._clients[BACKGROUND_TIMEOUT].connection_pool.make_connection()
        except (TypeError, redis.RedisError) as err:
            raise ValueError("an option of the address cannot be used") from err
        self._commit: Any = self._clients[BACKGROUND_TIMEOUT].register_script(_COMMIT)
        self._lock = threading.Lock()
        self._clock_offset = 0.0
        self._synced: float | None = None
        self._shift = 0.0

    def now(self) -> float:
        """Seconds since 1970 by the server's clock, with the offset of the last synchronisation."""
        return self._clock.now() + self._clock_offset

    def read(self, keys: Sequence[str]) -> dict[str, Entry]:
        values = self._run(lambda: self._redis.mget(keys)) if keys else []
        return {
            key: Entry(value[_VERSION_LENGTH:], value[:_VERSION_LENGTH].decode())
            for key, value in zip(keys, values, strict=True)
            if value is not None
        }

    def versions(self, keys: Sequence[str]) -> dict[str, str]:
        def read_versions() -> list[bytes]:
            with self._redis.pipeline(transaction=False) as pipe:
                for key in keys:
                    pipe.getrange(key, 0, _VERSION_LENGTH - 1)
                return list(pipe.execute())

        versions = zip(keys, self._run(read_versions), strict=True)
        return {key: version.decode() for key, version in versions if version}

    def commit(
        self, writes: Mapping[str, Write], *, expect: Mapping[str, str | None] | None = None
    ) -> str | None:
        expect = expect or {}
        version = uuid.uuid4().hex
        arguments: list[str | bytes] = [str(len(expect)), version]
        arguments.extend(expected or "" for expected in expect.values())
        for write in writes.values():
            if write.value is None:
                arguments.extend(("0", ""))
            else:
                ttl = "-" if write.ttl is None else str(max(1, round(write.ttl * 1000)))
                arguments.extend((ttl, write.value))
        keys = [*expect, *writes]

        def commit() -> Any:
            return self._commit(keys=keys, args=arguments, client=self._redis)

        return version if self._run(commit) else None

    def names(self, prefix: str) -> list[str]:
        pattern = prefix.translate(_GLOB_ESCAPES) + "*"
        keys = self._run(lambda: list(self._redis.scan_iter(match=pattern, count=1000)))
        return [key.decode() for key in keys]

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    @property
    def _redis(self) -> Any:
        return self._clients[TIMEOUT.get()]

    def _run(self, operation: Any) -> Any:
        try:
            self._sync_clock()
            return operation()
        except redis.exceptions.AuthenticationError as err:
            raise StoreError("Redis refuses the user or the password", readable=False) from err
        except redis.exceptions.NoPermissionError as err:
            # it names the command or the key that the user may not use
            text = f"Redis refuses: NOPERM {err}"
            raise StoreError(text[:200], readable=True) from err
        except redis.exceptions.ResponseError as err:
            # After a failover another server may answer new connections.
            self._reconnect()
            # full, or a read-only replica: reads still work
            raise StoreError(f"Redis refuses: {_refusal(err)}", readable=True) from err
        except (redis.RedisError, OSError) as err:
            raise StoreError(f"Redis: {_reason(err)}", readable=False) from err

    def _reconnect(self) -> None:
        """Use new connections. Other threads may still use old ones, once."""
        old, self._clients = self._clients, _clients(self._url)
        for client in old.values():
            client.connection_pool.disconnect(inuse_connections=False)

    def _sync_clock(self) -> None:
        """Measure by how much the server's clock is ahead, once in :data:`_SYNC_SECONDS`.

        Also after this machine's clock was set: then it has moved against the monotonic clock.
        """
        now = self._clock.monotonic()
        shift = self._clock.now() - now
        with self._lock:
            recent = self._synced is not None and 0 <= now - self._synced < _SYNC_SECONDS
            if recent and abs(shift - self._shift) < _MAX_DRIFT:
                return
        began = time.monotonic()
        seconds, micros = self._redis.time()
        round_trip = time.monotonic() - began
        with self._lock:
            self._clock_offset = seconds + micros / 1e6 - round_trip / 2 - self._clock.now()
            self._synced = now
            self._shift = shift


def _clients(url: str) -> dict[float, Any]:
    """A client for each timeout."""
    return {timeout: _client(url, timeout) for timeout in (REQUEST_TIMEOUT, BACKGROUND_TIMEOUT)}


def _client(url: str, timeout: float) -> Any:
    # With the library's default timeout and retries, an operation takes 3.8 seconds if the server
    # refuses connections, and 6 if it hangs.
    return redis.Redis.from_url(
        url,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
    )


def _reason(err: Exception) -> str:
    if isinstance(err, redis.exceptions.TimeoutError):
        return f"no answer within {TIMEOUT.get():g} seconds"
    if isinstance(err, redis.exceptions.BusyLoadingError):
        return "it is still loading its data"
    if "max number of clients" in str(err):
        return "it has as many clients as it allows"
    return network_errors.describe(err)


# The library removes the codes of these errors.
_REFUSALS: tuple[tuple[type[Exception], str], ...] = (
    (redis.exceptions.OutOfMemoryError, "OOM, its memory is full"),
    (redis.exceptions.ReadOnlyError, "READONLY, it is a replica"),
    (redis.exceptions.MasterDownError, "MASTERDOWN, it is a replica without its primary"),
)


def _refusal(err: Exception) -> str:
    """The code of the server's error. The rest of the text may quote the request."""
    for error_type, text in _REFUSALS:
        if isinstance(err, error_type):
            return text
    # In a pipeline the library puts the request before it.
    words = str(err).rpartition("caused error: ")[2].split()
    return words[0] if words else type(err).__name__
