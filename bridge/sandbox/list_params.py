"""A query: the parameters of a listing, and the sessions that they name."""

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
"""The parameters that choose sessions."""

MAX_LEVELS = 4

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dialect:
    """How parameters are understood where the vendor's page leaves it open.

    Attributes:
        list_style: which form of a list of ids is understood: comma-separated, repeated, or both.
        fields: whether ``fields`` may name nested fields, or only a row's own, or does nothing.
        max_page_size: upper limit of ``page_size``; larger values are clamped to it.
    """

    list_style: Literal["csv", "repeat", "both"] = "both"
    fields: Literal["nested", "flat", "ignored"] = "nested"
    max_page_size: int = 100


@dataclass(frozen=True, slots=True)
class ListParams:
    """A listing's parameters, parsed.

    Attributes:
        ids: parameters and the ids that are wanted; one that was not given is missing.
        bounds: parameters and the times they name.
        statuses: which are wanted; only active ones when the parameter was left out.
        occupancy: which are wanted, any of them; empty for all.
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
        """Read the parameters; unknown ones are ignored. Raises Refusal (400)."""
        reader = _Reader(args)
        style = dialect.list_style
        longest = {"nested": math.inf, "flat": 1, "ignored": 0}[dialect.fields]
        most = dialect.max_page_size
        query = cls(
            ids=tuple((name, found) for name in IDS if (found := reader.integers(name, style))),
            bounds=tuple((name, edge) for name in BOUNDS if (edge := reader.moment(name))),
            statuses=frozenset(reader.choices("status", STATUSES) or STATUSES[:1]),
            occupancy=frozenset(reader.choices("occupancy_status", OCCUPANCY)),
            sort="".join(reader.choices("sort", ("start", "-start"))[:1]),
            page=reader.positive("page", 1),
            page_size=min(reader.positive("page_size", most), most),
            expand=reader.paths("expand"),
            fields=tuple(path for path in reader.paths("fields") if len(path) <= longest),
        )
        if len(dict(query.ids).get("instructors", ())) > 1:
            reader.problems["instructors"] = "Enter a whole number."
        reader.choices("format", ("json",))
        if reader.problems:
            raise ApiError(400, "A parameter is invalid.", fields=reader.problems)
        return query

    def select(self, tables: Tables) -> list[Row]:
        """The sessions that are named, in the order that was asked for; not to be changed."""
        return _select(replace(self, page=1), tables)

    def wants(self, row: Row, tables: Tables) -> bool:
        """Whether a session matches the query."""
        return (
            # a status nobody knows is filtered by nobody
            (row["status"] in self.statuses or row["status"] not in STATUSES)
            and all(wanted & _ids(row, name, tables) for name, wanted in self.ids)
            and all(_within(row, name, edge, tables) for name, edge in self.bounds)
            and (not self.occupancy or bool(self.occupancy & _occupancy(row)))
        )


# The pages of a walk share one selection: of thousands of sessions each would take a while.
@lru_cache(maxsize=16)
def _select(query: ListParams, tables: Tables) -> list[Row]:
    rows = [row for row in tables.sessions() if query.wants(row, tables)]
    if query.sort:
        early = datetime.min.replace(tzinfo=UTC)
        rows.sort(
            key=lambda row: tables.instant(row, "starts_at") or early,
            reverse=query.sort == "-start",
        )
    return rows


def _ids(row: Row, parameter: str, tables: Tables) -> frozenset[int]:
    if parameter == "instructors":
        return frozenset(map(id_of, row["instructors"]))
    if parameter == "offering_types":
        offering_type = tables.offering_type(row)
        return frozenset([offering_type["id"]] if offering_type else ())
    return frozenset([id_of(row["course" if parameter == "course" else "venue"])])


def _within(row: Row, parameter: str, edge: datetime, tables: Tables) -> bool:
    field, local = BOUNDS[parameter]
    instant = tables.instant(row, field)
    if instant is None:
        return True
    if local:
        instant = instant.replace(tzinfo=None)
    else:
        # Between two times of one zone Python compares wall clocks; in UTC it cannot.
        instant = instant.astimezone(UTC)
        edge = edge if edge.tzinfo else edge.replace(tzinfo=UTC)
    return instant >= edge if parameter.endswith("_gte") else instant <= edge


def _occupancy(row: Row) -> set[str]:
    attending, places = row["attending_count"], row["max_occupancy"]
    return {
        "full" if places and attending >= places else "not_full",
        "has_registrations" if attending else "empty",
        *(["has_waitlist"] if row.get("waiting_count") else []),
    }


class _Reader:
    """Reads parameters, and gathers what is wrong with them."""

    def __init__(self, args: "MultiDict[str, str]") -> None:
        self._args = args
        self.problems: dict[str, str] = {}

    def values(self, name: str, style: str = "both") -> list[str]:
        """Comma-separated and repeated alike unless *style* says otherwise, blanks left out."""
        given = self._args.getlist(name)[-1 if style == "csv" else 0 :]
        if style != "repeat":
            given = [part for value in given for part in value.split(",")]
        return [value.strip() for value in given if value.strip()]

    def integers(self, name: str, style: str) -> frozenset[int]:
        found = self.values(name, style)
        if all(_is_number(each) for each in found):
            return frozenset(int(each) for each in found)
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

    def choices(self, name: str, known: Iterable[str]) -> list[str]:
        found = self.values(name)
        for each in found:
            if each not in known:
                self.problems[name] = f"{each} is not one of the available choices."
        return found

    def moment(self, name: str) -> datetime | None:
        value = self._args.get(name, "").strip()
        if not value:
            return None
        try:
            # a bare date is no date-time, nor is one whose + was read as a space
            if "T" not in value or " " in value:
                raise ValueError
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.problems[name] = "Enter a valid date and time."
            return None
        _, local = BOUNDS[name]
        return moment.replace(tzinfo=None) if local else moment

    def paths(self, name: str) -> tuple[Path, ...]:
        found = tuple(tuple(each.split(".")) for each in self.values(name))
        if any(not part for path in found for part in path):
            self.problems[name] = "A path has an empty part."
        elif name == "expand" and any(len(path) > MAX_LEVELS for path in found):
            self.problems[name] = f"At most {MAX_LEVELS} levels can be expanded."
        return found


def _is_number(value: Any) -> bool:
    return len(value) < 19 and value.isascii() and value.isdigit()
