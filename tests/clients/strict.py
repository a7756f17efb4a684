"""RFC 5545 and the feed profile to the byte, which no client holds anybody to."""

import re
from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

from feeds import samples

from clients.reading import Reading, Rejected

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


def load(body: bytes) -> list[Reading]:
    """The events. Rejected: a byte, a line or a component is not as it should be."""
    try:
        return _load(body)
    except (AssertionError, ValueError, IndexError, KeyError) as error:
        raise Rejected(repr(error)) from error


def _load(body: bytes) -> list[Reading]:
    assert not _CONTROLS.search(body), "a control character"
    calendar = samples.read(body)
    for part in calendar.walk():
        names = Counter(part.names())
        assert part.kind in _MUST, f"{part.kind} has no business here"
        assert names.keys() >= _MUST[part.kind], f"{part.kind} lacks something: {names}"
        assert not names.keys() & _NEVER, f"{part.kind} has too much: {names}"
        assert all(many == 1 or name in _SEVERAL for name, many in names.items()), names
        for line in part.lines:
            assert line.value, f"{line.name} is empty"
            if line.name in _TEXTS:
                _ = line.text
    assert "UID" not in calendar.names(), "a UID of the calendar"
    refresh = calendar.line("REFRESH-INTERVAL")
    assert (refresh.params, refresh.value) == ("VALUE=DURATION", "PT1H")
    zones = {one.value("TZID") for one in calendar.all("VTIMEZONE")}
    events = [_event(one, zones) for one in calendar.all("VEVENT")]
    assert calendar.parts, "a calendar of nothing"
    for before, after in pairwise(events):
        assert (before.start, before.uid) < (after.start, after.uid), "out of order, or twice"
    return events


def _event(one: samples.Component, zones: set[str]) -> Reading:
    if "GEO" in one.names():
        assert re.fullmatch(r"-?\d+\.\d{6};-?\d+\.\d{6}", one.value("GEO"))
    assert one.value("STATUS") in ("CONFIRMED", "CANCELLED")
    assert one.value("DTSTAMP") == one.value("LAST-MODIFIED")
    start = _instant(one.line("DTSTART"), zones)
    end = _instant(one.line("DTEND"), zones) if "DTEND" in one.names() else None
    return Reading.of(one.text("UID"), one.text("SUMMARY"), start, end)


def _instant(line: samples.Line, zones: set[str]) -> datetime:
    zone = "UTC"
    if line.params:
        name, _, zone = line.params.partition("=")
        assert name == "TZID"
        assert zone in zones, f"no rules for {zone}"
    assert line.value.endswith("Z") == (not line.params)
    text = line.value.removesuffix("Z")
    assert re.fullmatch(r"\d{8}T\d{6}", text)
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
