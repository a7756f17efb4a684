"""Query parameters of the list endpoints: parsing, filtering and sorting."""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal

from werkzeug.datastructures import MultiDict

from bridge.sandbox.api_error import ApiError
from bridge.sandbox.endpoints import ENDPOINTS, ListEndpoint, Path
from bridge.sandbox.records import Row
from bridge.sandbox.studio import Tables, id_of

STATUSES = ("active", "cancelled")
OCCUPANCY = ("full", "not_full", "has_registrations", "has_waitlist", "empty")
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
IDS = frozenset(name for endpoint in ENDPOINTS for name in endpoint.ids)
FILTERS = (*IDS, *BOUNDS, "status", "occupancy_status")
"""The parameters that filter a list."""

SORT_FIELDS = {"start": "starts_at", "end": "ends_at"}
MAX_LEVELS = 4


@dataclass(frozen=True, slots=True)
class Dialect:
    """How parameters are parsed where TeamUp's documentation leaves it open.

    Attributes:
        list_style: the accepted form of a list of ids: comma-separated, repeated, or both.
        fields: whether ``fields`` accepts nested fields, only top-level ones, or is ignored.
        max_page_size: upper limit of ``page_size``, of all lists or path of a list → its limit;
            other lists have their own.
        over_limit: whether a larger ``page_size`` is clamped or refused with 400.
        ignored: parameters without effect, such as ``ids``.
    """

    list_style: Literal["csv", "repeat", "both"] = "both"
    fields: Literal["nested", "flat", "ignored"] = "nested"
    max_page_size: int | Mapping[str, int] | None = None
    over_limit: Literal["clamp", "refuse"] = "clamp"
    ignored: Collection[str] = ()

    def page_limit(self, endpoint: ListEndpoint) -> int:
        """Return the upper limit of ``page_size`` for a list."""
        if isinstance(self.max_page_size, int):
            return self.max_page_size
        return (self.max_page_size or {}).get(endpoint.path, endpoint.max_page_size)


@dataclass(frozen=True, slots=True)
class ListParams:
    """The parsed parameters of a request.

    Attributes:
        endpoint: the requested list.
        ids: (parameter, accepted ids) for each parameter that was given.
        bounds: (parameter, time) for each parameter that was given.
        statuses: accepted statuses; only ``active`` by default.
        occupancy: accepted occupancy states; empty for all.
        sort: a value that the endpoint accepts, or empty for the order of ids.
    """

    endpoint: ListEndpoint
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
    def parse(
        cls, args: "MultiDict[str, str]", dialect: Dialect, endpoint: ListEndpoint
    ) -> "ListParams":
        """Parse *args*; unknown parameters are ignored. Raises ApiError (400)."""
        reader = _Reader(args, dialect.ignored)
        params = cls(
            endpoint=endpoint,
            ids=tuple(
                (name, ids)
                for name in endpoint.ids
                if (ids := reader.ids(name, dialect.list_style, endpoint)) is not None
            ),
            bounds=tuple((name, bound) for name in BOUNDS if (bound := reader.date_time(name))),
            statuses=frozenset(reader.choices("status", STATUSES) or STATUSES[:1]),
            occupancy=frozenset(reader.choices("occupancy_status", OCCUPANCY)),
            sort="".join(reader.choices("sort", endpoint.sort)[:1]),
            page=reader.positive("page", 1),
            page_size=reader.page_size(dialect.page_limit(endpoint), dialect.over_limit),
            expand=reader.paths("expand"),
            fields=_accepted_fields(reader.paths("fields"), dialect),
        )
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
            and all(self._has_id(row, name, accepted, tables) for name, accepted in self.ids)
            and all(_within(row, name, bound, tables) for name, bound in self.bounds)
            and (not self.occupancy or bool(self.occupancy & _occupancy(row)))
        )

    def _has_id(self, row: Row, parameter: str, accepted: frozenset[int], tables: Tables) -> bool:
        related = tables.related(self.endpoint.object, row, self.endpoint.ids[parameter])
        return not accepted.isdisjoint(map(id_of, related))


# Cached: the pages of one walk need the same selection, which is slow with thousands of sessions.
@lru_cache(maxsize=32)
def _select(params: ListParams, tables: Tables) -> list[Row]:
    rows = tables.sessions(params.endpoint.object)
    rows = [row for row in rows if params.matches(row, tables)]
    if params.sort:
        earliest = datetime.min.replace(tzinfo=UTC)
        field = SORT_FIELDS[params.sort.removeprefix("-")]
        rows.sort(
            key=lambda row: tables.instant(row, field) or earliest,
            reverse=params.sort.startswith("-"),
        )
    return rows


def _accepted_fields(paths: tuple[Path, ...], dialect: Dialect) -> tuple[Path, ...]:
    max_depth = {"nested": math.inf, "flat": 1, "ignored": 0}[dialect.fields]
    return tuple(path for path in paths if len(path) <= max_depth)


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
    """Parses single parameters, except *ignored* ones; collects errors in `problems`."""

    def __init__(self, args: "MultiDict[str, str]", ignored: Collection[str]) -> None:
        self._args = MultiDict(
            (name, value) for name, value in args.items(multi=True) if name not in ignored
        )
        self.problems: dict[str, str] = {}

    def values(self, name: str, style: str = "both") -> list[str]:
        """Return the values of a list in the form *style* (see `Dialect`), without blank ones."""
        values = self._args.getlist(name)[-1 if style == "csv" else 0 :]
        if style != "repeat":
            values = [part for value in values for part in value.split(",")]
        return [value.strip() for value in values if value.strip()]

    def ids(self, name: str, style: str, endpoint: ListEndpoint) -> frozenset[int] | None:
        """Return the ids that a parameter accepts; None if it is not given."""
        values = self.values(name, style)
        single = name in endpoint.single
        if name == "instructors" and not single and values == ["me"]:
            # The sandbox's token is not an instructor's.
            return frozenset()
        ids = frozenset(int(value) for value in values if _is_number(value))
        if not all(map(_is_number, values)) or (single and len(ids) > 1):
            self.problems[name] = "Enter a whole number."
        return ids if values else None

    def page_size(self, limit: int, over_limit: str) -> int:
        size = self.positive("page_size", limit)
        if size > limit and over_limit == "refuse":
            self.problems["page_size"] = f"Enter a whole number of at most {limit}."
        return min(size, limit)

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
    return len(value) < 20 and value.isascii() and value.isdigit() and int(value) < 2**63
