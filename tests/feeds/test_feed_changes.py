"""The changes of feeds: which feeds show which changes, to whom, and as what."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from samples import HALL, SEEN, START, YOGA, content, published, session, snapshot, spec

from bridge.config import Availability
from bridge.feeds.change_text import change_text
from bridge.feeds.changes import MAX_CHANGES, ChangeKind, SessionChange, changes_of
from bridge.feeds.formats import CHANGE_FORMATS
from bridge.feeds.selection import select
from bridge.feeds.spec import Audience, FeedSpec, Kind
from bridge.languages import english
from bridge.model import (
    ClassSession,
    Course,
    Instructor,
    Published,
    Room,
    Status,
    Venue,
    Visibility,
)
from bridge.snapshots.change_log import ChangeLog, changed_sessions
from bridge.snapshots.snapshot import Snapshot, join

HOUR = timedelta(hours=1)
SAM = Instructor(102, "Sam")
CHAPEL = Venue(id=13, name="Old Chapel", zone="Europe/London")
PRIVATE = replace(YOGA, visibility=Visibility.PRIVATE)
AUDIENCE_OF_ALL = Audience(visibilities=frozenset(Visibility), availability=Availability.SPOTS)


class History:
    """Publications ten minutes apart, in each of which the sessions have these forms."""

    def __init__(self, *forms: list[Any]) -> None:
        self.log = ChangeLog()
        self.snapshot = Snapshot(SEEN.timestamp() - 600, float("-inf"), (), {})
        for number, sessions in enumerate(forms):
            at = SEEN + timedelta(minutes=10 * number)
            entries = [self._published(form, at) for form in sessions]
            after = snapshot(*entries, walked=at)
            if number:
                changes = changed_sessions(self.snapshot, after, {})
                self.log = self.log.extended(changes, int(at.timestamp()))
            self.snapshot = after

    def _published(self, form: Any, at: Any) -> Published:
        form, is_tombstone = form if isinstance(form, tuple) else (form, False)
        before = self.snapshot.by_identity.get(form.identity)
        return replace(published(form, seen=at, before=before), is_tombstone=is_tombstone)

    def changes(self, feed: FeedSpec | None = None) -> list[SessionChange]:
        feed = feed or spec()
        zone = select(self.snapshot, feed).zone
        return changes_of([self.log], self.snapshot, feed, zone)

    def kinds(self, feed: FeedSpec | None = None) -> list[str]:
        return [change.kind.value for change in self.changes(feed)]


@pytest.mark.parametrize(
    ("before", "after", "kinds"),
    [
        ({}, {"status": Status.CANCELLED}, ["cancelled"]),
        ({"status": Status.CANCELLED}, {}, ["reinstated"]),
        ({}, {"start": START + HOUR}, ["moved"]),
        ({}, {"end": START + 2 * HOUR}, ["moved"]),
        ({}, {"instructors": (SAM,)}, ["cover"]),
        ({}, {"venue": CHAPEL}, ["venue"]),
        ({}, {"room": Room(1, "Upstairs")}, ["room"]),
        ({}, {"title": "Yin"}, ["renamed"]),
        ({}, {"start": START + HOUR, "instructors": (SAM,)}, ["moved", "cover"]),
        ({}, {"attending": 10}, []),
        ({}, {"booking_url": None}, []),
        ({"offering_type": PRIVATE}, {}, ["added"]),
        ({}, {"offering_type": PRIVATE}, []),
        ({"offering_type": PRIVATE}, {"offering_type": PRIVATE, "title": "Yin"}, []),
    ],
)
def test_each_kind_of_change_has_one_entry(
    before: dict[str, Any], after: dict[str, Any], kinds: list[str]
) -> None:
    assert History([session(**before)], [session(**after)]).kinds() == kinds


def test_a_new_session_is_added_and_a_deleted_one_is_gone() -> None:
    added = History([session(1)], [session(1), session(2)])
    assert added.kinds() == ["added"]
    cancelled = session(1, status=Status.CANCELLED)
    assert History([session(1)], [(cancelled, True)]).kinds() == ["gone"]
    other = session(2, title="Yin")
    assert History([session(1), other], [other]).kinds() == ["gone"]


def test_a_new_session_that_is_cancelled_already_is_no_news() -> None:
    history = History([session(1)], [session(1), session(2, status=Status.CANCELLED)])
    assert history.kinds() == []


@pytest.mark.parametrize("status", list(Status))
def test_a_feed_of_one_status_names_what_was_cancelled_and_reinstated(status: Status) -> None:
    cancelled = session(status=Status.CANCELLED)
    history = History([session()], [cancelled], [session()], [(cancelled, True)])
    feed = spec(filters={"status": [status]})
    assert history.kinds(feed) == history.kinds() == ["gone", "reinstated", "cancelled"]


def test_a_feed_of_one_status_says_nothing_of_sessions_that_never_had_it() -> None:
    cancelled = session(status=Status.CANCELLED)
    only_cancelled = spec(filters={"status": [Status.CANCELLED]})
    only_active = spec(filters={"status": [Status.ACTIVE]})
    renamed = History([session()], [session(title="Yin")])
    assert renamed.kinds(only_cancelled) == []
    renamed = History([cancelled], [replace(cancelled, title="Yin")])
    assert (renamed.kinds(only_active), renamed.kinds(only_cancelled)) == ([], ["renamed"])


def test_a_change_of_venue_is_gone_in_one_feed_and_added_in_the_other() -> None:
    history = History([session()], [session(venue=CHAPEL)])
    [gone] = history.changes(spec(Kind.VENUE, HALL.id))
    assert (gone.kind, gone.after.session.venue and gone.after.session.venue.id) == (
        ChangeKind.GONE,
        HALL.id,
    )
    assert history.kinds(spec(Kind.VENUE, CHAPEL.id)) == ["added"]
    assert history.kinds(spec(Kind.VENUE, 99)) == []


def test_a_class_of_another_type_or_course_is_gone_in_one_feed_and_added_in_the_other() -> None:
    yin, course = replace(YOGA, id=302, category_id=9), Course(202, "Evenings")
    history = History([session()], [session(offering_type=yin, course=course)])
    assert session().course is not None
    for field, old, new in (("offering_types", YOGA.id, 302), ("course", 201, 202)):
        assert history.kinds(spec(filters={field: [old]})) == ["gone"]
        assert history.kinds(spec(filters={field: [new]})) == ["added"]
    assert history.kinds(spec(filters={"category": [9]})) == ["added"]
    assert history.kinds() == []


def test_a_cover_is_gone_from_the_feed_of_one_instructor_and_added_to_the_others() -> None:
    history = History([session()], [session(instructors=(SAM,))])
    assert history.kinds(spec(Kind.INSTRUCTOR, 101)) == ["gone"]
    assert history.kinds(spec(Kind.INSTRUCTOR, SAM.id)) == ["added"]


def test_who_returns_after_a_cover_is_not_called_the_cover() -> None:
    back, cover = History([session()], [session(instructors=(SAM,))], [session()]).changes()
    when = "Vinyasa Flow, Tue 20 Oct, 18:30"
    assert change_text(cover, english()) == f"Cover: Sam instead of Zoë, {when}"
    assert change_text(back, english()) == f"No cover after all: Zoë instead of Sam, {when}"
    assert back.kind is ChangeKind.COVER


def test_changes_are_listed_newest_first() -> None:
    history = History(
        [session()],
        [session(start=START + HOUR)],
        [session()],
        [session(status=Status.CANCELLED)],
        [session()],
    )
    assert history.kinds() == ["reinstated", "cancelled", "moved", "moved"]
    assert [change.at.minute for change in history.changes()] == [10, 0, 50, 40]


def test_the_past_of_a_session_that_is_hidden_today_is_hidden() -> None:
    history = History(
        [session()], [session(title="Yin")], [session(title="Yin", offering_type=PRIVATE)]
    )
    assert history.kinds() == []
    assert history.kinds(spec(audience=AUDIENCE_OF_ALL)) == ["renamed"]


def test_the_past_of_a_session_from_the_time_when_it_was_hidden_is_hidden() -> None:
    history = History(
        [session(offering_type=PRIVATE)],
        [session(offering_type=PRIVATE, title="Secret")],
        [session(title="Yin")],
    )
    [change] = history.changes()
    assert change.kind is ChangeKind.ADDED
    assert change.before is change.after
    assert change.after.session.title == "Yin"


def test_nobody_learns_what_a_draft_was_before_it_was_published() -> None:
    draft = replace(YOGA, draft=True)
    history = History(
        [session(offering_type=draft)],
        [session(offering_type=draft, start=START + HOUR, instructors=(SAM,))],
        [session(start=START + HOUR, instructors=(SAM,))],
    )
    [change] = history.changes()
    assert change.kind is ChangeKind.ADDED
    [view] = select(history.snapshot, spec()).shown
    for seen in (change.before, change.after, view):
        assert (seen.moved_from, seen.covering, seen.instead_of) == (None, frozenset(), ())


def test_nobody_learns_what_a_session_was_while_it_was_beyond_their_horizon() -> None:
    start = START + timedelta(minutes=1)
    moved = session(start=start, instructors=(SAM,))
    renamed = session(start=start, instructors=(SAM,), title="Yin")
    history = History([session()], [moved], [moved], [renamed])
    # It comes into view after the second publication, ten minutes after the change.
    horizon = start - SEEN - timedelta(minutes=15)
    limited = spec(audience=replace(AUDIENCE_OF_ALL, horizon=horizon))
    everything = spec(audience=AUDIENCE_OF_ALL)
    assert history.kinds(everything) == ["renamed", "moved", "cover"]
    assert history.kinds(limited) == ["renamed"]
    [view] = select(history.snapshot, limited).shown
    assert (view.moved_from, view.covering, view.instead_of) == (None, frozenset(), ())
    [view] = select(history.snapshot, everything).shown
    assert (view.moved_from, view.covering) == (START, frozenset({SAM.id}))


def test_those_who_saw_a_session_learn_that_it_moved() -> None:
    history = History([session()], [session(start=START + HOUR)])
    limited = spec(audience=replace(AUDIENCE_OF_ALL, horizon=START - SEEN + HOUR))
    assert history.kinds(limited) == ["moved"]
    [view] = select(history.snapshot, limited).shown
    assert view.moved_from == START


def test_a_deleted_session_is_as_hidden_as_its_type_is_today() -> None:
    gone = (session(1, status=Status.CANCELLED), True)
    other = session(2, offering_type=PRIVATE)
    history = History([session(1), session(2)], [gone, session(2)], [other])
    assert history.kinds() == []


def test_nothing_secret_of_a_session_is_in_its_changes() -> None:
    history = History([session()], [session(title="Yin", attending=9)])
    assert "canary" not in repr([(c.before, c.after) for c in history.changes()])
    assert {change.after.session.attending for change in history.changes()} == {0}


def test_ids_are_the_same_in_all_feeds_and_differ_between_changes() -> None:
    history = History(
        [session(1), session(2)],
        [session(1, title="Yin"), session(2, title="Yin", start=START + HOUR)],
        [session(1), session(2, title="Yin", start=START + HOUR)],
    )
    everywhere = [change.id for change in history.changes()]
    assert len(set(everywhere)) == len(everywhere) == 4
    assert [change.id for change in history.changes(spec(Kind.VENUE, HALL.id))] == everywhere


def test_feeds_of_two_bridges_have_ids_of_their_own() -> None:
    def feed_id(base_url: str, kind: Kind) -> str:
        feed = CHANGE_FORMATS["atom"].render(content(snapshot(), spec(kind, 11), base_url=base_url))
        [found] = re.findall(rb"<id>(urn:uuid:[0-9a-f-]+)</id>", feed)
        return str(found)

    bases = ("https://one.example", "https://two.example", "https://two.example/s/first")
    ids = [feed_id(base, kind) for base in bases for kind in (Kind.VENUE, Kind.INSTRUCTOR)]
    assert len({*ids}) == len(ids)
    assert feed_id(bases[0], Kind.VENUE) == ids[0]


def test_a_change_that_is_newer_than_the_snapshot_waits_for_the_next_one() -> None:
    history = History([session()], [session(title="Yin")])
    history.snapshot = replace(history.snapshot, oldest_walk_at=history.snapshot.oldest_walk_at - 1)
    assert history.kinds() == []


@pytest.mark.parametrize(("days", "kind"), [(3, "moved"), (12, "gone"), (-12, "added")])
def test_a_change_reads_the_same_when_the_window_has_moved_on(days: int, kind: str) -> None:
    week = spec(filters={"past": 0, "future": 6})
    tomorrow = SEEN + timedelta(days=1)
    near, far = (
        session(start=start, end=start + HOUR)
        for start in (tomorrow, tomorrow + timedelta(days=abs(days)))
    )
    history = History([near], [far]) if days > 0 else History([far], [near])
    told = history.changes(week)
    assert [change.kind.value for change in told] == [kind]
    for later in range(1, 15):
        at = SEEN.timestamp() + later * 86_400
        history.snapshot = replace(history.snapshot, oldest_walk_at=at)
        assert history.changes(week) == told


def test_changes_leave_after_thirty_days() -> None:
    history = History([session()], [session(title="Yin")])
    for days, count in ((29.9, 1), (30, 0)):
        walked = history.snapshot.oldest_walk_at + days * 86_400
        feed = spec(filters={"past": 365})
        zone = select(history.snapshot, feed).zone
        later = replace(history.snapshot, oldest_walk_at=walked)
        assert len(changes_of([history.log], later, feed, zone)) == count


def test_a_feed_shows_a_bounded_number_of_changes() -> None:
    sessions = [session(n) for n in range(1, MAX_CHANGES + 20)]
    history = History(sessions, [replace(one, title="Yin") for one in sessions])
    assert len(history.kinds()) == MAX_CHANGES


class TestChangeOfList:
    """An ordinary class becomes a session of a course: deleted in one list, new in the other."""

    @staticmethod
    def kinds(feed: FeedSpec, *, later: Sequence[ClassSession] = (), **fields: Any) -> list[str]:
        event = session(1, source="event")
        events = History([event], [(replace(event, status=Status.CANCELLED), True)])
        forms = [session(2, **fields), *later]
        courses = History([session(9)], *([session(9), form] for form in forms))
        joined = join([events.snapshot, courses.snapshot])
        zone = select(joined, feed).zone
        logs = [events.log, courses.log]
        return sorted(change.kind.value for change in changes_of(logs, joined, feed, zone))

    @pytest.mark.parametrize("filters", [{}, {"status": (Status.ACTIVE,)}])
    def test_is_no_change(self, filters: dict[str, Any]) -> None:
        assert self.kinds(spec(filters=filters)) == []

    def test_is_none_after_further_changes_either(self) -> None:
        moved = session(2, start=START + HOUR, end=START + 2 * HOUR)
        assert self.kinds(spec(), later=[moved]) == ["moved"]

    def test_is_one_if_the_time_changes_too(self) -> None:
        fields = {"start": START + HOUR, "end": START + 2 * HOUR}
        assert self.kinds(spec(), **fields) == ["added", "gone"]

    def test_is_one_for_those_who_see_only_the_deleted_class(self) -> None:
        assert self.kinds(spec(), offering_type=PRIVATE) == ["gone"]

    def test_is_one_in_a_feed_that_has_only_the_deleted_class(self) -> None:
        feed = spec(filters={"instructors": (101,)})
        assert self.kinds(feed, instructors=(SAM,)) == ["gone"]
