"""The upstreams do what they say: else the tests that lean on them prove nothing."""

from __future__ import annotations

import gzip
import http.client
import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from . import raw
from .plain import ApiError, Params, PlainUpstream, Response
from .rows import CANARIES, MISSING, START, Row, awkward_rows, session_row, stamp, timetable

EXPAND = "venue,instructors,course.offering_type.category"
TOKEN = {"Authorization": "Bearer t0ken"}


def get(
    url: str, headers: dict[str, str] | None = None, timeout: float = 5, **params: Any
) -> tuple[int, bytes]:
    split = urlsplit(url)
    client = http.client.HTTPConnection(split.netloc, timeout=timeout)
    try:
        query = urlencode(params, doseq=True)
        client.request("GET", f"{split.path}/course_sessions?{query}", headers=headers or TOKEN)
        response = client.getresponse()
        return response.status, response.read()
    finally:
        client.close()


def asked(upstream: PlainUpstream, **params: Any) -> dict[str, Any]:
    status, body = get(upstream.url, **params)
    answer: dict[str, Any] = json.loads(body)
    assert status == 200, answer
    return answer


def ids(upstream: PlainUpstream, **params: Any) -> list[int]:
    return [row["id"] for row in asked(upstream, **params)["results"]]


@pytest.fixture(autouse=True)
def no_threads_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return timetable()


@pytest.fixture
def studio(rows: list[Row]) -> Iterator[PlainUpstream]:
    with PlainUpstream(rows, default_status=("active", "cancelled")) as upstream:
        yield upstream


# Rows


def test_the_timetable_is_the_same_every_time() -> None:
    assert timetable(60) == timetable(60)


def test_the_timetable_has_every_kind_of_session(rows: list[Row]) -> None:
    kinds = [row["course"]["offering_type"] for row in rows]
    places = [(row["attending_count"], row["max_occupancy"]) for row in rows]
    assert len({row["id"] for row in rows}) == 900
    assert len({row["venue"]["timezone"] for row in rows}) == 4
    assert len({row["venue"]["id"] for row in rows}) == 5
    assert len({person["id"] for row in rows for person in row["instructors"]}) == 12
    assert {kind.get("customer_visibility") for kind in kinds} == {
        "public",
        "membership_holders",
        "private",
        None,
    }
    assert {kind["is_draft"] for kind in kinds} == {True, False}
    assert {row["status"] for row in rows} == {"active", "cancelled"}
    assert {most for _, most in places} >= {0, None}
    assert any(most and attending > most for attending, most in places)
    assert all(datetime.fromisoformat(row["starts_at"]) >= START for row in rows)


def test_an_override_reaches_a_nested_field_and_takes_one_away() -> None:
    row = session_row(1, START, venue__name="Elsewhere", course__name=MISSING)
    assert row["venue"]["name"] == "Elsewhere"
    assert "name" not in row["course"]
    assert row["starts_at"] == "2026-10-05T09:00:00Z"
    assert row["ends_at"] == "2026-10-05T10:00:00Z"


def test_awkward_rows_say_what_becomes_of_them() -> None:
    rows = awkward_rows()
    assert {case.fate for case in rows} == {"kept", "repaired", "dropped"}
    for case in rows:
        assert (case.start is None) == (case.fate == "dropped"), case.why
        assert case.start is None or case.start.utcoffset() == timedelta(0), case.why


def test_awkward_rows_survive_the_wire() -> None:
    rows = awkward_rows()
    with PlainUpstream([case.row for case in rows]) as upstream:
        got = [
            row
            for page in (1, 2, 3)
            for row in asked(
                upstream,
                page=page,
                expand=EXPAND,
                status="active,cancelled",
                starts_at_gte=stamp(START - timedelta(days=1)),
            )["results"]
        ]
        status, body = get(upstream.url, expand=EXPAND)
    assert len(got) == len(rows)
    names = {repr(row.get("name")) for row in got if isinstance(row, dict)}
    assert names >= {repr(case.row.get("name")) for case in rows if isinstance(case.row, dict)}
    assert status == 200
    assert b"\\ud800" in body


# The plain upstream


def test_a_walk_sees_every_row_once_in_order(studio: PlainUpstream) -> None:
    pages = [asked(studio, sort="start", page=page, expand=EXPAND) for page in range(1, 10)]
    rows = [row for page in pages for row in page["results"]]
    starts = [datetime.fromisoformat(row["starts_at"]) for row in rows]
    assert [page["count"] for page in pages] == [900] * 9
    assert len({row["id"] for row in rows}) == 900
    assert starts == sorted(starts)
    assert urlsplit(pages[0]["next"]).path == "/api/v2/course_sessions"
    assert pages[0]["previous"] is None
    assert pages[-1]["next"] is None


