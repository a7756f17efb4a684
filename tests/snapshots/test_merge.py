"""What may be published: sentence by sentence (reliability.md)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from walking import AT, CHAPEL, HOUR, NOW, RIVERSIDE, TOMORROW, YOGA, session, sessions, walk

from bridge.filters import FilterSet
from bridge.model import ClassSession, Instructor, Published, Status, Visibility
from bridge.snapshots import merge
from bridge.snapshots.merge import HISTORY_DAYS, MergeRules
from bridge.snapshots.snapshot import Snapshot

HOLD = 21_600
WIDE = MergeRules(tombstones=True, history=True, shrink_hold=HOLD)
NARROW = MergeRules(tombstones=False, history=False, shrink_hold=HOLD)
EVERYTHING = FilterSet(past=30)
DAY = 86_400


@dataclass
class Publications:
    """A filter set's publications, one after another, ten minutes apart."""

    rules: MergeRules = WIDE
    filter_set: FilterSet = EVERYTHING
    snapshot: Snapshot | None = None
    at: float = AT - 600

    def walk(
        self,
        found: Iterable[ClassSession],
        *,
        after: float = 600,
        unusable: Iterable[int] = (),
        memory: Mapping[Any, Published] | None = None,
    ) -> dict[int, Published]:
        """What stands published, by id, after a walk that came to *found*."""
        self.at += after
        known = dict(self.snapshot.by_identity) if self.snapshot else {}
        self.snapshot = merge.publish(
            self.filter_set,
            walk(found, self.at, unusable=list(unusable)),
            self.snapshot,
            {**known, **(memory or {})},
            self.rules,
        )
        return {one.session.id: one for one in self.snapshot.published}


def as_it_was(before: Published, after: Published) -> bool:
    """Whether readers see no difference."""
    return (before.session, before.revision) == (after.session, after.revision)


class TestWhatTheWalkHas:
    @pytest.mark.parametrize(
        "fields",
        [
            {"start": NOW + timedelta(days=2), "end": NOW + timedelta(days=2, hours=1)},
            {"venue": CHAPEL},
            {"instructors": (Instructor(14, "Priya"),)},
            {"status": Status.CANCELLED},
            {"offering_type": replace(YOGA, visibility=Visibility.PRIVATE)},
            {"title": "Flow"},
        ],
        ids=["retimed", "moved", "taught by another", "cancelled", "made private", "renamed"],
    )
    def test_is_taken_as_it_is_now_at_once(self, fields: dict[str, Any]) -> None:
        timetable = Publications()
        timetable.walk([session()])
        after = timetable.walk([session(**fields)])
        assert after[1].session == session(**fields)
        assert after[1].revision.content == AT + 600

    def test_is_taken_however_many_change_at_once(self) -> None:
        timetable = Publications()
        timetable.walk(sessions(20))
        after = timetable.walk(sessions(20, status=Status.CANCELLED))
        assert all(one.session.status is Status.CANCELLED for one in after.values())
        assert not any(one.held or one.vanished for one in after.values())

    def test_is_new_at_first_sight(self) -> None:
        timetable = Publications()
        timetable.walk([session(1)])
        after = timetable.walk([session(1), session(2)])
        assert after[2].revision.created == AT + 600
        assert after[1].revision.created == AT

    def test_has_the_revision_that_it_got_under_another_filter_set(self) -> None:
        elsewhere = Publications().walk([session()])[1]
        here = Publications(at=AT + 5_000)
        after = here.walk([session()], memory={elsewhere.session.identity: elsewhere})
        assert after[1].revision == elsewhere.revision

    def test_is_not_taken_back_by_a_walk_that_began_earlier_and_ended_later(self) -> None:
        timetable = Publications()
        before = timetable.walk([session()])
        newer = Publications(snapshot=timetable.snapshot, at=AT)
        moved = newer.walk([session(venue=CHAPEL)], after=60)[1]
        after = timetable.walk([session()], after=30, memory={moved.session.identity: moved})
        assert after[1] == moved
        assert before[1] != moved

    def test_stands_in_the_order_of_start_and_identity(self) -> None:
        timetable = Publications()
        timetable.walk([session(3, TOMORROW), session(1, TOMORROW + HOUR), session(2, TOMORROW)])
        assert timetable.snapshot is not None
        assert [one.session.id for one in timetable.snapshot.published] == [2, 3, 1]


