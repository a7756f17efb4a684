"""What is shared: a small key-value store with one transaction, behind which anything may stand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

SOON = 600.0
"""What is kept for at most so many seconds is gone when the clock was set back past its writing."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A value as it stands in the store.

    Attributes:
        value: bytes; the store does not look into them.
        version: differs after every write of the key, whoever made it.
    """

    value: bytes
    version: str


@dataclass(frozen=True, slots=True)
class Write:
    """A change of one key.

    Attributes:
        value: None deletes the key.
        ttl: seconds after which the key is gone, by the store's own clock; None keeps it.
    """

    value: bytes | None
    ttl: float | None = None


class Store(Protocol):
    """Backends differ in who shares them and in what they outlive, and in nothing else.

    Every method raises :class:`~bridge.errors.StoreError` when the backend does not do its part.
    """

    def now(self) -> float:
        """Seconds since 1970 by the clock that all who share the store go by."""

    def read(self, keys: Sequence[str]) -> dict[str, Entry]:
        """Those of *keys* that are there."""

    def versions(self, keys: Sequence[str]) -> dict[str, str]:
        """The versions of those of *keys* that are there, without their values."""

    def commit(
        self, writes: Mapping[str, Write], *, expect: Mapping[str, str | None] | None = None
    ) -> str | None:
        """Make all *writes*, or none of them.

        Args:
            expect: the version that a key must have (None: must not be there) for the writes
                to be made.

        Returns:
            The version that the written keys now have, or None if an expectation failed.
        """

    def names(self, prefix: str) -> list[str]:
        """The keys that begin with *prefix*, in no order."""

    def close(self) -> None:
        """Give back what the backend holds; using the store afterwards is an error."""
