"""The demo studio's week of ordinary classes, which are listed as events."""

from dataclasses import dataclass
from datetime import time

MON, TUE, WED, THU, FRI, SAT, SUN = range(7)


@dataclass(frozen=True, slots=True)
class ClassSlot:
    """One weekly class.

    Attributes:
        number: 0 to 99, part of the event ids; must never change.
        room: None at venues without rooms.
        at: wall-clock time in the venue's time zone, the same all year.
        minutes: duration.
        places: None and 0 both mean unlimited, as in TeamUp.
        name: None for the offering type's.
        description: HTML; empty for the offering type's.
        audiences: keys of `demo_records.TIMELINES`; empty for the offering type's timelines.
        opens_days: number of days before the class on which bookings open.
        appointment: whether it is one customer's private booking.
    """

    number: int
    offering_type: int
    venue: int
    room: int | None
    weekday: int
    at: time
    minutes: int
    instructors: tuple[int, ...]
    places: int | None
    name: str | None = None
    description: str = ""
    audiences: tuple[str, ...] = ()
    opens_days: int = 90
    appointment: bool = False


_BEGINNERS = (
    "<p>For <strong>complete beginners</strong>: six weeks, and each class stands alone.</p>"
    "<ul><li>Mats and blocks are there</li><li>Wear something warm</li></ul>"
)
_TAI_CHI = (
    "<p>The short Yang form, slowly. Pay what you like at the door.</p>"
    '<p><a href="https://www.studio.example/tai-chi">What to expect</a></p>'
)
_GONGS = "<p>Gongs, bowls and a <em>very</em> quiet room. Doors close at 20:00 sharp.</p>"
_MIDNIGHT = "<p>From before midnight until after it.<br>Tea is served at the end.</p>"
_LONG_PRACTICE = "<p>Seventy-five minutes, with a long savasana.</p>"
_ZOOM = (
    "<p>We sit for half an hour, then talk for half an hour.</p>"
    '<p>Join here: <a href="https://us02web.zoom.us/j/81234567890?pwd=canary-zoom-link">'
    "https://us02web.zoom.us/j/81234567890?pwd=canary-zoom-link</a></p>"
)

