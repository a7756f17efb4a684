"""Rows of both lists, which hold the records that they refer to, and a whole studio.

Everything that must never be public contains the word `canary`.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from whole_timetable.teamup import PROVIDER

from bridge.sandbox import records
from bridge.sandbox.records import Row
from bridge.sandbox.studio import event, session

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
"""A Monday. A month before it the clocks went back, in Europe and in America."""

FIRST_ID = 1001
"""Of the rows of both lists: equal ids are different sessions."""

MIND, STRENGTH = records.category(41, "Mind and body"), records.category(42, "Strength")


def venue(number: int, name: str, zone: str, **fields: Any) -> Row:
    """A venue with an address."""
    place = {
        "address": f"{number} Quay Street",
        "physical_address": {"street": f"{number} Quay Street", "lat": 51.5, "lng": -0.12},
        "lat": 51.5,
        "lng": -0.12,
        "zoom_user": "canary-staff-zoom-user",
    }
    return records.venue(number, name, zone, **{**place, **fields})


HARBOUR = venue(11, "Harbour House", "Europe/London")
BROOKLYN = venue(12, "Brooklyn Loft", "America/New_York", lat=40.67, lng=-73.94)
ONLINE = venue(
    13,
    "Online studio",
    "Europe/London",
    is_online=True,
    venue_type="online",
    address="",
    physical_address=None,
    lat=None,
    lng=None,
    video_url="https://us02web.zoom.us/j/canary-join-venue",
)
CELLAR_VENUE = venue(19, "canary-private house", "Europe/London")


def room(number: int, name: str) -> Row:
    """A room of a venue."""
    return records.venue_room(number, name, 11)


SKY_ROOM, CELLAR, LOFT = room(111, "Sky Room"), room(112, "Cellar"), room(121, "Loft")


def instructor(number: int, name: str) -> Row:
    """A person with what must not be public."""
    link = f"https://goteamup.com/ical/canary-secret-{number}.ics"
    email = f"canary-staff-{number}@studio.example"
    return records.instructor(number, name, email=email, icalendar_links={"link": link})


ZOE, BEN, CHLOE, DEV = (
    instructor(21 + number, name)
    for number, name in enumerate(("Zoë Adeyemi", "Ben Okafor", "Chloé Martin", "Dev Rai"))
)
GHOST = instructor(29, "canary-private teacher")


def timeline(audience: str) -> Row:
    """A registration timeline for one kind of audience."""
    return records.registration_timeline(900, "Booking", audience)


def offering_type(number: int, name: str, visibility: str | None = "public", **fields: Any) -> Row:
    """A kind of class."""
    row = records.offering_type(
        number,
        name,
        **{
            "description": f"<p>{name} for <b>everybody</b> &amp; anybody.</p>",
            "background_color": "2f855a",
            "category": MIND,
            "customer_visibility": visibility,
            **fields,
        },
    )
    if visibility is None:
        del row["customer_visibility"]
    return row


YOGA = offering_type(31, "Yoga")
SPIN = offering_type(32, "Spin", category=STRENGTH, background_color="C53030")
MEMBERS_TYPE = offering_type(33, "canary-members strength", "membership_holders")
PRIVATE_TYPE = offering_type(34, "canary-private coaching", "private")
DRAFT_TYPE = offering_type(35, "canary-draft aerial", is_draft=True)
UNTOLD_TYPE = offering_type(36, "canary-private untold", None)
NEW_WORD_TYPE = offering_type(37, "canary-private new word", "friends")
MEMBERS_ONLY_TYPE = offering_type(
    38,
    "Workshop",
    registration_timelines=[timeline("membership_holders"), timeline("specific_memberships")],
)
EVERYONE_TYPE = offering_type(
    39,
    "Open floor",
    category=None,
    registration_timelines=[timeline("membership_holders"), timeline("everyone")],
)
GUESTS_TYPE = offering_type(
    40,
    "canary-private guests",
    registration_timelines=[timeline("specific_customers"), timeline("private_url")],
)
ONLINE_TYPE = offering_type(
    30,
    "Stretch",
    description=(
        "<div>Live: <a href='https://teams.microsoft.com/l/meetup-join/canary-join-type'>join</a>"
        " or paste meet.google.com/canary-join-type</div>"
    ),
)


def _times(start: datetime, minutes: int, place: Row | None) -> tuple[str, str]:
    """Start and end as the vendor writes them: with the venue's offset, and Z for UTC."""
    zone = ZoneInfo(place["timezone"]) if place else ZoneInfo("Asia/Kathmandu")
    texts = (
        moment.astimezone(zone).isoformat()
        for moment in (start, start + timedelta(minutes=minutes))
    )
    first, last = (text.replace("+00:00", "Z") for text in texts)
    return first, last


