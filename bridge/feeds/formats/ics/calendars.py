"""Calendars: head, events and end, as many of them as fit."""

import hashlib
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from icalendar import Calendar, Timezone, TimezoneDaylight, TimezoneStandard

from bridge.feeds.formats.base import Content
from bridge.feeds.formats.ics.events import LINE, event
from bridge.feeds.formats.ics.lines import Text
from bridge.feeds.formats.ics.vtimezone import observances
from bridge.feeds.selection import SessionView
from bridge.feeds.spec import FeedSpec, TimeStyle
from bridge.text_cleanup import clip

PRODID = "-//TeamUp feed bridge//Feeds//EN"

_END = b"END:VCALENDAR\r\n"
_HOUR = timedelta(hours=1)
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


def render(content: Content) -> bytes:
    """The complete calendar, with CRLF, in UTF-8.

    Without a base URL it carries no address of its own.
    """
    events = (event(one, content.spec.times) for one in content.shown)
    return b"".join((_head(content), *events, _END))


def fitting(content: Content, *, max_bytes: int, day: date) -> Sequence[SessionView]:
    """The sessions that fit into a calendar of at most *max_bytes*.

    Past sessions are left out first, the oldest before the later ones; then those farthest ahead.

    Args:
        max_bytes: 0 for any size.
        day: the UTC day where past and future divide; a time of day would change the feed with
            every refresh.
    """
    shown, times = content.shown, content.spec.times
    if not max_bytes:
        return shown
    room = max_bytes - len(_head(content)) - len(_END)
    midnight = datetime.combine(day, time(), UTC)
    over = bisect_left(shown, midnight, key=lambda one: one.session.start)
    # First from today on, near before far; then the past, late before early. What does not fit is
    # never rendered.
    first = last = over
    while last < len(shown) and (size := len(event(shown[last], times))) <= room:
        room -= size
        last += 1
    if last < len(shown):
        return shown[first:last]
    while first > 0 and (size := len(event(shown[first - 1], times))) <= room:
        room -= size
        first -= 1
    return shown[first:last]


def _head(content: Content) -> bytes:
    """The part of the calendar before its events."""
    # In the order of the feed profile; the library would sort by name.
    return bytes(frame(content).to_ical(sorted=False)).removesuffix(_END)


def frame(content: Content) -> Calendar:
    """The calendar without its events."""
    calendar = _calendar(content)
    for zone in _zones(content.shown, content.spec):
        calendar.add_component(zone)
    return calendar


def _calendar(content: Content) -> Calendar:
    spec, subject, base_url = content.spec, content.subject, content.base_url
    name = clip(subject.name, LINE)
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


def _zones(shown: Sequence[SessionView], spec: FeedSpec) -> Iterator[Timezone]:
    """The rules of the zones that times are written in."""
    if not shown:
        # RFC 5545, 3.6 asks for at least one component.
        yield _timezone("Etc/UTC", 1970, 1970)
        return
    if spec.times is TimeStyle.UTC:
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
        component.add(name, Text(value), encode=False)
