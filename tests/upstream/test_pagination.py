"""The walk over real HTTP: every page of a question, complete or failed."""

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from asking import TOKEN, Asker, failing
from clocks import ManualClock
from flask import Response, request
from upstreams import raw
from upstreams.raw import RawUpstream
from upstreams.rows import START, session_row, timetable, venue_row
from upstreams.stub import StubUpstream

from bridge.config import ListStyle
from bridge.filters import FilterSet
from bridge.model import Status
from bridge.sandbox.api_error import ApiError
from bridge.sandbox.list_params import Dialect
from bridge.store.memory import MemoryStore
from bridge.upstream import pagination as walking
from bridge.upstream.parser import Parsed, parse

Ask = Callable[..., Asker]


def ids(rows: list[Any]) -> list[int]:
    return sorted(row["id"] for row in rows)


def paged(n: int, *, cap: int = 10, **options: Any) -> StubUpstream:
    options = {"dialect": Dialect(max_page_size=cap), **options}
    return StubUpstream(timetable(n), token=TOKEN, **options)


def altering(upstream: StubUpstream, **fields: Any) -> StubUpstream:
    """*upstream*, with these in every page in place of its own."""

    @upstream.app.after_request
    def alter(response: Response) -> Response:
        response.data = json.dumps({**response.get_json(), **fields})
        return response

    return upstream


# Pages


