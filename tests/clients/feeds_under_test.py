"""The feeds that every client must read completely, with their expected events."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Protocol
from urllib.parse import urlencode
from zoneinfo import ZoneInfo, available_timezones

from conftest import NOW, TOKEN
from thorough import THOROUGH
from upstreams import raw
from upstreams.rows import as_class, awkward_rows, timetable
from upstreams.stub import StubUpstream

from bridge.model import SourceName
from bridge.sandbox.api import create_api
from bridge.sandbox.demo_timetable import demo_studio
from bridge.sandbox.http_server import SandboxServer
from clients.events import Event
from clients.expected_events import Row, end, events_of, public_rows, start

MANY = 1_500 if THOROUGH else 400


class Upstream(Protocol):
    """A server with TeamUp's API."""

    @property
    def url(self) -> str: ...


def sandbox() -> AbstractContextManager[Upstream]:
    """The demo studio around NOW."""
    studio = demo_studio(NOW.date())
    return SandboxServer(create_api(studio, token=TOKEN, requests_per_minute=100_000))


class ChangedStudio(SandboxServer):
    """The demo studio, some of whose classes change after a bridge has read it."""

    def __init__(self) -> None:
        self._studio = demo_studio(NOW.date())
        super().__init__(create_api(self._studio, token=TOKEN, requests_per_minute=100_000))

    def change(self) -> None:
        """Cover, move, rename and cancel classes of both lists."""
        studio, hour = self._studio, timedelta(hours=1)
        awkward = {
            "id": 99,
            "name": "Ann; O\u2019Neill, \\novak & <Söhne> \U0001f9d8\u200d♀\ufe0f",
        }
        studio.change(73994404, instructors=[11])  # Of Priya.
        studio.change(73994605, instructors=[awkward])  # type: ignore[list-item]
        studio.change(73994502, instructors=[13, 14])  # Priya has a colleague.
        studio.change(73994508, starts_at=NOW + 30 * hour, ends_at=NOW + 31 * hour)
        studio.change(73994522, instructors=[12, 16], kind="event")  # Of Ines.
        studio.change(73994522, starts_at=NOW + 50 * hour, ends_at=NOW + 51 * hour, kind="event")
        studio.change(73994523, name='<b>Kettlebells</b> & "more"; a, b\\c', kind="event")
        studio.cancel(73994524, kind="event")
        studio.change(73994529, instructors=[12], kind="event")  # Of somebody in New York.


def awkward() -> AbstractContextManager[Upstream]:
    """Sessions with every kind of difficult name, time and number."""
    return _served([awkward.row for awkward in awkward_rows(NOW)])


def _served(rows: list[Any]) -> AbstractContextManager[Upstream]:
    chunks = [rows[first : first + 100] for first in range(0, len(rows), 100)]
    pages = [raw.page(chunk, count=len(rows), next="x") for chunk in chunks[:-1]]
    pages.append(raw.page(chunks[-1], count=len(rows)))
    return raw.RawUpstream(raw.switch({n: raw.ok(page) for n, page in enumerate(pages, start=1)}))


def awkward_classes() -> AbstractContextManager[Upstream]:
    """The same as ordinary classes."""
    return _served([as_class(awkward.row) for awkward in awkward_rows(NOW)])


def many() -> AbstractContextManager[Upstream]:
    """A year of a large provider."""
    rows = public_rows(timetable(2 * MANY, NOW, days=360))
    return StubUpstream(islice(rows, MANY), token=TOKEN)


UPSTREAMS: dict[str, Callable[[], AbstractContextManager[Upstream]]] = {
    "sandbox": sandbox,
    "awkward": awkward,
    "awkward classes": awkward_classes,
    "many": many,
    "changed": ChangedStudio,
}


SOURCES: dict[str, tuple[SourceName, ...]] = {
    "sandbox": tuple(SourceName),
    "awkward": (SourceName.COURSE_SESSIONS,),
    "awkward classes": (SourceName.EVENTS,),
    "many": (SourceName.COURSE_SESSIONS,),
    "changed": tuple(SourceName),
}
"""The sources of the feeds of each upstream."""

_ZONES = available_timezones()
MAIN_ZONE = "Europe/London"
"""The time zone of most venues of each upstream."""


