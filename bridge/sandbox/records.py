"""Functions that create complete TeamUp records, with realistic defaults."""

from typing import Any

# A JSON object of TeamUp's API; its fields are those of the vendor's reference page.
Row = dict[str, Any]

PERMISSIONS = (
    "email_notifications",
    "revenue",
    "attendances",
    "super_admin",
    "customers",
    "discount_codes",
    "manage_events",
    "store",
    "developer",
    "customer_payments",
    "instructor_attendances",
    "instructor_manage_events",
    "pos",
)


def venue(id: int, name: str, timezone: str, **fields: Any) -> Row:
    """Create a venue; *timezone* is an IANA name, *fields* replace the defaults."""
    return {
        "id": id,
        "object": "venue",
        "name": name,
        "description": None,
        "address": "",
        "physical_address": None,
        "timezone": timezone,
        "video_url": None,
        "zoom_user": 0,
        "venue_type": "physical",
        "venue_rooms": [],
        "lat": 0.0,
        "lng": 0.0,
        "archived": False,
        "is_online": False,
        "video_url_type": "static",
        **fields,
    }


def venue_room(id: int, name: str, venue: int, **fields: Any) -> Row:
    """Create a room of the venue with the id *venue*."""
    row = {"id": id, "object": "venue_room", "status": "active", "name": name, "venue": venue}
    return {**row, "thumbnail": None, **fields}


def instructor(id: int, name: str, **fields: Any) -> Row:
    """Create an instructor; its two deferred fields must never appear in a public feed."""
    secret = f"studio.example/ical/instructor-{id}-secret.ics"
    return {
        "id": id,
        "object": "instructor",
        "name": name,
        "picture_url": f"https://images.studio.example/instructors/{id}.jpg",
        "description": "",
        "permissions": {name: name.startswith("instructor_") for name in PERMISSIONS},
        "staff": 9000 + id,
        "availability_schedules": [_schedule(id)],
        "icalendar_links": {
            "link": f"https://{secret}",
            "webcal_url": f"webcal://{secret}",
            "integrations": [],
        },
        **fields,
    }


def _schedule(instructor: int) -> Row:
    days = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    return {
        "id": 700 + instructor,
        "object": None,
        "name": "Usual hours",
        "venue": None,
        **{f"default_{day}": [{"start": "09:00:00", "end": "17:00:00"}] for day in days},
        "schedule_type": "IU",
        "instructor": instructor,
        "is_default": "true",
        "has_availability": "true",
    }


def category(id: int, name: str, **fields: Any) -> Row:
    """Create a category of offering types."""
    row = {"id": id, "object": "offering_type_category", "name": name, "image": None}
    return {**row, **fields}


def offering_type(id: int, name: str, **fields: Any) -> Row:
    """Create an offering type: by default public, not a draft and without a category."""
    return {
        "id": id,
        "object": "offering_type",
        "name": name,
        "description": None,
        "allows_dropins": True,
        "appointment_settings": None,
        "room_rental_settings": None,
        "background_color": "#5b8def",
        "color": "#ffffff",
        "cancellation_notice_interval": 720,
        "category": None,
        "customer_visibility": "public",
        "dropin_price": "14.00",
        "has_active_schedules": True,
        "has_pricing": True,
        "image": None,
        "instructors": [],
        "is_draft": False,
        "max_allowed_age": None,
        "min_allowed_age": None,
        "memberships_count": 2,
        "memberships_summary_description": "2 memberships",
        "order": None,
        "registrations_close_interval": 0,
        "registrations_open_interval": 20160,
        "registration_timelines": [],
        **fields,
    }


def course(id: int, name: str | None, offering_type: int | Row, **fields: Any) -> Row:
    """Create a course of an offering type, given as an id or as a record."""
    return {"id": id, "object": "course", "name": name, "offering_type": offering_type, **fields}


def registration_timeline(id: int, name: str, audience_type: str) -> Row:
    """Create a registration timeline, which says for whom, and when, bookings open."""
    return {"id": id, "name": name, "audience_type": audience_type}


def attendance(id: int, customer: int | Row, **fields: Any) -> Row:
    """Create a customer's booking of a class."""
    row = {"id": id, "object": "attendance", "customer": customer, "status": "registered"}
    return {**row, **fields}


def customer(number: int, **fields: Any) -> Row:
    """Create a customer, whose name and e-mail address must never appear in a feed."""
    return {
        "id": number,
        "object": "customer",
        "first_name": f"Customer Canary {number}",
        "last_name": f"Canary {number}",
        "email": f"customer-canary-{number}@customers.example",
        **fields,
    }
