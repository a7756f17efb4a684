"""What a client reads of a calendar, in the same form for every client."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import NamedTuple, Self


class Rejected(Exception):
    """The client does not show this calendar; the text is its reason."""


class Reading(NamedTuple):
    """An event as a client holds it.

    Attributes:
        uid: empty where the client keeps none.
        start, end: UTC; an event without an end of its own ends as it starts (RFC 5545, 3.6.1).
    """

    uid: str
    title: str
    start: datetime
    end: datetime

    @classmethod
    def of(cls, uid: str, title: str, start: date, end: date | None) -> Self:
        """Read from times with a zone. Rejected: one has none, so it is another time for each."""
        begins = _instant(start)
        return cls(uid, title, begins, begins if end is None else _instant(end))

    def nameless(self) -> Self:
        return self._replace(uid="")


def _instant(value: date) -> datetime:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise Rejected(f"read as a date or a floating time: {value!r}")
    return value.astimezone(UTC)


def difference(read: Iterable[Reading], said: Iterable[Reading]) -> str:
    """What was read and not said, and the other way round; empty where there is none.

    Every event counts: one that is read twice is a difference. UIDs are left out of account
    where the client keeps none.
    """
    found, wanted = list(read), list(said)
    if found and not any(one.uid for one in found):
        wanted = [one.nameless() for one in wanted]
    extra, lacking = Counter(found) - Counter(wanted), Counter(wanted) - Counter(found)
    return "".join(
        f"{what} {sum(many.values())} of {len(wanted)}, such as {sorted(many)[:3]}\n"
        for what, many in (("read, never said:", extra), ("said, not read:", lacking))
        if many
    )
