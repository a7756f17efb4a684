"""Query parameters of the list endpoint: parsing, filtering and sorting."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal

from werkzeug.datastructures import MultiDict

from bridge.sandbox.api_error import ApiError
from bridge.sandbox.records import Row
from bridge.sandbox.studio import Tables, id_of

STATUSES = ("active", "cancelled")
OCCUPANCY = ("full", "not_full", "has_registrations", "has_waitlist", "empty")
IDS = ("course", "venues", "offering_types", "instructors")
# parameter → the session's field, and whether the venue's wall clock is compared
BOUNDS = {
    f"{prefix}_{edge}": (field, local)
    for prefix, field, local in (
        ("start", "starts_at", False),
        ("starts_at", "starts_at", False),
        ("ends_at", "ends_at", False),
        ("local_starts_at", "starts_at", True),
    )
    for edge in ("gte", "lte")
}
FILTERS = (*IDS, *BOUNDS, "status", "occupancy_status")
"""The parameters that filter sessions."""

MAX_LEVELS = 4

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dialect:
    """How parameters are parsed where TeamUp's documentation leaves it open.

    Attributes:
        list_style: the accepted form of a list of ids: comma-separated, repeated, or both.
        fields: whether ``fields`` accepts nested fields, only top-level ones, or is ignored.
        max_page_size: upper limit of ``page_size``; larger values are clamped to it.
    """

    list_style: Literal["csv", "repeat", "both"] = "both"
    fields: Literal["nested", "flat", "ignored"] = "nested"
    max_page_size: int = 100


@dataclass(frozen=True, slots=True)
class ListParams:
    """The parsed parameters of a request.

    Attributes:
        ids: (parameter, accepted ids) for each parameter that was given.
        bounds: (parameter, time) for each parameter that was given.
        statuses: accepted statuses; only ``active`` by default.
        occupancy: accepted occupancy states; empty for all.
        sort: ``start``, ``-start``, or empty for the order of ids.
    """

    ids: tuple[tuple[str, frozenset[int]], ...]
    bounds: tuple[tuple[str, datetime], ...]
    statuses: frozenset[str]
    occupancy: frozenset[str]
    sort: str
    page: int
    page_size: int
    expand: tuple[Path, ...]
    fields: tuple[Path, ...]

    @classmethod
    def parse(cls, args: "MultiDict[str, str]", dialect: Dialect) -> "ListParams":
        """Parse *args*; unknown parameters are ignored. Raises ApiError (400)."""
        reader = _Reader(args)
        style = dialect.list_style
        max_depth = {"nested": math.inf, "flat": 1, "ignored": 0}[dialect.fields]
        max_size = dialect.max_page_size
        params = cls(
            ids=tuple((name, ids) for name in IDS if (ids := reader.integers(name, style))),
            bounds=tuple((name, bound) for name in BOUNDS if (bound := reader.date_time(name))),
            statuses=frozenset(reader.choices("status", STATUSES) or STATUSES[:1]),
            occupancy=frozenset(reader.choices("occupancy_status", OCCUPANCY)),
            sort="".join(reader.choices("sort", ("start", "-start"))[:1]),
            page=reader.positive("page", 1),
            page_size=min(reader.positive("page_size", max_size), max_size),
            expand=reader.paths("expand"),
            fields=tuple(path for path in reader.paths("fields") if len(path) <= max_depth),
        )
        if len(dict(params.ids).get("instructors", ())) > 1:
            reader.problems["instructors"] = "Enter a whole number."
        reader.choices("format", ("json",))
        if reader.problems:
            raise ApiError(400, "A parameter is invalid.", fields=reader.problems)
        return params

    def select(self, tables: Tables) -> list[Row]:
        """Return the matching sessions in the requested order. The list must not be changed."""
        return _select(replace(self, page=1), tables)

    def matches(self, row: Row, tables: Tables) -> bool:
        """Whether a session passes the filters."""
        return (
            # An undocumented status passes every filter.
            (row["status"] in self.statuses or row["status"] not in STATUSES)
            and all(accepted & _ids(row, name, tables) for name, accepted in self.ids)
            and all(_within(row, name, bound, tables) for name, bound in self.bounds)
            and (not self.occupancy or bool(self.occupancy & _occupancy(row)))
        )


# Cached: the pages of one walk need the same selection, which is slow with thousands of sessions.
@lru_cache(maxsize=16)
def _select(params: ListParams, tables: Tables) -> list[Row]:
    rows = [row for row in tables.sessions() if params.matches(row, tables)]
    if params.sort:
        earliest = datetime.min.replace(tzinfo=UTC)
        rows.sort(
            key=lambda row: tables.instant(row, "starts_at") or earliest,
            reverse=params.sort == "-start",
        )
    return rows


def _ids(row: Row, parameter: str, tables: Tables) -> frozenset[int]:
    if parameter == "instructors":
        return frozenset(map(id_of, row["instructors"]))
    if parameter == "offering_types":
        offering_type = tables.offering_type(row)
        return frozenset([offering_type["id"]] if offering_type else ())
    return frozenset([id_of(row["course" if parameter == "course" else "venue"])])


def _within(row: Row, parameter: str, bound: datetime, tables: Tables) -> bool:
    field, local = BOUNDS[parameter]
    instant = tables.instant(row, field)
    if instant is None:
        return True
    if local:
        instant = instant.replace(tzinfo=None)
    else:
        # In UTC: Python compares two times of the same zone by wall clock.
        instant = instant.astimezone(UTC)
        bound = bound if bound.tzinfo else bound.replace(tzinfo=UTC)
    return instant >= bound if parameter.endswith("_gte") else instant <= bound


def _occupancy(row: Row) -> set[str]:
    attending, places = row["attending_count"], row["max_occupancy"]
    return {
        "full" if places and attending >= places else "not_full",
        "has_registrations" if attending else "empty",
        *(["has_waitlist"] if row.get("waiting_count") else []),
    }


class _Reader:
    """Parses single parameters; collects errors in `problems`."""

    def __init__(self, args: "MultiDict[str, str]") -> None:
        self._args = args
        self.problems: dict[str, str] = {}

    def values(self, name: str, style: str = "both") -> list[str]:
        """Return the values of a list in the form *style* (see `Dialect`), without blank ones."""
        values = self._args.getlist(name)[-1 if style == "csv" else 0 :]
        if style != "repeat":
            values = [part for value in values for part in value.split(",")]
        return [value.strip() for value in values if value.strip()]

    def integers(self, name: str, style: str) -> frozenset[int]:
        values = self.values(name, style)
        if all(_is_number(value) for value in values):
            return frozenset(int(value) for value in values)
        self.problems[name] = "Enter a whole number."
        return frozenset()

    def positive(self, name: str, default: int) -> int:
        value = self._args.get(name, "").strip()
        if not value:
            return default
        if _is_number(value) and int(value) > 0:
            return int(value)
        self.problems[name] = "Enter a whole number of 1 or more."
        return default

    def choices(self, name: str, available: Iterable[str]) -> list[str]:
        values = self.values(name)
        for value in values:
            if value not in available:
                self.problems[name] = f"{value} is not one of the available choices."
        return values

    def date_time(self, name: str) -> datetime | None:
        value = self._args.get(name, "").strip()
        if not value:
            return None
        try:
            # Invalid: a date without a time, and a time whose + was decoded as a space.
            if "T" not in value or " " in value:
                raise ValueError
            parsed = datetime.fromisoformat(value)
        except ValueError:
            self.problems[name] = "Enter a valid date and time."
            return None
        _, local = BOUNDS[name]
        return parsed.replace(tzinfo=None) if local else parsed

    def paths(self, name: str) -> tuple[Path, ...]:
        paths = tuple(tuple(value.split(".")) for value in self.values(name))
        if any(not part for path in paths for part in path):
            self.problems[name] = "A path has an empty part."
        elif name == "expand" and any(len(path) > MAX_LEVELS for path in paths):
            self.problems[name] = f"At most {MAX_LEVELS} levels can be expanded."
        return paths


def _is_number(value: Any) -> bool:
    return len(value) < 19 and value.isascii() and value.isdigit()
