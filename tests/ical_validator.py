"""A validator of the feed profile; it is stricter than any client."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import NamedTuple

from ical_lines import Component, Line, MalformedError, read

from bridge import times

_CONTROLS = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
# No backslash: some clients read it as an escape, also before the closing quotation mark.
_PARAM = r'[A-Z-]+=(?:"[^"\\]+"|[^";:,\\]+)'
_PARAMS = re.compile(f"(?:{_PARAM}(?:;{_PARAM})*)?")
_TEXTS = frozenset(
    "NAME DESCRIPTION SUMMARY LOCATION UID STATUS X-WR-CALNAME X-WR-CALDESC X-WR-TIMEZONE".split()
)
# All others may occur only once (RFC 5545, 3.6.1 and 3.6.5, RFC 7986, 4).
_REPEATABLE = frozenset({"CATEGORIES", "X-APPLE-STRUCTURED-LOCATION"})
_REQUIRED = {
    "VCALENDAR": {"VERSION", "PRODID"},
    "VEVENT": {"UID", "DTSTAMP", "DTSTART", "SUMMARY", "SEQUENCE", "LAST-MODIFIED"},
    "VALARM": {"ACTION", "TRIGGER", "DESCRIPTION"},
    "VTIMEZONE": {"TZID"},
    "STANDARD": {"DTSTART", "TZOFFSETFROM", "TZOFFSETTO"},
    "DAYLIGHT": {"DTSTART", "TZOFFSETFROM", "TZOFFSETTO"},
}
_FORBIDDEN = frozenset({"METHOD", "ORGANIZER", "ATTENDEE", "CLASS", "DURATION"})


class ParsedEvent(NamedTuple):
    """The essential properties of an event; times in UTC."""

    uid: str
    summary: str
    start: datetime
    end: datetime | None


def check(body: bytes) -> list[ParsedEvent]:
    """The events of the calendar in *body*.

    Raises:
        MalformedError: the calendar violates the profile.
    """
    if _CONTROLS.search(body):
        raise MalformedError("it contains a control character")
    calendar = read(body)
    for part in calendar.walk():
        violation = next(_violations(part), None)
        if violation is not None:
            raise MalformedError(f"{part.kind} {violation}")
    if "UID" in calendar.names():
        raise MalformedError("the calendar has a UID")
    refresh = calendar.line("REFRESH-INTERVAL")
    if (refresh.params, refresh.value) != ("VALUE=DURATION", "PT1H"):
        raise MalformedError("REFRESH-INTERVAL is not one hour")
    if not calendar.parts:
        raise MalformedError("it has no component")
    zones = frozenset(component.value("TZID") for component in calendar.all("VTIMEZONE"))
    events = [_event(component, zones) for component in calendar.all("VEVENT")]
    _check_order(events)
    return events


def _violations(part: Component) -> Iterator[str]:
    names = Counter(part.names())
    if part.kind not in _REQUIRED:
        yield "is not allowed"
        return
    for name in sorted(_REQUIRED[part.kind] - names.keys()):
        yield f"lacks {name}"
    for name in sorted(_FORBIDDEN & names.keys()):
        yield f"has {name}"
    for name, count in names.items():
        if count > 1 and name not in _REPEATABLE:
            yield f"has {name} {count} times"
    for line in part.lines:
        if not line.value:
            yield f"has an empty {line.name}"
        if not _PARAMS.fullmatch(line.params):
            yield f"has {line.name} with the parameters {line.params}"
        if line.name in _TEXTS:
            _ = line.text


def _check_order(events: Sequence[ParsedEvent]) -> None:
    for before, after in pairwise(events):
        if (before.start, before.uid) >= (after.start, after.uid):
            raise MalformedError(f"event {after.uid} is out of order, or occurs twice")


def _event(component: Component, zones: frozenset[str]) -> ParsedEvent:
    if "GEO" in component.names() and not re.fullmatch(
        r"-?\d+\.\d{6};-?\d+\.\d{6}", component.value("GEO")
    ):
        raise MalformedError(f"GEO is {component.value('GEO')!r}")
    if component.value("STATUS") not in ("CONFIRMED", "CANCELLED"):
        raise MalformedError(f"STATUS is {component.value('STATUS')!r}")
    if component.value("DTSTAMP") != component.value("LAST-MODIFIED"):
        raise MalformedError("DTSTAMP and LAST-MODIFIED differ")
    for alarm in component.all("VALARM"):
        _check_alarm(alarm, component.value("STATUS"))
    end = instant(component.line("DTEND"), zones) if "DTEND" in component.names() else None
    return ParsedEvent(
        component.text("UID"),
        component.text("SUMMARY"),
        instant(component.line("DTSTART"), zones),
        end,
    )


def _check_alarm(alarm: Component, status: str) -> None:
    if alarm.value("ACTION") != "DISPLAY" or not re.fullmatch(r"-PT\d+M", alarm.value("TRIGGER")):
        raise MalformedError(f"an alarm has the trigger {alarm.value('TRIGGER')!r}")
    if status == "CANCELLED":
        raise MalformedError("a cancelled event has an alarm")


def instant(line: Line, zones: frozenset[str]) -> datetime:
    """The time of DTSTART or DTEND in UTC.

    Args:
        zones: the time zones that the calendar defines.

    Raises:
        MalformedError: it is not a time, or its zone is not defined.
    """
    match = re.fullmatch(r"(\d{8}T\d{6})(Z?)", line.value)
    name, _, zone = line.params.partition("=") if line.params else ("TZID", "", "UTC")
    if match is None or name != "TZID" or bool(match[2]) == bool(line.params):
        raise MalformedError(f"{line.name};{line.params}:{line.value} is not a time with a zone")
    tz = times.zone(zone)
    if (line.params and zone not in zones) or tz is None:
        raise MalformedError(f"there is no VTIMEZONE for {zone!r}")
    try:
        local = datetime.fromisoformat(match[1])
    except ValueError as err:
        raise MalformedError(f"{line.name}: {line.value} does not exist") from err
    return local.replace(tzinfo=tz).astimezone(UTC)
