"""Who sees which sessions, and what of them."""

import json
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ical_lines import read
from samples import (
    HALL,
    SEEN,
    START,
    YOGA,
    calendar,
    chosen,
    content,
    published,
    session,
    snapshot,
    spec,
)

from bridge.config import Availability
from bridge.feeds.formats import FORMATS
from bridge.feeds.selection import select, uid
from bridge.feeds.spec import Audience, Cancelled, FeedSpec, Kind, TimeStyle
from bridge.filters import Occupancy
from bridge.model import Course, Instructor, OfferingType, Status, Venue, Visibility
from bridge.snapshots.snapshot import decode, encode

MEMBERS = frozenset({Visibility.PUBLIC, Visibility.MEMBERSHIP_HOLDERS})
EVERYBODY = frozenset(Visibility)


def audience(visibilities: frozenset[Visibility]) -> Audience:
    return Audience(visibilities=visibilities, availability=Availability.SPOTS)


def kind(**changes: Any) -> OfferingType:
    return replace(YOGA, **changes)


def ids(*sessions: Any, **options: Any) -> list[int]:
    return sorted(one.session.id for one in chosen(*sessions, **options))


def bodies(*sessions: Any, **options: Any) -> list[bytes]:
    """The feed in each of its formats."""
    made = content(snapshot(*sessions), spec(**options))
    return [one.render(made) for one in FORMATS.values()]


class TestWhoSeesWhat:
    SESSIONS = (
        session(1),
        session(2, offering_type=kind(visibility=Visibility.MEMBERSHIP_HOLDERS)),
        session(3, offering_type=kind(visibility=Visibility.PRIVATE)),
        session(4, offering_type=kind(visibility=None)),
        session(5, offering_type=None),
        session(6, offering_type=kind(draft=True)),
        session(7, offering_type=kind(draft=True, visibility=Visibility.PRIVATE)),
        session(8, offering_type=OfferingType(id=9)),
    )

    def test_the_public_sees_what_says_that_it_is_public(self) -> None:
        assert ids(*self.SESSIONS) == [1]

    def test_members_see_what_is_theirs_too(self) -> None:
        assert ids(*self.SESSIONS, audience=audience(MEMBERS)) == [1, 2]

    def test_nobody_sees_drafts_nor_what_has_no_known_visibility(self) -> None:
        assert ids(*self.SESSIONS, audience=audience(EVERYBODY)) == [1, 2, 3]

    def test_an_audience_of_members_alone_does_not_see_what_is_public(self) -> None:
        alone = frozenset({Visibility.MEMBERSHIP_HOLDERS})
        assert ids(*self.SESSIONS, audience=audience(alone)) == [2]

    def test_a_session_made_private_leaves_at_once(self) -> None:
        before = published(session(1))
        private = session(1, offering_type=kind(visibility=Visibility.PRIVATE))
        after = published(private, before=before, seen=SEEN + timedelta(minutes=5))
        assert ids(before) == [1]
        assert ids(after) == []

    @pytest.mark.parametrize("cancelled", list(Cancelled))
    def test_no_mode_brings_a_hidden_session_back(self, cancelled: Cancelled) -> None:
        hidden = [replace(one, status=Status.CANCELLED) for one in self.SESSIONS[1:]]
        assert ids(*hidden, cancelled=cancelled) == []

    def test_no_word_of_a_hidden_session_is_in_any_form_of_a_feed(self) -> None:
        secret = session(
            title="canary-title",
            venue=replace(HALL, name="canary-venue", address="canary-address"),
            instructors=(Instructor(101, "canary-person"),),
            course=Course(201, "canary-course"),
            offering_type=kind(visibility=Visibility.PRIVATE, description="canary-description"),
        )
        for what in (
            spec(),
            spec(Kind.VENUE, 11),
            spec(Kind.INSTRUCTOR, 101),
            spec(Kind.COURSE, 201),
            spec(Kind.SESSION, 1),
        ):
            made = content(snapshot(secret), what)
            assert not made.shown
            for one in FORMATS.values():
                assert b"canary" not in one.render(made)


