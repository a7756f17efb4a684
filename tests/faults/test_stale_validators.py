"""Conditional requests, HEAD and gzip while the copy is stale: row 26."""

import gzip
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime
from pathlib import Path

import pytest
from scenes import FEEDS, OLD, STALE, Reader, Scene, Vendor, eventually, how, steady
from upstreams import raw
from werkzeug.test import TestResponse

CODINGS = ("identity", "gzip")

each_coding = pytest.mark.parametrize("coding", CODINGS)


@pytest.fixture(params=[0.0, STALE, OLD], ids=["fresh", "stale", "old"])
def workers(
    request: pytest.FixtureRequest, scene: Scene, vendor: Vendor, tmp_path: Path
) -> list[Reader]:
    """Two that were there before the outage, and one that was started in it."""
    shared = f"sqlite:///{tmp_path}/bridge.sqlite3"
    first, second = (scene.reader(cache_url=shared).warm() for _ in range(2))
    vendor.script = raw.status(503)
    scene.clock.move(request.param)
    third = scene.reader(cache_url=shared)
    third.good = first.good
    if request.param:
        for worker in (first, second, third):
            eventually(lambda worker=worker: worker.served() == "failed")
    return [first, second, third]


def settled(answer: TestResponse) -> tuple[int, object, bytes]:
    """All of an answer that does not depend on when it was asked for."""
    return answer.status_code, steady(answer), answer.data


@each_coding
def test_all_workers_give_the_same_bytes_and_validators(workers: list[Reader], coding: str) -> None:
    for path in FEEDS:
        answers = [worker.get(path, Accept_Encoding=coding) for worker in workers]
        assert len({repr(settled(answer)) for answer in answers}) == 1
        body = answers[0].data if coding == "identity" else gzip.decompress(answers[0].data)
        assert body == workers[0].good[path].data
    if coding == "identity":
        for worker in workers:
            worker.has_last_good(also="fresh failed")


@each_coding
def test_head_is_get_without_the_body(workers: list[Reader], coding: str) -> None:
    for worker in workers:
        for path in FEEDS:
            got = worker.get(path, Accept_Encoding=coding)
            headed = worker.get(path, method="HEAD", Accept_Encoding=coding)
            assert headed.status_code == 200
            assert headed.data == b""
            assert steady(headed) == steady(got)
            assert headed.headers["Content-Length"] == str(len(got.data))
            assert headed.headers["Age"] == got.headers["Age"]


@each_coding
def test_who_has_the_copy_is_told_so_by_every_worker(workers: list[Reader], coding: str) -> None:
    for path in FEEDS:
        had = workers[0].get(path, Accept_Encoding=coding)
        tag, date = had.headers["ETag"], had.headers["Last-Modified"]
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
                    answer = worker.get(path, method=method, Accept_Encoding=coding, **condition)
                    assert answer.status_code == 304, condition
                    assert answer.data == b""
                    for name in ("ETag", "Cache-Control", "Vary"):
                        assert answer.headers[name] == had.headers[name]
                    assert how(answer) == how(had)
                    assert answer.headers["Age"] == had.headers["Age"]


@each_coding
def test_who_has_something_else_gets_the_copy_from_every_worker(
    workers: list[Reader], coding: str
) -> None:
    other = CODINGS[1 - CODINGS.index(coding)]
    for path in FEEDS:
        had = workers[0].get(path, Accept_Encoding=coding)
        date = had.headers["Last-Modified"]
        earlier = format_datetime(parsedate_to_datetime(date) - timedelta(seconds=1), usegmt=True)
        of_other = workers[0].get(path, Accept_Encoding=other).headers["ETag"]
        assert of_other != had.headers["ETag"]
        for worker in workers:
            for condition in (
                {"If_None_Match": '"another"'},
                {"If_None_Match": of_other},
                {"If_None_Match": '"another"', "If_Modified_Since": date},
                {"If_Modified_Since": earlier},
                {"If_Modified_Since": "nonsense"},
            ):
                answer = worker.get(path, Accept_Encoding=coding, **condition)
                assert settled(answer) == settled(had), condition
