"""Clients that run as separate programs.

A reader in `readers/` gets a calendar on standard input and writes one JSON object: either
`{"events": [[uid, title, start, end], …]}`, with times in seconds since 1970, null for none and
"floating" for a time without a zone; or `{"rejected": reason}`. A reader that exits with an error
is broken, which says nothing about the calendar.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from icalendar import Calendar

from clients.events import Event, Rejected

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
_SECONDS = 120


def skip_without(requirement: str, command: str) -> None:
    """Skip the test because *requirement* is missing; *command* installs it."""
    pytest.skip(f"{requirement} is missing: `{command}` installs it")


def libical(body: bytes) -> list[Event]:
    """libical (GNOME Calendar, Evolution, KDE): strict about components and properties."""
    if not _has_libical():
        skip_without("libical (gir1.2-ical-3.0, python3-gi)", "make test-deps")
    return _read([SYSTEM_PYTHON, str(READERS / "libical.py")], body)


@cache
def _has_libical() -> bool:
    probe = "import gi; gi.require_version('ICalGLib', '3.0'); from gi.repository import ICalGLib"
    return _succeeds(SYSTEM_PYTHON, "-c", probe)


def _succeeds(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def ruby_icalendar(body: bytes) -> list[Event]:
    """Ruby's icalendar in its strict mode."""
    if not _has_ruby_icalendar():
        skip_without("Ruby's icalendar (ruby, ruby-icalendar)", "make test-deps")
    return _read([_RUBY, str(READERS / "ruby_icalendar.rb")], body)


@cache
def _has_ruby_icalendar() -> bool:
    return _succeeds(_RUBY, "-r", "icalendar", "-e", "")


def open_web_calendar(body: bytes) -> list[Event]:
    """The latest icalendar, x-wr-timezone and recurring-ical-events."""
    if not _CLIENTS_PYTHON.exists():
        skip_without("Open Web Calendar's libraries (.venv-clients)", "make clients")
    return _read([str(_CLIENTS_PYTHON), str(READERS / "open_web_calendar.py")], body)


def thunderbird(body: bytes) -> list[Event]:
    """ical.js 2."""
    return _javascript("ical.js-2", body)


def ical_js_1(body: bytes) -> list[Event]:
    """ical.js 1, which FullCalendar and many widgets use."""
    return _javascript("ical.js", body)


def ical_expander(body: bytes) -> list[Event]:
    """ical-expander: ical.js 1 with its own table of time zones, used by many widgets."""
    return _javascript("ical-expander", body)


def nextcloud(body: bytes) -> list[Event]:
    """Nextcloud's calendar: ical.js 1 after repairs of its own, with its own time zones."""
    return _javascript("@nextcloud/calendar-js", body)


def _javascript(library: str, body: bytes) -> list[Event]:
    needs_npm()
    return _read([_node(), str(READERS / "javascript.cjs"), library], body)


def needs_npm() -> None:
    """Skip the test, or fail in CI, if npm's packages are not installed."""
    if not _node():
        skip_without("Node.js (nodejs, npm)", "make test-deps")
    if not NODE_MODULES.exists():
        skip_without("tests/clients/node_modules", "make clients")


@cache
def _node() -> str:
    return shutil.which("node") or ""


def _read(command: Sequence[str], body: bytes) -> list[Event]:
    done = subprocess.run(
        command,
        input=body,
        capture_output=True,
        check=False,
        cwd=HERE,
        env=_ENVIRONMENT,
        timeout=_SECONDS,
    )
    assert done.returncode == 0, done.stderr.decode()
    result = json.loads(done.stdout)
    if "rejected" in result:
        raise Rejected(result["rejected"])
    return [
        Event.of(uid, title, _instant(start), None if end is None else _instant(end))
        for uid, title, start, end in result["events"]
    ]


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


def vdirsyncer(url: str) -> list[Event]:
    """Synchronise the calendar at *url* to files, one per event, and read the files."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "files").mkdir()
        settings = folder / "settings"
        settings.write_text(_SETTINGS.format(folder=folder, url=url))
        command = [sys.executable, str(READERS / "synchronise.py"), str(settings)]
        done = subprocess.run(
            command, capture_output=True, check=False, env=_ENVIRONMENT, timeout=_SECONDS
        )
        if done.returncode:
            raise Rejected(done.stderr.decode()[-500:])
        return [_item(path.read_bytes()) for path in sorted((folder / "files").glob("*.ics"))]


def _item(body: bytes) -> Event:
    events = Calendar.from_ical(body).walk("VEVENT")
    if len(events) != 1:
        raise Rejected(f"a file of {len(events)} events")
    [event] = events
    end = event["DTEND"].dt if "DTEND" in event else None
    # No UID: the http storage replaces it by a hash of the content.
    return Event.of("", str(event["SUMMARY"]), event["DTSTART"].dt, end)
