"""End-to-end tests: changes that a studio's staff make, and the resulting feeds."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from clocks import ManualClock
from flask.testing import FlaskClient
from walking import key
from werkzeug.test import TestResponse

from bridge.config import Availability, UpstreamPlan
from bridge.filters import FilterSet
from bridge.sandbox.faults import Faults
from bridge.sandbox.records import Row
from bridge.sandbox.studio import Studio
from bridge.services import Services
from bridge.store.interface import Write
from bridge.store.sqlite import SqliteStore
from bridge.web import create_app

NOW = datetime(2026, 11, 23, 12, 0, 0, 700_000, tzinfo=UTC)
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
# Seconds: longer than any copy is fresh, shorter than STALE_WHILE_REVALIDATE.
PAST_TTL = 341.0
HOLD = 21_600
WALK = FilterSet(past=30)

# The changed session is a Vinyasa class of Priya (14) at Riverside (12), in course 52.
PATHS = (
    "/venues/12.ics",
    "/venues/13.ics",
    "/venues/14.ics",
    "/instructors/14.ics",
    "/instructors/15.ics",
    "/instructors/21.ics",
    "/courses/52.ics",
    "/courses/54.ics",
    "/sessions.ics",
)
AFFECTED = ("/venues/12.ics", "/instructors/14.ics", "/courses/52.ics", "/sessions.ics")

Event = Mapping[str, str]


@dataclass(frozen=True)
class Feed:
    """A feed: its bytes, the parts around the events, and the lines of each event by UID."""

    body: bytes
    frame: bytes
    blocks: Mapping[str, bytes]

    @classmethod
    def of(cls, body: bytes) -> "Feed":
        frame, *rest = body.split(b"BEGIN:VEVENT\r\n")
        blocks = {}
        for part in rest:
            block, _, tail = part.partition(b"END:VEVENT\r\n")
            blocks[properties(block)["UID"]] = block
            frame += tail
        assert frame.endswith(b"END:VCALENDAR\r\n")
        return cls(body, frame, blocks)

    def event(self, uid: str) -> Event:
        """The properties of one event."""
        return properties(self.blocks[uid])

    @property
    def events(self) -> dict[str, Event]:
        return {uid: properties(block) for uid, block in self.blocks.items()}


def properties(block: bytes) -> dict[str, str]:
    """Name and parameters → value, unfolded."""
    lines = block.replace(b"\r\n ", b"").decode().split("\r\n")
    pairs = (line.partition(":") for line in lines if line)
    return {name: value for name, _, value in pairs}


@dataclass(frozen=True)
class Difference:
    """The UIDs of events that differ, by their bytes, between two versions of a feed."""

    removed: set[str] = field(default_factory=set)
    added: set[str] = field(default_factory=set)
    changed: set[str] = field(default_factory=set)

    @classmethod
    def between(cls, before: Feed, after: Feed) -> "Difference":
        assert after.frame == before.frame
        both = before.blocks.keys() & after.blocks.keys()
        difference = cls(
            removed=before.blocks.keys() - both,
            added=after.blocks.keys() - both,
            changed={uid for uid in both if before.blocks[uid] != after.blocks[uid]},
        )
        assert (difference == cls()) == (before.body == after.body)
        return difference


SAME = Difference()


@dataclass
class World:
    """A studio, a bridge in front of it, and a client of the bridge."""

    clock: ManualClock
    studio: Studio
    parts: Services
    client: FlaskClient

    def get(self, path: str, **headers: str) -> TestResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.get(path, headers=named)

    def read(self, path: str) -> Feed:
        response = self.get(path)
        assert response.status_code == 200
        return Feed.of(response.data)

    def read_all(self, paths: tuple[str, ...] = PATHS) -> dict[str, Feed]:
        return {path: self.read(path) for path in paths}

    def refresh(self, after: float = PAST_TTL, *, walk: FilterSet = WALK) -> None:
        """Advance the clock past the TTL and run one refresh to its end."""
        self.clock.move(after)
        rules = self.parts.router.merge_rules(key(walk))
        assert rules is not None
        flight = self.parts.refresher.refresh(key(walk), rules, None)
        assert flight is not None
        assert flight.wait(20)
        assert flight.failure is None
        assert self.parts.router.find(walk).age == 0

    def uid(self, session: int) -> str:
        """The UID of a session, from the session's own feed."""
        [uid] = self.read(f"/sessions/{session}.ics").blocks
        return uid

    def uids(self, rows: Iterable[Row]) -> set[str]:
        """The UIDs of the public sessions among *rows*."""
        feeds = (self.read(f"/sessions/{row['id']}.ics") for row in rows)
        return {uid for feed in feeds for uid in feed.blocks}

    @property
    def stamp(self) -> str:
        """The current time in the form of DTSTAMP and LAST-MODIFIED."""
        return ical(datetime.fromtimestamp(self.clock.now(), UTC))

    @property
    def minutes(self) -> str:
        """The current time in the form of SEQUENCE."""
        since = datetime.fromtimestamp(self.clock.now(), UTC) - EPOCH
        return str(since // timedelta(minutes=1))

    def revised(self) -> dict[str, str]:
        """The properties that any change of content sets."""
        return {"DTSTAMP": self.stamp, "LAST-MODIFIED": self.stamp}

    def rescheduled(self) -> dict[str, str]:
        """The properties that a change of time, place or status sets."""
        return {**self.revised(), "SEQUENCE": self.minutes}


def ical(moment: datetime) -> str:
    return moment.strftime("%Y%m%dT%H%M%SZ")


def moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


@pytest.fixture
def studio(near_studio: Studio) -> Studio:
    return near_studio


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def make_world(
    make_bridge: Callable[..., Services], studio: Studio, clock: ManualClock, tmp_path: Path
) -> Callable[..., World]:
    def make(database: str = "store.sqlite3", **fields: Any) -> World:
        store = SqliteStore(tmp_path / database, clock)
        parts = make_bridge(store=store, **fields)
        return World(clock, studio, parts, create_app(parts).test_client())

    return make


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    return make_world()


@pytest.fixture
def target(studio: Studio) -> Row:
    """The next evening class on a Tuesday; it is active and not full."""
    row = next(
        row
        for row in studio.sessions
        if row["course"] == 52
        and row["instructors"] == [14]
        and row["status"] == "active"
        and datetime.fromisoformat(row["starts_at"]) > NOW
    )
    assert row["venue"] == 12
    studio.change(row["id"], attending_count=6)
    return row


class TestOneChange:
    """A change appears after one refresh in every affected feed; nothing else changes."""

    @pytest.fixture
    def before(self, world: World, target: Row) -> dict[str, Feed]:
        feeds = world.read_all()
        for path in PATHS:
            assert (world.uid(target["id"]) in feeds[path].blocks) is (path in AFFECTED)
        return feeds

    @staticmethod
    def changed(
        world: World, before: dict[str, Feed], uid: str, *paths: str
    ) -> Iterator[tuple[Event, Event]]:
        """Yield the event before and after, for each of *paths*; fails if another event changed."""
        for path, feed in world.read_all().items():
            difference = Difference.between(before[path], feed)
            assert difference == (Difference(changed={uid}) if path in paths else SAME), path
            if path in paths:
                yield before[path].event(uid), feed.event(uid)

    def test_a_cancelled_session_is_shown_as_cancelled(
        self, world: World, target: Row, before: dict[str, Feed]
    ) -> None:
        uid = world.uid(target["id"])
        world.studio.cancel(target["id"])
        world.refresh()
        for old, new in self.changed(world, before, uid, *AFFECTED):
            expected = {"SUMMARY": f"CANCELLED: {old['SUMMARY']}", "STATUS": "CANCELLED"}
            assert new == {**old, **expected, **world.rescheduled()}
            assert old["STATUS"] == "CONFIRMED"

    def test_a_restored_session_is_as_before_with_a_new_revision(
        self, world: World, target: Row, before: dict[str, Feed]
    ) -> None:
        uid = world.uid(target["id"])
        world.studio.cancel(target["id"])
        world.refresh()
        cancelled = world.read("/sessions.ics").event(uid)
        world.studio.change(target["id"], status="active")
        world.refresh()
        for old, new in self.changed(world, before, uid, *AFFECTED):
            assert new == {**old, **world.rescheduled()}
            assert int(new["SEQUENCE"]) > int(cancelled["SEQUENCE"])

    def test_a_rescheduled_session_is_shown_at_its_new_time(
        self, world: World, target: Row, before: dict[str, Feed]
    ) -> None:
        uid = world.uid(target["id"])
        starts = datetime.fromisoformat(target["starts_at"]) + timedelta(days=1, hours=2)
        ends = starts + timedelta(minutes=90)
        world.studio.change(target["id"], starts_at=starts, ends_at=ends)
        world.refresh()
        for old, new in self.changed(world, before, uid, *AFFECTED):
            expected = {
                "DTSTART": ical(starts),
                "DTEND": ical(ends),
                "DESCRIPTION": f"Moved from Tue 24 Nov\\, 18:30\\n{old['DESCRIPTION']}",
            }
            assert new == {**old, **expected, **world.rescheduled()}

    def test_a_session_rescheduled_out_of_the_window_leaves_feeds_with_a_window(
        self, world: World, target: Row, before: dict[str, Feed]
    ) -> None:
        uid = world.uid(target["id"])
        starts = NOW + timedelta(days=150)
        world.studio.change(target["id"], starts_at=starts, ends_at=starts + timedelta(hours=1))
        world.refresh()
        after = world.read_all()
        for path in PATHS:
            difference = Difference.between(before[path], after[path])
            if path == "/courses/52.ics":
                assert difference == Difference(changed={uid})
            else:
                assert difference == (Difference(removed={uid}) if path in AFFECTED else SAME)

    def test_a_renamed_session_has_a_new_title_and_the_same_sequence(
        self, world: World, target: Row, before: dict[str, Feed]
    ) -> None:
        uid = world.uid(target["id"])
        world.studio.change(target["id"], name="Slow Flow; by candlelight, twice")
        world.refresh()
        for old, new in self.changed(world, before, uid, *AFFECTED):
            title = "Slow Flow\\; by candlelight\\, twice – Priya Raman"
            # The course, whose name was the title, is now in the description.
            expected = {"SUMMARY": title, "DESCRIPTION": new["DESCRIPTION"]}
            assert new == {**old, **expected, **world.revised()}
            assert "Vinyasa Flow: Evenings" in new["DESCRIPTION"]

    def test_a_session_moved_to_another_venue_moves_to_its_feed(
        self, world: World, target: Row, before: dict[str, Feed]
    ) -> None:
        uid = world.uid(target["id"])
        world.studio.change(target["id"], venue=13)
        world.refresh()
        after = world.read_all()
        moved = {
            "/venues/12.ics": Difference(removed={uid}),
            "/venues/13.ics": Difference(added={uid}),
        }
        events_at_13 = before["/venues/13.ics"].blocks.values()
        place = {
            name: value
            for name, value in properties(next(iter(events_at_13))).items()
            if name in ("LOCATION", "GEO") or name.startswith("X-APPLE")
        }
        for path in PATHS:
            changed = Difference(changed={uid}) if path in AFFECTED else SAME
            difference = Difference.between(before[path], after[path])
            assert difference == moved.get(path, changed), path
        old = dict(before["/sessions.ics"].event(uid))
        for name in [name for name in old if name.startswith("X-APPLE")]:
            del old[name]
        for path in ("/venues/13.ics", *AFFECTED[1:]):
            assert after[path].event(uid) == {**old, **place, **world.rescheduled()}

    def test_a_session_of_another_instructor_moves_to_their_feed(
        self, world: World, target: Row, before: dict[str, Feed]
    ) -> None:
        uid = world.uid(target["id"])
        world.studio.change(target["id"], instructors=[15])
        world.refresh()
        after = world.read_all()
        moved = {
            "/instructors/14.ics": Difference(removed={uid}),
            "/instructors/15.ics": Difference(added={uid}),
        }
        for path in PATHS:
            changed = Difference(changed={uid}) if path in AFFECTED else SAME
            difference = Difference.between(before[path], after[path])
            assert difference == moved.get(path, changed), path
        old = before["/sessions.ics"].event(uid)
        summary, description = (
            old[name].replace("Priya Raman", "José Ibáñez") for name in ("SUMMARY", "DESCRIPTION")
        )
        expected = {
            "SUMMARY": f"{summary} (cover)",
            "DESCRIPTION": f"Instead of Priya Raman\\n{description}",
        }
        for path in ("/instructors/15.ics", "/venues/12.ics", "/courses/52.ics", "/sessions.ics"):
            # With a higher SEQUENCE, since the event is new in one of the feeds.
            assert after[path].event(uid) == {**old, **expected, **world.rescheduled()}

    def test_a_deleted_session_is_shown_as_cancelled_from_the_second_refresh_to_its_end(
        self, world: World, target: Row, before: dict[str, Feed]
    ) -> None:
        uid = world.uid(target["id"])
        world.studio.delete(target["id"])
        world.refresh()
        for path, feed in world.read_all().items():
            assert feed.body == before[path].body
        world.refresh()
        for old, new in self.changed(world, before, uid, *AFFECTED):
            expected = {"SUMMARY": f"CANCELLED: {old['SUMMARY']}", "STATUS": "CANCELLED"}
            assert new == {**old, **expected, **world.rescheduled()}
        tombstone = world.read("/sessions.ics").blocks[uid]
        ends = datetime.fromisoformat(target["ends_at"]).timestamp()
        world.refresh(ends - world.clock.now() - 60)
        assert world.read("/sessions.ics").blocks[uid] == tombstone
        world.refresh()
        assert all(uid not in feed.blocks for feed in world.read_all().values())

    def test_a_session_deleted_and_recreated_is_a_new_event_and_none_is_cancelled(
        self, world: World, target: Row, before: dict[str, Feed]
    ) -> None:
        uid = world.uid(target["id"])
        [row] = [row for row in world.studio.sessions if row["id"] == target["id"]]
        world.studio.delete(target["id"])
        recreated = world.studio.add(**{**row, "id": 99_999_999})
        world.refresh()
        world.refresh()
        new_uid = world.uid(recreated["id"])
        for path, feed in world.read_all().items():
            difference = Difference.between(before[path], feed)
            expected = Difference(removed={uid}, added={new_uid}) if path in AFFECTED else SAME
            assert difference == expected, path
        assert world.read("/sessions.ics").event(new_uid)["STATUS"] == "CONFIRMED"

    def test_a_new_session_is_shown_as_created_now(
        self, world: World, target: Row, before: dict[str, Feed]
    ) -> None:
        starts = NOW + timedelta(days=2)
        row = world.studio.add(starts_at=starts, venue=12, course=52, instructors=[14])
        world.refresh()
        uid = world.uid(row["id"])
        for path, feed in world.read_all().items():
            difference = Difference.between(before[path], feed)
            assert difference == (Difference(added={uid}) if path in AFFECTED else SAME), path
        event = world.read("/sessions.ics").event(uid)
        assert {name: event[name] for name in ("CREATED", "LAST-MODIFIED", "SEQUENCE")} == {
            "CREATED": world.stamp,
            "LAST-MODIFIED": world.stamp,
            "SEQUENCE": world.minutes,
        }

    def test_two_changes_at_once_are_one_revision(
        self, world: World, target: Row, before: dict[str, Feed]
    ) -> None:
        uid = world.uid(target["id"])
        world.studio.change(target["id"], name="Slow Flow")
        world.studio.cancel(target["id"])
        world.refresh()
        for _, new in self.changed(world, before, uid, *AFFECTED):
            assert new["SUMMARY"] == "CANCELLED: Slow Flow – Priya Raman"
            assert new["SEQUENCE"] == world.minutes


class TestVisibility:
    PATHS = ("/venues/12.ics", "/instructors/13.ics", "/courses/53.ics", "/sessions.ics")

    def test_a_session_made_private_leaves_public_feeds_and_returns_unchanged(
        self, world: World
    ) -> None:
        before = world.read_all((*self.PATHS, "/venues/13.ics"))
        edge = datetime(NOW.year, NOW.month, NOW.day, tzinfo=UTC) - timedelta(days=30)
        affected = {
            world.uid(row["id"])
            for row in world.studio.sessions
            if row["course"] == 53 and datetime.fromisoformat(row["ends_at"]) >= edge
        }
        world.studio.set_visibility(32, "private")
        world.refresh()
        for path, feed in before.items():
            hidden = world.read(path)
            assert not affected & hidden.blocks.keys()
            recent = {uid for uid, event in feed.events.items() if moment(event["DTEND"]) >= edge}
            kept = recent - affected
            assert {uid: hidden.blocks[uid] for uid in kept} == {
                uid: feed.blocks[uid] for uid in kept
            }
        world.studio.set_visibility(32, "public")
        world.refresh()
        for path, feed in before.items():
            again = world.read(path)
            assert again.frame == feed.frame
            assert again.blocks.keys() == feed.blocks.keys()
            for uid, old in feed.events.items():
                new = again.event(uid)
                if uid in affected:
                    revised = {name: new[name] for name in ("DTSTAMP", "LAST-MODIFIED")}
                    assert new == {**old, **revised}
                    assert revised["LAST-MODIFIED"] >= old["LAST-MODIFIED"]
                else:
                    assert new == old

    def test_changes_of_a_private_session_change_no_public_feed(self, world: World) -> None:
        before = world.read_all()
        private = next(
            row
            for row in world.studio.sessions
            if row["course"] == 57 and datetime.fromisoformat(row["starts_at"]) > NOW
        )
        world.studio.cancel(private["id"])
        world.studio.change(private["id"], name="Canary")
        world.refresh()
        assert {path: feed.body for path, feed in world.read_all().items()} == {
            path: feed.body for path, feed in before.items()
        }


class TestNarrowPlan:
    """With UPSTREAM_PLAN=narrow each feed is fetched separately."""

    VENUE = FilterSet(venues=(12,), past=30, future=90)
    FEW = FilterSet(instructors=(21,), past=0, future=7)
    FEW_PATH = "/instructors/21.ics?past=0&future=7"

    @pytest.fixture
    def world(self, make_world: Callable[..., World]) -> World:
        return make_world(plan=UpstreamPlan.NARROW)

    def test_a_cancelled_session_is_shown_as_cancelled(self, world: World, target: Row) -> None:
        before = world.read("/venues/12.ics")
        world.studio.cancel(target["id"])
        world.refresh(walk=self.VENUE)
        uid = world.uid(target["id"])
        after = world.read("/venues/12.ics")
        assert Difference.between(before, after) == Difference(changed={uid})
        assert after.event(uid)["STATUS"] == "CANCELLED"
        assert after.event(uid)["SEQUENCE"] == world.minutes

    def test_a_deleted_session_leaves_the_feed_at_the_second_refresh(
        self, world: World, target: Row
    ) -> None:
        uid = world.uid(target["id"])
        before = world.read("/venues/12.ics")
        world.studio.delete(target["id"])
        world.refresh(walk=self.VENUE)
        world.refresh(walk=self.VENUE)
        after = world.read("/venues/12.ics")
        assert Difference.between(before, after) == Difference(removed={uid})

    @pytest.mark.parametrize("fault", ["unexpanded", "no_visibility"])
    def test_sessions_in_an_unusable_form_are_kept(
        self, world: World, faults: Faults, fault: str
    ) -> None:
        """Also if the unusable form hides that a session belongs to the feed."""
        before = world.read(self.FEW_PATH)
        assert 0 < len(before.blocks) <= 5
        faults.set(fault)
        for _ in range(4):
            world.refresh(walk=self.FEW)
            assert world.read(self.FEW_PATH).body == before.body


class TestUnusableRows:
    @pytest.mark.parametrize("fault", ["unexpanded", "no_visibility"])
    def test_rows_in_an_unusable_form_change_no_feed(
        self, world: World, faults: Faults, fault: str, target: Row
    ) -> None:
        before = world.read_all()
        faults.set(fault)
        for _ in range(3):
            world.refresh()
            for path, feed in world.read_all().items():
                assert feed.body == before[path].body
        faults.clear()
        world.studio.cancel(target["id"])
        world.refresh()
        difference = Difference.between(before["/sessions.ics"], world.read("/sessions.ics"))
        assert difference == Difference(changed={world.uid(target["id"])})


class TestBooking:
    PLAIN = "/venues/12.ics"
    FULL = "/venues/12.ics?availability=full"
    SPOTS = "/venues/12.ics?availability=spots"

    @pytest.fixture
    def world(self, make_world: Callable[..., World]) -> World:
        return make_world(public_availability=Availability.SPOTS)

    @pytest.fixture
    def before(self, world: World, target: Row) -> dict[str, Feed]:
        return world.read_all((self.PLAIN, self.FULL, self.SPOTS))

    @staticmethod
    def book(world: World, target: Row, attending: int) -> dict[str, Feed]:
        """The three feeds after *attending* of 18 places are booked."""
        world.studio.change(target["id"], attending_count=attending)
        world.refresh()
        cls = TestBooking
        return world.read_all((cls.PLAIN, cls.FULL, cls.SPOTS))

    @pytest.mark.parametrize("attending", [0, 7, 14, 18, 25])
    def test_bookings_do_not_change_a_feed_without_availability(
        self, world: World, target: Row, before: dict[str, Feed], attending: int
    ) -> None:
        after = self.book(world, target, attending)
        assert after[self.PLAIN].body == before[self.PLAIN].body

    def test_bookings_below_full_do_not_change_a_feed_that_shows_full(
        self, world: World, target: Row, before: dict[str, Feed]
    ) -> None:
        after = self.book(world, target, 17)
        assert after[self.FULL].body == before[self.FULL].body

    def test_becoming_full_changes_last_modified_but_not_sequence(
        self, world: World, target: Row, before: dict[str, Feed]
    ) -> None:
        uid = world.uid(target["id"])
        after = self.book(world, target, 18)
        for path in (self.FULL, self.SPOTS):
            assert Difference.between(before[path], after[path]) == Difference(changed={uid})
            new = after[path].event(uid)
            title = "Vinyasa Flow: Evenings – Priya Raman (Full)"
            assert new == {**before[path].event(uid), "SUMMARY": title, **world.revised()}

    def test_overbooking_changes_nothing(
        self, world: World, target: Row, before: dict[str, Feed]
    ) -> None:
        full = self.book(world, target, 18)
        over = self.book(world, target, 21)
        assert {path: feed.body for path, feed in over.items()} == {
            path: feed.body for path, feed in full.items()
        }

    def test_a_cancelled_booking_removes_full(
        self, world: World, target: Row, before: dict[str, Feed]
    ) -> None:
        uid = world.uid(target["id"])
        self.book(world, target, 18)
        after = self.book(world, target, 6)
        new = after[self.FULL].event(uid)
        assert new == {**before[self.FULL].event(uid), **world.revised()}
        assert after[self.PLAIN].body == before[self.PLAIN].body

    def test_spots_are_rounded_and_feeds_change_only_with_the_rounded_number(
        self, world: World, target: Row, before: dict[str, Feed]
    ) -> None:
        uid = world.uid(target["id"])
        # Both 12 and 10 places left are shown as 10.
        assert before[self.SPOTS].event(uid)["SUMMARY"].endswith("(10 left)")
        assert self.book(world, target, 8)[self.SPOTS].body == before[self.SPOTS].body
        after = self.book(world, target, 15)
        assert Difference.between(before[self.SPOTS], after[self.SPOTS]) == Difference(
            changed={uid}
        )
        old, new = before[self.SPOTS].event(uid), after[self.SPOTS].event(uid)
        title = "Vinyasa Flow: Evenings – Priya Raman (3 left)"
        assert new == {**old, "SUMMARY": title, **world.revised()}


class TestConditionalRequests:
    def test_answers_are_304_all_day_while_nothing_changes_upstream(self, world: World) -> None:
        first = {path: world.get(path) for path in PATHS}
        for after in (PAST_TTL, 3_000.5, 3_500.0, 7_200.25, 20_000.0):
            world.refresh(after)
            for path, response in first.items():
                tag, date = response.headers["ETag"], response.headers["Last-Modified"]
                for headers in (
                    {"If_None_Match": tag},
                    {"If_Modified_Since": date},
                    {"If_None_Match": tag, "If_Modified_Since": date},
                ):
                    answer = world.get(path, **headers)
                    assert answer.status_code == 304
                    assert answer.data == b""
                    assert answer.headers["ETag"] == tag
                assert world.get(path).headers["Last-Modified"] == date
        assert datetime.fromtimestamp(world.clock.now(), UTC).date() == NOW.date()

    def test_answers_are_304_after_a_restart(
        self, world: World, make_world: Callable[..., World]
    ) -> None:
        first = {path: world.get(path).headers for path in PATHS}
        world.refresh()
        restarted = make_world()
        for path, headers in first.items():
            answer = restarted.get(path, If_None_Match=headers["ETag"])
            assert answer.status_code == 304
            again = restarted.get(path)
            assert again.headers["Last-Modified"] == headers["Last-Modified"]

    def test_answers_are_200_only_for_feeds_that_changed(self, world: World, target: Row) -> None:
        tags = {path: world.get(path).headers["ETag"] for path in PATHS}
        world.studio.cancel(target["id"])
        world.refresh()
        for path, tag in tags.items():
            answer = world.get(path, If_None_Match=tag)
            assert answer.status_code == (200 if path in AFFECTED else 304), path


class TestLostStore:
    def sequences(self, feed: Feed) -> dict[str, int]:
        return {uid: int(event["SEQUENCE"]) for uid, event in feed.events.items()}

    def changed_feed(self, world: World, target: Row) -> Feed:
        """The feed after a few changes."""
        world.read("/sessions.ics")
        world.studio.cancel(target["id"])
        world.refresh()
        world.studio.change(target["id"], status="active")
        world.refresh()
        return world.read("/sessions.ics")

    def test_a_new_process_does_not_lower_any_sequence(
        self, world: World, target: Row, make_world: Callable[..., World]
    ) -> None:
        before = self.changed_feed(world, target)
        world.clock.move(61)
        after = make_world("another.sqlite3").read("/sessions.ics")
        old, new = self.sequences(before), self.sequences(after)
        assert new.keys() == old.keys()
        assert all(new[uid] >= old[uid] for uid in old)

    def test_a_running_process_keeps_its_revisions(
        self, world: World, target: Row, tmp_path: Path
    ) -> None:
        before = self.changed_feed(world, target)
        store = SqliteStore(tmp_path / "store.sqlite3", world.clock)
        store.commit({name: Write(None) for name in store.names("")})
        store.close()
        assert world.read("/sessions.ics").body == before.body
        world.refresh()
        assert world.read("/sessions.ics").body == before.body
        world.studio.cancel(target["id"])
        world.refresh()
        uid = world.uid(target["id"])
        after = world.read("/sessions.ics")
        assert Difference.between(before, after) == Difference(changed={uid})
        assert after.event(uid)["CREATED"] == before.event(uid)["CREATED"]
        assert int(after.event(uid)["SEQUENCE"]) > int(before.event(uid)["SEQUENCE"])

    def test_a_running_process_fills_the_store_again(
        self,
        world: World,
        target: Row,
        tmp_path: Path,
        make_world: Callable[..., World],
    ) -> None:
        before = self.changed_feed(world, target)
        store = SqliteStore(tmp_path / "store.sqlite3", world.clock)
        store.commit({name: Write(None) for name in store.names("")})
        store.close()
        world.refresh()
        assert make_world().read("/sessions.ics").body == before.body


def test_changes_of_remaining_sessions_are_shown_during_the_hold(
    world: World,
) -> None:
    before = world.read("/sessions.ics")
    for row in [row for n, row in enumerate(world.studio.sessions) if n % 10]:
        world.studio.delete(row["id"])
    visible = next(
        row
        for row in world.studio.sessions
        if row["course"] in (51, 52, 53, 54)
        and row["status"] == "active"
        and datetime.fromisoformat(row["starts_at"]) > NOW
    )
    world.studio.cancel(visible["id"])
    world.refresh()
    uid = world.uid(visible["id"])
    after = world.read("/sessions.ics")
    assert Difference.between(before, after) == Difference(changed={uid})
    assert after.event(uid)["STATUS"] == "CANCELLED"
