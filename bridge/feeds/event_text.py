"""The texts that the bridge writes about a session, the same in every format."""

from datetime import datetime
from zoneinfo import ZoneInfo

from bridge.feeds.session_view import BookedPlaces, SessionView
from bridge.languages import Language
from bridge.model import ClassSession
from bridge.text_cleanup import clip
from bridge.times import zone_name


def title(view: SessionView, language: Language, *, units: int | None = None) -> str:
    """The title with the instructors' names, and whether it is cancelled or full.

    Args:
        units: its maximum length in UTF-16 code units. The names are cut, and not what follows.
    """
    names = ", ".join(instructor_names(view, language))
    text = view.session.title + (f" – {names}" if names else "")
    if units is not None:
        text = clip(text, units - len(_with_state("", view, language)))
    return _with_state(text, view, language)


def _with_state(text: str, view: SessionView, language: Language) -> str:
    if isinstance(view.availability, int):
        text = language.plain("event_spots", view.availability, title=text)
    elif view.availability is not None:
        text = language.plain("event_full", title=text)
    return language.plain("event_cancelled", title=text) if view.cancelled else text


def place_text(view: SessionView) -> str:
    """Venue and room of a session, in one line."""
    session = view.session
    return ", ".join(part.name for part in (session.venue, session.room) if part and part.name)


def description(view: SessionView, language: Language) -> str:
    """Facts before the studio's text, because some clients show only two lines."""
    session = view.session
    facts = change_notes(view, language)
    names = [person.name for person in session.instructors if person.name]
    if names:
        facts.append(language.plain("event_instructors", len(names), names=", ".join(names)))
    if session.course and session.course.name and session.course.name != session.title:
        facts.append(language.plain("event_course", name=session.course.name))
    if session.booking_opens:
        facts.append(language.plain("booking_opens", when=booking_opens(session, language)))
    if view.waitlist:
        facts.append(language.plain("event_waiting_list"))
    if session.booking_url:
        facts.append(language.plain("event_book", address=session.booking_url))
    # The view contains the following only if the audience may see it.
    if view.booked:
        facts.append(language.plain("event_booked", places=booked(view.booked, language)))
    if session.venue and session.venue.join_url:
        facts.append(language.plain("event_join", address=session.venue.join_url))
    if session.staff_url:
        facts.append(language.plain("event_manage", address=session.staff_url))
    own = session.description
    return "\n".join(facts) + ("\n\n" if facts and own else "") + own


def change_notes(view: SessionView, language: Language) -> list[str]:
    """Whom somebody covers, and what the session was moved from."""
    notes = []
    if view.instead_of:
        notes.append(language.plain("event_instead", names=", ".join(view.instead_of)))
    if view.moved_from:
        when = local_time(view.session, language, view.moved_from)
        notes.append(language.plain("event_moved", when=when))
    return notes


def instructor_names(view: SessionView, language: Language) -> list[str]:
    """The names of the instructors, marked where they cover for others."""
    return [
        language.plain("event_cover", name=person.name)
        if person.id in view.covering
        else person.name
        for person in view.session.instructors
        if person.name
    ]


def local_time(session: ClassSession, language: Language, at: datetime) -> str:
    """A time of *session* in its zone: ``Tue 1 Dec, 09:00``, without a venue's zone ``… UTC+2``."""
    text = language.day_time(at.astimezone(session.zone))
    return text if isinstance(session.zone, ZoneInfo) else f"{text} {zone_name(session.zone)}"


def booked(places: BookedPlaces, language: Language) -> str:
    """How many places are booked, of how many if that is limited."""
    if places.capacity is None:
        return str(places.booked)
    return language.plain("event_booked_of", booked=places.booked, capacity=places.capacity)


def booking_opens(session: ClassSession, language: Language) -> str:
    """When booking opens, in the venue's time. Empty if that is not known."""
    return local_time(session, language, session.booking_opens) if session.booking_opens else ""
