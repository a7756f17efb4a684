"""The store that workers and machines share: a small key-value interface with one transaction."""

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

SHORT_LIVED = 600.0
"""Seconds. A value with at most this TTL is treated as expired when it seems to have been written
in the future: a clock that was set back must not keep a lease for ever."""

REQUEST_TIMEOUT, BACKGROUND_TIMEOUT = 0.2, 2.0
"""Seconds. An HTTP request does without a slow store; a walk waits for it, because taking a slow
store for a failed one would repeat a walk that another machine is making."""

TIMEOUT: ContextVar[float] = ContextVar("store_timeout", default=BACKGROUND_TIMEOUT)
"""The longest that one operation on a networked store may take in the current context, in seconds.

A new thread starts with the default."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A value as it stands in the store.

    Attributes:
        value: bytes, opaque to the store.
        version: differs after every write of the key, whoever made it.
    """

    value: bytes
    version: str


@dataclass(frozen=True, slots=True)
class Write:
    """A change of one key.

    Attributes:
        value: None deletes the key.
        ttl: seconds after which the key expires, by the store's own clock; None: never.
    """

    value: bytes | None
    ttl: float | None = None


class Store(Protocol):
    """A key-value store. The backends differ in who shares them and in what they survive.

    Every method raises :class:`~bridge.errors.StoreError` when the backend fails.
    """

    @property
    def failing(self) -> bool:
        """Whether writes currently go to this process's memory instead of the shared store."""

    def now(self) -> float:
        """Seconds since 1970, by the clock of the store: the same for all who share it."""

    def read(self, keys: Sequence[str]) -> dict[str, Entry]:
        """The entries of those of *keys* that exist."""

    def versions(self, keys: Sequence[str]) -> dict[str, str]:
        """The versions of those of *keys* that exist, without their values."""

    def commit(
        self, writes: Mapping[str, Write], *, expect: Mapping[str, str | None] | None = None
    ) -> str | None:
        """Apply all *writes* in one transaction, or none of them.

        Args:
            expect: the version that each key must have (None: must not exist) for the writes
                to be applied.

        Returns:
            The new version of the written keys, or None if an expectation failed.
        """

    def names(self, prefix: str) -> list[str]:
        """The keys that begin with *prefix*, in no order.

        It scans every key: for operators' commands, never for a request or a timer.
        """

    def close(self) -> None:
        """Release the backend's resources; using the store afterwards is an error."""
