"""What a page is about: its heading, and whether anybody knows of it."""

from dataclasses import dataclass, replace

from bridge.config import Availability
from bridge.feeds.selection import SessionView, Subject, select
from bridge.feeds.spec import FeedSpec, Kind
from bridge.model import Venue
from bridge.snapshots.snapshot import Snapshot
from bridge.web.languages import Language

WORDS = {
    Kind.VENUE: "venue",
    Kind.INSTRUCTOR: "instructor",
    Kind.COURSE: "course",
    Kind.SESSION: "class",
}


@dataclass(frozen=True, slots=True)
class PageContent:
    """A page's sessions, and what they are called together.

    Attributes:
        known: whether the public may know of it at all.
        venue: the one that the page is about, or that all its sessions share.
    """

    shown: list[SessionView]
    subject: Subject
    name: str
    known: bool
    venue: Venue | None


def about(snapshot: Snapshot, spec: FeedSpec, language: Language) -> PageContent:
    """What the page beside the feed of *spec* shows."""
    # A page is fresh, which a calendar is not: it says what is full wherever that may be told.
    most = min(spec.audience.availability, Availability.FULL, key=lambda one: one.rank)
    availability = max(spec.availability, most, key=lambda one: one.rank)
    selection = select(snapshot, replace(spec, availability=availability))
    subject, latest = selection.subject, selection.subject.latest
    name = subject.name
    if spec.identity is None:
        name = _filter_set_title(spec, subject, language)
    elif spec.kind is Kind.COURSE and latest and latest.course and not latest.course.name:
        name = latest.title
    sessions = [one.session for one in selection.shown]
    venues = {session.venue.id: session.venue for session in sessions if session.venue}
    venue = next(iter(venues.values())) if len(venues) == 1 else None
    if spec.kind is Kind.VENUE and latest:
        venue = latest.venue
    known = spec.identity is None or latest is not None
    return PageContent(selection.shown, subject, name, known, venue)


def _filter_set_title(spec: FeedSpec, subject: Subject, language: Language) -> str:
    if not spec.query:
        return str(language("all_classes"))
    return subject.chosen or str(language("choice"))
