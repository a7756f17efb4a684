"""The catalogue: the venues, rooms, instructors, courses and types that an audience may see."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from bridge import times
from bridge.feeds.selection import hidden_reason
from bridge.feeds.spec import Audience
from bridge.feeds.subject import FIELD_WORDS, unknown_name
from bridge.filters import FilterSet, Window, in_window, parts
from bridge.languages import Language
from bridge.model import ClassSession
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


Catalogue = Mapping[str, tuple[CatalogueItem, ...]]
"""All items that have at least one session, sorted by name, by the field of the filter set."""


def visible_sessions(
    snapshot: Snapshot, window: FilterSet, audience: Audience
) -> list[ClassSession]:
    """The sessions in *window* that *audience* may see, in order of time."""
    return [
        published.session
        for published in snapshot.matching(window)
        if hidden_reason(published, audience, snapshot.newest_walk_at) is None
    ]


def in_local_window(
    sessions: Iterable[ClassSession], window: FilterSet, snapshot: Snapshot
) -> Iterator[ClassSession]:
    """The *sessions* in *window*, whose days are those of each session's venue."""
    now = datetime.fromtimestamp(snapshot.newest_walk_at, UTC)
    bounds: dict[str | None, Window] = {}
    for session in sessions:
        zone = (session.venue.zone if session.venue else None) or snapshot.main_zone
        if zone not in bounds:
            bounds[zone] = window.window(now, times.zone(zone) or UTC)
        if in_window(session, bounds[zone]):
            yield session


def catalogue_of(sessions: Iterable[ClassSession], language: Language) -> Catalogue:
    """The catalogue of these *sessions*.

    Args:
        language: of the names of items without a name.
    """
    names: dict[str, dict[int, str]] = {field: {} for field in FIELD_WORDS}
    counts: Counter[tuple[str, int]] = Counter()
    for session in sessions:
        for field, identity, name in parts(session):
            if name or field != "category":
                named = name or unknown_name(FIELD_WORDS[field], identity, language)
                names[field][identity] = named
                counts[field, identity] += 1
    return {
        field: tuple(
            CatalogueItem(name, identity, counts[field, identity])
            for identity, name in sorted(items.items(), key=lambda item: (folded(item[1]), item))
        )
        for field, items in names.items()
    }