def test_without_expand_there_are_ids_and_addresses(studio: PlainUpstream) -> None:
    row = asked(studio)["results"][0]
    assert row["venue"] == 11
    assert row["course"] == 201
    assert row["instructors"].startswith(studio.url)


def test_expand_goes_as_deep_as_it_is_told(studio: PlainUpstream) -> None:
    row = asked(studio, expand="instructors,course.offering_type")["results"][0]
    assert row["venue"] == 11
    assert row["course"]["offering_type"]["category"] == 401
    assert row["instructors"][0]["name"] == "Zoë Adeyemi"
    assert "icalendar_links" not in row["instructors"][0]


def test_deferred_fields_come_only_when_named(studio: PlainUpstream) -> None:
    row = asked(studio, expand="instructors.icalendar_links,venue")["results"][4]
    for secret in CANARIES:
        assert secret in json.dumps(row)


def test_fields_picks_nested_names(studio: PlainUpstream) -> None:
    row = asked(studio, expand=EXPAND, fields="id,venue.name,instructors.id")["results"][0]
    assert row == {"id": 10001, "venue": {"name": "Kings Cross"}, "instructors": [{"id": 101}]}


def test_fields_without_dots_leaves_nested_names_out() -> None:
    with PlainUpstream(timetable(1), fields_dots=False) as upstream:
        row = asked(upstream, expand=EXPAND, fields="id,status,venue.name")["results"][0]
        upstream.honour_fields = False
        whole = asked(upstream, expand=EXPAND, fields="id,status,venue.name")["results"][0]
    assert row == {"id": 10001, "status": "active"}
    assert len(whole) == 13


@pytest.mark.parametrize(
    ("params", "matches"),
    [
        ({"venues": "11,13"}, lambda row: row["venue"]["id"] in (11, 13)),
        ({"venues": ["11", "13"]}, lambda row: row["venue"]["id"] in (11, 13)),
        ({"course": "204"}, lambda row: row["course"]["id"] == 204),
        ({"offering_types": "305"}, lambda row: row["course"]["offering_type"]["id"] == 305),
        ({"instructors": "104"}, lambda row: 104 in [who["id"] for who in row["instructors"]]),
        ({"status": "cancelled"}, lambda row: row["status"] == "cancelled"),
        (
            {"occupancy_status": "full"},
            lambda row: 0 < (row["max_occupancy"] or 0) <= row["attending_count"],
        ),
        ({"starts_at_gte": "2026-12-01T00:00:00Z"}, lambda row: begins(row) >= december()),
        ({"start_lte": "2026-12-01T00:00:00+00:00"}, lambda row: begins(row) <= december()),
        (
            {"local_starts_at_gte": "2026-12-01T00:00:00"},
            lambda row: row["starts_at"] >= "2026-12-01",
        ),
        ({"colour": "blue"}, lambda row: True),
    ],
)
def test_a_filter_leaves_what_matches(studio: PlainUpstream, params: Any, matches: Any) -> None:
    wanted = [row["id"] for row in studio.rows if matches(row)]
    answer = asked(studio, **params)
    assert answer["count"] == len(wanted)
    assert [row["id"] for row in answer["results"]] == wanted[:100]
    assert wanted


