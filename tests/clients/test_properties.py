"""Property tests: calendars of arbitrary upstream data are valid and read correctly."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from conftest import NOW
from feeds import samples
from hypothesis import example, given, settings
from hypothesis import strategies as st
from thorough import THOROUGH
from upstreams.rows import MISSING, instructor_row, session_row, stamp, venue_row

from bridge.feeds.formats import FORMATS
from bridge.feeds.spec import Cancelled, TimeStyle
from bridge.upstream.parser import parse
from bridge.upstream.sources import COURSE_SESSIONS
from clients.checkers import IN_PROCESS
from clients.events import Event, difference
from clients.expected_events import events_of, public_rows

# Any JSON string, including lone surrogates; difficult characters are frequent.
_DIFFICULT = (
    "\r\n\t\x00\x08\x0b\x0c\x1b\x1f\x7f\x80\x85\x9f\xa0\u2028\u2029\u200d\ufe0f\ufeff\ufffe\ud800"
)
_SIGNS = ",;:\\\"'^=<&ëé–🧘"
TEXTS = st.text(
    st.one_of(
        st.sampled_from(_DIFFICULT + _SIGNS),
        st.characters(codec=None, exclude_categories=()),
        st.just("n"),
    ),
    max_size=120,
)
NAMES = st.one_of(TEXTS, TEXTS.map(lambda text: text * 5), st.sampled_from(["", None, MISSING]))
TIMES = st.integers(-40 * 86400, 360 * 86400).map(lambda s: NOW + timedelta(seconds=s))
MINUTES = st.integers(1, 36 * 60)


@st.composite
def rows(draw):
    """A row with valid times and arbitrary texts."""
    index = draw(st.integers(0, 4))
    start = draw(TIMES)
    people = [
        instructor_row(draw(st.integers(0, 11)), name=draw(NAMES))
        for _ in range(draw(st.integers(0, 2)))
    ]
    return session_row(
        draw(st.integers(1, 2**63 - 1)),
        stamp(start),
        ends_at=stamp(start + timedelta(minutes=draw(MINUTES))),
        name=draw(NAMES),
        status=draw(st.sampled_from(["active", "cancelled"])),
        attending_count=draw(st.integers(0, 40)),
        max_occupancy=draw(st.sampled_from([None, 0, 1, 12, 30])),
        venue=venue_row(index, name=draw(NAMES), address=draw(NAMES)),
        instructors=people,
        course__name=draw(NAMES),
        course__offering_type__name=draw(NAMES),
        course__offering_type__description=draw(NAMES),
        course__offering_type__category__name=draw(NAMES),
        customer_url=draw(st.one_of(TEXTS, st.just("/p/1?a=1,2;b=ë"))),
    )


FEEDS = st.lists(rows(), max_size=6, unique_by=lambda row: row["id"])


def content(rows, **options):
    parsed = parse(rows, COURSE_SESSIONS, "https://goteamup.com")
    feed = samples.spec(**options)
    return samples.content(samples.snapshot(*parsed.sessions), feed)


def calendar(rows, **options):
    return FORMATS["ics"].render(
        replace(content(rows, **options), base_url="https://bridge.example")
    )


@pytest.mark.parametrize("client", ["strict", "icalendar", "ical", "vobject"])
@pytest.mark.parametrize("times", TimeStyle)
@settings(max_examples=60 if THOROUGH else 25, deadline=None)
@given(sent=FEEDS)
@example(sent=[session_row(1, NOW, name="\ufeff", instructors=[])])
@example(sent=[session_row(1, NOW, name="n\\n\\;\\,", instructors=[])])
def test_clients_read_the_expected_events(client, times, sent):
    read = IN_PROCESS[client](calendar(sent, times=times))
    expected = events_of(public_rows(sent))
    assert difference(read, expected) == ""


@settings(max_examples=100 if THOROUGH else 40, deadline=None)
@given(sent=FEEDS)
def test_only_cancelled_sessions_are_hidden(sent):
    read = IN_PROCESS["strict"](calendar(sent, cancelled=Cancelled.HIDE))
    expected = events_of(public_rows(sent), cancelled="hide")
    assert difference(read, expected) == ""


@settings(max_examples=100 if THOROUGH else 40, deadline=None)
@given(sent=FEEDS, order=st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_change_the_calendar(sent, order):
    shuffled = list(sent)
    order.shuffle(shuffled)
    assert calendar(shuffled) == calendar(sent)


@settings(max_examples=100 if THOROUGH else 40, deadline=None)
@given(sent=FEEDS)
def test_json_has_the_same_events_as_the_calendar(sent):
    from_json = [
        Event.of(
            event["id"],
            event["title"],
            _instant(event["start"]),
            _instant(event["end"]) if event["end"] else None,
        )
        for event in json.loads(FORMATS["json"].render(content(sent)))
    ]
    read = IN_PROCESS["strict"](calendar(sent))
    # Titles in calendars are truncated for Outlook.
    assert [event._replace(title=event.title[:120]) for event in from_json] == [
        event._replace(title=event.title[:120]) for event in read
    ]


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
