"""The filters of a page: what a visitor can choose among its sessions, and what is chosen.

They are the filters of the feed, in the same parameters: the page of a filtered feed subscribes to
the filtered feed.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import time

from bridge.feeds.filter_text import time_range
from bridge.feeds.params import OPTIONS
from bridge.feeds.selection import select
from bridge.feeds.spec import FeedSpec
from bridge.feeds.subject import FIELD_WORDS, unknown_name
from bridge.filters import ID_FIELDS, FilterSet, Weekday, parts
from bridge.languages import Language
from bridge.model import ClassSession
from bridge.snapshots.snapshot import Snapshot
from bridge.text_cleanup import folded
from bridge.web.pages import page_budget
from bridge.web.pages.page_title import PageContent

_LISTS = ("offering_types", "instructors", "venues", "rooms")
_TIMES = ("time_from", "time_until")
FIELDS = ("weekdays", *_TIMES, *_LISTS)
"""The parameters that visitors can choose."""

# Bytes of the markup of a choice, without its name.
_CHOICE_MARKUP = 45
_MAX_IN_TITLE = 7
_ANY_TIME = (None, None)


@dataclass(frozen=True, slots=True)
class Choice:
    """A value that can be chosen."""

    value: str
    name: str
    chosen: bool

    @property
    def size(self) -> int:
        """Its approximate size in the page, in bytes."""
        return page_budget.text_size(self.name, frame=_CHOICE_MARKUP)


@dataclass(frozen=True, slots=True)
class ChoiceList:
    """The values of a parameter that can be chosen.

    Attributes:
        title: the key of the title's text.
        overflow: how many do not fit into the page.
    """

    parameter: str
    title: str
    choices: tuple[Choice, ...]
    overflow: int = 0

    @property
    def several(self) -> Choice | None:
        """One choice for all chosen values, if there are several."""
        chosen = [choice for choice in self.choices if choice.chosen]
        if len(chosen) < 2:
            return None
        values, names = zip(*((choice.value, choice.name) for choice in chosen), strict=True)
        return Choice(",".join(values), ", ".join(names), True)


@dataclass(frozen=True, slots=True)
class ActiveFilter:
    """A filter of the page.

    Attributes:
        pairs: its names and values in the query.
        in_title: whether the title of the page should state it.
    """

    parameter: str
    text: str
    pairs: tuple[tuple[str, str], ...]
    in_title: bool


@dataclass(frozen=True, slots=True)
class Removal:
    """A link that removes a filter.

    Attributes:
        text: of the filter.
        path: of the page without it.
    """

    text: str
    path: str


@dataclass(frozen=True, slots=True)
class PageFilters:
    """The filters of a page.

    Attributes:
        parameters: the names of the fields in the form.
        weekdays: those that occur, in the order of the week.
        lists: with at least two values to choose among.
        time_from, time_until: the chosen times of day, ``HH:MM``, or empty.
        removals: those filters that visitors can remove, as far as they fit into the page.
        overflow: how many do not fit into the page.
        path_without: of the page without all filters that visitors can remove.
        unknown: the objects in the filters that no session is known of.
    """

    parameters: frozenset[str]
    weekdays: tuple[Choice, ...]
    lists: tuple[ChoiceList, ...]
    time_from: str
    time_until: str
    active: tuple[ActiveFilter, ...]
    removals: tuple[Removal, ...]
    overflow: int
    path_without: str
    unknown: tuple[str, ...]

    @property
    def size(self) -> int:
        """The approximate size of its choices and links in the page, in bytes."""
        choices = sum(
            choice.size
            for group in self.lists
            for choice in (*group.choices, group.several)
            if choice is not None
        )
        return choices + sum(
            page_budget.text_size(removal.path, removal.text) for removal in self.removals
        )

    @property
    def chosen(self) -> bool:
        """Whether a filter is set that the form offers."""
        return any(active.parameter in self.parameters for active in self.active)

    def title(self, name: str) -> str:
        """The title of a page: its name, and the filters that the name does not state."""
        texts = [active.text for active in self.active if active.in_title]
        return " · ".join([name, *texts[:_MAX_IN_TITLE]])


def page_filters(
    snapshot: Snapshot,
    spec: FeedSpec,
    content: PageContent,
    language: Language,
    path: str,
    *,
    first_weekday: int,
    fixed: Collection[str] = (),
) -> PageFilters:
    """The filters of the page of *spec*.

    A value can be chosen if a session has it that passes all other filters.

    Args:
        path: of the page, with its query.
        first_weekday: the first day of the week, 0 for Monday.
        fixed: names of parameters that visitors cannot change.
    """
    if any(name in fixed for name in _TIMES):
        # One range, with one text.
        fixed = {*fixed, *_TIMES}
    fields = [name for name in FIELDS if name != spec.path_field and name not in fixed]
    offered = [name for name in fields if name in _LISTS]
    chosen = _single_filters(spec.filter_set, fields)
    shown = content.shown
    if chosen:
        unfiltered = spec.filter_set.with_changes(
            **{field: None if field in _TIMES else () for field in fields}
        )
        shown = select(snapshot, replace(spec, filter_set=unfiltered)).shown
    collector = _Collector(chosen)
    for view in shown:
        collector.add(view.session)
    names = collector.names(language)
    active = tuple(_active(spec, names, language))
    removable = [item for item in active if item.parameter not in fixed]
    most = page_budget.removal_links(path)
    return PageFilters(
        parameters=frozenset(fields),
        weekdays=()
        if "weekdays" in fixed
        else _weekdays(spec.filter_set, collector.weekdays, language, first_weekday),
        lists=_lists(offered, spec.filter_set, collector.choices, names, language),
        time_from=_clock(spec.filter_set.time_from),
        time_until=_clock(spec.filter_set.time_until),
        active=active,
        removals=tuple(
            Removal(item.text, _path_without(spec, path, item)) for item in removable[:most]
        ),
        overflow=len(removable[most:]),
        path_without=_path_without(spec, path, *removable),
        unknown=tuple(
            _name(names, field, identity, language)
            for field, identity in content.subject.unmatched_ids
        ),
    )


def _single_filters(filter_set: FilterSet, fields: Sequence[str]) -> dict[str, FilterSet]:
    """For each filter that is set, a filter set with only this one."""
    values = {field: getattr(filter_set, field) for field in fields}
    single = {
        field: FilterSet(**{field: value})
        for field, value in values.items()
        if value and field not in _TIMES
    }
    times = {field: values[field] for field in _TIMES if values.get(field) is not None}
    return {**single, **({"time": FilterSet(**times)} if times else {})}


class _Collector:
    """Collects from sessions what can be chosen.

    Args:
        chosen: for each filter that is set, a filter set with only this one.
    """

    def __init__(self, chosen: Mapping[str, FilterSet]) -> None:
        self._chosen = chosen
        self._names: dict[str, dict[int, str]] = {field: {} for field in ID_FIELDS}
        self._venues: dict[int, str] = {}
        self.choices: dict[str, set[int]] = {field: set() for field in ID_FIELDS}
        self.weekdays: set[int] = set()

    def add(self, session: ClassSession) -> None:
        failed = {
            field
            for field, filter_set in self._chosen.items()
            if not filter_set.matches(session, _ANY_TIME)
        }
        for field, identity, name in parts(session):
            self._names[field][identity] = name
            if failed <= {field}:
                self.choices[field].add(identity)
        if session.room is not None and session.venue is not None:
            self._venues[session.room.id] = session.venue.name
        if failed <= {"weekdays"}:
            self.weekdays.add(session.local_start.weekday())

    def names(self, language: Language) -> dict[str, dict[int, str]]:
        """The name of each object, by field and id."""
        names = {
            field: {
                identity: name or unknown_name(FIELD_WORDS[field], identity, language)
                for identity, name in objects.items()
            }
            for field, objects in self._names.items()
        }
        if len(set(self._venues.values())) > 1:
            # Rooms of two venues may have equal names.
            for room, venue in self._venues.items():
                names["rooms"][room] = ", ".join(filter(None, (venue, names["rooms"][room])))
        return names


def _weekdays(
    filter_set: FilterSet, occurring: set[int], language: Language, first: int
) -> tuple[Choice, ...]:
    days = sorted(Weekday, key=lambda day: (day.number - first) % 7)
    choices = tuple(
        Choice(day.value, language.weekday(day.number, short=True), day in filter_set.weekdays)
        for day in days
        if day.number in occurring or day in filter_set.weekdays
    )
    return choices if len(choices) > 1 or filter_set.weekdays else ()


def _lists(
    offered: Sequence[str],
    filter_set: FilterSet,
    occurring: Mapping[str, set[int]],
    names: Mapping[str, Mapping[int, str]],
    language: Language,
) -> tuple[ChoiceList, ...]:
    lists = []
    for field in offered:
        chosen = getattr(filter_set, field)
        named = [
            (_name(names, field, identity, language), identity)
            for identity in {*occurring[field], *chosen}
        ]
        choices = tuple(
            Choice(str(identity), name, identity in chosen)
            for name, identity in sorted(named, key=lambda item: (folded(item[0]), item))
        )
        if len(choices) > 1 or chosen:
            lists.append(ChoiceList(field, FIELD_WORDS[field], choices))
    sizes = [[choice.size for choice in group.choices] for group in lists]
    longest = max(map(len, sizes), default=0)
    most = page_budget.items_per_group(sizes, page_budget.FILTERS, most=longest)
    return tuple(
        replace(
            group,
            choices=tuple(
                choice
                for number, choice in enumerate(group.choices)
                if number < most or choice.chosen
            ),
            overflow=sum(not choice.chosen for choice in group.choices[most:]),
        )
        for group in lists
    )


def _active(
    spec: FeedSpec, names: Mapping[str, Mapping[int, str]], language: Language
) -> Iterator[ActiveFilter]:
    """The filters in the query of the page, in its order."""
    pairs = spec.query_pairs
    # The name of the page of any filter set is that of the chosen objects.
    in_name = spec.identity is None
    times = tuple(pair for pair in pairs if pair[0] in _TIMES)
    for pair in pairs:
        name, value = pair
        if name in OPTIONS or (name in _TIMES and pair != times[0]):
            continue
        if name in _TIMES:
            yield ActiveFilter(name, time_range(spec.filter_set, language), times, True)
        elif name == "weekdays":
            text = language.weekday(Weekday(value).number)
            yield ActiveFilter(name, text, (pair,), True)
        elif name in FIELD_WORDS:
            text = _name(names, name, int(value), language)
            yield ActiveFilter(name, text, (pair,), not in_name)
        elif name == "sources":
            text = str(language(f"source_{value}"))
            yield ActiveFilter(name, text, (pair,), not in_name)
        else:
            yield ActiveFilter(name, f"{name}={value}", (pair,), False)


def _path_without(spec: FeedSpec, path: str, *filters: ActiveFilter) -> str:
    """The path of the page without some of its filters."""
    removed = {pair for item in filters for pair in item.pairs}
    rest = "&".join(f"{n}={value}" for n, value in spec.query_pairs if (n, value) not in removed)
    plain = path.partition("?")[0]
    return f"{plain}?{rest}" if rest else plain


def _name(
    names: Mapping[str, Mapping[int, str]], field: str, identity: int, language: Language
) -> str:
    return names[field].get(identity) or unknown_name(FIELD_WORDS[field], identity, language)


def _clock(at: time | None) -> str:
    return "" if at is None else f"{at:%H:%M}"
