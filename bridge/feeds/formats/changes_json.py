"""The changes of a feed as JSON: an array with one object a change, newest first."""

from typing import Any

from bridge.feeds.change_text import change_text
from bridge.feeds.changes import ChangeKind, SessionChange
from bridge.feeds.formats import json, json_schema
from bridge.feeds.formats.base import Content, Format
from bridge.languages import Language
from bridge.model import ClassSession, Room, Venue
from bridge.times import utc_text


def render(content: Content) -> bytes:
    """The array; each object contains the session as it is in the feed's own JSON."""
    language = content.spec.language
    return json.encode([change_object(change, language) for change in content.changes])


def change_object(change: SessionChange, language: Language) -> dict[str, Any]:
    """One change. ``from`` and ``to`` depend on its kind."""
    old, new = change.before.session, change.after.session
    before, after = _sides(change.kind, old), _sides(change.kind, new)
    return {
        "id": change.id.urn,
        "kind": change.kind.value,
        "at": utc_text(change.at),
        "text": change_text(change, language),
        "from": before,
        "to": after,
        "session": json.session_object(change.after, language),
    }


def _sides(kind: ChangeKind, session: ClassSession) -> Any:
    """What a change of this kind is about, of one form of the session; None for other kinds."""
    match kind:
        case ChangeKind.MOVED:
            end = utc_text(session.end) if session.end else None
            return {"start": utc_text(session.start), "end": end}
        case ChangeKind.COVER:
            return [{"id": person.id, "name": person.name} for person in session.instructors]
        case ChangeKind.VENUE:
            return _named(session.venue)
        case ChangeKind.ROOM:
            return _named(session.room)
        case ChangeKind.RENAMED:
            return session.title
    return None


def _named(place: Venue | Room | None) -> dict[str, Any] | None:
    return None if place is None else {"id": place.id, "name": place.name}


FORMAT = Format(
    suffix="json",
    media_type="application/json",
    render=render,
    error=json.FORMAT.error,
    error_type=json.FORMAT.error_type,
    schema=json_schema.CHANGES,
    error_schema=json.FORMAT.error_schema,
    of_changes=True,
)
