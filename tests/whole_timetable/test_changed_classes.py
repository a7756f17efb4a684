"""What changes upstream in a class shows in its event at the next refresh, and nowhere else."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest
from clocks import ManualClock
from whole_timetable import rows
from whole_timetable.bridges import (
    Bridge,
    Build,
    blocks,
    changed,
    events,
    properties,
    sequence_at,
    uid,
)
from whole_timetable.rows import CELLAR, FIRST_ID, NOW, SKY_ROOM
from whole_timetable.teamup import FakeTeamUp

from bridge.sandbox.list_params import Dialect

BOTH = "/sessions.ics"
CLASS = FIRST_ID + 7
UID = uid("event", CLASS)
# Two pages of classes either way.
FEW, MANY = (Dialect(max_page_size=100), 120), (Dialect(), 260)


@pytest.fixture
def site(
    request: pytest.FixtureRequest, teamup: FakeTeamUp, build: Build, clock: ManualClock
) -> Bridge:
    """A bridge that has published two pages of classes, and course sessions of the same ids."""
    teamup.dialect, count = getattr(request, "param", FEW)
    teamup.events.rows = [
        rows.class_row(FIRST_ID + index, NOW + timedelta(hours=6 * index + 3), venue_room=SKY_ROOM)
        for index in range(count)
    ]
    teamup.course_sessions.rows = [
        rows.course_session_row(FIRST_ID + index, NOW + timedelta(hours=24 * index + 4))
        for index in range(30)
    ]
    bridge = build(teamup, clock)
    bridge.ok(BOTH)
    bridge.refresh(BOTH)
    return bridge


class Change:
    """Compares the calendar before and after a change upstream.

    Attributes:
        old, new: the properties of the class's event.
    """

    def __init__(self, site: Bridge, change: Callable[[], object]) -> None:
        before = site.fresh(BOTH)
        change()
        site.refresh(BOTH)
        after = site.ok(BOTH)
        self.uids = changed(before.data, after.data)
        self.old, self.new = properties(before.data, UID), properties(after.data, UID)
        self.now = site.clock.now()
        self._modified = parsedate_to_datetime(after.headers["Last-Modified"]).timestamp()

    @property
    def names(self) -> set[str]:
        """The names of the properties that differ."""
        return {
            name
            for name in self.old.keys() | self.new.keys()
            if self.old.get(name) != self.new.get(name)
        }

    def assert_only(self, *names: str, revised: bool) -> None:
        """Nothing but these properties of this event has changed.

        Args:
            revised: whether calendars must take it for a new revision: whether SEQUENCE grows.
        """
        assert self.uids == {UID}
        stamps = {"DTSTAMP", "LAST-MODIFIED"}
        assert self.names == {*names, *stamps, *(["SEQUENCE"] if revised else [])}
        assert self.new["LAST-MODIFIED"] == self.new["DTSTAMP"] == _utc(self.now)
        assert self._modified == int(self.now)
        if revised:
            before = int(self.old["SEQUENCE"])
            assert int(self.new["SEQUENCE"]) == sequence_at(self.now, before)


def questions(teamup: FakeTeamUp, since: int) -> list[set[int]]:
    """The ids of each request for certain rows, without the first *since* of all requests.

    A question may also be about a row that exists, to see whether upstream knows the parameter.
    """
    asked = [set(map(int, request.values("ids"))) for request in teamup.requests[since:]]
    return [ids for ids in asked if ids]


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, NOW.tzinfo).strftime("%Y%m%dT%H%M%SZ")


def test_a_refresh_without_a_change_upstream_changes_no_byte(site: Bridge) -> None:
    before = site.fresh(BOTH)
    site.refresh(BOTH)
    after = site.ok(BOTH)
    assert after.data == before.data
    assert after.headers["ETag"] == before.headers["ETag"]
    assert after.headers["Last-Modified"] == before.headers["Last-Modified"]


def test_another_room_is_another_place(site: Bridge, teamup: FakeTeamUp) -> None:
    change = Change(site, lambda: teamup.events.change(CLASS, venue_room=CELLAR))
    change.assert_only("LOCATION", "X-APPLE-STRUCTURED-LOCATION", revised=True)
    assert change.new["LOCATION"] == "Harbour House\\, Cellar\\, 11 Quay Street"


def test_a_class_without_its_room_is_at_the_venue(site: Bridge, teamup: FakeTeamUp) -> None:
    change = Change(site, lambda: teamup.events.change(CLASS, venue_room=None))
    change.assert_only("LOCATION", "X-APPLE-STRUCTURED-LOCATION", revised=True)
    assert change.new["LOCATION"] == "Harbour House\\, 11 Quay Street"


def test_another_description_shows(site: Bridge, teamup: FakeTeamUp) -> None:
    change = Change(site, lambda: teamup.events.change(CLASS, description="<p>Bring a towel.</p>"))
    change.assert_only("DESCRIPTION", revised=False)
    assert change.new["DESCRIPTION"].endswith("Bring a towel.")


def test_another_colour_of_the_type_changes_no_byte_because_no_calendar_shows_it(
    site: Bridge, teamup: FakeTeamUp
) -> None:
    before = site.fresh(BOTH)
    kind = {**rows.YOGA, "background_color": "b83280", "color": "b83280"}
    teamup.events.change(CLASS, offering_type=kind)
    teamup.course_sessions.change(CLASS, course=rows.course(kind=kind))
    site.refresh(BOTH)
    assert changed(before.data, site.ok(BOTH).data) == set()


def test_a_class_that_fills_up_shows_where_places_are_asked_for(
    site: Bridge, teamup: FakeTeamUp
) -> None:
    path = f"{BOTH}?availability=spots"
    before = site.fresh(path)
    teamup.events.change(CLASS, attending_count=12, is_full=True, waiting_count=2)
    site.refresh(path)
    after = site.ok(path)
    assert changed(before.data, after.data) == {UID}
    old, new = properties(before.data, UID), properties(after.data, UID)
    assert new["SUMMARY"] == "Morning Flow – Zoë Adeyemi (Full)"
    assert "waiting list" in new["DESCRIPTION"]
    assert new["SEQUENCE"] == old["SEQUENCE"]


def test_the_opening_of_bookings_shows_while_it_is_to_come(
    site: Bridge, teamup: FakeTeamUp
) -> None:
    opens = (NOW + timedelta(hours=2)).isoformat()
    change = Change(site, lambda: teamup.events.change(CLASS, registrations_open_at=opens))
    change.assert_only("DESCRIPTION", revised=False)
    assert "Booking opens Mon 23 Nov\\, 14:00" in change.new["DESCRIPTION"]
    over = Change(site, lambda: site.pass_time(7_200))
    assert "Booking opens" not in over.new["DESCRIPTION"]


def test_deleted_classes_are_cancelled_at_once_by_one_question_about_all(
    site: Bridge, teamup: FakeTeamUp
) -> None:
    gone = (CLASS, CLASS + 1, CLASS + 20, CLASS + 100)
    before, since = site.fresh(BOTH), len(teamup.requests)
    teamup.events.delete(*gone)
    site.refresh(BOTH)
    after = site.ok(BOTH)
    assert changed(before.data, after.data) == {uid("event", identity) for identity in gone}
    for identity in gone:
        event = properties(after.data, uid("event", identity))
        old = properties(before.data, uid("event", identity))
        assert event["STATUS"] == "CANCELLED"
        assert event["SUMMARY"].startswith("CANCELLED: ")
        assert int(event["SEQUENCE"]) == sequence_at(site.clock.now(), int(old["SEQUENCE"]))
    [question] = questions(teamup, since)
    assert question >= set(gone)
    assert len(teamup.requests_for("events", since)) == 2 + 1
    assert len(teamup.requests_for("course_sessions", since)) == 1


def test_many_deleted_classes_are_cancelled_together(
    teamup: FakeTeamUp, build: Build, clock: ManualClock
) -> None:
    """A series of 150 classes in a studio of 700: not so many that they would be held."""
    feed = "/sessions.ics?past=0"
    teamup.events.rows = [
        rows.class_row(FIRST_ID + index, NOW + timedelta(hours=2 * index + 3))
        for index in range(700)
    ]
    site = build(teamup, clock)
    site.ok(feed)
    gone = range(FIRST_ID + 100, FIRST_ID + 250)
    teamup.events.delete(*gone)
    since = len(teamup.requests)
    site.refresh(feed)
    found = events(site.ok(feed).data)
    assert {found[uid("event", identity)].status for identity in gone} == {"CANCELLED"}
    assert 1 <= len(questions(teamup, since)) <= 2


def test_deleted_classes_are_cancelled_at_the_second_refresh_where_ids_are_ignored(
    site: Bridge, teamup: FakeTeamUp
) -> None:
    teamup.dialect = replace(teamup.dialect, ignored={"ids"})
    before = site.fresh(BOTH)
    teamup.events.delete(CLASS)
    site.refresh(BOTH)
    assert site.ok(BOTH).data == before.data
    site.refresh(BOTH)
    after = site.ok(BOTH)
    assert changed(before.data, after.data) == {UID}
    assert properties(after.data, UID)["STATUS"] == "CANCELLED"


def test_a_deleted_class_stays_cancelled_without_further_questions(
    site: Bridge, teamup: FakeTeamUp
) -> None:
    teamup.events.delete(CLASS)
    site.refresh(BOTH)
    before, since = site.ok(BOTH), len(teamup.requests)
    for _ in range(2):
        site.refresh(BOTH)
    assert site.ok(BOTH).data == before.data
    assert not questions(teamup, since)


def test_a_deleted_class_that_comes_back_is_confirmed_again(
    site: Bridge, teamup: FakeTeamUp
) -> None:
    [row] = teamup.events.delete(CLASS)
    site.refresh(BOTH)
    change = Change(site, lambda: teamup.events.add(row))
    change.assert_only("STATUS", "SUMMARY", revised=True)
    assert change.new["STATUS"] == "CONFIRMED"


def test_a_class_made_anew_under_another_id_is_not_shown_as_cancelled(
    site: Bridge, teamup: FakeTeamUp
) -> None:
    before = site.fresh(BOTH)
    [row] = teamup.events.delete(CLASS)
    teamup.events.add({**row, "id": 9_999})
    site.refresh(BOTH)
    after = site.ok(BOTH)
    assert changed(before.data, after.data) == {UID, uid("event", 9_999)}
    assert UID not in blocks(after.data)


@pytest.mark.parametrize("site", [FEW, MANY], indirect=True, ids=["few", "many"])
def test_a_class_that_only_slipped_from_a_page_stays_as_it_is(
    site: Bridge, teamup: FakeTeamUp
) -> None:
    before, since = site.fresh(BOTH), len(teamup.requests)
    # One row more and one less: the count says nothing.
    added = rows.class_row(9_999, NOW + timedelta(days=40))
    teamup.events.add(added)
    teamup.slip(CLASS)
    for _ in range(3):
        site.refresh(BOTH)
    assert changed(before.data, site.ok(BOTH).data) == {uid("event", 9_999)}
    asked = questions(teamup, since)
    assert len(asked) == 3
    assert all(CLASS in ids for ids in asked)
    teamup.slip()
    site.refresh(BOTH)
    assert changed(before.data, site.ok(BOTH).data) == {uid("event", 9_999)}


def test_a_class_that_slipped_and_changed_shows_its_change(
    site: Bridge, teamup: FakeTeamUp
) -> None:
    def change() -> None:
        teamup.slip(CLASS)
        teamup.events.change(CLASS, name="Evening Flow")

    Change(site, change).assert_only("SUMMARY", revised=False)


def test_a_class_that_becomes_an_appointment_leaves_every_feed_at_once(
    site: Bridge, teamup: FakeTeamUp
) -> None:
    staff = site.private("public", "membership_holders", "private")
    before = site.fresh(BOTH)
    assert UID in blocks(site.fresh(f"{staff}.ics").data)
    since = len(teamup.requests)
    teamup.events.change(CLASS, is_appointment="true", name="canary-appointment")
    site.refresh(BOTH, f"{staff}.ics")
    assert changed(before.data, site.ok(BOTH).data) == {UID}
    assert UID not in blocks(site.ok(BOTH).data)
    assert UID not in blocks(site.ok(f"{staff}.ics").data)
    assert b"canary-appointment" not in site.ok(f"{staff}.json").data
    assert b"BEGIN:VEVENT" not in site.ok(f"/classes/{CLASS}.ics").data
    assert not questions(teamup, since)


def test_a_changed_class_does_not_touch_the_course_session_of_the_same_id(
    site: Bridge, teamup: FakeTeamUp
) -> None:
    path = f"/sessions/{CLASS}.ics"
    before = site.fresh(path)
    teamup.events.delete(CLASS)
    site.refresh(BOTH)
    after = site.ok(path)
    assert after.data == before.data
    assert after.headers["ETag"] == before.headers["ETag"]


def test_a_class_without_a_venue_any_more_is_shown_without_one(
    site: Bridge, teamup: FakeTeamUp
) -> None:
    row = teamup.events.row(CLASS)
    del row["venue"]
    change = Change(site, lambda: teamup.events.add({**row, "venue_room": None}))
    # The sessions no longer share one time zone, so the calendar names none.
    assert change.uids == {UID, ""}
    assert "LOCATION" not in change.new


def test_a_class_without_a_venue_any_more_can_be_cancelled(
    site: Bridge, teamup: FakeTeamUp
) -> None:
    row = teamup.events.row(CLASS)
    del row["venue"]
    change = Change(site, lambda: teamup.events.add({**row, "status": "cancelled"}))
    assert change.new["STATUS"] == "CANCELLED"