class TestASessionThatTheWalkLacks:
    def test_stays_as_it_was_at_first(self) -> None:
        timetable = Publications()
        before = timetable.walk([session(1), session(2)])
        after = timetable.walk([session(2)])
        assert as_it_was(before[1], after[1])
        assert not after[1].vanished

    def test_is_a_tombstone_once_the_next_walk_lacks_it_too(self) -> None:
        timetable = Publications()
        before = timetable.walk([session(1), session(2)])
        timetable.walk([session(2)])
        after = timetable.walk([session(2)])
        assert after[1].vanished
        assert after[1].session == replace(before[1].session, status=Status.CANCELLED)
        assert after[1].revision.content == AT + 1_200
        assert after[1].revision.sequence == before[1].revision.sequence + 20
        assert as_it_was(before[2], after[2])

    def test_is_as_before_when_the_next_walk_has_it_again(self) -> None:
        timetable = Publications()
        before = timetable.walk([session(1), session(2)])
        timetable.walk([session(2)])
        after = timetable.walk([session(1), session(2)])
        assert after == before

    def test_begins_anew_after_each_walk_that_has_it(self) -> None:
        timetable = Publications()
        before = timetable.walk([session(1), session(2)])
        for _ in range(3):
            timetable.walk([session(2)])
            after = timetable.walk([session(1), session(2)])
        assert as_it_was(before[1], after[1])

    def test_comes_back_from_its_tombstone_with_a_higher_sequence(self) -> None:
        timetable = Publications()
        timetable.walk([session(1), session(2)])
        timetable.walk([session(2)])
        tombstone = timetable.walk([session(2)])[1]
        after = timetable.walk([session(1), session(2)])[1]
        assert after.session == session(1)
        assert not after.vanished
        assert after.revision.sequence > tombstone.revision.sequence
        assert after.revision.created == AT

    def test_stays_a_tombstone_unchanged_until_it_would_have_ended(self) -> None:
        soon = session(1, NOW + timedelta(hours=2))
        timetable = Publications()
        timetable.walk([soon, session(2)])
        timetable.walk([session(2)])
        tombstone = timetable.walk([session(2)])[1]
        until = soon.ends.timestamp() - timetable.at
        assert timetable.walk([session(2)], after=until - 1)[1] == tombstone
        assert 1 not in timetable.walk([session(2)], after=1)

    def test_is_cancelled_even_when_it_was_cancelled_before(self) -> None:
        gone = session(1, status=Status.CANCELLED)
        timetable = Publications()
        before = timetable.walk([gone, session(2)])
        timetable.walk([session(2)])
        after = timetable.walk([session(2)])
        assert as_it_was(before[1], after[1])

    def test_stays_in_the_history_when_it_ended_before_the_next_walk(self) -> None:
        soon = session(1, NOW + timedelta(minutes=5), end=NOW + timedelta(minutes=15))
        timetable = Publications()
        before = timetable.walk([soon, session(2)])
        timetable.walk([session(2)])
        for _ in range(3):
            after = timetable.walk([session(2)])
            assert as_it_was(before[1], after[1])


class TestASessionThatWasMadeAnew:
    @staticmethod
    def anew(**fields: Any) -> ClassSession:
        """Like session 1, under another id."""
        return replace(session(1), id=2, **fields)

    def test_leaves_without_a_tombstone(self) -> None:
        timetable = Publications()
        timetable.walk([session(1)])
        timetable.walk([self.anew()])
        assert set(timetable.walk([self.anew()])) == {2}

    @pytest.mark.parametrize(
        "other",
        [
            {"venue": CHAPEL},
            {"start": TOMORROW + timedelta(minutes=5)},
            {"title": "Flow"},
            {"status": Status.CANCELLED},
        ],
        ids=["another venue", "another start", "another name", "not live"],
    )
    def test_is_told_by_venue_start_and_name_of_a_live_one(self, other: dict[str, Any]) -> None:
        timetable = Publications()
        timetable.walk([session(1)])
        timetable.walk([self.anew(**other)])
        assert timetable.walk([self.anew(**other)])[1].vanished

    def test_has_its_tombstone_removed_when_it_is_made_anew_only_later(self) -> None:
        timetable = Publications()
        timetable.walk([session(1), session(9)])
        for _ in range(2):
            after = timetable.walk([session(9)])
        assert after[1].vanished
        after = timetable.walk([self.anew(), session(9)])
        assert set(after) == {2, 9}


