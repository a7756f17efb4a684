"""Parsing of rows: which sessions are kept, repaired or dropped."""

import copy
import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import timedelta
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
from bridge.upstream.missing_ends import with_usual_ends
from bridge.upstream.parser import (
    Parsed,
    combine,
    missing_fields,
    parse,
)
from bridge.upstream.sources import COURSE_SESSIONS

ORIGIN = "https://studio.example"
PRIVATE_LINKS = {"join_url", "staff_url"}
AWKWARD = awkward_rows()


def parse_rows(*rows: Any) -> Parsed:
    return parse(rows, COURSE_SESSIONS, ORIGIN)


def parse_row(row: Any) -> ClassSession:
    (session,) = parse_rows(row).sessions
    return session


def texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """All strings in a value, with their attribute paths."""
    if isinstance(value, str):
        yield path, value
    elif is_dataclass(value):
        for field in fields(value):
            yield from texts(getattr(value, field.name), f"{path}.{field.name}")
    elif isinstance(value, tuple):
        for item in value:
            yield from texts(item, path)


awkward = pytest.mark.parametrize(
    "case", AWKWARD, ids=[f"{n}-{ascii(case.description)[1:60]}" for n, case in enumerate(AWKWARD)]
)


@awkward
def test_an_awkward_row_is_parsed_as_expected(case: Awkward) -> None:
    parsed = parse_rows(case.row)
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
def test_sessions_of_awkward_rows_contain_nothing_unsafe(case: Awkward) -> None:
    for session in parse_rows(case.row).sessions:
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
def test_staff_data_is_only_in_the_two_private_links(row: Any) -> None:
    for session in parse_rows(row).sessions:
        for path, text in texts(session):
            secrets = [secret for secret in CANARIES if secret in text]
            assert not secrets or path.rsplit(".")[-1] in PRIVATE_LINKS
            assert "canary-calendar-secret" not in text
        assert not [secret for secret in CANARIES if secret in repr(session)]


def test_the_join_link_and_the_staff_link_are_kept() -> None:
    session = parse_row(session_row(1, START, venue=venue_row(4)))
    assert session.venue is not None
    assert "canary-join-link" in str(session.venue.join_url)
    assert "canary-staff-link" in str(session.staff_url)


def test_only_the_bad_rows_are_dropped_and_they_are_counted() -> None:
    rows = timetable(6)
    rows[2]["starts_at"] = "soon"
    rows[4]["id"] = None
    parsed = parse_rows(*rows[:5], None, rows[5])
    assert [session.id for session in parsed.sessions] == [10001, 10002, 10004, 10006]
    assert sum(n for reason, n in parsed.tally.items() if reason.startswith("dropped")) == 3
    assert parsed.unusable == {10003}


def test_among_all_awkward_rows_only_the_expected_ones_are_dropped() -> None:
    parsed = parse_rows(*(case.row for case in AWKWARD))
    assert len(parsed.sessions) == sum(case.fate != "dropped" for case in AWKWARD)
    counted = sum(n for reason, n in parsed.tally.items() if reason.startswith("dropped"))
    assert counted == sum(case.fate == "dropped" for case in AWKWARD)


def test_two_rows_with_the_same_id_are_one_session() -> None:
    rows = [session_row(1, START), session_row(1, START, name="Later")]
    assert parse_row(rows[0]).id == 1
    assert len(parse_rows(*rows).sessions) == 1


def test_an_id_is_usable_if_one_of_its_rows_is() -> None:
    bad = session_row(1, START, starts_at=None)
    assert parse_rows(bad, session_row(1, START)).unusable == frozenset()


def test_an_unknown_status_is_kept_as_active_and_counted() -> None:
    parsed = parse_rows(session_row(1, START, status="postponed"))
    assert parsed.sessions[0].status.value == "active"
    assert sum(parsed.tally.values()) == 1


@pytest.mark.parametrize("most", [None, 0])
def test_no_maximum_means_unlimited(most: int | None) -> None:
    session = parse_row(session_row(1, START, max_occupancy=most, attending_count=50))
    assert session.places_left is None
    assert not session.full


