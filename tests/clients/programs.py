"""Clients that run as separate programs.

Starting a program takes longer than reading most calendars, so each reads several. A reader in
`readers/` gets a JSON array of calendars, in base64, on standard input, and writes an array with an
object for each: either `{"events": [[uid, title, start, end], …]}`, with times in seconds since
1970, null for none and "floating" for a time without a zone; or `{"rejected": reason}`. A reader
that exits with an error is broken, which says nothing about the calendars.
"""

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ical_lines
import ical_validator
import pytest

from clients.events import Event, Rejected

Result = list[Event] | Rejected

HERE = Path(__file__).parent
READERS = HERE / "readers"
HOME = HERE.parent.parent
NODE_MODULES = HERE / "node_modules"
# The Python that Debian's bindings are built for, and Debian's Ruby.
SYSTEM_PYTHON = "/usr/bin/python3"
_RUBY = "/usr/bin/ruby"
_CLIENTS_PYTHON = HOME / ".venv-clients" / "bin" / "python"
# A zone far from all zones in the tests, so that a time read as local is wrong; and the time zones
# of PyPI's tzdata, since those of the system may be years old.
_ENVIRONMENT = {**os.environ, "TZ": "Pacific/Marquesas", "PYTHONTZPATH": ""}
_SECONDS = 300


def skip_without(requirement: str, command: str) -> None:
    """Skip the test because *requirement* is missing; *command* installs it."""
    pytest.skip(f"{requirement} is missing: `{command}` installs it")


def libical(bodies: Sequence[bytes]) -> list[Result]:
    """libical (GNOME Calendar, Evolution, KDE): strict about components and properties."""
    if not _has_libical():
        skip_without("libical (gir1.2-ical-3.0, python3-gi)", "make test-deps")
    return _read([SYSTEM_PYTHON, str(READERS / "libical.py")], bodies)


@cache
def _has_libical() -> bool:
    probe = "import gi; gi.require_version('ICalGLib', '3.0'); from gi.repository import ICalGLib"
    return _succeeds(SYSTEM_PYTHON, "-c", probe)


