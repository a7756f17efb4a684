"""The demo studio's venues, instructors, categories, offering types and courses."""

from bridge.sandbox.records import (
    PERMISSIONS,
    Row,
    category,
    course,
    instructor,
    offering_type,
    registration_timeline,
    venue,
    venue_room,
)

# Ids of venues and instructors overlap, as TeamUp's may.
VENUES: tuple[Row, ...] = (
    venue(
        12,
        "Riverside Studio",
        "Europe/London",
        description="Two studios above the boathouse. Bring an extra layer for the quiet classes.",
        address="4 Wharf Road, Bristol, BS1 6QF, United Kingdom",
        physical_address={
            "street": "4 Wharf Road",
            "street_secondary": "First floor",
            "city": "Bristol",
            "region": "Bristol",
            "postal_code": "BS1 6QF",
            "country": "GB",
        },
        lat=51.4472,
        lng=-2.5983,
        venue_rooms=[71, 72],
    ),
    venue(
        13,
        "The Old Chapel; Café & Gym",
        "Europe/London",
        address="19 Chapel Lane, Bath, BA1 2AB, United Kingdom",
        physical_address={
            "street": "19 Chapel Lane",
            "street_secondary": "",
            "city": "Bath",
            "region": "Somerset",
            "postal_code": "BA1 2AB",
            "country": "GB",
        },
        lat=51.3837,
        lng=-2.3597,
        venue_rooms=[73, 74],
    ),
    venue(
        14,
        "Brooklyn Loft",
        "America/New_York",
        address="210 Bond Street, Brooklyn, NY 11217, United States",
        physical_address={
            "street": "210 Bond Street",
            "street_secondary": "Floor 3",
            "city": "Brooklyn",
            "region": "NY",
            "postal_code": "11217",
            "country": "US",
        },
        lat=40.6846,
        lng=-73.9877,
    ),
    venue(
        15,
        "Online with Sydney",
        "Australia/Sydney",
        description="Live on video. The link to join comes with your booking.",
        video_url="https://video.studio.example/join/8412-join-secret",
        zoom_user=604,
        venue_type="online",
        is_online=True,
        lat=-33.8688,
        lng=151.2093,
    ),
)

VENUE_ROOMS: tuple[Row, ...] = (
    venue_room(71, "River room", 12),
    venue_room(72, "Small room", 12),
    venue_room(73, "Nave", 13),
    venue_room(74, "Crypt", 13),
)

_OWNER = dict.fromkeys(PERMISSIONS, True)

# Grace Park has no sessions.
INSTRUCTORS: tuple[Row, ...] = (
    instructor(
        11,
        "Zoë Ashdown",
        description="Teaches slow, strong vinyasa. Founder of the studio.",
        permissions=_OWNER,
    ),
    instructor(12, "Marcus Bell", description="Former rower; coaches strength for all ages."),
    instructor(13, "Siobhán Ní Riain", description="Pilates teacher and physiotherapist."),
    instructor(14, "Priya Raman"),
    instructor(15, "José Ibáñez", description="Mobility and movement."),
    instructor(16, "Łukasz Nowak"),
    instructor(17, "Hana Dvořáková", description="Gymnastics coach."),
    instructor(18, "Tom O'Hara"),
    instructor(19, "田中 美咲", description="Leads meditation from Sydney."),
    instructor(20, "Inês Müller-Costa"),
    instructor(21, "Kwame Mensah", description="Coaches in Brooklyn."),
    instructor(22, "Grace “Gigi” Park", picture_url=""),
)

CATEGORIES: tuple[Row, ...] = (
    category(5, "Yoga"),
    category(6, "Strength & Pilates"),
    category(7, "Mind"),
)

TIMELINES = {
    "everyone": registration_timeline(81, "Everyone", "everyone"),
    "business_only": registration_timeline(82, "Booked by staff", "business_only"),
    "membership_holders": registration_timeline(83, "Members first", "membership_holders"),
    "specific_memberships": registration_timeline(84, "Gold members", "specific_memberships"),
    "specific_customers": registration_timeline(85, "By referral", "specific_customers"),
    "private_url": registration_timeline(86, "With the link", "private_url"),
}
"""One registration timeline of each audience."""


def _price(pounds: int) -> Row:
    """A drop-in price in the form that some studios send."""
    return {
        "decimal": pounds,
        "string": f"£{pounds}",
        "iso_currency_code": "gbp",
        "currency_symbol": "£",
        "currency_symbol_position": "before",
    }


