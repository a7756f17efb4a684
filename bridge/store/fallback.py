"""A store that may fail: behind it stands this process's memory until it is well again."""

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
    TIMEOUT,
    Entry,
    Store,
    Write,
)
from bridge.store.memory import MemoryStore

log = structlog.get_logger()

T = TypeVar("T")

COOL_DOWN_SECONDS = 10.0


class _Rest:
    """How long the primary is left alone, on the monotonic clock."""

    reads_until = writes_until = float("-inf")


class FallbackStore:
    """*primary* while it works. While it does not, nothing here raises.

    Once an operation failed, the primary is left alone for a while: each try may cost its full
    timeout. Where it failed somebody in a hurry, those who are not still ask it. Meanwhile writes
    go to this process's memory, which is read before the primary, and is forgotten when the
    primary takes writes again: what the fleet agreed on counts.
    """

    def __init__(
        self, primary: Store, clock: Clock, instrumentation: Instrumentation = NO_INSTRUMENTATION
    ) -> None:
        self._primary = primary
        self._clock = clock
        self._instrumentation = instrumentation
        self._lock = threading.Lock()
        self._overlay: MemoryStore | None = None
        # what was deleted here, and may still stand in the primary
        self._deleted: set[str] = set()
        self._rests = {timeout: _Rest() for timeout in (REQUEST_TIMEOUT, BACKGROUND_TIMEOUT)}
        self.errors = 0

    @property
    def failing(self) -> bool:
        """Whether writes go to this process's memory at present."""
        return self._overlay is not None

    def now(self) -> float:
        """Seconds since 1970 by the primary's clock."""
        return self._primary.now()

    def read(self, keys: Sequence[str]) -> dict[str, Entry]:
        """Those of *keys* that can be had."""
        return self._through(keys, self._primary.read, lambda memory, k: memory.read(k))

    def versions(self, keys: Sequence[str]) -> dict[str, str]:
        """The versions of those of *keys* that can be had."""
        return self._through(keys, self._primary.versions, lambda memory, k: memory.versions(k))

    def commit(
        self, writes: Mapping[str, Write], *, expect: Mapping[str, str | None] | None = None
    ) -> str | None:
        """Make all *writes*, or none of them; in this process only while the primary fails."""
        if self._clock.monotonic() >= self._rest.writes_until:
            try:
                version = self._primary.commit(writes, expect=expect)
            except StoreError as err:
                self._failed(err, writing=True)
            else:
                self._recovered()
                return version
        memory = self._memory()
        # Of what stands in the primary alone, nobody can say any more if it is still so.
        known = memory.versions(list(expect or {}))
        checked = {key: one for key, one in (expect or {}).items() if key in known}
        version = memory.commit(writes, expect=checked)
        if version is not None:
            for key, write in writes.items():
                (self._deleted.add if write.value is None else self._deleted.discard)(key)
        return version

    def names(self, prefix: str) -> list[str]:
        """The keys that begin with *prefix*, as far as they can be had."""
        overlay = self._overlay
        found = set(overlay.names(prefix)) if overlay else set()
        if self._clock.monotonic() >= self._rest.reads_until:
            try:
                found.update(set(self._primary.names(prefix)) - self._deleted)
            except StoreError as err:
                self._failed(err, writing=False)
        return list(found)

    def close(self) -> None:
        """Close the primary."""
        self._primary.close()

    def _through(
        self,
        keys: Sequence[str],
        ask: Callable[[Sequence[str]], dict[str, T]],
        recall: Callable[[MemoryStore, Sequence[str]], dict[str, T]],
    ) -> dict[str, T]:
        overlay = self._overlay
        found = recall(overlay, keys) if overlay else {}
        missing = [key for key in keys if key not in found and key not in self._deleted]
        if missing and self._clock.monotonic() >= self._rest.reads_until:
            try:
                found.update(ask(missing))
            except StoreError as err:
                self._failed(err, writing=False)
        return found

    def _memory(self) -> MemoryStore:
        with self._lock:
            if self._overlay is None:
                self._overlay = MemoryStore(self._clock)
            return self._overlay

    @property
    def _rest(self) -> _Rest:
        return self._rests[TIMEOUT.get()]

    def _failed(self, err: StoreError, *, writing: bool) -> None:
        until = self._clock.monotonic() + COOL_DOWN_SECONDS
        # What failed within a long timeout would fail within a shorter one as well.
        for rest in [one for timeout, one in self._rests.items() if timeout <= TIMEOUT.get()]:
            rest.writes_until = until
            if not (writing and err.readable):
                rest.reads_until = until
        self.errors += 1
        self._instrumentation.store_failed("write" if writing else "read")
        log.warning("the store failed", error=str(err), seconds=COOL_DOWN_SECONDS)

    def _recovered(self) -> None:
        if self._overlay is None:
            return
        with self._lock:
            self._overlay = None
            self._deleted.clear()
        self._instrumentation.store_recovered()
        log.info("the store works again")
