"""Walks over real HTTP: all pages are read, or the walk fails."""

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from clocks import ManualClock
from flask import Response, request
from upstream_client import TOKEN, UpstreamClient, failure_of
from upstreams import raw
from upstreams.raw import RawUpstream
from upstreams.rows import MISSING, START, session_row, timetable, venue_row
from upstreams.stub import StubUpstream

from bridge.config import ListStyle
from bridge.filters import FilterSet
from bridge.model import Status
from bridge.sandbox.api_error import ApiError
from bridge.sandbox.list_params import Dialect
from bridge.store.memory import MemoryStore
from bridge.upstream import pagination
from bridge.upstream.parser import Parsed, parse

Connect = Callable[..., UpstreamClient]


def ids(rows: list[Any]) -> list[int]:
    return sorted(row["id"] for row in rows)


def paged(n: int, *, cap: int = 10, **options: Any) -> StubUpstream:
    options = {"dialect": Dialect(max_page_size=cap), **options}
    return StubUpstream(timetable(n), token=TOKEN, **options)


def changed_fields(upstream: StubUpstream, **fields: Any) -> StubUpstream:
    """*upstream*, with these fields changed in every page."""

    @upstream.app.after_request
    def alter(response: Response) -> Response:
        response.data = json.dumps({**response.get_json(), **fields})
        return response

    return upstream


# Pages


