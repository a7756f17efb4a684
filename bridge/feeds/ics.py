"""iCalendar: the feed profile, written by the icalendar library. Its only home."""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import Any

from icalendar import Calendar, Event, Timezone, TimezoneDaylight, TimezoneStandard, vText

from bridge import zones
from bridge.feeds.selection import Shown, Subject
from bridge.feeds.spec import FeedSpec, Times
from bridge.feeds.zonerules import observances
from bridge.model import ClassSession, Status, Venue
from bridge.text import clip

PRODID = "-//TeamUp feed bridge//Feeds//EN"

_END = b"END:VCALENDAR\r\n"
# Outlook cuts these at 255 UTF-16 units (MS-OXCICAL).
_LINE = 255
_DESCRIPTION = 2_000
_HOUR = timedelta(hours=1)
_RADIUS = "100"
# CSS3 names with their values: RFC 7986, 5.9 takes the name, Apple the value.
_COLOURS = (
    ("teal", "#008080"),
    ("steelblue", "#4682b4"),
    ("darkorange", "#ff8c00"),
    ("mediumseagreen", "#3cb371"),
    ("slateblue", "#6a5acd"),
    ("indianred", "#cd5c5c"),
    ("darkcyan", "#008b8b"),
    ("mediumvioletred", "#c71585"),
)


def render(
    shown: Sequence[Shown], spec: FeedSpec, subject: Subject, *, base_url: str | None
) -> bytes:
    """The calendar: complete, CRLF, UTF-8, the same bytes for the same arguments.

    Args:
        base_url: the bridge's own address; without it the calendar carries none.
    """
    calendar = _calendar(spec, subject, base_url)
    for zone in _zones(shown, spec):
        calendar.add_component(zone)
    # In the order of the profile; the library would sort by name.
    head = bytes(calendar.to_ical(sorted=False)).removesuffix(_END)
    return b"".join((head, *(event(one, spec.times) for one in shown), _END))


@lru_cache(maxsize=20_000)
def event(one: Shown, times: Times) -> bytes:
    """One event's lines: a pure function, and nearly all of the work."""
    return bytes(_event(one, times).to_ical(sorted=False))


def fitting(
    shown: Sequence[Shown],
    spec: FeedSpec,
    subject: Subject,
    *,
    base_url: str | None,
    max_bytes: int,
    day: date,
) -> Sequence[Shown]:
    """Those of *shown* that a calendar of at most *max_bytes* holds.

    What is over goes first, the oldest before the later; then what is farthest ahead.

    Args:
        max_bytes: 0 for any size.
        day: where past and future divide: a UTC day, so that a refresh alone changes nothing.
    """
    sizes = [len(event(one, spec.times)) for one in shown]
    frame = len(render(shown, spec, subject, base_url=base_url)) - sum(sizes)
    excess = frame + sum(sizes) - max_bytes
    if not max_bytes or excess <= 0:
        return shown
    midnight = datetime.combine(day, time(), UTC)
    over = sum(one.session.start < midnight for one in shown)
    first, last = 0, len(shown)
    while excess > 0 and first < over:
        excess -= sizes[first]
        first += 1
    while excess > 0 and last > first:
        last -= 1
        excess -= sizes[last]
    return shown[first:last]


def _calendar(spec: FeedSpec, subject: Subject, base_url: str | None) -> Calendar:
    name = clip(subject.name, _LINE)
    about = f"{name}: times, places and cancellations as in the studio's booking system."
    colour, value = _COLOURS[hashlib.sha256(spec.name.encode()).digest()[0] % len(_COLOURS)]
    calendar = Calendar()
    _add(calendar, "VERSION", "2.0")
    _add(calendar, "PRODID", PRODID)
    _add(calendar, "CALSCALE", "GREGORIAN")
    for title in ("NAME", "X-WR-CALNAME"):
        _add(calendar, title, name)
    for title in ("DESCRIPTION", "X-WR-CALDESC"):
        _add(calendar, title, about)
    if subject.zone:
        _add(calendar, "X-WR-TIMEZONE", subject.zone)
    if base_url and not spec.audience.private:
        calendar.add("URL", base_url + spec.path())
        calendar.add("SOURCE", base_url + spec.path(".ics"), parameters={"VALUE": "URI"})
    # Without VALUE the default would be no duration at all (RFC 7986, 5.7).
    calendar.add("REFRESH-INTERVAL", _HOUR, parameters={"VALUE": "DURATION"})
    _add(calendar, "X-PUBLISHED-TTL", "PT1H")
    _add(calendar, "COLOR", colour)
    _add(calendar, "X-APPLE-CALENDAR-COLOR", value)
    return calendar


