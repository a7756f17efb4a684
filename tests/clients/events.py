"""Events that a client has read from a calendar, in one form for all clients."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import NamedTuple, Self


class Rejected(Exception):
    """The client refuses the calendar; the text is the reason."""


class Event(NamedTuple):
    """An event as a client has read it.

    Attributes:
        uid: empty if the client does not keep it.
        start, end: UTC; an event without an end of its own ends as it starts (RFC 5545, 3.6.1).
    """

    uid: str
    title: str
    start: datetime
    end: datetime

    @classmethod
    def of(cls, uid: str, title: str, start: date, end: date | None) -> Self:
        """Create an event from times with a zone. Raises Rejected for a date or a floating time."""
        begins = _instant(start)
        return cls(uid, title, begins, begins if end is None else _instant(end))

    def without_uid(self) -> Self:
        return self._replace(uid="")


def _instant(value: date) -> datetime:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise Rejected(f"read as a date or a floating time: {value!r}")
    return value.astimezone(UTC)


def difference(read: Iterable[Event], expected: Iterable[Event]) -> str:
    """Describe unexpected and missing events; empty if there are none.

    An event that is read twice is a difference. UIDs are not compared if the client keeps none.
    """
    actual, wanted = list(read), list(expected)
    if actual and not any(event.uid for event in actual):
        wanted = [event.without_uid() for event in wanted]
    extra, missing = Counter(actual) - Counter(wanted), Counter(wanted) - Counter(actual)
    return "".join(
        f"{label} {sum(events.values())} of {len(wanted)}, such as {sorted(events)[:3]}\n"
        for label, events in (("unexpected:", extra), ("missing:", missing))
        if events
    )
