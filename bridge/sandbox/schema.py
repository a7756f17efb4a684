"""The fields of TeamUp's records that refer to other records, or that are not always sent."""

# object name → field → object name of the referenced record
TO_ONE = {
    "course_session": {"venue": "venue", "course": "course"},
    "event": {"venue": "venue", "venue_room": "venue_room", "offering_type": "offering_type"},
    "attendance": {"customer": "customer"},
    "course": {"offering_type": "offering_type"},
    "offering_type": {"category": "offering_type_category"},
    "venue_room": {"venue": "venue"},
}
TO_MANY = {
    "course_session": {"instructors": "instructor"},
    "event": {"instructors": "instructor"},
    "offering_type": {"instructors": "instructor"},
    "venue": {"venue_rooms": "venue_room"},
}
EMBEDDED = {"event": {"small_session_attendances": "attendance"}}
"""Lists whose records are sent even if they are not expanded."""

DEFERRED = {
    "event": frozenset({"category"}),
    "instructor": frozenset({"availability_schedules", "icalendar_links"}),
    "offering_type": frozenset({"registration_timelines"}),
}
"""Fields that are sent only if ``expand`` or ``fields`` names them."""

NEVER_SENT = {
    "course_session": frozenset({"waiting_count"}),
    "event": frozenset({"calendar_opens_at"}),
}

COLORS = {"offering_type": frozenset({"background_color", "color"})}


def referenced_kind(kind: str, field: str) -> str | None:
    """Return the object name of the records that a field refers to; None for a plain field."""
    for references in (TO_ONE, TO_MANY, EMBEDDED):
        if referenced := references.get(kind, {}).get(field):
            return referenced
    return None


def is_expandable(kind: str, field: str) -> bool:
    """Whether ``expand`` may name a field."""
    return referenced_kind(kind, field) is not None or field in DEFERRED.get(kind, ())
