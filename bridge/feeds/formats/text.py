"""The plain-text format: an agenda for the terminal."""

from datetime import date

from bridge.feeds.event_text import place_text, title
from bridge.feeds.formats.base import Content, Format
from bridge.feeds.session_view import SessionView
from bridge.languages import Language
from bridge.model import ClassSession
from bridge.times import spans_days, zone_name

_INDENT = "  "


def render(content: Content) -> bytes:
    """The sessions by day, each at its local time."""
    shown, language = content.shown, content.spec.language
    zones = {zone_name(view.session.zone) for view in shown}
    single = zones.pop() if len(zones) == 1 else None
    if not shown:
        lines = [content.name, language.plain("text_nothing")]
    elif single:
        lines = [content.name, language.plain("text_zone", zone=single)]
    else:
        lines = [content.name, language.plain("text_zones")]
    if notice := content.notice_in(language):
        lines.append(f"{notice[0].upper()}{notice[1:]}.")
    day: date | None = None
    for view in sorted(shown, key=lambda v: (v.session.local_start.date(), v.session.start, v.uid)):
        local_day = view.session.local_start.date()
        if local_day != day:
            day = local_day
            lines.append("")
            lines.append(language.short_day(day, year=True))
        zone = "" if single else zone_name(view.session.zone)
        lines.append(
            _INDENT + _line(view, _hours(view.session, language), zone, title(view, language))
        )
    return ("\n".join(lines) + "\n").encode()


def _line(view: SessionView, hours: str, zone: str, text: str) -> str:
    place = place_text(view)
    return "  ".join(filter(None, (hours, zone, text, f"@ {place}" if place else "")))


def _hours(session: ClassSession, language: Language) -> str:
    """The times of day at which a session takes place, with the day of the end if it is another."""
    start, end = session.local_start, session.local_end
    if end is None:
        return f"{start:%H:%M}      "
    day = f"{language.short_day(end.date())}, " if spans_days(start, end) else ""
    return f"{start:%H:%M}-{day}{end:%H:%M}"


FORMAT = Format(suffix="txt", media_type="text/plain; charset=utf-8", render=render)
