"""A representation: a record as it is sent, expanded and cut down as was asked."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bridge.sandbox.api_error import ApiError
from bridge.sandbox.records import Row
from bridge.sandbox.studio import Tables, id_of

# object name → field → the object name of what it points to
ONE = {
    "course_session": {"venue": "venue", "course": "course"},
    "course": {"offering_type": "offering_type"},
    "offering_type": {"category": "offering_type_category"},
    "venue_room": {"venue": "venue"},
}
MANY = {
    "course_session": {"instructors": "instructor"},
    "offering_type": {"instructors": "instructor"},
    "venue": {"venue_rooms": "venue_room"},
}
DEFERRED = {"instructor": frozenset({"availability_schedules", "icalendar_links"})}
HIDDEN = frozenset({"waiting_count"})

Tree = dict[str, "Tree"]


@dataclass(frozen=True, slots=True)
class Serializer:
    """How the records of one answer are written.

    Attributes:
        tables: where what is expanded is looked up.
        collection_url: stands for a list that is not expanded.
        expand: what is written out in place of an id or an address.
        fields: what is written at all; empty for everything. It expands nothing.
    """

    tables: Tables
    collection_url: str
    expand: Tree
    fields: Tree

    def session(self, row: Row) -> Row:
        """A course session as it is sent."""
        return self._record("course_session", row, self.expand, self.fields)

    def _record(self, kind: str, row: Row, expand: Tree, fields: Tree) -> Row:
        sent = {}
        for name, value in row.items():
            if name in HIDDEN or (fields and name not in fields):
                continue
            if name in DEFERRED.get(kind, ()) and name not in expand and name not in fields:
                continue
            sent[name] = self._value(kind, name, value, expand, fields.get(name, {}))
        return sent

    def _value(self, kind: str, name: str, value: Any, expand: Tree, fields: Tree) -> Any:
        if name in MANY.get(kind, {}):
            if name not in expand:
                return self.collection_url
            return [self._linked(MANY[kind][name], each, expand[name], fields) for each in value]
        if name in ONE.get(kind, {}):
            if value is None:
                return None
            if name not in expand:
                return id_of(value)
            return self._linked(ONE[kind][name], value, expand[name], fields)
        return _cut(value, fields)

    def _linked(self, kind: str, reference: int | Row, expand: Tree, fields: Tree) -> Any:
        row = self.tables.get(kind, reference)
        return reference if row is None else self._record(kind, row, expand, fields)


def expansion_tree(paths: Iterable[tuple[str, ...]]) -> Tree:
    """Nest the paths of ``expand``. Raises Refusal (400) for what cannot be expanded."""
    tree: Tree = {}
    for path in paths:
        kind: str | None = "course_session"
        node = tree
        for name in path:
            if kind is None or not _expands(kind, name):
                problem = f"{'.'.join(path)} cannot be expanded."
                raise ApiError(400, "A parameter is invalid.", fields={"expand": problem})
            kind = ONE.get(kind, {}).get(name) or MANY.get(kind, {}).get(name)
            node = node.setdefault(name, {})
    return tree


def field_tree(paths: Iterable[tuple[str, ...]]) -> Tree:
    """Nest the paths of ``fields``; a field that is named whole stays whole."""
    tree: Tree = {}
    whole: set[tuple[str, ...]] = set()
    for path in sorted(paths, key=len):
        if any(path[:length] in whole for length in range(1, len(path))):
            continue
        whole.add(path)
        node = tree
        for name in path:
            node = node.setdefault(name, {})
    return tree


def _expands(kind: str, name: str) -> bool:
    return name in ONE.get(kind, {}) or name in MANY.get(kind, {}) or name in DEFERRED.get(kind, ())


def _cut(value: Any, fields: Tree) -> Any:
    if not fields:
        return value
    if isinstance(value, dict):
        return {name: _cut(value[name], fields[name]) for name in value if name in fields}
    return [_cut(each, fields) for each in value] if isinstance(value, list) else value
