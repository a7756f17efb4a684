"""The version: one number, which every place tells, and the releases of CHANGELOG.md."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from datetime import date
from pathlib import Path

from flask.testing import FlaskClient

from bridge import __version__
from bridge.services import Services
from bridge.web import create_app

HOME = Path(__file__).parent.parent
VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)(\.dev0)?")


def number(version: str) -> tuple[int, ...]:
    matched = VERSION.fullmatch(version)
    assert matched
    return tuple(int(group) for group in matched.groups()[:3])


def releases() -> list[tuple[str, date]]:
    """Versions and dates of the headings of CHANGELOG.md."""
    text = (HOME / "CHANGELOG.md").read_text(encoding="utf-8")
    top, *headings = re.findall(r"^## (.*)", text, re.MULTILINE)
    assert top == "[Unreleased]"
    found = [re.fullmatch(r"\[([0-9.]+)\] - (\d{4}-\d\d-\d\d)", heading) for heading in headings]
    return [(one[1], date.fromisoformat(one[2])) for one in found if one]


def test_the_project_file_has_the_version() -> None:
    project = tomllib.loads((HOME / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == __version__


def test_the_version_is_the_newest_release_or_the_development_of_a_later_one() -> None:
    newest, _ = releases()[0]
    if __version__ != newest:
        assert __version__.endswith(".dev0")
        assert number(__version__) > number(newest)


def test_the_releases_have_a_version_and_a_date_each_newest_first() -> None:
    text = (HOME / "CHANGELOG.md").read_text(encoding="utf-8")
    assert len(releases()) == text.count("\n## ") - 1
    ordered = [(number(version), day) for version, day in releases()]
    assert ordered == sorted(ordered, reverse=True)


def test_the_probe_tells_the_version(make_bridge: Callable[..., Services]) -> None:
    client: FlaskClient = create_app(make_bridge()).test_client()
    assert client.get("/healthz").text == f"ok {__version__}\n"


def test_the_metrics_tell_the_version(make_bridge: Callable[..., Services]) -> None:
    expected = f'bridge_build_info{{version="{__version__}"}} 1.0'
    assert expected in make_bridge().metrics.exposition().decode().splitlines()


def test_the_commands_tell_the_version_without_any_setting() -> None:
    flask = ["-m", "flask", "--app", "app", "version"]
    for arguments in (flask, ["-m", "bridge.server", "--version"]):
        done = subprocess.run(
            [sys.executable, *arguments], cwd=HOME, capture_output=True, text=True, check=True
        )
        assert (done.stdout, done.stderr) == (f"teamup-feed-bridge {__version__}\n", "")
