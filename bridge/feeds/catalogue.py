"""The catalogue: whom and what there are feeds of, as far as the public may know."""

from collections.abc import Iterable
from dataclasses import dataclass

from bridge.feeds.selection import hidden_reason
from bridge.feeds.spec import Audience
from bridge.model import ClassSession
from bridge.text_cleanup import folded


@dataclass(frozen=True, slots=True)
class Listed:
    """Something that has a feed."""

    name: str
    identity: int


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything that has something to show, by name."""

    venues: tuple[Listed, ...]
    instructors: tuple[Listed, ...]
    courses: tuple[Listed, ...]
    types: tuple[Listed, ...]


def catalogue_of(sessions: Iterable[ClassSession], audience: Audience) -> Catalogue:
    """What *audience* may see *sessions* of."""
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
    return Catalogue(*(_listed(one.items()) for one in (venues, instructors, courses, types)))


def _listed(items: Iterable[tuple[int, str]]) -> tuple[Listed, ...]:
    ordered = sorted(items, key=lambda item: (folded(item[1]), item))
    return tuple(Listed(name, identity) for identity, name in ordered)
