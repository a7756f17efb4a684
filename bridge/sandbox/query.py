"""A query: the parameters of a listing, and the sessions that they name."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from werkzeug.datastructures import MultiDict

from bridge.sandbox.records import Row
from bridge.sandbox.refusal import Refusal
from bridge.sandbox.studio import Tables

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

MAX_PAGE_SIZE = 100
MAX_LEVELS = 4

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Query:
    """A listing's parameters, parsed.

    Attributes:
        ids: parameter → the ids that are wanted; a parameter that was not given is missing.
        bounds: parameter → the time it names.
        statuses: which are wanted; only active ones when the parameter was left out.
        occupancy: which are wanted, any of them; empty for all.
        sort: ``start``, ``-start``, or empty for the order of ids.
    """

    ids: dict[str, frozenset[int]]
    bounds: dict[str, datetime]
    statuses: frozenset[str]
    occupancy: frozenset[str]
    sort: str
    page: int
    page_size: int
    expand: tuple[Path, ...]
    fields: tuple[Path, ...]

    @classmethod
    def parse(cls, args: "MultiDict[str, str]") -> "Query":
        """Read the parameters; unknown ones are ignored. Raises Refusal (400)."""
        reader = _Reader(args)
        query = cls(
            ids={name: found for name in IDS if (found := reader.integers(name))},
            bounds={name: edge for name in BOUNDS if (edge := reader.moment(name))},
            statuses=frozenset(reader.choices("status", STATUSES) or STATUSES[:1]),
            occupancy=frozenset(reader.choices("occupancy_status", OCCUPANCY)),
            sort="".join(reader.choices("sort", ("start", "-start"))[:1]),
            page=reader.positive("page", 1),
            page_size=min(reader.positive("page_size", MAX_PAGE_SIZE), MAX_PAGE_SIZE),
            expand=reader.paths("expand"),
            fields=reader.paths("fields"),
        )
        if len(query.ids.get("instructors", ())) > 1:
            reader.problems["instructors"] = "Enter a whole number."
        reader.choices("format", ("json",))
        if reader.problems:
            raise Refusal(400, "A parameter is invalid.", fields=reader.problems)
        return query

    def select(self, tables: Tables) -> list[Row]:
        """The sessions that are named, in the order that was asked for."""
        rows = [row for row in tables.sessions() if self._wants(row, tables)]
        if self.sort:
            early = datetime.min.replace(tzinfo=UTC)
            rows.sort(
                key=lambda row: tables.instant(row, "starts_at") or early,
                reverse=self.sort == "-start",
            )
        return rows

    def _wants(self, row: Row, tables: Tables) -> bool:
        return (
            # a status nobody knows is filtered by nobody
            (row["status"] in self.statuses or row["status"] not in STATUSES)
            and all(wanted & _ids(row, name, tables) for name, wanted in self.ids.items())
            and all(_within(row, name, edge, tables) for name, edge in self.bounds.items())
            and (not self.occupancy or bool(self.occupancy & _occupancy(row)))
        )


def _ids(row: Row, parameter: str, tables: Tables) -> frozenset[int]:
    if parameter == "instructors":
        return frozenset(row["instructors"])
    if parameter == "offering_types":
        offering_type = tables.offering_type(row)
        return frozenset([offering_type["id"]] if offering_type else ())
    return frozenset([row["course" if parameter == "course" else "venue"]])


def _within(row: Row, parameter: str, edge: datetime, tables: Tables) -> bool:
    field, local = BOUNDS[parameter]
    instant = tables.instant(row, field)
    if instant is None:
        return True
    if local:
        instant, edge = instant.replace(tzinfo=None), edge.replace(tzinfo=None)
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

    def values(self, name: str) -> list[str]:
        """Comma-separated and repeated alike, blanks left out."""
        parts = (part.strip() for value in self._args.getlist(name) for part in value.split(","))
        return [part for part in parts if part]

    def integers(self, name: str) -> frozenset[int]:
        found = self.values(name)
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
            return datetime.fromisoformat(value)
        except ValueError:
            self.problems[name] = "Enter a valid date and time."
            return None

    def paths(self, name: str) -> tuple[Path, ...]:
        found = tuple(tuple(each.split(".")) for each in self.values(name))
        if any(not part for path in found for part in path):
            self.problems[name] = "A path has an empty part."
        elif name == "expand" and any(len(path) > MAX_LEVELS for path in found):
            self.problems[name] = f"At most {MAX_LEVELS} levels can be expanded."
        return found


def _is_number(value: Any) -> bool:
    return len(value) < 19 and value.isascii() and value.isdigit()
