"""The upstream ledger, kept in the store, so that it holds for the whole fleet."""

import json
import math
from dataclasses import dataclass

from bridge.store.interface import Store, Write
from bridge.store.json_values import decode_json
from bridge.store.keys import Keys
from bridge.upstream.budget import Purpose

_MINUTE = 60
_TRIES = 50
_CONTENDED = 0.05
_LEARNT_SECONDS = 30 * 86400.0


@dataclass(frozen=True, slots=True)
class _Spent:
    """Requests of the last minute by second and purpose, and when a cool-down ends."""

    rows: tuple[tuple[int, str, int], ...] = ()
    quiet_until: float = 0.0

    @classmethod
    def decode(cls, value: bytes) -> "_Spent":
        data = decode_json(value)
        try:
            rows = tuple((int(second), str(name), int(n)) for second, name, n in data["rows"])
            return cls(rows, float(data["quiet_until"]))
        except (LookupError, TypeError, ValueError, OverflowError):
            return cls()

    def encode(self) -> bytes:
        return json.dumps({"rows": self.rows, "quiet_until": self.quiet_until}).encode()

    def at(self, now: float) -> "_Spent":
        # What lies in the future was written before a clock was set back; a cool-down is at most
        # five minutes.
        rows = tuple(row for row in self.rows if now - _MINUTE < row[0] + 1 <= now + 2)
        quiet = self.quiet_until if self.quiet_until <= now + 301 else 0.0
        return _Spent(rows, quiet)

    def count(self, purpose: Purpose | None = None) -> int:
        return sum(n for _, p, n in self.rows if purpose is None or p == purpose.account)

    def plus_one(self, now: float, purpose: Purpose) -> "_Spent":
        rows = {(second, name): n for second, name, n in self.rows}
        place = (int(now), purpose.account)
        rows[place] = rows.get(place, 0) + 1
        return _Spent(tuple((s, p, n) for (s, p), n in sorted(rows.items())), self.quiet_until)


class SharedRequestBudget:
    """Budget, cool-down and knowledge of the upstream's ways, shared through *store*.

    The budget is counted over every span of 60 seconds, not by the clock's minutes: two full
    minutes' worth never falls into one.

    Args:
        per_minute: requests in any 60 seconds.
    """

    def __init__(self, store: Store, keys: Keys, *, per_minute: int) -> None:
        self._store = store
        self._keys = keys
        self._per_minute = per_minute

    def reserve(self, purpose: Purpose) -> float:
        """Take one request out of the budget: 0.0, or the seconds to wait before asking again."""
        key = self._keys.budget
        for _ in range(_TRIES):
            entry = self._store.read([key]).get(key)
            now = self._store.now()
            spent = (_Spent.decode(entry.value) if entry else _Spent()).at(now)
            if spent.quiet_until > now:
                return spent.quiet_until - now
            share = max(1, math.floor(self._per_minute * purpose.share))
            used = spent.count(), spent.count(purpose)
            if used[0] >= self._per_minute or used[1] >= share:
                return max(_CONTENDED, spent.rows[0][0] + 1 + _MINUTE - now)
            spent = spent.plus_one(now, purpose)
            expect = {key: entry.version if entry else None}
            if self._store.commit({key: Write(spent.encode(), 400)}, expect=expect):
                return 0.0
        return _CONTENDED

    def cool_down(self, seconds: float) -> None:
        """Let nobody ask for *seconds*; a longer cool-down that is under way stays."""
        key = self._keys.budget
        for _ in range(_TRIES):
            entry = self._store.read([key]).get(key)
            now = self._store.now()
            spent = (_Spent.decode(entry.value) if entry else _Spent()).at(now)
            spent = _Spent(spent.rows, max(spent.quiet_until, now + seconds))
            expect = {key: entry.version if entry else None}
            if self._store.commit({key: Write(spent.encode(), 400)}, expect=expect):
                return

    def cooldown_left(self) -> float:
        """Seconds that the cool-down still lasts; 0.0 outside of one."""
        entry = self._store.read([self._keys.budget]).get(self._keys.budget)
        now = self._store.now()
        return max(0.0, _Spent.decode(entry.value).at(now).quiet_until - now) if entry else 0.0

    def left(self) -> int:
        """Requests that the budget still has for the next moment."""
        entry = self._store.read([self._keys.budget]).get(self._keys.budget)
        spent = _Spent.decode(entry.value).at(self._store.now()) if entry else _Spent()
        return max(0, self._per_minute - spent.count())

    def hint(self, name: str) -> str | None:
        """What was learnt under *name*, if anything."""
        key = self._keys.hint(name)
        entry = self._store.read([key]).get(key)
        return entry.value.decode(errors="replace") if entry else None

    def remember_hint(self, name: str, value: str) -> None:
        """Remember *value* under *name* for everybody."""
        self._store.commit({self._keys.hint(name): Write(value.encode(), _LEARNT_SECONDS)})
