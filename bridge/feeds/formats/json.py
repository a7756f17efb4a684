"""The feed as a JSON array: one object a session, also readable as FullCalendar's event source."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from bridge import times
from bridge.feeds.formats.base import Content, Format
from bridge.feeds.selection import SessionView


def render(content: Content) -> bytes:
    """The array, in the order of the calendar."""
    return _encoded([_object(one) for one in content.shown])


def narrow(body: bytes, params: Mapping[str, str]) -> bytes:
    """Those objects of *body* that overlap a range of time.

    Args:
        params: ``start`` and ``end``, RFC 3339 times or dates, the end exclusive; and
            ``timeZone``, the IANA zone of naive ones (UTC where it is missing or unknown).

    Raises:
        ParameterError: a bound cannot be read.
    """
    zone = params.get("timeZone")
    first, last = (_edge(name, params.get(name), zone) for name in ("start", "end"))
    if first is None and last is None:
        return body
    return _encoded([one for one in json.loads(body) if _overlaps(one, first, last)])


def _edge(name: str, text: str | None, zone: str | None) -> datetime | None:
    if text is None:
        return None
    edge = times.bound(name, text, edge=times.Edge.FIRST, local=True)
    return edge if edge.tzinfo else edge.replace(tzinfo=times.zone(zone) or UTC)


def _overlaps(one: dict[str, Any], first: datetime | None, last: datetime | None) -> bool:
    start = datetime.fromisoformat(one["start"])
    end = datetime.fromisoformat(one["end"] or one["start"])
    return (first is None or end > first or start == end == first) and (
        last is None or start < last
    )


def _encoded(objects: list[dict[str, Any]]) -> bytes:
    lines = (json.dumps(one, ensure_ascii=False, separators=(",", ":")) for one in objects)
    return ("[" + ",\n".join(lines) + "]\n").encode()


def _object(one: SessionView) -> dict[str, Any]:
    session, venue, kind = one.session, one.session.venue, one.session.offering_type
    # These keys are there only for those who may see what is in them.
    private = {
        "booked": one.booked,
        "join_url": venue.join_url if venue else None,
        "staff_url": session.staff_url,
    }
    return {
        "id": one.uid,
        "title": one.summary,
        "start": _utc(session.start),
        "end": _utc(session.end) if session.end else None,
        "url": session.booking_url,
        "status": session.status.value,
        "location": venue.location if venue else "",
        "description": kind.description if kind else "",
        "venue": venue and {"id": venue.id, "name": venue.name, "timezone": venue.zone},
        "instructors": [{"id": who.id, "name": who.name} for who in session.instructors],
        "course": session.course and {"id": session.course.id, "name": session.course.name},
        "type": kind and {"id": kind.id, "name": kind.name, "category": kind.category},
        "availability": one.availability,
        "updated": _utc(one.modified),
        "sequence": one.sequence,
        **{name: value for name, value in private.items() if value is not None},
    }


def _utc(value: datetime) -> str:
    return value.strftime("%Y-%m-%dT%H:%M:%SZ")


def _error(title: str, status: int, detail: str) -> str:
    """A problem details object (RFC 9457)."""
    problem = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return json.dumps(problem) + "\n"


FORMAT = Format(
    suffix="json",
    media_type="application/json",
    render=render,
    error=_error,
    error_type="application/problem+json",
    # what FullCalendar appends to every request
    params=frozenset({"start", "end", "timeZone"}),
    narrow=narrow,
)
