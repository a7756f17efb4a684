"""A studio with canaries in all hidden data, and upstreams that send it in all kinds of faults."""

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

from security import canaries
from upstreams import raw
from upstreams.raw import Script
from upstreams.rows import (
    MISSING,
    Row,
    class_row,
    course_row,
    instructor_row,
    session_row,
    stamp,
    venue_row,
)

from bridge.sandbox import records

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
PUBLIC, FULL, ONLINE, CANCELLED = 10_001, 10_002, 10_003, 10_004
MEMBERS, PRIVATE, DRAFT, UNKNOWN = 10_011, 10_012, 10_013, 10_014
#: Ids of ordinary classes: those of course sessions with another visibility.
CLASS, FULL_CLASS, ONLINE_CLASS, CANCELLED_CLASS = PRIVATE, MEMBERS, DRAFT, UNKNOWN
MEMBERS_CLASS, PRIVATE_CLASS, APPOINTMENT = PUBLIC, FULL, ONLINE
VENUE, HIDDEN_VENUE = 11, 16
ROOM, HIDDEN_ROOM = 110, 160
PERSON, HIDDEN_PERSON = 101, 112
COURSE, HIDDEN_COURSE = 201, 205
TYPE, HIDDEN_TYPE = 301, 305
#: In the description of a class, as studios paste it there.
MEETING_LINK = "https://us02web.zoom.us/j/81234567890?pwd=canary-join"


def is_class(row: Any) -> bool:
    """Whether *row* is an ordinary class, and no session of a course."""
    return isinstance(row, dict) and row.get("object") == "event"


def type_of(row: Row) -> Any:
    """The offering type of a class or of a course session."""
    return (row if is_class(row) else row["course"])["offering_type"]


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
    if is_class(row):
        visitor = records.customer(
            7,
            first_name="canary-customer",
            last_name="canary-customer",
            email="canary-customer@mail.example",
        )
        row["small_session_attendances"] = [records.attendance(n, visitor) for n in (1, 2)]
    else:
        row["course"]["internal_name"] = "canary-internal"
    kind = type_of(row)
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


def _hidden_class(identity: int, word: str, at: datetime, **fields: Any) -> Row:
    """A class that the public may not see, with a canary in every field.

    Args:
        fields: of the offering type, or (with the prefix ``class__``) of the class.
    """
    own = {name: value for name, value in fields.items() if name.startswith("class__")}
    row = _hidden(identity, word, at, **{n: v for n, v in fields.items() if n not in own})
    name = f"canary-{word}"
    return class_row(
        identity,
        at,
        **{name: row[name] for name in ("name", "venue", "instructors", "customer_url")},
        venue_room=records.venue_room(HIDDEN_ROOM, name, HIDDEN_VENUE),
        offering_type=row["course"]["offering_type"],
        description=f"<p>{name}</p>",
        **{name.removeprefix("class__"): value for name, value in own.items()},
    )


def timelines(*audiences: str) -> list[Row]:
    """Registration timelines for these audiences."""
    return [records.registration_timeline(1, "canary-timeline", name) for name in audiences]


def public_rows(now: datetime = NOW) -> list[Row]:
    """Public sessions and classes, as TeamUp returns them to staff."""
    counts = {"attending_count": canaries.ATTENDING, "max_occupancy": canaries.CAPACITY}
    full = dict.fromkeys(counts, canaries.CAPACITY)
    day = timedelta(days=1)
    rows = [
        session_row(PUBLIC, now + day, **counts),
        session_row(FULL, now + 1.2 * day, venue=venue_row(1), **full),
        session_row(ONLINE, now + 3 * day, venue=venue_row(4), **counts),
        session_row(CANCELLED, now + 4 * day, status="cancelled", **counts),
        session_row(10_005, now - 4 * day, **counts),
        class_row(CLASS, now + 1.1 * day, **counts),
        class_row(
            FULL_CLASS,
            now + 1.3 * day,
            overriden_registration_timelines=timelines("private_url", "everyone"),
            **full,
        ),
        class_row(
            ONLINE_CLASS,
            now + 3.1 * day,
            venue=venue_row(4),
            venue_room=None,
            description=f"<p>We sit for an hour.</p><p>{MEETING_LINK}</p>",
            registrations_open_at=stamp(now + day),
            **counts,
        ),
        class_row(CANCELLED_CLASS, now + 4.1 * day, status="cancelled", **counts),
        class_row(10_007, now - 4.1 * day, **counts),
    ]
    return [_with_staff_fields(row) for row in rows]


