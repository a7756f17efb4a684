"""Test rows in the vendor's format, fully expanded: ordinary rows and awkward ones."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from bridge.sandbox import records
from bridge.sandbox.records import Row

Fate = Literal["kept", "repaired", "dropped"]

#: A Monday: the default start of rows.
START: Final = datetime(2026, 10, 5, 9, 0, tzinfo=UTC)

#: As the value of an override: the field is removed from the row.
MISSING: Final = object()

#: Strings in fields that must never be public.
CANARIES: Final = ("canary-join-link", "canary-calendar-secret", "canary-staff-link")

API: Final = "https://goteamup.com/api/v2"

_VENUES: Final = (
    (11, "Kings Cross", "Europe/London", "1 Example St", "London", "GB", 51.5308, -0.1238),
    (12, "Brooklyn Loft", "America/New_York", "2 Sample Ave", "New York", "US", 40.6782, -73.9442),
    (13, "Lagoon Hall", "Australia/Lord_Howe", "3 Reef Rd", "Lord Howe", "AU", -31.5553, 159.0821),
    (14, "Thamel Studio", "Asia/Kathmandu", "4 Bazaar Marg", "Kathmandu", "NP", 27.7172, 85.324),
    (15, "Online", "Europe/London", "", "", "", 0.0, 0.0),
)
_INSTRUCTORS: Final = (
    "Zoë Adeyemi", "Ben Okafor", "Chloé Martin", "Dmitri Ivanov", "Elif Çelik", "Fiona O'Neill",
    "Gita Rai", "Hugo Núñez", "Ines Gruber", "Jun 田中", "Kofi Mensah", "Lars Ørsted",
)  # fmt: skip
_MIND, _STRENGTH = (401, "Mind & body"), (402, "Strength")
_COURSES: Final = (
    ("Vinyasa Flow", "Yoga", "public", False, _MIND),
    ("Reformer Pilates", "Pilates", "public", False, _MIND),
    ("Spin 45", "Cycling", "public", False, _STRENGTH),
    ("Members' Strength", "Strength", "membership_holders", False, _STRENGTH),
    ("Private Coaching", "Coaching", "private", False, None),
    ("Aerial Hoop (new)", "Aerial", "public", True, None),
)
# The course of the i-th row. The cycles have different lengths, so that all combinations occur.
_COURSE_CYCLE: Final = (0, 1, 2, 0, 3, 1, 0, 2, 4, 1, 0, 2, 3, 0, 1, 5, 2, 0, 1)
# (attending_count, max_occupancy): places left twice, full, empty, overbooked, unlimited twice.
_OCCUPANCY_CYCLE: Final = ((4, 12), (11, 12), (12, 12), (0, 10), (13, 12), (6, None), (9, 0))
_MINUTES_CYCLE: Final = (60, 45, 90)


def venue_row(index: int = 0, **overrides: Any) -> Row:
    """The venue at index 0 to 4; index 4 is online. Overrides as in `session_row`."""
    number, name, zone, street, city, country, lat, lng = _VENUES[index]
    online = index == 4
    address = {
        "street": street,
        "street_secondary": None,
        "city": city,
        "region": "",
        "postal_code": "N1 0AA",
        "country": country,
        "lat": lat,
        "lng": lng,
    }
    row = records.venue(
        number,
        name,
        zone,
        address=f"{street}, {city}" if street else "",
        physical_address=None if online else address,
        video_url="https://video.example/j/canary-join-link" if online else None,
        zoom_user=6601,
        venue_type="online" if online else "physical",
        venue_rooms=[] if online else [records.venue_room(number * 10, "Studio A", number)],
        lat=lat,
        lng=lng,
        is_online=online,
    )
    return _override(row, overrides)


def instructor_row(index: int = 0, **overrides: Any) -> Row:
    """The instructor at index 0 to 11, with deferred and staff-only fields."""
    number, name = 101 + index, _INSTRUCTORS[index]
    secret = f"goteamup.example/ical/canary-calendar-secret-{number}.ics"
    links = {"link": f"https://{secret}", "webcal_url": f"webcal://{secret}", "integrations": []}
    row = records.instructor(
        number,
        name,
        description=f"{name} has taught since 2015.",
        availability_schedules=[],
        icalendar_links=links,
    )
    return _override(row, overrides)


def course_row(index: int = 0, **overrides: Any) -> Row:
    """The course at index 0 to 5: three public, then for members, private, and a draft."""
    name, kind, visibility, draft, category = _COURSES[index]
    offering_type = records.offering_type(
        301 + index,
        kind,
        description=f"<p>{kind} for <b>everybody</b> &amp; anybody.</p>",
        category=category and records.category(*category),
        customer_visibility=visibility,
        is_draft=draft,
    )
    return _override(records.course(201 + index, name, offering_type), overrides)


def session_row(
    id: int, starts_at: datetime | str | Any, /, *, minutes: int = 60, **overrides: Any
) -> Row:
    """A fully expanded session, by default public and an hour long.

    An override names a field, with `__` for nested fields (`course__offering_type__name`); the
    value `MISSING` removes the field. A `starts_at` that is not a datetime is inserted unchanged;
    `ends_at` is then `minutes` later in the same notation, or null if the start cannot be parsed.
    """
    row: Row = {
        "id": id,
        "object": "course_session",
        "name": "Vinyasa Flow",
        "starts_at": starts_at if not isinstance(starts_at, datetime) else stamp(starts_at),
        "ends_at": _end(starts_at, minutes),
        "status": "active",
        "attending_count": 4,
        "max_occupancy": 12,
        "venue": venue_row(),
        "instructors": [instructor_row()],
        "course": course_row(),
        "customer_url": f"/p/100001-studio/c/sessions/{id}",
        "provider_url": f"/providers/canary-staff-link/sessions/{id}",
    }
    return _override(row, overrides)


def as_class(row: Any) -> Any:
    """A fully expanded course session as an ordinary class with the same id."""
    if not isinstance(row, dict):
        return row
    plain = {name: value for name, value in row.items() if name != "course"}
    course = row.get("course")
    if isinstance(course, dict) and "offering_type" in course:
        plain["offering_type"] = course["offering_type"]
    return {**plain, "object": "event"}


def offering_type_of(row: Row) -> Row:
    """The offering type of a fully expanded row of either list."""
    kind: Row = (row if row.get("object") == "event" else row["course"])["offering_type"]
    return kind


def class_row(
    id: int, starts_at: datetime | str | Any, /, *, minutes: int = 60, **overrides: Any
) -> Row:
    """A fully expanded row of the list of ordinary classes; see `session_row`."""
    row: Row = {
        "id": id,
        "object": "event",
        "name": "Vinyasa Flow",
        "starts_at": starts_at if not isinstance(starts_at, datetime) else stamp(starts_at),
        "ends_at": _end(starts_at, minutes),
        "status": "active",
        "attending_count": 4,
        "max_occupancy": 12,
        "waiting_count": 0,
        "is_appointment": False,
        "venue": venue_row(),
        "venue_room": records.venue_room(110, "Studio A", 11),
        "instructors": [instructor_row()],
        "offering_type": course_row()["offering_type"],
        "description": "<p>Bring a towel and <b>water</b>.</p>",
        "customer_url": f"/p/100001-studio/e/{id}-vinyasa-flow/",
        "provider_url": f"/providers/canary-staff-link/events/{id}",
        "registrations_open_at": None,
        "overriden_registration_timelines": [],
        "small_session_attendances": [],
    }
    return _override(row, overrides)


def timetable(
    n: int = 900, start: datetime = START, *, days: int = 120, first_id: int = 10_001
) -> list[Row]:
    """n sessions over `days` days from the day after `start`; deterministic.

    No session is before `start`. Sessions are in the daytime of the venue's zone, and times have
    its offset. Rows are in the order of their ids, which differs slightly from that of their
    starts.
    """
    return [_timetable_row(i, n, start, days, first_id) for i in range(n)]


def _timetable_row(i: int, n: int, start: datetime, days: int, first_id: int) -> Row:
    venue = venue_row(i % 5)
    zone = ZoneInfo(venue["timezone"])
    day = start.astimezone(zone).date() + timedelta(days=1 + i * days // n)
    begins = datetime.combine(day, time(6 + i % 14, 30 * (i % 2)), tzinfo=zone)
    course = course_row(_COURSE_CYCLE[i % len(_COURSE_CYCLE)])
    if i % 53 == 20:
        del course["offering_type"]["customer_visibility"]
    attending, most = _OCCUPANCY_CYCLE[i % len(_OCCUPANCY_CYCLE)]
    teachers = [instructor_row(i * 7 % 12)]
    if i % 9 == 4:
        teachers.append(instructor_row((i * 7 + 5) % 12))
    return session_row(
        first_id + i,
        begins,
        minutes=_MINUTES_CYCLE[i % 3],
        name=None if i % 4 == 0 else course["name"],
        status="cancelled" if i % 17 == 5 else "active",
        attending_count=attending,
        max_occupancy=most,
        venue=venue,
        instructors=teachers,
        course=course,
    )


def stamp(moment: datetime) -> str:
    """A time in the vendor's notation: whole seconds, `Z` for UTC."""
    text = moment.replace(microsecond=0).isoformat()
    return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text


