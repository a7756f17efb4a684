"""The background threads of a bridge."""

import threading
from collections.abc import Callable

import pytest

from bridge.services import Services


@pytest.mark.parametrize("part", ["readiness", "prefetcher", "periodic"])
def test_a_part_can_be_closed_while_another_thread_starts_it(
    make_bridge: Callable[..., Services], monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    task = getattr(make_bridge(), part)
    start = threading.Thread.start
    started: list[threading.Thread] = []

    def closing_first(thread: threading.Thread) -> None:
        task.close()
        start(thread)
        started.append(thread)

    monkeypatch.setattr(threading.Thread, "start", closing_first)
    task.start()
    for thread in started:
        thread.join(30)
        assert not thread.is_alive()
    assert started