class TestWhatIsTold:
    def test_no_form_has_the_join_link_or_the_staff_address(self) -> None:
        for body in bodies(session()):
            assert b"Vinyasa" in body
            assert b"canary" not in body
            assert b"staff.example" not in body

    def test_what_is_handed_on_for_rendering_does_not_hold_them(self) -> None:
        [shown] = chosen(session())
        assert shown.session.staff_url is None
        assert shown.session.venue is not None
        assert shown.session.venue.join_url is None
        assert shown.session.attending == 0
        assert shown.session.capacity is None

    @pytest.mark.parametrize("availability", list(Availability))
    def test_no_form_has_the_counts(self, availability: Availability) -> None:
        one = session(attending=8_763, capacity=9_989)  # 1,226 left: told as 1,225 at most
        for body in bodies(one, availability=availability):
            for count in (b"8763", b"9989", b"1226"):
                assert count not in body

    @pytest.mark.parametrize("availability", [Availability.NONE, Availability.FULL])
    def test_bodies_do_not_change_with_counts_that_they_do_not_tell(
        self, availability: Availability
    ) -> None:
        first = published(session(attending=3))
        later = published(session(attending=9), before=first, seen=SEEN + timedelta(hours=1))
        assert bodies(first, availability=availability) == bodies(later, availability=availability)

    def test_a_new_join_link_or_staff_address_changes_nothing_that_is_shown(self) -> None:
        first = published(session())
        venue = replace(HALL, join_url="https://video.example/j/other")
        other = session(venue=venue, staff_url="https://staff.example/other")
        later = published(other, before=first, seen=SEEN + timedelta(hours=1))
        assert bodies(first) == bodies(later)

    def test_parts_of_a_session_have_no_field_that_nobody_thought_of(self) -> None:
        # A new field of the model must be thought about: may the public see it?
        [shown] = chosen(session())
        told = {
            one.name
            for part in (shown.session, shown.session.venue, shown.session.offering_type)
            if part is not None
            for one in fields(part)
        }
        assert told == {
            "source", "id", "title", "start", "end", "status", "attending", "capacity", "venue",
            "instructors", "course", "offering_type", "booking_url", "staff_url", "complete",
            "name", "address", "zone", "latitude", "longitude", "online", "join_url",
            "description", "category", "colour", "visibility", "draft",
        }  # fmt: skip


class TestWhichSessions:
    SESSIONS = tuple(
        session(
            number,
            start=START + timedelta(hours=number),
            venue=Venue(11 + number % 2, f"Venue {number % 2}"),
            instructors=(Instructor(101 + number % 3, "A"), Instructor(110, "B")),
            course=Course(201 + number % 5, "C"),
            status=Status.CANCELLED if number % 4 == 0 else Status.ACTIVE,
        )
        for number in range(30)
    )

    @pytest.mark.parametrize(
        ("feed", "wanted"),
        [
            (spec(Kind.VENUE, 12), lambda n: n % 2 == 1),
            (spec(Kind.INSTRUCTOR, 102), lambda n: n % 3 == 1),
            (spec(Kind.INSTRUCTOR, 110), lambda n: True),
            (spec(Kind.COURSE, 205), lambda n: n % 5 == 4),
            (spec(Kind.SESSION, 7, filters={"session": 7}), lambda n: n == 7),
            (spec(filters={"status": {Status.CANCELLED}}), lambda n: n % 4 == 0),
            (spec(filters={"venues": [11, 12], "course": [201]}), lambda n: n % 5 == 0),
            (spec(cancelled=Cancelled.HIDE), lambda n: n % 4),
            (spec(filters={"status": {Status.CANCELLED}}, cancelled=Cancelled.HIDE), lambda n: 0),
            (spec(filters={"starts_at_gte": START + timedelta(hours=20)}), lambda n: n >= 20),
            (spec(filters={"ends_at_lte": START + timedelta(hours=9)}), lambda n: n <= 8),
            (spec(filters={"occupancy_status": {Occupancy.FULL}}), lambda n: False),
        ],
        ids=lambda value: value.name if isinstance(value, FeedSpec) else "",
    )
    def test_a_feed_has_those_of_its_filter_set(self, feed: FeedSpec, wanted: Any) -> None:
        expected = [n for n in range(30) if wanted(n)]
        assert ids(*self.SESSIONS, feed=feed) == expected

    def test_the_window_moves_with_the_day_of_the_walk(self) -> None:
        feed = spec(filters={"past": 0, "future": 0})
        day = datetime(2026, 10, 20, tzinfo=UTC)
        sessions = [
            session(1, start=day - timedelta(hours=2)),  # over before midnight
            session(2, start=day - timedelta(minutes=60)),  # ends at midnight
            session(3, start=day - timedelta(minutes=30)),
            session(4, start=day + timedelta(hours=23, minutes=59)),
            session(5, start=day + timedelta(days=1)),
        ]
        for walked in (day, day + timedelta(hours=23, minutes=59)):
            shown = select(snapshot(*sessions, walked=walked), feed).shown
            assert [one.session.id for one in shown] == [2, 3, 4]

    def test_they_are_in_the_order_of_start_and_uid(self) -> None:
        sessions = [session(n, start=START + timedelta(hours=n % 2)) for n in range(20)]
        shown = chosen(*sessions)
        keys = [(one.session.start, one.uid) for one in shown]
        assert keys == sorted(keys)
        assert {one.uid for one in shown} == {uid(one) for one in sessions}

    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"kind": Kind.VENUE, "identity": 11},
            {"cancelled": Cancelled.HIDE},
            {"cancelled": Cancelled.KEEP},
            {"availability": Availability.SPOTS},
            {"filters": {"past": 1, "future": 0}},
        ],
        ids=str,
    )
    def test_every_form_of_a_feed_holds_the_same_sessions(self, options: Any) -> None:
        calendar_body, json_body, text_body = bodies(*self.SESSIONS, **options)
        events = read(calendar_body).all("VEVENT")
        objects = json.loads(json_body)
        assert [one.value("UID") for one in events] == [one["id"] for one in objects]
        titles = [one.text("SUMMARY") for one in events]
        assert titles == [one["title"] for one in objects]
        entries = [line for line in text_body.decode().splitlines() if line.startswith("  ")]
        assert len(entries) == len(events)
        for title, entry in zip(titles, entries, strict=True):
            assert title in entry


