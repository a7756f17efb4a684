"""The lists of the start page: links to timetables, and what a visitor can choose for a feed."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from bridge.feeds.catalogue import (
    Catalogue,
    CatalogueItem,
    catalogue_of,
    in_local_window,
    visible_sessions,
)
from bridge.feeds.spec import PATH_FIELDS, Audience, Kind
from bridge.filters import FilterSet, Weekday
from bridge.languages import Language
from bridge.model import ClassSession, Identity, SourceName
from bridge.snapshots.snapshot import Snapshot
from bridge.text_cleanup import folded
from bridge.web.feed_responses import slug
from bridge.web.pages import page_budget
from bridge.web.pages.facets import facets

_CATEGORY = "category"
_MONDAY = date(2024, 1, 1)
# Bytes of the markup of an item, a link and a box, and of the names of its venue, without names.
_ITEM_MARKUP = 165
_VENUE_MARKUP = 52
# A list with more items can be searched.
_SEARCHED = 12
# A list with more items is closed at first in the form.
_OPEN = 6


@dataclass(frozen=True, slots=True)
class Item:
    """Something that has a timetable, and can be chosen.

    Attributes:
        path: of the page with its timetable.
        venue: of a room, if several venues have rooms: the name of its venue; otherwise empty.
        repeats: whether a class type consists of the sessions of one course.
    """

    name: str
    identity: int
    path: str
    venue: str = ""
    repeats: bool = False

    @property
    def size(self) -> int:
        """Its approximate size in the page, in bytes."""
        frame = _ITEM_MARKUP + (_VENUE_MARKUP if self.venue else 0)
        return page_budget.text_size(
            self.name, self.path, self.name, self.venue, self.venue, frame=frame
        )


@dataclass(frozen=True, slots=True)
class Group:
    """A list of items for one query parameter.

    Attributes:
        title: the key of the title's text.
        overflow: how many items do not fit into the page.
        is_choice: whether the items distinguish feeds: a single one that has all sessions does not.
    """

    title: str
    parameter: str
    items: tuple[Item, ...]
    overflow: int = 0
    is_choice: bool = True

    @property
    def parts(self) -> tuple[tuple[Item, ...], tuple[Item, ...]]:
        """The items, and those that repeat items of another list."""
        return (
            tuple(item for item in self.items if not item.repeats),
            tuple(item for item in self.items if item.repeats),
        )

    @property
    def is_long(self) -> bool:
        """Whether the form shows the list only on demand."""
        return len(self.parts[0]) > _OPEN


@dataclass(frozen=True, slots=True)
class FeedBuilder:
    """What the start page lists.

    Attributes:
        sources: the parts of the timetable, if there are several.
        facets: see :mod:`bridge.web.pages.facets`; None if they do not fit into the page.
    """

    groups: tuple[Group, ...]
    sources: tuple[SourceName, ...]
    facets: str | None

    @property
    def choices(self) -> tuple[Group, ...]:
        """The lists of the form."""
        return tuple(group for group in self.groups if group.is_choice)

    @property
    def is_searched(self) -> bool:
        """Whether there are so many items that visitors search them."""
        return sum(len(group.items) for group in self.groups) > _SEARCHED


def feed_builder(
    snapshot: Snapshot, window: FilterSet, audience: Audience, language: Language
) -> FeedBuilder:
    """The lists of the sessions in *window* that *audience* may see."""
    sessions = visible_sessions(snapshot, window, audience)
    groups = _within_budget([*_groups(catalogue_of(sessions, language), sessions)])
    listed = {session.source for session in sessions}
    sources = tuple(source for source in SourceName if source.object in listed)
    now = datetime.fromtimestamp(snapshot.newest_walk_at, UTC)
    table = facets(in_local_window(sessions, window, snapshot), now)
    room = page_budget.CATALOGUE - sum(item.size for group in groups for item in group.items)
    return FeedBuilder(
        groups=groups,
        sources=sources if len(sources) > 1 else (),
        facets=table if len(table) <= room else None,
    )


def weekdays(first: int) -> list[tuple[str, date]]:
    """The days of the week as values of the filter, each with a date on that day.

    Args:
        first: with which day weeks begin, 0 for Monday.
    """
    days = [*Weekday]
    return [(day.value, _MONDAY + timedelta(day.number)) for day in days[first:] + days[:first]]


def _groups(catalogue: Catalogue, sessions: Sequence[ClassSession]) -> Iterator[Group]:
    venues = _venues_of_rooms(sessions)
    repeating = _types_of_one_course(sessions)
    for kind in (Kind.VENUE, None, Kind.TYPE, Kind.COURSE, Kind.INSTRUCTOR, Kind.ROOM):
        field = PATH_FIELDS[kind] if kind else _CATEGORY
        found = catalogue[field]
        # A single category is the whole timetable.
        if len(found) > (1 if kind is None else 0):
            items = [
                Item(
                    name=item.name,
                    identity=item.identity,
                    path=_path(kind, item),
                    venue=venues.get(item.identity, "") if kind is Kind.ROOM else "",
                    repeats=kind is Kind.TYPE and item.identity in repeating,
                )
                for item in found
            ]
            yield Group(
                title=kind.value if kind else "categories",
                parameter=field,
                items=tuple(sorted(items, key=lambda item: folded(item.venue))),
                is_choice=len(found) > 1 or found[0].sessions < len(sessions),
            )


def _path(kind: Kind | None, item: CatalogueItem) -> str:
    if kind is None:
        return f"/{Kind.SESSION.value}?{_CATEGORY}={item.identity}"
    return f"/{kind.value}/{item.identity}-{slug(item.name)}".removesuffix("-")


def _venues_of_rooms(sessions: Iterable[ClassSession]) -> dict[int, str]:
    """By room the name of its venue; empty if only one venue has rooms."""
    venues = {
        session.room.id: session.venue
        for session in sessions
        if session.room is not None and session.venue is not None
    }
    several = len({venue.id for venue in venues.values()}) > 1
    return {room: venue.name for room, venue in venues.items()} if several else {}


def _types_of_one_course(sessions: Iterable[ClassSession]) -> set[int]:
    """The class types that consist of the same sessions as a course."""
    by_type: defaultdict[int, set[Identity]] = defaultdict(set)
    by_course: defaultdict[int, set[Identity]] = defaultdict(set)
    for session in sessions:
        if session.offering_type and session.offering_type.id is not None:
            by_type[session.offering_type.id].add(session.identity)
        if session.course:
            by_course[session.course.id].add(session.identity)
    courses = {frozenset(identities) for identities in by_course.values()}
    return {kind for kind, identities in by_type.items() if identities in courses}


def _within_budget(groups: Sequence[Group]) -> tuple[Group, ...]:
    """The groups, with so many items of each as fit into the page."""
    sizes = [[item.size for item in group.items] for group in groups]
    most = page_budget.items_per_group(
        sizes, page_budget.CATALOGUE, most=sum(len(group.items) for group in groups)
    )
    return tuple(
        replace(group, items=group.items[:most], overflow=max(0, len(group.items) - most))
        for group in groups
    )
