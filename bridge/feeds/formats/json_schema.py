"""The JSON Schemas of feeds and errors in JSON."""

from collections.abc import Mapping
from typing import Any

from bridge.feeds.changes import ChangeKind
from bridge.model import SourceName, Status


def object_schema(properties: Mapping[str, Any], **keywords: Any) -> Mapping[str, Any]:
    """The schema of an object with exactly these properties."""
    return {
        "type": "object",
        "properties": properties,
        "required": [*properties],
        "additionalProperties": False,
        **keywords,
    }


_ID = {"type": "integer"}
_STRING = {"type": "string"}
_TIME = {"type": "string", "format": "date-time"}
_NULL = {"type": "null"}
_OPTIONAL_STRING = {"type": ["string", "null"]}
_OPTIONAL_TIME = {"type": ["string", "null"], "format": "date-time"}
_NAMED = object_schema({"id": _ID, "name": _STRING})
_PUBLIC_PROPERTIES: Mapping[str, Any] = {
    "id": {"type": "string", "description": "The event's UID, the same in every feed."},
    "title": _STRING,
    "start": _TIME,
    "end": _OPTIONAL_TIME,
    "url": {**_OPTIONAL_STRING, "description": "The page where a customer books."},
    "status": {"type": "string", "enum": [status.value for status in Status]},
    "location": _STRING,
    "description": _STRING,
    "venue": {
        "anyOf": [
            object_schema({"id": _ID, "name": _STRING, "timezone": _OPTIONAL_STRING}),
            _NULL,
        ]
    },
    "instructors": {"type": "array", "items": _NAMED},
    "course": {"anyOf": [_NAMED, _NULL]},
    "type": {
        "anyOf": [
            object_schema(
                {"id": {"type": ["integer", "null"]}, "name": _STRING, "category": _STRING}
            ),
            _NULL,
        ]
    },
    "availability": {
        "anyOf": [{"const": "full"}, {"type": "integer", "minimum": 0}, _NULL],
        "description": "Null, or full, or the number of places left.",
    },
    "updated": _TIME,
    "sequence": {"type": "integer", "minimum": 0},
    "object": {"type": "string", "enum": [source.object for source in SourceName]},
    "session": {"type": "integer", "description": "TeamUp's id in its list."},
    "room": {"anyOf": [_NAMED, _NULL]},
    "instead_of": {
        "anyOf": [{"type": "array", "items": _STRING, "minItems": 1}, _NULL],
        "description": "The names of the instructors who were announced before a cover.",
    },
    "moved_from": {**_OPTIONAL_TIME, "description": "The start before it was moved."},
    "classNames": {
        "type": "array",
        "items": {"type": "string", "enum": ["cancelled", "full"]},
        "description": "The CSS classes that FullCalendar gives the event.",
    },
    "booking_opens": {**_OPTIONAL_TIME, "description": "When booking opens."},
}
_PRIVATE_PROPERTIES: Mapping[str, Any] = {
    "booked": {"type": "string", "description": "Only in private feeds with counts."},
    "join_url": {"type": "string", "description": "Only in private feeds with join links."},
    "staff_url": {"type": "string", "description": "Only in private feeds with staff links."},
}
_SESSION = object_schema(
    {**_PUBLIC_PROPERTIES, **_PRIVATE_PROPERTIES}, required=[*_PUBLIC_PROPERTIES]
)
_SIDE = {
    "anyOf": [
        object_schema({"start": _TIME, "end": _OPTIONAL_TIME}),
        {"type": "array", "items": _NAMED},
        _NAMED,
        _STRING,
        _NULL,
    ]
}
_CHANGE = object_schema(
    {
        "id": {"type": "string", "description": "Never changes; the same in every feed."},
        "kind": {"type": "string", "enum": [kind.value for kind in ChangeKind]},
        "at": _TIME,
        "text": _STRING,
        "from": _SIDE,
        "to": _SIDE,
        "session": _SESSION,
    }
)
SESSIONS: Mapping[str, Any] = {"type": "array", "items": _SESSION}
"""A feed in JSON."""

CHANGES: Mapping[str, Any] = {"type": "array", "items": _CHANGE}
"""The changes of a feed in JSON."""

PROBLEM: Mapping[str, Any] = object_schema(
    {
        "type": {"const": "about:blank"},
        "title": _STRING,
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong, and what is accepted."},
        "invalid_params": {
            "type": "array",
            "items": object_schema({"name": _STRING, "reason": _STRING}),
            "description": "The parameter that was refused.",
        },
    },
    required=["type", "title", "status", "detail"],
    description="Problem details (RFC 9457).",
)
"""An error in JSON."""
