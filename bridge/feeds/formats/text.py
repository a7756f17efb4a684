"""The plain-text format: an agenda for the terminal."""

from datetime import UTC, date

from bridge import times
from bridge.feeds.event_text import title
from bridge.feeds.formats.base import Content, Format
from bridge.feeds.session_view import SessionView
from bridge.model import ClassSession
from bridge.times import DAY_NAMES, MONTH_NAMES

_INDENT = "  "


def render(content: Content) -> bytes:
    """The sessions by day, each at its venue's local time."""
    shown, subject = content.shown, content.subject
    zones = {_zone(view.session) for view in shown}
    single = zones.pop() if len(zones) == 1 else None
    lines = [subject.name]
    lines.append(f"Times are {single} time." if single else "Times are local to each venue.")
    if not shown:
        lines = [subject.name, "Nothing is on."]
    if content.notice:
        lines.append(f"{content.notice[0].upper()}{content.notice[1:]}.")
    day: date | None = None
    for view in sorted(shown, key=lambda v: (_local(v.session)[0], v.session.start, v.uid)):
        local_day, hours = _local(view.session)
        if local_day != day:
            day = local_day
            lines.append("")
            lines.append(
                f"{DAY_NAMES[day.weekday()]} {day.day} {MONTH_NAMES[day.month - 1]} {day.year}"
            )
        lines.append(_INDENT + _line(view, hours, "" if single else _zone(view.session)))
    return ("\n".join(lines) + "\n").encode()


def _line(view: SessionView, hours: str, zone: str) -> str:
    session = view.session
    place = ", ".join(part.name for part in (session.venue, session.room) if part and part.name)
    return "  ".join(filter(None, (hours, zone, title(view), f"@ {place}" if place else "")))


def _zone(session: ClassSession) -> str:
    return (session.venue and session.venue.zone) or "UTC"


def _local(session: ClassSession) -> tuple[date, str]:
    """The day and the times of day at which a session takes place, in its venue's zone."""
    zone = times.zone(_zone(session)) or UTC
    start = session.start.astimezone(zone)
    end = session.end.astimezone(zone) if session.end else None
    return start.date(), f"{start:%H:%M}" + (f"-{end:%H:%M}" if end else "      ")


FORMAT = Format(suffix="txt", media_type="text/plain; charset=utf-8", render=render)
