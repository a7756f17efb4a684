"""Fills in missing end times."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta

from bridge.model import ClassSession


def with_usual_ends(sessions: Iterable[ClassSession]) -> tuple[ClassSession, ...]:
    """Give sessions without an end the usual length of their course or type, or else an hour.

    Clients disagree about an event without an end: to one it lasts an hour, to another half an
    hour, to a third the rest of the day, and a fourth rejects the calendar.
    """
    listed = tuple(sessions)
    lengths: dict[object, Counter[timedelta]] = {}
    if all(session.end for session in listed):
        return listed
    for session in listed:
        if session.end:
            for group in _groups(session):
                lengths.setdefault(group, Counter())[session.end - session.start] += 1

    def usual(session: ClassSession) -> timedelta:
        for group in _groups(session):
            if counts := lengths.get(group):
                return min(counts, key=lambda length: (-counts[length], length))
        return timedelta(hours=1)

    return tuple(
        session if session.end else replace(session, end=session.start + usual(session))
        for session in listed
    )


def _groups(session: ClassSession) -> Iterator[tuple[str, int]]:
    """What sessions of the same length have in common, the closest first."""
    if session.course:
        yield "course", session.course.id
    if session.offering_type and session.offering_type.id is not None:
        yield "type", session.offering_type.id
