"""The title and content of a page, and whether the public may see it."""

from dataclasses import dataclass, replace

from bridge.config import Availability
from bridge.feeds.selection import select
from bridge.feeds.session_view import SessionView
from bridge.feeds.spec import FeedSpec, Kind
from bridge.feeds.subject import Subject
from bridge.model import Venue
from bridge.snapshots.snapshot import Snapshot
from bridge.web.languages import Language

KIND_WORDS = {
    Kind.VENUE: "venue",
    Kind.INSTRUCTOR: "instructor",
    Kind.COURSE: "course",
    Kind.SESSION: "class",
}


@dataclass(frozen=True, slots=True)
class PageContent:
    """The sessions of a page, and its title.

    Attributes:
        name: the title.
        exists: whether the audience may see any session of the page's object.
        venue: the venue that the page is about, or that all its sessions share.
    """

    shown: list[SessionView]
    subject: Subject
    name: str
    exists: bool
    venue: Venue | None


def page_content(snapshot: Snapshot, spec: FeedSpec, language: Language) -> PageContent:
    """The content of the page that belongs to the feed of *spec*."""
    # A page is more current than a calendar, so it shows which sessions are full if allowed.
    allowed = min(spec.audience.availability, Availability.FULL, key=lambda level: level.rank)
    availability = max(spec.availability, allowed, key=lambda level: level.rank)
    selection = select(snapshot, replace(spec, availability=availability))
    subject, latest = selection.subject, selection.subject.latest
    name = subject.name
    if spec.identity is None:
        name = _filter_set_title(spec, subject, language)
    elif spec.kind is Kind.COURSE and latest and latest.course and not latest.course.name:
        name = latest.title
    sessions = [view.session for view in selection.shown]
    venues = {session.venue.id: session.venue for session in sessions if session.venue}
    venue = next(iter(venues.values())) if len(venues) == 1 else None
    if spec.kind is Kind.VENUE and latest:
        venue = latest.venue
    exists = spec.identity is None or latest is not None
    return PageContent(selection.shown, subject, name, exists, venue)


def _filter_set_title(spec: FeedSpec, subject: Subject, language: Language) -> str:
    if not spec.query:
        return str(language("all_classes"))
    return subject.chosen or str(language("choice"))
