"""Thundering herd on a cold key, over workers and machines: one walk, one body for all."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from faults.fleet import (
    PAGES,
    HttpResponse,
    Machine,
    count_walks,
    get,
    run_concurrently,
    running,
    stub_upstream,
)
from upstreams.stub import StubUpstream
from valkey import Valkey

HERD = 40


@pytest.fixture
def upstream() -> Iterator[StubUpstream]:
    with stub_upstream(delay=0.1) as server:
        yield server


def _request_all(machines: list[Machine], paths: list[str]) -> list[HttpResponse]:
    """Send all requests at once, distributed over the machines and paths in turn."""
    return run_concurrently(
        [
            partial(get, machines[number % len(machines)].url + paths[number % len(paths)])
            for number in range(HERD)
        ]
    )


def test_many_clients_of_two_cold_machines_cause_one_walk_and_get_one_body(
    upstream: StubUpstream, valkey: Valkey
) -> None:
    two = [Machine(upstream.url, valkey.url, workers=number) for number in (2, 1)]
    with running(*two):
        responses = _request_all(two, ["/sessions.ics"])
    assert {response.status for response in responses} == {200}
    assert len({response.validators for response in responses}) == 1
    assert responses[0].body.count(b"BEGIN:VEVENT") > 50
    assert sorted(upstream.pages()) == list(range(1, PAGES + 1))


def test_many_clients_for_many_cold_feeds_cause_one_walk(
    upstream: StubUpstream, valkey: Valkey
) -> None:
    paths = ["/sessions.ics", *(f"/venues/{venue}.ics" for venue in (11, 12, 13, 14))]
    two = [Machine(upstream.url, valkey.url) for _ in range(2)]
    with running(*two):
        # The number of paths is odd, so each is requested from both machines.
        responses = _request_all(two, paths)
    assert {response.status for response in responses} == {200}
    assert len({response.validators for response in responses}) == len(paths)
    assert count_walks(upstream) == 1


def test_many_clients_of_cold_workers_with_one_sqlite_file_cause_one_walk(
    upstream: StubUpstream, tmp_path: Path
) -> None:
    with Machine(upstream.url, f"sqlite:///{tmp_path}/var/store.sqlite3", workers=2) as machine:
        responses = _request_all([machine], ["/sessions.ics"])
    assert {response.status for response in responses} == {200}
    assert len({response.validators for response in responses}) == 1
    assert count_walks(upstream) == 1
