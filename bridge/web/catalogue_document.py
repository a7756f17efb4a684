"""The catalogue as JSON: everything that there is a feed of, with names, counts and addresses."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from bridge.feeds.catalogue import catalogue_of, in_local_window, visible_sessions
from bridge.feeds.formats import FORMATS
from bridge.feeds.formats.json_schema import object_schema
from bridge.feeds.params import FeedDefaults, feed_spec
from bridge.feeds.spec import PATH_FIELDS, FeedSpec, Kind
from bridge.filters import parts
from bridge.model import ClassSession, Status
from bridge.snapshots.snapshot import Snapshot
from bridge.web.pages import calendar_links

_KINDS: Mapping[str, Kind] = {kind.value: kind for kind in PATH_FIELDS}
_ADDRESSES = ("page", *FORMATS, "embed")
_ADDRESS_SCHEMA = {"type": "string", "format": "uri"}
_FEED_PROPERTIES: Mapping[str, Any] = {
    "upcoming": {
        "type": "integer",
        "minimum": 0,
        "description": "How many of its sessions are neither over nor cancelled, and start in the"
        " default window, whose days are counted from the last refresh, at the venue.",
    },
    **dict.fromkeys(_ADDRESSES, _ADDRESS_SCHEMA),
}
_FEED_SCHEMA = object_schema(_FEED_PROPERTIES)


def _item_schema(**further: Any) -> Mapping[str, Any]:
    own = {"id": {"type": "integer", "minimum": 0}, "name": {"type": "string"}}
    return object_schema({**own, **further, **_FEED_PROPERTIES})


_GROUP_SCHEMAS = {
    "venues": _item_schema(timezone={"type": ["string", "null"]}),
    "rooms": _item_schema(
        venue={"type": ["integer", "null"], "description": "The id of its venue."}
    ),
    "instructors": _item_schema(),
    "courses": _item_schema(),
    "types": _item_schema(
        category={"type": ["integer", "null"], "description": "The id of its category."}
    ),
    "categories": _item_schema(),
}
SCHEMA: Mapping[str, Any] = object_schema(
    {
        "all": _FEED_SCHEMA,
        **{group: {"type": "array", "items": item} for group, item in _GROUP_SCHEMAS.items()},
    }
)
"""The JSON Schema of the document."""


def catalogue_document(snapshot: Snapshot, base: str, defaults: FeedDefaults) -> str:
    """The catalogue of the sessions in the default window that the public may see.

    Args:
        base: the bridge's own address.
    """
    everything = feed_spec(Kind.SESSION, None, (), defaults)
    window, audience = everything.filter_set, everything.audience
    now = datetime.fromtimestamp(snapshot.newest_walk_at, UTC)
    sessions = visible_sessions(snapshot, window, audience)
    upcoming = [
        session
        for session in in_local_window(sessions, window, snapshot)
        if session.ends >= now and session.status is Status.ACTIVE
    ]
    counts = Counter(part[:2] for session in upcoming for part in parts(session))
    listed = catalogue_of(sessions, defaults.language)
    further = _further_values(sessions)
    document: dict[str, Any] = {
        "all": {"upcoming": len(upcoming), **_addresses(everything, "", base)}
    }
    for group in _GROUP_SCHEMAS:
        field = PATH_FIELDS[_KINDS[group]] if group in _KINDS else "category"
        document[group] = [
            {
                "id": item.identity,
                "name": item.name,
                **further.get((group, item.identity), {}),
                "upcoming": counts[field, item.identity],
                **_addresses(_spec(group, item.identity, defaults), item.name, base),
            }
            for item in listed[field]
        ]
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def _further_values(sessions: Iterable[ClassSession]) -> Mapping[tuple[str, int], dict[str, Any]]:
    """What an item has besides id and name, by group and id."""
    values: dict[tuple[str, int], dict[str, Any]] = {}
    for session in sessions:
        venue, room, offering_type = session.venue, session.room, session.offering_type
        if venue:
            values["venues", venue.id] = {"timezone": venue.zone}
        if room:
            values["rooms", room.id] = {"venue": venue.id if venue else None}
        if offering_type and offering_type.id is not None:
            values["types", offering_type.id] = {"category": offering_type.category_id}
    return values


def _spec(group: str, identity: int, defaults: FeedDefaults) -> FeedSpec:
    if group in _KINDS:
        return feed_spec(_KINDS[group], identity, (), defaults)
    return feed_spec(Kind.SESSION, None, [("category", str(identity))], defaults)


def _addresses(spec: FeedSpec, name: str, base: str) -> Mapping[str, str]:
    page = calendar_links.path(spec, name)
    feeds = {suffix: calendar_links.path(spec, name, f".{suffix}") for suffix in FORMATS}
    paths = {"page": page, **feeds, "embed": f"/embed{page}"}
    return {form: base + path for form, path in paths.items()}
