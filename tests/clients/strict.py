"""The strictest reader: checks every byte against RFC 5545 and the feed profile."""

import ical_validator
from ical_lines import MalformedError

from clients.events import Event, Rejected


def load(body: bytes) -> list[Event]:
    """Return the events. Raises Rejected for any violation."""
    try:
        return [Event.of(*fields) for fields in ical_validator.check(body)]
    except MalformedError as error:
        raise Rejected(str(error)) from error
