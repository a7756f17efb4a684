"""The content lines of a calendar (RFC 5545, 3.1), cached."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from icalendar import Parameters

_BREAK = b"\r\n"
_FOLD = b"\r\n "
# As icalendar; RFC 5545, 3.1 allows 75 bytes.
_WIDTH = 74
_MAX_LINES = 8_192
# Many events have the same time of their last change.
_MAX_TIMES = 1_024
_RADIUS = "100"


class Property(NamedTuple):
    """A property of a component; hashable, so that its line can be cached.

    Attributes:
        value: as it is written: TEXT is escaped.
        params: as they are written: ``VALUE=URI``; empty without parameters.
    """

    name: str
    value: str
    params: str = ""


@lru_cache(maxsize=_MAX_LINES)
def line(prop: Property) -> bytes:
    """The content line of a property, folded. Most lines occur in several events."""
    name = f"{prop.name};{prop.params}" if prop.params else prop.name
    return fold(f"{name}:{prop.value}".encode()) + _BREAK


# icalendar's own folding checks each character separately, and took most of the rendering time.
# This function can be removed once icalendar folds as fast.
def fold(content: bytes) -> bytes:
    """A content line, folded at the same places as by icalendar.

    Args:
        content: UTF-8 without line breaks.
    """
    pieces = []
    start = 0
    while len(content) - start > _WIDTH:
        end = start + _WIDTH
        while content[end] & 0xC0 == 0x80:  # within a multi-byte character
            end -= 1
        # Never split an escape sequence.
        if content[end - 1] in b"\\^":
            end -= 1
        pieces.append(content[start:end])
        start = end
    return _FOLD.join((*pieces, content[start:])) if pieces else content


def text(name: str, value: str) -> Property:
    """A property of the type TEXT (RFC 5545, 3.3.11)."""
    # icalendar would turn \N in a text into a line break.
    escaped = value.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")
    return Property(name, escaped.replace("\n", "\\n"))


@lru_cache(maxsize=_MAX_TIMES)
def date_time(name: str, instant: datetime, zone: ZoneInfo | None = None) -> Property:
    """A property of the type DATE-TIME (RFC 5545, 3.3.5).

    Args:
        zone: the zone in which it is written; None: UTC.
    """
    # isoformat writes four digits for every year, which strftime does not on all systems.
    local = instant.astimezone(zone or UTC).replace(tzinfo=None).isoformat(timespec="seconds")
    value = local.replace("-", "").replace(":", "")
    return Property(name, value, f"TZID={zone.key}") if zone else Property(name, f"{value}Z")


def apple_structured_location(name: str, address: str, title: str) -> Property:
    """A place for Apple Maps."""
    # A quoted value cannot contain a quotation mark, and lenient parsers read a backslash as an
    # escape, also before the closing one.
    title = title.replace('"', "'").replace("\\", "/")
    params = Parameters({"VALUE": "URI", "X-APPLE-RADIUS": _RADIUS, "X-TITLE": title})
    return Property(name, address, params.to_ical(sorted=False).decode())