def begins(row: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(row["starts_at"])


def december() -> datetime:
    return datetime(2026, 12, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("params", "status", "named"),
    [
        ({"page_size": 101}, 400, "page_size"),
        ({"sort": "starts_at"}, 400, "sort"),
        ({"status": "open"}, 400, "status"),
        ({"expand": "instructor"}, 400, "expand"),
        ({"venues": "kings-cross"}, 400, "venues"),
        ({"instructors": "101,102"}, 400, "instructors"),
        ({"starts_at_gte": "soon"}, 400, "starts_at_gte"),
        ({"page": 10}, 404, None),
        ({"page": 0}, 404, None),
    ],
)
def test_a_bad_question_gets_the_vendors_error(
    studio: PlainUpstream, params: Any, status: int, named: str | None
) -> None:
    code, body = get(studio.url, **params)
    error = json.loads(body)
    assert code == status
    assert set(error) == {"code", "message", "type", "field_errors"}
    assert named is None or named in error["field_errors"]


def test_ids_in_the_other_style_are_not_understood() -> None:
    with PlainUpstream(timetable(10), list_style="repeat") as upstream:
        assert get(upstream.url, venues="11,12")[0] == 400
        assert ids(upstream, venues=["11", "12"]) == [10001, 10002, 10007]
        upstream.list_style = "csv"
        assert ids(upstream, venues=["11", "12"]) == [10002, 10007]


def test_only_the_right_token_scheme_and_provider_get_in() -> None:
    with PlainUpstream(schemes=("Token",), provider_id="77", request_mode="provider") as upstream:
        good = {
            "Authorization": "Token t0ken",
            "TeamUp-Provider-ID": "77",
            "Teamup-Request-Mode": "provider",
        }
        assert get(upstream.url, good)[0] == 200
        for name, value, status, code in (
            ("Authorization", "Bearer t0ken", 401, "authentication_failed"),
            ("Authorization", "Token other", 401, "authentication_failed"),
            ("TeamUp-Provider-ID", "x", 400, "provider_header_invalid"),
            ("TeamUp-Provider-ID", "78", 403, "provider_invalid"),
            ("Teamup-Request-Mode", "customer", 403, "mode_not_allowed"),
        ):
            got, body = get(upstream.url, {**good, name: value})
            assert (got, json.loads(body)["code"]) == (status, code)
        assert upstream.requests[0].headers["teamup-provider-id"] == "77"
        assert get(f"{upstream.url}/", good)[0] == 404


def test_rows_may_change_between_pages() -> None:
    def drop_one(page: int, params: Params) -> None:
        if page == 2:
            with upstream.lock:
                del upstream.rows[0]

    with PlainUpstream(timetable(30), page_cap=10, before_page=drop_one) as upstream:
        counts = [asked(upstream, page=page)["count"] for page in (1, 2, 3)]
        assert counts[0] == counts[1] + 1 == counts[2] + 1
        assert upstream.pages() == [1, 2, 3]


def test_a_hook_answers_in_place_of_a_page_or_alters_it() -> None:
    def hook(page: int, params: Params) -> Response | None:
        if page == 2:
            return Response(429, {"code": "throttled"}, {"Retry-After": "2"})
        altered = upstream.envelope(params)
        altered["next"] = "http://evil.example/"
        return Response(body=altered)

    with PlainUpstream(timetable(3), before_page=hook) as upstream:
        assert asked(upstream)["next"] == "http://evil.example/"
        assert get(upstream.url, page=2)[0] == 429
        with pytest.raises(ApiError):
            upstream.envelope({"page": ["2"]})


def test_what_a_hook_raises_is_not_lost() -> None:
    def hook(page: int, params: Params) -> None:
        raise LookupError("from the hook")

    with (
        pytest.raises(LookupError, match="from the hook"),
        PlainUpstream(before_page=hook) as upstream,
    ):
        assert get(upstream.url)[0] == 500


def test_stopping_waits_for_nobody_and_the_port_can_be_had_again() -> None:
    upstream = PlainUpstream(timetable(1), delay=60)
    upstream.start()
    address = upstream.url
    idle = http.client.HTTPConnection(urlsplit(address).netloc)
    idle.request("GET", "/elsewhere")
    assert idle.getresponse().read()
    left: list[Exception] = []

    def ask() -> None:
        try:
            get(address)
        except http.client.RemoteDisconnected as error:
            left.append(error)

    client = threading.Thread(target=ask)
    client.start()
    wait_for(lambda: len(upstream.requests) == 2)
    began = time.monotonic()
    upstream.stop()
    assert time.monotonic() - began < 1
    client.join(5)
    idle.close()
    assert left
    with pytest.raises(ConnectionRefusedError):
        get(address)
    upstream.delay = 0
    with upstream:
        assert upstream.url == address
        assert asked(upstream)["count"] == 1


def test_it_counts_how_many_ask_at_once() -> None:
    gate = threading.Barrier(3, timeout=5)

    def hook(page: int, params: Params) -> None:
        gate.wait()

    with PlainUpstream(before_page=hook) as upstream:
        clients = [threading.Thread(target=get, args=(upstream.url,)) for _ in range(3)]
        for client in clients:
            client.start()
        for client in clients:
            client.join(5)
        assert upstream.peak == 3


def wait_for(true: Any) -> None:
    deadline = time.monotonic() + 3
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


# The raw upstream


def fetch(script: raw.Script, timeout: float = 5) -> tuple[int, bytes]:
    with raw.RawUpstream(script) as upstream:
        return get(upstream.url, timeout=timeout)


def test_a_status_has_its_headers_and_body() -> None:
    assert fetch(raw.status(429, {"Retry-After": "soon"}, b"{}")) == (429, b"{}")
    assert fetch(raw.ok(raw.page([session_row(1, START)])))[0] == 200
    assert fetch(raw.redirect("http://evil.example/"))[0] == 302


@pytest.mark.parametrize("script", [raw.drip_headers(0.001), raw.drip_body(0.001)])
def test_a_drip_brings_the_whole_in_the_end(script: raw.Script) -> None:
    assert fetch(script) == (200, raw.EMPTY_PAGE)


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (raw.short_content_length(), http.client.IncompleteRead),
        (raw.short_chunked(), http.client.IncompleteRead),
        (raw.short_chunked(within_chunk=False), http.client.IncompleteRead),
        (raw.reset_in_body(), ConnectionResetError),
    ],
)
def test_a_body_cut_short_is_seen_by_a_careful_client(
    script: raw.Script, error: type[Exception]
) -> None:
    with pytest.raises(error):
        fetch(script)