def _end(starts_at: Any, minutes: int) -> str | None:
    try:
        if not isinstance(starts_at, datetime):
            starts_at = datetime.fromisoformat(starts_at)
        return stamp(starts_at + timedelta(minutes=minutes))
    except (TypeError, ValueError, OverflowError):
        return None


def _override(row: Row, overrides: dict[str, Any]) -> Row:
    # Top-level fields first, so that `venue=…` does not undo `venue__name=…`.
    for path in sorted(overrides, key=lambda name: name.count("__")):
        *parents, name = path.split("__")
        record = row
        for parent in parents:
            record = record[parent]
        if overrides[path] is MISSING:
            record.pop(name, None)
        else:
            record[name] = overrides[path]
    return row


@dataclass(frozen=True)
class Awkward:
    """An awkward row and the expected result of parsing it.

    `fate` is about parsing the row, not about its visibility: "repaired" means kept without its
    end. `title` and `start` (UTC) are the expected values, or None if they are not specified.
    `link` is the expected link: "" for no link, a path relative to the base address's origin, or
    an unchanged address; None if it is not specified. `expanded` is False if a part for which
    expansion was requested is not expanded.
    """

    row: Any
    description: str
    fate: Fate
    title: str | None = None
    start: datetime | None = None
    link: str | None = None
    expanded: bool = True


