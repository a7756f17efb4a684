"""The pages under test: every kind of page, in every state."""

from collections.abc import Mapping

PAGES: Mapping[str, str] = {
    "start": "/",
    "venue": "/venues/12",
    "venue-week": "/venues/12?view=week",
    "venue-filtered": "/venues/12?weekdays=sat&instructors=11,999&time_from=08:00&cancelled=keep",
    "all-month": "/sessions?view=month",
    "venue-builder": "/venues/12?embed_view=week&embed_theme=dark&embed_height=400",
    "venue-german": "/venues/13?lang=de",
    "instructor": "/instructors/19",
    "room": "/rooms/71",
    "course": "/courses/51",
    "type": "/types/45",
    "all": "/sessions",
    "chosen": "/sessions?venues=12,13&offering_types=31&availability=full",
    "all-week": "/sessions?view=week",
    "changes": "/sessions/changes",
    "class": "/sessions/{session}",
    "class-event": "/classes/{class}",
    "class-opening": "/classes/{opening}",
    "class-cancelled": "/sessions/{cancelled}",
    "empty": "/venues/14?starts_at_gte=2035-01-01",
    "private": "/private/{private}",
    "private-changes": "/private/{private}/changes",
    "private-week": "/private/{private}?view=week",
    "embed-agenda": "/embed/venues/12",
    "embed-week": "/embed/venues/13?view=week",
    "embed-month": "/embed/venues/13?view=month",
    "embed-filters": "/embed/venues/13?filters=on&weekdays=sat",
    "embed-room": "/embed/rooms/71",
    "embed-class": "/embed/classes/{class}",
    "embed-accent": "/embed/sessions?accent=f5c518&theme=dark",
    "embed-empty": "/embed/venues/14?starts_at_gte=2035-01-01",
    "unknown-venue": "/venues/999",
    "unknown-room": "/rooms/999",
    "unknown-page": "/nowhere",
    "refused": "/venues/12?venues=13",
    "embed-refused": "/embed/venues/12?accent=puce",
}
"""Name → path; names in braces are replaced by session ids (``Bridge.url``)."""

SIZES = {390: 844, 1280: 800}
"""Width → height of a phone and of a desktop screen, in pixels."""