def test_an_overbooked_session_has_zero_places_left() -> None:
    session = parse_row(session_row(1, START, max_occupancy=3, attending_count=5))
    assert session.places_left == 0


@pytest.mark.parametrize("visibility", ["PUBLIC", "everybody", 1, None, [], MISSING])
def test_a_session_of_unknown_visibility_is_hidden(visibility: Any) -> None:
    session = parse_row(
        session_row(1, START, course__offering_type__customer_visibility=visibility)
    )
    assert session.offering_type is not None
    assert session.offering_type.visibility is None


@pytest.mark.parametrize("visibility", list(Visibility))
def test_a_known_visibility_is_kept(visibility: Visibility) -> None:
    row = session_row(1, START, course__offering_type__customer_visibility=visibility.value)
    offering_type = parse_row(row).offering_type
    assert offering_type is not None
    assert offering_type.visibility is visibility


# Every field that can be expanded, in every form

FORMS = ("integer", "url", "object", "list", "null", "missing")


def in_form(name: str, whole: Any, form: str) -> Any:
    """The record *whole*, in one of :data:`FORMS`."""
    record = whole[0] if isinstance(whole, list) else whole
    return {
        "integer": record["id"],
        "url": f"{API}/{name}/{record['id']}",
        "object": record,
        "list": [record],
        "null": None,
        "missing": MISSING,
    }[form]


@pytest.mark.parametrize("form", FORMS)
def test_a_venue_in_any_form(form: str) -> None:
    session = parse_row(session_row(1, START, venue=in_form("venues", venue_row(), form)))
    if form in ("integer", "url", "object"):
        assert session.venue is not None
        assert session.venue.id == 11
    if form == "object":
        assert session.venue is not None
        assert (session.venue.name, session.venue.zone) == ("Kings Cross", "Europe/London")
    assert session.complete == (form in ("object", "null"))


@pytest.mark.parametrize("form", FORMS)
def test_instructors_in_any_form(form: str) -> None:
    instructors = in_form("instructors", [instructor_row()], form)
    session = parse_row(session_row(1, START, instructors=instructors))
    if form in ("object", "list"):
        assert [(person.id, person.name) for person in session.instructors] == [
            (101, "Zoë Adeyemi")
        ]
    assert session.complete == (form in ("object", "list", "null"))


def test_instructors_given_as_the_address_of_a_collection_are_unknown() -> None:
    address = f"{API}/instructors?course_session=1"
    session = parse_row(session_row(1, START, instructors=address))
    assert session.instructors == ()
    assert not session.complete


def test_instructors_as_a_list_of_ids_have_no_names() -> None:
    session = parse_row(session_row(1, START, instructors=[101, 102]))
    assert [person.id for person in session.instructors] == [101, 102]
    assert not session.complete


@pytest.mark.parametrize("form", FORMS)
def test_a_course_in_any_form(form: str) -> None:
    session = parse_row(session_row(1, START, course=in_form("courses", course_row(), form)))
    if form in ("integer", "url", "object"):
        assert session.course is not None
        assert session.course.id == 201
    assert session.complete == (form == "object")
    assert (session.offering_type is not None) == (form == "object")


@pytest.mark.parametrize("form", FORMS)
def test_an_offering_type_in_any_form(form: str) -> None:
    offering_type = in_form("offering_types", course_row()["offering_type"], form)
    session = parse_row(session_row(1, START, course__offering_type=offering_type))
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
    row = session_row(1, START, course__offering_type__category=in_form("categories", whole, form))
    offering_type = parse_row(row).offering_type
    assert offering_type is not None
    assert offering_type.category == ("Mind & body" if form == "object" else "")


# Bad values anywhere

