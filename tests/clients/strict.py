"""RFC 5545 and the feed profile to the byte, which no client holds anybody to."""

import ical_validator
from ical_lines import MalformedError

from clients.reading import Reading, Rejected


def load(body: bytes) -> list[Reading]:
    """The events. Rejected: a byte, a line or a component is not as it should be."""
    try:
        return [Reading.of(*one) for one in ical_validator.check(body)]
    except MalformedError as error:
        raise Rejected(str(error)) from error
