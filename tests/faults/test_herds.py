"""A herd on what nobody has yet, over workers and machines: one walk, and one body for all."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from fleet import PAGES, Answer, Machine, get, herd, studio, together, walks
from upstreams.stub import StubUpstream
from valkey import Valkey

HERD = 40


@pytest.fixture
def upstream() -> Iterator[StubUpstream]:
    with studio(delay=0.1) as server:
        yield server


def _call_on(machines: list[Machine], paths: list[str]) -> list[Answer]:
    """The whole herd at once, each on the next machine and for the next path."""
    return herd(
        [
            partial(get, machines[number % len(machines)].url + paths[number % len(paths)])
            for number in range(HERD)
        ]
    )


def test_a_cold_herd_over_two_machines_costs_one_walk_and_gets_one_body(
    upstream: StubUpstream, valkey: Valkey
) -> None:
    two = [Machine(upstream.url, valkey.url, workers=number) for number in (2, 1)]
    with together(*two):
        answers = _call_on(two, ["/sessions.ics"])
    assert {answer.status for answer in answers} == {200}
    assert len({answer.validators for answer in answers}) == 1
    assert answers[0].body.count(b"BEGIN:VEVENT") > 50
    assert sorted(upstream.pages()) == list(range(1, PAGES + 1))


def test_a_cold_herd_for_many_feeds_still_costs_one_walk(
    upstream: StubUpstream, valkey: Valkey
) -> None:
    paths = ["/sessions.ics", *(f"/venues/{venue}.ics" for venue in (11, 12, 13, 14))]
    two = [Machine(upstream.url, valkey.url) for _ in range(2)]
    with together(*two):
        # the number of paths is odd: each is asked of both machines
        answers = _call_on(two, paths)
    assert {answer.status for answer in answers} == {200}
    assert len({answer.validators for answer in answers}) == len(paths)
    assert walks(upstream) == 1


def test_a_cold_herd_over_the_workers_of_one_sqlite_file_costs_one_walk(
    upstream: StubUpstream, tmp_path: Path
) -> None:
    with Machine(upstream.url, f"sqlite:///{tmp_path}/var/store.sqlite3", workers=2) as machine:
        answers = _call_on([machine], ["/sessions.ics"])
    assert {answer.status for answer in answers} == {200}
    assert len({answer.validators for answer in answers}) == 1
    assert walks(upstream) == 1
