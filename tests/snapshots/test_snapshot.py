"""Snapshots in the store: what was published comes back whole, and nothing else passes for one."""

import json
import zlib
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from walking import AT, CHAPEL, YOGA, session, sessions

from bridge.model import (
    ClassSession,
    Course,
    Instructor,
    OfferingType,
    Published,
    Revision,
    Status,
    Venue,
    Visibility,
)
from bridge.snapshots import revisions
from bridge.snapshots.snapshot import (
    Snapshot,
    decode,
    decode_session,
    encode,
    encode_session,
    ordered,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ids = st.integers(0, 2**63 - 1)
_seconds = st.integers(-(2**31), 2**35)
_text = st.text(max_size=12)
_moments = _seconds.map(lambda seconds: _EPOCH + timedelta(seconds=seconds))
_degrees = st.none() | st.floats(-180, 180)
_venues = st.builds(
    Venue,
    _ids,
    _text,
    _text,
    st.sampled_from([None, "Europe/London"]),
    _degrees,
    _degrees,
    st.booleans(),
    st.none() | _text,
)
_types = st.builds(
    OfferingType,
    st.none() | _ids,
    _text,
    _text,
    _text,
    st.none() | _text,
    st.none() | st.sampled_from(Visibility),
    st.booleans(),
)
_sessions = st.builds(
    ClassSession,
    source=st.sampled_from(["course_session", "event"]),
    id=_ids,
    title=_text,
    start=_moments,
    end=st.none() | _moments,
    status=st.sampled_from(Status),
    attending=st.integers(0, 2**31),
    capacity=st.none() | st.integers(1, 2**31),
    venue=st.none() | _venues,
    instructors=st.lists(st.builds(Instructor, _ids, _text), max_size=3).map(tuple),
    course=st.none() | st.builds(Course, _ids, _text),
    offering_type=st.none() | _types,
    booking_url=st.none() | _text,
    staff_url=st.none() | _text,
    complete=st.booleans(),
)
_published = st.builds(
    Published,
    session=_sessions,
    revision=st.builds(Revision, *[_seconds] * 7),
    lacking_since=st.none() | _seconds,
    held=st.booleans(),
    vanished=st.booleans(),
)
_snapshots = st.builds(
    Snapshot,
    walked=st.floats(0, 2**35),
    covers_from=st.just(float("-inf")) | st.floats(-(2**35), 2**35),
    published=st.lists(_published, max_size=5).map(tuple),
    tally=st.dictionaries(_text, st.integers(0, 1_000), max_size=3),
)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def sample() -> Snapshot:
    """A few sessions that share their venue and teacher."""
    found = [*sessions(3), session(9, venue=CHAPEL, status=Status.CANCELLED)]
    published = tuple(revisions.published(one, AT, None) for one in found)
    return Snapshot(float(AT), float(AT - 86_400), published, {"dropped: no usable id": 2})


def no_snapshot(value: bytes) -> None:
    """*value* is refused in the one way that is documented."""
    with pytest.raises(ValueError, match="no snapshot"):
        decode(value)


@given(_snapshots)
def test_a_snapshot_comes_back_equal(snapshot: Snapshot) -> None:
    assert decode(encode(snapshot)) == snapshot


@given(_published)
def test_a_session_comes_back_equal(published: Published) -> None:
    assert decode_session(encode_session(published)) == published


def test_equal_snapshots_are_equal_bytes() -> None:
    assert encode(sample()) == encode(sample())


def test_parts_that_sessions_share_stand_in_it_once() -> None:
    assert zlib.decompress(encode(sample())).count(b"Wharf Road") == 1
    assert zlib.decompress(encode(sample())).count(YOGA.description.encode()) == 1


def test_a_part_is_told_from_another_kind_with_the_same_values() -> None:
    one = session(instructors=(Instructor(7, "Same"),), course=Course(7, "Same"))
    published = revisions.published(one, AT, None)
    assert decode_session(encode_session(published)).session == one


def test_a_snapshot_is_of_the_utc_day_of_its_walk() -> None:
    late = datetime(2026, 11, 23, 23, 59, 59, tzinfo=UTC).timestamp()
    assert Snapshot(late, late, (), {}).day == date(2026, 11, 23)
    assert Snapshot(late + 1, late, (), {}).day == date(2026, 11, 24)


def test_sessions_are_ordered_by_start_and_identity_however_they_came() -> None:
    published = {one.session.identity: one for one in reversed(sample().published)}
    assert [one.session.id for one in ordered(published)] == [1, 2, 3, 9]


@given(st.binary())
def test_arbitrary_bytes_are_no_snapshot(value: bytes) -> None:
    no_snapshot(value)
    with pytest.raises(ValueError, match="no session"):
        decode_session(value)


@given(st.binary())
def test_compressed_arbitrary_bytes_are_no_snapshot(value: bytes) -> None:
    no_snapshot(zlib.compress(value))


@given(_json)
def test_other_json_is_no_snapshot(value: object) -> None:
    text = json.dumps(value).encode()
    no_snapshot(zlib.compress(text))
    with pytest.raises(ValueError, match="no session"):
        decode_session(text)


@given(st.integers(0, 10_000))
def test_a_snapshot_that_was_cut_short_is_none(cut: int) -> None:
    whole = encode(sample())
    no_snapshot(whole[: cut % len(whole)])


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_snapshot_with_a_wrong_byte_is_none(place: int, change: int) -> None:
    damaged = bytearray(encode(sample()))
    # the two bytes before the data say how it was compressed, and may do so in several ways
    damaged[2 + place % (len(damaged) - 2)] ^= change
    no_snapshot(bytes(damaged))


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in *value*, outermost first."""
    places = [path]
    if isinstance(value, (dict, list)):
        inner = value.items() if isinstance(value, dict) else enumerate(value)
        places += [place for key, one in inner for place in _leaves(one, (*path, key))]
    return places


@given(st.data())
def test_a_value_out_of_place_raises_nothing_but_a_value_error(data: st.DataObject) -> None:
    whole = json.loads(zlib.decompress(encode(sample())))
    *path, last = data.draw(st.sampled_from(_leaves(whole)[1:]))
    holder = whole
    for step in path:
        holder = holder[step]
    extreme = st.sampled_from([10**400, 10**25, -(10**25), 1e300, -1, "x", None, [], {}, True])
    holder[last] = data.draw(extreme | _json)
    try:
        decode(zlib.compress(json.dumps(whole).encode()))
    except ValueError as err:
        assert str(err).startswith("no snapshot")  # noqa: PT017 - raising is allowed, not required


@pytest.mark.parametrize("depth", [100, 200_000])
def test_deep_nesting_is_no_snapshot(depth: int) -> None:
    no_snapshot(zlib.compress(b"[" * depth))
    no_snapshot(zlib.compress(b"[" * depth + b"]" * depth))
    with pytest.raises(ValueError, match="no session"):
        decode_session(b"[" * depth)


@pytest.mark.parametrize("walked", [float("nan"), float("inf")], ids=str)
def test_a_walk_at_no_time_is_no_snapshot(walked: float) -> None:
    whole = json.loads(zlib.decompress(encode(sample())))
    whole["walked"] = walked
    no_snapshot(zlib.compress(json.dumps(whole).encode()))