def _succeeds(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def ruby_icalendar(bodies: Sequence[bytes]) -> list[Result]:
    """Ruby's icalendar in its strict mode."""
    if not _has_ruby_icalendar():
        skip_without("Ruby's icalendar (ruby, ruby-icalendar)", "make test-deps")
    return _read([_RUBY, str(READERS / "ruby_icalendar.rb")], bodies)


@cache
def _has_ruby_icalendar() -> bool:
    return _succeeds(_RUBY, "-r", "icalendar", "-e", "")


def open_web_calendar(bodies: Sequence[bytes]) -> list[Result]:
    """The latest icalendar, x-wr-timezone and recurring-ical-events."""
    if not _CLIENTS_PYTHON.exists():
        skip_without("Open Web Calendar's libraries (.venv-clients)", "make clients")
    return _read([str(_CLIENTS_PYTHON), str(READERS / "open_web_calendar.py")], bodies)


def thunderbird(bodies: Sequence[bytes]) -> list[Result]:
    """ical.js 2."""
    return _javascript("ical.js-2", bodies)


def ical_js_1(bodies: Sequence[bytes]) -> list[Result]:
    """ical.js 1, which FullCalendar and many widgets use."""
    return _javascript("ical.js", bodies)


def ical_expander(bodies: Sequence[bytes]) -> list[Result]:
    """ical-expander: ical.js 1 with its own table of time zones, used by many widgets."""
    return _javascript("ical-expander", bodies)


def nextcloud(bodies: Sequence[bytes]) -> list[Result]:
    """Nextcloud's calendar: ical.js 1 after repairs of its own, with its own time zones."""
    return _javascript("@nextcloud/calendar-js", bodies)


def rss_parser(bodies: Sequence[bytes]) -> list[Result]:
    """rss-parser for Node.js: the entries of Atom feeds, as :func:`ruby_rss` returns them."""
    needs_npm()
    return _read([_node(), str(READERS / "rss_parser.cjs")], bodies)


def ruby_rss(bodies: Sequence[bytes]) -> list[Result]:
    """Ruby's rss, which validates Atom feeds: their entries as events.

    An event has the entry's id, its title and the instant when it was updated.
    """
    if not _has_ruby_rss():
        skip_without("Ruby's rss (ruby)", "make test-deps")
    return _read([_RUBY, str(READERS / "ruby_rss.rb")], bodies)


@cache
def _has_ruby_rss() -> bool:
    return _succeeds(_RUBY, "-r", "rss", "-e", "")


def _javascript(library: str, bodies: Sequence[bytes]) -> list[Result]:
    needs_npm()
    return _read([_node(), str(READERS / "javascript.cjs"), library], bodies)


def needs_npm() -> None:
    """Skip the test, or fail in CI, if npm's packages are not installed."""
    if not _node():
        skip_without("Node.js (nodejs, npm)", "make test-deps")
    if not NODE_MODULES.exists():
        skip_without("tests/clients/node_modules", "make clients")


@cache
def _node() -> str:
    return shutil.which("node") or ""


def _read(command: Sequence[str], bodies: Sequence[bytes]) -> list[Result]:
    done = subprocess.run(
        command,
        input=json.dumps([base64.b64encode(body).decode() for body in bodies]).encode(),
        capture_output=True,
        check=False,
        cwd=HERE,
        env=_ENVIRONMENT,
        timeout=_SECONDS,
    )
    assert done.returncode == 0, done.stderr.decode()
    return [_result(result) for result in json.loads(done.stdout)]


def _result(result: Mapping[str, Any]) -> Result:
    if "rejected" in result:
        return Rejected(result["rejected"])
    try:
        return [
            Event.of(uid, title, _instant(start), None if end is None else _instant(end))
            for uid, title, start, end in result["events"]
        ]
    except Rejected as error:
        return error


def _instant(seconds: float | str) -> datetime:
    if isinstance(seconds, str):
        raise Rejected(f"a {seconds} time")
    return datetime.fromtimestamp(seconds, UTC)


_SETTINGS = """
[general]
status_path = "{folder}/status"
[pair bridge]
a = "web"
b = "files"
collections = null
[storage web]
type = "http"
url = "{url}"
[storage files]
type = "filesystem"
path = "{folder}/files"
fileext = ".ics"
"""


def vdirsyncer(urls: Sequence[str]) -> list[Result]:
    """Synchronise each calendar to files, one per event, and read the files."""
    with TemporaryDirectory() as name:
        folders = [Path(name, str(number)) for number in range(len(urls))]
        for folder, url in zip(folders, urls, strict=True):
            (folder / "files").mkdir(parents=True)
            (folder / "settings").write_text(_SETTINGS.format(folder=folder, url=url))
        settings = [str(folder / "settings") for folder in folders]
        done = subprocess.run(
            [sys.executable, str(READERS / "synchronise.py"), *settings],
            capture_output=True,
            check=False,
            env=_ENVIRONMENT,
            timeout=_SECONDS,
        )
        assert done.returncode == 0, done.stderr.decode()
        errors = json.loads(done.stdout.splitlines()[-1])
        return [
            Rejected(error) if error else _items(folder / "files")
            for folder, error in zip(folders, errors, strict=True)
        ]


def _items(folder: Path) -> Result:
    try:
        return [_item(path.read_bytes()) for path in sorted(folder.glob("*.ics"))]
    except ValueError as error:
        return Rejected(str(error))
    except Rejected as error:
        return error


def _item(body: bytes) -> Event:
    calendar = ical_lines.read(body + b"\r\n")
    events = calendar.all("VEVENT")
    if len(events) != 1:
        raise Rejected(f"a file of {len(events)} events")
    [event] = events
    zones = frozenset(zone.value("TZID") for zone in calendar.all("VTIMEZONE"))
    title = ical_lines.unescaped(event.value("SUMMARY"))
    start, end = (ical_validator.instant(event.line(name), zones) for name in ("DTSTART", "DTEND"))
    # No UID: the http storage replaces it by a hash of the content.
    return Event.of("", title, start, end)
