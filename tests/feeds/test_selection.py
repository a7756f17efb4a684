"""Selection: which sessions a feed shows, and which of their data."""

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
    content,
    published,
    session,
    snapshot,
    spec,
    views,
)

from bridge.config import Availability
from bridge.feeds.formats import FORMATS
from bridge.feeds.selection import select
from bridge.feeds.session_view import uid
from bridge.feeds.spec import Audience, Cancelled, FeedSpec, Kind, TimeStyle
from bridge.filters import Occupancy
from bridge.model import Course, Instructor, OfferingType, Status, Venue, Visibility
from bridge.snapshots.encoding import decode, encode

MEMBERS = frozenset({Visibility.PUBLIC, Visibility.MEMBERSHIP_HOLDERS})
EVERYBODY = frozenset(Visibility)


def audience(visibilities: frozenset[Visibility]) -> Audience:
    return Audience(visibilities=visibilities, availability=Availability.SPOTS)


def kind(**changes: Any) -> OfferingType:
    return replace(YOGA, **changes)


def ids(*sessions: Any, **options: Any) -> list[int]:
    return sorted(view.session.id for view in views(*sessions, **options))


def bodies(*sessions: Any, **options: Any) -> list[bytes]:
    """The feed in each of its formats."""
    feed_content = content(snapshot(*sessions), spec(**options))
    return [form.render(feed_content) for form in FORMATS.values()]


class TestVisibility:
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

    def test_the_public_sees_public_sessions(self) -> None:
        assert ids(*self.SESSIONS) == [1]

    def test_members_also_see_sessions_for_members(self) -> None:
        assert ids(*self.SESSIONS, audience=audience(MEMBERS)) == [1, 2]

    def test_nobody_sees_drafts_and_sessions_without_a_visibility(self) -> None:
        assert ids(*self.SESSIONS, audience=audience(EVERYBODY)) == [1, 2, 3]

    def test_an_audience_of_members_only_does_not_see_public_sessions(self) -> None:
        alone = frozenset({Visibility.MEMBERSHIP_HOLDERS})
        assert ids(*self.SESSIONS, audience=audience(alone)) == [2]

    def test_a_session_that_becomes_private_disappears_at_once(self) -> None:
        before = published(session(1))
        private = session(1, offering_type=kind(visibility=Visibility.PRIVATE))
        after = published(private, before=before, seen=SEEN + timedelta(minutes=5))
        assert ids(before) == [1]
        assert ids(after) == []

    @pytest.mark.parametrize("cancelled", list(Cancelled))
    def test_no_option_shows_a_hidden_session(self, cancelled: Cancelled) -> None:
        hidden = [replace(row, status=Status.CANCELLED) for row in self.SESSIONS[1:]]
        assert ids(*hidden, cancelled=cancelled) == []

    def test_no_format_contains_text_of_a_hidden_session(self) -> None:
        secret = session(
            title="canary-title",
            venue=replace(HALL, name="canary-venue", address="canary-address"),
            instructors=(Instructor(101, "canary-person"),),
            course=Course(201, "canary-course"),
            offering_type=kind(visibility=Visibility.PRIVATE, description="canary-description"),
        )
        for feed in (
            spec(),
            spec(Kind.VENUE, 11),
            spec(Kind.INSTRUCTOR, 101),
            spec(Kind.COURSE, 201),
            spec(Kind.SESSION, 1),
        ):
            feed_content = content(snapshot(secret), feed)
            assert not feed_content.shown
            for form in FORMATS.values():
                assert b"canary" not in form.render(feed_content)


class TestViews:
    def test_no_format_contains_the_join_link_or_the_staff_link(self) -> None:
        for body in bodies(session()):
            assert b"Vinyasa" in body
            assert b"canary" not in body
            assert b"staff.example" not in body

    def test_the_view_does_not_contain_them(self) -> None:
        [shown] = views(session())
        assert shown.session.staff_url is None
        assert shown.session.venue is not None
        assert shown.session.venue.join_url is None
        assert shown.session.attending == 0
        assert shown.session.capacity is None

    @pytest.mark.parametrize("availability", list(Availability))
    def test_no_format_contains_the_counts(self, availability: Availability) -> None:
        class_session = session(attending=8_763, capacity=9_989)  # 1,226 left, shown as 1,225
        for body in bodies(class_session, availability=availability):
            for count in (b"8763", b"9989", b"1226"):
                assert count not in body

    @pytest.mark.parametrize("availability", [Availability.NONE, Availability.FULL])
    def test_hidden_counts_do_not_change_the_bytes(self, availability: Availability) -> None:
        first = published(session(attending=3))
        later = published(session(attending=9), before=first, seen=SEEN + timedelta(hours=1))
        assert bodies(first, availability=availability) == bodies(later, availability=availability)

    def test_hidden_links_do_not_change_the_bytes(self) -> None:
        first = published(session())
        venue = replace(HALL, join_url="https://video.example/j/other")
        other = session(venue=venue, staff_url="https://staff.example/other")
        later = published(other, before=first, seen=SEEN + timedelta(hours=1))
        assert bodies(first) == bodies(later)

    def test_the_view_has_only_reviewed_fields(self) -> None:
        # For each new field of the model decide whether the public may see it.
        [shown] = views(session())
        names = {
            field.name
            for part in (shown.session, shown.session.venue, shown.session.offering_type)
            if part is not None
            for field in fields(part)
        }
        assert names == {
            "source", "id", "title", "start", "end", "status", "attending", "capacity", "venue",
            "instructors", "course", "offering_type", "booking_url", "staff_url", "complete",
            "name", "address", "zone", "latitude", "longitude", "online", "join_url",
            "description", "category", "category_id", "colour", "visibility", "draft",
            "room", "own_description", "booking_opens", "registration", "waiting",
            "utc_offset",
        }  # fmt: skip


