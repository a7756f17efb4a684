"""The clients by name, each behind the same interface: a calendar's bytes in, readings out."""

import warnings
from collections.abc import Callable
from functools import lru_cache

import ics
import ics.grammar.parse
import vobject
from ical.calendar_stream import IcsCalendarStream
from ical.compat import enable_compat_mode
from icalendar import Calendar

from clients import programs, strict
from clients.reading import Reading, Rejected

Load = Callable[[bytes], list[Reading]]

# ics reads each line by itself, at half a millisecond; most lines of a calendar came before.
_grammar = ics.grammar.parse.GRAMMAR
_grammar.parse = lru_cache(maxsize=100_000)(_grammar.parse)


def home_assistant(body: bytes) -> list[Reading]:
    """ical, as Home Assistant's remote calendar calls it: forgiving where it knows how to be."""
    with enable_compat_mode(body.decode()) as text:
        calendar = IcsCalendarStream.calendar_from_ics(text)
    return [Reading.of(one.uid, one.summary or "", one.start, one.end) for one in calendar.timeline]


def vobject_(body: bytes) -> list[Reading]:
    """vobject, which servers and synchronisers check calendars with."""
    calendar = vobject.readOne(body.decode(), validate=True)
    return [
        Reading.of(
            one.uid.value,
            one.summary.value,
            one.dtstart.value,
            one.dtend.value if hasattr(one, "dtend") else None,
        )
        for one in calendar.contents.get("vevent", ())
    ]


def ics_(body: bytes) -> list[Reading]:
    """ics: a grammar, and nothing beside it."""
    with warnings.catch_warnings():
        # It warns of its own next version, and its grammar of the language's.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        calendar = ics.Calendar(body.decode())
    return [
        Reading.of(one.uid, _ics_title(one.name or ""), one.begin.datetime, one.end.datetime)
        for one in calendar.events
    ]


def _ics_title(name: str) -> str:
    # A backslash before an n, escaped as it must be, ics 0.7.3 takes for one before a newline.
    # No title of ours holds a newline, so that it can be nothing else.
    return name.replace("\n", "n")


def icalendar_(body: bytes) -> list[Reading]:
    """icalendar; what it cannot read of an event it leaves out, and says so."""
    calendar = Calendar.from_ical(body)
    for part in calendar.walk():
        if part.errors:
            raise Rejected(str(part.errors))
    return [
        Reading.of(
            str(one.get("UID", "")),
            str(one["SUMMARY"]),
            one["DTSTART"].dt,
            one["DTEND"].dt if "DTEND" in one else None,
        )
        for one in calendar.walk("VEVENT")
    ]


IN_PROCESS: dict[str, Load] = {
    "ical": home_assistant,
    "vobject": vobject_,
    "ics": ics_,
    "icalendar": icalendar_,
    "to the letter": strict.load,
}
PROGRAMS: dict[str, Load] = {
    "libical": programs.libical,
    "recurring-ical-events": programs.open_web_calendar,
    "ical.js": programs.thunderbird,
    "ical.js 1": programs.ical_js_1,
    "ical-expander": programs.ical_expander,
}