def class_row(identity: int, start: datetime, *, minutes: int = 60, **fields: Any) -> Row:
    """An ordinary class; a venue of `...` means that the row has no such field."""
    place = fields.get("venue", HARBOUR)
    starts_at, ends_at = _times(start, minutes, None if place is ... else place)
    values = {
        "name": "Morning Flow",
        "max_occupancy": 12,
        "attending_count": 4,
        "venue": HARBOUR,
        "instructors": [ZOE],
        "offering_type": YOGA,
        "description": "<p>Bring a <b>mat</b>.</p>",
        "customer_url": f"/p/{PROVIDER}-studio/e/{identity}-class/",
        "provider_url": f"/providers/canary-staff-link/events/{identity}",
        "registrations_open_at": None,
        "registrations_close_at": None,
        **fields,
    }
    row = event(id=identity, starts_at=starts_at, ends_at=ends_at, **values)
    if place is ...:
        del row["venue"]
    return row


def course_session_row(identity: int, start: datetime, *, minutes: int = 60, **fields: Any) -> Row:
    """A dated session of a course."""
    starts_at, ends_at = _times(start, minutes, fields.get("venue", HARBOUR))
    values = {
        "attending_count": 3,
        "venue": HARBOUR,
        "instructors": [BEN],
        "course": course(),
        "customer_url": f"/p/{PROVIDER}-studio/c/{identity}/",
        "provider_url": f"/providers/canary-staff-link/course_sessions/{identity}",
        **fields,
    }
    return session(id=identity, starts_at=starts_at, ends_at=ends_at, **values)


def course(number: int = 51, name: str = "Beginners' course", kind: Row = YOGA) -> Row:
    """A course."""
    return records.course(number, name, kind)


_JOIN_LINKS = (
    '<p>Zoom: <a href="https://us02web.zoom.us/j/canary-join-1?pwd=x">join here</a></p>',
    "Online at https://meet.google.com/canary-join-2 from the sofa",
    "<div><a href='https://teams.microsoft.com/l/meetup-join/canary-join-3'>Teams</a></div>",
)
_CLASS_TYPES = (
    *(YOGA, SPIN, ONLINE_TYPE, EVERYONE_TYPE, YOGA, MEMBERS_TYPE, SPIN),
    *(YOGA, PRIVATE_TYPE, MEMBERS_ONLY_TYPE, YOGA, DRAFT_TYPE, UNTOLD_TYPE, SPIN),
    *(GUESTS_TYPE, YOGA, NEW_WORD_TYPE),
)
_PLACES: Sequence[tuple[Any, Row | None]] = (
    (HARBOUR, SKY_ROOM),
    (HARBOUR, CELLAR),
    (BROOKLYN, LOFT),
    (HARBOUR, None),
    (ONLINE, None),
    (..., None),
    (HARBOUR, SKY_ROOM),
    (None, None),
)
_TEACHERS = ([ZOE], [BEN, CHLOE], [DEV], [CHLOE], [])
_TIMELINES: Sequence[tuple[Sequence[str], Row]] = (
    (["everyone"], MEMBERS_ONLY_TYPE),
    (["membership_holders"], YOGA),
    (["specific_memberships", "business_only"], YOGA),
    (["business_only"], YOGA),
    (["specific_customers", "private_url"], SPIN),
    (["everyone", "private_url"], SPIN),
    (["everyone"], PRIVATE_TYPE),
)
# (attending, most, waiting)
_COUNTS = ((4, 12, 0), (12, 12, 3), (0, 10, 0), (13, 12, 1), (6, None, 0), (9, 0, 0), (8, 10, 0))
_MINUTES = (60, 45, 90, 30)
_COURSES = (
    course(),
    course(52, "Spin for runners", SPIN),
    course(53, "canary-members course", MEMBERS_TYPE),
    course(54, "canary-private course", PRIVATE_TYPE),
    course(55, "canary-draft course", DRAFT_TYPE),
    course(),
    course(56, "canary-private untold course", UNTOLD_TYPE),
)


def classes(number: int, *, first_id: int = FIRST_ID, now: datetime = NOW) -> list[Row]:
    """Classes of all kinds, from 45 days before *now* to 160 days after it; deterministic.

    Most are public. The names of those that are not contain the word `canary`, as do the names of
    the venue and of the teacher of some of them.
    """
    return [_class(index, number, first_id + index, now) for index in range(number)]