class TestFilters:
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
        ("feed", "selected"),
        [
            (spec(Kind.VENUE, 12), lambda n: n % 2 == 1),
            (spec(Kind.INSTRUCTOR, 102), lambda n: n % 3 == 1),
            (spec(Kind.INSTRUCTOR, 110), lambda n: True),
            (spec(Kind.COURSE, 205), lambda n: n % 5 == 4),
            (spec(Kind.SESSION, 7, filters={"session": ("course_session", 7)}), lambda n: n == 7),
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
    def test_a_feed_shows_the_sessions_of_its_filter_set(
        self, feed: FeedSpec, selected: Any
    ) -> None:
        expected = [n for n in range(30) if selected(n)]
        assert ids(*self.SESSIONS, feed=feed) == expected

    def test_the_window_moves_with_the_day_of_the_walk(self) -> None:
        feed = spec(filters={"past": 0, "future": 0}, studio_zone="UTC")
        venue = replace(HALL, zone=None)
        day = datetime(2026, 10, 20, tzinfo=UTC)
        sessions = [
            session(1, start=day - timedelta(hours=2), venue=venue),  # over before midnight
            session(2, start=day - timedelta(minutes=60), venue=venue),  # ends at midnight
            session(3, start=day - timedelta(minutes=30), venue=venue),
            session(4, start=day + timedelta(hours=23, minutes=59), venue=venue),
            session(5, start=day + timedelta(days=1), venue=venue),
        ]
        for walked in (day, day + timedelta(hours=23, minutes=59)):
            shown = select(snapshot(*sessions, walked=walked), feed).shown
            assert [view.session.id for view in shown] == [2, 3, 4]

    def test_sessions_are_ordered_by_start_and_uid(self) -> None:
        sessions = [session(n, start=START + timedelta(hours=n % 2)) for n in range(20)]
        shown = views(*sessions)
        keys = [(view.session.start, view.uid) for view in shown]
        assert keys == sorted(keys)
        assert {view.uid for view in shown} == {uid(row) for row in sessions}

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
    def test_all_formats_contain_the_same_sessions(self, options: Any) -> None:
        calendar_body, json_body, text_body = bodies(*self.SESSIONS, **options)
        events = read(calendar_body).all("VEVENT")
        objects = json.loads(json_body)
        assert [event.value("UID") for event in events] == [obj["id"] for obj in objects]
        titles = [event.text("SUMMARY") for event in events]
        assert titles == [obj["title"] for obj in objects]
        entries = [line for line in text_body.decode().splitlines() if line.startswith("  ")]
        assert len(entries) == len(events)
        for title, entry in zip(titles, entries, strict=True):
            assert title in entry


class TestSubject:
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
    def test_a_feed_has_the_name_of_its_object(self, feed: FeedSpec, name: str) -> None:
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
    def test_a_filter_set_has_the_names_of_its_objects(
        self, filters: dict[str, Any], name: str
    ) -> None:
        both = session(instructors=(Instructor(101, "Zoë"), Instructor(102, "Ágnes")))
        assert read(calendar(both, feed=spec(filters=filters))).text("NAME") == name

    @pytest.mark.parametrize("kind", list(Kind))
    def test_an_unknown_object_has_a_generic_name(self, kind: Kind) -> None:
        subject = select(snapshot(session()), spec(kind, 999)).subject
        assert "999" in subject.name

    def test_the_last_known_name_is_that_of_the_latest_session(self) -> None:
        old = session(1, venue=replace(HALL, name="Old Name"))
        new = session(2, start=START + timedelta(days=1), venue=replace(HALL, name="New Name"))
        assert read(calendar(new, old, kind=Kind.VENUE, identity=11)).text("NAME") == "New Name"

    def test_the_name_comes_also_from_sessions_outside_of_the_window(self) -> None:
        feed = spec(Kind.INSTRUCTOR, 101, filters={"starts_at_gte": START + timedelta(days=99)})
        assert read(calendar(session(), feed=feed)).text("NAME") == "Zoë"

    def test_a_name_that_only_hidden_sessions_contain_is_not_shown(self) -> None:
        hidden = session(offering_type=kind(visibility=Visibility.PRIVATE))
        assert read(calendar(hidden, kind=Kind.VENUE, identity=11)).text("NAME") == "Venue 11"


class TestIdentity:
    """Unchanged sessions keep their objects, so that results cached under them stay valid."""

    def reloaded(self, *sessions: Any) -> Any:
        """A snapshot, and the same one as loaded from the store."""
        before = snapshot(*sessions)
        return before, decode(encode(before)).sharing_with(before)

    def test_a_reloaded_snapshot_shares_its_sessions(self) -> None:
        before, after = self.reloaded(session(1), session(2))
        assert after == before
        assert all(new is old for new, old in zip(after.published, before.published, strict=True))

    def test_changed_sessions_are_new_objects(self) -> None:
        before = snapshot(session(1), session(2))
        after = snapshot(session(1), session(2, attending=4), session(3)).sharing_with(before)
        assert after.published[0] is before.published[0]
        assert after.published[1] is not before.published[1]
        assert [item.session.attending for item in after.published] == [3, 4, 3]

    def test_feeds_with_the_same_options_share_the_view(self) -> None:
        before, after = self.reloaded(session(1))
        [first], [second] = select(before, spec()).shown, select(after, spec()).shown
        [venue] = select(after, spec(Kind.VENUE, HALL.id, times=TimeStyle.LOCAL)).shown
        assert first is second is venue

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
    def test_feeds_with_different_options_have_different_views(self, options: Any) -> None:
        current = snapshot(session(1))
        assert select(current, spec(**options)).shown != select(current, spec()).shown
