"""The JSON format: an array with one object a session, usable as FullCalendar's event source."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any

from bridge import times
from bridge.errors import ParameterError
from bridge.feeds.event_text import booked, title
from bridge.feeds.formats import json_schema
from bridge.feeds.formats.base import Content, Format
from bridge.feeds.session_view import SessionView
from bridge.languages import Language
from bridge.param_values import Parameter, single, whole_number
from bridge.times import utc_text

_LOCAL = "local"


def render(content: Content) -> bytes:
    """The array, in the order of the calendar."""
    return encode([session_object(view, content.spec.language) for view in content.shown])


def apply_params(body: bytes, params: Mapping[str, Sequence[str]], now: datetime) -> bytes:
    """Only those objects of *body* that overlap a time range, or the next few.

    Args:
        params: the values of ``start`` and ``end`` (exclusive), RFC 3339 times or dates;
            ``timeZone``, the IANA zone of naive times (by default UTC); and ``limit``, a number: of
            the sessions that are not over at *now* only so many, the earliest.

    Raises:
        ParameterError: a value cannot be used.
    """
    values = {name: _PARAMS[name].parse(name, texts) for name, texts in params.items()}
    if values.keys() <= {"timeZone"}:
        return body
    zone = values.get("timeZone", UTC)
    first, last = (_placed(values.get(name), zone) for name in ("start", "end"))
    if first is not None and last is not None and last < first:
        raise ParameterError("end", "end: is before start, so no session can match; change one")
    events = [event for event in json.loads(body) if _overlaps(event, first, last)]
    if "limit" in values:
        events = [event for event in events if _end(event) > now][: values["limit"]]
    return encode(events)


def _zone(name: str, texts: Sequence[str]) -> tzinfo:
    text = texts[0] if len(set(texts)) == 1 else single(name, texts)
    # FullCalendar sends the name of its time zone, and "local" for the browser's.
    zone = UTC if text in ("", _LOCAL) else times.zone(text)
    if zone is None:
        raise ParameterError.unusable(name, text, "a name such as Europe/London")
    return zone


def _time(name: str, texts: Sequence[str]) -> datetime:
    return times.bound(name, single(name, texts), edge=times.Edge.FIRST, local=True)


def _placed(bound: datetime | None, zone: tzinfo) -> datetime | None:
    return bound if bound is None or bound.tzinfo else bound.replace(tzinfo=zone)


_PARAMS = {
    # FullCalendar appends the first three to every request.
    "start": Parameter("Sessions end after it.", _time, times.BOUND_SCHEMA),
    "end": Parameter("Sessions start before it.", _time, times.BOUND_SCHEMA),
    "timeZone": Parameter(
        "The zone of `start` and `end` without an offset; `local` and the default mean UTC.",
        _zone,
        {"type": "string", "enum": [_LOCAL, *sorted(times.zone_names())]},
    ),
    "limit": whole_number("The first so many sessions that are not over.", most=10_000),
}


def _end(event: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(event["end"] or event["start"])


def _overlaps(event: dict[str, Any], first: datetime | None, last: datetime | None) -> bool:
    start = datetime.fromisoformat(event["start"])
    end = _end(event)
    return (first is None or end > first or start == end == first) and (
        last is None or start < last
    )


def encode(events: list[dict[str, Any]]) -> bytes:
    """An array in UTF-8, one object a line."""
    lines = (json.dumps(event, ensure_ascii=False, separators=(",", ":")) for event in events)
    return ("[" + ",\n".join(lines) + "]\n").encode()


def session_object(view: SessionView, language: Language) -> dict[str, Any]:
    """One session: documented in docs/feeds.md."""
    session, venue, offering_type = view.session, view.session.venue, view.session.offering_type
    # These keys are present only if the audience may see their values.
    private = {
        "booked": view.booked and booked(view.booked, language),
        "join_url": venue.join_url if venue else None,
        "staff_url": session.staff_url,
    }
    return {
        "id": view.uid,
        "title": title(view, language),
        "start": utc_text(session.start),
        "end": utc_text(session.end) if session.end else None,
        "url": session.booking_url,
        "status": session.status.value,
        "location": session.location,
        "description": session.description,
        "venue": venue and {"id": venue.id, "name": venue.name, "timezone": venue.zone},
        "instructors": [{"id": person.id, "name": person.name} for person in session.instructors],
        "course": session.course and {"id": session.course.id, "name": session.course.name},
        "type": offering_type
        and {
            "id": offering_type.id,
            "name": offering_type.name,
            "category": offering_type.category,
        },
        "availability": view.availability,
        "updated": utc_text(view.modified),
        "sequence": view.sequence,
        "object": session.source,
        "session": session.id,
        "room": session.room and {"id": session.room.id, "name": session.room.name},
        "instead_of": [*view.instead_of] or None,
        "moved_from": utc_text(view.moved_from) if view.moved_from else None,
        # FullCalendar's name for the CSS classes of an event.
        "classNames": _css_classes(view),
        "booking_opens": utc_text(session.booking_opens) if session.booking_opens else None,
        **{name: value for name, value in private.items() if value is not None},
    }


def _css_classes(view: SessionView) -> list[str]:
    if view.cancelled:
        return ["cancelled"]
    return ["full"] if view.availability == "full" else []


def _error(title: str, status: int, detail: str, parameter: str | None) -> str:
    """A problem details object (RFC 9457)."""
    problem: dict[str, Any] = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
    }
    if parameter is not None:
        problem["invalid_params"] = [{"name": parameter, "reason": detail}]
    return json.dumps(problem) + "\n"


FORMAT = Format(
    suffix="json",
    media_type="application/json",
    render=render,
    error=_error,
    error_type="application/problem+json",
    schema=json_schema.SESSIONS,
    error_schema=json_schema.PROBLEM,
    params=_PARAMS,
    apply_params=apply_params,
    # The sessions that are over change without a walk.
    timed_params=frozenset(("limit",)),
)