@dataclass(frozen=True)
class _Case:
    description: str
    change: dict[str, Any] = field(default_factory=dict)
    fate: Fate = "kept"
    title: str | None = None
    starts_at: Any = None
    start: datetime | None = None
    link: str | None = None
    expanded: bool = True
    minutes: int = 60


def awkward_rows(start: datetime = START, *, first_id: int = 900_001) -> list[Awkward]:
    """All awkward rows, one per hour from `start` (whole seconds, with an offset).

    Exceptions: rows about a change of the clocks are at the next change after `start`, up to a
    year ahead; and some starts cannot be parsed. Some rows that have to be dropped have no usable
    id, or are not objects at all.
    """
    start = start.astimezone(UTC).replace(microsecond=0)
    rows: list[Awkward] = []
    for cases in (_titles, _links, _times, _clock_changes, _ends, _zones, _shapes, _types):
        for case in cases(start):
            rows.append(_awkward(case, first_id + len(rows), start + timedelta(hours=len(rows))))
    not_objects: tuple[Any, ...] = (None, 5, "session", [])
    rows += [Awkward(row, f"not an object but {row!r}", "dropped") for row in not_objects]
    return rows


def _awkward(case: _Case, id: int, at: datetime) -> Awkward:
    starts_at = at if case.starts_at is None else case.starts_at
    row = session_row(id, starts_at, minutes=case.minutes, **case.change)
    begins = None if case.fate == "dropped" else case.start or at
    return Awkward(row, case.description, case.fate, case.title, begins, case.link, case.expanded)


