"""Upgrade and rollback: a bridge continues with the store that another version left."""

import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import stored_version
from clocks import ManualClock, wait_until
from flask.testing import FlaskClient
from stored_version import LONG, StoredVersion

from bridge.model import SourceName
from bridge.sandbox.http_server import SandboxServer
from bridge.sandbox.studio import Studio
from bridge.services import Services
from bridge.store import keys
from bridge.store.sqlite_backup import restore_backup, write_backup
from bridge.upstream.account import Account
from bridge.web import create_app

SOURCES = {
    "0.1.0": frozenset({SourceName.COURSE_SESSIONS}),
    "0.2.0": frozenset(SourceName),
}
"""The versions whose stores are kept, and the lists that they had read."""


@pytest.fixture(params=list(SOURCES))
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def stored(version: str) -> StoredVersion:
    return StoredVersion.load(version)


@pytest.fixture
def clock(stored: StoredVersion) -> ManualClock:
    """A minute after the older version has ended."""
    return ManualClock(datetime.fromtimestamp(stored.at + 60, UTC))


@pytest.fixture
def studio() -> Studio:
    """The studio as it was when the older version ended."""
    studio = stored_version.studio()
    stored_version.change(studio)
    return studio


@pytest.fixture
def file(version: str, tmp_path: Path) -> Path:
    return Path(shutil.copy(stored_version.FOLDER / f"{version}.sqlite3", tmp_path))


@pytest.fixture
def start(
    make_bridge: Callable[..., Services], file: Path, version: str, stored: StoredVersion
) -> Callable[[], Services]:
    """Starts a bridge of this version with the store."""

    def start() -> Services:
        bridge = make_bridge(
            cache_url=f"sqlite:///{file}",
            signing_keys=(stored_version.SIGNING_KEY,),
            sources=SOURCES[version],
        )
        # The address of the sandbox, and so the account, is another one in each test.
        account = Account.of(bridge.config).name
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute(
                "UPDATE entries SET key = replace(key, ?, ?)", (stored.account, account)
            )
        return bridge

    return start


@pytest.fixture
def client(start: Callable[[], Services]) -> FlaskClient:
    return create_app(start()).test_client()


def sequences(body: str) -> dict[str, int]:
    """SEQUENCE by UID."""
    lines = body.replace("\r\n ", "")
    uids = re.findall(r"^UID:(.*)\r$", lines, re.MULTILINE)
    numbers = re.findall(r"^SEQUENCE:(\d+)\r$", lines, re.MULTILINE)
    return dict(zip(uids, map(int, numbers), strict=True))


def refresh(client: FlaskClient, clock: ManualClock) -> None:
    clock.move(LONG)
    wait_until(lambda: client.get("/venues/12.ics").headers["Age"] == "0")


def rows(file: Path, at: float) -> dict[str, bytes]:
    """The entries that have not expired."""
    query = "SELECT key, value FROM entries WHERE expires IS NULL OR expires > ?"
    with closing(sqlite3.connect(file)) as connection:
        return dict(connection.execute(query, (at,)))


def test_the_feeds_of_the_older_version_are_served_at_once_also_in_an_outage(
    client: FlaskClient, stored: StoredVersion, upstream: SandboxServer
) -> None:
    upstream.stop()
    for path, body in stored.feeds.items():
        response = client.get(path)
        assert response.status_code == 200
        assert sequences(response.text) == sequences(body)
        assert response.text.count("STATUS:CANCELLED") == body.count("STATUS:CANCELLED") > 0


def test_a_refresh_continues_the_history_of_each_class(
    client: FlaskClient, stored: StoredVersion, clock: ManualClock, studio: Studio
) -> None:
    refresh(client, clock)
    for path, body in stored.feeds.items():
        assert sequences(client.get(path).text) == sequences(body)
    start = datetime.fromtimestamp(stored.at, UTC) + timedelta(days=3)
    studio.change(5, starts_at=start, ends_at=start + timedelta(hours=1))
    refresh(client, clock)
    body = stored.feeds["/courses/52.ics"]
    after, before = sequences(client.get("/courses/52.ics").text), sequences(body)
    assert after.keys() == before.keys()
    [moved] = {uid for uid in after if after[uid] != before[uid]}
    assert after[moved] > before[moved]


def test_a_restored_backup_continues_the_history_in_an_outage(
    start: Callable[[], Services], file: Path, stored: StoredVersion, upstream: SandboxServer
) -> None:
    bridge = start()
    backup = file.with_name("backup")
    write_backup(file, backup, replace=False)
    file.unlink()
    restore_backup(backup, file)
    upstream.stop()
    client = create_app(bridge).test_client()
    for path, body in stored.feeds.items():
        assert sequences(client.get(path).text) == sequences(body)
    assert client.get(stored.revoked).status_code == 404


def test_a_revoked_private_feed_stays_revoked(client: FlaskClient, stored: StoredVersion) -> None:
    assert client.get(stored.private).status_code == 200
    assert client.get(stored.revoked).status_code == 404


class TestAnotherFormat:
    """A version with another stored format, and the way back."""

    @pytest.fixture
    def newer(self, monkeypatch: pytest.MonkeyPatch, start: Callable[[], Services]) -> Services:
        bridge = start()
        monkeypatch.setattr(keys, "FORMAT", "2")
        return bridge

    def test_feeds_keep_their_events_and_no_sequence_falls(
        self, newer: Services, clock: ManualClock, stored: StoredVersion
    ) -> None:
        client = create_app(newer).test_client()
        refresh(client, clock)
        for path, body in stored.feeds.items():
            before, after = sequences(body), sequences(client.get(path).text)
            lists = 1 if path.startswith("/courses/") else len(newer.config.sources)
            # A deleted class is in the history only, which begins anew.
            assert (len(before.keys() - after.keys()), after.keys() - before.keys()) == (
                lists,
                set(),
            )
            assert all(number >= before[uid] for uid, number in after.items())

    def test_revoked_feeds_stay_revoked_in_both_directions(
        self, newer: Services, stored: StoredVersion, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client = create_app(newer).test_client()
        assert client.get(stored.revoked).status_code == 404
        private = stored.private.removeprefix("/private/").removesuffix(".ics")
        newer.private.revoke(str(newer.private.verify(private).audience.private))
        monkeypatch.setattr(keys, "FORMAT", "1")
        for path in (stored.private, stored.revoked):
            assert client.get(path).status_code == 404

    def test_the_older_version_finds_its_data_unchanged(  # noqa: PLR0917 - one for each fixture
        self,
        newer: Services,
        start: Callable[[], Services],
        file: Path,
        clock: ManualClock,
        stored: StoredVersion,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        later = clock.now() + 4 * LONG
        before = rows(file, later)
        client = create_app(newer).test_client()
        for _ in range(3):
            refresh(client, clock)
        newer.close()
        after = rows(file, later)
        assert {key: after.get(key) for key in before} == before
        assert after.keys() - before.keys()
        monkeypatch.setattr(keys, "FORMAT", "1")
        client = create_app(start()).test_client()
        for path, body in stored.feeds.items():
            assert sequences(client.get(path).text) == sequences(body)


def test_all_stored_values_but_revocations_expire(version: str, stored: StoredVersion) -> None:
    path = stored_version.FOLDER / f"{version}.sqlite3"
    with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as connection:
        permanent = connection.execute("SELECT key FROM entries WHERE expires IS NULL").fetchall()
    assert permanent == [(f"{stored.account}:1:revoked:{stored.revoked_id}",)]
