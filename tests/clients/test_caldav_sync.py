"""docs/sync.md, run as it is written: from a feed into a CalDAV calendar, with every change."""

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from browser.bridges import serve
from clocks import ManualClock, wait_until
from icalendar import Calendar, Event
from valkey import free_port

from bridge.model import SourceName
from bridge.sandbox.studio import Studio
from bridge.services import Services
from bridge.web import create_app

PAGE = Path(__file__).parent.parent.parent / "docs" / "sync.md"
PROGRAMS = Path(sys.executable).parent
USER, PASSWORD = "you", "your-password"
# Seconds: longer than any copy is fresh.
PAST_TTL = 341.0
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
START = datetime(2026, 11, 25, 18, tzinfo=UTC)


def blocks() -> list[str]:
    """The indented blocks of the page."""
    text = PAGE.read_text(encoding="utf-8")
    found = re.findall(r"(?:^ {7}\S.*\n|^\n(?= {7}\S))+", text, re.MULTILINE)
    return [textwrap.dedent(block).strip() for block in found]


@dataclass(frozen=True)
class Radicale:
    """A CalDAV server."""

    origin: str

    @property
    def calendar(self) -> str:
        """The address of the calendar."""
        return f"{self.origin}/{USER}/studio/"

    def request(self, method: str, url: str, body: bytes | None = None) -> requests.Response:
        response = requests.request(
            method,
            url,
            data=body,
            headers={"Content-Type": "text/calendar; charset=utf-8"},
            auth=(USER, PASSWORD),
            timeout=30,
        )
        response.raise_for_status()
        return response

    def events(self) -> dict[str, Event]:
        """The events by their title; the titles in these tests are unique."""
        calendar = Calendar.from_ical(self.request("GET", self.calendar).content)
        events = calendar.walk("VEVENT")
        by_title = {str(event["SUMMARY"]): event for event in events}
        assert len(by_title) == len(events)
        return by_title

    def edit(self, title: str, new_title: str) -> None:
        """Rename an event by hand."""
        url = f"{self.calendar}{self.events()[title]['UID']}.ics"
        body = self.request("GET", url).content
        self.request("PUT", url, body.replace(title.encode(), new_title.encode()))


@pytest.fixture
def radicale(tmp_path: Path) -> Iterator[Radicale]:
    """Radicale with one empty calendar."""
    users = tmp_path / "users"
    users.write_text(f"{USER}:{PASSWORD}\n", encoding="utf-8")
    origin = f"http://127.0.0.1:{(port := free_port())}"
    with subprocess.Popen(
        [
            PROGRAMS / "radicale",
            *("--config", "", "--server-hosts", f"127.0.0.1:{port}"),
            *("--storage-filesystem-folder", tmp_path / "collections"),
            *("--auth-type", "htpasswd", "--auth-htpasswd-filename", users),
            *("--auth-htpasswd-encryption", "plain", "--logging-level", "error"),
        ]
    ) as process:
        server = Radicale(origin)

        def answers() -> bool:
            try:
                return requests.get(origin, timeout=5).ok
            except requests.ConnectionError:
                return False

        wait_until(answers)
        server.request("MKCALENDAR", server.calendar)
        yield server
        process.terminate()


class Feed:
    """A feed of a studio, over HTTP."""

    def __init__(self, origin: str, studio: Studio, parts: Services, clock: ManualClock) -> None:
        self.origin, self.studio = origin, studio
        self._parts, self._clock = parts, clock

    @contextmanager
    def changing(self) -> Iterator[Studio]:
        """Change the studio; the changes are published at the end."""
        yield self.studio
        self._clock.move(PAST_TTL)
        for key in self._parts.router.widest_keys:
            rules = self._parts.router.merge_rules(key)
            assert rules is not None
            flight = self._parts.refresher.refresh(key, rules, None)
            assert flight is not None
            assert flight.wait(20)


def add(studio: Studio, number: int, start: datetime) -> None:
    studio.add(
        id=number,
        kind="event",
        name=f"Class {number}",
        starts_at=start,
        ends_at=start + HOUR,
        venue=12,
        instructors=[14],
        offering_type=32 if number == 5 else 31,
    )


@pytest.fixture
def feed(
    make_bridge: Callable[..., Services], studio: Studio, clock: ManualClock
) -> Iterator[Feed]:
    """The feed of a studio with a handful of ordinary classes at the venue of the page's feed."""
    studio.replace_sessions([], kind="event")
    for number in range(1, 7):
        add(studio, number, START + number * DAY)
    parts = make_bridge(sources=frozenset({SourceName.EVENTS}))
    with serve(create_app(parts)) as origin:
        assert requests.get(f"{origin}/venues/12.ics", timeout=30).ok
        yield Feed(origin, studio, parts, clock)


