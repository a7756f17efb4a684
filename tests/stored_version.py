"""A store as a version of the bridge left it, with the feeds that it served last.

The stores of releases are in ``testdata``. A new one is made with the code of its release, of
which OLD is a checkout; in this folder::

    PYTHONPATH=OLD python stored_version.py testdata/0.2.0
"""

import json
import sqlite3
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from clocks import ManualClock, wait_until

from bridge import config, services
from bridge.feeds.private import FeedGrant, new_audience
from bridge.feeds.spec import Kind
from bridge.model import Visibility
from bridge.sandbox import demo_records
from bridge.sandbox.api import create_api
from bridge.sandbox.http_server import SandboxServer
from bridge.sandbox.studio import Studio
from bridge.upstream.account import Account
from bridge.web import create_app

FOLDER = Path(__file__).parent / "testdata"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
TOKEN = "a-token-of-the-tests"
SIGNING_KEY = "a-signing-key-of-the-tests"
PUBLIC_FEEDS = ("/venues/12.ics", "/courses/52.ics")
# Seconds: older than a copy may be without a request waiting for its refresh.
LONG = 4_000.0


@dataclass(frozen=True)
class StoredVersion:
    """What a version left.

    Attributes:
        at: the time of its end, in seconds since 1970.
        account: the beginning of its keys.
        feeds: the bodies of its feeds, by path.
        private: the path of a private feed, one of ``feeds``.
        revoked: the path of a private feed that was revoked.
        revoked_id: its id.
    """

    at: float
    account: str
    feeds: Mapping[str, str]
    private: str
    revoked: str
    revoked_id: str

    @classmethod
    def load(cls, version: str) -> "StoredVersion":
        return cls(**json.loads((FOLDER / f"{version}.json").read_text(encoding="utf-8")))


def studio() -> Studio:
    """A small studio, as it was at first."""
    studio = Studio(
        venues=demo_records.VENUES,
        venue_rooms=getattr(demo_records, "VENUE_ROOMS", ()),
        instructors=demo_records.INSTRUCTORS,
        categories=demo_records.CATEGORIES,
        offering_types=demo_records.OFFERING_TYPES,
        courses=demo_records.COURSES,
    )
    for kind in ("course_session", "event"):
        for number in range(1, 9):
            start = NOW + timedelta(days=number)
            parent = {"course": 52} if kind == "course_session" else {}
            studio.add(starts_at=start, kind=kind, id=number, venue=12, instructors=[14], **parent)
    return studio


def change(studio: Studio) -> None:
    """Move, cancel, rename and delete a class of each list."""
    for kind in ("course_session", "event"):
        start = NOW + timedelta(days=1, hours=2)
        studio.change(1, starts_at=start, ends_at=start + timedelta(hours=1), kind=kind)
        studio.cancel(2, kind=kind)
        studio.change(3, name="Renamed", kind=kind)
        studio.delete(4, kind=kind)


def write(target: Path) -> None:
    """Run the bridge that can be imported, and keep its store and its feeds."""
    file = target.with_name(f"{target.name}.sqlite3")
    file.unlink(missing_ok=True)
    clock, timetable = ManualClock(NOW), studio()
    with SandboxServer(create_api(timetable, token=TOKEN, requests_per_minute=10_000)) as upstream:
        settings = replace(
            config.load(),
            token=TOKEN,
            base_url=upstream.url,
            cache_url=f"sqlite:///{file.resolve()}",
            signing_keys=(SIGNING_KEY,),
        )
        bridge = services.build(settings, clock=clock)
        client = create_app(bridge).test_client()

        def sign() -> tuple[str, str]:
            audience = new_audience([Visibility.PUBLIC, Visibility.MEMBERSHIP_HOLDERS], counts=True)
            token = bridge.private.sign(FeedGrant(Kind.VENUE, 12, (), audience))
            return f"/private/{token}.ics", str(audience.private)

        (private, _), (revoked, revoked_id) = sign(), sign()
        paths = (*PUBLIC_FEEDS, private)

        def refreshed() -> bool:
            return all(client.get(path).headers["Age"] == "0" for path in paths)

        wait_until(refreshed)
        change(timetable)
        # A missing session of a course is kept for one more walk.
        for _ in range(3):
            clock.move(LONG)
            wait_until(refreshed)
        feeds = {path: client.get(path).text for path in paths}
        bridge.private.revoke(revoked_id)
        bridge.close()
    stored = StoredVersion(
        clock.now(), Account.of(settings).name, feeds, private, revoked, revoked_id
    )
    text = json.dumps(asdict(stored), indent=1)
    target.with_name(f"{target.name}.json").write_text(f"{text}\n", encoding="utf-8")
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("VACUUM")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
