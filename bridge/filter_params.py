"""Filters in addresses: the query parameters that select sessions."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import time
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs

from bridge import times
from bridge.errors import ParameterError, quoted
from bridge.filters import FilterSet, Occupancy, Weekday
from bridge.model import SourceName, Status
from bridge.param_values import Parameter, numbers, single, some_of, whole_number
from bridge.times import Edge, bound

MAX_DAYS = 365
MAX_ID = 2**63 - 1


def _time_of_day(meaning: str) -> Parameter:
    return Parameter(
        meaning,
        lambda name, texts: times.time_of_day(name, single(name, texts)),
        {"type": "string", "pattern": f"^{times.TIME_OF_DAY}$"},
    )


def _bound(meaning: str, edge: Edge, *, local: bool = False) -> Parameter:
    return Parameter(
        f"{meaning} A date (`2026-12-01`), or an RFC 3339 time (`2026-12-01T18:00:00Z`); it"
        " replaces the default window on its side.",
        lambda name, texts: bound(name, single(name, texts), edge=edge, local=local),
        times.BOUND_SCHEMA,
    )


_NAMED: Mapping[str, Parameter] = {
    "sources": some_of(
        "Ordinary classes (`events`) or sessions of courses; by default both.", SourceName
    ),
    "course": numbers("Ids of courses.", most=MAX_ID),
    "venues": numbers("Ids of venues.", most=MAX_ID),
    "rooms": numbers("Ids of rooms.", most=MAX_ID),
    "instructors": numbers("Ids of instructors.", most=MAX_ID),
    "offering_types": numbers("Ids of class types.", most=MAX_ID),
    "category": numbers("Ids of categories of class types.", most=MAX_ID),
    "status": some_of("By default both.", Status),
    "occupancy_status": some_of(
        "How booked a session is. Only values that the studio publishes are accepted.", Occupancy
    ),
    "weekdays": some_of("The days on which sessions start, in their venue's time.", Weekday),
    "time_from": _time_of_day(
        "Sessions start at or after this time of day, in their venue's time."
    ),
    "time_until": _time_of_day(
        "Sessions start before this time of day; `00:00` is the end of the day. If it is before"
        " `time_from`, the range goes past midnight."
    ),
    "past": whole_number(
        "The window begins so many whole days before today; 0 is today.", most=MAX_DAYS
    ),
    "future": whole_number(
        "The window ends so many whole days after today; 0 is today.", most=MAX_DAYS
    ),
    "starts_at_gte": _bound("Sessions start at or after it.", Edge.FIRST),
    "starts_at_lte": _bound("Sessions start at or before it.", Edge.LAST),
    "ends_at_gte": _bound("Sessions end at or after it.", Edge.FIRST),
    "ends_at_lte": _bound("Sessions end at or before it.", Edge.LAST),
    "local_starts_at_gte": _bound(
        "Sessions start at or after it, in their venue's time.", Edge.FIRST, local=True
    ),
    "local_starts_at_lte": _bound(
        "Sessions start at or before it, in their venue's time.", Edge.LAST, local=True
    ),
}

ALIASES: Mapping[str, str] = {"start_gte": "starts_at_gte", "start_lte": "starts_at_lte"}
"""Second names of parameters, which TeamUp has as well."""

PARAMETERS: Mapping[str, Parameter] = {
    **_NAMED,
    **{
        alias: replace(_NAMED[name], meaning=f"The same as `{name}`.")
        for alias, name in ALIASES.items()
    },
}
"""By name. Each sets the field with its name, or with the name that it stands for."""


def parse_filters(
    values: Mapping[str, Sequence[str]],
    *,
    past: int | None,
    future: int | None,
    fixed: Mapping[str, int] = MappingProxyType({}),
) -> FilterSet:
    """Create the filter set of a feed from its query parameters.

    Args:
        values: the values of each parameter in the query; see :data:`PARAMETERS`.
        past, future: the default window in days, for a side without other bounds.
        fixed: ids that are set by the feed's path, by field.

    Raises:
        ParameterError: a value, or a combination of values, is invalid.
    """
    parsed: dict[str, Any] = {}
    for field, identity in fixed.items():
        if field in values:
            raise ParameterError(field, f"{field}: the address already sets it; leave it out")
        parsed[field] = (identity,)
    for name, texts in values.items():
        if name not in PARAMETERS:
            accepted = ", ".join(PARAMETERS)
            raise ParameterError(name, f"unknown filter {quoted(name)}; accepted: {accepted}")
        field = ALIASES.get(name, name)
        if field in parsed:
            raise ParameterError(name, f"{name}: given twice, under two names; use one")
        parsed[field] = PARAMETERS[name].parse(name, texts)
    for side, default, suffix in (("past", past, "_gte"), ("future", future, "_lte")):
        absolute = sorted(name for name in parsed if name.endswith(suffix))
        if absolute and side in parsed:
            raise ParameterError(
                side, f"{side}: cannot be combined with {absolute[0]}; use one of them"
            )
        if not absolute:
            parsed.setdefault(side, default)
    if parsed.get("time_until") == time() and parsed.get("time_from", time()) == time():
        # Midnight ends the day, so every time of day matches.
        parsed = {**parsed, "time_from": None, "time_until": None}
    _check_order(parsed)
    return FilterSet.of(**parsed)


def filters_of_key(key: str) -> FilterSet:
    """The filter set whose :attr:`~FilterSet.key` is *key*.

    Raises:
        ParameterError: it is not a key.
    """
    return parse_filters(parse_qs(key), past=None, future=None)


def _check_order(parsed: Mapping[str, Any]) -> None:
    if parsed.get("time_from") is not None and parsed["time_from"] == parsed.get("time_until"):
        raise ParameterError(
            "time_until", "time_until: equals time_from, so no session can match; change one"
        )
    for first, last in (
        ("starts_at_gte", "starts_at_lte"),
        ("ends_at_gte", "ends_at_lte"),
        ("starts_at_gte", "ends_at_lte"),
        ("local_starts_at_gte", "local_starts_at_lte"),
        ("local_starts_at_gte", "starts_at_lte"),
        ("local_starts_at_gte", "ends_at_lte"),
        ("starts_at_gte", "local_starts_at_lte"),
    ):
        low, high = parsed.get(first), parsed.get(last)
        if low is None or high is None or (low.tzinfo is None) != (high.tzinfo is None):
            continue
        if low > high:
            raise ParameterError(
                first, f"{first}: is after {last}, so no session can match; change one"
            )
