"""The lines of an event, each written by the icalendar library: once for all that share it."""

from collections.abc import Callable, Hashable
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import Any, NamedTuple

from icalendar import Event, vDDDTypes, vInt, vText, vUri

_BREAK = b"\r\n"
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

    Folding is what costs most, and most lines of an event are those of another as well.
    """
    return bytes(_WRITER.content_line(one.name, one.value, sorted=False).to_ical()) + _BREAK


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


def _date_time(local: datetime, zone: tzinfo) -> vDDDTypes:
    return vDDDTypes(local.replace(tzinfo=zone))


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
