"""The catalogue: the venues, rooms, instructors, courses and types that an audience may see."""

from dataclasses import dataclass

from bridge.feeds.selection import hidden_reason, horizon_of
from bridge.feeds.spec import Audience
from bridge.filters import FilterSet
from bridge.snapshots.snapshot import Snapshot
from bridge.text_cleanup import folded


@dataclass(frozen=True, slots=True)
class CatalogueItem:
    """A venue, a room, an instructor, a course, a type or a category of types."""

    name: str
    identity: int


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All items that have at least one visible session, sorted by name."""

    venues: tuple[CatalogueItem, ...]
    rooms: tuple[CatalogueItem, ...]
    instructors: tuple[CatalogueItem, ...]
    courses: tuple[CatalogueItem, ...]
    types: tuple[CatalogueItem, ...]
    categories: tuple[CatalogueItem, ...]


def catalogue_of(snapshot: Snapshot, window: FilterSet, audience: Audience) -> Catalogue:
    """The catalogue of the sessions in *window* that *audience* may see."""
    horizon = horizon_of(snapshot, audience)
    venues: dict[int, str] = {}
    rooms: dict[int, str] = {}
    instructors: dict[int, str] = {}
    courses: dict[int, str] = {}
    types: dict[int, str] = {}
    categories: dict[int, str] = {}
    for published in snapshot.matching(window):
        session = published.session
        if hidden_reason(session, audience, horizon) is not None:
            continue
        if session.venue:
            venues[session.venue.id] = session.venue.name or f"Venue {session.venue.id}"
        if session.room:
            rooms[session.room.id] = session.room.name or f"Room {session.room.id}"
        for person in session.instructors:
            instructors[person.id] = person.name or f"Instructor {person.id}"
        if session.course:
            courses[session.course.id] = session.course.name or session.title
        kind = session.offering_type
        if kind and kind.id is not None:
            types[kind.id] = kind.name or session.title
        if kind and kind.category_id is not None and kind.category:
            categories[kind.category_id] = kind.category
    groups = (venues, rooms, instructors, courses, types, categories)
    return Catalogue(*map(_sorted_items, groups))


def _sorted_items(names: dict[int, str]) -> tuple[CatalogueItem, ...]:
    items = sorted(names.items(), key=lambda item: (folded(item[1]), item))
    return tuple(CatalogueItem(name, identity) for identity, name in items)
