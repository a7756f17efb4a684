"""Limits how many requests have a thread, and how many begin at the same time.

async with limit.place():
    await call_the_application()
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

BEGINNING = 8
"""Requests that may begin at the same time."""


class ThreadLimit:
    """The threads that one studio may use.

    Threads that are all ready to run compete with the event loop for the interpreter: if 64
    requests began at once, probes and cached feeds would have to wait. Hence only a few begin at a
    time. Each ends or waits soon, so the others have a short delay.

    Args:
        threads: the maximum number of requests with a thread.
        begin_seconds: after this time the next request begins, because one that has not ended
            probably waits for upstream or the store.
    """

    def __init__(self, threads: int, *, begin_seconds: float = 0.05) -> None:
        self._threads = asyncio.Semaphore(threads)
        self._beginning = asyncio.Semaphore(BEGINNING)
        self._begin_seconds = begin_seconds

    @asynccontextmanager
    async def place(self, *, at_once: bool = False) -> AsyncIterator[None]:
        """Wait for a thread, and occupy it for the duration of the block.

        Args:
            at_once: begin without regard to others that begin.
        """
        with ExitStack() as turn:
            if not at_once:
                await self._beginning.acquire()
                turn.callback(self._beginning.release)
                # Whichever comes first, this or the end of the block, releases the place.
                timer = asyncio.get_running_loop().call_later(self._begin_seconds, turn.close)
                turn.callback(timer.cancel)
            async with self._threads:
                yield
