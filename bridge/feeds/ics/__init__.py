"""iCalendar: the feed profile, written by the icalendar library. Its only home."""

from bridge.feeds.ics.calendars import PRODID, fitting, render

__all__ = ["PRODID", "fitting", "render"]
