"""Waiting for upstream never keeps a worker from answering what is ready."""

import threading
import time
from pathlib import Path

import pytest
from faults.fleet import Hold, Machine, get, herd, studio, until

from bridge.snapshots.bulkhead import THREADS, WAITING, Bulkhead

CLIENTS = 200
# Far above what an answer takes, far below what waiting takes; docs/performance.md has the figure.
AT_ONCE = 1.0


def test_a_bulkhead_gives_no_more_places_than_it_has() -> None:
    bulkhead = Bulkhead(2)
    with bulkhead.place() as first, bulkhead.place() as second, bulkhead.place() as third:
        assert (first, second, third) == (True, True, False)
    with bulkhead.place() as again:
        assert again


@pytest.mark.parametrize("plan", ["narrow", "wide"])
def test_while_200_clients_wait_for_a_hanging_upstream_the_rest_is_answered_at_once(
    tmp_path: Path, plan: str
) -> None:
    with studio() as upstream:
        settings = {"UPSTREAM_PLAN": plan, "CACHE_TTL": "3600"}
        with Machine(upstream.url, f"sqlite:///{tmp_path}/store.sqlite3", **settings) as machine:
            warm, cold = "/venues/1.ics", "/courses/1.ics?status=active&starts_at_gte=2019-01-01"
            assert machine.get(warm).status == 200
            hold = Hold(upstream, pages=(1,))
            answers: list[tuple[int, str | None, float]] = []

            def ask() -> None:
                answer = get(machine.url + cold, timeout=30)
                answers.append((answer.status, answer.headers.get("retry-after"), answer.seconds))

            waiting = threading.Thread(target=herd, args=([ask] * CLIENTS,))
            waiting.start()
            until(hold.reached)
            until(lambda: len(answers) >= CLIENTS - WAITING)
            end = time.monotonic() + 2
            while time.monotonic() < end:
                for path in ("/healthz", "/readyz", warm, f"{warm}?tz=local"):
                    answer = machine.get(path)
                    assert answer.status == 200
                    assert answer.seconds < AT_ONCE
            refused = list(answers)
            assert len(refused) == CLIENTS - WAITING
            hold.let_go()
            waiting.join()
    assert {(status, retry) for status, retry, _ in refused} == {(503, "5")}
    assert THREADS - WAITING == WAITING
    assert [status for status, *_ in answers if status == 200] == [200] * WAITING
