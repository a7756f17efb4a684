"""The feed builder of the start page: what a visitor can choose."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bridge.feeds.catalogue import CatalogueItem, catalogue_of, visible_sessions
from bridge.feeds.spec import PATH_FIELDS, Audience, Kind
from bridge.filters import FilterSet
from bridge.model import ClassSession, SourceName
from bridge.snapshots.snapshot import Snapshot
from bridge.text_cleanup import folded
from bridge.web.feed_responses import slug
from bridge.web.pages import page_budget

# Bytes of the markup of an item, without its names.
_ITEM_MARKUP = 230


@dataclass(frozen=True, slots=True)
class Item:
    """Something that can be chosen.

    Attributes:
        venue: of a room, if several venues have rooms: the name of its venue; otherwise empty.
    """

    name: str
    identity: int
    venue: str = ""

    @property
    def size(self) -> int:
        """Its approximate size in the page, in bytes."""
        return page_budget.text_size(
            self.name, slug(self.name), self.name, self.venue, frame=_ITEM_MARKUP
        )


@dataclass(frozen=True, slots=True)
class Group:
    """A list of items for one query parameter.

    Attributes:
        title: the key of the title's text.
        kind: of the items' own pages; None if they have none.
        left_out: how many items do not fit into the page.
    """

    title: str
    parameter: str
    kind: Kind | None
    items: tuple[Item, ...]
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class FeedBuilder:
    """What can be chosen: only what distinguishes feeds of this studio.

    Attributes:
        sources: the parts of the timetable, if there are several.
    """

    groups: tuple[Group, ...]
    sources: tuple[SourceName, ...]


def feed_builder(snapshot: Snapshot, window: FilterSet, audience: Audience) -> FeedBuilder:
    """The choices among the sessions in *window* that *audience* may see."""
    sessions = visible_sessions(snapshot, window, audience)
    catalogue = catalogue_of(snapshot, window, audience)
    groups = (
        _group("venues", Kind.VENUE, catalogue.venues),
        Group("rooms", PATH_FIELDS[Kind.ROOM], Kind.ROOM, _rooms(catalogue.rooms, sessions)),
        _group("instructors", Kind.INSTRUCTOR, catalogue.instructors),
        _group("types", Kind.TYPE, catalogue.types),
        Group("categories", "category", None, _items(catalogue.categories)),
        _group("courses", Kind.COURSE, catalogue.courses),
    )
    listed = {session.source for session in sessions}
    sources = tuple(source for source in SourceName if source.object in listed)
    return FeedBuilder(
        groups=_within_budget([group for group in groups if _is_useful(group)]),
        sources=sources if len(sources) > 1 else (),
    )


def _group(title: str, kind: Kind, items: Sequence[CatalogueItem]) -> Group:
    return Group(title, PATH_FIELDS[kind], kind, _items(items))


def _items(items: Iterable[CatalogueItem]) -> tuple[Item, ...]:
    return tuple(Item(item.name, item.identity) for item in items)


def _rooms(rooms: Iterable[CatalogueItem], sessions: Iterable[ClassSession]) -> tuple[Item, ...]:
    """The rooms, sorted by venue and name."""
    venues = {
        session.room.id: session.venue
        for session in sessions
        if session.room is not None and session.venue is not None
    }
    several = len({venue.id for venue in venues.values()}) > 1
    names = {room: venue.name for room, venue in venues.items() if several}
    items = [Item(room.name, room.identity, names.get(room.identity, "")) for room in rooms]
    return tuple(sorted(items, key=lambda item: folded(item.venue)))


def _is_useful(group: Group) -> bool:
    """Whether the group offers a choice. A single category does not: it is the whole timetable."""
    return len(group.items) > (1 if group.parameter == "category" else 0)


def _within_budget(groups: Sequence[Group]) -> tuple[Group, ...]:
    """The groups, with so many items of each as fit into the page."""
    sizes = [[item.size for item in group.items] for group in groups]
    most = page_budget.items_per_group(
        sizes, page_budget.CATALOGUE, most=sum(len(group.items) for group in groups)
    )
    return tuple(
        Group(
            title=group.title,
            parameter=group.parameter,
            kind=group.kind,
            items=group.items[:most],
            left_out=max(0, len(group.items) - most),
        )
        for group in groups
    )
