"""Exponential backoff after upstream failures, shared by all workers through the store.

While a failure is active, requests do not wait for upstream. After each pause one probe at a time
checks whether upstream has recovered.
"""

import json
import random
from collections.abc import Set
from dataclasses import asdict, dataclass
from functools import cached_property

from bridge.errors import Cause, ProblemArea, Scope
from bridge.model import SourceName
from bridge.snapshots.snapshot_key import SnapshotKey, source_of
from bridge.store.interface import Store, Write
from bridge.store.json_values import decode_json
from bridge.store.keys import Keys

_MIN_PAUSE, _MAX_PAUSE = 1.0, 60.0
_JITTER = 0.1
# A clock that was set back must not delay the probe: a longer pause counts as over.
_LONGEST_CREDIBLE_PAUSE = 400
# A successful probe should end a failure. If there are no requests, the failure expires this long
# after the next probe is due; sooner for single filter sets, because clients can invent those.
_TTL_AFTER_PAUSE = {Scope.ACCOUNT: 86400.0, Scope.SOURCE: 86400.0, Scope.KEY: 600.0}
_LAST_FAILURE_TTL = 30 * 86400.0


@dataclass(frozen=True, slots=True)
class Failure:
    """The last failure of a snapshot, of a source, or of upstream as a whole.

    Attributes:
        count: number of consecutive failures.
        since: when the first of them happened, in seconds since 1970.
        at: when the last of them happened.
        until: no request is sent upstream before this time.
        problem_area: what the operator has to check, if known.
    """

    code: str
    text: str
    scope: Scope
    count: int
    since: float
    at: float
    until: float
    problem_area: ProblemArea | None = None

    def due(self, now: float) -> bool:
        """Whether it is time for a probe."""
        return not now < self.until <= now + _LONGEST_CREDIBLE_PAUSE

    def retry_after(self, now: float) -> int:
        """Whole seconds after which a client should try again."""
        return max(1, min(300, round(self.until - now) + 1))


class Backoff:
    """Stores failures, by their scope, and doubles the pauses; knows which sources can be read."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store = store
        self._keys = keys
        self._left_out: dict[SourceName, bool] = {}

    def current(self, key: SnapshotKey) -> Failure | None:
        """The failure that affects *key*; of several the one with the latest probe."""
        names = [self._name(key, scope) for scope in Scope]
        failures = (_decode(entry.value) for entry in self._store.read(names).values())
        return max(filter(None, failures), key=lambda failure: failure.until, default=None)

    def is_left_out(self, source: SourceName) -> bool:
        """Whether the account lacks the permission for *source*, and has never read it.

        While the store cannot be read, as it was before: it may know that the source has been read.
        """
        refused, read = (
            self._keys.source_refused(source.value),
            self._keys.source_read(source.value),
        )
        found = self._store.versions([refused, read])
        if not self._store.unreadable:
            left_out = refused in found and read not in found
            self._left_out[source] = left_out and source not in self._stored_at_first
        return self._left_out.get(source, False)

    def stored_before(self, source: SourceName) -> bool:
        """Whether all that is stored is of an earlier version, which did not read *source*."""
        names = [self._keys.source_read(name.value) for name in SourceName]
        stored = self._stored_at_first
        return bool(stored) and source not in stored and not self._store.versions(names)

    @cached_property
    def _stored_at_first(self) -> Set[SourceName]:
        """The sources of the stored snapshots. Earlier versions recorded nothing else of a source.

        Read once, because it takes a scan of the store.
        """
        prefix = self._keys.snapshot("")
        return {source_of(name.removeprefix(prefix)) for name in self._store.names(prefix)}

    def record(self, key: SnapshotKey, cause: Cause) -> Failure:
        """Record another failure of *key* and postpone the next probe."""
        name = self._name(key, cause.scope)
        entry = self._store.read([name]).get(name)
        before = _decode(entry.value) if entry else None
        now = self._store.now()
        count = before.count + 1 if before else 1
        pause = min(_MAX_PAUSE, _MIN_PAUSE * 2.0 ** min(count - 1, 10))
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
            problem_area=cause.problem_area,
        )
        value = _encode(failure)
        writes = {
            name: Write(value, pause + _TTL_AFTER_PAUSE[failure.scope]),
            self._keys.last_failure: Write(value, _LAST_FAILURE_TTL),
        }
        if failure.problem_area is ProblemArea.PERMISSION:
            # Another failure in between must not hide it.
            refused = self._keys.source_refused(key.source.value)
            writes[refused] = Write(b"1", _LAST_FAILURE_TTL)
        self._store.commit(writes)
        return failure

    def last(self) -> Failure | None:
        """The last failure of any snapshot, even if it is over."""
        name = self._keys.last_failure
        entry = self._store.read([name]).get(name)
        return _decode(entry.value) if entry else None

    def clear(self, key: SnapshotKey) -> None:
        """Delete the failures that affect *key*, after a successful walk."""
        names = [self._name(key, scope) for scope in Scope]
        names.append(self._keys.source_refused(key.source.value))
        if self._store.versions(names):
            self._store.commit({name: Write(None) for name in names})

    def _name(self, key: SnapshotKey, scope: Scope) -> str:
        if scope is Scope.SOURCE:
            return self._keys.source_failure(key.source.value)
        return self._keys.failure(None if scope is Scope.ACCOUNT else key.text)


def _encode(failure: Failure) -> bytes:
    row = {**asdict(failure), "scope": failure.scope.value}
    problem_area = row.pop("problem_area")
    # Released versions store it under this name.
    row["matter"] = problem_area and problem_area.name
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
            problem_area=ProblemArea[data["matter"]] if data.get("matter") else None,
        )
    except (LookupError, TypeError, ValueError, OverflowError):
        return None
