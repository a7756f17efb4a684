"""The content lines of an event (RFC 5545, 3.1), made by the icalendar library and cached."""

from collections.abc import Callable, Hashable
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import Any, NamedTuple

from icalendar import Event, vDatetime, vInt, vText, vUri

_BREAK = b"\r\n"
_FOLD = b"\r\n "
# As icalendar; RFC 5545, 3.1 allows 75 bytes.
_WIDTH = 74
_MAX_LINES = 8_192
_RADIUS = "100"
_WRITER = Event()


class Property(NamedTuple):
    """A property of an event; hashable, so that its line can be cached.

    Attributes:
        make: creates icalendar's value from *arguments*.
    """

    name: str
    make: Callable[..., Any]
    arguments: tuple[Hashable, ...]

    @property
    def value(self) -> Any:
        """icalendar's value."""
        return self.make(*self.arguments)


@lru_cache(maxsize=_MAX_LINES)
def line(prop: Property) -> bytes:
    """The content line of a property, folded. Most lines occur in several events."""
    value = prop.value
    if value.params:
        content = str(_WRITER.content_line(prop.name, value, sorted=False)).encode()
    else:
        content = b"%s:%s" % (prop.name.encode(), value.to_ical())
    return fold(content) + _BREAK


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
    """A property of the type TEXT."""
    return Property(name, Text, (value,))


def uri(name: str, address: str) -> Property:
    """A property of the type URI."""
    return Property(name, vUri, (address,))


def number(name: str, value: int) -> Property:
    """A property of the type INTEGER."""
    return Property(name, vInt, (value,))


def date_time(name: str, instant: datetime, zone: tzinfo) -> Property:
    """A property of the type DATE-TIME, written in *zone*."""
    # The local time and the zone are the cache key: aware datetimes of the same instant compare
    # equal in all zones, but are written differently.
    return Property(name, _date_time, (instant.astimezone(zone).replace(tzinfo=None), zone))


def raw(name: str, value: str) -> Property:
    """A property whose value is written without escaping."""
    return Property(name, Raw, (value,))


def apple_structured_location(name: str, address: str, title: str) -> Property:
    """A place for Apple Maps."""
    return Property(name, _apple_structured_location, (address, title))


def conference(address: str) -> Property:
    """The address of an online meeting (RFC 7986, 5.11)."""
    return Property("CONFERENCE", _conference, (address,))


def _date_time(local: datetime, zone: tzinfo) -> vDatetime:
    return vDatetime(local.replace(tzinfo=zone))


def _apple_structured_location(address: str, title: str) -> "Raw":
    location = Raw(address)
    # A quoted value cannot contain a quotation mark, and lenient parsers read a backslash as an
    # escape, also before the closing one.
    title = title.replace('"', "'").replace("\\", "/")
    location.params.update({"VALUE": "URI", "X-APPLE-RADIUS": _RADIUS, "X-TITLE": title})
    return location


def _conference(address: str) -> "Raw":
    link = Raw(address)
    link.params.update({"VALUE": "URI", "FEATURE": "VIDEO"})
    return link


class Text(vText):
    """A TEXT value, escaped by RFC 5545, 3.3.11: icalendar would turn ``\\N`` into a line break."""

    def to_ical(self) -> bytes:
        text = str(self).replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")
        return text.replace("\n", "\\n").encode()


class Raw(vText):
    """A value that is written without escaping."""

    def to_ical(self) -> bytes:
        return str(self).encode()