class TestTheSubject:
    @pytest.mark.parametrize(
        ("feed", "name"),
        [
            (spec(), "Classes"),
            (spec(Kind.VENUE, 11), "Kings Cross"),
            (spec(Kind.INSTRUCTOR, 101), "Zoë"),
            (spec(Kind.COURSE, 201), "Vinyasa Flow"),
            (spec(Kind.SESSION, 1, filters={"session": 1}), "Vinyasa Flow"),
        ],
        ids=lambda value: value.kind.value if isinstance(value, FeedSpec) else "",
    )
    def test_a_feed_is_called_after_what_it_is_of(self, feed: FeedSpec, name: str) -> None:
        assert read(calendar(session(), feed=feed)).text("NAME") == name

    @pytest.mark.parametrize(
        ("filters", "name"),
        [
            ({"venues": (11,)}, "Kings Cross"),
            ({"offering_types": (301,), "venues": (11,)}, "Kings Cross · Vinyasa"),
            ({"instructors": (101, 102)}, "Ágnes, Zoë"),
            ({"venues": (11,), "instructors": (101, 102), "course": (201,)}, "Classes"),
            ({"venues": (999,)}, "Classes"),
            ({"status": (Status.ACTIVE,)}, "Classes"),
        ],
    )
    def test_a_filter_is_called_after_what_it_asks_for(
        self, filters: dict[str, Any], name: str
    ) -> None:
        both = session(instructors=(Instructor(101, "Zoë"), Instructor(102, "Ágnes")))
        assert read(calendar(both, feed=spec(filters=filters))).text("NAME") == name

    @pytest.mark.parametrize("kind", list(Kind))
    def test_what_is_unknown_still_has_a_name_in_one_line(self, kind: Kind) -> None:
        held = snapshot(session())
        about = select(held, spec(kind, 999)).subject
        assert "999" in about.name

    def test_the_last_known_name_is_that_of_the_latest_session(self) -> None:
        old = session(1, venue=replace(HALL, name="Old Name"))
        new = session(2, start=START + timedelta(days=1), venue=replace(HALL, name="New Name"))
        assert read(calendar(new, old, kind=Kind.VENUE, identity=11)).text("NAME") == "New Name"

    def test_sessions_outside_of_the_window_still_tell_the_name(self) -> None:
        feed = spec(Kind.INSTRUCTOR, 101, filters={"starts_at_gte": START + timedelta(days=99)})
        assert read(calendar(session(), feed=feed)).text("NAME") == "Zoë"

    def test_a_name_that_only_hidden_sessions_tell_is_not_told(self) -> None:
        hidden = session(offering_type=kind(visibility=Visibility.PRIVATE))
        assert read(calendar(hidden, kind=Kind.VENUE, identity=11)).text("NAME") == "Venue 11"


class TestWhatDidNotChange:
    """It is the very object that it was, so that what was made of it is found again."""

    def again(self, *sessions: Any) -> Any:
        """The same timetable, read anew from the store of another worker."""
        before = snapshot(*sessions)
        return before, decode(encode(before)).sharing(before)

    def test_what_is_read_anew_is_what_was_there(self) -> None:
        before, after = self.again(session(1), session(2))
        assert after == before
        assert all(one is was for one, was in zip(after.published, before.published, strict=True))

    def test_what_changed_is_new(self) -> None:
        before = snapshot(session(1), session(2))
        after = snapshot(session(1), session(2, attending=4), session(3)).sharing(before)
        assert after.published[0] is before.published[0]
        assert after.published[1] is not before.published[1]
        assert [one.session.attending for one in after.published] == [3, 4, 3]

    def test_it_is_shown_by_the_same_object_in_every_feed_that_tells_it_alike(self) -> None:
        before, after = self.again(session(1))
        [one], [again] = select(before, spec()).shown, select(after, spec()).shown
        [venue] = select(after, spec(Kind.VENUE, HALL.id, times=TimeStyle.LOCAL)).shown
        assert one is again is venue

    @pytest.mark.parametrize(
        "options",
        [
            {"cancelled": Cancelled.KEEP},
            {"availability": Availability.FULL},
            {"availability": Availability.SPOTS},
            {"audience": replace(audience(EVERYBODY), counts=True)},
            {"audience": replace(audience(EVERYBODY), join_links=True)},
            {"audience": replace(audience(EVERYBODY), staff_links=True)},
        ],
    )
    def test_feeds_that_tell_it_differently_have_one_of_their_own(self, options: Any) -> None:
        held = snapshot(session(1))
        assert select(held, spec(**options)).shown != select(held, spec()).shown