NASTY: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 2**70, 1.5, 1e308, float("inf"), "", " ", "x", "\x00", "\ud800"),
    *("9" * 50, "٣", "1", [], {}, [[]], [{}], [None], {"id": {}}, {"id": []}, {"name": {}}),
    *("http://[", "https://x:99999/", "https://\ud800/", "/\ud800", "https://xn--\u0130/"),
    *("<![foo[bar]]><b>", "2026-02-30T00:00:00Z", "2999-12-31T23:59:59-23:59"),
)


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all parts of a nested value."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, part in items:
        yield (*path, key)
        yield from paths(part, (*path, key))


@pytest.mark.parametrize("path", list(paths(session_row(1, START))), ids=str)
def test_a_bad_value_anywhere_in_a_row_affects_only_that_row(path: tuple[Any, ...]) -> None:
    for nasty in NASTY:
        row = copy.deepcopy(session_row(1, START))
        parent = row
        for key in path[:-1]:
            parent = parent[key]
        parent[path[-1]] = nasty
        parsed = parse_rows(row, session_row(2, START))
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
def test_invalid_markup_in_a_description_is_harmless(markup: str) -> None:
    session = parse_row(session_row(1, START, course__offering_type__description=markup))
    assert session.offering_type is not None


@pytest.mark.parametrize(
    "piece", ["<a ", "</a ", "<a a=", "<!--", "<![", "<!", "<?", "<script>", "&", "<", "\n ", "&#1"]
)
def test_100_kb_of_hostile_description_are_parsed_in_under_50_ms(piece: str) -> None:
    hostile = "<p>" + piece * (100_000 // len(piece))
    row = session_row(1, START, course__offering_type__description=hostile)
    at_once(lambda: parse_rows(row))


# Required fields

REQUIRED = (
    *("id", "starts_at", "ends_at", "status", "attending_count", "max_occupancy"),
    *("venue", "instructors", "course", "course__offering_type"),
    "course__offering_type__customer_visibility",
)


def test_complete_rows_and_empty_lists_lack_no_fields() -> None:
    assert not missing_fields(timetable(30), COURSE_SESSIONS)
    assert not missing_fields([], COURSE_SESSIONS)
    assert not missing_fields([None, 5, "row"], COURSE_SESSIONS)


@pytest.mark.parametrize("name", REQUIRED)
def test_a_field_that_every_row_lacks_is_detected(name: str) -> None:
    rows = [session_row(n, START, **{name: MISSING}) for n in range(3)]
    assert missing_fields(rows, COURSE_SESSIONS)


@pytest.mark.parametrize("name", REQUIRED)
def test_a_field_that_only_one_row_lacks_is_ignored(name: str) -> None:
    rows = [session_row(1, START), session_row(2, START, **{name: MISSING})]
    assert not missing_fields(rows, COURSE_SESSIONS)


@pytest.mark.parametrize(
    ("name", "unexpanded"),
    [
        ("venue", {}),
        ("venue", 11),
        ("instructors", [{}]),
        ("instructors", f"{API}/instructors?a=1"),
    ],
)
def test_an_expansion_that_is_missing_in_every_row_is_detected(name: str, unexpanded: Any) -> None:
    rows = [session_row(n, START, **{name: unexpanded}) for n in range(3)]
    assert missing_fields(rows, COURSE_SESSIONS)


def test_a_null_in_a_nullable_field_does_not_count_as_missing() -> None:
    rows = [session_row(1, START, name=None, max_occupancy=None, instructors=[], venue=None)]
    assert not missing_fields(rows, COURSE_SESSIONS)


_ROWS: list[Any] = [
    *timetable(6),
    *(case.row for case in AWKWARD),
    # repeated ids: with other data, and in usable and unusable rows in both orders
    *(session_row(timetable(1)[0]["id"], START, name=name) for name in ("once", "twice")),
    session_row(timetable(1)[0]["id"], "never"),
    session_row(9_001, "never"),
    session_row(9_001, START),
    session_row(9_002, "never"),
]


@given(st.permutations(_ROWS), st.lists(st.integers(0, len(_ROWS)), max_size=5))
def test_combining_pages_equals_parsing_all_rows_at_once(rows: list[Any], cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(rows)]
    pages = [parse_rows(*rows[first:last]) for first, last in itertools.pairwise(edges)]
    assert combine(pages) == parse_rows(*rows)


# Repairs


def test_character_references_in_names_are_resolved() -> None:
    row = session_row(
        1,
        START,
        name="Rest &amp; Restore",
        venue=venue_row(name="Caf&eacute; &#39;n&#39; Gym"),
        instructors=[instructor_row(name="Zo&euml;")],
    )
    session = parse_row(row)
    assert session.title == "Rest & Restore"
    assert session.venue is not None
    assert session.venue.name == "Café 'n' Gym"
    assert session.instructors[0].name == "Zoë"


def test_a_name_that_nobody_can_see_is_no_name() -> None:
    session = parse_row(session_row(1, START, name="\u200b \u2060"))
    assert session.title == session.course.name


@pytest.mark.parametrize("name", ["\ue000", "\U00018cd6", "\u0301", "."])
def test_private_and_newer_characters_are_a_name(name: str) -> None:
    assert parse_row(session_row(1, START, name=name)).title == name


@pytest.mark.parametrize(
    ("lat", "lng", "position"),
    [
        ("51.5308", "-0.1238", (51.5308, -0.1238)),
        (" 51 ", "+0.5", (51.0, 0.5)),
        ("51.5.3", "0.5", (None, None)),
        ("91", "0.5", (None, None)),
        ("nan", "inf", (None, None)),
    ],
)
def test_coordinates_may_be_strings(lat: str, lng: str, position: Any) -> None:
    venue = parse_row(
        session_row(1, START, venue=venue_row(lat=lat, lng=lng, physical_address=None))
    ).venue
    assert venue is not None
    assert (venue.latitude, venue.longitude) == position


class TestUsualEnds:
    def sessions(self, *rows: Any) -> list[ClassSession]:
        return list(with_usual_ends(parse_rows(*rows).sessions))

    def row(self, number: int, minutes: int | None, **fields: Any) -> Any:
        end = None if minutes is None else START + timedelta(minutes=minutes)
        return session_row(number, START, ends_at=end and end.isoformat(), **fields)

    def lengths(self, *rows: Any) -> list[int]:
        return [(one.ends - one.start) // timedelta(minutes=1) for one in self.sessions(*rows)]

    def test_without_any_other_session_it_is_an_hour(self) -> None:
        assert self.lengths(self.row(1, None)) == [60]
        assert self.lengths(self.row(1, -5)) == [60]

    def test_it_is_the_most_frequent_length_of_the_course(self) -> None:
        rows = [self.row(n, minutes) for n, minutes in enumerate((45, 75, 75, None), start=1)]
        assert self.lengths(*rows)[-1] == 75

    def test_of_equally_frequent_lengths_it_is_the_shortest_in_any_order(self) -> None:
        rows = [self.row(n, minutes) for n, minutes in enumerate((75, 45, None), start=1)]
        assert self.lengths(*rows)[-1] == 45
        assert self.lengths(*reversed(rows))[0] == 45

    def test_without_one_of_the_course_it_is_that_of_the_type(self) -> None:
        one, other = course_row(id=201), course_row(id=202)
        rows = [self.row(1, 90, course=one), self.row(2, None, course=other)]
        assert self.lengths(*rows) == [90, 90]

    def test_it_is_counted_as_repaired(self) -> None:
        assert parse_rows(self.row(1, None)).tally == {"repaired: no end after its start": 1}


def nested_lists(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("depth", [700, 5_000])
@pytest.mark.parametrize("field", ["course", "venue", "instructors", "venue_room"])
def test_deeply_nested_values_do_not_affect_other_rows(field: str, depth: int) -> None:
    good, bad = session_row(1, START), session_row(2, START)
    bad[field] = {"id": 3, "name": "Nested", "x": nested_lists(depth)}
    assert [session.id for session in parse_rows(good, bad).sessions] == [1, 2]
