"""Reads calendars with the libraries of Open Web Calendar.

See `clients.programs` for the protocol.
"""

import base64
import json
import sys

import recurring_ical_events
import x_wr_timezone
from icalendar import Calendar


def seconds(value):
    if getattr(value, "tzinfo", None) is None:
        return "floating"
    return value.timestamp()


def read(body):
    try:
        calendar = x_wr_timezone.to_standard(Calendar.from_ical(body))
        events = list(recurring_ical_events.of(calendar).all())
    except Exception as error:  # noqa: BLE001 - any exception means that it shows nothing
        return {"rejected": repr(error)[:500]}
    return {
        "events": [
            [
                str(event.get("UID", "")),
                str(event["SUMMARY"]),
                seconds(event["DTSTART"].dt),
                seconds(event["DTEND"].dt) if "DTEND" in event else None,
            ]
            for event in events
        ]
    }


json.dump([read(base64.b64decode(body)) for body in json.load(sys.stdin)], sys.stdout)