OFFERING_TYPES: tuple[Row, ...] = (
    offering_type(
        31,
        "Vinyasa Flow",
        category=5,
        background_color="#2f855a",
        instructors=[11, 14, 15],
        description=(
            "<p>A <strong>flowing</strong> class for those who know the basics.</p>"
            "<ul><li>Mats are there</li><li>Warm room, 24&nbsp;°C</li></ul>"
            '<p>More on <a href="https://www.studio.example/vinyasa">our site</a>.</p>'
        ),
    ),
    offering_type(
        32,
        "Reformer Pilates",
        category=6,
        background_color="#b7791f",
        instructors=[13, 20],
        dropin_price="22.50",
        description="Eight reformers; grip socks are needed.\nArrive ten minutes early.",
    ),
    offering_type(
        33,
        "Strength & Conditioning",
        category=6,
        background_color="#c53030",
        instructors=[12, 16, 21],
        description="<p>Barbells, kettlebells &amp; sleds. All levels.</p>",
    ),
    offering_type(
        34,
        "Members' Open Gym",
        category=6,
        customer_visibility="membership_holders",
        allows_dropins=False,
        dropin_price="0.00",
        instructors=[18],
        description="The whole floor, for members only.",
    ),
    offering_type(
        35,
        "Staff Training",
        customer_visibility="private",
        allows_dropins=False,
        instructors=[11],
        description="Private: safeguarding and first aid.",
    ),
    offering_type(
        36,
        "Breathwork (planned)",
        category=7,
        is_draft=True,
        instructors=[15],
        description="Draft: not announced yet.",
    ),
    offering_type(
        37,
        "Online Meditation",
        category=7,
        background_color="#553c9a",
        instructors=[19],
        dropin_price="5.00",
        description="Half an hour of sitting together, live on video.",
    ),
    offering_type(
        38,
        "Junior Gymnastics",
        background_color="#2b6cb0",
        instructors=[17],
        min_allowed_age=6,
        max_allowed_age=11,
        description=None,
    ),
    # The following have no courses, only ordinary classes.
    offering_type(
        41,
        "Sunrise Yoga",
        category=5,
        background_color="#dd6b20",
        instructors=[11, 14, 15],
        description="<p>Forty-five minutes to wake up; all levels.</p>",
        registration_timelines=[TIMELINES["everyone"]],
    ),
    offering_type(
        42,
        "Hatha Basics",
        category=5,
        background_color="#38a169",
        instructors=[14, 15],
        dropin_price=_price(12),
        description="<p>The postures one by one, at an easy pace.</p>",
    ),
    offering_type(
        43,
        "Yin & Restore",
        category=5,
        background_color="#2c7a7b",
        instructors=[11, 14, 20],
        description="<p>Long, supported postures &amp; candlelight.</p>",
    ),
    offering_type(
        44,
        "Mat Pilates",
        category=6,
        background_color="#d69e2e",
        instructors=[13, 20],
        description="<p>Pilates on the mat, with <em>small</em> equipment.</p>",
    ),
    offering_type(
        45,
        "Indoor Cycling",
        category=6,
        background_color="#3182ce",
        instructors=[16, 18],
        dropin_price=_price(16),
        description="<p>Twelve bikes. Bring a towel.</p>",
        registration_timelines=[TIMELINES["membership_holders"], TIMELINES["everyone"]],
    ),
    offering_type(
        46,
        "Kettlebells",
        category=6,
        background_color="#9b2c2c",
        instructors=[12, 16],
        description="<p>A lunchtime class: swings, presses and get-ups.</p>",
    ),
    offering_type(
        47,
        "Barre",
        category=6,
        background_color="#b83280",
        instructors=[20],
        description="<p>Ballet barre, without the ballet.</p>",
    ),
    offering_type(
        48,
        "HIIT Express",
        category=6,
        background_color="#e53e3e",
        instructors=[12, 16, 18],
        dropin_price=_price(9),
        description="<p>Thirty minutes of intervals.</p>",
    ),
    offering_type(
        49,
        "Sound Bath",
        category=7,
        background_color="#6b46c1",
        instructors=[11],
        dropin_price=_price(20),
        description="<p>Lie down and listen to gongs and bowls.</p>",
    ),
    offering_type(
        50,
        "Tai Chi",
        category=7,
        background_color="#4c51bf",
        instructors=[15],
        description=None,
    ),
    offering_type(
        51,
        "Personal Training",
        category=6,
        background_color="#4a5568",
        instructors=[12, 16],
        dropin_price=_price(45),
        description="<p>One hour with your own coach.</p>",
    ),
    offering_type(
        52,
        "Private Hire",
        background_color="#718096",
        customer_visibility="private",
        allows_dropins=False,
        description=None,
    ),
)

# Course 60 has no name: its sessions take the name of the offering type.
COURSES: tuple[Row, ...] = (
    course(51, "Vinyasa Flow: Mornings", 31),
    course(52, "Vinyasa Flow: Evenings", 31),
    course(53, "Reformer Pilates, 8 weeks", 32),
    course(54, "Strength & Conditioning", 33),
    course(55, "Strength in Brooklyn", 33),
    course(56, "Members' Open Gym", 34),
    course(57, "Staff Training", 35),
    course(58, "Breathwork Basics", 36),
    course(59, "Online Meditation", 37),
    course(60, None, 38),
    course(61, "New Moon Sitting", 37),
)
