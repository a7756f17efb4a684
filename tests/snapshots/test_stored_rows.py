"""Rows that earlier versions stored: read with what they lack left empty."""

import json
import zlib
from typing import Any

import pytest

from bridge.model import Room, Visibility
from bridge.snapshots.encoding import decode, decode_session, encode_session

PARTS: list[list[Any]] = [
    ["venue", 12, "Hall", "1 Example St", "Europe/London", None, None, False, None],
    ["instructor", 11, "Zoë"],
    ["course", 51, "Mornings"],
    ["type", 31, "Yoga", "Bring a mat.", "Mind", "#2f855a", "public", False],
]
REVISION = [1_790_000_000, 470_000, 1_790_000_000, 0, 0, 0, 0]
ROW: list[Any] = [
    *["course_session", 7, "Vinyasa", 1_795_500_000, 1_795_503_600, "active", 4, 12, 0, [1], 2, 3],
    *["https://studio.example/p/7", None, True, REVISION, None, False, False],
]


def test_a_session_without_the_later_fields_is_read() -> None:
    published = decode_session(json.dumps({"parts": PARTS, "row": ROW}).encode())
    session = published.session
    assert session.identity == ("course_session", 7)
    assert (session.room, session.own_description, session.waiting) == (None, "", None)
    assert (session.booking_opens, session.registration) == (None, None)
    assert session.visibility is Visibility.PUBLIC
    assert session.offering_type is not None
    assert session.offering_type.category_id is None
    assert published.revision.sequence == 470_000
    assert decode_session(encode_session(published)) == published


def test_a_snapshot_of_an_earlier_version_is_read() -> None:
    data = {"walked": 1.5, "covers_from": None, "tally": {}, "parts": PARTS, "rows": [ROW]}
    snapshot = decode(zlib.compress(json.dumps(data).encode()))
    assert [entry.session.id for entry in snapshot.published] == [7]


def test_the_later_fields_are_read_back() -> None:
    row = [*ROW, 4, "Outside", 3, 1_795_000_000, "private"]
    parts = [*PARTS, ["room", 71, "Studio 1"]]
    published = decode_session(json.dumps({"parts": parts, "row": row}).encode())
    assert published.session.room == Room(71, "Studio 1")
    assert published.session.waiting == 3
    assert published.session.registration is Visibility.PRIVATE
    assert decode_session(encode_session(published)) == published


@pytest.mark.parametrize("row", [ROW[:18], [*ROW, 1, 2, 3, 4, 5, 6], []])
def test_rows_of_any_other_length_are_refused(row: list[Any]) -> None:
    with pytest.raises(ValueError, match="invalid session"):
        decode_session(json.dumps({"parts": PARTS, "row": row}).encode())
