"""Leases: who is at work on something, for as long as it shows signs of life."""

import threading

from bridge.store.interface import Store, Write
from bridge.store.keys import Keys

LEASE_SECONDS = 15.0


class LostLeaseError(Exception):
    """The lease ran out, and its holder's work is no longer wanted."""


class Lease:
    """The right to work on *name*, until it runs out, is renewed or given back.

    Safe to renew from several threads.
    """

    def __init__(self, store: Store, key: str, version: str) -> None:
        self._store = store
        self.key = key
        self._version = version
        self._lock = threading.Lock()

    @property
    def expectation(self) -> dict[str, str | None]:
        """What a commit must expect to be made only while the lease is held."""
        return {self.key: self._version}

    def renew(self) -> None:
        """Hold it for another term.

        Raises:
            LostLeaseError: it ran out, and may be somebody else's.
        """
        with self._lock:
            version = self._store.commit(
                {self.key: Write(b"held", LEASE_SECONDS)}, expect=self.expectation
            )
            if version is None:
                raise LostLeaseError(self.key)
            self._version = version

    def release(self) -> None:
        """Give it back, if it is still held."""
        self._store.commit({self.key: Write(None)}, expect=self.expectation)


def acquire(store: Store, keys: Keys, name: str) -> Lease | None:
    """Take the lease on *name*; None while somebody else holds it."""
    key = keys.lease(name)
    version = store.commit({key: Write(b"held", LEASE_SECONDS)}, expect={key: None})
    return None if version is None else Lease(store, key, version)
