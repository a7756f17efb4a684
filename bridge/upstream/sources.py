"""The table of sources: what can be asked of TeamUp, and under which names."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from bridge.config import ListStyle
from bridge.filters import FilterSet, Occupancy
from bridge.model import Status

PAGE_SIZE = 100

# A window is asked for by start, the one bound that the vendor's page types and describes. What
# began before it and is still under way would be missed, so the edge is moved back.
_UNDER_WAY = timedelta(days=7)
# Local times are asked for as instants, which leaves no doubt about the zone: the earliest zone
# is 14 hours ahead of UTC, the latest 12 behind.
_EARLIEST, _LATEST = timedelta(hours=14), timedelta(hours=12)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One list that TeamUp keeps sessions in.

    Attributes:
        path: below the base address.
        object: the vendor's name for a row, and part of a session's identity.
        expand: what is asked to come as an object instead of an id.
        offering_type: where the offering type stands in a row.
        fields: what is read of a row, in the vendor's dot notation.
        filters: the vendor's parameter for each field of a filter set.
        single: the parameters among them that take one value only.
    """

    path: str
    object: str
    expand: tuple[str, ...]
    offering_type: tuple[str, ...]
    fields: tuple[str, ...]
    filters: Mapping[str, str]
    single: frozenset[str]


_VENUE = "id name address physical_address timezone venue_type is_online lat lng video_url".split()
_TYPE = "id name description category background_color customer_visibility is_draft".split()


def _offering_type_fields(prefix: str) -> tuple[str, ...]:
    plain = tuple(f"{prefix}.{name}" for name in _TYPE if name != "category")
    return (*plain, f"{prefix}.category.id", f"{prefix}.category.name")


COURSE_SESSIONS = Source(
    path="course_sessions",
    object="course_session",
    expand=("venue", "instructors", "course.offering_type.category"),
    offering_type=("course", "offering_type"),
    fields=(
        *["id", "name", "starts_at", "ends_at", "status", "attending_count", "max_occupancy"],
        *["customer_url", "provider_url"],
        *(f"venue.{name}" for name in _VENUE),
        "instructors.id",
        "instructors.name",
        "course.id",
        "course.name",
        *_offering_type_fields("course.offering_type"),
    ),
    filters={
        "course": "course",
        "venues": "venues",
        "instructors": "instructors",
        "offering_types": "offering_types",
        "status": "status",
        "occupancy_status": "occupancy_status",
    },
    single=frozenset({"instructors"}),
)


def questions(
    source: Source, filter_set: FilterSet, day: date, style: ListStyle
) -> Iterator[list[tuple[str, str]]]:
    """The parameters of each walk whose rows together answer *filter_set*.

    One walk, except where a parameter takes a single value and several are wanted.

    Args:
        day: the UTC day against which a relative window is resolved.
    """
    common: list[tuple[str, str]] = [("sort", "start"), ("page_size", str(PAGE_SIZE))]
    repeated: list[tuple[str, list[str]]] = [("", [])]
    for name, values in _values(filter_set).items():
        parameter = source.filters[name]
        if parameter in source.single:
            repeated = [(parameter, [value]) for value in values]
        elif style is ListStyle.CSV:
            common.append((parameter, ",".join(values)))
        else:
            common.extend((parameter, value) for value in values)
    common.extend(_bounds(filter_set, day))
    for parameter, single in repeated:
        yield [*common, *((parameter, value) for value in single)]


def _values(filter_set: FilterSet) -> dict[str, list[str]]:
    values = {
        name: [str(one) for one in getattr(filter_set, name)]
        for name in ("course", "venues", "instructors", "offering_types")
    }
    # What upstream takes for granted about the status is not known: say it.
    values["status"] = [one.value for one in filter_set.status or tuple(Status)]
    # The counts decide all but the waitlist here, and by one definition.
    if Occupancy.HAS_WAITLIST in filter_set.occupancy_status:
        values["occupancy_status"] = [one.value for one in filter_set.occupancy_status]
    return {name: listed for name, listed in values.items() if listed}


def _bounds(filter_set: FilterSet, day: date) -> Iterator[tuple[str, str]]:
    earliest, latest = filter_set.window(day)
    first = [filter_set.starts_at_gte, _instant(filter_set.local_starts_at_gte, -_EARLIEST)]
    last = [filter_set.starts_at_lte, _instant(filter_set.local_starts_at_lte, _LATEST), latest]
    if earliest is not None:
        first.append(earliest - _UNDER_WAY)
    for parameter, bound in (
        ("starts_at_gte", max((one for one in first if one), default=None)),
        ("starts_at_lte", min((one for one in last if one), default=None)),
        ("ends_at_gte", filter_set.ends_at_gte),
        ("ends_at_lte", filter_set.ends_at_lte),
    ):
        if bound is not None:
            yield parameter, bound.strftime("%Y-%m-%dT%H:%M:%SZ")


def _instant(bound: datetime | None, slack: timedelta) -> datetime | None:
    """A local bound as an instant that surely lies outside of it."""
    if bound is None or bound.tzinfo is not None:
        return bound
    return bound.replace(tzinfo=UTC) + slack
