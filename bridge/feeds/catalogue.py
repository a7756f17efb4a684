"""The catalogue: the venues, rooms, instructors, courses and types that an audience may see."""

from collections import Counter
from dataclasses import dataclass

from bridge.feeds.selection import hidden_reason, horizon_of
from bridge.feeds.spec import Audience, Kind
from bridge.feeds.subject import unknown_name
from bridge.filters import FilterSet
from bridge.languages import Language
from bridge.model import ClassSession, Instructor, Room, Venue
from bridge.snapshots.snapshot import Snapshot
from bridge.text_cleanup import folded


@dataclass(frozen=True, slots=True)
class CatalogueItem:
    """A venue, a room, an instructor, a course, a type or a category of types.

    Attributes:
        sessions: how many of the visible sessions belong to it.
    """

    name: str
    identity: int
    sessions: int


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All items that have at least one visible session, sorted by name."""

    venues: tuple[CatalogueItem, ...]
    rooms: tuple[CatalogueItem, ...]
    instructors: tuple[CatalogueItem, ...]
    courses: tuple[CatalogueItem, ...]
    types: tuple[CatalogueItem, ...]
    categories: tuple[CatalogueItem, ...]


def visible_sessions(
    snapshot: Snapshot, window: FilterSet, audience: Audience
) -> list[ClassSession]:
    """The sessions in *window* that *audience* may see, in order of time."""
    horizon = horizon_of(snapshot, audience)
    return [
        published.session
        for published in snapshot.matching(window)
        if hidden_reason(published.session, audience, horizon) is None
    ]


def catalogue_of(
    snapshot: Snapshot, window: FilterSet, audience: Audience, language: Language
) -> Catalogue:
    """The catalogue of the sessions in *window* that *audience* may see.

    Args:
        language: of the names of items without a name.
    """

    def name_of(part: Venue | Room | Instructor, kind: Kind) -> str:
        return part.name or unknown_name(kind, part.id, language)

    venues, rooms, instructors, courses, types, categories = groups = [_Group() for _ in range(6)]
    for session in visible_sessions(snapshot, window, audience):
        if session.venue:
            venues.add(session.venue.id, name_of(session.venue, Kind.VENUE))
        if session.room:
            rooms.add(session.room.id, name_of(session.room, Kind.ROOM))
        for person in session.instructors:
            instructors.add(person.id, name_of(person, Kind.INSTRUCTOR))
        if session.course:
            courses.add(session.course.id, session.course.name or session.title)
        kind = session.offering_type
        if kind and kind.id is not None:
            types.add(kind.id, kind.name or session.title)
        if kind and kind.category_id is not None and kind.category:
            categories.add(kind.category_id, kind.category)
    return Catalogue(*(group.items() for group in groups))


class _Group:
    """The items of one kind."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self._sessions: Counter[int] = Counter()

    def add(self, identity: int, name: str) -> None:
        self._names[identity] = name
        self._sessions[identity] += 1

    def items(self) -> tuple[CatalogueItem, ...]:
        names = sorted(self._names.items(), key=lambda item: (folded(item[1]), item))
        return tuple(
            CatalogueItem(name, identity, self._sessions[identity]) for identity, name in names
        )
