"""A crew: a few threads that share out a list of jobs, and all stop when one of them fails."""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Generic, Self, TypeVar

T = TypeVar("T")


class ThreadPool(Generic[T]):
    """Does *work* for each of *numbers*, at most *hands* at a time, within ``with``.

    To iterate over it gives each number with what came of it, as soon as it is there and in no
    order. Leaving it early ends the rest; however it is left, no thread is at work afterwards.

    The threads are daemons, unlike those of the standard library's pools: a process that is told
    to end must not wait for upstream.

    Args:
        work: also gets an event that is set once the rest is not wanted any more.
    """

    def __init__(
        self, work: Callable[[int, threading.Event], T], numbers: Sequence[int], *, hands: int
    ) -> None:
        self._work = work
        self._left = iter(numbers)
        self._lock = threading.Lock()
        self._enough = threading.Event()
        self._failed: list[BaseException] = []
        # None: one of the hands has nothing left to do.
        self._done: queue.SimpleQueue[tuple[int, T] | None] = queue.SimpleQueue()
        self._hands = [
            threading.Thread(target=self._hand, name="page", daemon=True)
            for _ in range(min(hands, len(numbers)))
        ]

    def __enter__(self) -> Self:
        try:
            for one in self._hands:
                one.start()
        except BaseException:  # the system has no thread left, and nobody would stop the others
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def __iter__(self) -> Iterator[tuple[int, T]]:
        """What is done.

        Raises:
            Exception: the first that *work* raised, once all have stopped.
        """
        for _ in self._hands:
            while (done := self._done.get()) is not None:
                if not self._failed:
                    yield done
        if self._failed:
            raise self._failed[0]

    def _stop(self) -> None:
        self._enough.set()
        for one in self._hands:
            if one.ident is not None:  # it was started
                one.join()

    def _hand(self) -> None:
        try:
            while not self._enough.is_set():
                with self._lock:
                    number = next(self._left, None)
                if number is None:
                    return
                self._done.put((number, self._work(number, self._enough)))
        except BaseException as err:  # noqa: BLE001 - raised again in the thread that iterates
            with self._lock:
                self._failed.append(err)
            self._enough.set()
        finally:
            self._done.put(None)
