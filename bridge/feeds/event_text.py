"""The texts that the bridge writes about a session, the same in every format."""

from datetime import UTC

from bridge import times
from bridge.feeds.session_view import SessionView
from bridge.model import ClassSession


def title(view: SessionView) -> str:
    """The title with the instructors' names, and whether it is cancelled or full."""
    names = ", ".join(filter(None, (person.name for person in view.session.instructors)))
    parts = [view.session.title, f" – {names}" if names else ""]
    if view.availability == "full":
        parts.append(" (Full)")
    elif view.availability is not None:
        parts.append(f" ({view.availability} left)")
    return ("CANCELLED: " if view.cancelled else "") + "".join(parts)


def description(view: SessionView) -> str:
    """Facts before the studio's text, because some clients show only two lines."""
    session = view.session
    facts = []
    names = [person.name for person in session.instructors if person.name]
    if names:
        facts.append(f"Instructor{'s' if len(names) > 1 else ''}: {', '.join(names)}")
    if session.course and session.course.name and session.course.name != session.title:
        facts.append(f"Course: {session.course.name}")
    if session.booking_opens:
        facts.append(f"Booking opens {booking_opens(session)}")
    if view.waitlist:
        facts.append("There is a waiting list.")
    if session.booking_url:
        facts.append(f"Book: {session.booking_url}")
    # The view contains the following only if the audience may see it.
    if view.booked:
        facts.append(f"Booked: {view.booked}")
    if session.venue and session.venue.join_url:
        facts.append(f"Join: {session.venue.join_url}")
    if session.staff_url:
        facts.append(f"Manage: {session.staff_url}")
    own = session.description
    return "\n".join(facts) + ("\n\n" if facts and own else "") + own


def booking_opens(session: ClassSession) -> str:
    """When booking opens, in the venue's time: ``Tue 1 Dec, 09:00``. Empty if that is not known."""
    if session.booking_opens is None:
        return ""
    zone = times.zone(session.venue.zone) if session.venue else None
    local = session.booking_opens.astimezone(zone or UTC)
    day = f"{times.DAY_NAMES[local.weekday()]} {local.day} {times.MONTH_NAMES[local.month - 1]}"
    return f"{day}, {local:%H:%M}" + ("" if zone else " UTC")
