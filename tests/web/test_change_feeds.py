"""The changes of feeds at …/changes: a page, Atom and JSON, after changes of the studio."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import feedparser
import pytest
from clocks import ManualClock
from flask.testing import FlaskClient
from markupsafe import escape
from openapi_schema_validator import OAS31Validator
from werkzeug.test import TestResponse

from bridge.feeds.formats.json_schema import CHANGES
from bridge.model import SourceName
from bridge.sandbox.studio import Studio
from bridge.services import Services
from bridge.web import create_app

ATOM = "{http://www.w3.org/2005/Atom}"
BASE = "https://bridge.example.org"
# Seconds: longer than any copy is fresh.
PAST_TTL = 341.0
ID = 9001
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
START = datetime(2026, 12, 1, 18, tzinfo=UTC)
END = START + HOUR


@dataclass
class World:
    """A studio with one list, and a client of a bridge in front of it."""

    kind: Any
    clock: ManualClock
    studio: Studio
    parts: Services
    client: FlaskClient

    def get(self, path: str, status: int = 200, **headers: str) -> TestResponse:
        response = self.client.get(path, headers=headers)
        assert response.status_code == status
        return response

    def refresh(self) -> None:
        """Advance the clock past the TTL, and publish a walk."""
        self.clock.move(PAST_TTL)
        for key in self.parts.router.widest_keys:
            rules = self.parts.router.merge_rules(key)
            assert rules is not None
            flight = self.parts.refresher.refresh(key, rules, None)
            assert flight is not None
            assert flight.wait(20)
            assert flight.failure is None

    def changes(self, path: str = "/sessions/changes.json") -> list[dict[str, Any]]:
        changes: list[dict[str, Any]] = json.loads(self.get(path).data)
        OAS31Validator(CHANGES).validate(changes)
        return changes


@pytest.fixture
def studio(near_studio: Studio) -> Studio:
    return near_studio


@pytest.fixture(params=["course_session", "event"])
def world(
    request: pytest.FixtureRequest,
    make_bridge: Callable[..., Services],
    studio: Studio,
    clock: ManualClock,
) -> World:
    """The first walk has been published; session 9001 of Priya (14) at Riverside (12) is in it."""
    kind: Any = request.param
    owner = {"course": 52} if kind == "course_session" else {"offering_type": 31}
    studio.add(id=ID, kind=kind, starts_at=START, ends_at=END, venue=12, instructors=[14], **owner)
    source = {"course_session": SourceName.COURSE_SESSIONS, "event": SourceName.EVENTS}[kind]
    parts = make_bridge(sources=frozenset({source}), public_base_url=BASE)
    made = World(kind, clock, studio, parts, create_app(parts).test_client())
    made.refresh()
    return made


@pytest.mark.parametrize(
    ("fields", "kind", "text"),
    [
        ({"status": "cancelled"}, "cancelled", "Cancelled: {name}, Tue 1 Dec, 18:00"),
        (
            {"starts_at": START + HOUR, "ends_at": END + HOUR},
            "moved",
            "Moved: {name}, Tue 1 Dec, 18:00 → 19:00",
        ),
        (
            {"starts_at": START + DAY, "ends_at": END + DAY},
            "moved",
            "Moved: {name}, Tue 1 Dec, 18:00 → Wed 2 Dec, 18:00",
        ),
        (
            {"starts_at": START, "ends_at": END + HOUR},
            "moved",
            "Moved: {name}, Tue 1 Dec, 18:00–19:00 → –20:00",
        ),
        (
            {"starts_at": START, "ends_at": END + DAY},
            "moved",
            "Moved: {name}, Tue 1 Dec, 18:00–19:00 → – Wed 2 Dec, 19:00",
        ),
        (
            {"instructors": [11]},
            "cover",
            "Cover: Zoë Ashdown instead of Priya Raman, {name}, Tue 1 Dec, 18:00",
        ),
        (
            {"venue": 13},
            "venue",
            "Other venue: {name}, Tue 1 Dec, 18:00, Riverside Studio → The Old Chapel; Café & Gym",
        ),
        ({"name": "Yin"}, "renamed", "Renamed: {name} → Yin, Tue 1 Dec, 18:00"),
    ],
    ids="cancelled moved moved-to-another-day longer until-another-day cover venue renamed".split(),
)
def test_a_change_upstream_has_one_entry_in_each_format(
    world: World, fields: dict[str, Any], kind: str, text: str
) -> None:
    [before] = [
        event for event in json.loads(world.get("/sessions.json").data) if event["session"] == ID
    ]
    name = before["title"].partition(" – ")[0]
    world.studio.change(ID, kind=world.kind, **fields)
    world.refresh()
    [change] = world.changes()
    assert (change["kind"], change["text"]) == (kind, text.format(name=name))
    assert change["session"]["id"] == before["id"]
    [entry] = feedparser.parse(world.get("/sessions/changes.atom").data).entries
    assert (entry.title, entry.id) == (change["text"], change["id"])
    assert escape(change["text"]) in world.get("/sessions/changes").text
    assert escape(change["text"]) in world.get("/sessions").text
    assert world.changes("/instructors/12/changes.json") == []


def test_pages_mark_a_cover_and_the_page_of_the_class_names_who_is_covered(world: World) -> None:
    world.studio.change(ID, instructors=[11], kind=world.kind)
    world.studio.change(ID, starts_at=START + HOUR, ends_at=END + HOUR, kind=world.kind)
    world.refresh()
    assert "Zoë Ashdown (cover)" in world.get("/sessions?from=2026-12-01").text
    path = {"course_session": f"/sessions/{ID}", "event": f"/classes/{ID}"}[world.kind]
    page = world.get(path).text
    assert "Instead of Priya Raman" in page
    assert "Moved from Tue 1 Dec, 18:00" in page


def test_nothing_changed_is_not_a_byte_changed(world: World) -> None:
    paths = ("/sessions/changes.atom", "/sessions/changes.json", "/venues/12/changes.atom")
    world.studio.cancel(ID, kind=world.kind)
    world.refresh()
    first = {path: world.get(path) for path in paths}
    world.refresh()
    for path, response in first.items():
        again = world.get(path)
        assert (again.data, again.headers["ETag"]) == (response.data, response.headers["ETag"])
        assert again.headers["Last-Modified"] == response.headers["Last-Modified"]
        world.get(path, 304, **{"If-None-Match": response.headers["ETag"]})


def test_added_and_deleted_sessions_have_one_entry_each(world: World) -> None:
    world.studio.add(id=9002, kind=world.kind, starts_at=START + 2 * HOUR, venue=12)
    world.refresh()
    [added] = world.changes("/venues/12/changes.json")
    assert (added["kind"], added["session"]["session"]) == ("added", 9002)
    world.studio.delete(ID, kind=world.kind)
    for _ in range(2):
        world.refresh()
    gone, added_before = world.changes("/venues/12/changes.json")
    assert (gone["kind"], gone["session"]["session"]) == ("gone", ID)
    assert added_before == added


def test_an_atom_feed_has_what_rfc_4287_requires(world: World) -> None:
    world.studio.cancel(ID, kind=world.kind)
    world.refresh()
    response = world.get("/venues/12/changes.atom?past=3")
    assert response.headers["Content-Type"] == "application/atom+xml; charset=utf-8"
    feed = ElementTree.fromstring(response.data)
    links = {link.get("rel"): link.get("href") for link in feed.findall(f"{ATOM}link")}
    assert links == {
        "self": f"{BASE}/venues/12/changes.atom?past=3&_=.atom",
        "alternate": f"{BASE}/venues/12/changes?past=3",
    }
    assert feed.findtext(f"{ATOM}title") == "Riverside Studio: changes"
    assert feed.find(f"{ATOM}author/{ATOM}name") is not None
    [entry] = feed.findall(f"{ATOM}entry")
    assert feed.findtext(f"{ATOM}updated") == entry.findtext(f"{ATOM}updated")
    assert str(entry.findtext(f"{ATOM}id")).startswith("urn:uuid:")
    assert response.headers["Link"] == (
        f'<{BASE}/venues/12/changes?past=3>; rel="alternate"; type="text/html"'
    )


def test_a_feed_without_changes_is_a_valid_empty_one(world: World) -> None:
    feed = ElementTree.fromstring(world.get("/venues/12/changes.atom").data)
    assert feed.findtext(f"{ATOM}updated") == "2026-01-01T00:00:00Z"
    assert feed.findall(f"{ATOM}entry") == []
    assert world.changes() == []
    assert "Nothing has changed in the last 30 days." in world.get("/venues/12/changes").text


def test_the_words_are_in_the_language_of_the_address(world: World) -> None:
    world.studio.cancel(ID, kind=world.kind)
    world.refresh()
    [change] = world.changes("/sessions/changes.json?lang=de")
    assert change["text"].startswith("Abgesagt: ")
    assert b'xml:lang="de"' in world.get("/sessions/changes.atom?lang=de").data
    assert "Abgesagt: " in world.get("/sessions/changes?lang=de").text


def test_a_session_that_left_the_timetable_has_no_link(world: World) -> None:
    path = f"/{'classes' if world.kind == 'event' else 'sessions'}/{ID}"
    world.studio.delete(ID, kind=world.kind)
    world.refresh()
    world.refresh()
    assert f'href="{path}"' in world.get("/venues/12/changes").text
    assert "Cancelled" in world.get(path).text
    world.clock.move((END - START + 10 * DAY).total_seconds())
    world.refresh()
    [change] = world.changes("/venues/12/changes.json")
    page = world.get("/venues/12/changes").text
    assert escape(change["text"]) in page
    assert f'href="{path}"' not in page
    world.get(path, 404)
    [entry] = feedparser.parse(world.get("/venues/12/changes.atom").data).entries
    assert entry.link == f"{BASE}/venues/12/changes"


def test_errors_are_those_of_feeds(world: World) -> None:
    problem = world.get("/venues/12/changes.json?venues=3", 400)
    assert problem.headers["Content-Type"] == "application/problem+json"
    assert world.get("/venues/12/changes.atom?pust=3", 400).text.endswith("did you mean past?\n")
    world.get("/venues/12/changes.rss", 404)


def test_a_private_feed_has_private_changes(
    make_bridge: Callable[..., Services], studio: Studio, clock: ManualClock
) -> None:
    parts = make_bridge(signing_keys=("k" * 32,))
    world = World("course_session", clock, studio, parts, create_app(parts).test_client())
    world.refresh()
    result = create_app(parts).test_cli_runner().invoke(args=["sign", "sessions.ics"])
    address = result.stdout.strip().removesuffix(".ics")
    studio.cancel(next(row["id"] for row in studio.sessions if row["starts_at"] > "2026-12-01"))
    world.refresh()
    [change] = world.changes(f"{address}/changes.json")
    for ending in ("", ".atom"):
        response = world.get(f"{address}/changes{ending}")
        assert response.headers["Cache-Control"].startswith("private")
        assert response.headers["X-Robots-Tag"] == "noindex"
        assert "Link" not in response.headers
        assert escape(change["text"]) in response.text
        assert f"{address}.ics" not in response.text
    assert b"<link" not in response.data
    links = re.findall('href="(/[^"]*)"', world.get(f"{address}/changes").text)
    assert {address, f"{address}/changes.atom", f"{address}/changes.json"} <= {*links}
    assert f'href="{address}/changes"' in world.get(address).text
    world.get("/private/1x/changes", 404)
