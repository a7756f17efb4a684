"""Reads calendars with libical, as GNOME uses it; needs the system's Python.

See `clients.programs` for the protocol.
"""

import base64
import json
import sys

import gi

gi.require_version("ICalGLib", "3.0")
from gi.repository import ICalGLib  # noqa: E402 - the version is chosen first


def components(root, kind):
    component = root.get_first_component(kind)
    while component is not None:
        yield component
        component = root.get_next_component(kind)


def errors(root):
    kind = ICalGLib.PropertyKind.XLICERROR_PROPERTY
    error = root.get_first_property(kind)
    while error is not None:
        yield error.get_xlicerror()
        error = root.get_next_property(kind)
    for component in components(root, ICalGLib.ComponentKind.ANY_COMPONENT):
        yield from errors(component)


def seconds(time):
    if time is None or time.is_null_time() or time.is_date():
        return None
    if not time.is_utc() and time.get_timezone() is None:
        return "floating"
    return time.as_timet_with_zone(time.get_timezone() or ICalGLib.Timezone.get_utc_timezone())


def published(root):
    """Add METHOD and ORGANIZER: libical only then checks DTSTAMP and STATUS."""
    copy = root.clone()
    copy.set_method(ICalGLib.PropertyMethod.PUBLISH)
    for event in components(copy, ICalGLib.ComponentKind.VEVENT_COMPONENT):
        event.add_property(ICalGLib.Property.new_organizer("mailto:nobody@example.org"))
    return copy


def read(body):
    try:
        root = ICalGLib.Component.new_from_string(body.decode())
    except (UnicodeDecodeError, TypeError) as error:
        # TypeError: libical returned no component.
        return {"rejected": str(error)}
    if root.isa() != ICalGLib.ComponentKind.VCALENDAR_COMPONENT:
        return {"rejected": "not one calendar"}
    for form in (root, published(root)):
        ICalGLib.restriction_check(form)
        if form.count_errors():
            return {"rejected": "; ".join(errors(form))[:500]}
    events = components(root, ICalGLib.ComponentKind.VEVENT_COMPONENT)
    return {
        "events": [
            [e.get_uid(), e.get_summary(), seconds(e.get_dtstart()), seconds(e.get_dtend())]
            for e in events
        ]
    }


json.dump([read(base64.b64decode(body)) for body in json.load(sys.stdin)], sys.stdout)
