"""An index of a snapshot: finds sessions by identity, by what they belong to, and by time."""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from bridge.filters import ID_FIELDS, FilterSet, Window, parts
from bridge.model import ClassSession, Published

Positions = Sequence[int]
"""Positions of sessions in the snapshot, in ascending order."""


class Index:
    """Maps each field value to the positions of its sessions in the snapshot.

    A lookup costs time in proportion to the sessions it finds, not to the size of the snapshot.

    Args:
        published: ordered by start.
    """

    def __init__(self, published: Sequence[Published]) -> None:
        sessions = [entry.session for entry in published]
        self._starts = [session.start for session in sessions]
        durations = (session.ends - session.start for session in sessions)
        self._longest = max(durations, default=timedelta())
        self._positions: dict[tuple[str, Hashable], list[int]] = {}
        for position, session in enumerate(sessions):
            for key in _keys(session):
                self._positions.setdefault(key, []).append(position)

    def positions(self, filter_set: FilterSet, window: Window) -> Positions:
        """The positions of all sessions that match *filter_set*, and of few others.

        Args:
            window: the filter set's relative window, resolved for the day of the snapshot.
        """
        first, last = self._range(filter_set, window)
        candidates = [
            [self._positions.get((field, id), []) for id in ids]
            for field, ids in _requested_ids(filter_set)
        ]
        if not candidates:
            return range(first, last)
        fewest = min(candidates, key=lambda lists: sum(map(len, lists)))
        # The lists overlap if a session has several instructors or names one of them twice.
        positions = sorted(set[int]().union(*fewest))
        return positions[bisect_left(positions, first) : bisect_left(positions, last)]

    def _range(self, filter_set: FilterSet, window: Window) -> tuple[int, int]:
        """The half-open range of positions that the filter set's time bounds allow."""
        opens, closes = window
        earliest_starts = map(self._earliest_start, (opens, filter_set.ends_at_gte))
        lower = _without_none([filter_set.starts_at_gte, *earliest_starts])
        upper = _without_none([filter_set.starts_at_lte, filter_set.ends_at_lte, closes])
        return (
            bisect_left(self._starts, max(lower)) if lower else 0,
            bisect_right(self._starts, min(upper)) if upper else len(self._starts),
        )

    def _earliest_start(self, end: datetime | None) -> datetime | None:
        """The earliest possible start of a session that ends at *end*."""
        try:
            return end and end - self._longest
        except OverflowError:
            return None


def _keys(session: ClassSession) -> Iterator[tuple[str, Hashable]]:
    """The field and value of each filter that selects *session*; others may select it as well."""
    yield "session", session.identity
    for field, identity, _ in parts(session):
        yield field, identity


def _requested_ids(filter_set: FilterSet) -> Iterable[tuple[str, Collection[Hashable]]]:
    """The ids that a filter set requests, by the name of the field."""
    if filter_set.session is not None:
        yield "session", (filter_set.session,)
    for field in ID_FIELDS:
        if ids := getattr(filter_set, field):
            yield field, ids


def _without_none(bounds: Iterable[datetime | None]) -> list[datetime]:
    return [bound for bound in bounds if bound is not None]
