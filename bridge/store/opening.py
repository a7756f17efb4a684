"""Opening of the store that the settings name, by the scheme of its address."""

from collections.abc import Callable, Mapping
from pathlib import Path

from bridge.clock import Clock
from bridge.config import Config
from bridge.errors import ConfigError
from bridge.instrumentation import NO_INSTRUMENTATION, Instrumentation
from bridge.store.fallback import FallbackStore
from bridge.store.interface import Store
from bridge.store.memory import MemoryStore
from bridge.store.sqlite import SqliteStore

_HOME = Path(__file__).parent.parent.parent


def _file(url: str) -> Path:
    # Three slashes: relative to the directory of app.py; four: absolute.
    return _HOME / url.removeprefix("sqlite:///")


def _redis(url: str, clock: Clock) -> Store:
    # Imported here, because the library takes 6 MB, which other stores do not need.
    from bridge.store.redis import RedisStore  # noqa: PLC0415

    return RedisStore(url, clock)


_BACKENDS: Mapping[str, Callable[[str, Clock], Store]] = {
    "memory": lambda url, clock: MemoryStore(clock),
    "sqlite": lambda url, clock: SqliteStore(_file(url), clock),
    "redis": _redis,
    "rediss": _redis,
}
"""By the scheme of CACHE_URL; each raises ValueError for an address that it cannot use."""


def open_store(
    config: Config, clock: Clock, instrumentation: Instrumentation = NO_INSTRUMENTATION
) -> Store:
    """The store of the settings, with this process's memory as a fallback.

    Raises:
        ConfigError: the store cannot be used.
    """
    store = open_backend(config, clock)
    return store if isinstance(store, MemoryStore) else FallbackStore(store, clock, instrumentation)


def open_backend(config: Config, clock: Clock) -> Store:
    """The store of the settings without a fallback: errors are raised.

    Raises:
        ConfigError: the store cannot be used.
    """
    try:
        return _BACKENDS[config.cache_url.partition(":")[0]](config.cache_url, clock)
    except ValueError as err:
        problem = "its address cannot be used; accepted: redis://host:6379/0"
        raise ConfigError({config.store_variable: problem}) from err


_BACKED_UP_BY = {
    "memory": "is memory://, which ends with the process; there is nothing to back up or restore",
    "redis": "is a Redis server: back it up and restore it with its own tools"
    " (docs/operations.md, Backup and restore)",
}


def sqlite_file(config: Config) -> Path:
    """The file of the store of the settings.

    Raises:
        ConfigError: the store is another one; the error says how that is backed up.
    """
    scheme = config.cache_url.partition(":")[0].replace("rediss", "redis")
    if scheme in _BACKED_UP_BY:
        raise ConfigError({config.store_variable: _BACKED_UP_BY[scheme]})
    return _file(config.cache_url)