@pytest.mark.parametrize("n", [0, 1, 9, 10, 11, 20, 95])
def test_every_page_is_read_once(connect: Connect, n: int) -> None:
    with paged(n) as upstream:
        walk = connect(upstream.url).walk()
        assert sorted(upstream.pages()) == list(range(1, max(1, -(-n // 10)) + 1))
        assert sorted(session.id for session in walk.sessions) == ids(upstream.rows)
    assert walk.pages == len(upstream.requests)
    assert walk.unusable == frozenset()


def test_after_the_first_page_a_limited_number_is_requested_at_a_time(connect: Connect) -> None:
    in_flight: dict[int, int] = {}

    def hook(page: int) -> None:
        in_flight[page] = upstream.in_flight

    with paged(120, delay=0.03, before_page=hook) as upstream:
        connect(upstream.url, concurrency=3).walk()
        assert upstream.pages()[0] == 1
        assert in_flight[1] == 1
        assert 1 < upstream.peak <= 3


def test_with_a_concurrency_of_one_pages_are_requested_in_order(connect: Connect) -> None:
    with paged(60, delay=0.01) as upstream:
        connect(upstream.url, concurrency=1).walk()
        assert upstream.peak == 1
        assert upstream.pages() == [1, 2, 3, 4, 5, 6]


def test_each_request_has_order_size_expansion_and_fields(connect: Connect) -> None:
    with paged(30) as upstream:
        connect(upstream.url).walk(venues=(11, 12))
    for sent in upstream.requests:
        assert sent.args["sort"] == ["start"]
        assert sent.args["page_size"] == ["100"]
        assert sent.args["expand"] == ["venue,instructors,course.offering_type.category"]
        assert sent.args["venues"] == ["11,12"]
        fields = sent.args["fields"][0].split(",")
        assert {"id", "starts_at", "venue.timezone", "instructors.name"} < set(fields)
        assert "course.offering_type.customer_visibility" in fields


def test_all_pages_are_read_if_the_server_limits_their_size(connect: Connect) -> None:
    with paged(100, cap=37) as upstream:
        assert connect(upstream.url).ids() == ids(upstream.rows)
        assert sorted(upstream.pages()) == [1, 2, 3]


def test_a_single_page_of_more_than_a_hundred_rows_is_read(connect: Connect) -> None:
    rows = timetable(250)
    with RawUpstream(raw.ok(raw.page(rows))) as upstream:
        assert connect(upstream.url).ids() == ids(rows)
        assert len(upstream.requests) == 1


def test_pages_of_more_than_a_hundred_are_all_read(connect: Connect) -> None:
    rows = timetable(400)
    pages = [raw.ok(raw.page(rows[n : n + 150], count=400, next="x")) for n in (0, 150, 300)]
    with RawUpstream(raw.switch({1: pages[0], 2: pages[1], 3: pages[2]})) as upstream:
        assert connect(upstream.url).ids() == ids(rows)


def test_the_heartbeat_is_called_before_every_request(connect: Connect) -> None:
    beats: list[int] = []
    with paged(50) as upstream:
        client = connect(upstream.url)
        client.walker.walk(FilterSet(), heartbeat=lambda: beats.append(len(upstream.requests)))
    assert len(beats) == 5
    assert beats[0] == 0


def test_a_heartbeat_that_fails_ends_the_walk(connect: Connect) -> None:
    beats = iter(range(3))

    def lose_lease() -> None:
        if next(beats, None) is None:
            raise LookupError("the lease is lost")

    with paged(500) as upstream, pytest.raises(LookupError):
        connect(upstream.url).walker.walk(FilterSet(), heartbeat=lose_lease)
    assert len(upstream.requests) < 45


def test_pages_are_parsed_while_others_are_being_requested(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Event()

    def parse_and_signal(*args: Any, **options: Any) -> Parsed:
        begun.set()
        return parse(*args, **options)

    def hook(page: int) -> None:
        assert page == 1 or begun.wait(20)

    monkeypatch.setattr(pagination, "parse", parse_and_signal)
    with paged(30, before_page=hook) as upstream:
        assert connect(upstream.url).ids() == ids(upstream.rows)


def test_an_error_while_parsing_ends_the_walk_and_all_threads(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **options: Any) -> Parsed:
        raise LookupError("a bug of the bridge")

    monkeypatch.setattr(pagination, "parse", broken)
    with paged(500) as upstream:
        with pytest.raises(LookupError):
            connect(upstream.url).walk()
        assert not [thread for thread in threading.enumerate() if thread.name == "page"]
        assert len(upstream.requests) < 45


def test_if_a_thread_cannot_be_started_the_walk_and_all_threads_end(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, started = threading.Thread.start, []

    def failing_start(thread: threading.Thread) -> None:
        if thread.name == "page":
            if started:
                raise RuntimeError("can't start new thread")
            started.append(thread)
        start(thread)

    with paged(500) as upstream:
        monkeypatch.setattr(threading.Thread, "start", failing_start)
        with pytest.raises(RuntimeError):
            connect(upstream.url).walk()
        assert not started[0].is_alive()
        assert len(upstream.requests) < 45


def test_inconsistent_pages_take_precedence_over_an_unusable_page(
    connect: Connect,
) -> None:
    rows = timetable(30)
    pages = [raw.ok(raw.page(rows[n : n + 10], count=30, next="x")) for n in (0, 10, 20)]
    moved = raw.ok(raw.page(rows[10:20], count=31, next="x"))
    unusable = raw.ok(b'{"count": 30, "results": null}')
    first = {1: pages[0], 2: moved, 3: unusable}
    with RawUpstream(raw.switch(first)) as upstream:
        assert failure_of(connect(upstream.url).walk).code == "inconsistent"
        assert len(upstream.requests) == 6


# `next` is never requested


@pytest.mark.parametrize(
    "where", ["another server", "the same page", "a file", "nonsense", "a number"]
)
def test_the_address_in_next_is_never_requested(connect: Connect, where: str) -> None:
    with RawUpstream(raw.ok()) as trap:
        address: Any = {
            "another server": f"{trap.url}/course_sessions?page=2",
            "the same page": "?page=1",
            "a file": "file:///etc/passwd",
            "nonsense": "\x00",
            "a number": 7,
        }[where]

        with changed_fields(paged(30), next=address) as upstream:
            assert connect(upstream.url).ids() == ids(upstream.rows)
            assert sorted(upstream.pages()) == [1, 2, 3], "although the last page has next, too"
        assert trap.requests == []


def test_an_empty_page_with_next_ends_the_walk(connect: Connect) -> None:
    with RawUpstream(raw.ok(raw.page([], next="x"))) as upstream:
        assert connect(upstream.url).ids() == []
        assert len(upstream.requests) == 1


@pytest.mark.parametrize("count", [10**9, 10**4000])
def test_an_absurd_count_ends_the_walk_after_the_first_page(connect: Connect, count: int) -> None:
    body = raw.page([session_row(1, START)], next="x").replace(
        b'"count": 1', b'"count": %d' % count
    )
    with RawUpstream(raw.ok(body)) as upstream:
        failure_of(connect(upstream.url).walk)
        assert len(upstream.requests) == 1


@pytest.mark.parametrize("count", ["1", None, True, -1, 1.0, []])
def test_an_invalid_count_is_malformed(connect: Connect, count: Any) -> None:
    with changed_fields(paged(1), count=count) as upstream:
        assert failure_of(connect(upstream.url).walk).code == "malformed"


@pytest.mark.parametrize("results", [None, {}, "rows", 5])
def test_invalid_results_are_malformed(connect: Connect, results: Any) -> None:
    with changed_fields(paged(1), results=results) as upstream:
        assert failure_of(connect(upstream.url).walk).code == "malformed"


# Rows that move while they are read


def upstream_with_moving_rows(
    page: int, move: Callable[[list[Any]], object], *, n: int = 50, times: int = 1
) -> StubUpstream:
    """An upstream whose rows are changed before *page* is sent, a number of times."""
    moves_left = [move] * times

    def hook(number: int) -> None:
        if number == page and moves_left:
            rows = upstream.rows
            moves_left.pop()(rows)
            upstream.rows = rows

    upstream = paged(n, before_page=hook)
    return upstream


@pytest.mark.parametrize("page", [2, 3, 5])
@pytest.mark.parametrize("kind", ["deleted", "inserted"])
def test_if_rows_move_once_the_walk_is_repeated_and_none_is_lost(
    connect: Connect, page: int, kind: str
) -> None:
    def move(rows: list[Any]) -> None:
        if kind == "deleted":
            del rows[0]
        else:
            rows.insert(0, session_row(1, START))

    with upstream_with_moving_rows(page, move, n=48) as upstream:
        assert connect(upstream.url).ids() == ids(upstream.rows)
        assert upstream.pages().count(1) == 2


def test_if_rows_keep_moving_the_walk_fails_after_the_second_attempt(connect: Connect) -> None:
    moves = upstream_with_moving_rows(
        2, lambda rows: rows.insert(0, session_row(len(rows), START)), times=9
    )
    with moves as upstream:
        cause = failure_of(connect(upstream.url, concurrency=1).walk)
        assert upstream.pages().count(1) == 2
    assert cause.code == "inconsistent"


def test_if_the_last_page_disappears_the_walk_is_repeated(connect: Connect) -> None:
    with upstream_with_moving_rows(5, lambda rows: rows.__delitem__(slice(35, None))) as upstream:
        assert connect(upstream.url, concurrency=1).ids() == ids(upstream.rows)
        assert upstream.pages() == [1, 2, 3, 4, 5, 1, 2, 3, 4]


def test_a_permanently_missing_page_fails_the_walk(connect: Connect) -> None:
    with paged(50) as upstream:
        upstream.faults.set("status", 404, page=3)
        cause = failure_of(connect(upstream.url).walk)
        assert upstream.pages().count(3) == 2
    assert cause.code == "inconsistent"


def test_a_missing_first_page_means_a_wrong_address(connect: Connect) -> None:
    with RawUpstream(raw.status(404)) as upstream:
        assert "TEAMUP_BASE_URL" in failure_of(connect(upstream.url).walk).text
        assert len(upstream.requests) == 1


def test_an_id_on_two_pages_is_one_session(connect: Connect) -> None:
    rows = timetable(20)
    first = raw.ok(raw.page(rows[:10], count=20, next="x"))
    second = raw.ok(raw.page(rows[9:], count=20))
    with RawUpstream(raw.switch({1: first, 2: second})) as upstream:
        sessions = connect(upstream.url).walk().sessions
    assert sorted(session.id for session in sessions) == ids(rows)


def test_a_repeated_id_instead_of_another_fails_the_walk(connect: Connect) -> None:
    rows = timetable(20)
    first = raw.ok(raw.page(rows[:10], count=20, next="x"))
    second = raw.ok(raw.page(rows[9:19], count=20))
    with RawUpstream(raw.switch({1: first, 2: second})) as upstream:
        assert failure_of(connect(upstream.url).walk).code == "inconsistent"
        assert len(upstream.requests) == 4


def test_fewer_rows_than_the_count_fail_the_walk(connect: Connect) -> None:
    with RawUpstream(raw.ok(raw.page(timetable(10), count=20))) as upstream:
        assert failure_of(connect(upstream.url).walk).code == "inconsistent"
        assert len(upstream.requests) == 2


def test_rows_without_an_id_do_not_fail_the_walk(connect: Connect) -> None:
    rows = [*timetable(8), None, {**session_row(1, START), "id": "x"}]
    with RawUpstream(raw.ok(raw.page(rows))) as upstream:
        walk = connect(upstream.url).walk()
    assert len(walk.sessions) == 8
    assert sum(walk.tally.values()) == 2


# Filters


def test_filters_that_upstream_ignores_are_applied_locally(connect: Connect) -> None:
    with paged(90) as upstream:
        upstream.faults.set("ignore_filters")
        client = connect(upstream.url)
        assert len(client.ids()) == 90
        venues = client.walk(venues=(11,), status=(Status.CANCELLED,)).sessions
        instructors = client.walk(instructors=(101, 104)).sessions
        courses = client.walk(offering_types=(302,), course=(202,)).sessions
    assert venues
    assert all(session.venue and session.venue.id == 11 for session in venues)
    assert {session.status for session in venues} == {Status.CANCELLED}
    assert instructors
    assert all({101, 104} & {person.id for person in each.instructors} for each in instructors)
    assert len({session.id for session in instructors}) == len(instructors)
    assert {session.course.id for session in courses if session.course} == {202}


@pytest.mark.parametrize("style", ListStyle)
def test_lists_work_in_both_styles(connect: Connect, style: ListStyle) -> None:
    dialect = Dialect(list_style=style.value)
    with StubUpstream(timetable(60), token=TOKEN, dialect=dialect) as upstream:
        wanted = [row["id"] for row in upstream.rows if row["venue"]["id"] in (11, 13)]
        assert connect(upstream.url, style=style).ids(venues=(11, 13)) == sorted(wanted)


def test_cancelled_sessions_are_requested_explicitly(
    connect: Connect,
) -> None:
    with paged(40) as upstream:
        sessions = connect(upstream.url).walk().sessions
    assert {session.status for session in sessions} == set(Status)


def test_a_session_with_two_requested_instructors_is_returned_once(
    connect: Connect,
) -> None:
    with StubUpstream(timetable(120), token=TOKEN) as upstream:
        shared = next(row for row in upstream.rows if len(row["instructors"]) == 2)
        both = [instructor["id"] for instructor in shared["instructors"]]
        found = [session.id for session in connect(upstream.url).walk(instructors=both).sessions]
        assert [request.args["instructors"] for request in upstream.requests] == [
            [str(identity)] for identity in sorted(both)
        ]
    assert found.count(shared["id"]) == 1
    assert len(found) == len(set(found))


# Fields


def fields_sent(upstream: StubUpstream) -> list[bool]:
    return ["fields" in request.args for request in upstream.requests]


def test_fields_is_omitted_if_upstream_interprets_it_differently(
    connect: Connect,
) -> None:
    clock = ManualClock(skip=True)
    store = MemoryStore(clock)
    with paged(30, dialect=Dialect(fields="flat", max_page_size=10)) as upstream:
        walk = connect(upstream.url, clock=clock, store=store).walk()
        assert fields_sent(upstream) == [True, False, False, False]
        assert all(session.complete or session.offering_type for session in walk.sessions)
        assert len(walk.sessions) == 30
        connect(upstream.url, clock=clock, store=store).walk()
        assert fields_sent(upstream)[4:] == [False, False, False]


def test_fields_is_omitted_if_upstream_rejects_it(connect: Connect) -> None:
    def hook(page: int) -> None:
        if "fields" in request.args:
            raise ApiError(400, "Invalid parameters.", fields={"fields": "No such field."})

    with paged(30, before_page=hook) as upstream:
        client = connect(upstream.url)
        assert client.ids() == ids(upstream.rows)
        upstream.requests.clear()
        assert client.ids() == ids(upstream.rows)
        assert not any(fields_sent(upstream))


@pytest.mark.parametrize("missing", [["course"], ["venue"], ["venue", "course"]])
def test_fields_is_kept_if_rows_lack_the_same_without_it_which_is_asked_once(
    connect: Connect, missing: list[str]
) -> None:
    rows = [session_row(n, START, **dict.fromkeys(missing, MISSING)) for n in range(3)]
    with StubUpstream(rows, token=TOKEN) as upstream:
        client = connect(upstream.url)
        for _ in range(3):
            client.walk()
        assert fields_sent(upstream) == [True, False, True, True]
        # Other fields are another question.
        upstream.rows = [session_row(n, START, instructors=MISSING) for n in range(3)]
        client.walk()
        upstream.rows = rows
        client.walk()
        assert fields_sent(upstream)[4:] == [True, False, True]


def test_an_upstream_that_ignores_fields_gives_the_same_sessions(connect: Connect) -> None:
    with StubUpstream(timetable(30), token=TOKEN) as exact:
        expected = connect(exact.url).walk().sessions
    with StubUpstream(timetable(30), token=TOKEN, dialect=Dialect(fields="ignored")) as upstream:
        found = connect(upstream.url).walk().sessions
        assert fields_sent(upstream) == [True]
    origin = upstream.url.removesuffix("/api/v2")
    assert [str(session).replace(origin, "") for session in found] == [
        str(session).replace(exact.url.removesuffix("/api/v2"), "") for session in expected
    ]


# Failures of single pages


@pytest.mark.parametrize("page", [1, 2, 3, 4])
def test_a_page_that_keeps_failing_fails_the_walk_after_three_attempts(
    connect: Connect, page: int
) -> None:
    for status in (500, 502, 503, 504):

        def hook(number: int, status: int = status) -> Response | None:
            return Response(status=status) if number == page else None

        with paged(40, before_page=hook) as upstream:
            cause = failure_of(connect(upstream.url).walk)
            assert upstream.pages().count(page) == 3
        assert cause.code == f"http_{status}"


@pytest.mark.parametrize("page", [1, 2, 3, 4])
def test_a_page_may_fail_twice(connect: Connect, page: int) -> None:
    with paged(40) as upstream:
        for status in (500, 502, 503, 504):
            upstream.faults.set("status", status, page=page, times=2)
            assert connect(upstream.url).ids() == ids(upstream.rows)
            assert upstream.pages().count(page) == 3
            upstream.requests.clear()


def test_a_refused_page_ends_the_walk_before_the_other_pages(connect: Connect) -> None:
    def hook(page: int) -> Response | None:
        return Response(status=403) if page == 2 else None

    with paged(1000, cap=10, before_page=hook) as upstream:
        cause = failure_of(connect(upstream.url).walk)
        assert len(upstream.requests) < 80
    assert cause.code == "http_403"


def test_the_cause_of_a_failed_walk_is_the_page_that_failed_first(
    connect: Connect,
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
        assert failure_of(connect(upstream.url).walk).code in ("http_403", "http_500")


@pytest.mark.parametrize("page", [1, 2, 3])
def test_a_429_on_any_page_is_waited_out(connect: Connect, page: int) -> None:
    with paged(30) as upstream:
        upstream.faults.set("status", 429, page=page, retry_after="2", times=1)
        assert connect(upstream.url, concurrency=1).ids() == ids(upstream.rows)


def test_a_walk_respects_the_budget(connect: Connect) -> None:
    clock = ManualClock(skip=True)
    times: list[float] = []
    with paged(120, before_page=lambda page: times.append(clock.now())) as upstream:
        connect(upstream.url, clock=clock, per_minute=8, concurrency=1).walk()
    assert len(times) == 12
    assert times[8] - times[0] >= 60


def test_a_walk_fails_if_the_budget_is_too_small_for_its_deadline(connect: Connect) -> None:
    with paged(120) as upstream:
        cause = failure_of(connect(upstream.url, per_minute=3, concurrency=1).walk)
        assert len(upstream.requests) < 12
    assert "TEAMUP_REQUESTS_PER_MINUTE" in cause.text


def test_a_walk_is_dated_with_its_start(connect: Connect) -> None:
    clock = ManualClock(skip=True)
    began = clock.now()
    with paged(20, before_page=lambda page: clock.move(5)) as upstream:
        assert connect(upstream.url, clock=clock).walk().started == began


def test_a_bad_row_is_counted_and_its_id_is_reported(connect: Connect) -> None:
    rows = [*timetable(3), session_row(7, START, venue=venue_row(), starts_at=None)]
    with RawUpstream(raw.ok(raw.page(rows))) as upstream:
        walk = connect(upstream.url).walk()
    assert len(walk.sessions) == 3
    assert walk.unusable == {7}
    assert sum(walk.tally.values()) == 1


def test_sessions_without_an_end_get_the_usual_length_of_their_course_on_any_page(
    connect: Connect,
) -> None:
    rows = [session_row(n, START, ends_at=None) for n in range(1, 11)]
    rows += [session_row(n, START, minutes=75) for n in range(11, 31)]
    with StubUpstream(rows, token=TOKEN, dialect=Dialect(max_page_size=10)) as upstream:
        walk = connect(upstream.url).walk()
    assert {session.ends - session.start for session in walk.sessions} == {timedelta(minutes=75)}
    assert walk.without_end == set(range(1, 11))
    assert walk.tally == {"repaired: no end after its start": 10}
