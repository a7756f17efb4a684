"""Single lines of an event that clients are known to misread."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest
from ical_lines import read
from samples import HALL, START, YOGA, calendar, content, session, snapshot, spec

from bridge.feeds.formats import FORMATS
from bridge.feeds.formats.ics import trim_to_size
from bridge.feeds.params import FeedDefaults, feed_spec
from bridge.feeds.spec import Kind, TimeStyle

LONDON = "Europe/London"


def event(*args: Any, **options: Any) -> Any:
    return read(calendar(session(*args), **options)).all("VEVENT")[0]


def lines_of(feed: bytes) -> list[str]:
    return feed.decode().replace("\r\n ", "").split("\r\n")


class TestStructuredLocation:
    """Apple shows a map only if the title is the text of LOCATION (add-to-calendar-button)."""

    def line(self, name: str) -> str:
        venue = replace(HALL, name=name)
        lines = lines_of(calendar(session(venue=venue)))
        return next(line for line in lines if line.startswith("X-APPLE-STRUCTURED-LOCATION"))

    @pytest.mark.parametrize("name", ["Studio 1\\", 'Studio "A"', "a\\nb", "\\", '"'])
    def test_its_title_contains_no_backslash_and_no_quotation_mark(self, name: str) -> None:
        title = self.line(name).split('X-TITLE="')[1].rpartition('":geo:')[0]
        assert "\\" not in title
        assert '"' not in title

    def test_a_caret_is_encoded(self) -> None:
        # RFC 6868, 3.1
        assert "Up^^, 1 Example" in self.line("Up^")


class TestRepeatedHour:
    """London, 25 October 2026: 01:00 to 02:00 comes twice; 02:00 UTC is the end of the second."""

    @pytest.mark.parametrize(
        "start", [datetime(2026, 10, 25, hour, tzinfo=UTC) for hour in (0, 1, 2)]
    )
    def test_its_end_is_written_in_utc_like_itself(self, start: datetime) -> None:
        given = session(start=start, venue=replace(HALL, zone=LONDON))
        lines = lines_of(calendar(given, times=TimeStyle.LOCAL))
        assert f"DTSTART:{start:%Y%m%dT%H%M%SZ}" in lines

    def test_the_hour_after_it_is_local_again(self) -> None:
        start = datetime(2026, 10, 25, 3, tzinfo=UTC)
        given = session(start=start, venue=replace(HALL, zone=LONDON))
        assert "DTSTART;TZID=Europe/London:20261025T030000" in lines_of(
            calendar(given, times=TimeStyle.LOCAL)
        )


class TestMeetingLinks:
    KIND = replace(YOGA, description="Join at https://us02web.zoom.us/j/1?pwd=x or ring us.")

    def private(self) -> Any:
        return replace(spec().audience, private="0123456789abcdef", join_links=True)

    def test_a_private_feed_with_join_links_has_a_conference(self) -> None:
        lines = lines_of(calendar(session(), audience=self.private()))
        [line] = [line for line in lines if line.startswith("CONFERENCE")]
        # RFC 7986, 5.11
        assert line == f"CONFERENCE;VALUE=URI;FEATURE=VIDEO:{HALL.join_url}"

    @pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
    def test_public_feeds_contain_no_link_to_a_meeting(self, form: Any) -> None:
        made = content(snapshot(session(offering_type=self.KIND)), spec())
        body = form.render(made)
        assert b"zoom.us" not in body
        assert b"CONFERENCE" not in body

    def test_a_private_feed_with_join_links_keeps_those_of_the_description(self) -> None:
        feed = calendar(session(offering_type=self.KIND), audience=self.private())
        assert "zoom.us/j/1" in feed.decode().replace("\r\n ", "")


class TestTrimming:
    def trimmed(self, days: range, max_bytes: int) -> Any:
        several = [session(n, start=START + timedelta(days=n)) for n in days]
        whole = content(snapshot(*several), spec())
        return trim_to_size(whole, max_bytes=max_bytes, day=START.date())

    def test_a_whole_feed_has_no_note(self) -> None:
        assert self.trimmed(range(3), 100_000).trim_note == ""

    def test_the_description_ends_with_the_last_day_that_is_shown(self) -> None:
        made = self.trimmed(range(1, 101), 20_000)
        last = made.shown[-1].session.start
        note = f"Shown until {last.day} {last:%B}; the rest is too large for one calendar."
        body = FORMATS["ics"].render(made)
        assert len(body) <= 20_000
        for name in ("DESCRIPTION", "X-WR-CALDESC"):
            assert read(body).text(name).endswith(note)

    def test_if_only_the_past_is_left_out_the_first_day_is_named(self) -> None:
        made = self.trimmed(range(-100, 0), 20_000)
        first = made.shown[0].session.start
        assert made.trim_note.startswith(f" Shown from {first.day} {first:%B};")


@pytest.mark.parametrize(
    ("query", "address"),
    [
        ("venues=2,1", "/sessions.ics?venues=1&venues=2&_=.ics"),
        (
            "starts_at_gte=2026-10-20T17:30:00Z",
            "/sessions.ics?starts_at_gte=2026-10-20T17:30:00Z&_=.ics",
        ),
    ],
)
def test_printed_addresses_contain_no_percent_sign_comma_or_semicolon(
    query: str, address: str
) -> None:
    defaults = FeedDefaults(30, 90, spec().audience)
    feed = feed_spec(Kind.SESSION, None, parse_qsl(query), defaults)
    assert feed.path(".ics") == address
    assert feed_spec(Kind.SESSION, None, parse_qsl(address.partition("?")[2]), defaults) == feed
