"""A studio with canaries in all hidden data, and upstreams that send it in all kinds of faults."""

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

from security import canaries
from upstreams import raw
from upstreams.raw import Script
from upstreams.rows import MISSING, Row, course_row, instructor_row, session_row, venue_row

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
PUBLIC, FULL, ONLINE, CANCELLED = 10_001, 10_002, 10_003, 10_004
MEMBERS, PRIVATE, DRAFT, UNKNOWN = 10_011, 10_012, 10_013, 10_014
VENUE, HIDDEN_VENUE = 11, 16
PERSON, HIDDEN_PERSON = 101, 112
COURSE, HIDDEN_COURSE = 201, 205


def _with_staff_fields(row: Row) -> Row:
    """Add the fields that TeamUp only shows to staff."""
    row.update(
        notes="canary-notes",
        waiting_count=canaries.ATTENDING,
        attendees=[{"id": 1, "name": "canary-attendee", "email": "canary-attendee@mail.example"}],
        provider_url="/providers/canary-staff/sessions",
    )
    row["venue"].update(
        zoom_user="canary-zoom",
        video_url="https://video.example/j/canary-join?pwd=canary-join",
        venue_rooms=[{"id": 1, "name": "canary-room"}],
    )
    for person in row["instructors"]:
        person["permissions"]["canary-permission"] = "canary-permission"
        person["email"] = "canary-address@staff.example"
        person["staff"] = {"id": 7, "email": "canary-address@staff.example"}
        person["availability_schedules"] = [{"id": 1, "name": "canary-schedule"}]
    row["course"]["internal_name"] = "canary-internal"
    kind = row["course"]["offering_type"]
    kind["memberships_summary_description"] = "canary-membership"
    kind["instructors"] = [{"id": 1, "name": "canary-teacher"}]
    return row


def _hidden(identity: int, word: str, at: datetime, **fields: Any) -> Row:
    """A session that the public may not see, with a canary in every field."""
    name = f"canary-{word}"
    course = course_row(0, id=HIDDEN_COURSE, name=name)
    course["offering_type"].update(
        id=305,
        name=name,
        description=f"<p>{name}</p>",
        category={"id": 409, "name": name},
        **fields,
    )
    if fields.get("customer_visibility") is MISSING:
        del course["offering_type"]["customer_visibility"]
    return session_row(
        identity,
        at,
        name=name,
        venue=venue_row(0, id=HIDDEN_VENUE, name=name, address=name),
        instructors=[instructor_row(11, id=HIDDEN_PERSON, name=name)],
        course=course,
        customer_url=f"https://goteamup.com/p/{name}",
    )


def public_rows(now: datetime = NOW) -> list[Row]:
    """Public sessions, as TeamUp returns them to staff."""
    counts = {"attending_count": canaries.ATTENDING, "max_occupancy": canaries.CAPACITY}
    full = dict.fromkeys(counts, canaries.CAPACITY)
    day = timedelta(days=1)
    rows = [
        session_row(PUBLIC, now + day, **counts),
        session_row(FULL, now + 1.2 * day, venue=venue_row(1), **full),
        session_row(ONLINE, now + 3 * day, venue=venue_row(4), **counts),
        session_row(CANCELLED, now + 4 * day, status="cancelled", **counts),
        session_row(10_005, now - 4 * day, **counts),
    ]
    return [_with_staff_fields(row) for row in rows]


def hidden_rows(now: datetime = NOW) -> list[Row]:
    """Hidden sessions: for members, private, drafts, and with an unknown visibility."""
    soon, past = now + timedelta(days=2), now - timedelta(days=3)
    rows = [
        _hidden(MEMBERS, "members", soon, customer_visibility="membership_holders"),
        _hidden(PRIVATE, "private", soon, customer_visibility="private"),
        _hidden(DRAFT, "draft", soon, customer_visibility="public", is_draft=True),
        _hidden(UNKNOWN, "unknown", soon, customer_visibility=MISSING),
        _hidden(10_015, "unknown", soon, customer_visibility="everyone"),
        _hidden(10_016, "private", past, customer_visibility="private"),
    ]
    return [_with_staff_fields(row) for row in rows]


def all_rows(now: datetime = NOW) -> list[Row]:
    """The whole timetable."""
    return public_rows(now) + hidden_rows(now)


