"""Reminders: a VALARM in each event, where the address asks for it."""

import pytest
from samples import calendar, session

from bridge.config import Availability
from bridge.errors import ParameterError
from bridge.feeds.params import FeedDefaults, feed_spec
from bridge.feeds.spec import Audience, Cancelled, FeedSpec, Kind
from bridge.model import Status, Visibility

DEFAULTS = FeedDefaults(
    30,
    90,
    Audience(visibilities=frozenset({Visibility.PUBLIC}), availability=Availability.FULL),
)


def spec_of(*pairs: tuple[str, str]) -> FeedSpec:
    return feed_spec(Kind.SESSION, None, pairs, DEFAULTS)


@pytest.mark.parametrize("minutes", [0, 1, 30, 10_080])
def test_each_event_has_a_reminder_so_many_minutes_before_its_start(minutes: int) -> None:
    text = calendar(session(1), session(2), alarm=minutes).decode()
    assert text.count("BEGIN:VALARM\r\nACTION:DISPLAY\r\nDESCRIPTION:Vinyasa Flow") == 2
    assert text.count(f"TRIGGER:-PT{minutes}M\r\nEND:VALARM\r\nEND:VEVENT") == 2


def test_by_default_there_is_none() -> None:
    assert b"VALARM" not in calendar(session())


@pytest.mark.parametrize("cancelled", [Cancelled.STATUS, Cancelled.KEEP])
def test_a_cancelled_event_has_none(cancelled: Cancelled) -> None:
    one = session(status=Status.CANCELLED)
    assert b"VALARM" not in calendar(one, alarm=30, cancelled=cancelled)


def test_it_is_part_of_the_feeds_address_and_not_of_the_snapshots_key() -> None:
    with_alarm, without = spec_of(("alarm", "30")), spec_of()
    assert with_alarm.path(".ics") == "/sessions.ics?alarm=30&_=.ics"
    assert with_alarm.filter_set == without.filter_set
    assert with_alarm.name != without.name


@pytest.mark.parametrize("text", ["-1", "10081", "half an hour", "", "1.5"])
def test_other_values_are_refused(text: str) -> None:
    with pytest.raises(ParameterError, match="alarm"):
        spec_of(("alarm", text))
