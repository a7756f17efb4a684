"""The title and content of a page; there is none of what the public may not see."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from werkzeug.exceptions import NotFound

from bridge.config import Availability
from bridge.feeds.params import OPTIONS
from bridge.feeds.selection import hidden_reason, select
from bridge.feeds.session_view import SessionView
from bridge.feeds.spec import Audience, FeedSpec, Kind
from bridge.feeds.subject import KIND_WORDS, Subject
from bridge.languages import Language
from bridge.model import ClassSession, Venue
from bridge.snapshots.snapshot import Snapshot

# The filters that a title states after the name.
_STATED = ("weekdays", "time_from", "time_until")


class UnknownPageError(NotFound):
    """There is no such page: the public may not see any session of its object.

    Args:
        word: one of the values of ``KIND_WORDS`` in ``feeds/subject``.
    """

    def __init__(self, word: str) -> None:
        super().__init__()
        self.word = word


@dataclass(frozen=True, slots=True)
class PageContent:
    """The sessions of a page, and its title.

    Attributes:
        name: the title.
        venue: the venue that the page is about, or that all its sessions share.
        one_room: whether the page is about a room.
        has_page: whether a session has a page of its own. Sessions that the public may not see, and
            sessions that left the timetable, have none.
        studio_zone: the zone of the studio, if it is known.
    """

    shown: list[SessionView]
    subject: Subject
    name: str
    venue: Venue | None
    one_room: bool
    has_page: Callable[[ClassSession], bool]
    studio_zone: str | None

    @property
    def zone(self) -> str | None:
        """The zone whose days the page counts: that of all its sessions, or the studio's."""
        return self.subject.zone or self.studio_zone

    def place(self, session: ClassSession) -> tuple[str, ...]:
        """The names of a session's venue and room, without those that the heading contains."""
        parts = (
            None if self.venue else session.venue,
            None if self.one_room else session.room,
        )
        return tuple(part.name for part in parts if part and part.name)


def page_content(
    snapshot: Snapshot, spec: FeedSpec, language: Language, public: Audience | None = None
) -> PageContent:
    """The content of the page that belongs to the feed of *spec*.

    Args:
        public: the audience of public pages; None if it is that of *spec*.

    Raises:
        UnknownPageError: the public may not see any session of the page's object. A private page
            exists also then.
    """
    # A page is more current than a calendar, so it shows which sessions are full if allowed.
    allowed = min(spec.audience.availability, Availability.FULL, key=lambda level: level.rank)
    availability = max(spec.availability, allowed, key=lambda level: level.rank)
    selection = select(snapshot, replace(spec, availability=availability, language=language))
    subject, latest = selection.subject, selection.subject.latest
    if spec.identity is not None and latest is None and not spec.audience.private:
        raise UnknownPageError(KIND_WORDS[spec.kind])
    name = subject.name
    if spec.identity is None:
        name = _filter_set_title(spec, subject, language)
    sessions = [view.session for view in selection.shown]
    venues = {session.venue and session.venue.id: session.venue for session in sessions}
    venue = next(iter(venues.values())) if len(venues) == 1 else None
    one_room = spec.kind is Kind.ROOM
    if one_room and latest and latest.room and latest.room.name:
        # The page states the venue below.
        name = latest.room.name
    if latest and (one_room or spec.kind is Kind.VENUE):
        venue = latest.venue
    readers = public or spec.audience

    def has_page(session: ClassSession) -> bool:
        entry = snapshot.by_identity.get(session.identity)
        now = snapshot.newest_walk_at
        return entry is not None and hidden_reason(entry, readers, now) is None

    return PageContent(
        shown=selection.shown,
        subject=subject,
        name=spec.audience.label or name,
        venue=venue,
        one_room=one_room,
        studio_zone=spec.studio_zone or snapshot.main_zone,
        has_page=has_page,
    )


def _filter_set_title(spec: FeedSpec, subject: Subject, language: Language) -> str:
    if subject.chosen:
        return subject.chosen
    sources = spec.filter_set.sources
    if len(sources) == 1:
        return str(language(f"source_{sources[0].value}"))
    filters = {name for name, _ in spec.query_pairs} - {*OPTIONS, *_STATED}
    return str(language("choice" if filters else "all_classes"))