class TestAFormThatCannotBeUsed:
    def broken(self) -> ClassSession:
        """As a row without a visibility comes out."""
        kind = replace(YOGA, visibility=None)
        return session(1, offering_type=kind, title="Broken", complete=False)

    def test_leaves_the_session_as_it_was_and_never_cancels_it(self) -> None:
        timetable = Publications()
        before = timetable.walk([session(1), session(2)])
        for _ in range(4):
            after = timetable.walk([self.broken(), session(2)])
            assert as_it_was(before[1], after[1])
            assert not after[1].vanished

    def test_leaves_it_as_it_was_too_when_the_row_had_to_be_dropped(self) -> None:
        timetable = Publications()
        before = timetable.walk([session(1), session(2)])
        for _ in range(4):
            after = timetable.walk([session(2)], unusable={1})
            assert as_it_was(before[1], after[1])

    def test_leaves_it_as_it_was_for_longer_than_what_is_suspicious_is_held(self) -> None:
        """Upstream still lists it: it is not lost."""
        late = session(1, NOW + timedelta(days=3))
        timetable = Publications()
        before = timetable.walk([late, session(2)])
        broken = replace(late, instructors=(), complete=False)
        for _ in range(2 * HOLD // 600):
            after = timetable.walk([broken, session(2)])
            assert as_it_was(before[1], after[1])

    def test_is_replaced_by_the_first_that_can(self) -> None:
        timetable = Publications()
        timetable.walk([session(1)])
        timetable.walk([self.broken()])
        after = timetable.walk([session(1, venue=CHAPEL)])
        assert after[1].session.venue == CHAPEL
        assert not after[1].held

    def test_is_better_than_none_at_first_sight(self) -> None:
        after = Publications().walk([self.broken()])
        assert after[1].session == self.broken()

    def test_does_not_keep_a_session_that_was_deleted_afterwards_from_being_cancelled(self) -> None:
        timetable = Publications()
        timetable.walk([session(1), session(2)])
        timetable.walk([self.broken(), session(2)])
        timetable.walk([session(2)])
        assert timetable.walk([session(2)])[1].vanished

    def test_of_all_at_once_is_held_and_never_shown_as_cancelled(self) -> None:
        whole = sessions(20)
        kind = replace(YOGA, visibility=None)
        broken = [replace(one, offering_type=kind, complete=False) for one in whole]
        timetable = Publications()
        before = timetable.walk(whole)
        for _ in range(HOLD // 600 - 1):
            after = timetable.walk(broken)
            assert all(as_it_was(before[id], after[id]) for id in before)
            assert all(one.held for one in after.values())

    def test_costs_nothing_for_good_once_upstream_is_well_again(self) -> None:
        whole = sessions(20)
        broken = [replace(one, complete=False) for one in whole]
        timetable = Publications()
        before = timetable.walk(whole)
        for _ in range(2 * HOLD // 600):
            timetable.walk(broken)
        assert set(timetable.walk(whole)) == set(before)


class TestTheShrinkGuard:
    @staticmethod
    def lose(
        whole: list[ClassSession], lost: int, rules: MergeRules = WIDE
    ) -> tuple[Publications, dict[int, Published]]:
        """After two walks that lack the first *lost* of *whole*."""
        timetable = Publications(rules)
        timetable.walk(whole)
        timetable.walk(whole[lost:])
        return timetable, timetable.walk(whole[lost:])

    @staticmethod
    def spread(number: int) -> list[ClassSession]:
        """Sessions over so many venues that none loses more than half of its own."""
        venues = [replace(RIVERSIDE, id=n) for n in range(4)]
        whole = sessions(number)
        return [replace(one, venue=venues[n % 4]) for n, one in enumerate(whole)]

    def test_believes_five_even_where_they_are_all(self) -> None:
        _, after = self.lose(sessions(5), 5)
        assert all(one.vanished for one in after.values())

    def test_holds_six_where_they_are_all(self) -> None:
        _, after = self.lose(sessions(6), 6)
        assert len(after) == 6
        assert all(one.held and not one.vanished for one in after.values())

    def test_believes_a_quarter_of_the_providers(self) -> None:
        _, after = self.lose(self.spread(24), 6)
        assert [id for id, one in after.items() if one.vanished] == [1, 2, 3, 4, 5, 6]
        assert not any(one.held for one in after.values())

    def test_holds_more_than_a_quarter_of_the_providers(self) -> None:
        _, after = self.lose(self.spread(23), 6)
        assert [id for id, one in after.items() if one.held] == [1, 2, 3, 4, 5, 6]
        assert not any(one.vanished for one in after.values())

    def test_believes_half_of_one_venues(self) -> None:
        whole = sessions(12) + sessions(60, first_id=100, venue=CHAPEL)
        _, after = self.lose(whole, 6)
        assert sum(one.vanished for one in after.values()) == 6
        assert not any(one.held for one in after.values())

    def test_holds_more_than_half_of_one_venues(self) -> None:
        whole = sessions(11) + sessions(60, first_id=100, venue=CHAPEL)
        _, after = self.lose(whole, 6)
        assert [id for id, one in after.items() if one.held] == [1, 2, 3, 4, 5, 6]
        assert not any(one.vanished for one in after.values())

    def test_counts_neither_what_is_over_nor_tombstones_among_those_to_come(self) -> None:
        over = [session(900 + n, NOW - timedelta(days=2) + n * HOUR) for n in range(20)]
        whole = self.spread(23)
        timetable = Publications()
        timetable.walk(whole + over)
        after = timetable.walk(whole[6:])
        assert sum(one.held for one in after.values()) == 6

    def test_leaves_what_it_holds_as_it_was(self) -> None:
        timetable = Publications()
        before = timetable.walk(sessions(20))
        for _ in range(5):
            after = timetable.walk(sessions(2))
            assert set(after) == set(before)
            assert all(as_it_was(before[id], after[id]) for id in before)

    def test_holds_until_every_walk_for_the_hold_lacked_them_and_then_removes_them(self) -> None:
        timetable = Publications()
        timetable.walk(sessions(20))
        timetable.walk(sessions(2))
        lacking_since = timetable.at
        while timetable.at + 600 < lacking_since + HOLD:
            after = timetable.walk(sessions(2))
            assert len(after) == 20
            assert not any(one.session.status is Status.CANCELLED for one in after.values())
        assert set(timetable.walk(sessions(2))) == {1, 2}
        assert set(timetable.walk(sessions(2))) == {1, 2}

    def test_begins_the_hold_anew_after_a_walk_that_had_them(self) -> None:
        timetable = Publications()
        before = timetable.walk(sessions(20))
        timetable.walk(sessions(2))
        timetable.walk(sessions(2), after=HOLD - 600)
        assert timetable.walk(sessions(20)) == before
        assert len(timetable.walk(sessions(2))) == 20
        assert len(timetable.walk(sessions(2), after=HOLD - 1)) == 20
        assert len(timetable.walk(sessions(2), after=1)) == 2

    def test_never_cancels_those_few_that_stay_away_when_the_rest_come_back(self) -> None:
        timetable = Publications()
        timetable.walk(sessions(20))
        timetable.walk(sessions(2))
        for _ in range(4):
            after = timetable.walk(sessions(18))
            assert not any(one.vanished for one in after.values())

    def test_holds_nothing_that_is_over(self) -> None:
        """What ended while it was held is history, and nobody need be alerted to it."""
        timetable = Publications()
        begin = NOW + timedelta(minutes=15)
        soon = [session(n, begin, end=begin + HOUR / 2) for n in range(1, 9)]
        later = session(50, NOW + timedelta(days=5))
        timetable.walk([*soon, later])
        assert sum(one.held for one in timetable.walk([later]).values()) == 8
        after = timetable.walk([later], after=7_200)
        assert set(after) == {*range(1, 9), 50}
        assert not any(one.held for one in after.values())
        assert all(one.session.status is Status.ACTIVE for one in after.values())

    def test_removes_at_once_what_the_operator_accepts(self) -> None:
        timetable = Publications()
        timetable.walk(sessions(20))
        timetable.walk(sessions(2))
        assert timetable.snapshot is not None
        accepted = merge.drop_held(timetable.snapshot)
        assert [one.session.id for one in accepted.published] == [1, 2]
        assert accepted.walked == timetable.snapshot.walked
        timetable.snapshot = accepted
        assert set(timetable.walk(sessions(2))) == {1, 2}

    def test_guards_each_narrow_key_likewise(self) -> None:
        timetable, after = self.lose(sessions(20), 18, NARROW)
        assert len(after) == 20
        assert sum(one.held for one in after.values()) == 18
        timetable.walk(sessions(20)[18:], after=HOLD)
        assert set(timetable.walk(sessions(20)[18:])) == {19, 20}


class TestNarrow:
    VENUE = FilterSet(venues=(12,), past=30, future=90)

    def test_what_is_lost_leaves_and_is_never_cancelled(self) -> None:
        timetable = Publications(NARROW, self.VENUE)
        timetable.walk([session(1), session(2)])
        seen = timetable.walk([session(2)])
        assert all(one.session.status is Status.ACTIVE for one in seen.values())
        assert set(timetable.walk([session(2)])) == {2}

    def test_what_is_known_to_have_moved_elsewhere_leaves_at_once(self) -> None:
        timetable = Publications(NARROW, self.VENUE)
        timetable.walk([session(1), session(2)])
        other = Publications(NARROW, FilterSet(venues=(13,), past=30, future=90), at=AT)
        moved = other.walk([session(1, venue=CHAPEL)], memory=timetable.snapshot.by_identity)[1]
        after = timetable.walk([session(2)], after=700, memory={moved.session.identity: moved})
        assert set(after) == {2}

    def test_what_the_window_has_passed_leaves(self) -> None:
        timetable = Publications(NARROW, self.VENUE)
        timetable.walk([session(1), session(2, NOW + timedelta(days=3))])
        after = timetable.walk([session(2, NOW + timedelta(days=3))], after=32 * DAY)
        assert set(after) == {2}

    def test_what_is_over_and_still_in_the_window_stays(self) -> None:
        timetable = Publications(NARROW, self.VENUE)
        timetable.walk([session(1), session(2, NOW + timedelta(days=3))])
        after = timetable.walk([session(2, NOW + timedelta(days=3))], after=2 * DAY)
        assert set(after) == {1, 2}


class TestHistory:
    def test_what_is_over_is_kept_when_the_window_has_moved_on(self) -> None:
        timetable = Publications()
        before = timetable.walk([session(1)])
        for _ in range(4):
            after = timetable.walk([], after=20 * DAY)
        assert as_it_was(before[1], after[1])

    def test_what_is_over_may_vanish_in_any_number(self) -> None:
        over = [session(n, NOW - timedelta(days=3) + n * HOUR) for n in range(1, 31)]
        timetable = Publications()
        before = timetable.walk(over)
        for _ in range(3):
            assert timetable.walk([]) == before

    def test_ends_after_so_many_days(self) -> None:
        timetable = Publications()
        timetable.walk([session(1)])
        timetable.walk([], after=20 * DAY)
        ended = session(1).ends.timestamp()
        assert set(timetable.walk([], after=ended + HISTORY_DAYS * DAY - timetable.at)) == {1}
        assert not timetable.walk([], after=1)


class TestCoverage:
    def test_begins_at_the_edge_of_the_first_walk(self) -> None:
        timetable = Publications()
        timetable.walk([])
        assert timetable.snapshot is not None
        assert timetable.snapshot.covers_from == AT - 12 * 3600 - 30 * DAY

    def test_stays_where_it_began_while_walks_follow_one_another(self) -> None:
        timetable = Publications()
        timetable.walk([])
        began = timetable.snapshot.covers_from
        for _ in range(10):
            timetable.walk([], after=29 * DAY)
            assert timetable.snapshot.covers_from == began

    def test_begins_anew_after_a_time_in_which_nobody_looked(self) -> None:
        timetable = Publications()
        timetable.walk([])
        timetable.walk([], after=31 * DAY)
        assert timetable.snapshot.covers_from == AT - 12 * 3600 + DAY

    def test_goes_back_no_further_than_the_history(self) -> None:
        timetable = Publications()
        for _ in range(30):
            timetable.walk([], after=20 * DAY)
        assert timetable.snapshot.covers_from == timetable.at - HISTORY_DAYS * DAY

    def test_of_a_filter_set_without_an_early_edge_is_all(self) -> None:
        timetable = Publications(NARROW, FilterSet(course=(51,)))
        timetable.walk([])
        assert timetable.snapshot.covers_from == float("-inf")

    def test_of_a_narrow_filter_set_moves_with_its_window(self) -> None:
        timetable = Publications(NARROW, FilterSet(past=7))
        timetable.walk([])
        first = timetable.snapshot.covers_from
        timetable.walk([], after=DAY)
        assert timetable.snapshot.covers_from == first + DAY
