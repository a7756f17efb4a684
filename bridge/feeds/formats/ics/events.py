"""VEVENT: a session view as the properties of an event."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from bridge import times
from bridge.feeds.event_text import description, title
from bridge.feeds.formats.ics.lines import (
    Property,
    apple_structured_location,
    date_time,
    line,
    text,
)
from bridge.feeds.session_view import SessionView
from bridge.feeds.spec import EventOptions, TimeStyle
from bridge.model import ClassSession, Status, Venue
from bridge.text_cleanup import clip

MAX_LINE = 255
"""UTF-16 units after which Outlook truncates a line (MS-OXCICAL)."""

_BEFORE = (timedelta(0), timedelta(seconds=1))
_MAX_DESCRIPTION = 2_000
# Events that a worker keeps in memory, about a kilobyte each.
_MAX_EVENTS = 32_768
_MAX_PLACES = 1_024


@lru_cache(maxsize=_MAX_EVENTS)
def event(view: SessionView, options: EventOptions) -> bytes:
    """The lines of an event. A pure function, and most of the rendering time: hence cached."""
    lines = b"".join(line(prop) for prop in properties(view, options))
    if options.alarm is not None and not view.cancelled:
        lines += _alarm(options.alarm, title(view, options.language, units=MAX_LINE))
    return b"BEGIN:VEVENT\r\n" + lines + b"END:VEVENT\r\n"


def _alarm(minutes: int, summary: str) -> bytes:
    """A reminder before the start (RFC 5545, 3.6.6)."""
    lines = (
        line(text("ACTION", "DISPLAY")),
        # ACTION:DISPLAY requires it.
        line(text("DESCRIPTION", summary)),
        line(Property("TRIGGER", f"-PT{minutes}M")),
    )
    return b"BEGIN:VALARM\r\n" + b"".join(lines) + b"END:VALARM\r\n"


def properties(view: SessionView, options: EventOptions) -> Iterator[Property]:
    """The properties of an event, in the order of the feed profile."""
    session, language = view.session, options.language
    yield text("UID", view.uid)
    # Without METHOD, DTSTAMP is the time of the last revision (RFC 5545, 3.8.7.2).
    yield date_time("DTSTAMP", view.modified)
    yield date_time("CREATED", view.created)
    yield date_time("LAST-MODIFIED", view.modified)
    yield Property("SEQUENCE", str(view.sequence))
    zone = _zone_of(session, options.times)
    yield date_time("DTSTART", session.start, zone)
    # Sessions that an earlier version stored may have no end.
    yield date_time("DTEND", session.end or session.start + timedelta(hours=1), zone)
    yield text("SUMMARY", title(view, language, units=MAX_LINE))
    yield text("STATUS", "CANCELLED" if view.status is Status.CANCELLED else "CONFIRMED")
    # A timetable must not mark its subscribers as busy.
    yield text("TRANSP", "TRANSPARENT")
    yield text("X-MICROSOFT-CDO-BUSYSTATUS", "FREE")
    yield from _place(session.location, session.venue)
    if body := clip(description(view, language), _MAX_DESCRIPTION):
        yield text("DESCRIPTION", body)
    if session.booking_url:
        yield Property("URL", session.booking_url)
    if session.venue and session.venue.join_url:
        # RFC 7986, 5.11
        yield Property("CONFERENCE", session.venue.join_url, "VALUE=URI;FEATURE=VIDEO")
    offering_type = session.offering_type
    if category := offering_type and (offering_type.category or offering_type.name):
        yield text("CATEGORIES", clip(category, MAX_LINE))


@lru_cache(maxsize=_MAX_PLACES)
def _place(location: str, venue: Venue | None) -> Sequence[Property]:
    location = clip(location, MAX_LINE)
    found = [text("LOCATION", location)] if location else []
    if venue is None or venue.latitude is None or venue.longitude is None or venue.online:
        return found
    latitude, longitude = f"{venue.latitude:.6f}", f"{venue.longitude:.6f}"
    found.append(Property("GEO", f"{latitude};{longitude}"))
    if location:
        # Apple shows its map only if the title is the text of LOCATION.
        address = f"geo:{latitude},{longitude}"
        found.append(apple_structured_location("X-APPLE-STRUCTURED-LOCATION", address, location))
    return found


def _zone_of(session: ClassSession, style: TimeStyle) -> ZoneInfo | None:
    """The zone in which the session's times are written; None: in UTC, if clients would disagree.

    A local time that occurs twice means the first of the two (RFC 5545, 3.3.5), but some clients
    take the second; others are wrong by an hour for events that span a change of the clocks.
    """
    zone = times.zone(session.venue.zone) if session.venue else None
    if style is TimeStyle.UTC or zone is None or times.is_utc(zone):
        return None
    # The second before, too: some clients take the end of a repeated hour for its beginning.
    instants = [end - before for end in (session.start, session.ends) for before in _BEFORE]
    local = [instant.astimezone(zone) for instant in instants]
    offsets = {time.replace(fold=fold).utcoffset() for time in local for fold in (0, 1)}
    return zone if len(offsets) == 1 else None
