"""Serialises records, with the requested expansions and fields."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bridge.sandbox.api_error import ApiError
from bridge.sandbox.records import Row
from bridge.sandbox.studio import Tables, id_of

# object name → field → object name of the referenced record
TO_ONE = {
    "course_session": {"venue": "venue", "course": "course"},
    "course": {"offering_type": "offering_type"},
    "offering_type": {"category": "offering_type_category"},
    "venue_room": {"venue": "venue"},
}
TO_MANY = {
    "course_session": {"instructors": "instructor"},
    "offering_type": {"instructors": "instructor"},
    "venue": {"venue_rooms": "venue_room"},
}
DEFERRED = {"instructor": frozenset({"availability_schedules", "icalendar_links"})}
NEVER_SENT = frozenset({"waiting_count"})

Tree = dict[str, "Tree"]


@dataclass(frozen=True, slots=True)
class Serializer:
    """Serialises the records of one response.

    Attributes:
        tables: holds the referenced records.
        collection_url: written in place of a list that is not expanded.
        expand: the references that are written as records, not as ids or URLs.
        fields: the fields that are written; empty for all. Does not expand references.
    """

    tables: Tables
    collection_url: str
    expand: Tree
    fields: Tree

    def session(self, row: Row) -> Row:
        """Serialise a course session."""
        return self._record("course_session", row, self.expand, self.fields)

    def _record(self, kind: str, row: Row, expand: Tree, fields: Tree) -> Row:
        result = {}
        for name, value in row.items():
            if name in NEVER_SENT or (fields and name not in fields):
                continue
            if name in DEFERRED.get(kind, ()) and name not in expand and name not in fields:
                continue
            result[name] = self._value(kind, name, value, expand, fields.get(name, {}))
        return result

    def _value(self, kind: str, name: str, value: Any, expand: Tree, fields: Tree) -> Any:
        if name in TO_MANY.get(kind, {}):
            if name not in expand:
                return self.collection_url
            return [
                self._referenced(TO_MANY[kind][name], reference, expand[name], fields)
                for reference in value
            ]
        if name in TO_ONE.get(kind, {}):
            if value is None:
                return None
            if name not in expand:
                return id_of(value)
            return self._referenced(TO_ONE[kind][name], value, expand[name], fields)
        return _pick_fields(value, fields)

    def _referenced(self, kind: str, reference: int | Row, expand: Tree, fields: Tree) -> Any:
        row = self.tables.get(kind, reference)
        return reference if row is None else self._record(kind, row, expand, fields)


def expansion_tree(paths: Iterable[tuple[str, ...]]) -> Tree:
    """Parse ``expand`` into a tree. Raises ApiError (400) for a field that cannot be expanded."""
    tree: Tree = {}
    for path in paths:
        kind: str | None = "course_session"
        node = tree
        for name in path:
            if kind is None or not _is_expandable(kind, name):
                problem = f"{'.'.join(path)} cannot be expanded."
                raise ApiError(400, "A parameter is invalid.", fields={"expand": problem})
            kind = TO_ONE.get(kind, {}).get(name) or TO_MANY.get(kind, {}).get(name)
            node = node.setdefault(name, {})
    return tree


def field_tree(paths: Iterable[tuple[str, ...]]) -> Tree:
    """Parse ``fields`` into a tree; a path that is the prefix of another includes it."""
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


def _is_expandable(kind: str, name: str) -> bool:
    return (
        name in TO_ONE.get(kind, {})
        or name in TO_MANY.get(kind, {})
        or name in DEFERRED.get(kind, ())
    )


def _pick_fields(value: Any, fields: Tree) -> Any:
    if not fields:
        return value
    if isinstance(value, dict):
        return {name: _pick_fields(value[name], fields[name]) for name in value if name in fields}
    return [_pick_fields(item, fields) for item in value] if isinstance(value, list) else value
