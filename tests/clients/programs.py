"""Clients that are programs of their own.

A reader in `readers/` is given a calendar on standard input and writes one JSON object: either
`{"events": [[uid, title, start, end], …]}`, times in seconds since 1970, null for none and
"floating" for one that is no instant; or `{"rejected": reason}`. A reader that ends with an error
is broken, which is no verdict about a calendar.
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

from clients.reading import Reading, Rejected

HERE = Path(__file__).parent
READERS = HERE / "readers"
HOME = HERE.parent.parent
NODE_MODULES = HERE / "node_modules"
# The one Python that Debian's bindings are made for.
SYSTEM_PYTHON = "/usr/bin/python3"
_CLIENTS_PYTHON = HOME / ".venv-clients" / "bin" / "python"
# Far from every zone in the tests, so that a time read as a local one is a wrong one; and with the
# time zones of PyPI's tzdata, where those of the machine may be years old.
_ENVIRONMENT = {**os.environ, "TZ": "Pacific/Marquesas", "PYTHONTZPATH": ""}
_SECONDS = 120


def missing(what: str, command: str) -> None:
    """Skip for want of *what*; where nothing may be skipped, fail. *command* brings it."""
    told = f"{what} is missing: `{command}` installs it"
    if os.environ.get("CI") == "true":
        pytest.fail(told, pytrace=False)
    pytest.skip(told)


def libical(body: bytes) -> list[Reading]:
    """GNOME Calendar, Evolution, KDE: strict about components and their properties."""
    if not _has_libical():
        missing("libical (gir1.2-ical-3.0, python3-gi)", "make test-deps")
    return _read([SYSTEM_PYTHON, str(READERS / "libical.py")], body)


@cache
def _has_libical() -> bool:
    probe = "import gi; gi.require_version('ICalGLib', '3.0'); from gi.repository import ICalGLib"
    try:
        done = subprocess.run([SYSTEM_PYTHON, "-c", probe], capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 0


def open_web_calendar(body: bytes) -> list[Reading]:
    """icalendar, x-wr-timezone and recurring-ical-events, all as released last."""
    if not _CLIENTS_PYTHON.exists():
        missing("Open Web Calendar's libraries (.venv-clients)", "make clients")
    return _read([str(_CLIENTS_PYTHON), str(READERS / "open_web_calendar.py")], body)


def thunderbird(body: bytes) -> list[Reading]:
    """ical.js 2."""
    return _javascript("ical.js-2", body)


def ical_js_1(body: bytes) -> list[Reading]:
    """ical.js 1, which FullCalendar and many widgets hold on to."""
    return _javascript("ical.js", body)


def ical_expander(body: bytes) -> list[Reading]:
    """ical.js 1 with its own table of time zones, as in the widgets of many sites."""
    return _javascript("ical-expander", body)


def _javascript(library: str, body: bytes) -> list[Reading]:
    needs_npm()
    return _read([_node(), str(READERS / "javascript.cjs"), library], body)


def needs_npm() -> None:
    """Skip, or fail, where npm's packages are not installed."""
    if not _node():
        missing("Node.js (nodejs, npm)", "make test-deps")
    if not NODE_MODULES.exists():
        missing("tests/clients/node_modules", "make clients")


@cache
def _node() -> str:
    return shutil.which("node") or ""


def _read(command: Sequence[str], body: bytes) -> list[Reading]:
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
    told = json.loads(done.stdout)
    if "rejected" in told:
        raise Rejected(told["rejected"])
    return [
        Reading.of(uid, title, _instant(start), None if end is None else _instant(end))
        for uid, title, start, end in told["events"]
    ]


def _instant(seconds: float | str) -> datetime:
    if isinstance(seconds, str):
        raise Rejected(f"a {seconds} time")
    return datetime.fromtimestamp(seconds, UTC)


_SETTINGS = """
[general]
status_path = "{place}/status"
[pair bridge]
a = "web"
b = "files"
collections = null
[storage web]
type = "http"
url = "{url}"
[storage files]
type = "filesystem"
path = "{place}/files"
fileext = ".ics"
"""


def vdirsyncer(url: str) -> list[Reading]:
    """Synchronise the calendar at *url* to files, one an event, and read those."""
    with TemporaryDirectory() as name:
        place = Path(name)
        (place / "files").mkdir()
        settings = place / "settings"
        settings.write_text(_SETTINGS.format(place=place, url=url))
        command = [sys.executable, str(READERS / "synchronise.py"), str(settings)]
        done = subprocess.run(
            command, capture_output=True, check=False, env=_ENVIRONMENT, timeout=_SECONDS
        )
        if done.returncode:
            raise Rejected(done.stderr.decode()[-500:])
        return [_item(path.read_bytes()) for path in sorted((place / "files").glob("*.ics"))]


def _item(body: bytes) -> Reading:
    events = Calendar.from_ical(body).walk("VEVENT")
    if len(events) != 1:
        raise Rejected(f"a file of {len(events)} events")
    [one] = events
    end = one["DTEND"].dt if "DTEND" in one else None
    # The http storage gives items a UID of its own making, of their content.
    return Reading.of("", str(one["SUMMARY"]), one["DTSTART"].dt, end)