@pytest.mark.parametrize("n", [0, 1, 9, 10, 11, 20, 95])
def test_every_page_is_read_once(asker: Ask, n: int) -> None:
    with paged(n) as upstream:
        walk = asker(upstream.url).walk()
        assert sorted(upstream.pages()) == list(range(1, max(1, -(-n // 10)) + 1))
        assert sorted(session.id for session in walk.sessions) == ids(upstream.rows)
    assert walk.pages == len(upstream.requests)
    assert walk.unusable == frozenset()


def test_the_first_page_is_alone_and_the_rest_come_together_within_bounds(asker: Ask) -> None:
    together: dict[int, int] = {}

    def hook(page: int) -> None:
        together[page] = upstream.in_flight

    with paged(120, delay=0.03, before_page=hook) as upstream:
        asker(upstream.url, concurrency=3).walk()
        assert upstream.pages()[0] == 1
        assert together[1] == 1
        assert 1 < upstream.peak <= 3


def test_one_page_at_a_time_is_one_page_at_a_time(asker: Ask) -> None:
    with paged(60, delay=0.01) as upstream:
        asker(upstream.url, concurrency=1).walk()
        assert upstream.peak == 1
        assert upstream.pages() == [1, 2, 3, 4, 5, 6]


def test_each_page_asks_for_order_size_expansion_and_fields(asker: Ask) -> None:
    with paged(30) as upstream:
        asker(upstream.url).walk(venues=(11, 12))
    for sent in upstream.requests:
        assert sent.args["sort"] == ["start"]
        assert sent.args["page_size"] == ["100"]
        assert sent.args["expand"] == ["venue,instructors,course.offering_type.category"]
        assert sent.args["venues"] == ["11,12"]
        asked = sent.args["fields"][0].split(",")
        assert {"id", "starts_at", "venue.timezone", "instructors.name"} < set(asked)
        assert "course.offering_type.customer_visibility" in asked


def test_a_server_that_caps_its_pages_is_followed_to_the_end(asker: Ask) -> None:
    with paged(100, cap=37) as upstream:
        assert asker(upstream.url).ids() == ids(upstream.rows)
        assert sorted(upstream.pages()) == [1, 2, 3]


def test_a_page_of_more_than_a_hundred_is_read_whole(asker: Ask) -> None:
    rows = timetable(250)
    with RawUpstream(raw.ok(raw.page(rows))) as upstream:
        assert asker(upstream.url).ids() == ids(rows)
        assert len(upstream.requests) == 1


def test_pages_of_more_than_a_hundred_are_all_read(asker: Ask) -> None:
    rows = timetable(400)
    pages = [raw.ok(raw.page(rows[n : n + 150], count=400, next="x")) for n in (0, 150, 300)]
    with RawUpstream(raw.switch({1: pages[0], 2: pages[1], 3: pages[2]})) as upstream:
        assert asker(upstream.url).ids() == ids(rows)


def test_the_heart_beats_before_every_request(asker: Ask) -> None:
    beats: list[int] = []
    with paged(50) as upstream:
        ask = asker(upstream.url)
        ask.walker.walk(FilterSet(), heartbeat=lambda: beats.append(len(upstream.requests)))
    assert len(beats) == 5
    assert beats[0] == 0


def test_a_heartbeat_that_fails_ends_the_walk(asker: Ask) -> None:
    beats = iter(range(3))

    def lost() -> None:
        if next(beats, None) is None:
            raise LookupError("the lease is gone")

    with paged(500) as upstream, pytest.raises(LookupError):
        asker(upstream.url).walker.walk(FilterSet(), heartbeat=lost)
    assert len(upstream.requests) < 45


def test_pages_are_read_while_others_are_still_on_their_way(
    asker: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Event()

    def noticed(*given: Any) -> Parsed:
        begun.set()
        return parse(*given)

    def hook(page: int) -> None:
        assert page == 1 or begun.wait(20)

    monkeypatch.setattr(walking, "parse", noticed)
    with paged(30, before_page=hook) as upstream:
        assert asker(upstream.url).ids() == ids(upstream.rows)


def test_what_breaks_while_pages_are_read_ends_the_walk_with_nobody_at_work(
    asker: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*given: Any) -> Parsed:
        raise LookupError("a mistake of the bridge's own")

    monkeypatch.setattr(walking, "parse", broken)
    with paged(500) as upstream:
        with pytest.raises(LookupError):
            asker(upstream.url).walk()
        assert not [one for one in threading.enumerate() if one.name == "page"]
        assert len(upstream.requests) < 45


def test_without_a_thread_left_the_walk_ends_with_nobody_at_work(
    asker: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, started = threading.Thread.start, []

    def refused(thread: threading.Thread) -> None:
        if thread.name == "page":
            if started:
                raise RuntimeError("can't start new thread")
            started.append(thread)
        start(thread)

    with paged(500) as upstream:
        monkeypatch.setattr(threading.Thread, "start", refused)
        with pytest.raises(RuntimeError):
            asker(upstream.url).walk()
        assert not started[0].is_alive()
        assert len(upstream.requests) < 45


def test_pages_that_do_not_fit_together_count_before_one_that_cannot_be_used(asker: Ask) -> None:
    rows = timetable(30)
    fine = [raw.ok(raw.page(rows[n : n + 10], count=30, next="x")) for n in (0, 10, 20)]
    moved = raw.ok(raw.page(rows[10:20], count=31, next="x"))
    spoilt = raw.ok(b'{"count": 30, "results": null}')
    first = {1: fine[0], 2: moved, 3: spoilt}
    with RawUpstream(raw.switch(first)) as upstream:
        assert failing(asker(upstream.url).walk).code == "inconsistent"
        assert len(upstream.requests) == 6


# `next` is never requested


@pytest.mark.parametrize("where", ["elsewhere", "itself", "a file", "nonsense", "a number"])
def test_where_next_points_is_never_asked(asker: Ask, where: str) -> None:
    with RawUpstream(raw.ok()) as trap:
        address: Any = {
            "elsewhere": f"{trap.url}/course_sessions?page=2",
            "itself": "?page=1",
            "a file": "file:///etc/passwd",
            "nonsense": "\x00",
            "a number": 7,
        }[where]

        with altering(paged(30), next=address) as upstream:
            assert asker(upstream.url).ids() == ids(upstream.rows)
            assert sorted(upstream.pages()) == [1, 2, 3], "next was on the last page, too"
        assert trap.requests == []


def test_next_without_end_over_empty_pages_ends(asker: Ask) -> None:
    with RawUpstream(raw.ok(raw.page([], next="x"))) as upstream:
        assert asker(upstream.url).ids() == []
        assert len(upstream.requests) == 1


@pytest.mark.parametrize("count", [10**9, 10**4000])
def test_a_count_beyond_reason_ends_after_the_first_page(asker: Ask, count: int) -> None:
    body = raw.page([session_row(1, START)], next="x").replace(
        b'"count": 1', b'"count": %d' % count
    )
    with RawUpstream(raw.ok(body)) as upstream:
        failing(asker(upstream.url).walk)
        assert len(upstream.requests) == 1


@pytest.mark.parametrize("count", ["1", None, True, -1, 1.0, []])
def test_a_count_that_is_no_number_is_malformed(asker: Ask, count: Any) -> None:
    with altering(paged(1), count=count) as upstream:
        assert failing(asker(upstream.url).walk).code == "malformed"


@pytest.mark.parametrize("results", [None, {}, "rows", 5])
def test_results_that_are_no_list_are_malformed(asker: Ask, results: Any) -> None:
    with altering(paged(1), results=results) as upstream:
        assert failing(asker(upstream.url).walk).code == "malformed"


# Rows that move while they are read


def moving(
    page: int, move: Callable[[list[Any]], object], *, n: int = 50, times: int = 1
) -> StubUpstream:
    """An upstream whose rows move before a page is made, a number of times."""
    left = [move] * times

    def hook(number: int) -> None:
        if number == page and left:
            rows = upstream.rows
            left.pop()(rows)
            upstream.rows = rows

    upstream = paged(n, before_page=hook)
    return upstream


@pytest.mark.parametrize("page", [2, 3, 5])
@pytest.mark.parametrize("kind", ["deleted", "inserted"])
def test_rows_that_move_once_make_one_more_walk_with_none_lost(
    asker: Ask, page: int, kind: str
) -> None:
    def move(rows: list[Any]) -> None:
        if kind == "deleted":
            del rows[0]
        else:
            rows.insert(0, session_row(1, START))

    with moving(page, move, n=48) as upstream:
        assert asker(upstream.url).ids() == ids(upstream.rows)
        assert upstream.pages().count(1) == 2


def test_rows_that_go_on_moving_fail_the_walk_after_the_second(asker: Ask) -> None:
    moves = moving(2, lambda rows: rows.insert(0, session_row(len(rows), START)), times=9)
    with moves as upstream:
        cause = failing(asker(upstream.url, concurrency=1).walk)
        assert upstream.pages().count(1) == 2
    assert cause.code == "inconsistent"


def test_a_last_page_that_is_gone_makes_one_more_walk(asker: Ask) -> None:
    with moving(5, lambda rows: rows.__delitem__(slice(35, None))) as upstream:
        assert asker(upstream.url, concurrency=1).ids() == ids(upstream.rows)
        assert upstream.pages() == [1, 2, 3, 4, 5, 1, 2, 3, 4]


def test_a_page_that_is_never_there_fails_the_walk(asker: Ask) -> None:
    with paged(50) as upstream:
        upstream.faults.set("status", 404, page=3)
        cause = failing(asker(upstream.url).walk)
        assert upstream.pages().count(3) == 2
    assert cause.code == "inconsistent"


def test_a_first_page_that_is_not_there_is_a_wrong_address(asker: Ask) -> None:
    with RawUpstream(raw.status(404)) as upstream:
        assert "TEAMUP_BASE_URL" in failing(asker(upstream.url).walk).text
        assert len(upstream.requests) == 1


def test_an_id_that_stands_on_two_pages_is_one_session(asker: Ask) -> None:
    rows = timetable(20)
    first = raw.ok(raw.page(rows[:10], count=20, next="x"))
    second = raw.ok(raw.page(rows[9:], count=20))
    with RawUpstream(raw.switch({1: first, 2: second})) as upstream:
        sessions = asker(upstream.url).walk().sessions
    assert sorted(session.id for session in sessions) == ids(rows)


def test_an_id_that_is_there_in_place_of_another_fails_the_walk(asker: Ask) -> None:
    rows = timetable(20)
    first = raw.ok(raw.page(rows[:10], count=20, next="x"))
    second = raw.ok(raw.page(rows[9:19], count=20))
    with RawUpstream(raw.switch({1: first, 2: second})) as upstream:
        assert failing(asker(upstream.url).walk).code == "inconsistent"
        assert len(upstream.requests) == 4


def test_fewer_rows_than_were_counted_fail_the_walk(asker: Ask) -> None:
    with RawUpstream(raw.ok(raw.page(timetable(10), count=20))) as upstream:
        assert failing(asker(upstream.url).walk).code == "inconsistent"
        assert len(upstream.requests) == 2


def test_rows_without_an_id_do_not_fail_the_walk(asker: Ask) -> None:
    rows = [*timetable(8), None, {**session_row(1, START), "id": "x"}]
    with RawUpstream(raw.ok(raw.page(rows))) as upstream:
        walk = asker(upstream.url).walk()
    assert len(walk.sessions) == 8
    assert sum(walk.tally.values()) == 2


# Filters


def test_filters_that_upstream_ignores_are_applied_here(asker: Ask) -> None:
    with paged(90) as upstream:
        upstream.faults.set("ignore_filters")
        ask = asker(upstream.url)
        assert len(ask.ids()) == 90
        venues = ask.walk(venues=(11,), status=(Status.CANCELLED,)).sessions
        people = ask.walk(instructors=(101, 104)).sessions
        kinds = ask.walk(offering_types=(302,), course=(202,)).sessions
    assert venues
    assert all(one.venue and one.venue.id == 11 for one in venues)
    assert {one.status for one in venues} == {Status.CANCELLED}
    assert people
    assert all({101, 104} & {who.id for who in one.instructors} for one in people)
    assert len({one.id for one in people}) == len(people)
    assert {one.course.id for one in kinds if one.course} == {202}


@pytest.mark.parametrize("style", ListStyle)
def test_a_list_reaches_an_upstream_of_its_style(asker: Ask, style: ListStyle) -> None:
    dialect = Dialect(list_style=style.value)
    with StubUpstream(timetable(60), token=TOKEN, dialect=dialect) as upstream:
        wanted = [row["id"] for row in upstream.rows if row["venue"]["id"] in (11, 13)]
        assert asker(upstream.url, style=style).ids(venues=(11, 13)) == sorted(wanted)


def test_cancelled_sessions_come_though_upstream_leaves_them_out_by_default(asker: Ask) -> None:
    with paged(40) as upstream:
        sessions = asker(upstream.url).walk().sessions
    assert {one.status for one in sessions} == set(Status)


def test_a_session_of_two_instructors_who_are_both_asked_for_is_there_once(asker: Ask) -> None:
    with StubUpstream(timetable(120), token=TOKEN) as upstream:
        together = next(row for row in upstream.rows if len(row["instructors"]) == 2)
        both = [one["id"] for one in together["instructors"]]
        found = [one.id for one in asker(upstream.url).walk(instructors=both).sessions]
        assert [request.args["instructors"] for request in upstream.requests] == [
            [str(one)] for one in sorted(both)
        ]
    assert found.count(together["id"]) == 1
    assert len(found) == len(set(found))


# Fields


def with_fields(upstream: StubUpstream) -> list[bool]:
    return ["fields" in request.args for request in upstream.requests]


def test_fields_that_upstream_reads_otherwise_are_left_out_and_that_is_remembered(
    asker: Ask,
) -> None:
    clock = ManualClock(skip=True)
    store = MemoryStore(clock)
    with paged(30, dialect=Dialect(fields="flat", max_page_size=10)) as upstream:
        walk = asker(upstream.url, clock=clock, store=store).walk()
        assert with_fields(upstream) == [True, False, False, False]
        assert all(one.complete or one.offering_type for one in walk.sessions)
        assert len(walk.sessions) == 30
        asker(upstream.url, clock=clock, store=store).walk()
        assert with_fields(upstream)[4:] == [False, False, False]


def test_fields_that_upstream_refuses_are_left_out_and_that_is_remembered(asker: Ask) -> None:
    def hook(page: int) -> None:
        if "fields" in request.args:
            raise ApiError(400, "Invalid parameters.", fields={"fields": "No such field."})

    with paged(30, before_page=hook) as upstream:
        ask = asker(upstream.url)
        assert ask.ids() == ids(upstream.rows)
        upstream.requests.clear()
        assert ask.ids() == ids(upstream.rows)
        assert not any(with_fields(upstream))


def test_rows_that_lack_something_either_way_are_not_held_against_fields(asker: Ask) -> None:
    rows = [session_row(n, START, course=None) for n in range(3)]
    with StubUpstream(rows, token=TOKEN) as upstream:
        ask = asker(upstream.url)
        ask.walk()
        ask.walk()
        assert with_fields(upstream) == [True, False, True, False]


def test_fields_that_upstream_ignores_change_nothing(asker: Ask) -> None:
    with StubUpstream(timetable(30), token=TOKEN) as exact:
        wanted = asker(exact.url).walk().sessions
    with StubUpstream(timetable(30), token=TOKEN, dialect=Dialect(fields="ignored")) as upstream:
        found = asker(upstream.url).walk().sessions
        assert with_fields(upstream) == [True]
    origin = upstream.url.removesuffix("/api/v2")
    assert [str(one).replace(origin, "") for one in found] == [
        str(one).replace(exact.url.removesuffix("/api/v2"), "") for one in wanted
    ]


# Failures of single pages


@pytest.mark.parametrize("page", [1, 2, 3, 4])
def test_a_page_that_fails_for_good_fails_the_walk_after_three_attempts(
    asker: Ask, page: int
) -> None:
    for status in (500, 502, 503, 504):

        def hook(number: int, status: int = status) -> Response | None:
            return Response(status=status) if number == page else None

        with paged(40, before_page=hook) as upstream:
            cause = failing(asker(upstream.url).walk)
            assert upstream.pages().count(page) == 3
        assert cause.code == f"http_{status}"


@pytest.mark.parametrize("page", [1, 2, 3, 4])
def test_a_page_that_fails_twice_costs_nothing_but_time(asker: Ask, page: int) -> None:
    with paged(40) as upstream:
        for status in (500, 502, 503, 504):
            upstream.faults.set("status", status, page=page, times=2)
            assert asker(upstream.url).ids() == ids(upstream.rows)
            assert "status" not in upstream.faults.listing()


def test_a_page_that_is_refused_ends_the_walk_without_the_other_pages(asker: Ask) -> None:
    def hook(page: int) -> Response | None:
        return Response(status=403) if page == 2 else None

    with paged(1000, cap=10, before_page=hook) as upstream:
        cause = failing(asker(upstream.url).walk)
        assert len(upstream.requests) < 80
    assert cause.code == "http_403"


def test_the_cause_of_a_failed_walk_is_the_page_that_failed_and_not_its_consequences(
    asker: Ask,
) -> None:
    gate = threading.Event()

    def hook(page: int) -> Response | None:
        if page == 5:
            gate.set()
            return Response(status=403)
        if page in (2, 3, 4):
            gate.wait(5)
            return Response(status=500)
        return None

    with paged(50, before_page=hook) as upstream:
        assert failing(asker(upstream.url).walk).code in ("http_403", "http_500")


@pytest.mark.parametrize("page", [1, 2, 3])
def test_a_429_on_any_page_is_waited_out(asker: Ask, page: int) -> None:
    with paged(30) as upstream:
        upstream.faults.set("status", 429, page=page, retry_after="2", times=1)
        assert asker(upstream.url, concurrency=1).ids() == ids(upstream.rows)


def test_a_walk_keeps_to_the_budget(asker: Ask) -> None:
    clock = ManualClock(skip=True)
    asked: list[float] = []
    with paged(120, before_page=lambda page: asked.append(clock.now())) as upstream:
        asker(upstream.url, clock=clock, per_minute=8, concurrency=1).walk()
    assert len(asked) == 12
    assert asked[8] - asked[0] >= 60


def test_a_walk_that_the_budget_cannot_carry_in_time_fails(asker: Ask) -> None:
    with paged(120) as upstream:
        cause = failing(asker(upstream.url, per_minute=3, concurrency=1).walk)
        assert len(upstream.requests) < 12
    assert "TEAMUP_REQUESTS_PER_MINUTE" in cause.text


def test_a_walk_is_dated_with_its_beginning(asker: Ask) -> None:
    clock = ManualClock(skip=True)
    began = clock.now()
    with paged(20, before_page=lambda page: clock.move(5)) as upstream:
        assert asker(upstream.url, clock=clock).walk().started == began


def test_one_bad_record_is_counted_and_told_by_its_id(asker: Ask) -> None:
    rows = [*timetable(3), session_row(7, START, venue=venue_row(), starts_at=None)]
    with RawUpstream(raw.ok(raw.page(rows))) as upstream:
        walk = asker(upstream.url).walk()
    assert len(walk.sessions) == 3
    assert walk.unusable == {7}
    assert sum(walk.tally.values()) == 1