def test_a_plain_close_leaves_half_a_text() -> None:
    status, body = fetch(raw.plain_close_midway())
    assert status == 200
    assert raw.EMPTY_PAGE.startswith(body)
    assert len(body) < len(raw.EMPTY_PAGE)


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (raw.html_ok(), json.JSONDecodeError),
        (raw.invalid_utf8(), UnicodeDecodeError),
        (raw.deep_nesting(), RecursionError),
        (raw.long_number(), ValueError),
    ],
)
def test_a_body_that_cannot_be_read(script: raw.Script, error: type[Exception]) -> None:
    status, body = fetch(script)
    assert status == 200
    with pytest.raises(error):
        json.loads(body)


def test_nan_is_read_by_pythons_parser_alone() -> None:
    refused: list[str] = []
    json.loads(fetch(raw.nan())[1], parse_constant=refused.append)
    assert refused == ["NaN"]


@pytest.mark.parametrize("declared", [True, False])
def test_an_oversize_body_is_as_large_as_it_says(declared: bool) -> None:
    body = fetch(raw.oversize(1_000_000, declared=declared))[1]
    assert len(body) == 1_000_000 + len(raw.EMPTY_PAGE)
    assert json.loads(body)["count"] == 0


def test_a_client_may_leave_an_oversize_body() -> None:
    with raw.RawUpstream(raw.oversize(10**12)) as upstream:
        split = urlsplit(upstream.url)
        client = http.client.HTTPConnection(split.netloc, timeout=5)
        client.request("GET", "/")
        response = client.getresponse()
        assert response.read(100) == b" " * 100
        response.close()
        client.close()


def test_a_gzip_bomb_is_small_until_it_is_opened() -> None:
    body = fetch(raw.gzip_bomb(8))[1]
    assert len(body) < 40_000
    assert len(gzip.decompress(body)) == 8 * 1_048_576 + len(raw.EMPTY_PAGE)


@pytest.mark.parametrize("script", [raw.silence(), raw.drip_body(60), raw.oversize(10**12)])
def test_stopping_cuts_whatever_a_script_is_at(script: raw.Script) -> None:
    with raw.RawUpstream(script) as upstream:
        split = urlsplit(upstream.url)
        client = http.client.HTTPConnection(split.netloc, timeout=5)
        client.request("GET", "/")
        wait_for(lambda: upstream.requests)
        began = time.monotonic()
    assert time.monotonic() - began < 1
    client.close()


def test_silence_ends_by_the_clients_deadline() -> None:
    with pytest.raises(TimeoutError):
        fetch(raw.silence(), timeout=0.05)


def test_a_switch_goes_by_page_and_can_be_turned() -> None:
    scripts = raw.switch({2: raw.status(500), None: raw.ok()})
    with raw.RawUpstream(scripts) as upstream:
        assert [get(upstream.url, page=page)[0] for page in (1, 2, 3)] == [200, 500, 200]
        scripts[2] = raw.ok()
        scripts[None] = raw.status(503)
        assert [get(upstream.url, page=page)[0] for page in (1, 2)] == [503, 200]
        upstream.script = raw.status(404)
        assert get(upstream.url)[0] == 404
        assert [raw.page_of(request) for request in upstream.requests] == [1, 2, 3, 1, 2, 1]


def test_scripts_in_turn_end_with_the_last() -> None:
    with raw.RawUpstream(raw.in_turn(raw.status(500), raw.ok())) as upstream:
        assert [get(upstream.url)[0] for _ in range(3)] == [500, 200, 200]


def test_what_a_script_raises_is_not_lost() -> None:
    def script(connection: Any, request: bytes, n: int) -> None:
        raise LookupError("from the script")

    with (
        pytest.raises(LookupError, match="from the script"),
        raw.RawUpstream(script) as upstream,
        pytest.raises(http.client.RemoteDisconnected),
    ):
        get(upstream.url)


def test_connecting_to_an_unanswered_port_times_out() -> None:
    with raw.unanswered() as url, pytest.raises(TimeoutError):
        get(url, timeout=0.1)
