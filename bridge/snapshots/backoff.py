"""Remembered failures: while one is, nobody waits, and one probe at a time looks if it is over."""

import json
import random
from dataclasses import asdict, dataclass

from bridge.errors import Cause, ProblemArea, Scope
from bridge.store.interface import Store, Write
from bridge.store.json_values import decode_json
from bridge.store.keys import Keys

_FIRST, _LONGEST = 1.0, 60.0
_JITTER = 0.1
# How long a failure is remembered after the time for the next probe, if nobody asks: a probe is
# what should end it. One filter set's own is forgotten earlier, since those may be made up.
_TOLD_FOR = 30 * 86400.0
_LINGERS = {Scope.ACCOUNT: 86400.0, Scope.KEY: 600.0}


@dataclass(frozen=True, slots=True)
class Failure:
    """The last failure of a filter set, or of the upstream as a whole.

    Attributes:
        count: failures in a row.
        since: when the first of them was, in seconds since 1970.
        at: when the last of them was.
        until: nobody asks before it.
        matter: what has to be looked at, where that is known.
    """

    code: str
    text: str
    scope: Scope
    count: int
    since: float
    at: float
    until: float
    matter: ProblemArea | None = None

    def due(self, now: float) -> bool:
        """Whether it is time for a probe."""
        # A clock that was set back must not put the probe off for long.
        return not now < self.until <= now + 400

    def retry_after(self, now: float) -> int:
        """Whole seconds after which asking again may help."""
        return max(1, min(300, round(self.until - now) + 1))


class Backoff:
    """Kept in the store, for the whole fleet."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store = store
        self._keys = keys

    def current(self, key: str) -> Failure | None:
        """The failure that concerns *key*: the upstream's own first."""
        names = [self._keys.failure(), self._keys.failure(key)]
        found = self._store.read(names)
        backoff = (_decode(found[name].value) for name in names if name in found)
        return next((failure for failure in backoff if failure), None)

    def remember(self, key: str, cause: Cause) -> Failure:
        """Count another failure, and put the next probe off."""
        name = self._name(key, cause.scope)
        entry = self._store.read([name]).get(name)
        before = _decode(entry.value) if entry else None
        now = self._store.now()
        count = before.count + 1 if before else 1
        pause = min(_LONGEST, _FIRST * 2.0 ** min(count - 1, 10))
        pause *= random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - not a secret
        if cause.retry_after is not None:
            pause = max(pause, cause.retry_after)
        failure = Failure(
            code=cause.code,
            text=cause.text,
            scope=cause.scope,
            count=count,
            since=before.since if before else now,
            at=now,
            until=now + pause,
            matter=cause.matter,
        )
        value = _encode(failure)
        self._store.commit(
            {
                name: Write(value, pause + _LINGERS[failure.scope]),
                self._keys.last_failure: Write(value, _TOLD_FOR),
            }
        )
        return failure

    def last(self) -> Failure | None:
        """The last failure of any filter set, also once it is over."""
        name = self._keys.last_failure
        entry = self._store.read([name]).get(name)
        return _decode(entry.value) if entry else None

    def clear(self, key: str) -> None:
        """Forget what is remembered of *key* and of the upstream as a whole: it answered."""
        names = [self._keys.failure(), self._keys.failure(key)]
        if self._store.versions(names):
            self._store.commit({name: Write(None) for name in names})

    def _name(self, key: str, scope: Scope) -> str:
        return self._keys.failure(None if scope is Scope.ACCOUNT else key)


def _encode(failure: Failure) -> bytes:
    matter = failure.matter.name if failure.matter else None
    row = {**asdict(failure), "scope": failure.scope.value, "matter": matter}
    return json.dumps(row).encode()


def _decode(value: bytes) -> Failure | None:
    data = decode_json(value)
    try:
        return Failure(
            code=str(data["code"]),
            text=str(data["text"]),
            scope=Scope(data["scope"]),
            count=int(data["count"]),
            since=float(data["since"]),
            at=float(data["at"]),
            until=float(data["until"]),
            matter=ProblemArea[data["matter"]] if data.get("matter") else None,
        )
    except (LookupError, TypeError, ValueError, OverflowError):
        return None