def page(rows: list[Any]) -> bytes:
    """All of *rows* on one page; filters, fields and expansions are ignored."""
    return raw.page(rows)


def healthy(rows: list[Any] | None = None) -> Script:
    """A script that answers correctly."""
    return raw.ok(page(all_rows() if rows is None else rows))


def _error(code: str = "canary_code", *, request: bytes = b"") -> bytes:
    """An error in TeamUp's format with secrets in every field."""
    text = f"canary-upstream {canaries.TOKEN} {request.decode()}"
    fields = {"venues": [text], "canary_field": [text]}
    return json.dumps(
        {"code": code, "message": text, "type": text, "field_errors": fields, "debug": text}
    ).encode()


def _verbose_error(status: int) -> Script:
    """An error that repeats the request's secrets in its body and headers."""

    def script(connection: Any, request: bytes, n: int) -> None:
        body = _error(request=request)
        headers: dict[str, str | int] = {
            "X-Debug": canaries.TOKEN,
            "WWW-Authenticate": f'Bearer realm="canary-upstream {canaries.TOKEN}"',
            "Set-Cookie": "canary-upstream=1",
            "Retry-After": "300",
        }
        raw.status(status, headers, body)(connection, request, n)

    return script


def _changed(change: Callable[[Row], None]) -> Script:
    rows = all_rows()
    for row in rows:
        change(row)
    return healthy(rows)


def _unexpanded(row: Row) -> None:
    row["venue"] = row["venue"]["id"]
    row["instructors"] = "https://goteamup.com/api/v2/canary-collection"
    row["course"] = row["course"]["id"]


def _without_visibility(row: Row) -> None:
    row["course"]["offering_type"].pop("customer_visibility", None)


def _all_private(row: Row) -> None:
    row["course"]["offering_type"]["customer_visibility"] = "private"


def _all_drafts(row: Row) -> None:
    row["course"]["offering_type"]["is_draft"] = "no"


def _wrong_types(row: Row) -> None:
    row.update(attending_count="canary-upstream", max_occupancy={"canary-upstream": 1})
    row["venue"]["timezone"] = "canary-upstream"
    row["status"] = "canary-upstream"
    row["ends_at"] = "canary-upstream"


def _invalid_start(row: Row) -> None:
    row["starts_at"] = "canary-upstream"


def _half(rows: bytes) -> bytes:
    return rows[: len(rows) // 2]


_ROWS = page(all_rows())
FAULTS: Mapping[str, Script] = {
    **{f"status-{code}": _verbose_error(code) for code in (400, 401, 403, 404, 429, 500, 503)},
    "known-code": raw.status(403, body=_error("permission_denied")),
    "made-up-code": raw.status(403, body=_error()),
    "token-as-code": raw.status(400, body=_error(canaries.TOKEN)),
    "error-as-page": raw.ok(_error()),
    "html": raw.ok(b"<title>canary-upstream</title>", {"Content-Type": "text/html"}),
    "half": raw.plain_close_midway(_ROWS),
    "short": raw.short_content_length(_ROWS),
    "chunked": raw.short_chunked(_ROWS),
    "reset": raw.reset_in_body(_ROWS),
    "half-json": raw.ok(_half(_ROWS)),
    "not-utf-8": raw.ok(_ROWS.replace(b"canary-notes", b"canary-upstream\xff\xfe")),
    "nan": raw.ok(_ROWS.replace(str(canaries.ATTENDING).encode(), b"NaN")),
    "deep": raw.ok(b'{"canary-upstream":' * 50_000),
    "bad-rows": healthy(
        [None, 5, "canary-upstream", ["canary-upstream"], {"id": "canary-upstream"}]
    ),
    "bomb": raw.gzip_bomb(12),
    "silence": raw.silence(),
    "drip": raw.drip_body(1.0, _ROWS),
    "gone": healthy([]),
    "public-gone": healthy(hidden_rows()),
    "unexpanded": _changed(_unexpanded),
    "no-visibility": _changed(_without_visibility),
    "all-private": _changed(_all_private),
    "all-drafts": _changed(_all_drafts),
    "wrong-types": _changed(_wrong_types),
    "no-times": _changed(_invalid_start),
    "twice": healthy(deepcopy(all_rows()) + all_rows()),
}
"""All kinds of upstream faults, with canaries in each response."""