@dataclass(frozen=True)
class FeedUnderTest:
    """A feed of one of the upstreams.

    Attributes:
        where: selects the rows of the feed, apart from its window.
        past, future: the window in days; None for no limit.
        filters: further parameters that select its sessions, as *where* does.
        options: presentation parameters.
    """

    upstream: str
    path: str
    where: Callable[[Row], bool] = lambda row: True
    past: int | None = 30
    future: int | None = 90
    filters: dict[str, str] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)

    @property
    def address(self) -> str:
        windows = {
            name: days
            for name, days, default in (("past", self.past, 30), ("future", self.future, 90))
            if days not in (None, default)
        }
        query = urlencode({**windows, **self.filters, **self.options})
        return self.path + (f"?{query}" if query else "")

    def expected(self, rows: list[Any]) -> list[Event]:
        """The expected events of this feed, from upstream's *rows*."""
        in_titles = ("cancelled", "availability", "lang")
        options = {name: value for name, value in self.options.items() if name in in_titles}
        matching = public_rows(rows, self.where)
        zones = {_zone(row) for row in matching}
        [shared] = zones if len(zones) == 1 else [None]
        today = NOW.astimezone(ZoneInfo(shared or MAIN_ZONE)).replace(hour=0)
        return events_of((row for row in matching if self._in_window(row, today)), **options)

    def _in_window(self, row: Row, today: datetime) -> bool:
        begins, ends = start(row), end(row)
        assert begins
        assert ends
        # Sums of times with a zone are in local time, so whole days are local days.
        return (self.past is None or ends >= today - timedelta(days=self.past)) and (
            self.future is None or begins < today + timedelta(days=self.future + 1)
        )


def _zone(row: Row) -> str | None:
    venue = row.get("venue")
    zone = venue.get("timezone") if isinstance(venue, dict) else None
    return zone if isinstance(zone, str) and zone in _ZONES else None


def _at(venue: int) -> Callable[[Row], bool]:
    return lambda row: (row.get("venue") or {}).get("id") == venue


def _by(instructor: int) -> Callable[[Row], bool]:
    return lambda row: instructor in [person["id"] for person in row["instructors"]]


def _of(course: int) -> Callable[[Row], bool]:
    return lambda row: (row.get("course") or {}).get("id") == course


def _in_room(room: int) -> Callable[[Row], bool]:
    return lambda row: (row.get("venue_room") or {}).get("id") == room


def _of_type(identity: int) -> Callable[[Row], bool]:
    return lambda row: (row.get("offering_type") or {}).get("id") == identity


def _weekend_mornings(row: Row) -> bool:
    begins, zone = start(row), _zone(row)
    assert begins
    local = begins.astimezone(ZoneInfo(zone or "UTC"))
    return local.weekday() >= 5 and 9 <= local.hour < 12


# Every value of every option, and all pairs of values.
_OPTIONS = (
    {"cancelled": "keep", "availability": "full"},
    {"cancelled": "hide", "availability": "spots"},
    {"cancelled": "keep", "availability": "spots", "tz": "local"},
    {"cancelled": "hide", "availability": "full", "tz": "local"},
    {"tz": "local"},
)


def _feeds() -> Iterator[tuple[str, FeedUnderTest]]:
    yield "the studio", FeedUnderTest("sandbox", "/sessions.ics", past=7, future=14)
    for venue in (12, 13, 14, 15):
        path = f"/venues/{venue}.ics"
        yield f"venue {venue}", FeedUnderTest("sandbox", path, _at(venue), past=7, future=14)
    yield "an instructor", FeedUnderTest("sandbox", "/instructors/11-mia.ics", _by(11))
    course = FeedUnderTest("sandbox", "/courses/61.ics", _of(61), past=None, future=None)
    yield "a course past midnight", course
    room = FeedUnderTest("sandbox", "/rooms/74-crypt.ics", _in_room(74), past=7, future=14)
    yield "a room", room
    yield "a class type", FeedUnderTest("sandbox", "/types/41.ics", _of_type(41))
    yield "nothing", FeedUnderTest("sandbox", "/venues/999.ics", _at(999))
    for options in _OPTIONS:
        feed = FeedUnderTest("sandbox", "/sessions.ics", past=2, future=6, options=options)
        yield ", ".join(options.values()), feed
    french = {"lang": "fr", "availability": "spots", "cancelled": "keep"}
    yield "French", FeedUnderTest("sandbox", "/sessions.ics", past=2, future=6, options=french)
    alarms = {"alarm": "30", "lang": "fr"}
    yield "reminders", FeedUnderTest("sandbox", "/sessions.ics", past=2, future=6, options=alarms)
    weekend = {"weekdays": "sat,sun", "time_from": "09:00", "time_until": "12:00"}
    yield (
        "weekend mornings",
        FeedUnderTest(
            "sandbox", "/sessions.ics", _weekend_mornings, past=7, future=30, filters=weekend
        ),
    )
    yield "awkward", FeedUnderTest("awkward", "/sessions.ics", future=365)
    local = {"tz": "local"}
    yield "awkward, local", FeedUnderTest("awkward", "/sessions.ics", future=365, options=local)
    classes = FeedUnderTest("awkward classes", "/sessions.ics", future=365)
    yield "awkward classes", classes
    yield "changed", FeedUnderTest("changed", "/sessions.ics", past=0, future=4)
    options = {"lang": "fr", "tz": "local", "alarm": "60"}
    yield (
        "changed, French",
        FeedUnderTest("changed", "/sessions.ics", past=0, future=4, options=options),
    )
    yield "many", FeedUnderTest("many", "/sessions.ics", future=365)


FEEDS = dict(_feeds())
