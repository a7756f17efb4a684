"""What Open Web Calendar is made of: reads a calendar from standard input.

See `clients.programs` for the protocol.
"""

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
    except Exception as error:  # noqa: BLE001 - whatever it fails with, it shows nothing
        return {"rejected": repr(error)[:500]}
    return {
        "events": [
            [
                str(one.get("UID", "")),
                str(one["SUMMARY"]),
                seconds(one["DTSTART"].dt),
                seconds(one["DTEND"].dt) if "DTEND" in one else None,
            ]
            for one in events
        ]
    }


json.dump(read(sys.stdin.buffer.read()), sys.stdout)
