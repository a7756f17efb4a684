"""Requests that wait for upstream do not block requests that can be answered at once."""

import threading
import time
from pathlib import Path

import pytest
from clocks import wait_until
from faults.fleet import BlockedPages, Machine, get, run_concurrently, stub_upstream

from bridge.snapshots.bulkhead import THREADS, WAITING, Bulkhead

CLIENTS = 200
# Seconds: much more than an answer takes, much less than waiting (see docs/performance.md).
AT_ONCE = 3.0


def test_a_bulkhead_gives_no_more_places_than_its_limit() -> None:
    bulkhead = Bulkhead(2)
    with bulkhead.place() as first, bulkhead.place() as second, bulkhead.place() as third:
        assert (first, second, third) == (True, True, False)
    with bulkhead.place() as again:
        assert again


@pytest.mark.parametrize("plan", ["narrow", "wide"])
def test_while_200_clients_wait_for_a_hanging_upstream_others_are_answered_at_once(
    tmp_path: Path, plan: str
) -> None:
    with stub_upstream() as upstream:
        settings = {"UPSTREAM_PLAN": plan, "CACHE_TTL": "3600"}
        with Machine(upstream.url, f"sqlite:///{tmp_path}/store.sqlite3", **settings) as machine:
            warm, cold = "/venues/1.ics", "/venues/1.ics?status=active&starts_at_gte=2019-01-01"
            assert machine.get(warm).status == 200
            wait_until(lambda: machine.get("/readyz").status == 200)
            blocked = BlockedPages(upstream, pages=(1,))
            results: list[tuple[int, str | None, float]] = []

            def request() -> None:
                answer = get(machine.url + cold, timeout=30)
                results.append((answer.status, answer.headers.get("retry-after"), answer.seconds))

            waiting = threading.Thread(target=run_concurrently, args=([request] * CLIENTS,))
            waiting.start()
            wait_until(blocked.reached)
            wait_until(lambda: len(results) >= CLIENTS - WAITING)
            end = time.monotonic() + 2
            while time.monotonic() < end:
                for path in ("/healthz", "/readyz", warm, f"{warm}?tz=local"):
                    answer = machine.get(path)
                    assert answer.status == 200
                    assert answer.seconds < AT_ONCE
            refused = list(results)
            assert len(refused) == CLIENTS - WAITING
            blocked.release()
            waiting.join()
    assert {(status, retry) for status, retry, _ in refused} == {(503, "5")}
    assert THREADS - WAITING == WAITING
    assert [status for status, *_ in results if status == 200] == [200] * WAITING
