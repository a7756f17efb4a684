"""VCALENDAR: the properties of a calendar, its time zones and as many events as fit."""

import hashlib
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time

from icalendar import Timezone, TimezoneDaylight, TimezoneStandard

from bridge import times
from bridge.feeds.formats.base import Content
from bridge.feeds.formats.ics.events import MAX_LINE, event
from bridge.feeds.formats.ics.lines import Property, line, text
from bridge.feeds.formats.ics.vtimezone import observances
from bridge.feeds.session_view import SessionView
from bridge.feeds.spec import FeedSpec, TimeStyle
from bridge.languages import Language
from bridge.text_cleanup import clip

PRODID = "-//TeamUp feed bridge//Feeds//EN"

_END = b"END:VCALENDAR\r\n"
# CSS3 colour names and their values: COLOR takes the name (RFC 7986, 5.9), Apple the value.
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
    """The complete calendar in UTF-8, with CRLF; it has URL and SOURCE only with a base URL."""
    options = content.spec.event_options
    events = (event(view, options) for view in content.shown)
    return b"".join((_header(content), *events, _END))


def trim_to_size(content: Content, *, max_bytes: int, day: date) -> Content:
    """The part of *content* that fits into a calendar of at most *max_bytes*.

    Past sessions are left out first, beginning with the oldest; then future ones, beginning with
    the latest.

    Args:
        max_bytes: 0 for no limit.
        day: the UTC day at whose start the future begins. It is not a time of day, because the
            feed would change with every refresh.
    """
    language = content.spec.language
    if not max_bytes:
        return content
    shown = _fitting(content, max_bytes, day)
    if len(shown) == len(content.shown):
        return content
    shown = _fitting(replace(content, trim_note=_longest_trim_note(language)), max_bytes, day)
    if not shown:
        return replace(content, shown=shown)
    if shown[-1] is content.shown[-1]:
        note = _trim_note(language, "calendar_from", _local_date(shown[0]))
    else:
        note = _trim_note(language, "calendar_until", _local_date(shown[-1]))
    return replace(content, shown=shown, trim_note=note)


def _trim_note(language: Language, key: str, day: date) -> str:
    return f" {language.plain(key, day=language.month_day(day))}"


def _longest_trim_note(language: Language) -> str:
    keys = ("calendar_from", "calendar_until")
    days = [date(2026, month, 28) for month in range(1, 13)]
    notes = (_trim_note(language, key, day) for key in keys for day in days)
    return max(notes, key=lambda note: len(note.encode()))


def _local_date(view: SessionView) -> date:
    return view.session.local_start.date()


def _fitting(content: Content, max_bytes: int, day: date) -> Sequence[SessionView]:
    shown, options = content.shown, content.spec.event_options
    room = max_bytes - len(_header(content)) - len(_END)
    midnight = datetime.combine(day, time(), UTC)
    # Render only events that may fit: forwards from midnight, then backwards.
    first = last = bisect_left(shown, midnight, key=lambda view: view.session.start)
    while last < len(shown) and (size := len(event(shown[last], options))) <= room:
        room -= size
        last += 1
    if last < len(shown):
        return shown[first:last]
    while first > 0 and (size := len(event(shown[first - 1], options))) <= room:
        room -= size
        first -= 1
    return shown[first:last]


def _header(content: Content) -> bytes:
    """The part of the calendar before its events."""
    lines = map(line, _properties(content))
    timezones = (
        timezone.to_ical(sorted=False) for timezone in _timezones(content.shown, content.spec)
    )
    return b"".join((b"BEGIN:VCALENDAR\r\n", *lines, *timezones))


def _properties(content: Content) -> Iterator[Property]:
    """The properties of the calendar, in the order of the feed profile."""
    spec, subject, base_url = content.spec, content.subject, content.base_url
    name = clip(content.name, MAX_LINE)
    description = spec.language.plain("calendar_description", name=name) + content.trim_note
    colour, value = _COLOURS[hashlib.sha256(spec.name.encode()).digest()[0] % len(_COLOURS)]
    yield Property("VERSION", "2.0")
    yield text("PRODID", PRODID)
    yield text("CALSCALE", "GREGORIAN")
    if name:
        yield text("NAME", name)
        yield text("X-WR-CALNAME", name)
    yield text("DESCRIPTION", description)
    yield text("X-WR-CALDESC", description)
    if subject.zone:
        yield text("X-WR-TIMEZONE", subject.zone)
    if base_url and not spec.audience.private:
        yield Property("URL", base_url + spec.path())
        yield Property("SOURCE", base_url + spec.path(".ics"), "VALUE=URI")
    # VALUE is required: the property has no default type (RFC 7986, 5.7).
    yield Property("REFRESH-INTERVAL", "PT1H", "VALUE=DURATION")
    yield text("X-PUBLISHED-TTL", "PT1H")
    yield text("COLOR", colour)
    yield text("X-APPLE-CALENDAR-COLOR", value)


def _timezones(shown: Sequence[SessionView], spec: FeedSpec) -> Iterator[Timezone]:
    """A VTIMEZONE for each zone in which times are written."""
    if not shown:
        # RFC 5545, 3.6 requires at least one component.
        yield _timezone("Etc/UTC", 1970, 1970)
        return
    if spec.times is TimeStyle.UTC:
        return
    venues = {view.session.venue for view in shown if view.session.venue}
    zones = {zone for venue in venues if (zone := times.zone(venue.zone))}
    years = [view.session.start.year for view in shown]
    for name in sorted(zone.key for zone in zones if not times.is_utc(zone)):
        # One more year: a session may end in the year after it starts.
        yield _timezone(name, min(years), max(years) + 1)


def _timezone(name: str, first_year: int, last_year: int) -> Timezone:
    timezone = Timezone()
    timezone.add("TZID", name)
    for observance in observances(name, first_year, last_year):
        component = TimezoneDaylight() if observance.daylight else TimezoneStandard()
        component.add("DTSTART", observance.onset)
        component.add("TZOFFSETFROM", observance.offset_from)
        component.add("TZOFFSETTO", observance.offset_to)
        component.add("TZNAME", observance.name)
        if observance.rrule:
            component.add("RRULE", observance.rrule)
        timezone.add_component(component)
    return timezone