@dataclass(frozen=True)
class Vdirsyncer:
    """vdirsyncer with a configuration file."""

    settings: Path

    def run(self, *arguments: str, succeeds: bool = True) -> str:
        done = subprocess.run(
            [PROGRAMS / "vdirsyncer", "--config", self.settings, *arguments],
            env={**os.environ, "HOME": str(self.settings.parent)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (done.returncode == 0) == succeeds, done.stderr
        return done.stderr


def settings_of(text: str, feed: Feed, radicale: Radicale) -> ConfigParser:
    """The page's configuration, with the addresses of this test."""
    parser = ConfigParser(interpolation=None)
    parser.read_string(text)
    example = parser["storage feed"]["url"]
    address = example.replace("https://bridge.example.org", feed.origin)
    assert address != example
    parser["storage feed"]["url"] = address
    parser["storage calendar"]["url"] = f'"{radicale.calendar}"'
    assert parser["storage calendar"]["username"] == f'"{USER}"'
    return parser


@pytest.fixture
def configured(tmp_path: Path, feed: Feed, radicale: Radicale) -> Vdirsyncer:
    """vdirsyncer with the configuration of the page, after the commands of the page."""
    [text] = [block for block in blocks() if "[storage calendar]" in block]
    settings = tmp_path / "config"
    with settings.open("w", encoding="utf-8") as file:
        settings_of(text, feed, radicale).write(file)
    program = Vdirsyncer(settings)
    [commands] = [block for block in blocks() if block.startswith("vdirsyncer discover")]
    for command in commands.splitlines():
        program.run(*command.split()[1:])
    return program


def titles(radicale: Radicale) -> set[str]:
    return set(radicale.events())


def classes(*numbers: int) -> set[str]:
    return {f"Class {number} – Priya Raman" for number in numbers}


def test_every_change_arrives(configured: Vdirsyncer, feed: Feed, radicale: Radicale) -> None:
    before = radicale.events()
    assert set(before) == classes(1, 2, 3, 4, 5, 6)
    with feed.changing() as studio:
        add(studio, 7, START)
        studio.change(2, starts_at=START + 9 * DAY, ends_at=START + 9 * DAY + HOUR, kind="event")
        studio.cancel(3, kind="event")
        studio.delete(4, kind="event")
        studio.set_visibility(32, "private")
    configured.run("sync", "studio")
    after = radicale.events()
    cancelled = {f"CANCELLED: {title}" for title in classes(3, 4)}
    assert set(after) == classes(1, 2, 6, 7) | cancelled
    [moved] = classes(2)
    assert after[moved]["DTSTART"].dt == START + 9 * DAY
    assert {str(after[title]["STATUS"]) for title in cancelled} == {"CONFIRMED"}
    [same] = classes(1)
    assert after[same]["UID"] == before[same]["UID"]


def test_what_is_changed_in_the_calendar_is_undone(
    configured: Vdirsyncer, radicale: Radicale
) -> None:
    [title] = classes(1)
    radicale.edit(title, "By hand")
    own = radicale.events()["By hand"]
    body = (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:own\r\n"
        "DTSTAMP:20261123T120000Z\r\nDTSTART:20261123T120000Z\r\nSUMMARY:Own\r\n"
        "END:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    radicale.request("PUT", f"{radicale.calendar}own.ics", body.encode())
    for _ in range(2):
        configured.run("sync", "studio")
    assert titles(radicale) == classes(1, 2, 3, 4, 5, 6)
    assert radicale.events()[title]["UID"] == own["UID"]


def test_a_failure_or_an_empty_feed_removes_nothing(
    configured: Vdirsyncer, feed: Feed, radicale: Radicale
) -> None:
    settings = configured.settings.read_text(encoding="utf-8")
    down = settings.replace(feed.origin, f"http://127.0.0.1:{free_port()}")
    configured.settings.write_text(down, encoding="utf-8")
    configured.run("sync", "studio", succeeds=False)
    assert titles(radicale) == classes(1, 2, 3, 4, 5, 6)
    configured.settings.write_text(settings, encoding="utf-8")
    with feed.changing() as studio:
        for kind in (31, 32):
            studio.set_visibility(kind, "private")
    assert "--force-delete" in configured.run("sync", "studio", succeeds=False)
    assert titles(radicale) == classes(1, 2, 3, 4, 5, 6)
    configured.run("sync", "--force-delete", "studio")
    assert titles(radicale) == set()


def test_the_pair_for_google_copies_into_the_calendar_that_it_names(
    tmp_path: Path, feed: Feed, radicale: Radicale
) -> None:
    [first] = [block for block in blocks() if "[storage calendar]" in block]
    [google] = [block for block in blocks() if "[storage google]" in block]
    parser = settings_of(first, feed, radicale)
    parser.read_string(google.replace("your-calendar-id@group.calendar.google.com", "studio"))
    # The same protocol, without Google's OAuth.
    parser["storage google"] = {
        **parser["storage calendar"],
        "url": f'"{radicale.origin}/{USER}/"',
    }
    settings = tmp_path / "config"
    with settings.open("w", encoding="utf-8") as file:
        parser.write(file)
    for command in ("discover", "sync"):
        Vdirsyncer(settings).run(command, "studio")
    assert titles(radicale) == classes(1, 2, 3, 4, 5, 6)
