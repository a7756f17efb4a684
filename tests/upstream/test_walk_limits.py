"""The most that one walk may read."""

import time
from collections.abc import Callable
from threading import enumerate as enumerate_threads
from typing import Any

import pytest
from upstream_client import TOKEN, UpstreamClient, failure_of
from upstreams.rows import timetable
from upstreams.stub import StubUpstream

from bridge.errors import ProblemArea
from bridge.sandbox.list_params import Dialect
from bridge.upstream import pagination
from bridge.upstream.pagination import WalkLimits
from bridge.upstream.parser import Parsed, parse

Connect = Callable[..., UpstreamClient]


@pytest.mark.parametrize(
    ("limits", "setting", "pages"),
    [
        (WalkLimits(rows=399), "WALK_MAX_ROWS=399", 1),
        (WalkLimits(bytes=30_000), "WALK_MAX_BYTES=30000", 39),
    ],
)
def test_a_walk_over_its_limits_fails_and_names_the_setting(
    connect: Connect, limits: WalkLimits, setting: str, pages: int
) -> None:

    with StubUpstream(timetable(400), token=TOKEN, dialect=Dialect(max_page_size=10)) as upstream:
        cause = failure_of(connect(upstream.url, limits=limits).walk)
        assert len(upstream.requests) <= pages
        assert cause.code == "too_large"
        assert cause.problem_area is ProblemArea.SIZE
        assert setting in cause.text
        assert not [thread for thread in enumerate_threads() if thread.name == "page"]


def test_a_walk_within_its_limits_is_read_whole(connect: Connect) -> None:
    limits = WalkLimits(rows=400, bytes=10_000_000)
    with StubUpstream(timetable(400), token=TOKEN, dialect=Dialect(max_page_size=10)) as upstream:
        assert len(connect(upstream.url, limits=limits).ids()) == 400


def test_pages_do_not_pile_up_before_the_parser(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise rows would fill the memory whenever upstream is faster than the parser."""
    waiting: list[int] = []

    def slow_parse(*args: Any, **options: Any) -> Parsed:
        time.sleep(0.02)
        waiting.append(len(upstream.requests) - len(waiting))
        return parse(*args, **options)

    monkeypatch.setattr(pagination, "parse", slow_parse)
    with StubUpstream(timetable(400), token=TOKEN, dialect=Dialect(max_page_size=10)) as upstream:
        assert len(connect(upstream.url, concurrency=2).ids()) == 400
    assert len(waiting) == 40
    assert max(waiting) <= 5
