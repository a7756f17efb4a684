"""The interface of the shared store: a key-value store with one transactional operation.

Optimistic locking: read an entry, then commit with its version as the expectation::

    entry = store.read([key]).get(key)
    store.commit({key: Write(value)}, expect={key: entry.version if entry else None})
"""

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

SHORT_LIVED = 600.0
"""Seconds. A value with at most this TTL counts as expired if its time of writing is in the future:
after a clock was set back, a lease must not last forever."""

REQUEST_TIMEOUT, BACKGROUND_TIMEOUT = 0.2, 2.0
"""Seconds. An HTTP request proceeds without a slow store. A walk waits for it: without the store it
would repeat a walk that another machine is making."""

TIMEOUT: ContextVar[float] = ContextVar("store_timeout", default=BACKGROUND_TIMEOUT)
"""The timeout for an operation of a store in the current context, in seconds.

A new thread starts with the default."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A value in the store.

    Attributes:
        value: bytes, opaque to the store.
        version: changes with every write of the key, by any process.
    """

    value: bytes
    version: str


@dataclass(frozen=True, slots=True)
class Write:
    """A change of one key.

    Attributes:
        value: None deletes the key.
        ttl: seconds until the key expires, by the store's clock; None: never.
    """

    value: bytes | None
    ttl: float | None = None


class Store(Protocol):
    """A key-value store. The backends differ in which processes share the data, and for how long.

    Every method raises :class:`~bridge.errors.StoreError` when the backend fails.
    """

    @property
    def failing(self) -> bool:
        """Whether writes currently go to this process's memory instead of the shared store.

        False for a store that raises errors instead.
        """
        return False

    @property
    def unreadable(self) -> bool:
        """Whether reads currently miss what only the shared store contains.

        False for a store that raises errors instead.
        """
        return False

    @property
    def error_count(self) -> int:
        """The number of operations that failed and were answered from this process's memory."""
        return 0

    def now(self) -> float:
        """Seconds since 1970 by the store's clock, which is the same for all processes."""

    def read(self, keys: Sequence[str]) -> dict[str, Entry]:
        """The entries of those of *keys* that exist."""

    def versions(self, keys: Sequence[str]) -> dict[str, str]:
        """The versions of those of *keys* that exist, without their values."""

    def commit(
        self, writes: Mapping[str, Write], *, expect: Mapping[str, str | None] | None = None
    ) -> str | None:
        """Apply all *writes* in one transaction, or none of them.

        Args:
            expect: the version that each key must have; None: the key must not exist.

        Returns:
            The new version of the written keys, or None if an expectation failed.
        """

    def names(self, prefix: str) -> list[str]:
        """The keys that begin with *prefix*, in no particular order.

        This scans all keys: use it in operators' commands only, never in a request or a timer.
        """

    def close(self) -> None:
        """Release the backend's resources; using the store afterwards is an error."""
