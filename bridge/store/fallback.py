"""A wrapper for a store that may fail: it falls back to this process's memory until recovery."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import structlog

from bridge.clock import Clock
from bridge.errors import StoreError
from bridge.instrumentation import NO_INSTRUMENTATION, Instrumentation
from bridge.store.interface import (
    BACKGROUND_TIMEOUT,
    REQUEST_TIMEOUT,
    SHORT_LIVED,
    TIMEOUT,
    Entry,
    Store,
    Write,
)
from bridge.store.memory import MemoryStore

log = structlog.get_logger()

T = TypeVar("T")

COOL_DOWN_SECONDS = 10.0
_WRITE_TEST = {"write test": Write(b"", SHORT_LIVED)}


class _CoolDown:
    """The state of the primary for all operations with the same timeout.

    Attributes:
        reads_until, writes_until: until when operations are skipped, on the monotonic clock.
        failing: whether there was a failure, and no write has succeeded since.
    """

    reads_until = writes_until = float("-inf")
    failing = False


class FallbackStore(Store):
    """Uses *primary* while it works. No method raises while it fails.

    After a failure the primary is skipped for :data:`COOL_DOWN_SECONDS`, because each attempt may
    take the full timeout. A failure within the short request timeout does not stop background work
    from trying the primary. Meanwhile writes go to this process's memory, which is read before the
    primary. It is discarded when the primary accepts writes again: the shared state takes
    precedence.
    """

    def __init__(
        self, primary: Store, clock: Clock, instrumentation: Instrumentation = NO_INSTRUMENTATION
    ) -> None:
        self._primary = primary
        self._clock = clock
        self._instrumentation = instrumentation
        self._lock = threading.Lock()
        self._overlay: MemoryStore | None = None
        # keys that were deleted in memory only and may still exist in the primary
        self._deleted: set[str] = set()
        self._cool_downs = {
            timeout: _CoolDown() for timeout in (REQUEST_TIMEOUT, BACKGROUND_TIMEOUT)
        }
        self._error_count = 0

    @property
    def unreadable(self) -> bool:
        return self._clock.monotonic() < self._cool_down.reads_until

    @property
    def error_count(self) -> int:
        return self._error_count

    @property
    def failing(self) -> bool:
        """Whether writes currently go to this process's memory.

        It differs between requests and background work while the primary is too slow for requests.
        """
        return self._cool_down.failing

    def now(self) -> float:
        return self._primary.now()

    def read(self, keys: Sequence[str]) -> dict[str, Entry]:
        return self._read_both(keys, self._primary.read, lambda memory, k: memory.read(k))

    def versions(self, keys: Sequence[str]) -> dict[str, str]:
        return self._read_both(keys, self._primary.versions, lambda memory, k: memory.versions(k))

    def commit(
        self, writes: Mapping[str, Write], *, expect: Mapping[str, str | None] | None = None
    ) -> str | None:
        """Apply all *writes*, or none of them; in memory only while the primary fails."""
        if self._clock.monotonic() >= self._cool_down.writes_until:
            try:
                version = self._primary.commit(writes, expect=expect)
                if self.failing and (version is None or _deletes_only(writes)):
                    # A full store accepts it, too; so does a read-only one what changes nothing.
                    self._primary.commit(_WRITE_TEST)
            except StoreError as err:
                self._record_failure(err, writing=True)
            else:
                self._record_recovery()
                return version
        memory = self._memory()
        # Expectations can be checked only for keys in memory: the primary's versions are unknown.
        known = memory.versions(list(expect or {}))
        checked = {key: expected for key, expected in (expect or {}).items() if key in known}
        version = memory.commit(writes, expect=checked)
        if version is not None:
            for key, write in writes.items():
                (self._deleted.add if write.value is None else self._deleted.discard)(key)
        return version

    def names(self, prefix: str) -> list[str]:
        overlay = self._overlay
        keys = set(overlay.names(prefix)) if overlay else set()
        if self._clock.monotonic() >= self._cool_down.reads_until:
            try:
                keys.update(set(self._primary.names(prefix)) - self._deleted)
            except StoreError as err:
                self._record_failure(err, writing=False)
        return list(keys)

    def close(self) -> None:
        self._primary.close()

    def _read_both(
        self,
        keys: Sequence[str],
        read_primary: Callable[[Sequence[str]], dict[str, T]],
        read_memory: Callable[[MemoryStore, Sequence[str]], dict[str, T]],
    ) -> dict[str, T]:
        """Read *keys* from memory; read the keys that memory lacks from the primary store."""
        overlay = self._overlay
        values = read_memory(overlay, keys) if overlay else {}
        missing = [key for key in keys if key not in values and key not in self._deleted]
        if missing and self._clock.monotonic() >= self._cool_down.reads_until:
            try:
                values.update(read_primary(missing))
            except StoreError as err:
                self._record_failure(err, writing=False)
        return values

    def _memory(self) -> MemoryStore:
        with self._lock:
            if self._overlay is None:
                self._overlay = MemoryStore(self._clock)
            return self._overlay

    @property
    def _cool_down(self) -> _CoolDown:
        return self._cool_downs[TIMEOUT.get()]

    def _record_failure(self, err: StoreError, *, writing: bool) -> None:
        until = self._clock.monotonic() + COOL_DOWN_SECONDS
        for timeout, cool_down in self._cool_downs.items():
            # An operation that failed within a long timeout would fail within a shorter one, too.
            if timeout > TIMEOUT.get():
                continue
            cool_down.failing = True
            cool_down.writes_until = until
            if not (writing and err.readable):
                cool_down.reads_until = until
        self._error_count += 1
        self._instrumentation.store_failed("write" if writing else "read")
        log.warning("the store failed", error=str(err), seconds=COOL_DOWN_SECONDS)

    def _record_recovery(self) -> None:
        cool_downs = self._cool_downs.items()
        if not any(cool_down.failing for _, cool_down in cool_downs):
            return
        now = self._clock.monotonic()
        with self._lock:
            self._overlay = None
            self._deleted.clear()
            for timeout, cool_down in cool_downs:
                # During their cool-down the primary may still be too slow for requests.
                if timeout >= TIMEOUT.get() or now >= cool_down.writes_until:
                    cool_down.failing = False
            if any(cool_down.failing for _, cool_down in cool_downs):
                return
        self._instrumentation.store_recovered()
        log.info("the store works again")


def _deletes_only(writes: Mapping[str, Write]) -> bool:
    return all(write.value is None for write in writes.values())
