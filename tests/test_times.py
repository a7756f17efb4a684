"""Parsing of dates and times."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.errors import ParameterError
from bridge.times import Edge, bound, read, zone_name

bounded = settings(derandomize=True)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-10-20T17:30:00Z", "2026-10-20T17:30:00"),
        ("2026-10-20t17:30:00z", "2026-10-20T17:30:00"),
        ("2026-10-20 17:30:00Z", "2026-10-20T17:30:00"),
        ("2026-10-20T17:30Z", "2026-10-20T17:30:00"),
        ("2026-10-20T17:30:00+00:00", "2026-10-20T17:30:00"),
        ("2026-10-20T17:30:00-00:00", "2026-10-20T17:30:00"),
        ("2026-10-20T18:30:00+01:00", "2026-10-20T17:30:00"),
        ("2026-10-20T18:30:00+0100", "2026-10-20T17:30:00"),
        ("2026-10-20T12:00:00-05:30", "2026-10-20T17:30:00"),
        ("2026-10-21T00:15:00+13:45", "2026-10-20T10:30:00"),
        ("2026-01-01T00:00:00+01:00", "2025-12-31T23:00:00"),
        ("2028-02-29T12:00:00Z", "2028-02-29T12:00:00"),
    ],
)
def test_a_time_with_an_offset_is_converted_to_utc(text: str, instant: str) -> None:
    parsed = read(text)
    assert parsed is not None
    assert parsed.value == utc(instant)
    assert parsed.value.tzinfo is UTC
    assert not parsed.is_date
    assert not parsed.fraction


@pytest.mark.parametrize(
    "text", ["2026-10-20T18:30:00 01:00", "2026-10-20 18:30:00 01:00", "2026-10-20T18:30 0100"]
)
def test_a_space_before_the_offset_is_read_as_a_plus(text: str) -> None:
    parsed = read(text)
    assert parsed is not None
    assert parsed.value == utc("2026-10-20T17:30:00")


def test_a_time_without_an_offset_stays_naive() -> None:
    parsed = read("2026-10-20T17:30:00")
    assert parsed is not None
    assert parsed.value == datetime.fromisoformat("2026-10-20T17:30:00")
    assert parsed.value.tzinfo is None
    assert not parsed.is_date


def test_a_date_is_the_start_of_its_day() -> None:
    parsed = read("2026-10-20")
    assert parsed is not None
    assert parsed.value == datetime.fromisoformat("2026-10-20T00:00:00")
    assert parsed.is_date


@pytest.mark.parametrize("digits", ["1", "25", "123456", "000001", "123456789"])
def test_a_fraction_of_a_second_is_cut_off_and_reported(digits: str) -> None:
    parsed = read(f"2026-10-20T17:30:59.{digits}Z")
    assert parsed is not None
    assert parsed.value == utc("2026-10-20T17:30:59")
    assert parsed.fraction


def test_a_fraction_of_zero_is_not_reported() -> None:
    parsed = read("2026-10-20T17:30:59.000Z")
    assert parsed is not None
    assert not parsed.fraction


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "today",
        "2026",
        "2026-10",
        "20261020",
        "2026-W43-2",
        "2026-293",
        "20/10/2026",
        "2026-1-2",
        "2026-13-01",
        "2026-00-10",
        "2026-02-29",
        "2026-04-31",
        "0000-01-01",
        "1899-12-31",
        "3000-01-01",
        "12026-10-20",
        "-2026-10-20",
        "2026-10-20T",
        "2026-10-20T17",
        "2026-10-20T24:00:00Z",
        "2026-10-20T25:00:00Z",
        "2026-10-20T17:60:00Z",
        "2026-10-20T17:30:61Z",
        "2026-10-20T17:30:00.Z",
        "2026-10-20T17:30:00+1",
        "2026-10-20T17:30:00+01",
        "2026-10-20T17:30:00+24:00",
        "2026-10-20T17:30:00+99:99",
        "2026-10-20T17:30:00+01:60",
        "2026-10-20T17:30:00-00:99",
        "2026-10-20T17:30:00ZZ",
        "2026-10-20T17:30:00[Europe/London]",
        "2026-10-20Z",
        "2026-10-20+01:00",
        " 2026-10-20",
        "2026-10-20 ",
        "2026-10-20\n",
        "2026-10-20T17:30:00Z\n",
        "2026-10-20T17:30:00Z2026-10-20",
        "２０２６-10-20",
        "2026-10-٢٠",
        "2026−10−20",
        "NaN",
        "1792517400",
        "now() - 1",
    ],
)
def test_anything_else_is_rejected(text: str) -> None:
    assert read(text) is None


@bounded
@given(
    st.datetimes(datetime(1901, 1, 1), datetime(2999, 12, 30)),  # noqa: DTZ001 - naive by intent
    st.integers(-23 * 60 - 59, 23 * 60 + 59),
)
def test_times_in_pythons_isoformat_are_parsed(moment: datetime, minutes: int) -> None:
    moment = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    parsed = read(moment.isoformat())
    assert parsed is not None
    assert parsed.value == moment.replace(microsecond=0)
    assert parsed.fraction == (moment.microsecond > 0)


@bounded
@given(st.text(max_size=40) | st.text("0123456789-+:TtZz ., ", max_size=30))
def test_no_text_raises_an_error_other_than_parameter_error(text: str) -> None:
    if read(text) is not None:
        return
    with pytest.raises(ParameterError):
        bound("starts_at_gte", text, edge=Edge.FIRST)


# Bounds


@pytest.mark.parametrize(
    ("text", "edge", "expected"),
    [
        ("2026-10-20", Edge.FIRST, "2026-10-20T00:00:00"),
        ("2026-10-20", Edge.LAST, "2026-10-20T23:59:59"),
        ("2999-12-31", Edge.LAST, "2999-12-31T23:59:59"),
        ("2026-10-20T17:30:00", Edge.FIRST, "2026-10-20T17:30:00"),
        ("2026-10-20T17:30:00", Edge.LAST, "2026-10-20T17:30:00"),
        ("2026-10-20T00:00:00", Edge.LAST, "2026-10-20T00:00:00"),
        ("2026-10-20T18:30:00+01:00", Edge.FIRST, "2026-10-20T17:30:00"),
        ("2026-10-20T18:30:00 01:00", Edge.LAST, "2026-10-20T17:30:00"),
        # fractions are rounded towards the inside of the range
        ("2026-10-20T17:30:00.5Z", Edge.FIRST, "2026-10-20T17:30:01"),
        ("2026-10-20T17:30:00.5Z", Edge.LAST, "2026-10-20T17:30:00"),
        ("2026-10-20T17:30:00.0Z", Edge.FIRST, "2026-10-20T17:30:00"),
    ],
)
def test_a_bound_is_in_utc_and_a_date_means_its_start_or_end(
    text: str, edge: Edge, expected: str
) -> None:
    value = bound("starts_at_gte", text, edge=edge)
    assert value == utc(expected)
    assert value.tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "edge", "expected"),
    [
        ("2026-10-20T17:30:00", Edge.FIRST, "2026-10-20T17:30:00"),
        ("2026-10-20", Edge.FIRST, "2026-10-20T00:00:00"),
        ("2026-10-20", Edge.LAST, "2026-10-20T23:59:59"),
    ],
)
def test_a_local_bound_without_an_offset_stays_naive(text: str, edge: Edge, expected: str) -> None:
    value = bound("local_starts_at_gte", text, edge=edge, local=True)
    assert value.tzinfo is None
    assert value == datetime.fromisoformat(expected)


@pytest.mark.parametrize(
    ("text", "edge"),
    [
        ("1900-01-01T00:00:00+00:01", Edge.FIRST),
        ("2999-12-31T23:59:00-00:01", Edge.FIRST),
        ("2999-12-31T23:59:59-23:59", Edge.LAST),
        ("2999-12-31T23:59:59.5", Edge.FIRST),
    ],
)
@pytest.mark.parametrize("local", [True, False])
def test_a_bound_that_its_offset_or_rounding_moves_out_of_the_range_is_refused(
    text: str, edge: Edge, local: bool
) -> None:
    with pytest.raises(ParameterError):
        bound("starts_at_gte", text, edge=edge, local=local)


@pytest.mark.parametrize(
    ("minutes", "name"),
    [(0, "UTC"), (120, "UTC+2"), (-600, "UTC-10"), (345, "UTC+5:45"), (-210, "UTC-3:30")],
)
def test_an_offset_has_a_short_name(minutes: int, name: str) -> None:
    assert zone_name(timezone(timedelta(minutes=minutes))) == name


def test_a_local_bound_with_an_offset_is_converted_to_utc() -> None:
    value = bound("local_starts_at_gte", "2026-10-20T18:30:00+01:00", edge=Edge.FIRST, local=True)
    assert value == utc("2026-10-20T17:30:00")


def test_the_error_names_the_parameter_the_value_and_what_is_accepted() -> None:
    with pytest.raises(ParameterError) as caught:
        bound("ends_at_lte", "tomorrow", edge=Edge.LAST)
    assert caught.value.parameter == "ends_at_lte"
    for part in ("ends_at_lte", "'tomorrow'", "2026-10-20", "2026-10-20T17:30:00Z"):
        assert part in str(caught.value)
