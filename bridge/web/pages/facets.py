"""The facets of the feed builder: how many upcoming classes each combination of choices has.

The start page contains them for its script, which counts without further requests. Classes of a
weekly timetable repeat, so they are grouped. There are few bytes for them, hence the form::

    {"venues": "12,13", "instructors": "19,11", …, "rows": "0.1..0,1.4.2..1110,13;…"}

A row has for each filter before ``rows``, in that order, the positions of its values; then for each
minute of the week (0 is Monday, 00:00 at the venue) the number of classes that start at it.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime

from bridge.filters import parts
from bridge.model import ClassSession, SourceName, Status

_FIELDS = (
    "sources", "venues", "rooms", "instructors", "offering_types", "category", "course",
)  # fmt: skip
_Values = tuple[tuple[str, ...], ...]


def facets(sessions: Iterable[ClassSession], now: datetime) -> str:
    """The facets, as JSON, of those *sessions* that take place and have not ended at *now*."""
    groups: defaultdict[_Values, Counter[int]] = defaultdict(Counter)
    for session in sessions:
        if session.status is Status.ACTIVE and session.ends > now:
            start = session.local_start
            minute = start.weekday() * 1440 + start.hour * 60 + start.minute
            groups[_values(session)][minute] += 1
    index: dict[str, dict[str, int]] = {field: {} for field in _FIELDS}

    rows = []
    for values, minutes in groups.items():
        positions = [
            [index[field].setdefault(text, len(index[field])) for text in texts]
            for field, texts in zip(_FIELDS, values, strict=True)
        ]
        slots = [number for slot in sorted(minutes.items()) for number in slot]
        rows.append(".".join(",".join(map(str, part)) for part in (*positions, slots)))
    table = {field: ",".join(values) for field, values in index.items()}
    return json.dumps({**table, "rows": ";".join(rows)})


def _values(session: ClassSession) -> _Values:
    """The values of the filters that select *session*, in the order of the fields."""
    values: dict[str, list[str]] = {field: [] for field in _FIELDS}
    values["sources"] = [next(name.value for name in SourceName if name.object == session.source)]
    for field, identity, _ in parts(session):
        values[field].append(str(identity))
    return tuple(map(tuple, values.values()))
