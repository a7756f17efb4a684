"""The plain-text format: an agenda for the terminal."""

import locale
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from samples import HALL, SEEN, START, content, session, snapshot, spec

from bridge.config import Availability
from bridge.feeds.formats.text import render
from bridge.feeds.spec import Cancelled, Kind
from bridge.filters import Weekday
from bridge.model import Status

BROOKLYN = replace(HALL, id=12, name="Loft", zone="America/New_York")


def text(*sessions: Any, **options: Any) -> str:
    return render(content(snapshot(*sessions, walked=SEEN), spec(**options))).decode()


def test_it_lists_the_sessions_by_day_at_the_venues_time() -> None:
    later = session(
        2,
        start=START + timedelta(days=1, hours=1),
        title="Slow Flow",
        instructors=(),
        status=Status.CANCELLED,
    )
    endless = session(3, start=START + timedelta(days=7), end=None)
    assert text(endless, later, session(), kind=Kind.VENUE, identity=11) == (
        "Kings Cross\n"
        "Times are Europe/London time.\n"
        "\n"
        "Tue 20 Oct 2026\n"
        "  18:30-19:30  Vinyasa Flow – Zoë  @ Kings Cross\n"
        "\n"
        "Wed 21 Oct 2026\n"
        "  19:30-20:30  CANCELLED: Slow Flow  @ Kings Cross\n"
        "\n"
        # the clocks have changed
        "Tue 27 Oct 2026\n"
        "  17:30        Vinyasa Flow – Zoë  @ Kings Cross\n"
    )


def test_sessions_in_several_zones_show_their_zone_and_are_listed_under_their_local_day() -> None:
    late = session(1, start=START + timedelta(hours=8))  # half past two in London
    abroad = session(2, start=START + timedelta(hours=8), venue=BROOKLYN)  # half past nine
    assert text(late, abroad) == (
        "Classes\n"
        "Times are local to each venue.\n"
        "\n"
        "Tue 20 Oct 2026\n"
        "  21:30-22:30  America/New_York  Vinyasa Flow – Zoë  @ Loft\n"
        "\n"
        "Wed 21 Oct 2026\n"
        "  02:30-03:30  Europe/London  Vinyasa Flow – Zoë  @ Kings Cross\n"
    )


def test_a_day_with_sessions_in_several_zones_has_one_heading() -> None:
    sessions = [
        session(n, start=START + timedelta(hours=n), venue=BROOKLYN if n % 2 else HALL)
        for n in range(48)
    ]
    days = [line for line in text(*sessions).splitlines() if line.endswith("2026")]
    assert len(days) == len(set(days)) == 3


def test_times_of_a_venue_without_a_zone_are_in_utc() -> None:
    agenda = text(session(venue=replace(HALL, zone=None)))
    assert "Times are UTC time.\n" in agenda
    assert "  17:30-18:30  " in agenda


def test_an_end_on_another_day_is_written_with_its_day() -> None:
    assert "  18:30-Thu 22 Oct, 12:30  " in text(session(end=START + timedelta(hours=42)))
    assert "  18:30-02:30  " in text(session(end=START + timedelta(hours=8)))


def test_without_a_venue_the_day_and_times_are_at_the_sessions_own_offset() -> None:
    # 00:30 of Wednesday, which the filters count, too.
    session_of_wednesday = session(start=START + timedelta(hours=5), venue=None, utc_offset=120)
    agenda = text(session_of_wednesday, filters={"weekdays": {Weekday.WED}})
    assert "Times are UTC+2 time.\n\nWed 21 Oct 2026\n  00:30-01:30  " in agenda
    both = text(session_of_wednesday, session(2, start=START + timedelta(hours=5)))
    assert "Wed 21 Oct 2026\n  00:30-01:30  UTC+2  Vinyasa" in both


def test_an_empty_agenda_has_the_feeds_name() -> None:
    soon = {"past": 7, "future": 7}
    agenda = text(session(), kind=Kind.VENUE, identity=11, filters=soon)
    assert agenda == "Kings Cross\nNothing is on.\n"


def test_an_agenda_of_an_unknown_object_says_so() -> None:
    expected = "Venue 11\nNothing is on.\nNo class of venue 11 is known.\n"
    assert text(kind=Kind.VENUE, identity=11) == expected


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({}, "Vinyasa Flow – Zoë  @"),
        ({"availability": Availability.SPOTS}, "Vinyasa Flow – Zoë (5 left)  @"),
    ],
)
def test_places_are_shown_as_requested(options: Any, line: str) -> None:
    assert line in text(session(), **options)


def test_cancelled_sessions_are_hidden_on_request() -> None:
    cancelled = session(2, title="Slow Flow", status=Status.CANCELLED)
    assert "Slow Flow" not in text(session(), cancelled, cancelled=Cancelled.HIDE)
    assert "CANCELLED: Slow Flow" in text(session(), cancelled, cancelled=Cancelled.KEEP)


def test_names_of_days_and_months_do_not_depend_on_the_locale() -> None:
    before = locale.setlocale(locale.LC_TIME)
    try:
        for name in ("de_DE.UTF-8", "C.UTF-8", "C"):
            try:
                locale.setlocale(locale.LC_TIME, name)
            except locale.Error:
                continue
            assert "Tue 20 Oct 2026" in text(session())
    finally:
        locale.setlocale(locale.LC_TIME, before)
