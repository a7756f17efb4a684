"""The table of sources: TeamUp's lists of sessions, with the vendor's paths, fields and filters."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from bridge.config import ListStyle
from bridge.filters import FilterSet
from bridge.model import SourceName, Status
from bridge.times import utc_text

SMALL_PAGE = 100
"""The page size that TeamUp accepts everywhere."""

MAX_DURATION = timedelta(days=31)
"""How long before a window sessions of it may begin, to be found: a month, for camps and trainings.

A window is requested by start, the only bound that the vendor's page types and describes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """An endpoint of TeamUp that lists sessions.

    Attributes:
        path: the path relative to the base URL.
        page_size: the most rows that a page may have, according to the vendor.
        expand: the fields that are requested as objects instead of ids.
        offering_type: the path of the offering type in a row.
        fields: the fields that are read from a row, in the vendor's dot notation.
        filters: the fields of a filter set for which upstream has a parameter of the same name.
        single: those vendor parameters that accept only one value.
        absent: the fields of a filter set that no row of this source can match.
        forbidden: the fields of a row that must not be read.
        may_lack_venue: whether a row without the field has no venue.
        states_waitlist: whether rows contain the length of the waiting list.
        by_ids: whether rows can be requested by their ids.
    """

    name: SourceName
    path: str
    page_size: int = SMALL_PAGE
    expand: tuple[str, ...]
    offering_type: tuple[str, ...]
    fields: tuple[str, ...]
    filters: frozenset[str]
    single: frozenset[str]
    absent: frozenset[str]
    forbidden: frozenset[str] = frozenset()
    may_lack_venue: bool = False
    states_waitlist: bool = False
    by_ids: bool = False


_VENUE = "id name address physical_address timezone venue_type is_online lat lng video_url".split()
_TYPE = (
    "id name description background_color customer_visibility is_draft category.id category.name"
).split()


COURSE_SESSIONS = Source(
    name=SourceName.COURSE_SESSIONS,
    path="course_sessions",
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
        *(f"course.offering_type.{name}" for name in _TYPE),
    ),
    filters=frozenset({"course", "venues", "instructors", "offering_types"}),
    single=frozenset({"instructors"}),
    absent=frozenset({"rooms"}),
)

EVENTS = Source(
    name=SourceName.EVENTS,
    path="events",
    page_size=250,
    expand=(
        "venue",
        "venue_room",
        "instructors",
        "offering_type.category",
        "offering_type.registration_timelines",
    ),
    offering_type=("offering_type",),
    fields=(
        *["id", "name", "starts_at", "ends_at", "status", "attending_count", "max_occupancy"],
        *["waiting_count", "is_appointment", "description", "customer_url", "provider_url"],
        *["registrations_open_at", "overriden_registration_timelines"],
        *(f"venue.{name}" for name in _VENUE),
        "venue_room.id",
        "venue_room.name",
        "instructors.id",
        "instructors.name",
        *(f"offering_type.{name}" for name in _TYPE),
        "offering_type.registration_timelines",
    ),
    filters=frozenset({"venues", "instructors", "offering_types", "category"}),
    # The vendor's text says several, its schema one.
    single=frozenset({"instructors"}),
    absent=frozenset({"course"}),
    # It expands to the names and addresses of customers.
    forbidden=frozenset({"small_session_attendances"}),
    may_lack_venue=True,
    states_waitlist=True,
    by_ids=True,
)

SOURCES: Mapping[SourceName, Source] = {source.name: source for source in (EVENTS, COURSE_SESSIONS)}
"""The table of sources."""


def walk_params(
    source: Source, filter_set: FilterSet, day: date, style: ListStyle
) -> Iterator[list[tuple[str, str]]]:
    """The query parameters of the walks whose rows together contain the sessions of *filter_set*.

    There is one walk, or several if a parameter that accepts one value has several.

    Args:
        day: the UTC day against which a relative window is resolved.
        style: how a parameter with several values is sent.
    """
    common: list[tuple[str, str]] = [("sort", "start")]
    repeated: list[tuple[str, list[str]]] = [("", [])]
    for parameter, values in _values(source, filter_set).items():
        if parameter in source.single:
            repeated = [(parameter, [value]) for value in values]
        else:
            common.extend(_as_params(parameter, values, style))
    common.extend(_bounds(filter_set, day))
    for parameter, single in repeated:
        yield [*common, *((parameter, value) for value in single)]


def id_params(ids: Iterable[int], style: ListStyle) -> list[tuple[str, str]]:
    """The query parameters that request rows by their ids, from a source that can do so."""
    texts = [str(id) for id in sorted(ids)]
    statuses = [status.value for status in Status]
    return [
        ("sort", "start"),
        *_as_params("ids", texts, style),
        *_as_params("status", statuses, style),
    ]


def _as_params(parameter: str, values: list[str], style: ListStyle) -> list[tuple[str, str]]:
    if style is ListStyle.CSV:
        return [(parameter, ",".join(values))]
    return [(parameter, value) for value in values]


def _values(source: Source, filter_set: FilterSet) -> dict[str, list[str]]:
    values = {
        name: [str(id) for id in getattr(filter_set, name)] for name in sorted(source.filters)
    }
    # Always sent, because upstream's default for the status is unknown.
    values["status"] = [status.value for status in filter_set.status or tuple(Status)]
    # All that rows tell is evaluated here, by the counts, so that there is only one definition.
    if filter_set.by_waitlist and not source.states_waitlist:
        values["occupancy_status"] = [status.value for status in filter_set.occupancy_status]
    return {name: texts for name, texts in values.items() if texts}


def _bounds(filter_set: FilterSet, day: date) -> Iterator[tuple[str, str]]:
    earliest, latest = filter_set.widest_window(day)
    local_earliest, local_latest = filter_set.widest_local_bounds
    lower = [filter_set.starts_at_gte, local_earliest]
    upper = [filter_set.starts_at_lte, local_latest, latest]
    if earliest is not None:
        lower.append(earliest - MAX_DURATION)
    for parameter, bound in (
        ("starts_at_gte", max((bound for bound in lower if bound), default=None)),
        ("starts_at_lte", min((bound for bound in upper if bound), default=None)),
        ("ends_at_gte", filter_set.ends_at_gte),
        ("ends_at_lte", filter_set.ends_at_lte),
    ):
        if bound is not None:
            yield parameter, utc_text(bound)
