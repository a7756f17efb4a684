"""Serialises records, with the requested expansions and fields."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.sandbox.api_error import ApiError
from bridge.sandbox.endpoints import COURSE_SESSIONS, ListEndpoint
from bridge.sandbox.records import Row
from bridge.sandbox.schema import (
    COLORS,
    DEFERRED,
    NEVER_SENT,
    TO_MANY,
    is_expandable,
    referenced_kind,
)
from bridge.sandbox.studio import Tables, id_of

Tree = dict[str, "Tree"]

_WHOLE: Tree = {}
_NONE: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Serializer:
    """Serialises the records of one response.

    Attributes:
        tables: holds the referenced records.
        collection_url: written in place of a list that is not expanded.
        expand: the references that are written as records, not as ids or URLs.
        fields: the fields that are written; empty for all. Does not expand references.
        endpoint: the list of which the rows are.
        omit: object name → fields that are left out of this response.
    """

    tables: Tables
    collection_url: str
    expand: Tree
    fields: Tree
    endpoint: ListEndpoint = COURSE_SESSIONS
    omit: Mapping[str, frozenset[str]] = field(default_factory=dict)
    # A page refers to few records, many times each. The trees are identified by their address, as
    # they live as long as the serializer.
    _written: dict[tuple[str, int, int, int], Row] = field(default_factory=dict, init=False)

    def session(self, row: Row) -> Row:
        """Serialise a row of the list."""
        return self._record(self.endpoint.object, row, self.expand, self.fields)

    def _record(self, kind: str, row: Row, expand: Tree, fields: Tree) -> Row:
        deferred = DEFERRED.get(kind, _NONE)
        hidden = NEVER_SENT.get(kind, _NONE) | self.omit.get(kind, _NONE)
        result = {}
        for name, value in row.items():
            if name in hidden or (fields and name not in fields):
                continue
            if name in deferred and name not in expand and name not in fields:
                continue
            result[name] = self._value(kind, name, value, expand, fields.get(name, _WHOLE))
        return result

    def _value(self, kind: str, name: str, value: Any, expand: Tree, fields: Tree) -> Any:
        if name in TO_MANY.get(kind, {}) and name not in expand:
            return self.collection_url
        referenced = referenced_kind(kind, name)
        if referenced is None:
            return self._plain_value(kind, name, value, fields)
        if isinstance(value, list):
            subtree = expand.get(name, _WHOLE)
            return [self._referenced(referenced, item, subtree, fields) for item in value]
        if value is None or name not in expand:
            return value and id_of(value)
        return self._referenced(referenced, value, expand[name], fields)

    def _plain_value(self, kind: str, name: str, value: Any, fields: Tree) -> Any:
        if name in COLORS.get(kind, ()) and not self.endpoint.hash_in_colors:
            return value.lstrip("#") if isinstance(value, str) else value
        return _pick_fields(value, fields)

    def _referenced(self, kind: str, reference: int | Row, expand: Tree, fields: Tree) -> Any:
        row = self.tables.get(kind, reference)
        if row is None:
            return reference
        if isinstance(reference, dict):
            return self._record(kind, row, expand, fields)
        key = (kind, reference, id(expand), id(fields))
        if key not in self._written:
            self._written[key] = self._record(kind, row, expand, fields)
        return self._written[key]


def expansion_tree(paths: Iterable[tuple[str, ...]], kind: str = "course_session") -> Tree:
    """Parse ``expand``, for rows of an object name, into a tree.

    Raises ApiError (400) for a field that cannot be expanded.
    """
    tree: Tree = {}
    for path in paths:
        parent: str | None = kind
        node = tree
        for name in path:
            if parent is None or not is_expandable(parent, name):
                problem = f"{'.'.join(path)} cannot be expanded."
                raise ApiError(400, "A parameter is invalid.", fields={"expand": problem})
            parent = referenced_kind(parent, name)
            node = node.setdefault(name, {})
    return tree


def field_tree(paths: Iterable[tuple[str, ...]], included: Tree | None = None) -> Tree:
    """Parse ``fields`` into a tree; a path that is the prefix of another includes it.

    Fields of *included* are added where other fields are named.
    """
    tree: Tree = {}
    whole: set[tuple[str, ...]] = set()
    for path in sorted(paths, key=len):
        if any(path[:length] in whole for length in range(1, len(path))):
            continue
        whole.add(path)
        node = tree
        for name in path:
            node = node.setdefault(name, {})
    _include(tree, included or {})
    return tree


def _include(fields: Tree, included: Tree) -> None:
    if fields:
        for name, subtree in included.items():
            _include(fields.setdefault(name, {}), subtree)


def _pick_fields(value: Any, fields: Tree) -> Any:
    if not fields:
        return value
    if isinstance(value, dict):
        return {name: _pick_fields(value[name], fields[name]) for name in value if name in fields}
    return [_pick_fields(item, fields) for item in value] if isinstance(value, list) else value
