"""The JSON Schemas of query parameters agree with their parsers."""

import re
from datetime import datetime
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bridge import times
from bridge.errors import ParameterError
from bridge.feeds.formats import FORMATS
from bridge.feeds.params import OPTIONS
from bridge.filter_params import PARAMETERS
from bridge.param_values import Parameter

ALL: dict[str, Parameter] = dict(
    item
    for table in (PARAMETERS, OPTIONS, *(form.params for form in FORMATS.values()))
    for item in table.items()
)


def values_of(schema: Any) -> st.SearchStrategy[str]:
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema["type"] == "integer":
        return st.integers(schema["minimum"], schema["maximum"]).map(str)
    return st.from_regex(re.compile(schema["pattern"], re.ASCII), fullmatch=True)


def is_accepted(name: str, parameter: Parameter, *texts: str) -> bool:
    try:
        parameter.parse(name, texts)
    except ParameterError:
        return False
    return True


every = pytest.mark.parametrize(("name", "parameter"), ALL.items(), ids=ALL)


@every
@given(data=st.data())
def test_what_fits_the_schema_is_accepted(name: str, parameter: Parameter, data: Any) -> None:
    value = data.draw(values_of(parameter.schema))
    assert is_accepted(name, parameter, value)
    other = data.draw(values_of(parameter.schema))
    assert is_accepted(name, parameter, value, other) == (parameter.several or value == other)


@every
@pytest.mark.parametrize(
    "text", ["-1", "1.5", "٣", "nothing", "24:00", "7:00", "2026-02-30", "9" * 30]
)
def test_what_does_not_fit_it_is_refused(name: str, parameter: Parameter, text: str) -> None:
    assert not is_accepted(name, parameter, text)


@every
def test_it_has_a_meaning(name: str, parameter: Parameter) -> None:
    assert parameter.meaning.endswith(".")
    assert f"`{name}`" not in parameter.meaning


@given(
    st.datetimes(),
    st.sampled_from(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%SZ", "%d.%m.%Y"]),
)
def test_a_time_fits_its_schema_if_it_is_accepted(at: datetime, form: str) -> None:
    text = at.strftime(form)
    assume(not (at.month == 2 and at.day == 29))
    fits = re.fullmatch(times.BOUND_SCHEMA["pattern"], text, re.ASCII) is not None
    assert fits == (times.read(text) is not None)
