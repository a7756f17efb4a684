"""A crew: a few threads that share out a list of jobs, and all stop when one of them fails."""

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def share_out(
    work: Callable[[int, threading.Event], T], numbers: Sequence[int], *, hands: int
) -> list[T]:
    """What *work* returns for each of *numbers*, in their order; at most *hands* at a time.

    The threads are daemons, unlike those of the standard library's pools: a process that is told
    to end must not wait for upstream.

    Args:
        work: also gets an event that is set once the rest is not wanted any more.

    Raises:
        Exception: the first that *work* raised.
    """
    done: dict[int, T] = {}
    failed: list[BaseException] = []
    enough = threading.Event()
    lock = threading.Lock()
    left = iter(numbers)

    def hand() -> None:
        while not enough.is_set():
            with lock:
                number = next(left, None)
            if number is None:
                return
            try:
                done[number] = work(number, enough)
            except BaseException as err:  # noqa: BLE001 - raised again below, in the caller's thread
                with lock:
                    failed.append(err)
                enough.set()

    crew = [
        threading.Thread(target=hand, name="page", daemon=True)
        for _ in range(min(hands, len(numbers)))
    ]
    for one in crew:
        one.start()
    for one in crew:
        one.join()
    if failed:
        raise failed[0]
    return [done[number] for number in numbers]
