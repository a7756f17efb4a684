"""The index finds the same sessions as a scan of the snapshot, and examines only a few."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from thorough import THOROUGH
from walking import AT, CHAPEL, YOGA, session

from bridge.filters import FilterSet, Occupancy
from bridge.model import ClassSession, Course, Instructor, Status
from bridge.snapshots import revisions
from bridge.snapshots.index import Index
from bridge.snapshots.snapshot import Snapshot, ordered

_WALKED = datetime.fromtimestamp(AT, UTC)
_FEW = st.integers(1, 4)
_HOURS = st.integers(-60 * 24, 60 * 24).map(lambda hours: _WALKED + timedelta(hours=hours))
_MOMENTS = st.one_of(
    st.none(),
    _HOURS,
    st.sampled_from([datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]),
)
_IDS = st.lists(st.integers(1, 5), max_size=3).map(tuple)


@st.composite
def sessions(draw: Any) -> ClassSession:
    start = draw(_HOURS)
    length = draw(st.sampled_from([None, 1, 60, 60 * 30]))
    return session(
        draw(st.integers(1, 40)),
        start=start,
        end=None if length is None else start + timedelta(minutes=length),
        venue=draw(st.sampled_from([None, CHAPEL, replace(CHAPEL, id=1, zone="Asia/Tokyo")])),
        instructors=tuple(Instructor(identity) for identity in draw(_IDS)),
        course=draw(st.one_of(st.none(), _FEW.map(Course))),
        offering_type=draw(
            st.one_of(st.none(), st.one_of(st.none(), _FEW).map(lambda i: replace(YOGA, id=i)))
        ),
        status=draw(st.sampled_from(Status)),
        attending=draw(st.integers(0, 3)),
    )


_FILTERS = st.builds(
    FilterSet.of,
    course=_IDS,
    venues=st.lists(st.sampled_from([1, CHAPEL.id, 99]), max_size=2),
    instructors=_IDS,
    offering_types=_IDS,
    status=st.lists(st.sampled_from(Status), max_size=2),
    occupancy_status=st.lists(st.sampled_from(Occupancy), max_size=2),
    past=st.one_of(st.none(), st.integers(0, 60)),
    future=st.one_of(st.none(), st.integers(0, 60)),
    starts_at_gte=_MOMENTS,
    starts_at_lte=_MOMENTS,
    ends_at_gte=_MOMENTS,
    ends_at_lte=_MOMENTS,
    local_starts_at_gte=_MOMENTS,
    local_starts_at_lte=_HOURS.map(lambda moment: moment.replace(tzinfo=None)) | st.none(),
    session=st.one_of(st.none(), st.integers(1, 40)),
)


def snapshot_of(sessions: list[ClassSession]) -> Snapshot:
    published = {
        session.identity: revisions.with_revision(session, int(AT), None) for session in sessions
    }
    return Snapshot(AT, float("-inf"), ordered(published), {})


@given(st.lists(sessions(), max_size=12), _FILTERS)
@example([], FilterSet())
@settings(max_examples=300 if THOROUGH else 60)
def test_it_finds_the_same_sessions_as_a_scan(
    sessions: list[ClassSession], filter_set: FilterSet
) -> None:
    snapshot = snapshot_of(sessions)
    scanned = [
        entry for entry in snapshot.published if filter_set.may_match(entry.session, snapshot.day)
    ]
    assert [*snapshot.matching(filter_set)] == scanned


MANY = snapshot_of(
    [
        session(
            number,
            start=_WALKED + timedelta(hours=number),
            end=_WALKED + timedelta(hours=number + 1),
            venue=replace(CHAPEL, id=number % 10),
            instructors=(Instructor(number % 20),),
            course=Course(number % 100),
            offering_type=replace(YOGA, id=number % 5),
        )
        for number in range(1000)
    ]
)


@pytest.mark.parametrize(
    ("filter_set", "most"),
    [
        (FilterSet(venues=(3,)), 100),
        (FilterSet(venues=(3, 4)), 200),
        (FilterSet(instructors=(3,)), 50),
        (FilterSet(course=(3,)), 10),
        (FilterSet(offering_types=(3,)), 200),
        (FilterSet(session=3), 1),
        (FilterSet(venues=(3,), course=(3,)), 10),
        (FilterSet(venues=(77,)), 0),
        (FilterSet(past=0, future=0), 52),
        (FilterSet(venues=(3,), future=9), 29),
        (FilterSet(starts_at_gte=_WALKED + timedelta(hours=990)), 10),
        (FilterSet(ends_at_gte=_WALKED + timedelta(hours=990)), 12),
        (FilterSet(ends_at_lte=_WALKED + timedelta(hours=10)), 11),
    ],
)
def test_it_examines_only_a_few_sessions(filter_set: FilterSet, most: int) -> None:
    index = Index(MANY.published)
    assert len(index.positions(filter_set, filter_set.widest_window(MANY.day))) <= most
    assert len([*MANY.matching(filter_set)]) <= most
