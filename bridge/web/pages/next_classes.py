"""The next class of the same kind, for those who wanted to come to a cancelled one."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Hashable, Iterable
from datetime import datetime
from operator import attrgetter

from bridge.feeds.session_view import SessionView
from bridge.model import ClassSession


class NextClasses:
    """Finds classes of the same kind: of the same course, or else of the same type or title.

    Args:
        views: the classes among which it finds one, ordered by start.
    """

    def __init__(self, views: Iterable[SessionView]) -> None:
        self._by_kind: dict[Hashable, list[SessionView]] = defaultdict(list)
        for view in views:
            if not view.cancelled:
                self._by_kind[_kind(view.session)].append(view)

    def after(self, session: ClassSession) -> SessionView | None:
        """The next class that takes place, at the same venue if there is one; None if none does."""
        views = self._by_kind.get(_kind(session), [])
        later = views[bisect_right(views, session.start, key=_start) :]
        venue = session.venue and session.venue.id
        same = (view for view in later if (view.session.venue and view.session.venue.id) == venue)
        return next(same, later[0] if later else None)


def _kind(session: ClassSession) -> Hashable:
    if session.course is not None:
        return ("course", session.course.id)
    offering_type = session.offering_type
    if offering_type is not None and offering_type.id is not None:
        return ("type", offering_type.id)
    return ("title", session.title)


_start: "attrgetter[datetime]" = attrgetter("session.start")