def hidden_rows(now: datetime = NOW) -> list[Row]:
    """Hidden sessions and classes: for members, private, drafts, and of unknown visibility.

    Some classes are hidden by their registration timelines; others are private appointments.
    """
    soon, past = now + timedelta(days=2), now - timedelta(days=3)
    rows = [
        _hidden(MEMBERS, "members", soon, customer_visibility="membership_holders"),
        _hidden(PRIVATE, "private", soon, customer_visibility="private"),
        _hidden(DRAFT, "draft", soon, customer_visibility="public", is_draft=True),
        _hidden(UNKNOWN, "unknown", soon, customer_visibility=MISSING),
        _hidden(10_015, "unknown", soon, customer_visibility="everyone"),
        _hidden(10_016, "private", past, customer_visibility="private"),
        _hidden_class(MEMBERS_CLASS, "members", soon, customer_visibility="membership_holders"),
        _hidden_class(PRIVATE_CLASS, "private", soon, customer_visibility="private"),
        _hidden_class(10_021, "draft", soon, customer_visibility="public", is_draft=True),
        _hidden_class(10_022, "unknown", soon, customer_visibility=MISSING),
        _hidden_class(10_023, "private", past, customer_visibility="private"),
        _hidden_class(
            10_024,
            "members",
            soon,
            customer_visibility="public",
            registration_timelines=timelines("specific_memberships"),
        ),
        _hidden_class(
            10_025,
            "private",
            soon,
            customer_visibility="public",
            registration_timelines=timelines("everyone"),
            class__overriden_registration_timelines=timelines("business_only"),
        ),
        *(
            _hidden_class(
                APPOINTMENT + number,
                "appointment",
                at,
                customer_visibility="public",
                class__is_appointment=value,
            )
            for number, (at, value) in enumerate(((soon, True), (soon, "true"), (past, True)))
        ),
    ]
    return [_with_staff_fields(row) for row in rows]


def all_rows(now: datetime = NOW) -> list[Row]:
    """The whole timetable."""
    return public_rows(now) + hidden_rows(now)


def page(rows: list[Any]) -> bytes:
    """All of *rows* on one page; filters, fields and expansions are ignored."""
    return raw.page(rows)


def by_list(script_of: Callable[[bytes], Script], rows: list[Any] | None = None) -> Script:
    """A script that answers each request with the rows of the requested list.

    Args:
        script_of: creates the script from the page.
        rows: by default the whole timetable. What is no row is in both lists.
    """
    rows = all_rows() if rows is None else rows
    classes = script_of(page([row for row in rows if is_class(row) or not isinstance(row, dict)]))
    sessions = script_of(page([row for row in rows if not is_class(row)]))

    def script(connection: Any, request: bytes, n: int) -> None:
        requested = classes if b"/events?" in request.partition(b"\r\n")[0] else sessions
        requested(connection, request, n)

    return script


def healthy(rows: list[Any] | None = None) -> Script:
    """A script that answers correctly."""
    return by_list(raw.ok, rows)


def failing_list(path: str, failing: Script) -> Script:
    """A script in which one of TeamUp's lists fails."""
    working = healthy()

    def script(connection: Any, request: bytes, n: int) -> None:
        fails = f"/{path}?".encode() in request.partition(b"\r\n")[0]
        (failing if fails else working)(connection, request, n)

    return script


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
    for name in ("course", "offering_type", "venue_room"):
        if row.get(name) is not None:
            row[name] = row[name]["id"]


