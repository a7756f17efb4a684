"""Few requests begin at the same time, so that the event loop can answer in between."""

import asyncio
from contextlib import AsyncExitStack

from bridge.web.thread_limit import BEGINNING, ThreadLimit


async def settle() -> None:
    """Let all tasks run until they wait."""
    for _ in range(20):
        await asyncio.sleep(0)


class Requests:
    """Requests that keep their place until they are told to end."""

    def __init__(self, limit: ThreadLimit) -> None:
        self.limit = limit
        self.began = 0
        self.end = asyncio.Event()

    async def run(self, *, at_once: bool = False) -> None:
        async with self.limit.place(at_once=at_once):
            self.began += 1
            await self.end.wait()


async def begun(requests: int, *, begin_seconds: float, at_once: bool = False) -> list[int]:
    """How many of *requests* have begun before and after the first ones end."""
    running = Requests(ThreadLimit(3 * BEGINNING, begin_seconds=begin_seconds))
    async with asyncio.TaskGroup() as tasks:
        for _ in range(BEGINNING):
            tasks.create_task(running.run())
        for _ in range(requests - BEGINNING):
            tasks.create_task(running.run(at_once=at_once))
        await settle()
        before = running.began
        running.end.set()
    return [before, running.began]


def test_only_a_few_requests_begin_at_the_same_time():
    assert asyncio.run(begun(BEGINNING + 3, begin_seconds=60)) == [BEGINNING, BEGINNING + 3]


def test_requests_that_wait_for_longer_let_others_begin():
    many = BEGINNING + 3
    assert asyncio.run(begun(many, begin_seconds=0)) == [many, many]


def test_cached_feed_is_checked_without_waiting_for_requests_that_begin():
    many = BEGINNING + 3
    assert asyncio.run(begun(many, begin_seconds=60, at_once=True)) == [many, many]


def test_no_more_requests_than_threads_run():
    async def most() -> int:
        running = Requests(ThreadLimit(2, begin_seconds=60))
        async with asyncio.TaskGroup() as tasks, AsyncExitStack() as stack:
            stack.callback(running.end.set)
            for at_once in (True, False, True, False):
                tasks.create_task(running.run(at_once=at_once))
            await settle()
            return running.began

    assert asyncio.run(most()) == 2
