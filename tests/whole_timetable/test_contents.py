"""Every feed holds exactly the public sessions of both lists, whatever the vendor's dialect."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from structlog.testing import capture_logs
from thorough import THOROUGH
from whole_timetable import bridges as site_of
from whole_timetable import rows
from whole_timetable.bridges import (
    Bridge,
    ImpatientClock,
    assert_no_canary,
    event_of,
    events,
    expected,
    in_window,
    instant,
    public,
    uid_of,
)
from whole_timetable.conftest import bridges
from whole_timetable.rows import NOW, kind_of
from whole_timetable.teamup import FakeTeamUp

from bridge.config import UpstreamPlan
from bridge.sandbox.list_params import Dialect
from bridge.sandbox.records import Row

CLASSES = rows.classes(300)
COURSE_SESSIONS = rows.course_sessions(130)
ALL = [*CLASSES, *COURSE_SESSIONS]
Test = Callable[[Row], bool]


def _venue_is(number: int) -> Test:
    return lambda row: (row.get("venue") or {}).get("id") == number


def _taught_by(number: int) -> Test:
    return lambda row: any(person["id"] == number for person in row["instructors"])


def _in_room(number: int) -> Test:
    return lambda row: (row.get("venue_room") or {}).get("id") == number


def _of_type(number: int) -> Test:
    return lambda row: kind_of(row)["id"] == number


def _of_category(number: int) -> Test:
    return lambda row: (kind_of(row)["category"] or {}).get("id") == number


def _of_course(number: int) -> Test:
    return lambda row: (row.get("course") or {}).get("id") == number


def _has_waitlist(row: Row) -> bool:
    return bool(row["waiting_count"])


def _is(source: str) -> Test:
    return lambda row: row["object"] == source


def _within(past: int | None, future: int | None, test: Test = bool) -> Test:
    return lambda row: test(row) and in_window(row, past=past, future=future)


def _usual(test: Test = bool) -> Test:
    return _within(site_of.PAST, site_of.FUTURE, test)


def _has(source: str, identity: int) -> Test:
    return lambda row: (row["object"], row["id"]) == (source, identity)


FEEDS: dict[str, Test] = {
    "/sessions": _usual(),
    "/sessions?past=10&future=150": _within(10, 150),
    "/sessions?sources=events": _usual(_is("event")),
    "/sessions?sources=course_sessions": _usual(_is("course_session")),
    "/sessions?occupancy_status=has_waitlist": _usual(_has_waitlist),
    "/sessions?category=42": _usual(_of_category(42)),
    "/sessions?category=41&venues=11": _usual(
        lambda row: _of_category(41)(row) and _venue_is(11)(row)
    ),
    "/sessions?rooms=111,112": _usual(lambda row: _in_room(111)(row) or _in_room(112)(row)),
    "/sessions?status=cancelled": _usual(lambda row: row["status"] == "cancelled"),
    "/venues/11": _usual(_venue_is(11)),
    "/venues/12-brooklyn-loft": _usual(_venue_is(12)),
    "/instructors/22": _usual(_taught_by(22)),
    "/rooms/111-sky-room": _usual(_in_room(111)),
    "/types/31": _usual(_of_type(31)),
    "/types/38": _usual(_of_type(38)),
    "/courses/51": _of_course(51),
}
"""Addresses without extension, with a test of the rows that they are about."""

# In the window of the narrow plan, which has no wider copy.
_SINGLE = [
    row["id"]
    for row in public(CLASSES)
    if in_window(row, past=0)
    and any(other["id"] == row["id"] and in_window(other) for other in public(COURSE_SESSIONS))
][:2]
for number in _SINGLE:
    FEEDS[f"/classes/{number}"] = _has("event", number)
    FEEDS[f"/sessions/{number}"] = _has("course_session", number)

HIDDEN_FEEDS = ("/venues/19", "/rooms/191", "/instructors/29", "/types/34", "/courses/54")
"""Of objects whose sessions are all hidden."""
PAGES = (
    *("/", "/sessions", "/sessions?view=week", "/embed/sessions"),
    *("/venues/11", "/rooms/111", "/types/31", "/embed/instructors/22"),
    *(f"/{kind}/{number}" for number in _SINGLE for kind in ("classes", "sessions")),
)


@dataclass(frozen=True)
class Answers:
    """All responses of one bridge.

    Attributes:
        public: body by address, the status and the metrics included.
        private: body by format, of a feed for staff.
        log: what the bridge logged meanwhile.
    """

    site: Bridge
    teamup: FakeTeamUp
    public: dict[str, bytes]
    private: dict[str, bytes]
    log: list[Any]

    def calendar(self, path: str) -> bytes:
        return self.public[_address(path, "ics")]

    def objects(self, path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.public[_address(path, "json")])
        return found


def _address(path: str, extension: str) -> str:
    route, question, query = path.partition("?")
    return f"{route}.{extension}{question}{query}"


DIALECTS = {
    "pages of 250": Dialect(),
    "pages cut at 100": Dialect(max_page_size=100),
    "pages over 100 refused": Dialect(max_page_size=100, over_limit="refuse"),
}


WIDE, NARROW = UpstreamPlan.WIDE, UpstreamPlan.NARROW
FIELDS = {"strict": "nested", "lenient": "ignored"}
# Each dialect, and each plan with strict and with lenient fields.
FEW = {
    ("pages of 250", "strict", WIDE),
    ("pages of 250", "lenient", NARROW),
    ("pages cut at 100", "lenient", WIDE),
    ("pages over 100 refused", "strict", NARROW),
}


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(
            (replace(dialect, fields=FIELDS[fields]), plan),
            id=f"{name}-{fields}-{plan.value}",
        )
        for name, dialect in DIALECTS.items()
        for fields in FIELDS
        for plan in UpstreamPlan
        if THOROUGH or (name, fields, plan) in FEW
    ],
)
def answers(request: pytest.FixtureRequest) -> Iterator[Answers]:
    """A bridge of which everything was requested."""
    dialect, plan = request.param
    clock = ImpatientClock(NOW)
    upstream = FakeTeamUp(CLASSES, COURSE_SESSIONS, dialect=dialect, now=clock.now)
    with upstream as teamup, bridges() as build, capture_logs() as log:
        # In the narrow plan each feed is a walk of its own.
        site = build(teamup, clock, plan=plan, requests_per_minute=10_000)
        found = {
            _address(path, extension): site.ok(_address(path, extension)).data
            for path in (*FEEDS, *HIDDEN_FEEDS)
            for extension in ("ics", "json", "txt")
        }
        for path in PAGES:
            found[f"page {path}"] = site.ok(path).data
        for path in HIDDEN_FEEDS:
            found[f"page {path}"] = site.get(path).data
        for path in ("/status", "/status?format=json", "/metrics"):
            found[path] = site.operator(path).data
        staff = site.private(
            *("public", "membership_holders", "private"),
            counts=True,
            join_links=True,
            staff_links=True,
        )
        private = {form: site.ok(f"{staff}.{form}").data for form in ("ics", "json", "txt")}
        yield Answers(site, teamup, found, private, log)


def test_each_calendar_holds_exactly_the_public_sessions_of_both_lists(answers: Answers) -> None:
    for path, about in FEEDS.items():
        wanted = expected(row for row in public(ALL) if about(row))
        assert wanted, path
        assert events(answers.calendar(path)) == wanted, path


def test_json_holds_the_same_sessions_with_their_objects_and_ids(answers: Answers) -> None:
    for path, about in FEEDS.items():
        wanted = [row for row in public(ALL) if about(row)]
        found = answers.objects(path)
        assert Counter((entry["object"], entry["session"]) for entry in found) == Counter(
            (row["object"], row["id"]) for row in wanted
        ), path
        by_uid = {entry["id"]: entry for entry in found}
        for row in wanted:
            entry, place = by_uid[uid_of(row)], row.get("venue_room")
            assert instant(entry["start"]) == instant(row["starts_at"])
            assert instant(entry["end"]) == instant(row["ends_at"])
            assert entry["room"] == (place and {"id": place["id"], "name": place["name"]})
            assert (entry["venue"] and entry["venue"]["id"]) == (row.get("venue") or {}).get("id")
            assert entry["type"]["id"] == kind_of(row)["id"]


def test_the_agenda_has_a_line_for_each_session(answers: Answers) -> None:
    for path, about in FEEDS.items():
        text = answers.public[_address(path, "txt")].decode()
        for summary, number in Counter(
            event_of(row).summary for row in public(ALL) if about(row)
        ).items():
            lines = [line for line in text.splitlines() if f"  {summary}" in f"{line}  "]
            assert len(lines) >= number, (path, summary)
        sessions = sum(1 for row in public(ALL) if about(row))
        assert sum(line.startswith("  ") for line in text.splitlines()) == sessions, path


def test_pages_link_each_session_to_the_page_of_its_own_list(answers: Answers) -> None:
    names = {
        (row["object"], row["id"]): event_of(row).summary.removeprefix("CANCELLED: ")
        for row in public(ALL)
    }
    for path in ("page /sessions", "page /venues/11", "page /sessions?view=week"):
        page = answers.public[path].decode()
        links = re.findall(r'<a href="/(sessions|classes)/([0-9]+)"[^>]*><bdi>([^<]*)', page)
        assert links
        for kind, number, title in links:
            source = "event" if kind == "classes" else "course_session"
            assert names[source, int(number)].startswith(title.replace("&#39;", "'")), path


def test_a_page_of_one_session_is_about_that_session(answers: Answers) -> None:
    for number in _SINGLE:
        for row, kind in (
            (_row(CLASSES, number), "classes"),
            (_row(COURSE_SESSIONS, number), "sessions"),
        ):
            page = answers.public[f"page /{kind}/{number}"].decode()
            assert f'href="/{kind}/{number}.ics"' in page
            assert row["customer_url"] in page


def test_a_page_of_one_class_shows_its_room_and_its_own_description(answers: Answers) -> None:
    row = next(row for row in _with_own_text() if row["id"] in _SINGLE)
    page = answers.public[f"page /classes/{row['id']}"].decode()
    assert "Bring a mat." in page
    if row["venue_room"]:
        assert row["venue_room"]["name"] in page


def _with_own_text() -> list[Row]:
    return [row for row in CLASSES if "mat" in row["description"]]


def _row(all_rows: list[Row], identity: int) -> Row:
    return next(row for row in all_rows if row["id"] == identity)


def test_nothing_public_contains_what_is_hidden(answers: Answers) -> None:
    assert_no_canary({name: body.decode() for name, body in answers.public.items()})
    assert_no_canary({f"log {entry['event']}": repr(entry) for entry in answers.log})


def test_feeds_of_hidden_objects_are_empty(answers: Answers) -> None:
    for path in HIDDEN_FEEDS:
        assert events(answers.calendar(path)) == {}
        assert answers.objects(path) == []


def test_a_signed_feed_for_staff_holds_everything_but_appointments_and_drafts(
    answers: Answers,
) -> None:
    audiences = ("public", "membership_holders", "private")
    wanted = expected(
        row for row in ALL if rows.audience_of(row) in audiences and in_window(row, future=200)
    )
    assert events(answers.private["ics"]) == wanted
    assert len(json.loads(answers.private["json"])) == len(wanted)
    texts = {name: body.decode() for name, body in answers.private.items()}
    assert "canary-join-1" in texts["json"]
    assert_no_canary(
        texts,
        ("canary-appointment", "canary customer", "canary.customer", "canary-draft"),
    )
    assert_no_canary(
        texts, ("canary-secret", "canary-token", "canary-staff-2", "canary-staff-zoom")
    )


def test_a_signed_feed_for_members_holds_no_private_session(answers: Answers) -> None:
    path = answers.site.private("public", "membership_holders")
    wanted = expected(
        row
        for row in ALL
        if rows.audience_of(row) in ("public", "membership_holders") and in_window(row, future=200)
    )
    body = answers.site.ok(f"{path}.ics").data
    assert events(body) == wanted
    words = ("canary-private", "canary-join", "canary-staff", "canary customer", "appointment")
    assert_no_canary({path: body.decode()}, words)


def test_customers_are_never_asked_for(answers: Answers) -> None:
    assert answers.teamup.requests
    for request in answers.teamup.requests:
        asked = [*request.values("fields"), *request.values("expand")]
        assert not any("attendance" in name or "customer." in name for name in asked)


def test_both_values_of_status_are_always_requested(answers: Answers) -> None:
    for request in answers.teamup.requests:
        assert request.values("status") in (["active", "cancelled"], ["cancelled"], ["active"])
        assert request.value("sort") == "start"


def test_no_page_is_larger_than_its_list_allows(answers: Answers) -> None:
    sizes = {name: set[int]() for name in ("events", "course_sessions")}
    for request in answers.teamup.requests:
        sizes[request.list].add(request.page_size)
    assert sizes["course_sessions"] == {100}
    assert sizes["events"] <= {100, 250}
