"""Typical mistakes in calendars, each applied to a correct feed, and the clients that notice it.

Measured with the versions in requirements-dev.txt, requirements.txt, package-lock.json and
Debian 12.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

Make = Callable[[bytes], bytes]

_FIRST_EVENT = re.compile(rb"BEGIN:VEVENT.*?END:VEVENT\r\n", re.DOTALL)
_DEBIAN = ("libical", "ruby-icalendar")
_ICAL_JS_1 = ("ical.js 1", "ical-expander", "nextcloud")
_JAVASCRIPT = ("ical.js", *_ICAL_JS_1)
_EVERY = (
    "ical", "vobject", "ics", "icalendar", "strict", *_DEBIAN, "recurring-ical-events",
    *_JAVASCRIPT, "fullcalendar", "vdirsyncer",
)  # fmt: skip


@dataclass(frozen=True)
class Mutation:
    """A mistake.

    Attributes:
        rejects: the clients that refuse the calendar.
        misreads: the clients that read other events than expected.
    """

    make: Make
    rejects: tuple[str, ...] = ()
    misreads: tuple[str, ...] = ()


def _replaced(old: bytes, new: bytes) -> Make:
    return lambda body: body.replace(old, new)


def _after_version(line: bytes) -> Make:
    return _replaced(b"VERSION:2.0\r\n", b"VERSION:2.0\r\n" + line + b"\r\n")


def _in_first_event(pattern: bytes, new: bytes) -> Make:
    def make(body: bytes) -> bytes:
        return _FIRST_EVENT.sub(lambda event: re.sub(pattern, new, event[0], count=1), body, 1)

    return make


def _first_event_twice(body: bytes) -> bytes:
    return _FIRST_EVENT.sub(lambda event: event[0] * 2, body, 1)


# The strict reader rejects all of them; only the other clients are listed.
MUTATIONS = {
    "STATUS:CANCELED": Mutation(
        _in_first_event(rb"STATUS:\w+", b"STATUS:CANCELED"), rejects=("ical", "ics", "libical")
    ),
    "a byte order mark": Mutation(
        lambda body: b"\xef\xbb\xbf" + body,
        rejects=("ical", "vobject", "ics", *_JAVASCRIPT, "vdirsyncer"),
    ),
    "no DTSTAMP": Mutation(
        _in_first_event(rb"DTSTAMP:.*\r\n", b""), rejects=("vobject", "libical")
    ),
    "no UID": Mutation(
        _in_first_event(rb"UID:.*\r\n", b""),
        rejects=("vobject",),
        misreads=("ruby-icalendar", *_JAVASCRIPT),
    ),
    "an alarm without TRIGGER": Mutation(
        _in_first_event(
            rb"END:VEVENT",
            b"BEGIN:VALARM\r\nACTION:DISPLAY\r\nDESCRIPTION:Soon\r\nEND:VALARM\r\nEND:VEVENT",
        ),
        rejects=("ical", "ics"),
    ),
    "a raw newline": Mutation(
        _in_first_event(rb"DESCRIPTION:", b"DESCRIPTION:Bring\r\na mat. "),
        rejects=("ical", "vobject", "ics", *_DEBIAN),
    ),
    "GEO with a comma": Mutation(
        _in_first_event(rb"GEO:([^;]*);", rb"GEO:\1,"),
        rejects=("ical", "ics", "icalendar", "libical"),
    ),
    "a control character": Mutation(
        _in_first_event(rb"SUMMARY:", b"SUMMARY:\x08"),
        rejects=("ical", "ics"),
        misreads=tuple(client for client in _EVERY if client not in ("ical", "ics", "strict")),
    ),
    "PUBLISH without ORGANIZER": Mutation(_after_version(b"METHOD:PUBLISH"), rejects=("libical",)),
    "a UID of the calendar": Mutation(_after_version(b"UID:one"), misreads=("vdirsyncer",)),
    "REFRESH-INTERVAL without VALUE": Mutation(
        _replaced(b"INTERVAL;VALUE=DURATION:", b"INTERVAL:")
    ),
    "REFRESH-INTERVAL misspelled": Mutation(
        _replaced(b"INTERVAL;VALUE=DURATION:", b"INTERVAL;DURATION:"),
        rejects=tuple(client for client in _EVERY if client not in ("vobject", "vdirsyncer")),
    ),
    "a fold within a character": Mutation(
        lambda body: re.sub(rb"([\xc2-\xf4])([\x80-\xbf])", rb"\1\r\n \2", body, count=1),
        rejects=("ical", "vobject", "ics", *_DEBIAN, "vdirsyncer"),
        misreads=("icalendar", "recurring-ical-events", *_JAVASCRIPT, "fullcalendar"),
    ),
    "truncated": Mutation(
        lambda body: body[: body.index(b"SUMMARY:", len(body) // 2) + 4], rejects=_EVERY
    ),
    "an HTML page": Mutation(
        lambda body: b"<!doctype html><title>Log in</title>\r\n", rejects=_EVERY
    ),
    "an event twice": Mutation(
        _first_event_twice,
        rejects=("vdirsyncer",),
        misreads=("ical", "vobject", "icalendar", *_DEBIAN, *_JAVASCRIPT, "fullcalendar"),
    ),
    "times without a zone": Mutation(
        _replaced(b"00Z\r\n", b"00\r\n"),
        rejects=("vobject", "icalendar", *_DEBIAN, *_JAVASCRIPT, "vdirsyncer"),
        misreads=("recurring-ical-events", "fullcalendar"),
    ),
    "a backslash in a quoted value": Mutation(
        _in_first_event(rb'X-TITLE="[^"]*"', b'X-TITLE="\r\n Room \\\\"'),
        rejects=(*_ICAL_JS_1, "fullcalendar"),
    ),
    "a quotation mark in a quoted value": Mutation(
        _in_first_event(rb'X-TITLE="[^"]*"', b'X-TITLE="\r\n The "Room""'),
        rejects=("ical", "vobject", "ics", "icalendar"),
    ),
    "unescaped text": Mutation(_in_first_event(rb"LOCATION:.*\r\n", b"LOCATION:a,b;c\r\n")),
    "bare newlines": Mutation(_replaced(b"\r\n", b"\n")),
    "no folding": Mutation(_replaced(b"\r\n ", b"")),
    "an empty property": Mutation(_in_first_event(rb"CATEGORIES:.*\r\n", b"CATEGORIES:\r\n")),
    "out of order": Mutation(
        lambda body: re.sub(
            rb"(BEGIN:VEVENT.*?END:VEVENT\r\n)(BEGIN:VEVENT.*?END:VEVENT\r\n)",
            rb"\2\1",
            body,
            count=1,
            flags=re.DOTALL,
        )
    ),
}
