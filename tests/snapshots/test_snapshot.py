"""Encoding of snapshots: they are decoded unchanged, and invalid data is rejected."""

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
from bridge.snapshots.encoding import decode, decode_session, encode, encode_session
from bridge.snapshots.snapshot import Snapshot, ordered

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
    missing_since=st.none() | _seconds,
    held=st.booleans(),
    is_tombstone=st.booleans(),
)
_snapshots = st.builds(
    Snapshot,
    oldest_walk_at=st.floats(0, 2**35),
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
    """Sessions of which most share a venue and a teacher."""
    listed = [*sessions(3), session(9, venue=CHAPEL, status=Status.CANCELLED)]
    published = tuple(revisions.with_revision(session, AT, None) for session in listed)
    return Snapshot(float(AT), float(AT - 86_400), published, {"dropped: no usable id": 2})


def assert_rejected(value: bytes) -> None:
    """*value* is rejected with the documented error."""
    with pytest.raises(ValueError, match="invalid snapshot"):
        decode(value)


@given(_snapshots)
def test_a_snapshot_is_decoded_unchanged(snapshot: Snapshot) -> None:
    assert decode(encode(snapshot)) == snapshot


@given(_published)
def test_a_session_is_decoded_unchanged(published: Published) -> None:
    assert decode_session(encode_session(published)) == published


def test_equal_snapshots_have_equal_encodings() -> None:
    assert encode(sample()) == encode(sample())


def test_parts_that_sessions_share_are_stored_once() -> None:
    assert zlib.decompress(encode(sample())).count(b"Wharf Road") == 1
    assert zlib.decompress(encode(sample())).count(YOGA.description.encode()) == 1


def test_parts_of_different_kinds_with_equal_values_are_not_confused() -> None:
    original = session(instructors=(Instructor(7, "Same"),), course=Course(7, "Same"))
    published = revisions.with_revision(original, AT, None)
    assert decode_session(encode_session(published)).session == original


def test_the_day_of_a_snapshot_is_the_utc_day_of_its_walk() -> None:
    late = datetime(2026, 11, 23, 23, 59, 59, tzinfo=UTC).timestamp()
    assert Snapshot(late, late, (), {}).day == date(2026, 11, 23)
    assert Snapshot(late + 1, late, (), {}).day == date(2026, 11, 24)


def test_sessions_are_ordered_by_start_and_identity() -> None:
    published = {entry.session.identity: entry for entry in reversed(sample().published)}
    assert [entry.session.id for entry in ordered(published)] == [1, 2, 3, 9]


@given(st.binary())
def test_arbitrary_bytes_are_rejected(value: bytes) -> None:
    assert_rejected(value)
    with pytest.raises(ValueError, match="invalid session"):
        decode_session(value)


@given(st.binary())
def test_compressed_arbitrary_bytes_are_rejected(value: bytes) -> None:
    assert_rejected(zlib.compress(value))


@given(_json)
def test_other_json_is_rejected(value: object) -> None:
    text = json.dumps(value).encode()
    assert_rejected(zlib.compress(text))
    with pytest.raises(ValueError, match="invalid session"):
        decode_session(text)


@given(st.integers(0, 10_000))
def test_a_truncated_snapshot_is_rejected(cut: int) -> None:
    whole = encode(sample())
    assert_rejected(whole[: cut % len(whole)])


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_snapshot_with_a_wrong_byte_is_rejected(place: int, change: int) -> None:
    damaged = bytearray(encode(sample()))
    # Several values of the two header bytes are valid, so only later bytes are changed.
    damaged[2 + place % (len(damaged) - 2)] ^= change
    assert_rejected(bytes(damaged))


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value in *value*, outermost first."""
    paths = [path]
    if isinstance(value, (dict, list)):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        paths += [inner for key, item in items for inner in _paths(item, (*path, key))]
    return paths


@given(st.data())
def test_a_wrong_value_anywhere_raises_no_other_error_than_value_error(data: st.DataObject) -> None:
    whole = json.loads(zlib.decompress(encode(sample())))
    *path, last = data.draw(st.sampled_from(_paths(whole)[1:]))
    parent = whole
    for step in path:
        parent = parent[step]
    extreme = st.sampled_from([10**400, 10**25, -(10**25), 1e300, -1, "x", None, [], {}, True])
    parent[last] = data.draw(extreme | _json)
    try:
        decode(zlib.compress(json.dumps(whole).encode()))
    except ValueError as err:
        assert str(err).startswith("invalid snapshot")  # noqa: PT017 - raising is allowed, not required


@pytest.mark.parametrize("depth", [100, 200_000])
def test_deep_nesting_is_rejected(depth: int) -> None:
    assert_rejected(zlib.compress(b"[" * depth))
    assert_rejected(zlib.compress(b"[" * depth + b"]" * depth))
    with pytest.raises(ValueError, match="invalid session"):
        decode_session(b"[" * depth)


@pytest.mark.parametrize("walked", [float("nan"), float("inf")], ids=str)
def test_a_walk_without_a_finite_time_is_rejected(walked: float) -> None:
    whole = json.loads(zlib.decompress(encode(sample())))
    whole["walked"] = walked
    assert_rejected(zlib.compress(json.dumps(whole).encode()))
