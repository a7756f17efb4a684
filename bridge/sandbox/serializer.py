"""Serialises records, with the requested expansions and fields."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
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
_Writer = Callable[[Any], Any]

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
    # A page has many records with the same fields, and refers to few records, many times each. The
    # trees are identified by their address, as they live as long as the serializer.
    _writers: dict[tuple[str, int, int], dict[str, _Writer | None]] = field(
        default_factory=dict, init=False
    )
    _written: dict[tuple[str, int, int, int], Row] = field(default_factory=dict, init=False)

    def session(self, row: Row) -> Row:
        """Serialise a row of the list."""
        return self._record(self.endpoint.object, row, self.expand, self.fields)

    def _record(self, kind: str, row: Row, expand: Tree, fields: Tree) -> Row:
        writers = self._writers.setdefault((kind, id(expand), id(fields)), {})
        result = {}
        for name, value in row.items():
            if name not in writers:
                writers[name] = self._writer(kind, name, expand, fields)
            if (write := writers[name]) is not None:
                result[name] = write(value)
        return result

    def _writer(self, kind: str, name: str, expand: Tree, fields: Tree) -> _Writer | None:
        """What serialises a field of a record; None if the field is left out."""
        hidden = NEVER_SENT.get(kind, _NONE) | self.omit.get(kind, _NONE)
        named = name in fields or (not fields and name not in DEFERRED.get(kind, _NONE))
        if name in hidden or not (named or (not fields and name in expand)):
            return None
        if name in TO_MANY.get(kind, {}) and name not in expand:
            return lambda _: self.collection_url
        below = fields.get(name, _WHOLE)
        referenced = referenced_kind(kind, name)
        if referenced is not None:
            return partial(
                self._reference, referenced, name in expand, expand.get(name, _WHOLE), below
            )
        if name in COLORS.get(kind, _NONE) and not self.endpoint.hash_in_colors:
            return _without_hash
        return partial(_pick_fields, fields=below) if below else _unchanged

    def _reference(self, kind: str, expanded: bool, expand: Tree, fields: Tree, value: Any) -> Any:
        if isinstance(value, list):
            return [self._referenced(kind, item, expand, fields) for item in value]
        if value is None or not expanded:
            return value and id_of(value)
        return self._referenced(kind, value, expand, fields)

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


def _unchanged(value: Any) -> Any:
    return value


def _without_hash(value: Any) -> Any:
    return value.lstrip("#") if isinstance(value, str) else value


def _pick_fields(value: Any, fields: Tree) -> Any:
    if not fields:
        return value
    if isinstance(value, dict):
        return {name: _pick_fields(value[name], fields[name]) for name in value if name in fields}
    return [_pick_fields(item, fields) for item in value] if isinstance(value, list) else value
