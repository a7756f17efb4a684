"""Leases: locks in the store that expire unless their holder renews them.

``lease = acquire(store, keys, name)`` returns None while another process holds the lease.
"""

import threading

from bridge.store.interface import Store, Write
from bridge.store.keys import Keys

LEASE_SECONDS = 15.0


class LostLeaseError(Exception):
    """The lease expired: its holder has to abandon its work."""


class Lease:
    """An exclusive lock for :data:`LEASE_SECONDS`. Thread-safe."""

    def __init__(self, store: Store, key: str, version: str) -> None:
        self._store = store
        self.key = key
        self._version = version
        self._lock = threading.Lock()

    @property
    def expectation(self) -> dict[str, str | None]:
        """The expectation that makes a commit fail if the lease is no longer held."""
        return {self.key: self._version}

    def renew(self) -> None:
        """Extend the lease to :data:`LEASE_SECONDS` from now.

        Raises:
            LostLeaseError: it expired, and another process may hold it.
        """
        with self._lock:
            version = self._store.commit(
                {self.key: Write(b"held", LEASE_SECONDS)}, expect=self.expectation
            )
            if version is None:
                raise LostLeaseError(self.key)
            self._version = version

    def release(self) -> None:
        """Release the lease, if it is still held."""
        self._store.commit({self.key: Write(None)}, expect=self.expectation)


def acquire(store: Store, keys: Keys, name: str) -> Lease | None:
    """Acquire the lease *name*. Returns None while another process holds it."""
    key = keys.lease(name)
    version = store.commit({key: Write(b"held", LEASE_SECONDS)}, expect={key: None})
    return None if version is None else Lease(store, key, version)
