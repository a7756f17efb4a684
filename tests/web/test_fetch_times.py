"""Pages tell when vendors' servers last fetched their feed, and nothing about persons."""

from typing import Any

import pytest
from clocks import ManualClock
from flask.testing import FlaskClient
from web.pages import page

from bridge.bounded_cache import BoundedCache
from bridge.sandbox.studio import Studio
from bridge.services import Services
from bridge.store.memory import MemoryStore
from bridge.web import create_app

GOOGLE = "Google-Calendar-Importer"
EXCHANGE = "Microsoft Exchange/15.20 (Windows NT 10.0; Win64; x64)"
OF_PERSONS = (
    "iOS/18.0 (22A3354) dataaccessd/1.0",
    "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.16327; Pro)",
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.0",
    "ICSx5/2.4.3 (ical4j/3.2.19 okhttp/5.3.2 Android/16)",
)
HOUR = 3600


@pytest.fixture
def studio(near_studio: Studio) -> Studio:
    return near_studio


@pytest.fixture
def parts(make_bridge: Any) -> Services:
    return make_bridge(signing_keys=("a-key-of-the-tests",))


@pytest.fixture
def client(parts: Services) -> FlaskClient:
    return create_app(parts).test_client()


def fetch(parts: Services, client: FlaskClient, *agents: str, path: str = "/venues/12.ics") -> None:
    """Fetch a feed as these clients, and let a minute's tasks run."""
    for agent in agents:
        client.get(path, headers={"User-Agent": agent})
    parts.periodic.run_once()


def test_nothing_is_said_before_the_records_are_read(client):
    text = page(client, "/venues/12").text
    assert "fetch" not in text
    assert "on record" not in text


def test_a_calendar_that_google_never_fetched_says_so(parts, client):
    fetch(parts, client, GOOGLE, path="/venues/13.ics")
    assert (
        "No fetch of this calendar by Google is on record yet." in page(client, "/venues/12").text
    )


@pytest.mark.parametrize(
    ("hours", "words"),
    [
        (0, "less than an hour ago"), (0.99, "less than an hour ago"), (1, "1 hour ago"),
        (6.9, "6 hours ago"), (30, "30 hours ago"), (47.9, "47 hours ago"), (48, "2 days ago"),
        (24 * 20.5, "20 days ago"),
    ],
)  # fmt: skip
def test_the_age_of_a_fetch_is_rounded_down_to_hours_or_days(parts, client, clock, hours, words):
    fetch(parts, client, GOOGLE)
    clock.move(hours * HOUR)
    parts.periodic.run_once()
    assert f"Google last fetched this calendar {words}." in page(client, "/venues/12").text


def test_microsofts_servers_are_told_and_peoples_devices_are_not(parts, client):
    fetch(parts, client, *OF_PERSONS)
    unread = page(client, "/venues/12")
    fetch(parts, client, EXCHANGE)
    text = page(client, "/venues/12").text
    words = "Microsoft last fetched it for Outlook.com and Microsoft 365 less than an hour ago."
    assert words in text
    assert text.replace(f" {words}", "") == unread.text
    assert "by Google is on record" in unread.text


def test_each_calendar_has_its_own_time(parts, client):
    fetch(parts, client, GOOGLE, path="/venues/12-riverside-studio.ics?_=.ics")
    assert "Google last fetched" in page(client, "/venues/12").text
    for other in ("/venues/13", "/sessions", "/venues/12?cancelled=keep"):
        assert "Google last fetched" not in page(client, other).text


def test_the_page_of_a_private_feed_tells_of_that_feed(parts, client):
    app = client.application
    feeds = [
        app.test_cli_runner().invoke(args=["sign", "venues/12.ics"]).stdout.strip()
        for _ in range(2)
    ]
    fetch(parts, client, GOOGLE, path=feeds[0])
    first, second, public = (
        "Google last fetched" in page(client, path).text
        for path in (*(feed.removesuffix(".ics") for feed in feeds), "/venues/12")
    )
    assert (first, second, public) == (True, False, False)


def test_the_words_change_when_they_become_wrong_and_not_before(
    make_bridge: Any, clock: ManualClock
) -> None:
    # With a timetable that stays fresh, and without classes that end meanwhile.
    parts = make_bridge(cache_ttl=24 * HOUR)
    client = create_app(parts).test_client()
    path = "/venues/12?starts_at_gte=2035-01-01"
    fetch(parts, client, GOOGLE, path="/venues/12.ics?starts_at_gte=2035-01-01")
    first = client.get(path)
    dated = {"If-Modified-Since": first.headers["Last-Modified"]}
    clock.move(59 * 60)
    client.get(path)
    assert client.get(path).headers["ETag"] == first.headers["ETag"]
    clock.move(60)
    second = client.get(path)
    assert "1 hour ago" in second.text
    assert second.headers["ETag"] != first.headers["ETag"]
    assert client.get(path, headers=dated).status_code == 200
    fetch(parts, client, GOOGLE, path="/venues/12.ics?starts_at_gte=2035-01-01")
    assert "less than an hour ago" in client.get(path).text


def test_a_page_does_not_read_the_usage_records(
    parts: Services, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(parts, client, GOOGLE)
    client.get("/venues/12")
    read: list[str] = []
    original = MemoryStore.read

    def recorded(store: MemoryStore, keys: Any) -> Any:
        read.extend(keys)
        return original(store, keys)

    monkeypatch.setattr(MemoryStore, "read", recorded)
    # Also when the page has to be rendered.
    monkeypatch.setattr(BoundedCache, "get", lambda cache, key: None)
    assert "Google last fetched" in client.get("/venues/12").text
    assert [key for key in read if "usage" in key or "feed" in key] == []
