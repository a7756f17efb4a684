"""The catalogue: the venues, instructors, courses and types that an audience may see."""

from collections.abc import Iterable
from dataclasses import dataclass

from bridge.feeds.selection import hidden_reason
from bridge.feeds.spec import Audience
from bridge.model import ClassSession
from bridge.text_cleanup import folded


@dataclass(frozen=True, slots=True)
class CatalogueItem:
    """A venue, instructor, course or type."""

    name: str
    identity: int


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All items that have at least one visible session, sorted by name."""

    venues: tuple[CatalogueItem, ...]
    instructors: tuple[CatalogueItem, ...]
    courses: tuple[CatalogueItem, ...]
    types: tuple[CatalogueItem, ...]


def catalogue_of(sessions: Iterable[ClassSession], audience: Audience) -> Catalogue:
    """The catalogue of those *sessions* that *audience* may see."""
    venues: dict[int, str] = {}
    instructors: dict[int, str] = {}
    courses: dict[int, str] = {}
    types: dict[int, str] = {}
    for session in sessions:
        if hidden_reason(session, audience) is not None:
            continue
        if session.venue:
            venues[session.venue.id] = session.venue.name or f"Venue {session.venue.id}"
        for person in session.instructors:
            instructors[person.id] = person.name or f"Instructor {person.id}"
        if session.course:
            courses[session.course.id] = session.course.name or session.title
        kind = session.offering_type
        if kind and kind.id is not None:
            types[kind.id] = kind.name or session.title
    return Catalogue(*(_sorted_items(names) for names in (venues, instructors, courses, types)))


def _sorted_items(names: dict[int, str]) -> tuple[CatalogueItem, ...]:
    items = sorted(names.items(), key=lambda item: (folded(item[1]), item))
    return tuple(CatalogueItem(name, identity) for identity, name in items)