def _start(index: int, number: int, now: datetime) -> datetime:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    day = midnight + timedelta(days=index * 205 // number - 45)
    # Never near midnight, in no zone: the edges of a window are not the subject.
    return day + timedelta(hours=9 + index % 9, minutes=15 * (index % 4))


def _class(index: int, number: int, identity: int, now: datetime) -> Row:
    kind = _CLASS_TYPES[index % len(_CLASS_TYPES)]
    place, space = _PLACES[index % len(_PLACES)]
    attending, most, waiting = _COUNTS[index % len(_COUNTS)]
    fields: dict[str, Any] = {
        "offering_type": kind,
        "venue": place,
        "venue_room": space,
        "instructors": list(_TEACHERS[index % len(_TEACHERS)]),
        "attending_count": attending,
        "max_occupancy": most,
        "waiting_count": waiting,
        "status": "cancelled" if index % 13 == 6 else "active",
        # Whole addresses, so that the bytes of feeds do not depend on the stand-in's port.
        "customer_url": f"https://goteamup.com/p/{PROVIDER}-studio/e/{identity}-class/",
        "provider_url": f"https://goteamup.com/providers/canary-staff-link/events/{identity}",
    }
    if index % 11 == 4:
        fields["description"] = _JOIN_LINKS[index // 11 % len(_JOIN_LINKS)]
    elif index % 11 == 5:
        fields["description"] = ""
    if index % 19 == 7:
        audiences, fields["offering_type"] = _TIMELINES[index // 19 % len(_TIMELINES)]
        fields["overriden_registration_timelines"] = [timeline(name) for name in audiences]
    if index % 23 == 9:
        fields["is_appointment"] = True if index % 2 else "true"
        fields["offering_type"] = YOGA
        fields["venue"], fields["venue_room"] = CELLAR_VENUE, room(191, "canary-private room")
        fields["instructors"] = [GHOST]
    elif index % 23 == 10:
        fields["is_appointment"] = "false"
    row = class_row(
        identity, _start(index, number, now), minutes=_MINUTES[index % len(_MINUTES)], **fields
    )
    if is_appointment(row):
        row["name"] = "canary-appointment with Canary Customer"
    elif audience_of(row) != "public":
        row["name"] = "canary-hidden class"
    else:
        row["name"] = None if index % 3 == 0 else f"{kind_of(row)['name']} {index % 5}"
    return row


def course_sessions(number: int, *, first_id: int = FIRST_ID, now: datetime = NOW) -> list[Row]:
    """Course sessions of all kinds at the same times as `classes`, and with the same ids."""
    places = (HARBOUR, ONLINE, HARBOUR, BROOKLYN)
    rows = []
    for index in range(number):
        attending, most, waiting = _COUNTS[(index + 2) % len(_COUNTS)]
        series = _COURSES[index % len(_COURSES)]
        rows.append(
            course_session_row(
                first_id + index,
                _start(index, number, now),
                course=series,
                venue=places[index % len(places)],
                instructors=list(_TEACHERS[(index + 1) % len(_TEACHERS)]),
                name=None if index % 2 else f"{series['name']}, part {index % 6}",
                status="cancelled" if index % 17 == 5 else "active",
                attending_count=attending,
                max_occupancy=most,
                customer_url=f"https://goteamup.com/p/{PROVIDER}-studio/c/{first_id + index}/",
                provider_url=f"https://goteamup.com/providers/canary-staff-link/{first_id + index}",
                waiting_count=waiting,
            )
        )
    return rows


def is_appointment(row: Row) -> bool:
    """Whether the row is somebody's private booking."""
    return row.get("is_appointment") in (True, "true")


def kind_of(row: Row) -> Row:
    """The offering type of a row."""
    kind: Row = row["offering_type"] if row["object"] == "event" else row["course"]["offering_type"]
    return kind


def audience_of(row: Row) -> str:
    """Who may see a row: ``public``, ``membership_holders``, ``private``, or ``nobody``."""
    kind = kind_of(row)
    visibility = kind.get("customer_visibility")
    known = ("public", "membership_holders", "private")
    if is_appointment(row) or kind["is_draft"] or visibility not in known:
        return "nobody"
    limit = "public"
    if row["object"] == "event":
        limit = next(filter(None, map(_limit, _timelines(row, kind))), "public")
    return max(visibility, limit, key=known.index)


def _timelines(row: Row, kind: Row) -> Iterator[list[Row]]:
    yield row["overriden_registration_timelines"]
    yield kind["registration_timelines"]


def _limit(timelines: list[Row]) -> str:
    """Who may book by these timelines; empty if they do not tell."""
    audiences = {entry["audience_type"] for entry in timelines}
    if not audiences or "everyone" in audiences:
        return "public" if audiences else ""
    members = {"membership_holders", "specific_memberships"}
    return "membership_holders" if audiences & members else "private"