def _event(one: Shown, times: Times) -> Event:
    session = one.session
    event = Event()
    _add(event, "UID", one.uid)
    # Without METHOD, DTSTAMP says when the event was last revised (RFC 5545, 3.8.7.2).
    event.add("DTSTAMP", one.modified)
    event.add("CREATED", one.created)
    event.add("LAST-MODIFIED", one.modified)
    event.add("SEQUENCE", one.sequence)
    zone = _zone_of(session, times)
    event.add("DTSTART", session.start.astimezone(zone))
    if session.end is not None:
        event.add("DTEND", session.end.astimezone(zone))
    _add(event, "SUMMARY", clip(one.summary, _LINE))
    _add(event, "STATUS", "CANCELLED" if one.status is Status.CANCELLED else "CONFIRMED")
    # A timetable must not make its subscriber look busy.
    _add(event, "TRANSP", "TRANSPARENT")
    _add(event, "X-MICROSOFT-CDO-BUSYSTATUS", "FREE")
    if session.venue is not None:
        _place(event, session.venue)
    _add(event, "DESCRIPTION", clip(_description(one), _DESCRIPTION))
    if session.booking_url:
        event.add("URL", session.booking_url)
    kind = session.offering_type
    category = kind and (kind.category or kind.name)
    _add(event, "CATEGORIES", clip(category or "", _LINE))
    return event


def _place(event: Event, venue: Venue) -> None:
    _add(event, "LOCATION", clip(venue.location, _LINE))
    if venue.latitude is None or venue.longitude is None or venue.online:
        return
    latitude, longitude = f"{venue.latitude:.6f}", f"{venue.longitude:.6f}"
    # Six decimals, always: the library would write as many as a number happens to have.
    event.add("GEO", _Raw(f"{latitude};{longitude}"), encode=False)
    place = _Raw(f"geo:{latitude},{longitude}")
    title = clip(venue.name or venue.location, _LINE)
    place.params.update({"VALUE": "URI", "X-APPLE-RADIUS": _RADIUS, "X-TITLE": title})
    event.add("X-APPLE-STRUCTURED-LOCATION", place, encode=False)


class _Text(vText):
    """A TEXT value, escaped as RFC 5545, 3.3.11 has it: the library takes ``\\N`` for a break."""

    def to_ical(self) -> bytes:
        text = str(self).replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")
        return text.replace("\n", "\\n").encode()


class _Raw(vText):
    """A value that is no TEXT: nothing in it is escaped."""

    def to_ical(self) -> bytes:
        return str(self).encode()


def _description(one: Shown) -> str:
    """The facts first: some clients show two lines."""
    session = one.session
    facts = []
    names = [one.name for one in session.instructors if one.name]
    if names:
        facts.append(f"Instructor{'s' if len(names) > 1 else ''}: {', '.join(names)}")
    if session.course and session.course.name and session.course.name != session.title:
        facts.append(f"Course: {session.course.name}")
    if session.booking_url:
        facts.append(f"Book: {session.booking_url}")
    # The rest is there only for those who may see it.
    if one.booked:
        facts.append(f"Booked: {one.booked}")
    if session.venue and session.venue.join_url:
        facts.append(f"Join: {session.venue.join_url}")
    if session.staff_url:
        facts.append(f"Manage: {session.staff_url}")
    about = session.offering_type.description if session.offering_type else ""
    return "\n".join(facts) + ("\n\n" if facts and about else "") + about


def _zone_of(session: ClassSession, times: Times) -> tzinfo:
    """What the session's times are written in: its venue's zone, where all clients agree on them.

    A local time that occurs twice means the first of the two (RFC 5545, 3.3.5), and yet some
    clients take it for the second; others lose an hour of what spans a change of the clocks.
    """
    zone = zones.zone(session.venue.zone) if session.venue else None
    if times is Times.UTC or zone is None:
        return UTC
    ends = [session.start.astimezone(zone), session.ends.astimezone(zone)]
    offsets = {end.replace(fold=fold).utcoffset() for end in ends for fold in (0, 1)}
    return zone if len(offsets) == 1 else UTC


def _zones(shown: Sequence[Shown], spec: FeedSpec) -> Iterator[Timezone]:
    """The rules of the zones that times are written in."""
    if not shown:
        # RFC 5545, 3.6 asks for at least one component.
        yield _timezone("Etc/UTC", 1970, 1970)
        return
    if spec.times is Times.UTC:
        return
    names = {one.session.venue.zone for one in shown if one.session.venue}
    # An end may lie in the year after the last start.
    years = [one.session.start.year for one in shown]
    for name in sorted(name for name in names if name):
        yield _timezone(name, min(years), max(years) + 1)


def _timezone(name: str, first: int, last: int) -> Timezone:
    zone = Timezone()
    _add(zone, "TZID", name)
    for one in observances(name, first, last):
        part = TimezoneDaylight() if one.daylight else TimezoneStandard()
        part.add("DTSTART", one.onset)
        part.add("TZOFFSETFROM", one.before)
        part.add("TZOFFSETTO", one.after)
        _add(part, "TZNAME", one.name)
        if one.rule:
            part.add("RRULE", one.rule)
        zone.add_component(part)
    return zone


def _add(component: Any, name: str, value: str) -> None:
    """Add a TEXT property, escaped; an empty one is left out."""
    if value:
        component.add(name, _Text(value), encode=False)
