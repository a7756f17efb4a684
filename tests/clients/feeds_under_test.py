"""The feeds that every client is to take whole, and what upstream said of each."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from typing import Any, Protocol
from urllib.parse import urlencode

from conftest import NOW, TOKEN
from upstreams import raw
from upstreams.rows import awkward_rows, timetable
from upstreams.stub import StubUpstream

from bridge.sandbox.api import create_api
from bridge.sandbox.demo_timetable import believable_studio
from bridge.sandbox.http_server import SandboxServer
from clients import said
from clients.reading import Reading

MANY = 5_000


class Upstream(Protocol):
    """A server of the vendor's API."""

    @property
    def url(self) -> str: ...


def sandbox() -> AbstractContextManager[Upstream]:
    """The bundled studio around NOW."""
    studio = believable_studio(NOW.date())
    return SandboxServer(create_api(studio, token=TOKEN, requests_per_minute=100_000))


def awkward() -> AbstractContextManager[Upstream]:
    """Every kind of name, time and number that hurts."""
    rows = [one.row for one in awkward_rows(NOW)]
    parts = [rows[first : first + 100] for first in range(0, len(rows), 100)]
    pages = [raw.page(part, count=len(rows), next="x") for part in parts[:-1]]
    pages.append(raw.page(parts[-1], count=len(rows)))
    return raw.RawUpstream(raw.switch({n: raw.ok(page) for n, page in enumerate(pages, start=1)}))


def many() -> AbstractContextManager[Upstream]:
    """A big provider's whole year: 5,000 public sessions."""
    rows = said.public(timetable(2 * MANY, NOW, days=360))
    return StubUpstream(islice(rows, MANY), token=TOKEN)


UPSTREAMS: dict[str, Callable[[], AbstractContextManager[Upstream]]] = {
    "sandbox": sandbox,
    "awkward": awkward,
    "many": many,
}


@dataclass(frozen=True)
class FeedUnderTest:
    """A feed of one of the upstreams.

    Attributes:
        where: which of upstream's rows belong into it, its window aside.
        past, future: its window in days; None where it has none.
        options: its presentation.
    """

    upstream: str
    path: str
    where: Callable[[said.Row], bool] = lambda row: True
    past: int | None = 30
    future: int | None = 90
    options: dict[str, str] = field(default_factory=dict)

    @property
    def address(self) -> str:
        windows = {
            name: days
            for name, days, default in (("past", self.past, 30), ("future", self.future, 90))
            if days not in (None, default)
        }
        query = urlencode({**windows, **self.options})
        return self.path + (f"?{query}" if query else "")

    def told(self, rows: list[Any]) -> list[Reading]:
        """What upstream's *rows* say that this feed holds."""
        options = {name: value for name, value in self.options.items() if name != "tz"}
        return said.readings(said.public(rows, self._within), **options)

    def _within(self, row: said.Row) -> bool:
        if not self.where(row):
            return False
        start, end = said.start(row), said.end(row)
        assert start
        assert end
        day = NOW.replace(hour=0)
        return (self.past is None or end >= day - timedelta(days=self.past)) and (
            self.future is None or start < day + timedelta(days=self.future + 1)
        )


def _at(venue: int) -> Callable[[said.Row], bool]:
    return lambda row: row["venue"]["id"] == venue


def _by(instructor: int) -> Callable[[said.Row], bool]:
    return lambda row: instructor in [one["id"] for one in row["instructors"]]


def _of(course: int) -> Callable[[said.Row], bool]:
    return lambda row: row["course"]["id"] == course


# Every value of every option, and each with each of another.
_OPTIONS = (
    {"cancelled": "keep", "availability": "full"},
    {"cancelled": "hide", "availability": "spots"},
    {"cancelled": "keep", "availability": "spots", "tz": "local"},
    {"cancelled": "hide", "availability": "full", "tz": "local"},
    {"tz": "local"},
)


def _feeds() -> Iterator[tuple[str, FeedUnderTest]]:
    yield "the studio", FeedUnderTest("sandbox", "/sessions.ics")
    for venue in (12, 13, 14, 15):
        path = f"/venues/{venue}.ics"
        yield f"venue {venue}", FeedUnderTest("sandbox", path, _at(venue))
    yield "an instructor", FeedUnderTest("sandbox", "/instructors/11-mia.ics", _by(11))
    course = FeedUnderTest("sandbox", "/courses/61.ics", _of(61), past=None, future=None)
    yield "a course past midnight", course
    yield "nothing", FeedUnderTest("sandbox", "/venues/999.ics", _at(999))
    for options in _OPTIONS:
        feed = FeedUnderTest("sandbox", "/sessions.ics", past=7, future=14, options=options)
        yield ", ".join(options.values()), feed
    yield "awkward", FeedUnderTest("awkward", "/sessions.ics", future=365)
    local = {"tz": "local"}
    yield "awkward, local", FeedUnderTest("awkward", "/sessions.ics", future=365, options=local)
    yield "many", FeedUnderTest("many", "/sessions.ics", future=365)


FEEDS = dict(_feeds())