def _titles(start: datetime) -> Iterator[_Case]:
    # With the space before each control, removing it and replacing it by a space are the same.
    for label, character in (
        ("LF", "\n"),
        ("CR", "\r"),
        ("CR LF", "\r\n"),
        ("NUL", "\x00"),
        ("DEL", "\x7f"),
        ("ESC", "\x1b"),
        ("U+0085", "\x85"),
        ("U+2028", "\u2028"),
        ("U+2029", "\u2029"),
        ("a lone high surrogate", "\ud800"),
        ("a lone low surrogate", "\udfff"),
    ):
        yield _Case(f"{label} in the name", {"name": f"Slow {character}Flow"}, title="Slow Flow")
    injected = "Slow \r\nATTENDEE:mailto:x@evil.example"
    yield _Case(
        "a content line in the name",
        {"name": injected},
        title="Slow ATTENDEE:mailto:x@evil.example",
    )
    for label, name in (
        ("an emoji family", "Family 👨‍👩‍👧‍👦 yoga 🧘🏽‍♀️"),
        ("text from right to left", "יוגה לכולם"),
        ("a decomposed accent", "Zoe\u0308's class"),
        ("comma, semicolon and backslash", "Slow, warm; easy \\ gentle\\n: no newline"),
        ("markup", "<script>alert(1)</script> & co"),
        ("quotes and a template", "\"Flow\" 'n' {{7*7}} ${x} %s"),
    ):
        yield _Case(f"{label} in the name", {"name": name}, title=name)
    for label, name in (
        ("right-to-left marks and an override", "\u200fשבת\u200f \u202ewolF\u202c"),
        ("a BOM and a zero-width space", "\ufeffSlow\u200bFlow"),
        ("5,000 characters", "Vinyasa " * 625),
        ("5,000 characters outside the BMP", "🧘" * 5000),
        ("nothing but controls", "\x00\x01\x02"),
        ("nothing", ""),
        ("nothing but spaces", " \t "),
    ):
        yield _Case(f"{label} in the name", {"name": name})
    deeper = {"name": None, "course__name": None}
    yield _Case("no name on the session", {"name": None}, title="Vinyasa Flow")
    yield _Case("no name field", {"name": MISSING}, title="Vinyasa Flow")
    yield _Case("no name but the offering type's", deeper, title="Yoga")
    yield _Case("no name anywhere", {**deeper, "course__offering_type__name": None})
    for path in ("venue__name", "venue__address", "course__offering_type__category__name"):
        yield _Case(f"CR LF and NUL in {path}", {path: "One\r\nX-EVIL:1\x00"}, title="Vinyasa Flow")
    kind = "course__offering_type__"
    for text in ("Room \\", 'Room 12"', "Room ^", "Room 100%"):
        changes: tuple[dict[str, Any], ...] = (
            {"name": text},
            {"venue__name": text},
            {"venue__address": text},
            {"instructors": [instructor_row(name=text)]},
            {"course__name": text},
            {f"{kind}name": text, f"{kind}category": None},
            {f"{kind}category__name": text},
            {f"{kind}description": text},
        )
        for change in changes:
            title = change.get("name", "Vinyasa Flow")
            yield _Case(f"{text} as {next(iter(change))}", change, title=title)
    for name in ("Zoë\r\nX-EVIL:1", "\ud83d", "Ann, Bob; Cy \\ Di", "x" * 5000):
        person = [instructor_row(name=name)]
        yield _Case(
            f"an instructor's name like {name[:12]!r}",
            {"instructors": person},
            title="Vinyasa Flow",
        )
    for label, text in (
        ("HTML", "<p>Bring a <b>mat</b> &amp; water</p><script>alert(1)</script><br>Bye"),
        ("broken HTML", "<p <b>mat</ &amp &#xD800; &#0; <!-- <![CDATA[ x"),
        ("100,000 characters of <", "<" * 100_000),
        ("null", None),
    ):
        yield _Case(
            f"{label} as description",
            {"course__offering_type__description": text},
            title="Vinyasa Flow",
        )


def _links(start: datetime) -> Iterator[_Case]:
    for address in (
        "/p/100001-studio/c/7",
        "https://studio.example/book?a=1&b=2",
        "http://a.example/",
    ):
        yield _Case(f"customer_url {address}", {"customer_url": address}, link=address)
    unfit: tuple[Any, ...] = (
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "java\tscript:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "//evil.example/p/1",
        "///evil.example/p/1",
        "p/100001-studio/c/7",
        "?next=1",
        "ftp://studio.example/",
        "https:///p/1",
        "",
        None,
        7,
        ["https://studio.example/"],
    )
    for address in unfit:
        yield _Case(f"customer_url {address!r}", {"customer_url": address}, link="")
    # Browsers read a backslash as a slash and drop tabs and newlines, which changes the host.
    for address in (
        "/\\evil.example/p/1",
        "/\t/evil.example/p/1",
        "https://a.example/\r\nX-EVIL:1",
    ):
        yield _Case(f"customer_url {address!r}", {"customer_url": address})
    yield _Case("no customer_url", {"customer_url": MISSING}, link="")


