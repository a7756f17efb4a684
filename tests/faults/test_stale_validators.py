"""Conditional requests, HEAD and gzip with a stale copy (docs/faults.md, row 26)."""

import gzip
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime
from itertools import permutations, product
from pathlib import Path

import pytest
from clocks import wait_until
from faults.scenarios import (
    FEEDS,
    OLD,
    STALE,
    FakeTeamUp,
    FeedClient,
    Scenario,
    cache_state,
    stable_headers,
)
from upstreams import raw
from werkzeug.test import TestResponse

CODINGS = ("identity", "gzip")


@pytest.fixture(params=[0.0, STALE, OLD], ids=["fresh", "stale", "old"])
def workers(
    request: pytest.FixtureRequest, scenario: Scenario, teamup: FakeTeamUp, tmp_path: Path
) -> list[FeedClient]:
    """Two workers from before the outage and one started during it."""
    shared = f"sqlite:///{tmp_path}/bridge.sqlite3"
    first, second = (scenario.client(cache_url=shared).warm_up() for _ in range(2))
    teamup.script = raw.status(503)
    scenario.clock.move(request.param)
    third = scenario.client(cache_url=shared)
    third.good = first.good
    if request.param:
        for worker in (first, second, third):
            wait_until(lambda worker=worker: worker.state() == "failed")
    return [first, second, third]


def time_independent(response: TestResponse) -> tuple[int, object, bytes]:
    """The parts of a response that do not depend on the time of the request."""
    return response.status_code, stable_headers(response), response.data


def test_all_workers_give_the_same_bytes_and_validators(workers: list[FeedClient]) -> None:
    for path, coding in product(FEEDS, CODINGS):
        responses = [worker.get(path, Accept_Encoding=coding) for worker in workers]
        assert len({repr(time_independent(response)) for response in responses}) == 1
        body = responses[0].data if coding == "identity" else gzip.decompress(responses[0].data)
        assert body == workers[0].good[path].data
    for worker in workers:
        worker.assert_last_good(states="fresh failed")


def test_head_is_get_without_the_body(workers: list[FeedClient]) -> None:
    for worker in workers:
        for path, coding in product(FEEDS, CODINGS):
            get = worker.get(path, Accept_Encoding=coding)
            head = worker.get(path, method="HEAD", Accept_Encoding=coding)
            assert head.status_code == 200
            assert head.data == b""
            assert stable_headers(head) == stable_headers(get)
            assert head.headers["Content-Length"] == str(len(get.data))
            assert head.headers["Age"] == get.headers["Age"]


def test_every_worker_answers_304_to_a_client_that_has_the_copy(workers: list[FeedClient]) -> None:
    for path, coding in product(FEEDS, CODINGS):
        full = workers[0].get(path, Accept_Encoding=coding)
        tag, date = full.headers["ETag"], full.headers["Last-Modified"]
        later = format_datetime(parsedate_to_datetime(date) + timedelta(days=1), usegmt=True)
        conditions = [
            {"If_None_Match": tag},
            {"If_None_Match": f"W/{tag}"},
            {"If_None_Match": f'"another", {tag}'},
            {"If_None_Match": "*"},
            {"If_Modified_Since": date},
            {"If_Modified_Since": later},
            {"If_None_Match": tag, "If_Modified_Since": "Thu, 01 Jan 2026 00:00:00 GMT"},
        ]
        for worker in workers:
            for condition in conditions:
                for method in ("GET", "HEAD"):
                    response = worker.get(path, method=method, Accept_Encoding=coding, **condition)
                    assert response.status_code == 304, condition
                    assert response.data == b""
                    for name in ("ETag", "Cache-Control", "Vary"):
                        assert response.headers[name] == full.headers[name]
                    assert cache_state(response) == cache_state(full)
                    assert response.headers["Age"] == full.headers["Age"]


def test_every_worker_sends_the_copy_to_a_client_with_another_version(
    workers: list[FeedClient],
) -> None:
    for path, (coding, other) in product(FEEDS, permutations(CODINGS)):
        full = workers[0].get(path, Accept_Encoding=coding)
        date = full.headers["Last-Modified"]
        earlier = format_datetime(parsedate_to_datetime(date) - timedelta(seconds=1), usegmt=True)
        other_tag = workers[0].get(path, Accept_Encoding=other).headers["ETag"]
        assert other_tag != full.headers["ETag"]
        for worker in workers:
            for condition in (
                {"If_None_Match": '"another"'},
                {"If_None_Match": other_tag},
                {"If_None_Match": '"another"', "If_Modified_Since": date},
                {"If_Modified_Since": earlier},
                {"If_Modified_Since": "nonsense"},
            ):
                response = worker.get(path, Accept_Encoding=coding, **condition)
                assert time_independent(response) == time_independent(full), condition
