"""The index of a snapshot: finds sessions at the cost of what is found, not of what there is."""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta

from bridge.filters import FilterSet
from bridge.model import Published

_FIELDS = ("session", "venues", "instructors", "course", "offering_types")

Window = tuple[datetime | None, datetime | None]

Places = Sequence[int]
"""Where sessions stand in the snapshot, in its order."""


class Index:
    """Knows where in a snapshot the sessions of a venue, an instructor, … and of a time are.

    Args:
        published: ordered by start.
    """

    def __init__(self, published: Sequence[Published]) -> None:
        sessions = [one.session for one in published]
        self._starts = [session.start for session in sessions]
        self._longest = max((one.ends - one.start for one in sessions), default=timedelta())
        self._by: dict[str, dict[int, list[int]]] = {field: {} for field in _FIELDS}
        by_id, venues, instructors, courses, types = self._by.values()
        for place, session in enumerate(sessions):
            by_id.setdefault(session.id, []).append(place)
            if session.venue is not None:
                venues.setdefault(session.venue.id, []).append(place)
            for person in session.instructors:
                instructors.setdefault(person.id, []).append(place)
            if session.course is not None:
                courses.setdefault(session.course.id, []).append(place)
            if session.offering_type is not None and session.offering_type.id is not None:
                types.setdefault(session.offering_type.id, []).append(place)

    def places(self, filter_set: FilterSet, window: Window) -> Places:
        """Where every session that *filter_set* matches stands; and few others do.

        Args:
            window: of the day.
        """
        first, last = self._between(filter_set, window)
        choices = [
            [self._by[field].get(identity, []) for identity in wanted]
            for field, wanted in _wanted(filter_set)
        ]
        if not choices:
            return range(first, last)
        lists = min(choices, key=lambda lists: sum(map(len, lists)))
        # an instructor may be named twice, and of several lists a session may be on more than one
        places = sorted(set[int]().union(*lists))
        return places[bisect_left(places, first) : bisect_left(places, last)]

    def _between(self, filter_set: FilterSet, window: Window) -> tuple[int, int]:
        """The part of the snapshot, from and up to, that the filter set's bounds leave."""
        opens, closes = window
        # What starts so early, and what starts so late, cannot be asked for.
        early = [*map(self._start_of_what_ends, (opens, filter_set.ends_at_gte))]
        lower = _known([filter_set.starts_at_gte, *early])
        upper = _known([filter_set.starts_at_lte, filter_set.ends_at_lte, closes])
        return (
            bisect_left(self._starts, max(lower)) if lower else 0,
            bisect_right(self._starts, min(upper)) if upper else len(self._starts),
        )

    def _start_of_what_ends(self, edge: datetime | None) -> datetime | None:
        """The first moment at which something can start that ends at *edge*."""
        try:
            return edge and edge - self._longest
        except OverflowError:
            return None


def _wanted(filter_set: FilterSet) -> Iterable[tuple[str, Collection[int]]]:
    """What a filter set looks for, by the same names."""
    for field in _FIELDS:
        wanted = getattr(filter_set, field)
        if wanted not in (None, ()):
            yield field, wanted if isinstance(wanted, tuple) else (wanted,)


def _known(bounds: Iterable[datetime | None]) -> list[datetime]:
    return [one for one in bounds if one is not None]
