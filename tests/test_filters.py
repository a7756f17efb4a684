"""Filter sets: one question is one key, and a session belongs or does not."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pace import at_once

from bridge.errors import ParameterError
from bridge.filters import FilterSet, Occupancy
from bridge.model import (
    ClassSession,
    Course,
    Instructor,
    OfferingType,
    Status,
    Venue,
)

bounded = settings(max_examples=100, deadline=None, derandomize=True)
DAY = date(2026, 11, 23)
MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC)


def ask(
    default: tuple[int | None, int | None] = (30, 90), /, **values: str | list[str]
) -> FilterSet:
    """The filter set of a query; a list is a parameter that was repeated."""
    given = {name: [one] if isinstance(one, str) else one for name, one in values.items()}
    return FilterSet.parse(given, past=default[0], future=default[1])


def key(**values: str | list[str]) -> str:
    return ask(**values).key


def refusal(**values: str | list[str]) -> ParameterError:
    with pytest.raises(ParameterError) as caught:
        ask(**values)
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
def test_every_spelling_of_a_question_is_one_key(spelling: dict[str, str | list[str]]) -> None:
    assert ask(**spelling) == ask(venues="1,2")
    assert hash(ask(**spelling)) == hash(ask(venues="1,2"))
    assert key(**spelling) == key(venues="1,2")


@pytest.mark.parametrize("name", ["course", "venues", "instructors", "offering_types"])
def test_ids_are_sorted_as_numbers_and_said_once(name: str) -> None:
    assert getattr(ask(**{name: "10,9,10,1"}), name) == (1, 9, 10)


def test_the_order_of_parameters_makes_no_other_key() -> None:
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
def test_every_spelling_of_an_instant_is_one_key(name: str, spelling: str) -> None:
    assert key(**{name: spelling}) == key(starts_at_gte="2026-10-20")


def test_a_date_as_the_upper_bound_is_its_last_second() -> None:
    for name in ("starts_at_lte", "start_lte"):
        assert key(**{name: "2026-10-20"}) == key(starts_at_lte="2026-10-20T23:59:59.999Z")
    assert key(ends_at_lte="2026-10-20") == key(ends_at_lte="2026-10-20T23:59:59Z")
    assert key(ends_at_gte="2026-10-20") == key(ends_at_gte="2026-10-20T00:00:00Z")


def test_a_local_bound_without_an_offset_is_another_question_than_the_same_in_utc() -> None:
    local = "2026-10-20T18:00:00"
    assert key(local_starts_at_gte=local) != key(local_starts_at_gte=f"{local}Z")
    assert key(local_starts_at_gte=local) != key(starts_at_gte=local)


@pytest.mark.parametrize(
    ("one", "other"),
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
def test_another_question_is_another_key(one: dict[str, str], other: dict[str, str]) -> None:
    assert ask(**one) != ask(**other)
    assert key(**one) != key(**other)


def test_a_path_and_a_parameter_that_say_the_same_are_one_key() -> None:
    for path, name in (("venue", "venues"), ("instructor", "instructors"), ("course", "course")):
        fixed = FilterSet.parse({}, past=30, future=90, **{path: 12})
        assert fixed == ask(**{name: "12"})
        assert fixed.key == key(**{name: "12"})


def test_midnight_makes_no_new_key_and_moves_the_window_by_a_day() -> None:
    asked = ask(venues="1", past="7", future="14")
    before = asked.key
    assert asked.window(DAY) == (MIDNIGHT - timedelta(days=7), MIDNIGHT + timedelta(days=15))
    assert asked.window(DAY + timedelta(days=1)) == (
        MIDNIGHT - timedelta(days=6),
        MIDNIGHT + timedelta(days=16),
    )
    assert asked.key == before == key(venues="1", past="7", future="14")
    assert "2026" not in before


# Questions as addresses ask them, in a spelling that is drawn

_ids = st.lists(st.integers(0, 2**63 - 1) | st.integers(0, 12), min_size=1, max_size=6)
_times = st.datetimes(datetime(1900, 1, 2), datetime(2999, 12, 30))  # noqa: DTZ001 - naive by intent


@st.composite
def questions(draw: st.DrawFn) -> dict[str, list[str]]:
    asked: dict[str, list[str]] = {}
    for name in ("course", "venues", "instructors", "offering_types"):
        if draw(st.booleans()):
            asked[name] = [str(one) for one in draw(_ids)]
    for name, kinds in (("status", Status), ("occupancy_status", Occupancy)):
        if draw(st.booleans()):
            asked[name] = [
                one.value for one in draw(st.lists(st.sampled_from(list(kinds)), min_size=1))
            ]
    for side, suffix in (("past", "_gte"), ("future", "_lte")):
        kind = draw(st.sampled_from(["", "days", "starts_at", "ends_at", "local_starts_at"]))
        if kind == "days":
            asked[side] = [str(draw(st.integers(0, 365)))]
        elif kind:
            zone = draw(st.sampled_from(["", "Z", "+05:30", "-08:00"]))
            asked[kind + suffix] = [draw(_times).isoformat() + zone]
    return asked


def _accepted(values: Mapping[str, Sequence[str]]) -> FilterSet:
    try:
        return FilterSet.parse(values, past=30, future=90)
    except ParameterError as err:
        assume("no session can be" not in str(err))
        raise


@bounded
@given(questions(), st.randoms(use_true_random=False))
def test_no_shuffling_splitting_or_repeating_makes_another_key(
    asked: dict[str, list[str]], random: Any
) -> None:
    respelled = {}
    for name, values in random.sample(list(asked.items()), len(asked)):
        several = values * 2
        random.shuffle(several)
        lists = not name.endswith(("_gte", "_lte", "past", "future"))
        respelled[name] = [",".join(several)] if lists and random.random() < 0.5 else several
    assert _accepted(respelled).key == _accepted(asked).key


@bounded
@given(questions())
def test_the_key_says_the_whole_question_again(asked: dict[str, list[str]]) -> None:
    filter_set = _accepted(asked)
    assert FilterSet.of_key(filter_set.key) == filter_set


@bounded
@given(questions(), questions())
def test_keys_are_equal_exactly_where_the_questions_are(
    one: dict[str, list[str]], other: dict[str, list[str]]
) -> None:
    first, second = _accepted(one), _accepted(other)
    assert (first.key == second.key) == (first == second)


# The window and the bounds of a question


@pytest.mark.parametrize("name", ["starts_at_gte", "ends_at_gte", "local_starts_at_gte"])
def test_an_absolute_lower_bound_replaces_the_past_alone(name: str) -> None:
    asked = ask(**{name: "2026-01-01"})
    assert (asked.past, asked.future) == (None, 90)
    assert ask(**{name: "2026-01-01", "future": "7"}).future == 7


@pytest.mark.parametrize("name", ["starts_at_lte", "ends_at_lte", "local_starts_at_lte"])
def test_an_absolute_upper_bound_replaces_the_future_alone(name: str) -> None:
    asked = ask(**{name: "2026-12-31"})
    assert (asked.past, asked.future) == (30, None)
    assert ask(**{name: "2026-12-31", "past": "7"}).past == 7


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
        error = refusal(**values)
        assert error.parameter == side
        assert str(error).startswith(f"{side}: ")
        assert name.replace("start_", "starts_at_") in str(error)


def test_a_name_and_its_alias_at_once_are_refused() -> None:
    error = refusal(starts_at_gte="2026-10-20", start_gte="2026-10-21")
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
def test_a_range_that_nothing_can_be_in_is_refused(first: str, last: str) -> None:
    error = refusal(**{first: "2026-10-21", last: "2026-10-20"})
    assert first.replace("start_", "starts_at_") in str(error)
    assert last.replace("start_", "starts_at_") in str(error)
    ask(**{first: "2026-10-20", last: "2026-10-20"})
    ask(**{first: "2026-10-20T12:00:00Z", last: "2026-10-20T12:00:00Z"})


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("local_starts_at_gte", "starts_at_lte"),
        ("local_starts_at_gte", "ends_at_lte"),
        ("starts_at_gte", "local_starts_at_lte"),
    ],
)
def test_a_range_between_a_local_and_another_bound_that_nothing_can_be_in_is_refused(
    first: str, last: str
) -> None:
    error = refusal(**{first: "2026-10-21T00:00:00Z", last: "2026-10-20T00:00:00Z"})
    assert first in str(error)
    assert last in str(error)


def test_a_range_is_compared_by_instant_and_not_by_what_is_written() -> None:
    ask(starts_at_gte="2026-10-20T19:00:00+02:00", starts_at_lte="2026-10-20T18:00:00Z")
    refusal(starts_at_gte="2026-10-20T18:00:00Z", starts_at_lte="2026-10-20T19:00:00+02:00")


def test_a_long_session_may_start_before_one_bound_and_end_after_a_later_one() -> None:
    asked = ask(ends_at_gte="2026-11-23T18:30", starts_at_lte="2026-11-23T18:15")
    assert asked.matches(session("2026-11-23T18:00", 60), DAY)


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
        error = refusal(**{name: value})
        assert error.parameter == name
        assert name in str(error)
        assert "whole number" in str(error)
    assert getattr(ask(**{name: str(2**63 - 1)}), name) == (2**63 - 1,)


@pytest.mark.parametrize("name", ["past", "future"])
def test_days_are_whole_and_0_to_365(name: str) -> None:
    assert getattr(ask(**{name: "0"}), name) == 0
    assert getattr(ask(**{name: "365"}), name) == 365
    for value in ("366", "-1", "1.5", "week", "1,2", "٣"):
        error = refusal(**{name: value})
        assert error.parameter == name
        assert "0 to 365" in str(error)


@pytest.mark.parametrize("name", ["past", "future", "starts_at_gte", "ends_at_lte"])
def test_a_parameter_of_one_value_takes_one(name: str) -> None:
    value = "7" if name in ("past", "future") else "2026-10-20"
    assert ask(**{name: [value, value]}) == ask(**{name: value})
    other = "8" if name in ("past", "future") else "2026-10-21"
    for values in ([value, other], [""], [" "]):
        assert name in str(refusal(**{name: values}))


@pytest.mark.parametrize(
    ("name", "accepted"),
    [
        ("status", ["active", "cancelled"]),
        ("occupancy_status", ["full", "not_full", "has_registrations", "has_waitlist", "empty"]),
    ],
)
def test_a_word_that_is_not_accepted_is_told_with_all_that_are(
    name: str, accepted: list[str]
) -> None:
    for one in accepted:
        assert [each.value for each in getattr(ask(**{name: one}), name)] == [one]
    for value in ("canceled", "Full", "FULL", "any", "None"):
        error = refusal(**{name: f"{accepted[0]},{value}"})
        assert error.parameter == name
        assert repr(value) in str(error)
        assert all(one in str(error) for one in accepted)


@pytest.mark.parametrize(
    "name", ["course", "venues", "instructors", "offering_types", "status", "occupancy_status"]
)
def test_an_empty_value_in_a_list_is_refused_and_not_everything(name: str) -> None:
    good = "active" if name == "status" else "full" if name == "occupancy_status" else "1"
    for value in ("", " ", ",", f"{good},", f",{good}", f"{good},,{good}"):
        error = refusal(**{name: value})
        assert name in str(error)
        assert "empty" in str(error)


def test_a_list_may_be_as_long_as_a_hundred() -> None:
    hundred = [str(one) for one in range(100)]
    assert len(ask(venues=",".join(hundred)).venues) == 100
    assert len(ask(venues=hundred).venues) == 100
    for values in (",".join([*hundred, "100"]), [*hundred, "100"], [",".join(hundred), "100,101"]):
        error = refusal(venues=values)
        assert "venues" in str(error)
        assert "at most 100" in str(error)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("venues", "1," * 50_000),
        ("venues", "9" * 100_000),
        ("venues", "," * 100_000),
        ("venues", " " * 100_000),
        ("venues", "٣" * 100_000),
        ("status", "active," * 15_000),
        ("occupancy_status", "x" * 100_000),
        ("past", "0" * 100_000),
        ("future", "\u2028" * 100_000),
        ("ends_at_gte", "2026-10-20" * 10_000),
        ("local_starts_at_lte", "\ud800" * 100_000),
    ],
    ids=lambda value: ascii(value[:12]),
)
def test_100_kb_in_a_value_are_refused_at_once_in_a_short_line(name: str, value: str) -> None:
    error = at_once(lambda: refusal(**{name: value}))
    assert name in str(error)
    assert len(str(error)) < 700
    assert str(error).isprintable()


# Which sessions belong

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
    ("asked", "belongs"),
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
def test_a_session_belongs_when_every_field_has_one_of_its_values(
    asked: dict[str, str], belongs: bool
) -> None:
    assert ask(**asked).matches(YOGA, DAY) is belongs


@pytest.mark.parametrize("name", ["venues", "instructors", "course", "offering_types"])
def test_a_session_without_the_part_that_is_asked_for_does_not_belong(name: str) -> None:
    assert not ask(**{name: "1"}).matches(session(), DAY)
    assert ask().matches(session(), DAY)


def test_a_type_without_an_id_is_no_types_id() -> None:
    assert not ask(offering_types="0").matches(session(offering_type=OfferingType(None)), DAY)


def test_a_single_session_is_asked_for_by_its_id() -> None:
    asked = FilterSet(session=7)
    assert asked.matches(session(id=7), DAY)
    assert asked.matches(session("2001-01-01T00:00", id=7), DAY)
    assert not asked.matches(session(id=8), DAY)


def test_a_cancelled_session_is_in_the_feed_unless_only_active_ones_are_asked_for() -> None:
    cancelled = session(status=Status.CANCELLED)
    assert ask().matches(cancelled, DAY)
    assert ask(status="cancelled").matches(cancelled, DAY)
    assert ask(status="active,cancelled").matches(cancelled, DAY)
    assert not ask(status="active").matches(cancelled, DAY)


@pytest.mark.parametrize(
    ("attending", "capacity", "belongs_to"),
    [
        (0, 10, {"not_full", "empty"}),
        (3, 10, {"not_full", "has_registrations"}),
        (10, 10, {"full", "has_registrations"}),
        (12, 10, {"full", "has_registrations"}),
        (0, None, {"not_full", "empty"}),
        (500, None, {"not_full", "has_registrations"}),
    ],
)
def test_occupancy_is_told_by_the_counts(
    attending: int, capacity: int | None, belongs_to: set[str]
) -> None:
    one = session(attending=attending, capacity=capacity)
    words = ("full", "not_full", "has_registrations", "empty")
    assert {word for word in words if ask(occupancy_status=word).matches(one, DAY)} == belongs_to


def test_one_of_several_occupancies_is_enough() -> None:
    full = session(attending=10, capacity=10)
    assert ask(occupancy_status="empty,full").matches(full, DAY)
    assert not ask(occupancy_status="empty,not_full").matches(full, DAY)


def test_only_a_waitlist_cannot_be_told_without_asking_upstream() -> None:
    assert not ask(occupancy_status="has_waitlist").local
    assert not ask(occupancy_status="full,has_waitlist").local
    assert ask(occupancy_status="full,not_full,has_registrations,empty").local
    assert ask().local


@pytest.mark.parametrize(
    ("start", "minutes", "belongs"),
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
def test_a_window_of_nothing_behind_and_ahead_is_the_utc_day(
    start: str, minutes: int | None, belongs: bool
) -> None:
    assert ask(past="0", future="0").matches(session(start, minutes), DAY) is belongs


@pytest.mark.parametrize("days", [1, 7, 30, 365])
def test_the_window_reaches_whole_days_back_and_ahead(days: int) -> None:
    asked = ask(past=str(days), future=str(days))
    one = session()

    def at(start: datetime, length: timedelta) -> bool:
        return asked.matches(replace(one, start=start, end=start + length), DAY)

    hour, second = timedelta(hours=1), timedelta(seconds=1)
    first, last = MIDNIGHT - timedelta(days=days), MIDNIGHT + timedelta(days=days + 1)
    assert at(first - hour, hour)
    assert not at(first - hour - second, hour)
    assert at(last - second, hour)
    assert not at(last, hour)


def test_without_a_window_every_session_of_all_times_belongs() -> None:
    asked = ask((None, None))
    assert asked.window(DAY) == (None, None)
    for start in ("1999-01-01T00:00", "2999-01-01T00:00"):
        assert asked.matches(session(start), DAY)


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("starts_at_gte", "2026-11-23T18:00:00Z", "2026-11-23T18:00:01Z"),
        ("starts_at_lte", "2026-11-23T18:00:00Z", "2026-11-23T17:59:59Z"),
        ("ends_at_gte", "2026-11-23T19:00:00Z", "2026-11-23T19:00:01Z"),
        ("ends_at_lte", "2026-11-23T19:00:00Z", "2026-11-23T18:59:59Z"),
        ("local_starts_at_gte", "2026-11-23T18:00:00", "2026-11-23T18:00:01"),
        ("local_starts_at_lte", "2026-11-23T18:00:00", "2026-11-23T17:59:59"),
        # a date is all of its day, whichever end it stands for
        ("starts_at_gte", "2026-11-23", "2026-11-24"),
        ("starts_at_lte", "2026-11-23", "2026-11-22"),
        ("ends_at_gte", "2026-11-23", "2026-11-24"),
        ("ends_at_lte", "2026-11-23", "2026-11-22"),
    ],
)
def test_a_bound_belongs_to_its_range(name: str, inside: str, outside: str) -> None:
    assert ask(**{name: inside}).matches(YOGA, DAY)
    assert not ask(**{name: outside}).matches(YOGA, DAY)


def test_a_session_whose_end_is_not_known_ends_when_it_starts() -> None:
    open_ended = session("2026-11-23T18:00", None)
    assert ask(ends_at_gte="2026-11-23T18:00").matches(open_ended, DAY)
    assert not ask(ends_at_gte="2026-11-23T18:01").matches(open_ended, DAY)
    assert ask(ends_at_lte="2026-11-23T18:00").matches(open_ended, DAY)


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
    one = session(start, venue=Venue(1, "Here", zone=zone))
    moment = datetime.fromisoformat(local)
    after = (moment + timedelta(seconds=1)).isoformat()
    before = (moment - timedelta(seconds=1)).isoformat()
    day = moment.date()
    assert ask((30, None), local_starts_at_gte=local).matches(one, day)
    assert not ask((30, None), local_starts_at_gte=after).matches(one, day)
    assert ask((None, 90), local_starts_at_lte=local).matches(one, day)
    assert not ask((None, 90), local_starts_at_lte=before).matches(one, day)


def test_a_local_date_is_the_venues_day() -> None:
    # half past midnight on Tuesday in Sydney is still Monday in UTC
    early = session("2026-07-06T14:30", venue=Venue(1, zone="Australia/Sydney"))
    assert ask((30, None), local_starts_at_gte="2026-07-07").matches(early, date(2026, 7, 6))
    assert not ask((30, None), starts_at_gte="2026-07-07").matches(early, date(2026, 7, 6))
    assert not ask(local_starts_at_lte="2026-07-06").matches(early, date(2026, 7, 6))


def test_a_local_bound_in_a_session_without_a_venue_is_utc() -> None:
    assert ask(local_starts_at_gte="2026-11-23T18:00").matches(session(), DAY)
    assert not ask(local_starts_at_gte="2026-11-23T18:01").matches(session(), DAY)


def test_a_local_bound_with_an_offset_is_that_instant_everywhere() -> None:
    sydney = session("2026-07-06T08:00", venue=Venue(1, zone="Australia/Sydney"))
    day = date(2026, 7, 6)
    assert ask(local_starts_at_gte="2026-07-06T08:00:00Z").matches(sydney, day)
    assert not ask(local_starts_at_gte="2026-07-06T08:00:01Z").matches(sydney, day)


def test_the_earliest_and_the_latest_local_bound_can_be_told_in_every_zone() -> None:
    for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago"):
        one = session(venue=Venue(1, zone=zone))
        asked = ask(local_starts_at_gte="1900-01-01", local_starts_at_lte="2999-12-31")
        assert asked.matches(one, DAY)
