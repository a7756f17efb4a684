"""The table of sources: TeamUp's lists of sessions, with the vendor's paths, fields and filters."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from bridge.config import ListStyle
from bridge.filters import FilterSet, Occupancy
from bridge.model import Status

PAGE_SIZE = 100

# A window is requested by start, the only bound that the vendor's page types and describes. The
# bound is moved back, because sessions that began before the window may still be under way in it.
_MAX_DURATION = timedelta(days=7)
# Bounds in local time are requested as UTC times, which are unambiguous: the earliest zone is 14
# hours ahead of UTC, the latest 12 hours behind.
_MAX_AHEAD, _MAX_BEHIND = timedelta(hours=14), timedelta(hours=12)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """An endpoint of TeamUp that lists sessions.

    Attributes:
        path: the path relative to the base URL.
        object: the vendor's name for a row, and part of a session's identity.
        expand: the fields that are requested as objects instead of ids.
        offering_type: the path of the offering type in a row.
        fields: the fields that are read from a row, in the vendor's dot notation.
        filters: the vendor's parameter for each field of a filter set.
        single: those vendor parameters that accept only one value.
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


def walk_params(
    source: Source, filter_set: FilterSet, day: date, style: ListStyle
) -> Iterator[list[tuple[str, str]]]:
    """The query parameters of the walks whose rows together contain the sessions of *filter_set*.

    There is one walk, or several if a parameter that accepts one value has several.

    Args:
        day: the UTC day against which a relative window is resolved.
        style: how a parameter with several values is sent.
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
        name: [str(identity) for identity in getattr(filter_set, name)]
        for name in ("course", "venues", "instructors", "offering_types")
    }
    # Always sent, because upstream's default for the status is unknown.
    values["status"] = [status.value for status in filter_set.status or tuple(Status)]
    # All but the waitlist is evaluated here, by the counts, so that there is only one definition.
    if Occupancy.HAS_WAITLIST in filter_set.occupancy_status:
        values["occupancy_status"] = [status.value for status in filter_set.occupancy_status]
    return {name: texts for name, texts in values.items() if texts}


def _bounds(filter_set: FilterSet, day: date) -> Iterator[tuple[str, str]]:
    earliest, latest = filter_set.window(day)
    lower = [filter_set.starts_at_gte, _as_utc(filter_set.local_starts_at_gte, -_MAX_AHEAD)]
    upper = [filter_set.starts_at_lte, _as_utc(filter_set.local_starts_at_lte, _MAX_BEHIND), latest]
    if earliest is not None:
        lower.append(earliest - _MAX_DURATION)
    for parameter, bound in (
        ("starts_at_gte", max((bound for bound in lower if bound), default=None)),
        ("starts_at_lte", min((bound for bound in upper if bound), default=None)),
        ("ends_at_gte", filter_set.ends_at_gte),
        ("ends_at_lte", filter_set.ends_at_lte),
    ):
        if bound is not None:
            yield parameter, bound.strftime("%Y-%m-%dT%H:%M:%SZ")


def _as_utc(bound: datetime | None, margin: timedelta) -> datetime | None:
    """*bound* in UTC. To a naive bound the margin is added, so that no zone's sessions are lost."""
    if bound is None or bound.tzinfo is not None:
        return bound
    return bound.replace(tzinfo=UTC) + margin