def _times(start: datetime) -> Iterator[_Case]:
    local = start.astimezone(ZoneInfo("Europe/London")).replace(tzinfo=None).isoformat()
    utc = start.replace(tzinfo=None).isoformat()
    far = start.astimezone(ZoneInfo("Asia/Kathmandu")).isoformat()
    for label, text in (
        ("naive, so in the venue's zone", local),
        ("naive, with microseconds", f"{local}.987654"),
        ("microseconds", f"{utc}.987654Z"),
        ("three digits of fraction", f"{utc}.071Z"),
        ("one digit of fraction", f"{utc}.9+00:00"),
        ("Z", f"{utc}Z"),
        ("+00:00", f"{utc}+00:00"),
        ("-00:00", f"{utc}-00:00"),
        ("+05:45 at a venue in London", far),
    ):
        yield _Case(label, starts_at=text, start=start, title="Vinyasa Flow")
    unreadable: tuple[Any, ...] = (
        "soon",
        "",
        "2026-02-30T10:00:00Z",
        "2026-10-20T25:00:00Z",
        "2026-13-01T10:00:00Z",
        "2026-10-20T10:00:00+99:00",
        "0000-00-00T00:00:00Z",
        # In UTC outside of the range of datetime.
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "2026-10-20T10:00:00Z" + "0" * 5000,
        1790000000,
        True,
        {"date": "2026-10-20"},
        [],
    )
    for text in unreadable:
        yield _Case(f"starts_at {str(text)[:32]!r}", fate="dropped", starts_at=text)
    yield _Case("starts_at null", {"starts_at": None}, "dropped")
    yield _Case("no starts_at", {"starts_at": MISSING}, "dropped")


def _clock_changes(start: datetime) -> Iterator[_Case]:
    for index in (0, 2):  # an hour in London, half an hour on Lord Howe Island
        venue = venue_row(index)
        for forward, label in ((True, "in the skipped hour"), (False, "that occurs twice")):
            wall, moment = clock_change(ZoneInfo(venue["timezone"]), start, forward=forward)
            yield _Case(
                f"a naive time {label}, {venue['timezone']}",
                {"venue": venue},
                starts_at=wall.isoformat(),
                start=moment,
                minutes=180,
            )


def clock_change(zone: ZoneInfo, after: datetime, *, forward: bool) -> tuple[datetime, datetime]:
    """A naive time within the zone's next clock change after `after`, and the time in UTC.

    Forward, the time does not exist and is read with the offset before the change; backward,
    it occurs twice and means the first.
    """
    step = timedelta(minutes=30)
    at = after.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    while True:
        before, since = (moment.astimezone(zone).utcoffset() for moment in (at, at + step))
        assert before is not None
        assert since is not None
        if before != since and (since > before) == forward:
            moment = at + step + (since - before) / 2
            return (moment + before).replace(tzinfo=None), moment
        at += step


def _ends(start: datetime) -> Iterator[_Case]:
    begins = start + timedelta(days=1)
    for label, value in (
        ("before the start", stamp(begins - timedelta(minutes=30))),
        ("the start itself", stamp(begins)),
        (
            "the start itself, in another offset",
            begins.astimezone(ZoneInfo("Asia/Tokyo")).isoformat(),
        ),
        ("the start but for a fraction", stamp(begins).replace("Z", ".900000Z")),
        ("null", None),
        ("missing", MISSING),
        ("text", "later"),
        ("a number", 90),
        ("beyond the last year", "9999-12-31T23:59:59-14:00"),
    ):
        yield _Case(
            f"the end is {label}",
            {"ends_at": value},
            "repaired",
            title="Vinyasa Flow",
            starts_at=stamp(begins),
            start=begins,
        )


def _zones(start: datetime) -> Iterator[_Case]:
    naive = start.replace(tzinfo=None).isoformat()
    for zone in (
        "Mars/Olympus",
        "",
        "Europe",  # a directory of the database
        "../../etc/passwd",
        "/etc/localtime",
        "Europe/\x00London",
        "Europe/Lon\ud800don",
        "x" * 5000,
        None,
        5,
        ["Europe/London"],
        MISSING,
    ):
        name = "missing" if zone is MISSING else repr(zone)[:32]
        change = {"venue__timezone": zone}
        yield _Case(f"time zone {name}, time with offset", change, title="Vinyasa Flow")
        yield _Case(f"time zone {name}, naive time", change, "dropped", starts_at=naive)