CLASS_SLOTS = (
    ClassSlot(1, 41, 12, 71, MON, time(6, 30), 45, (14,), 16),
    ClassSlot(2, 45, 13, 74, MON, time(6, 30), 45, (18,), 12),
    ClassSlot(3, 44, 12, 72, MON, time(9, 30), 50, (13,), 10),
    ClassSlot(4, 46, 13, 73, MON, time(12, 10), 40, (12,), 12),
    ClassSlot(5, 42, 12, 71, MON, time(17, 30), 60, (15,), 16, description=_BEGINNERS),
    ClassSlot(6, 45, 13, 74, MON, time(18), 45, (16,), 12),
    ClassSlot(7, 48, 13, 73, MON, time(18), 30, (18,), 20),
    ClassSlot(8, 43, 12, 71, MON, time(19, 45), 75, (14,), 14, audiences=("everyone",)),
    ClassSlot(9, 31, 14, None, MON, time(7), 60, (21,), 15),
    ClassSlot(10, 48, 13, 73, TUE, time(7, 30), 30, (16,), 20),
    ClassSlot(11, 47, 12, 72, TUE, time(9, 30), 50, (20,), 10),
    ClassSlot(12, 50, 13, 73, TUE, time(10, 45), 60, (15,), None, description=_TAI_CHI),
    ClassSlot(13, 45, 13, 74, TUE, time(12, 15), 45, (18,), 12),
    ClassSlot(14, 33, 13, 73, TUE, time(17, 30), 60, (12,), 16, opens_days=2),
    ClassSlot(15, 44, 12, 72, TUE, time(18), 50, (13,), 10),
    ClassSlot(16, 45, 13, 74, TUE, time(18, 30), 45, (16,), 12),
    ClassSlot(17, 33, 14, None, TUE, time(18, 30), 60, (21,), 14),
    ClassSlot(18, 37, 15, None, TUE, time(19), 30, (19,), None),
    ClassSlot(19, 51, 12, 72, TUE, time(14), 60, (12,), 1, appointment=True),
    ClassSlot(20, 41, 12, 71, WED, time(6, 30), 45, (11,), 16),
    ClassSlot(21, 45, 13, 74, WED, time(6, 30), 45, (18,), 12, audiences=("membership_holders",)),
    ClassSlot(22, 42, 12, 72, WED, time(9, 30), 60, (15,), 10),
    ClassSlot(23, 46, 13, 73, WED, time(12, 10), 40, (16,), 12),
    ClassSlot(24, 44, 12, 72, WED, time(12, 30), 50, (13,), 10),
    ClassSlot(25, 31, 12, 71, WED, time(18, 45), 75, (14,), 18, opens_days=7),
    ClassSlot(26, 45, 13, 74, WED, time(18), 45, (18,), 12),
    ClassSlot(27, 48, 13, 73, WED, time(18, 15), 30, (12,), 20),
    ClassSlot(
        28, 43, 12, 72, WED, time(20, 15), 75, (11,), 8,
        name="Yin for Gold Members", audiences=("specific_memberships",),
    ),
    ClassSlot(29, 31, 14, None, WED, time(7), 60, (21,), 15),
    ClassSlot(30, 48, 13, 73, THU, time(7, 30), 30, (16,), 20),
    ClassSlot(
        31, 47, 12, 72, THU, time(9, 30), 50, (20,), 10,
        name="Barre: Trial Group", audiences=("business_only",),
    ),
    ClassSlot(32, 50, 13, 73, THU, time(10, 45), 60, (15,), None),
    ClassSlot(33, 45, 13, 74, THU, time(12, 15), 45, (18,), 12),
    ClassSlot(
        34, 44, 12, 72, THU, time(18), 50, (20,), 6,
        name="Rehab Pilates", audiences=("specific_customers",),
    ),
    ClassSlot(35, 33, 13, 73, THU, time(18, 30), 60, (12,), 16),
    ClassSlot(36, 45, 13, 74, THU, time(18, 30), 45, (16,), 12),
    ClassSlot(37, 49, 12, 71, THU, time(20), 60, (11,), 20, description=_GONGS, opens_days=5),
    ClassSlot(38, 33, 14, None, THU, time(18, 30), 60, (21,), 14),
    ClassSlot(39, 37, 15, None, THU, time(19), 30, (19,), None),
    ClassSlot(40, 51, 13, 74, THU, time(15), 60, (16,), 1, appointment=True),
    ClassSlot(41, 41, 12, 71, FRI, time(6, 30), 45, (15,), 16),
    ClassSlot(42, 45, 13, 74, FRI, time(6, 30), 45, (18,), 12),
    ClassSlot(43, 44, 12, 72, FRI, time(9, 30), 50, (13,), 10),
    ClassSlot(44, 46, 13, 73, FRI, time(12, 10), 40, (12,), 12),
    ClassSlot(45, 42, 12, 71, FRI, time(17, 30), 60, (15,), 16),
    ClassSlot(46, 45, 13, 74, FRI, time(18, 30), 45, (16,), 12),
    ClassSlot(
        47, 43, 12, 72, FRI, time(19), 75, (20,), 8, audiences=("membership_holders", "everyone")
    ),
    ClassSlot(48, 34, 14, None, FRI, time(16), 180, (21,), 0),
    ClassSlot(49, 41, 12, 71, SAT, time(8), 60, (11,), 16, opens_days=3),
    ClassSlot(50, 45, 13, 74, SAT, time(8, 30), 45, (18,), 12),
    ClassSlot(51, 48, 13, 73, SAT, time(9, 15), 30, (16,), 20),
    ClassSlot(52, 42, 12, 71, SAT, time(10, 30), 60, (14,), 16),
    ClassSlot(
        53, 47, 12, 72, SAT, time(11), 50, (20,), 10,
        name="Barre & Bubbles", audiences=("private_url",),
    ),
    ClassSlot(54, 46, 13, 73, SAT, time(12, 15), 40, (12,), 12),
    ClassSlot(55, 31, 14, None, SAT, time(11), 75, (21,), 15),
    # ends after midnight
    ClassSlot(
        56, 49, 12, 71, SAT, time(23, 15), 90, (11,), 20,
        name="Midnight Sound Bath", description=_MIDNIGHT,
    ),
    ClassSlot(57, 52, 13, 73, SAT, time(16), 120, (), None),
    ClassSlot(58, 43, 12, 71, SUN, time(9, 30), 75, (14,), 14, opens_days=7),
    ClassSlot(59, 45, 13, 74, SUN, time(10), 45, (18,), 12),
    ClassSlot(60, 42, 12, 72, SUN, time(11), 60, (15, 20), 10),
    ClassSlot(
        61, 31, 13, 73, SUN, time(10, 30), 75, (11,), 24,
        name="Vinyasa Flow: Long Practice", description=_LONG_PRACTICE,
    ),
    ClassSlot(62, 36, 12, 72, SUN, time(14), 60, (15,), 10),
    ClassSlot(63, 35, 13, 74, SUN, time(14), 90, (12, 18), 12),
    ClassSlot(
        64, 37, 15, None, SUN, time(20), 60, (19,), None,
        name="Sunday Sitting", description=_ZOOM,
    ),
)  # fmt: skip

COVERS = {12: (11, 13, 14, 15, 20), 13: (12, 15, 16, 17, 18)}
"""Venue → the instructors who take over a class of someone else's."""

REVEALED_DAYS = {41: 42, 45: 42}
"""Offering type → the number of days before a class from which customers see it."""
