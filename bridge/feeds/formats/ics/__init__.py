"""iCalendar (RFC 5545, RFC 7986). Only this package imports the icalendar library."""

from bridge.feeds.formats.base import Format
from bridge.feeds.formats.ics.calendars import render, trim_to_size

__all__ = ["FORMAT", "render", "trim_to_size"]

FORMAT = Format(suffix="ics", media_type="text/calendar; charset=utf-8", render=render)
