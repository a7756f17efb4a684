"""The freshness policy: how long a snapshot is fresh, and how long a stale copy may be served."""

import hashlib
from dataclasses import dataclass
from enum import Enum

from bridge.config import Config

_JITTER = 0.1
# A walk dated slightly in the future was made by a machine whose clock is ahead; one dated further
# in the future was made before a clock was set back.
MAX_CLOCK_SKEW = 5.0


class CopyState(Enum):
    """How a copy may be used, from best to worst."""

    FRESH = "fresh"
    STALE = "stale"
    """Served at once while one refresh runs in the background."""
    OLD = "old"
    """Served only if a refresh fails or takes too long."""
    EXPIRED = "expired"
    """No longer served."""


@dataclass(frozen=True, slots=True)
class FreshnessPolicy:
    """How long snapshots are fresh and servable. All values are in seconds.

    Attributes:
        ttl: how long a snapshot is fresh. It varies by up to ten percent with the filter set, so
            that not all expire together; the snapshots of its sources do.
        stale_while_revalidate: how long after the TTL a copy is served while a refresh runs.
        stale_if_error: how long after the TTL a copy is served if the refresh fails.
    """

    ttl: float
    stale_while_revalidate: float
    stale_if_error: float

    @classmethod
    def of(cls, config: Config) -> "FreshnessPolicy":
        """The policy of the settings."""
        return cls(config.cache_ttl, config.stale_while_revalidate, config.stale_if_error)

    @property
    def max_stale(self) -> float:
        """How long after the TTL a copy may be served at all."""
        return max(self.stale_while_revalidate, self.stale_if_error)

    def ttl_of(self, key: str) -> float:
        """How long a snapshot is fresh.

        Args:
            key: of its filter set.
        """
        fraction = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") / 2**32
        return self.ttl * (1 - _JITTER + 2 * _JITTER * fraction)

    def fresh_for(self, key: str, walked: float, now: float) -> float:
        """Seconds for which a snapshot is still fresh; negative once it is stale.

        A walk in the future means that a clock has been set back since. It counts as just stale;
        otherwise the snapshot would stay fresh until the clock reaches that time again.

        Args:
            walked: when the walk began, in seconds since 1970.
            now: the current time, in seconds since 1970.
        """
        age = now - walked
        return -1.0 if age < -MAX_CLOCK_SKEW else self.ttl_of(key) - max(0.0, age)

    def state(self, key: str, walked: float, now: float) -> CopyState:
        """How a snapshot that was walked at *walked* may be used at *now*."""
        fresh_for = self.fresh_for(key, walked, now)
        if fresh_for > 0:
            return CopyState.FRESH
        if -fresh_for < self.stale_while_revalidate:
            return CopyState.STALE
        return CopyState.OLD if -fresh_for < self.stale_if_error else CopyState.EXPIRED
