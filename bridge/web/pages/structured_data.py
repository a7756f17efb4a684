"""Structured data: sessions as schema.org events (JSON-LD), for search engines."""

import json
from collections.abc import Iterable
from itertools import islice
from typing import Any

from bridge.web.pages import page_budget
from bridge.web.pages.timetable import Entry

_SCHEMA = "https://schema.org"
# Search engines find the rest when they crawl the page again later.
_MAX_EVENTS = 20


def events(entries: Iterable[Entry], base: str) -> dict[str, Any] | None:
    """A JSON-LD object of the first *entries*; None if there are none.

    Args:
        base: the bridge's public address.
    """
    graph = []
    size = 0
    for event in (_event(entry, base) for entry in islice(entries, _MAX_EVENTS)):
        size += len(json.dumps(event))
        if size > page_budget.STRUCTURED_DATA:
            break
        graph.append(event)
    return {"@context": _SCHEMA, "@graph": graph} if graph else None


def _event(entry: Entry, base: str) -> dict[str, Any]:
    session = entry.session_view.session
    online = session.venue is not None and session.venue.online
    url = base + entry.path
    event: dict[str, Any] = {
        "@type": "Event",
        "@id": f"urn:uuid:{entry.session_view.uid}",
        "name": session.title,
        # With the local UTC offset, as Google's documentation of events requires.
        "startDate": entry.start.isoformat(),
        "endDate": entry.end.isoformat() if entry.end else None,
        "eventStatus": f"{_SCHEMA}/Event{'Cancelled' if entry.cancelled else 'Scheduled'}",
        "eventAttendanceMode": f"{_SCHEMA}/{'On' if online else 'Off'}lineEventAttendanceMode",
        "location": _location(entry, session.booking_url or url),
        "performer": [
            {"@type": "Person", "name": person.name}
            for person in session.instructors
            if person.name
        ],
        "url": session.booking_url or url,
    }
    return {name: value for name, value in event.items() if value}


def _location(entry: Entry, url: str) -> dict[str, Any] | None:
    venue = entry.session_view.session.venue
    if venue is None:
        return None
    if venue.online:
        return {"@type": "VirtualLocation", "name": venue.name, "url": url}
    place: dict[str, Any] = {"@type": "Place", "name": venue.name, "address": venue.address}
    if venue.latitude is not None:
        place["geo"] = {
            "@type": "GeoCoordinates",
            "latitude": venue.latitude,
            "longitude": venue.longitude,
        }
    return place
