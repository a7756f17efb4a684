"""Filter sets: parsing, canonical keys, and which sessions match."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bridge.errors import ParameterError
from bridge.filter_params import PARAMETERS, filters_of_key, parse_filters
from bridge.filters import FilterSet, Occupancy
from bridge.model import (
    ClassSession,
    Course,
    Instructor,
    OfferingType,
    Status,
    Venue,
)

bounded = settings(derandomize=True)
DAY = date(2026, 11, 23)
MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC)


def parse(
    default: tuple[int | None, int | None] = (30, 90), /, **values: str | list[str]
) -> FilterSet:
    """The filter set of a query; a list stands for a repeated parameter."""
    query = {name: [value] if isinstance(value, str) else value for name, value in values.items()}
    return parse_filters(query, past=default[0], future=default[1])


def key(**values: str | list[str]) -> str:
    return parse(**values).key


def error_of(**values: str | list[str]) -> ParameterError:
    with pytest.raises(ParameterError) as caught:
        parse(**values)
    return caught.value


def session(
    start: str = "2026-11-23T18:00", minutes: int | None = 60, **parts: Any
) -> ClassSession:
    begins = datetime.fromisoformat(start).replace(tzinfo=UTC)
    ends = None if minutes is None else begins + timedelta(minutes=minutes)
    return ClassSession("course_session", parts.pop("id", 1), "Yoga", begins, ends, **parts)


# The key


@pytest.mark.parametrize(
    "spelling",
    [
        {"venues": "2,1"},
        {"venues": ["2", "1"]},
        {"venues": ["1,2", "2"]},
        {"venues": "1,1,2,2,1"},
        {"venues": " 1 , 2 "},
        {"venues": "01,002"},
        {"venues": "1,2", "past": "30"},
        {"venues": "1,2", "past": "030", "future": "90"},
        {"venues": "1,2", "status": "active,cancelled"},
        {"venues": "1,2", "status": ["cancelled", "active"]},
    ],
    ids=str,
)
def test_equivalent_queries_have_the_same_key(spelling: dict[str, str | list[str]]) -> None:
    assert parse(**spelling) == parse(venues="1,2")
    assert hash(parse(**spelling)) == hash(parse(venues="1,2"))
    assert key(**spelling) == key(venues="1,2")


@pytest.mark.parametrize("name", ["course", "venues", "instructors", "offering_types"])
def test_ids_are_sorted_as_numbers_without_duplicates(name: str) -> None:
    assert getattr(parse(**{name: "10,9,10,1"}), name) == (1, 9, 10)


def test_the_order_of_parameters_does_not_change_the_key() -> None:
    values = {"venues": "1", "course": "2", "instructors": "3", "status": "active", "past": "7"}
    backwards = dict(reversed(values.items()))
    assert key(**values) == key(**backwards)


@pytest.mark.parametrize(
    "spelling",
    [
        "2026-10-20T00:00:00Z",
        "2026-10-20T00:00:00",
        "2026-10-20T00:00",
        "2026-10-20t00:00:00z",
        "2026-10-20 00:00:00Z",
        "2026-10-20T01:00:00+01:00",
        "2026-10-20T01:00:00 01:00",
        "2026-10-19T19:00:00-05:00",
        "2026-10-19T23:59:59.5Z",
    ],
)
@pytest.mark.parametrize("name", ["starts_at_gte", "start_gte"])
def test_equivalent_times_have_the_same_key(name: str, spelling: str) -> None:
    assert key(**{name: spelling}) == key(starts_at_gte="2026-10-20")


def test_a_date_as_an_upper_bound_means_its_last_second() -> None:
    for name in ("starts_at_lte", "start_lte"):
        assert key(**{name: "2026-10-20"}) == key(starts_at_lte="2026-10-20T23:59:59.999Z")
    assert key(ends_at_lte="2026-10-20") == key(ends_at_lte="2026-10-20T23:59:59Z")
    assert key(ends_at_gte="2026-10-20") == key(ends_at_gte="2026-10-20T00:00:00Z")


def test_a_naive_local_bound_differs_from_the_same_bound_in_utc() -> None:
    local = "2026-10-20T18:00:00"
    assert key(local_starts_at_gte=local) != key(local_starts_at_gte=f"{local}Z")
    assert key(local_starts_at_gte=local) != key(starts_at_gte=local)


@pytest.mark.parametrize(
    ("query", "other"),
    [
        ({"venues": "1"}, {}),
        ({"venues": "1"}, {"venues": "2"}),
        ({"venues": "1"}, {"instructors": "1"}),
        ({"venues": "1"}, {"course": "1"}),
        ({"venues": "1"}, {"offering_types": "1"}),
        ({"venues": "0"}, {}),
        ({"past": "0"}, {}),
        ({"future": "0"}, {}),
        ({"past": "7"}, {"future": "7"}),
        ({"status": "active"}, {}),
        ({"status": "active"}, {"status": "cancelled"}),
        ({"occupancy_status": "full"}, {"occupancy_status": "not_full"}),
        ({"occupancy_status": "full"}, {"occupancy_status": "full,empty"}),
        ({"starts_at_gte": "2026-10-20"}, {"ends_at_gte": "2026-10-20"}),
        ({"starts_at_gte": "2026-10-20"}, {"starts_at_gte": "2026-10-21"}),
        ({"starts_at_gte": "2026-10-20"}, {"starts_at_lte": "2026-10-20"}),
    ],
    ids=str,
)
def test_different_queries_have_different_keys(
    query: dict[str, str], other: dict[str, str]
) -> None:
    assert parse(**query) != parse(**other)
    assert key(**query) != key(**other)


def test_a_path_and_an_equivalent_parameter_have_the_same_key() -> None:
    for name in ("venues", "instructors", "course"):
        fixed = parse_filters({}, past=30, future=90, fixed={name: 12})
        assert fixed == parse(**{name: "12"})
        assert fixed.key == key(**{name: "12"})


def test_at_midnight_the_window_moves_by_a_day_and_the_key_stays() -> None:
    filter_set = parse(venues="1", past="7", future="14")
    before = filter_set.key
    last_second = MIDNIGHT + timedelta(days=1, seconds=-1)
    today = (MIDNIGHT - timedelta(days=7), MIDNIGHT + timedelta(days=15))
    assert filter_set.window(MIDNIGHT, UTC) == today
    assert filter_set.window(last_second, UTC) == today
    assert filter_set.window(MIDNIGHT + timedelta(days=1), UTC) == (
        MIDNIGHT - timedelta(days=6),
        MIDNIGHT + timedelta(days=16),
    )
    assert filter_set.key == before == key(venues="1", past="7", future="14")
    assert "2026" not in before


# Random queries

_ids = st.lists(st.integers(0, 2**63 - 1) | st.integers(0, 12), min_size=1, max_size=6)
_times = st.datetimes(datetime(1900, 1, 2), datetime(2999, 12, 30))  # noqa: DTZ001 - naive by intent


@st.composite
def queries(draw: st.DrawFn) -> dict[str, list[str]]:
    query: dict[str, list[str]] = {}
    for name in ("course", "venues", "instructors", "offering_types"):
        if draw(st.booleans()):
            query[name] = [str(identity) for identity in draw(_ids)]
    for name, enum in (("status", Status), ("occupancy_status", Occupancy)):
        if draw(st.booleans()):
            query[name] = [
                member.value for member in draw(st.lists(st.sampled_from(list(enum)), min_size=1))
            ]
    for side, suffix in (("past", "_gte"), ("future", "_lte")):
        kind = draw(st.sampled_from(["", "days", "starts_at", "ends_at", "local_starts_at"]))
        if kind == "days":
            query[side] = [str(draw(st.integers(0, 365)))]
        elif kind:
            zone = draw(st.sampled_from(["", "Z", "+05:30", "-08:00"]))
            query[kind + suffix] = [draw(_times).isoformat() + zone]
    return query


def _parse_or_skip(values: Mapping[str, Sequence[str]]) -> FilterSet:
    try:
        return parse_filters(values, past=30, future=90)
    except ParameterError as err:
        assume("no session can match" not in str(err))
        raise


@st.composite
def bounds(draw: st.DrawFn) -> str:
    """A bound in any spelling, often near the first or the last year of the range."""
    day = draw(
        st.sampled_from(
            [date(1900, 1, 1), date(1900, 1, 2), date(2999, 12, 30), date(2999, 12, 31)]
        )
        | st.dates(date(1900, 1, 1), date(2999, 12, 31))
    )
    if draw(st.booleans()):
        return day.isoformat()
    at = draw(st.sampled_from([time.min, time(23, 59, 59), time.max]) | st.times())
    offset = draw(st.sampled_from(["", "Z", "+00:01", "-00:01", "+23:59", "-23:59", "+05:30"]))
    return f"{day}T{at:%H:%M:%S.%f}{offset}"


@bounded
@given(
    st.dictionaries(
        st.sampled_from([name for name in PARAMETERS if name.endswith(("_gte", "_lte"))]),
        bounds(),
        min_size=1,
        max_size=3,
    )
)
def test_the_key_of_every_bound_that_is_accepted_can_be_read_back(values: dict[str, str]) -> None:
    try:
        filter_set = parse(**values)
    except ParameterError:
        return
    assert filters_of_key(filter_set.key) == filter_set


@bounded
@given(queries(), st.randoms(use_true_random=False))
def test_shuffling_splitting_and_repeating_values_does_not_change_the_key(
    query: dict[str, list[str]], random: Any
) -> None:
    respelled = {}
    for name, values in random.sample(list(query.items()), len(query)):
        doubled = values * 2
        random.shuffle(doubled)
        is_list = not name.endswith(("_gte", "_lte", "past", "future"))
        respelled[name] = [",".join(doubled)] if is_list and random.random() < 0.5 else doubled
    assert _parse_or_skip(respelled).key == _parse_or_skip(query).key


@bounded
@given(queries())
def test_a_filter_set_can_be_restored_from_its_key(query: dict[str, list[str]]) -> None:
    filter_set = _parse_or_skip(query)
    assert filters_of_key(filter_set.key) == filter_set


@bounded
@given(queries(), queries())
def test_keys_are_equal_exactly_if_the_filter_sets_are(
    query: dict[str, list[str]], other: dict[str, list[str]]
) -> None:
    first, second = _parse_or_skip(query), _parse_or_skip(other)
    assert (first.key == second.key) == (first == second)


# The window and the bounds


@pytest.mark.parametrize(
    ("side", "name"),
    [
        *(("past", name) for name in ("starts_at_gte", "start_gte", "ends_at_gte")),
        *(("future", name) for name in ("starts_at_lte", "start_lte", "ends_at_lte")),
        ("past", "local_starts_at_gte"),
        ("future", "local_starts_at_lte"),
    ],
)
def test_days_and_an_absolute_bound_on_one_side_are_refused(side: str, name: str) -> None:
    for values in ({side: "7", name: "2026-10-20"}, {name: "2026-10-20", side: "7"}):
        error = error_of(**values)
        assert error.parameter == side
        assert str(error).startswith(f"{side}: ")
        assert name.replace("start_", "starts_at_") in str(error)


def test_a_name_and_its_alias_at_once_are_refused() -> None:
    error = error_of(starts_at_gte="2026-10-20", start_gte="2026-10-21")
    assert "start_gte" in str(error)


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("starts_at_gte", "starts_at_lte"),
        ("start_gte", "start_lte"),
        ("ends_at_gte", "ends_at_lte"),
        ("starts_at_gte", "ends_at_lte"),
        ("local_starts_at_gte", "local_starts_at_lte"),
    ],
)
def test_an_empty_range_is_refused(first: str, last: str) -> None:
    error = error_of(**{first: "2026-10-21", last: "2026-10-20"})
    assert first.replace("start_", "starts_at_") in str(error)
    assert last.replace("start_", "starts_at_") in str(error)
    parse(**{first: "2026-10-20", last: "2026-10-20"})
    parse(**{first: "2026-10-20T12:00:00Z", last: "2026-10-20T12:00:00Z"})


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("local_starts_at_gte", "starts_at_lte"),
        ("local_starts_at_gte", "ends_at_lte"),
        ("starts_at_gte", "local_starts_at_lte"),
    ],
)
def test_an_empty_range_between_a_local_and_another_bound_is_refused(first: str, last: str) -> None:
    error = error_of(**{first: "2026-10-21T00:00:00Z", last: "2026-10-20T00:00:00Z"})
    assert first in str(error)
    assert last in str(error)


def test_the_bounds_of_a_range_are_compared_in_utc() -> None:
    parse(starts_at_gte="2026-10-20T19:00:00+02:00", starts_at_lte="2026-10-20T18:00:00Z")
    error_of(starts_at_gte="2026-10-20T18:00:00Z", starts_at_lte="2026-10-20T19:00:00+02:00")


def test_a_long_session_may_start_before_one_bound_and_end_after_a_later_one() -> None:
    filter_set = parse(ends_at_gte="2026-11-23T18:30", starts_at_lte="2026-11-23T18:15")
    assert filter_set.may_match(session("2026-11-23T18:00", 60), DAY)


# Values that are not accepted


@pytest.mark.parametrize("name", ["course", "venues", "instructors", "offering_types"])
def test_an_id_is_a_whole_number_and_nothing_else(name: str) -> None:
    for value in (
        "x",
        "-1",
        "1.0",
        "+1",
        "1e3",
        "0x1",
        "1 2",
        "1;2",
        "٣",
        "²",
        str(2**63),
        "9" * 99,
    ):
        error = error_of(**{name: value})
        assert error.parameter == name
        assert name in str(error)
        assert "whole number" in str(error)
    assert getattr(parse(**{name: str(2**63 - 1)}), name) == (2**63 - 1,)


@pytest.mark.parametrize("name", ["past", "future"])
def test_days_are_whole_and_0_to_365(name: str) -> None:
    assert getattr(parse(**{name: "0"}), name) == 0
    assert getattr(parse(**{name: "365"}), name) == 365
    for value in ("366", "-1", "1.5", "week", "1,2", "٣"):
        error = error_of(**{name: value})
        assert error.parameter == name
        assert "0 to 365" in str(error)


@pytest.mark.parametrize("name", ["past", "future", "starts_at_gte", "ends_at_lte"])
def test_a_parameter_with_a_single_value_rejects_several(name: str) -> None:
    value = "7" if name in ("past", "future") else "2026-10-20"
    assert parse(**{name: [value, value]}) == parse(**{name: value})
    other = "8" if name in ("past", "future") else "2026-10-21"
    for values in ([value, other], [""], [" "]):
        assert name in str(error_of(**{name: values}))


@pytest.mark.parametrize(
    ("name", "accepted"),
    [
        ("status", ["active", "cancelled"]),
        ("occupancy_status", ["full", "not_full", "has_registrations", "has_waitlist", "empty"]),
    ],
)
def test_the_error_for_an_unknown_word_lists_the_accepted_words(
    name: str, accepted: list[str]
) -> None:
    for word in accepted:
        assert [member.value for member in getattr(parse(**{name: word}), name)] == [word]
    for value in ("canceled", "Full", "FULL", "any", "None"):
        error = error_of(**{name: f"{accepted[0]},{value}"})
        assert error.parameter == name
        assert repr(value) in str(error)
        assert all(word in str(error) for word in accepted)


@pytest.mark.parametrize(
    "name", ["course", "venues", "instructors", "offering_types", "status", "occupancy_status"]
)
def test_an_empty_value_in_a_list_is_refused(name: str) -> None:
    good = "active" if name == "status" else "full" if name == "occupancy_status" else "1"
    for value in ("", " ", ",", f"{good},", f",{good}", f"{good},,{good}"):
        error = error_of(**{name: value})
        assert name in str(error)
        assert "empty" in str(error)


def test_a_list_may_have_a_hundred_values() -> None:
    hundred = [str(number) for number in range(100)]
    assert len(parse(venues=",".join(hundred)).venues) == 100
    assert len(parse(venues=hundred).venues) == 100
    for values in (",".join([*hundred, "100"]), [*hundred, "100"], [",".join(hundred), "100,101"]):
        error = error_of(venues=values)
        assert "venues" in str(error)
        assert "at most 100" in str(error)


# Which sessions match

LONDON = Venue(1, "London", zone="Europe/London")
YOGA = session(
    venue=LONDON,
    instructors=(Instructor(5), Instructor(6)),
    course=Course(51),
    offering_type=OfferingType(31),
    attending=3,
    capacity=10,
)


@pytest.mark.parametrize(
    ("query", "matches"),
    [
        ({}, True),
        ({"venues": "1"}, True),
        ({"venues": "1,2"}, True),
        ({"venues": "2"}, False),
        ({"instructors": "5"}, True),
        ({"instructors": "6,9"}, True),
        ({"instructors": "9"}, False),
        ({"course": "51"}, True),
        ({"course": "52"}, False),
        ({"offering_types": "31"}, True),
        ({"offering_types": "32"}, False),
        ({"status": "active"}, True),
        ({"status": "cancelled"}, False),
        ({"venues": "1", "instructors": "5", "course": "51", "offering_types": "31"}, True),
        ({"venues": "2", "instructors": "5", "course": "51", "offering_types": "31"}, False),
        ({"venues": "1", "instructors": "9", "course": "51", "offering_types": "31"}, False),
        ({"venues": "1", "instructors": "5", "course": "52", "offering_types": "31"}, False),
        ({"venues": "1", "instructors": "5", "course": "51", "offering_types": "32"}, False),
    ],
    ids=str,
)
def test_a_session_matches_if_every_field_has_one_of_the_values(
    query: dict[str, str], matches: bool
) -> None:
    assert parse(**query).may_match(YOGA, DAY) is matches


@pytest.mark.parametrize("name", ["venues", "instructors", "course", "offering_types"])
def test_a_session_without_the_filtered_field_does_not_match(name: str) -> None:
    assert not parse(**{name: "1"}).may_match(session(), DAY)
    assert parse().may_match(session(), DAY)


def test_an_offering_type_without_an_id_matches_no_id() -> None:
    assert not parse(offering_types="0").may_match(session(offering_type=OfferingType(None)), DAY)


def test_a_single_session_is_selected_by_its_id() -> None:
    filter_set = FilterSet(session=("course_session", 7))
    assert filter_set.may_match(session(id=7), DAY)
    assert filter_set.may_match(session("2001-01-01T00:00", id=7), DAY)
    assert not filter_set.may_match(session(id=8), DAY)


def test_a_cancelled_session_matches_unless_only_active_ones_are_requested() -> None:
    cancelled = session(status=Status.CANCELLED)
    assert parse().may_match(cancelled, DAY)
    assert parse(status="cancelled").may_match(cancelled, DAY)
    assert parse(status="active,cancelled").may_match(cancelled, DAY)
    assert not parse(status="active").may_match(cancelled, DAY)


@pytest.mark.parametrize(
    ("attending", "capacity", "expected"),
    [
        (0, 10, {"not_full", "empty"}),
        (3, 10, {"not_full", "has_registrations"}),
        (10, 10, {"full", "has_registrations"}),
        (12, 10, {"full", "has_registrations"}),
        (0, None, {"not_full", "empty"}),
        (500, None, {"not_full", "has_registrations"}),
    ],
)
def test_occupancy_is_derived_from_the_counts(
    attending: int, capacity: int | None, expected: set[str]
) -> None:
    booked = session(attending=attending, capacity=capacity)
    words = ("full", "not_full", "has_registrations", "empty")
    assert {
        word for word in words if parse(occupancy_status=word).may_match(booked, DAY)
    } == expected


def test_one_of_several_occupancies_is_enough() -> None:
    full = session(attending=10, capacity=10)
    assert parse(occupancy_status="empty,full").may_match(full, DAY)
    assert not parse(occupancy_status="empty,not_full").may_match(full, DAY)


def test_only_a_waitlist_filter_depends_on_the_waitlist() -> None:
    assert parse(occupancy_status="has_waitlist").by_waitlist
    assert parse(occupancy_status="full,has_waitlist").by_waitlist
    assert not parse(occupancy_status="full,not_full,has_registrations,empty").by_waitlist
    assert not parse().by_waitlist


@pytest.mark.parametrize(
    ("start", "minutes", "matches"),
    [
        # ends at or after 00:00 UTC of the day
        ("2026-11-22T22:59:59", 60, False),
        ("2026-11-22T23:00:00", 60, True),
        ("2026-11-22T23:59:00", 60, True),
        ("2026-11-22T23:59:59", None, False),
        ("2026-11-23T00:00:00", None, True),
        # starts before 00:00 UTC of the next
        ("2026-11-23T23:59:59", 60, True),
        ("2026-11-23T23:59:59", None, True),
        ("2026-11-24T00:00:00", 60, False),
        ("2026-11-24T00:00:00", None, False),
    ],
)
def test_a_window_of_zero_days_is_one_day(start: str, minutes: int | None, matches: bool) -> None:
    filter_set = parse(past="0", future="0")
    assert filter_set.matches(session(start, minutes), filter_set.window(MIDNIGHT, UTC)) is matches


@pytest.mark.parametrize("days", [1, 7, 30, 365])
def test_the_window_extends_by_whole_days_in_both_directions(days: int) -> None:
    filter_set = parse(past=str(days), future=str(days))
    template = session()

    def at(start: datetime, length: timedelta) -> bool:
        one = replace(template, start=start, end=start + length)
        return filter_set.matches(one, filter_set.window(MIDNIGHT, UTC))

    hour, second = timedelta(hours=1), timedelta(seconds=1)
    first, last = MIDNIGHT - timedelta(days=days), MIDNIGHT + timedelta(days=days + 1)
    assert at(first - hour, hour)
    assert not at(first - hour - second, hour)
    assert at(last - second, hour)
    assert not at(last, hour)


def test_without_a_window_sessions_of_all_times_match() -> None:
    filter_set = parse((None, None))
    assert filter_set.window(MIDNIGHT, UTC) == filter_set.widest_window(DAY) == (None, None)
    for start in ("1999-01-01T00:00", "2999-01-01T00:00"):
        assert filter_set.may_match(session(start), DAY)


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("starts_at_gte", "2026-11-23T18:00:00Z", "2026-11-23T18:00:01Z"),
        ("starts_at_lte", "2026-11-23T18:00:00Z", "2026-11-23T17:59:59Z"),
        ("ends_at_gte", "2026-11-23T19:00:00Z", "2026-11-23T19:00:01Z"),
        ("ends_at_lte", "2026-11-23T19:00:00Z", "2026-11-23T18:59:59Z"),
        ("local_starts_at_gte", "2026-11-23T18:00:00", "2026-11-23T18:00:01"),
        ("local_starts_at_lte", "2026-11-23T18:00:00", "2026-11-23T17:59:59"),
        # a date includes its whole day, as a lower and as an upper bound
        ("starts_at_gte", "2026-11-23", "2026-11-24"),
        ("starts_at_lte", "2026-11-23", "2026-11-22"),
        ("ends_at_gte", "2026-11-23", "2026-11-24"),
        ("ends_at_lte", "2026-11-23", "2026-11-22"),
    ],
)
def test_a_bound_is_inclusive(name: str, inside: str, outside: str) -> None:
    assert parse(**{name: inside}).may_match(YOGA, DAY)
    assert not parse(**{name: outside}).may_match(YOGA, DAY)


def test_a_session_without_a_known_end_ends_when_it_starts() -> None:
    open_ended = session("2026-11-23T18:00", None)
    assert parse(ends_at_gte="2026-11-23T18:00").may_match(open_ended, DAY)
    assert not parse(ends_at_gte="2026-11-23T18:01").may_match(open_ended, DAY)
    assert parse(ends_at_lte="2026-11-23T18:00").may_match(open_ended, DAY)


@pytest.mark.parametrize(
    ("zone", "start", "local"),
    [
        ("Europe/London", "2026-07-06T17:00", "2026-07-06T18:00"),
        ("Europe/London", "2026-12-07T18:00", "2026-12-07T18:00"),
        ("Australia/Sydney", "2026-07-06T08:00", "2026-07-06T18:00"),
        ("America/New_York", "2026-07-06T22:00", "2026-07-06T18:00"),
        (None, "2026-07-06T18:00", "2026-07-06T18:00"),
    ],
)
def test_a_local_bound_is_in_the_zone_of_each_sessions_venue(
    zone: str | None, start: str, local: str
) -> None:
    yoga = session(start, venue=Venue(1, "Here", zone=zone))
    moment = datetime.fromisoformat(local)
    after = (moment + timedelta(seconds=1)).isoformat()
    before = (moment - timedelta(seconds=1)).isoformat()
    day = moment.date()
    assert parse((30, None), local_starts_at_gte=local).may_match(yoga, day)
    assert not parse((30, None), local_starts_at_gte=after).may_match(yoga, day)
    assert parse((None, 90), local_starts_at_lte=local).may_match(yoga, day)
    assert not parse((None, 90), local_starts_at_lte=before).may_match(yoga, day)


def test_a_local_bound_is_at_the_offset_of_a_session_without_a_venue() -> None:
    at_home = session("2026-07-06T20:00", utc_offset=330)
    day = date(2026, 7, 6)
    assert parse(local_starts_at_gte="2026-07-07T01:30").may_match(at_home, day)
    assert not parse(local_starts_at_gte="2026-07-07T01:31").may_match(at_home, day)
    assert not parse(local_starts_at_lte="2026-07-06").may_match(at_home, day)


def test_a_local_date_is_a_day_in_the_venues_zone() -> None:
    # half past midnight on Tuesday in Sydney is still Monday in UTC
    early = session("2026-07-06T14:30", venue=Venue(1, zone="Australia/Sydney"))
    assert parse((30, None), local_starts_at_gte="2026-07-07").may_match(early, date(2026, 7, 6))
    assert not parse((30, None), starts_at_gte="2026-07-07").may_match(early, date(2026, 7, 6))
    assert not parse(local_starts_at_lte="2026-07-06").may_match(early, date(2026, 7, 6))


def test_a_local_bound_in_a_session_without_a_venue_and_an_offset_is_utc() -> None:
    assert parse(local_starts_at_gte="2026-11-23T18:00").may_match(session(), DAY)
    assert not parse(local_starts_at_gte="2026-11-23T18:01").may_match(session(), DAY)


def test_a_local_bound_with_an_offset_is_that_instant_everywhere() -> None:
    sydney = session("2026-07-06T08:00", venue=Venue(1, zone="Australia/Sydney"))
    day = date(2026, 7, 6)
    assert parse(local_starts_at_gte="2026-07-06T08:00:00Z").may_match(sydney, day)
    assert not parse(local_starts_at_gte="2026-07-06T08:00:01Z").may_match(sydney, day)


def test_the_earliest_and_the_latest_local_bound_work_in_every_zone() -> None:
    for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago"):
        yoga = session(venue=Venue(1, zone=zone))
        filter_set = parse(local_starts_at_gte="1900-01-01", local_starts_at_lte="2999-12-31")
        assert filter_set.may_match(yoga, DAY)
