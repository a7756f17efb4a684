"""From rows to class sessions: what is kept, what is repaired, what it costs."""

import copy
import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pace import at_once
from upstreams.rows import (
    API,
    CANARIES,
    MISSING,
    START,
    Awkward,
    awkward_rows,
    course_row,
    instructor_row,
    session_row,
    timetable,
    venue_row,
)

from bridge.model import ClassSession, Visibility
from bridge.upstream.parser import Parsed, lacking, parse, together
from bridge.upstream.sources import COURSE_SESSIONS

ORIGIN = "https://studio.example"
SECRET = {"join_url", "staff_url"}
AWKWARD = awkward_rows()


def read(*rows: Any) -> Parsed:
    return parse(rows, COURSE_SESSIONS, ORIGIN)


def only(row: Any) -> ClassSession:
    (session,) = read(row).sessions
    return session


def texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every string in a value, with the attributes that lead to it."""
    if isinstance(value, str):
        yield path, value
    elif is_dataclass(value):
        for field in fields(value):
            yield from texts(getattr(value, field.name), f"{path}.{field.name}")
    elif isinstance(value, tuple):
        for one in value:
            yield from texts(one, path)


awkward = pytest.mark.parametrize(
    "case", AWKWARD, ids=[f"{n}-{ascii(case.why)[1:60]}" for n, case in enumerate(AWKWARD)]
)


@awkward
def test_an_awkward_row_has_the_fate_title_start_and_link_that_it_should(case: Awkward) -> None:
    parsed = read(case.row)
    dropped = [reason for reason in parsed.tally if reason.startswith("dropped")]
    if case.fate == "dropped":
        assert parsed.sessions == ()
        assert [parsed.tally[reason] for reason in dropped] == [1]
        return
    (session,) = parsed.sessions
    assert not dropped
    assert (session.end is None) == (case.fate == "repaired")
    assert any("repaired" in reason for reason in parsed.tally) == (case.fate == "repaired")
    assert session.start == case.start
    assert case.title in (None, session.title)
    if case.link is not None:
        path = case.link.startswith("/")
        assert session.booking_url == ((ORIGIN + case.link if path else case.link) or None)


@awkward
def test_an_awkward_row_leaves_nothing_that_could_break_a_line_or_a_page(case: Awkward) -> None:
    for session in read(case.row).sessions:
        assert session.title.strip()
        for path, text in texts(session):
            text.encode()
            assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\x85\u2028\u2029]", text)
            assert path.endswith(".description") or "\n" not in text
            assert len(text) <= 8_000
        link = session.booking_url or ""
        assert re.fullmatch(r"(https?://(studio|a)\.example/[!-~]*)?", link)
        assert session.attending >= 0
        assert session.capacity is None or session.capacity > 0


@pytest.mark.parametrize("row", [case.row for case in AWKWARD] + timetable(40))
def test_what_is_for_staff_is_in_no_attribute_but_the_two_links_and_in_no_repr(row: Any) -> None:
    for session in read(row).sessions:
        for path, text in texts(session):
            told = [secret for secret in CANARIES if secret in text]
            assert not told or path.rsplit(".")[-1] in SECRET
            assert "canary-calendar-secret" not in text
        assert not [secret for secret in CANARIES if secret in repr(session)]


def test_the_links_for_the_few_are_kept_for_them() -> None:
    session = only(session_row(1, START, venue=venue_row(4)))
    assert session.venue is not None
    assert "canary-join-link" in str(session.venue.join_url)
    assert "canary-staff-link" in str(session.staff_url)


def test_one_bad_record_costs_one_record_and_is_counted() -> None:
    rows = timetable(6)
    rows[2]["starts_at"] = "soon"
    rows[4]["id"] = None
    parsed = read(*rows[:5], None, rows[5])
    assert [session.id for session in parsed.sessions] == [10001, 10002, 10004, 10006]
    assert sum(n for reason, n in parsed.tally.items() if reason.startswith("dropped")) == 3
    assert parsed.unusable == {10003}


def test_all_awkward_rows_at_once_lose_only_those_that_must_be_dropped() -> None:
    parsed = read(*(case.row for case in AWKWARD))
    assert len(parsed.sessions) == sum(case.fate != "dropped" for case in AWKWARD)
    counted = sum(n for reason, n in parsed.tally.items() if reason.startswith("dropped"))
    assert counted == sum(case.fate == "dropped" for case in AWKWARD)


def test_the_same_id_twice_is_one_session() -> None:
    rows = [session_row(1, START), session_row(1, START, name="Later")]
    assert only(rows[0]).id == 1
    assert len(read(*rows).sessions) == 1


def test_an_id_is_not_unusable_while_another_row_of_it_can_be_used() -> None:
    bad = session_row(1, START, starts_at=None)
    assert read(bad, session_row(1, START)).unusable == frozenset()


def test_an_unknown_status_is_kept_as_active_and_counted() -> None:
    parsed = read(session_row(1, START, status="postponed"))
    assert parsed.sessions[0].status.value == "active"
    assert sum(parsed.tally.values()) == 1


@pytest.mark.parametrize("most", [None, 0])
def test_no_maximum_means_unlimited(most: int | None) -> None:
    session = only(session_row(1, START, max_occupancy=most, attending_count=50))
    assert session.places_left is None
    assert not session.full


def test_more_people_than_places_leave_none_and_not_fewer() -> None:
    session = only(session_row(1, START, max_occupancy=3, attending_count=5))
    assert session.places_left == 0


@pytest.mark.parametrize("told", ["PUBLIC", "everybody", 1, None, [], MISSING])
def test_a_visibility_that_is_not_known_is_nobodys(told: Any) -> None:
    session = only(session_row(1, START, course__offering_type__customer_visibility=told))
    assert session.offering_type is not None
    assert session.offering_type.visibility is None


@pytest.mark.parametrize("told", list(Visibility))
def test_a_visibility_that_is_known_is_kept(told: Visibility) -> None:
    row = session_row(1, START, course__offering_type__customer_visibility=told.value)
    kind = only(row).offering_type
    assert kind is not None
    assert kind.visibility is told


# Every field that can be expanded, in every form

FORMS = ("integer", "url", "object", "list", "null", "missing")


def formed(name: str, whole: Any, form: str) -> Any:
    one = whole[0] if isinstance(whole, list) else whole
    return {
        "integer": one["id"],
        "url": f"{API}/{name}/{one['id']}",
        "object": one,
        "list": [one],
        "null": None,
        "missing": MISSING,
    }[form]


@pytest.mark.parametrize("form", FORMS)
def test_a_venue_in_any_form(form: str) -> None:
    session = only(session_row(1, START, venue=formed("venues", venue_row(), form)))
    if form in ("integer", "url", "object"):
        assert session.venue is not None
        assert session.venue.id == 11
    if form == "object":
        assert session.venue is not None
        assert (session.venue.name, session.venue.zone) == ("Kings Cross", "Europe/London")
    assert session.complete == (form in ("object", "null"))


@pytest.mark.parametrize("form", FORMS)
def test_instructors_in_any_form(form: str) -> None:
    people = formed("instructors", [instructor_row()], form)
    session = only(session_row(1, START, instructors=people))
    if form in ("object", "list"):
        assert [(one.id, one.name) for one in session.instructors] == [(101, "Zoë Adeyemi")]
    assert session.complete == (form in ("object", "list", "null"))


def test_instructors_behind_the_address_of_a_collection_are_not_known() -> None:
    address = f"{API}/instructors?course_session=1"
    session = only(session_row(1, START, instructors=address))
    assert session.instructors == ()
    assert not session.complete


def test_instructors_as_a_list_of_ids_have_no_names() -> None:
    session = only(session_row(1, START, instructors=[101, 102]))
    assert [one.id for one in session.instructors] == [101, 102]
    assert not session.complete


@pytest.mark.parametrize("form", FORMS)
def test_a_course_in_any_form(form: str) -> None:
    session = only(session_row(1, START, course=formed("courses", course_row(), form)))
    if form in ("integer", "url", "object"):
        assert session.course is not None
        assert session.course.id == 201
    assert session.complete == (form == "object")
    assert (session.offering_type is not None) == (form == "object")


@pytest.mark.parametrize("form", FORMS)
def test_an_offering_type_in_any_form(form: str) -> None:
    kind = formed("offering_types", course_row()["offering_type"], form)
    session = only(session_row(1, START, course__offering_type=kind))
    if form in ("integer", "url", "object"):
        assert session.offering_type is not None
        assert session.offering_type.id == 301
    if form == "object":
        assert session.offering_type is not None
        assert session.offering_type.visibility is Visibility.PUBLIC
    elif session.offering_type is not None:
        assert session.offering_type.visibility is None
    assert session.complete == (form == "object")


@pytest.mark.parametrize("form", FORMS)
def test_a_category_in_any_form(form: str) -> None:
    whole = course_row()["offering_type"]["category"]
    row = session_row(1, START, course__offering_type__category=formed("categories", whole, form))
    kind = only(row).offering_type
    assert kind is not None
    assert kind.category == ("Mind & body" if form == "object" else "")


# Whatever stands anywhere

NASTY: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 2**70, 1.5, 1e308, float("inf"), "", " ", "x", "\x00", "\ud800"),
    *("9" * 50, "٣", "1", [], {}, [[]], [{}], [None], {"id": {}}, {"id": []}, {"name": {}}),
    *("http://[", "https://x:99999/", "https://\ud800/", "/\ud800", "https://xn--\u0130/"),
    *("<![foo[bar]]><b>", "2026-02-30T00:00:00Z", "2999-12-31T23:59:59-23:59"),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every way into a nested value."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, part in items:
        yield (*path, key)
        yield from places(part, (*path, key))


@pytest.mark.parametrize("path", list(places(session_row(1, START))), ids=str)
def test_nothing_in_any_place_of_a_row_costs_more_than_that_row(path: tuple[Any, ...]) -> None:
    for nasty in NASTY:
        row = copy.deepcopy(session_row(1, START))
        place = row
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = nasty
        parsed = read(row, session_row(2, START))
        assert 2 in [session.id for session in parsed.sessions]
        dropped = sum(n for reason, n in parsed.tally.items() if reason.startswith("dropped"))
        assert len(parsed.sessions) + dropped == 2
        for session in parsed.sessions:
            json.dumps([text for _, text in texts(session)]).encode()


@pytest.mark.parametrize(
    "markup",
    [
        "<b>x</b><![foo[bar]]>",
        "<p><![ [x",
        "<p><![CDATA[ x",
        "<!DOCTYPE x [<!ELEMENT",
        "<p>&#xD800;&#99999999999;",
        "<!--[if gte mso 9]><xml></xml><![endif]--><p>x",
    ],
)
def test_markup_that_no_parser_likes_costs_nothing(markup: str) -> None:
    session = only(session_row(1, START, course__offering_type__description=markup))
    assert session.offering_type is not None


@pytest.mark.parametrize(
    "piece", ["<a ", "</a ", "<a a=", "<!--", "<![", "<!", "<?", "<script>", "&", "<", "\n ", "&#1"]
)
def test_a_hundred_kilobytes_of_hostile_description_are_read_at_once(piece: str) -> None:
    hostile = "<p>" + piece * (100_000 // len(piece))
    row = session_row(1, START, course__offering_type__description=hostile)
    at_once(lambda: read(row))


# What an answer to `fields` may lack

NEEDED = (
    *("id", "starts_at", "ends_at", "status", "attending_count", "max_occupancy"),
    *("venue", "instructors", "course", "course__offering_type"),
    "course__offering_type__customer_visibility",
)


def test_whole_rows_lack_nothing_and_no_rows_lack_nothing() -> None:
    assert not lacking(timetable(30), COURSE_SESSIONS)
    assert not lacking([], COURSE_SESSIONS)
    assert not lacking([None, 5, "row"], COURSE_SESSIONS)


@pytest.mark.parametrize("name", NEEDED)
def test_something_that_every_row_lacks_is_noticed(name: str) -> None:
    rows = [session_row(n, START, **{name: MISSING}) for n in range(3)]
    assert lacking(rows, COURSE_SESSIONS)


@pytest.mark.parametrize("name", NEEDED)
def test_something_that_one_row_lacks_is_that_rows_own_matter(name: str) -> None:
    rows = [session_row(1, START), session_row(2, START, **{name: MISSING})]
    assert not lacking(rows, COURSE_SESSIONS)


@pytest.mark.parametrize(
    ("name", "bare"),
    [
        ("venue", {}),
        ("venue", 11),
        ("instructors", [{}]),
        ("instructors", f"{API}/instructors?a=1"),
    ],
)
def test_an_expansion_that_came_bare_in_every_row_is_noticed(name: str, bare: Any) -> None:
    rows = [session_row(n, START, **{name: bare}) for n in range(3)]
    assert lacking(rows, COURSE_SESSIONS)


def test_a_null_where_a_value_may_be_null_is_not_lacking() -> None:
    rows = [session_row(1, START, name=None, max_occupancy=None, instructors=[], venue=None)]
    assert not lacking(rows, COURSE_SESSIONS)


_ROWS: list[Any] = [
    *timetable(6),
    *(case.row for case in AWKWARD),
    # an id again: in another form, and in one that cannot be used, before and after
    *(session_row(timetable(1)[0]["id"], START, name=name) for name in ("once", "twice")),
    session_row(timetable(1)[0]["id"], "never"),
    session_row(9_001, "never"),
    session_row(9_001, START),
    session_row(9_002, "never"),
]


@given(st.permutations(_ROWS), st.lists(st.integers(0, len(_ROWS)), max_size=5))
def test_pages_come_to_what_all_their_rows_at_once_come_to(
    rows: list[Any], cuts: list[int]
) -> None:
    edges = [0, *sorted(cuts), len(rows)]
    pages = [read(*rows[first:last]) for first, last in itertools.pairwise(edges)]
    assert together(pages) == read(*rows)