def _without_visibility(row: Row) -> None:
    type_of(row).pop("customer_visibility", None)


def _all_private(row: Row) -> None:
    type_of(row)["customer_visibility"] = "private"


def _all_drafts(row: Row) -> None:
    type_of(row)["is_draft"] = "no"


def _all_appointments(row: Row) -> None:
    row["is_appointment"] = "True"


def _booked_by_staff(row: Row) -> None:
    row["overriden_registration_timelines"] = timelines("business_only")


def _untold_timelines(row: Row) -> None:
    # Timelines without an audience hide nothing. Those that hide a class are kept.
    if not row.get("overriden_registration_timelines"):
        untold = [1, "canary-upstream", {"name": "canary-upstream"}]
        row["overriden_registration_timelines"] = untold


def _wrong_types(row: Row) -> None:
    row.update(attending_count="canary-upstream", max_occupancy={"canary-upstream": 1})
    row["venue"]["timezone"] = "canary-upstream"
    row["status"] = "canary-upstream"
    row["ends_at"] = "canary-upstream"
    row["waiting_count"] = "canary-upstream"
    row["registrations_open_at"] = "canary-upstream"
    row["small_session_attendances"] = "canary-upstream"


def _invalid_start(row: Row) -> None:
    row["starts_at"] = "canary-upstream"


def _half(rows: bytes) -> bytes:
    return rows[: len(rows) // 2]


FAULTS: Mapping[str, Script] = {
    **{f"status-{code}": _verbose_error(code) for code in (400, 401, 403, 404, 429, 500, 503)},
    "known-code": raw.status(403, body=_error("permission_denied")),
    "made-up-code": raw.status(403, body=_error()),
    "token-as-code": raw.status(400, body=_error(canaries.TOKEN)),
    "error-as-page": raw.ok(_error()),
    "html": raw.ok(b"<title>canary-upstream</title>", {"Content-Type": "text/html"}),
    "half": by_list(raw.plain_close_midway),
    "short": by_list(raw.short_content_length),
    "chunked": by_list(raw.short_chunked),
    "reset": by_list(raw.reset_in_body),
    "half-json": by_list(lambda body: raw.ok(_half(body))),
    "not-utf-8": by_list(
        lambda body: raw.ok(body.replace(b"canary-notes", b"canary-upstream\xff\xfe"))
    ),
    "nan": by_list(lambda body: raw.ok(body.replace(str(canaries.ATTENDING).encode(), b"NaN"))),
    "deep": raw.ok(b'{"canary-upstream":' * 50_000),
    "bad-rows": healthy(
        [None, 5, "canary-upstream", ["canary-upstream"], {"id": "canary-upstream"}]
    ),
    "bomb": raw.gzip_bomb(12),
    "silence": raw.silence(),
    "drip": by_list(lambda body: raw.drip_body(1.0, body)),
    "gone": healthy([]),
    "public-gone": healthy(hidden_rows()),
    "unexpanded": _changed(_unexpanded),
    "no-visibility": _changed(_without_visibility),
    "all-private": _changed(_all_private),
    "all-drafts": _changed(_all_drafts),
    "wrong-types": _changed(_wrong_types),
    "no-times": _changed(_invalid_start),
    "twice": healthy(deepcopy(all_rows()) + all_rows()),
    "all-appointments": _changed(_all_appointments),
    "booked-by-staff": _changed(_booked_by_staff),
    "untold-timelines": _changed(_untold_timelines),
    **{
        f"{kind}-{path}": failing_list(path, script)
        for path in ("events", "course_sessions")
        for kind, script in {
            "refused": raw.status(403, body=_error("permission_denied")),
            "failing": _verbose_error(500),
            "silent": raw.silence(),
        }.items()
    },
}
"""All kinds of upstream faults, with canaries in each response."""
