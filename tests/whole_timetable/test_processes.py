"""Real processes in front of the stand-in: what they answer, log and store."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from faults.fleet import Machine, run_concurrently, running
from whole_timetable import rows
from whole_timetable.bridges import OPERATOR, assert_no_canary, events, in_window, public, uid_of
from whole_timetable.teamup import PROVIDER, TOKEN, FakeTeamUp

from bridge.sandbox.records import Row

FEEDS = ("/sessions.ics", "/venues/11.ics", "/rooms/111.ics", "/sessions.json", "/sessions.txt")
FORBIDDEN_IN_STORE = ("canary customer", "canary.customer", "canary-appointment", "canary-secret")


@pytest.fixture(scope="module")
def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def studio(now: datetime) -> Iterator[FakeTeamUp]:
    with FakeTeamUp(rows.classes(300, now=now), rows.course_sessions(60, now=now)) as teamup:
        yield teamup


def machine(teamup: FakeTeamUp, store: str, workers: int = 1, **settings: str) -> Machine:
    """A server with both lists and the most talkative log."""
    return Machine(
        teamup.url,
        store,
        workers=workers,
        **{
            "TEAMUP_API_TOKEN": TOKEN,
            "TEAMUP_SOURCES": "events,course_sessions",
            "OPERATOR_TOKEN": OPERATOR,
            "PUBLIC_AVAILABILITY": "spots",
            "LOG_LEVEL": "debug",
            "LOG_REQUESTS": "all",
            **settings,
        },
    )


def _expected(teamup: FakeTeamUp, now: datetime) -> set[str]:
    all_rows: list[Row] = [*teamup.events.rows, *teamup.course_sessions.rows]
    return {uid_of(row) for row in public(all_rows) if in_window(row, now=now)}


def test_workers_and_machines_walk_each_list_once_and_answer_alike(
    studio: FakeTeamUp, now: datetime, tmp_path: Path
) -> None:
    store = f"sqlite:///{tmp_path}/bridge.sqlite3"
    first, second = machine(studio, store, workers=2), machine(studio, store)
    with running(first, second):
        calls = [
            lambda path=path, server=server: server.get(path)
            for path in FEEDS
            for server in (first, second)
            for _ in range(3)
        ]
        answers = run_concurrently(calls)
        assert {answer.status for answer in answers} == {200}
        assert len({answer.validators for answer in answers}) == len(FEEDS)
        assert events(answers[0].body).keys() == _expected(studio, now)
        pages = Counter((request.list, request.page) for request in studio.requests)
        assert set(pages.values()) == {1}
        assert {name for name, _ in pages} == {"events", "course_sessions"}
        token = {"Authorization": f"Bearer {OPERATOR}"}
        texts = {path: first.get(path).body.decode() for path in (*FEEDS, "/", "/sessions")}
        for path in ("/status", "/status?format=json", "/metrics"):
            answer = first.get(path, **token)
            assert answer.status == 200
            texts[path] = answer.body.decode()
        logs = "\n".join([*first.log, *second.log])
    assert "published" in logs
    assert_no_canary({**texts, "log": logs})
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert kept
    for word in FORBIDDEN_IN_STORE:
        assert word.encode() not in kept.lower()


def test_a_server_without_a_token_starts_and_sends_none(studio: FakeTeamUp, tmp_path: Path) -> None:
    settings = {
        "TEAMUP_API_TOKEN": "",
        "TEAMUP_AUTH_SCHEME": "none",
        "TEAMUP_PROVIDER_ID": PROVIDER,
    }
    with machine(studio, f"sqlite:///{tmp_path}/bridge.sqlite3", **settings) as server:
        answer = server.get("/sessions.ics")
        assert answer.status == 200
        assert events(answer.body)
        log = "\n".join(server.log)
    assert studio.requests
    for request in studio.requests:
        assert "authorization" not in request.headers
        assert request.headers["teamup-provider-id"] == PROVIDER
    assert "course_sessions" in log
