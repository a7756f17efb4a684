"""iCalendar (RFC 5545, RFC 7986), written by the icalendar library. Its only home."""

from bridge.feeds.formats.base import Format
from bridge.feeds.formats.ics.calendars import PRODID, fitting, render

__all__ = ["FORMAT", "PRODID", "fitting", "render"]

FORMAT = Format(suffix="ics", media_type="text/calendar; charset=utf-8", render=render)
