"""libical, as GNOME uses it: reads a calendar from standard input under the system's Python.

See `clients.programs` for the protocol.
"""

import json
import sys

import gi

gi.require_version("ICalGLib", "3.0")
from gi.repository import ICalGLib  # noqa: E402 - the version is chosen first


def components(root, kind):
    one = root.get_first_component(kind)
    while one is not None:
        yield one
        one = root.get_next_component(kind)


def complaints(root):
    kind = ICalGLib.PropertyKind.XLICERROR_PROPERTY
    one = root.get_first_property(kind)
    while one is not None:
        yield one.get_xlicerror()
        one = root.get_next_property(kind)
    for part in components(root, ICalGLib.ComponentKind.ANY_COMPONENT):
        yield from complaints(part)


def seconds(time):
    if time is None or time.is_null_time() or time.is_date():
        return None
    if not time.is_utc() and time.get_timezone() is None:
        return "floating"
    return time.as_timet_with_zone(time.get_timezone() or ICalGLib.Timezone.get_utc_timezone())


def published(root):
    """The same with METHOD and ORGANIZER: libical looks at stamps and statuses only there."""
    copy = root.clone()
    copy.set_method(ICalGLib.PropertyMethod.PUBLISH)
    for one in components(copy, ICalGLib.ComponentKind.VEVENT_COMPONENT):
        one.add_property(ICalGLib.Property.new_organizer("mailto:nobody@example.org"))
    return copy


def read(text):
    root = ICalGLib.Component.new_from_string(text)
    if root is None:
        return {"rejected": "no calendar"}
    if root.isa() != ICalGLib.ComponentKind.VCALENDAR_COMPONENT:
        return {"rejected": "not one calendar"}
    for form in (root, published(root)):
        ICalGLib.restriction_check(form)
        if form.count_errors():
            return {"rejected": "; ".join(complaints(form))[:500]}
    events = components(root, ICalGLib.ComponentKind.VEVENT_COMPONENT)
    return {
        "events": [
            [one.get_uid(), one.get_summary(), seconds(one.get_dtstart()), seconds(one.get_dtend())]
            for one in events
        ]
    }


json.dump(read(sys.stdin.buffer.read().decode()), sys.stdout)
