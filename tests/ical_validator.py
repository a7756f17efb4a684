"""The feed profile: what every calendar must be to the byte, which no client holds anybody to."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import NamedTuple

from ical_lines import Component, Line, MalformedError, read

from bridge import times

_CONTROLS = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_TEXTS = frozenset(
    "NAME DESCRIPTION SUMMARY LOCATION UID STATUS X-WR-CALNAME X-WR-CALDESC X-WR-TIMEZONE".split()
)
# RFC 5545, 3.6.1 and 3.6.5, RFC 7986, 4: no more than one of each.
_SEVERAL = frozenset({"CATEGORIES", "X-APPLE-STRUCTURED-LOCATION"})
_MUST = {
    "VCALENDAR": {"VERSION", "PRODID"},
    "VEVENT": {"UID", "DTSTAMP", "DTSTART", "SUMMARY", "SEQUENCE", "LAST-MODIFIED"},
    "VTIMEZONE": {"TZID"},
    "STANDARD": {"DTSTART", "TZOFFSETFROM", "TZOFFSETTO"},
    "DAYLIGHT": {"DTSTART", "TZOFFSETFROM", "TZOFFSETTO"},
}
_NEVER = frozenset({"METHOD", "ORGANIZER", "ATTENDEE", "CLASS", "DURATION"})


class Told(NamedTuple):
    """An event as the calendar tells it; times in UTC."""

    uid: str
    summary: str
    start: datetime
    end: datetime | None


def check(body: bytes) -> list[Told]:
    """The events of the calendar in *body*.

    Raises:
        MalformedError: a byte, a line or a component is not as the profile has it.
    """
    if _CONTROLS.search(body):
        raise MalformedError("it holds a control character")
    calendar = read(body)
    for part in calendar.walk():
        wrong = next(_wrong(part), None)
        if wrong is not None:
            raise MalformedError(f"{part.kind} {wrong}")
    if "UID" in calendar.names():
        raise MalformedError("the calendar has a UID")
    refresh = calendar.line("REFRESH-INTERVAL")
    if (refresh.params, refresh.value) != ("VALUE=DURATION", "PT1H"):
        raise MalformedError("REFRESH-INTERVAL is not as the profile has it")
    if not calendar.parts:
        raise MalformedError("it has no component")
    known = frozenset(one.value("TZID") for one in calendar.all("VTIMEZONE"))
    told = [_event(one, known) for one in calendar.all("VEVENT")]
    _check_order(told)
    return told


def _wrong(part: Component) -> Iterator[str]:
    names = Counter(part.names())
    if part.kind not in _MUST:
        yield "has no business here"
        return
    for name in sorted(_MUST[part.kind] - names.keys()):
        yield f"lacks {name}"
    for name in sorted(_NEVER & names.keys()):
        yield f"has {name}"
    for name, many in names.items():
        if many > 1 and name not in _SEVERAL:
            yield f"has {name} {many} times"
    for line in part.lines:
        if not line.value:
            yield f"has an empty {line.name}"
        if line.name in _TEXTS:
            _ = line.text


def _check_order(told: Sequence[Told]) -> None:
    for before, after in pairwise(told):
        if (before.start, before.uid) >= (after.start, after.uid):
            raise MalformedError(f"event {after.uid} is out of order, or there twice")


def _event(one: Component, known: frozenset[str]) -> Told:
    if "GEO" in one.names() and not re.fullmatch(r"-?\d+\.\d{6};-?\d+\.\d{6}", one.value("GEO")):
        raise MalformedError(f"GEO is {one.value('GEO')!r}")
    if one.value("STATUS") not in ("CONFIRMED", "CANCELLED"):
        raise MalformedError(f"STATUS is {one.value('STATUS')!r}")
    if one.value("DTSTAMP") != one.value("LAST-MODIFIED"):
        raise MalformedError("DTSTAMP and LAST-MODIFIED differ")
    end = _instant(one.line("DTEND"), known) if "DTEND" in one.names() else None
    return Told(one.text("UID"), one.text("SUMMARY"), _instant(one.line("DTSTART"), known), end)


def _instant(line: Line, known: frozenset[str]) -> datetime:
    found = re.fullmatch(r"(\d{8}T\d{6})(Z?)", line.value)
    name, _, zone = line.params.partition("=") if line.params else ("TZID", "", "UTC")
    if found is None or name != "TZID" or bool(found[2]) == bool(line.params):
        raise MalformedError(f"{line.name};{line.params}:{line.value} is no time with a zone")
    rules = times.zone(zone)
    if (line.params and zone not in known) or rules is None:
        raise MalformedError(f"there are no rules for {zone!r}")
    try:
        local = datetime.fromisoformat(found[1])
    except ValueError as err:
        raise MalformedError(f"{line.name}: there is no such time as {line.value}") from err
    return local.replace(tzinfo=rules).astimezone(UTC)
