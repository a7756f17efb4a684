"""The lines of an event, each made by the icalendar library: once for all that share it."""

from collections.abc import Callable, Hashable
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import Any, NamedTuple

from icalendar import Event, vDatetime, vInt, vText, vUri

_BREAK = b"\r\n"
_FOLD = b"\r\n "
# The library's: RFC 5545, 3.1 has room for a byte more.
_WIDTH = 74
_KEPT = 8_192
_RADIUS = "100"
_WRITER = Event()


class Property(NamedTuple):
    """A property: all that its line is made of.

    Attributes:
        make: makes the library's value of *given*.
    """

    name: str
    make: Callable[..., Any]
    given: tuple[Hashable, ...]

    @property
    def value(self) -> Any:
        """The library's value."""
        return self.make(*self.given)


@lru_cache(maxsize=_KEPT)
def line(one: Property) -> bytes:
    """The property as it stands in a calendar, folded.

    Most lines of an event are those of another as well.
    """
    value = one.value
    if value.params:
        content = str(_WRITER.content_line(one.name, value, sorted=False)).encode()
    else:
        content = b"%s:%s" % (one.name.encode(), value.to_ical())
    return folded(content) + _BREAK


def folded(content: bytes) -> bytes:
    """A content line as the library folds it.

    The library looks at each character by itself, which takes most of the time that a calendar
    takes.

    Args:
        content: UTF-8 without a break.
    """
    pieces = []
    start = 0
    while len(content) - start > _WIDTH:
        end = start + _WIDTH
        while content[end] & 0xC0 == 0x80:  # within a character
            end -= 1
        # an escape stays whole
        if content[end - 1] in b"\\^":
            end -= 1
        pieces.append(content[start:end])
        start = end
    return _FOLD.join((*pieces, content[start:])) if pieces else content


def text(name: str, value: str) -> Property:
    """A TEXT."""
    return Property(name, Text, (value,))


def uri(name: str, address: str) -> Property:
    """A URI."""
    return Property(name, vUri, (address,))


def number(name: str, value: int) -> Property:
    """An INTEGER."""
    return Property(name, vInt, (value,))


def moment(name: str, instant: datetime, zone: tzinfo) -> Property:
    """A DATE-TIME, written in *zone*."""
    # Equal instants are equal in whatever zone, and yet are not written alike.
    return Property(name, _date_time, (instant.astimezone(zone).replace(tzinfo=None), zone))


def raw(name: str, value: str) -> Property:
    """Something in which nothing is escaped."""
    return Property(name, Raw, (value,))


def apples_place(name: str, address: str, title: str) -> Property:
    """A place on Apple's maps."""
    return Property(name, _apples_place, (address, title))


def _date_time(local: datetime, zone: tzinfo) -> vDatetime:
    return vDatetime(local.replace(tzinfo=zone))


def _apples_place(address: str, title: str) -> "Raw":
    place = Raw(address)
    place.params.update({"VALUE": "URI", "X-APPLE-RADIUS": _RADIUS, "X-TITLE": title})
    return place


class Text(vText):
    """A TEXT value, escaped as RFC 5545, 3.3.11 has it: the library takes ``\\N`` for a break."""

    def to_ical(self) -> bytes:
        text = str(self).replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")
        return text.replace("\n", "\\n").encode()


class Raw(vText):
    """A value that is no TEXT: nothing in it is escaped."""

    def to_ical(self) -> bytes:
        return str(self).encode()
