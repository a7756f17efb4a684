"""What events say about a cover and about the time that they were moved from."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from ical_lines import read
from samples import SEEN, START, calendar, content, published, session, snapshot, spec

from bridge import languages
from bridge.feeds.formats import FORMATS
from bridge.feeds.spec import ChangeNotes
from bridge.model import Instructor, Published, Venue

ZOE, SAM, ANN = Instructor(101, "Zoë"), Instructor(102, "Sam"), Instructor(103, "Ann")
LATER = SEEN + timedelta(hours=1)


def changed(before: dict[str, Any], after: dict[str, Any]) -> Published:
    return published(session(**after), seen=LATER, before=published(session(**before)))


def lines(entry: Published, **options: Any) -> tuple[str, str]:
    """Title and description of the event."""
    [event] = read(calendar(entry, **options)).all("VEVENT")
    return event.value("SUMMARY").replace("\\,", ","), event.value("DESCRIPTION")


@pytest.mark.parametrize(
    ("before", "after", "title", "first_line"),
    [
        ([ZOE], [SAM], "Sam (cover)", "Instead of Zoë"),
        ([ZOE, ANN], [ZOE, SAM], "Zoë, Sam (cover)", "Instead of Ann"),
        ([ZOE, ANN], [SAM], "Sam (cover)", "Instead of Zoë, Ann"),
        ([ZOE], [ZOE, SAM], "Zoë, Sam", "Instructors: Zoë, Sam"),
        ([ZOE, ANN], [ZOE], "Zoë", "Instructor: Zoë"),
        ([], [SAM], "Sam", "Instructor: Sam"),
    ],
)
def test_a_cover_is_marked_in_the_title_and_named_first_in_the_description(
    before: list[Instructor], after: list[Instructor], title: str, first_line: str
) -> None:
    entry = changed({"instructors": tuple(before)}, {"instructors": tuple(after)})
    summary, description = lines(entry)
    assert summary == f"Vinyasa Flow – {title}"
    assert description.split("\\n")[0] == first_line.replace(",", "\\,")


def test_a_moved_class_states_its_first_time_in_the_venues_zone() -> None:
    summary, description = lines(changed({}, {"start": START + timedelta(hours=2)}))
    assert summary == "Vinyasa Flow – Zoë"
    assert description.startswith("Moved from Tue 20 Oct\\, 18:30\\n")
    nowhere = replace(session().venue or Venue(1), zone=None)
    moved = changed({"venue": nowhere}, {"venue": nowhere, "start": START + timedelta(hours=2)})
    assert lines(moved)[1].startswith("Moved from Tue 20 Oct\\, 17:30 UTC\\n")
    offset = {"venue": None, "utc_offset": 120}
    moved = changed(offset, {**offset, "start": START + timedelta(hours=2)})
    assert lines(moved)[1].startswith("Moved from Tue 20 Oct\\, 19:30 UTC+2\\n")


def test_cover_off_leaves_the_words_out() -> None:
    entry = changed({}, {"instructors": (SAM,), "start": START + timedelta(hours=2)})
    plain = published(session(instructors=(SAM,), start=START + timedelta(hours=2)), seen=LATER)
    assert lines(entry, cover=ChangeNotes.OFF) == lines(plain)


def test_the_words_are_in_the_language_of_the_feed() -> None:
    german = languages.translated("de")
    assert german is not None
    entry = changed({}, {"instructors": (SAM,), "start": START + timedelta(hours=2)})
    summary, description = lines(entry, language=german)
    assert summary == "Vinyasa Flow – Sam (Vertretung)"
    assert description.startswith("Statt Zoë\\nVerlegt von Di.\\, 20. Okt.\\, 18:30\\n")


def test_every_format_marks_a_cover() -> None:
    whole = content(snapshot(changed({}, {"instructors": (SAM,)})), spec())
    for form in FORMATS.values():
        assert b"Sam (cover)" in form.render(whole)
