"""Lifetimes: how long a snapshot is fresh, and how long its copy is better than nothing."""

import hashlib
from dataclasses import dataclass
from enum import Enum

from bridge.config import Config

_JITTER = 0.1
# A walk dated a little ahead is another machine's clock; a lot ahead is a clock that was set.
_AHEAD = 5.0


class CopyState(Enum):
    """What may be done with a copy, from best to worst."""

    FRESH = "fresh"
    STALE = "stale"
    """Served at once, while one refresh runs behind it."""
    OLD = "old"
    """Served when a refresh fails, or does not come in time."""
    EXPIRED = "expired"
    """Served no more."""


@dataclass(frozen=True, slots=True)
class FreshnessPolicy:
    """All in seconds.

    Attributes:
        ttl: fresh; give or take a tenth, by key, so that keys do not expire together.
        stale_while_revalidate: beyond that, served at once while a refresh runs.
        stale_if_error: beyond that, served where a refresh fails.
    """

    ttl: float
    stale_while_revalidate: float
    stale_if_error: float

    @classmethod
    def of(cls, config: Config) -> "FreshnessPolicy":
        """The lifetimes that the settings name."""
        return cls(config.cache_ttl, config.stale_while_revalidate, config.stale_if_error)

    @property
    def servable(self) -> float:
        """How long past its time a copy may be served."""
        return max(self.stale_while_revalidate, self.stale_if_error)

    def ttl_of(self, key: str) -> float:
        """How long the snapshot of *key* is fresh."""
        place = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") / 2**32
        return self.ttl * (1 - _JITTER + 2 * _JITTER * place)

    def left(self, key: str, walked: float, now: float) -> float:
        """Seconds for which a snapshot is still fresh; negative once it is stale.

        A walk in the future is of a clock that was set back since: it counts as just stale, or it
        would be fresh until that time comes.
        """
        age = now - walked
        return -1.0 if age < -_AHEAD else self.ttl_of(key) - max(0.0, age)

    def age(self, key: str, walked: float, now: float) -> CopyState:
        """What may be done at *now* with what was walked at *walked*."""
        left = self.left(key, walked, now)
        if left > 0:
            return CopyState.FRESH
        if -left < self.stale_while_revalidate:
            return CopyState.STALE
        return CopyState.OLD if -left < self.stale_if_error else CopyState.EXPIRED