def _shapes(start: datetime) -> Iterator[_Case]:
    people = f"{API}/instructors?course_session=1"
    naive = start.replace(tzinfo=None).isoformat()
    for label, change in (
        ("the venue is a number", {"venue": 11}),
        ("the venue is an address", {"venue": f"{API}/venues/11"}),
        ("the venue is null", {"venue": None}),
        ("the venue is missing", {"venue": MISSING}),
        ("the venue is a list", {"venue": [venue_row()]}),
        ("the instructors are an address", {"instructors": people}),
        ("the instructors are numbers", {"instructors": [101, 102]}),
        ("the instructors are null", {"instructors": None}),
        ("the instructors are missing", {"instructors": MISSING}),
        ("the course is a number", {"course": 201}),
        ("the course is an address", {"course": f"{API}/courses/201"}),
        ("the course is null", {"course": None}),
        ("the course is missing", {"course": MISSING}),
        ("the offering type is a number", {"course__offering_type": 301}),
        ("the offering type is null", {"course__offering_type": None}),
        ("nothing is expanded", {"venue": 11, "instructors": people, "course": 201}),
    ):
        yield _Case(label, change, title="Vinyasa Flow", expanded=False)
    yield _Case("the venue is a number, naive time", {"venue": 11}, "dropped", starts_at=naive)
    instructor = instructor_row()
    whole: tuple[tuple[str, dict[str, Any]], ...] = (
        ("no instructors", {"instructors": []}),
        ("one instructor, not in a list", {"instructors": instructor}),
        ("nulls among the instructors", {"instructors": [None, instructor, "x", 5, []]}),
        ("the same instructor twice", {"instructors": [instructor, instructor]}),
        ("forty instructors", {"instructors": [instructor_row(i % 12) for i in range(40)]}),
        ("the category is a number", {"course__offering_type__category": 401}),
        ("the category is null", {"course__offering_type__category": None}),
        ("the category is text", {"course__offering_type__category": "Mind"}),
        ("the address is null", {"venue__physical_address": None, "venue__address": None}),
        ("fields nobody knows", {"x": {"y": [1]}, "venue__x": 1, "course__offering_type__x": 2}),
    )
    for label, change in whole:
        yield _Case(label, change, title="Vinyasa Flow")


def _types(start: datetime) -> Iterator[_Case]:
    for value in ("900123", "abc", "", None, True, 1.5, [], {}, MISSING):
        name = "missing" if value is MISSING else repr(value)
        yield _Case(f"the id is {name}", {"id": value}, "dropped")
    for path, values in (
        ("status", (5, None, "postponed", "ACTIVE", [], MISSING)),
        ("attending_count", ("7", -3, None, 2.5, True, 10**30, [], MISSING)),
        ("max_occupancy", (0, None, "12", -1, 2.5, 10**30, {}, MISSING)),
        ("object", ("event", None, 7)),
        ("provider_url", (None, 7, "javascript:alert(1)")),
        ("venue__id", ("11", None, -11, MISSING)),
        ("venue__name", (None, 7, [])),
        ("venue__lat", (None, "51.5", 999, [], MISSING)),
        ("venue__is_online", (None, "yes", 1)),
        ("venue__physical_address", ("1 Example St", [], {"street": None, "city": 7})),
        ("course__id", ("201", None)),
        ("course__offering_type__id", ("301", None)),
        ("course__offering_type__customer_visibility", ("PUBLIC", "secret", 1, None, [], MISSING)),
        ("course__offering_type__is_draft", ("false", 0, None, MISSING)),
        ("course__offering_type__description", (7, ["x"])),
        ("course__offering_type__color", ("red; x:y", None, 7)),
        ("course__offering_type__category", ([], {"id": "x", "name": 7})),
    ):
        for value in values:
            name = "missing" if value is MISSING else repr(value)
            yield _Case(f"{path} is {name}", {path: value}, title="Vinyasa Flow")
    for value in (7, True, [], {"en": "Flow"}):
        yield _Case(f"the name is {value!r}", {"name": value})
    for change in ({"id": "101"}, {"id": None}, {"name": None}, {"name": 7}, {"name": MISSING}):
        person = [instructor_row(**change)]
        yield _Case(
            "an instructor with a wrong type", {"instructors": person}, title="Vinyasa Flow"
        )
