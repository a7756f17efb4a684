"""What a page is about: its heading, and whether anybody knows of it."""

from dataclasses import dataclass, replace

from bridge.cache.snapshot import Snapshot
from bridge.config import Availability
from bridge.feeds.selection import Shown, Subject, choice, named, select, subject, visible
from bridge.feeds.spec import FeedSpec, Kind
from bridge.model import ClassSession, Venue
from bridge.web.languages import Language

WORDS = {
    Kind.VENUE: "venue",
    Kind.INSTRUCTOR: "instructor",
    Kind.COURSE: "course",
    Kind.SESSION: "class",
}


@dataclass(frozen=True, slots=True)
class About:
    """A page's sessions, and what they are called together.

    Attributes:
        known: whether the public may know of it at all.
        venue: the one that the page is about, or that all its sessions share.
    """

    shown: list[Shown]
    subject: Subject
    name: str
    known: bool
    venue: Venue | None


def about(snapshot: Snapshot, spec: FeedSpec, language: Language) -> About:
    """What the page beside the feed of *spec* shows."""
    # A page is fresh, which a calendar is not: it says what is full wherever that may be told.
    most = min(spec.audience.availability, Availability.FULL, key=lambda one: one.rank)
    told = max(spec.availability, most, key=lambda one: one.rank)
    found = select(snapshot, replace(spec, availability=told))
    called = subject(snapshot, spec, found)
    latest = _latest(snapshot, spec)
    name = called.name
    if spec.identity is None:
        name = _chosen(snapshot, spec, language)
    elif spec.kind is Kind.COURSE and latest and latest.course and not latest.course.name:
        name = latest.title
    venues = {one.session.venue.id: one.session.venue for one in found if one.session.venue}
    venue = next(iter(venues.values())) if len(venues) == 1 else None
    if spec.kind is Kind.VENUE and latest:
        venue = latest.venue
    return About(found, called, name, spec.identity is None or latest is not None, venue)


def _latest(snapshot: Snapshot, spec: FeedSpec) -> ClassSession | None:
    """The last session of what the address names, in its window or not."""
    if spec.identity is None:
        return None
    sessions = (
        one.session
        for one in snapshot.matching(named(spec), backwards=True)
        if visible(one.session, spec.audience)
    )
    return next(sessions, None)


def _chosen(snapshot: Snapshot, spec: FeedSpec, language: Language) -> str:
    """A heading for a filter set."""
    if not spec.query:
        return str(language("all_classes"))
    return choice(snapshot, spec) or str(language("choice"))
