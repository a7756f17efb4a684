"""A studio with a part of its timetable, so that a walk costs a part."""

from datetime import datetime, timedelta

from bridge.sandbox.endpoints import Kind
from bridge.sandbox.records import Row
from bridge.sandbox.studio import Studio


def near_classes(studio: Studio, now: datetime) -> Studio:
    """A copy of *studio* with the classes of three weeks: those from a week ago on."""
    near = studio.copy()
    lists: dict[Kind, list[Row]] = {"course_session": studio.sessions, "event": studio.events}
    for kind, rows in lists.items():
        starts = (datetime.fromisoformat(row["starts_at"]) - now for row in rows)
        pairs = zip(rows, starts, strict=True)
        first, last = timedelta(days=-7), timedelta(days=14)
        near.replace_sessions([row for row, start in pairs if first < start < last], kind=kind)
    return near
