"""Work in threads whose results the caller uses as they become ready."""

import threading
from contextlib import closing

import pytest

from bridge.upstream.thread_pool import run_each


def numbers_with_double(work_done: list[int], *, most: int = 50, workers: int = 2):
    def double(number: int, _: threading.Event) -> int:
        work_done.append(number)
        return 2 * number

    return run_each(double, range(1, most + 1), max_workers=workers)


@pytest.fixture
def new_threads():
    """The threads that were started since the test began, and still run."""
    before = set(threading.enumerate())
    return lambda: set(threading.enumerate()) - before


def test_each_number_comes_once_with_its_result():
    assert dict(numbers_with_double([])) == {number: 2 * number for number in range(1, 51)}


def test_threads_work_ahead_of_the_caller_but_not_without_bound():
    done: list[int] = []
    ahead = threading.Event()

    def work(number: int, _: threading.Event) -> int:
        done.append(number)
        if len(done) > 1:
            ahead.set()
        return number

    with closing(run_each(work, range(1, 51), max_workers=2)) as results:
        next(results)
        # The caller has not asked for the second result yet.
        assert ahead.wait(10)
        for _ in range(10):
            next(results)
        # Eleven were used; each of two threads may have two more.
        assert len(done) <= 15


def test_no_thread_runs_after_the_iterator_is_closed(new_threads):
    with closing(numbers_with_double([])) as results:
        next(results)
    assert not new_threads()


def test_first_error_is_raised_and_cancels_the_rest(new_threads):
    done: list[int] = []

    def fail_at_three(number: int, cancelled: threading.Event) -> int:
        done.append(number)
        if number == 3:
            raise LookupError("three")
        if number > 3:
            assert cancelled.wait(10)
        return number

    with pytest.raises(LookupError, match="three"):
        dict(run_each(fail_at_three, range(1, 51), max_workers=4))
    assert len(done) <= 7
    assert not new_threads()
