"""A store in memory whose operations fail on request."""

from collections.abc import Mapping, Sequence

from clocks import ManualClock

from bridge.errors import StoreError
from bridge.store.interface import Entry, Write
from bridge.store.memory import MemoryStore


class FaultyStore(MemoryStore):
    """A shared store whose operations fail on request.

    Attributes:
        fault: the error of each operation; if it is readable, reads succeed.
        operations: the number of operations, with the failed ones.
    """

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.fault: StoreError | None = None
        self.operations = 0
        self.closed = False

    def read(self, keys: Sequence[str]) -> dict[str, Entry]:
        self._read_operation()
        return super().read(keys)

    def versions(self, keys: Sequence[str]) -> dict[str, str]:
        self._read_operation()
        return {key: entry.version for key, entry in super().read(keys).items()}

    def names(self, prefix: str) -> list[str]:
        self._read_operation()
        return super().names(prefix)

    def commit(
        self, writes: Mapping[str, Write], *, expect: Mapping[str, str | None] | None = None
    ) -> str | None:
        self.operations += 1
        if self.fault is not None:
            raise self.fault
        return super().commit(writes, expect=expect)

    def close(self) -> None:
        self.closed = True

    def _read_operation(self) -> None:
        self.operations += 1
        if self.fault is not None and not self.fault.readable:
            raise self.fault


DOWN = StoreError("it does not answer", readable=False)
FULL = StoreError("it is full", readable=True)
