"""Merging walks: what is published at once, and how missing sessions are removed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from walking import AT, CHAPEL, HOUR, NOW, RIVERSIDE, TOMORROW, YOGA, session, sessions, walk

from bridge.filters import FilterSet
from bridge.model import ClassSession, Published, Room, Status, Visibility
from bridge.snapshots import merge
from bridge.snapshots.merge import HISTORY_DAYS, MergeRules
from bridge.snapshots.snapshot import Snapshot

HOLD = 21_600
WIDE = MergeRules(wide=True, shrink_hold=HOLD)
NARROW = MergeRules(wide=False, shrink_hold=HOLD)
EVERYTHING = FilterSet(past=30)
DAY = 86_400


@dataclass
class WalkSequence:
    """Walks of one filter set, ten minutes apart; each is merged with the snapshot before it."""

    rules: MergeRules = WIDE
    filter_set: FilterSet = EVERYTHING
    snapshot: Snapshot | None = None
    at: float = AT - 600

    def walk(
        self,
        listed: Iterable[ClassSession],
        *,
        after: float = 600,
        unusable: Iterable[int] = (),
        without_end: Iterable[int] = (),
        history: Mapping[Any, Published] | None = None,
    ) -> dict[int, Published]:
        """The published sessions, by id, after a walk that returned the *listed* sessions."""
        self.at += after
        previous = dict(self.snapshot.by_identity) if self.snapshot else {}
        complete = walk(listed, self.at, unusable=list(unusable))
        self.snapshot = merge.merge_walk(
            self.filter_set,
            replace(complete, without_end=frozenset(without_end)),
            self.snapshot,
            {**previous, **(history or {})},
            self.rules,
        )
        return {entry.session.id: entry for entry in self.snapshot.published}


def is_unchanged(before: Published, after: Published) -> bool:
    """Whether subscribers see no difference."""
    return (before.session, before.revision) == (after.session, after.revision)


class TestListedSession:
    def test_is_published_however_many_change_at_once(self) -> None:
        walks = WalkSequence()
        walks.walk(sessions(20))
        after = walks.walk(sessions(20, status=Status.CANCELLED))
        assert all(entry.session.status is Status.CANCELLED for entry in after.values())
        assert not any(entry.held or entry.is_tombstone for entry in after.values())

    def test_keeps_its_revision_from_another_filter_set(self) -> None:
        elsewhere = WalkSequence().walk([session()])[1]
        here = WalkSequence(at=AT + 5_000)
        after = here.walk([session()], history={elsewhere.session.identity: elsewhere})
        assert after[1].revision == elsewhere.revision

    def test_is_not_reverted_by_a_walk_that_began_earlier_and_ended_later(self) -> None:
        walks = WalkSequence()
        before = walks.walk([session()])
        newer = WalkSequence(snapshot=walks.snapshot, at=AT)
        moved = newer.walk([session(venue=CHAPEL)], after=60)[1]
        after = walks.walk([session()], after=30, history={moved.session.identity: moved})
        assert after[1] == moved
        assert before[1] != moved

    @pytest.mark.parametrize("moved", [timedelta(), timedelta(hours=3)])
    def test_without_an_end_keeps_the_length_with_which_any_filter_set_published_it(
        self, moved: timedelta
    ) -> None:
        """Walks that contain different sessions estimate different lengths."""
        last = WalkSequence().walk([session(1, end=TOMORROW + 2 * HOUR)])[1]
        start = TOMORROW + moved
        estimated = session(1, start=start, end=start + HOUR)
        after = WalkSequence(at=AT).walk(
            [estimated], without_end=[1], history={last.session.identity: last}
        )[1]
        assert after.session == replace(estimated, end=start + 2 * HOUR)
        assert is_unchanged(last, after) == (not moved)

    def test_that_gets_an_end_is_published_with_it(self) -> None:
        walks = WalkSequence()
        walks.walk([session(1)], without_end=[1])
        after = walks.walk([session(1, end=TOMORROW + 2 * HOUR)])[1]
        assert after.session.end == TOMORROW + 2 * HOUR

    def test_is_ordered_by_start_and_identity(self) -> None:
        walks = WalkSequence()
        walks.walk([session(3, TOMORROW), session(1, TOMORROW + HOUR), session(2, TOMORROW)])
        assert walks.snapshot is not None
        assert [entry.session.id for entry in walks.snapshot.published] == [2, 3, 1]


class TestMissingSession:
    def test_is_private_once_other_classes_of_its_type_are(self) -> None:
        walks = WalkSequence()
        private = replace(YOGA, visibility=Visibility.PRIVATE)
        walks.walk(sessions(2))
        for is_tombstone in (False, True, True):
            after = walks.walk([session(2, offering_type=private)])
            assert after[1].is_tombstone is is_tombstone
            assert after[1].session.visibility is Visibility.PRIVATE

    def test_stays_private_even_if_other_classes_of_its_type_are_not(self) -> None:
        walks = WalkSequence()
        walks.walk([session(1, offering_type=replace(YOGA, visibility=Visibility.PRIVATE))])
        for _ in range(3):
            after = walks.walk([session(2)])
            assert after[1].session.visibility is Visibility.PRIVATE

    def test_does_not_reveal_what_it_was_while_it_was_private_once_it_is_past(self) -> None:
        walks = WalkSequence()
        private = replace(YOGA, visibility=Visibility.PRIVATE)
        walks.walk([session(1, offering_type=private)])
        moved = session(1, TOMORROW + 9 * HOUR, offering_type=private)
        assert walks.walk([moved])[1].moved_from == TOMORROW
        after = walks.walk([session(2)], after=3 * DAY)
        assert after[1].session.visibility is Visibility.PUBLIC
        assert after[1].moved_from is None

    def test_is_unchanged_if_the_next_walk_lists_it_again(self) -> None:
        walks = WalkSequence()
        before = walks.walk([session(1), session(2)])
        walks.walk([session(2)])
        after = walks.walk([session(1), session(2)])
        assert after == before

    def test_is_counted_from_zero_after_each_walk_that_lists_it(self) -> None:
        walks = WalkSequence()
        before = walks.walk([session(1), session(2)])
        for _ in range(3):
            walks.walk([session(2)])
            after = walks.walk([session(1), session(2)])
        assert is_unchanged(before[1], after[1])

    def test_returns_from_its_tombstone_with_a_higher_sequence(self) -> None:
        walks = WalkSequence()
        walks.walk([session(1), session(2)])
        walks.walk([session(2)])
        tombstone = walks.walk([session(2)])[1]
        after = walks.walk([session(1), session(2)])[1]
        assert after.session == session(1)
        assert not after.is_tombstone
        assert after.revision.sequence > tombstone.revision.sequence
        assert after.revision.created == AT

    def test_stays_an_unchanged_tombstone_until_its_end_time(self) -> None:
        soon = session(1, NOW + timedelta(hours=2))
        walks = WalkSequence()
        walks.walk([soon, session(2)])
        walks.walk([session(2)])
        tombstone = walks.walk([session(2)])[1]
        until = soon.ends.timestamp() - walks.at
        assert walks.walk([session(2)], after=until - 1)[1] == tombstone
        assert 1 not in walks.walk([session(2)], after=1)

    def test_stays_unchanged_if_it_was_cancelled_before(self) -> None:
        cancelled = session(1, status=Status.CANCELLED)
        walks = WalkSequence()
        before = walks.walk([cancelled, session(2)])
        walks.walk([session(2)])
        after = walks.walk([session(2)])
        assert is_unchanged(before[1], after[1])

    def test_stays_in_the_history_if_it_ended_before_the_next_walk(self) -> None:
        soon = session(1, NOW + timedelta(minutes=5), end=NOW + timedelta(minutes=15))
        walks = WalkSequence()
        before = walks.walk([soon, session(2)])
        walks.walk([session(2)])
        for _ in range(3):
            after = walks.walk([session(2)])
            assert is_unchanged(before[1], after[1])


class TestSessionUnderWay:
    LONG = session(1, NOW - timedelta(days=90), end=NOW + timedelta(days=5))

    def test_that_began_before_the_walk_could_list_it_stays_as_it_is(self) -> None:
        walks = WalkSequence()
        before = walks.walk([self.LONG, *sessions(9, first_id=2)])
        for _ in range(4):
            after = walks.walk(sessions(9, first_id=2))
            assert is_unchanged(before[1], after[1])
            assert not after[1].held
        after = walks.walk(sessions(9, first_id=2), after=6 * DAY)
        assert is_unchanged(before[1], after[1])

    def test_that_the_walk_could_list_is_cancelled_when_it_is_missing_twice(self) -> None:
        walks = WalkSequence()
        listed = replace(self.LONG, start=NOW - timedelta(days=40))
        walks.walk([listed, *sessions(9, first_id=2)])
        walks.walk(sessions(9, first_id=2))
        assert walks.walk(sessions(9, first_id=2))[1].session.status is Status.CANCELLED

    def test_that_upstream_does_not_know_any_more_is_cancelled(self) -> None:
        before = merge.merge_walk(EVERYTHING, walk([self.LONG]), None, {}, WIDE)
        later = replace(walk([], AT + 600), deleted=frozenset({1}))
        [entry] = merge.merge_walk(EVERYTHING, later, before, {}, WIDE).published
        assert entry.session.status is Status.CANCELLED


class TestReplacedSession:
    @staticmethod
    def replacement(**fields: Any) -> ClassSession:
        """Like session 1, with another id."""
        return replace(session(1), id=2, **fields)

    @pytest.mark.parametrize(
        "other",
        [
            {"venue": CHAPEL},
            {"start": TOMORROW + timedelta(minutes=5)},
            {"title": "Flow"},
            {"status": Status.CANCELLED},
        ],
        ids=["another venue", "another start", "another name", "cancelled"],
    )
    def test_needs_a_live_replacement_with_the_same_venue_start_and_name(
        self, other: dict[str, Any]
    ) -> None:
        walks = WalkSequence()
        walks.walk([session(1)])
        walks.walk([self.replacement(**other)])
        assert walks.walk([self.replacement(**other)])[1].is_tombstone

    def test_loses_its_tombstone_if_the_replacement_comes_later(self) -> None:
        walks = WalkSequence()
        walks.walk([session(1), session(9)])
        for _ in range(2):
            after = walks.walk([session(9)])
        assert after[1].is_tombstone
        after = walks.walk([self.replacement(), session(9)])
        assert set(after) == {2, 9}

    def test_is_cancelled_if_the_same_class_took_place_in_parallel_all_along(self) -> None:
        rooms = {1: Room(1, "Upstairs"), 2: Room(2, "Downstairs")}
        walks = WalkSequence()
        walks.walk([replace(session(1), id=id, room=room) for id, room in rooms.items()])
        for _ in range(3):
            published = walks.walk([self.replacement(room=rooms[2])])
            cancelled = [id for id, entry in published.items() if entry.is_tombstone]
        assert (list(published), cancelled) == ([1, 2], [1])

    @pytest.mark.parametrize("rooms", [(1, 2, 2), (2, 1, 1), (1, 2, 3)])
    def test_is_one_of_two_parallel_ones_where_one_is_created_again(
        self, rooms: tuple[int, int, int]
    ) -> None:
        """The one in the same room is replaced, if there is one."""
        first, second, third = (
            replace(session(1), id=id, room=Room(room)) for id, room in enumerate(rooms, 1)
        )
        walks = WalkSequence()
        walks.walk([first, second])
        for _ in range(3):
            published = walks.walk([third])
        assert len(published) == 2
        [other] = published.keys() - {3}
        assert published[other].is_tombstone
        assert (published[other].session.room != third.room) or third.room == Room(3)


class TestUnusableRow:
    def broken(self) -> ClassSession:
        """The result of parsing a row without a visibility."""
        broken_type = replace(YOGA, visibility=None)
        return session(1, offering_type=broken_type, title="Broken", complete=False)

    def test_leaves_the_session_unchanged_and_never_cancels_it(self) -> None:
        walks = WalkSequence()
        before = walks.walk([session(1), session(2)])
        for _ in range(4):
            after = walks.walk([self.broken(), session(2)])
            assert is_unchanged(before[1], after[1])
            assert not after[1].is_tombstone

    def test_leaves_the_session_unchanged_if_the_row_was_dropped(self) -> None:
        walks = WalkSequence()
        before = walks.walk([session(1), session(2)])
        for _ in range(4):
            after = walks.walk([session(2)], unusable={1})
            assert is_unchanged(before[1], after[1])

    def test_leaves_the_session_unchanged_for_longer_than_the_shrink_hold(self) -> None:
        """Upstream still lists the session: it is not missing."""
        late = session(1, NOW + timedelta(days=3))
        walks = WalkSequence()
        before = walks.walk([late, session(2)])
        broken = replace(late, instructors=(), complete=False)
        for _ in range(2 * HOLD // 600):
            after = walks.walk([broken, session(2)])
            assert is_unchanged(before[1], after[1])

    @pytest.mark.parametrize("dropped", [False, True])
    def test_leaves_suspiciously_many_sessions_held_while_upstream_lists_them(
        self, dropped: bool
    ) -> None:
        walks = WalkSequence()
        sessions = [session(id) for id in range(1, 21)]
        before = walks.walk(sessions)
        broken = [replace(one, instructors=(), complete=False) for one in sessions]
        for _ in range(2 * HOLD // 600):
            listed, unusable = ([], range(1, 21)) if dropped else (broken, [])
            after = walks.walk(listed, unusable=unusable)
            assert all(
                entry.held and entry.session == before[id].session for id, entry in after.items()
            )
            assert len(after) == 20
        # Sessions that upstream stops listing are then held for SHRINK_HOLD, like all others.
        assert len(walks.walk(sessions[:1])) == 20
        after = walks.walk(sessions[:1], after=HOLD)
        assert len(after) == 1

    def test_is_replaced_by_the_first_usable_row(self) -> None:
        walks = WalkSequence()
        walks.walk([session(1)])
        walks.walk([self.broken()])
        after = walks.walk([session(1, venue=CHAPEL)])
        assert after[1].session.venue == CHAPEL
        assert not after[1].held

    def test_of_a_new_session_is_published(self) -> None:
        after = WalkSequence().walk([self.broken()])
        assert after[1].session == self.broken()

    def test_does_not_prevent_the_cancellation_of_a_session_deleted_later(self) -> None:
        walks = WalkSequence()
        walks.walk([session(1), session(2)])
        walks.walk([self.broken(), session(2)])
        walks.walk([session(2)])
        assert walks.walk([session(2)])[1].is_tombstone

    def test_of_all_sessions_at_once_holds_them_and_never_cancels_them(self) -> None:
        whole = sessions(20)
        broken_type = replace(YOGA, visibility=None)
        broken = [replace(session, offering_type=broken_type, complete=False) for session in whole]
        walks = WalkSequence()
        before = walks.walk(whole)
        for _ in range(HOLD // 600 - 1):
            after = walks.walk(broken)
            assert all(is_unchanged(before[id], after[id]) for id in before)
            assert all(entry.held for entry in after.values())

    def test_removes_nothing_permanently_once_upstream_has_recovered(self) -> None:
        whole = sessions(20)
        broken = [replace(session, complete=False) for session in whole]
        walks = WalkSequence()
        before = walks.walk(whole)
        for _ in range(2 * HOLD // 600):
            walks.walk(broken)
        assert set(walks.walk(whole)) == set(before)


class TestShrinkHold:
    @staticmethod
    def lose(
        whole: list[ClassSession], lost: int, rules: MergeRules = WIDE
    ) -> tuple[WalkSequence, dict[int, Published]]:
        """The state after two walks from which the first *lost* of *whole* are missing."""
        walks = WalkSequence(rules)
        walks.walk(whole)
        walks.walk(whole[lost:])
        return walks, walks.walk(whole[lost:])

    @staticmethod
    def spread(number: int) -> list[ClassSession]:
        """Sessions at four venues, so that no venue loses more than half of its sessions."""
        venues = [replace(RIVERSIDE, id=n) for n in range(4)]
        whole = sessions(number)
        return [replace(session, venue=venues[n % 4]) for n, session in enumerate(whole)]

    def test_believes_the_loss_of_five_even_if_they_are_all(self) -> None:
        _, after = self.lose(sessions(5), 5)
        assert all(entry.is_tombstone for entry in after.values())

    def test_holds_six_if_they_are_all(self) -> None:
        _, after = self.lose(sessions(6), 6)
        assert len(after) == 6
        assert all(entry.held and not entry.is_tombstone for entry in after.values())

    def test_believes_the_loss_of_a_quarter_of_all_sessions(self) -> None:
        _, after = self.lose(self.spread(24), 6)
        assert [id for id, entry in after.items() if entry.is_tombstone] == [1, 2, 3, 4, 5, 6]
        assert not any(entry.held for entry in after.values())

    def test_holds_more_than_a_quarter_of_all_sessions(self) -> None:
        _, after = self.lose(self.spread(23), 6)
        assert [id for id, entry in after.items() if entry.held] == [1, 2, 3, 4, 5, 6]
        assert not any(entry.is_tombstone for entry in after.values())

    def test_believes_the_loss_of_half_of_a_venue(self) -> None:
        whole = sessions(12) + sessions(60, first_id=100, venue=CHAPEL)
        _, after = self.lose(whole, 6)
        assert sum(entry.is_tombstone for entry in after.values()) == 6
        assert not any(entry.held for entry in after.values())

    def test_holds_more_than_half_of_a_venue(self) -> None:
        whole = sessions(11) + sessions(60, first_id=100, venue=CHAPEL)
        _, after = self.lose(whole, 6)
        assert [id for id, entry in after.items() if entry.held] == [1, 2, 3, 4, 5, 6]
        assert not any(entry.is_tombstone for entry in after.values())

    def test_does_not_count_past_sessions_and_tombstones_as_upcoming(self) -> None:
        past = [session(900 + n, NOW - timedelta(days=2) + n * HOUR) for n in range(20)]
        whole = self.spread(23)
        walks = WalkSequence()
        walks.walk(whole + past)
        after = walks.walk(whole[6:])
        assert sum(entry.held for entry in after.values()) == 6

    def test_makes_held_sessions_private_together_with_their_type(self) -> None:
        walks = WalkSequence()
        walks.walk(sessions(20))
        after = walks.walk([session(20, offering_type=replace(YOGA, draft=True))])
        assert sum(entry.held for entry in after.values()) == 19
        assert all(entry.session.offering_type.draft for entry in after.values())  # type: ignore[union-attr]

    def test_leaves_held_sessions_unchanged(self) -> None:
        walks = WalkSequence()
        before = walks.walk(sessions(20))
        for _ in range(5):
            after = walks.walk(sessions(2))
            assert set(after) == set(before)
            assert all(is_unchanged(before[id], after[id]) for id in before)

    def test_removes_sessions_that_were_missing_from_all_walks_of_the_hold(self) -> None:
        walks = WalkSequence()
        walks.walk(sessions(20))
        walks.walk(sessions(2))
        missing_since = walks.at
        while walks.at + 600 < missing_since + HOLD:
            after = walks.walk(sessions(2))
            assert len(after) == 20
            assert not any(entry.session.status is Status.CANCELLED for entry in after.values())
        assert set(walks.walk(sessions(2))) == {1, 2}
        assert set(walks.walk(sessions(2))) == {1, 2}

    def test_restarts_the_hold_after_a_walk_that_lists_the_sessions(self) -> None:
        walks = WalkSequence()
        before = walks.walk(sessions(20))
        walks.walk(sessions(2))
        walks.walk(sessions(2), after=HOLD - 600)
        assert walks.walk(sessions(20)) == before
        assert len(walks.walk(sessions(2))) == 20
        assert len(walks.walk(sessions(2), after=HOLD - 1)) == 20
        assert len(walks.walk(sessions(2), after=1)) == 2

    def test_never_cancels_the_few_that_stay_missing_when_the_rest_return(self) -> None:
        walks = WalkSequence()
        walks.walk(sessions(20))
        walks.walk(sessions(2))
        for _ in range(4):
            after = walks.walk(sessions(18))
            assert not any(entry.is_tombstone for entry in after.values())

    def test_does_not_hold_past_sessions(self) -> None:
        """A session that ends while it is held becomes history and needs no alert."""
        walks = WalkSequence()
        start = NOW + timedelta(minutes=15)
        soon = [session(n, start, end=start + HOUR / 2) for n in range(1, 9)]
        later = session(50, NOW + timedelta(days=5))
        walks.walk([*soon, later])
        assert sum(entry.held for entry in walks.walk([later]).values()) == 8
        after = walks.walk([later], after=7_200)
        assert set(after) == {*range(1, 9), 50}
        assert not any(entry.held for entry in after.values())
        assert all(entry.session.status is Status.ACTIVE for entry in after.values())

    def test_removes_held_sessions_at_once_if_the_operator_accepts(self) -> None:
        walks = WalkSequence()
        walks.walk(sessions(20))
        walks.walk(sessions(2))
        assert walks.snapshot is not None
        accepted = merge.drop_held(walks.snapshot)
        assert [entry.session.id for entry in accepted.published] == [1, 2]
        assert accepted.oldest_walk_at == walks.snapshot.oldest_walk_at
        walks.snapshot = accepted
        assert set(walks.walk(sessions(2))) == {1, 2}

    def test_applies_to_narrow_filter_sets_too(self) -> None:
        walks, after = self.lose(sessions(20), 18, NARROW)
        assert len(after) == 20
        assert sum(entry.held for entry in after.values()) == 18
        walks.walk(sessions(20)[18:], after=HOLD)
        assert set(walks.walk(sessions(20)[18:])) == {19, 20}


class TestNarrow:
    VENUE = FilterSet(venues=(12,), past=30, future=90)

    def test_a_missing_session_is_removed_and_never_cancelled(self) -> None:
        walks = WalkSequence(NARROW, self.VENUE)
        walks.walk([session(1), session(2)])
        after = walks.walk([session(2)])
        assert all(entry.session.status is Status.ACTIVE for entry in after.values())
        assert set(walks.walk([session(2)])) == {2}

    def test_a_session_that_moved_to_another_filter_set_is_removed_at_once(self) -> None:
        walks = WalkSequence(NARROW, self.VENUE)
        walks.walk([session(1), session(2)])
        other = WalkSequence(NARROW, FilterSet(venues=(13,), past=30, future=90), at=AT)
        moved = other.walk([session(1, venue=CHAPEL)], history=walks.snapshot.by_identity)[1]
        after = walks.walk([session(2)], after=700, history={moved.session.identity: moved})
        assert set(after) == {2}

    def test_a_session_before_the_window_is_removed(self) -> None:
        walks = WalkSequence(NARROW, self.VENUE)
        walks.walk([session(1), session(2, NOW + timedelta(days=3))])
        after = walks.walk([session(2, NOW + timedelta(days=3))], after=34 * DAY)
        assert set(after) == {2}

    def test_a_past_session_within_the_window_stays(self) -> None:
        walks = WalkSequence(NARROW, self.VENUE)
        walks.walk([session(1), session(2, NOW + timedelta(days=3))])
        after = walks.walk([session(2, NOW + timedelta(days=3))], after=2 * DAY)
        assert set(after) == {1, 2}


class TestHistory:
    def test_past_sessions_are_kept_when_the_window_has_moved_on(self) -> None:
        walks = WalkSequence()
        before = walks.walk([session(1)])
        for _ in range(4):
            after = walks.walk([], after=20 * DAY)
        assert is_unchanged(before[1], after[1])

    def test_any_number_of_past_sessions_may_be_missing(self) -> None:
        past = [session(n, NOW - timedelta(days=3) + n * HOUR) for n in range(1, 31)]
        walks = WalkSequence()
        before = walks.walk(past)
        for _ in range(3):
            assert walks.walk([]) == before

    def test_past_sessions_are_removed_after_400_days(self) -> None:
        walks = WalkSequence()
        walks.walk([session(1)])
        walks.walk([], after=20 * DAY)
        ended = session(1).ends.timestamp()
        assert set(walks.walk([], after=ended + HISTORY_DAYS * DAY - walks.at)) == {1}
        assert not walks.walk([], after=1)


class TestCoverage:
    def test_begins_at_the_start_of_the_first_walks_window(self) -> None:
        walks = WalkSequence()
        walks.walk([])
        assert walks.snapshot is not None
        # 26 hours earlier, so that the day has begun in every time zone
        assert walks.snapshot.covers_from == AT - (12 + 26) * 3600 - 30 * DAY

    def test_keeps_its_start_while_the_windows_of_walks_overlap(self) -> None:
        walks = WalkSequence()
        walks.walk([])
        first = walks.snapshot.covers_from
        for _ in range(10):
            walks.walk([], after=29 * DAY)
            assert walks.snapshot.covers_from == first

    def test_restarts_after_a_gap_between_the_windows_of_walks(self) -> None:
        walks = WalkSequence()
        walks.walk([])
        walks.walk([], after=33 * DAY)
        assert walks.snapshot.covers_from == AT - (12 + 26) * 3600 + 3 * DAY

    def test_does_not_begin_before_the_history(self) -> None:
        walks = WalkSequence()
        for _ in range(30):
            walks.walk([], after=20 * DAY)
        assert walks.snapshot.covers_from == walks.at - HISTORY_DAYS * DAY

    def test_is_unlimited_for_a_filter_set_without_a_lower_bound(self) -> None:
        walks = WalkSequence(NARROW, FilterSet(course=(51,)))
        walks.walk([])
        assert walks.snapshot.covers_from == float("-inf")

    def test_moves_with_the_window_of_a_narrow_filter_set(self) -> None:
        walks = WalkSequence(NARROW, FilterSet(past=7))
        walks.walk([])
        first = walks.snapshot.covers_from
        walks.walk([], after=DAY)
        assert walks.snapshot.covers_from == first + DAY
