"""The clients by name: functions from a calendar's bytes, or from those of several, to events."""

import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache

import ics
import ics.grammar.parse
import vobject
from ical.calendar_stream import IcsCalendarStream
from ical.compat import enable_compat_mode
from icalendar import Calendar

from clients import programs, strict
from clients.events import Event, Rejected

Load = Callable[[bytes], list[Event]]
LoadAll = Callable[[Sequence[bytes]], list[programs.Result]]

# ics parses each line separately, at half a millisecond; most lines are repeated.
_grammar = ics.grammar.parse.GRAMMAR
_grammar.parse = lru_cache(maxsize=100_000)(_grammar.parse)


def home_assistant(body: bytes) -> list[Event]:
    """ical in compatibility mode, as Home Assistant's remote calendar uses it."""
    with enable_compat_mode(body.decode()) as text:
        calendar = IcsCalendarStream.calendar_from_ics(text)
    return [
        Event.of(event.uid, event.summary or "", event.start, event.end)
        for event in calendar.timeline
    ]


def vobject_(body: bytes) -> list[Event]:
    """vobject, with which servers and synchronisers validate calendars."""
    calendar = vobject.readOne(body.decode(), validate=True)
    return [
        Event.of(
            event.uid.value,
            event.summary.value,
            event.dtstart.value,
            event.dtend.value if hasattr(event, "dtend") else None,
        )
        for event in calendar.contents.get("vevent", ())
    ]


def ics_(body: bytes) -> list[Event]:
    """ics, a parser with a formal grammar."""
    with warnings.catch_warnings():
        # ics and its parser library emit deprecation warnings.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        calendar = ics.Calendar(body.decode())
    return [
        Event.of(event.uid, _ics_title(event.name or ""), event.begin.datetime, event.end.datetime)
        for event in calendar.events
    ]


def _ics_title(name: str) -> str:
    # ics 0.7.3 reads an escaped backslash before an "n" as a newline. Titles have no newlines, so
    # each newline stands for that.
    return name.replace("\n", "n")


def icalendar_(body: bytes) -> list[Event]:
    """icalendar; it omits properties that it cannot parse and reports them in `errors`."""
    calendar = Calendar.from_ical(body)
    for part in calendar.walk():
        if part.errors:
            raise Rejected(str(part.errors))
    return [
        Event.of(
            str(event.get("UID", "")),
            str(event["SUMMARY"]),
            event["DTSTART"].dt,
            event["DTEND"].dt if "DTEND" in event else None,
        )
        for event in calendar.walk("VEVENT")
    ]


IN_PROCESS: dict[str, Load] = {
    "ical": home_assistant,
    "vobject": vobject_,
    "ics": ics_,
    "icalendar": icalendar_,
    "strict": strict.load,
}
PROGRAMS: dict[str, LoadAll] = {
    "libical": programs.libical,
    "ruby-icalendar": programs.ruby_icalendar,
    "recurring-ical-events": programs.open_web_calendar,
    "ical.js": programs.thunderbird,
    "ical.js 1": programs.ical_js_1,
    "ical-expander": programs.ical_expander,
    "nextcloud": programs.nextcloud,
}
