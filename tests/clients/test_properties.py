"""Whatever upstream sends is written to the letter, and read as it was said."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from conftest import NOW
from feeds import samples
from hypothesis import example, given, settings
from hypothesis import strategies as st
from upstreams.rows import MISSING, instructor_row, session_row, stamp, venue_row

from bridge.feeds.formats import FORMATS
from bridge.feeds.spec import Cancelled, TimeStyle
from bridge.upstream.parser import parse
from bridge.upstream.sources import COURSE_SESSIONS
from clients import said
from clients.checkers import IN_PROCESS
from clients.reading import Reading, difference

# Everything a JSON string may hold, lone surrogates too; what hurts, often.
_HURTS = (
    "\r\n\t\x00\x08\x0b\x0c\x1b\x1f\x7f\x80\x85\x9f\xa0\u2028\u2029\u200d\ufe0f\ufeff\ufffe\ud800"
)
_SIGNS = ",;:\\\"'^=<&ëé–🧘"
TEXTS = st.text(
    st.one_of(
        st.sampled_from(_HURTS + _SIGNS),
        st.characters(codec=None, exclude_categories=()),
        st.just("n"),
    ),
    max_size=120,
)
NAMES = st.one_of(TEXTS, TEXTS.map(lambda text: text * 5), st.sampled_from(["", None, MISSING]))
MOMENTS = st.integers(-40 * 86400, 360 * 86400).map(lambda s: NOW + timedelta(seconds=s))
MINUTES = st.integers(1, 36 * 60)


@st.composite
def rows(draw):
    """A row that can be placed in time; its words are anything at all."""
    index = draw(st.integers(0, 4))
    start = draw(MOMENTS)
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


def shown(given_rows, **options):
    parsed = parse(given_rows, COURSE_SESSIONS, "https://goteamup.com")
    feed = samples.spec(**options)
    held = samples.snapshot(*parsed.sessions)
    return samples.content(held, feed)


def calendar(given_rows, **options):
    content = replace(shown(given_rows, **options), base_url="https://bridge.example")
    return FORMATS["ics"].render(content)


@pytest.mark.parametrize("client", ["to the letter", "icalendar", "ical", "vobject"])
@pytest.mark.parametrize("times", TimeStyle)
@settings(max_examples=60, deadline=None)
@given(sent=FEEDS)
@example(sent=[session_row(1, NOW, name="\ufeff", instructors=[])])
@example(sent=[session_row(1, NOW, name="n\\n\\;\\,", instructors=[])])
def test_what_a_client_reads_is_what_upstream_said(client, times, sent):
    read = IN_PROCESS[client](calendar(sent, times=times))
    due = said.readings(said.public(sent))
    assert difference(read, due) == ""


@settings(max_examples=100, deadline=None)
@given(sent=FEEDS)
def test_hidden_sessions_and_no_others_are_left_out(sent):
    read = IN_PROCESS["to the letter"](calendar(sent, cancelled=Cancelled.HIDE))
    due = said.readings(said.public(sent), cancelled="hide")
    assert difference(read, due) == ""


@settings(max_examples=100, deadline=None)
@given(sent=FEEDS, order=st.randoms(use_true_random=False))
def test_the_order_of_upstreams_rows_changes_no_byte(sent, order):
    shuffled = list(sent)
    order.shuffle(shuffled)
    assert calendar(shuffled) == calendar(sent)


@settings(max_examples=100, deadline=None)
@given(sent=FEEDS)
def test_json_says_the_same_as_the_calendar(sent):
    told = [
        Reading.of(
            one["id"],
            one["title"],
            _instant(one["start"]),
            _instant(one["end"]) if one["end"] else None,
        )
        for one in json.loads(FORMATS["json"].render(shown(sent)))
    ]
    read = IN_PROCESS["to the letter"](calendar(sent))
    # A calendar's titles are cut for Outlook's sake.
    assert [one._replace(title=one.title[:120]) for one in told] == [
        one._replace(title=one.title[:120]) for one in read
    ]


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
