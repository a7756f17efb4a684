"""The budget of requests to upstream, kept in the store and shared by the whole fleet."""

import json
import math
from dataclasses import dataclass, replace

from bridge.store.interface import Store, Write
from bridge.store.json_values import decode_json
from bridge.store.keys import Keys
from bridge.upstream.budget import Purpose, RequestBudget

_MINUTE = 60
_TRIES = 50
_RETRY_SECONDS = 0.05
# Longer than a minute and than any cool-down.
_TTL = 400.0
_HINT_SECONDS = 30 * 86400.0


@dataclass(frozen=True, slots=True)
class _RequestLog:
    """The requests of the last minute, and when the cool-down ends.

    Attributes:
        rows: second, purpose, number of requests.
        cooldown_until: seconds since 1970.
    """

    rows: tuple[tuple[int, str, int], ...] = ()
    cooldown_until: float = 0.0

    @classmethod
    def decode(cls, value: bytes) -> "_RequestLog":
        data = decode_json(value)
        try:
            rows = tuple((int(second), str(name), int(n)) for second, name, n in data["rows"])
            return cls(rows, float(data["quiet_until"]))
        except (LookupError, TypeError, ValueError, OverflowError):
            return cls()

    def encode(self) -> bytes:
        return json.dumps({"rows": self.rows, "quiet_until": self.cooldown_until}).encode()

    def at(self, now: float) -> "_RequestLog":
        """The log without rows that are older than a minute."""
        # Times in the future were written before a clock was set back; a cool-down lasts at most
        # five minutes.
        rows = tuple(row for row in self.rows if now - _MINUTE < row[0] + 1 <= now + 2)
        cooldown_until = self.cooldown_until if self.cooldown_until <= now + 301 else 0.0
        return _RequestLog(rows, cooldown_until)

    def count(self, purpose: Purpose | None = None) -> int:
        return sum(n for _, p, n in self.rows if purpose is None or p == purpose.counted_as)

    def plus_one(self, now: float, purpose: Purpose) -> "_RequestLog":
        rows = {(second, name): n for second, name, n in self.rows}
        row_key = (int(now), purpose.counted_as)
        rows[row_key] = rows.get(row_key, 0) + 1
        return _RequestLog(
            tuple((s, p, n) for (s, p), n in sorted(rows.items())), self.cooldown_until
        )


class SharedRequestBudget(RequestBudget):
    """Request budget, cool-down and hints, shared through *store*.

    A sliding-window limit: it holds for any 60 seconds, not only for calendar minutes.

    Args:
        per_minute: the largest number of requests in any 60 seconds.
    """

    def __init__(self, store: Store, keys: Keys, *, per_minute: int) -> None:
        self._store = store
        self._keys = keys
        self._per_minute = per_minute

    def reserve(self, purpose: Purpose) -> float:
        """Reserve one request. Returns 0.0, or the seconds until the next attempt."""
        for _ in range(_TRIES):
            requests, now, version = self._load()
            if requests.cooldown_until > now:
                return requests.cooldown_until - now
            share = max(1, math.floor(self._per_minute * purpose.share))
            if requests.count() >= self._per_minute or requests.count(purpose) >= share:
                return max(_RETRY_SECONDS, requests.rows[0][0] + 1 + _MINUTE - now)
            if self._save(requests.plus_one(now, purpose), version):
                return 0.0
        return _RETRY_SECONDS

    def cool_down(self, seconds: float) -> None:
        """Block all requests for *seconds*; a cool-down that ends later is not shortened."""
        for _ in range(_TRIES):
            requests, now, version = self._load()
            until = max(requests.cooldown_until, now + seconds)
            if self._save(replace(requests, cooldown_until=until), version):
                return

    def cooldown_left(self) -> float:
        requests, now, _ = self._load()
        return max(0.0, requests.cooldown_until - now)

    def left(self) -> int:
        """The number of requests that the budget currently allows."""
        requests, _, _ = self._load()
        return max(0, self._per_minute - requests.count())

    def _load(self) -> tuple[_RequestLog, float, str | None]:
        """The log, the current time, and the version of the log in the store."""
        entry = self._store.read([self._keys.budget]).get(self._keys.budget)
        now = self._store.now()
        requests = _RequestLog.decode(entry.value) if entry else _RequestLog()
        return requests.at(now), now, entry.version if entry else None

    def _save(self, requests: _RequestLog, version: str | None) -> str | None:
        """Replace the log of this version; None if another process was faster."""
        key = self._keys.budget
        return self._store.commit({key: Write(requests.encode(), _TTL)}, expect={key: version})

    def hint(self, name: str) -> str | None:
        key = self._keys.hint(name)
        entry = self._store.read([key]).get(key)
        return entry.value.decode(errors="replace") if entry else None

    def remember_hint(self, name: str, value: str) -> None:
        self._store.commit({self._keys.hint(name): Write(value.encode(), _HINT_SECONDS)})
