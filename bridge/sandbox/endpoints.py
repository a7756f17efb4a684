"""The table of TeamUp's lists, from which the API's endpoints are created."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["course_session", "event"]

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ListEndpoint:
    """An endpoint that lists classes. Compared by identity.

    Attributes:
        path: the URL path relative to the API's root; also the name of the list in `Faults`.
        object: the object name of its rows.
        offering_type: where a row holds its offering type.
        ids: parameter that takes ids → where a row holds them.
        single: those of these parameters that accept only one id.
        sort: the accepted values of ``sort``.
        max_page_size: the upper limit of ``page_size``, and its default.
        expand_includes: whether a field in ``expand`` is sent although ``fields`` does not name it.
        hash_in_colors: whether colours begin with ``#``.
        hides_past: whether customers see only the last few days of past classes.
    """

    path: str
    object: Kind
    offering_type: Path
    ids: Mapping[str, Path]
    single: frozenset[str]
    sort: tuple[str, ...]
    max_page_size: int
    expand_includes: bool
    hash_in_colors: bool
    hides_past: bool


COURSE_SESSIONS = ListEndpoint(
    path="course_sessions",
    object="course_session",
    offering_type=("course", "offering_type"),
    ids={
        "course": ("course",),
        "venues": ("venue",),
        "offering_types": ("course", "offering_type"),
        "instructors": ("instructors",),
    },
    single=frozenset({"instructors"}),
    sort=("start", "-start"),
    max_page_size=100,
    expand_includes=False,
    hash_in_colors=True,
    hides_past=False,
)
EVENTS = ListEndpoint(
    path="events",
    object="event",
    offering_type=("offering_type",),
    ids={
        "ids": ("id",),
        "venues": ("venue",),
        "offering_types": ("offering_type",),
        "category": ("offering_type", "category"),
        "instructors": ("instructors",),
    },
    single=frozenset(),
    sort=("start", "-start", "end", "-end"),
    max_page_size=250,
    expand_includes=True,
    hash_in_colors=False,
    hides_past=True,
)

ENDPOINTS = (COURSE_SESSIONS, EVENTS)
