"""Events: a session as its readers may see it, as the lines of the feed profile."""

from collections.abc import Iterator
from datetime import UTC, tzinfo
from functools import lru_cache

from bridge import times
from bridge.feeds.formats.ics.lines import (
    Property,
    apples_place,
    line,
    moment,
    number,
    raw,
    text,
    uri,
)
from bridge.feeds.selection import SessionView
from bridge.feeds.spec import TimeStyle
from bridge.model import ClassSession, Status, Venue
from bridge.text_cleanup import clip

LINE = 255
"""UTF-16 units at which Outlook cuts a line (MS-OXCICAL)."""

_DESCRIPTION = 2_000
# What a worker keeps in its memory, at about a kilobyte each.
_KEPT = 32_768


@lru_cache(maxsize=_KEPT)
def event(one: SessionView, times: TimeStyle) -> bytes:
    """One event's lines: a pure function, and nearly all of the work."""
    lines = (line(one) for one in properties(one, times))
    return b"BEGIN:VEVENT\r\n" + b"".join(lines) + b"END:VEVENT\r\n"


def properties(one: SessionView, times: TimeStyle) -> Iterator[Property]:
    """An event's properties, in the order of the profile."""
    session = one.session
    yield text("UID", one.uid)
    # Without METHOD, DTSTAMP says when the event was last revised (RFC 5545, 3.8.7.2).
    yield moment("DTSTAMP", one.modified, UTC)
    yield moment("CREATED", one.created, UTC)
    yield moment("LAST-MODIFIED", one.modified, UTC)
    yield number("SEQUENCE", one.sequence)
    zone = _zone_of(session, times)
    yield moment("DTSTART", session.start, zone)
    if session.end is not None:
        yield moment("DTEND", session.end, zone)
    yield text("SUMMARY", clip(one.summary, LINE))
    yield text("STATUS", "CANCELLED" if one.status is Status.CANCELLED else "CONFIRMED")
    # A timetable must not make its subscriber look busy.
    yield text("TRANSP", "TRANSPARENT")
    yield text("X-MICROSOFT-CDO-BUSYSTATUS", "FREE")
    if session.venue is not None:
        yield from _place(session.venue)
    if about := clip(_description(one), _DESCRIPTION):
        yield text("DESCRIPTION", about)
    if session.booking_url:
        yield uri("URL", session.booking_url)
    kind = session.offering_type
    if category := kind and (kind.category or kind.name):
        yield text("CATEGORIES", clip(category, LINE))


def _place(venue: Venue) -> Iterator[Property]:
    if location := clip(venue.location, LINE):
        yield text("LOCATION", location)
    if venue.latitude is None or venue.longitude is None or venue.online:
        return
    latitude, longitude = f"{venue.latitude:.6f}", f"{venue.longitude:.6f}"
    # Six decimals, always: the library would write as many as a number happens to have.
    yield raw("GEO", f"{latitude};{longitude}")
    title = clip(venue.name or venue.location, LINE)
    yield apples_place("X-APPLE-STRUCTURED-LOCATION", f"geo:{latitude},{longitude}", title)


def _description(one: SessionView) -> str:
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


def _zone_of(session: ClassSession, style: TimeStyle) -> tzinfo:
    """What the session's times are written in: its venue's zone, where all clients agree on them.

    A local time that occurs twice means the first of the two (RFC 5545, 3.3.5), and yet some
    clients take it for the second; others lose an hour of what spans a change of the clocks.
    """
    zone = times.zone(session.venue.zone) if session.venue else None
    if style is TimeStyle.UTC or zone is None:
        return UTC
    ends = [session.start.astimezone(zone), session.ends.astimezone(zone)]
    offsets = {end.replace(fold=fold).utcoffset() for end in ends for fold in (0, 1)}
    return zone if len(offsets) == 1 else UTC
